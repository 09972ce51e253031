"""A training's position on disk: weights, optimizer, and where it stands.

    checkpoints/last       after the newest epoch, or where a person interrupted
    checkpoints/previous   the one before; it stays until a whole `last` has taken its place
    checkpoints/best       weights of the best epoch

Each is a folder that is written under a temporary name and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.errors import Problem, RunError


def save(folder: Path, name: str, core: Any, optimizer: Any, position: dict[str, Any]) -> None:
    """Write the checkpoint `name`; an existing `last` becomes `previous` first."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        _write_arrays(temporary / "weights.npz", core.variables)
        _write_arrays(temporary / "optimizer.npz", optimizer.variables)
        (temporary / "position.json").write_text(json.dumps(position, indent=1, allow_nan=False), encoding="utf-8")
        target = folder / name
        if target.exists():
            aside = folder / ("previous" if name == "last" else f".{name}.{os.getpid()}.old")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(target, aside)
            os.replace(temporary, target)
            if name != "last":
                shutil.rmtree(aside, ignore_errors=True)
        else:
            os.replace(temporary, target)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise RunError(
            Problem(str(folder / name), f"the checkpoint cannot be written: {error.strerror}.", "Make room, then train again.")
        ) from error


def _write_arrays(path: Path, variables: list[Any]) -> None:
    np.savez(path, **{key: variable.numpy() for key, variable in _named(variables).items()})


def _named(variables: list[Any]) -> dict[str, Any]:
    """Variables by their number and path, so that a changed network is noticed when they are read."""
    return {f"{number:04d} {variable.path.replace('/', '|')}": variable for number, variable in enumerate(variables)}


def load_weights(folder: Path, name: str, core: Any) -> dict[str, Any]:
    """Put the weights of a checkpoint into `core`; its position. Raises RunError when it is missing or of another network."""
    path = folder / name
    try:
        with (path / "weights.npz").open("rb") as file, np.load(file) as stored:
            arrays = {key: stored[key] for key in stored.files}
        position: dict[str, Any] = json.loads((path / "position.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise RunError(Problem(str(path), "the checkpoint is missing or damaged.", "Train again.")) from None
    if {key: array.shape for key, array in arrays.items()} != {
        key: tuple(variable.shape) for key, variable in _named(core.variables).items()
    }:
        raise RunError(Problem(str(path), "the checkpoint is of another network.", "Train again."))
    for key, variable in _named(core.variables).items():
        variable.assign(arrays[key])
    return position
