"""Packs: dated parts take effect and end by themselves; a pack that lacks a part judges nothing."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from leadpipe.errors import ConfigurationError
from leadpipe.policy.pack_file import CHECKSUMS, load_pack, named_pack
from leadpipe.policy.pack_file import FOLDER as BUILT_IN
from leadpipe.policy.patterns import Patterns

# Words that the content patterns look for, halves of them, and what may stand between.
_VOCABULARY = (
    "perfect", "great", "for", "families", "family", "a", "young", "investment", "gift", "card", "cash", "back", "FREE",
    "$5", "5%", "no", "children", "bit.ly", "casino", "wine", "our", "lender", "use", "real", "person", "I'm", "not",
    "bot", "agent", "free", "rate", "guaranteed", "x", "$", "%", " ", " ", " ", "-", ".", "\n", "é", "ideal", "para",
    "familias", "seguro", "refer", "friend", "credit", "at", "closing", "sex", "church", "safe", "neighborhood",
)  # fmt: skip


_SALE_WORDS = (
    "sale", "SALE", "Sale", "sales", "(sale)", "ſale", "no sale", "offer", "Ofertas", "niños", "NIÑOS", "precio",
    "İ", "ı", "K", "]", "1", "A", "x", "_", "-", ".", "$", " ", " ", " ", "\n",
)  # fmt: skip


def _patterns_of(group: str) -> Sequence[str]:
    data = yaml.safe_load(sorted(BUILT_IN.glob("*.yaml"))[-1].read_text(encoding="utf-8"))
    return next(part[group] for part in data["parts"] if group in part and isinstance(part[group], list))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the built-in packs, for a test to change."""
    return Path(shutil.copytree(BUILT_IN, tmp_path / "packs", ignore=shutil.ignore_patterns(CHECKSUMS)))


def edit(folder: Path, change: Any) -> None:
    path = sorted(folder.glob("*.yaml"))[-1]
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    change({part["name"]: part for part in data["parts"]}, data)
    path.write_text(yaml.safe_dump(data), encoding="utf-8")


def test_every_part_says_since_when_from_whom_and_how_sure() -> None:
    for path in BUILT_IN.glob("*.yaml"):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert data["version"] == path.stem
        for part in data["parts"]:
            assert isinstance(part["effective_from"], date), part["name"]
            assert part["source"] and part["confidence"] in {"A", "B", "C"}, part["name"]


def test_a_part_takes_effect_and_ends_on_its_day_and_changes_the_version(folder: Path) -> None:
    def end_the_pause(parts: dict[str, Any], _: Any) -> None:
        parts["whatsapp"]["effective_to"] = date(2027, 1, 31)

    edit(folder, end_the_pause)
    before, after = load_pack(date(2027, 1, 30), folder), load_pack(date(2027, 1, 31), folder)
    assert (before.is_us_whatsapp_marketing_paused, after.is_us_whatsapp_marketing_paused) == (True, False)
    assert before.version != after.version
    assert before.version == load_pack(date(2026, 12, 1), folder).version


def test_a_later_part_of_the_same_name_replaces_the_earlier_from_its_day(folder: Path) -> None:
    def shorten(parts: dict[str, Any], data: Any) -> None:
        later = dict(parts["consent"], effective_from=date(2027, 7, 1), inquiry_days=30)
        data["parts"].append(later)

    edit(folder, shorten)
    assert load_pack(date(2027, 6, 30), folder).inquiry_days == 90
    assert load_pack(date(2027, 7, 1), folder).inquiry_days == 30
    assert load_pack(date(2027, 6, 30), folder).version != load_pack(date(2027, 7, 1), folder).version


def test_the_newest_file_not_after_the_day_is_in_force(folder: Path) -> None:
    newest = sorted(folder.glob("*.yaml"))[-1]
    data = yaml.safe_load(newest.read_text(encoding="utf-8")) | {"version": "2027-05-01"}
    (folder / "2027-05-01.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert load_pack(date(2027, 4, 30), folder).version.startswith(newest.stem)
    assert load_pack(date(2027, 5, 1), folder).version.startswith("2027-05-01")


def test_days_before_the_first_file_are_judged_by_it(folder: Path) -> None:
    assert load_pack(date(2026, 1, 1), folder).version.startswith(sorted(folder.glob("*.yaml"))[0].stem)


@pytest.mark.parametrize("part", ["federal_hours", "state_hours", "consent", "dnc", "frequency", "content"])
def test_a_missing_part_is_named_and_nothing_is_judged(folder: Path, part: str) -> None:
    def take_out(parts: dict[str, Any], data: Any) -> None:
        data["parts"].remove(parts[part])

    edit(folder, take_out)
    with pytest.raises(ConfigurationError, match=f"{part} is missing on 2026-11-24"):
        load_pack(date(2026, 11, 24), folder)


def test_c45_a_file_that_is_not_the_one_that_came_along_judges_nothing(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(BUILT_IN, tmp_path / "packs"))
    newest = sorted(folder.glob("*.yaml"))[-1]
    assert load_pack(date(2026, 11, 24), folder).version.startswith(newest.stem)
    damaged = Path(shutil.copytree(folder, tmp_path / "damaged"))
    (damaged / newest.name).write_bytes(newest.read_bytes().replace(b"[8, 21]", b"[8, 23]"))
    with pytest.raises(ConfigurationError, match=f"{newest.name} is not the file that came along"):
        load_pack(date(2026, 11, 24), damaged)
    # A team's own file of a newer day is nobody's but theirs.
    (damaged / "2026-11-25.yaml").write_bytes((damaged / newest.name).read_bytes())
    assert load_pack(date(2026, 11, 25), damaged).version.startswith(newest.stem)


def test_the_checksums_are_those_of_the_files_that_come_along() -> None:
    listed = dict(line.split()[::-1] for line in (BUILT_IN / CHECKSUMS).read_text().splitlines())
    paths = (*BUILT_IN.glob("*.yaml"), *BUILT_IN.glob("*.json"))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    assert listed == found, f"in {BUILT_IN}: sha256sum *.json *.yaml > {CHECKSUMS}"


def test_an_empty_folder_judges_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing can be judged"):
        load_pack(date(2026, 11, 24), tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dnc": {"file_days": "a month"}}, "part dnc cannot be read on 2026-11-24"),
        ({"federal_hours": {"window": {"weekdays": [8, 21]}}}, "saturday of part federal_hours is missing"),
        ({"state_hours": {"states": {"TX": {"weekdays": [9], "saturday": None, "sunday": None}}}}, "part state_hours"),
        ({"content": {"shaft_block": ["("]}}, "part content cannot be read on 2026-11-24"),
        ({"casl": {"effective_from": "soon"}}, "effective_from of part casl is no day like 2026-11-24"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_part_that_cannot_be_read_is_named_with_its_day(
    folder: Path, change: dict[str, dict[str, Any]], said: str
) -> None:
    def spoil(parts: dict[str, Any], _: Any) -> None:
        for name, values in change.items():
            parts[name].update(values)

    edit(folder, spoil)
    with pytest.raises(ConfigurationError, match=said):
        load_pack(date(2026, 11, 24), folder)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"version: [", "is no YAML"),
        (b"\xff\xfe", "is no YAML"),
        (b"version: 1\n", "needs a version and a list of parts"),
        (b"- 1\n", "needs a version and a list of parts"),
        (b"version: 1\nparts: [1]\n", "part 1 of the file has no name"),
    ],
    ids=["broken", "no text", "no parts", "a list", "a part without name"],
)
def test_what_is_no_pack_says_so(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "draft.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError, match=f"policy pack draft.yaml.*{said}|{said}"):
        named_pack(str(path))


def test_a_pack_is_named_by_its_file_or_by_the_name_of_one_that_comes_along(folder: Path) -> None:
    newest = sorted(folder.glob("*.yaml"))[-1]
    assert (
        named_pack(newest.stem).on(date(2026, 11, 24)).version == named_pack(str(newest)).on(date(2026, 11, 24)).version
    )
    with pytest.raises(ConfigurationError, match=f"no policy pack nonsense .*: {newest.stem}"):
        named_pack("nonsense")


def test_days_with_the_same_parts_share_one_pack() -> None:
    newest = named_pack(sorted(BUILT_IN.glob("*.yaml"))[-1].stem)
    assert newest.on(date(2026, 11, 24)) is newest.on(date(2026, 12, 24))


@pytest.mark.parametrize("group", sorted(load_pack(date(2026, 11, 24)).patterns))
@given(words=st.lists(st.sampled_from(_VOCABULARY), max_size=12))
@settings(max_examples=60, deadline=None)
def test_patterns_that_share_a_words_edge_find_what_each_of_them_finds(group: str, words: list[str]) -> None:
    text = "".join(words)
    each = _patterns_of(group)
    assert load_pack(date(2026, 11, 24)).patterns[group].are_in(text) == any(
        re.search(pattern, text, re.IGNORECASE) for pattern in each
    )


def test_a_pattern_of_several_branches_keeps_the_edge_to_its_first() -> None:
    found = Patterns([r"\bfoo|bar", r"\bbaz(?:x|y)", r"qux", r"\b[|]z"])
    assert [found.are_in(text) for text in ("xbar", "xfoo", " foo", "xbazx", "bazy", "xqux", "a|z", "x")] == [
        True, False, True, False, True, True, True, False,
    ]  # fmt: skip


# A team writes packs of its own: everything that ``re`` reads is found as ``re`` finds it.
@pytest.mark.parametrize(
    "pattern",
    [
        r"\b(sale|offer)s?\b",
        r"\bSALE\b",
        r"(?-i:SALE)",
        r"\b(s)ale \1",
        r"[A-Z]{3}",
        r"[^a-z ]",
        r"[0-z]",
        r"[!-~]x",
        r"[\w-]+e",
        r"\bprecio[s]?\b",
        r"\bni[nñ]os\b",
        r"[Ññ]",
        r"\bİ",
        r"[(]sale[)]",
        r"\(sale\)",
        r"[]s]ale",
        r"(?P<x>sale)",
        r"(?i:Sale)",
        r"(?<!no )sale",
        r"(?=sale)s",
        r"\x53ale",
        r"\u0073ale",
        r"(sale",
        r"^sale$",
        r"sale(?# a note)",
        r"\Sale",
        r"\Bale",
    ],
)
@given(words=st.lists(st.sampled_from(_SALE_WORDS), max_size=6))
@settings(max_examples=80, deadline=None)
def test_any_pattern_finds_together_what_it_finds_alone(pattern: str, words: list[str]) -> None:
    text = "".join(words)
    try:
        alone = re.compile(pattern, re.IGNORECASE)
    except re.error:
        with pytest.raises(re.error):
            Patterns([pattern, r"\bqqq"])
        return
    assert Patterns([pattern, r"\bqqq"]).are_in(text) == (alone.search(text) is not None)
