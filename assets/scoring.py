"""The lead score as assets: the model and everyone's score.

What lives here: two tables and their checks. What does not: any rule (``leadpipe.scoring``), telling the CRM (an op
calls ``leadpipe.scoring.publish``).
"""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from resources.runtime import LeadpipeResource

COMMON = {"group_name": "scoring", "owners": ["team:operations"], "pool": "scoring"}
SCORED_NIGHTLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36), warn_window=timedelta(hours=26))
TRAINED_WEEKLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=15), warn_window=timedelta(days=8))
HISTORY = [dg.AssetKey(["raw", "fub__people"]), dg.AssetKey(["raw", "ledger__people"])]
# What is wrong with the stored scores, by the name that `problems` counts it under.
CHECKS = {
    "out_of_range": "scores_lie_between_0_and_100",
    "scored_twice": "one_row_per_person_and_scoring",
    "never_scored": "nobody_is_missing",
}
LEAD_SCORES = dg.AssetKey(["scoring", "lead_scores"])


@dg.asset(
    key=["scoring", "model"], deps=HISTORY, kinds={"python", "scikitlearn"}, freshness_policy=TRAINED_WEEKLY, **COMMON
)
def model(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """A model trained on the team's history, or the word that there is too little of it. One version a run."""
    from leadpipe.scoring.report import reliability_markdown
    from leadpipe.scoring.train import train

    runtime = leadpipe.runtime
    done = train(runtime.lake, runtime.settings, now=runtime.clock.now())
    metadata: dict[str, object] = {
        "model_version": done.version,
        "is_prior": done.is_prior,
        "is_promoted": done.is_promoted,
        "why": done.why,
    }
    if done.metrics:
        names = ("auc", "brier", "brier_base", "lift_top_10_pct", "base_rate", "count", "positives")
        metadata |= {name: done.metrics[name] for name in names if done.metrics[name] is not None}
        metadata |= {
            "reliability": dg.MetadataValue.md(reliability_markdown(done.metrics["calibration"])),
            "calibration": dg.MetadataValue.json(done.metrics["calibration"]),
            "by_moment": dg.MetadataValue.json(done.metrics["by_moment"]),
            "window": dg.MetadataValue.json(done.manifest["window"]),
            "data_snapshot_id": done.manifest["data_snapshot_id"],
        }
    return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(done.version))


@dg.asset(
    key=LEAD_SCORES, deps=[model, *HISTORY], kinds={"python", "duckdb"}, freshness_policy=SCORED_NIGHTLY, **COMMON
)
def lead_scores(leadpipe: LeadpipeResource) -> dg.MaterializeResult:
    """Score, priority and three reasons of every lead. One row per person and scoring, append-only."""
    from leadpipe.scoring.score import score

    runtime = leadpipe.runtime
    done = score(runtime.engine, runtime.lake, runtime.settings, now=runtime.clock.now())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.count_scored,
            "model_version": done.model_version,
            "is_prior": done.is_prior,
            "scored_at": dg.MetadataValue.timestamp(done.scored_at),
            **{f"count_{band}": count for band, count in done.count_by_band.items()},
        }
    )


@dg.multi_asset_check(specs=[dg.AssetCheckSpec(name, asset=LEAD_SCORES, blocking=True) for name in CHECKS.values()])
def lead_scores_are_sound(leadpipe: LeadpipeResource) -> Iterator[dg.AssetCheckResult]:
    """Scores in range, one row per person and scoring, nobody missing."""
    from leadpipe.scoring.score import problems

    found = problems(leadpipe.runtime.lake)
    for problem, name in CHECKS.items():
        count = found.get(problem, 0)
        yield dg.AssetCheckResult(
            asset_key=LEAD_SCORES, check_name=name, passed=count == 0, metadata={"count": count}
        )  # fmt: skip
