"""First touch, duplicate, lost and sent after suppression, by cases."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpipe.cli import truth
from leadpipe.cli.truth import Believed

T0 = datetime(2026, 5, 12, 15, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    return (T0 + timedelta(seconds=seconds)).isoformat()


def lead(person_id: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "person_id": person_id,
        "created_at": at(0),
        "created_wall_at": at(0),
        "is_new": True,
        "contactable": True,
        "emails": [f"p{person_id}@example.com"],
        "phones": [f"+1312555{person_id:04d}"],
        "opted_out": [],
        "replies": [],
        **changes,
    }


def message(to: str, seconds: float = 5, **changes: Any) -> dict[str, Any]:
    channel = "email" if "@" in to else "sms"
    return {
        "provider": "ses",
        "channel": channel,
        "to": to,
        "accepted_at": at(seconds),
        "accepted_wall_at": at(seconds),
        "plan": "new_lead",
        "step": "welcome",
        "occurrence": 1,
        "our_id": "m-1",
        **changes,
    }


def believed(**changes: Any) -> Believed:
    nothing: dict[str, Any] = {
        "people": {1: True},
        "replies": {},
        "unhandled": {},
        "handled_events": frozenset(),
        "suppressed": [],
    }
    return Believed(**(nothing | changes))


# first touch


def test_first_touch_is_from_creation_to_the_first_acceptance_by_any_channel() -> None:
    messages = [message("p1@example.com", 9), message("+13125550001", 4)]
    assert truth.first_touches([lead()], messages) == {1: 4.0}


def test_a_contactable_lead_never_touched_counts_as_infinite() -> None:
    assert truth.first_touches([lead()], []) == {1: math.inf}


@pytest.mark.parametrize("changes", [{"is_new": False}, {"contactable": False}])
def test_leads_that_are_not_new_or_cannot_be_contacted_have_no_first_touch(changes: dict[str, Any]) -> None:
    assert truth.first_touches([lead(**changes)], []) == {}


def test_a_message_from_before_the_lead_was_created_is_not_its_first_touch() -> None:
    assert truth.first_touches([lead()], [message("p1@example.com", -60)]) == {1: math.inf}


def test_addresses_match_whatever_their_case_and_whatsapp_prefix() -> None:
    assert truth.first_touches([lead()], [message("P1@Example.com", 3)]) == {1: 3.0}
    assert truth.first_touches([lead()], [message("whatsapp:+13125550001", 3)]) == {1: 3.0}


# percentiles


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [([], 0.5, None), ([3.0], 0.99, 3.0), ([1, 2, 3, 4], 0.5, 2), ([1, 2, 3, 4], 1.0, 4), ([1, math.inf], 0.99, None)],
)
def test_percentiles_are_by_nearest_rank_and_infinity_is_no_figure(
    values: list[float], share: float, wanted: float | None
) -> None:
    assert truth.percentile(values, share) == wanted


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1), st.floats(min_value=0.01, max_value=1))
def test_a_percentile_is_one_of_the_values_and_that_share_does_not_exceed_it(values: list[float], share: float) -> None:
    found = truth.percentile(values, share)
    assert found is not None
    assert found in [round(value, 3) for value in values]
    assert sum(round(value, 3) <= found for value in values) >= share * len(values) - 1e-9


# duplicates


def test_two_acceptances_for_one_receiver_step_and_occurrence_are_one_duplicate() -> None:
    twice = [message("p1@example.com"), message("P1@example.com", 7, our_id="m-2")]
    assert truth.count_duplicates(twice) == 1


@pytest.mark.parametrize("changes", [{"step": "ask"}, {"occurrence": 2}, {"plan": "nurture"}, {"to": "b@example.com"}])
def test_another_step_occurrence_plan_or_receiver_is_no_duplicate(changes: dict[str, Any]) -> None:
    other = message("p1@example.com") | {"our_id": "m-2"} | changes
    assert truth.count_duplicates([message("p1@example.com"), other]) == 0


def test_messages_that_carry_no_step_are_compared_by_our_id() -> None:
    bare = {"plan": None, "step": None, "occurrence": None}
    assert truth.count_duplicates([message("p1@example.com", **bare), message("p1@example.com", **bare)]) == 1
    assert (
        truth.count_duplicates(
            [
                message(
                    "p1@example.com",
                    **bare,
                ),
                message("p1@example.com", **bare | {"our_id": "x"}),
            ]
        )
        == 0
    )


# sent after suppression

STOPPED = {"opted_out": [{"channel": "sms", "words": "STOP", "at": at(10), "wall_at": at(10)}]}


@pytest.mark.parametrize(
    ("to", "channel", "seconds", "is_wrong"),
    [
        ("+13125550001", "sms", 11, True),
        ("whatsapp:+13125550001", "whatsapp", 11, True),
        ("+13125550001", "sms", 9, False),
        ("p1@example.com", "email", 11, False),
        ("+13125550002", "sms", 11, False),
    ],
    ids=["text after", "whatsapp after", "text before", "email stays", "someone else"],
)
def test_a_stop_by_text_ends_texts_and_whatsapp_and_leaves_email(
    to: str, channel: str, seconds: float, is_wrong: bool
) -> None:
    sent = [message(to, seconds, channel=channel)]
    assert bool(truth.sent_after_suppression([lead(**STOPPED)], sent, believed())) is is_wrong


def test_what_the_ledger_itself_suppressed_counts_even_if_the_truth_saw_no_opt_out() -> None:
    ours = believed(suppressed=[("p1@example.com", "all", T0 + timedelta(seconds=10))])
    assert len(truth.sent_after_suppression([lead()], [message("p1@example.com", 11)], ours)) == 1
    assert truth.sent_after_suppression([lead()], [message("p1@example.com", 9)], ours) == []


def test_one_message_that_breaks_two_opt_outs_is_one_message() -> None:
    ours = believed(suppressed=[("+13125550001", "sms", T0)])
    assert len(truth.sent_after_suppression([lead(**STOPPED)], [message("+13125550001", 11)], ours)) == 1


# lost


def test_nothing_is_lost_when_every_lead_reply_and_webhook_has_its_effect() -> None:
    replied = lead(replies=[{"channel": "sms", "from": "+13125550001", "is_taken": True}])
    ours = believed(replies={("+13125550001", "phone"): 1}, handled_events=frozenset({"e1"}))
    assert truth.lost([replied], ["e1"], ours) == {}


def test_a_new_lead_the_ledger_never_saw_or_said_nothing_of_is_lost() -> None:
    assert truth.lost([lead(), lead(2), lead(3)], [], believed(people={1: True, 2: False})) == {"lead": 2}


def test_an_aged_lead_without_a_message_is_not_lost() -> None:
    assert truth.lost([lead(is_new=False)], [], believed(people={})) == {}


def test_a_reply_that_was_taken_and_is_not_stored_is_lost() -> None:
    twice = lead(
        replies=[
            {"channel": "sms", "from": "+13125550001", "is_taken": True},
            {"channel": "whatsapp", "from": "+13125550001", "is_taken": True},
        ]
    )
    assert truth.lost([twice], [], believed(replies={("+13125550001", "phone"): 1})) == {"reply": 1}


def test_a_reply_that_the_gateway_did_not_take_is_the_providers_to_repeat() -> None:
    refused = lead(replies=[{"channel": "email", "from": "p1@example.com", "is_taken": False}])
    assert truth.lost([refused], [], believed()) == {}


def test_an_answered_webhook_that_the_inbox_does_not_have_is_lost() -> None:
    assert truth.lost([], ["e1", "e2"], believed(handled_events=frozenset({"e1"}))) == {"webhook": 1}


def test_what_waits_too_long_is_lost_too() -> None:
    assert truth.lost([], [], believed(unhandled={"unread_reply": 2, "unhandled_notice": 0})) == {"unread_reply": 2}


# under way


def test_only_new_leads_of_the_last_minute_that_wait_are_under_way() -> None:
    leads = [lead(1, created_wall_at=at(-90)), lead(2), lead(3), lead(4, is_new=False), lead(5, contactable=False)]
    touches = {1: math.inf, 2: math.inf, 3: 4.0}
    ours = believed(people={1: False, 2: True, 3: True, 4: False})
    assert truth.under_way(leads, touches, ours, since=T0 - timedelta(seconds=60)) == {2, 5}
