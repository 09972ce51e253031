"""The trained network with hooks: places where an activation can be read or replaced during a forward pass.

Codes, word ids and pixels are whole numbers, along which there is no gradient. A hook follows the first operation that turns them into
real numbers: the embedding of codes and ids, the weights of TF-IDF words, the brightness of pixels; for numbers it precedes the first
operation that reads them, and another one follows their bins: between two points of the path, narrow bins would hide kinks, which the path
along the bins does not have. Masks (the positions of a text that hold a word) stay as they are. The layers are those of the network; only
the calls between them are new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtrain.branches import Branch
from mmtrain.data.arrays import Array
from mmtrain.data.encode import Fitted
from mmtrain.errors import Problem, RunError
from mmtrain.input_layout import InputLayout
from mmtrain.layers.sets import AttentionPool, FlattenMembers
from mmtrain.layers.stacks import MaskStack, TakePlaces
from mmtrain.layers.tabular.number_encodings import PiecewiseLinear
from mmtrain.layers.text_tokens import BagProjection
from mmtrain.model.models import names_of_layers

Change = Callable[[Any], Any]
POOLS = (
    *(keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D),
    *(keras.layers.GlobalAveragePooling3D, keras.layers.GlobalMaxPooling3D),
)
"""Layers whose inputs, maps that are pooled over the whole image, are the ones of Grad-CAM."""


class ActivationHook(keras.layers.Layer):  # type: ignore[misc]
    """Identity, or `change` if it is set. `of_image` is True if the tensor depends on one image alone.

    `places` are the slices of the axis behind the batch that depend on each column; with a single column, all of it.
    """

    def __init__(self, places: Mapping[str, Any], *, of_image: bool) -> None:
        super().__init__(dtype="float32")
        # Masks of texts pass through to the layers behind.
        self.supports_masking = True
        self.places: Mapping[str, Any] = MappingProxyType(dict(places))  # a proxy, so that Keras does not track it
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


class _MemberWeights(keras.layers.Layer):  # type: ignore[misc]
    """Weights of the members of sets, as a layer of its own before the `AttentionPool` that otherwise computes them internally."""

    def __init__(self, pool: AttentionPool) -> None:
        super().__init__(dtype="float32")
        self._pool = pool

    def call(self, tokens: Any, shown: Any) -> Any:
        """Return the weights, (batch, most) float32."""
        return self._pool.weights_of(tokens, shown)

    def compute_output_spec(self, tokens: Any, shown: Any) -> Any:  # noqa: ARG002
        """Return the spec of one weight per member."""
        return keras.KerasTensor(shown.shape, "float32")


@dataclass(frozen=True)
class HookedModel:
    """A network whose `model` maps encoded inputs to raw values: logits of classes, numbers in their unit."""

    model: Any
    hooks: tuple[ActivationHook, ...]
    maps: Mapping[str, ActivationHook]
    """Hook on the last maps (batch, height, width, channels) of each image column that are pooled over the whole image."""
    attention: Mapping[str, ActivationHook] = field(default_factory=dict)
    """Hook on the weights (batch, most) of each column of several images per row that are pooled by attention."""

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

    def activations(self, inputs: Mapping[str, Array], hooks: Sequence[ActivationHook] = ()) -> dict[ActivationHook, Array]:
        """Return the activations at each hook, or at some, for encoded rows."""
        by_hook: dict[ActivationHook, Array] = {}

        def recording(hook: ActivationHook) -> Change:
            def record(values: Any) -> Any:
                by_hook[hook] = values.numpy()
                return values

            return record

        with self.changed({hook: recording(hook) for hook in hooks or self.hooks}):
            self.raw(inputs)
        return by_hook

    def batch_size(self, most: int, values: int) -> int:
        """Return `most` rows, or fewer, so that their images have at most this number of `values` together."""
        images = sum(int(np.prod(tensor.shape[1:])) for tensor in self.model.inputs if len(tensor.shape) >= 4)
        # Without images, `most` alone is the limit.
        return max(1, min(most, values // images)) if images else most


def hook_model(predictor: Any, branches: Mapping[str, Branch], fitted: Fitted) -> HookedModel:
    """Return the network with hooks; `predictor` computes in float32.

    Raises RunError for a branch that combines the codes of several columns before they become real numbers.
    """
    names = names_of_layers(branches, fitted)
    specs = {key: column.spec for key, column in fitted.columns.items()}
    hooked = {
        name: _Branch(key, InputLayout({column: specs[column] for column in branches[key].columns}), fitted)
        for key, name in names.branches.items()
    }
    answers = names.activations.values()

    def replace(layer: Any) -> Any:
        if layer.name in hooked:
            return hooked[layer.name].with_hooks(layer)
        of_classes = layer.name in answers and isinstance(layer, keras.layers.Activation)
        # Without softmax and sigmoid the outputs are logits, to which attributions add up.
        return keras.layers.Identity(dtype="float32") if of_classes else layer

    # Cloned with the same layers: only the calls between them are new, no weight is copied.
    model = keras.models.clone_model(predictor, clone_function=replace)
    maps = {column: hook for branch in hooked.values() for column, hook in branch.maps.items()}
    attention = {column: hook for branch in hooked.values() for column, hook in branch.attention.items()}
    return HookedModel(model, tuple(hook for branch in hooked.values() for hook in branch.hooks), maps, attention)


@dataclass(eq=False)
class _Branch:
    """Inserts hooks into one branch."""

    name: str
    layout: InputLayout
    fitted: Fitted
    hooks: list[ActivationHook] = field(default_factory=list)
    maps: dict[str, ActivationHook] = field(default_factory=dict)
    attention: dict[str, ActivationHook] = field(default_factory=dict)
    _owners: dict[int, tuple[Any, frozenset[str]]] = field(default_factory=dict)
    """A tensor and the columns it depends on, by its id; the tensor is stored because Python reuses the ids of deleted objects."""
    _places: dict[int, Mapping[str, slice]] = field(default_factory=dict)
    """Slice of the second axis of each column of a stack, by the id of the tensor."""
    _instead: dict[int, Any] = field(default_factory=dict)
    """Replacement of a tensor, by its id."""

    def with_hooks(self, branch: Any) -> Any:
        """Return the branch, a functional model of its columns, with hooks."""
        inputs = keras.tree.map_structure(lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype), branch.input)
        stacks = {stack.name: stack for stack in self.layout.stacks}
        names = (*self.layout.names, *([None] * len(inputs)))  # None: the inputs of presence, which follow the columns and have no hooks
        for name, tensor in zip(names, keras.tree.flatten(inputs), strict=False):
            columns = () if name is None else stacks[name].columns if name in stacks else (name,)
            # Stored with its tensor: `id` is unique only among living objects.
            self._owners[id(tensor)] = (tensor, frozenset(columns))
            if name in stacks:
                self._places[id(tensor)] = stacks[name].places
            if columns and _is_real(tensor):
                # Numbers are real already: the hook precedes the first operation that reads them.
                self._instead[id(tensor)] = self._hook(tensor, self.hooks)(tensor)
        # `call_function` sees every operation of the graph in its order.
        return keras.models.clone_model(branch, input_tensors=inputs, clone_function=lambda layer: layer, call_function=self._call)

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Call one operation of the branch, with hooks where they belong."""
        inputs = [value for value in keras.tree.flatten((args, kwargs)) if isinstance(value, keras.KerasTensor)]
        columns = frozenset().union(*(self._owners[id(tensor)][1] for tensor in inputs))
        stack = next((self._places[id(tensor)] for tensor in inputs if id(tensor) in self._places), None)
        if stack is not None:
            stack = _after(operation, stack)
            # An operation that combines the columns of a stack ends their separate slices.
            columns = frozenset(stack) or columns
        for tensor in inputs:
            if isinstance(operation, POOLS) and id(tensor) not in self._instead:
                self._instead[id(tensor)] = self._hook_maps(tensor)
        args, kwargs = keras.tree.map_structure(lambda value: self._instead.get(id(value), value), (args, kwargs))
        # A bag looks up term weights inside its projection; here they come from a layer of their own, which can be
        # hooked.
        if isinstance(operation, BagProjection):
            weights = self._own(_TermWeights(operation)(*args), columns)
            output = operation(*args, self._hook(weights, self.hooks)(weights))
        elif isinstance(operation, FlattenMembers):
            # Before the members become a batch of their own, so that the hook has a row for each row.
            real = self._own(keras.ops.cast(args[0], "float32"), columns)
            output = operation(args[0], self._hook(real, self.hooks)(real))
        elif isinstance(operation, AttentionPool):
            weights, hooks = self._own(_MemberWeights(operation)(*args), columns), list[ActivationHook]()
            output = operation(*args, self._hook(weights, hooks)(weights))
            self.attention[next(iter(columns))] = hooks[0]
        else:
            output = operation(*args, **kwargs)
            # All inputs are whole numbers: the first real output behind them is where a gradient can start.
            first = all(keras.backend.is_int_dtype(tensor.dtype) for tensor in inputs) and isinstance(output, keras.KerasTensor)
            if stack and isinstance(output, keras.KerasTensor):
                self._places[id(self._own(output, columns))] = stack
            bins = isinstance(operation, PiecewiseLinear) and (stack or len(columns) == 1)
            if (first and _is_real(output)) or bins:
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
        places: Mapping[str, Any] = self._places.get(id(tensor), {columns[0]: ...})
        if len(columns) != len(places):
            what = f"it combines the codes of {' and '.join(columns)} before embedding them, so neither column can be explained by itself."
            raise RunError(Problem(f"branch {self.name}", what, "Embed each column separately in the architecture."))
        of_image = len(columns) == 1 and self.fitted.columns[columns[0]].attributed_to in ("regions", "members")
        hooks.append(ActivationHook(places, of_image=of_image))
        return hooks[-1]

    def _hook_maps(self, tensor: Any) -> Any:
        """Put a hook on maps, if they are those of one image; the last maps replace earlier ones."""
        hook = self._hook(tensor, []) if len(self._owners[id(tensor)][1]) == 1 else None
        if hook is None or not hook.of_image:
            return tensor
        self.maps[next(iter(hook.places))] = hook
        return self._own(hook(tensor), self._owners[id(tensor)][1])


def _after(operation: Any, stack: Mapping[str, slice]) -> dict[str, slice]:
    """Return the slice of each column in the output of an operation on a stack; none if the operation combines columns."""
    columns = list(stack)
    owners = [column for column, places in stack.items() for _ in range(places.start, places.stop)]
    # The order of `MaskStack`: values first, then a flag per masked column, then permuted.
    if isinstance(operation, MaskStack):
        flags = [columns[column] for column in operation.settings["masked"]]  # behind all values, until they are put in order
        return _places([(owners + flags)[place] for place in operation.order])
    if isinstance(operation, TakePlaces):
        return _places([owners[place] for place in operation.settings["places"]])
    if isinstance(operation, PiecewiseLinear):
        return _places([owners[place] for place in operation.settings["positions"]])
    if hasattr(operation, "columns") and hasattr(operation, "widths"):  # vectors of codes, side by side
        return _places([columns[column] for column, width in zip(operation.columns, operation.widths, strict=True) for _ in range(width)])
    return {}


def _places(owners: Sequence[str]) -> dict[str, slice]:
    """Return the slice of each column, from the column of every position; positions of a column are adjacent."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for place, column in enumerate(owners):
        first.setdefault(column, place)
        last[column] = place + 1
    return {column: slice(first[column], last[column]) for column in first}


def _is_real(tensor: Any) -> bool:
    return bool(keras.backend.is_float_dtype(tensor.dtype))
