"""Everything the network sees, under one row index."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from mmtrain.columns import RowSource
from mmtrain.data.encoded_column import EncodedColumn, joined_columns
from mmtrain.input_layout import InputLayout, Stack, presence_of
from mmtrain.specs import TensorSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Arrays:
    """Everything the network sees, under one row index: row i of every array is row i of the table."""

    inputs: Mapping[str, RowSource]
    present: dict[str, Array]
    """Presence of every column in all rows, (rows, 1)."""
    targets: dict[str, Array]
    weights: dict[str, Array]
    """Weight of each row in the loss, per target: class weight times the `weight` column over its mean in training rows."""
    specs: Mapping[str, TensorSpec] = field(default_factory=dict)
    """Spec of every column; one that is left out is an input of its own."""
    features: Mapping[str, tuple[RowSource, TensorSpec]] = field(default_factory=dict)
    """Features of encoders that only some stages of a training tune, with their spec, by column."""

    def __len__(self) -> int:
        return len(next(iter(self.present.values())))

    def of(self, columns: Collection[str]) -> Arrays:
        """Return the arrays with the inputs of these columns only; nothing is copied."""
        return self.ordered([key for key in self.inputs if key in columns])

    def ordered(self, columns: Iterable[str]) -> Arrays:
        """Return the arrays with the inputs of these columns, in this order; nothing is copied."""
        keys = list(columns)
        specs = {key: self.specs[key] for key in keys if key in self.specs}
        return replace(self, inputs={key: self.inputs[key] for key in keys}, present={key: self.present[key] for key in keys}, specs=specs)

    def with_source(self, key: str, source: RowSource, spec: TensorSpec) -> Arrays:
        """Return the same with another source of one column, such as features of its images; presence and the order of inputs stay."""
        return replace(self, inputs={**self.inputs, key: source}, specs={**self.specs, key: spec})

    def on_features(self, columns: Iterable[str]) -> Arrays:
        """Return the same with the `features` of these columns in their place."""
        arrays = self
        for key in columns:
            arrays = arrays.with_source(key, *self.features[key])
        return arrays

    @cached_property
    def layout(self) -> InputLayout:
        """The inputs of the network that these columns become."""
        return InputLayout({key: self.specs[key] for key in self.inputs if key in self.specs})

    def take(self, rows: Array) -> dict[str, Array]:
        """Return one batch of the network's inputs: `{input: x, input_present: 0 or 1}`, one gather each."""
        return self.values(rows) | {name: np.take(present, rows, axis=0) for name, present in self.presence.items()}

    def columns(self, rows: Array) -> dict[str, Array]:
        """Return one batch by column: `{column: x, column_present: 0 or 1}`."""
        by_column = {}
        for key, source in self.inputs.items():
            by_column[key], by_column[presence_of(key)] = source.take(rows), np.take(self.present[key], rows, axis=0)
        return by_column

    def values(self, rows: Array) -> dict[str, Array]:
        """Return one batch of the network's inputs without their presence."""
        alone = {key: source.take(rows) for key, source in self.inputs.items() if key not in self.layout.stack_of}
        return alone | {stack.name: self._stacked(stack, rows) for stack in self.layout.stacks}

    @cached_property
    def presence(self) -> dict[str, Array]:
        """Presence of every input of the network in all rows: (rows, 1), of a stack (rows, columns)."""
        alone = {presence_of(key): present for key, present in self.present.items() if key not in self.layout.stack_of}
        return alone | {presence_of(stack.name): self._stacked_presence(stack) for stack in self.layout.stacks}

    def _stacked(self, stack: Stack, rows: Array) -> Array:
        """Gather a stack: one gather for each run of columns that are neighbours in memory, which most often are all of them."""
        runs = list(joined_columns([self.inputs[column] for column in stack.columns]))
        # All columns are neighbours in memory: a single gather, without a copy into place.
        if len(runs) == 1:
            return runs[0].take(rows)
        out, end = np.empty((len(rows), stack.width), dtype=stack.dtype), 0
        for source in runs:
            values = source.take(rows)
            out[:, end : end + values.shape[1]] = values
            end += values.shape[1]
        return out

    def _stacked_presence(self, stack: Stack) -> Array:
        sources = [self.inputs[column] for column in stack.columns]
        pieces = [self.present[column] for column in stack.columns]
        first, *others = joined_columns(sources)
        if others or not isinstance(first, EncodedColumn):
            return np.concatenate(pieces, axis=1)
        # An analysis may have replaced the presence of a column; otherwise the stack already has all of them as one
        # array.
        untouched = all(getattr(source, "shown", None) is piece for source, piece in zip(sources, pieces, strict=True))
        return first.shown if untouched else np.concatenate(pieces, axis=1)

    def column(self, key: str, rows: Array) -> Array:
        """Return the entries of one input in `rows`."""
        return self.inputs[key].take(rows)

    def expect(self, rows: Array) -> None:
        """Prepare every source that is not in a stack for `rows`, a few batches ahead."""
        for key, source in self.inputs.items():
            if key not in self.layout.stack_of:
                source.expect(rows)
