"""`mmtrain init`: a first experiment file for a table, for the user to confirm."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import yaml
from pydantic import ValidationError

from mmtrain import config
from mmtrain.artifacts.atomic_files import atomic_write
from mmtrain.artifacts.inspection_results import StarterResult, TableProfile
from mmtrain.audit.profiling.class_folders import CLASS, class_folders
from mmtrain.audit.profiling.table_profile import profile_table
from mmtrain.config.sections.table_format import TableFormat
from mmtrain.config.yaml_source import Origin
from mmtrain.data.tables.table_file import table_exists
from mmtrain.errors import ConfigError, DataError, Problem, UsageError
from mmtrain.pipeline.checks.validate import validate_experiment
from mmtrain.pipeline.proposals.encoder_speed import propose_encoders
from mmtrain.pipeline.proposals.starter_config import SCHEMA, starter_text
from mmtrain.system.paths import input_fault, output_fault
from mmtrain.system.remote import fetch, local_path


def init(
    table: Path,
    *,
    target: str | Sequence[str] | None = None,
    images: Path | None = None,
    table_format: str | None = None,
    file: Path | None = None,
    force: bool = False,
) -> StarterResult:
    """Write an experiment file for `table`, at `file` or in the current folder under the table's name, and the schema next to it.

    `table_format` is the section `data.format`, as YAML. For a folder with a folder of images per class, a table is written first, next
    to the experiment file.

    Raises:
        UsageError: the file exists and is not to be replaced (`force`), or is no place to write to.
        ConfigError: the file cannot be written; `target` or `images` is wrong.
        DataError: the table cannot be read, or has nothing to predict or nothing to predict it from.

    """
    table = local_path(table)
    fetch(table)
    name = table.name if table.name.strip(".") else table.resolve().name
    # `table.csv.gz` gives `table`; a folder keeps the dots in its name.
    of_classes = os.path.isdir(table) and not _is_table(table)
    stem = name if os.path.isdir(table) else re.sub(r"[*?]", "", name).partition(".")[0].rstrip("-_") or table.stem
    file = file if file is not None else Path(f"{stem or 'experiment'}.yaml")
    _check_file(file, force=force)
    if of_classes:
        return _of_folders(table, target, images, table_format, file=file, force=force)
    profile = usable_survey(table, target=target, images=images, table_format=parsed_format(table_format) if table_format else None)
    return StarterResult.of(file, _write_experiment(profile, file))


def parsed_format(text: str) -> TableFormat:
    """Parse `{separator: ";"}` as a section. Raises ConfigError for anything else."""
    example = 'Write it as in the experiment file: --format \'{separator: ";", decimal: ","}\''
    try:
        tree = yaml.safe_load(text)
        return TableFormat.model_validate(tree)
    except yaml.YAMLError:
        raise ConfigError(Problem("--format", f"{text!r} is not YAML.", example)) from None
    except ValidationError as error:
        problems = [(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in error.errors()]
        raise ConfigError(
            [Problem("--format", f"{place}: {what.rstrip('.')}.".removeprefix(": "), example) for place, what in problems]
        ) from None


def _is_table(folder: Path) -> bool:
    """Return whether a folder is a table of several files, and not a folder of images by class with a table somewhere in it."""
    return table_exists(folder) and all("=" in entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[:1] not in "._")


def _of_folders(
    folder: Path, target: str | Sequence[str] | None, images: Path | None, table_format: str | None, *, file: Path, force: bool
) -> StarterResult:
    """Profile a folder that has a folder of images per class."""
    for option, given in (("--target", target), ("--images", images), ("--format", table_format)):
        if given is not None:
            what = f"{folder} is a folder of class folders, whose names are the answer."
            raise ConfigError(Problem(option, what, "Leave the option out, or give a table."))
    folders = class_folders(folder)
    table = file.with_suffix(".csv")
    if table.exists() and not force:
        fix = "Choose another name with --output, or replace it with --force."
        raise UsageError(Problem(str(table), "the table for the folder exists already.", fix))
    _write_table(table, folders.write, force=force)
    return StarterResult.of(file, _write_experiment(profile_table(table, target=CLASS, images=folder), file), table)


def _write_table(file: Path, write: Callable[[TextIO], object], *, force: bool) -> None:
    try:
        with file.open("w" if force else "x", encoding="utf-8", newline="") as opened:
            write(opened)
    except OSError as error:
        raise ConfigError(Problem(str(file), f"the file cannot be written: {(error.strerror or str(error)).lower()}.")) from None


def _write_experiment(profile: TableProfile, file: Path) -> TableProfile:
    """Write the experiment file and the schema next to it; return the profile with the guesses as written."""
    profile = profile.model_copy(update={"encoders": propose_encoders(profile)})
    try:
        profile = _write(profile, file)
    except OSError as error:
        raise ConfigError(Problem(str(file), f"the file cannot be written: {(error.strerror or str(error)).lower()}.")) from None
    _write_schema(file.parent / SCHEMA)
    return profile


def _write(profile: TableProfile, file: Path) -> TableProfile:
    """Write the file, unless `check` would refuse the table; a split column is only used where that causes no problem.

    Images are not decoded here. Raises DataError as `check` does, or OSError.
    """
    given = next((column for column in profile.used if column.guess.purpose == "assigning"), None)
    try:
        _write_checked(profile, file)
    except DataError as error:
        if given is None:
            raise
        reason = f"{given.guess.reason}; not used, for then {error.problems[0].what}"
        guess = given.guess.model_copy(update={"used": False, "reason": reason})
        columns = tuple(column.model_copy(update={"guess": guess}) if column is given else column for column in profile.columns)
        profile = profile.model_copy(update={"columns": columns})
        _write_checked(profile, file)
    return profile


def _write_checked(profile: TableProfile, file: Path) -> None:
    # Written under a temporary name and loaded back: a file that `check` would refuse never gets its name.
    with atomic_write(file, ".yaml") as temporary:
        temporary.write_text(starter_text(profile, file), encoding="utf-8")
        experiment = config.load(temporary)
        # Without images, whose decoding would take minutes.
        columns = {key: column for key, column in experiment.columns.items() if column.content != "images"}
        report = validate_experiment(experiment.model_copy(update={"columns": columns}), Origin(temporary, ()))
        if report.error is not None:
            raise report.error


def _write_schema(path: Path) -> None:
    """Write the schema of this version for editors; a failure is ignored, and another file of that name is kept."""
    schema = config.json_schema()
    with suppress(OSError, ValueError, AttributeError):
        if not path.exists() or json.loads(path.read_text(encoding="utf-8")).get("title") == schema["title"]:
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")


def usable_survey(
    table: Path, *, target: str | Sequence[str] | None = None, images: Path | None = None, table_format: TableFormat | None = None
) -> TableProfile:
    """Return the guesses for a table that can be trained on. Raises as `init` does."""
    profile = profile_table(table, target=target, images=images, table_format=table_format)
    _check_use(profile)
    return profile


def _check_file(file: Path, *, force: bool) -> None:
    """Refuse a file that cannot be written, before the table is read, which may take a while."""
    if file.suffix.lower() not in (".yaml", ".yml"):
        folder = not file.name or file.is_dir()
        better = file / "experiment.yaml" if folder else file.with_suffix(".yaml")
        what = "this is a folder, not a name for an experiment file." if folder else "an experiment file ends in .yaml."
        raise UsageError(Problem(str(file), what, f"Write `--output {better}`."))
    if (parent := input_fault(file.parent, "folder")) and parent.absent:
        raise UsageError(Problem(str(file), f"there is no folder {file.parent}.", "Make it first, or choose another one with --output."))
    if fault := output_fault(file):
        raise UsageError(fault.problem(file, "the file"))
    if os.path.lexists(file) and not force:
        raise UsageError(Problem(str(file), "the file exists already.", "Choose another name with --output, or replace it with --force."))


def _check_use(profile: TableProfile) -> None:
    """Refuse a table without a target or without inputs."""
    name = profile.path.name
    if not profile.target:
        fix = "Name the column to be predicted with --target; `mmtrain inspect-data` shows what is in each."
        raise DataError(Problem(name, "no column looks like an answer.", fix))
    if not any(column.guess.purpose == "input" for column in profile.used):
        left = "; ".join(f"{column.header!r}: {column.guess.reason}" for column in profile.columns if column.header != profile.target)
        what = f"no column is left to predict {profile.target!r} from" + (f" ({left})." if left else ".")
        raise DataError(Problem(name, what, "Add a column of images, numbers, categories or text."))
