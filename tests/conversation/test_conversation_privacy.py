"""What a lead says about their own data or their age has its effect at once (C33, C50)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from leadpipe.clock import FixedClock
from leadpipe.conversation.privacy_words import asked
from tests.conversation.conftest import AddPerson, ReadReplies, Rows, Say, Write

DELETE = [
    "Please delete my data",
    "delete all of my personal information from your records",
    "I want you to erase my account",
    "Remove my info.",
    "this is a CCPA request, please delete everything",
    "I invoke my right to be forgotten",
    "delete me from your database",
    "Borren mis datos por favor",
    "quiero que eliminen toda mi información",
    "ejerzo mi derecho al olvido",
]
EXPORT = [
    "What data do you have on me?",
    "what personal information do you collect about me",
    "send me a copy of my data",
    "CCPA access request",
    "¿Qué datos tienen sobre mí?",
]
NEITHER = [
    "take me off your list",
    "remove my number",
    "Can you send me more information about the house?",
    "what information do you have on the house",
    "please update my info",
    "delete that, I meant Tuesday",
    "I removed my offer",
    "Me interesan los datos de la casa",
]
SUPPRESSED = "select distinct channel, source from ledger.suppressions order by source"


@pytest.mark.parametrize(
    ("words", "kind"),
    [(words, kind) for kind, each in (("delete", DELETE), ("export", EXPORT), (None, NEITHER)) for words in each],
)
def test_a_request_is_told_from_the_words(words: str, kind: str | None) -> None:
    assert asked(words) == kind


def test_who_asks_to_be_deleted_is_silent_and_the_clock_starts_with_their_message(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows, clock: FixedClock
) -> None:
    add_person()
    waiting = [write(channel=channel) for channel in ("sms", "email")]
    asked_at = clock.now()
    say("Please delete my data, thanks")
    read_replies()
    assert {"channel": "all", "source": "privacy_request"} in rows(SUPPRESSED)
    states = rows("select id::text as id, state from ledger.messages")
    assert {row["state"] for row in states if row["id"] in waiting} == {"cancelled"}
    assert not [row for row in states if row["state"] in {"queued", "held", "review"}]
    [act] = rows("select person_id, detail, actor from ledger.acts where kind = 'privacy_request'")
    assert (act["person_id"], act["detail"]["kind"], act["actor"]) == (1, "delete", "system")
    assert act["detail"]["received_at"][:16] == f"{asked_at:%Y-%m-%d %H:%M}"
    assert rows("select count(*) as n from ledger.alerts where kind = 'privacy_request'") == [{"n": 1}]


def test_a_stop_with_a_request_is_both(add_person: AddPerson, say: Say, read_replies: ReadReplies, rows: Rows) -> None:
    add_person()
    say("stop texting me and delete my data")
    read_replies()
    assert rows("select count(*) as n from ledger.acts where kind = 'privacy_request'") == [{"n": 1}]
    assert "all" in {row["channel"] for row in rows(SUPPRESSED)}


def test_who_says_to_be_a_minor_is_written_to_no_more_whoever_resumes_automation(
    add_person: AddPerson, write: Write, say: Say, read_replies: ReadReplies, rows: Rows, clock: FixedClock
) -> None:
    add_person()
    waiting = write(channel="email")
    say("I'm 16, can I still come and see it?")
    clock.advance(timedelta(seconds=3))
    read_replies()
    assert rows(SUPPRESSED) == [{"channel": "all", "source": "minor"}]
    assert rows("select state from ledger.messages where id = cast(:id as uuid)", id=waiting) == [
        {"state": "cancelled"}
    ]
    assert rows("select reason from ledger.handoffs") == [{"reason": "minor"}]
