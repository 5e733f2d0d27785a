"""``leadpipe policy check``: cases as JSON lines in, verdicts as JSON lines out.

What lives here: reading and printing. What does not: any rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from leadpipe.errors import BadRecord, ConfigurationError
from leadpipe.policy.case_reading import read_case
from leadpipe.policy.pack import PolicySettings
from leadpipe.policy.pack_file import load_pack
from leadpipe.policy.verdict import Verdict, judge


def check_lines(lines: Iterable[str], settings: PolicySettings) -> Iterator[dict[str, Any]]:
    """One answer a line, in order; a line that cannot be read answers ``{"line", "id", "error"}`` with its number."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        case_id: Any = None
        try:
            row = json.loads(line)
            case_id = row.get("id")
            case = read_case(row)
        except (json.JSONDecodeError, AttributeError, TypeError, KeyError) as error:
            yield {"line": number, "id": case_id, "error": f"line {number} is no case: {error}"}
            continue
        except BadRecord as error:
            yield {"line": number, "id": case_id, "error": f"line {number}: {error}"}
            continue
        try:
            pack = load_pack(case.now.date())
        except ConfigurationError as error:
            yield {"line": number, "id": case_id, "error": f"line {number}: field now: {error}"}
            continue
        yield as_json(case.id, judge(case, pack=pack, settings=settings))


def as_json(case_id: str, verdict: Verdict) -> dict[str, Any]:
    """The published form of a verdict."""
    return {
        "id": case_id,
        "decision": verdict.decision,
        "until": _iso(verdict),
        "code": verdict.code or None,
        "rule": verdict.rule or None,
        "all": [finding.as_json() for finding in verdict.findings],
        "evidence": verdict.evidence(),
    }


def _iso(verdict: Verdict) -> str | None:
    return verdict.until.isoformat().replace("+00:00", "Z") if verdict.until else None
