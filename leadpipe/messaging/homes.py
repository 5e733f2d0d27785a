"""The homes that messages speak of, and what was last known of each (C41).

What lives here: which homes a message prints, and the newest look at a home, of two: the one that was frozen with the
message, and the one that the daily reading of the listing service left in the ledger. What does not: looking
(``market``), how old a look may be and what counts as available (the pack's ``listings``).

Both are on hand in the claiming transaction, which reads no lake. A look has its time, so it goes stale by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple, cast

from leadpipe.leads.place_tables import state_code
from leadpipe.policy.case import Listing

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True, slots=True)
class Offered:
    """One home that a message prints, with the look at it that was frozen with the words."""

    listing_key: str
    seen: Listing


class Looks(NamedTuple):
    """The newest looks that the ledger holds, by listing key and by the MLS's own number."""

    by_key: Mapping[str, Listing]
    by_number: Mapping[str, Listing]

    def at(self, home: Offered) -> Listing:
        """The newest look at a home of a message; its state is the one that was frozen, where there is any."""
        seen, later = home.seen, self.by_key.get(home.listing_key)
        if later is None or later.checked_at is None:
            return seen
        if seen.checked_at is not None and seen.checked_at > later.checked_at:
            return seen
        return Listing(status=later.status, checked_at=later.checked_at, state=seen.state or later.state)


NO_LOOKS = Looks({}, {})
_LOOKS: LiteralString = """
    select listing_key, listing_id, status, checked_at, state from ledger.listing_statuses
    where listing_key = any(%(keys)s::text[]) or (listing_id <> '' and listing_id = any(%(numbers)s::text[]))
    """


def offered_in(variables: object) -> tuple[Offered, ...]:
    """The homes among a message's frozen variables; of one without a look nothing is known."""
    given = cast("Mapping[str, Any]", variables).get("listings") if isinstance(variables, Mapping) else None
    if not given or not isinstance(given, list | tuple):
        return ()
    homes = cast("Iterable[Any]", given)
    return tuple(_offered(cast("Mapping[str, Any]", home)) for home in homes if isinstance(home, Mapping))


def _offered(home: Mapping[str, Any]) -> Offered:
    seen = Listing(
        status=str(home.get("status") or ""),
        checked_at=_moment(home.get("checked_at")),
        state=state_code(str(home.get("state") or "")),
    )
    return Offered(listing_key=str(home.get("listing_key") or ""), seen=seen)


def _moment(kept: object) -> datetime | None:
    """A moment as it was frozen; what is none was never looked at, as far as anybody can tell."""
    try:
        at = datetime.fromisoformat(str(kept))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def read_looks(connection: Connection, *, keys: Iterable[str], numbers: Iterable[str]) -> Looks:
    """The ledger's newest looks at these homes.

    Args:
        connection: the transaction that judges.
        keys: listing keys.
        numbers: the MLS's own numbers, as inquiries give them; one that several homes have says nothing of any.
    """
    values = {"keys": sorted({key for key in keys if key}), "numbers": sorted({each for each in numbers if each})}
    if not values["keys"] and not values["numbers"]:
        return NO_LOOKS
    driver = cast("psycopg.Connection[tuple[Any, ...]]", connection.connection.driver_connection)
    by_key: dict[str, Listing] = {}
    by_number: dict[str, Listing] = {}
    shared: set[str] = set()
    for key, number, status, checked_at, state in driver.execute(_LOOKS.encode(), values):
        found = Listing(status=status, checked_at=checked_at, state=state)
        by_key[key] = found
        if number in by_number:
            shared.add(number)
        by_number[number] = found
    return Looks(by_key, {number: found for number, found in by_number.items() if number not in shared})
