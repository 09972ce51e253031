"""A table of any size as pieces that the network can predict: read, decoded and encoded one piece at a time.

Nothing is refused here but missing columns: what cannot be predicted is remarked upon, cell by cell, in its own row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from mmtrain.columns import CellWarning, Column, Group, Id, column_of_role, images_among, inputs_among
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.arrays import Array
from mmtrain.data.cell_encoder import cell_encoder
from mmtrain.data.encode import Fitted, respelled
from mmtrain.data.images.decode import image_bytes
from mmtrain.data.images.decode_cells import DecodedCells, decode_cells
from mmtrain.data.images.locate import ImageFinder
from mmtrain.data.tables.numerals import CLEAR, UNCLEAR
from mmtrain.data.tables.table import cells_of
from mmtrain.data.tables.table_file import Cells, TableFile
from mmtrain.data.tables.table_problems import header_problems
from mmtrain.errors import DataError
from mmtrain.input_layout import InputLayout, presence_of
from mmtrain.targets import targets_among

CHUNK_ROWS = 16_384
"""Most rows of a chunk: enough that the fixed cost of a call does not count. A CSV gives at most the rows of a block."""

CHUNK_IMAGE_BYTES = 48_000_000
"""Size of the decoded images of a chunk, so that large ones come in chunks of fewer rows. Four chunks are in memory at most."""


@dataclass(frozen=True)
class Source:
    """A table to be predicted, and the folder that its image cells are relative to."""

    file: TableFile
    images: ImageFolder
    named_by: str = ""
    """Header whose cells name the rows in the output, where these are images alone."""


class RawChunk(NamedTuple):
    """Rows `start`, `start + 1`, ... of a table as texts, by header: inputs, and id, group and answers where the table has them."""

    start: int
    texts: Cells


@dataclass(frozen=True)
class Chunk:
    """Rows of a `RawChunk`, encoded for the network."""

    start: int
    cells: dict[str, pd.Series[str]]
    inputs: dict[str, Array] = field(default_factory=dict)
    """`{column, column_present}`; of a stack these are views."""
    batch: dict[str, Array] = field(default_factory=dict)
    """The inputs of the network."""
    raw: dict[str, Array] = field(default_factory=dict)
    """The raw arrays by column, for all but images."""
    decoded: dict[str, DecodedCells] = field(default_factory=dict)
    """The cells of image columns."""
    remarks: list[tuple[str, CellWarning]] = field(default_factory=list)
    """Each with the header of its column."""

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def refused(self) -> Array:
        """Return the rows that cannot be predicted, a mask (rows,)."""
        mask = np.zeros(len(self), dtype=np.bool_)
        for _, remark in self.remarks:
            if remark.fix:
                mask[remark.rows] = True
        return mask

    def remarked(self) -> Array:
        """Return the rows with a remark, a mask (rows,)."""
        mask = np.zeros(len(self), dtype=np.bool_)
        for _, remark in self.remarks:
            mask[remark.rows] = True
        return mask

    def status(self) -> Array:
        """Return the text of each row, (rows,): `ok`, or every remark on the row, in the order of the columns."""
        texts = np.full(len(self), "", dtype=object)
        messages: set[tuple[str, int]] = set()  # two columns may read one header
        for header, remark in self.remarks:
            message = f"{header}: {remark.what}"
            for row in remark.rows.tolist():
                if (message, row) in messages:
                    continue
                messages.add((message, row))
                texts[row] = f"{texts[row]}; {message}" if texts[row] else message
        texts[texts == ""] = "ok"
        return texts


class MakeChunk(Protocol):
    """Function that `Chunks.maker` returns."""

    def __call__(self, cells: RawChunk, like: Chunk | None = None, /) -> Chunk:
        """Decode and encode cells; the decoded images are those of `like`, a chunk of the same cells, if there is one."""


class Chunks:
    """Makes pieces; the columns' encoders are compiled once, for all tables. May be called from several threads."""

    def __init__(self, columns: Mapping[str, Column], fitted: Fitted) -> None:
        self._declared = columns
        self._inputs = inputs_among(columns)
        self._images = images_among(self._inputs)
        encoded = {key: column for key, column in fitted.columns.items() if key not in self._images}
        self._fitted = fitted
        self._columns = fitted.columns
        self._layout = InputLayout({key: column.spec for key, column in fitted.columns.items()})
        self._encode = cell_encoder(encoded, self._layout, compiled=True) if encoded else None
        images = sum(image_bytes(cells.layout) * max(1, cells.most) for cells in self._images.values())
        # At least one row, however large its images are.
        self.rows = max(1, min(CHUNK_ROWS, CHUNK_IMAGE_BYTES // images)) if images else CHUNK_ROWS
        """The most rows of a chunk."""
        self.workers = 2 if images else 4
        """Chunks that are worth making at once. Images of one piece keep all cores busy while they are decoded."""

    def cells(self, source: Source) -> Iterator[RawChunk]:
        """The cells of a table that `check_source` has seen, in pieces. Raises DataError for a damaged file."""
        start = 0
        answers = [header for target in targets_among(self._declared).values() if target.holds_numbers for header in target.reads()]
        # An answer that could be two numbers has no score: it is left empty.
        for cells in source.file.pieces(check_source(source, self._declared), size=self.rows):
            for header in set(answers).intersection(cells.unclear):
                cells[header] = cells[header].mask(np.isin(np.arange(len(cells[header])), cells.unclear[header]))
            yield RawChunk(start, cells)
            start += len(next(iter(cells.values())))

    def maker(self, source: Source) -> MakeChunk:
        """Return the function that decodes and encodes cells of this table.

        Chunks of the same cells may share decoded images if their columns are declared alike.
        """
        finders = {key: ImageFinder(source.images, cells.suffix, folders=cells.folders) for key, cells in self._images.items()}
        respell = [
            key for key, column in self._inputs.items() if any(respelled(self._fitted, source.file, header) for header in column.reads())
        ]
        return lambda cells, like=None: self._piece(cells, finders, respell, like)

    def _piece(self, cells: RawChunk, finders: Mapping[str, ImageFinder], respell: Sequence[str], like: Chunk | None) -> Chunk:
        piece = Chunk(cells.start, cells.texts)
        texts = {key: cells_of(column.reads(), cells.texts) for key, column in self._inputs.items()}
        texts |= {key: self._columns[key].spelled(texts[key]) for key in respell}
        if self._encode is not None:
            raw, encoded = self._encode(texts)
            piece.raw.update(raw)
            piece.batch.update(encoded)
        for key, images in self._images.items():
            one = like.decoded[key] if like else decode_cells(texts[key], images, finders[key], policy=self._inputs[key].policy)
            piece.decoded[key], piece.batch[key], piece.batch[presence_of(key)] = one, one.pixels, one.present
        piece.inputs.update(self._layout.split(piece.batch))
        for key, column in self._inputs.items():
            remarks = piece.decoded[key].remarks if key in self._images else column.remarks(texts[key], piece.raw[key], piece.inputs[key])
            for header in column.reads() if column.holds_numbers else ():
                if (rows := cells.texts.unclear.get(header)) is not None:
                    remarks = [*remarks, CellWarning(rows, f"{cells.texts[header].iloc[rows[0]]!r} {UNCLEAR}", CLEAR)]
            piece.remarks.extend((column.column, remark) for remark in remarks)
        return piece


def check_source(source: Source, columns: Mapping[str, Column]) -> list[str]:
    """The headers to read: all that the network needs, and of id, group and answers those that the table has.

    Raises DataError with every column that is missing or cannot be read, and for an images folder that does not exist.
    """
    file = source.file
    inputs = inputs_among(columns)
    needed = [header for column in inputs.values() for header in column.reads()]
    rows = [column.column for column in (column_of_role(columns, Id), column_of_role(columns, Group)) if column is not None]
    further = [*rows, *(header for target in targets_among(columns).values() for header in target.reads())]
    headers = list(dict.fromkeys([*needed, *(header for header in further if header in file.headers)]))
    problems = header_problems(file, headers)
    if images_among(inputs):
        try:
            ImageFinder(source.images)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return headers
