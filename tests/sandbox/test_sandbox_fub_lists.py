"""Follow Up Boss: paging, sorting and filters of lists (FUB sheet 3)."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from leadpipe.errors import Rejected
from leadpipe.sandbox.control import SandboxControl


def token(text: str) -> dict[str, Any]:
    return json.loads(base64.b64decode(text + "=" * (-len(text) % 4)))


def add_people(sandbox: Any, count: int) -> list[int]:
    """Straight into the store: what is tested is reading."""
    create = sandbox.world.store.people.create
    return [
        create({"firstName": f"P{number}", "emails": [{"value": f"p{number}@example.com"}]}).id
        for number in range(count)
    ]


def test_ten_rows_by_default_and_a_hundred_at_most(sandbox: Any) -> None:
    add_people(sandbox, 120)
    assert len(sandbox.raw("GET", "people").json()["people"]) == 10
    assert len(sandbox.raw("GET", "people?limit=1000").json()["people"]) == 100


def test_the_default_order_is_a_keyset_walk_by_falling_id_that_new_rows_do_not_disturb(sandbox: Any) -> None:
    ids = add_people(sandbox, 25)
    first = sandbox.raw("GET", "people?limit=10").json()
    mark = first["_metadata"]["next"]
    assert token(mark) == {"sinceId": ids[15]}
    assert "=" not in mark
    late = add_people(sandbox, 3)
    second = sandbox.raw("GET", f"people?limit=10&next={mark}").json()
    third = sandbox.raw("GET", f"people?limit=10&next={second['_metadata']['next']}").json()
    walked = [row["id"] for answer in (first, second, third) for row in answer["people"]]
    assert walked == sorted(ids, reverse=True)
    assert not set(walked) & set(late)


def test_the_last_page_has_no_next_null_for_people_and_missing_elsewhere(sandbox: Any) -> None:
    person = add_people(sandbox, 3)[0]
    sandbox.fub().post("notes", {"personId": person, "body": "x"})
    people = sandbox.raw("GET", "people").json()["_metadata"]
    notes = sandbox.raw("GET", "notes").json()["_metadata"]
    assert people["next"] is None and people["nextLink"] is None
    assert "next" not in notes and "nextLink" not in notes


def test_a_full_last_page_ends_too(sandbox: Any) -> None:
    add_people(sandbox, 10)
    assert sandbox.raw("GET", "people?limit=10").json()["_metadata"]["next"] is None


def test_the_next_link_is_on_the_vendors_own_host_with_escaped_slashes_and_the_query_in_it(sandbox: Any) -> None:
    add_people(sandbox, 12)
    answer = sandbox.raw("GET", "people?limit=5&fields=allFields&includeTrash=true")
    assert (
        b"https:\\/\\/api.followupboss.com\\/v1\\/people?limit=5&fields=allFields&includeTrash=true&next="
        in answer.content
    )
    assert answer.json()["_metadata"]["nextLink"].startswith("https://api.followupboss.com/v1/people?")


def test_a_sort_falls_back_to_offset_tokens_which_shift_while_data_change(sandbox: Any) -> None:
    ids = add_people(sandbox, 30)
    first = sandbox.raw("GET", "people?sort=-updated&limit=10").json()
    assert token(first["_metadata"]["next"]) == {"offset": 10}
    sandbox.control.jump(timedelta(seconds=5))
    sandbox.fub().put(f"people/{ids[0]}", {"price": 1})
    second = sandbox.raw("GET", f"people?sort=-updated&limit=10&next={first['_metadata']['next']}").json()
    seen = [row["id"] for row in first["people"]]
    # One row moved to the front, so the last of the first page comes again.
    assert second["people"][0]["id"] == seen[-1]
    assert sandbox.raw("GET", "people?sort=-updated&limit=1").json()["people"][0]["id"] == ids[0]


@pytest.mark.parametrize("deep_tokens_work", [True, False])
def test_an_offset_of_two_thousand_is_a_wall(start: Any, deep_tokens_work: bool) -> None:
    sandbox = start(fub_deep_tokens_work=deep_tokens_work)
    add_people(sandbox, 2_150)
    refused = sandbox.raw("GET", "people?offset=2000&limit=100")
    assert (refused.status_code, refused.json()["errorMessage"]) == (
        400, "Deep pagination disabled, use 'nextLink' url"
    )  # fmt: skip
    assert sandbox.raw("GET", "people?offset=1999&limit=100").status_code == 200
    walk = sandbox.fub().pages("people", {"sort": "-updated"})
    if deep_tokens_work:
        assert sum(len(page) for page in walk) == 2_150
    else:
        with pytest.raises(Rejected, match="Deep pagination"):
            list(walk)
    assert sum(len(page) for page in sandbox.fub().pages("people")) == 2_150


def test_a_token_that_is_none_is_a_400(sandbox: Any) -> None:
    assert sandbox.raw("GET", "people?next=%21%21").status_code == 400


@pytest.mark.parametrize(
    ("path", "key"),
    [("customFields", "customfields"), ("smartLists", "smartlists"), ("textMessages?personId=1", "textmessages"),
     ("peopleRelationships", "peoplerelationships"), ("actionPlans", "actionPlans"),
     ("actionPlansPeople", "actionPlansPeople"), ("emEvents", "emEvents"), ("stages", "stages")],
)  # fmt: skip
def test_the_lists_key_is_not_always_the_paths_name(sandbox: Any, path: str, key: str) -> None:
    answer = sandbox.raw("GET", path).json()
    assert answer["_metadata"]["collection"] == key
    assert isinstance(answer[key], list)


def test_total_is_text_in_some_lists(sandbox: Any) -> None:
    assert sandbox.raw("GET", "events").json()["_metadata"]["total"] == "0"
    assert sandbox.raw("GET", "people").json()["_metadata"]["total"] == 0


def test_unknown_parameters_are_ignored_without_an_error(sandbox: Any) -> None:
    add_people(sandbox, 3)
    assert len(sandbox.raw("GET", "people?assignedUserIdd=99&q=x").json()["people"]) == 3


def test_a_path_that_is_no_id_answers_the_whole_list(sandbox: Any) -> None:
    add_people(sandbox, 3)
    assert len(sandbox.raw("GET", "people/undefined").json()["people"]) == 3


PEOPLE: tuple[dict[str, Any], ...] = (
    {"firstName": "Ana", "lastName": "Ortiz", "stage": "Lead", "source": "Zillow", "price": 300_000,
     "tags": ["Buyer"], "emails": [{"value": "Ana@Example.com"}], "phones": [{"value": "(281) 555-0101"}],
     "assignedUserId": 2, "customLanguage": "Spanish"},
    {"firstName": "Bea", "lastName": "Shah", "stage": "Closed", "source": "Referral", "price": 700_000, "tags": ["VIP"],
     "contacted": True, "assignedUserId": 3},
    {"firstName": "Cora", "lastName": "Banana", "stage": "Trash", "source": "Zillow"},
    {"firstName": "Dean", "lastName": "Falk", "stage": "Lead", "source": "Zillow", "tags": ["buyer", "VIP"],
     "assignedUserId": 4},
)  # fmt: skip


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "Dean Bea Ana"),
        ("includeTrash=true", "Dean Cora Bea Ana"),
        ("stage=Closed", "Bea"),
        ("source=Zillow", "Dean Ana"),
        ("tags=Buyer", "Dean Ana"),
        ("tags=VIP,Buyer", "Dean Bea Ana"),
        ("name=ana", "Ana"),
        ("lastName=ana&includeTrash=true", "Cora"),
        ("email=ana%40example.com", "Ana"),
        ("phone=%2B12815550101", "Ana"),
        ("contacted=true", "Bea"),
        ("contacted=false", "Dean Ana"),
        ("priceAbove=300000", "Bea"),
        ("priceBelow=700000", "Ana"),
        ("assignedUserId=3", "Bea"),
        ("assignedTo=Marco+Ruiz", "Ana"),
        ("customLanguage=Spanish", "Ana"),
        ("id={0},{2}&includeTrash=true", "Cora Ana"),
        ("id={0},{2}", "Ana"),
        ("idGreaterThan={1}", "Dean"),
        ("idLessThan={1}", "Ana"),
        ("sort=firstName", "Ana Bea Dean"),
        ("sort=-price", "Bea Ana Dean"),
        ("source=Zillow&tags=VIP", "Dean"),
    ],
)
def test_criteria_combine_with_and(sandbox: Any, query: str, names: str) -> None:
    ids = [sandbox.world.store.people.create(fields).id for fields in PEOPLE]
    rows = sandbox.raw("GET", "people?" + query.format(*ids)).json()["people"]
    assert [row["firstName"] for row in rows] == names.split()


def test_updated_after_is_exclusive_and_may_find_nothing_at_all(start: Any) -> None:
    sandbox = start()
    old, new = add_people(sandbox, 2)
    before = sandbox.raw("GET", f"people/{new}").json()["updated"]
    sandbox.control.jump(timedelta(minutes=1))
    sandbox.fub().put(f"people/{new}", {"price": 5})
    found = sandbox.raw("GET", f"people?updatedAfter={before}").json()["people"]
    assert [row["id"] for row in found] == [new]
    # What one integrator met: the documented filter finds nothing for some keys.
    sandbox.call("config", **{"fub_updated_after_works": False})
    assert sandbox.raw("GET", f"people?updatedAfter={before}").json()["people"] == []
    assert old != new


def test_the_sweep_reads_only_three_fields(sandbox: Any) -> None:
    add_people(sandbox, 2)
    rows = sandbox.raw("GET", "people?fields=id,updated,stage&includeTrash=true&limit=100").json()["people"]
    assert {frozenset(row) for row in rows} == {frozenset({"id", "updated", "stage"})}


def test_a_page_costs_what_it_shows_not_what_there_is(sandbox: Any) -> None:
    from leadpipe.sandbox.fub.collection import Collection

    class Counting(dict[int, Any]):
        count = 0

        def __getitem__(self, key: int) -> Any:
            Counting.count += 1
            return super().__getitem__(key)

    records: Collection[dict[str, Any]] = Collection(updated_of=lambda row: row["updated"])
    for number in range(1, 50_001):
        records.put(number, {"id": number, "updated": f"{number:06d}"})
    records.rows = Counting(records.rows)
    assert [row["id"] for row, _ in zip(records.newest_first(40_000), range(3), strict=False)] == [
        39_999,
        39_998,
        39_997,
    ]
    assert [row["id"] for row, _ in zip(records.last_changed_first(), range(3), strict=False)] == [
        50_000,
        49_999,
        49_998,
    ]
    assert Counting.count < 20


def test_texts_and_mails_are_listed_by_person_only(sandbox: Any) -> None:
    for path in ("textMessages", "emails"):
        refused = sandbox.raw("GET", path)
        assert refused.status_code == 400
        assert "personId" in refused.json()["errorMessage"]
        assert sandbox.raw("GET", f"{path}?personId=1").status_code == 200


def test_the_calls_list_ignores_the_user_filter(sandbox: Any) -> None:
    person = add_people(sandbox, 1)[0]
    sandbox.call("act", **{"person_id": person, "what": "call"})
    assert len(sandbox.raw("GET", "calls?userId=999").json()["calls"]) == 1


def test_deals_tell_totals_by_stage_and_hide_the_deleted(sandbox: Any) -> None:
    fub = sandbox.fub()
    kept = fub.post("deals", {"name": "A", "stageId": 101})
    gone = fub.post("deals", {"name": "B", "stageId": 102})
    fub.delete(f"deals/{gone['id']}")
    answer = sandbox.raw("GET", "deals").json()
    assert [row["id"] for row in answer["deals"]] == [kept["id"]]
    assert answer["_metadata"]["totalByStageId"] == {"101": 1}
    both = sandbox.raw("GET", "deals?includeDeleted=1").json()["deals"]
    assert [row["status"] for row in both] == ["Deleted", "Active"]


def test_the_control_client_names_the_address_that_does_not_answer() -> None:
    from leadpipe.errors import TransientError

    with SandboxControl("http://127.0.0.1:9") as control, pytest.raises(TransientError, match=r"127\.0\.0\.1:9"):
        control.clock()
