"""How well refusals are told from other replies: ``python -m benchmarks optouts FILE --json``.

What lives here: reading a file of sentences as ``leadpipe classify`` does, and the figures by language and kind. What
does not: the reader (``leadpipe.conversation``). FILE is YAML, a list of

    - {text: "take me off your list", is_opt_out: true, language: en, kind: sms}

written by somebody who has not seen the rules or the training sentences; texts that were trained on are named and left
out. The reader is the local one: no key, no network.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from leadpipe.conversation.classify import Reading, classify_many
from leadpipe.conversation.local_model import refusal_sentences, reply_sentences, sentences
from leadpipe.conversation.plain import bare

RECALL = 0.995
FALSE_STOPS = 0.02


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One entry of the file."""

    text: str
    is_opt_out: bool
    language: str
    kind: str


Judged = tuple[Sentence, Reading]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when recall or false stops miss the figure, 2 when the file cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks optouts", description=__doc__)
    parser.add_argument("file", type=Path, help="YAML list of {text, is_opt_out, language, kind}")
    parser.add_argument("--with-trained", action="store_true", help="count the texts that were trained on too")
    parser.add_argument(
        "--wrong", action="store_true", help="print the sentences read wrongly (never for a held-out set)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    options = parser.parse_args(arguments)
    try:
        given = read(options.file)
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f"{options.file} cannot be read: {error}", file=sys.stderr)
        return 2
    kept = given if options.with_trained else unseen(given)
    judged = judge(kept)
    figures: dict[str, Any] = {
        "sentences": len(given),
        "left_out_as_trained": len(given) - len(kept),
        **shares(judged),
        "by": by_part(judged),
        "false_stops_by": dict(
            Counter(f"{r.intent} by {r.reader.split(':')[0]}" for s, r in judged if _is_false_stop(s, r))
        ),
        "milliseconds_each": milliseconds_each([sentence.text for sentence, _ in judged[:200]]),
    }
    if options.wrong:
        figures["missed"] = [
            sentence.text for sentence, reading in judged if sentence.is_opt_out and not reading.suppress
        ]
        figures["stopped_falsely"] = [
            sentence.text for sentence, reading in judged if _is_false_stop(sentence, reading)
        ]
    figures["holds"] = figures["recall"] >= RECALL and figures["false_stop_rate"] <= FALSE_STOPS
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
    else:
        print(_words(figures))
    return 0 if figures["holds"] else 1


def read(path: Path) -> list[Sentence]:
    """The file's sentences.

    Raises:
        OSError: it cannot be opened.
        ValueError: an entry lacks a field.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list) or not entries:
        raise ValueError("needs a list of sentences that is not empty")
    found: list[Sentence] = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not {"text", "is_opt_out", "language", "kind"} <= entry.keys():
            raise ValueError(f"entry {number} needs text, is_opt_out, language and kind")
        found.append(
            Sentence(
                text=str(entry["text"]),
                is_opt_out=bool(entry["is_opt_out"]),
                language=str(entry["language"]),
                kind=str(entry["kind"]),
            )
        )
    return found


def unseen(given: Sequence[Sentence]) -> list[Sentence]:
    """Those that no training sentence equals, case and marks apart."""
    trained = {bare(text) for text, _ in (*sentences(), *refusal_sentences(), *reply_sentences())}
    return [sentence for sentence in given if bare(sentence.text) not in trained]


def judge(given: Sequence[Sentence]) -> list[Judged]:
    """Each sentence with its reading, as ``leadpipe classify`` gives it."""
    return list(zip(given, classify_many([sentence.text for sentence in given]), strict=True))


def shares(judged: Sequence[Judged]) -> dict[str, Any]:
    """Opt-outs, caught and seen by a person, and others stopped falsely or put before a person."""
    refusals = [reading for sentence, reading in judged if sentence.is_opt_out]
    others = [reading for sentence, reading in judged if not sentence.is_opt_out]
    caught = sum(reading.suppress for reading in refusals)
    stopped = sum(reading.suppress for reading in others)
    return {
        "opt_outs": len(refusals),
        "caught": caught,
        "recall": round(caught / len(refusals), 4) if refusals else 1.0,
        "caught_or_seen": sum(reading.suppress or reading.is_doubtful for reading in refusals),
        "others": len(others),
        "false_stops": stopped,
        "false_stop_rate": round(stopped / len(others), 4) if others else 0.0,
        "others_to_a_person": sum(reading.is_doubtful for reading in others),
    }


def by_part(judged: Sequence[Judged]) -> dict[str, dict[str, Any]]:
    """``shares`` by language, by kind and by both."""
    parts: dict[str, list[Judged]] = {}
    for sentence, reading in judged:
        for name in (sentence.language, sentence.kind, f"{sentence.language} {sentence.kind}"):
            parts.setdefault(name, []).append((sentence, reading))
    return {name: shares(part) for name, part in sorted(parts.items())}


def milliseconds_each(texts: Sequence[str]) -> float:
    """What one sentence costs when it comes alone, by processor time."""
    started = time.process_time()
    for text in texts:
        classify_many([text])
    return round((time.process_time() - started) * 1000 / max(1, len(texts)), 2)


def _is_false_stop(sentence: Sentence, reading: Reading) -> bool:
    return reading.suppress and not sentence.is_opt_out


def _words(figures: dict[str, Any]) -> str:
    lines = [
        f"{figures['sentences']} sentences, {figures['left_out_as_trained']} left out as trained on, "
        f"{figures['milliseconds_each']} ms each",
        *(_line(name, part) for name, part in {"all": figures, **figures["by"]}.items()),
        f"false stops: {figures['false_stops_by']}",
        *(f"missed: {text!r}" for text in figures.get("missed", ())),
        *(f"stopped falsely: {text!r}" for text in figures.get("stopped_falsely", ())),
    ]
    return "\n".join(lines)


def _line(name: str, part: dict[str, Any]) -> str:
    return (
        f"{name:12} caught {part['caught']}/{part['opt_outs']} ({part['recall']:.1%}), false stops "
        f"{part['false_stops']}/{part['others']} ({part['false_stop_rate']:.1%})"
    )
