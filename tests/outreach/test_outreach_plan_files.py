"""Plan files: every mistake names its line, and the built-in plans hold together."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadpipe.errors import ConfigurationError
from leadpipe.outreach.plan import SendStep, builtin_folder, load_plans
from leadpipe.outreach.plan_file import read_plan

GOOD = """\
name: spring
description: A spring campaign.
priority: 60
trigger: nightly
exits: [reply]
steps:
  - id: hello
    kind: send
    after: 2 days at 10:00 local
    channel: email
    template: still_looking_email
    purpose: marketing
    only_if: [has_direct_email]
  - id: rest
    kind: wait
    after: 3 days
  - id: fork
    kind: branch
    cases:
      - when: [is_seller]
        then: bye
  - id: listen
    kind: wait_until_event
    event: reply
    at_most: 30 days
    then: bye
  - id: bye
    kind: exit
    reason: silence
"""


def plan_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "spring.yaml"
    path.write_text(text)
    return path


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    plan = read_plan(plan_file(tmp_path, GOOD), templates={"still_looking_email"})
    assert [step.kind for step in plan.steps] == ["send", "wait", "branch", "wait_until_event", "exit"]
    assert plan.occurrences.max is None


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("priority: 60", "priority: urgent", ":3:", "priority"),
        ("priority: 60\n", "", ":1:1:", "'priority' is missing"),
        ("priority: 60", "priorty: 60", ":3:1:", "'priorty' is no key"),
        ("2 days at 10:00 local", "2 moons", ":9:", "'2 moons' is no delay"),
        ("2 days at 10:00 local", "2 days at 25:00 local", ":9:", "is no delay"),
        ("channel: email", "channel: fax", ":10:", "channel"),
        ("template: still_looking_email", "template: poem", ":11:", "no template 'poem'"),
        ("[has_direct_email]", "[is_rich]", ":13:", "'is_rich' is no fact"),
        ("kind: wait\n", "kind: nap\n", ":14:", "nap"),
        ("then: bye\n  - id: listen", "then: hello\n  - id: listen", ":17:5:", "'hello', which is no later step"),
        ("id: rest", "id: hello", ":14:5:", "step 'hello' stands twice"),
        ("trigger: nightly", "trigger: nightly\ntrigger: new_lead", ":5:1:", "'trigger' stands twice"),
        ("exits: [reply]", "exits: [reply", ":6:", "not readable as YAML"),
    ],
)
def test_a_mistake_names_its_place_and_what_to_do(tmp_path: Path, old: str, new: str, where: str, says: str) -> None:
    assert old in GOOD
    path = plan_file(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as raised:
        read_plan(path, templates={"still_looking_email"})
    assert f"{path}{where}" in str(raised.value)
    assert says in str(raised.value)


def test_an_empty_file_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the file is empty"):
        read_plan(plan_file(tmp_path, "# nothing\n"))


def test_the_version_follows_the_content_and_not_the_layout(tmp_path: Path) -> None:
    plain = read_plan(plan_file(tmp_path, GOOD))
    commented = read_plan(plan_file(tmp_path, "# a comment\n" + GOOD))
    edited = read_plan(plan_file(tmp_path, GOOD.replace("3 days", "4 days")))
    assert plain.version == commented.version
    assert plain.version != edited.version


def test_the_built_in_plans_are_the_four_and_use_known_templates() -> None:
    plans = load_plans()
    assert sorted(plans) == ["new_lead", "nurture", "property_alert", "reactivation"]
    assert plans["reactivation"].occurrences.max == 3
    assert {p.priority for p in plans.values()} == {10, 20, 30, 40}


def test_the_welcome_goes_at_once_and_the_text_on_the_next_business_day() -> None:
    steps = {step.id: step for step in load_plans()["new_lead"].steps if isinstance(step, SendStep)}
    assert steps["welcome_email"].after.span.total_seconds() == 0
    assert steps["welcome_sms"].after.is_business_day
    assert {step.asks for step in steps.values()} == {"", "timeline", "budget", "place", "side"}


def test_a_missing_folder_says_which_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="LEADPIPE_PLANS_PATH"):
        load_plans(tmp_path / "none")


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(ConfigurationError, match="stands in two files"):
        load_plans(tmp_path)


def test_a_folder_is_read_again_once_a_file_changed(tmp_path: Path) -> None:
    path = tmp_path / "spring.yaml"
    path.write_text((builtin_folder() / "property_alert.yaml").read_text())
    first = load_plans(tmp_path)["property_alert"].version
    path.write_text(path.read_text().replace("again_after: 7 days", "again_after: 9 days"))
    assert load_plans(tmp_path)["property_alert"].version != first
