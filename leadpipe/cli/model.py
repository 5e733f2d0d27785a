"""``leadpipe model``: train, evaluate, promote and report the lead score.

What lives here: arguments and printing. What does not: anything about models (``scoring``).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, NoReturn

import typer

from leadpipe.errors import LeadpipeError

app = typer.Typer(
    help="The lead score: train it, judge it, put it in force.",
    epilog="Example: leadpipe model report",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Version = Annotated[str | None, typer.Argument(help="A version; empty means the one in force.")]


@app.command()
def train(as_json: AsJson = False) -> None:
    """Train on the team's history and store a new version.

    The first version that beats the prior is put in force by itself; later ones wait for `promote`.

    Example: leadpipe model train
    """
    from leadpipe.runtime import open_runtime
    from leadpipe.scoring.train import train as fit
    from leadpipe.store.mirror import mirror

    runtime = open_runtime()
    try:
        now = runtime.clock.now()
        mirror(runtime.engine, runtime.lake, now=now)
        done = fit(runtime.lake, runtime.settings, now=now)
    except LeadpipeError as error:
        _fail(error)
    finally:
        runtime.close()
    found = {
        "version": done.version,
        "is_prior": done.is_prior,
        "is_promoted": done.is_promoted,
        "why": done.why,
        "metrics": done.metrics,
    }
    _print(found, as_json, f"{done.version}: {done.why}")


@app.command()
def evaluate(version: Version = None, as_json: AsJson = False) -> None:
    """Judge a version on every lead that came after those it was fitted and calibrated on.

    Example: leadpipe model evaluate --json
    """
    from leadpipe.runtime import open_runtime
    from leadpipe.scoring.evaluate import evaluate as judge
    from leadpipe.scoring.labels import training_rows
    from leadpipe.scoring.model import load, promoted_version
    from leadpipe.scoring.predict import TrainedModel

    runtime = open_runtime()
    try:
        model = load(runtime.settings.home, version or promoted_version(runtime.settings.home))
        rows = training_rows(runtime.lake, now=runtime.clock.now(), timezone=runtime.settings.team_timezone)
    except LeadpipeError as error:
        _fail(error)
    finally:
        runtime.close()
    if isinstance(model, TrainedModel):
        seen_to = datetime.fromisoformat(model.manifest["window"]["calibrate"]["to"])
        rows = rows[rows["created_at"] > seen_to]
    if rows.empty:
        typer.echo(f"{model.version}: no leads whose 90 days are over came after its training window", err=True)
        raise typer.Exit(1)
    metrics = {"version": model.version} | judge(rows, model.predict(rows).probability)
    _print(metrics, as_json, _figures(metrics))


@app.command()
def promote(version: Annotated[str, typer.Argument(help="The version to put in force, or prior-1.")]) -> None:
    """Put a version in force from the next scoring on.

    Example: leadpipe model promote m-20260301-1a2b3c4d
    """
    from leadpipe.clock import WallClock
    from leadpipe.scoring.model import promote as put_in_force
    from leadpipe.setting_loading import load_settings

    try:
        put_in_force(load_settings().home, version, now=WallClock().now())
    except LeadpipeError as error:
        _fail(error)
    typer.echo(f"{version} is in force")


@app.command()
def report(version: Version = None, as_json: AsJson = False) -> None:
    """Show what is known about a version: window, features, figures, calibration.

    Example: leadpipe model report --json
    """
    from leadpipe.scoring.report import report as gather
    from leadpipe.setting_loading import load_settings

    try:
        found = gather(load_settings().home, version)
    except LeadpipeError as error:
        _fail(error)
    _print(found, as_json, _summary(found))


def _summary(found: dict[str, Any]) -> str:
    lines = [f"{found['version']} (in force: {found['promoted_version']}; known: {', '.join(found['versions'])})"]
    if found["is_prior"]:
        return "\n".join([*lines, found["note"]])
    test = found["window"]["test"]
    lines.append(f"{found['kind']}, {found['calibration']} calibration, {len(found['features'])} features")
    lines.append(f"judged on {test['count_leads']} leads created {test['from'][:10]} to {test['to'][:10]}")
    lines.append(_figures(found["metrics"]))
    for row in found["metrics"]["calibration"]:
        lines.append(f"  score {row['mean_score']:7.2%}  observed {row['observed_rate']:7.2%}  n {row['count']}")
    return "\n".join(lines)


def _figures(metrics: dict[str, Any]) -> str:
    return (
        f"AUC {metrics['auc']}, Brier {metrics['brier']} (base rate alone {metrics['brier_base']}), "
        f"lift of the best tenth {metrics['lift_top_10_pct']}, {metrics['positives']} of {metrics['count']} succeeded"
    )


def _print(found: dict[str, Any], as_json: bool, words: str) -> None:
    typer.echo(json.dumps(found, indent=2, sort_keys=True) if as_json else words)


def _fail(error: LeadpipeError) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(2) from error
