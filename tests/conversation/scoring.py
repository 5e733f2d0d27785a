"""Scoring the reader on a file of sentences: ``python -m tests.conversation.scoring FILE...`` prints the figures."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from leadpipe.conversation.classify import SUPPRESSING, Reading, classify_many

HERE = Path(__file__).parent
Judged = list[tuple[str, str, str, Reading]]


@dataclass(frozen=True, kw_only=True)
class Score:
    """Shares between 0 and 1; ``stopped_or_seen`` are refusals carried out or put before a person."""

    sentences: int
    refusals: int
    recall: float
    stopped_or_seen: float
    false_hits: float
    harmless_to_a_person: float
    intent: float


def judge(name: str) -> Judged:
    """(text, intent, tone or empty, reading) of each sentence of ``sentences_NAME.yaml``."""
    data = yaml.safe_load((HERE / f"sentences_{name}.yaml").read_text(encoding="utf-8"))
    rows = [
        (str(text), intent, tone)
        for intent, given in data.items()
        for tone, texts in (given.items() if isinstance(given, dict) else [("", given)])
        for text in texts
    ]
    readings = classify_many([text for text, _, _ in rows])
    return [(*row, reading) for row, reading in zip(rows, readings, strict=True)]


def score(judged: Judged) -> Score:
    """The figures."""
    refusals = [reading for _, intent, _, reading in judged if intent in SUPPRESSING]
    others = [reading for _, intent, _, reading in judged if intent not in SUPPRESSING]
    return Score(
        sentences=len(judged),
        refusals=len(refusals),
        recall=sum(r.suppress for r in refusals) / len(refusals),
        stopped_or_seen=sum(r.suppress or r.is_doubtful for r in refusals) / len(refusals),
        false_hits=sum(r.suppress for r in others) / len(others),
        harmless_to_a_person=sum(r.is_doubtful for r in others) / len(others),
        intent=sum(intent == reading.intent for _, intent, _, reading in judged) / len(judged),
    )


if __name__ == "__main__":
    for name in sys.argv[1:] or ["test", "fresh"]:
        figures = {key: round(value, 4) for key, value in asdict(score(judge(name))).items()}
        sys.stdout.write(json.dumps({"set": name} | figures) + "\n")
