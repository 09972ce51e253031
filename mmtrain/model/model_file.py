"""The saved model: opened, and run over encoded rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import mmtrain.layers.registered  # noqa: F401 (by whose names the file calls our layers)
from mmtrain.artifacts.run_folder import RESTORE, Run
from mmtrain.batches import sequential_batches
from mmtrain.config import Experiment
from mmtrain.data.encode import Array, Arrays, Fitted
from mmtrain.errors import Problem, RunError
from mmtrain.layers.network import BagProjection
from mmtrain.model.assemble import names_of_layers, network_inputs
from mmtrain.model.memory_errors import prediction_oom_errors
from mmtrain.model.safe_loading import first_line, inspect_model

ROWS_AT_ONCE = 1024
"""Rows of a batch: models of tables reach their full speed here, and what they predict of a row is the same for any number."""

IMAGE_BYTES_AT_ONCE = 8_000_000
"""Of the images of a batch."""

MAP_BYTES_AT_ONCE = 32_000_000
"""Of the largest feature maps of a batch, of which a network holds two or three at a time, in float32."""

WORD_BYTES_AT_ONCE = 64_000_000
"""Of the vectors of all words of a batch, of which a network holds a few copies at a time."""

Predict = Callable[[Mapping[str, Array]], dict[str, Array]]
"""From one batch of inputs to the predictions of its rows, per target."""


def whole(path: Path) -> Any:
    """model.keras, from raw values to predictions. Nothing is executed that is not a registered layer."""
    inspect_model(path)
    try:
        return keras.models.load_model(path, safe_mode=True, compile=False)
    except Exception as error:  # whatever it is that Keras stumbles over: the file is the cause
        what = f"the model cannot be opened: {first_line(error)}."
        raise RunError(Problem(str(path), what, "Train again, or import your own layers with --code.")) from error


def parts(model: Any) -> tuple[Any, Any]:
    """The two layers of a whole model: its preprocessing, and its predictor behind that. Raises RunError when it has others."""
    found = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if len(found) != 2:
        raise RunError(Problem("model.keras", "it is not a preprocessing and a network behind it.", RESTORE))
    return found[0], found[1]


def of_run(run: Run, experiment: Experiment, fitted: Fitted) -> tuple[Any, Any]:
    """The whole model of a run, and its predictor. Raises RunError when it is not for these columns, branches and targets."""
    path = run / "model.keras"
    model = whole(path)
    found = parts(model)[1]
    names = names_of_layers(experiment, fitted)
    layers = {layer.name: layer for layer in found.layers}
    inputs = network_inputs({key: column.spec for key, column in fitted.columns.items()})
    outputs = {key: ((None, target.units), "float32") for key, target in fitted.targets.items()}
    if not (
        _signature(found.inputs) == _signature(inputs.values())
        and isinstance(found.output, dict)
        and {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in found.output.items()} == outputs
        and all(isinstance(layers.get(name), keras.Model) for name in (*names.branches.values(), names.fusion))
        and layers.keys() >= {*names.heads.values(), *names.activations.values()}
    ):
        raise RunError(Problem(str(path), "the network does not belong to config.yaml and columns.json.", RESTORE))
    return model, found


def _signature(tensors: Iterable[Any]) -> dict[str, Any]:
    return {tensor.name: (tuple(tensor.shape), tensor.dtype) for tensor in tensors}


def compiled(model: Any) -> Predict:
    """The predictor as one compiled function, traced once.

    A row's prediction does not depend on the rows beside it, to the bit. For that a single row goes through twice: of one row
    TensorFlow makes a product of a matrix and a vector, whose last bit may differ from that of a product of two matrices.
    """
    signature = {tensor.name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs}
    # Made concrete at once: of several models in one process, TensorFlow would take this function for one that is traced too often.
    call = tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature], autograph=False).get_concrete_function()

    def predictions(inputs: Mapping[str, Array]) -> dict[str, Array]:
        rows = len(next(iter(inputs.values())))
        twice = {name: tf.constant(np.repeat(values, 2, axis=0) if rows == 1 else values) for name, values in inputs.items()}
        with prediction_oom_errors(rows):
            return {key: values.numpy()[:rows] for key, values in call(twice).items()}

    return predictions


def rows_at_once(model: Any) -> int:
    """How many rows make a batch."""
    shapes = [(tensor.shape[1:], np.dtype(tensor.dtype).itemsize) for tensor in model.inputs if len(tensor.shape) == 4]
    images: int = sum(int(np.prod(shape)) * size for shape, size in shapes)
    words: int = sum(tensor.shape[1] for tensor in model.inputs if len(tensor.shape) == 2 and keras.backend.is_int_dtype(tensor.dtype))
    bounds = {IMAGE_BYTES_AT_ONCE: images, MAP_BYTES_AT_ONCE: _largest_map(model) * 4, WORD_BYTES_AT_ONCE: words * _widest(model) * 4}
    return max(2, min(ROWS_AT_ONCE, *(most // max(size, 1) for most, size in bounds.items())))


def _largest_map(model: Any) -> int:
    """How many numbers the largest maps (height, width, channels) have that a layer makes of one row; 0 without any."""
    sizes = [_largest_map(layer) for layer in model.layers if isinstance(layer, keras.Model)]
    outputs = [tensor for layer in model.layers for tensor in keras.tree.flatten(layer.output)]
    return max([*sizes, *(int(np.prod(tensor.shape[1:])) for tensor in outputs if len(tensor.shape) == 4)], default=0)


def _widest(model: Any) -> int:
    """How many numbers the longest vector of a word or category has."""
    own = [layer.units for layer in model.layers if isinstance(layer, BagProjection)]
    own += [layer.output_dim for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    return max([*own, *(_widest(layer) for layer in model.layers if isinstance(layer, keras.Model))], default=0)


def predict(model: Any, arrays: Arrays, rows: Array) -> dict[str, Array]:
    """Predictions of `rows`, in their order, per target."""
    return joined(map(compiled(model), sequential_batches(arrays, rows, rows_at_once(model))))


def joined(batches: Iterable[dict[str, Array]]) -> dict[str, Array]:
    """The predictions of several batches, per target."""
    pieces: dict[str, list[Array]] = {}
    for outputs in batches:
        for key, values in outputs.items():
            pieces.setdefault(key, []).append(values)
    return {key: np.concatenate(found) for key, found in pieces.items()}
