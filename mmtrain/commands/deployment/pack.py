"""`mmtrain pack`: a run folder as one file that another machine can open.

By default the archive holds the files that evaluate, predict and export need, and the history of the training; no row of the table
and no image. It does hold facts learned from rows: categories, words, smallest and largest numbers (columns.json, statistics.json,
model.keras), and scores. Child runs are packed with their parent, the trainings of a group with the group.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mmtrain import config
from mmtrain.artifacts import archive, runs
from mmtrain.artifacts.atomic_files import atomic_write, disk_errors, file_hash
from mmtrain.artifacts.manifest import GROUP_NEEDED, MANIFEST, NEEDED, REQUIRED_FILES, File, Manifest, needed_files
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.config import Experiment
from mmtrain.data.tables.csv_text import csv_text
from mmtrain.errors import Problem, RunError, UsageError, listed, shell_command
from mmtrain.pipeline.restore import search_without_model
from mmtrain.registry import Section
from mmtrain.system.paths import home
from mmtrain.text.printable import json_text

DATA = "data"
"""The folder of an unpacked run in which its table and images are expected."""
HEADER = """\
# This run was packed without its table and images. To score its parts, put the table next to this file as
# {table}, and every image where the table's cells say, seen from the table's folder.
"""
OMITTED_KEYS = "left out of the packed run"
OF_ROWS = {
    "predictions_": "ids, answers and predictions of rows",
    "worst_predictions_": "cells and images of rows",
    "report.html": "may show rows",
    "plots/": "may show rows",
}
"""Files that are packed only with `--with-rows`, by the beginning of the name, with the reason."""

LEARNED_FILES = ("model", "weights", "embeddings")
"""Options of branches and columns whose values may be paths of files that a training begins with."""


@dataclass
class Selection:
    """Files that go into an archive, and those that are left out, with the reason."""

    files: dict[str, bytes | Path] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PackResult:
    """The packed run, and its archive."""

    run: Run
    archive: Path
    manifest: Manifest


def pack(which: str, target: Path, *, with_rows: bool = False, output: Path = Path("runs")) -> PackResult:
    """Pack the run called `which` (see `runs.find`) into the zip archive `target`, which must not exist yet.

    Raises UsageError if the archive exists already, RunError for a run that cannot be opened or has no model, and if the archive cannot
    be written.
    """
    run = runs.find(which, output, group=True)
    if target.exists():
        raise UsageError(Problem(str(target), "the file exists already; nothing is overwritten.", "Give another name."))
    experiment = config.load(run / "config.yaml")
    chosen = select(run, with_rows=with_rows)
    here = _paths_of_this_machine(run, experiment)
    chosen.files |= _rewritten(run, chosen, here, with_rows=with_rows)
    _keep_paths_at_home(run, chosen, here)
    manifest = _manifest(run, chosen)
    with disk_errors(target), atomic_write(target) as temporary:
        try:
            written = archive.write(temporary, chosen.files | {MANIFEST: manifest.text().encode()})
        except EOFError:  # a file has another size than when it was opened
            written = {}
        # The manifest, hashed first, must hold for the bytes that are in the archive: another process may have written meanwhile.
        if any(written.get(name) != file.sha256 for name, file in manifest.files.items()):
            raise RunError(Problem(str(run.folder), "a file changed while it was packed.", "Pack again when nothing works on the run."))
    return PackResult(run, target, manifest)


def select(run: Run, *, with_rows: bool) -> Selection:
    """The files to be packed as they are."""
    chosen = Selection()
    finished = {f"{name}/" if name else "": one.state == "finished" for name, one in _runs_of_tree(run).items()}
    for name, path in _names(run):
        # Files of a child run are judged as those of a run, below its folder.
        owner = max((one for one in finished if name.startswith(one)), key=len)
        local = name.removeprefix(owner)
        first, slash, _ = local.partition("/")
        top = f"{owner}{first}{slash}"
        reason = "" if with_rows else next((why for start, why in OF_ROWS.items() if local.startswith(start)), "")
        if not archive.is_below_a_folder(name):
            chosen.left_out[name] = "its name does not mean the same file on every system"
        elif not REQUIRED_FILES.fullmatch(name):
            chosen.left_out[top] = "not a part of a run that is packed"
        elif reason:
            chosen.left_out[top] = reason
        elif top == f"{owner}checkpoints/" and finished[owner]:
            chosen.left_out[top] = "only for resuming the training, which is finished"
        else:
            chosen.files[name] = path
    missing = sorted(_needed(run, chosen) - set(chosen.files))
    if missing and (run / SEARCH_FILE).is_file():
        raise RunError(search_without_model(run))
    if missing:
        what = f"the run cannot be packed without {listed(missing)}; its state is '{run.state}'."
        raise RunError(Problem(str(run.folder), what, "Resume it, or train again."))
    return chosen


def _needed(run: Run, chosen: Selection) -> set[str]:
    """Return the files without which an archive of the run would be of no use. Raises RunError for an unfinished group."""
    if not run.is_group:
        # Without a model, a checkpoint is enough: the run can be resumed elsewhere.
        return set(NEEDED) if "checkpoints/last/position.json" in chosen.files else {*NEEDED, "model.keras"}
    if run.state != "finished":
        what = f"the group cannot be packed before all of its trainings are finished; its state is '{run.state}'."
        raise RunError(Problem(str(run.folder), what, f"Resume it: {shell_command('fit', '--resume', run.folder)}"))
    return needed_files([*GROUP_NEEDED, *_whole_runs(run)]) | {f"{name}/model.keras" for name in _whole_runs(run) if name}


def _runs_of_tree(run: Run, name: str = "") -> dict[str, Run]:
    """Return a run and all child runs below it, by their names in the archive; that of the run itself is empty."""
    every = {name: run}
    for child, below in run.children().items():
        every |= _runs_of_tree(below, f"{name}/{child}" if name else child)
    return every


def _whole_runs(run: Run) -> dict[str, Run]:
    """Return the runs with all files of a run by name: the run itself, and the trainings of a group."""
    return {"": run} | {member.name: run.child(member.name) for member in run.read("run.json").members or ()}


def _names(run: Run) -> Iterator[tuple[str, Path]]:
    """Yield the files in the folder with their names; hidden files, half-written ones among them, are skipped."""
    waiting = [run.folder]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            name = path.relative_to(run.folder).as_posix()
            if path.name.startswith(".") or name == MANIFEST:
                continue
            if path.is_dir():
                waiting.append(path)
            else:
                yield name, path


def _rewritten(run: Run, chosen: Selection, here: re.Pattern[bytes], *, with_rows: bool) -> dict[str, bytes]:
    """Return files without the paths and the rows that they name, and run.json of all runs with the hashes of these versions."""
    contents: dict[str, bytes] = {}
    for name, whole in _whole_runs(run).items():
        texts = _rewritten_texts(whole, run, chosen, with_rows=with_rows)
        contents |= {f"{name}/{file}" if name else file: text.encode() for file, text in texts.items()}
    for name, one in _runs_of_tree(run).items():
        folder = f"{name}/" if name else ""
        contents[f"{folder}run.json"] = _facts(one, here, chosen, contents, folder).encode()
    return contents


def _rewritten_texts(run: Run, root: Run, chosen: Selection, *, with_rows: bool) -> dict[str, str]:
    """Return the files of one run that name paths or rows, without them; `root` is the packed run."""
    experiment = config.load(run / "config.yaml")
    texts = {"config.yaml": _config(run, root, experiment)}
    chosen.left_out["config.yaml: paths"] = "where the table, the images, the cache and pretrained weights were"
    if experiment.training.callbacks:
        chosen.left_out["config.yaml: callbacks"] = "code that would run on the machine of the recipient"
    if with_rows:
        return texts
    split = pd.read_csv(run / "split.csv", dtype=str, keep_default_na=False)
    if split["id"].any():
        texts["split.csv"] = csv_text(split.assign(id=""))
        chosen.left_out["split.csv: ids"] = "name rows"
    data = run.read_json("data.json")
    if data["dropped"]:
        dropped = [{**row, "id": "", "reason": OMITTED_KEYS} for row in data["dropped"]]
        texts["data.json"] = _json({**data, "dropped": dropped})
        chosen.left_out["data.json: ids and reasons of dropped rows"] = "name rows and show cells"
    return texts


def _config(run: Run, root: Run, experiment: Experiment) -> str:
    """Return the text of the experiment without callbacks and trackers; its table is expected in the folder of `root`, with its images."""
    known = experiment.data.table
    table = f"{DATA}/{known.name}"
    if not archive.is_below_a_folder(table):
        table = f"{DATA}/table{''.join(suffix for suffix in known.suffixes if suffix[1:].isalnum())}"
    cache = experiment.data.cache.model_copy(update={"folder": None})
    folder = root.folder.resolve()
    second = {
        name: one.model_copy(update={"table": folder / DATA / f"{name}{''.join(one.table.suffixes)}"})
        for name, one in experiment.data.tables.items()
    }
    data = experiment.data.model_copy(update={"table": folder / table, "tables": second, "images": None, "cache": cache})
    branches = {key: _by_name(branch) for key, branch in experiment.branches.items()}
    columns = {key: _by_name(column) for key, column in experiment.columns.items()}
    baselines = tuple(one if isinstance(one, str) else _by_name(one) for one in experiment.evaluation.baselines)
    evaluation = experiment.evaluation.model_copy(update={"baselines": baselines})
    parts = {"data": data, "branches": branches, "columns": columns, "evaluation": evaluation}
    alone = experiment.decided(callbacks=(), trackers=()).model_copy(update=parts)
    return HEADER.format(table=os.path.relpath(root.folder / table, run.folder)) + config.to_yaml(alone, run.folder)


def _by_name(section: Section) -> Section:
    """Return a branch, a column or a baseline with the names of its pretrained weights and word vectors in place of their paths.

    Only a training reads those files: the model holds their numbers. A baseline is not fitted to a run without its table.
    """
    files = {name: value for name in LEARNED_FILES if isinstance(value := getattr(section, name, None), str) and Path(value).is_absolute()}
    names: dict[str, Any] = {name: Path(value).name for name, value in files.items()}
    if isinstance(encoder := getattr(section, "encoder", None), Section):
        names["encoder"] = _by_name(encoder)
    return section.model_copy(update=names)


def _facts(run: Run, here: re.Pattern[bytes], chosen: Selection, contents: Mapping[str, bytes], folder: str) -> str:
    """Return run.json without the sealed files that are left out, and without facts that hold a path of this machine.

    `folder` is that of the run in the archive: empty, or `baselines/scan/` for a child run. `contents` are the rewritten files of all runs.
    """
    facts = run.read_json("run.json")
    if "evaluations" in facts:  # the number of evaluations of the test part is packed, the places of other tables are not
        facts["evaluations"] = [{name: fact for name, fact in look.items() if name != "path"} for look in facts["evaluations"]]
    for name in [name for name, fact in facts.items() if name == "error" or here.search(json.dumps(fact, ensure_ascii=False).encode())]:
        del facts[name]
        chosen.left_out[f"{folder}run.json: {name}"] = "may hold paths"
    sealed = {name: known for name, known in facts.get("files", {}).items() if f"{folder}{name}" in chosen.files}
    rewritten = {name: archive.hash_entry(contents[f"{folder}{name}"]) for name in sealed if f"{folder}{name}" in contents}
    return _json({**facts, "files": sealed | rewritten})


def _json(value: Any) -> str:
    return json_text(value, indent=1) + "\n"


def _keep_paths_at_home(run: Run, chosen: Selection, here: re.Pattern[bytes]) -> None:
    """Leave out text files that hold paths of this machine. Raises RunError if a file that is needed holds any."""
    needed = needed_files(chosen.files)
    for name, source in list(chosen.files.items()):
        if name.endswith((".keras", ".npz", ".png")):
            continue
        if not here.search(source if isinstance(source, bytes) else source.read_bytes()):
            continue
        if name in needed:
            what = f"{name} holds paths of this machine, among the categories of a column for instance."
            raise RunError(Problem(str(run.folder), what, "Train without that column."))
        del chosen.files[name]
        chosen.left_out[name] = "holds paths of the machine where it was trained"


def _paths_of_this_machine(run: Run, experiment: Experiment) -> re.Pattern[bytes]:
    """Return a pattern of the folders of a run, its table, its images and the user, as beginnings of absolute paths."""
    folders = {run.folder, home() or run.folder, experiment.data.table.parent, experiment.data.images_folder.path}
    known = sorted(re.escape(str(folder)) for folder in folders if len(folder.parts) > 1)
    return re.compile(rf"(?<![\w.~/-])({'|'.join(known)})(?![\w.-])".encode())


def _manifest(run: Run, chosen: Selection) -> Manifest:
    from importlib.metadata import version

    files = {
        name: File(sha256=archive.hash_entry(source), size=len(source))
        if isinstance(source, bytes)
        else File(sha256=file_hash(source), size=source.stat().st_size)
        for name, source in sorted(chosen.files.items())
    }
    return Manifest(mmtrain=version("mmtrain"), run=str(run), files=files, left_out=dict(sorted(chosen.left_out.items())))
