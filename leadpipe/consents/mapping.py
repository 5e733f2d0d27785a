"""Which column of a file says what about a consent.

What lives here: our fields, the mapping by file or by option, and a line's values under it. What does not: what the
values amount to (``reading``).

A mapping file is YAML; everything in it is optional::

    columns: {phone: Mobile, sms_ok: "Text OK?", at: Signed}    # ours: theirs; a column with our name needs no entry
    constants: {seller: ours, source: old_crm}                  # the same for every line
    timezone: America/Chicago                                   # of times without one; else the team's
    time_format: "%m/%d/%Y"                                     # of times that are not ISO
    yes_words: ["J"]                                            # further words for yes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from leadpipe.errors import ConfigurationError

# Who it is, what they said, and the proof of it.
WHO = ("person_id", "phone", "email")
FLAGS = {"sms_ok": "sms", "email_ok": "email", "whatsapp_ok": "whatsapp"}
PROOF = ("signer", "number", "seller", "disclosure", "capture_id", "purpose", "ip", "message_id")
FIELDS = (*WHO, *FLAGS, "channel", "level", "at", "expires_at", "source", *PROOF)
_YES = frozenset({"y", "yes", "true", "t", "1", "x", "on", "si", "sí"})
_NO = frozenset({"", "n", "no", "false", "f", "0", "off", "-"})


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How one file is read.

    Attributes:
        columns: our field to the file's column.
        constants: our field to the value of every line.
        zone: of times that name none.
        time_format: of times that are not ISO; empty: they must be.
    """

    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    constants: Mapping[str, str] = field(default_factory=dict[str, str])
    zone: ZoneInfo
    time_format: str = ""
    yes: frozenset[str] = _YES

    def checked(self, header: Iterable[str], path: Path) -> Columns:
        """The mapping with every column that is there under our own name added.

        Raises:
            ConfigurationError: a column named is not in the file, or nothing says who agreed or to what.
        """
        names = {name.strip().casefold(): name for name in header}
        found: dict[str, str] = {}
        for ours in FIELDS:
            theirs = names.get(self.columns.get(ours, ours).strip().casefold())
            if theirs is not None:
                found[ours] = theirs
            elif ours in self.columns:
                raise ConfigurationError(
                    f"{path} has no column {self.columns[ours]!r} for {ours}, it has {', '.join(header) or 'none'}"
                )
        given = {*found, *self.constants}
        if not given & set(WHO):
            raise ConfigurationError(f"{path}: no column says who agreed; name one as {', '.join(WHO)} (--column)")
        if not given & {*FLAGS, "channel"}:
            raise ConfigurationError(
                f"{path}: no column says to what; name one as {', '.join(FLAGS)}, or channel and level (--column)"
            )
        return Columns(
            columns=found, constants=self.constants, zone=self.zone, time_format=self.time_format, yes=self.yes
        )

    def values(self, row: Mapping[str, str]) -> dict[str, str]:
        """Our fields of one line, trimmed; what is empty takes the constant, if there is one."""
        found = {ours: (row.get(theirs) or "").strip() for ours, theirs in self.columns.items()}
        return {**found, **{ours: value for ours, value in self.constants.items() if not found.get(ours)}}

    def is_yes(self, word: str) -> bool | None:
        """Whether a flag says yes; None for a word that is neither yes nor no."""
        said = word.strip().casefold()
        return True if said in self.yes else False if said in _NO else None


def read_mapping(path: Path | None, columns: Mapping[str, str], *, timezone: str) -> Columns:
    """The mapping of a file and of options; an option wins.

    Raises:
        ConfigurationError: the file cannot be read, or names what there is not.
    """
    data = _read(path) if path is not None else {}
    unknown = sorted(set(map(str, data)) - {"columns", "constants", "timezone", "time_format", "yes_words"})
    if unknown:
        raise ConfigurationError(
            f"{path}: {', '.join(unknown)} is not known; a mapping has columns, constants, timezone, time_format, "
            "yes_words"
        )
    return Columns(
        columns=_fields(data.get("columns"), path, "columns") | _fields(dict(columns), path, "--column"),
        constants=_fields(data.get("constants"), path, "constants"),
        zone=_zone(str(data.get("timezone") or timezone)),
        time_format=str(data.get("time_format") or ""),
        yes=_YES | {str(word).strip().casefold() for word in data.get("yes_words") or ()},
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigurationError(f"{path} is no mapping; it needs columns: {{ours: theirs}}")
    return data


def _fields(given: Any, path: Path | None, what: str) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ConfigurationError(f"{path}: {what} must be pairs, as in {what}: {{phone: Mobile}}")
    unknown = sorted(set(map(str, given)) - set(FIELDS))
    if unknown:
        raise ConfigurationError(f"{what}: {', '.join(unknown)} is no field; there are {', '.join(FIELDS)}")
    return {str(ours): str(theirs) for ours, theirs in given.items()}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(f"timezone {name!r} is no IANA zone; write one like America/Chicago") from None
