"""The saved model: loading it, and predicting encoded rows in batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import mmtrain.layers.registered  # noqa: F401 (registers our layers under the names in the file)
from mmtrain.artifacts.run_folder import RESTORE, Run
from mmtrain.artifacts.run_schema.network_facts import Network
from mmtrain.batches import sequential_batches
from mmtrain.branches import Branch, encoder_columns
from mmtrain.columns import Column
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.encode import Fitted
from mmtrain.encoders import Encoder
from mmtrain.errors import Problem, RunError
from mmtrain.input_layout import InputLayout
from mmtrain.layers.end_to_end import EndToEnd
from mmtrain.layers.stacks import CodeVectors
from mmtrain.layers.text_tokens import BagProjection
from mmtrain.model.encoder_inputs import behind_encoders, encoder_behind, with_branches
from mmtrain.model.memory_errors import prediction_oom_errors
from mmtrain.model.models import names_of_layers
from mmtrain.model.safe_loading import first_line, inspect_model
from mmtrain.specs import feature_spec

ROWS_AT_ONCE = 1024
"""Most rows of a batch: models of tables reach their full speed here. The prediction of a row is the same for any number."""

IMAGE_BYTES_AT_ONCE = 8_000_000
"""Most bytes of the images in a batch."""

MAP_BYTES_AT_ONCE = 32_000_000
"""Most bytes of the largest feature maps of a batch; a network holds two or three at a time, in float32."""

WORD_BYTES_AT_ONCE = 64_000_000
"""Most bytes of the vectors of all words in a batch; a network holds a few copies at a time."""

Predict = Callable[[Mapping[str, Array]], dict[str, Array]]
"""Function from one batch of inputs to the predictions of its rows, per target."""


def load_end_to_end(path: Path) -> Any:
    """Load model.keras, from raw values to predictions, after an inspection; only registered layers are executed."""
    inspect_model(path)
    try:
        # Compiled models would bring an optimizer and losses along; `inspect_model` refuses them, and predictions need
        # none.
        return keras.models.load_model(path, safe_mode=True, compile=False)
    except Exception as error:  # any error of Keras: the file is the cause
        what = f"the model cannot be opened: {first_line(error)}."
        raise RunError(Problem(str(path), what, "Train again, or import your own layers with --code.")) from error


def parts(model: Any) -> tuple[Any, Any]:
    """Return preprocessing and predictor, the two parts of an end-to-end model. Raises RunError when it has others."""
    if not isinstance(model, EndToEnd) or not isinstance(model.predictor, keras.Model):
        raise RunError(Problem("model.keras", "the model does not consist of a preprocessing and a network.", RESTORE))
    return model.preprocessing, model.predictor


def of_run(run: Run, branches: Collection[str], fitted: Fitted) -> tuple[Any, Any]:
    """Load the end-to-end model of a run and its predictor. Raises RunError unless they fit these columns, branches and targets."""
    path = run / "model.keras"
    model = load_end_to_end(path)
    predictor = parts(model)[1]
    names = names_of_layers(branches, fitted)
    layers = {layer.name: layer for layer in predictor.layers}
    inputs = InputLayout({key: column.spec for key, column in fitted.columns.items()}).inputs
    # Outputs are float32 also in mixed precision.
    outputs = {key: ((None, target.units), "float32") for key, target in fitted.targets.items()}
    # Shapes, types and derived layer names: the weights of another experiment are noticed before the first prediction.
    if not (
        _signature(predictor.inputs) == {name: ((None, *one.shape), one.dtype) for name, one in inputs.items()}
        and isinstance(predictor.output, dict)
        and {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in predictor.output.items()} == outputs
        and all(isinstance(layers.get(name), keras.Model) for name in (*names.branches.values(), names.fusion))
        and layers.keys() >= {*names.heads.values(), *names.activations.values()}
    ):
        raise RunError(Problem(str(path), "the network does not belong to config.yaml and columns.json.", RESTORE))
    return model, predictor


def on_features(
    predictor: Any, branches: Mapping[str, Branch], columns: Mapping[str, Column], fitted: Fitted, network: Network, *, views: bool = True
) -> tuple[Any, dict[str, Encoder]]:
    """Return a predictor of `of_run` behind its frozen encoders, and these by the column that each reads.

    Its inputs are features, as `frozen_features.with_features` puts them in the place of columns. The weights of the encoders
    are those in the file of the model; `network` is network.json, which has the identity under which features are cached. Encoders that
    older versions did not record stay in the predictor.

    Args:
        predictor: The predictor of a run.
        branches: Section `branches` of the experiment.
        columns: Section `columns`.
        fitted: The fitted columns.
        network: The content of network.json.
        views: False for features without augmented views.
    """
    known = {column: one for column, one in network.encoders.items() if one.frozen and one.design}
    encoders: dict[str, Encoder] = {}
    replaced, inputs = {}, {}
    frozen = {column: one for column, one in encoder_columns(branches, columns).items() if column in known}
    for key, layer in names_of_layers(branches, fitted).branches.items():
        branch = predictor.get_layer(layer)
        names = InputLayout({column: fitted.columns[column].spec for column in branches[key].columns}).names
        position = {column: names.index(column) for column in branches[key].columns if column in frozen}
        cut, specs = {}, {}
        for column, place in position.items():
            if (encoder := encoder_behind(branch, place)) is None:  # a branch of the user's own reads the column in another way
                return predictor, {}
            width = int(encoder.outputs[0].shape[-1])
            encoders[column] = Encoder(known[column].model, encoder, width, known[column].sha256, design=known[column].design)
            cut[place], specs[place] = encoder, feature_spec(fitted.columns[column].spec, width, frozen[column].views * views)
            inputs[column] = keras.Input(specs[place].shape, dtype=specs[place].dtype, name=column)
        if cut:
            replaced[layer] = behind_encoders(branch, cut, specs)
    return (with_branches(predictor, inputs, replaced) if replaced else predictor), encoders


def _signature(tensors: Iterable[Any]) -> dict[str, Any]:
    return {tensor.name: (tuple(tensor.shape), tensor.dtype) for tensor in tensors}


def compile_predictor(model: Any) -> Predict:
    """Return the predictor as one compiled function, traced once.

    The prediction of a row is independent of the other rows of its batch, to the bit. A single row is therefore duplicated: for one
    row TensorFlow multiplies a matrix and a vector, whose last bit may differ from that of a product of two matrices.
    """
    signature = {tensor.name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs}
    # Traced eagerly: otherwise TensorFlow warns about retracing when a process opens several models.
    call = tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature], autograph=False).get_concrete_function()

    def predictions(inputs: Mapping[str, Array]) -> dict[str, Array]:
        rows = len(next(iter(inputs.values())))
        twice = {name: tf.constant(np.repeat(values, 2, axis=0) if rows == 1 else values) for name, values in inputs.items()}
        with prediction_oom_errors(rows):
            # Cuts off the second copy of a single row.
            return {key: values.numpy()[:rows] for key, values in call(twice).items()}

    return predictions


def rows_at_once(model: Any) -> int:
    """Return the number of rows of a batch, bounded by the memory of images, feature maps and word vectors."""
    # Four axes are images, (batch, height, width, channels); one or two bytes a value.
    shapes = [(tensor.shape[1:], np.dtype(tensor.dtype).itemsize) for tensor in model.inputs if len(tensor.shape) == 4]
    images: int = sum(int(np.prod(shape)) * size for shape, size in shapes)
    # Two axes of integers are codes, (batch, codes), each of which becomes a vector of float32.
    words: int = sum(tensor.shape[1] for tensor in model.inputs if len(tensor.shape) == 2 and keras.backend.is_int_dtype(tensor.dtype))
    bounds = {IMAGE_BYTES_AT_ONCE: images, MAP_BYTES_AT_ONCE: _largest_map(model) * 4, WORD_BYTES_AT_ONCE: words * _widest(model) * 4}
    # At least 2: a single row is computed as two anyway (`compile_predictor`).
    return max(2, min(ROWS_AT_ONCE, *(most // max(size, 1) for most, size in bounds.items())))


def _largest_map(model: Any) -> int:
    """Return the number of values in the largest feature maps (height, width, channels) of one row; 0 without any."""
    sizes = [_largest_map(layer) for layer in model.layers if isinstance(layer, keras.Model)]
    outputs = [tensor for layer in model.layers for tensor in keras.tree.flatten(layer.output)]
    return max([*sizes, *(int(np.prod(tensor.shape[1:])) for tensor in outputs if len(tensor.shape) == 4)], default=0)


def _widest(model: Any) -> int:
    """Return the largest width of the vector of a word or category, inside a transformer that of its dense layers."""
    widths = [layer.units for layer in model.layers if isinstance(layer, BagProjection)]
    widths += [layer.output_dim for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    widths += [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense) and len(layer.output.shape) == 3]
    widths += [max(layer.widths) for layer in model.layers if isinstance(layer, CodeVectors)]
    return max([*widths, *(_widest(layer) for layer in model.layers if isinstance(layer, keras.Model))], default=0)


def predict(model: Any, arrays: Arrays, rows: Array) -> dict[str, Array]:
    """Return the predictions of `rows`, in their order, per target."""
    return concatenate_predictions(map(compile_predictor(model), sequential_batches(arrays, rows, rows_at_once(model))))


def seconds_of(model: Any, arrays: Arrays, rows: Array, size: int = 256) -> float:
    """Return the seconds that a compiled network takes for 1,000 rows, measured on `size` of `rows`; 0 without rows."""
    if not len(rows):
        return 0.0
    predict_batch = compile_predictor(model)
    # A few rows are taken repeatedly, since calls of few rows are slow.
    batches = list(sequential_batches(arrays, np.resize(rows, size), rows_at_once(model)))
    for batch in batches[:1]:  # the first call takes longer
        predict_batch(batch)
    begun = time.perf_counter()
    for batch in batches:
        predict_batch(batch)
    return 1000 / size * (time.perf_counter() - begun)


def concatenate_predictions(batches: Iterable[dict[str, Array]]) -> dict[str, Array]:
    """Concatenate the predictions of several batches, per target."""
    pieces: dict[str, list[Array]] = {}
    for outputs in batches:
        for key, values in outputs.items():
            pieces.setdefault(key, []).append(values)
    return {key: np.concatenate(values) for key, values in pieces.items()}
