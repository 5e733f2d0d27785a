"""One intended message, as a planner hands it to the ledger.

What lives here: the shape of an intent. What does not: how it was decided (``outreach``) or whether it may go
(``gate``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadpipe.store.inputs import Input


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """One message to one contact point. Grain: one per (person, plan, step, occurrence).

    Attributes:
        id: the message id, a uuid as text; it travels to the provider and back.
        body: the words: the text part of an email, or the whole SMS. They are stored and sent as they stand.
        variables: values of the template, frozen into the evidence.
        evidence: frozen inputs of the decision: feature row, model version, snapshot id ...
        inputs: the texts it was made from (plan, template), kept once each with the message.
        needs_review: a person must release it first (text written by a model, unless the plan says otherwise).
        priority: 0 goes first.
        expires_at: after this it is stale whatever else holds; None leaves it to the setting.
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
    template: str = ""
    template_version: str = ""
    subject: str = ""
    body: str
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    score_pct: float | None = None
    priority: int = 50
    is_model_written: bool = False
    needs_review: bool = False
    due_at: datetime
    expires_at: datetime | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: tuple[Input, ...] = ()
