"""One person's inner life, and the truth of what they did.

What lives here: the record behind ``GET /_truth/leads``. What does not: behaviour (``answers``, ``crowd``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from leadpipe.sandbox.state import iso

Row = dict[str, Any]


@dataclass(kw_only=True, slots=True)
class Lead:
    """One person.

    Attributes:
        serial: counts the people of this sandbox; with the seed it decides everything the person will ever do.
        is_new: arrived while the sandbox ran; the others were there from the start.
        is_contactable: has an address that a first touch may use at once, and no agent got there first (by a call, a
            text, a mail, a note, or a stage that ends every plan).
        count_received: messages that reached them.
    """

    person_id: int
    serial: int
    created_at: datetime
    created_wall_at: datetime
    is_new: bool
    emails: list[str]
    phones: list[str]
    name: str = ""
    speaks_spanish: bool = False
    is_contactable: bool = True
    state: str = "new"
    count_received: int = 0
    inquired_again_at: datetime | None = None
    opted_out_at: datetime | None = None
    opted_out_wall_at: datetime | None = None
    opted_out: list[Row] = field(default_factory=list[Row])
    replies: list[Row] = field(default_factory=list[Row])

    def said(self, channel: str, intent: str, words: str, *, sender: str, at: datetime) -> Row:
        """Note a reply; ``is_taken`` turns true when leadpipe has it."""
        row = {"channel": channel, "intent": intent, "body": words, "from": sender, "at": iso(at), "is_taken": False}
        self.replies.append(row)
        if self.state != "opted_out":
            self.state = "replied"
        return row

    def opts_out(self, channel: str, words: str, *, at: datetime, wall_at: datetime) -> None:
        """Note a refusal that leadpipe has been told of."""
        self.opted_out_at = self.opted_out_at or at
        self.opted_out_wall_at = self.opted_out_wall_at or wall_at
        self.opted_out.append({"channel": channel, "words": words, "at": iso(at), "wall_at": iso(wall_at)})
        self.state = "opted_out"

    def truth(self) -> Row:
        """The row of ``GET /_truth/leads``."""
        return {
            "person_id": self.person_id,
            "created_at": iso(self.created_at),
            "created_wall_at": iso(self.created_wall_at),
            "is_new": self.is_new,
            "state": self.state,
            "contactable": self.is_contactable,
            "phones": self.phones,
            "emails": self.emails,
            "inquired_again_at": iso(self.inquired_again_at) if self.inquired_again_at else None,
            "opted_out_at": iso(self.opted_out_at) if self.opted_out_at else None,
            "opted_out_wall_at": iso(self.opted_out_wall_at) if self.opted_out_wall_at else None,
            "opted_out": self.opted_out,
            "replies": self.replies,
        }
