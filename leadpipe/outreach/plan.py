"""Plans: what is sent to whom in which order, read from typed YAML files.

What lives here: the shape of a plan file, its checks and its version. What does not: walking a person through it
(``walk``), due times (``timing``), the words (``templates``). ``docs/plans.md`` is the written side: what each key
means and what an edit, a pause and a resume do to the people inside.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from leadpipe.errors import ConfigurationError
from leadpipe.outreach.timing import Delay
from leadpipe.store.inputs import Input

# What a step or an audience may ask about a person; ``facts`` computes each.
FACTS = frozenset(
    "has_email has_direct_email has_phone has_sms_pewc whatsapp_reaches has_market_trend has_offer "
    "knows_timeline knows_budget knows_place knows_side is_seller".split()
)


def _fact(text: object) -> object:
    name = str(text).removeprefix("not ").strip()
    if name not in FACTS:
        raise ValueError(f"'{text}' is no fact about a person; known: {', '.join(sorted(FACTS))}")
    return text


def _delay(value: object) -> object:
    return Delay.parse(value) if isinstance(value, str) else value


Condition = Annotated[tuple[Annotated[str, BeforeValidator(_fact)], ...], Field(default=())]
When = Annotated[Delay, BeforeValidator(_delay), PlainSerializer(repr)]
Event = Literal["reply", "positive_reply", "human_acted", "new_listing"]
Exit = Literal["reply", "opt_out", "human_acted", "stop_stage", "higher_plan"]
StepId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
# Files with the time of their last change: what is remembered of them holds until one changes.
Stamped = tuple[tuple[Path, int], ...]
AT_ONCE = Delay.parse("at once")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class SendStep(_Part):
    """Send one message; a person who does not meet ``only_if`` goes on at once."""

    id: StepId
    kind: Literal["send"]
    after: When = AT_ONCE
    channel: Literal["email", "sms", "whatsapp"]
    template: str
    purpose: Literal["inquiry_response", "conversation", "transactional", "marketing"]
    only_if: Condition
    spread_minutes: int = Field(0, ge=0, le=24 * 60)
    asks: str = Field("", pattern="^(|timeline|budget|place|side)$", description="Question the step asks, if any.")


class WaitStep(_Part):
    """Let time pass."""

    id: StepId
    kind: Literal["wait"]
    after: When


class WaitForStep(_Part):
    """Wait for an event, at most so long; without ``then`` or ``otherwise`` the next step follows."""

    id: StepId
    kind: Literal["wait_until_event"]
    event: Event
    at_most: When
    then: StepId | None = None
    otherwise: StepId | None = None


class Case(_Part):
    """One way out of a branch."""

    when: Condition
    then: StepId


class BranchStep(_Part):
    """Go on at the first case that holds, else at ``otherwise``, else at the next step."""

    id: StepId
    kind: Literal["branch"]
    cases: tuple[Case, ...] = Field(min_length=1)
    otherwise: StepId | None = None


class ExitStep(_Part):
    """End the passage."""

    id: StepId
    kind: Literal["exit"]
    reason: str = Field(min_length=1)


Step = Annotated[SendStep | WaitStep | WaitForStep | BranchStep | ExitStep, Field(discriminator="kind")]


class Occurrences(_Part):
    """Re-entry: how often a plan may meet one person, and how long after the former passage began."""

    max: int | None = Field(None, ge=1, description="None: no limit.")
    again_after: When = Delay.parse("1 day")

    def refusal(self, count: int, last_at: datetime | None, now: datetime, zone: str) -> str | None:
        """Why the plan does not meet someone again: ``exhausted``, ``finished`` (too soon), or None.

        Args:
            count: how often it met them.
            last_at: when the last passage began, None if never.
            now: when they would enter.
            zone: the person's own clock.
        """
        if self.max is not None and count >= self.max:
            return "exhausted"
        if last_at is not None and self.again_after.due(last_at, zone) > now:
            return "finished"
        return None


class Plan(_Part):
    """One plan file.

    Attributes:
        priority: lower wins when two plans want the same person.
        is_paused: nobody enters, nobody moves on (docs/plans.md).
        runs_beside: neither waits for plans of higher priority nor makes others wait.
        model_text: whether words that a model wrote wait for a person.
        holdout_pct: share of the people the plan would meet who get nothing of it, to compare with (nightly plans).
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    description: str
    priority: int = Field(ge=0, le=100)
    trigger: Literal["new_lead", "positive_reply", "new_listing", "nightly"]
    audience: Condition
    occurrences: Occurrences = Field(default_factory=lambda: Occurrences(max=None))
    exits: tuple[Exit, ...]
    model_text: Literal["review", "send"] = "review"
    is_paused: bool = False
    runs_beside: bool = False
    holdout_pct: float = Field(0, ge=0, le=50)
    steps: tuple[Step, ...] = Field(min_length=1)
    _text: str = PrivateAttr("")

    @model_validator(mode="after")
    def _holds_together(self) -> Plan:
        if self.holdout_pct and self.trigger != "nightly":
            # Who asked something is owed an answer; only a plan that begins by itself may leave somebody out.
            raise PydanticCustomError("holdout", "holdout_pct is for plans with trigger: nightly; take it out")
        seen: set[str] = set()
        for index, step in enumerate(self.steps):
            if step.id in seen:
                raise _wrong_step(index, f"step '{step.id}' stands twice; give one of them another id")
            seen.add(step.id)
        for index, step in enumerate(self.steps):
            later = [other.id for other in self.steps[index + 1 :]]
            for target in _targets(step):
                if target not in later:
                    raise _wrong_step(
                        index,
                        f"step '{step.id}' leads to '{target}', which is no later step; "
                        f"repeat a plan through its occurrences, never by a loop",
                    )
        return self

    def __hash__(self) -> int:
        """By content, once: the walk's caches ask for it a hundred thousand times."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.version)

    @cached_property
    def version(self) -> str:
        """Hash of the content: comments and layout of the file do not change it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def came_from(self, text: str) -> Plan:
        """Remember the file's own text, every byte of it; returns the plan."""
        self._text = text
        return self

    def as_input(self) -> Input:
        """The file as it is kept with the messages that the plan led to."""
        return Input(kind="plan", version=self.version, name=self.name, content=self._text)

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each step."""
        return {step.id: position for position, step in enumerate(self.steps)}

    def holds_out(self, person_id: int) -> bool:
        """Whether the person is of the control group: the same answer every night; a larger group keeps the former.

        The plan's name is part of it, so that the groups of two plans are drawn apart.
        """
        if not self.holdout_pct:
            return False
        drawn = int.from_bytes(hashlib.sha256(f"{self.name}|{person_id}".encode()).digest()[:8], "big") / 2**64
        return drawn * 100 < self.holdout_pct

    @property
    def first(self) -> str:
        """The step everyone enters at."""
        return self.steps[0].id

    def step(self, step_id: str) -> Step | None:
        """The step of this id, None when the file no longer has it."""
        position = self.index.get(step_id)
        return None if position is None else self.steps[position]

    def following(self, step_id: str) -> Step | None:
        """The step after this one, None after the last."""
        position = self.index[step_id] + 1
        return self.steps[position] if position < len(self.steps) else None


def _wrong_step(index: int, what: str) -> PydanticCustomError:
    """An error of the whole plan that stands at one of its steps; ``plan_file`` reads the position from it."""
    return PydanticCustomError("step", "{what}", {"what": what, "index": index})


def _targets(step: Step) -> list[str]:
    if isinstance(step, BranchStep):
        return [case.then for case in step.cases] + ([step.otherwise] if step.otherwise else [])
    if isinstance(step, WaitForStep):
        return [target for target in (step.then, step.otherwise) if target]
    return []


def builtin_folder() -> Path:
    """Where the plans that come with leadpipe lie."""
    return Path(str(files("leadpipe.outreach") / "plans"))


def load_plans(folder: Path | None = None) -> dict[str, Plan]:
    """All plans of a folder by name; None reads the built-in ones.

    Raises:
        ConfigurationError: the folder is missing or a file is wrong; the message says file:line:column.
    """
    return dict(_load_folder(_stamped(folder)))


def _stamped(folder: Path | None) -> Stamped:
    folder = folder or builtin_folder()
    if not folder.is_dir():
        raise ConfigurationError(f"no folder of plans at {folder}; set LEADPIPE_PLANS_PATH or leave it empty")
    return tuple((path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.yaml")))


def paused_plans(folder: Path | None = None) -> tuple[str, ...]:
    """Names of the plans that are paused: their people stay where they are and what waits of them does not leave.

    A plan whose file is wrong counts as paused until it is put right; it stops no other.

    Raises:
        ConfigurationError: the folder is missing.
    """
    return _paused(_stamped(folder))


@lru_cache(maxsize=8)
def _paused(stamped: Stamped) -> tuple[str, ...]:
    from leadpipe.outreach.plan_file import read_plan

    found: set[str] = set()
    for path, _ in stamped:
        try:
            plan = read_plan(path)
        except ConfigurationError:
            found.add(_name_in(path))
        else:
            found |= {plan.name} if plan.is_paused else set()
    return tuple(sorted(found))


def plan_names(folder: Path | None = None) -> tuple[str, ...]:
    """Names of all plans of a folder, of those too whose file is wrong: a stop must find them.

    Raises:
        ConfigurationError: the folder is missing.
    """
    return tuple(sorted({_name_in(path) for path, _ in _stamped(folder)}))


def _name_in(path: Path) -> str:
    named = re.search(r"^name:\s*([a-z0-9_]+)", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return named[1] if named else path.stem


@lru_cache(maxsize=8)
def _load_folder(stamped: Stamped) -> dict[str, Plan]:
    from leadpipe.outreach.plan_file import read_plan
    from leadpipe.outreach.template_sources import template_names

    plans: dict[str, Plan] = {}
    for path, _ in stamped:
        plan = read_plan(path, templates=template_names())
        if plan.name in plans:
            raise ConfigurationError(f"{path}:1:1: plan '{plan.name}' stands in two files; rename one")
        plans[plan.name] = plan
    return plans
