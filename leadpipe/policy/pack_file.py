"""Policy packs as files: which file is in force on a day, and of it which parts.

What lives here: reading, dating and typing. What does not: the shapes (``pack``), applying them (``verdict``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from leadpipe.errors import ConfigurationError
from leadpipe.policy.housing import HousingModel
from leadpipe.policy.pack import Cap, EmailRates, Hours, Pack, Privacy, Revocation, Window
from leadpipe.policy.patterns import Patterns

FOLDER = Path(__file__).parent / "packs"
# Of the files that come along, as sha256sum writes them; a team's own are not among them.
CHECKSUMS = "SHA256SUMS"
# What of a part says when and why it holds; the rest are its rules.
_ABOUT = frozenset({"name", "effective_from", "effective_to", "source", "confidence"})
# What holds where a pack has no such part: the pause of WhatsApp may end, and older packs knew less; no verdict depends
# on the rates of email, the warm-up or the clock of refusals.
_WITHOUT: Mapping[str, Mapping[str, Any]] = {
    "licences": {"states": {}},
    "whatsapp": {"us_marketing_paused": False, "session_hours": 24, "session_margin_minutes": 5},
    "rebates": {"states": []},
    "email_rates": {},
    "warm_up": {"per_day_by_week": []},
    "revocation": {},
    # A pack of before anybody could wish for less judges nobody who did.
    "preferences": {"fewer_email_days": 30, "wait_days": 3},
    "privacy": {"acknowledge_business_days": 10, "done_days": 45},
    # Before there was a model the list of phrases judged alone.
    "fair_housing": {"model": None, "from_pct": 100},
}

_Part = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class PackFile:
    """One file of rules; which of its parts hold depends on the day.

    Attributes:
        name: the file's, for errors.
        version: as the file names itself.
    """

    name: str
    version: str
    raw: bytes
    parts: tuple[_Part, ...]
    _made: dict[tuple[int, ...], Pack] = field(default_factory=dict[tuple[int, ...], Pack], repr=False)

    def on(self, day: date) -> Pack:
        """The rules in force on ``day``; days with the same parts share one pack.

        Raises:
            ConfigurationError: a part is missing on that day or cannot be read; the message names both.
        """
        numbers: dict[str, int] = {}
        for number, part in enumerate(self.parts):
            until = part.get("effective_to")
            if part["effective_from"] <= day and (until is None or day < until):
                numbers[part["name"]] = number
        key = tuple(sorted(numbers.values()))
        if key not in self._made:
            self._made[key] = self._typed({name: self.parts[number] for name, number in numbers.items()}, day)
        return self._made[key]

    def _typed(self, parts: Mapping[str, _Part], day: date) -> Pack:
        rules: dict[str, Any] = {}
        for name, read in _READERS.items():
            part = parts.get(name, _WITHOUT.get(name))
            if part is None:
                raise ConfigurationError(f"policy pack {self.name}: {name} is missing on {day}")
            try:
                rules |= read(part)
            except KeyError as error:
                raise ConfigurationError(
                    f"policy pack {self.name}: {error.args[0]} of part {name} is missing on {day}"
                ) from error
            except (TypeError, ValueError, IndexError, AttributeError, re.error) as error:
                raise ConfigurationError(
                    f"policy pack {self.name}: part {name} cannot be read on {day}: {error}"
                ) from error
        in_force = "|".join(sorted(self._named(name, part) for name, part in parts.items()))
        digest = hashlib.sha256(self.raw + in_force.encode()).hexdigest()[:10]
        return Pack(version=f"{self.version}-{digest}", text=self.raw.decode("utf-8"), **rules)

    def _named(self, name: str, part: _Part) -> str:
        """A part in the version's hash: with its day where a later one of the same name follows it."""
        is_alone = sum(each["name"] == name for each in self.parts) == 1
        return name if is_alone else f"{name}@{part['effective_from']}"


def load_pack(day: date, folder: Path | None = None) -> Pack:
    """The pack in force on ``day``: the newest file not after it, of it the parts in effect.

    Raises:
        ConfigurationError: no pack covers the day, or a part is missing; without rules nothing may be sent (C45).
    """
    return _load(day, folder or FOLDER)


@lru_cache(maxsize=64)
def _load(day: date, folder: Path) -> Pack:
    names = (
        sorted(path for path in folder.glob("*.yaml") if path.stem <= day.isoformat())
        or sorted(folder.glob("*.yaml"))[:1]
    )
    if not names:
        raise ConfigurationError(f"no policy pack in {folder}; nothing can be judged")
    return pack_file(_as_shipped(names[-1]), names[-1].name).on(day)


def _as_shipped(path: Path) -> bytes:
    """The file's bytes; one that came along is still the file that did.

    Raises:
        ConfigurationError: it was damaged, or edited in place; then nobody knows which rules it holds (C45).
    """
    raw, sums = path.read_bytes(), path.parent / CHECKSUMS
    listed = dict(line.split()[::-1] for line in sums.read_text(encoding="utf-8").splitlines()) if sums.exists() else {}
    wanted = listed.get(path.name)
    if wanted is not None and wanted != hashlib.sha256(raw).hexdigest():
        raise ConfigurationError(
            f"policy pack {path.name} is not the file that came along: its checksum differs from {CHECKSUMS}; restore "
            "it, and put changes into a file of a newer day (docs/policy.md)"
        )
    return raw


def named_pack(name: str) -> PackFile:
    """A pack by the path of its file, or a shipped one by its name.

    Raises:
        ConfigurationError: there is no such file, or it is no pack.
    """
    shipped = FOLDER / f"{name}.yaml"
    path = Path(name) if Path(name).is_file() or not shipped.is_file() else shipped
    try:
        raw = path.read_bytes()
    except OSError as error:
        known = ", ".join(sorted(each.stem for each in FOLDER.glob("*.yaml")))
        raise ConfigurationError(
            f"no policy pack {name} ({error.strerror}); give a file, or one of those that come along: {known}"
        ) from error
    return pack_file(raw, path.name)


@lru_cache(maxsize=32)
def pack_file(raw: bytes, name: str) -> PackFile:
    """The file of these bytes.

    Raises:
        ConfigurationError: it is no pack; the message says what of it is wrong.
    """
    try:
        data = yaml.safe_load(raw.decode("utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"policy pack {name} is no YAML: {' '.join(str(error).split())}") from error
    listed = data.get("parts") if isinstance(data, dict) else None
    if not isinstance(listed, list) or "version" not in data:
        raise ConfigurationError(f"policy pack {name} needs a version and a list of parts")
    parts = tuple(_dated(part, number, name) for number, part in enumerate(listed, start=1))
    return PackFile(name=name, version=str(data["version"]), raw=raw, parts=parts)


def _dated(part: Any, number: int, pack: str) -> _Part:
    if not isinstance(part, dict) or not isinstance(part.get("name"), str):
        raise ConfigurationError(f"policy pack {pack}: part {number} of the file has no name")
    for which in ("effective_from", "effective_to"):
        day = part.get(which)
        # A time is a date too, and cannot be compared with one.
        if type(day) is not date and not (day is None and which == "effective_to"):
            raise ConfigurationError(f"policy pack {pack}: {which} of part {part['name']} is no day like 2026-11-24")
    return part


def _federal(part: _Part) -> dict[str, Any]:
    return {"federal": _window(part["window"]), "close_early_minutes": int(part["close_early_minutes"])}


def _universal(part: _Part) -> dict[str, Any]:
    return {"universal": _window(part["window"]), "universal_zones": tuple(part["zones"])}


def _frequency(part: _Part) -> dict[str, Any]:
    return {
        "caps": tuple(Cap(**cap) for cap in part["caps"]),
        "states_3_per_24h": frozenset(part["states_3_per_24h"]),
        "states_exempting_replies": frozenset(part["states_exempting_replies"]),
    }


def _numbers(prefix: str, *names: str) -> Callable[[_Part], dict[str, Any]]:
    return lambda part: {f"{prefix}{name}": int(part[name]) for name in names}


def _reassigned(part: _Part) -> dict[str, Any]:
    return _numbers("rnd_", "consent_days", "answer_days")(part) | {
        "rnd_always_states": frozenset(part["always_states"])
    }


def _listings(part: _Part) -> dict[str, Any]:
    return {"listing_hours": int(part["hours"]), "available_statuses": frozenset(part["available"])}


def _whatsapp(part: _Part) -> dict[str, Any]:
    return {
        "is_us_whatsapp_marketing_paused": bool(part["us_marketing_paused"]),
        "session_minutes": int(part["session_hours"]) * 60 - int(part["session_margin_minutes"]),
    }


def _content(part: _Part) -> dict[str, Any]:
    return {"patterns": {name: Patterns(each) for name, each in _plain(part).items()}}


def _fair_housing(part: _Part) -> dict[str, Any]:
    name = part["model"]
    return {"housing": None if name is None else _housing(str(name)), "housing_from": int(part["from_pct"]) / 100}


@lru_cache(maxsize=8)
def _housing(name: str) -> HousingModel:
    """The weights of one file beside the packs.

    Raises:
        ValueError: there is no such file, or it holds no weights.
    """
    path = FOLDER / name
    if path.parent != FOLDER or not path.is_file():
        raise ValueError(f"no weights {name} came along with this leadpipe")
    return HousingModel.from_text(_as_shipped(path).decode("utf-8"))


def _preferences(part: _Part) -> dict[str, Any]:
    return {"fewer_email_days": int(part["fewer_email_days"]), "fewer_email_wait_days": int(part["wait_days"])}


def _plain(part: _Part) -> dict[str, Any]:
    """A part without what says where it comes from."""
    return {name: value for name, value in part.items() if name not in _ABOUT}


_READERS: dict[str, Callable[[_Part], dict[str, Any]]] = {
    "federal_hours": _federal,
    "universal_window": _universal,
    "state_hours": lambda part: {"states": {state: _window(each) for state, each in part["states"].items()}},
    "canada_hours": lambda part: {"canada": _window(part["window"])},
    "frequency": _frequency,
    "consent": _numbers("", "inquiry_days", "confirmation_minutes", "conversation_minutes"),
    "dnc": _numbers("dnc_", "inquiry_months", "transaction_months", "file_days"),
    "state_lists": lambda part: {"state_list_days": {state: int(days) for state, days in part["file_days"].items()}},
    "reassigned": _reassigned,
    "identity": lambda part: {"identity_states": frozenset(part["states"])},
    "licences": lambda part: {"licences": {state: dict(each) for state, each in part["states"].items()}},
    "listings": _listings,
    "rebates": lambda part: {"rebate_states": frozenset(part["states"])},
    "freshness": _numbers("", "refusals_minutes"),
    "casl": _numbers("casl_", "inquiry_months", "transaction_months"),
    "whatsapp": _whatsapp,
    "email_rates": lambda part: {"email_rates": EmailRates(**_plain(part)) if part else None},
    "warm_up": lambda part: {"warm_up_per_day": tuple(map(int, part["per_day_by_week"]))},
    "revocation": lambda part: {"revocation": Revocation(**_plain(part)) if part else None},
    "privacy": lambda part: {"privacy": Privacy(**_plain(part))},
    "preferences": _preferences,
    "fair_housing": _fair_housing,
    "content": _content,
}


def _window(data: _Part) -> Window:
    def hours(name: str) -> Hours:
        value = data[name]
        return None if value is None else (int(value[0]), int(value[1]))

    return Window(
        weekdays=hours("weekdays"),
        saturday=hours("saturday"),
        sunday=hours("sunday"),
        holidays=hours("holidays") if "holidays" in data else "as_any_day",
    )
