"""Layers on stacks: many columns of one kind as one tensor, see `mmtrain.input_layout`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer


class _Places(ConfiguredLayer):
    """Base of layers that leave numbers as they are in mixed precision."""

    def __init__(self, settings: dict[str, Any] | None = None, /, **kwargs: Any) -> None:
        super().__init__(settings, autocast=False, **kwargs)


@keras.saving.register_keras_serializable(package="mmtrain")
class TakePlaces(_Places):
    """The values at `places` of the second axis: (batch, width) to (batch, len(places))."""

    def __init__(self, *, places: Sequence[int], **kwargs: Any) -> None:
        super().__init__({"places": list(places)}, **kwargs)

    def call(self, stack: Any) -> Any:
        return take_places(stack, self.settings["places"])

    def compute_output_spec(self, stack: Any) -> Any:
        return keras.KerasTensor((stack.shape[0], len(self.settings["places"])), stack.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class SideBySide(_Places):
    """Columns of one kind as a stack: a list of (batch, width) to (batch, sum of widths).

    Keras's Concatenate forgets `autocast=False` when it is loaded, and would then round numbers in mixed precision.
    """

    def call(self, columns: Sequence[Any]) -> Any:
        return ops.concatenate(list(columns), axis=1)

    def compute_output_spec(self, columns: Sequence[Any]) -> Any:
        return keras.KerasTensor((columns[0].shape[0], sum(column.shape[1] for column in columns)), columns[0].dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class AnyPresent(_Places):
    """1 where a row has any of its columns, else 0: (batch, columns) presence to (batch, 1)."""

    def call(self, present: Any) -> Any:
        return ops.max(present, axis=1, keepdims=True)

    def compute_output_spec(self, present: Any) -> Any:
        return keras.KerasTensor((present.shape[0], 1), present.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class MaskStack(_Places):
    """Replace the values of absent columns of a stack by zeros: (batch, sum of `widths`) to the same.

    `present` is (batch, len(masked)), 0 where the column at that position of `masked` is absent; all other columns stay. With `flags`
    a masked column is followed by 1 where it is absent, else 0.
    """

    def __init__(self, *, widths: Sequence[int], masked: Sequence[int], flags: bool, **kwargs: Any) -> None:
        super().__init__({"widths": list(widths), "masked": list(masked), "flags": flags}, **kwargs)
        position = {column: number for number, column in enumerate(masked)}
        # Which presence each value follows; the place behind the last one is always 1.
        self._owner = [position.get(column, len(masked)) for column, width in enumerate(widths) for _ in range(width)]
        ends = np.cumsum(widths)
        self.order = list(range(int(ends[-1])))
        """Places of the output among all values, followed by the flags in the order of `masked`."""
        # From the last column on, so that earlier places do not shift.
        for column in reversed(sorted(masked)) if flags else ():
            self.order.insert(int(ends[column]), int(ends[-1]) + position[column])

    def call(self, stack: Any, present: Any) -> Any:
        shown = ops.cast(present > 0, "float32")  # LiteRT cannot compare small integers
        # The last column, always 1, is that of values that cannot be absent.
        always = ops.ones_like(shown[:, :1])
        masked = ops.where(take_places(ops.concatenate([shown, always], axis=1), self._owner) > 0, stack, ops.cast(0, stack.dtype))
        if not self.settings["flags"]:
            return masked
        return take_places(ops.concatenate([masked, 1 - ops.cast(shown, stack.dtype)], axis=1), self.order)

    def compute_output_spec(self, stack: Any, present: Any) -> Any:
        width = stack.shape[1] + (present.shape[1] if self.settings["flags"] else 0)
        return keras.KerasTensor((stack.shape[0], width), stack.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class CodeVectors(ConfiguredLayer):
    """A vector per code of a stack, side by side: (batch, columns) int32 to (batch, sum of `widths`).

    Column i has `sizes[i]` codes. Its vectors are learned, `widths[i]` wide, or one-hot where `one_hot[i]`, `sizes[i]` wide. Columns
    of one width share a table, in which the codes of each begin behind those of the column before.
    """

    def __init__(self, *, sizes: Sequence[int], widths: Sequence[int], one_hot: Sequence[bool], **kwargs: Any) -> None:
        super().__init__({"sizes": list(sizes), "widths": list(widths), "one_hot": [bool(one) for one in one_hot]}, **kwargs)
        self.columns, self.widths = tuple(range(len(sizes))), tuple(widths)
        self.sizes, self.one_hot = tuple(sizes), tuple(bool(one) for one in one_hot)
        groups: dict[tuple[bool, int], list[int]] = {}
        for column, key in enumerate(zip(self.one_hot, widths, strict=True)):
            groups.setdefault(key, []).append(column)
        self._groups = groups
        starts = np.concatenate([[0], np.cumsum(widths)])
        # Where the vectors of each group belong in the output; sorting inverts that order.
        places = np.concatenate([np.arange(starts[column], starts[column + 1]) for group in groups.values() for column in group])
        self._order = np.argsort(places).tolist()

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        self.tables = [
            self.add_weight(name=f"vectors_{width}", shape=(self._rows(group), width), initializer="uniform")
            for (one_hot, width), group in self._groups.items()
            if not one_hot
        ]
        self.built = True

    def _rows(self, group: Sequence[int]) -> int:
        return sum(self.sizes[column] for column in group)

    def call(self, codes: Any) -> Any:
        pieces, tables = [], iter(self.tables)
        for (one_hot, width), group in self._groups.items():
            of_group = take_places(codes, group)
            if one_hot:
                vectors = ops.one_hot(of_group, width, dtype=self.compute_dtype)
            else:
                # Codes of a column begin behind those of the columns before it in the shared table.
                starts = np.cumsum([0, *(self.sizes[column] for column in group[:-1])]).astype(np.int32)
                vectors = ops.take(ops.cast(next(tables), self.compute_dtype), of_group + starts, axis=0)
            pieces.append(ops.reshape(vectors, (-1, len(group) * width)))
        return pieces[0] if len(pieces) == 1 else take_places(ops.concatenate(pieces, axis=1), self._order)

    def compute_output_spec(self, codes: Any) -> Any:
        return keras.KerasTensor((codes.shape[0], sum(self.widths)), self.compute_dtype)


def take_places(values: Any, places: Sequence[int]) -> Any:
    """Return these places of the second axis; neighbours are sliced, as a slice costs less than a gather."""
    places = list(places)
    start = places[0]
    if places != list(range(start, start + len(places))):
        return ops.take(values, np.array(places, np.int32), axis=1)
    return values if len(places) == values.shape[1] else values[:, start : start + len(places)]
