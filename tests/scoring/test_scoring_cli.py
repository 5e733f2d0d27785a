"""``leadpipe model`` over a home without and with models."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from leadpipe.cli.model import app
from leadpipe.scoring.prior import PRIOR_VERSION
from leadpipe.store.lake import Lake


@pytest.fixture
def home(tmp_path: Any, settings: Any, server_home: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A home of its own, named by the environment as for a user."""
    (tmp_path / "duckdb").symlink_to(server_home / "duckdb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADPIPE_HOME", str(tmp_path))
    monkeypatch.setenv("LEADPIPE_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("LEADPIPE_LAKE_PATH", settings.lake_path)
    return tmp_path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_a_model_is_trained_reported_judged_and_promoted(
    learnable: Any, lake: Lake, home: Any, monkeypatch: Any
) -> None:
    learnable(1_500)
    trained = json.loads(run("train", "--json").stdout)
    version = trained["version"]
    assert not trained["is_prior"]

    assert run("promote", version).exit_code == 0
    report = json.loads(run("report", "--json").stdout)
    assert (report["version"], report["promoted_version"]) == (version, version)
    assert f"AUC {report['metrics']['auc']}" in run("report", version).stdout
    judged = json.loads(run("evaluate", "--json").stdout)
    assert judged["auc"] == pytest.approx(report["metrics"]["auc"], abs=0.05)

    assert run("promote", PRIOR_VERSION).exit_code == 0
    assert json.loads(run("report", "--json").stdout)["is_prior"] is True


def test_an_unknown_version_is_wrong_use_with_a_way_out(home: Any) -> None:
    for command in ("promote", "report"):
        result = run(command, "m-none")
        assert result.exit_code == 2
        assert "leadpipe model" in result.stderr


def test_before_any_training_the_report_says_it_is_a_prior(home: Any) -> None:
    result = run("report")
    assert result.exit_code == 0
    assert "documented prior" in result.stdout
