"""``leadpipe replay``: a message's words and verdicts, made again from what was kept, and compared with what was done.

What lives here: what is made again, what it is compared with, and what of its texts has changed since. What does not:
reading (``record``), making words (``words``), printing (``cli.replay``).

Two questions, answered apart. First: do the kept inputs give the very words and verdicts? The stored body is withheld;
the same function that judged judges again, on words made from the kept template. Second: are the files and settings of
today still those? A byte more or less in a template, a plan or a policy pack is told, and what it would change.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from leadpipe.errors import ConfigurationError
from leadpipe.explain.again import case_again, gone, judged_under, settings_of
from leadpipe.explain.today import texts_of_today
from leadpipe.explain.words import Unrepeatable, words_again
from leadpipe.messaging.entry import digest
from leadpipe.outreach import walk
from leadpipe.outreach.plan import Plan, SendStep
from leadpipe.outreach.plan_file import plan_of
from leadpipe.policy.pack_file import pack_file

if TYPE_CHECKING:
    from leadpipe.explain.record import Judged, Recorded
    from leadpipe.policy.verdict import Verdict
    from leadpipe.settings import Settings
    from leadpipe.store.inputs import Input, Kept

IDENTICAL, DIFFERS, MISSING, CHANGED = "identical", "differs", "missing", "changed"
# What a replay as a whole answers, worst first: a difference counts more than an input that is gone.
_ANSWERS = ((DIFFERS, "differs"), (CHANGED, "changed"), (MISSING, "incomplete"))


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing made again or looked at.

    Attributes:
        what: ``words``, ``verdict at claim``, ``template welcome_email`` ...
        result: ``identical``, ``differs`` (made again it is otherwise), ``missing`` (cannot be made again) or
            ``changed`` (the kept text gives the same, today's file is another).
        said: what differs, is missing or has changed, a line each.
    """

    what: str
    result: str
    said: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """The answer about one message."""

    message_id: str
    checks: tuple[Check, ...] = field(default=())

    @property
    def answer(self) -> str:
        """``identical``, or ``differs``, ``changed`` or ``incomplete`` by the worst of the checks."""
        results = {check.result for check in self.checks}
        return next((answer for result, answer in _ANSWERS if result in results), "identical")

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "message_id": self.message_id,
            "answer": self.answer,
            "checks": [{"what": c.what, "result": c.result, "said": list(c.said)} for c in self.checks],
        }


def replay(found: Recorded, *, settings: Settings | None) -> Replayed:
    """Make words and verdicts again from the kept inputs, and compare today's texts with the kept ones.

    Args:
        found: the message, as ``record.read`` gives it.
        settings: today's, to look at the files they name; None looks at the kept inputs alone.
    """
    return Replayed(message_id=found.row.id, checks=tuple(_checks(found, settings)))


def _checks(found: Recorded, settings: Settings | None) -> Iterator[Check]:
    yield _evidence(found)
    yield from _intact(found)
    words, check = _words(found)
    yield check
    if found.plan is not None or found.row.plan != "conversation":
        yield _plan(found)
    for judged in found.verdicts:
        yield _verdict(found, judged, words)
    if settings is not None:
        yield from _since(found, words, settings)


# Messages of one campaign share their texts.
@lru_cache(maxsize=64)
def _plan_of(text: str, name: str) -> Plan:
    return plan_of(text, Path(f"{name}.yaml"))


def _evidence(found: Recorded) -> Check:
    """The kept values are those that the message's hash was made of."""
    if not found.evidence or not found.row.evidence_hash:
        return Check(what="evidence", result=MISSING, said=("its evidence was erased, or nobody kept any",))
    if digest(found.evidence) == found.row.evidence_hash:
        return Check(what="evidence", result=IDENTICAL)
    return Check(
        what="evidence", result=DIFFERS, said=("the kept values no longer have the hash they were kept under",)
    )


def _intact(found: Recorded) -> Iterator[Check]:
    for kept in _kept(found):
        if not kept.is_intact:
            said = f"the kept text of {kept.input.kind} {kept.input.name} no longer has the hash it was kept under"
            yield Check(what=f"kept {kept.input.kind} {kept.input.name}", result=DIFFERS, said=(said,))


def _kept(found: Recorded) -> Iterator[Kept]:
    texts = [found.template, found.plan, found.answers, found.prompt]
    texts += [text for judged in found.verdicts for text in (judged.pack, judged.settings)]
    seen: set[tuple[str, str]] = set()
    for kept in texts:
        if kept is not None and (kept.input.kind, kept.input.version) not in seen:
            seen.add((kept.input.kind, kept.input.version))
            yield kept


def _words(found: Recorded) -> tuple[tuple[str, str] | None, Check]:
    template, texts = (kept.input if kept else None for kept in (found.template, found.answers))
    try:
        made = words_again(found, template, texts)
    except Unrepeatable as error:
        return None, Check(what="words", result=MISSING, said=(str(error),))
    except (ConfigurationError, ValueError, KeyError, TypeError) as error:
        return None, Check(what="words", result=DIFFERS, said=(f"the kept template cannot be rendered: {error}",))
    if not found.row.body:
        return made, Check(what="words", result=MISSING, said=("the stored words were erased: nothing to compare",))
    said = _word_difference((found.row.subject, found.row.body), made, "as sent", "made again")
    return made, Check(what="words", result=DIFFERS if said else IDENTICAL, said=said)


def _word_difference(was: tuple[str, str], now: tuple[str, str], was_named: str, now_named: str) -> tuple[str, ...]:
    before, after = ("\n".join(part for part in words if part).splitlines() for words in (was, now))
    if was == now:
        return ()
    lines = difflib.unified_diff(before, after, was_named, now_named, lineterm="", n=0)
    return tuple(lines) or ("the words differ in line ends or blanks only",)


def _plan(found: Recorded) -> Check:
    """The plan's kept text still says that this step goes by this channel, for this purpose, in these words."""
    row, what = found.row, f"plan {found.row.plan}"
    if found.plan is None:
        return Check(what=what, result=MISSING, said=(f"nobody kept the text of its version {row.plan_version}",))
    try:
        plan = _plan_of(found.plan.input.content, row.plan)
    except ConfigurationError as error:
        return Check(what=what, result=DIFFERS, said=(f"the kept text is no plan: {error}",))
    step = plan.step(row.step)
    if not isinstance(step, SendStep):
        return Check(what=what, result=DIFFERS, said=(f"the kept text has no step {row.step} that sends",))
    pairs = {
        "version": (row.plan_version, plan.version),
        "channel": (row.channel, step.channel),
        "purpose": (row.purpose, step.purpose),
        "template": (row.template, step.template),
    }
    said = [f"{name}: {was}, made again {now}" for name, (was, now) in pairs.items() if was != now]
    facts = found.evidence.get("facts")
    if facts is not None and not walk.holds(step.only_if, frozenset(facts)):
        said.append(f"step {step.id} asks for {', '.join(step.only_if)}; the kept facts are {', '.join(facts)}")
    return Check(what=what, result=DIFFERS if said else IDENTICAL, said=tuple(said))


def judge_again(found: Recorded, judged: Judged, words: tuple[str, str], pack: Input, settings: Input) -> Verdict:
    """The verdict that these texts give on the kept case with these words."""
    assert judged.case is not None
    case = case_again(judged.case, found.row, address=found.address, consents=found.consents, words=words)
    rules = pack_file(pack.content.encode(), pack.name).on(case.now.date())
    return judged_under(case, rules, settings_of(settings.content))


def _verdict(found: Recorded, judged: Judged, words: tuple[str, str] | None) -> Check:
    what = f"verdict at {judged.moment}, {judged.judged_at:%Y-%m-%d %H:%M:%S}"
    if missing := tuple(_missing(found, judged, words)):
        return Check(what=what, result=MISSING, said=missing)
    assert words is not None
    assert judged.pack is not None
    assert judged.settings is not None
    try:
        verdict = judge_again(found, judged, words, judged.pack.input, judged.settings.input)
    except Exception as error:  # noqa: BLE001 - a kept text that was tampered with can break a rule in any way
        return Check(what=what, result=DIFFERS, said=(f"it cannot be judged again: {type(error).__name__}: {error}",))
    said = tuple(f"{name}: {was}, made again {now}" for name, was, now in verdict_differences(judged, verdict))
    return Check(what=what, result=DIFFERS if said else IDENTICAL, said=said)


def _missing(found: Recorded, judged: Judged, words: tuple[str, str] | None) -> Iterator[str]:
    if words is None:
        yield "there are no words to judge"
    for each in gone(judged.case, found.address, found.row.contact_point_id, found.consents):
        yield each.words()
    if judged.case is None:
        return
    if judged.pack is None:
        yield f"nobody kept the text of policy pack {judged.pack_version}"
    if judged.settings is None:
        yield "nobody kept the settings it was judged under"


def verdict_differences(judged: Judged, verdict: Verdict) -> Iterator[tuple[str, Any, Any]]:
    """What of a kept verdict is otherwise in this one: (name, as kept, now)."""
    evidence: Mapping[str, Any] = orjson.loads(orjson.dumps(verdict.evidence()))
    pairs: list[tuple[str, Any, Any]] = [
        ("decision", judged.decision, verdict.decision),
        ("code", judged.code, verdict.code),
        ("rule", judged.rule, verdict.rule),
        ("until", _iso(judged.until), _iso(verdict.until)),
        ("pack", judged.pack_version, verdict.pack_version),
        ("findings", judged.findings, [finding.as_json() for finding in verdict.findings]),
        *((f"evidence {name}", judged.evidence.get(name), value) for name, value in evidence.items()),
    ]
    return ((name, was, now) for name, was, now in pairs if was != now)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _since(found: Recorded, words: tuple[str, str] | None, settings: Settings) -> Iterator[Check]:
    """What of the texts is another today, and what that would change."""
    today = texts_of_today(found, settings)
    for kept in _kept(found):
        now = today.get((kept.input.kind, kept.input.version))
        what = f"{kept.input.kind} {kept.input.name} today"
        if isinstance(now, str):
            yield Check(what=what, result=CHANGED, said=(now,))
        elif now is not None and now.sha256 != kept.input.sha256:
            said = (f"kept {kept.input.sha256[:12]}, today {now.sha256[:12]}", *_effect(found, words, kept.input, now))
            yield Check(what=what, result=CHANGED, said=said)
        elif now is not None:
            yield Check(what=what, result=IDENTICAL)


def _effect(found: Recorded, words: tuple[str, str] | None, was: Input, now: Input) -> Iterator[str]:
    """What the new text would change about this message."""
    if was.kind in {"template", "answers"}:
        try:
            template = now if was.kind == "template" else None
            made = words_again(found, template, now if was.kind == "answers" else None)
        except (Unrepeatable, ConfigurationError, ValueError, KeyError, TypeError) as error:
            yield f"its words could not be made with it: {error}"
            return
        said = _word_difference(words, made, "as kept", "with today's text") if words else ()
        yield from said or ("its words would be the same",)
    elif was.kind in {"pack", "settings"} and words is not None:
        yield from _verdict_effect(found, words, was, now)
    else:
        yield from difflib.unified_diff(
            was.content.splitlines(), now.content.splitlines(), "as kept", "today", lineterm="", n=0
        )


def _verdict_effect(found: Recorded, words: tuple[str, str], was: Input, now: Input) -> Iterator[str]:
    for judged in found.verdicts:
        texts = {kept.input.kind: kept.input for kept in (judged.pack, judged.settings) if kept is not None}
        if texts.get(was.kind) != was or any(True for _ in _missing(found, judged, words)):
            continue
        texts[was.kind] = now
        try:
            verdict = judge_again(found, judged, words, texts["pack"], texts["settings"])
        except Exception as error:  # noqa: BLE001 - a file under edit can be wrong in any way
            yield f"at {judged.moment} it could not be judged with it: {type(error).__name__}: {error}"
            continue
        differs = [each for each in verdict_differences(judged, verdict) if not each[0].endswith("pack")]
        lines = [f"at {judged.moment} {name} would be {after} instead of {before}" for name, before, after in differs]
        yield from lines or [f"the verdict at {judged.moment} would be the same"]
