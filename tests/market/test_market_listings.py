"""Bridge listings: the wire, display switches, recommendations, landings and new matches."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from leadpipe.clock import FixedClock
from leadpipe.errors import BadRecord, ConfigurationError, RateLimited, Rejected, TransientError
from leadpipe.market import statuses, tables
from leadpipe.market.bridge import BridgeClient, Search
from leadpipe.market.criteria import Criteria, stated
from leadpipe.market.listing import read_listing
from leadpipe.market.listings import KEEP_DAYS, current_listings, forget_old, refresh_listings
from leadpipe.market.matches import new_matches
from leadpipe.market.recommend import COUNT, KEEP_SECONDS, PATIENCE_SECONDS, RETRY_SECONDS, Recommender
from leadpipe.market.statuses import GONE
from leadpipe.outreach.variables import listing_variables
from leadpipe.store.bootstrap import create_tables
from leadpipe.store.lake import Lake


def home(key: str = "L1", **fields: Any) -> dict[str, Any]:
    return {
        "ListingKey": key, "StandardStatus": "Active", "PropertyType": "Residential", "ListPrice": 400_000,
        "BedroomsTotal": 3, "BathroomsTotalInteger": 2, "UnparsedAddress": f"{key} Oak St", "City": "Austin",
        "StateOrProvince": "TX", "PostalCode": "78701", "ListOfficeName": "Example Homes", "Disclaimer": "As is.",
        "OnMarketDate": "2026-03-03", "BridgeModificationTimestamp": "2026-03-03T10:00:00.000Z",
    } | fields  # fmt: skip


NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)
OPEN: list[BridgeClient] = []


@pytest.fixture(autouse=True)
def close_clients() -> Generator[None]:
    """Every client a test made, closed at its end."""
    yield
    while OPEN:
        OPEN.pop().close()


def opened(bridge: BridgeClient) -> BridgeClient:
    OPEN.append(bridge)
    return bridge


def client(handler: Any, **kwargs: Any) -> BridgeClient:
    bridge = BridgeClient(
        base_url="https://bridge.example/api/v2", token="secret-token", dataset="mls", sleep=lambda _: None,
        transport=httpx.MockTransport(handler), **kwargs,
    )  # fmt: skip
    return opened(bridge)


def answering(*homes: dict[str, Any]) -> Any:
    return lambda request: httpx.Response(200, json={"value": list(homes)})


def sandbox_client(sandbox: Any, **changes: Any) -> BridgeClient:
    config = sandbox.config
    wanted = {"base_url": f"{config.base_url}/bridge/api/v2", "token": config.bridge_token,
              "dataset": config.bridge_dataset, "sleep": lambda _: None} | changes  # fmt: skip
    return opened(BridgeClient(**wanted))


# the wire


def test_every_page_is_followed_until_there_is_no_next_link(sandbox: Any) -> None:
    zips = tuple(f"{number:05d}" for number in range(78701, 78741))
    found, unread = sandbox_client(sandbox).listings(Search(zips=zips))

    assert len(found) == 12 * len(zips)
    assert len({listing.listing_key for listing in found}) == len(found)
    assert unread == []


def test_a_next_link_to_another_host_never_sees_our_token() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, json={"value": [home()], "@odata.nextLink": "https://elsewhere.example/x"})

    with pytest.raises(TransientError, match="another host"):
        client(handler).listings(Search(zips=("78701",)))
    assert asked == ["bridge.example"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"token": "wrong"}, ConfigurationError),
        ({"dataset": "other"}, Rejected),
        ({"base_url": "http://127.0.0.1:9"}, TransientError),
    ],
)
def test_what_the_sandbox_refuses_is_named_and_tells_no_token(sandbox: Any, changes: Any, error: Any) -> None:
    with pytest.raises(error) as caught:
        sandbox_client(sandbox, **changes).listings(Search(zips=("78701",)))
    assert "wrong" not in str(caught.value)
    assert sandbox.config.bridge_token not in str(caught.value)


def test_server_errors_are_tried_again_and_then_told(sandbox: Any) -> None:
    sandbox.faults.chances = {"bridge_503": 1.0}
    try:
        with pytest.raises(TransientError, match="503"):
            sandbox_client(sandbox).listings(Search(zips=("78701",)))
    finally:
        sandbox.faults.chances = {}


def test_over_the_limit_the_client_waits_for_the_reset() -> None:
    slept: list[float] = []
    answers = [
        httpx.Response(429, headers={"Burst-RateLimit-Remaining": "0", "Burst-RateLimit-Reset": "1030"}),
        httpx.Response(200, json={"value": [home()]}),
    ]
    bridge = BridgeClient(
        base_url="https://bridge.example/api/v2", token="t", dataset="mls", sleep=slept.append,
        wall=lambda: 1000.0, transport=httpx.MockTransport(lambda _: answers.pop(0)),
    )  # fmt: skip
    assert len(bridge.listings(Search(zips=("78701",)))[0]) == 1
    assert slept == [30.0]

    hourly = {"Application-RateLimit-Remaining": "0", "Application-RateLimit-Reset": "4000"}
    answers[:] = [httpx.Response(429, headers=hourly)]
    with pytest.raises(RateLimited) as caught:
        bridge.listings(Search(zips=("78701",)))
    assert caught.value.retry_after_seconds == 3000


@pytest.mark.parametrize("body", [{"nothing": 1}, [], {"value": None}])
def test_an_answer_without_a_list_is_no_empty_list(body: Any) -> None:
    with pytest.raises(TransientError, match="no list"):
        client(lambda _: httpx.Response(200, json=body), attempts=1).listings(Search(zips=("78701",)))


def test_the_filter_names_what_was_stated_and_quotes_it() -> None:
    assert Search(city="Coeur d'Alene", state="ID", high_usd=5, beds=2).as_filter() == (
        "StandardStatus eq 'Active' and PropertyType eq 'Residential' and tolower(City) eq 'coeur d''alene' "
        "and StateOrProvince eq 'ID' and ListPrice le 5 and BedroomsTotal ge 2"
    )


def test_which_listings_are_still_active_is_looked_up(sandbox: Any) -> None:
    # The sandbox answers by ZIP alone, so this one is answered here.
    bridge = client(answering({"ListingKey": "L1", "StandardStatus": "Active"}))
    assert bridge.active_keys(["L1", "L2"]) == {"L1"}


# one listing


def test_a_hidden_address_leaves_no_trace() -> None:
    shown = read_listing(home(ListingURL="https://mls.example/1-oak-st"), dataset="mls")
    hidden = read_listing(
        home(InternetAddressDisplayYN=False, ListingURL="https://mls.example/1-oak-st", Latitude=30.1, Longitude=-97.2),
        dataset="mls",
    )

    assert shown.as_recommendation(NOW)["address"] == "L1 Oak St"
    assert hidden.as_recommendation(NOW)["address"] == "Home in Austin"
    assert "oak" not in json.dumps([hidden.payload, hidden.as_recommendation(NOW)], default=str).lower()
    assert "30.1" not in hidden.payload


def test_what_a_consumer_must_never_see_is_not_kept() -> None:
    secret = {
        "PrivateRemarks": "key under the mat", "LockBoxSerialNumber": "1234", "OccupantName": "Q", "AccessCode": "99",
        "ShowingInstructions": "call", "BuyerAgencyCompensation": "3", "Zestimate": 1, "lowPercent": 2,
        "ListAgentEmail": "agent@example.com",
    }  # fmt: skip
    found = read_listing(home(**secret), dataset="mls")
    assert not set(json.loads(found.payload)) & set(secret)
    assert found.attribution == "Listed by Example Homes. As is"


@pytest.mark.parametrize("broken", [{"ListingKey": None}, {"ListPrice": None}, {"ListPrice": "soon"}])
def test_a_listing_without_key_or_price_is_set_aside(broken: Any) -> None:
    with pytest.raises(BadRecord):
        read_listing(home(**broken), dataset="mls")
    found, unread = client(answering(home("L2"), home(**broken))).listings(Search(zips=("78701",)))
    assert [listing.listing_key for listing in found] == ["L2"]
    assert len(unread) == 1


# criteria


def test_answers_come_before_the_inquiry_and_the_inquiry_before_the_crm(
    ledger_engine: Engine, clock: FixedClock, add_lead: Any
) -> None:
    asked = {"zip": "78702", "city": "Austin", "price_usd": "400000"}
    add_lead(1, price=900_000, home=asked)
    add_lead(2, price=900_000, home=asked, answers={"zip": "77084", "budget_high_usd": "250000"})
    add_lead(3, price=500_000, home={"city": "Austin", "state": "tx"})
    add_lead(4, home={"zip": "78702"}, answers={"place": "Round Rock, TX", "beds": "3", "budget_usd": "$300,000"})
    add_lead(5, price=500_000, addresses=[{"code": "78799", "city": "Austin", "state": "TX"}])
    add_lead(6, home=asked, kind="Seller Inquiry")
    add_lead(7, home=asked, answers={"side": "sell"})
    add_lead(8, home={"zip": "78702"})

    with ledger_engine.connect() as connection:
        found = stated(connection, now=clock.now())
        some = stated(connection, now=clock.now(), person_ids=[1, 5])

    assert found == {
        1: Criteria(zip="78702", low_usd=320_000, high_usd=480_000),
        2: Criteria(zip="77084", high_usd=250_000),
        3: Criteria(city="Austin", state="TX", low_usd=400_000, high_usd=600_000),
        4: Criteria(city="Round Rock", state="TX", low_usd=240_000, high_usd=360_000, beds=3),
        8: Criteria(zip="78702"),
    }
    assert some == {1: found[1]}


# recommendations


def test_up_to_three_homes_in_place_and_budget_from_the_sandbox(
    ledger_engine: Engine, clock: FixedClock, add_lead: Any, sandbox: Any
) -> None:
    from leadpipe.sandbox.market import MarketApi

    homes = MarketApi(sandbox).homes("78701")
    price = sorted(row["ListPrice"] for row in homes)[5]
    add_lead(1, home={"zip": "78701", "price_usd": str(price)})
    add_lead(2, firstName="Lakisha", lastName="Washington", home={"zip": "78701", "price_usd": str(price)})
    add_lead(3, price=300_000)

    found = Recommender(sandbox_client(sandbox)).for_people(ledger_engine, [1, 2, 3], now=clock.now())

    assert set(found) == {1, 2}
    assert found[1] == found[2]
    assert 1 <= len(found[1]) <= COUNT
    by_key = {row["ListingKey"]: row for row in homes}
    for one in found[1]:
        row = by_key[one["listing_key"]]
        assert 0.8 * price <= one["price_usd"] <= 1.2 * price
        assert one["address"] == (row["UnparsedAddress"] if row["InternetAddressDisplayYN"] else "Home in 78701")
        assert one["attribution"] == "Listed by Sandbox Homes. Invented listing"
        assert listing_variables(one)["listing_key"] == one["listing_key"]


def test_homes_hidden_from_consumers_or_not_for_sale_are_never_recommended(
    ledger_engine: Engine, clock: FixedClock, add_lead: Any
) -> None:
    add_lead(1, home={"zip": "78701"})
    bridge = client(
        answering(
            home("L1", InternetEntireListingDisplayYN=False), home("L2", StandardStatus="Pending"), home("L3"),
            home("L4", InternetEntireListingDisplayYN=None),
        )
    )  # fmt: skip
    found = Recommender(bridge).for_people(ledger_engine, [1], now=clock.now())
    assert [one["listing_key"] for one in found[1]] == ["L3", "L4"]


def test_equal_criteria_ask_once_and_answers_are_kept_ten_minutes(
    ledger_engine: Engine, clock: FixedClock, add_lead: Any
) -> None:
    asked: list[Any] = []
    seconds = [0.0]

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json={"value": [home()]})

    for person_id in (1, 2):
        add_lead(person_id, home={"zip": "78701", "price_usd": "400000"})
    recommender = Recommender(client(handler), monotonic=lambda: seconds[0])
    first = recommender.for_people(ledger_engine, [1, 2], now=clock.now())
    assert recommender.for_people(ledger_engine, [1, 2], now=clock.now()) == first
    assert len(asked) == 1
    looks = {(one["status"], one["checked_at"]) for homes in first.values() for one in homes}
    assert looks == {("Active", clock.now())}
    seconds[0] = KEEP_SECONDS
    recommender.for_people(ledger_engine, [1], now=clock.now())
    assert len(asked) == 2
    # A simulated calendar that jumps makes them old too, though no second has passed.
    clock.advance(timedelta(days=1))
    (homes,) = recommender.for_people(ledger_engine, [1], now=clock.now()).values()
    assert (len(asked), homes[0]["checked_at"]) == (3, clock.now())


@pytest.mark.parametrize(
    "handler",
    [
        lambda _: httpx.Response(503, text="<html>"),
        lambda _: httpx.Response(403, json={"bundle": {"message": "revoked"}}),
        lambda _: httpx.Response(200, text="not json"),
        answering(home(FeedTypes=7)),
    ],
)
def test_when_bridge_fails_there_are_no_homes_and_it_is_left_alone_for_a_while(
    ledger_engine: Engine, clock: FixedClock, add_lead: Any, handler: Any
) -> None:
    calls: list[int] = []
    seconds = [0.0]

    def counting(request: httpx.Request) -> httpx.Response:
        calls.append(1)
        return handler(request)

    add_lead(1, home={"zip": "78701"})
    recommender = Recommender(client(counting), monotonic=lambda: seconds[0])
    assert recommender.for_people(ledger_engine, [1], now=clock.now()) == {}
    assert recommender.for_people(ledger_engine, [1], now=clock.now()) == {}
    assert len(calls) == 1
    seconds[0] = RETRY_SECONDS
    recommender.for_people(ledger_engine, [1], now=clock.now())
    assert len(calls) == 2


def test_a_slow_bridge_holds_nobody_up(ledger_engine: Engine, clock: FixedClock, add_lead: Any) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        if "78701" in str(request.url):
            time.sleep(PATIENCE_SECONDS + 1)
        return httpx.Response(200, json={"value": [home(PostalCode="78702")]})

    add_lead(1, home={"zip": "78701"})
    add_lead(2, home={"zip": "78702"})
    begun = time.monotonic()
    found = Recommender(client(slow)).for_people(ledger_engine, [1, 2], now=clock.now())
    assert time.monotonic() - begun < PATIENCE_SECONDS + 0.7
    assert set(found) == {2}


def test_without_an_mls_there_are_no_recommendations(ledger_engine: Engine, clock: FixedClock, settings: Any) -> None:
    assert BridgeClient.from_settings(settings) is None
    assert Recommender(None).for_people(ledger_engine, [1], now=clock.now()) == {}


# landing and matches


def test_versions_land_once_and_listings_that_are_gone_are_known_to_be(
    lake: Lake, ledger_engine: Engine, clock: FixedClock, add_lead: Any
) -> None:
    create_tables(lake)
    add_lead(1, home={"zip": "78701"})
    market = [home("L1"), home("L2"), home("L3", InternetEntireListingDisplayYN=False)]
    bridge = client(lambda _: httpx.Response(200, json={"value": market}))

    first = refresh_listings(ledger_engine, lake, bridge, now=clock.now())
    clock.advance(timedelta(hours=6))
    market[:] = [home("L1", ListPrice=390_000)]
    second = refresh_listings(ledger_engine, lake, bridge, now=clock.now())

    assert (first.count_active, first.count_versions, first.count_gone) == (2, 2, 0)
    assert (second.count_active, second.count_versions, second.count_gone) == (1, 1, 1)
    current = {row["listing_key"]: row for row in current_listings(lake)}
    assert (current["L1"]["price_usd"], current["L1"]["is_active"]) == (390_000, True)
    assert current["L1"]["checked_at"] == clock.now()
    assert current["L2"]["is_active"] is False

    clock.advance(timedelta(days=KEEP_DAYS - 1))
    refresh_listings(ledger_engine, lake, bridge, now=clock.now())
    clock.advance(timedelta(days=2))
    forget_old(ledger_engine, lake, now=clock.now())
    assert [row["listing_key"] for row in current_listings(lake)] == ["L1"]
    assert set(looks_of(ledger_engine)) == {"L1"}


def looks_of(engine: Engine) -> dict[str, tuple[str, datetime]]:
    """What the ledger holds of each home: status and when it was looked at."""
    with engine.connect() as connection:
        rows = connection.execute(text("select listing_key, status, checked_at from ledger.listing_statuses")).all()
    return {key: (status, at) for key, status, at in rows}


def test_the_ledger_holds_the_newest_look_at_every_home(
    lake: Lake, ledger_engine: Engine, clock: FixedClock, add_lead: Any
) -> None:
    create_tables(lake)
    add_lead(1, home={"zip": "78701"})
    market = [home("L1", ListingId="MLS1"), home("L2")]
    bridge = client(lambda _: httpx.Response(200, json={"value": market}))
    first_at = clock.now()
    refresh_listings(ledger_engine, lake, bridge, now=first_at)
    assert looks_of(ledger_engine) == {"L1": ("Active", first_at), "L2": ("Active", first_at)}

    clock.advance(timedelta(hours=6))
    market[:] = [home("L1", ListingId="MLS1")]
    refresh_listings(ledger_engine, lake, bridge, now=clock.now())
    found = looks_of(ledger_engine)
    assert found == {"L1": ("Active", clock.now()), "L2": (GONE, clock.now())}
    with ledger_engine.begin() as connection:
        numbers = connection.execute(text("select listing_id, state from ledger.listing_statuses order by 1")).all()
        assert [tuple(row) for row in numbers] == [("", "TX"), ("MLS1", "TX")]
        # A reading that was overtaken changes nothing.
        statuses.keep(connection, [], ["L1"], dataset="mls", now=first_at)
    assert looks_of(ledger_engine) == found


def test_a_withdrawn_licence_empties_what_was_stored_and_a_failure_does_not(
    lake: Lake, ledger_engine: Engine, clock: FixedClock, add_lead: Any
) -> None:
    create_tables(lake)
    add_lead(1, home={"zip": "78701"})
    answer = [httpx.Response(200, json={"value": [home()]})]
    bridge = client(lambda _: answer[0], attempts=1)
    refresh_listings(ledger_engine, lake, bridge, now=clock.now())

    answer[0] = httpx.Response(503)
    with pytest.raises(TransientError):
        refresh_listings(ledger_engine, lake, bridge, now=clock.now())
    assert len(current_listings(lake)) == 1
    assert current_listings(lake)[0]["is_active"]

    answer[0] = httpx.Response(403, json={"bundle": {"message": "Access revoked"}})
    assert refresh_listings(ledger_engine, lake, bridge, now=clock.now()).is_allowed is False
    for table in (tables.LISTINGS, tables.LISTING_CHECKS):
        assert lake.query(f"select * from {table}").num_rows == 0
    assert looks_of(ledger_engine) == {}


def test_new_homes_that_fit_are_matched_and_old_or_unfit_ones_are_not(
    lake: Lake, ledger_engine: Engine, clock: FixedClock, add_lead: Any
) -> None:
    create_tables(lake)
    add_lead(1, home={"zip": "78701", "price_usd": "400000"})
    add_lead(2, home={"city": "austin", "state": "TX", "price_usd": "700000"})
    add_lead(3, home={"zip": "78702", "price_usd": "400000"})
    add_lead(4, home={"zip": "78701", "price_usd": "400000"}, answers={"side": "selling"})
    market = [home("old", OnMarketDate="2026-01-01")]
    bridge = client(lambda _: httpx.Response(200, json={"value": market}))
    since = clock.now() - timedelta(hours=12)
    refresh_listings(ledger_engine, lake, bridge, now=clock.now())
    # First seen now, but on the market for two months: not news.
    assert new_matches(ledger_engine, lake, now=clock.now(), since=since) == {}

    since = clock.now()
    clock.advance(timedelta(hours=12))
    market += [home("new"), home("dear", ListPrice=750_000), home("hidden", InternetAddressDisplayYN=False)]
    refresh_listings(ledger_engine, lake, bridge, now=clock.now())
    found = new_matches(ledger_engine, lake, now=clock.now(), since=since)

    assert {person: [one["listing_key"] for one in homes] for person, homes in found.items()} == {
        1: ["hidden", "new"], 2: ["dear"],
    }  # fmt: skip
    assert found[1][0]["address"] == "Home in Austin"
    assert new_matches(ledger_engine, lake, now=clock.now() + timedelta(hours=25), since=since) == {}

    clock.advance(timedelta(hours=1))
    market[:] = [home("dear", ListPrice=750_000)]
    refresh_listings(ledger_engine, lake, bridge, now=clock.now())
    assert set(new_matches(ledger_engine, lake, now=clock.now(), since=since)) == {2}
