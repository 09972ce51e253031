"""Findings of `inspect-data`: every family of checks is called here."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmtrain.artifacts.inspection_results import MissingPlan, TableProfile
from mmtrain.audit import Finding
from mmtrain.audit.checks import table_findings
from mmtrain.audit.coded_table import CodedTable
from mmtrain.audit.column_usage import ColumnUsage, column_usages, unused_columns
from mmtrain.audit.column_values import TableValues
from mmtrain.audit.finding import by_level
from mmtrain.audit.images.checks import image_findings
from mmtrain.audit.images.image_column import ImageColumn, guessed_column
from mmtrain.audit.images.text_agreement import agreement_findings
from mmtrain.audit.label_index import index_labels
from mmtrain.audit.quality.missing_value_policies import plan_missing_values
from mmtrain.audit.read_values import read_table_values
from mmtrain.audit.row_metadata import LEFT_OUT, RowMetadata, part_codes
from mmtrain.audit.target_view import target_views
from mmtrain.branches import Pretrained
from mmtrain.columns import role_class
from mmtrain.columns.split_words import PARTS, split_words
from mmtrain.config import Experiment
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.decode import Progress
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.pipeline.checks.validate import ValidationReport
from mmtrain.splits import split_methods

AuditResult = tuple[tuple[Finding, ...], tuple[MissingPlan, ...]]
"""Findings, the worst first, and what would become of missing cells."""


def audit_experiment(
    experiment: Experiment,
    table: CodedTable,
    readable: Iterable[str],
    tried: ValidationReport,
    rows: int,
    *,
    progress: Progress | None = None,
) -> AuditResult:
    """Return all findings about an experiment's table.

    `readable` are the headers of columns that can be read, `rows` is the number of rows of the file. `progress` is called with the
    number of images checked so far.
    """
    needs = split_methods[experiment.split.method].needs
    given = needs == "given"
    able = set(readable)
    uses = [use for use in column_usages(experiment.columns) if use.header in able]
    uses += unused_columns(table.file, {use.header for use in uses})
    sheet = read_table_values(table, uses, rows)
    cohort = _cohort(sheet, _parts(sheet, tried, given=given), given=given, by_time=needs == "times")
    views = target_views(sheet, cohort)
    images = image_findings(tried.images, experiment.data.images_folder, cohort, views, progress=progress)
    images += agreement_findings(tried.images, _encoders(experiment, tried.images), sheet)
    return by_level([*table_findings(sheet, cohort), *images], table.file), plan_missing_values(sheet, cohort)


def _encoders(experiment: Experiment, images: Iterable[ImageColumn]) -> list[Pretrained | None]:
    """Return the pretrained encoder of a branch that reads each image column; None for one without."""
    branches = experiment.branches.values()
    described = [(experiment.columns[branch.columns[0]], branch.pretrained()) for branch in branches]
    return [next((one for column, one in described if one is not None and column is image.column), None) for image in images]


def audit_table(survey: TableProfile, table: CodedTable, *, progress: Progress | None = None) -> tuple[Finding, ...]:
    """Return all findings about a table whose roles were guessed."""
    uses = [
        ColumnUsage(
            one.header,
            one.guess.role,
            task=str(options.get("task", "")),
            separator=str(options.get("separator", "")),
            missing_words=one.guess.answer_words if one.guess.purpose == "answer" else (),
        )
        for one in survey.used
        for options in [one.guess.options]
    ]
    sheet = read_table_values(table, uses, survey.rows)
    parts = _marked(sheet)
    cohort = _cohort(sheet, parts, given=parts is not None)
    headers = [use.header for use in uses if use.content == "images"]
    images: list[Finding] = []
    if headers and survey.images is not None:
        pieces = list(table.file.pieces(headers, size=READ_CHUNK_ROWS))
        cells = {header: pd.concat([piece[header] for piece in pieces], ignore_index=True) for header in headers}
        suffixes = {one.header: str(one.guess.options.get("suffix", "")) for one in survey.used}
        lists = {use.header for use in uses if role_class(use.role).lists}
        columns = [
            guessed_column(header, cells[header], np.arange(sheet.rows), suffixes[header], lists=header in lists) for header in headers
        ]
        images = image_findings(columns, ImageFolder(survey.images), cohort, target_views(sheet, cohort), progress=progress)
    return by_level([*table_findings(sheet, cohort), *images], table.file)


def _parts(sheet: TableValues, tried: ValidationReport, *, given: bool) -> NDArray[np.int8] | None:
    """Return the part of each row of the file: that of the split or, if the split is refused, that of the table's split column."""
    if tried.table is not None and tried.divided is not None:
        codes = np.full(sheet.rows, LEFT_OUT, dtype=np.int8)
        # `tried.table` may have dropped rows; parts are given by the row of the file. Of several folds, the first one.
        codes[tried.table.rows] = part_codes(tried.divided.trainings[0], len(tried.table))
        return codes
    return _marked(sheet) if given else None


def _marked(sheet: TableValues) -> NDArray[np.int8] | None:
    """Return the parts that the split column of the table gives its rows; None without such a column."""
    marks = sheet.of_purpose("assigning")
    if not marks:
        return None
    codes, names = marks[0].codes(np.arange(sheet.rows))
    parts = split_words(names).parts
    # The last entry is for code -1, an empty cell.
    known = np.array([*(PARTS.index(parts[name]) if name in parts else LEFT_OUT for name in names), LEFT_OUT], dtype=np.int8)
    return known[codes]


def _cohort(sheet: TableValues, parts: NDArray[np.int8] | None, *, given: bool, by_time: bool = False) -> RowMetadata:
    """Return parts, groups and labels of the rows."""
    groups = sheet.of_purpose("grouping")
    codes = groups[0].codes(np.arange(sheet.rows))[0] if groups else None
    return RowMetadata(sheet.rows, parts, given, by_time, codes, tuple(index_labels(sheet)))
