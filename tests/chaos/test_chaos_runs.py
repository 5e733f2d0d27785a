"""Whole chaos runs, as small as they can be: nothing is lost or sent twice, and without a safeguard that is seen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest

SMALL = ("--without-dagster", "--workers", "2", "--aged", "40", "--leads", "4", "--json")


def chaos(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """One run of the command: exit code, report, what it said."""
    command = [sys.executable, "-m", "leadpipe.cli.main", "chaos", *SMALL, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def clear(said: str) -> None:
    """Remove what an expected failure kept; an unexpected one keeps its home, its database and its logs."""
    if kept := re.search(r"^kept: (.+)$", said, re.M):
        shutil.rmtree(kept[1], ignore_errors=True)


def test_nothing_is_lost_or_sent_twice_when_everything_is_killed() -> None:
    code, report, said = chaos("--kills", "10", "--seed", "3")
    assert code == 0, said
    assert report["kills"] >= 10
    assert sum(report["failpoints"].values()) > 0
    assert report["messages"] > 20
    assert (report["duplicates"], report["lost"], report["sent_after_suppression"], report["unknown"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(("safeguard", "kills"), [("attempt_commit", "6"), ("row_lock", "0")])
def test_duplicates_are_seen_when_a_safeguard_is_taken_away(safeguard: str, kills: str) -> None:
    code, report, said = chaos("--kills", kills, "--without-safeguard", safeguard, "--bound", "15")
    assert report["duplicates"] > 0, said
    assert code == 1
    assert "accepted twice" in said
    clear(said)
