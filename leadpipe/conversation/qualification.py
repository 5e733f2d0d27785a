"""What a lead told us that the team needs: when, how much, where, buying or selling; each with its sentence.

What lives here: the shape and the rules that find it in English and Spanish. What does not: storing it (``effects``),
what a model found (``openai_reader``), using it (``outreach.facts``, ``market.criteria``, ``scoring.features``).

Only what the sentence says: nothing is concluded from a name, a language or who else may live there (C37, C38).
"""

# ruff: noqa: E501 - one way to say it a line; broken patterns read worse than long ones
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

# Families: a lead who names one of a family again replaces the whole of it in the readers' eyes (newest row by key).
FAMILIES = {
    "timeline_months": "timeline", "budget_low_usd": "budget", "budget_high_usd": "budget", "budget_usd": "budget",
    "zip": "place", "city": "place", "state": "place", "place": "place", "side": "side", "bedrooms": "bedrooms",
}  # fmt: skip
LOWEST_USD, HIGHEST_USD = 20_000, 50_000_000


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing the lead said. ``sentence`` is theirs, word for word."""

    key: str
    value: str
    sentence: str
    inbound_id: int


_SENTENCE = re.compile(r"[^.!?;\n]+(?:[.,](?=\d)[^.!?;\n]+)*[.!?;]*")
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "un": 1, "una": 1, "two": 2, "dos": 2, "three": 3, "tres": 3, "four": 4, "cuatro": 4,
    "five": 5, "cinco": 5, "six": 6, "seis": 6, "seven": 7, "siete": 7, "eight": 8, "ocho": 8, "nine": 9, "nueve": 9,
    "ten": 10, "diez": 10, "twelve": 12, "doce": 12, "couple": 2, "couple of": 2, "a couple": 2, "a couple of": 2,
    "un par de": 2, "few": 3, "a few": 3, "several": 4, "unos": 3, "unas": 3, "algunos": 3, "half a": 0.5, "medio": 0.5,
}  # fmt: skip
_COUNT = r"(?P<count>\d{1,2}|" + "|".join(sorted((re.escape(w) for w in _NUMBERS), key=len, reverse=True)) + ")"
_SPAN = re.compile(
    r"(?P<lead>\b(?:in|within|next|about|around|over|another|wait|hold|least|maybe|probably|en|dentro de|para|por|"
    r"unos|otros|faltan)\b[^\d]{0,14}?|^\W*(?:about |around |maybe |probably |like )?)"
    + rf"\b{_COUNT}(?:\s?(?:-|to|or|a|o)\s?(?P<upto>\d{{1,2}}))?[ -]?(?P<unit>days?|dias?|weeks?|wks?|semanas?|months?|mos?|mes(?:es)?|"
    r"years?|yrs?|anos?)\b"
)
_UNIT_MONTHS = {"d": 1 / 30, "w": 0.25, "s": 0.25, "m": 1, "y": 12, "a": 12}
_PAST = re.compile(r"\b(been|have (looked|lived)|lived|ago|hace|llevamos|llevo|since|years? old|already)\b")
_AT_ONCE = re.compile(
    r"\b(asap|a ?s ?a ?p|right away|immediately|as soon as (possible|we can|i can)|this month|ready (now|to (buy|sell|move))|"
    r"de inmediato|cuanto antes|lo antes posible|este mes|inmediatamente)\b"
)
_NAMED_TIMES: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"\b(next month|(el )?proximo mes|(el )?mes que viene)\b"), 1),
    (re.compile(r"\b(half a year|medio ano|mid ?year)\b"), 6),
    (re.compile(r"\b(next year|(el )?(proximo ano|ano que viene|otro ano))\b"), 12),
)
_SEASONS = {"spring": 3, "primavera": 3, "summer": 6, "verano": 6, "fall": 9, "autumn": 9, "otono": 9, "winter": 12, "invierno": 12}  # fmt: skip
_SEASON = re.compile(rf"\b(?P<before>(?:after|despues d\w+) (?:the |el )?)?(?:(?:this|next|the|in|el|la|este|esta|until|hasta|proxim[oa]) )*(?P<season>{'|'.join(_SEASONS)})\b")  # fmt: skip
_MONTHS = {name: number for number, names in enumerate(
    ("january enero", "february febrero", "march marzo", "april abril", "may mayo", "june junio", "july julio", "august agosto",
     "september septiembre", "october octubre", "november noviembre", "december diciembre"), start=1) for name in names.split()}  # fmt: skip
_MONTH = re.compile(rf"\b(?:in|by|until|before|around|en|para|hasta|antes de|starting) (?:early |late |mid )?(?P<month>{'|'.join(_MONTHS)})\b")  # fmt: skip
_YEAR_END = re.compile(r"\b(end of (the|this) year|fin(ales)? de(l)? (este )?ano|later this year|this year|este ano)\b")

_AMOUNT = r"\$?\s?(?P<{0}>\d{{1,3}}(?:,\d{{3}})+|\d+(?:\.\d+)?)\s?(?P<{0}_unit>k|m|mm|mil(?:lones|lion)?|thousand|million|millon)?\b"
_ONE = re.compile(r"(?<![\d.,])" + _AMOUNT.format("one"))
_RANGE = re.compile(
    r"(?<![\d.,])" + _AMOUNT.format("low") + r"\s?(?:-|to|and|y|a|hasta|through)\s?" + _AMOUNT.format("high")
)
_MONEY_WORDS = re.compile(
    r"\b(budget|afford|spend|price|priced|pay|approved|qualified|range|under|below|max|maximum|up to|over|at least|presupuesto|"
    r"precio|pagar|hasta|menos de|maximo|aprobad[oa]s?|alrededor de)\b"
)
_MONTHLY = re.compile(
    r"\b(a|per|al|por) (month|mes)\b|/ ?mo|\b(down|enganche|rent|renta|alquiler|taxes|hoa|square|sq ?ft|acres?)\b"
)
_AT_MOST = re.compile(r"\b(under|below|less than|up to|max\w*|no more than|not over|hasta|menos de|como mucho|approved (up )?(to|for)|qualified for|aprobad[oa]s? (por|hasta|para))\W*$")  # fmt: skip
_MAX_AFTER = re.compile(r"\W*(max|maximum|tops|or less|o menos|como mucho|maximo)\b")
_AT_LEAST = re.compile(r"\b(over|above|at least|more than|minimum( of)?|starting at|from|mas de|minimo|desde|por lo menos)\W*$")  # fmt: skip

_SELL = re.compile(r"\b(sell|selling|list(ing)? (my|our)|(my|our) (home|house|condo|place) (sell|worth|go) ?for|vender\w*|vendo|vendemos|vendiendo|venta de mi)\b")  # fmt: skip
_BUY = re.compile(
    r"\b(buy|buying|purchas\w+|looking (for|at) (a |an |some |our )?(\w+ )?(home|house|condo|place|property|townhouse|homes|houses)|"
    r"(we|i) want (\d|a|three|four|two) ?(bed|br|\w+ home|\w+ house|house|home)|house hunting|comprar\w*|compro|buscando (una )?casa|busc(o|amos) (una )?casa)\b"
)
_NOT = re.compile(r"\b(not|dont|never|no|ya no|nunca|wont|isnt|arent|already|ya)\b( \w+){0,3}$")
_BEDROOMS = re.compile(r"\b(?P<count>\d|two|three|four|five|dos|tres|cuatro|cinco)(?:\s?(?:-|to|or|o|a)\s?\d)?[ +-]*(?:bed(?:room)?s?|br|bdrms?|bd|recamaras|habitaciones|cuartos|dormitorios)\b")  # fmt: skip
# A house number stands before its street.
_ZIP = re.compile(
    r"(?<![\d$,.-])\d{5}(?![\d,.]?\d|\s?k\b|(?: \w+){1,3} (?:st|street|ave|avenue|rd|road|dr|drive|ln|lane|blvd|way|ct|court)\b)",
    re.I,
)
_CITY = re.compile(
    r"\b(?:in|near|around|en|cerca de|to|for) (?P<city>[A-Z][a-z]+(?:[ -](?:[A-Z][a-z]+|of|del?|la|las|los)){0,3})(?:,? (?P<state>[A-Z]{2})\b)?"
)


def facts_in(messages: Sequence[tuple[int, str]], *, now: datetime) -> list[Fact]:
    """Everything the messages, each with its id, say about timeline, budget, place, side and bedrooms.

    The last statement of a kind wins; ``now`` dates "next spring".
    """
    found: dict[str, list[Fact]] = {}
    for inbound_id, body in messages:
        for sentence in sentences(body):
            for family, pairs in _facts(sentence, now):
                found[family] = [
                    Fact(key=key, value=value, sentence=sentence, inbound_id=inbound_id) for key, value in pairs
                ]
    return [fact for facts in found.values() for fact in facts]


def sentences(text: str) -> list[str]:
    """The sentences of a text as written; figures like 450,000.50 are not cut."""
    return [part.strip() for part in _SENTENCE.findall(text) if part.strip()]


def _facts(sentence: str, now: datetime) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    words = _folded(sentence)
    months = _timeline(words, now)
    if months is not None:
        yield "timeline", [("timeline_months", f"{months:g}")]
    if budget := _budget(words):
        yield "budget", budget
    if place := _place(sentence):
        yield "place", place
    if side := _side(words):
        yield "side", [("side", side)]
    if beds := _BEDROOMS.search(words):
        yield "bedrooms", [("bedrooms", f"{_number(beds['count']):g}")]


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate({0x2019: "'", 0x2013: "-", 0x2014: "-"}))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).lower()
    return re.sub(r"\s+", " ", plain.replace("'", "")).strip()


def _number(word: str) -> float:
    return float(word) if word.isdigit() else float(_NUMBERS[word])


def _timeline(words: str, now: datetime) -> float | None:
    if _AT_ONCE.search(words):
        return 1
    span = _SPAN.search(words)
    if span and not _PAST.search(words):
        count = float(span["upto"] or _number(span["count"]))
        return round(count * _UNIT_MONTHS[span["unit"][0]], 1)
    return _named_time(words, now)


def _named_time(words: str, now: datetime) -> float | None:
    for pattern, months in _NAMED_TIMES:
        if pattern.search(words):
            return months
    if season := _SEASON.search(words):
        first = _SEASONS[season["season"]]
        if season["before"]:
            return _months_until((first + 2) % 12 + 1, now)
        is_running = (now.month - first) % 12 < 3 and "next" not in season[0] and "proxim" not in season[0]
        return 1 if is_running else _months_until(first, now)
    if month := _MONTH.search(words):
        return _months_until(_MONTHS[month["month"]], now)
    return max(1.0, float(12 - now.month)) if _YEAR_END.search(words) else None


def _months_until(month: int, now: datetime) -> float:
    return float((month - now.month) % 12 or 12)


def _budget(words: str) -> list[tuple[str, str]]:
    if _MONTHLY.search(words):
        return []
    has_words = _MONEY_WORDS.search(words) is not None
    both = _RANGE.search(words)
    if both:
        high = _dollars(both["high"], both["high_unit"], both[0], has_words=has_words)
        low = _dollars(both["low"], both["low_unit"] or both["high_unit"], both[0], has_words=has_words)
        if low and high and low < high:
            return [("budget_low_usd", str(low)), ("budget_high_usd", str(high))]
    for one in _ONE.finditer(words):
        dollars = _dollars(one["one"], one["one_unit"], one[0], has_words=has_words)
        if not dollars:
            continue
        before, after = words[: one.start()], words[one.end() :]
        if _AT_MOST.search(before) or _MAX_AFTER.match(after):
            return [("budget_high_usd", str(dollars))]
        if _AT_LEAST.search(before):
            return [("budget_low_usd", str(dollars))]
        return [("budget_usd", str(dollars))]
    return []


def _dollars(figure: str, unit: str | None, whole: str, *, has_words: bool) -> int | None:
    """The amount in dollars; None when the figure is no price (a year, a street number, a ZIP code)."""
    value = float(figure.replace(",", ""))
    if unit:
        value *= 1_000 if unit in {"k", "mil", "thousand"} else 1_000_000
    elif "$" not in whole and "," not in figure:
        if has_words and 100 <= value <= 999:
            value *= 1_000
        elif not (has_words and value >= 100_000):
            return None
    elif "$" in whole and 100 <= value <= 999 and "," not in figure:
        value *= 1_000
    dollars = round(value)
    return dollars if LOWEST_USD <= dollars <= HIGHEST_USD else None


def _side(words: str) -> str:
    wants = {
        name
        for name, pattern in (("sell", _SELL), ("buy", _BUY))
        if (hit := pattern.search(words)) and not _NOT.search(words[: hit.start()].strip())
    }
    return "both" if len(wants) == 2 else next(iter(wants), "")


def _place(sentence: str) -> list[tuple[str, str]]:
    for code in _ZIP.findall(sentence):
        if _is_zip(code):
            return [("zip", code)]
    for hit in _CITY.finditer(sentence):
        words = re.split(r"[ ]", hit["city"])
        # "in Cedar Park Texas" and "in Austin Please": the longest beginning that is a city.
        for end in range(len(words), 0, -1):
            name = " ".join(words[:end])
            if name.lower() in _cities() and name.lower() not in _NO_CITY:
                state = [("state", hit["state"])] if hit["state"] and end == len(words) else []
                return [("city", name), *state]
    return []


# Towns of the United States that are words first.
_NO_CITY = frozenset(_MONTHS) | frozenset(_SEASONS) | frozenset(
    "monday tuesday wednesday thursday friday saturday sunday christmas person house home contract price process "
    "the love hope early energy best good a an my our your it this that english spanish".split()
)  # fmt: skip


@lru_cache(maxsize=1)
def _cities() -> frozenset[str]:
    import zipcodes

    return frozenset(str(place["city"]).lower() for place in zipcodes.list_all())


@lru_cache(maxsize=4096)
def _is_zip(code: str) -> bool:
    import zipcodes

    return bool(zipcodes.matching(code))
