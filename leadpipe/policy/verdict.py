"""The one verdict: may this message go to this person, now?

What lives here: the order of the gates, frequency and hours, and what their findings amount to. What does not: each
rule (``contactability``, ``content``, ``hours``), reading the facts from the ledger (``messaging.gate``).

Pure and dated: the same case, pack and settings give the same verdict on any machine at any time. The first finding
that is not ALLOW, in the order of compliance section 0, is the verdict; all findings are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from leadpipe.leads.place import Place, place_of, prefix_of, zone_named
from leadpipe.policy import contactability, content, hours
from leadpipe.policy.case import Case
from leadpipe.policy.pack import Pack, PolicySettings
from leadpipe.policy.standing import Facts, add_months, facts_of

PHONE_CHANNELS = frozenset({"sms", "whatsapp"})
COUNTED_CHANNELS = PHONE_CHANNELS | {"voice", "call"}
STATE_LIMIT = 3
# Codes of what waits for the opening hour.
QUIET_HOURS = frozenset({"quiet_hours", "quiet_hours_unknown_place"})
_DAY = timedelta(hours=24)
_UNJUDGEABLE = "unjudgeable_"
# When to look again at a message that waits for the CRM's opt-outs to be read.
REFUSALS_HOLD = timedelta(seconds=20)


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One rule's own verdict: ``ALLOW`` is not listed, ``SKIPPED`` is (no body to read)."""

    rule: str
    decision: str
    code: str
    until: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """For the ledger and for ``policy check``."""
        return {
            "rule": self.rule,
            "decision": self.decision,
            "code": self.code,
            "until": _iso(self.until),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the rules amount to.

    Attributes:
        decision: ``ALLOW``, ``HOLD``, ``BLOCK`` or ``REVIEW``.
        until: for HOLD the first moment that is legal in every place the person may be in, UTC.
        code: reason of the decision, empty for ALLOW.
        rule: the rule of compliance.md that decided.
        findings: every rule that was not content, in gate order.
        place: where the person may be, with the evidence.
        consent_id: the ledger row that carried the permission, if one did.
        now: the moment judged for.
        pack_version: which rules.
        case: what was judged.
    """

    decision: str
    until: datetime | None
    code: str
    rule: str
    findings: tuple[Finding, ...]
    place: Place
    consent_id: int | None
    consent_level: int
    now: datetime
    pack_version: str
    case: Case

    def evidence(self) -> dict[str, Any]:
        """Place, local times and consent behind the verdict; no contact details."""
        return {
            "place": list(self.place.evidence),
            "countries": list(self.place.countries),
            "candidates": [
                {
                    "zone": candidate.zone,
                    "state": candidate.state,
                    "local_time": self.now.astimezone(zone_named(candidate.zone)).isoformat(timespec="minutes"),
                }
                for candidate in self.place.candidates
            ],
            "consent_id": self.consent_id,
            "consent_level": self.consent_level,
            "pack": self.pack_version,
            **self._looks(),
        }

    def _looks(self) -> dict[str, Any]:
        """The homes that the message offers or speaks of, as they were last seen; nothing where it does neither."""
        homes = [*self.case.offered, *([self.case.listing] if self.case.listing else [])]
        if not homes:
            return {}
        return {"homes": [{"status": home.status, "checked_at": _iso(home.checked_at)} for home in homes]}


def judge(case: Case, *, pack: Pack, settings: PolicySettings) -> Verdict:
    """Judge one case.

    Args:
        case: the message, the person and the moment.
        pack: the rules in force on the day of ``case.now``.
        settings: what of the team's settings rules depend on.
    """
    contact = case.contact
    place = place_of(contact.zip, contact.state, contact.country, prefix_of(contact.phone), contact.city)
    facts = facts_of(case, place, pack, settings)
    findings = [
        Finding(rule=rule, decision=decision, code=code) for decision, code, rule in _gates(case, facts, pack, settings)
    ]
    if case.body is None:
        findings += [Finding(rule=rule, decision="SKIPPED", code="no_body") for rule in content.RULES]
    findings += _timed(case, place, pack, settings)
    return _amount(case, findings, facts, pack)


def judge_many(cases: Sequence[Case], *, pack: Pack, settings: PolicySettings) -> list[Verdict]:
    """Judge many cases, each as ``judge`` would."""
    return [judge(case, pack=pack, settings=settings) for case in cases]


def is_unjudgeable(verdict: Verdict) -> bool:
    """Whether the rules could not read the case: a fault of ours, as opposed to any verdict they gave."""
    return verdict.code.startswith(_UNJUDGEABLE)


def unjudgeable(case: Case, pack: Pack, error: str) -> Verdict:
    """The verdict on a case that the rules cannot read: blocked, since a failure is no permission (C45)."""
    return Verdict(
        decision="BLOCK",
        until=None,
        code=f"{_UNJUDGEABLE}{error}",
        rule="C45",
        findings=(Finding(rule="C45", decision="BLOCK", code=f"{_UNJUDGEABLE}{error}"),),
        place=place_of("", "", "", ""),
        consent_id=None,
        consent_level=0,
        now=case.now,
        pack_version=pack.version,
        case=case,
    )


def _gates(case: Case, facts: Facts, pack: Pack, settings: PolicySettings) -> Iterable[tuple[str, str, str]]:
    yield from contactability.identity(case)
    yield from contactability.revocation(case, facts, pack)
    yield from contactability.consent(case, facts, pack)
    yield from contactability.registry(case, facts, pack)
    yield from contactability.reassigned(case, facts, pack)
    yield from contactability.emergency(case, facts, settings)
    yield from contactability.channel(case, facts, pack, settings)
    if case.body is not None:
        yield from content.lint(case, facts, pack, settings)


def _timed(case: Case, place: Place, pack: Pack, settings: PolicySettings) -> list[Finding]:
    """Frequency, then hours: each with the moment from which it would be content."""
    if case.purpose == "optout_confirmation":
        return []
    found: list[Finding] = []
    if not _are_refusals_fresh(case, pack):
        found.append(Finding(rule="C45", decision="HOLD", code="refusals_not_read", until=case.now + REFUSALS_HOLD))
    free_at = _asked_for_less(case)
    if free_at is not None and free_at - case.now > timedelta(days=pack.fewer_email_wait_days):
        # Held for weeks it would be old, and the wish is for fewer, not for later.
        found.append(Finding(rule="C15", decision="BLOCK", code="fewer_emails"))
    elif free_at is not None:
        found.append(Finding(rule="C15", decision="HOLD", code="fewer_emails", until=free_at))
    free_at = _free_at(case, place, pack)
    if free_at is not None:
        opens = _open_at(case, place, free_at, pack, settings)
        found.append(Finding(rule="C15", decision="HOLD", code="frequency", until=opens))
    opens = _open_at(case, place, case.now, pack, settings)
    if opens is None or opens > case.now:
        rule = hours.rule_of(place.candidates, place.country, case.now, pack)
        code = "quiet_hours" if place.is_known else "quiet_hours_unknown_place"
        if opens is None:
            found.append(Finding(rule=rule, decision="BLOCK", code="never_open"))
        else:
            found.append(Finding(rule=rule, decision="HOLD", code=code, until=opens))
    return found


def _are_refusals_fresh(case: Case, pack: Pack) -> bool:
    """The CRM's opt-outs were read lately; an answer by email to a request just made does not wait for them (C45)."""
    if case.refusals_read_at is None or (case.channel == "email" and case.purpose == "inquiry_response"):
        return True
    return case.now - case.refusals_read_at <= timedelta(minutes=pack.refusals_minutes)


def _open_at(case: Case, place: Place, at: datetime, pack: Pack, settings: PolicySettings) -> datetime | None:
    if case.channel == "email" or (_is_in_conversation(case, at, pack) and not _holds_offer(case, settings)):
        return at
    return hours.first_open(place.candidates, place.country, at, pack)


def _is_in_conversation(case: Case, at: datetime, pack: Pack) -> bool:
    """A reply to someone who texted within the last half hour (C14)."""
    if case.purpose != "conversation":
        return False
    since = at - timedelta(minutes=pack.conversation_minutes)
    return any(i.direction == "in" and i.channel in PHONE_CHANNELS and i.at > since for i in case.history)


def _holds_offer(case: Case, settings: PolicySettings) -> bool:
    return case.body is not None and any(offer in case.body for offer in settings.approved_offers)


def _free_at(case: Case, place: Place, pack: Pack) -> datetime | None:
    """When the caps of C15 next leave room; None when they do now."""
    if not case.history:
        return None
    sent = [item for item in case.history if item.direction == "out" and item.at <= case.now]
    free: list[datetime] = []
    for cap in pack.caps:
        if cap.channel == case.channel and cap.purpose == case.purpose:
            ats = [i.at for i in sent if i.channel == cap.channel and i.purpose == cap.purpose]
            free += _room_at(ats, cap.count, timedelta(hours=cap.hours), case.now)
    if case.channel in PHONE_CHANNELS and _is_capped_by_state(case, place, pack):
        # Every call and text counts, whoever made it and whatever it was about.
        ats = [item.at for item in sent if item.channel in COUNTED_CHANNELS]
        free += _room_at(ats, STATE_LIMIT, _DAY, case.now)
    return max(free, default=None)


def _asked_for_less(case: Case) -> datetime | None:
    """When somebody who asked for fewer emails may get the next one of marketing; None when that is now."""
    if case.email_gap_days is None or case.channel != "email" or case.purpose != "marketing":
        return None
    gap = timedelta(days=case.email_gap_days)
    ats = [
        item.at
        for item in case.history
        if item.direction == "out" and item.channel == "email" and item.purpose == "marketing" and item.at <= case.now
    ]
    return max(_room_at(ats, 1, gap, case.now), default=None)


def _is_capped_by_state(case: Case, place: Place, pack: Pack) -> bool:
    capped = [state for state in place.states if state in pack.states_3_per_24h]
    bought = case.relationship.transaction_at
    is_client = bought is not None and case.now < add_months(bought, pack.dnc_transaction_months)
    if is_client or _is_in_conversation(case, case.now, pack):
        capped = [state for state in capped if state not in pack.states_exempting_replies]
    return bool(capped)


def _room_at(ats: list[datetime], count: int, window: timedelta, now: datetime) -> list[datetime]:
    """The moment at which fewer than ``count`` of ``ats`` lie within the window, if that is not now."""
    recent = sorted(at for at in ats if at > now - window)
    return [recent[-count] + window] if len(recent) >= count else []


def _amount(case: Case, findings: list[Finding], facts: Facts, pack: Pack) -> Verdict:
    first = next((finding for finding in findings if finding.decision != "SKIPPED"), None)
    until = None
    if first is not None and first.decision == "HOLD":
        holds = [finding.until for finding in findings if finding.decision == "HOLD" and finding.until]
        until = max(holds, default=None)
        if until is None:
            first = Finding(rule=first.rule, decision="BLOCK", code="never_open")
    return Verdict(
        decision=first.decision if first else "ALLOW",
        until=until,
        code=first.code if first else "",
        rule=first.rule if first else "",
        findings=tuple(findings),
        place=facts.place,
        consent_id=facts.consent.id if facts.consent else None,
        consent_level=facts.level,
        now=case.now,
        pack_version=pack.version,
        case=case,
    )
