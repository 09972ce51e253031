"""Predict rows of requests with a run or a group: the same statuses and, to the bit, the same numbers as `mmtrain predict`.

One compiled function goes from raw cells to the predictions of all members. A call of TensorFlow has a cost of its own, which for a
single row is nearly all of it: `predict` of a DataFrame takes 18 ms of processor time a row, this takes 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.artifacts.run_folder import Run
from mmtrain.columns import CellWarning, images_among, inputs_among
from mmtrain.data.arrays import Array
from mmtrain.data.drift import DriftMonitor
from mmtrain.data.encode import Fitted
from mmtrain.data.images.decode_cells import DecodedCells, join_images
from mmtrain.data.prediction_chunks import Chunk
from mmtrain.data.tables.file_formats.parquet_file import cell_texts, short_number_text
from mmtrain.data.tables.table import cells_of
from mmtrain.data.tables.table_file import as_series, mark_missing
from mmtrain.evaluation.prediction_table import prediction_columns
from mmtrain.input_layout import InputLayout, presence_of
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.groups.ensemble import Ensemble, first_alike, merge_remarks, open_predictor
from mmtrain.pipeline.prediction.predictor import Predictor
from mmtrain.pipeline.prediction.row_columns import Remarks, remarks_on_undefined
from mmtrain.serving.rows import PreparedRow, RowReader
from mmtrain.serving.served_rows import FEW_ROWS, GivenTruth, ServedRows
from mmtrain.text.spelling import BLANKS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NOT_A_CELL = "Send a text, a number, true, false or null."


class _Encoding:
    """Columns fitted alike by some members of a group, and what encodes them."""

    def __init__(self, loaded: Predictor) -> None:
        from mmtrain.data.cell_encoder import encoder

        self.fitted: Fitted = loaded.fitted
        self.inputs = inputs_among(loaded.experiment.columns)
        """Columns of these members; a member of late fusion reads those of its branch alone."""
        self.layout = InputLayout({key: column.spec for key, column in self.fitted.columns.items()})
        self.images = images_among(self.inputs)
        self.encoded = {key: column for key, column in self.fitted.columns.items() if key not in self.images}
        self.encoder = encoder(self.encoded, self.layout) if self.encoded else None

    def signature(self) -> list[Any]:
        """Return the type of the raw tensor of each part."""
        import tensorflow as tf

        given = {key: column.raw_inputs(key)[key] for key, column in self.encoded.items()}
        parts = self.encoder.parts if self.encoder is not None else ()
        return [tf.TensorSpec((None, sum(given[key].shape[0] for key in part.columns)), given[part.columns[0]].dtype) for part in parts]

    def raw(self, texts: Mapping[str, Any]) -> tuple[dict[str, Array], list[Array]]:
        """Return the raw arrays by column, and those of each part side by side."""
        raw = {key: column.raw(texts[key]) for key, column in self.encoded.items()}
        parts = self.encoder.parts if self.encoder is not None else ()
        return raw, [np.concatenate([raw[key] for key in part.columns], axis=1) for part in parts]


class RowPredictor:
    """A run, or a group of trainings, with its models in memory and compiled. Threads may call its methods at any time."""

    def __init__(self, run: Run, *, max_pixels: int | None = None) -> None:
        self.run = run
        self.loaded = open_predictor(run)
        self.experiment = self.loaded.experiment
        further = [header for target in self.loaded.fitted.targets.values() for header in target.row_headers]
        self.reader = RowReader(self.experiment.columns, max_pixels=max_pixels, further=further)
        self._inputs = inputs_among(self.experiment.columns)
        self._images = images_among(self._inputs)
        self.members = list(self.loaded.members) if isinstance(self.loaded, Ensemble) else [self.loaded]
        self._firsts = first_alike(self.members)
        self.networks: list[Any] = []
        """The networks of the members."""
        self.most_rows = 1
        """Most rows of one call, by the memory that the networks need."""
        self._turn = Lock()
        """Held during a call of the networks: those of requests and of explanations come from two threads."""
        self._start()

    def _start(self) -> None:
        start_tensorflow()
        from mmtrain.model import model_file

        for member in self.members:
            self.networks.append(model_file.of_run(member.run, member.experiment.branches, member.fitted)[1])
        self.most_rows = min(model_file.rows_at_once(network) for network in self.networks)
        self._encodings = {number: _Encoding(self.members[number]) for number in sorted(set(self._firsts))}
        self._call = self._compiled()

    def _compiled(self) -> Callable[..., tuple[Any, Any]]:
        """Return one function from raw tensors by encoding and images by input to encoded inputs by encoding, and outputs by member."""
        import tensorflow as tf

        first = next(iter(self._encodings.values()))
        images = {
            name: tf.TensorSpec((None, *first.layout.inputs[name].shape), first.layout.inputs[name].dtype)
            for key in self._images
            for name in (key, presence_of(key))
        }

        def call(raw: list[list[Any]], pixels: dict[str, Any]) -> tuple[Any, Any]:
            encoded = {}
            for (number, one), parts in zip(self._encodings.items(), raw, strict=True):
                others = {} if one.encoder is None else one.encoder.encode_parts([[part] for part in parts])[0]
                encoded[number] = others | {name: pixels[name] for key in one.images for name in (key, presence_of(key))}
            outputs = [network(encoded[first], training=False) for network, first in zip(self.networks, self._firsts, strict=True)]
            return list(encoded.values()), outputs

        signature = [one.signature() for one in self._encodings.values()]
        # Traced eagerly: otherwise TensorFlow warns about retracing when a process opens several models.
        compiled: Callable[..., tuple[Any, Any]] = tf.function(call, autograph=False).get_concrete_function(signature, images)
        return compiled

    def prepare(self, rows: Sequence[Mapping[str, Any]]) -> list[PreparedRow]:
        """Check rows and decode their images. Raises DataError for a row that lacks a column. Threads may call it at any time."""
        self.reader.check(rows)
        return [self.reader.prepare(row) for row in rows]

    def predict(self, rows: Sequence[PreparedRow]) -> ServedRows:
        """Predict one row or more, at most `most_rows`."""
        cells = self._cells(rows)
        decoded = {
            key: join_images([row.images[key] for row in rows], images, policy=self._inputs[key].policy)
            for key, images in self._images.items()
        }
        texts = {number: _texts(one, cells, rows) for number, one in self._encodings.items()}
        raw = {number: one.raw(texts[number]) for number, one in self._encodings.items()}
        inputs, outputs = self._run([parts for _, parts in raw.values()], decoded, len(rows))
        chunks = []
        for (number, one), batch in zip(self._encodings.items(), inputs, strict=True):
            by_column = one.layout.split(batch)
            remarks = _remarks(one, texts[number], raw[number][0], by_column, decoded)
            chunks.append(Chunk(0, cells, by_column, batch, raw[number][0], decoded, remarks))
        remarks = [*_faults(rows), *(chunks[0].remarks if len(chunks) == 1 else merge_remarks([one.remarks for one in chunks]))]
        chunk = replace(chunks[0], remarks=remarks)
        by_encoding = dict(zip(self._encodings, chunks, strict=True))
        return self._served(
            rows,
            chunk,
            self.loaded.mean(outputs) if isinstance(self.loaded, Ensemble) else outputs[0],
            [by_encoding[first].inputs for first in self._firsts],
        )

    def _cells(self, rows: Sequence[PreparedRow]) -> dict[str, pd.Series[str]]:
        """Return the cells of every header as a table has them: text without blanks at its ends, NA for missing."""
        headers = (*self.reader.headers, *(header for header in self.reader.optional if any(header in row.cells for row in rows)))
        return {header: as_series(self._texts_of([row.cells.get(header) for row in rows])) for header in headers}

    def _texts_of(self, values: Sequence[object]) -> pa.Array:
        """Return the cells of one header, large strings: without blanks at their ends, null for missing."""
        import pyarrow as pa

        words = self.experiment.data.missing_values
        texts = [_simple_text(value) for value in values] if len(values) <= FEW_ROWS else [None]
        if None in texts:
            return mark_missing(cell_texts([_scalar(value) for value in values]), words)
        return pa.array([None if text == "" or text in words else text for text in texts], pa.large_string())

    def _run(
        self, parts: list[list[Array]], decoded: Mapping[str, DecodedCells], rows: int
    ) -> tuple[list[dict[str, Array]], list[dict[str, Array]]]:
        """Return encoded inputs by encoding, and outputs by member."""
        import tensorflow as tf

        from mmtrain.model.memory_errors import prediction_oom_errors

        pixels = {}
        for key, one in decoded.items():
            pixels[key], pixels[presence_of(key)] = one.pixels, one.present

        def tensor(values: Array) -> Any:
            # A single row is computed as two: see `model_file.compile_predictor`.
            return tf.constant(np.repeat(values, 2, axis=0) if rows == 1 else values)

        with prediction_oom_errors(rows), self._turn:
            inputs, outputs = self._call(
                [[tensor(part) for part in of_encoding] for of_encoding in parts], {name: tensor(one) for name, one in pixels.items()}
            )
            return tuple([{name: one.numpy()[:rows] for name, one in each.items()} for each in both] for both in (inputs, outputs))  # type: ignore[return-value]

    def _served(
        self, rows: Sequence[PreparedRow], chunk: Chunk, predictions: dict[str, Array], inputs: list[dict[str, Array]]
    ) -> ServedRows:
        targets = self.loaded.fitted.targets
        columns: dict[str, Array] = {}
        for key in targets:
            columns |= prediction_columns(key, targets, self.loaded.decisions, predictions[key], probabilities=True)
        ids = np.full(len(chunk), "", dtype=object)
        if self.reader.id_header in chunk.cells:
            ids = chunk.cells[self.reader.id_header].fillna("").to_numpy(dtype=object)
        truths, remarks = self._truths(rows, chunk, predictions)
        chunk = replace(chunk, remarks=[*chunk.remarks, *remarks])
        return ServedRows(columns, chunk.status(), chunk.refused(), ids, chunk, predictions, inputs, targets, truths)

    def _truths(self, rows: Sequence[PreparedRow], chunk: Chunk, predictions: Mapping[str, Array]) -> tuple[dict[str, GivenTruth], Remarks]:
        """Return the encoded answers of targets whose `row_headers` some row has, and the remarks on rows that have no value by them."""
        truths, remarks = {}, []
        absent = as_series(self._texts_of([None] * len(rows)))
        for key, target in self.loaded.fitted.targets.items():
            given = np.array([bool(target.row_headers) and all(header in row.cells for header in target.row_headers) for row in rows])
            if given.any():
                headers = self.experiment.targets[key].reads()
                truth = target.truth({header: chunk.cells.get(header, absent) for header in headers})
                truth[chunk.refused()] = np.nan
                truths[key] = GivenTruth(truth, given)
                columns = target.row_columns(truth, predictions[key])
                remarks += remarks_on_undefined(target, chunk.cells, columns, given & ~chunk.refused())
        return truths, remarks

    def monitor(self) -> DriftMonitor:
        """Return a new monitor of the drift from the training rows, which `ServedRows.chunk` is added to."""
        headers = {key: column.column for key, column in self._inputs.items()}
        return DriftMonitor(self.loaded.fitted.columns, headers, self.loaded.statistics)


def _texts(one: _Encoding, cells: Mapping[str, pd.Series[str]], rows: Sequence[PreparedRow]) -> dict[str, Any]:
    """Return the cells that each column takes, in the spelling of training rows where nobody has written their texts."""
    texts = {}
    for key, column in one.inputs.items():
        if key in one.images:
            continue
        headers = column.reads()
        taken = cells_of(headers, cells)
        if any(header in one.fitted.typed for header in headers):
            taken = one.fitted.columns[key].spelled(taken)
        # Decided row by row: the rows of a batch come from several clients.
        elif typed := [row for row, given in enumerate(rows) if any(isinstance(given.cells[header], int | float) for header in headers)]:
            spelled = one.fitted.columns[key].spelled(taken.iloc[typed])
            taken = spelled if len(typed) == len(rows) else _replaced(taken, typed, spelled)
        texts[key] = taken
    return texts


def _remarks(
    one: _Encoding, texts: Mapping[str, Any], raw: Mapping[str, Array], inputs: Mapping[str, Array], decoded: Mapping[str, DecodedCells]
) -> list[tuple[str, CellWarning]]:
    """Return the remarks on all cells, each with the header of its column."""
    remarks = []
    for key, column in one.inputs.items():
        of_column = decoded[key].remarks if key in one.images else column.remarks(texts[key], raw[key], inputs[key])
        remarks += [(column.column, remark) for remark in of_column]
    return remarks


def _simple_text(value: object) -> str | None:
    """Return the text of a cell as `cell_texts` and `mark_missing` give it, empty for a missing one; None where only these can tell."""
    if isinstance(value, str):
        return value.strip(BLANKS) if value.isascii() else None
    if isinstance(value, float):
        return short_number_text(value)
    if type(value) is int:
        return str(value)
    return "" if value is None else None


def _scalar(value: object) -> object:
    """Return a list of labels as a cell has it; every other value as it is."""
    import json

    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _replaced(cells: Any, rows: Sequence[int], values: Any) -> Any:
    """Return cells with others at these positions; the Series of Arrow is not written to."""
    import pandas as pd

    order = np.arange(len(cells))
    order[list(rows)] = len(cells) + np.arange(len(rows))
    return pd.concat([cells, values], ignore_index=True).iloc[order].reset_index(drop=True)


def _faults(rows: Sequence[PreparedRow]) -> list[tuple[str, CellWarning]]:
    """Return the remarks on cells of types that no table has."""
    return [(header, CellWarning(np.array([row]), what, NOT_A_CELL)) for row, one in enumerate(rows) for header, what in one.faults]
