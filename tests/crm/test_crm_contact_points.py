"""People whose addresses are odd, missing, wrong or gone."""

from __future__ import annotations

import pytest

from leadpipe.crm.sync import Sync
from leadpipe.messaging.suppression import wrong_number
from leadpipe.runtime import Runtime
from leadpipe.sandbox.world import World
from leadpipe.work import poll
from tests.crm.conftest import EMAIL, Account, Asking

pytestmark = pytest.mark.usefixtures("without_small_tables", "without_lake")


def test_a_phone_of_forty_digits_is_quarantined_and_the_lead_is_kept_with_the_email(
    runtime: Runtime, account: Account, ask: Asking, answered: list[int]
) -> None:
    poll.poll(runtime, channels={})
    person_id = account.inquire(firstName="Ana", emails=EMAIL, phones=[{"value": "5" * 40}])
    poll.poll(runtime, channels={})
    assert answered == [person_id]
    assert ask.points(person_id) == {"ana1@example.com": None}
    kept = ask.ledger("select source, record_key, reason, raw from ledger.quarantine")
    assert [tuple(row) for row in kept] == [("fub_contact_point", str(person_id), "phone_too_long", b"5" * 40)]


def test_a_person_without_phone_or_email_is_kept_with_a_reason(runtime: Runtime, account: Account, ask: Asking) -> None:
    poll.poll(runtime, channels={})
    person_id = account.inquire(firstName="Nobody")
    poll.poll(runtime, channels={})
    assert ask.points(person_id) == {}
    assert ask.person(person_id).outcome == "no_contact_point"
    assert ask.one("select outcome from ledger.inquiries") == "no_contact_point"


def test_an_unclaimed_lead_is_kept_and_becomes_whole_when_claimed(
    runtime: Runtime, world: World, account: Account, ask: Asking
) -> None:
    poll.poll(runtime, channels={})
    person_id = account.inquire(firstName="Ana", emails=EMAIL)
    person = world.store.people.all.get(person_id)
    assert person is not None
    world.store.people.update(person, {"claimed": False})
    poll.poll(runtime, channels={})
    assert ask.points(person_id) == {}
    assert ask.person(person_id).outcome == "no_contact_point"
    world.store.people.update(person, {"claimed": True, "assignedUserId": 2})
    poll.poll(runtime, channels={})
    assert ask.points(person_id) == {"ana1@example.com": None}


def test_a_number_that_was_called_wrong_stays_detached_whatever_the_crm_says(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    phone = [{"value": "(512) 555-0142"}]
    person_id = account.add(firstName="Ana", emails=EMAIL, phones=phone)
    sync.people(now=ask.now)
    point = ask.one("select id from ledger.contact_points where kind = 'phone'")
    with runtime.engine.begin() as connection:
        wrong_number(connection, contact_point_id=point, source="phrase", at=ask.now, now=ask.now)
    account.change(person_id, firstName="Changed", phones=phone)
    sync.people(now=ask.now)
    assert ask.points(person_id) == {"ana1@example.com": None, "+15125550142": "wrong_number"}


def test_an_address_that_left_the_crm_is_detached_and_comes_back_with_it(
    runtime: Runtime, account: Account, ask: Asking, sync: Sync
) -> None:
    person_id = account.add(firstName="Ana", emails=EMAIL)
    sync.people(now=ask.now)
    account.change(person_id, emails=[{"value": "new@example.com"}])
    sync.people(now=ask.now)
    assert ask.points(person_id) == {"ana1@example.com": "gone_from_crm", "new@example.com": None}
    account.change(person_id, emails=[{"value": "new@example.com"}, *EMAIL])
    sync.people(now=ask.now)
    assert ask.points(person_id) == {"new@example.com": None, "ana1@example.com": None}
