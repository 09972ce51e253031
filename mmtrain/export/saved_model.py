"""A SavedModel folder: from raw strings, numbers and the bytes of image files to predictions, without Python code and without mmtrain.

Its only signature, `serving_default`, takes an input (rows,) per column and returns, per target:

- `prediction` (rows,): the class, the labels joined by their separator, or the number;
- `probabilities` (rows, classes or labels) float32, in the order of columns.json; none for a number;
- `columns` (rows, numbers) float32, where a prediction has several numbers, such as quantiles; signature.json names them;

and `status` (rows,): "ok", or the images that were not used, with the reason. A missing text, category or image is an empty string, a
missing number NaN. With several targets the outputs begin with the target's name. Names have letters, digits and `_` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mmtrain.columns import RawInput
from mmtrain.data.encode import Fitted
from mmtrain.export.base import plain_names
from mmtrain.layers.encoding import Encode
from mmtrain.layers.image_decoding import STATUS
from mmtrain.model.model_file import parts


def input_names(fitted: Fitted) -> dict[str, str]:
    """Return the name of each column's input."""
    return plain_names(fitted.columns)


def output_names(fitted: Fitted) -> dict[str, str]:
    """Return the prefix of `prediction` and `probabilities` of each target; empty for a single target."""
    if len(fitted.targets) == 1:
        return dict.fromkeys(fitted.targets, "")
    return {key: f"{name}_" for key, name in plain_names(fitted.targets).items()}


def write(model: keras.Model, fitted: Fitted, folder: Path) -> None:
    """Write `model`, the end-to-end model of a run, into `folder`."""
    encoder, predictor = parts(model)
    # The module owns the variables and tables of the graph. The Keras models themselves would be saved with further graphs.
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    module.tables = [table for layer in encoder.encoders if isinstance(layer, Encode) for table in layer.tables]
    names = input_names(fitted)
    prefixes = output_names(fitted)

    def serve(**rows: Any) -> dict[str, Any]:
        # Inputs are (rows,), the encoder reads (rows, 1).
        raw = {key: rows[name] if rows[name].shape.rank > 1 else tf.expand_dims(rows[name], 1) for key, name in names.items()}
        encoded, status = encoder.with_status(raw)
        predictions = predictor(encoded, training=False)
        outputs = {"status": _status_labels(tf.shape(next(iter(rows.values())))[:1], status)}
        for key, target in fitted.targets.items():
            outputs |= {f"{prefixes[key]}{name}": tensor for name, tensor in target.serving_outputs(predictions[key]).items()}
        return outputs

    given = {names[key]: _spec(column.raw_inputs(key)[key], names[key]) for key, column in fitted.columns.items()}
    signature = tf.function(serve, autograph=False).get_concrete_function(**given)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})


def _spec(raw: RawInput, name: str) -> Any:
    """Return the signature of an input: (rows,) for a column of one header, (rows, headers) for one of several."""
    return tf.TensorSpec((None,) if raw.shape == (1,) else (None, *raw.shape), raw.dtype, name=name)


def _status_labels(shape: Any, status: Mapping[str, Any]) -> Any:
    """Return the status as texts (rows,); `status` has the codes (rows, 1) int32 by column."""
    texts = tf.fill(shape, "")
    for key, codes in status.items():
        words = tf.constant([f"{key}: {word}; " if code else "" for code, word in STATUS.items()])
        # Code 0 adds nothing, every other one its reason.
        texts = tf.strings.join([texts, tf.gather(words, codes[:, 0])])
    # The last separator goes; a row without a remark is "ok".
    return tf.where(tf.equal(texts, ""), "ok", tf.strings.regex_replace(texts, "; $", ""))
