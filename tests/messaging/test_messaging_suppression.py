"""The list of refusals on the real ledger: append-only, what each kind ends, what START takes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadpipe.clock import FixedClock
from leadpipe.messaging import caps, suppression
from leadpipe.messaging.protocol import Cancelled
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.messaging.conftest import AddLead, Go, MakeIntent, Put, Rows


@pytest.fixture
def refuse(ledger_engine: Engine, clock: FixedClock) -> Callable[..., list[Cancelled]]:
    """A function that writes a refusal of a point, now unless said otherwise."""

    def refuse(point: int, *channels: str, source: str = "stop_keyword", ago: timedelta = timedelta(0)) -> list[Any]:
        with ledger_engine.begin() as connection:
            return suppression.suppress(
                connection,
                contact_point_id=point,
                channels=channels,
                source=source,
                at=clock.now() - ago,
                now=clock.now(),
            )

    return refuse


def active(engine: Engine, point: int) -> set[str]:
    with engine.connect() as connection:
        return set(suppression.active(connection, [point]).get(point, {}))


def test_a_refusal_cancels_what_waits_on_its_channels_for_every_person_and_plan(
    refuse: Callable[..., list[Cancelled]], put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent
) -> None:
    ana = add_lead(1, pewc=True)
    bo = add_lead(2, pewc=True, phone=ana.phone)
    put(
        intent(ana, "sms"),
        intent(ana, "sms", plan="nurture", needs_review=True),
        intent(bo, "sms", step="another"),
        intent(ana, step="mail"),
    )
    cancelled = refuse(ana.phone_id, *suppression.PHONE_CHANNELS)
    assert sorted((one.person_id, one.plan) for one in cancelled) == [
        (1, "nurture"), (1, "reactivation"), (2, "reactivation"),
    ]  # fmt: skip
    assert {row.code for row in rows("messages") if row.channel == "sms"} == {"suppressed_stop_keyword"}
    assert [row.state for row in rows("messages") if row.channel == "email"] == ["queued"]


@pytest.mark.parametrize(
    ("sources", "tags"),
    [
        (("one_click",), ["leadpipe unsubscribed"]),
        (("preference_page", "one_click"), ["leadpipe unsubscribed"]),
        (("bounce", "ses_bounce"), ["leadpipe bounced"]),
        (("one_click", "complaint"), ["leadpipe unsubscribed", "leadpipe complaint"]),
        (("ses_complaint", "complaint"), ["leadpipe complaint"]),
        (("soft_bounces",), []),
        (("fub_unsubscribe",), []),
        (("stop_keyword", "phrase", "model"), []),
    ],
)
def test_a_refusal_that_the_crm_cannot_know_of_is_one_tag_for_each_who_has_the_address(
    refuse: Callable[..., list[Cancelled]], rows: Rows, add_lead: AddLead, sources: tuple[str, ...], tags: list[str]
) -> None:
    ana = add_lead(1)
    add_lead(2, email=ana.email)
    add_lead(3)
    for source in (*sources, *sources):
        refuse(ana.email_id, "email", source=source)
    journalled = rows("writebacks")
    assert [(row.person_id, row.kind, row.payload) for row in journalled] == [
        (person_id, "tags", {"tags": [tag]}) for tag in tags for person_id in (1, 2)
    ]


def test_the_same_refusal_twice_is_one_row_and_still_cancels(
    refuse: Callable[..., list[Cancelled]], put: Put, rows: Rows, add_lead: AddLead, intent: MakeIntent,
    ledger_engine: Engine,
) -> None:  # fmt: skip
    lead = add_lead(1)
    refuse(lead.email_id, "email", source="one_click")
    put(intent(lead))
    refuse(lead.email_id, "email", source="one_click")
    assert len(rows("suppressions")) == 1
    refuse(lead.email_id, suppression.ALL)
    assert len(rows("suppressions")) == 2
    assert active(ledger_engine, lead.email_id) == {"email", "sms", "whatsapp"}
    refuse(lead.email_id, "sms")
    assert len(rows("suppressions")) == 2


LIFTS: list[tuple[str, str, timedelta, bool]] = [
    # source of the refusal, channel that START came by, age of the refusal, whether it is lifted
    ("stop_keyword", "sms", timedelta(hours=1), True),
    ("phrase", "sms", timedelta(hours=1), True),
    ("21610", "sms", timedelta(hours=1), True),
    ("bounce", "sms", timedelta(hours=1), False),
    ("wrong_number", "sms", timedelta(hours=1), False),
    ("carrier_30005", "sms", timedelta(hours=1), False),
    ("complaint", "sms", timedelta(hours=1), False),
    ("import", "sms", timedelta(hours=1), False),
    # A STOP that came after the START it is told together with.
    ("stop_keyword", "sms", timedelta(minutes=-1), False),
    ("stop_keyword", "email", timedelta(hours=1), False),
]


@pytest.mark.parametrize(("source", "by", "age", "is_lifted"), LIFTS, ids=str)
def test_start_takes_back_what_the_person_said_on_the_channel_it_came_by(
    refuse: Callable[..., list[Cancelled]],
    rows: Rows,
    add_lead: AddLead,
    ledger_engine: Engine,
    clock: FixedClock,
    source: str,
    by: str,
    age: timedelta,
    is_lifted: bool,
) -> None:
    lead = add_lead(1)
    refuse(lead.phone_id, *suppression.PHONE_CHANNELS, source=source, ago=age)
    with ledger_engine.begin() as connection:
        done = suppression.lift(connection, contact_point_id=lead.phone_id, channel=by, at=clock.now(), now=clock.now())
    assert done == is_lifted
    assert active(ledger_engine, lead.phone_id) == ({"whatsapp"} if is_lifted else {"sms", "whatsapp"})
    # Nothing is ever taken out of the list.
    assert [row.action for row in rows("suppressions")][:2] == ["suppress", "suppress"]
    refuse(lead.phone_id, "sms", ago=timedelta(hours=-2))
    assert active(ledger_engine, lead.phone_id) == {"sms", "whatsapp"}


def test_a_late_webhook_tells_of_an_earlier_stop_and_does_not_undo_a_newer_start(
    refuse: Callable[..., list[Cancelled]], add_lead: AddLead, ledger_engine: Engine, clock: FixedClock
) -> None:
    lead = add_lead(1)
    refuse(lead.phone_id, "sms", ago=timedelta(hours=2))
    with ledger_engine.begin() as connection:
        suppression.lift(connection, contact_point_id=lead.phone_id, channel="sms", at=clock.now(), now=clock.now())
    refuse(lead.phone_id, "sms", ago=timedelta(hours=1))
    assert active(ledger_engine, lead.phone_id) == set()


def test_a_wrong_number_leaves_every_person_without_it_and_with_their_email(
    put: Put, go: Go, rows: Rows, add_lead: AddLead, intent: MakeIntent, ledger_engine: Engine, clock: FixedClock
) -> None:
    ana = add_lead(11, pewc=True)
    bo = add_lead(42, pewc=True, phone=ana.phone)
    with ledger_engine.begin() as connection:
        people = suppression.wrong_number(
            connection, contact_point_id=ana.phone_id, source="wrong_number", at=clock.now(), now=clock.now()
        )
        again = suppression.detach(connection, contact_point_id=ana.phone_id, reason="wrong_number", now=clock.now())
    assert (people, again) == ([11, 42], [])
    put(intent(bo, "sms"), intent(bo, step="mail"))
    assert {row.channel: (row.state, row.code) for row in rows("messages")} == {
        "sms": ("blocked", "wrong_number"),
        "email": ("queued", None),
    }
    assert go().counts == {"accepted": 1}


def test_far_from_every_cap_a_sender_counts_now_and_then_and_near_one_always(
    put: Put,
    go: Go,
    add_lead: AddLead,
    intent: MakeIntent,
    ledger_engine: Engine,
    live_settings: Settings,
    clock: FixedClock,
) -> None:
    put(*(intent(add_lead(n)) for n in range(1, 4)))
    go()
    seconds = 0.0
    far = live_settings.model_copy(
        update=dict.fromkeys(
            ("cap_per_hour", "cap_per_day", "cap_per_number_per_day", "cap_per_plan_per_day"), 10_000_000
        )
    )
    counter = caps.Counter(monotonic=lambda: seconds)
    with ledger_engine.connect() as connection:
        first = counter.room(connection, far, now=clock.now())
        assert first.total == 10_000_000 - 3
        assert first.take(plan="p", channel="sms", purpose="marketing")
        assert counter.room(connection, far, now=clock.now()) is first
        assert (first.total, first.sms, first.plans["p"]) == (10_000_000 - 4, 10_000_000 - 1, 10_000_000 - 1)
        seconds = caps.RECOUNT_SECONDS + 1
        assert counter.room(connection, far, now=clock.now()).total == 10_000_000 - 3
        near = caps.Counter(monotonic=lambda: seconds)
        one, two = (near.room(connection, live_settings, now=clock.now()) for _ in range(2))
        assert one is not two
        assert one.total == live_settings.cap_per_hour - 3
