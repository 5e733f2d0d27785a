"""The names of Follow Up Boss's notifications.

What lives here: every name the CRM documents (FUB sheet 6.2), so that one that is none is noticed. What does not: which
we subscribe to (``webhooks``), what each asks for (``intake``).
"""

from __future__ import annotations

_WITH_EVERY_CHANGE = (
    "notes", "emails", "tasks", "appointments", "textMessages", "calls", "deals", "stage", "pipeline",
    "pipelineStage", "customFields", "dealCustomFields",
    "peopleRelationship", "threadedReply",
)  # fmt: skip
DOCUMENTED = frozenset(
    (
        "peopleCreated", "peopleUpdated", "peopleDeleted", "peopleTagsCreated", "peopleStageUpdated", "eventsCreated",
        "emEventsOpened", "emEventsClicked", "emEventsUnsubscribed", "reactionCreated", "reactionDeleted",
        *(name + change for name in _WITH_EVERY_CHANGE for change in ("Created", "Updated", "Deleted")),
    )
)  # fmt: skip
