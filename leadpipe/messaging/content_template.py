"""The approved WhatsApp template: the one form in which we may write outside the 24-hour window (C30).

What lives here: its words and what makes a message sendable as it. What does not: which values a template gives it
(``outreach.templates``), the call (``channels.whatsapp``), whether the account's own is approved (``leadpipe doctor``).

The provider stores the words and we send only values, so a message goes as the template only where words and values
together are the very body that was judged and recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

# To be submitted to Meta as it stands (docs/follow-up-boss.md); other words need another name and a new approval.
APPROVED = {
    "lead_followup_v1": (
        "Hi {{1}}, this is the {{2}} for {{3}}, {{4}}, about your home inquiry. {{5}} Reply STOP to opt out."
    )
}
THE_ONE = "lead_followup_v1"  # LEADPIPE_WHATSAPP_TEMPLATE_SID names one template of the account
# Where an intent's variables hold the template's values: {"1": ..., "2": ...} as WhatsApp numbers them.
CONTENT_VARIABLES = "content_variables"
_PLACE = re.compile(r"\{\{(\d+)\}\}")


def count_values(name: str) -> int:
    """How many values the approved template takes."""
    return len(set(_PLACE.findall(APPROVED[name])))


def numbered(values: Sequence[str]) -> dict[str, str]:
    """The values by their numbers."""
    return {str(number): value for number, value in enumerate(values, start=1)}


def filled(name: str, values: Mapping[str, str]) -> str:
    """The words as the provider renders them."""
    return substituted(APPROVED[name], values)


def substituted(words: str, values: Mapping[str, str]) -> str:
    """Words with ``{{1}}`` in them, their values in place."""
    return _PLACE.sub(lambda found: values[found[1]], words)


def values_for(variables: object, body: str) -> dict[str, str] | None:
    """The values with which the approved template says exactly ``body``; None when it cannot.

    Args:
        variables: an intent's variables, as stored.
        body: the words that were judged and recorded.
    """
    given = cast("Mapping[str, Any]", variables).get(CONTENT_VARIABLES) if isinstance(variables, Mapping) else None
    if not isinstance(given, Mapping):
        return None
    values = {str(number): str(value) for number, value in cast("Mapping[Any, Any]", given).items()}
    # Twilio refuses an empty value and one with line breaks (21656).
    is_whole = values.keys() == numbered([""] * count_values(THE_ONE)).keys() and all(
        value and value == " ".join(value.split()) for value in values.values()
    )
    return values if is_whole and filled(THE_ONE, values) == body else None
