"""The texts that a message would be made from today: files and settings as they are now.

What lives here: finding today's counterpart of each kept text. What does not: comparing (``replay``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from leadpipe.conversation import answers, openai_writer
from leadpipe.errors import ConfigurationError, LeadpipeError
from leadpipe.messaging.gate import policy_of
from leadpipe.outreach.plan import load_plans
from leadpipe.outreach.template_sources import sources_of
from leadpipe.policy.frozen import judged_for
from leadpipe.policy.pack_file import load_pack

if TYPE_CHECKING:
    from leadpipe.explain.record import Recorded
    from leadpipe.settings import Settings
    from leadpipe.store.inputs import Input


def texts_of_today(found: Recorded, settings: Settings) -> dict[tuple[str, str], Input | str]:
    """By kind and kept version: the text of today, or in words why there is none."""
    row = found.row
    wanted: dict[tuple[str, str], Callable[[], Input]] = {}
    language = str((found.evidence.get("variables") or {}).get("language", "en"))
    if found.template is not None:
        wanted["template", row.template_version] = lambda: sources_of(row.template, language).as_input()
    if found.plan is not None:
        wanted["plan", row.plan_version] = lambda: _plan(row.plan, settings)
    if found.answers is not None:
        wanted["answers", found.answers.input.version] = lambda: answers.as_input(language)
    if found.prompt is not None:
        wanted["prompt", row.plan_version] = openai_writer.as_input
    for judged in found.verdicts:
        if judged.pack is not None and judged.case is not None:
            day = judged_for(judged.case).date()
            wanted["pack", judged.pack_version] = lambda day=day: load_pack(day).as_input()
        if judged.settings is not None:
            # Of that day: an offer that has ended since is no change of the settings.
            day = (judged_for(judged.case) if judged.case is not None else judged.judged_at).date()
            wanted["settings", judged.settings_version] = lambda day=day: policy_of(settings, day).as_input()
    made: dict[tuple[str, str], Input | str] = {}
    for key, make in wanted.items():
        try:
            made[key] = make()
        except LeadpipeError as error:
            made[key] = f"today there is none, or it is wrong: {error}"
    return made


def _plan(name: str, settings: Settings) -> Input:
    plan = load_plans(settings.plans_path).get(name)
    if plan is None:
        raise ConfigurationError(f"no plan '{name}'")
    return plan.as_input()
