"""A person who asked for fewer emails gets no more than one of marketing in so many days."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from leadpipe.errors import BadRecord
from leadpipe.policy.case import Case, Contact, HistoryItem
from leadpipe.policy.case_reading import read_case
from leadpipe.policy.frozen import frozen, thawed
from leadpipe.policy.pack import DEMO_POLICY
from leadpipe.policy.pack_file import load_pack
from leadpipe.policy.verdict import judge

NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
PACK = load_pack(NOW.date())
CASE = Case(
    id="m",
    now=NOW,
    channel="email",
    purpose="marketing",
    contact=Contact(email="ana@example.com"),
    email_gap_days=30,
)


def sent(days: float, *, channel: str = "email", purpose: str = "marketing", direction: str = "out") -> HistoryItem:
    return HistoryItem(at=NOW - timedelta(days=days), direction=direction, channel=channel, purpose=purpose)


@pytest.mark.parametrize(
    ("history", "waits_days"),
    [
        ((), None),
        ((sent(30),), None),
        ((sent(29),), 1),
        ((sent(27), sent(40)), 3),
        ((sent(10, purpose="inquiry_response"),), None),
        ((sent(10, channel="sms"),), None),
        ((sent(10, direction="in"),), None),
    ],
)
def test_only_marketing_email_of_the_last_days_counts(history: tuple[HistoryItem, ...], waits_days: int | None) -> None:
    verdict = judge(replace(CASE, history=history), pack=PACK, settings=DEMO_POLICY)
    if waits_days is None:
        assert verdict.decision == "ALLOW"
    else:
        assert (verdict.decision, verdict.code, verdict.rule) == ("HOLD", "fewer_emails", "C15")
        assert verdict.until == NOW + timedelta(days=waits_days)


@pytest.mark.parametrize("days", [0, 2, 26])
def test_what_would_wait_for_long_is_left_out(days: int) -> None:
    verdict = judge(replace(CASE, history=(sent(days), sent(20))), pack=PACK, settings=DEMO_POLICY)
    assert (verdict.decision, verdict.code) == ("BLOCK", "fewer_emails")


@pytest.mark.parametrize(
    "other",
    [
        {"purpose": "inquiry_response"},
        {"purpose": "conversation"},
        {"email_gap_days": None},
    ],
)
def test_answers_and_people_without_the_wish_do_not_wait(other: dict[str, str]) -> None:
    case = replace(CASE, history=(sent(10),), **other)
    assert judge(case, pack=PACK, settings=DEMO_POLICY).code != "fewer_emails"


def test_the_wish_is_kept_with_the_case() -> None:
    case = replace(CASE, history=(sent(28),))
    kept = orjson.loads(orjson.dumps(frozen(case), option=orjson.OPT_UTC_Z))
    again = thawed(
        kept, message_id="m", channel="email", purpose="marketing", address="ana@example.com", consents={},
        subject=None, body=None,
    )  # fmt: skip
    assert again.email_gap_days == 30
    assert judge(again, pack=PACK, settings=DEMO_POLICY).until == judge(case, pack=PACK, settings=DEMO_POLICY).until


def test_a_case_of_json_may_name_it() -> None:
    row = {
        "id": "a",
        "now": NOW.isoformat(),
        "channel": "email",
        "purpose": "marketing",
        "contact": {"email": "a@b.co"},
    }
    assert read_case({**row, "email_gap_days": 30}).email_gap_days == 30
    with pytest.raises(BadRecord, match="email_gap_days"):
        read_case({**row, "email_gap_days": "often"})
