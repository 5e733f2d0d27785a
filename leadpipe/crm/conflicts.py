"""Whose word counts when Follow Up Boss and leadpipe say different things of one field: the rule, as data.

What lives here: one rule for each field that either side writes. What does not: carrying a rule out: reads follow
``people``, writes ask ``may_write`` (``writeback``), the nightly audit asks ``winner_of`` (``written``). The table in
``docs/follow-up-boss.md`` is printed from here (a test compares).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leadpipe.crm.custom_fields import PRIORITY_FIELD, REASON_FIELD, SCORE_FIELD


class Winner(StrEnum):
    """Who wins a conflict over a field."""

    CRM = "Follow Up Boss"
    """leadpipe reads and never writes."""
    ONCE = "the later of the two"
    """leadpipe writes once; what the team makes of it afterwards stands and is not written again."""
    LEADPIPE = "leadpipe"
    """leadpipe's value is written again when somebody changed it."""
    STRICTER = "the stricter"
    """Kept in the ledger; either side may forbid, neither may lift what the other forbade."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: the fields as the API names them, who wins, and what that means."""

    what: str
    fields: tuple[str, ...]
    winner: Winner
    says: str


RULES = (
    Rule(
        what="Name, addresses, price, type, background, timeframe, relationships",
        fields=("firstName", "lastName", "addresses", "price", "type", "background", "timeframeId"),
        winner=Winner.CRM,
        says="Read at every change; leadpipe never writes them.",
    ),
    Rule(
        what="Emails and phones",
        fields=("emails", "phones"),
        winner=Winner.CRM,
        says="An address that left the CRM is detached and comes back with it. A number that its owner called wrong "
        "stays detached, whatever the CRM says.",
    ),
    Rule(
        what="Agent, pond, lender, collaborators",
        fields=(
            "assignedUserId", "assignedTo", "assignedPondId", "assignedLenderId", "assignedLenderName", "collaborators",
        ),
        winner=Winner.CRM,
        says="leadpipe never reassigns a lead.",
    ),
    Rule(
        what="Source, creation, contacted",
        fields=("source", "sourceUrl", "createdAt", "contacted"),
        winner=Winner.CRM,
        says="leadpipe never writes them.",
    ),
    Rule(
        what="Stage",
        fields=("stage",),
        winner=Winner.ONCE,
        says="leadpipe moves a lead that is not interested, unless the team moved them after the decision; a later "
        "move of the team stands. Stop stages end plans at once.",
    ),
    Rule(
        what="Tags",
        fields=("tags",),
        winner=Winner.ONCE,
        says="leadpipe adds its own tags beside the team's, once a person and reason. A tag that the team takes away "
        "is not written again, and the refusal behind it stands.",
    ),
    Rule(
        what="Score, reason, priority",
        fields=(SCORE_FIELD, REASON_FIELD, PRIORITY_FIELD),
        winner=Winner.LEADPIPE,
        says="What somebody typed over is written again by the night's audit, three times in a week at most; then it "
        "is listed.",
    ),
    Rule(
        what="Consent fields",
        fields=(
            "customConsentSms", "customConsentText", "customConsentAt", "customConsentIp", "customWhatsAppOptIn",
        ),
        winner=Winner.STRICTER,
        says="Read as proofs and kept. A refusal in the ledger outweighs every field; an emptied field takes no proof "
        "away, an opt-out does.",
    ),
    Rule(
        what="Other custom fields",
        fields=("custom…",),
        winner=Winner.CRM,
        says="The team's own; leadpipe never writes them.",
    ),
    Rule(
        what="Notes and tasks of leadpipe",
        fields=("notes", "tasks"),
        winner=Winner.ONCE,
        says="Written once, looked up before a second try. What the team edits, completes or deletes stands.",
    ),
    Rule(
        what="Opt-outs, bounces, complaints",
        fields=("emEvents",),
        winner=Winner.STRICTER,
        says="Kept in the ledger from either side; nothing in the CRM lifts one.",
    ),
)  # fmt: skip
_RULES = {name: rule for rule in RULES for name in rule.fields}


def rule_of(field: str) -> Rule:
    """The rule of a field.

    Raises:
        KeyError: no rule speaks of it.
    """
    if field in _RULES:
        return _RULES[field]
    if field.startswith("custom"):
        return _RULES["custom…"]
    raise KeyError(field)


def winner_of(field: str) -> Winner:
    """Who wins over a field; the CRM where no rule speaks of it, so nothing unheard-of is ever written."""
    try:
        return rule_of(field).winner
    except KeyError:
        return Winner.CRM


def may_write(field: str) -> bool:
    """Whether leadpipe may write this field of a person at all."""
    return winner_of(field) in {Winner.ONCE, Winner.LEADPIPE}


def as_table() -> list[str]:
    """The rules as lines of a Markdown table."""
    head = ["| Field | Who wins | What that means |", "| --- | --- | --- |"]
    return [*head, *(f"| {rule.what} | {rule.winner} | {rule.says} |" for rule in RULES)]


if __name__ == "__main__":
    print("\n".join(as_table()))  # noqa: T201 - the table for the docs
