"""`mmtrain inspect-data`: the contents of a table, with the roles of an experiment file or, without one, with guessed roles.

A fault of one column does not stop an inspection: it becomes a problem, and the other columns are described.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mmtrain.artifacts.inspection_figures import ClassThumbnails, ColumnHistogram
from mmtrain.artifacts.inspection_results import (
    ImageProfile,
    InspectedColumn,
    InspectedTable,
    Inspection,
    TableProfile,
)
from mmtrain.audit.coded_table import CodedTable
from mmtrain.audit.profiling.image_guesses import MOST_PATHS
from mmtrain.audit.profiling.profile import profile_columns
from mmtrain.audit.profiling.table_profile import open_coded, profile_table
from mmtrain.columns import ImageCells
from mmtrain.columns.cells import concatenate
from mmtrain.columns.profile import Profile
from mmtrain.config import Experiment
from mmtrain.config.yaml_source import NotInFile, Origin
from mmtrain.data.images.decode import Progress
from mmtrain.data.images.header_profile import profile_images
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.table import READ_CHUNK_ROWS, headers_of
from mmtrain.data.tables.table_file import TableFile
from mmtrain.data.tables.table_problems import header_problem
from mmtrain.errors import DataError, Problem, UsageError
from mmtrain.pipeline.audit import audit_experiment, audit_table
from mmtrain.pipeline.checks.validate import ValidationReport, load_experiment, validate_experiment
from mmtrain.pipeline.table_figures import class_thumbnails, column_histograms
from mmtrain.targets import Target, as_target
from mmtrain.targets.labels.yes_no import is_yes

MOST_CLASSES = 1000


def inspect_table(path: Path, *, images: Path | None = None, checking: Progress | None = None, figures: bool = False) -> InspectedTable:
    """Inspect a table without an experiment; `images` is the folder of its images, searched for if None.

    `checking` reports the images that were checked; `figures` asks for the histograms of a page.

    Raises:
        ConfigError: there is no folder `images`.
        DataError: the table cannot be read.

    """
    table = open_coded(path)
    profile = profile_table(path, images=images, table=table)
    findings = audit_table(profile, table, progress=checking)
    return InspectedTable(**dict(profile), findings=findings, histograms=_guessed_histograms(profile, table.file) if figures else ())


def _guessed_histograms(profile: TableProfile, file: TableFile) -> tuple[ColumnHistogram, ...]:
    """Return the histograms of the columns of a table by the classes of its guessed target."""
    contents = {one.header: one.guess.content for one in profile.used if one.guess.purpose == "input"}
    numbers, names = ([header for header, content in contents.items() if content == kind] for kind in ("numbers", "names"))
    return column_histograms(file, numbers, names, profile.target, by_class=bool(profile.classes))


def inspect_experiment(
    path: Path | NotInFile,
    *,
    overrides: Iterable[str] = (),
    progress: Progress | None = None,
    checking: Progress | None = None,
    figures: bool = False,
) -> Inspection:
    """Inspect the table of an experiment, role by role; `progress` reports the images that were decoded, `checking` those checked.

    `figures` asks for the histograms and thumbnails of a page.

    Raises:
        ConfigError: the experiment file is wrong.
        DataError: the table cannot be read at all, or has no rows.

    """
    origin = Origin(path, tuple(overrides))
    experiment = load_experiment(origin)
    data = experiment.data
    file = open_table(data.table, data.missing_values, data.format, tables=data.tables)
    table = CodedTable(file)
    uses = [(key, header) for key, column in experiment.columns.items() for header in headers_of(key, column)]
    readable = [header for header in dict.fromkeys(header for _, header in uses) if header_problem(file, header) is None]
    report = validate_experiment(experiment, origin, progress=progress)
    try:
        # Targets need all of their classes; other columns show the most frequent values.
        answers = experiment.targets
        profiles = profile_columns(table, readable, most={header: MOST_CLASSES for key, header in uses if key in answers})
    except DataError as error:
        raise DataError(dict.fromkeys((*error.problems, *report.problems))) from error
    rows = next((profile.rows for profile in profiles.values()), 0)
    if not rows:
        raise DataError(report.problems)
    findings, missing = audit_experiment(experiment, table, readable, report, rows, progress=checking)
    histograms, thumbnails = _figures(experiment, file, set(readable), report) if figures else ((), ())
    return Inspection(
        table=experiment.data.table,
        rows=rows,
        dropped=report.dropped,
        headers=tuple(file.headers),
        unused=_unused(file, uses),
        columns=tuple(_inspect_column(experiment, file, key, header, profiles.get(header), report) for key, header in uses),
        method=experiment.split.method,
        parts=report.summary,
        split_notes=() if report.divided is None else tuple(report.divided.notes),
        problems=tuple(report.problems),
        findings=findings,
        missing=missing,
        histograms=histograms,
        thumbnails=thumbnails,
    )


def _figures(
    experiment: Experiment, file: TableFile, readable: set[str], report: ValidationReport
) -> tuple[tuple[ColumnHistogram, ...], tuple[ClassThumbnails, ...]]:
    """Return the histograms of all columns that can be read, and thumbnails where the images can, by the classes of the first target."""
    target = next(iter(experiment.targets.values()))
    by_class = not target.is_continuous and not target.has_labels and target.column in readable
    inputs = [column for column in experiment.inputs.values() if set(column.reads()) <= readable and len(column.reads()) == 1]
    numbers, names = ([column.reads()[0] for column in inputs if column.content == kind] for kind in ("numbers", "names"))
    histograms = column_histograms(file, numbers, names, target.column, by_class=by_class)
    data = report.data
    if data is None:
        return histograms, ()
    answers = concatenate(data.table.pieces(target.column)) if by_class and target.column is not None else None
    thumbnails = [one for key, store in data.stores.items() for one in class_thumbnails(key, store, answers)]
    return histograms, tuple(thumbnails)


def _unused(file: TableFile, uses: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    read = {header for _, header in uses}
    return tuple(header for header in file.headers if header not in read)


def _inspect_column(
    experiment: Experiment, file: TableFile, key: str, header: str, profile: Profile | None, report: ValidationReport
) -> InspectedColumn:
    column = experiment.columns[key]
    target = as_target(column)
    task = target.task if target is not None else ""
    if profile is None:
        return InspectedColumn(key=key, header=header, role=column.role, task=task, profile=None)
    # Only those words for missing that this role takes for missing.
    words = pd.Series([word for word, _ in profile.missing_words], dtype="str")
    profile = profile.without({word: dict(profile.missing_words)[word] for word in words[column.missing_cells(words)]})
    images = column.image_cells
    return InspectedColumn(
        key=key,
        header=header,
        role=column.role,
        task=task,
        profile=profile,
        image_counts=report.image_counts.get(key),
        images=_images(experiment, file, header, images) if images is not None else None,
        classes=_classes(target, file, header, profile) if target is not None else None,
    )


def _images(experiment: Experiment, file: TableFile, header: str, images: ImageCells) -> ImageProfile | None:
    """Profile the images by their headers; None when there is no such folder, which is reported as a problem."""
    paths: dict[str, None] = {}
    for piece in file.pieces([header], size=READ_CHUNK_ROWS):
        cells = pd.Series(piece[header].dropna().unique()[: MOST_PATHS - len(paths)], dtype="str")
        names = [name for row in images.names(cells) for name in row] if images.most else cells.tolist()
        paths |= dict.fromkeys(names[: MOST_PATHS - len(paths)])
    try:
        return profile_images(paths, experiment.data.images_folder, images.suffix, recordings=images.layout.spectrogram is not None)
    except DataError:
        return None


def _classes(target: Target, file: TableFile, header: str, profile: Profile) -> dict[str, int] | None:
    """Count the rows of each class, of each label, or of the one label of a column; None for a number."""
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


def write_page(inspection: Inspection | InspectedTable, path: Path, *, every: bool = False) -> None:
    """Write the same facts as a self-contained page, with `every` finding or the worst of each kind.

    Raises UsageError when the file cannot be written.
    """
    from mmtrain.reports.pages.inspection import Inspected, inspection_page

    if isinstance(inspection, InspectedTable):
        columns = tuple((one.header, one.guess.role if one.guess.used else "not used", one.profile) for one in inspection.columns)
        subject = Inspected(inspection.path.name, inspection.rows, columns, inspection.findings, histograms=inspection.histograms)
    else:
        columns = tuple((one.header, " ".join([one.role, one.task]).strip(), one.profile) for one in inspection.columns)
        subject = Inspected(
            inspection.table.name,
            inspection.rows,
            columns,
            inspection.findings,
            inspection.problems,
            inspection.parts,
            inspection.missing,
            inspection.split_notes,
            inspection.histograms,
            inspection.thumbnails,
        )
    try:
        path.write_text(inspection_page(subject, every=every), encoding="utf-8")
    except OSError as error:
        raise UsageError(Problem(str(path), f"the file cannot be written: {(error.strerror or str(error)).lower()}.")) from None
