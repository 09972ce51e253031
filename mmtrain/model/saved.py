"""The saved model: opened, and run over encoded rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import mmtrain.layers.encoding
import mmtrain.layers.network
import mmtrain.layers.pictures  # noqa: F401 (registers our layers, by whose names the file calls them)
from mmtrain.batches import in_order
from mmtrain.data.encode import Array, Arrays
from mmtrain.errors import Problem, RunError
from mmtrain.model.inspection import inspect_model

ROWS_AT_ONCE = 256


def whole(path: Path) -> Any:
    """model.keras, from raw values to predictions. Nothing is executed that is not a registered layer."""
    inspect_model(path)
    try:
        return keras.models.load_model(path, safe_mode=True, compile=False)
    except (ValueError, TypeError, OSError) as error:
        what = f"the model cannot be opened: {str(error).splitlines()[0]}"
        raise RunError(Problem(str(path), what, "Train again, or import your own layers with --code.")) from error


def parts(model: Any) -> tuple[Any, Any]:
    """The two layers of a whole model: its preprocessing, and its predictor behind that."""
    preprocessing, predictor = (layer for layer in model.layers if isinstance(layer, keras.Model))
    return preprocessing, predictor


def predictor(path: Path) -> Any:
    """The part of model.keras behind the preprocessing."""
    return parts(whole(path))[1]


def predict(model: Any, arrays: Arrays, rows: Array) -> dict[str, Array]:
    """Predictions of `rows`, in their order, per target."""
    call = tf.function(model, reduce_retracing=True)
    pieces: dict[str, list[Array]] = {}
    for inputs in in_order(arrays, rows, ROWS_AT_ONCE):
        outputs: Mapping[str, Any] = call({name: tf.constant(values) for name, values in inputs.items()}, training=False)
        for key, values in outputs.items():
            pieces.setdefault(key, []).append(values.numpy())
    return {key: np.concatenate(found) for key, found in pieces.items()}
