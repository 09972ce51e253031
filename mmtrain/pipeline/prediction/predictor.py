"""A trained run, opened to predict: the core of `mmtrain.load(run).predict(frame)` and of `mmtrain predict`; see also `ensemble`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from mmtrain.artifacts.run_folder import Run
from mmtrain.columns import Id
from mmtrain.config import Experiment
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.arrays import Array
from mmtrain.data.drift import DriftMonitor, read_statistics
from mmtrain.data.prediction_chunks import Chunk, Chunks, MakeChunk, RawChunk, Source, check_source
from mmtrain.data.tables.file_formats.formats import join_tables
from mmtrain.data.tables.file_formats.frame_table import FrameTable
from mmtrain.data.tables.table_problems import too_few_rows
from mmtrain.errors import DataError, Problem, UsageError, listed
from mmtrain.evaluation.prediction_table import prediction_columns
from mmtrain.image_decoding.data_uri import holds_pixels, is_data_uri
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.prediction.row_columns import RankedColumns, with_row_columns
from mmtrain.pipeline.restore import restore_training
from mmtrain.system.threads import in_threads

OnError = Literal["status", "skip", "fail"]

MAX_SHOWN_CELLS = 20
"""Maximum number of refused cells of one column that are reported one by one; the rest are counted."""

IMAGE = "image"
"""Column of predictions with the name of each image, where images alone are predicted."""


@dataclass(frozen=True)
class PredictedChunk:
    """A piece of a table and its predictions, per target and row, also of rows that are refused."""

    piece: Chunk
    predictions: dict[str, Array]
    columns: dict[str, dict[str, Array]] = field(default_factory=dict)
    """By target and name, columns that follow from cells which no branch reads; see `row_columns`."""


@dataclass(frozen=True)
class Ready:
    """The parts that need TensorFlow."""

    pieces: Chunks
    predict: Callable[[Mapping[str, Array]], dict[str, Array]]
    rows_at_once: int


class Predictor:
    """One run with its model in memory and compiled. May be used many times, from one thread at a time."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.experiment: Experiment
        self.experiment, self.fitted, self.decisions = restore_training(run)
        self.statistics = read_statistics(run, self.fitted)

    def __repr__(self) -> str:
        return f"<mmtrain run {self.run.folder}>"

    def start(self) -> None:
        """Start TensorFlow and read the model now, and not when the first table has been checked."""
        _ = self._ready

    @cached_property
    def _ready(self) -> Ready:
        start_tensorflow()
        from mmtrain.model import model_file

        _, model = model_file.of_run(self.run, self.experiment.branches, self.fitted)
        return Ready(Chunks(self.experiment.columns, self.fitted), model_file.compile_predictor(model), model_file.rows_at_once(model))

    def predict(
        self,
        frame: pd.DataFrame,
        *,
        proba: bool = False,
        on_error: OnError = "status",
        images: str | Path | None = None,
        allow_outside: bool | None = None,
    ) -> pd.DataFrame:
        """Predict every row of a table in memory; row i in is row i out, under the index of `frame`.

        Cells of image columns are paths, relative to `images` (left out: the folder of the training). They may leave it, or be
        absolute, with `allow_outside` (left out: as the experiment says). Images themselves may be in their place: bytes of files, arrays
        of pixels, images of Pillow and data URIs; where all are, no folder is needed.

        The columns are those of `mmtrain predict`: `row`, `id` if the frame has the id column, the prediction, with `proba` a
        probability per class or label, from 0 to 1, and `status`: `ok`, or the remarks on the row. A row that cannot be predicted has
        no prediction (`on_error="status"`), is left out (`"skip"`), or raises an error (`"fail"`). `attrs["drift"]` of the result
        lists, in sentences, how the rows differ from those of training.

        The experiment's section `evaluation` adds columns: with `calibration` and `proba`, `calibrated_<class>` next to the network's
        own `probability_<class>`; with `conformal`, `prediction_set`, the classes joined by ` | `, or `prediction_low` and
        `prediction_high`. With a `threshold`, the positive class is predicted from that probability on.

        Raises:
            UsageError: there is no such `on_error`.
            DataError: `frame` is not a DataFrame, columns are missing, it has no row, or a row cannot be predicted and `on_error` is
                `"fail"`.

        """
        if not isinstance(frame, pd.DataFrame):
            fix = "Give a pandas DataFrame with a column per header; one row of it is `frame.iloc[[0]]`."
            raise DataError(Problem("predict", f"a table is expected; found a {type(frame).__name__}.", fix))
        if on_error not in get_args(OnError):
            raise UsageError(Problem("on_error", f"expected {listed(get_args(OnError), 'or')}; found {on_error!r}."))
        data = self.experiment.data
        folder = data.images_folder.path if images is None else Path(images)
        if images is None and not folder.is_dir() and self._holds_images(frame):
            folder = Path.cwd()  # no cell is a path, so that the folder of the training need not be here
        outside = data.allow_outside if allow_outside is None else allow_outside
        source = Source(join_tables(FrameTable(frame, data.missing_values), data.tables), ImageFolder(folder, outside, "images"))
        check_source(source, self.experiment.columns)
        watch, ranked = self.watch(source), RankedColumns(self, source.file)
        parts = []
        for piece in self.predicted_pieces(source, watch):
            ranked.add(piece)
            parts.append(self.frame(piece, source, proba=proba, on_error=on_error))
        result = ranked.complete(pd.concat(parts, ignore_index=True))
        # Rows that were skipped are not in the result, so the index follows the positions.
        result.index = frame.index[result["row"]]
        result.attrs["drift"] = [str(drift) for drift in watch.drifts()]
        return result

    def _holds_images(self, frame: pd.DataFrame) -> bool:
        """Return whether the cells of all image columns are images themselves, or empty."""
        headers = [header for column in self.experiment.inputs.values() if column.image_cells is not None for header in column.reads()]
        # Headers that the frame lacks may come from a second table, whose cells are paths.
        cells = (cell for header in headers for cell in frame[header]) if set(headers) <= set(frame) else ("",)
        # A list of images may have names of files among them.
        members = (one for cell in cells for one in (cell if isinstance(cell, list | tuple) else (cell,)))
        return all(one is None or holds_pixels(one) or (isinstance(one, str) and is_data_uri(one)) for one in members)

    def watch(self, source: Source) -> DriftMonitor:
        """Return a monitor of one table's drift from the training rows."""
        headers = {key: column.column for key, column in self.experiment.inputs.items()}
        return DriftMonitor(self.fitted.columns, headers, self.statistics, setting=source.images.setting)

    def predicted_pieces(self, source: Source, watch: DriftMonitor) -> Iterator[PredictedChunk]:
        """Predict a table of any size piece by piece, in order; several pieces are decoded, encoded and predicted at a time.

        `source` was checked by `check_source`. Raises DataError for a damaged file, or a table without rows.
        """
        count = 0
        pieces = self._ready.pieces
        # The network is not a stage of its own: it leaves a core idle here and there, which another piece then uses.
        # `closing`: a caller that stops early must not leave threads decoding.
        with closing(in_threads(self.chunk_predictor(source), pieces.cells(source), most=pieces.workers)) as coming:
            for one in coming:
                count += len(one.piece)
                watch.add(one.piece)
                yield with_row_columns(self, source.file, one)
        if not count:
            raise DataError(too_few_rows(source.file.path.name, 0, 0, "", least=1))

    def chunk_predictor(self, source: Source) -> Callable[[RawChunk], PredictedChunk]:
        """Return the function that decodes, encodes and predicts cells of a table."""
        make = self.chunk_maker(source)

        def predict_chunk(cells: RawChunk) -> PredictedChunk:
            piece = make(cells)
            return PredictedChunk(piece, self.predict_encoded(piece))

        return predict_chunk

    def chunk_maker(self, source: Source) -> MakeChunk:
        """Return the function that decodes and encodes cells of a table, see `Chunks.maker`."""
        return self._ready.pieces.maker(source)

    def predict_encoded(self, piece: Chunk) -> dict[str, Array]:
        """Return the predictions of an encoded chunk, per target."""
        return _predicted(piece, self._ready)

    def frame(self, predicted: PredictedChunk, source: Source, *, proba: bool, on_error: OnError) -> pd.DataFrame:
        """Return the predictions of one chunk as a table; raises DataError for refused cells where `on_error` is `fail`."""
        piece, targets = predicted.piece, self.fitted.targets
        refused = piece.refused()
        if on_error == "fail" and refused.any():
            raise DataError(refusals(piece, source))
        columns: dict[str, object] = {"row": np.arange(piece.start, piece.start + len(piece))}
        identity = self.experiment.only(Id)
        if identity is not None and identity.column in piece.cells:
            columns["id"] = piece.cells[identity.column].fillna("")
        if source.named_by:
            columns[IMAGE] = piece.cells[source.named_by]
        for key in targets:
            made = prediction_columns(key, targets, self.decisions, predicted.predictions[key], probabilities=proba)
            for name, values in (made | predicted.columns.get(key, {})).items():
                columns[name] = _blanked(values, refused)
        columns["status"] = pd.array(piece.status(), dtype="str")
        frame = pd.DataFrame(columns)
        # Cut after the columns are made, so that all of them lose the same rows.
        return frame[~refused] if on_error == "skip" else frame


def _predicted(piece: Chunk, ready: Ready) -> dict[str, Array]:
    from mmtrain.model.model_file import concatenate_predictions

    size = ready.rows_at_once
    batches = ({name: values[first : first + size] for name, values in piece.batch.items()} for first in range(0, len(piece), size))
    return concatenate_predictions(map(ready.predict, batches))


def _blanked(values: Array, refused: Array) -> object:
    """Return a column with empty cells in refused rows; names become texts, numbers keep their type."""
    if np.issubdtype(values.dtype, np.floating):
        # The type stays: a float64 NaN would turn float32 columns into float64.
        return np.where(refused, np.asarray(np.nan, dtype=values.dtype), values)
    names = values.astype(object)
    names[refused] = None
    return pd.array(names, dtype="str")


def refusals(piece: Chunk, source: Source) -> list[Problem]:
    """Return every refused cell of a piece with its place: the first ones of each column one by one, in the order of the rows."""
    by_header: dict[str, list[tuple[int, str, str]]] = {}
    for header, remark in piece.remarks:
        if remark.fix:
            by_header.setdefault(header, []).extend((int(row), f"{remark.what}.", remark.fix) for row in remark.rows)
    problems = []
    for header, cells in by_header.items():
        distinct = sorted(set(cells))  # two columns may read one header
        shown = distinct[:MAX_SHOWN_CELLS]
        problems += [Problem(f"{source.file.where(piece.start + row)}: {header}", what, fix) for row, what, fix in shown]
        if more := len(distinct) - len(shown):
            noun = "cell" if more == 1 else "cells"
            problems.append(Problem(f"{source.file.path.name}: {header}", f"{more} more {noun} near these cannot be used."))
    return problems
