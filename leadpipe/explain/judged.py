"""One verdict, laid out for a person: every rule's own word, where they may be and what time it is there, the consent.

What lives here: the layout of a verdict, a kept one or a fresh one. What does not: the sentences around it
(``message``, ``lead``), printing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadpipe.explain.wording import RULES, means

if TYPE_CHECKING:
    from leadpipe.explain.record import Judged
    from leadpipe.policy.case import Consent
    from leadpipe.policy.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """One rule's own verdict; ``decision`` is ``ok`` where the rule was content."""

    gate: str
    rule: str
    asks: str
    decision: str
    code: str
    until: str | None


@dataclass(frozen=True, kw_only=True)
class Told:
    """One verdict with everything behind it.

    Attributes:
        judged_for: the moment the message was to leave.
        first_legal_at: the first moment it may leave; None when a rule blocks it or a person must decide.
        places: zone, state and the local time there, of every place they may be in.
        place_from: what says where they are.
        homes: the homes it offers or speaks of, as they were last seen: status and ``checked_at``.
    """

    moment: str
    judged_at: datetime | None
    judged_for: datetime
    decision: str
    code: str
    rule: str
    first_legal_at: datetime | None
    rulings: tuple[Ruling, ...]
    places: tuple[Mapping[str, str], ...]
    place_from: tuple[str, ...]
    homes: tuple[Mapping[str, str | None], ...]
    consent: Consent | None
    pack: str

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        consent = self.consent
        return {
            "moment": self.moment,
            "judged_at": self.judged_at,
            "judged_for": self.judged_for,
            "decision": self.decision,
            "code": self.code or None,
            "rule": self.rule or None,
            "first_legal_at": self.first_legal_at,
            "rules": [
                {"gate": r.gate, "rule": r.rule, "asks": r.asks, "decision": r.decision, "code": r.code or None,
                 "until": r.until}
                for r in self.rulings
            ],
            "places": list(self.places),
            "place_from": list(self.place_from),
            "homes": list(self.homes),
            "consent": None if consent is None else {
                "id": consent.id, "level": consent.level, "channel": consent.channel, "source": consent.source,
                "at": consent.at,
            },
            "pack": self.pack,
        }  # fmt: skip

    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.decision == "ALLOW":
            return "every rule was content"
        what = {"HOLD": "it has to wait", "BLOCK": "it may not go", "REVIEW": "a person must decide"}[self.decision]
        until = f" until {utc(self.first_legal_at)}" if self.decision == "HOLD" and self.first_legal_at else ""
        rule = f" ({self.rule})" if self.rule else ""
        return f"{what}{until}: {means(self.code)}{rule}"


def of_kept(judged: Judged, channel: str, consents: Mapping[int, Consent]) -> Told:
    """A verdict as it was kept."""
    evidence = judged.evidence
    case_for = judged.case.get("judged_for") if judged.case else None
    judged_for = datetime.fromisoformat(str(case_for).replace("Z", "+00:00")) if case_for else judged.judged_at
    consent_id = evidence.get("consent_id")
    return Told(
        moment=judged.moment,
        judged_at=judged.judged_at,
        judged_for=judged_for,
        decision=judged.decision,
        code=judged.code,
        rule=judged.rule,
        first_legal_at=_first_legal(judged.decision, judged_for, judged.until),
        rulings=tuple(_rulings(judged.findings, channel)),
        places=tuple(evidence.get("candidates", ())),
        place_from=tuple(evidence.get("place", ())),
        homes=tuple(evidence.get("homes", ())),
        consent=consents.get(consent_id) if consent_id is not None else None,
        pack=judged.pack_version,
    )


def of_fresh(verdict: Verdict, *, moment: str) -> Told:
    """A verdict just made, that nothing keeps."""
    evidence, case = verdict.evidence(), verdict.case
    return Told(
        moment=moment,
        judged_at=None,
        judged_for=case.now,
        decision=verdict.decision,
        code=verdict.code,
        rule=verdict.rule,
        first_legal_at=_first_legal(verdict.decision, case.now, verdict.until),
        rulings=tuple(_rulings([finding.as_json() for finding in verdict.findings], case.channel)),
        places=tuple(evidence["candidates"]),
        place_from=tuple(evidence["place"]),
        homes=tuple(evidence.get("homes", ())),
        consent=next((c for c in case.consents if c.id == verdict.consent_id and c.id is not None), None),
        pack=verdict.pack_version,
    )


def _first_legal(decision: str, judged_for: datetime, until: datetime | None) -> datetime | None:
    return judged_for if decision == "ALLOW" else until if decision == "HOLD" else None


def _rulings(findings: Sequence[Mapping[str, Any]], channel: str) -> Iterator[Ruling]:
    """Every rule that looks at this channel, in gate order; a rule may have found several things."""
    by_rule: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        by_rule.setdefault(finding["rule"], []).append(finding)
    for gate, rule, asks, channels in RULES:
        found = by_rule.pop(rule, None)
        if found is None and channel in channels:
            yield Ruling(gate=gate, rule=rule, asks=asks, decision="ok", code="", until=None)
        for each in found or ():
            yield _ruling(gate, asks, each)
    for found in by_rule.values():
        yield from (_ruling("", "", each) for each in found)


def _ruling(gate: str, asks: str, finding: Mapping[str, Any]) -> Ruling:
    return Ruling(
        gate=gate,
        rule=finding["rule"],
        asks=asks,
        decision="not asked" if finding["decision"] == "SKIPPED" else finding["decision"],
        code=finding["code"],
        until=finding.get("until"),
    )


def utc(at: datetime | None) -> str:
    """A moment as people read it here."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "no moment"
