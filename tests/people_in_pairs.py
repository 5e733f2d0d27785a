"""Invented people who differ only in a name or a ZIP code, for the paired tests of C37."""

from __future__ import annotations

from dataclasses import dataclass

# First and last names that are typical of different groups; nobody of this name is meant.
NAMES = (
    ("Emily", "Walsh"),
    ("Lakisha", "Washington"),
    ("José", "García"),
    ("Wei", "Chen"),
    ("Mohammed", "Ali"),
    ("Priya", "Shah"),
    ("Moshe", "Cohen"),
    ("Nguyễn", "Trần"),
    ("Aaliyah", "Jackson"),
    ("Svetlana", "Petrova"),
    ("Kwame", "Okafor"),
    ("Tadashi", "Yamamoto"),
    ("Ahiga", "Begay"),
    ("Greg", "O'Brien"),
)


@dataclass(frozen=True)
class Pair:
    """Two ZIP codes of one city and of like price level, whose people differ."""

    city: str
    state: str
    area: str
    zips: tuple[str, str]


PAIRS = (
    Pair("Houston", "TX", "713", ("77004", "77018")),
    Pair("Chicago", "IL", "312", ("60608", "60618")),
    Pair("Los Angeles", "CA", "213", ("90006", "90041")),
    Pair("Brooklyn", "NY", "718", ("11203", "11209")),
)
