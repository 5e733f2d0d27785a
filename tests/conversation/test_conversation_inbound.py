"""What arrives is stored once and obeyed at once where its words leave no doubt."""

from __future__ import annotations

import pytest

from tests.conversation.conftest import AddPerson, Rows, Say, Write


@pytest.mark.parametrize("words", ["STOP", "Stop.", "please stop texting me", "ALTO", "no me escriban más", "🛑"])
def test_a_stop_ends_every_telephone_channel_and_cancels_what_waits(
    words: str, add_person: AddPerson, write: Write, say: Say, rows: Rows
) -> None:
    add_person()
    waiting = write()
    stored = say(words)
    assert stored.result == "opt_out"
    found = rows("select channel, source from ledger.suppressions order by channel")
    assert {row["channel"] for row in found} == {"sms", "whatsapp"}
    assert rows("select state from ledger.messages where id = cast(:id as uuid)", id=waiting) == [
        {"state": "cancelled"}
    ]
    assert rows("select intent, read_at is not null as is_read from ledger.inbound_messages") == [
        {"intent": "opt_out", "is_read": True}
    ]
