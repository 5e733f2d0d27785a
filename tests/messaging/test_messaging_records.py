"""One query of the ledger says why a message went (C44); without rules nothing is judged and nothing goes (C45)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from leadpipe.clock import FixedClock
from leadpipe.errors import ConfigurationError
from leadpipe.messaging import gate
from tests.messaging.conftest import SMS_BODY

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.policy.pack import Pack
    from tests.messaging.conftest import AddLead, Go, MakeIntent, Put, Rows

WHY = text(
    """
    select m.body, v.pack_version, v.decision, c.level, c.evidence ->> 'signer' as signer,
      v.detail -> 'evidence' -> 'candidates' -> 0 ->> 'local_time' as local_time,
      v.detail -> 'case' -> 'dnc' as dnc, v.detail -> 'case' -> 'reassigned' as reassigned
    from ledger.messages m
    join ledger.verdicts v on v.message_id = m.id and v.moment = 'claim'
    left join ledger.consents c on c.id = (v.detail -> 'evidence' ->> 'consent_id')::bigint
    where m.id = cast(:id as uuid)
    """
)


def test_c44_one_query_says_why_a_message_went(
    ledger_engine: Engine, put: Put, go: Go, add_lead: AddLead, intent: MakeIntent, clock: FixedClock
) -> None:
    lead = add_lead(1, pewc=True)
    day: date = clock.now().date() - timedelta(days=2)
    with ledger_engine.begin() as connection:
        for name in ("dnc", "reassigned"):
            connection.execute(
                text(
                    "insert into ledger.number_checks (contact_point_id, list, result, checked_at, recorded_at) "
                    "values (:point, :list, 'no', :day, :now)"
                ),
                {"point": lead.phone_id, "list": name, "day": day, "now": clock.now()},
            )
    wanted = intent(lead, "sms")
    put(wanted)
    assert go().counts == {"accepted": 1}
    with ledger_engine.connect() as connection:
        why = connection.execute(WHY, {"id": wanted.id}).one()
    assert (why.body, why.decision, why.level, why.signer) == (SMS_BODY, "ALLOW", "pewc", "Ana")
    assert why.local_time == "2026-03-03T10:00-06:00"
    assert (why.dnc, why.reassigned) == ([False, day.isoformat()], ["no", day.isoformat()])
    assert why.pack_version.startswith("20")


def test_c45_while_the_rules_cannot_be_read_messages_wait_and_afterwards_they_go(
    put: Put, go: Go, rows: Rows, add_lead: AddLead, intent: MakeIntent, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(intent(add_lead(1)), intent(add_lead(2, pewc=True), "sms"))

    def damaged(day: date, folder: Any = None) -> Pack:
        raise ConfigurationError("policy pack x.yaml is not the file that came along")

    with monkeypatch.context() as broken:
        broken.setattr(gate, "load_pack", damaged)
        with pytest.raises(ConfigurationError, match="is not the file that came along"):
            go()
        assert {row.state for row in rows("messages")} == {"queued"}
        assert rows("attempts") == []
        with pytest.raises(ConfigurationError):
            put(intent(add_lead(3)))
    assert go().counts == {"accepted": 2}
    assert len(rows("messages")) == 2
