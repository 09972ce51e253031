"""The run folder: one training's files, written whole or not at all.

    runs/<name>/<n>/          numbered, never overwritten; runs/<name>/latest points to the newest
        config.yaml           the experiment, every default written out
        run.json              versions, seed, hashes, timings, state, evaluations of the test part
        data.json             the table: file hash, rows, columns, dropped rows
        split.csv             row, id, fold, part
        columns.json          what training rows taught the columns and the targets
        statistics.json       summaries of the training rows, to detect drift
        network.json          the network in brief: inputs, width and weights of each part
        metrics.jsonl         a line per epoch
        checkpoints/          best, last, previous
        tensorboard/          the numbers of metrics.jsonl for TensorBoard, if the experiment sets `tensorboard: true`
        steps.csv             losses within epochs, by the tracker `steps`
        mlflow.json, wandb.json   the identity of the run at these trackers
        model.keras           the trained model with its preprocessing
        decisions.json        calibration, threshold and conformal bound of that model, fitted on validation rows, if configured
        metrics.json          scores of the parts that were evaluated
        predictions_<part>.csv, worst_predictions_<part>.json
        scores_<part>.csv, confusion_<part>.csv, classes_<part>.csv, calibration_<part>.csv, epochs.csv
        contributions_<part>.csv, missing_patterns_<part>.csv, subgroups_<part>.csv
        plots/*.png, report.html, model_card.md
        baselines/<branch>/   a child run, the branch trained alone, with the baseline `single_branch`
        explanations/<part>/  an image per explained row, explanations.csv, completeness.csv
        cross_validation.json, predictions_oof.csv, targets.json    of a group: scores of its members, their predictions together
        ensemble.json         of a group with `ensemble.weights: greedy`: the weights of its members
        predictions_member.csv    of a member: its predictions of the rows that it is scored on
        predictions_teacher.csv   of a run by `mmtrain distill`: the predictions of its teacher
        predictions_held_back.csv of a member of a group without folds: the same of its calibration rows
        folds/<n>/, seeds/<n>/    members of a group, complete runs
        search.json, journal.log  the space of a search (`mmtrain tune`), and every event of its trials
        best.yaml, trials.csv the best experiment of a search, and its trials
        trials/<number>/      a child run, one trial of a search: no model, but its predictions of validation rows, validation.npz
        manifest.json         contents and omissions of the archive that the run was unpacked from
        exports/<format>/     the model for other programs, with its contract and a program that runs it
        .lock                 held by the process that trains the run

Runs form a tree: a child run `<group>/<name>` is another training on the table of its parent, in a folder below the parent's. It has
files of the same names (run.json, columns.json, metrics.jsonl, checkpoints/, model.keras, decisions.json, .lock) and is locked,
interrupted and resumed in the same way. A baseline does not repeat the files that it shares with the parent (config.yaml, data.json,
split.csv): its run.json holds the differences as `plan`, and the parent's run.json the plan and the state of every child. The folds and
seeds of a group are complete runs, which commands take; the group itself has no model.

Every file is written under a temporary name and renamed, so that a reader never meets half a file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, Literal

from mmtrain.artifacts.atomic_files import atomic_write, disk_errors, file_hash
from mmtrain.artifacts.run_schema.parse import parse
from mmtrain.errors import Problem, RunError
from mmtrain.result_model import plain_values
from mmtrain.system.locks import locked
from mmtrain.text.printable import json_text, plain_json

State = Literal["running", "finished", "failed", "interrupted"]
FORMAT = 3
"""Version of the run folder; increased when files change so that other versions of mmtrain cannot read them."""
RESTORE = "Train again, or restore the folder."
LOCK = ".lock"
"""Lock file of a run; names the process that trains it, or the last one that did."""
SEARCH_FILE = "search.json"
"""Space of a search; a run with this file has trials and no model."""
CHILD_GROUPS = ("folds", "seeds", "trials", "baselines", "nested", "searches")
"""Folders of a run that hold its child runs, one folder per child."""
CHILD_NAME = rf"(?:{'|'.join(CHILD_GROUPS)})/[A-Za-z0-9][A-Za-z0-9_.-]*"
"""Regular expression of `<group>/<name>`; the name is safe as a file name on every system."""


class Run:
    """One run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return self.name if self.parent is None else f"{self.parent}/{self.name}"

    def __truediv__(self, name: str) -> Path:
        """Return the path of a file of the run. Raises RunError for a name that leads out of it."""
        path = PurePath(name)  # names of files are made of parts in run.json, which in a run of a stranger may be `../../x`
        if path.is_absolute() or ".." in path.parts:
            raise RunError(Problem(str(self.folder), f"{name!r} is not a file of a run.", "Do not use a run of unknown origin."))
        return self.folder / path

    def child(self, name: str) -> Run:
        """Return the child run `<group>/<name>`, which need not exist yet. Raises ValueError for a name of another form.

        >>> run = Run(Path("runs/scans/1"))
        >>> run.child("seeds/3").folder.as_posix()
        'runs/scans/1/seeds/3'
        >>> run.child("3")
        Traceback (most recent call last):
        ValueError: '3' is not the name of a child run: <group>/<name>, group being folds, seeds, trials, baselines, nested or searches
        """
        if not re.fullmatch(CHILD_NAME, name):
            groups = f"{', '.join(CHILD_GROUPS[:-1])} or {CHILD_GROUPS[-1]}"
            raise ValueError(f"{name!r} is not the name of a child run: <group>/<name>, group being {groups}")
        return Run(self.folder / name)

    def children(self) -> dict[str, Run]:
        """Return the child runs in the folder, by name."""
        every = (Run(path.parent) for group in CHILD_GROUPS for path in sorted((self.folder / group).glob("*/run.json")))
        return {child.name: child for child in every}

    @property
    def name(self) -> str:
        """`<name>/<number>`, or `<group>/<name>` for a child run.

        >>> Run(Path("runs/scans/1/folds/0")).name
        'folds/0'
        """
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def parent(self) -> Run | None:
        """The run whose child this is, known by the place of its folder; None for a numbered run."""
        above = self.folder.parent.parent
        # A folder of that name alone proves nothing: a user may keep runs in a folder `seeds`.
        return Run(above) if self.folder.parent.name in CHILD_GROUPS and (above / "run.json").is_file() else None

    def write_text(self, name: str, text: str) -> Path:
        """Write a file whole: under a temporary name, then renamed. Raises RunError when it cannot be written."""
        return self.write_pieces(name, (text,))

    def write_pieces(self, name: str, pieces: Iterable[str]) -> Path:
        """Write a file whole, as `write_text`, from pieces of a text too long for memory."""
        path = self / name
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
                # Characters that steer a terminal can only be in strings of JSON, where they can be escaped.
                file.writelines(map(plain_json, pieces) if path.suffix == ".json" else pieces)
        return path

    def write_json(self, name: str, value: Any) -> Path:
        """Write plain values and results to a JSON file, whole."""
        return self.write_text(name, json_text(plain_values(value), indent=1) + "\n")

    def read(self, name: str) -> Any:
        """Read a JSON file of the run as an object of its class, see `run_schema.parse.SHAPES`. Raises RunError as `read_json` does."""
        return self._parsed(name)[1]

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run as plain values. Raises RunError when it is missing or damaged, or does not fit its class."""
        return self._parsed(name)[0]

    def _parsed(self, name: str) -> tuple[Any, Any]:
        """The values of a JSON file, and the object that they make."""
        path = self / name
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(Problem(str(path), "the file is missing from the run.", RESTORE)) from None
        except (ValueError, RecursionError):
            raise RunError(Problem(str(path), "the file is damaged.", RESTORE)) from None
        try:
            return values, parse(name, values)
        except ValueError as error:
            raise RunError(Problem(str(path), str(error), RESTORE)) from None

    def append_line(self, name: str, value: dict[str, Any]) -> None:
        """Add a line of JSON to a file that grows. Raises RunError when it cannot be written."""
        with disk_errors(self / name), (self / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(value, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())  # a resume expects the lines of all epochs before its checkpoint, also after a power failure

    def cut_lines(self, name: str, most: int) -> None:
        """Keep the first `most` lines of a file that grows; a half-written last line is ignored."""
        path = self / name
        if path.exists():
            # A line without its end was cut by a crash and is the last one.
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            self.write_text(name, "".join(lines[:most]))

    def read_lines(self, name: str) -> list[Any]:
        """Read the lines of a file that grows as objects of its class.

        Raises RunError for a line that does not fit its class.
        """
        path = self / name
        parsed = []
        for number, line in enumerate(path.read_bytes().splitlines() if path.is_file() else [], start=1):
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):  # a last line that a crash cut short
                continue
            try:
                parsed.append(parse(name, values))
            except ValueError as error:
                raise RunError(Problem(f"{path}:{number}", str(error), RESTORE)) from None
        return parsed

    def update(self, **facts: Any) -> None:
        """Change facts in run.json; a fact that becomes None is removed."""
        self.change("run.json", lambda known: {**known, **facts})

    def change(self, name: str, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Replace the content of a JSON file, {} if it does not exist, by the result of `changed`; return the new content.

        Entries that are None are removed. Changes of other processes by this method are not lost: one waits for the other.
        """
        with self._exclusive():
            known = self.read_json(name) if (self / name).exists() else {}
            # None removes an entry, so that a fact can be withdrawn.
            facts = {key: fact for key, fact in changed(known).items() if fact is not None}
            self.write_json(name, facts)
        return facts

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Exclude other processes and threads that do the same for the duration of the block. The folder itself is locked."""
        with ExitStack() as held:
            with disk_errors(self.folder):
                held.enter_context(locked(self.folder))
            yield

    def seal(self, *names: str) -> None:
        """Record the hashes of files that must not change any more."""
        hashes = {name: file_hash(self / name) for name in names}
        self.change("run.json", lambda known: {**known, "files": {**known.get("files", {}), **hashes}})

    def tidy(self) -> None:
        """Remove files that a killed process left half written."""
        # Temporary names begin with a dot and have a random part, see `atomic_write`.
        for leftover in self.folder.glob(".*.tmp*"):
            leftover.unlink(missing_ok=True)

    def reopen(self, recorded: Iterable[str] = ()) -> None:
        """Mark a stopped run as running; of the sealed files only the `recorded` ones stay sealed.

        The model of the best epoch may still change, so its hash is removed before the training continues.
        """
        self.tidy()
        facts = self.read_json("run.json")
        files = {name: facts["files"][name] for name in recorded}
        self.update(state="running", resumed=[*facts.get("resumed", []), now()], files=files, ended=None, trained=None, error=None)

    def clear(self) -> None:
        """Remove every file but the lock, for which another process may be waiting."""
        with disk_errors(self.folder):
            for path in self.folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()

    @property
    def is_group(self) -> bool:
        """True if this is a group of trainings, its child runs: folds or seeds."""
        return bool(self.read_json("run.json").get("members"))

    @property
    def is_trained(self) -> bool:
        """True if the training ended by itself, so that at most the report is missing."""
        facts = self.read_json("run.json")
        return facts["state"] == "finished" or facts.get("trained") is not None

    @property
    def state(self) -> State:
        """The state of the run; `finished` once everything is written, the report included."""
        state: State = self.read_json("run.json")["state"]
        return state


def begin(folder: Path, name: str, **facts: Any) -> Run:
    """Begin a training in an existing folder: write its run.json, with these `facts`."""
    run = Run(folder)
    run.write_json("run.json", {"format": FORMAT, "name": name, "state": "running", "started": now(), **facts})
    return run


def now() -> str:
    """Return the time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
