"""A table of any size as pieces that the network can predict: read, decoded and encoded one piece at a time.

Nothing is refused here but missing columns: what cannot be predicted is remarked upon, cell by cell, in its own row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmtrain.columns import FittedColumn, Id, Image, Remark
from mmtrain.config import Experiment
from mmtrain.data.encode import Array, Fitted, compiled_encoder
from mmtrain.data.image_cells import decode_cells
from mmtrain.data.image_decode import picture_bytes
from mmtrain.data.image_files import ImageFolder
from mmtrain.data.table_file import TableFile
from mmtrain.data.table_problems import header_problem
from mmtrain.data.watch import Watch
from mmtrain.errors import DataError, Problem

ROWS = 8192
"""Rows of a piece: large enough that a call's own cost does not count."""

PICTURE_BYTES = 64_000_000
"""Of the decoded pictures of a piece, so that large ones come in pieces of fewer rows. Two pieces are in memory at a time."""


@dataclass(frozen=True)
class Source:
    """A table to be predicted, and the folder that its image cells are relative to."""

    file: TableFile
    images: Path
    allow_outside: bool = False


@dataclass(frozen=True)
class Piece:
    """Rows `start`, `start + 1`, ... of the file, encoded; `cells` by header, those of id and answers too where the table has them."""

    start: int
    inputs: dict[str, Array]
    remarks: list[tuple[str, Remark]]
    """Each with the header of its column."""
    cells: dict[str, pd.Series[str]]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def refused(self) -> Array:
        """(rows,) bool: which rows cannot be predicted."""
        mask = np.zeros(len(self), dtype=np.bool_)
        for _, remark in self.remarks:
            if remark.fix:
                mask[remark.rows] = True
        return mask

    def status(self) -> Array:
        """(rows,) of text: `ok`, or every remark on the row, in the order of the columns."""
        texts = np.full(len(self), "", dtype=object)
        for header, remark in self.remarks:
            told = f"{header}: {remark.what}"
            for row in remark.rows.tolist():
                texts[row] = f"{texts[row]}; {told}" if texts[row] else told
        texts[texts == ""] = "ok"
        return texts


class Pieces:
    """Makes pieces; the columns' encoders are compiled once, for all tables."""

    def __init__(self, experiment: Experiment, fitted: Fitted) -> None:
        self._experiment = experiment
        self._inputs = experiment.inputs
        self._columns: Mapping[str, FittedColumn] = fitted.columns
        self._encoders: dict[str, Callable[[pd.Series[str]], tuple[Array, Array, Array]]] = {
            key: compiled_encoder(key, column) for key, column in fitted.columns.items() if not isinstance(self._inputs[key], Image)
        }
        pictures = sum(picture_bytes(column.layout) for column in self._inputs.values() if isinstance(column, Image))
        self._pictured = pictures > 0
        self._rows = max(1, min(ROWS, PICTURE_BYTES // pictures)) if pictures else ROWS

    def read(self, source: Source, watch: Watch) -> Iterator[Piece]:
        """The pieces of a table, in order; `watch` sees them too.

        Raises:
            DataError: every column of the network that the table lacks, and an images folder that does not exist; or the file is
                damaged.

        """
        headers = check_source(source, self._experiment)
        folder = ImageFolder(source.images, allow_outside=source.allow_outside) if self._pictured else None
        start = 0
        for cells in source.file.pieces(headers, size=self._rows):
            piece = self._piece(start, cells, folder, watch)
            start += len(piece)
            yield piece

    def _piece(self, start: int, cells: dict[str, pd.Series[str]], folder: ImageFolder | None, watch: Watch) -> Piece:
        inputs: dict[str, Array] = {}
        remarks: list[tuple[str, Remark]] = []
        for key, column in self._inputs.items():
            own = cells[column.column]
            if isinstance(column, Image) and folder is not None:
                encoded, present, found, files = decode_cells(own, column, folder)
                watch.pictures(key, encoded, present, files)
            else:
                raw, encoded, present = self._encoders[key](own)
                found = column.remarks(own, raw, encoded)
                watch.cells(key, own, raw, encoded)
            inputs[key], inputs[f"{key}_present"] = encoded, present
            remarks += [(column.column, remark) for remark in found]
        return Piece(start, inputs, remarks, cells)


def check_source(source: Source, experiment: Experiment) -> list[str]:
    """The headers to read: all that the network needs, and of id and answers those that the table has.

    Raises DataError with every column that is missing or cannot be read, and for an images folder that does not exist.
    """
    file = source.file
    needed = [column.column for column in experiment.inputs.values()]
    identity = experiment.only(Id)
    further = [*([identity.column] if identity else []), *(header for target in experiment.targets.values() for header in target.reads())]
    headers = list(dict.fromkeys([*needed, *(header for header in further if header in file.headers)]))
    problems: list[Problem] = [problem for header in headers if (problem := header_problem(file, header))]
    if any(isinstance(column, Image) for column in experiment.inputs.values()):
        try:
            ImageFolder(source.images)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return headers
