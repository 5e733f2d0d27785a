"""The consents held of one person, and what each is worth now.

What lives here: reading them for a person to look at. What does not: bringing them in (``importing``, ``crm.people``),
judging a message (``policy``). The words of a proof are not shown, only which parts of it there are: `leadpipe person
export` has them whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.errors import Rejected
from leadpipe.messaging import suppression
from leadpipe.messaging.cases import read_consents
from leadpipe.messaging.gate import policy_of
from leadpipe.policy.case import LEVELS
from leadpipe.policy.pack_file import load_pack
from leadpipe.policy.standing import is_over, reaches, worth_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from leadpipe.settings import Settings

_PEOPLE = text(
    """
    with one as (select coalesce(merged_into, person_id) as id from ledger.people where person_id = :person)
    select person_id from ledger.people, one where person_id = one.id or merged_into = one.id order by 1
    """
)
_ROWS = text(
    """
    select c.id, c.person_id, c.contact_point_id, c.recorded_at, array(select jsonb_object_keys(c.evidence)) as proof,
      case when p.kind = 'phone' then p.address end as phone
    from ledger.consents c left join ledger.contact_points p on p.id = c.contact_point_id
    where c.person_id = any(:people) order by c.at, c.id
    """
)
_WORDS = {level: name for name, level in LEVELS.items()}


@dataclass(frozen=True, kw_only=True)
class Held:
    """One consent.

    Attributes:
        worth: the level a verdict gives it today, before any refusal; ``none`` when it is over.
        proof: which parts of a proof there are.
        refused_at: when a refusal of its address came after it; None: none did.
    """

    id: int
    person_id: int
    contact_point_id: int | None
    channel: str
    level: str
    worth: str
    scope: str
    seller: str
    source: str
    at: datetime
    expires_at: datetime | None
    recorded_at: datetime
    proof: tuple[str, ...]
    refused_at: datetime | None


def held(connection: Connection, person_id: int, *, settings: Settings, now: datetime) -> list[Held]:
    """The person's consents, merged records' too, the oldest first.

    Raises:
        Rejected: the ledger does not know the person.
    """
    people = list(connection.execute(_PEOPLE, {"person": person_id}).scalars())
    if not people:
        raise Rejected(f"the ledger knows no person {person_id}; take the id from Follow Up Boss")
    rows = connection.execute(_ROWS, {"people": people}).all()
    consents = read_consents(connection, [row.id for row in rows])
    refusals = suppression.active(connection, [row.contact_point_id for row in rows if row.contact_point_id])
    policy, pack = policy_of(settings, now.date()), load_pack(now.date())
    found: list[Held] = []
    for row in rows:
        consent = consents[row.id]
        worth = worth_of(consent, policy, row.phone)
        against = [
            refusal.at
            for channel, refusal in refusals.get(row.contact_point_id, {}).items()
            if refusal.at >= consent.at and reaches(consent, channel)
        ]
        found.append(
            Held(
                id=row.id,
                person_id=row.person_id,
                contact_point_id=row.contact_point_id,
                channel=consent.channel,
                level=consent.level,
                worth=_WORDS[0 if is_over(consent, worth, now, pack) else worth],
                scope=consent.scope,
                seller=consent.seller,
                source=consent.source,
                at=consent.at,
                expires_at=consent.expires_at,
                recorded_at=row.recorded_at,
                proof=tuple(sorted(row.proof)),
                refused_at=max(against, default=None),
            )
        )
    return found
