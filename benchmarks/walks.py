"""Long random walks of the send protocol: the model and the real code on a real ledger, step by step.

What lives here: running the suite's walks in a larger number, other ones every time. What does not: the walks
(``tests/messaging/test_messaging_model_walks.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

TEST = "tests/messaging/test_messaging_model_walks.py::test_model_and_ledger_walk_together"


def main(arguments: list[str]) -> int:
    """Walk; exits 1 when model and ledger part, with the steps that led there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks walks", description=__doc__)
    parser.add_argument("--walks", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--timeout=0", TEST],
        env={**os.environ, "MODEL_WALKS": str(asked.walks)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    found = {"walks": asked.walks, "parted": done.returncode != 0, "seconds": round(time.monotonic() - began, 1)}
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    print(
        json.dumps(found) if asked.json else f"{asked.walks} walks in {found['seconds']} s: {TEST.rpartition('::')[2]}"
    )
    return done.returncode
