"""A kept case judged once more, under rules and settings of the caller's choice.

What lives here: what may be gone of a kept case, the case again, its verdict. What does not: reading what was kept
(``record``, ``policy_diff``), comparing (``replay``, ``policy_diff``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from leadpipe.policy.frozen import consent_ids, thawed
from leadpipe.policy.pack import PolicySettings
from leadpipe.policy.verdict import Verdict, judge, unjudgeable

if TYPE_CHECKING:
    from leadpipe.policy.case import Case, Consent
    from leadpipe.policy.pack import Pack

Frozen = Mapping[str, Any]


def address_of(kind: str | None, address: str | None) -> str:
    """A contact point's address; empty when it was erased."""
    is_there = "@" in (address or "") if kind == "email" else (address or "").startswith("+")
    return address if is_there and address else ""


class Gone(NamedTuple):
    """A part of a kept case that is no longer there: the kind of loss, and which row."""

    what: str
    which: str = ""

    def words(self) -> str:
        """For a person who asks about one message."""
        return f"{self.what} ({self.which})" if self.which else self.what


def gone(kept: Frozen | None, address: str, contact_point_id: int, consents: Mapping[int, Consent]) -> Iterator[Gone]:
    """What of a kept case is no longer there; nothing when it can be judged again."""
    if not kept:
        yield Gone("what was known about the person was erased, or nobody kept it")
        return
    if not address:
        yield Gone("the address was erased", f"contact point {contact_point_id}")
    missing = [str(number) for number in consent_ids(kept) if number not in consents]
    if missing:
        yield Gone("a consent was erased", ", ".join(missing))


def case_again(
    kept: Frozen, message: Any, *, address: str, consents: Mapping[int, Consent], words: tuple[str, str]
) -> Case:
    """The case of a message, from its kept form and these words (subject, body).

    Args:
        kept: what ``policy.frozen`` made.
        message: with ``id``, ``channel`` and ``purpose``.
        address: the contact point's own.
        consents: the rows the kept form names.
        words: subject and body to judge.
    """
    return thawed(
        kept,
        message_id=message.id,
        channel=message.channel,
        purpose=message.purpose,
        address=address,
        consents=consents,
        subject=words[0] or None,
        body=words[1],
    )


def judged_under(case: Case, pack: Pack, settings: PolicySettings) -> Verdict:
    """The verdict, as the gate gives it: what no rule can read is blocked (C45)."""
    try:
        return judge(case, pack=pack, settings=settings)
    except Exception as error:  # noqa: BLE001 - as the gate does
        return unjudgeable(case, pack, type(error).__name__)


@lru_cache(maxsize=64)
def settings_of(text: str) -> PolicySettings:
    """Kept settings again; messages of one day share their text."""
    return PolicySettings.from_json(text)
