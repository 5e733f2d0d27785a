"""The Dagster UI in a real browser, against the running system."""

from __future__ import annotations

import shutil
from collections.abc import Generator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.end_to_end.conftest import Live

pytestmark = pytest.mark.e2e
SLOW = 60_000
LOADS = 4
A_LOAD = 30_000


@pytest.fixture(scope="module")
def page(live: Live) -> Generator[Page]:
    """One page of a headless Chromium of the system's."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    assert found, "no Chromium on PATH; `make test` installs one"
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(SLOW)
        assert live.dagster_url.startswith("http://127.0.0.1")
        yield page
        browser.close()


def shows(page: Page, url: str, words: str) -> None:
    """The page says these words; loaded again like a person would when Dagster left a section of it empty.

    Dagster 1.12 now and then draws an asset's page without its definition and asks no more: on a machine with two busy
    cores one load of some twenty stayed so for the whole minute.
    """
    trouble: list[str] = []
    page.on("requestfailed", lambda request: trouble.append(f"{request.url}: {request.failure}"))
    for _ in range(LOADS):
        page.goto(url)
        try:
            expect(page.get_by_text(words).first).to_be_visible(timeout=A_LOAD)
        except AssertionError as error:
            trouble.append(str(error).splitlines()[0])
        else:
            return
    pytest.fail(f"{url} never said {words!r}: {trouble}")


def test_the_page_of_an_asset_shows_its_grain_its_checks_and_its_group(page: Page, live: Live) -> None:
    shows(page, f"{live.dagster_url}/assets/outreach/queue?view=overview", "One row per person, plan and step")
    expect(page.get_by_text("outreach", exact=True).first).to_be_visible(timeout=SLOW)


def test_the_catalog_lists_the_marts(page: Page, live: Live) -> None:
    page.goto(f"{live.dagster_url}/asset-groups?groups=%5B%22marts%22%5D")
    page.goto(f"{live.dagster_url}/locations/leadpipe/asset-groups/marts/list")
    for mart in ("speed_to_lead", "message_lineage", "funnel"):
        expect(page.get_by_text(mart).first).to_be_visible(timeout=SLOW)


def test_the_sensors_that_answer_people_are_running(page: Page, live: Live) -> None:
    page.goto(f"{live.dagster_url}/automation")
    for name in ("new_leads", "unread_replies", "due_messages"):
        expect(page.get_by_text(name).first).to_be_visible(timeout=SLOW)
