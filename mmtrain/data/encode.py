"""From cells to the arrays that are trained on, through the one implementation of preprocessing.

`fit` learns from training rows. `encode` runs the fitted columns' Keras layers over the table, once, in large pieces; the
same layers stand in front of the trained network in the saved model. Of a large table the arrays are memory maps of files in
the cache, which later commands find (see `encoded_column`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ConfigDict, Field, ValidationError

from mmtrain.artifacts.run_folder import RESTORE, Run
from mmtrain.columns import AnyFittedColumn, Column, FittedColumn, RowSource, Weight, column_of_role, inputs_among
from mmtrain.columns.numbers import parse_numbers
from mmtrain.config.experiment import Cache
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.cell_encoder import cell_encoder
from mmtrain.data.encoded_column import ArrayLayout, EncodedColumn, Provenance, StackedColumn, encoded_column
from mmtrain.data.images.store import ImageStore, Say
from mmtrain.data.tables.table import Table
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import Problem, RunError
from mmtrain.input_layout import InputLayout, Stack
from mmtrain.registry import Section
from mmtrain.system.threads import in_threads
from mmtrain.targets import AnyFittedTarget, FittedTarget, Target, targets_among
from mmtrain.targets.base import ClassWeights

if TYPE_CHECKING:
    import pandas as pd

ENCODE_CHUNK_ROWS = 8192
"""Rows encoded at once: large enough that a call's own cost does not count, small enough for texts to stay small."""

ENCODE_CHUNK_CELLS = 2**23
"""Cells of a stack encoded at once: 67 MB as float64, on the way to float32."""

GROUP_TARGETS = "targets.json"
"""File of a group with its targets, which have the classes of all members."""


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


def fit(columns: Mapping[str, Column], table: Table, rows: Array, class_weights: ClassWeights) -> Fitted:
    """Let every input and target among `columns` learn from the cells of `rows`, which are the training rows."""
    Fitted.model_rebuild(force=True)  # files of --code may have registered roles since the class was built
    inputs, targets = inputs_among(columns), targets_among(columns)
    streamed = {key: column.reads() for key, column in inputs.items() if column.streamed}
    learned = table.map_streamed(streamed, lambda key, pieces: inputs[key].fit(pieces), rows, size=ENCODE_CHUNK_ROWS)
    fitted: dict[str, FittedColumn] = {
        key: learned[key] if key in learned else column.fit(table.chunks(column.reads(), rows, size=ENCODE_CHUNK_ROWS))
        for key, column in inputs.items()
    }
    taught = {key: _fit_target(target, table, rows, class_weights) for key, target in targets.items()}
    headers = dict.fromkeys(header for column in (*inputs.values(), *targets.values()) for header in column.reads())
    typed = tuple(header for header in headers if table.typed(header))
    return Fitted(columns=fitted, targets=taught, weight_mean=_weight_mean(columns, table, rows), typed=typed)


def _fit_target(target: Target, table: Table, rows: Array, class_weights: ClassWeights) -> FittedTarget:
    """Let a target learn from the `rows` that have an answer."""
    cells = {header: table.cells(header, rows) for header in target.reads()}
    answered = target.answered(cells)
    if not answered.all():
        places = np.flatnonzero(answered)
        cells = {header: column.iloc[places].reset_index(drop=True) for header, column in cells.items()}
    fitted = target.fit(cells, class_weights).with_loss(target.loss).with_extra_metrics(target.extra_metrics)
    return fitted if answered.all() else fitted.model_copy(update={"answered_share": float(answered.mean())})


def _weight_mean(columns: Mapping[str, Column], table: Table, rows: Array) -> float:
    """Weights are divided by this, so that neither the loss nor the learning rate depends on their unit; 1 where there are none."""
    column = column_of_role(columns, Weight)
    # A mean of 0, where every weight is 0, would divide by zero.
    return 1.0 if column is None else float(parse_numbers(table.cells(column.column, rows)).mean()) or 1.0


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
        return fitted.columns[key].open(_CellReader(table, fitted, columns, key, cells, stores.get(key), cache))

    streamed = {key: columns[key].reads() for key in fitted.columns if columns[key].streamed}
    inputs: dict[str, RowSource] = dict(table.map_streamed(streamed, open_source, size=ENCODE_CHUNK_ROWS))
    for stack in _stacks(columns, fitted):
        together = _encode_stack(stack.columns, table, fitted, columns, cache)
        inputs |= {key: StackedColumn.of(together, stack.places[key], stack.positions[key]) for key in stack.columns}
    inputs = {key: inputs[key] if key in inputs else open_source(key) for key in fitted.columns}
    for key, source in inputs.items():
        notice = "" if getattr(source, "position", 0) else getattr(source, "notice", "")  # once for a stack
        if key not in stores and notice:  # of stores it was said when they were built
            more = source.stack.shown.shape[1] - 1 if isinstance(source, StackedColumn) and source.stack is not None else 0
            say(f"{columns[key].column}{f' and {more} more' if more else ''}: {notice}")
    every = np.arange(len(table))
    present = {key: source.shown if isinstance(source, EncodedColumn) else source.present(every) for key, source in inputs.items()}
    specs = {key: column.spec for key, column in fitted.columns.items()}
    return Arrays(inputs, present, *encode_targets(columns, fitted, table), specs)


def _stacks(columns: Mapping[str, Column], fitted: Fitted) -> tuple[Stack, ...]:
    """Return the columns that are encoded as one array: those in memory that open no source of their own, and are not of a user's role."""
    stackable = [
        key
        for key, column in fitted.columns.items()
        # A column class that opens a source of its own cannot share an array with others.
        if not columns[key].streamed and type(column).open is FittedColumn.open and _is_ours(column)
    ]
    return InputLayout({key: fitted.columns[key].spec for key in stackable}).stacks


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
            # float32, as everything that the compiled step reads.
            weights[key] = (target.row_weights(targets[key]) * base).astype(np.float32)
    return targets, weights


@dataclass
class _CellReader:
    """The cells of one column of a table; `cells` are its chunks, where they are read together with those of others."""

    table: Table
    fitted: Fitted
    declared: Mapping[str, Column]
    key: str
    cells: Iterable[pd.Series[str]] | None
    store: ImageStore | None
    cache: Cache

    def __len__(self) -> int:
        return len(self.table)

    def chunks(self) -> Iterator[pd.Series[str]]:
        """Yield cells, spelled as training rows were."""
        spell = _spelling(self.fitted, self.declared, self.table, self.key)
        chunks = self.cells or self.table.chunks(self.declared[self.key].reads(), size=ENCODE_CHUNK_ROWS)
        return map(spell, chunks)

    def encoded(self) -> EncodedColumn:
        """Encode in chunks, unless the cache has the column."""
        return _encode_rows(
            (self.key,), lambda: ({self.key: cells} for cells in self.chunks()), self.table, self.fitted, self.declared, self.cache
        )

    def images(self) -> ImageStore:
        """The store that was attached when the table was read."""
        if self.store is None:
            raise RuntimeError(f"{self.key!r} has no image store.")
        return self.store


def _spelling(fitted: Fitted, declared: Mapping[str, Column], table: Table, key: str) -> Callable[[pd.Series[str]], pd.Series[str]]:
    """Return the function that spells the cells of a column as training rows were, where that is due."""
    due = any(respelled(fitted, table, header) for header in declared[key].reads())
    return fitted.columns[key].spelled if due else lambda cells: cells


def _encode_stack(keys: Sequence[str], table: Table, fitted: Fitted, declared: Mapping[str, Column], cache: Cache) -> EncodedColumn:
    """Encode columns of one kind side by side, in chunks of rows, unless the cache has them."""
    # Wide stacks take fewer rows at once, so that a chunk has a bounded size.
    size = max(1, min(ENCODE_CHUNK_ROWS, ENCODE_CHUNK_CELLS // len(keys)))
    spell = {key: _spelling(fitted, declared, table, key) for key in keys}

    def rows() -> Iterator[dict[str, pd.Series[str]]]:
        chunks = {key: table.chunks(declared[key].reads(), size=size) for key in keys}
        # All columns advance chunk by chunk together: only one chunk of each is in memory.
        for _ in range(0, len(table), size):
            yield {key: spell[key](next(chunks[key])) for key in keys}

    return _encode_rows(tuple(keys), rows, table, fitted, declared, cache)


def _encode_rows(
    keys: tuple[str, ...],
    rows: Callable[[], Iterable[Mapping[str, pd.Series[str]]]],
    table: Table,
    fitted: Fitted,
    declared: Mapping[str, Column],
    cache: Cache,
) -> EncodedColumn:
    """Encode these columns as one array, unless the cache has them; `rows` are their cells, chunk by chunk."""
    columns = {key: fitted.columns[key] for key in keys}
    first = columns[keys[0]].spec
    width = sum(column.spec.shape[0] for column in columns.values())
    layout = ArrayLayout(len(table), first.shape if len(keys) == 1 else (width,), first.dtype, len(keys))

    def chunks() -> Generator[tuple[Array, Array]]:
        run = cell_encoder(columns, compiled=False)
        with closing(in_threads(run, rows())) as encoded:
            for _, inputs in encoded:
                # One input: its values, then its presence.
                values, present = inputs.values()
                yield values, present

    def provenance() -> Provenance:
        import tensorflow as tf

        values = {
            "table": table.sha256,
            **({"tables": dict(table.file.second_hashes)} if table.file.second_hashes else {}),
            "missing_values": table.missing_values,
            # Dropped rows are not in the arrays.
            "rows": sha256(table.rows.tobytes()).hexdigest(),
            "respelled": [any(respelled(fitted, table, header) for header in declared[key].reads()) for key in keys],
            "headers": [declared[key].reads() for key in keys],
            "columns": [sha256(column.model_dump_json().encode()).hexdigest() for column in columns.values()],
            "tensorflow": tf.__version__,
        }
        header = declared[keys[0]].reads()[0]
        return Provenance(values, table.path, header if len(keys) == 1 else f"{header} and {len(keys) - 1} more")

    # What a user's own role does may change without a trace in its values, so its codes are not kept.
    ours = all(_is_ours(column) for column in columns.values())
    return encoded_column(layout, provenance, chunks, cache if ours else None)


def _is_ours(column: FittedColumn) -> bool:
    return type(column).__module__.partition(".")[0] == __name__.partition(".")[0]


def of_run(run: Run, columns: Mapping[str, Column]) -> Fitted:
    """Return the fitted columns and targets of a run. Raises RunError when they are not those that config.yaml has in `columns`."""
    fitted = read_fitted(run.read_json("columns.json"))
    learned_roles, roles = ({key: column.role for key, column in some.items()} for some in (fitted.columns, inputs_among(columns)))
    learned_tasks, tasks = ({key: target.task for key, target in some.items()} for some in (fitted.targets, targets_among(columns)))
    if (learned_roles, learned_tasks) != (roles, tasks):
        raise RunError(Problem(str(run / "columns.json"), "the file has other columns or targets than config.yaml.", RESTORE))
    return fitted


def of_group(run: Run) -> Fitted:
    """Return the targets of a group of trainings, with the classes of all of them. Raises RunError for a damaged file."""
    return read_fitted(run.read_json(GROUP_TARGETS))


def read_fitted(values: Any) -> Fitted:
    """Return the content of columns.json or targets.json. Raises RunError when it is not what this version writes."""
    Fitted.model_rebuild(force=True)
    try:
        return Fitted.model_validate(values)
    except ValidationError as error:
        what = f"the file does not hold fitted columns: {error.errors()[0]['msg']}."
        raise RunError(Problem("columns.json", what, "Train again, or restore the folder.")) from None
