"""From cells to the arrays that are trained on, through the one implementation of preprocessing.

`fit` learns from training rows. `encode` runs the fitted columns' Keras layers over the table, once, in large pieces; the
same layers stand in front of the trained network in the saved model. Of a large table the arrays are memory maps of files in
the cache, which later commands find (see `encoded_column`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import ConfigDict, Field, ValidationError

from mmtrain.artifacts.run_folder import RESTORE, Run
from mmtrain.columns import AnyFittedColumn, FittedColumn, Weight
from mmtrain.columns.numeric import parse_numbers
from mmtrain.config import Experiment
from mmtrain.config.experiment import Cache
from mmtrain.data.encoded_column import ArrayLayout, EncodedColumn, Provenance, encoded_column
from mmtrain.data.images.store import ImageStore, Say
from mmtrain.data.mapped_file import MappedFile
from mmtrain.data.tables.table import Table
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import Problem, RunError
from mmtrain.registry import Section
from mmtrain.specs import layer_names
from mmtrain.system.threads import Share, in_threads, shares_of
from mmtrain.targets import AnyFittedTarget, FittedTarget

if TYPE_CHECKING:
    import pandas as pd

ENCODE_CHUNK_ROWS = 8192
"""Rows encoded at once: large enough that a call's own cost does not count, small enough for texts to stay small."""

TOGETHER = 8
"""Text columns that are read in one pass; each has a piece or two in memory."""

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")


class Fitted(Section):
    """What training rows taught the columns and the targets; this is columns.json."""

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

    inputs: dict[str, Array | ImageStore]
    present: dict[str, Array]
    targets: dict[str, Array]
    weights: dict[str, Array]
    """Weight of each row in the loss, per target: class weight times the `weight` column over its mean in training rows."""
    files: Mapping[str, tuple[MappedFile, ...]] = field(default_factory=dict)
    """Of the columns that are mapped into memory."""

    def __len__(self) -> int:
        return len(next(iter(self.present.values())))

    def of(self, columns: Collection[str]) -> Arrays:
        """The same with the inputs of these columns only; nothing is copied."""
        inputs = {key: values for key, values in self.inputs.items() if key in columns}
        return Arrays(inputs, {key: self.present[key] for key in inputs}, self.targets, self.weights, self.files)

    def take(self, rows: Array) -> dict[str, Array]:
        """One batch of inputs: `{column: x, column_present: 0 or 1}`, one gather each."""
        return self.values(rows) | {f"{key}_present": np.take(present, rows, axis=0) for key, present in self.present.items()}

    def values(self, rows: Array) -> dict[str, Array]:
        """One batch of inputs without their presence."""
        return {key: self.column(key, rows) for key in self.inputs}

    def column(self, key: str, rows: Array) -> Array:
        """What one input has in `rows`."""
        values = self.inputs[key]
        for file in self.files.get(key, ()):
            file.check()
        return values.take(rows) if isinstance(values, ImageStore) else np.take(values, rows, axis=0)

    def stores(self) -> dict[str, ImageStore]:
        """The inputs that are images."""
        return {key: values for key, values in self.inputs.items() if isinstance(values, ImageStore)}

    def expect(self, rows: Array) -> None:
        """Say that `rows` will be taken soon."""
        for store in self.stores().values():
            store.expect(rows)


def fit(experiment: Experiment, table: Table, rows: Array) -> Fitted:
    """Let every column and target learn from the cells of `rows`, which are the training rows."""
    Fitted.model_rebuild(force=True)
    cells = {key: {header: table.cells(header, rows) for header in target.reads()} for key, target in experiment.targets.items()}
    streamed = {key: column.column for key, column in experiment.inputs.items() if column.streamed}
    learned = _side_by_side(table, streamed, lambda key, pieces: experiment.inputs[key].fit(pieces), rows)
    columns: dict[str, FittedColumn] = {
        key: learned[key] if key in learned else column.fit(table.pieces(column.column, rows, size=ENCODE_CHUNK_ROWS))
        for key, column in experiment.inputs.items()
    }
    targets = {
        key: target.fit(cells[key], experiment.training.class_weights).with_loss(target.loss) for key, target in experiment.targets.items()
    }
    headers = {
        header: table.typed(header) for column in (*experiment.inputs.values(), *experiment.targets.values()) for header in column.reads()
    }
    typed = tuple(header for header, is_typed in headers.items() if is_typed)
    return Fitted(columns=columns, targets=targets, weight_mean=_weight_mean(experiment, table, rows), typed=typed)


def _side_by_side(
    table: Table, headers: Mapping[str, str], work: Callable[[str, Iterator[pd.Series[str]]], Result], rows: Array | None = None
) -> dict[str, Result]:
    """`work` of the cells of every streamed column, each in a thread; the file is read once for `TOGETHER` columns."""
    if len(headers) == 1:
        return {key: work(key, table.pieces(header, rows, size=ENCODE_CHUNK_ROWS)) for key, header in headers.items()}
    found: dict[str, Result] = {}
    for start in range(0, len(headers), TOGETHER):
        keys = list(headers)[start : start + TOGETHER]
        pieces = table.streamed_pieces(list(dict.fromkeys(headers[key] for key in keys)), rows, size=ENCODE_CHUNK_ROWS)
        shares = shares_of(pieces, len(keys))

        def one(key: str, share: Share[dict[str, pd.Series[str]]]) -> Result:
            with closing(share):
                return work(key, (piece[headers[key]] for piece in share))

        with ThreadPoolExecutor(len(keys)) as pool:
            try:
                found |= zip(keys, pool.map(one, keys, shares), strict=True)
            finally:  # should one have failed, or the user have interrupted, the others need not come to their end
                shares[0].stop()
    return found


def _weight_mean(experiment: Experiment, table: Table, rows: Array) -> float:
    """Weights are divided by this, so that neither the loss nor the learning rate depends on their unit; 1 where there are none."""
    column = experiment.only(Weight)
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


def encode(experiment: Experiment, fitted: Fitted, table: Table, stores: Mapping[str, ImageStore], *, say: Say = lambda _: None) -> Arrays:
    """Encode every row of the table once. Truths of a table without answers are left out.

    `say` is told of large columns that the cache has no room for.
    """
    inputs: dict[str, Array | ImageStore] = {}
    present: dict[str, Array] = {}
    files: dict[str, tuple[MappedFile, ...]] = {}
    cache = experiment.data.cache

    def encoded_cells(key: str, cells: Iterable[pd.Series[str]] | None = None) -> EncodedColumn:
        header = experiment.columns[key].column
        respell = respelled(fitted, table, header)
        return _encoded_cells(fitted.columns[key], key, table, header, cells, cache, respell=respell)

    streamed = {key: experiment.columns[key].column for key in fitted.columns if key not in stores and experiment.columns[key].streamed}
    texts = _side_by_side(table, streamed, encoded_cells)
    for key in fitted.columns:
        if key in stores:
            inputs[key], present[key] = stores[key], stores[key].present(np.arange(len(table)))
        else:
            header = experiment.columns[key].column
            encoded = texts[key] if key in texts else encoded_cells(key)
            inputs[key], present[key], files[key] = encoded.codes, encoded.present, encoded.files
            if encoded.notice:
                say(f"{header}: {encoded.notice}")
    targets, weights = encode_targets(experiment, fitted, table)
    return Arrays(inputs, present, targets, weights, files)


def respelled(fitted: Fitted, table: Table | TableFile, header: str) -> bool:
    """Whether cells of the column `header` take the spelling of training rows: nobody has written the texts of these, or of those.

    Where people have written both, `1` and `001` may be two names.
    """
    return table.typed(header) or header in fitted.typed


def as_trained(
    fitted: Fitted, column: FittedColumn | FittedTarget, table: Table | TableFile, header: str, cells: pd.Series[str]
) -> pd.Series[str]:
    """Cells of the column `header` of a table, spelled as training rows were where that is due."""
    return column.spelled(cells) if respelled(fitted, table, header) else cells


def encode_targets(experiment: Experiment, fitted: Fitted, table: Table) -> tuple[dict[str, Array], dict[str, Array]]:
    """Encoded answers and row weights of every target whose columns the table has."""
    column = experiment.only(Weight)
    base = parse_numbers(table.cells(column.column)) / fitted.weight_mean if column is not None and table.has(column.column) else 1.0
    targets: dict[str, Array] = {}
    weights: dict[str, Array] = {}
    for key, target in fitted.targets.items():
        headers = experiment.targets[key].reads()
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
        found = run({key: tf.constant(values) for key, values in raw.items()})
        return raw, {name: values.numpy() for name, values in found.items()}

    return encoded


def _encoded_cells(
    fitted: FittedColumn, key: str, table: Table, header: str, cells: Iterable[pd.Series[str]] | None, cache: Cache, *, respell: bool
) -> EncodedColumn:
    """One column but an image, encoded in pieces unless the cache has it; `cells` are its own, if they need not be asked for."""

    def pieces() -> Generator[tuple[Array, Array]]:
        run = compiled_encoder({key: fitted})
        spelled = fitted.spelled if respell else lambda cells: cells
        with closing(
            in_threads(lambda cells: run({key: spelled(cells)}), cells or table.pieces(header, size=ENCODE_CHUNK_ROWS))
        ) as encoded:
            for _, found in encoded:
                yield found[key], found[f"{key}_present"]

    def provenance() -> Provenance:
        import tensorflow as tf

        values = {
            "table": table.sha256,
            "missing_values": table.missing_values,
            "rows": sha256(table.rows.tobytes()).hexdigest(),
            "respelled": respell,
            "column": sha256(fitted.model_dump_json().encode()).hexdigest(),
            "tensorflow": tf.__version__,
        }
        return Provenance(values, table.path, header)

    layout = ArrayLayout(len(table), fitted.spec.shape, fitted.spec.dtype)
    # What a user's own role does may change without a trace in its values, so its codes are not kept.
    ours = type(fitted).__module__.partition(".")[0] == __name__.partition(".")[0]
    return encoded_column(layout, provenance, pieces, cache if ours else None)


def of_run(run: Run, experiment: Experiment) -> Fitted:
    """What the training rows of a run taught its columns and targets. Raises RunError when columns.json does not go with config.yaml."""
    fitted = read_fitted(run.read_json("columns.json"))
    columns = {key: column.role for key, column in fitted.columns.items()}
    tasks = {key: target.task for key, target in fitted.targets.items()}
    if (columns, tasks) != (
        {key: column.role for key, column in experiment.inputs.items()},
        {key: target.task for key, target in experiment.targets.items()},
    ):
        raise RunError(Problem(str(run / "columns.json"), "the file has other columns or targets than config.yaml.", RESTORE))
    return fitted


def read_fitted(values: Any) -> Fitted:
    """What columns.json holds. Raises RunError when it is not what this version writes."""
    Fitted.model_rebuild(force=True)
    try:
        return Fitted.model_validate(values)
    except ValidationError as error:
        what = f"the file does not hold fitted columns: {error.errors()[0]['msg']}."
        raise RunError(Problem("columns.json", what, "Train again, or restore the folder.")) from None
