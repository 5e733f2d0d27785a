"""Cases of the policy tests, written as ``leadpipe policy check`` reads them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from leadpipe.policy.case import Case
from leadpipe.policy.case_reading import read_case
from leadpipe.policy.pack import DEMO_POLICY, PolicySettings
from leadpipe.policy.pack_file import load_pack
from leadpipe.policy.verdict import Verdict, judge

CHICAGO = {"zip": "60614", "city": "Chicago", "state": "IL", "country": "US"}
PROOF = {"signer": "Ana Example", "number": "as given", "seller": "ours", "disclosure": "full text", "ip": "192.0.2.1"}
MIAMI = {"zip": "33101", "city": "Miami", "state": "FL", "country": "US"}
DALLAS = {"zip": "75201", "city": "Dallas", "state": "TX", "country": "US"}
PORTLAND = {"zip": "04101", "city": "Portland", "state": "ME", "country": "US"}
FOOTER = "Demo Realty, 100 Main Street, Suite 5, Houston, TX 77002\nUnsubscribe: %%unsubscribe_url%%"
NO_ADDRESS: dict[str, str] = {}
Decide = Callable[..., Verdict]


def at(text: str) -> datetime:
    """A moment."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def check(verdict: Verdict, expected: str) -> None:
    """The verdict has this decision and code, and nothing but ALLOW is without a finding."""
    assert f"{verdict.decision} {verdict.code}".strip() == expected
    assert (verdict.decision == "ALLOW") == (not [f for f in verdict.findings if f.decision != "SKIPPED"])


def pewc(at: str = "2026-01-02T10:00:00Z", **more: Any) -> dict[str, Any]:
    """A written consent to texts with all of its proof."""
    return {"level": "pewc", "channel": "sms", "at": at, "seller": "ours", "evidence": PROOF} | more


def consent(level: str, at: str, channel: str = "sms", **more: Any) -> dict[str, Any]:
    """A consent of any level."""
    return {"level": level, "channel": channel, "at": at, "seller": "ours", "evidence": {}} | more


def sent(at: str, channel: str = "sms", purpose: str = "marketing") -> dict[str, Any]:
    """A message that went out."""
    return {"at": at, "direction": "out", "channel": channel, "purpose": purpose}


def received(at: str, channel: str = "sms") -> dict[str, Any]:
    """A message that came in."""
    return {"at": at, "direction": "in", "channel": channel}


def written_off(source: str, at: str = "2026-11-01T00:00:00Z", channel: str = "sms") -> dict[str, Any]:
    """A suppression."""
    return {"channel": channel, "at": at, "source": source}


def case_of(**fields: Any) -> Case:
    """A case: a text of marketing to Chicago at 10:00 on a Tuesday unless said otherwise."""
    address = fields.pop("address", CHICAGO)
    contact = {
        "phone": fields.pop("phone", "+13125550100"),
        "email": fields.pop("email", "ana@example.com"),
        "address": address,
    }
    row = {"id": "c", "now": "2026-11-24T16:00:00Z", "channel": "sms", "purpose": "marketing", "contact": contact}
    row |= fields
    # The number was looked up on the day and is still theirs, unless the case is about that.
    return read_case({"reassigned": {"checked_at": row["now"], "result": "no"}} | row)


@pytest.fixture
def decide() -> Decide:
    """A function that judges a case made of these fields, with the demo's settings and the pack of its day."""

    def judged(settings: PolicySettings = DEMO_POLICY, **fields: Any) -> Verdict:
        case = case_of(**fields)
        return judge(case, pack=load_pack(case.now.date()), settings=settings)

    return judged
