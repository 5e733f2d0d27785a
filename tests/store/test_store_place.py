"""Where a ledger stands: every way of copying it changes the place, and moving it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from leadpipe.settings import Settings
from leadpipe.store import place

VERSION, CONTROL = "pg/data/PG_VERSION", "pg/data/global/pg_control"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The files of an embedded server that tell its place; the server writes the second one in place."""
    made = tmp_path / "home"
    (made / "pg/data/global").mkdir(parents=True)
    (made / VERSION).write_text("18\n")
    (made / CONTROL).write_text("checkpoint 1")
    return made


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def copied_beside(home: Path) -> Path:
    _run("cp", "-a", str(home), str(home.with_name("copy")))
    return home.with_name("copy")


def unpacked_in_place(home: Path) -> Path:
    """A file system hands out the numbers of removed files again, so the time must tell too."""
    _run("tar", "-C", str(home.parent), "-cf", str(home.with_suffix(".tar")), home.name)
    shutil.rmtree(home)
    _run("tar", "-C", str(home.parent), "-xpf", str(home.with_suffix(".tar")))
    return home


def synchronised_in_place(home: Path) -> Path:
    """As rsync does: what is the same stays, what differs is written beside and put in its place."""
    older = home.with_name("older")
    _run("cp", "-a", str(home), str(older))
    with (home / CONTROL).open("r+") as control:
        control.write("checkpoint 2")
    part = home / "pg/data/global/.pg_control.part"
    shutil.copy2(older / CONTROL, part)
    part.replace(home / CONTROL)
    return home


def linked_beside(home: Path) -> Path:
    copy = home.with_name("links")
    _run("cp", "-al", str(home), str(copy))
    return copy


@pytest.mark.parametrize("way", [copied_beside, unpacked_in_place, synchronised_in_place, linked_beside])
def test_a_copied_home_is_another_place(home: Path, way: Callable[[Path], Path]) -> None:
    before = place.files_of(home)
    assert place.files_of(way(home)) != before


def test_a_home_that_was_moved_and_written_to_is_the_same_place(home: Path) -> None:
    before = place.files_of(home)
    with (home / CONTROL).open("r+") as control:
        control.write("checkpoint 9")
    os.utime(home / CONTROL)
    home.rename(home.with_name("elsewhere"))
    assert place.files_of(home.with_name("elsewhere")) == before


def test_another_machine_is_another_place_and_its_id_is_not_told(tmp_path: Path) -> None:
    seen: list[str] = []
    for name in ("a" * 32, "b" * 32):
        file = tmp_path / name[0]
        file.write_text(name + "\n")
        seen.append(place.machine((tmp_path / "none", file)))
        assert name not in seen[-1]
    assert seen[0] != seen[1]
    assert place.machine((tmp_path / "none",)) == "none"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://ana:s3cret@DB.example:6543/leadpipe?sslmode=require", "db.example:6543/leadpipe"),
        ("postgresql://ana:s3cret@db.example/leadpipe", "db.example:5432/leadpipe"),
        ("postgresql://ana@/leadpipe?host=/tmp/socket", "/tmp/socket/leadpipe"),
        ("postgresql://ana@a:1,b:2/leadpipe", "a:1,b:2/leadpipe"),
        ("postgresql://ana@[::1]:5433/leadpipe", "[::1]:5433/leadpipe"),
    ],
)
def test_an_address_has_no_account_and_no_password(url: str, address: str) -> None:
    assert place.address_of(url) == address


def test_a_database_beside_its_copy_is_another_place(
    ledger_engine: Engine, settings: Settings, new_database: Callable[[str], str], ledger_template: str
) -> None:
    from leadpipe.store import ledger

    other = ledger.connect(new_database(ledger_template))
    with ledger_engine.connect() as ours, other.connect() as theirs:
        here = place.here(ours, settings)
        assert here.differs_from(here.as_json()) == ()
        assert here.differs_from(place.here(theirs, settings).as_json()) == ("database",)
        moved = settings.model_copy(update={"database_url": "postgresql://leadpipe@db.example/leadpipe"})
        assert here.differs_from(place.here(ours, moved).as_json()) == ("address",)
        assert here.differs_from({}) == ("server", "database", "machine", "files", "address")
    other.dispose()
