"""A case is judged the same after it was kept as JSON; nothing that a rule reads is lost on the way."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from leadpipe.policy.blackout import Blackout
from leadpipe.policy.case import (
    Case,
    Consent,
    Contact,
    Dnc,
    HistoryItem,
    Home,
    Listing,
    Reassigned,
    Relationship,
    StateList,
    Suppression,
)
from leadpipe.policy.frozen import frozen, thawed
from leadpipe.policy.pack import DEMO_POLICY, PolicySettings
from leadpipe.policy.pack_file import load_pack
from leadpipe.policy.verdict import judge

NOW = datetime(2026, 11, 25, 15, 30, 0, 123456, tzinfo=UTC)
PACK = load_pack(NOW.date())
AT = st.integers(0, 700 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes))
SOMETIMES = st.none() | AT
CONSENTS = st.builds(
    Consent,
    level=st.sampled_from(["inquiry", "express", "pewc"]),
    channel=st.sampled_from(["sms", "email", "whatsapp", "any"]),
    at=AT,
    source=st.sampled_from(["web_form", "zillow"]),
    scope=st.sampled_from(["marketing", "inquiry:7"]),
    seller=st.sampled_from(["ours", "theirs"]),
    evidence=st.sampled_from([{}, {"signer": "a", "number": "b", "seller": "ours", "disclosure": "c", "ip": "d"}]),
    expires_at=SOMETIMES,
)
LISTINGS = st.builds(
    Listing, status=st.sampled_from(["Active", "Sold", ""]), checked_at=SOMETIMES, state=st.sampled_from(["", "TX"])
)
CASES = st.builds(
    Case,
    id=st.just("m1"),
    now=st.just(NOW),
    channel=st.sampled_from(["email", "sms", "whatsapp"]),
    purpose=st.sampled_from(["marketing", "inquiry_response", "conversation", "optout_confirmation"]),
    contact=st.builds(
        Contact,
        phone=st.sampled_from([None, "+13125550100", "+14165550100", "+442071234567", "+1"]),
        email=st.sampled_from([None, "a@example.com", "b@convo.zillow.com", "info@example.com", "no address"]),
        zip=st.sampled_from(["", "60614", "M5V 2T6"]),
        city=st.sampled_from(["", "Chicago"]),
        state=st.sampled_from(["", "IL", "FL", "ON"]),
        country=st.sampled_from(["", "US", "DE"]),
    ),
    consents=st.lists(CONSENTS, max_size=3).map(tuple),
    suppressions=st.lists(
        st.builds(Suppression, channel=st.sampled_from(["sms", "email", "all"]), at=AT,
                  source=st.sampled_from(["stop_keyword", "bounce", "import"])),
        max_size=2,
    ).map(tuple),
    history=st.lists(
        st.builds(HistoryItem, at=AT, direction=st.sampled_from(["in", "out"]),
                  channel=st.sampled_from(["sms", "email", "whatsapp", "call"]),
                  purpose=st.sampled_from(["", "marketing", "manual"])),
        max_size=4,
    ).map(tuple),
    dnc=st.builds(Dnc, listed=st.none() | st.booleans(), checked_at=st.none() | st.just(date(2026, 11, 20))),
    reassigned=st.builds(Reassigned, checked_at=st.none() | st.just(date(2026, 11, 1)),
                         result=st.none() | st.just("no")),
    state_lists=st.lists(
        st.builds(StateList, state=st.sampled_from(["IN", "IL"]), listed=st.booleans(),
                  checked_at=st.none() | st.just(date(2026, 11, 20))),
        max_size=1,
    ).map(tuple),
    sender=st.sampled_from(["ours", "lender"]),
    listing=st.none() | LISTINGS,
    offered=st.lists(LISTINGS, max_size=2).map(tuple),
    home=st.none() | st.builds(Home, state=st.sampled_from(["", "TX", "OR"]), price_usd=st.none() | st.just(450_000),
                               beds=st.none() | st.just(3)),
    is_model_written=st.booleans(),
    refusals_read_at=SOMETIMES,
    email_gap_days=st.sampled_from([None, 30]),
    relationship=st.builds(Relationship, inquiry_at=SOMETIMES, transaction_at=SOMETIMES),
    subject=st.sampled_from([None, "Re: hello"]),
    body=st.sampled_from(["Hi, Demo Realty here. Reply STOP to opt out.", "A perfect place for young families",
                          "It has 3 bedrooms for $450,000", "It is still available"]),
    is_template=st.booleans(),
)  # fmt: skip


def kept_and_back(case: Case) -> Case:
    kept: dict[str, Any] = orjson.loads(orjson.dumps(frozen(case), option=orjson.OPT_UTC_Z))
    return thawed(
        kept,
        message_id=case.id,
        channel=case.channel,
        purpose=case.purpose,
        address=(case.contact.email if case.channel == "email" else case.contact.phone) or "",
        consents={consent.id: consent for consent in case.consents if consent.id is not None},
        subject=case.subject,
        body=case.body,
    )


def with_ids(case: Case) -> Case:
    consents = tuple(
        Consent(**{f.name: getattr(c, f.name) for f in fields(Consent)} | {"id": number})
        for number, c in enumerate(case.consents, start=1)
    )
    return Case(**{f.name: getattr(case, f.name) for f in fields(Case)} | {"consents": consents})


@given(CASES)
@settings(max_examples=300, deadline=None)
def test_a_kept_case_is_judged_as_it_was(case: Case) -> None:
    case = with_ids(case)
    was = judge(case, pack=PACK, settings=DEMO_POLICY)
    again = judge(kept_and_back(case), pack=PACK, settings=DEMO_POLICY)
    assert (again.findings, again.evidence(), again.until) == (was.findings, was.evidence(), was.until)


def test_a_case_of_every_field_comes_back_whole() -> None:
    case = Case(
        id="m1",
        now=NOW,
        channel="sms",
        purpose="marketing",
        contact=Contact(phone="+13125550100", zip="60614", city="Chicago", state="IL", country="US"),
        consents=(Consent(level="pewc", channel="sms", at=NOW, id=1),),
        suppressions=(Suppression(channel="sms", at=NOW, source="stop_keyword"),),
        history=(HistoryItem(at=NOW, direction="out", channel="sms", purpose="marketing"),),
        dnc=Dnc(listed=False, checked_at=date(2026, 11, 20)),
        reassigned=Reassigned(checked_at=date(2026, 11, 1), result="no"),
        state_lists=(StateList(state="IN", listed=True, checked_at=date(2026, 11, 19)),),
        relationship=Relationship(inquiry_at=NOW, transaction_at=NOW),
        sender="lender",
        listing=Listing(status="Active", checked_at=NOW, state="TX"),
        offered=(Listing(status="Active", checked_at=NOW), Listing(status="", checked_at=None, state="OR")),
        home=Home(state="TX", price_usd=450_000, beds=3),
        is_model_written=True,
        refusals_read_at=NOW,
        email_gap_days=30,
        subject="Hello",
        body="Hi",
        is_template=True,
    )
    empty = Case(id="", now=NOW, channel="", purpose="", contact=Contact())
    for field in fields(Case):
        if field.name != "now":
            assert getattr(case, field.name) != getattr(empty, field.name), f"give {field.name} a value here"
    assert kept_and_back(case) == case


def test_a_look_that_was_kept_before_it_had_a_state_is_read() -> None:
    case = Case(
        id="m1",
        now=NOW,
        channel="sms",
        purpose="marketing",
        contact=Contact(),
        listing=Listing(status="a", checked_at=NOW),
    )
    kept = frozen(case) | {"listing": ["a", NOW]}
    again = thawed(kept, message_id="", channel="sms", purpose="", address="", consents={}, subject=None, body=None)
    assert again.listing == case.listing


def test_the_settings_of_a_verdict_come_back_whole() -> None:
    given = PolicySettings(
        brokerage_name="Demo Realty",
        postal_address="1 Main St",
        a2p_campaign_id="CM1",
        sms_disabled_states=frozenset({"TX", "FL"}),
        own_domains=frozenset({"demo.example"}),
        approved_offers=("Second", "First"),
        sms_provider="sns",
        blackouts=(Blackout(state="FL", begins_at=NOW, ends_at=NOW + timedelta(days=2)),),
        licences=(("CA", "01234567"),),
        licence_links=(("TX", "https://demo.example/iabs"),),
        office_state="TX",
        assistant_name="automated assistant",
    )
    for field in fields(PolicySettings):
        assert getattr(given, field.name) != getattr(PolicySettings(brokerage_name=""), field.name), field.name
    assert PolicySettings.from_json(given.as_json()) == given
    assert PolicySettings.from_json('{"brokerage_name": "Demo Realty", "of_a_later_version": 1}').brokerage_name
