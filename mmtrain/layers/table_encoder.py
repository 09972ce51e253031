"""The model from raw cells of a table to the inputs of a network, by the preprocessing of every column.

A model of its own class and not of Keras layers that are wired to each other: the wiring costs 3 ms of a saved model per input and 7 ms
of opening it, which for 2,000 columns are 20 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf


@dataclass(frozen=True)
class EncodedTogether:
    """Columns that one layer encodes, and its raw inputs `{name: (shape, dtype)}`.

    Of several columns each has one raw input, a number or a text, and the layer takes them side by side, (batch, columns).
    """

    columns: tuple[str, ...]
    raw: Mapping[str, tuple[tuple[int, ...], str]]
    widths: tuple[int, ...]
    """Width of each column in the second axis of the encoded tensor; not used for a single column."""
    layer: Any

    def encode(self, raw: Sequence[Any]) -> Sequence[Any]:
        """Return what the layer returns for the raw tensors; those of several columns may be one tensor already, (batch, columns)."""
        tensors = [raw[0] if len(raw) == 1 else tf.concat(raw, axis=1)] if len(self.columns) > 1 else raw
        outputs: Sequence[Any] = self.layer(*tensors)
        return outputs

    def take(self, raw: Mapping[str, Any]) -> list[Any]:
        """Return the raw tensors of the part, of their types."""
        return [_column(raw[name], *described) for name, described in self.raw.items()]

    def config(self) -> dict[str, Any]:
        """Return the part as plain JSON."""
        raw = [[name, list(shape), dtype] for name, (shape, dtype) in self.raw.items()]
        layer = keras.saving.serialize_keras_object(self.layer)
        return {"columns": list(self.columns), "raw": raw, "widths": list(self.widths), "layer": layer}

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> EncodedTogether:
        """Return what `config` describes."""
        raw = {name: (tuple(shape), dtype) for name, shape, dtype in config["raw"]}
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(tuple(config["columns"]), raw, tuple(config["widths"]), layer)


class RawInputsModel(keras.Model):  # type: ignore[misc]
    """Base of models that take a dictionary of raw tensors, one for every raw input."""

    def __init__(self, name: str | None) -> None:
        # Without casts: numbers stay float64 until the one rounding that is meant.
        super().__init__(name=name, autocast=False)
        # There is nothing to build: the parts are built already.
        self.built = True

    @property
    def input(self) -> dict[str, Any]:
        """The raw inputs by name, as symbolic tensors."""
        return {tensor.name: tensor for tensor in self.inputs}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:  # noqa: ARG003
        """Return what `get_config` describes."""
        return cls.of_config(config)


@keras.saving.register_keras_serializable(package="mmtrain")
class TableEncoder(RawInputsModel):
    """Raw tensors `{name: (batch, ...)}` to the inputs of a network.

    Args:
        parts: The columns in order, those that one layer encodes together as one part.
        stacks: Columns of every input that holds several of them; each other column is an input of its own.
    """

    def __init__(self, parts: Sequence[EncodedTogether], stacks: Mapping[str, Sequence[str]], name: str | None = None) -> None:
        super().__init__(name)
        self.encoders = [part.layer for part in parts]  # an attribute of layers, so that Keras knows of them
        self._plan = _Plan(tuple(parts), {name: tuple(columns) for name, columns in stacks.items()})

    @property
    def parts(self) -> tuple[EncodedTogether, ...]:
        """The columns by the layer that encodes them."""
        return self._plan.parts

    @property
    def inputs(self) -> list[Any]:
        """The raw inputs as symbolic tensors."""
        raw = {name: described for part in self.parts for name, described in part.raw.items()}
        return [keras.KerasTensor((None, *shape), dtype=dtype, name=name) for name, (shape, dtype) in raw.items()]

    def call(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs of the network."""
        return self.with_status(raw)[0]

    def with_status(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the inputs of the network, and the status of every image, (batch, 1) int32 by column."""
        return self.encode_parts([part.take(raw) for part in self.parts])

    def encode_parts(self, raw: Sequence[Sequence[Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the same as `with_status`.

        `raw` holds the raw tensors of each part; those of several columns may be one tensor already, (batch, columns).
        """
        return self.assembled([part.encode(given) for part, given in zip(self.parts, raw, strict=True)])

    def assembled(self, outputs: Sequence[Sequence[Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the same as `with_status` from what the layers of the parts return."""
        encoded, present = [one[0] for one in outputs], [one[1] for one in outputs]
        # A third output of an image column is the status of its files.
        status = {column: one[2] for part, one in zip(self.parts, outputs, strict=True) if len(one) > 2 for column in part.columns}
        inputs = {}
        for name, runs in self._plan.runs.items():
            inputs[name] = _joined([_slice(encoded[run.part], run.values) for run in runs])
            inputs[f"{name}_present"] = _joined([_slice(present[run.part], run.presence) for run in runs])
        return inputs, status

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        stacks = {name: list(columns) for name, columns in self._plan.stacks.items()}
        return {"name": self.name, "parts": [part.config() for part in self.parts], "stacks": stacks}

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> TableEncoder:
        """Return what `config` describes."""
        return cls([EncodedTogether.of_config(part) for part in config["parts"]], config["stacks"], config["name"])


@dataclass(frozen=True)
class _Run:
    """Columns that are neighbours both in a part and in an input; None takes the whole tensor of the part."""

    part: int
    values: slice | None
    presence: slice | None


@dataclass(frozen=True)
class _Plan:
    """The way from the parts to the inputs of the network."""

    parts: tuple[EncodedTogether, ...]
    stacks: dict[str, tuple[str, ...]]

    @cached_property
    def runs(self) -> dict[str, list[_Run]]:
        """The pieces that each input of the network is put together from."""
        places = {column: place for place in self._places() for column in [place[0]]}
        in_stacks = {column for columns in self.stacks.values() for column in columns}
        names = {name: columns for name, columns in self.stacks.items()}
        names |= {column: (column,) for column in places if column not in in_stacks}
        return {name: self._runs([places[column] for column in columns]) for name, columns in names.items()}

    def _places(self) -> list[tuple[str, int, int, int, int]]:
        """Return (column, number of its part, start and end of its values there, its position in the part)."""
        places = []
        for number, part in enumerate(self.parts):
            end = 0
            for position, (column, width) in enumerate(zip(part.columns, part.widths, strict=True)):
                places.append((column, number, end, end + width, position))
                end += width
        return places

    def _runs(self, places: Sequence[tuple[str, int, int, int, int]]) -> list[_Run]:
        together: list[list[int]] = []
        for _, part, start, stop, position in places:
            # Neighbours in the part and in the input: one slice instead of two.
            if together and together[-1][0] == part and together[-1][2] == start:
                together[-1][2], together[-1][4] = stop, position + 1
            else:
                together.append([part, start, stop, position, position + 1])
        runs = []
        for part, start, stop, first, last in together:
            # All columns of a part in its order: the tensor itself, without a slice.
            whole = last - first == len(self.parts[part].columns)
            runs.append(_Run(part, None if whole else slice(start, stop), None if whole else slice(first, last)))
        return runs


def _column(values: Any, shape: Sequence[int], dtype: str) -> Any:
    """Return a raw input as a tensor of its type, (batch, *shape); numbers and texts may come as (batch,)."""
    tensor = tf.convert_to_tensor(values)
    tensor = tensor if tensor.dtype == dtype else tf.cast(tensor, dtype)
    # `(batch,)` becomes `(batch, 1)`.
    return tf.expand_dims(tensor, 1) if len(tensor.shape) == 1 and len(shape) == 1 else tensor


def _slice(values: Any, places: slice | None) -> Any:
    return values if places is None else values[:, places]


def _joined(pieces: Sequence[Any]) -> Any:
    return pieces[0] if len(pieces) == 1 else tf.concat(pieces, axis=1)
