"""Second zones at borders, where the package and the polygons of zones disagree: both may be true, so both count.

What lives here: data alone, found by the test that asks polygons (``tests/leads/test_leads_oracle.py``). What does not:
the tables they are added to (``place_tables``). Nothing is ever taken away here.
"""

from __future__ import annotations

ALSO_BY_ZIP = {
    # On Georgia's side of Alabama they live by the clock of Columbus.
    **dict.fromkeys("36854 36863 36867 36868 36869 36870 36874 36877".split(), "America/New_York"),
    # Chattanooga, which the package takes for Central.
    "37405": "America/New_York",
    # Stanley, McKenzie, Hamilton and Grant counties, El Paso, the Navajo Nation, West Wendover.
    **dict.fromkeys("57532 58838 67857 58535 79942 86045 86502 89883".split(), "America/Denver"),
    # Hart County begins at Magnolia, Culberson County at Salt Flat.
    **dict.fromkeys(("42757", "79847"), "America/Chicago"),
    # Flagstaff and Page are not the Navajo Nation.
    **dict.fromkeys(("86003", "86040"), "America/Phoenix"),
    # Cottonwood lies where the Salmon River parts Idaho.
    "83522": "America/Los_Angeles",
}
# Too few ZIP codes hold these to be told from the package's bleeding ones; the codes' own polygons do. A code that
# overlays another reaches as far.
ALSO_BY_AREA = {
    "334": "America/New_York",
    **dict.fromkeys(("402", "531", "520", "620", "775", "785"), "America/Denver"),
    **dict.fromkeys(("606", "915"), "America/Chicago"),
    "907": "America/Adak",
}
