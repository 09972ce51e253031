"""`mmtrain inspect-data`: what is in a table, with the roles of an experiment file or, without one, with guessed roles.

Nothing that is wrong stops an inspection: it is kept as a problem, and the other columns are described.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from mmtrain.audit import Finding
from mmtrain.audit.coded_table import CodedTable
from mmtrain.audit.profiling.profile import Profile, profile_columns
from mmtrain.audit.profiling.table_profile import MOST_PATHS, TableProfile, open_coded, profile_table
from mmtrain.audit.quality.missing_value_policies import MissingPlan
from mmtrain.columns import Image, images_among
from mmtrain.config import Experiment
from mmtrain.config.yaml_source import NotInFile, Origin
from mmtrain.data.images.decode import Progress
from mmtrain.data.images.header_profile import ImageProfile, profile_images
from mmtrain.data.splits.summary import PartSummary
from mmtrain.data.tables.formats import open_table
from mmtrain.data.tables.table import READ_CHUNK_ROWS, headers_of
from mmtrain.data.tables.table_file import TableFile
from mmtrain.data.tables.table_problems import header_problem
from mmtrain.errors import DataError, Problem, UsageError
from mmtrain.pipeline.audit import audit_experiment, audit_table
from mmtrain.pipeline.validate import ImageCounts, ValidationReport, load_experiment, validate_experiment
from mmtrain.targets import Target
from mmtrain.targets.yes_no import is_yes

MOST_CLASSES = 1000


@dataclass(frozen=True)
class InspectedColumn:
    """One column of the experiment; `image_counts` and `images` for images, `classes` for targets other than numbers."""

    key: str
    header: str
    role: str
    task: str
    """Empty for roles other than target."""
    profile: Profile | None
    """None where the table has no such column."""
    image_counts: ImageCounts | None = None
    images: ImageProfile | None = None
    """What the headers of the first `MOST_PATHS` different files say."""
    classes: dict[str, int] | None = None
    """Rows of each class or label, most rows first."""


@dataclass(frozen=True)
class Inspection:
    """Contents and findings of the table of an experiment."""

    table: Path
    rows: int
    """Of the file."""
    dropped: int
    """Rows that leave the table because of `missing: drop`."""
    headers: tuple[str, ...]
    unused: tuple[str, ...]
    """Headers that no column reads."""
    columns: tuple[InspectedColumn, ...]
    method: str
    """Of the split."""
    parts: tuple[PartSummary, ...]
    """Empty when the rows cannot be divided; a problem says why."""
    split_notes: tuple[str, ...]
    """What the split method says of them, such as where the cuts of a split by time are."""
    problems: tuple[Problem, ...]
    """Everything that `check` would refuse."""
    findings: tuple[Finding, ...]
    """What spoils a study, the worst first."""
    missing: tuple[MissingPlan, ...]
    """What each policy would do with the empty cells of a column."""

    @property
    def spoiled(self) -> bool:
        """Whether any finding is an error, so that scores would mean nothing."""
        return bool(self.problems) or any(finding.level == "error" for finding in self.findings)


@dataclass(frozen=True)
class InspectedTable:
    """Contents of a table without an experiment, and the findings that hold if the guessed roles are right."""

    survey: TableProfile
    findings: tuple[Finding, ...]

    @property
    def spoiled(self) -> bool:
        """Whether any finding is an error, so that scores would mean nothing."""
        return any(finding.level == "error" for finding in self.findings)


def inspect_table(path: Path, *, images: Path | None = None, checking: Progress | None = None) -> InspectedTable:
    """A table without an experiment, with its images in `images`, or else where they are found; `checking` is told of them.

    Raises DataError when it cannot be read, ConfigError when there is no folder `images`.
    """
    table = open_coded(path)
    found = profile_table(path, images=images, table=table)
    return InspectedTable(found, audit_table(found, table, progress=checking))


def inspect_experiment(
    path: Path | NotInFile, *, overrides: Iterable[str] = (), progress: Progress | None = None, checking: Progress | None = None
) -> Inspection:
    """The table of an experiment, role by role; `progress` is told of images that were decoded, `checking` of those checked.

    Raises:
        ConfigError: the experiment file is wrong.
        DataError: the table cannot be read at all, or has no rows.

    """
    origin = Origin(path, tuple(overrides))
    experiment = load_experiment(origin)
    file = open_table(experiment.data.table, experiment.data.missing_values, experiment.data.format)
    table = CodedTable(file)
    uses = [(key, header) for key, column in experiment.columns.items() for header in headers_of(key, column)]
    readable = [header for header in dict.fromkeys(header for _, header in uses) if header_problem(file, header) is None]
    tried = validate_experiment(experiment, origin, progress=progress)
    try:
        found = profile_columns(table, readable, most={header: MOST_CLASSES for key, header in uses if key in experiment.targets})
    except DataError as error:
        raise DataError(dict.fromkeys((*error.problems, *tried.problems))) from error
    rows = next((profile.rows for profile in found.values()), 0)
    if not rows:
        raise DataError(tried.problems)
    findings, missing = audit_experiment(experiment, table, readable, tried, rows, progress=checking)
    return Inspection(
        table=experiment.data.table,
        rows=rows,
        dropped=tried.dropped,
        headers=file.headers,
        unused=_unused(file, uses),
        columns=tuple(_inspected(experiment, file, key, header, found=found, tried=tried) for key, header in uses),
        method=experiment.split.method,
        parts=tried.summary,
        split_notes=() if tried.divided is None else tried.divided.notes,
        problems=tried.problems,
        findings=findings,
        missing=missing,
    )


def _unused(file: TableFile, uses: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    read = {header for _, header in uses}
    return tuple(header for header in file.headers if header not in read)


def _inspected(
    experiment: Experiment, file: TableFile, key: str, header: str, *, found: Mapping[str, Profile], tried: ValidationReport
) -> InspectedColumn:
    column = experiment.columns[key]
    profile = found.get(header)
    target = experiment.targets.get(key)
    task = target.task if target is not None else ""
    if profile is None:
        return InspectedColumn(key, header, column.role, task, None)
    said = pd.Series([word for word, _ in profile.missing_words], dtype="str")
    profile = profile.without({word: dict(profile.missing_words)[word] for word in said[column.missing_cells(said)]})
    image = images_among(experiment.columns).get(key)
    images = _images(experiment, file, header, image) if image is not None else None
    classes = _classes(target, file, header, profile) if target is not None else None
    return InspectedColumn(key, header, column.role, task, profile, tried.image_counts.get(key), images, classes)


def _images(experiment: Experiment, file: TableFile, header: str, column: Image) -> ImageProfile | None:
    """The headers of the images, or None when there is no such folder, which the trial has reported."""
    paths: dict[str, None] = {}
    for piece in file.pieces([header], size=READ_CHUNK_ROWS):
        paths |= dict.fromkeys(str(cell) for cell in piece[header].dropna().unique()[: MOST_PATHS - len(paths)])
    try:
        return profile_images(paths, experiment.data.images_folder, column.suffix)
    except DataError:
        return None


def _classes(target: Target, file: TableFile, header: str, profile: Profile) -> dict[str, int] | None:
    """Rows of each class, of each label, or of a label that has a column of its own; None for a number."""
    if target.is_continuous:
        return None
    if not target.has_labels:
        return dict(profile.frequent)
    if header in target.declared_labels:
        return {header: sum(rows for value, rows in profile.frequent if is_yes(value))}
    counts: Counter[str] = Counter()
    for piece in file.pieces([header], size=READ_CHUNK_ROWS):
        counts.update(target.tally({target.column: piece[header]}))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def inspection_json(found: Inspection | InspectedTable) -> dict[str, Any]:
    """Return the JSON document of an inspection: the fields of its class, those of a table's profile next to its findings."""
    document: dict[str, Any] = TypeAdapter(type(found)).dump_python(found, mode="json")
    return {**document.pop("survey", {}), **document}


def write_page(found: Inspection | InspectedTable, path: Path, *, every: bool = False) -> None:
    """Write the same facts as a self-contained page, with `every` finding or the worst of each kind.

    Raises UsageError when the file cannot be written.
    """
    from mmtrain.reports.inspection import Inspected, inspection_page

    if isinstance(found, InspectedTable):
        columns = tuple((one.header, one.guess.role if one.guess.used else "not used", one.profile) for one in found.survey.columns)
        subject = Inspected(found.survey.path.name, found.survey.rows, columns, found.findings)
    else:
        columns = tuple((one.header, " ".join([one.role, one.task]).strip(), one.profile) for one in found.columns)
        subject = Inspected(
            found.table.name, found.rows, columns, found.findings, found.problems, found.parts, found.missing, found.split_notes
        )
    try:
        path.write_text(inspection_page(subject, every=every), encoding="utf-8")
    except OSError as error:
        raise UsageError(Problem(str(path), f"the file cannot be written: {(error.strerror or str(error)).lower()}.")) from None
