"""Drift: the summaries that training rows leave in statistics.json, and how the rows of a later table differ from them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from mmtrain.artifacts.run_folder import RESTORE, Run
from mmtrain.columns import Column, FittedColumn, ImageCells, images_among
from mmtrain.columns.summaries import Statistics
from mmtrain.columns.summaries.base import Accumulator, SeenRows
from mmtrain.config.image_folder import SETTING, ImageFolder
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.encode import Fitted
from mmtrain.data.images.image_file import ImageFile
from mmtrain.data.images.locate import ImageFinder, right_folder
from mmtrain.data.prediction_chunks import Chunk
from mmtrain.data.tables.table import Table, cells_of
from mmtrain.errors import Problem, RunError

MOST_IMAGES = 1000
"""Training images whose brightness is measured; their mean is then right to a tenth of their standard deviation."""

STATISTICS_CHUNK_ROWS = 65_536
IMAGE_CHUNK_ROWS = 50


def accumulators(fitted: Mapping[str, FittedColumn]) -> dict[str, Accumulator]:
    """Return an empty accumulator for every column that has a summary."""
    made = {key: column.accumulator() for key, column in fitted.items()}
    return {key: accumulator for key, accumulator in made.items() if accumulator is not None}


def read_statistics(run: Run, fitted: Fitted) -> Statistics:
    """Return the statistics of a run, of these columns. Raises RunError when statistics.json is missing or of another version."""
    made = accumulators(fitted.columns)
    Statistics.model_rebuild(force=True)
    try:
        statistics = Statistics.model_validate(run.read_json("statistics.json"))
    except ValidationError as error:
        what = f"the file does not hold statistics: {error.errors()[0]['msg']}."
        raise RunError(Problem(str(run / "statistics.json"), what, RESTORE)) from None
    for key, accumulator in made.items():
        if key not in statistics.columns or statistics.columns[key].kind != accumulator.statistics().kind:
            what = f"the file does not hold the statistics of {key!r}."
            raise RunError(Problem(str(run / "statistics.json"), what, RESTORE))
    return statistics


def learn_statistics(
    columns: Mapping[str, Column], fitted: Fitted, table: Table, arrays: Arrays, rows: Array, folder: ImageFolder
) -> Statistics:
    """Return the statistics of `rows`, which are the training rows; the cells of image columns are relative to `folder`."""
    made, images = accumulators(fitted.columns), images_among(columns)
    for key, accumulator in made.items():
        source, headers = arrays.inputs[key], columns[key].reads()
        if accumulator.reads == "cells":
            for cells in table.chunks(headers, rows):
                accumulator.add(SeenRows(cells, fitted.columns[key].raw(cells)))
        elif accumulator.reads == "entries":
            for start in range(0, len(rows), STATISTICS_CHUNK_ROWS):
                some = rows[start : start + STATISTICS_CHUNK_ROWS]
                accumulator.add(SeenRows(entries=source.take(some), present=source.present(some)))
        else:
            present = source.present(rows)
            accumulator.add(SeenRows(present=present))
            # A fixed seed: statistics.json of the same rows is the same, whatever the seed of the training.
            sample = np.random.default_rng(0).permutation(rows[present[:, 0] > 0])[:MOST_IMAGES]
            finder = ImageFinder(folder, images[key].suffix, folders=images[key].folders)
            paths = _images(finder, images[key], cells_of(headers, {header: table.cells(header, sample) for header in headers}))
            for start in range(0, len(sample), IMAGE_CHUNK_ROWS):
                end = start + IMAGE_CHUNK_ROWS
                some = sample[start:end]
                # `counted`: the presence of all rows was added above.
                accumulator.add(SeenRows(None, None, source.take(some), source.present(some), paths[start:end], counted=True))
    Statistics.model_rebuild(force=True)
    return Statistics(columns={key: accumulator.statistics() for key, accumulator in made.items()})


def _images(finder: ImageFinder, images: ImageCells, cells: Any) -> list[Path | bytes]:
    """Return the files that these cells of an image column name."""
    names = itertools.chain.from_iterable(images.names(cells)) if images.most else cells.dropna()
    files = [finder.find(str(name).strip()) for name in names]
    return [file.source for file in files if isinstance(file, ImageFile)]


@dataclass(frozen=True)
class Drift:
    """Something that has changed since training: the column's header, which sort of change, and a sentence."""

    column: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.column}: {self.text}"


class DriftMonitor:
    """Counts what passes, in memory that does not grow with the rows. `headers` are those of the table, by column.

    `setting` is the option that names the images folder.
    """

    def __init__(
        self, fitted: Mapping[str, FittedColumn], headers: Mapping[str, str], learned: Statistics, *, setting: str = SETTING
    ) -> None:
        self._setting = setting
        self._headers = headers
        self._learned = learned.columns
        made = {key: column.accumulator(self._learned[key]) for key, column in fitted.items() if key in self._learned}
        self._accumulators: dict[str, Accumulator] = {key: one for key, one in made.items() if one is not None}

    def add(self, piece: Chunk) -> None:
        """Count the next rows."""
        for key, accumulator in self._accumulators.items():
            paths = [file.source for file in (piece.decoded[key].files if key in piece.decoded else ())]
            cells = piece.cells.get(self._headers[key])
            accumulator.add(SeenRows(cells, piece.raw.get(key), piece.inputs[key], piece.inputs[f"{key}_present"], paths))

    def drifts(self) -> list[Drift]:
        """Return everything that has changed, in the order of the columns; what two columns of one header see is returned once."""
        hint = right_folder(self._setting)
        drifts = [
            Drift(self._headers[key], kind, text)
            for key, accumulator in self._accumulators.items()
            for kind, text in accumulator.drift(self._learned[key], folder_hint=hint).items()
        ]
        return list(dict.fromkeys(drifts))
