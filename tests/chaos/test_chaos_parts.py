"""The parts of a chaos run, each by itself: traps and failpoints, the script, the weather, the comparison."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from leadpipe.chaos.script import SHARES, Kind, count_by_kind, moments
from leadpipe.chaos.traps import Traps
from leadpipe.chaos.verdict import denied_or_unknown
from leadpipe.chaos.weather import bad_weather
from leadpipe.cli.up import refuse_chaos
from leadpipe.errors import ConfigurationError
from leadpipe.messaging import failpoints
from leadpipe.messaging.protocol import State
from leadpipe.sandbox.faults import Faults
from leadpipe.setting_loading import load_settings
from leadpipe.settings import Settings

ROOT = Path(__file__).parents[2]
STEP = "claim.committed"
_HIT = f"""
import sys
from pathlib import Path
from leadpipe.messaging import failpoints
failpoints.arm(Path(sys.argv[1]))
failpoints.hit("{STEP}")
"""


def reach_step(folder: Path) -> int:
    """A process that comes to the step; how it ended."""
    return subprocess.run([sys.executable, "-c", _HIT, str(folder)], check=False, timeout=60).returncode


def test_a_process_dies_at_its_trap_once_and_the_hit_is_counted(tmp_path: Path) -> None:
    traps = Traps(tmp_path)
    traps.set(STEP)
    assert reach_step(tmp_path) == -signal.SIGKILL
    assert reach_step(tmp_path) == 0
    assert traps.counts() == Counter({STEP: 1})


def test_a_trap_may_kill_another_process_instead(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as victim:
        traps = Traps(tmp_path)
        traps.set(STEP, str(victim.pid))
        assert reach_step(tmp_path) == 0
        assert victim.wait(10) == -signal.SIGKILL
    assert traps.counts(of_others=True) == Counter({STEP: 1})
    assert not traps.counts(of_others=False)


def test_a_trap_taken_away_kills_nobody(tmp_path: Path) -> None:
    traps = Traps(tmp_path)
    traps.set(STEP)
    assert traps.is_set(STEP)
    traps.disarm()
    assert reach_step(tmp_path) == 0


def test_every_failpoint_stands_in_the_code_exactly_once_and_has_a_meaning() -> None:
    found = Counter(
        name
        for path in (ROOT / "leadpipe").rglob("*.py")
        for name in re.findall(r"failpoints\.hit\(\"([^\"]+)\"\)", path.read_text(encoding="utf-8"))
    )
    assert found == Counter(dict.fromkeys(failpoints.NAMES, 1))
    assert all(failpoints.NAMES.values())


def test_failpoints_and_missing_safeguards_need_a_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LEADPIPE_SENDING", raising=False)
    monkeypatch.setenv("LEADPIPE_FAILPOINTS", str(tmp_path))
    with pytest.raises(ConfigurationError, match="needs LEADPIPE_SENDING=sandbox"):
        load_settings(env_file=None)
    monkeypatch.delenv("LEADPIPE_FAILPOINTS")
    monkeypatch.setenv("LEADPIPE_CHAOS_WITHOUT", "row_lock")
    with pytest.raises(ConfigurationError, match="is for tests"):
        load_settings(env_file=None)


def test_up_refuses_failpoints_also_beside_a_sandbox(settings: Settings, tmp_path: Path) -> None:
    refuse_chaos(settings)
    with pytest.raises(ConfigurationError, match="unset it"):
        refuse_chaos(settings.model_copy(update={"failpoints": tmp_path}))


def test_the_same_seed_gives_the_same_script_and_another_one_does_not() -> None:
    assert moments(Kind.WORKER, count=50, seed=3) == moments(Kind.WORKER, count=50, seed=3)
    assert moments(Kind.WORKER, count=50, seed=3) != moments(Kind.WORKER, count=50, seed=4)
    assert moments(Kind.WORKER, count=50, seed=3) != moments(Kind.GATEWAY, count=50, seed=3)


@pytest.mark.parametrize("kills", [0, 1, 7, 20, 1000])
def test_the_kills_are_shared_out_without_a_rest(kills: int) -> None:
    counts = count_by_kind(kills)
    assert sum(counts.values()) == kills
    assert all(abs(counts[kind] - kills * share) < len(SHARES) for kind, share in SHARES.items())


def test_the_weather_names_faults_that_exist_and_loses_and_repeats_every_webhook() -> None:
    weather = bad_weather()
    Faults(seed=1).replace(weather)
    for posts in ("fub_webhook", "twilio_callback", "ses_event", "twilio_inbound", "ses_inbound"):
        assert (weather[f"{posts}_lost"], weather[f"{posts}_repeated"]) == (0.3, 0.2)


def test_a_storm_strikes_at_the_beginning_of_each_stretch_only() -> None:
    now = 100.0
    faults = Faults(seed=1, monotonic=lambda: now)
    faults.replace({"ses_429": {"every": 60, "lasts": 5}})
    struck: list[bool] = []
    for now in (100.0, 104.9, 105.1, 159.0, 161.0):  # noqa: B007 - the clock above reads it
        struck.append(faults.strikes("ses_429"))
    assert struck == [True, True, False, False, True]


def test_books_that_contradict_each_other_are_noticed_in_every_direction() -> None:
    mailed = [{"our_id": name, "provider": "ses"} for name in ("known", "denied", "unsure", "stranger")]
    accepted = [*mailed, {"our_id": "listed", "provider": "twilio"}]
    states = {
        "known": State.DELIVERED,
        "denied": State.CANCELLED,
        "unsure": State.PARKED,
        "listed": State.PARKED,
        "claimed": State.SENT,
        "never": State.EXPIRED,
    }
    assert +denied_or_unknown(accepted, states) == Counter(
        {
            "sent_and_denied": 1,
            "sent_and_not_in_the_ledger": 1,
            "never_sent_and_claimed": 1,
            "parked_and_listed": 1,
        }
    )


def test_the_page_names_every_failpoint_with_its_meaning() -> None:
    page = (ROOT / "docs" / "chaos.md").read_text(encoding="utf-8")
    table = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in failpoints.NAMES.items())
    assert table in page, f"put this into docs/chaos.md:\n{table}"
