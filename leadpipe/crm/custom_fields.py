"""The custom fields that leadpipe writes at Follow Up Boss: which ones, and whether the account has them.

What lives here: their definitions and the comparison with the account's. What does not: their values (``scoring``),
the fields a team fills in itself (consent, language: ``mapping``).

A person's body with a key that no field defines is refused whole (FUB sheet 4.6), so the fields must be there before
the first score is written. The account makes a field's name of its label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from leadpipe.crm.client import FubClient

SCORE_FIELD = "customLeadpipeScore"
REASON_FIELD = "customLeadpipeReason"
PRIORITY_FIELD = "customLeadpipePriority"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A field as leadpipe needs it."""

    name: str
    label: str
    type: str


DEFINITIONS = (
    Definition(name=SCORE_FIELD, label="Leadpipe Score", type="number"),
    Definition(name=REASON_FIELD, label="Leadpipe Reason", type="text"),
    Definition(name=PRIORITY_FIELD, label="Leadpipe Priority", type="text"),
)
WHERE = "in Follow Up Boss under Admin > Custom Fields"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field as the account has it.

    ``state`` is ``present``, ``missing``, ``other_type`` (the name is taken by a field of another type) or
    ``read_only``.
    """

    name: str
    state: str
    field_id: int | None = None

    @property
    def is_right(self) -> bool:
        """Whether leadpipe can write it."""
        return self.state == "present"


def status(crm: FubClient) -> list[Field]:
    """One line per field we write; names are compared as the account does, by case.

    Raises:
        ConfigurationError: this key may not see the definitions.
    """
    rows = {str(row.get("name")): row for page in crm.pages("customFields") for row in page}
    return [_state(definition, rows.get(definition.name)) for definition in DEFINITIONS]


def _state(definition: Definition, row: dict[str, Any] | None) -> Field:
    if row is None:
        return Field(name=definition.name, state="missing")
    state = "present"
    if row.get("type") != definition.type:
        state = "other_type"
    elif row.get("readOnly"):
        state = "read_only"
    return Field(name=definition.name, state=state, field_id=int(row["id"]))


def install(crm: FubClient) -> list[Field]:
    """Create the fields that are missing and touch no other; running it twice changes nothing.

    Raises:
        ConfigurationError: the account gave a new field another name than we write to.
    """
    missing = {field.name for field in status(crm) if field.state == "missing"}
    for wanted in DEFINITIONS:
        if wanted.name not in missing:
            continue
        made = crm.post("customFields", {"label": wanted.label, "type": wanted.type, "hideIfEmpty": True})
        if made.get("name") != wanted.name:
            raise ConfigurationError(
                f"Follow Up Boss named the new field '{wanted.label}' {made.get('name')}, and leadpipe writes "
                f"{wanted.name}; delete it and the field that holds that name {WHERE}, then run it again"
            )
    return status(crm)


def named_in(words: str) -> tuple[str, ...]:
    """Our fields that a refusal of the account names (``Invalid fields in the request body: a, b.``)."""
    names = {word.strip(" .") for word in words.rpartition("request body:")[2].split(",")}
    return tuple(definition.name for definition in DEFINITIONS if definition.name in names)


def advice(fields: Iterable[Field]) -> str:
    """How to put right what is not; empty when all is."""
    states = {field.state for field in fields}
    if states & {"other_type", "read_only"}:
        return f"delete or rename the field {WHERE}, then run `leadpipe webhooks install`"
    return "run `leadpipe webhooks install`" if "missing" in states else ""
