"""The running Dagster over its own GraphQL, as its UI uses it.

What lives here: launching a job, backfilling partitions, counting runs. What does not: definitions of either; only
``leadpipe.definitions`` imports Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from leadpipe.errors import Rejected, TransientError

Row = dict[str, Any]
FAILED, OVER = ("FAILURE",), ("SUCCESS", "FAILURE", "CANCELED")
UNDER_WAY = ("QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING")

_REPOSITORIES = (
    "{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name location { name } } } } }"
)
_LAUNCH = """
mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on PipelineNotFoundError { message } ... on RunConfigValidationInvalid { errors { message } } } }
"""
_BACKFILL = """
mutation ($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  ... on UnauthorizedError { message } ... on PartitionSetNotFoundError { message } } }
"""
_BACKFILL_STATUS = """
query ($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
  ... on PartitionBackfill { status numPartitions error { message } } } }
"""
_RUNS = """
query ($f: RunsFilter!, $n: Int) { runsOrError(filter: $f, limit: $n) { __typename
  ... on Runs { count results { runId jobName status } } } }
"""
_PARTITIONS = """
query ($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { __typename
  ... on AssetNode { partitionKeys } } }
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run as the UI lists it."""

    run_id: str
    job: str
    status: str


class DagsterApi:
    """Calls to one webserver.

    Raises:
        TransientError: the webserver does not answer.
        Rejected: Dagster refuses; its reason is told.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, transport=transport)

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def launch_job(self, job: str, *, tags: dict[str, str] | None = None, run_config: Row | None = None) -> str:
        """Launch one run of a job; returns its id."""
        name, location = self._repository()
        selector = {"repositoryName": name, "repositoryLocationName": location, "jobName": job}
        marks = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        parameters = {
            "selector": selector,
            "runConfigData": run_config or {},
            "executionMetadata": {"tags": marks},
            "mode": "default",
        }
        answer = self._ask(_LAUNCH, {"p": parameters})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise Rejected(f"Dagster does not launch {job}: {_reason(answer)}", code=answer["__typename"])
        return str(answer["run"]["runId"])

    def launch_backfill(self, assets: Sequence[Sequence[str]], partitions: Sequence[str], *, title: str) -> str:
        """Backfill these partitions of these assets; returns the backfill's id."""
        parameters = {
            "assetSelection": [{"path": list(path)} for path in assets],
            "partitionNames": list(partitions),
            "title": title,
        }
        answer = self._ask(_BACKFILL, {"p": parameters})["launchPartitionBackfill"]
        if answer["__typename"] != "LaunchBackfillSuccess":
            raise Rejected(f"Dagster does not backfill: {_reason(answer)}", code=answer["__typename"])
        return str(answer["backfillId"])

    def backfill_status(self, backfill_id: str) -> str:
        """The backfill's state, e.g. REQUESTED, COMPLETED_SUCCESS, COMPLETED_FAILED."""
        return str(self._ask(_BACKFILL_STATUS, {"id": backfill_id})["partitionBackfillOrError"].get("status", ""))

    def partitions(self, asset: Sequence[str]) -> list[str]:
        """The partition keys of an asset, oldest first."""
        return list(self._ask(_PARTITIONS, {"k": {"path": list(asset)}})["assetNodeOrError"].get("partitionKeys", []))

    def count_runs(self, statuses: Sequence[str]) -> int:
        """How many runs are in one of these states."""
        return int(self._ask(_RUNS, {"f": {"statuses": list(statuses)}, "n": 1})["runsOrError"].get("count", 0))

    def runs(self, statuses: Sequence[str], *, limit: int = 100, tags: dict[str, str] | None = None) -> list[Run]:
        """The newest runs in one of these states."""
        marks = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        rows = self._ask(_RUNS, {"f": {"statuses": list(statuses), "tags": marks}, "n": limit})["runsOrError"]
        return [Run(run_id=row["runId"], job=row["jobName"], status=row["status"]) for row in rows.get("results", [])]

    def status_of(self, run_id: str) -> str:
        """One run's state; empty when Dagster does not know it."""
        rows = self._ask(_RUNS, {"f": {"runIds": [run_id]}, "n": 1})["runsOrError"].get("results", [])
        return str(rows[0]["status"]) if rows else ""

    def latest(self, job: str) -> str:
        """The state of a job's newest run; empty when it never ran."""
        rows = self._ask(_RUNS, {"f": {"pipelineName": job}, "n": 1})["runsOrError"].get("results", [])
        return str(rows[0]["status"]) if rows else ""

    def is_loaded(self) -> bool:
        """Whether the code location is there."""
        try:
            self._repository()
        except (TransientError, Rejected):
            return False
        return True

    def _repository(self) -> tuple[str, str]:
        nodes = self._ask(_REPOSITORIES, {})["repositoriesOrError"].get("nodes", [])
        if not nodes:
            raise TransientError("Dagster has not loaded leadpipe's definitions; see logs/code-server.log")
        return nodes[0]["name"], nodes[0]["location"]["name"]

    def _ask(self, query: str, variables: Row) -> Row:
        try:
            answer = self._http.post("/graphql", json={"query": query, "variables": variables})
            body = answer.json()
        except (httpx.TransportError, ValueError) as error:
            raise TransientError(f"Dagster's webserver does not answer: {type(error).__name__}") from error
        if body.get("errors"):
            raise Rejected(f"Dagster refuses the query: {body['errors'][0].get('message', '')}", code="graphql")
        return body["data"]


def _reason(answer: Row) -> str:
    if "errors" in answer:
        return "; ".join(str(error.get("message", "")) for error in answer["errors"])
    return str(answer.get("message") or answer["__typename"])
