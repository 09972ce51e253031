"""The trained network with taps: places where a tensor can be seen, or moved, while a row goes through.

Codes, word ids and pixels are whole numbers, along which there is no gradient. A tap stands behind the first operation that makes
real numbers of them: the embedding of codes and ids, the weights of TF-IDF words, the brightness of pixels; for numbers it stands
before the first operation that reads them. What is made of truth values (which places of a text hold a word) stays as it is.
The layers are those of the network; only the calls between them are new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtrain.branches import Branch
from mmtrain.data.encode import Array, Fitted
from mmtrain.errors import Problem, RunError
from mmtrain.layers.network import BagProjection
from mmtrain.model.assemble import names_of_layers

Change = Callable[[Any], Any]
POOLS = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
"""What they pool over the whole image are the maps that Grad-CAM looks at."""


class ActivationHook(keras.layers.Layer):  # type: ignore[misc]
    """Passes a tensor on, or what `change` makes of it; `column` is the input it was made of; `of_image` says that it is one image."""

    def __init__(self, column: str, *, of_image: bool) -> None:
        super().__init__(dtype="float32")
        self.supports_masking = True
        self.column = column
        self.of_image = of_image
        self.change: Change | None = None

    def call(self, values: Any) -> Any:
        """The tensor, or another one in its place."""
        return values if self.change is None else self.change(values)

    def compute_output_spec(self, values: Any) -> Any:
        """As it comes."""
        return keras.KerasTensor(values.shape, values.dtype)


class _TermWeights(keras.layers.Layer):  # type: ignore[misc]
    """The weights of TF-IDF words, which a `BagProjection` otherwise keeps to itself."""

    def __init__(self, projection: BagProjection) -> None:
        super().__init__(dtype="float32")
        self._projection = projection

    def call(self, ids: Any) -> Any:
        """(batch, length) ids to float32."""
        return self._projection.term_weights(ids)

    def compute_output_spec(self, ids: Any) -> Any:
        """One for every place."""
        return keras.KerasTensor(ids.shape, "float32")


@dataclass(frozen=True)
class HookedModel:
    """A network whose `model` takes encoded inputs and gives raw values: logits of classes, numbers in their unit."""

    model: Any
    taps: tuple[ActivationHook, ...]
    maps: Mapping[str, ActivationHook]
    """The last maps (batch, height, width, channels) of each image column that are pooled over the whole image, if any are."""

    @contextmanager
    def changed(self, changes: Mapping[ActivationHook, Change]) -> Iterator[None]:
        """While active, these taps pass on what their change makes of a tensor."""
        for tap, change in changes.items():
            tap.change = change
        try:
            yield
        finally:
            for tap in changes:
                tap.change = None

    def raw(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """The raw values of encoded rows, per target, (batch, units)."""
        found: dict[str, Any] = self.model({name: tf.constant(values) for name, values in inputs.items()}, training=False)
        return found

    def seen(self, inputs: Mapping[str, Array]) -> dict[ActivationHook, Array]:
        """Return the activations at each hook for these rows."""
        found: dict[ActivationHook, Array] = {}

        def looking(tap: ActivationHook) -> Change:
            def look(values: Any) -> Any:
                found[tap] = values.numpy()
                return values

            return look

        with self.changed({tap: looking(tap) for tap in self.taps}):
            self.raw(inputs)
        return found

    def rows_at_once(self, most: int, values: int) -> int:
        """At most `most` rows, fewer where their images have more than so many values together."""
        images = sum(int(np.prod(tensor.shape[1:])) for tensor in self.model.inputs if len(tensor.shape) == 4)
        return max(1, min(most, values // images)) if images else most


def hook_model(predictor: Any, branches: Mapping[str, Branch], fitted: Fitted) -> HookedModel:
    """The network with taps. `predictor` computes in float32. Raises RunError for a branch that mixes columns before any real number."""
    names = names_of_layers(branches, fitted)
    hooked = {name: _Branch(key, branches[key].columns, fitted) for key, name in names.branches.items()}
    answers = names.activations.values()

    def piece(layer: Any) -> Any:
        if layer.name in hooked:
            return hooked[layer.name].with_taps(layer)
        of_classes = layer.name in answers and isinstance(layer, keras.layers.Activation)
        return keras.layers.Identity(dtype="float32") if of_classes else layer

    model = keras.models.clone_model(predictor, clone_function=piece)
    maps = {column: tap for branch in hooked.values() for column, tap in branch.maps.items()}
    return HookedModel(model, tuple(tap for branch in hooked.values() for tap in branch.taps), maps)


@dataclass(eq=False)
class _Branch:
    """Puts taps into one branch."""

    name: str
    columns: tuple[str, ...]
    fitted: Fitted
    taps: list[ActivationHook] = field(default_factory=list)
    maps: dict[str, ActivationHook] = field(default_factory=dict)
    _owners: dict[int, tuple[Any, frozenset[str]]] = field(default_factory=dict)
    """Which columns a tensor was made of, by its id; the tensor is kept, as ids of what is gone are given again."""
    _instead: dict[int, Any] = field(default_factory=dict)
    """What is read in place of a tensor, by its id."""

    def with_taps(self, branch: Any) -> Any:
        """The branch, a functional model of its columns."""
        inputs = keras.tree.map_structure(lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype), branch.input)
        for number, tensor in enumerate(keras.tree.flatten(inputs)):
            column = self.columns[number : number + 1]  # none of presence, which stays as it is
            self._owners[id(tensor)] = (tensor, frozenset(column))
            if column and _is_real(tensor):
                self._instead[id(tensor)] = self._tap(tensor, self.taps)(tensor)
        return keras.models.clone_model(branch, input_tensors=inputs, clone_function=lambda layer: layer, call_function=self._call)

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """One operation of the branch."""
        given = [value for value in keras.tree.flatten((args, kwargs)) if isinstance(value, keras.KerasTensor)]
        columns = frozenset().union(*(self._owners[id(tensor)][1] for tensor in given))
        for tensor in given:
            if isinstance(operation, POOLS) and id(tensor) not in self._instead:
                self._instead[id(tensor)] = self._map(tensor)
        args, kwargs = keras.tree.map_structure(lambda value: self._instead.get(id(value), value), (args, kwargs))
        if isinstance(operation, BagProjection):
            weights = self._owned(_TermWeights(operation)(*args), columns)
            output = operation(*args, self._tap(weights, self.taps)(weights))
        else:
            output = operation(*args, **kwargs)
            first = all(keras.backend.is_int_dtype(tensor.dtype) for tensor in given) and isinstance(output, keras.KerasTensor)
            if first and _is_real(output):
                output = self._tap(self._owned(output, columns), self.taps)(output)
        for tensor in keras.tree.flatten(output):
            self._owned(tensor, columns)
        return output

    def _owned(self, tensor: Any, columns: frozenset[str]) -> Any:
        self._owners[id(tensor)] = (tensor, columns)
        return tensor

    def _tap(self, tensor: Any, kept: list[ActivationHook]) -> ActivationHook:
        columns = sorted(self._owners[id(tensor)][1])
        if len(columns) != 1:
            what = f"it puts the codes of {' and '.join(columns)} together before any number is learned of them, so none can be explained."
            raise RunError(Problem(f"branch {self.name}", what, "Embed every column by itself in the architecture."))
        kept.append(ActivationHook(columns[0], of_image=self.fitted.columns[columns[0]].attributed_to == "regions"))
        return kept[-1]

    def _map(self, tensor: Any) -> Any:
        """A tap on maps, if they are those of one image; a later one takes the place of an earlier one."""
        tap = self._tap(tensor, []) if len(self._owners[id(tensor)][1]) == 1 else None
        if tap is None or not tap.of_image:
            return tensor
        self.maps[tap.column] = tap
        return self._owned(tap(tensor), self._owners[id(tensor)][1])


def _is_real(tensor: Any) -> bool:
    return bool(keras.backend.is_float_dtype(tensor.dtype))
