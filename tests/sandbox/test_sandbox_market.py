"""Bridge listings and the Zillow Research file server (zillow sheet 2, 4, 6)."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leadpipe.market.bridge import BridgeClient, Search
from leadpipe.market.listing import read_listing
from leadpipe.sandbox.homes import homes_in
from leadpipe.sandbox.odata import BadFilter, ordered, read_filter, selected
from leadpipe.sandbox.zillow_files import moved, newest_month

PROPERTY = "/bridge/api/v2/OData/sandbox/Property"
ZHVI = "Zip_zhvi_uc_sfrcondo_tier_0.33_0.67_sm_sa_month.csv"
ZORI = "Zip_zori_uc_sfrcondomfr_sm_month.csv"


def ask(sandbox: Any, path: str = PROPERTY, token: str | None = None, **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {token or sandbox.config.bridge_token}"}
    return sandbox.http.get(f"{sandbox.url}{path}", params=query, headers=headers)


def bridge(sandbox: Any, **options: Any) -> BridgeClient:
    config = sandbox.config
    return BridgeClient(
        base_url=f"{sandbox.url}/bridge/api/v2", token=config.bridge_token, dataset=config.bridge_dataset,
        sleep=lambda seconds: None, **options,
    )  # fmt: skip


ROWS = [
    {"City": "Houston", "ListPrice": 300_000, "BedroomsTotal": 3, "StandardStatus": "Active",
     "OnMarketDate": "2026-05-01", "Note": None},
    {"City": "Katy", "ListPrice": 450_000, "BedroomsTotal": 4, "StandardStatus": "Pending",
     "OnMarketDate": "2026-06-01", "Note": "O'Brien"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "cities"),
    [
        ("", "Houston Katy"),
        ("City eq 'Katy'", "Katy"),
        ("tolower(City) eq 'katy'", "Katy"),
        ("city eq 'Katy'", ""),
        ("ListPrice gt 300000", "Katy"),
        ("ListPrice ge 300000 and BedroomsTotal lt 4", "Houston"),
        ("City eq 'Katy' or City eq 'Houston'", "Houston Katy"),
        ("StandardStatus eq 'Active' and (City eq 'Katy' or City eq 'Houston')", "Houston"),
        ("not (City eq 'Katy')", "Houston"),
        ("City ne 'Katy'", "Houston"),
        ("contains(City, 'ous')", "Houston"),
        ("startswith(City,'Ka') or endswith(City,'ton')", "Houston Katy"),
        ("OnMarketDate ge 2026-05-15", "Katy"),
        ("month(OnMarketDate) eq 5", "Houston"),
        ("Note eq null", "Houston"),
        ("Note eq 'O''Brien'", "Katy"),
        ("Missing gt 5", ""),
    ],
)
def test_the_filter_language(text: str, cities: str) -> None:
    test = read_filter(text)
    assert [row["City"] for row in ROWS if test(row)] == cities.split()


@pytest.mark.parametrize(
    "text", ["City eq", "City is 'x'", "(City eq 'x'", "City eq 'x')", "geo(City) eq 1", "City eq $"]
)
def test_a_filter_that_cannot_be_read_is_a_400(sandbox: Any, text: str) -> None:
    with pytest.raises(BadFilter):
        read_filter(text)
    answer = ask(sandbox, **{"$filter": text})
    assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_order_and_selection() -> None:
    assert [row["City"] for row in ordered(ROWS, "OnMarketDate desc")] == ["Katy", "Houston"]
    assert selected(ROWS[0], "City,Note", "") == {"City": "Houston", "Note": None}
    assert "City" not in selected(ROWS[0], "", "City")


def test_pages_of_ten_by_default_two_hundred_at_most_and_a_link_until_the_last(sandbox: Any) -> None:
    assert len(ask(sandbox).json()["value"]) == 10
    first = ask(sandbox, **{"$top": 1000, "$count": "true"}).json()
    assert (len(first["value"]), first["@odata.count"]) == (200, 600)
    seen = [row["ListingKey"] for row in first["value"]]
    link = first["@odata.nextLink"]
    while link:
        headers = {"Authorization": f"Bearer {sandbox.config.bridge_token}"}
        answer = sandbox.http.get(link, headers=headers).json()
        seen += [row["ListingKey"] for row in answer["value"]]
        link = answer.get("@odata.nextLink")
    assert len(seen) == len(set(seen)) == 600
    assert ask(sandbox, **{"$skip": 9_990, "$top": 100}).status_code == 400


def test_the_token_the_dataset_and_the_limits(sandbox: Any) -> None:
    assert ask(sandbox, token="wrong").status_code == 401
    assert ask(sandbox, path="/bridge/api/v2/OData/other/Property").status_code == 403
    assert ask(sandbox, path="/bridge/api/v2/OData/DataSystem").json()["value"][0]["ID"] == "sandbox"
    by_query = sandbox.http.get(f"{sandbox.url}{PROPERTY}", params={"access_token": sandbox.config.bridge_token})
    assert by_query.status_code == 200
    headers = ask(sandbox).headers
    assert headers["Application-RateLimit-Limit"] == "5000"
    assert headers["Burst-RateLimit-Limit"] == "334"
    assert {"Application-RateLimit-Reset", "Burst-RateLimit-Remaining", "Burst-RateLimit-Reset"} <= {
        name.title().replace("Ratelimit", "RateLimit") for name in headers
    }
    sandbox.call("config", bridge_hourly_limit=30)
    statuses = [ask(sandbox).status_code for _ in range(4)]
    assert 429 in statuses
    refused = ask(sandbox)
    assert refused.json()["bundle"]["message"] == "Rate limit exceeded"


def test_both_spellings_feeds_and_single_listings(sandbox: Any) -> None:
    for path in ("Properties", "idx/Property"):
        assert ask(sandbox, path=f"/bridge/api/v2/OData/sandbox/{path}").status_code == 200
    key = ask(sandbox).json()["value"][0]["ListingKey"]
    assert ask(sandbox, path=f"{PROPERTY}('{key}')").json()["ListingKey"] == key
    assert ask(sandbox, path=f"{PROPERTY}('L000000')").status_code == 404


def test_replication_goes_on_by_a_header(sandbox: Any) -> None:
    first = ask(sandbox, path=f"{PROPERTY}/replication", **{"$top": 500})
    link = first.headers["Link"]
    assert link.endswith('rel="next"')
    url = link[1 : link.index(">")]
    headers = {"Authorization": f"Bearer {sandbox.config.bridge_token}"}
    second = sandbox.http.get(url, headers=headers)
    rows = first.json()["value"] + second.json()["value"]
    assert len({row["ListingKey"] for row in rows}) == 600
    assert "Link" not in second.headers
    times = [row["BridgeModificationTimestamp"] for row in rows]
    assert times == sorted(times)


def test_homes_are_the_same_for_a_zip_and_a_day_and_one_is_new_each_day(sandbox: Any) -> None:
    day = datetime(2026, 5, 12, 15, tzinfo=UTC)
    today, tomorrow = homes_in("77084", day), homes_in("77084", day + timedelta(days=1))
    assert today == homes_in("77084", day)
    assert len(today) == len(tomorrow) == 12
    keys, later = [row["ListingKey"] for row in today], [row["ListingKey"] for row in tomorrow]
    assert later[:-1] == keys[1:]
    same = {row["ListingKey"]: row["ListPrice"] for row in today}
    assert all(row["ListPrice"] == same.get(row["ListingKey"], row["ListPrice"]) for row in tomorrow)
    assert max(row["BridgeModificationTimestamp"] for row in today) <= "2026-05-12T15:00:00.000Z"
    hidden = [row for row in today if not row["InternetAddressDisplayYN"]]
    assert hidden
    assert all(read_listing(row, dataset="sandbox").address == "" for row in hidden)


def test_our_client_finds_homes_by_zip_by_city_and_by_key(sandbox: Any) -> None:
    client = bridge(sandbox)
    by_zip, unread = client.listings(Search(zips=("77084",), low_usd=1, beds=3))
    assert by_zip and not unread
    assert {home.zip for home in by_zip} == {"77084"} and min(home.beds or 0 for home in by_zip) >= 3
    by_city, _ = client.listings(Search(city="HOUSTON", state="TX"))
    assert {home.city for home in by_city} == {"Houston"}
    keys = [by_zip[0].listing_key, "L770840"]
    assert client.active_keys(keys) == {keys[0]}
    client.close()


@pytest.mark.parametrize("fault", ["bridge_429", "bridge_500", "bridge_503"])
def test_one_failure_then_success(sandbox: Any, fault: str) -> None:
    sandbox.control.set_faults({fault: {"times": 1, "value": 1}})
    client = bridge(sandbox)
    assert client.listings(Search(zips=("77084",)))[0]
    client.close()


def test_estimates_are_on_demand_only_and_empty(sandbox: Any) -> None:
    answer = ask(sandbox, path="/bridge/api/v2/zestimates_v2/zestimates", address="1 Oak St")
    assert answer.json() == {"success": True, "status": 200, "bundle": [], "total": 0}


# Zillow Research


def csv_of(sandbox: Any, folder: str, name: str, **headers: str) -> Any:
    return sandbox.http.get(f"{sandbox.url}/zillow/research/public_csvs/{folder}/{name}", headers=headers)


@pytest.mark.parametrize(("folder", "name"), [("zhvi", ZHVI), ("zori", ZORI)])
def test_the_layout_is_the_published_one_and_the_newest_month_is_the_newest_that_would_be_out(
    sandbox: Any, folder: str, name: str
) -> None:
    rows = list(csv.reader(io.StringIO(csv_of(sandbox, folder, name).text)))
    assert rows[0][:9] == ["RegionID", "SizeRank", "RegionName", "RegionType", "StateName", "State", "City", "Metro",
                           "CountyName"]  # fmt: skip
    months = [date.fromisoformat(name) for name in rows[0][9:]]
    # It is 12 May: April comes out on the 16th.
    assert months[-1] == date(2026, 3, 31)
    assert all((month + timedelta(days=1)).day == 1 for month in months)
    assert len(rows) == 61
    assert all(len(row[2]) == 5 for row in rows[1:])


def test_an_unchanged_file_is_a_304_and_a_moved_one_a_404(sandbox: Any) -> None:
    first = csv_of(sandbox, "zhvi", ZHVI)
    assert csv_of(sandbox, "zhvi", ZHVI, **{"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert first.headers["Last-Modified"] == "Thu, 16 Apr 2026 10:00:00 GMT"
    assert csv_of(sandbox, "zhvi", "Zip_other.csv").status_code == 404
    assert csv_of(sandbox, "elsewhere", ZHVI).status_code == 404
    sandbox.control.set_faults({"zillow_404": {"match": "zhvi"}, "zillow_503": {"match": "zori"}})
    assert csv_of(sandbox, "zhvi", ZHVI).status_code == 404
    assert csv_of(sandbox, "zori", ZORI).status_code == 503


def test_after_the_sixteenth_there_is_a_new_column_and_history_is_restated(sandbox: Any) -> None:
    before = list(csv.reader(io.StringIO(csv_of(sandbox, "zhvi", ZHVI).text)))
    sandbox.control.jump(timedelta(days=5))
    answer = csv_of(sandbox, "zhvi", ZHVI)
    after = list(csv.reader(io.StringIO(answer.text)))
    assert answer.headers["Last-Modified"] == "Sat, 16 May 2026 10:00:00 GMT"
    assert after[0] == [*before[0], "2026-04-30"]
    assert after[1][9:20] == before[1][9:20]
    assert after[1][-2] != before[1][-1]
    assert float(after[1][-1]) == pytest.approx(float(before[1][-1]), rel=0.05)


def test_values_are_the_real_ones_untouched(sandbox: Any) -> None:
    cut = Path(__file__).parents[1] / "data" / "zillow" / ZHVI
    real = list(csv.reader(io.StringIO(cut.read_text())))
    served = list(csv.reader(io.StringIO(csv_of(sandbox, "zhvi", ZHVI).text)))
    assert [row[9:] for row in served[1:]] == [row[9:] for row in real[1:]]
    assert [row[:9] for row in served] == [row[:9] for row in real]


@pytest.mark.parametrize("name", [ZHVI, ZORI])
def test_the_cut_that_is_installed_is_the_one_under_tests(name: str) -> None:
    from importlib.resources import files

    ours = (files("leadpipe.sandbox") / "zillow" / name).read_bytes()
    assert ours == (Path(__file__).parents[1] / "data" / "zillow" / name).read_bytes()


def test_a_folder_of_real_files_is_served_as_it_is(start: Any, tmp_path: Path) -> None:
    (tmp_path / ZHVI).write_bytes(b"RegionID,2020-01-31\n1,5\n")
    sandbox = start(zillow_folder=tmp_path)
    assert csv_of(sandbox, "zhvi", ZHVI).content == b"RegionID,2020-01-31\n1,5\n"
    assert csv_of(sandbox, "zori", ZORI).status_code == 404
    assert csv_of(sandbox, "zhvi", "..%2F..%2Fetc%2Fpasswd").status_code == 404


@pytest.mark.parametrize(
    ("now", "newest"),
    [(datetime(2026, 5, 15, tzinfo=UTC), date(2026, 3, 31)), (datetime(2026, 5, 16, tzinfo=UTC), date(2026, 4, 30)),
     (datetime(2026, 1, 3, tzinfo=UTC), date(2025, 11, 30)), (datetime(2026, 3, 20, tzinfo=UTC), date(2026, 2, 28))],
)  # fmt: skip
def test_the_newest_month_that_is_out(now: datetime, newest: date) -> None:
    assert newest_month(now) == newest


def test_a_blank_cell_stays_blank_when_the_file_goes_on() -> None:
    text = "RegionID,2020-01-31,2020-02-29\n1,100,110\n2,100,\n"
    rows = list(csv.reader(io.StringIO(moved(text, newest=date(2026, 3, 31), more=1))))
    assert rows[0] == ["RegionID", "2026-02-28", "2026-03-31", "2026-04-30"]
    assert rows[2] == ["2", "100", "", ""]
    assert float(rows[1][3]) == pytest.approx(110 * 1.001 * 1.1, rel=1e-6)
