"""Dagster's GraphQL as the demo uses it, at the transport."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from leadpipe.cli.dagster_api import DagsterApi
from leadpipe.errors import Rejected, TransientError

HOME = {"repositoriesOrError": {"nodes": [{"name": "__repository__", "location": {"name": "leadpipe"}}]}}


class Webserver:
    """Answers each query by the first of its names that the query holds, and keeps what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"repositoriesOrError": HOME} | answers
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append(body)
        name = next(name for name in self.answers if name in body["query"])
        answer = self.answers[name]
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json={"data": answer})


def api(webserver: Callable[[httpx.Request], httpx.Response]) -> DagsterApi:
    return DagsterApi("http://127.0.0.1:3000", transport=httpx.MockTransport(webserver))


def test_a_job_is_launched_in_the_one_code_location_with_its_tags() -> None:
    webserver = Webserver(launchRun={"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}})
    assert api(webserver).launch_job("nightly_reactivation", tags={"by": "demo"}) == "r1"
    sent = webserver.asked[-1]["variables"]["p"]
    assert sent["selector"] == {
        "repositoryName": "__repository__", "repositoryLocationName": "leadpipe", "jobName": "nightly_reactivation",
    }  # fmt: skip
    assert sent["executionMetadata"]["tags"] == [{"key": "by", "value": "demo"}]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"__typename": "PipelineNotFoundError", "message": "no such job"}, "no such job"),
        ({"__typename": "RunConfigValidationInvalid", "errors": [{"message": "bad config"}]}, "bad config"),
        ({"__typename": "UnauthorizedError"}, "UnauthorizedError"),
    ],
)
def test_a_refused_launch_tells_dagsters_own_reason(answer: dict[str, Any], says: str) -> None:
    with pytest.raises(Rejected, match=says):
        api(Webserver(launchRun={"launchRun": answer})).launch_job("other")


def test_a_backfill_names_assets_and_partitions_as_the_ui_does() -> None:
    webserver = Webserver(
        launchPartitionBackfill={
            "launchPartitionBackfill": {"__typename": "LaunchBackfillSuccess", "backfillId": "abc"}
        }
    )
    found = api(webserver).launch_backfill([("outreach", "queue")], ["2025-01-01", "2025-02-01"], title="t")
    assert found == "abc"
    assert webserver.asked[-1]["variables"]["p"] == {
        "assetSelection": [{"path": ["outreach", "queue"]}],
        "partitionNames": ["2025-01-01", "2025-02-01"],
        "title": "t",
    }


def test_a_refused_backfill_is_an_error() -> None:
    answer = {"launchPartitionBackfill": {"__typename": "PartitionSetNotFoundError", "message": "no partitions"}}
    with pytest.raises(Rejected, match="no partitions"):
        api(Webserver(launchPartitionBackfill=answer)).launch_backfill([("a", "b")], ["x"], title="t")


def test_runs_are_counted_by_state_and_looked_up_by_id_and_by_job() -> None:
    rows = [{"runId": "r1", "jobName": "poll", "status": "SUCCESS"}]
    webserver = Webserver(runsOrError={"runsOrError": {"count": 7, "results": rows}})
    assert api(webserver).count_runs(("SUCCESS",)) == 7
    assert api(webserver).status_of("r1") == "SUCCESS"
    assert api(webserver).latest("poll") == "SUCCESS"
    assert api(Webserver(runsOrError={"runsOrError": {"count": 0, "results": []}})).latest("poll") == ""


def test_a_webserver_that_is_down_or_talks_nonsense_is_no_empty_answer() -> None:
    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    for webserver in (down, Webserver(runsOrError=httpx.Response(502, text="<html>"))):
        with pytest.raises(TransientError):
            api(webserver).count_runs(("SUCCESS",))
        assert not api(down).is_loaded()


def test_a_query_that_dagster_refuses_is_an_error() -> None:
    refused = httpx.Response(200, json={"errors": [{"message": "Cannot query field"}]})
    with pytest.raises(Rejected, match="Cannot query field"):
        api(Webserver(runsOrError=refused)).count_runs(("SUCCESS",))


def test_without_a_loaded_code_location_nothing_is_launched() -> None:
    webserver = Webserver(repositoriesOrError={"repositoriesOrError": {"nodes": []}})
    assert not api(webserver).is_loaded()
    with pytest.raises(TransientError, match=r"code-server\.log"):
        api(webserver).launch_job("poll")
