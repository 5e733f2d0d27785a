"""One message that a plan wants to send: the only thing that crosses from outreach to messaging.

What lives here: the fields of an intent. What does not: whether it may go (``policy``), its life after it is stored
(``enqueue``, ``drain``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """Who is to get which words, when, by which channel and why.

    (contact point, plan, step, occurrence) and (person, plan, step, occurrence) are unique in the ledger: the same
    intent made twice is stored once (design section 5).

    Attributes:
        id: uuid of the message to be; it travels to the provider.
        enrolment_id: the passage through the plan, None for a conversation turn.
        body: the words: the text part of an email, or the SMS. An email holds ``outreach.templates.UNSUBSCRIBE_MARK``
            where its own unsubscribe link goes.
        variables: what the template was rendered with; the HTML part is rendered from it when the message leaves.
        score_pct: the lead's score, 0-100, if known.
        priority: 0 goes first.
        is_model_written: a model wrote words of it.
        needs_review: a person must release it.
        due_at: not before this time.
        expires_at: not after this time.
        evidence: further inputs to freeze beside the words (feature row, listing ids, sources).
    """

    id: str
    person_id: int
    contact_point_id: int
    enrolment_id: int | None
    plan: str
    plan_version: str
    step: str
    occurrence: int
    channel: str
    purpose: str
    template: str
    template_version: str
    subject: str
    body: str
    variables: dict[str, Any]
    score_pct: float | None
    priority: int
    is_model_written: bool
    needs_review: bool
    due_at: datetime
    expires_at: datetime | None
    evidence: dict[str, Any] = field(default_factory=dict[str, Any])
