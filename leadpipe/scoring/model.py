"""A model by its name: stored, loaded, promoted.

What lives here: the files of a version and which one is in force. What does not: what a model answers (``predict``),
fitting it (``train``).

A version is a folder ``LEADPIPE_HOME/models/<version>/`` with ``model.skops`` and ``manifest.json``; the file
``promoted.json`` beside the folders names the one in force. Without it the prior is in force.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe.errors import ConfigurationError
from leadpipe.scoring import prior
from leadpipe.scoring.features import NAMES
from leadpipe.scoring.predict import PriorModel, TrainedModel

if TYPE_CHECKING:
    from leadpipe.scoring.predict import Manifest, ScoringModel

_VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# What a model file may hold: the numeric libraries' own types and nothing that runs code of others.
_TRUSTED = ("sklearn.", "numpy.", "scipy.")


def folder_of(home: Path, version: str) -> Path:
    """Where a version's files are.

    Raises:
        ConfigurationError: the name is none.
    """
    if not _VERSION.fullmatch(version):
        raise ConfigurationError(f"{version!r} is no model version; `leadpipe model report` lists them")
    return home / "models" / version


def save(home: Path, model: TrainedModel) -> Path:
    """Write a version's files; both are there or neither is."""
    from skops import io

    folder = folder_of(home, model.version)
    unfinished = folder.with_name(f".{model.version}.{os.getpid()}")
    unfinished.mkdir(parents=True, exist_ok=True)
    io.dump({"pipeline": model.pipeline, "calibrator": model.calibrator}, unfinished / "model.skops")
    text = json.dumps(model.manifest, indent=2, sort_keys=True, allow_nan=False)
    (unfinished / "manifest.json").write_text(text + "\n", encoding="utf-8")
    if folder.exists():
        # The name holds a hash of data and settings: what is there is the same model.
        for file in unfinished.iterdir():
            file.replace(folder / file.name)
        unfinished.rmdir()
    else:
        unfinished.rename(folder)
    return folder


def read_manifest(home: Path, version: str) -> Manifest:
    """A version's manifest.

    Raises:
        ConfigurationError: there is no such version.
    """
    path = folder_of(home, version) / "manifest.json"
    if not path.is_file():
        raise ConfigurationError(f"there is no model {version!r}; `leadpipe model train` makes one")
    return json.loads(path.read_text(encoding="utf-8"))


def load(home: Path, version: str) -> ScoringModel:
    """A named version, or the prior by its name.

    Raises:
        ConfigurationError: it is not there, was made for other features, or its file holds foreign types.
    """
    if version == prior.PRIOR_VERSION:
        return PriorModel()
    manifest = read_manifest(home, version)
    if manifest["features"] != list(NAMES):
        raise ConfigurationError(f"model {version!r} was trained on other features; train and promote a new one")
    from skops import io

    path = folder_of(home, version) / "model.skops"
    kinds = io.get_untrusted_types(file=path)
    foreign = [kind for kind in kinds if not kind.startswith(_TRUSTED)]
    if foreign:
        raise ConfigurationError(f"model {version!r} holds types that are not scikit-learn's: {foreign[0]}")
    parts = io.load(path, trusted=kinds)
    return TrainedModel(pipeline=parts["pipeline"], calibrator=parts["calibrator"], manifest=manifest)


def versions(home: Path) -> list[str]:
    """Every stored version, oldest name first; the prior is not among them."""
    folder = home / "models"
    return sorted(path.parent.name for path in folder.glob("*/manifest.json") if not path.parent.name.startswith("."))


def promoted_version(home: Path) -> str:
    """The version in force."""
    pointer = home / "models" / "promoted.json"
    return json.loads(pointer.read_text(encoding="utf-8"))["version"] if pointer.is_file() else prior.PRIOR_VERSION


def promote(home: Path, version: str, *, now: datetime) -> None:
    """Put a version in force from the next scoring on; the prior's name goes back to it.

    Raises:
        ConfigurationError: it cannot be loaded; then nothing changes.
    """
    load(home, version)
    pointer = home / "models" / "promoted.json"
    pointer.parent.mkdir(parents=True, exist_ok=True)
    unfinished = pointer.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps({"version": version, "promoted_at": now.isoformat()}) + "\n", encoding="utf-8")
    unfinished.replace(pointer)


def load_promoted(home: Path) -> ScoringModel:
    """The model in force."""
    return load(home, promoted_version(home))
