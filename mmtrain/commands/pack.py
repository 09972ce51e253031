"""`mmtrain pack` and `mmtrain unpack`: a run folder as one file that another machine can open.

By default the archive holds the files that evaluate, predict and export need, and the history of the training; no row of the table
and no image. It does hold facts learned from rows: categories, words, smallest and largest numbers (columns.json, statistics.json,
model.keras), and scores. Child runs are packed with their parent. An archive may come from a stranger, so everything in it is checked.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from mmtrain import config
from mmtrain.artifacts import archive, runs
from mmtrain.artifacts.atomic_files import atomic_write, disk_errors, file_hash, replacing_folder
from mmtrain.artifacts.manifest import MANIFEST, MAX_MANIFEST_BYTES, NEEDED, REQUIRED_FILES, File, Manifest
from mmtrain.artifacts.manifest import read as read_manifest
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.config import Experiment, yaml_source
from mmtrain.data.tables.csv_text import csv_text
from mmtrain.errors import Problem, RunError, UsageError, listed
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

AWAY = "config.yaml looks for tables or images, or keeps a cache, outside of the run's folder."
CALLS = "config.yaml names callbacks, which would run when the training is resumed."
STRANGER = "Do not use an archive of unknown origin."


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


@dataclass(frozen=True)
class UnpackResult:
    """A run folder, unpacked from an archive."""

    folder: Path
    manifest: Manifest
    table: Path
    """The place where the run expects its table."""


def pack(which: str, target: Path, *, with_rows: bool = False, output: Path = Path("runs")) -> PackResult:
    """Pack the run called `which` (see `runs.find`) into the zip archive `target`, which must not exist yet.

    Raises UsageError if the archive exists already, RunError for a run that cannot be opened or has no model, and if the archive cannot
    be written.
    """
    run = runs.find(which, output)
    if target.exists():
        raise UsageError(Problem(str(target), "the file exists already; nothing is overwritten.", "Give another name."))
    experiment = config.load(run / "config.yaml")
    chosen = select(run, with_rows=with_rows)
    chosen.files |= _rewritten(run, experiment, chosen, with_rows=with_rows)
    _keep_paths_at_home(run, experiment, chosen)
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
    finished = {"": run.state == "finished"} | {f"{name}/": child.state == "finished" for name, child in run.children().items()}
    for name, path in _names(run):
        # Files of a child run are judged as those of a run, below its folder.
        owner = next((child for child in finished if child and name.startswith(child)), "")
        first, slash, _ = name.removeprefix(owner).partition("/")
        top = f"{owner}{first}{slash}"
        reason = "" if with_rows else next((why for start, why in OF_ROWS.items() if name.startswith(start)), "")
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
    # Without a model, a checkpoint is enough: the run can be resumed elsewhere.
    missing = sorted((NEEDED if "checkpoints/last/position.json" in chosen.files else NEEDED | {"model.keras"}) - set(chosen.files))
    if missing and (run / SEARCH_FILE).is_file():
        raise RunError(search_without_model(run))
    if missing:
        what = f"the run cannot be packed without {listed(missing)}; its state is '{run.state}'."
        raise RunError(Problem(str(run.folder), what, "Resume it, or train again."))
    return chosen


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


def _rewritten(run: Run, experiment: Experiment, chosen: Selection, *, with_rows: bool) -> dict[str, bytes]:
    """Return files without the paths and the rows that they name, and run.json with the hashes of these versions."""
    texts = {"config.yaml": _config(run, experiment)}
    chosen.left_out["config.yaml: paths"] = "where the table, the images, the cache and pretrained weights were"
    if experiment.training.callbacks:
        chosen.left_out["config.yaml: callbacks"] = "code that would run on the machine of the recipient"
    if not with_rows:
        split = pd.read_csv(run / "split.csv", dtype=str, keep_default_na=False)
        if split["id"].any():
            texts["split.csv"] = csv_text(split.assign(id=""))
            chosen.left_out["split.csv: ids"] = "name rows"
        data = run.read_json("data.json")
        if data["dropped"]:
            dropped = [{**row, "id": "", "reason": OMITTED_KEYS} for row in data["dropped"]]
            texts["data.json"] = _json({**data, "dropped": dropped})
            chosen.left_out["data.json: ids and reasons of dropped rows"] = "name rows and show cells"
    contents = {name: text.encode() for name, text in texts.items()}
    here = _paths_of_this_machine(run, experiment)
    for name, child in run.children().items():
        contents[f"{name}/run.json"] = _facts(child, here, chosen, {}, f"{name}/").encode()
    return contents | {"run.json": _facts(run, here, chosen, contents).encode()}


def _config(run: Run, experiment: Experiment) -> str:
    """Return the text of the experiment without callbacks and trackers; its table is expected in the run's folder, with its images."""
    known = experiment.data.table
    table = f"{DATA}/{known.name}"
    if not archive.is_below_a_folder(table):
        table = f"{DATA}/table{''.join(suffix for suffix in known.suffixes if suffix[1:].isalnum())}"
    cache = experiment.data.cache.model_copy(update={"folder": None})
    data = experiment.data.model_copy(update={"table": run.folder / table, "images": None, "cache": cache})
    branches = {key: _by_name(branch) for key, branch in experiment.branches.items()}
    columns = {key: _by_name(column) for key, column in experiment.columns.items()}
    parts = {"data": data, "branches": branches, "columns": columns}
    alone = experiment.decided(callbacks=(), trackers=()).model_copy(update=parts)
    return HEADER.format(table=table) + config.to_yaml(alone, run.folder)


def _by_name(section: Section) -> Section:
    """Return a branch or a column with the names of its pretrained weights and word vectors in place of their paths.

    Only a training reads those files: the model holds their numbers.
    """
    files = {name: value for name in LEARNED_FILES if isinstance(value := getattr(section, name, None), str) and Path(value).is_absolute()}
    names: dict[str, Any] = {name: Path(value).name for name, value in files.items()}
    if isinstance(encoder := getattr(section, "encoder", None), Section):
        names["encoder"] = _by_name(encoder)
    return section.model_copy(update=names)


def _facts(run: Run, here: re.Pattern[bytes], chosen: Selection, contents: Mapping[str, bytes], folder: str = "") -> str:
    """Return run.json without the sealed files that are left out, and without facts that hold a path of this machine.

    `folder` is that of the run in the archive: empty, or `baselines/scan/` for a child run.
    """
    facts = run.read_json("run.json")
    if "evaluations" in facts:  # the number of evaluations of the test part is packed, the places of other tables are not
        facts["evaluations"] = [{name: fact for name, fact in look.items() if name != "path"} for look in facts["evaluations"]]
    for name in [name for name, fact in facts.items() if name == "error" or here.search(json.dumps(fact, ensure_ascii=False).encode())]:
        del facts[name]
        chosen.left_out[f"{folder}run.json: {name}"] = "may hold paths"
    sealed = {name: known for name, known in facts.get("files", {}).items() if f"{folder}{name}" in chosen.files}
    return _json({**facts, "files": sealed | {name: archive.hash_entry(contents[name]) for name in sealed if name in contents}})


def _json(value: Any) -> str:
    return json_text(value, indent=1) + "\n"


def _keep_paths_at_home(run: Run, experiment: Experiment, chosen: Selection) -> None:
    """Leave out text files that hold paths of this machine. Raises RunError if a file that is needed holds any."""
    here = _paths_of_this_machine(run, experiment)
    for name, source in list(chosen.files.items()):
        if name.endswith((".keras", ".npz", ".png")):
            continue
        if not here.search(source if isinstance(source, bytes) else source.read_bytes()):
            continue
        if name in NEEDED:
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


def unpack(path: Path, folder: Path | None = None) -> UnpackResult:
    """Unpack a packed run into a new folder, by default named like the archive, in the working directory.

    Raises UsageError if the folder exists already, and RunError for an archive that differs from its manifest or is made to do harm; then
    nothing is written.
    """
    target = folder or Path(path.stem)
    entries = archive.directory(path)
    if os.path.lexists(target):
        raise UsageError(
            Problem(str(target), "the folder exists already; nothing is overwritten.", "Name another: mmtrain unpack ZIP FOLDER")
        )
    with archive.open_archive(path) as opened:
        # The folder gets its name only after the last check in this block: no half of a refused archive is left.
        manifest = _read_manifest(path, opened, entries)
        with disk_errors(target), replacing_folder(target) as temporary:
            for name, entry in entries.items():
                _write(opened, entry, temporary / name, manifest.files[name].sha256 if name in manifest.files else None)
            table = _table(temporary / "config.yaml", path)
    return UnpackResult(target, manifest, target / table)


def _read_manifest(path: Path, opened: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> Manifest:
    """Return the manifest. Raises RunError unless the archive holds exactly the files it lists, all of them files of a run."""
    if MANIFEST not in entries or entries[MANIFEST].file_size > MAX_MANIFEST_BYTES:
        fix = "`mmtrain pack RUN ZIP` makes archives that can be unpacked here."
        raise RunError(Problem(str(path), f"this is not a packed run: it has no {MANIFEST}.", fix))
    manifest = read_manifest(opened.read(MANIFEST), str(path))
    if problems := list(_disagreements(manifest, entries)):
        raise RunError([Problem(str(path), what, archive.DAMAGED_ARCHIVE) for what in problems])
    return manifest


def _disagreements(manifest: Manifest, entries: dict[str, zipfile.ZipInfo]) -> Iterator[str]:
    sizes = {name: entry.file_size for name, entry in entries.items() if name != MANIFEST}
    known = {name: file.size for name, file in manifest.files.items()}
    if missing := sorted((set(known) | NEEDED) - set(sizes)):
        yield f"the archive does not hold {listed(missing)}."
    if unlisted := sorted(set(sizes) - set(known)):
        yield f"the manifest does not list {listed(unlisted)}."
    if strange := sorted(name for name in known if not REQUIRED_FILES.fullmatch(name)):
        yield f"no run has {listed(strange)}."
    if other := sorted(name for name in sizes if name in known and sizes[name] != known[name]):
        yield f"the manifest has other sizes for {listed(other)}."


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, known: str | None) -> None:
    """Unpack one file. Raises RunError if its bytes are not those that were packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as packed, path.open("xb") as file:
        checksum = archive.extract_entry(packed, file, entry.file_size)
    if known is not None and checksum != known:
        raise RunError(
            Problem(f"{opened.filename}: {entry.filename!r}", "the checksum is not that of the manifest.", archive.DAMAGED_ARCHIVE)
        )


def _table(path: Path, where: Path) -> PurePosixPath:
    """Return the place of the experiment's table, relative to the run folder.

    Raises RunError if the experiment would read, write or run anything outside of the folder.
    """
    tree = yaml_source.read(path).tree
    data, training = (section if isinstance(section := tree.get(name), dict) else {} for name in ("data", "training"))
    table, cache = data.get("table"), data.get("cache") or {}
    inside = isinstance(table, str) and archive.is_below_a_folder(table)
    if not inside or data.get("images") is not None or not isinstance(cache, dict) or cache.get("folder") is not None:
        raise RunError(Problem(str(where), AWAY, STRANGER))
    if training.get("callbacks"):
        raise RunError(Problem(str(where), CALLS, STRANGER))
    return PurePosixPath(str(table))
