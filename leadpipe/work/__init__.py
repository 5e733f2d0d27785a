"""One pass of each running job: composes the rooms, knows no Dagster. Ops and the send worker call these."""
