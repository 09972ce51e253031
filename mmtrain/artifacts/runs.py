"""Numbered runs under an output folder: create one, find the one that a user names, open it checked.

A run may come from a stranger: opening it follows no link, and reads no file outside of its folder.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from mmtrain.artifacts.atomic_files import atomic_write, disk_errors, file_hash
from mmtrain.artifacts.run_folder import CHILD_GROUPS, FORMAT, Run, begin
from mmtrain.errors import Problem, RunError, UsageError, did_you_mean, listed
from mmtrain.system.paths import input_fault, run_folder_name


def create(name: str, output: Path) -> Run:
    """Create a numbered folder under `output/name` with its run.json. Raises RunError if it cannot be made."""
    parent = output / name
    # A name such as `folds` in a run's folder would look like a child run.
    if name in CHILD_GROUPS and (output / "run.json").is_file():
        what = f"this is the folder of a run, whose child runs are under {name}/."
        raise RunError(Problem(str(output), what, "Give another folder with --output."))
    try:
        parent.mkdir(parents=True, exist_ok=True)
        # Not the number of folders: a run that was deleted leaves a gap, and numbers are never given twice while a
        # later run exists.
        number = max((int(folder.name) for folder in parent.iterdir() if folder.name.isdecimal()), default=0) + 1
        while True:
            try:
                (parent / str(number)).mkdir()
                break
            except FileExistsError:  # another run of the same name has just taken the number; mkdir is atomic
                number += 1
    except OSError as error:
        raise RunError(
            Problem(str(parent), f"the run folder cannot be made: {error.strerror}.", "Give another folder with --output.")
        ) from None
    run = begin(parent / str(number), name)
    _update_latest_link(run)
    return run


def _update_latest_link(run: Run) -> None:
    """Write `latest` as a symbolic link or, where those are not allowed, as a text file with the number."""
    latest = run.folder.parent / "latest"
    with disk_errors(latest), atomic_write(latest) as temporary:
        try:
            os.symlink(run.folder.name, temporary)
        except OSError:
            temporary.write_text(run.folder.name, encoding="utf-8")


def find(which: str | None, output: Path, *, group: bool = False) -> Run:
    """Return the run that a user names: a folder, a name (its latest run), `name/number`, or None (the latest run of all).

    A `group` of trainings, which has no model of its own, is returned only if asked for.

    Raises UsageError if there is none, RunError if another version made it or its sealed files have changed.
    """
    run = _find(which, output)
    if run.is_group and not group:
        raise UsageError(_several_trainings(run))
    return run


def _several_trainings(run: Run) -> Problem:
    names = [member["name"] for member in run.read_json("run.json")["members"]]
    what = f"this run is a group of {len(names)} trainings, {listed(names, most=5)}, and the command takes one training."
    return Problem(str(run.folder), what, f"Name one of them: {run.folder / names[0]}")


def two_latest(output: Path) -> list[Run]:
    """Return the latest run, after the latest other one of the same kind (a group or one training) whose experiment differs.

    Raises UsageError if the folder does not hold two such runs.
    """
    every = sorted(run_folders(output), key=_start_time, reverse=True)
    latest = open_run(every[0]) if every else None
    for folder in every[1:]:
        if latest is not None and Run(folder).is_group == latest.is_group and _settings(folder) != _settings(latest.folder):
            return [open_run(folder), latest]
    fix = "Name the runs, or another folder with --output."
    raise UsageError(Problem(str(output), "the folder does not hold two runs of different experiments to compare.", fix))


def run_folders(output: Path) -> list[Path]:
    """Return the folders of all numbered runs; `latest` is a link to one of them, and child runs belong to their parents."""
    folders = [path.parent for path in output.glob("*/*/run.json") if path.is_file() and path.parent.name.isdecimal()]
    return [folder for folder in folders if not folder.is_symlink() and Run(folder).parent is None]


def _settings(folder: Path) -> str:
    """Return the experiment of a run as text, without its name; empty if it stopped before its experiment was recorded."""
    path = folder / "config.yaml"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return "\n".join(line for line in lines if not line.startswith("name:"))


def _find(which: str | None, output: Path) -> Run:
    if which is None:
        runs = run_folders(output)
        if not runs:
            raise UsageError(Problem(str(output), "the folder holds no runs.", "Train one with `mmtrain fit CONFIG`, or name its folder."))
        return open_run(max(runs, key=_start_time))
    # `my photos.yaml` has its runs in `my-photos`: both names are understood.
    for folder in (Path(which), output / which, *([output / run_folder_name(which)] if "/" not in which else [])):
        fault = input_fault(folder / "run.json")
        if fault is None:
            _refuse_child(which, folder)
            return open_run(folder)
        if not fault.absent:
            raise UsageError(fault.problem(folder, "the run"))
        numbers = [int(path.parent.name) for path in folder.glob("*/run.json") if path.parent.name.isdecimal()]
        if numbers:
            _refuse_child(which, folder / str(max(numbers)), members=True)
            return open_run(folder / str(max(numbers)))
    names = sorted(folder.name for folder in output.iterdir() if folder.is_dir()) if output.is_dir() else []
    none = f"There are no runs under {output}: train one with `mmtrain fit CONFIG`, or name another folder with --output."
    hint = did_you_mean(which, names) or (f"The runs in {output} are called {listed(names)}." if names else none)
    raise UsageError(Problem(which, "there is no such run.", hint))


def _refuse_child(which: str, folder: Path, *, members: bool = False) -> None:
    """Raise UsageError for a child run that commands take only as a part of its parent: it lacks files that it shares with the parent.

    `members` refuses the members of a group as well.
    """
    # Resolved: the user may have named the link `latest`.
    run = Run(folder.resolve())
    if run.parent is not None and (members or not (run / "config.yaml").is_file()):
        fix = f"Name the run that it belongs to: {run.parent.folder}"
        raise UsageError(Problem(which, f"this is the child run {run.name} of {run.parent}.", fix))


def _start_time(folder: Path) -> tuple[str, int]:
    """Return the start of a run, to compare it with others; evaluating a run, which changes its folder, does not make it the latest."""
    try:
        return str(json.loads((folder / "run.json").read_text(encoding="utf-8"))["started"]), int(folder.name)
    except (OSError, ValueError, LookupError, TypeError):
        return "", 0


def open_run(folder: Path) -> Run:
    """Return the run in `folder`. Raises RunError for links and special files, another format, or a wrong hash."""
    run = Run(folder.resolve())
    _check_plain(run)
    facts = run.read_json("run.json")
    if (made := facts.get("format", 0)) != FORMAT:
        what = f"the run was made by {'a newer' if made > FORMAT else 'an older'} mmtrain ({facts.get('versions', {}).get('mmtrain', '?')})"
        fix = "Update mmtrain." if made > FORMAT else "Train again, or open it with the version that made it."
        raise RunError(Problem(str(folder), f"{what}: its folder has format {made}, and this version reads format {FORMAT}.", fix))
    # Hashes of all sealed files are computed anew: opening a run is the check that nothing changed.
    changed = [name for name, known in facts.get("files", {}).items() if not _is_sealed(run, name, known)]
    if changed:
        raise RunError(Problem(str(folder), f"{listed(changed)} changed after the training.", "Restore the folder, or train again."))
    return run


def _check_plain(run: Run) -> None:
    """Raise RunError for a link, which may lead anywhere, and for a special file, whose reading may never end."""
    for folder, folders, files in os.walk(run.folder):
        for name in (*folders, *files):
            path = Path(folder, name)
            if not stat.S_ISREG(mode := path.lstat().st_mode) and not stat.S_ISDIR(mode):
                what = "this is a link or a special file; a run holds files and folders only."
                raise RunError(Problem(str(path), what, "Replace it by the file it stands for, or remove it."))


def _is_sealed(run: Run, name: str, known: str) -> bool:
    """Return True if a file of the folder still has this hash. A file outside of the folder is not read, whatever run.json names."""
    path = run.folder / name
    # Resolved before it is compared: `files` in a stranger's run.json may name `../../x`.
    return path.resolve().is_relative_to(run.folder) and path.is_file() and file_hash(path) == known
