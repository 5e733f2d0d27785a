"""One MLS listing as leadpipe may keep and show it.

What lives here: which fields are kept, what the display switches hide, the attribution. What does not: asking for
listings (``bridge``), storing versions (``listings``). Facts: zillow sheet sections 2.3 and 3.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from leadpipe.errors import BadRecord

Row = dict[str, Any]

# Everything that is asked for and kept. An allow-list, since an MLS adds fields without notice: private remarks, lock
# boxes, occupants, commissions and automated estimates are never on it.
KEPT = (
    "ListingKey", "ListingId", "OriginatingSystemName", "FeedTypes", "StandardStatus", "MlsStatus", "OnMarketDate",
    "StatusChangeTimestamp", "PriceChangeTimestamp", "ModificationTimestamp", "BridgeModificationTimestamp",
    "ListPrice", "OriginalListPrice", "BedroomsTotal", "BathroomsTotalInteger", "LivingArea", "LivingAreaUnits",
    "LotSizeSquareFeet", "YearBuilt", "PropertyType", "PropertySubType", "UnparsedAddress", "City", "StateOrProvince",
    "PostalCode", "ListOfficeName", "ListAgentFullName", "AttributionContact", "Disclaimer", "CopyrightNotice",
    "ListingURL", "InternetEntireListingDisplayYN", "InternetAddressDisplayYN",
)  # fmt: skip
# What gives a hidden address away.
_ADDRESS = ("UnparsedAddress", "ListingURL")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One listing version, already without what its switches hide.

    Attributes:
        address: street address; empty where the owner hides it.
        is_displayable: whether a consumer may see it at all.
        payload: the kept fields as they came, as JSON with sorted keys.
    """

    listing_key: str
    listing_id: str
    dataset: str
    status: str
    property_type: str
    property_sub_type: str
    price_usd: float
    beds: int | None
    baths: int | None
    living_area_sqft: float | None
    address: str
    city: str
    state: str
    zip: str
    url: str
    attribution: str
    disclaimer: str
    feed_types: tuple[str, ...]
    is_displayable: bool
    is_address_shown: bool
    listed_on: date | None
    source_modified_at: datetime | None
    payload: str

    @property
    def is_active(self) -> bool:
        """Whether it is for sale now."""
        return self.status == "Active"

    @property
    def content_hash(self) -> str:
        """Equal for equal content."""
        return hashlib.sha256(self.payload.encode()).hexdigest()[:32]

    def as_recommendation(self, checked_at: datetime) -> Row:
        """The listing as ``outreach.variables.listing_variables`` reads it, looked at in that moment."""
        return {
            "address": self.address or (f"Home in {self.city or self.zip}" if self.city or self.zip else ""),
            "price_usd": self.price_usd,
            "beds": self.beds,
            "baths": self.baths,
            "url": self.url,
            "attribution": self.attribution,
            "listing_key": self.listing_key,
            "state": self.state,
            "status": self.status,
            "checked_at": checked_at,
        }


def read_listing(row: Row, *, dataset: str) -> Listing:
    """A listing of the wire.

    Raises:
        BadRecord: no key or no price; any other field may be missing.
    """
    key = str(row.get("ListingKey") or "")
    price = _number(row.get("ListPrice"))
    if not key:
        raise BadRecord("a listing without ListingKey")
    if price is None or price <= 0:
        raise BadRecord(f"listing {key} has no ListPrice")
    # Only an explicit false hides: the switches are optional fields like all others.
    is_address_shown = row.get("InternetAddressDisplayYN") is not False
    kept = {name: row[name] for name in KEPT if row.get(name) is not None}
    if not is_address_shown:
        kept = {name: value for name, value in kept.items() if name not in _ADDRESS}
    modified = _time(row.get("BridgeModificationTimestamp") or row.get("ModificationTimestamp"))
    return Listing(
        listing_key=key,
        listing_id=_text(kept, "ListingId"),
        dataset=dataset,
        status=_text(kept, "StandardStatus"),
        property_type=_text(kept, "PropertyType"),
        property_sub_type=_text(kept, "PropertySubType"),
        price_usd=price,
        beds=_whole(row.get("BedroomsTotal")),
        baths=_whole(row.get("BathroomsTotalInteger")),
        living_area_sqft=_number(row.get("LivingArea")),
        address=_text(kept, "UnparsedAddress"),
        city=_text(kept, "City"),
        state=_text(kept, "StateOrProvince"),
        zip=_text(kept, "PostalCode")[:5],
        url=_text(kept, "ListingURL"),
        attribution=_attribution(kept),
        disclaimer=_text(kept, "Disclaimer"),
        feed_types=tuple(str(kind) for kind in row.get("FeedTypes") or ()),
        is_displayable=row.get("InternetEntireListingDisplayYN") is not False,
        is_address_shown=is_address_shown,
        listed_on=at.date() if (at := _time(row.get("OnMarketDate"))) else None,
        source_modified_at=modified,
        payload=json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
    )


def _attribution(row: Row) -> str:
    """Who lists it, and the MLS's own words; both belong beside every listing shown."""
    office = _text(row, "ListOfficeName")
    contact = _text(row, "AttributionContact")
    listed_by = f"Listed by {office}" if office else ""
    if listed_by and contact:
        listed_by += f" ({contact})"
    return ". ".join(part.rstrip(".") for part in (listed_by, _text(row, "Disclaimer")) if part)


def _text(row: Row, name: str) -> str:
    return str(row.get(name) or "").strip()


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _time(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
