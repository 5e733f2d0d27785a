"""Templates: every word a lead may read, with what the law wants in it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadpipe.errors import ConfigurationError
from leadpipe.messaging import content_template
from leadpipe.outreach import template_sources, templates
from leadpipe.outreach.template_pieces import compile_piece, cut_in_pieces
from leadpipe.outreach.variables import clean_name, market_variables

NOW = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)
LISTING = {
    "address": "12 Oak St",
    "price_usd": 450_000.0,
    "beds": 3,
    "baths": 2,
    "url": "https://example.com/12",
    "attribution": "Courtesy of Example Realty",
    "listing_key": "L1",
}


def variables(**changes: Any) -> dict[str, Any]:
    return {
        "first_name": "Ana",
        "agent_name": "Bo Lee",
        "brokerage_name": "Demo Realty",
        "postal_address": "1 Example Street, Austin, TX 78701",
        "licence": "CA license 01234567",
        "assistant_name": "automated assistant",
        "language": "en",
        "side": "buy",
        "place": "Houston",
        "property_address": "12 Oak St",
        "listings": [LISTING],
        "market": market_variables(zip_code="77084", change_12m_pct=2.14, month=date(2026, 1, 31), now=NOW),
        "offer": {"id": "o", "title": "A report", "text": "We will prepare a report."},
    } | changes


EMAILS = sorted(n for n in template_sources.template_names() if "sms" not in n and "whatsapp" not in n)
TEXTS = sorted(template_sources.template_names() - set(EMAILS))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "side": st.sampled_from(["buy", "sell"]),
            "listings": st.just([]),
            **dict.fromkeys(
                ("first_name", "agent_name", "place", "property_address"),
                st.sampled_from(["", " ", "Ana", "  two  words ", "a\n\nb", "\n\n line", "end \n\n\n"]),
            ),
        },
    )
)
def test_a_text_in_pieces_reads_as_the_whole_does(changes: dict[str, Any]) -> None:
    both = cut_and_whole()
    for name, (cut, whole) in both.items():
        assert cut.render(variables(**changes)) == whole.render(variables(**changes)), name
    assert sum(len(cut.pieces) > 1 for cut, _ in both.values()) > 3


@lru_cache(maxsize=1)
def cut_and_whole() -> dict[str, tuple[Any, Any]]:
    """Every template's words in pieces and as one."""
    found: dict[str, tuple[Any, Any]] = {}
    for path in sorted(template_sources.folder().glob("[a-z]*.txt")):
        text = path.read_text(encoding="utf-8")
        words = text.partition("\n")[2] or text
        found[path.name] = (cut_in_pieces(path.stem, words), compile_piece(path.stem, words))
    return found


@pytest.mark.parametrize(
    "source",
    [
        "{% if place %}\nA\n{% endif %}\n\nB",
        "{% for home in listings %}A\n\nB{% endfor %}",
        "A {%- if place %} B{% endif -%}\n\nC",
        "A\n\n{%- if place %}B{% endif %} C",
        "{% set x = 1 %}A\n\n{{ x }}",
        "A\n\n  {{ place }}",
        "A\n\n\n\nB",
        "\n\nA {{ place }}\n\n{{ market }}\n\nB\n",
    ],
)
def test_where_a_cut_would_change_the_words_there_is_none(source: str) -> None:
    for place in ("", "x", " x\n\n"):
        given_ = variables(place=place, market="")
        assert cut_in_pieces("t", source).render(given_) == compile_piece("t", source).render(given_)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("name", EMAILS)
def test_every_email_says_who_writes_where_they_sit_and_how_to_leave(name: str, side: str, language: str) -> None:
    rendered = templates.render(name, variables(side=side, language=language))
    for needed in (
        "automated assistant",
        "Bo Lee",
        "Demo Realty",
        "1 Example Street",
        "01234567",
        templates.UNSUBSCRIBE_MARK,
    ):
        assert needed in rendered.text, needed
    assert rendered.subject
    assert "\n" not in rendered.subject
    assert not rendered.subject.lower().startswith(("re:", "fwd:"))
    assert rendered.segments == 0
    assert "\n\n\n" not in rendered.text


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("name", TEXTS)
def test_every_text_says_who_writes_and_how_to_stop_within_320_characters(name: str, side: str, language: str) -> None:
    rendered = templates.render(name, variables(side=side, language=language))
    for needed in ("automated assistant", "Demo Realty", "01234567", "STOP"):
        assert needed in rendered.text, needed
    assert len(rendered.text) <= 320
    assert 1 <= rendered.segments <= 5
    assert rendered.subject == ""


@pytest.mark.parametrize("name", [name for name in TEXTS if "whatsapp" in name])
def test_a_whatsapp_message_is_what_the_approved_template_says_with_its_values(name: str) -> None:
    given = variables(agent_name="Bo\n Lee", side="sell")
    rendered = templates.render(name, given)
    frozen = rendered.frozen(given)
    assert frozen["first_name"] == "Ana"
    assert content_template.values_for(frozen, rendered.text) == rendered.content_variables
    assert content_template.values_for(frozen, rendered.text + " ") is None
    assert rendered.content_variables["3"] == "Bo Lee"


def test_a_whatsapp_message_with_an_empty_value_cannot_go_as_the_template() -> None:
    rendered = templates.render("welcome_whatsapp", variables(agent_name=""))
    assert content_template.values_for(rendered.frozen({}), rendered.text) is None


def test_the_html_part_holds_the_words_of_the_text_part() -> None:
    given = variables()
    html = templates.render_html("welcome_email", given, unsubscribe_url="https://example.com/u/abc")
    text = templates.render("welcome_email", given).text
    assert text.split("\n\n")[1] in html
    assert 'href="https://example.com/u/abc"' in html
    assert "12 Oak St" in html
    assert "1 Example Street" in html
    assert "{{" not in html
    assert "{%" not in html


def test_what_a_lead_typed_as_a_name_cannot_become_markup() -> None:
    html = templates.render_html(
        "welcome_email", variables(property_address="<script>x</script>"), unsubscribe_url="https://example.com"
    )
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_line_break_in_a_value_cannot_add_a_header() -> None:
    rendered = templates.render("welcome_email", variables(property_address="12 Oak\r\nBcc: x@example.com"))
    assert rendered.subject == "Your question about 12 Oak Bcc: x@example.com"


def test_a_missing_variable_names_itself_and_the_template() -> None:
    given = variables()
    del given["agent_name"]
    with pytest.raises(ConfigurationError, match=r"template 'welcome_email'.*agent_name"):
        templates.render("welcome_email", given)


def test_an_unknown_template_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="no template 'poem'.*welcome_email"):
        templates.render("poem", variables())


def test_a_language_without_its_own_file_falls_back_to_english() -> None:
    spanish = templates.render("welcome_email", variables(language="es"))
    assert spanish.text.startswith("Hola Ana")
    assert templates.render("ask_budget", variables(language="es")).text.startswith("Hi Ana")


def test_the_link_takes_the_place_of_its_mark() -> None:
    text = templates.render("still_looking_email", variables()).text
    finished = templates.finished_text(text, unsubscribe_url="https://example.com/u/abc")
    assert "https://example.com/u/abc" in finished
    assert templates.UNSUBSCRIBE_MARK not in finished


def test_the_version_differs_between_languages_and_not_between_people() -> None:
    ana = templates.render("welcome_email", variables())
    bob = templates.render("welcome_email", variables(first_name="Bob"))
    assert ana.template_version == bob.template_version
    assert ana.template_version != templates.render("welcome_email", variables(language="es")).template_version


@pytest.mark.parametrize(
    ("name", "greeted"),
    [
        ("Ana", "Ana"),
        ("  Mary Jo ", "Mary Jo"),
        ("O'Neil", "O'Neil"),
        ("Jean-Luc", "Jean-Luc"),
        ("José", "José"),
        ("", "there"),
        ("ana@example.com", "there"),
        ("https://x.example", "there"),
        ("{{ 7*7 }}", "there"),
        ("5125550101", "there"),
        ("A" * 31, "there"),
    ],
)
def test_a_greeting_uses_names_and_nothing_else(name: str, greeted: str) -> None:
    assert clean_name(name) == greeted


@pytest.mark.parametrize(
    ("change", "month", "says"),
    [
        (2.14, date(2026, 1, 31), "rose by 2.1%"),
        (-3.0, date(2026, 1, 31), "fell by 3.0%"),
        (0.04, date(2026, 1, 31), "stayed about level"),
        (None, date(2026, 1, 31), None),
        (2.0, date(2025, 11, 30), None),
        (2.0, None, None),
    ],
)
def test_a_market_fact_names_its_source_and_is_left_out_when_old(
    change: float | None, month: date | None, says: str | None
) -> None:
    fact = market_variables(zip_code="77084", change_12m_pct=change, month=month, now=NOW)
    if says is None:
        assert fact is None
    else:
        assert fact is not None
        assert says in fact["sentence"]
        assert "Data Provided by Zillow Group" in fact["sentence"]
        assert "January 2026" in fact["sentence"]
