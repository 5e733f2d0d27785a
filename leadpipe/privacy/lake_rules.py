"""Where a person's data lies in the lake: one rule a table.

What lives here: how a person's rows are found in each table. What does not: taking them out (``lake_erase``), the
ledger's tables (``ledger_rules``). A test fails when a table, ours or dbt's, is in no rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leadpipe.crm import tables as crm
from leadpipe.privacy.ledger_rules import LEDGER
from leadpipe.store.mirror import PREFIX
from leadpipe.store.tables.mirrored import MIRRORED


class Found(StrEnum):
    """How a person's rows are found."""

    BY_PERSON = "person_id"  # the rows go
    BY_LEDGER = "ledger"  # versions of the ledger's rows: they go, and the mirror brings what the ledger still has
    IN_LISTS = "lists"  # records of several people: this one is taken out of their lists
    NEVER = "never"  # holds nothing about a person


@dataclass(frozen=True, kw_only=True)
class LakeRule:
    """One table: what it holds, and how a person's rows are found."""

    about: str
    found: Found


def _by_person(about: str) -> LakeRule:
    return LakeRule(about=about, found=Found.BY_PERSON)


def _never(about: str) -> LakeRule:
    return LakeRule(about=about, found=Found.NEVER)


LAKE: dict[str, LakeRule] = {
    crm.PEOPLE.name: _by_person("The person as Follow Up Boss told it, every version"),
    crm.EVENTS.name: _by_person("What they did, as Follow Up Boss told it"),
    crm.NOTES.name: _by_person("Notes about them"),
    crm.CALLS.name: _by_person("Calls"),
    crm.TEXT_MESSAGES.name: _by_person("Texts"),
    crm.TASKS.name: _by_person("Tasks about them"),
    crm.APPOINTMENTS.name: LakeRule(about="Appointments", found=Found.IN_LISTS),
    crm.DEALS.name: LakeRule(about="Deals", found=Found.IN_LISTS),
    crm.USERS.name: _never("The team"),
    crm.STAGES.name: _never("Stages"),
    crm.PIPELINES.name: _never("Pipelines"),
    "raw.spend": _never("The team's spending"),
    "enrichment.zhvi": _never("Home values by ZIP"),
    "enrichment.zori": _never("Rents by ZIP"),
    "enrichment.releases": _never("Releases of those"),
    "enrichment.market_trend": _never("Trends by ZIP"),
    "enrichment.listings": _never("Homes for sale"),
    "enrichment.listing_checks": _never("When those were looked at"),
    "ops.crm_audit": _by_person("Where we and Follow Up Boss differed about them"),
    "outreach.queue": _by_person("What was planned for them"),
    "scoring.lead_scores": _by_person("Their scores"),
    **{
        PREFIX + table: LakeRule(
            about=f"Earlier versions of {table.replace('_', ' ')}",
            found=Found.BY_LEDGER if LEDGER[table].rows else Found.NEVER,
        )
        for table in MIRRORED
    },
    # dbt's tables; its views hold nothing of their own.
    "marts.leads": _by_person("The lead, for analysts"),
    "marts.speed_to_lead": _by_person("How fast they were answered"),
    "marts.message_lineage": _by_person("Where each message came from, for analysts"),
    "marts.communications": _by_person("What was said, for analysts"),
    "marts.starving_leads": _by_person("Leads that wait"),
    "marts.kpis": _never("Targets and what was reached"),
    "marts.funnel": _never("Counts by cohort"),
    "marts.agent_activity": _never("Counts by agent"),
    "marts.daily_costs": _never("Costs by day"),
    "marts.deliverability": _never("Counts by channel and day"),
    "marts.plan_performance": _never("Counts by plan"),
    "marts.plan_lift": _never("Counts by plan"),
    "marts.planning_outcomes": _never("Counts by day and plan"),
    "marts.source_roi": _never("Counts by source"),
}
