"""``docs/plans.md``: every key and fact is described, the example reads, mistakes are told as the page shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leadpipe.errors import ConfigurationError
from leadpipe.outreach import plan as plans
from leadpipe.outreach.plan_file import read_plan
from leadpipe.outreach.queue import OUTCOMES
from leadpipe.outreach.template_sources import template_names

DOC = (Path(__file__).parents[2] / "docs" / "plans.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)[0]
MISTAKES = [
    (match[1], match[2])
    for line in DOC.partition("## Mistakes")[2].splitlines()
    if (match := re.fullmatch(r"\| `(.+?)` \| `(spring\.yaml:.+)` \|", line))
]
PARTS = (plans.Plan, plans.SendStep, plans.WaitStep, plans.WaitForStep, plans.BranchStep, plans.Case, plans.ExitStep,
         plans.Occurrences)  # fmt: skip


def test_the_example_is_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "spring.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    plan = read_plan(path, templates=template_names())
    assert {step.kind for step in plan.steps} == {"send", "branch", "wait_until_event", "exit"}


def test_every_key_fact_and_outcome_is_described() -> None:
    keys = {key for part in PARTS for key in part.model_fields}
    missing = [name for name in sorted(keys | plans.FACTS | set(OUTCOMES)) if f"`{name}`" not in DOC]
    assert missing == []


def test_there_are_mistakes_to_show() -> None:
    assert len(MISTAKES) >= 8


@pytest.mark.parametrize(("written", "told"), MISTAKES, ids=[written for written, _ in MISTAKES])
def test_a_mistake_is_told_as_the_page_shows_it(tmp_path: Path, written: str, told: str) -> None:
    key = "priority" if written.startswith("priorty") else written.partition(":")[0]
    before = next(match[0] for match in re.finditer(rf"(?<![\w]){key}: .*", EXAMPLE))
    path = tmp_path / "spring.yaml"
    path.write_text(EXAMPLE.replace(before, written, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        read_plan(path, templates=template_names())
    said = str(raised.value).replace(f"{tmp_path}/", "")
    assert any(line.startswith(told.partition(" ...")[0].rstrip(",")) for line in said.splitlines()), said
