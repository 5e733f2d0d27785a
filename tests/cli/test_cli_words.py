"""What words cost and what they lack, told to people: the doctor, `messages list`, `explain`, a settings file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from leadpipe.cli import checks_words, main
from leadpipe.clock import WallClock
from leadpipe.explain.message import _size
from leadpipe.outreach.template_sizes import costly_templates, outside_gsm
from leadpipe.settings import Settings

DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


def runtime(**changes: Any) -> Any:
    return SimpleNamespace(settings=Settings.model_construct(**DEFAULTS | changes), clock=WallClock())


def test_the_doctor_names_the_states_that_get_nothing() -> None:
    found = checks_words.licences(runtime(licences=(("CA", "1"),)))
    assert found.state == "note"
    assert found.words.endswith("; emails and first texts to TX are blocked: missing_license")
    assert "LEADPIPE_LICENCE_LINKS" in found.cure
    both = {"licences": (("CA", "1"), ("TX", "2")), "licence_links": (("TX", "https://a.example"),)}
    assert checks_words.licences(runtime(**both)).state == "ok"
    assert "CA, TX" in checks_words.licences(runtime()).words


@pytest.mark.parametrize(
    ("licences", "address", "state", "words"),
    [
        ((("CA", "1"), ("TX", "2")), "", "ok", "homes in CA, TX are written about, others wait for a person"),
        ((), "1 Example Street, Austin, TX 78701", "note", "homes in TX (the postal address's state, as no licence is"),
        (
            (),
            "1 Example Street, Austin",
            "wrong",
            "neither LEADPIPE_LICENCES nor LEADPIPE_POSTAL_ADDRESS shows a state",
        ),
    ],
)
def test_the_doctor_says_in_which_states_homes_are_written_about(
    licences: Any, address: str, state: str, words: str
) -> None:
    links = (("TX", "https://a.example"),)
    found = checks_words.licences(runtime(licences=licences, licence_links=links, postal_address=address))
    assert (found.state, found.words.startswith(words)) == (state, True), found.words


def test_the_doctor_says_where_links_may_lead() -> None:
    assert checks_words.link_domains(runtime()).state == "note"
    found = checks_words.link_domains(runtime(link_domains=("portal.example",), email_from="A <a@acme.example>"))
    assert (found.state, found.words) == ("ok", "127.0.0.1, acme.example, portal.example")


def test_the_doctor_names_the_templates_that_one_letter_makes_dear() -> None:
    found = checks_words.text_templates(runtime())
    assert (found.state, "welcome_sms.es (á)" in found.words) == ("note", True)
    assert {each.name.endswith(".es") for each in costly_templates()} == {True}


@pytest.mark.parametrize(
    ("words", "letters"),
    [("Hi Ana, 450 € [ok]", ""), ("Great news \U0001f600!", "\U0001f600"), ("it\u2019s \u00e1\u00e1", "\u2019\u00e1")],
)
def test_letters_outside_the_gsm_alphabet_are_named_once(words: str, letters: str) -> None:
    assert outside_gsm(words) == letters


def test_explain_says_what_a_text_costs_and_why() -> None:
    plain = _size(SimpleNamespace(body="a" * 161, segments=2))
    assert plain == "It takes 2 segments (GSM-7, 161 units)."
    emoji = _size(SimpleNamespace(body="a" * 70 + "\U0001f600", segments=2))
    assert emoji == "It takes 2 segments (UCS-2, 72 units, since '\U0001f600' is outside the GSM alphabet)."
    assert _size(SimpleNamespace(body="", segments=2)) == "It takes 2 segments."


def test_a_settings_file_may_ask_for_licences_and_links(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADPIPE_LINK_DOMAINS", "evil-homes.com")  # of whoever runs it; no say here
    case = (
        '{"id": "1", "now": "2026-11-24T20:00:00Z", "channel": "email", "purpose": "inquiry_response", "subject": "Hi",'
        '"contact": {"email": "a@example.com", "address": {"zip": "90011"}}, "body": "See evil-homes.com. Demo Realty, '
        '100 Main Street, Suite 5, Houston, TX 77002 Unsubscribe: %%unsubscribe_url%%"}'
    )
    path = tmp_path / "team.env"

    def codes(*lines: str) -> set[str]:
        path.write_text("\n".join(lines), encoding="utf-8")
        done = CliRunner().invoke(main.app, ["policy", "check", "--jsonl", "-", "--settings", str(path)], input=case)
        assert done.exit_code == 0, done.output
        return {word for word in ("foreign_link", "missing_license", "missing_disclosure") if word in done.stdout}

    assert codes() == {"foreign_link"}
    assert codes("LEADPIPE_LINK_DOMAINS=evil-homes.com") == set()
    assert codes("LEADPIPE_LICENCES=TX=1") == {"foreign_link", "missing_license"}
    assert codes("LEADPIPE_ASSISTANT_NAME=automated assistant") == {"foreign_link", "missing_disclosure"}
    path.write_text("LEADPIPE_LICENCES=California", encoding="utf-8")
    done = CliRunner().invoke(main.app, ["policy", "check", "--jsonl", "-", "--settings", str(path)], input=case)
    assert (done.exit_code, "CA=01234567" in done.output) == (2, True), done.output
