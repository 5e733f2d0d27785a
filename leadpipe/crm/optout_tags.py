"""Tags at Follow Up Boss for refusals that nobody of the team can see there: a link, a hard bounce, a complaint.

What lives here: which refusal earns which tag, and whose. What does not: the refusals themselves
(``messaging.suppression``), tags of a reply (``conversation.crm_writes``), the journal (``writeback``).

Refusals that Follow Up Boss told us of (``optouts``) get none. The tag comes back as a change of the person; nothing of
leadpipe acts on tags but catching up after a restore, and a tag is journalled once for a person, so nothing goes round.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from leadpipe.crm.writeback_journal import WriteBack, journal

if TYPE_CHECKING:
    from sqlalchemy import Connection

# By the suppression's source.
TAGS = {
    "one_click": "leadpipe unsubscribed",
    "preference_page": "leadpipe unsubscribed",
    "bounce": "leadpipe bounced",
    "ses_bounce": "leadpipe bounced",
    "complaint": "leadpipe complaint",
    "ses_complaint": "leadpipe complaint",
}
# What a tag of ours says about somebody's addresses, for a ledger that was restored and no longer knows: which kinds of
# address, on which channels. The tags of replies are among them (``conversation.decision``).
REFUSALS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "leadpipe unsubscribed": (("email", "phone"), ("all",)),
    "leadpipe opt-out": (("email", "phone"), ("all",)),
    "leadpipe complaint": (("email", "phone"), ("all",)),
    "leadpipe bounced": (("email",), ("email",)),
    "leadpipe wrong number": (("phone",), ("sms", "whatsapp")),
}
# After what a lead said, before scores.
PRIORITY = 30

_OWNERS = text(
    """
    select distinct coalesce(p.merged_into, p.person_id) as person_id
    from ledger.person_contact_points o join ledger.people p using (person_id)
    where o.contact_point_id = :point and o.detached_at is null and p.deleted_at is null
    order by 1
    """
)


def journal_tag(connection: Connection, *, contact_point_id: int, source: str, now: datetime) -> int:
    """Journal the tag of a refusal for everyone who has the address, in the transaction that stores the refusal.

    Returns:
        How many are new: each person gets each tag once, whatever follows.
    """
    tag = TAGS.get(source)
    if tag is None:
        return 0
    owners = connection.execute(_OWNERS, {"point": contact_point_id}).scalars()
    writes = [
        WriteBack(
            person_id=person_id,
            kind="tags",
            marker=f"refusal:{person_id}:{tag.replace(' ', '_')}",
            payload={"tags": [tag]},
            priority=PRIORITY,
        )
        for person_id in owners
    ]
    return journal(connection, writes, now=now)
