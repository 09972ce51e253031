"""The trained network with hooks: places where an activation can be read or replaced during a forward pass.

Codes, word ids and pixels are whole numbers, along which there is no gradient. A hook follows the first operation that turns them into
real numbers: the embedding of codes and ids, the weights of TF-IDF words, the brightness of pixels; for numbers it precedes the first
operation that reads them. Masks (the positions of a text that hold a word) stay as they are. The layers are those of the network; only
the calls between them are new.
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
"""Layers whose inputs, maps that are pooled over the whole image, are the ones of Grad-CAM."""


class ActivationHook(keras.layers.Layer):  # type: ignore[misc]
    """Identity, or `change` if it is set. `column` is the input that the tensor depends on; `of_image` is True if it is one image."""

    def __init__(self, column: str, *, of_image: bool) -> None:
        super().__init__(dtype="float32")
        self.supports_masking = True
        self.column = column
        self.of_image = of_image
        self.change: Change | None = None

    def call(self, values: Any) -> Any:
        """Return the tensor, or its replacement."""
        return values if self.change is None else self.change(values)

    def compute_output_spec(self, values: Any) -> Any:
        """Return the spec of the tensor itself."""
        return keras.KerasTensor(values.shape, values.dtype)


class _TermWeights(keras.layers.Layer):  # type: ignore[misc]
    """Weights of TF-IDF terms, as a layer of its own before the `BagProjection` that otherwise looks them up internally."""

    def __init__(self, projection: BagProjection) -> None:
        super().__init__(dtype="float32")
        self._projection = projection

    def call(self, ids: Any) -> Any:
        """Look up the weights, (batch, length) float32, of ids of that shape."""
        return self._projection.term_weights(ids)

    def compute_output_spec(self, ids: Any) -> Any:
        """Return the spec of one weight per position."""
        return keras.KerasTensor(ids.shape, "float32")


@dataclass(frozen=True)
class HookedModel:
    """A network whose `model` maps encoded inputs to raw values: logits of classes, numbers in their unit."""

    model: Any
    hooks: tuple[ActivationHook, ...]
    maps: Mapping[str, ActivationHook]
    """Hook on the last maps (batch, height, width, channels) of each image column that are pooled over the whole image."""

    @contextmanager
    def changed(self, changes: Mapping[ActivationHook, Change]) -> Iterator[None]:
        """Set the changes of these hooks inside the block."""
        for hook, change in changes.items():
            hook.change = change
        try:
            yield
        finally:
            for hook in changes:
                hook.change = None

    def raw(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """Compute the raw values of encoded rows, per target, (batch, units)."""
        outputs: dict[str, Any] = self.model({name: tf.constant(values) for name, values in inputs.items()}, training=False)
        return outputs

    def activations(self, inputs: Mapping[str, Array]) -> dict[ActivationHook, Array]:
        """Return the activations at each hook for encoded rows."""
        by_hook: dict[ActivationHook, Array] = {}

        def recording(hook: ActivationHook) -> Change:
            def record(values: Any) -> Any:
                by_hook[hook] = values.numpy()
                return values

            return record

        with self.changed({hook: recording(hook) for hook in self.hooks}):
            self.raw(inputs)
        return by_hook

    def batch_size(self, most: int, values: int) -> int:
        """Return `most` rows, or fewer, so that their images have at most this number of `values` together."""
        images = sum(int(np.prod(tensor.shape[1:])) for tensor in self.model.inputs if len(tensor.shape) == 4)
        return max(1, min(most, values // images)) if images else most


def hook_model(predictor: Any, branches: Mapping[str, Branch], fitted: Fitted) -> HookedModel:
    """Return the network with hooks; `predictor` computes in float32.

    Raises RunError for a branch that combines the codes of several columns before they become real numbers.
    """
    names = names_of_layers(branches, fitted)
    hooked = {name: _Branch(key, branches[key].columns, fitted) for key, name in names.branches.items()}
    answers = names.activations.values()

    def replace(layer: Any) -> Any:
        if layer.name in hooked:
            return hooked[layer.name].with_hooks(layer)
        of_classes = layer.name in answers and isinstance(layer, keras.layers.Activation)
        # Without softmax and sigmoid the outputs are logits, to which attributions add up.
        return keras.layers.Identity(dtype="float32") if of_classes else layer

    model = keras.models.clone_model(predictor, clone_function=replace)
    maps = {column: hook for branch in hooked.values() for column, hook in branch.maps.items()}
    return HookedModel(model, tuple(hook for branch in hooked.values() for hook in branch.hooks), maps)


@dataclass(eq=False)
class _Branch:
    """Inserts hooks into one branch."""

    name: str
    columns: tuple[str, ...]
    fitted: Fitted
    hooks: list[ActivationHook] = field(default_factory=list)
    maps: dict[str, ActivationHook] = field(default_factory=dict)
    _owners: dict[int, tuple[Any, frozenset[str]]] = field(default_factory=dict)
    """A tensor and the columns it depends on, by its id; the tensor is stored because Python reuses the ids of deleted objects."""
    _instead: dict[int, Any] = field(default_factory=dict)
    """Replacement of a tensor, by its id."""

    def with_hooks(self, branch: Any) -> Any:
        """Return the branch, a functional model of its columns, with hooks."""
        inputs = keras.tree.map_structure(lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype), branch.input)
        for number, tensor in enumerate(keras.tree.flatten(inputs)):
            column = self.columns[number : number + 1]  # empty for the inputs of presence, which follow the columns and have no hooks
            self._owners[id(tensor)] = (tensor, frozenset(column))
            if column and _is_real(tensor):
                self._instead[id(tensor)] = self._hook(tensor, self.hooks)(tensor)
        return keras.models.clone_model(branch, input_tensors=inputs, clone_function=lambda layer: layer, call_function=self._call)

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Call one operation of the branch, with hooks where they belong."""
        inputs = [value for value in keras.tree.flatten((args, kwargs)) if isinstance(value, keras.KerasTensor)]
        columns = frozenset().union(*(self._owners[id(tensor)][1] for tensor in inputs))
        for tensor in inputs:
            if isinstance(operation, POOLS) and id(tensor) not in self._instead:
                self._instead[id(tensor)] = self._hook_maps(tensor)
        args, kwargs = keras.tree.map_structure(lambda value: self._instead.get(id(value), value), (args, kwargs))
        if isinstance(operation, BagProjection):
            weights = self._own(_TermWeights(operation)(*args), columns)
            output = operation(*args, self._hook(weights, self.hooks)(weights))
        else:
            output = operation(*args, **kwargs)
            first = all(keras.backend.is_int_dtype(tensor.dtype) for tensor in inputs) and isinstance(output, keras.KerasTensor)
            if first and _is_real(output):
                output = self._hook(self._own(output, columns), self.hooks)(output)
        for tensor in keras.tree.flatten(output):
            self._own(tensor, columns)
        return output

    def _own(self, tensor: Any, columns: frozenset[str]) -> Any:
        self._owners[id(tensor)] = (tensor, columns)
        return tensor

    def _hook(self, tensor: Any, hooks: list[ActivationHook]) -> ActivationHook:
        """Make a hook for a tensor and append it to `hooks`."""
        columns = sorted(self._owners[id(tensor)][1])
        if len(columns) != 1:
            what = f"it combines the codes of {' and '.join(columns)} before embedding them, so neither column can be explained by itself."
            raise RunError(Problem(f"branch {self.name}", what, "Embed each column separately in the architecture."))
        hooks.append(ActivationHook(columns[0], of_image=self.fitted.columns[columns[0]].attributed_to == "regions"))
        return hooks[-1]

    def _hook_maps(self, tensor: Any) -> Any:
        """Put a hook on maps, if they are those of one image; the last maps replace earlier ones."""
        hook = self._hook(tensor, []) if len(self._owners[id(tensor)][1]) == 1 else None
        if hook is None or not hook.of_image:
            return tensor
        self.maps[hook.column] = hook
        return self._own(hook(tensor), self._owners[id(tensor)][1])


def _is_real(tensor: Any) -> bool:
    return bool(keras.backend.is_float_dtype(tensor.dtype))
