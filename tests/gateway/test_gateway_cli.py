"""``leadpipe webhooks``, ``leadpipe inbox`` and ``leadpipe gateway``: words, JSON and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from leadpipe import runtime as runtime_module
from leadpipe.cli.main import app
from leadpipe.crm.client import FubClient
from leadpipe.crm.custom_fields import DEFINITIONS
from leadpipe.crm.webhooks import EVENTS
from leadpipe.gateway import fub
from leadpipe.runtime import Runtime
from tests.gateway.conftest import Callers, Ledger
from tests.gateway.test_gateway_fub import notice

Run = Callable[..., Result]
Row = dict[str, Any]


class Hooks:
    """An account's webhooks, kept in a list, and its custom fields, kept in another."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.fields: list[Row] = []
        self.refusal: httpx.Response | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.refusal is not None:
            return self.refusal
        number = request.url.path.rpartition("/")[2]
        if number == "customFields":
            return self._answer_fields(request)
        if request.method == "GET":
            return httpx.Response(200, json={"_metadata": {"collection": "webhooks"}, "webhooks": self.rows})
        if request.method == "DELETE":
            self.rows = [row for row in self.rows if str(row["id"]) != number]
            return httpx.Response(200)
        body = json.loads(request.content)
        if request.method == "POST":
            self.rows.append({"id": len(self.rows) + 1, "status": "Active", **body})
            return httpx.Response(200, json=self.rows[-1])
        row = next(row for row in self.rows if str(row["id"]) == number)
        row |= body
        return httpx.Response(200, json=row)

    def _answer_fields(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"_metadata": {"collection": "customfields"}, "customfields": self.fields})
        body = json.loads(request.content)
        name = "custom" + body["label"].replace(" ", "")
        self.fields.append({"id": len(self.fields) + 70, "name": name, "readOnly": False, **body})
        return httpx.Response(201, json=self.fields[-1])


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def run(runtime: Runtime, hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs ``leadpipe ARGUMENTS``; each run opens a runtime of its own, as a process would."""

    def opened(**_: Any) -> Runtime:
        made = Runtime(runtime.settings)
        made.__dict__["clock"] = runtime.clock
        made.__dict__["crm"] = FubClient(
            base_url="https://crm.example/v1",
            api_key="k",
            system="s",
            system_key="x",
            transport=httpx.MockTransport(hooks),
        )
        return made

    monkeypatch.setattr(runtime_module, "open_runtime", opened)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_webhooks_are_missing_then_installed_then_removed(run: Run, hooks: Hooks) -> None:
    before = run("webhooks", "status")
    assert before.exit_code == 1
    assert before.output.count("missing") == len(EVENTS) + len(DEFINITIONS)
    assert "leadpipe webhooks install" in before.output
    assert run("webhooks", "install").exit_code == 0
    assert {row["url"] for row in hooks.rows} == {"https://hooks.leadpipe.example/fub/fub-token-of-the-tests"}
    shown = json.loads(run("webhooks", "status", "--json").output)
    assert {row["state"] for row in shown if "event" in row} == {"active"}
    assert {row["field"]: row["state"] for row in shown if "field" in row} == {
        "customLeadpipeScore": "present",
        "customLeadpipeReason": "present",
        "customLeadpipePriority": "present",
    }
    assert run("webhooks", "install").exit_code == 0
    assert (len(hooks.rows), len(hooks.fields)) == (len(EVENTS), len(DEFINITIONS))
    hooks.rows.append({"id": 99, "event": EVENTS[0], "url": "https://elsewhere.example/hook", "status": "Active"})
    assert json.loads(run("webhooks", "remove", "--json").output) == {"removed": len(EVENTS)}
    assert [row["id"] for row in hooks.rows] == [99]


def test_a_disabled_webhook_is_a_finding_and_installing_switches_it_on(run: Run, hooks: Hooks) -> None:
    run("webhooks", "install")
    hooks.rows[3]["status"] = "Disabled"
    assert run("webhooks", "status").exit_code == 1
    assert run("webhooks", "install").exit_code == 0
    assert hooks.rows[3]["status"] == "Active"


def test_a_score_field_that_is_missing_or_of_another_type_is_a_finding_with_its_cure(run: Run, hooks: Hooks) -> None:
    run("webhooks", "install")
    gone = hooks.fields.pop(1)
    missing = run("webhooks", "status")
    assert missing.exit_code == 1
    assert f"{gone['name']:<24} missing    run `leadpipe webhooks install`" in missing.output
    assert run("webhooks", "install").exit_code == 0
    hooks.fields[0]["type"] = "dropdown"
    taken = run("webhooks", "install")
    assert taken.exit_code == 1
    assert "Admin > Custom Fields" in taken.output
    assert len(hooks.fields) == len(DEFINITIONS)


def test_a_new_field_that_gets_another_name_than_ours_is_told(run: Run, hooks: Hooks) -> None:
    hooks.fields.append({"id": 1, "name": "customLeadpipe", "label": "x", "type": "text"})
    hooks._answer_fields = lambda request, answer=hooks._answer_fields: (  # type: ignore[method-assign]
        answer(request) if request.method == "GET" else httpx.Response(201, json={"id": 2, "name": "customOther"})
    )
    answer = run("webhooks", "install")
    assert answer.exit_code == 2
    assert "customOther" in answer.stderr
    assert "customLeadpipeScore" in answer.stderr


def test_two_foreign_hooks_for_an_event_are_named_and_nothing_is_changed(run: Run, hooks: Hooks) -> None:
    hooks.rows = [
        {"id": n, "event": EVENTS[0], "url": f"https://other{n}.example/x", "status": "Active"} for n in (1, 2)
    ]
    answer = run("webhooks", "install")
    assert answer.exit_code == 2
    assert EVENTS[0] in answer.stderr
    assert len(hooks.rows) == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fub_webhook_token": ""}, "LEADPIPE_FUB_WEBHOOK_TOKEN"),
        ({"public_base_url": "http://hooks.example"}, "LEADPIPE_PUBLIC_BASE_URL"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_installed(
    run: Run, runtime: Runtime, hooks: Hooks, change: Row, named: str
) -> None:
    values = {name: type(getattr(runtime.settings, name))(value) for name, value in change.items()}
    runtime.settings = runtime.settings.model_copy(update=values)
    answer = run("webhooks", "install")
    assert (answer.exit_code, hooks.rows) == (2, [])
    assert named in answer.stderr


def test_a_key_that_is_not_the_owner_s_is_said_to_be(run: Run, hooks: Hooks) -> None:
    hooks.refusal = httpx.Response(403, json={"errorMessage": "You do not have access to this endpoint."})
    answer = run("webhooks", "status")
    assert answer.exit_code == 2
    assert "may not do that" in answer.stderr


def test_the_inbox_is_listed_without_bodies(run: Run, callers: Callers, ledger: Ledger) -> None:
    assert "no report is stored" in run("inbox", "list").output
    callers.fub(notice("peopleCreated"))
    callers.text("my words")
    listed = run("inbox", "list")
    assert listed.exit_code == 0
    assert "peopleCreated" in listed.output
    assert "my words" not in listed.output
    shown = json.loads(run("inbox", "list", "--source", "fub", "--state", "new", "--json").output)
    assert [(row["id"], row["kind"], row["attempts"]) for row in shown] == [(1, "peopleCreated", 0)]


def test_a_replay_says_what_each_row_did_and_fails_for_what_is_not_there(
    run: Run, callers: Callers, ledger: Ledger
) -> None:
    callers.fub(notice())
    callers.text("STOP")
    done = run("inbox", "replay", "1", "2", "--json")
    assert done.exit_code == 0
    assert [(row["id"], row["result"]) for row in json.loads(done.output)] == [
        (1, "waits for the next first-touch run"),
        (2, "repeated"),
    ]
    assert run("inbox", "replay", "77").exit_code == 1
    assert len(ledger.suppressed()) == 2


def test_what_nobody_could_read_is_shown_and_read_again(
    run: Run, callers: Callers, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = notice("peopleCreated")
    with monkeypatch.context() as older:
        older.setattr(fub, "MAX_NAME", 3)  # a version that knows less
        assert callers.fub(whole).status_code == 400
        assert callers.ses("no JSON").status_code == 400
    rows = json.loads(run("inbox", "list", "--state", "unreadable", "--json").output)
    assert {(row["id"], row["source"], row["state"]) for row in rows} == {
        ("u1", "fub", "unreadable"),
        ("u2", "ses_event", "unreadable"),
    }
    assert [row["id"] for row in json.loads(run("inbox", "list", "--source", "fub", "--json").output)] == ["u1"]
    done = run("inbox", "replay", "u1", "u2", "--json")
    assert done.exit_code == 1
    assert [row["result"] for row in json.loads(done.output)] == [
        "waits for the next first-touch run",
        "still unreadable: no SES notice",
    ]
    assert ledger.inbox() == [("fub", "peopleCreated", "new", None)]
    assert [row["id"] for row in json.loads(run("inbox", "list", "--state", "unreadable", "--json").output)] == ["u2"]


def test_a_source_that_is_none_is_wrong_use_and_the_sources_are_named(run: Run, ledger: Ledger) -> None:
    answer = run("inbox", "list", "--source", "nosuch")
    assert answer.exit_code == 2
    for source in ("fub", "twilio_status", "twilio_inbound", "ses_event", "ses_inbound"):
        assert source in answer.stderr
        assert run("inbox", "list", "--source", source).exit_code == 0


@pytest.mark.parametrize(
    "arguments", [("replay",), ("replay", "x7"), ("list", "--state", "odd"), ("list", "--limit", "0")]
)
def test_wrong_use_is_exit_2(run: Run, arguments: tuple[str, ...]) -> None:
    answer = run("inbox", *arguments)
    assert answer.exit_code == 2
    assert answer.stderr


@pytest.mark.parametrize("command", [("webhooks", "install"), ("webhooks", "status"), ("webhooks", "remove"),
                                     ("inbox", "list"), ("inbox", "replay"), ("gateway",)])  # fmt: skip
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(app, [*command, "--help"])
    assert answer.exit_code == 0
    assert f"leadpipe {' '.join(command)}" in answer.output
