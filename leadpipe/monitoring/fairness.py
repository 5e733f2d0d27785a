"""Whether some groups of new leads are answered otherwise than all of them (C37).

What lives here: groups, measures, and what of a difference is beyond chance. What does not: reading the leads
(``fairness_leads``), printing (``cli.fairness``).

Groups are made when somebody asks and kept nowhere. By themselves they are of what is no protected data; a file of ZIP
codes and groups makes others. A difference says where to look, and neither why nor whose fault.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadpipe.errors import BadRecord

if TYPE_CHECKING:
    from leadpipe.monitoring.fairness_leads import Lead

# Of fewer than this nothing is said: not of a group, and not of a measure within one.
FEWEST = 30
CONFIDENCE = 0.95
# False alarms among what is marked, whatever the number of groups.
FALSE_SHARE = 0.05
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of one group.

    Attributes:
        of: leads it is of; the other values are None where they are fewer than ``FEWEST``.
        value: a share, or the median in seconds.
        difference: to the value of all leads; ``low`` and ``high`` bound it with ``CONFIDENCE``, the value of all taken
            as given.
        p_value: how often chance alone makes the group differ so much from the other leads, corrected for the number
            of comparisons (Benjamini and Hochberg).
    """

    of: int
    value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None

    @property
    def is_unlike(self) -> bool:
        """Whether a person should look."""
        return self.p_value is not None and self.p_value < FALSE_SHARE

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self) | {"is_unlike": self.is_unlike}


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group of at least ``FEWEST`` leads."""

    name: str
    leads: int
    measures: Mapping[str, Measure]


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """All leads by one trait.

    Attributes:
        groups: largest first.
        withheld_groups: those that nothing is said of, with ``withheld_leads`` in all.
    """

    by: str
    groups: tuple[Group, ...]
    withheld_groups: int
    withheld_leads: int

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "by": self.by,
            "groups": [
                {"group": each.name, "leads": each.leads} | {name: m.as_json() for name, m in each.measures.items()}
                for each in self.groups
            ],
            "withheld": {"groups": self.withheld_groups, "leads": self.withheld_leads},
        }


Trait = Callable[["Lead"], str]
TRAITS: dict[str, Trait] = {
    "language": lambda lead: lead.language,
    "zip3": lambda lead: lead.zip[:3] or UNKNOWN,
    "source": lambda lead: lead.source or UNKNOWN,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sample:
    """What a measure is computed from: seconds, or ones and zeros."""

    values: tuple[float, ...]
    is_share: bool


# In the order they are told.
MEASURES: dict[str, Callable[[Sequence[Lead]], _Sample]] = {
    "first_touch_seconds": lambda leads: _Sample(
        values=tuple(lead.touch_seconds for lead in leads if lead.touch_seconds is not None), is_share=False
    ),
    "contacted": lambda leads: _share(lead.touch_seconds is not None for lead in leads),
    "replied": lambda leads: _share(lead.has_replied for lead in leads if lead.touch_seconds is not None),
    "handed_off": lambda leads: _share(lead.is_handed_off for lead in leads if lead.has_replied),
}


def _share(hits: Any) -> _Sample:
    return _Sample(values=tuple(float(hit) for hit in hits), is_share=True)


def whole(leads: Sequence[Lead]) -> dict[str, Measure]:
    """Every measure of all leads."""
    return {name: _of_all(sample(leads)) for name, sample in MEASURES.items()}


def _of_all(sample: _Sample) -> Measure:
    count = len(sample.values)
    return Measure(of=count, value=_value(sample) if count >= FEWEST else None)


def compare(leads: Sequence[Lead], by: str, trait: Trait) -> Grouping:
    """Each group of a trait beside all leads; small groups are withheld.

    What is withheld holds ``FEWEST`` leads or none: else it could be counted back from the whole.
    """
    found: dict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        found[trait(lead)].append(lead)
    ordered = sorted(found, key=lambda name: (-len(found[name]), name))
    shown = [name for name in ordered if len(found[name]) >= FEWEST]
    while shown and 0 < len(leads) - sum(len(found[name]) for name in shown) < FEWEST:
        shown.pop()
    groups = [_group(name, leads, {id(lead) for lead in found[name]}) for name in shown]
    return Grouping(
        by=by,
        groups=_corrected(groups),
        withheld_groups=len(ordered) - len(shown),
        withheld_leads=len(leads) - sum(len(found[name]) for name in shown),
    )


def _group(name: str, leads: Sequence[Lead], inside: set[int]) -> Group:
    own = [lead for lead in leads if id(lead) in inside]
    others = [lead for lead in leads if id(lead) not in inside]
    measures = {measure: _beside(sample(own), sample(others), sample(leads)) for measure, sample in MEASURES.items()}
    return Group(name=name, leads=len(own), measures=measures)


def _value(sample: _Sample) -> float:
    import numpy as np

    return float(np.mean(sample.values) if sample.is_share else np.median(sample.values))


def _beside(own: _Sample, others: _Sample, everyone: _Sample) -> Measure:
    count = len(own.values)
    if count < FEWEST:
        return Measure(of=count)
    value, usual = _value(own), _value(everyone)
    low, high = _interval(own, usual)
    return Measure(
        of=count,
        value=value,
        difference=value - usual,
        low=low - usual,
        high=high - usual,
        p_value=_p_value(own, others) if others.values else None,
    )


def _interval(own: _Sample, usual: float) -> tuple[float, float]:
    """Wilson's interval of a share; of a median the one that ranks give, whatever the shape of the waits."""
    # Imported here: it brings 40 MB, which only the report should carry.
    from scipy.stats import binomtest, quantile_test

    if own.is_share:
        found: Any = binomtest(int(sum(own.values)), len(own.values), min(max(usual, 0.0), 1.0))
        interval = found.proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    else:
        test: Any = quantile_test  # its stubs want whole numbers
        tested = test(own.values, q=usual, p=0.5)
        interval = tested.confidence_interval(confidence_level=CONFIDENCE)
    return float(interval.low), float(interval.high)


def _p_value(own: _Sample, others: _Sample) -> float:
    """Fisher's exact test for shares, Mann and Whitney's for waits."""
    from scipy.stats import fisher_exact, mannwhitneyu

    if own.is_share:
        table = [[sum(each.values), len(each.values) - sum(each.values)] for each in (own, others)]
        found: Any = fisher_exact(table)
    else:
        found = mannwhitneyu(own.values, others.values)
    return float(found[1])


def _corrected(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups with their p-values corrected for how many there are."""
    from scipy.stats import false_discovery_control

    at = [(g, name) for g, group in enumerate(groups) for name, m in group.measures.items() if m.p_value is not None]
    if not at:
        return tuple(groups)
    raw = [groups[g].measures[name].p_value or 0.0 for g, name in at]
    corrected = dict(zip(at, false_discovery_control(raw), strict=True))
    return tuple(
        replace(
            group,
            measures={
                name: replace(m, p_value=float(corrected[g, name])) if (g, name) in corrected else m
                for name, m in group.measures.items()
            },
        )
        for g, group in enumerate(groups)
    )


def trait_of_file(path: Path) -> Trait:
    """The group of a lead by their ZIP code, from a CSV with the columns ``zip`` (five digits, or three) and ``group``.

    It is read and forgotten: nothing of it is stored or logged.

    Raises:
        BadRecord: the file cannot be read, or a line is wrong; the message names it by its number.
    """
    groups: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"zip", "group"} <= set(reader.fieldnames or ()):
                raise BadRecord(f"{path}: the first line must name the columns zip and group")
            for row in reader:
                code, group = (row["zip"] or "").strip(), (row["group"] or "").strip()
                if not (code.isdecimal() and len(code) in {3, 5} and group):
                    raise BadRecord(f"{path} line {reader.line_num}: wanted a ZIP code of 5 or 3 digits and a group")
                if groups.setdefault(code, group) != group:
                    raise BadRecord(f"{path} line {reader.line_num}: the same ZIP code is in another group above")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRecord(f"{path} cannot be read: {error}; give a CSV of UTF-8 text") from error
    return lambda lead: groups.get(lead.zip) or groups.get(lead.zip[:3]) or ("not in the file" if lead.zip else UNKNOWN)
