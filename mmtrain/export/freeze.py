"""The network for converters of other formats: in float32, with constants in place of variables, with plain names."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from mmtrain.errors import Problem, RunError
from mmtrain.export.base import ExportableModel
from mmtrain.layers.start import quiet_native_stderr


def as_float32(model: Any) -> Any:
    """Return the model itself or, if its layers compute in 16 bits, a copy in float32 with the same weights."""
    # The precision of a layer is in its config; weights are float32 in both.
    config = _in_float32(model.get_config())
    if config == model.get_config():
        return model
    twin = type(model).from_config(config)
    twin.set_weights(model.get_weights())
    return twin


def _in_float32(config: Any) -> Any:
    """Return a layer's config with float32 in place of every mixed precision."""
    if isinstance(config, list | tuple):
        return type(config)(_in_float32(entry) for entry in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and str(config["config"]["name"]).startswith("mixed_"):
        return {**config, "config": {**config["config"], "name": "float32"}}
    return {key: _in_float32(value) for key, value in config.items()}


def freeze(exportable: ExportableModel) -> Any:
    """Return the predictor as a concrete function: inputs in the order of `exportable.inputs`, a list of outputs, constant weights.

    Both converters need constants: tf2onnx takes a captured tensor for an input, and LiteRT's calibration cannot read variables.
    TensorFlow has no public name for this freezing; tf2onnx imports it from the same module.
    """
    tensors = {tensor.name: tensor for tensor in exportable.predictor.inputs}
    signature = [tf.TensorSpec(tensors[key].shape, tensors[key].dtype, name=name) for key, name in exportable.inputs.items()]

    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def predict(*given: Any) -> list[Any]:
        predictions = exportable.predictor(dict(zip(exportable.inputs, given, strict=True)), training=False)
        # `identity` gives every output a tensor of its own, even if two are the same.
        return [tf.identity(predictions[key]) for key in exportable.outputs]

    with _unrolled(exportable.predictor):
        return convert_variables_to_constants_v2(predict.get_concrete_function())


@contextmanager
def _unrolled(model: Any) -> Iterator[None]:
    """Let recurrent layers call their cell once for each place of the sequence: neither converter takes Keras's loop over tensors.

    A GRU of 64 words in both directions is 4,800 operations then, which tf2onnx converts in 15 CPU s.
    """
    recurrent = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN) and not layer.unroll]
    before = [getattr(layer, "use_cudnn", None) for layer in recurrent]
    try:
        for layer in recurrent:
            layer.unroll, layer.use_cudnn = True, False  # cuDNN's kernel is one more loop
        yield
    finally:
        for layer, use_cudnn in zip(recurrent, before, strict=True):
            layer.unroll, layer.use_cudnn = False, use_cudnn


@contextmanager
def converting(to: str) -> Iterator[None]:
    """Turn any error of a converter into a RunError, and suppress its output on standard error."""
    failure: Exception | None = None
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), quiet_native_stderr():
            warnings.simplefilter("ignore")
            try:
                yield
            except Exception as error:
                failure = error
    finally:
        logging.disable(logging.NOTSET)
    if failure is not None:
        what = f"the network cannot be converted: {(str(failure).strip() or repr(failure)).splitlines()[0]}"
        fix = "Layers of your own may use operations that this format lacks; a keras export takes every layer."
        raise RunError(Problem(f"--format {to}", what, fix)) from failure
