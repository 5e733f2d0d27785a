"""What README and docs name exists: commands and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click import Command, Group
from typer.main import get_command

from leadpipe.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_SPAN = re.compile(r"```.*?```|`[^`\n]+`", re.S)
_COMMAND = re.compile(r"(?:^\s*|`|\| |&& |=\S+ )leadpipe ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", re.M)


def commands_of(command: Command) -> dict[str, Command]:
    return command.commands if isinstance(command, Group) else getattr(command, "commands", {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_a_page_names_exists(page: Path) -> None:
    known = commands_of(get_command(app))
    for span in _SPAN.findall(page.read_text()):
        for first, second in _COMMAND.findall(span):
            assert first in known, f"leadpipe {first}"
            within = commands_of(known[first])
            if within and second:
                assert second in within, f"leadpipe {first} {second}"


def test_the_pages_name_enough_commands_to_prove_something() -> None:
    named = {first for page in PAGES for span in _SPAN.findall(page.read_text()) for first, _ in _COMMAND.findall(span)}
    assert {"demo", "up", "down", "doctor", "sql", "sending", "webhooks", "messages", "conversation"} <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_setting_a_page_names_exists() -> None:
    from leadpipe.settings import Settings

    known = {f"LEADPIPE_{name.upper()}" for name in Settings.model_fields}
    for page in PAGES:
        for name in set(re.findall(r"LEADPIPE_[A-Z0-9_]+[A-Z0-9]", page.read_text())):
            assert name in known, f"{page.name}: {name}"


def test_every_command_has_help_with_an_example() -> None:
    def walk(name: str, command: Command) -> None:
        within = commands_of(command)
        for inner, found in within.items():
            walk(f"{name} {inner}", found)
        if not within:
            assert "Example" in (command.help or ""), f"{name} has no example in its help"

    walk("leadpipe", get_command(app))
