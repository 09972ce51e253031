"""From cells to the arrays that are trained on, through the one implementation of preprocessing.

`fit` learns from training rows. `encode` runs the fitted columns' Keras layers over the table, once, in large pieces; the
same layers stand in front of the trained network in the saved model. Of a large table the arrays are memory maps of files in
the cache, which later commands find (see `encoded_column`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import ConfigDict, Field, ValidationError

from mmtrain.artifacts.run_folder import RESTORE, Run
from mmtrain.columns import AnyFittedColumn, Column, FittedColumn, RowSource, Weight, column_of_role, inputs_among
from mmtrain.columns.numeric import parse_numbers
from mmtrain.config.experiment import Cache
from mmtrain.data.encoded_column import ArrayLayout, EncodedColumn, Provenance, encoded_column
from mmtrain.data.images.store import ImageStore, Say
from mmtrain.data.tables.table import Table, cells_of
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import Problem, RunError
from mmtrain.registry import Section
from mmtrain.specs import layer_names
from mmtrain.system.threads import Share, in_threads, shares_of
from mmtrain.targets import AnyFittedTarget, FittedTarget, targets_among
from mmtrain.targets.base import ClassWeights

if TYPE_CHECKING:
    import pandas as pd

ENCODE_CHUNK_ROWS = 8192
"""Rows encoded at once: large enough that a call's own cost does not count, small enough for texts to stay small."""

TOGETHER = 8
"""Text columns that are read in one pass; each has a piece or two in memory."""

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")


class Fitted(Section):
    """Columns and targets as training rows taught them; this is columns.json."""

    model_config = ConfigDict(defer_build=True)

    columns: dict[str, AnyFittedColumn]
    targets: dict[str, AnyFittedTarget]
    weight_mean: float = Field(1.0, gt=0, description="Of the `weight` column in training rows.")
    typed: tuple[str, ...] = Field((), description="Headers whose training cells were numbers or truth values, not text.")

    def of(self, columns: Collection[str]) -> Fitted:
        """The same of these columns only."""
        return self.model_copy(update={"columns": {key: column for key, column in self.columns.items() if key in columns}})


@dataclass(frozen=True)
class Arrays:
    """Everything the network sees, under one row index: row i of every array is row i of the table."""

    inputs: Mapping[str, RowSource]
    present: dict[str, Array]
    """Presence of every input in all rows, (rows, 1)."""
    targets: dict[str, Array]
    weights: dict[str, Array]
    """Weight of each row in the loss, per target: class weight times the `weight` column over its mean in training rows."""

    def __len__(self) -> int:
        return len(next(iter(self.present.values())))

    def of(self, columns: Collection[str]) -> Arrays:
        """The same with the inputs of these columns only; nothing is copied."""
        inputs = {key: source for key, source in self.inputs.items() if key in columns}
        return Arrays(inputs, {key: self.present[key] for key in inputs}, self.targets, self.weights)

    def take(self, rows: Array) -> dict[str, Array]:
        """One batch of inputs: `{column: x, column_present: 0 or 1}`, one gather each."""
        return self.values(rows) | {f"{key}_present": np.take(present, rows, axis=0) for key, present in self.present.items()}

    def values(self, rows: Array) -> dict[str, Array]:
        """One batch of inputs without their presence."""
        return {key: source.take(rows) for key, source in self.inputs.items()}

    def column(self, key: str, rows: Array) -> Array:
        """Return the entries of one input in `rows`."""
        return self.inputs[key].take(rows)

    def expect(self, rows: Array) -> None:
        """Prepare every source for `rows`, a few batches ahead."""
        for source in self.inputs.values():
            source.expect(rows)


def fit(columns: Mapping[str, Column], table: Table, rows: Array, class_weights: ClassWeights) -> Fitted:
    """Let every input and target among `columns` learn from the cells of `rows`, which are the training rows."""
    Fitted.model_rebuild(force=True)  # files of --code may have registered roles since the class was built
    inputs, targets = inputs_among(columns), targets_among(columns)
    cells = {key: {header: table.cells(header, rows) for header in target.reads()} for key, target in targets.items()}
    streamed = {key: column.reads() for key, column in inputs.items() if column.streamed}
    learned = _side_by_side(table, streamed, lambda key, pieces: inputs[key].fit(pieces), rows)
    fitted: dict[str, FittedColumn] = {
        key: learned[key] if key in learned else column.fit(table.chunks(column.reads(), rows, size=ENCODE_CHUNK_ROWS))
        for key, column in inputs.items()
    }
    taught = {key: target.fit(cells[key], class_weights).with_loss(target.loss) for key, target in targets.items()}
    headers = dict.fromkeys(header for column in (*inputs.values(), *targets.values()) for header in column.reads())
    typed = tuple(header for header in headers if table.typed(header))
    return Fitted(columns=fitted, targets=taught, weight_mean=_weight_mean(columns, table, rows), typed=typed)


def _side_by_side(
    table: Table, headers: Mapping[str, tuple[str, ...]], work: Callable[[str, Iterator[pd.Series[str]]], Result], rows: Array | None = None
) -> dict[str, Result]:
    """`work` of the cells of every streamed column, each in a thread; the file is read once for `TOGETHER` columns."""
    if len(headers) == 1:  # a thread would only add its cost
        return {key: work(key, table.chunks(names, rows, size=ENCODE_CHUNK_ROWS)) for key, names in headers.items()}
    results: dict[str, Result] = {}
    for start in range(0, len(headers), TOGETHER):
        keys = list(headers)[start : start + TOGETHER]
        wanted = list(dict.fromkeys(header for key in keys for header in headers[key]))
        pieces = table.streamed_pieces(wanted, rows, size=ENCODE_CHUNK_ROWS)
        shares = shares_of(pieces, len(keys))

        def one(key: str, share: Share[dict[str, pd.Series[str]]]) -> Result:
            with closing(share):
                return work(key, (cells_of(headers[key], piece) for piece in share))

        with ThreadPoolExecutor(len(keys)) as pool:
            try:
                results |= zip(keys, pool.map(one, keys, shares), strict=True)
            finally:  # should one have failed, or the user have interrupted, the others need not come to their end
                shares[0].stop()
    return results


def _weight_mean(columns: Mapping[str, Column], table: Table, rows: Array) -> float:
    """Weights are divided by this, so that neither the loss nor the learning rate depends on their unit; 1 where there are none."""
    column = column_of_role(columns, Weight)
    return 1.0 if column is None else float(parse_numbers(table.cells(column.column, rows)).mean()) or 1.0


def encoder(columns: Mapping[str, FittedColumn]) -> Any:
    """A functional Keras model over these columns: raw tensors to `{column: x, column_present: 0 or 1}`."""
    import keras

    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    taken = [label for key, column in columns.items() for label in column.raw_inputs(key)]
    for key, name in unique_layer_names(columns, "encode_", taken).items():
        raw = {label: keras.Input(spec.shape, dtype=spec.dtype, name=label) for label, spec in columns[key].raw_inputs(key).items()}
        layer = columns[key].preprocessing()
        layer.name = name
        outputs[key], outputs[f"{key}_present"], *_ = layer(*raw.values())
        inputs.update(raw)
    return keras.Model(inputs, outputs, name=unique_layer_names(["encoder"], "", taken)["encoder"])


def unique_layer_names(keys: Iterable[str], prefix: str, taken: Collection[str]) -> dict[str, str]:
    """`layer_names`, but none that an input has: a column may well be called `target_age`, `fusion` or `maximum`."""
    names = layer_names(keys, prefix)
    return names if set(names.values()).isdisjoint(taken) else unique_layer_names(names, f"own_{prefix}", taken)


def encode(
    columns: Mapping[str, Column],
    fitted: Fitted,
    table: Table,
    stores: Mapping[str, ImageStore],
    *,
    cache: Cache,
    say: Say = lambda _: None,
) -> Arrays:
    """Open the source of every column, which encodes every row of the table once. Truths of a table without answers are left out.

    `columns` are those of the experiment, `stores` the decoded images of the table by key. `say` gets a notice of each large column that
    `cache` has no room for.
    """

    def open_source(key: str, cells: Iterable[pd.Series[str]] | None = None) -> RowSource:
        headers = columns[key].reads()
        reader = _CellReader(key, fitted.columns[key], headers, table, cells, stores.get(key), cache)
        reader.respell = any(respelled(fitted, table, header) for header in headers)
        return fitted.columns[key].open(reader)

    streamed = {key: columns[key].reads() for key in fitted.columns if columns[key].streamed}
    read_together = _side_by_side(table, streamed, open_source)
    inputs: dict[str, RowSource] = {}
    for key in fitted.columns:
        inputs[key] = read_together[key] if key in read_together else open_source(key)
        if key not in stores and (notice := getattr(inputs[key], "notice", "")):  # of stores it was said when they were built
            say(f"{columns[key].column}: {notice}")
    every = np.arange(len(table))
    present = {key: source.present(every) for key, source in inputs.items()}
    return Arrays(inputs, present, *encode_targets(columns, fitted, table))


def respelled(fitted: Fitted, table: Table | TableFile, header: str) -> bool:
    """Return whether cells of the column `header` take the spelling of training rows: nobody has written the texts of these, or of those.

    Where people have written both, `1` and `001` may be two names.
    """
    return table.typed(header) or header in fitted.typed


def as_trained(
    fitted: Fitted, column: FittedColumn | FittedTarget, table: Table | TableFile, header: str, cells: pd.Series[str]
) -> pd.Series[str]:
    """Cells of the column `header` of a table, spelled as training rows were where that is due."""
    return column.spelled(cells) if respelled(fitted, table, header) else cells


def encode_targets(columns: Mapping[str, Column], fitted: Fitted, table: Table) -> tuple[dict[str, Array], dict[str, Array]]:
    """Encoded answers and row weights of every target whose columns the table has."""
    column = column_of_role(columns, Weight)
    base = parse_numbers(table.cells(column.column)) / fitted.weight_mean if column is not None and table.has(column.column) else 1.0
    declared = targets_among(columns)
    targets: dict[str, Array] = {}
    weights: dict[str, Array] = {}
    for key, target in fitted.targets.items():
        headers = declared[key].reads()
        if all(table.has(header) for header in headers):
            targets[key] = target.truth({header: as_trained(fitted, target, table, header, table.cells(header)) for header in headers})
            weights[key] = (target.row_weights(targets[key]) * base).astype(np.float32)
    return targets, weights


Encode = Callable[[Mapping[str, "pd.Series[str]"]], tuple[dict[str, Array], dict[str, Array]]]
"""From the cells of each column to their raw arrays, and to `{column: codes, column_present: 0 or 1}`."""


def compiled_encoder(columns: Mapping[str, FittedColumn]) -> Encode:
    """Encodes any of these columns but images, all in one call: a call has a cost of its own, as high as that of 8,192 numbers."""
    import tensorflow as tf

    run = tf.function(encoder(columns), reduce_retracing=True, autograph=False)

    def encoded(cells: Mapping[str, pd.Series[str]]) -> tuple[dict[str, Array], dict[str, Array]]:
        raw = {key: column.raw(cells[key]) for key, column in columns.items()}
        outputs = run({key: tf.constant(values) for key, values in raw.items()})
        return raw, {name: values.numpy() for name, values in outputs.items()}

    return encoded


@dataclass
class _CellReader:
    """The cells of one column of a table; `cells` are its chunks, where they are read together with those of others."""

    key: str
    fitted: FittedColumn
    headers: tuple[str, ...]
    table: Table
    cells: Iterable[pd.Series[str]] | None
    store: ImageStore | None
    cache: Cache
    respell: bool = False

    def __len__(self) -> int:
        return len(self.table)

    def chunks(self) -> Iterator[pd.Series[str]]:
        """Yield cells, spelled as training rows were."""
        return map(self._spelled, self._as_read())

    def _as_read(self) -> Iterator[pd.Series[str]]:
        return iter(self.cells or self.table.chunks(self.headers, size=ENCODE_CHUNK_ROWS))

    def _spelled(self, cells: pd.Series[str]) -> pd.Series[str]:
        return self.fitted.spelled(cells) if self.respell else cells

    def encoded(self) -> EncodedColumn:
        """Encode in chunks, unless the cache has the column."""
        layout = ArrayLayout(len(self), self.fitted.spec.shape, self.fitted.spec.dtype)
        # What a user's own role does may change without a trace in its values, so its codes are not kept.
        ours = type(self.fitted).__module__.partition(".")[0] == __name__.partition(".")[0]
        return encoded_column(layout, self._provenance, self._encoded_chunks, self.cache if ours else None)

    def images(self) -> ImageStore:
        """The store that was attached when the table was read."""
        if self.store is None:
            raise RuntimeError(f"{self.key!r} has no image store.")
        return self.store

    def _encoded_chunks(self) -> Generator[tuple[Array, Array]]:
        run = compiled_encoder({self.key: self.fitted})
        with closing(in_threads(lambda cells: run({self.key: self._spelled(cells)}), self._as_read())) as encoded:
            for _, values in encoded:
                yield values[self.key], values[f"{self.key}_present"]

    def _provenance(self) -> Provenance:
        import tensorflow as tf

        values = {
            "table": self.table.sha256,
            "missing_values": self.table.missing_values,
            "rows": sha256(self.table.rows.tobytes()).hexdigest(),
            "respelled": self.respell,
            "column": sha256(self.fitted.model_dump_json().encode()).hexdigest(),
            "tensorflow": tf.__version__,
        }
        return Provenance(values, self.table.path, self.headers[0])


def of_run(run: Run, columns: Mapping[str, Column]) -> Fitted:
    """Return the fitted columns and targets of a run. Raises RunError when they are not those that config.yaml has in `columns`."""
    fitted = read_fitted(run.read_json("columns.json"))
    learned_roles, roles = ({key: column.role for key, column in some.items()} for some in (fitted.columns, inputs_among(columns)))
    learned_tasks, tasks = ({key: target.task for key, target in some.items()} for some in (fitted.targets, targets_among(columns)))
    if (learned_roles, learned_tasks) != (roles, tasks):
        raise RunError(Problem(str(run / "columns.json"), "the file has other columns or targets than config.yaml.", RESTORE))
    return fitted


def read_fitted(values: Any) -> Fitted:
    """Return the content of columns.json. Raises RunError when it is not what this version writes."""
    Fitted.model_rebuild(force=True)
    try:
        return Fitted.model_validate(values)
    except ValidationError as error:
        what = f"the file does not hold fitted columns: {error.errors()[0]['msg']}."
        raise RunError(Problem("columns.json", what, "Train again, or restore the folder.")) from None
