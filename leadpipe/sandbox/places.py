"""Where the sandbox's people live and what their phones look like.

What lives here: real ZIPs with their area codes, invented names. What does not: behaviour.

Numbers are of exchange 555 (lines 0100-0199 first, then the rest of 555): the North American plan keeps 555 for
information services and fiction, and ``phonenumbers`` holds them possible.
"""

from __future__ import annotations

# zip, city, state, area code
PLACES: tuple[tuple[str, str, str, str], ...] = (
    ("77084", "Houston", "TX", "281"),
    ("77449", "Katy", "TX", "281"),
    ("79936", "El Paso", "TX", "915"),
    ("60614", "Chicago", "IL", "312"),
    ("60647", "Chicago", "IL", "773"),
    ("90026", "Los Angeles", "CA", "213"),
    ("94110", "San Francisco", "CA", "415"),
    ("80205", "Denver", "CO", "303"),
    ("98103", "Seattle", "WA", "206"),
    ("37402", "Chattanooga", "TN", "423"),
    ("37206", "Nashville", "TN", "615"),
    ("43215", "Columbus", "OH", "614"),
    ("32501", "Pensacola", "FL", "850"),
    ("33101", "Miami", "FL", "305"),
    ("96815", "Honolulu", "HI", "808"),
    ("30309", "Atlanta", "GA", "404"),
    ("55408", "Minneapolis", "MN", "612"),
    ("28205", "Charlotte", "NC", "704"),
    ("64111", "Kansas City", "MO", "816"),
    ("53202", "Milwaukee", "WI", "414"),
)
ABROAD: tuple[tuple[str, str], ...] = (("+4477009", "GB"), ("+525555", "MX"), ("+346000", "ES"))
FIRST = (
    "Mara Ana Luis Priya Tom Grace Omar Nina Hugo Lena Ivan Rosa Theo Maya Carl Inez Dario Faye Noel Uma Vera Wade "
    "Yara Zeke Bela Cora Dean Elsa Finn Gwen"
).split()
LAST = (
    "Velde Ortiz Shah Becker Novak Silva Haas Lindt Moreau Okafor Petrov Quist Rossi Tanaka Ulrich Varga Weiss Young "
    "Zeller Amador Brandt Castile Dorn Ekberg Falk"
).split()
SOURCES = ("Zillow", "Realtor.com", "demo-realty.example", "Referral", "Facebook", "Open House")


def us_number(area: str, serial: int) -> str:
    """The ``serial``-th invented number of an area code."""
    line = 100 + serial % 100 if serial < 100 else serial % 10_000
    return f"+1{area}555{line:04d}"
