"""Findings about files whose kind goes with the label: pictures of one class that come from another camera or program.

Labels of the test part are not looked at, and one row stands for each group, as the test supposes rows that were drawn independently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.data.findings.cohort import Cohort
from mmtrain.data.findings.finding import Finding, Level
from mmtrain.data.findings.pictures.column import PictureFiles
from mmtrain.data.findings.pictures.files import FileFacts
from mmtrain.data.findings.significance import SURE, chi_square, holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmtrain.pixels import ImageHeader

NOTED, STRIKING = 0.3, 0.5
"""Differences between classes in the share of pictures of one kind."""

FEWEST = 10
"""Rows of a class whose shares are compared."""

MOST_KINDS = 8
"""Kinds that are told apart, the most common ones; the others count as one."""


def source_findings(column: PictureFiles, facts: FileFacts, cohort: Cohort) -> Iterator[Finding]:
    """Of one column: its formats, modes, depths and sizes."""
    rows, files = _rows(column, facts, cohort)
    if cohort.labels is None or not len(rows):
        return
    kinds = {name: np.array(values, dtype=object)[facts.of[files]] for name, values in _kinds(facts.headers).items()}
    tables = {name: _table(values, cohort.labels[rows], len(cohort.classes)) for name, values in kinds.items() if len(set(values)) > 1}
    chances = holm([chi_square(table) for _, table in tables.values()])
    for (name, (values, table)), chance in zip(tables.items(), chances, strict=True):
        classes = np.flatnonzero(table.sum(axis=0) >= FEWEST)
        if chance >= SURE or len(classes) < 2:
            continue
        shares = table[:, classes] / table[:, classes].sum(axis=0)
        value = int((shares.max(axis=1) - shares.min(axis=1)).argmax())
        high, low = int(shares[value].argmax()), int(shares[value].argmin())
        if (apart := shares[value, high] - shares[value, low]) >= NOTED:
            named = [f"{shares[value, one]:.0%} of '{cohort.classes[classes[one]]}'" for one in (high, low)]
            what = f"the {name} of a picture goes with its label: {named[0]} and {named[1]} have {values[value]}."
            why = "If classes come from different sources, the network may learn these instead; what sets them apart remains in the pixels."
            fix = "Find out why; gather pictures of all classes from the same sources, or look at the scores of each source by itself."
            level: Level = "warning" if apart >= STRIKING else "note"
            yield Finding(level, "file_kind_tells_label", column.header, what, why, fix, count=len(rows))


def _rows(column: PictureFiles, facts: FileFacts, cohort: Cohort) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the table's file that have a label and a picture, one for each group, and their files."""
    files = np.full(cohort.rows, -1, dtype=np.int64)
    files[column.of.numbers] = column.located.of_rows
    usable = cohort.for_answers
    usable = usable[files[usable] >= 0]
    usable = usable[facts.of[files[usable]] >= 0]
    usable = usable[cohort.labels[usable] >= 0] if cohort.labels is not None else usable
    rows = cohort.one_of_each(usable)
    return rows, files[rows]


def _kinds(headers: tuple[ImageHeader, ...]) -> Mapping[str, list[str]]:
    """What is compared, for each header."""
    return {
        "format": [header.format for header in headers],
        "mode": [f"mode {header.mode}" for header in headers],
        "depth": [f"{header.bits} bits" for header in headers],
        "size": [f"{header.height} x {header.width} pixels" for header in headers],
    }


def _table(values: NDArray[np.object_], labels: NDArray[np.int64], classes: int) -> tuple[list[str], NDArray[np.int64]]:
    """The kinds, and (kinds, classes) rows of each."""
    names, codes, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    common = np.argsort(-counts, kind="stable")[:MOST_KINDS]
    place = np.full(len(names), len(common), dtype=np.int64)
    place[common] = np.arange(len(common))
    table = np.bincount(place[codes] * classes + labels, minlength=(len(common) + 1) * classes).reshape(-1, classes)
    return [*names[common].tolist(), "another"], table
