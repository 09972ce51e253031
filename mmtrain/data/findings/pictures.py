"""What is wrong with the pictures of a table: their files, how they look, and which are the same.

Every file is read once for its header and its hash. Pixels come from the image store, where each picture has been decoded already;
without a store they are decoded once more, and without an experiment not at all.

| module | does |
|---|---|
| `picture_column` | a column, its files and its pixels |
| `picture_files` | header and hash of every file |
| `picture_kinds` | findings about files: gone, damaged, of several kinds |
| `picture_sources` | findings about kinds of files that go with the label |
| `picture_looks` | brightness, contrast and perceptual hash of every picture |
| `picture_levels` | findings about pictures of one colour, and far too dark or bright ones |
| `picture_twins` | which pictures look the same |
| `picture_gallery` | the pictures that can be compared by their pixels |
| `picture_uses` | which cells name the same picture |
| `picture_repeats` | findings about their rows: in two parts, with different labels |
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from mmtrain.data.findings.cohort import Cohort
from mmtrain.data.findings.finding import Finding
from mmtrain.data.findings.picture_column import PictureColumn, PictureFiles, looked_up, starts_of
from mmtrain.data.findings.picture_files import file_facts
from mmtrain.data.findings.picture_gallery import Gallery, galleries
from mmtrain.data.findings.picture_kinds import damage_findings, kind_findings
from mmtrain.data.findings.picture_levels import level_findings
from mmtrain.data.findings.picture_repeats import repeat_findings
from mmtrain.data.findings.picture_sources import source_findings
from mmtrain.data.findings.picture_uses import uses
from mmtrain.data.image_decode import Progress


def picture_findings(
    columns: Sequence[PictureColumn], folder: Path, cohort: Cohort, *, allow_outside: bool = False, progress: Progress | None = None
) -> list[Finding]:
    """Everything about the image columns of one table; `folder` is that of the pictures.

    Files are checked in threads, and `progress` is told: once through the files of every column, once through its pixels.

    Raises:
        DataError: there is no such folder.
        RunError: pictures have changed since their store was made.

    """
    if not columns:
        return []
    named = [looked_up(column, folder, allow_outside=allow_outside) for column in columns]
    facts = [file_facts(column.located.files, ends=column.layout is None, progress=progress) for column in named]
    seen = list(galleries(named, progress))
    found: list[Finding] = []
    for column, own in zip(named, facts, strict=True):
        found += damage_findings(column, own)
    facts = [own.whole(column.readable) for column, own in zip(named, facts, strict=True)]
    for column, own in zip(named, facts, strict=True):
        found += [*kind_findings(column, own), *source_findings(column, own, cohort)]
    for column, (start, end) in zip(named, pairwise(starts_of(named).tolist()), strict=True):
        found += [finding for gallery in seen for finding in _levels(column, gallery, start, end)]
    found += repeat_findings([column.header for column in columns], uses(named, facts, seen), cohort)
    return list(dict.fromkeys(found))  # two columns may read the same header


def _levels(column: PictureFiles, gallery: Gallery, start: int, end: int) -> list[Finding]:
    """Of the files of a column, which are `start` to `end` among those of all."""
    own = np.flatnonzero((gallery.files >= start) & (gallery.files < end))
    return level_findings(column, gallery.files[own] - start, gallery.looks.select(own), gallery.pixels.layout.bits) if len(own) else []
