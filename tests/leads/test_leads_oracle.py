"""Places and hours against polygons: nothing is open outside the window of any zone that an oracle names.

The oracle knows nothing of our zone table. The zone of a ZIP code comes from its coordinates and the polygons of zones
(``tzfpy``), its state from the Postal Service's ranges; zones and state of an area code come from the polygons of area
codes (``area_code_zones.json``, made once from `area-code-locator` 0.2.1 and `timezonefinder` 9.0: zones that cover a
hundredth of the code or hold a ZIP code of it). Every US ZIP code, every prefix of three digits and every US area code
is asked at every hour, and a minute before, from a day before each change of clocks to a day after it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
import tzfpy
import zipcodes

from leadpipe.leads.place import place_of
from leadpipe.leads.place_tables import NON_GEOGRAPHIC, Candidate, tables
from leadpipe.policy.hours import first_open, is_holiday
from leadpipe.policy.pack_file import load_pack

PACK = load_pack(date(2026, 11, 24))
CHANGES = (date(2026, 11, 1), date(2027, 3, 14))
MOMENTS = tuple(
    datetime.combine(day, time(), UTC) + timedelta(days=-1, hours=hour, minutes=-minute)
    for day in CHANGES
    for hour in range(4 * 24)
    for minute in (0, 1)
)
Place = tuple[str, str]
# The Postal Service's ranges of three digits, first to last; what lies in none is not assigned or military.
STATES = (
    "005-005 NY, 006-007 PR, 008-008 VI, 009-009 PR, 010-027 MA, 028-029 RI, 030-038 NH, 039-049 ME, 050-054 VT, "
    "055-055 MA, 056-059 VT, 060-069 CT, 070-089 NJ, 100-149 NY, 150-196 PA, 197-199 DE, 200-200 DC, 201-201 VA, "
    "202-205 DC, 206-219 MD, 220-246 VA, 247-268 WV, 270-289 NC, 290-299 SC, 300-319 GA, 320-339 FL, 341-349 FL, "
    "350-369 AL, 370-385 TN, 386-397 MS, 398-399 GA, 400-427 KY, 430-459 OH, 460-479 IN, 480-499 MI, 500-528 IA, "
    "530-549 WI, 550-567 MN, 569-569 DC, 570-577 SD, 580-588 ND, 590-599 MT, 600-629 IL, 630-658 MO, 660-679 KS, "
    "680-693 NE, 700-714 LA, 716-729 AR, 730-732 OK, 733-733 TX, 734-749 OK, 750-799 TX, 800-816 CO, 820-831 WY, "
    "832-838 ID, 840-847 UT, 850-865 AZ, 870-884 NM, 885-885 TX, 889-898 NV, 900-961 CA, 967-968 HI, 969-969 GU, "
    "970-979 OR, 980-994 WA, 995-999 AK"
)
# Newer codes than the polygons know, each with an older one that it overlays.
OVERLAYS = (
    "220:740 223:717 227:301 235:573 272:570 274:920 279:916 283:513 324:904 326:937 327:870 329:845 332:212 341:510 "
    "346:713 350:209 353:608 363:516 369:707 380:614 442:760 447:217 448:850 458:541 463:317 464:708 472:910 531:402 "
    "534:715 539:918 557:314 564:360 572:405 582:814 628:415 629:615 640:609 645:305 656:813 659:205 667:410 669:408 "
    "680:315 681:304 686:804 689:407 725:702 726:210 728:561 730:618 737:512 738:213 743:336 747:818 748:970 771:202 "
    "820:805 821:864 826:540 838:518 839:803 840:909 854:843 872:312 929:718 930:812 934:631 938:256 943:404 945:214 "
    "948:757 975:816 983:303 984:919 986:208"
)
# ZIP codes that the oracle cannot place, with the reason.
NOT_ASKED = {
    "96960": "the package has Majuro at the other side of the date line, in the sea",
}
# ZIP codes that are served from across a border, so that the range is another state's.
ACROSS = {"06390": "NY", "73960": "TX"}  # Fishers Island, Texhoma
# The Pacific's own countries in free association, and Saipan: other clocks than Guam's, whose range they share.
OTHER_PACIFIC = {"AS", "FM", "MH", "MP", "PW"}
# Personal numbers of no place (the 500s), as the numbering plan reserves them.
PERSONAL = NON_GEOGRAPHIC | {f"52{digit}" for digit in range(1, 10)} | {"532"}


@lru_cache(maxsize=1)
def state_by_prefix() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in STATES.split(", "):
        span, state = entry.split(" ")
        first, last = span.split("-")
        found |= {f"{number:03d}": state for number in range(int(first), int(last) + 1)}
    return found


@lru_cache(maxsize=1)
def oracle_by_zip() -> dict[str, frozenset[Place]]:
    """Zone and state of every ZIP code with coordinates, by polygons and postal ranges."""
    found: dict[str, frozenset[Place]] = {}
    for row in zipcodes.list_all():
        code, state = row["zip_code"], state_by_prefix().get(row["zip_code"][:3])
        if state is None or not float(row["lat"] or 0) or code in NOT_ASKED:
            continue
        state = ACROSS.get(code, row["state"] if row["state"] in OTHER_PACIFIC else state)
        zones = tzfpy.get_tzs(float(row["long"]), float(row["lat"]))
        found[code] = frozenset((zone, state) for zone in zones)
    return found


@lru_cache(maxsize=1)
def oracle_by_area() -> dict[str, frozenset[Place]]:
    path = Path(__file__).with_name("area_code_zones.json")
    polygons: dict[str, tuple[str, list[str]]] = json.loads(path.read_text(encoding="utf-8"))
    found = {code: frozenset((zone, state) for zone in zones) for code, (state, zones) in polygons.items()}
    return found | {pair[:3]: found[pair[4:]] for pair in OVERLAYS.split()}


def us_area_codes() -> list[str]:
    """Every area code that the numbering plan gives to the United States and its territories."""
    found: list[str] = []
    for area in map(str, range(200, 1000)):
        number = phonenumbers.parse(f"+1{area}2001234")
        if phonenumbers.region_code_for_number(number) in {"US", "PR", "VI", "GU", "AS", "MP"}:
            found.append(area)
    return [area for area in found if area not in PERSONAL]


@lru_cache(maxsize=100_000)
def is_open(place: Place, at: datetime) -> bool:
    """The strictest of the federal window and the state's on the clock of the zone, closing two minutes early."""
    zone, state = place
    local = at.astimezone(ZoneInfo(zone))
    day, windows = local.date(), [PACK.federal, *([PACK.states[state]] if state in PACK.states else [])]
    for window in windows:
        hours = window.on(day.weekday(), is_holiday=is_holiday(day, state))
        if hours is None or not time(hours[0]) <= local.time() < time(hours[1] - 1, 58):
            return False
    return True


@lru_cache(maxsize=100_000)
def opened(candidates: tuple[Candidate, ...]) -> tuple[datetime, ...]:
    """The moments at which our hours are open in these places."""
    return tuple(at for at in MOMENTS if first_open(candidates, "US", at, PACK) == at)


def outside(asked: Iterable[tuple[str, tuple[Candidate, ...], frozenset[Place]]]) -> Iterator[str]:
    """What is open by our places and closed in one that the oracle names; equal questions are asked once."""
    alike: dict[tuple[tuple[Candidate, ...], frozenset[Place]], list[str]] = defaultdict(list)
    for name, candidates, places in asked:
        alike[candidates, places].append(name)
    for (candidates, places), names in alike.items():
        wrong = next((at for at in opened(candidates) if not all(is_open(place, at) for place in places)), None)
        if wrong is not None:
            yield f"{' '.join(names[:5])} ({len(names)}): open at {wrong:%m-%d %H:%M}, closed in {sorted(places)}"


def test_every_zip_code_is_open_only_where_its_polygon_is() -> None:
    asked = [(code, place_of(code, "", "", "").candidates, places) for code, places in oracle_by_zip().items()]
    assert len(asked) > 41_000
    assert list(outside(asked)) == []


def test_every_prefix_of_a_zip_code_is_open_only_where_all_of_its_polygons_are() -> None:
    by_prefix: dict[str, set[Place]] = defaultdict(set)
    for code, places in oracle_by_zip().items():
        by_prefix[code[:3]] |= places
    asked: list[tuple[str, tuple[Candidate, ...], frozenset[Place]]] = []
    for number in range(1000):
        prefix = f"{number:03d}"
        # A ZIP code that nobody lists, such as one of a single firm, is placed by its first three digits.
        unlisted = next((f"{prefix}{end:02d}" for end in range(100) if f"{prefix}{end:02d}" not in tables().by_zip), "")
        candidates = place_of(unlisted, "", "", "").candidates if unlisted else tables().by_prefix[prefix]
        asked.append((prefix, candidates, frozenset(by_prefix.get(prefix, set()))))
    assert sum(bool(places) for _, _, places in asked) > 880
    assert list(outside(asked)) == []
    # Where nobody lives nothing is known, and the universal window holds.
    unknown = {prefix for prefix, candidates, _ in asked if not candidates}
    assert unknown.isdisjoint(by_prefix)


def test_every_area_code_is_open_only_where_all_of_its_polygon_is() -> None:
    areas = us_area_codes()
    assert len(areas) > 350
    lacking = sorted(set(areas) - oracle_by_area().keys())
    assert lacking == [], "the numbering plan has grown: say in OVERLAYS which older code each of these overlays"
    asked = [(area, place_of("", "", "", f"+1{area}").candidates, oracle_by_area()[area]) for area in areas]
    assert all(candidates for _, candidates, _ in asked)
    assert list(outside(asked)) == []


def test_an_address_with_a_number_from_elsewhere_is_open_only_where_both_are() -> None:
    zips = ("60614", "33101", "32501", "79936", "83501", "86515", "97914", "37405", "36867", "00901", "96813", "99546")
    asked = [
        (f"{code}+{area}", place_of(code, "", "", f"+1{area}").candidates, oracle_by_zip()[code] | places)
        for code in zips
        for area, places in sorted(oracle_by_area().items())[::11]
    ]
    assert list(outside(asked)) == []


@pytest.mark.parametrize("code", ["37405", "86502", "89883"])
def test_the_oracle_would_see_a_zip_code_without_its_second_zone(code: str) -> None:
    [one, *_] = place_of(code, "", "", "").candidates
    assert list(outside([(code, (one,), oracle_by_zip()[code])])) != []
