"""The audit's table is an asset with a check; what is to be written again is journalled by a job of its own."""

from __future__ import annotations

import dagster as dg
import pytest

from assets.crm_audit import AUDIT, crm_audit, nothing_differs_from_the_crm
from leadpipe.crm import audit, watermark
from leadpipe.crm.audit import Audited
from leadpipe.crm.compare import Difference, Sides
from leadpipe.runtime import Runtime
from resources.runtime import LeadpipeResource
from sensors.crm_audit import repair_crm

HEALED = Difference(collection="people", kind="stale", outcome="healed", record_id=1, person_id=1, fields=("stage",))
OPEN = Difference(collection="calls", kind="not_read", outcome="open", reason="FUB GET /calls: HTTP 502 4 times")


@pytest.mark.parametrize(("differences", "passes"), [([HEALED], True), ([HEALED, OPEN], False)], ids=["healed", "open"])
def test_the_check_warns_while_a_difference_is_open(
    differences: list[Difference],
    passes: bool,
    leadpipe: LeadpipeResource,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def audited(sides: Sides) -> Audited:
        assert sides.lake is runtime.lake
        runtime.lake.replace(audit.TABLE, audit.as_rows(differences, sides.clock.now()))
        return Audited(differences=differences, count_by_collection={"people": 5})

    watermark.write(runtime.engine, "fub_people", runtime.clock.now(), now=runtime.clock.now())
    monkeypatch.setattr(audit, "audit", audited)
    result = dg.materialize([crm_audit, nothing_differs_from_the_crm], resources={"leadpipe": leadpipe})
    (made,) = result.asset_materializations_for_node("ops__crm_audit")
    assert made.metadata["dagster/row_count"].value == len(differences)
    assert made.metadata["compared/people"].value == 5
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (passes, dg.AssetCheckSeverity.WARN)
    assert check.metadata["open"].value == (0 if passes else 1)


def test_the_repair_is_a_job_of_its_own_and_tells_what_it_journalled(
    leadpipe: LeadpipeResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadpipe.crm.written.journal_repairs", lambda *_, **__: 3)
    result = repair_crm.execute_in_process(resources={"leadpipe": leadpipe})
    (event,) = [event for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"]
    observed = event.event_specific_data.asset_observation
    assert (observed.asset_key, observed.metadata["journalled"].value) == (AUDIT, 3)
