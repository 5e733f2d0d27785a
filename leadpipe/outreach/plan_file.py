"""Reading a plan file so that every error names its line.

What lives here: YAML nodes to plain data with positions, and validation errors put back onto those positions. What does
not: what a plan may say (``plan``).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from leadpipe.errors import ConfigurationError
from leadpipe.outreach.plan import Plan, SendStep

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Loc = tuple[str | int, ...]


class _Positions:
    """The plain data of a node tree and where each part of it stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: dict[Loc, yaml.Mark] = {}

    def fail(self, mark: yaml.Mark | None, what: str) -> ConfigurationError:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return ConfigurationError(f"{self.path}:{line}:{column}: {what}")

    def data(self, node: yaml.Node, loc: Loc = ()) -> Any:
        self.marks[loc] = node.start_mark
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                if key in found:
                    raise self.fail(key_node.start_mark, f"'{key}' stands twice; keep one")
                found[key] = self.data(value_node, (*loc, key))
                self.marks[(*loc, key)] = key_node.start_mark
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self.data(item, (*loc, index)) for index, item in enumerate(node.value)]
        return yaml.safe_load(yaml.serialize(node, Dumper=yaml.SafeDumper))

    def nearest(self, loc: Loc) -> yaml.Mark | None:
        """The position of the deepest part of ``loc`` that stands in the file.

        The names of step kinds that validation puts into a location stand nowhere in the file and are passed over.
        """
        here: Loc = ()
        for part in loc:
            if (*here, part) in self.marks:
                here = (*here, part)
        return self.marks.get(here)


def read_plan(path: Path, *, templates: Collection[str] = ()) -> Plan:
    """The plan of one file.

    Args:
        path: the file.
        templates: names that a send step may use; empty checks none.

    Raises:
        ConfigurationError: ``file:line:column: what is wrong and what to do``, one line per problem.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _Positions(path).fail(None, f"cannot be read: {error}") from error
    return plan_of(text, path, templates=templates)


def plan_of(text: str, path: Path, *, templates: Collection[str] = ()) -> Plan:
    """The plan that a file's text says; ``path`` only names it.

    Raises:
        ConfigurationError: as ``read_plan``.
    """
    positions = _Positions(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise positions.fail(error.problem_mark, f"not readable as YAML: {error.problem}") from error
    if node is None:
        raise positions.fail(None, "the file is empty; a plan needs name, trigger and steps")
    data = positions.data(node)
    try:
        plan = Plan.model_validate(data).came_from(text)
    except ValidationError as error:
        lines = [
            str(positions.fail(positions.nearest(_place(problem)), _advice(problem["loc"], problem["msg"])))
            for problem in error.errors(include_url=False)
        ]
        raise ConfigurationError("\n".join(lines)) from None
    for index, step in enumerate(plan.steps):
        if templates and isinstance(step, SendStep) and step.template not in templates:
            mark = positions.nearest(("steps", index, "template"))
            raise positions.fail(mark, f"no template '{step.template}'; known: {', '.join(sorted(templates))}")
    return plan


def _place(problem: ErrorDetails) -> Loc:
    """Where a problem stands: its own location, or the step that the whole plan's check names."""
    index = problem.get("ctx", {}).get("index")
    return ("steps", index) if problem["type"] == "step" and index is not None else problem["loc"]


def _advice(loc: Loc, message: str) -> str:
    key = next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
    if message.startswith("Extra inputs"):
        return f"'{key}' is no key of a plan here; remove it or correct its spelling (docs/plans.md)"
    if message.startswith("Field required"):
        return f"'{key}' is missing; add it (docs/plans.md)"
    text = message.removeprefix("Value error, ")
    return f"{key}: {text}" if key else text
