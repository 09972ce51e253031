"""All checks of the images of a table: their files, their pixels, and duplicates.

Every file is read once for its header and its hash. Pixels come from the image store, where each image has been decoded already;
without a store they are decoded once more, and without an experiment not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.finding import Finding
from mmtrain.audit.images.comparable_images import ComparableImages, comparable_images
from mmtrain.audit.images.duplicate_images import duplicate_findings
from mmtrain.audit.images.exposure import exposure_findings
from mmtrain.audit.images.file_health import damage_findings, format_findings
from mmtrain.audit.images.file_metadata import FileFacts, file_facts
from mmtrain.audit.images.image_column import ImageColumn, ImageFiles, file_offsets, locate_column
from mmtrain.audit.images.image_usage import image_usage
from mmtrain.audit.images.shortcuts import MOST_KINDS, kind_shortcut_findings, measure_shortcut_findings
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import TargetView
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.decode import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray


def image_findings(
    columns: Sequence[ImageColumn],
    folder: ImageFolder,
    metadata: RowMetadata,
    targets: Sequence[TargetView] = (),
    *,
    progress: Progress | None = None,
) -> list[Finding]:
    """Return the findings on the image columns of one table; `folder` is that of the images.

    Files are checked in threads; `progress` is called for the files of every column, then for its pixels.

    Raises:
        DataError: there is no such folder.
        RunError: images have changed since their store was made.

    """
    if not columns:
        return []
    named = [locate_column(column, folder) for column in columns]
    facts = [file_facts(column.located.files, ends=column.layout is None, progress=progress) for column in named]
    comparable = list(comparable_images(named, progress))
    findings: list[Finding] = []
    for column, column_facts in zip(named, facts, strict=True):
        findings += damage_findings(column, column_facts)
    # Damage has been told: from here on only files that can be read.
    facts = [column_facts.whole(column.readable) for column, column_facts in zip(named, facts, strict=True)]
    for column, column_facts in zip(named, facts, strict=True):
        findings += [*format_findings(column, column_facts), *kind_shortcut_findings(column, column_facts, metadata, targets)]
    # The layouts are shared by columns: of each, only the images of this column.
    for column, column_facts, (start, end) in zip(named, facts, pairwise(file_offsets(named).tolist()), strict=True):
        findings += [finding for images in comparable for finding in _exposure(column, images, start, end)]
        findings += measure_shortcut_findings(
            column.header, _measures(column, column_facts, comparable, start, metadata.rows), metadata, targets
        )
    findings += duplicate_findings([column.header for column in columns], image_usage(named, facts, comparable), metadata)
    return list(dict.fromkeys(findings))  # two columns may read the same header


def _exposure(column: ImageFiles, images: ComparableImages, start: int, end: int) -> list[Finding]:
    """Check the exposure of the files of a column, which are `start` to `end` among those of all."""
    places = np.flatnonzero((images.files >= start) & (images.files < end))
    return (
        exposure_findings(column, images.files[places] - start, images.looks.select(places), images.pixels.layout.bits)
        if len(places)
        else []
    )


def _measures(
    column: ImageFiles, facts: FileFacts, seen: Sequence[ComparableImages], start: int, rows: int
) -> dict[str, NDArray[np.float64]]:
    """Return measures that may predict an answer, (rows,) each; sizes only where there are too many for kinds."""
    measures = {}
    sizes = np.array([*(header.height * header.width for header in facts.headers), np.nan])
    if len(np.unique(sizes[:-1])) > MOST_KINDS:
        measures["size"] = sizes[facts.of]
    for images in seen:
        of_column = np.flatnonzero((images.files >= start) & (images.files < start + len(facts.of)))
        if len(of_column):
            measures["brightness"] = np.full(len(facts.of), np.nan)
            measures["brightness"][images.files[of_column] - start] = images.looks.brightness[of_column]
    files = column.of_rows(rows)
    # The NaN at the end is read by rows without a file, -1.
    return {name: np.append(values, np.nan)[files] for name, values in measures.items()}
