"""The poll reports every raw table with its rows and how far the CRM was read; a failing source stops nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from assets.raw_fub import key, raw_fub
from leadpipe.clock import FixedClock
from leadpipe.crm import watermark
from leadpipe.crm.sweep import Swept
from leadpipe.runtime import Runtime
from leadpipe.work.polled import Polled
from resources.runtime import LeadpipeResource
from sensors.polling import poll_job, sweep_job


def test_a_poll_reports_every_raw_table_and_goes_on_past_a_source_that_failed(
    leadpipe: LeadpipeResource, runtime: Runtime, clock: FixedClock, add_aged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poll(given: Runtime) -> Polled:
        assert given is runtime
        add_aged(1, 2, is_landed=True)
        watermark.write(given.engine, "fub_people", clock.now() - timedelta(minutes=1), now=clock.now())
        return Polled(count_people=2, count_by_table={"raw.fub__people": 2}, failures=["notes: HTTP 503"])

    monkeypatch.setattr("leadpipe.work.poll.poll", poll)
    result = poll_job.execute_in_process(resources={"leadpipe": leadpipe})
    assert result.success
    made = {event.asset_key: event.materialization.metadata for event in result.get_asset_materialization_events()}
    assert set(made) == {spec.key for spec in raw_fub}
    people = {name: value.value for name, value in made[key("people")].items()}
    assert people == {"dagster/row_count": 2, "rows_written": 2, "watermark": "2026-03-03T15:59:00+00:00"}
    assert made[key("notes")]["rows_written"].value == 0


def test_a_sweep_is_observed_on_people(leadpipe: LeadpipeResource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadpipe.work.sweep.sweep", lambda _: Swept(count_seen=5, gone_ids=(3,)))
    result = sweep_job.execute_in_process(resources={"leadpipe": leadpipe})
    (event,) = [event for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"]
    observed = event.event_specific_data.asset_observation
    assert observed.asset_key == dg.AssetKey(["raw", "fub__people"])
    assert (observed.metadata["people_seen"].value, observed.metadata["people_gone"].value) == (5, 1)
