"""``python -m benchmarks NAME [options]``: one module a figure, each with a ``main(arguments)``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

SUPPORT = {
    "__init__",
    "__main__",
    "aged_leads",
    "ages",
    "callers",
    "crm_day",
    "dlt_side",
    "fub_account",
    "instant",
    "machine",
    "procrastinate_jobs",
    "world",
}


def main() -> int:
    """Run the named figure; without a name, list them."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in SUPPORT)
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"usage: python -m benchmarks NAME [options]; figures: {', '.join(names)}", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
