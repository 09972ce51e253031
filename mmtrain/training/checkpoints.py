"""Checkpoints of a training: weights, optimizer state and position.

    checkpoints/last       after the newest epoch, every few minutes in between, and after an interruption
    checkpoints/previous   the one before; kept until a complete `last` has taken its place
    checkpoints/best       the best epoch
    checkpoints/soup/      with `training.soup`, the weights of the best epochs; checkpoints/soup_best, their mean

Each is a folder, written under a temporary name, flushed to the disk and renamed; `position.json` comes last in it and
holds the hashes of the arrays, so that an incomplete or damaged checkpoint is recognized.

Of pretrained encoders, a checkpoint holds the weights that a stage has changed; others are as the files of the encoder have them, which
cannot change while a run is resumed. Optimizer states that are still 0 are left out as well.

Weights include the states of random seed generators, the optimizer's variables its step count. So training continues from a
checkpoint as if it had never stopped: with `deterministic: true` bit for bit.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.artifacts.atomic_files import file_hash
from mmtrain.artifacts.run_schema.parse import parse
from mmtrain.errors import Problem, RunError, listed

SOUP = "soup_best"
"""Checkpoint with the mean of the weights of the best epochs, where it is as good as the best one."""
WEIGHTS, OPTIMIZER, POSITION = "weights.npz", "optimizer.npz", "position.json"


@dataclass(frozen=True)
class Position:
    """The position of a training: `epoch` completed epochs and `step` steps of the next one."""

    epoch: int = 0
    step: int = 0
    rows: int = 0
    """Rows of the steps of the unfinished epoch."""
    losses: dict[str, float] = field(default_factory=dict)
    """Sums of the losses over those rows."""
    stopping: dict[str, Any] = field(default_factory=lambda: {"best": None, "best_epoch": 0, "waited": 0})
    learning_rate: dict[str, Any] = field(default_factory=lambda: {"improved": []})
    best_scores: dict[str, float | None] = field(default_factory=dict)

    @property
    def best_epoch(self) -> int:
        """The best of the `epoch` epochs; 0 while there is none."""
        return int(self.stopping["best_epoch"])

    @property
    def is_best(self) -> bool:
        """True at the end of the best epoch, so that `best` can be restored from here."""
        return self.step == 0 and 0 < self.epoch == self.best_epoch


def save(folder: Path, name: str, network: Any, optimizer: Any, position: Position) -> None:
    """Write the checkpoint `name`; an existing `last` becomes `previous` first. `network` is a Keras model, or `Models.stored` of one."""
    # In the same folder: a rename is atomic within one file system only.
    temporary = folder / f".{name}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        initial = _initial(network, optimizer)
        unchanged = {file: _write_arrays(temporary / file, *values) for file, values in initial.items()}
        hashes = {file: file_hash(temporary / file) for file in (WEIGHTS, OPTIMIZER)}
        facts = {"position": asdict(position), "sha256": hashes, **({"unchanged": unchanged} if any(unchanged.values()) else {})}
        with (temporary / POSITION).open("w", encoding="utf-8") as file:
            json.dump(facts, file, indent=1, allow_nan=False)
            _flush(file)
        _put_in_place(temporary, folder / name, keep=folder / "previous" if name == "last" else None)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise RunError(
            Problem(str(folder / name), f"the checkpoint cannot be written: {error.strerror}.", "Make room, then continue with --resume.")
        ) from error


def _put_in_place(temporary: Path, target: Path, keep: Path | None) -> None:
    """Rename `temporary` to `target`; an existing target goes to `keep`, or is deleted. At every moment one complete checkpoint exists."""
    aside = keep if keep is not None else target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        shutil.rmtree(aside, ignore_errors=True)
        # Between the two renames only `aside` is complete; `newest` reads `previous`, and `tidy` puts an `.old` back.
        os.replace(target, aside)
    os.replace(temporary, target)
    if keep is None:
        shutil.rmtree(aside, ignore_errors=True)


def _flush(file: Any) -> None:
    file.flush()
    # On the disk before the rename is: after a power failure, a renamed file could otherwise be empty.
    os.fsync(file.fileno())


def _initial(network: Any, optimizer: Any | None) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return the variables of each file by name, and the arrays that some of them begin with, which are only stored once changed."""
    weights, initial = _named(network.variables), getattr(network, "initial", {})
    begun = {key: initial[id(variable)] for key, variable in weights.items() if id(variable) in initial}
    if optimizer is None:
        return {WEIGHTS: (weights, begun)}
    states = _named(optimizer.variables)
    zeros = {key: np.zeros(variable.shape, np.float32) for key, variable in states.items() if variable.shape} if begun else {}
    return {WEIGHTS: (weights, begun), OPTIMIZER: (states, zeros)}


def _write_arrays(path: Path, variables: dict[str, Any], initial: dict[str, Any]) -> list[str]:
    """Write the values of variables by name; return the names of those that were left out because they are as they began."""
    values = {key: variable.numpy() for key, variable in variables.items()}
    unchanged = [key for key, array in initial.items() if np.array_equal(values[key], array)]
    with path.open("wb") as file:
        np.savez(file, **{key: array for key, array in values.items() if key not in unchanged})
        _flush(file)
    return unchanged


def _named(variables: list[Any]) -> dict[str, Any]:
    """Return variables by number and path, so that a changed network is noticed on reading."""
    # A slash would open a folder inside the zip archive that NumPy writes.
    return {f"{number:04d} {variable.path.replace('/', '|')}": variable for number, variable in enumerate(variables)}


def load(folder: Path, name: str, network: Any, optimizer: Any | None = None) -> Position:
    """Put a checkpoint's weights into `network`, and its optimizer variables into `optimizer` if given; return its position.

    Raises RunError when it is missing, torn, damaged or of another network; nothing is changed then.
    """
    path = folder / name
    position, unchanged = _position(path)
    wanted = _initial(network, optimizer)
    for file, (variables, initial) in wanted.items():  # before any array is read: one of another shape may be of any size
        left_out = unchanged.get(file, [])
        shapes = {key: tuple(variable.shape) for key, variable in variables.items() if key not in left_out}
        if not initial.keys() >= set(left_out) or _shapes(path / file, path) != shapes:
            raise RunError(Problem(str(path), "the checkpoint belongs to another network.", "Train again."))
    # All are read before the first is assigned, so that a damaged file leaves the network as it was.
    arrays = {file: _read_arrays(path / file, path) for file in wanted}
    for file, (variables, initial) in wanted.items():
        for key, variable in variables.items():
            variable.assign(arrays[file][key] if key in arrays[file] else initial[key])
    return position


def epoch_of(folder: Path, name: str) -> int:
    """Return the number of completed epochs of a checkpoint. Raises RunError when it is missing or damaged."""
    return _position(folder / name)[0].epoch


def tidy(folder: Path) -> None:
    """Remove incomplete files of a killed process; restore a `best` that was about to be replaced."""
    for aside in folder.glob(".best.*.old"):
        if not (folder / "best").exists():
            os.replace(aside, folder / "best")
    for leftover in [*folder.glob(".*.tmp"), *folder.glob(".*.old")]:
        shutil.rmtree(leftover, ignore_errors=True)


def keep_only(folder: Path, name: str | None) -> None:
    """Remove the checkpoints newer than `name`; all of them for None.

    Otherwise the next checkpoint would replace the complete `previous` by the damaged `last`.
    """
    # None keeps nothing: even `best` belongs to the training that starts anew.
    for unwanted in {"last": (), "previous": ("last",)}.get(name or "", ("last", "previous", "best", "soup", SOUP)):
        shutil.rmtree(folder / unwanted, ignore_errors=True)


def newest(folder: Path) -> tuple[str | None, str]:
    """Return the newest complete checkpoint to resume from (None without one), and a phrase about damaged newer ones.

    A checkpoint whose best epoch is lost is of no use, unless that epoch is its own last one.
    """
    damaged: list[str] = []
    for name in ("last", "previous"):
        position = _whole(folder / name)
        if position is None:
            damaged += [name] * (folder / name).exists()
        elif not position.best_epoch or position.is_best or _whole(folder / "best") is not None:
            return name, _describe_damage(damaged)
        else:
            damaged += ["best"] * ("best" not in damaged)
    return None, _describe_damage(damaged)


def _whole(path: Path) -> Position | None:
    try:
        return _position(path)[0]
    except RunError:
        return None


def _describe_damage(damaged: list[str]) -> str:
    return f"{listed([f'checkpoints/{name}' for name in damaged])} {'is' if len(damaged) == 1 else 'are'} damaged" if damaged else ""


def _position(path: Path) -> tuple[Position, dict[str, list[str]]]:
    """Return the position in position.json, and the names of the arrays that each file leaves out.

    Raises RunError unless the arrays next to it have the hashes stored there.
    """
    try:
        written = json.loads((path / POSITION).read_text(encoding="utf-8"))
        parse(POSITION, written)
        # Hashes of all bytes: a torn file may still have the right length.
        whole = written["sha256"] == {file: file_hash(path / file) for file in (WEIGHTS, OPTIMIZER)}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise RunError(Problem(str(path), "the checkpoint is missing or damaged.", "Train again."))
    return Position(**{field.name: written["position"][field.name] for field in fields(Position)}), written.get("unchanged", {})


def _shapes(path: Path, checkpoint: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays by name, reading their headers only."""
    shapes = {}
    with _undamaged(checkpoint), zipfile.ZipFile(path) as stored:
        for name in stored.namelist():
            with stored.open(name) as file:
                # NumPy writes version 1.0 unless a header exceeds 65,535 bytes, which that of a plain array never does.
                if np.lib.format.read_magic(file) != (1, 0):
                    raise ValueError("unknown NumPy header")
                shapes[name.removesuffix(".npy")], _, dtype = np.lib.format.read_array_header_1_0(file)
            # 16 bytes are complex128, the largest number of NumPy that every platform has.
            if dtype.hasobject or dtype.itemsize > 16:
                raise ValueError("not numbers")
    return shapes


def _read_arrays(path: Path, checkpoint: Path) -> dict[str, Any]:
    """Return the arrays; pickled content is refused."""
    with _undamaged(checkpoint), path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


@contextmanager
def _undamaged(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        raise RunError(Problem(str(checkpoint), "the checkpoint is missing or damaged.", "Train again.")) from None
