"""Replay: the kept inputs give the same words and verdicts, and a byte more or less anywhere is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from leadpipe.explain import record
from leadpipe.explain.replay import Replayed, replay
from leadpipe.outreach import template_sources, templates
from leadpipe.outreach.plan import builtin_folder
from leadpipe.policy import pack_file
from tests.explain.conftest import recorded, replayed

if TYPE_CHECKING:
    from tests.outreach.conftest import World


def said(world: World, message_id: str) -> str:
    return "\n".join(
        f"{check.what}: {check.result} {' '.join(check.said)}"
        for check in replayed(world, message_id).checks
        if check.result != "identical"
    )


def after(world: World, message_id: str, statement: str) -> Replayed:
    """The message made again after one statement on the ledger, which is taken back."""
    with world.engine.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(text(statement))
        found = replay(record.read(connection, message_id, by=world.clock.now()), settings=None)
        connection.rollback()
    return found


def copied(folder: Path, into: Path) -> Path:
    into.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (into / path.name).write_bytes(path.read_bytes())
    return into


def append(path: Path, words: str) -> None:
    path.write_bytes(path.read_bytes() + words.encode())


TAMPERED = {
    "update ledger.inputs set content = content || ' ' where kind = 'template'": "kept template",
    "update ledger.inputs set content = content || '#' where kind = 'plan'": "kept plan",
    "update ledger.inputs set content = content || '#' where kind = 'pack'": "kept pack",
    "update ledger.inputs set content = replace(content, 'Demo', 'Demi') where kind = 'settings'": "kept settings",
    "update ledger.messages set evidence = jsonb_set(evidence, '{variables,first_name}', '\"Eve\"')": "evidence",
    "update ledger.messages set body = replace(body, 'Ana', 'Eve')": "words",
    "update ledger.verdicts set decision = 'HOLD' where moment = 'claim'": "verdict at claim",
}
GONE = {
    "update ledger.contact_points set address = 'erased ' || id": "the address was erased (contact point",
    "delete from ledger.consents": "consent",
    "update ledger.messages set evidence = '{}', body = ''": "the values it was filled with were erased",
    "delete from ledger.inputs where kind = 'pack'": "nobody kept the text of policy pack",
    "delete from ledger.inputs where kind = 'template'": "nobody kept the text of template",
}


@pytest.fixture
def fresh_templates() -> Callable[[], None]:
    """A function that forgets what was read of template files, as a process started later would know nothing."""

    def forget() -> None:
        for cached in (templates._compiled, templates._layout, template_sources.template_names):
            cached.cache_clear()
        template_sources.tail_source.cache_clear()

    return forget


def test_every_message_is_made_again_and_each_change_of_what_it_was_made_from_is_told(
    planning_world: World,
    messages: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh_templates: Callable[[], None],
) -> None:
    world = planning_world
    for message_id in messages:
        found = replayed(world, message_id)
        assert (found.answer, said(world, message_id)) == ("identical", "")
        assert {check.what.split(",")[0] for check in found.checks} >= {"evidence", "words", "verdict at enqueue"}
    rows = {each: recorded(world, each).row for each in messages}
    one = next(each for each, row in rows.items() if (row.plan, row.person_id) == ("reactivation", 2))
    row = rows[one]

    # A comment in the plan's file: its version is the same, its bytes are not.
    plans = copied(builtin_folder(), tmp_path / "plans")
    append(plans / "reactivation.yaml", "#")
    before = world.settings
    world.settings = before.model_copy(update={"plans_path": plans})
    assert replayed(world, one).answer == "changed"
    assert said(world, one).startswith("plan reactivation today: changed kept ")
    world.settings = before

    # The template's file.
    words = copied(template_sources.folder(), tmp_path / "words")
    monkeypatch.setattr(template_sources, "folder", lambda: words)
    fresh_templates()
    assert replayed(world, one).answer == "identical"
    append(words / f"{row.template}.txt", ".")
    fresh_templates()
    assert replayed(world, one).answer == "changed"
    assert f"template {row.template} today: changed" in said(world, one)
    assert "with today's text" in said(world, one)
    assert replayed(world, one, looks_at_today=False).answer == "identical"
    monkeypatch.undo()
    fresh_templates()

    # The policy pack's file: one byte in a comment, then a rule.
    folder = copied(pack_file.FOLDER, tmp_path / "packs")
    (folder / pack_file.CHECKSUMS).unlink()
    load = pack_file.load_pack
    monkeypatch.setattr("leadpipe.explain.today.load_pack", lambda day: load(day, folder))
    newest = sorted(folder.glob("*.yaml"))[-1]
    assert replayed(world, one).answer == "identical"
    append(newest, "#")
    pack_file._load.cache_clear()
    assert replayed(world, one).answer == "changed"
    assert "the verdict at claim would be the same" in said(world, one)

    # What was kept, changed in the ledger itself.
    for statement, what in TAMPERED.items():
        found = after(world, one, statement)
        differing = [check.what for check in found.checks if check.result == "differs"]
        assert found.answer == "differs", statement
        assert any(each.startswith(what) for each in differing), (statement, differing)

    # What is gone is named, and is no difference.
    by_text = next(each for each, row in rows.items() if (row.channel, row.person_id) == ("sms", 4))
    for statement, what in GONE.items():
        found = after(world, by_text, statement)
        assert found.answer == "incomplete", statement
        assert any(what in line for check in found.checks for line in check.said), statement


def test_an_answers_words_have_a_version_for_each_language_they_end_in() -> None:
    from leadpipe.conversation import answers

    kept = {language: answers.as_input(language) for language in ("en", "es")}
    assert kept["en"].version != kept["es"].version
    assert all(each.version == answers.version(language) for language, each in kept.items())
