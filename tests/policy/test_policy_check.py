"""``leadpipe policy check``: cases in, verdicts out, one a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from leadpipe.cli import main
from tests.policy.conftest import PROOF

if TYPE_CHECKING:
    from click.testing import Result

EXAMPLE: dict[str, Any] = {
    "id": "a1",
    "now": "2026-11-24T02:30:00Z",
    "channel": "sms",
    "purpose": "marketing",
    "contact": {
        "phone": "+13125550100",
        "email": None,
        "address": {"zip": "60614", "city": "Chicago", "state": "IL", "country": "US"},
    },
    "consents": [
        {
            "level": "pewc",
            "channel": "sms",
            "at": "2026-01-02T10:00:00Z",
            "source": "web_form",
            "scope": "marketing",
            "seller": "ours",
            "evidence": PROOF | {"message_id": None},
            "expires_at": None,
        }
    ],
    "suppressions": [],
    "dnc": {"listed": False, "checked_at": "2026-11-20"},
    "reassigned": {"checked_at": "2026-11-20", "result": "no"},
    "history": [],
    "relationship": {"inquiry_at": None, "transaction_at": None},
}
BARE = {
    "id": "b",
    "now": "2026-11-24T16:00:00Z",
    "channel": "email",
    "purpose": "marketing",
    "contact": {"email": "a@example.com"},
}


def check(*lines: Any, words: tuple[str, ...] = ()) -> Result:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return CliRunner().invoke(main.app, ["policy", "check", "--jsonl", "-", *words], input=text)


def answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_case_with_every_field_is_answered_with_every_field() -> None:
    result = check(EXAMPLE)
    assert result.exit_code == 0
    [answer] = answers(result)
    assert list(answer) == ["id", "decision", "until", "code", "rule", "all", "evidence"]
    assert (answer["id"], answer["decision"], answer["until"], answer["code"], answer["rule"]) == (
        "a1", "ALLOW", None, None, None,
    )  # fmt: skip
    assert {each["decision"] for each in answer["all"]} == {"SKIPPED"}
    evidence = answer["evidence"]
    assert evidence["candidates"] == [
        {"zone": "America/Chicago", "state": "IL", "local_time": "2026-11-23T20:30-06:00"}
    ]
    assert (evidence["consent_level"], evidence["place"]) == (3, ["zip 60614", "area code 312"])
    assert "+1312" not in result.stdout


def test_a_held_case_says_until_when_and_by_which_rule() -> None:
    [answer] = answers(check(EXAMPLE | {"now": "2026-11-24T03:30:00Z"}))
    assert (answer["decision"], answer["until"], answer["code"], answer["rule"]) == (
        "HOLD", "2026-11-24T14:00:00Z", "quiet_hours", "C11",
    )  # fmt: skip


def test_only_the_required_fields_are_required_and_what_is_missing_is_unknown() -> None:
    text = BARE | {"channel": "sms", "contact": {"phone": "+13125550100"}}
    bare, unknown = answers(check(BARE, text))
    assert bare["decision"] == "ALLOW"
    assert (unknown["decision"], {each["code"] for each in unknown["all"]} >= {"dnc_unknown"}) == ("BLOCK", True)


BROKEN: list[tuple[str, Any, str]] = [
    ("no JSON", "{nonsense", "is no case"),
    ("no object", "[1]", "is no case"),
    *((f"no {name}", {k: v for k, v in BARE.items() if k != name}, f"field {name} is missing") for name in BARE),
    ("a strange channel", BARE | {"channel": "fax"}, "'fax' is none of email, sms, whatsapp"),
    ("a strange purpose", BARE | {"purpose": "fun"}, "'fun' is none of"),
    ("no time", BARE | {"now": "tomorrow"}, "field now: 'tomorrow' is no ISO time"),
    ("a time without zone", BARE | {"now": "2026-11-24T16:00:00"}, "has no time zone"),
    ("a strange level", BARE | {"consents": [{"level": "gold", "at": "2026-11-24T16:00:00Z"}]}, "'gold' is none of"),
    ("a date that is none", BARE | {"dnc": {"listed": True, "checked_at": "soon"}}, "'soon' is no date"),
    ("a strange answer", BARE | {"reassigned": {"result": "maybe"}}, "'maybe' is none of yes, no, no_data"),
    ("a list of no state", BARE | {"state_lists": [{"listed": True}]}, "each entry names a state"),
    ("a phone as a number", BARE | {"contact": {"phone": 13125550100}}, "field contact.phone: 13125550100 is no text"),
    ("a contact as text", BARE | {"contact": "a@b.co"}, "field contact: 'a@b.co' is no object"),
    ("words as a number", BARE | {"body": 42}, "field body: 42 is no text"),
    ("consents as texts", BARE | {"consents": ["pewc"]}, "is no list of objects"),
    ("a misspelt field", BARE | {"supressions": []}, "field supressions is unknown; did you mean suppressions"),
    (
        "a place beside its address",
        BARE | {"contact": {"email": "a@b.co", "zip": "60614"}},
        "belongs into contact.address",
    ),
    ("a strange direction", BARE | {"history": [{"direction": "up"}]}, "'up' is neither in nor out"),
    ("a list's answer in words", BARE | {"dnc": {"listed": "no"}}, "field listed: 'no' is neither true nor false"),
    ("a flag in words", BARE | {"is_template": "false"}, "field is_template: 'false' is neither"),
    ("a day that no pack covers", BARE | {"now": "2019-11-24T16:00:00Z"}, "is missing on 2019-11-24"),
    ("a strange time", BARE | {"suppressions": [{"channel": "sms", "at": "soon"}]}, "field at"),
]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"consents": [{"level": "pewc", "channel": "sms"}]}, "consent_marketing_sms"),
        ({"suppressions": [{"channel": "sms"}]}, "revoked"),
        ({"suppressions": [{"source": "stop_keyword"}]}, "revoked"),
        ({"history": [{"channel": "sms", "purpose": "marketing"}] * 9}, "frequency"),
    ],
    ids=["a consent of no date", "a refusal of no date", "a refusal of no channel", "messages of no date"],
)
def test_what_a_line_leaves_out_within_a_fact_counts_as_unknown(more: dict[str, Any], code: str) -> None:
    line = {**BARE, "channel": "sms", "purpose": "marketing", "contact": {"phone": "+13125550100"}, **more}
    result = check(line)
    assert result.exit_code == 0
    [answer] = answers(result)
    assert code in [finding["code"] for finding in answer["all"]]
    assert answer["decision"] != "ALLOW"


@pytest.mark.parametrize(("line", "says"), [pytest.param(*row[1:], id=row[0]) for row in BROKEN])
def test_a_line_that_is_no_case_says_what_is_wrong_and_the_others_are_judged(line: Any, says: str) -> None:
    result = check(BARE | {"id": "first"}, line, BARE | {"id": "last"})
    assert result.exit_code == 1
    first, broken, last = answers(result)
    assert (first["id"], last["id"]) == ("first", "last")
    assert broken["line"] == 2 and says in broken["error"], broken
    assert "1 line could not be judged" in result.stderr


def test_blank_lines_are_passed_over() -> None:
    assert len(answers(check("", BARE, "  ", BARE))) == 2


@pytest.mark.parametrize("name", ["team.env", "team.yaml"])
def test_a_settings_file_changes_what_it_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("env"):
        path.write_text("LEADPIPE_SMS_DISABLED_STATES=TX, IL\nLEADPIPE_CAP_PER_RUN=7\n", encoding="utf-8")
    else:
        path.write_text("sms_disabled_states: [TX, IL]\n", encoding="utf-8")
    assert answers(check(EXAMPLE))[0]["decision"] == "ALLOW"
    [answer] = answers(check(EXAMPLE, words=("--settings", str(path))))
    assert (answer["decision"], answer["code"]) == ("BLOCK", "state_sms_disabled")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "team.env",
            'LEADPIPE_BLACKOUTS=[{"state": "IL", "begins_at": "2026-11-20T00:00Z", "ends_at": "2026-12-01T00:00Z"}]\n',
        ),
        (
            "team.yaml",
            "blackouts:\n  - {state: Illinois, begins_at: 2026-11-20T00:00:00Z, ends_at: 2026-12-01T00:00:00Z}\n",
        ),
    ],
)
def test_a_settings_file_may_declare_an_emergency(tmp_path: Path, name: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(words, encoding="utf-8")
    [answer] = answers(check(EXAMPLE, words=("--settings", str(path))))
    assert (answer["decision"], answer["code"], answer["rule"]) == ("BLOCK", "emergency", "C46")
    path.write_text(words.replace("2026-12-01", "2026-11-01"), encoding="utf-8")
    wrong = check(EXAMPLE, words=("--settings", str(path)))
    assert (wrong.exit_code, "blackouts: it ends before it begins" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("LEADPIPE_SMS_DISABLED_STATE=IL\n", "sms_disabled_state is no setting; did you mean sms_disabled_states?"),
        ("LEADPIPE_SMS_DISABLED_STATES=Texas\n", "LEADPIPE_SMS_DISABLED_STATES: 'Texas' is no state"),
        ("LEADPIPE_SMS_DISABLED_STATES TX\n", "team.env line 2 cannot be read; write NAME=value there"),
        ("LEADPIPE_XYZZY=1\n", "xyzzy is no setting; docs/configuration.md has all"),
    ],
)
def test_a_mistyped_setting_or_state_is_named_and_nothing_is_judged(tmp_path: Path, words: str, said: str) -> None:
    path = tmp_path / "team.env"
    path.write_text(f"OTHER_PROGRAMS_NAME=1\n{words}", encoding="utf-8")
    result = check(EXAMPLE, words=("--settings", str(path)))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_an_unregistered_team_may_text_nobody(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("LEADPIPE_A2P_CAMPAIGN_ID=\n", encoding="utf-8")
    [answer] = answers(check(EXAMPLE, words=("--settings", str(path))))
    assert (answer["code"], answer["rule"]) == ("a2p_unregistered", "C26")


@pytest.mark.parametrize(
    "words",
    [("--jsonl", "/nowhere/cases.jsonl"), ("--jsonl", "-", "--settings", "/nowhere/.env")],
    ids=["cases", "settings"],
)
def test_a_file_that_is_not_there_is_named(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main.app, ["policy", "check", *words], input="")
    assert (result.exit_code, "/nowhere/" in result.stderr) == (2, True)


def test_a_batch_and_single_cases_are_judged_alike() -> None:
    cases = [EXAMPLE | {"id": str(hour), "now": f"2026-11-24T{hour:02}:10:00Z"} for hour in range(24)]
    together = answers(check(*cases))
    assert together == [answers(check(case))[0] for case in cases]
