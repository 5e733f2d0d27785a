"""From a due step to an intent with its words.

What lives here: rendering one step for one person. What does not: whether the step is due (``walk``), storing the
intent (``messaging.enqueue``).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from leadpipe.messaging.intent import Intent
from leadpipe.outreach.templates import render

if TYPE_CHECKING:
    from leadpipe.outreach.facts import Known
    from leadpipe.outreach.plan import Plan, SendStep

# First touch goes before everything, a conversation's company before campaigns; within a campaign the better band.
FIRST_TOUCH_PRIORITY = 0
PLAN_PRIORITY = {"new_lead": 20, "nurture": 15, "property_alert": 50}
BAND_PRIORITY = {"high": 60, "medium": 65, "low": 70}
DEFAULT_PRIORITY = 75


def intent_for(
    known: Known,
    plan: Plan,
    step: SendStep,
    *,
    occurrence: int,
    enrolment_id: int,
    variables: dict[str, Any],
    due_at: datetime,
    expires_at: datetime | None = None,
    priority: int | None = None,
    score_pct: float | None = None,
    evidence: dict[str, Any] | None = None,
) -> Intent | None:
    """The intent of one step, or None when the step's channel has no address for this person.

    Without ``expires_at`` it goes stale by the setting, counted from its due time or from the end of a hold.

    Raises:
        ConfigurationError: the template needs a variable that is not there.
    """
    contact_point_id = known.contact_point(step.channel, step.purpose)
    if contact_point_id is None:
        return None
    rendered = render(step.template, variables)
    return Intent(
        id=str(uuid4()),
        person_id=known.row.person_id,
        contact_point_id=contact_point_id,
        enrolment_id=enrolment_id,
        plan=plan.name,
        plan_version=plan.version,
        step=step.id,
        occurrence=occurrence,
        channel=step.channel,
        purpose=step.purpose,
        template=step.template,
        template_version=rendered.template_version,
        subject=rendered.subject,
        body=rendered.text,
        variables=rendered.frozen(variables),
        score_pct=score_pct,
        priority=PLAN_PRIORITY.get(plan.name, DEFAULT_PRIORITY) if priority is None else priority,
        is_model_written=False,
        needs_review=False,
        due_at=due_at,
        expires_at=expires_at,
        evidence={"facts": sorted(known.facts), **(evidence or {})},
        inputs=(plan.as_input(), rendered.source),
    )
