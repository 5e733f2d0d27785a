"""The unsubscribe link: one click, the page, the choice."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import text

from leadpipe.gateway.app import create_app
from leadpipe.messaging.links import make_token, one_click_url
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings
from tests.gateway.conftest import EMAIL, Amazon, Ledger

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def path(gateway_settings: Settings, ledger: Ledger) -> str:
    """The link in an email to the lead, without our host."""
    point = ledger.one("select id from ledger.contact_points where address = :address", address=EMAIL)
    url = one_click_url(gateway_settings, point, ledger.message(channel="email", provider_id="ses-1"))
    return url.removeprefix(gateway_settings.public_base_url)


def test_one_click_unsubscribes_without_cookie_or_redirect(http: TestClient, ledger: Ledger, path: str) -> None:
    waiting = ledger.message(channel="email", state="queued", provider_id="")
    answer = http.post(path, content=ONE_CLICK, headers=FORM, follow_redirects=False)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert ledger.suppressed() == [("email", "one_click")]
    assert ledger.state(waiting) == "cancelled"


def test_one_click_twice_is_200_twice_and_one_suppression(http: TestClient, ledger: Ledger, path: str) -> None:
    assert [http.post(path, content=ONE_CLICK, headers=FORM).status_code for _ in range(2)] == [200, 200]
    assert ledger.suppressed() == [("email", "one_click")]
    assert ledger.one("select array_agg(payload) from ledger.writebacks") == [{"tags": ["leadpipe unsubscribed"]}]


def test_one_click_as_multipart_works_too(http: TestClient, ledger: Ledger, path: str) -> None:
    assert http.post(path, files={"List-Unsubscribe": (None, "One-Click")}).status_code == 200
    assert ledger.suppressed() == [("email", "one_click")]


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", ""), (b"--x", "multipart/form-data; boundary=x")],
)
def test_any_other_post_unsubscribes_from_email_all_the_same(
    http: TestClient, ledger: Ledger, path: str, body: bytes, kind: str
) -> None:
    assert http.post(path, content=body, headers={"Content-Type": kind}).status_code == 200
    assert ledger.suppressed() == [("email", "one_click")]


def test_a_get_shows_the_page_and_never_unsubscribes(http: TestClient, ledger: Ledger, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 200
    assert "<button type=submit>Save my choice</button>" in answer.text
    assert re.findall(r"value=(\w+)( checked)?", answer.text) == [("email", " checked"), ("fewer", ""), ("all", "")]
    assert "Demo Realty" in answer.text
    assert "1 Example Street" in answer.text
    assert http.head(path).status_code in {200, 405}
    assert ledger.suppressed() == []


def test_the_page_names_no_address_and_loads_nothing_from_anywhere(http: TestClient, path: str) -> None:
    answer = http.get(path)
    assert EMAIL not in answer.text
    assert not re.search(r"(src|href|action)=|@import|url\(", answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


def test_the_choice_of_everything_ends_every_channel_of_the_person(http: TestClient, ledger: Ledger, path: str) -> None:
    waiting = ledger.message(state="queued", provider_id="")
    assert http.post(path, data={"choice": "all"}).status_code == 200
    assert ledger.suppressed() == [("all", "preference_page")] * 2
    assert ledger.state(waiting) == "cancelled"


def test_the_choice_of_emails_leaves_texts_alone(http: TestClient, ledger: Ledger, path: str) -> None:
    waiting = ledger.message(state="queued", provider_id="")
    assert http.post(path, data={"choice": "email"}).status_code == 200
    assert ledger.suppressed() == [("email", "preference_page")]
    assert ledger.state(waiting) == "queued"


def test_a_browser_that_asks_for_spanish_gets_it(http: TestClient, path: str) -> None:
    spanish = http.get(path, headers={"Accept-Language": "es-MX,es;q=0.9,en;q=0.8"})
    assert "Guardar mi elección" in spanish.text
    assert spanish.headers["content-language"] == "es"
    for other in ("en-US,es;q=0.5", "de-DE", "", "*;q="):
        assert "Save my choice" in http.get(path, headers={"Accept-Language": other}).text


@pytest.mark.parametrize(("language", "says"), [("es", "No más correos"), ("en", "No more emails")])
def test_the_page_speaks_the_language_of_the_email_whatever_the_browser_asks_for(
    http: TestClient, ledger: Ledger, path: str, language: str, says: str
) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(
            text("update ledger.messages set evidence = cast(:evidence as jsonb)"),
            {"evidence": f'{{"variables": {{"language": "{language}"}}}}'},
        )
    other = {"Accept-Language": "en" if language == "es" else "es"}
    page = http.get(path, headers=other)
    assert says in page.text
    assert f"<html lang={language}>" in page.text
    assert http.post(path, data={"choice": "fewer"}, headers=other).headers["content-language"] == language


def test_fewer_emails_are_a_wish_that_is_kept_once_and_ends_nothing(
    http: TestClient, ledger: Ledger, path: str
) -> None:
    waiting = ledger.message(state="queued", provider_id="")
    for _ in range(2):
        answer = http.post(path, data={"choice": "fewer"})
        assert answer.status_code == 200
        assert "no more than one email" in answer.text
        assert "set-cookie" not in answer.headers
    assert ledger.suppressed() == []
    assert ledger.state(waiting) == "queued"
    [wish] = ledger.rows(
        "select channel, gap_days, person_id, source, evidence ->> 'message_id' from ledger.preferences"
    )
    assert tuple(wish)[:4] == ("email", 30, 1, "preference_page")
    assert wish[4]


def test_fewer_emails_take_no_refusal_back(http: TestClient, ledger: Ledger, path: str) -> None:
    http.post(path, content=ONE_CLICK, headers=FORM)
    answer = http.post(path, data={"choice": "fewer"})
    assert "You stay unsubscribed" in answer.text
    assert ledger.suppressed() == [("email", "one_click")]


def test_a_choice_that_the_form_does_not_have_ends_email(http: TestClient, ledger: Ledger, path: str) -> None:
    assert "You are unsubscribed" in http.post(path, data={"choice": "more"}).text
    assert ledger.suppressed() == [("email", "preference_page")]


def test_unsubscribing_ends_the_plans_of_the_person_written_to(http: TestClient, ledger: Ledger, path: str) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.enrolments (person_id, plan, plan_version, occurrence, opened_at, next_due_at) "
                "values (1, 'reactivation', '1', 1, :now, :now)"
            ),
            {"now": ledger.now},
        )
    http.post(path, content=ONE_CLICK, headers=FORM)
    assert [tuple(row) for row in ledger.rows("select state, end_reason from ledger.enrolments")] == [
        ("ended", "opt_out")
    ]


def test_a_changed_or_foreign_link_changes_nothing_and_says_what_to_do(
    http: TestClient, ledger: Ledger, path: str, gateway_settings: Settings
) -> None:
    for wrong in (
        path[:-1],
        path + "x",
        "/u/hello",
        "/u/" + "x" * 2_000,
        path[:10] + ("B" if path[10] == "A" else "A") + path[11:],
    ):
        for answer in (http.get(wrong), http.post(wrong, content=ONE_CLICK, headers=FORM)):
            assert answer.status_code == 404, wrong
    assert "unsubscribe" in http.get("/u/hello").text
    assert ledger.suppressed() == []


def test_a_link_of_an_erased_person_is_answered_like_any_other(
    http: TestClient, gateway_settings: Settings, ledger: Ledger
) -> None:
    assert http.post(f"/u/{make_token(gateway_settings, 999_999)}", content=ONE_CLICK, headers=FORM).status_code == 200
    assert ledger.suppressed() == []


def test_a_link_works_for_ever_and_for_a_merged_person(http: TestClient, ledger: Ledger, path: str) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(text("update ledger.people set merged_into = 2, stage = 'Trash' where person_id = 1"))
    assert http.post(path, content=ONE_CLICK, headers=FORM).status_code == 200
    assert ledger.suppressed() == [("email", "one_click")]


def test_a_missing_secret_is_an_error_of_ours_that_tells_nothing(runtime: Runtime, amazon: Amazon, path: str) -> None:
    runtime.settings = runtime.settings.model_copy(update={"unsubscribe_secret": SecretStr("")})
    with TestClient(create_app(runtime, fetch=amazon.fetch), raise_server_exceptions=False) as http:
        answer = http.post(path, content=ONE_CLICK, headers=FORM)
    assert (answer.status_code, answer.json()) == (500, {"error": "internal error"})
