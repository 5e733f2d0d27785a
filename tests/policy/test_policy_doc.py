"""The page about policy names every code with its rule."""

from __future__ import annotations

import re
from pathlib import Path

from leadpipe.policy import contactability, content, standing, verdict

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"
_FINDING = re.compile(r'"(?:BLOCK|REVIEW|HOLD)", "(\w+)", "(C\d+|identity)"')
_FACT = re.compile(r'"[\w]+": \("(\w+)", "(C\d+)"\)')


def codes_in_force() -> set[tuple[str, str]]:
    """Pairs of code and rule as the source of the rules writes them."""
    found: set[tuple[str, str]] = set()
    for module in (contactability, content, standing, verdict):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        found |= set(_FINDING.findall(source)) | set(_FACT.findall(source))
    return found


def test_the_page_names_every_code_with_its_rule() -> None:
    page = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \| (\S+) \|", page, flags=re.MULTILINE))
    missing = codes_in_force() - named
    assert len(codes_in_force()) > 25
    assert not missing, f"{PAGE.name} does not name {sorted(missing)}"
