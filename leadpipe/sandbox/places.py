"""Where the sandbox's people live, what they are called, what their phones look like.

What lives here: real ZIPs with their area codes, invented names and numbers. What does not: behaviour.

US and Canadian numbers are of exchange 555, which the North American plan keeps for information services and fiction;
British and French ones are of the ranges that Ofcom and ARCEP keep for drama.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A ZIP code and what belongs to it."""

    zip: str
    city: str
    state: str
    area: str


@dataclass(frozen=True, slots=True)
class Abroad:
    """Numbers of another country: what they begin with and how many digits follow; ``weight`` of a hundred."""

    country: str
    prefix: str
    digits: int
    weight: int
    speaks_spanish: bool = False


_ROWS = (
    "77084/Houston/TX/281; 77449/Katy/TX/281; 77494/Katy/TX/832; 77007/Houston/TX/713; 77024/Houston/TX/713; "
    "77019/Houston/TX/346; 78660/Pflugerville/TX/512; 79936/El Paso/TX/915; 96815/Honolulu/HI/808; "
    "96720/Hilo/HI/808; 96707/Kapolei/HI/808; 90011/Los Angeles/CA/323; 90026/Los Angeles/CA/213; "
    "94110/San Francisco/CA/415; 92103/San Diego/CA/619; 95816/Sacramento/CA/916; 80205/Denver/CO/303; "
    "80904/Colorado Springs/CO/719; 98103/Seattle/WA/206; 98402/Tacoma/WA/253; 97214/Portland/OR/503; "
    "85016/Phoenix/AZ/602; 87106/Albuquerque/NM/505; 60614/Chicago/IL/312; 60647/Chicago/IL/773; "
    "43215/Columbus/OH/614; 45202/Cincinnati/OH/513; 30309/Atlanta/GA/404; 30312/Atlanta/GA/678; "
    "28205/Charlotte/NC/704; 27601/Raleigh/NC/919; 55408/Minneapolis/MN/612; 64111/Kansas City/MO/816; "
    "63104/St. Louis/MO/314; 53202/Milwaukee/WI/414; 37206/Nashville/TN/615; 38104/Memphis/TN/901; "
    "19147/Philadelphia/PA/215; 15203/Pittsburgh/PA/412; 23220/Richmond/VA/804; 48201/Detroit/MI/313; "
    "46202/Indianapolis/IN/317; 11208/Brooklyn/NY/718; 11385/Ridgewood/NY/347; 08701/Lakewood/NJ/732; "
    "32501/Pensacola/FL/850; 33101/Miami/FL/305; 73103/Oklahoma City/OK/405; 84103/Salt Lake City/UT/801; "
    "02139/Cambridge/MA/617"
)
PLACES: tuple[Place, ...] = tuple(Place(*row.split("/")) for row in _ROWS.split("; "))
ABROAD: tuple[Abroad, ...] = (
    Abroad("MX", "+525555", 6, 38, speaks_spanish=True),
    Abroad("CA", "+1416555", 4, 16),
    Abroad("CA", "+1604555", 4, 14),
    Abroad("GB", "+447700900", 3, 12),
    Abroad("FR", "+3363998", 4, 12),
    Abroad("IE", "+3532091", 5, 8),
)
FIRST = (
    "Mara Ana Luis Priya Tom Grace Omar Nina Hugo Lena Ivan Rosa Theo Maya Carl Inez Dario Faye Noel Uma Vera Wade "
    "Yara Zeke Bela Cora Dean Elsa Finn Gwen Otis Pilar Quinn Remy Sage Tara Ulises Vito Willa Xenia"
).split()
LAST = (
    "Velde Ortiz Shah Becker Novak Silva Haas Lindt Moreau Okafor Petrov Quist Rossi Tanaka Ulrich Varga Weiss Young "
    "Zeller Amador Brandt Castile Dorn Ekberg Falk Greer Holm Ibarra Jansen Kovac Lund Marsh Nolan Ocampo Prather"
).split()
SOURCES = ("Zillow", "Realtor.com", "demo-realty.example", "Referral", "Facebook", "Open House")


class Numbers:
    """Hands out phone numbers, each once: the 0100s of an area code first, then the rest of its 555."""

    def __init__(self) -> None:
        self._given: Counter[str] = Counter()

    def domestic(self, area: str) -> str:
        """The next number of an area code.

        Raises:
            LookupError: all ten thousand are given away.
        """
        return self._next(f"+1{area}555", 4, first=100)

    def foreign(self, abroad: Abroad) -> str:
        """The next number of a country's range.

        Raises:
            LookupError: all are given away.
        """
        return self._next(abroad.prefix, abroad.digits, first=0)

    def _next(self, prefix: str, digits: int, *, first: int) -> str:
        serial = self._given[prefix]
        if serial >= 10**digits:
            raise LookupError(f"no number left of {prefix}; fewer people, or more places")
        self._given[prefix] += 1
        return f"{prefix}{(first + serial) % 10**digits:0{digits}d}"
