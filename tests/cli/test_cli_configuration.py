"""The configuration page says what the settings say."""

from __future__ import annotations

from pathlib import Path

from leadpipe.cli.configuration import configuration_page, sections
from leadpipe.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def test_the_page_in_docs_is_the_one_made_from_the_settings() -> None:
    assert PAGE.read_text() == configuration_page(), (
        "run `python -m leadpipe.cli.configuration > docs/configuration.md`"
    )


def test_every_setting_stands_in_exactly_one_section_with_a_description() -> None:
    named = [name for names in sections().values() for name in names]
    assert sorted(named) == sorted(Settings.model_fields)
    assert all(section for section in sections())
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_secrets_are_marked_and_none_has_a_default() -> None:
    rows = [line for line in configuration_page().splitlines() if "*Secret.*" in line]
    assert len(rows) >= 8
    assert all(line.split("|")[2].strip() == "" for line in rows)
