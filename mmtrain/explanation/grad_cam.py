"""Grad-CAM (Selvaraju and others 2017, arXiv:1610.02391): where in an image a convolutional branch finds what speaks for an answer.

It weighs every map that is pooled over the whole image by the mean of its gradient, and adds up; what speaks against the answer is
left out. It says where, not how much: nothing adds up to the output.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from mmtrain.data.encode import Array
from mmtrain.explanation.explained_output import OutputSelector
from mmtrain.explanation.hooks import ActivationHook, Change, HookedModel


def grad_cam(network: HookedModel, row: Mapping[str, Array], question: OutputSelector) -> dict[str, Array]:
    """For each column with maps (height, width) float32, 0 and more, in the size of its last maps. `row` has a first axis of 1."""
    maps: dict[ActivationHook, tf.Tensor] = {}

    def watching(tap: ActivationHook) -> Change:
        def watch(values: tf.Tensor) -> tf.Tensor:
            tape.watch(values)
            maps[tap] = values
            return values

        return watch

    taps = network.maps.values()
    with tf.GradientTape(watch_accessed_variables=False) as tape, network.changed({tap: watching(tap) for tap in taps}):
        raw = network.raw(row)[question.target][:, question.unit] * question.sign
    found = tape.gradient(raw, [maps[tap] for tap in taps], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {tap.column: _weighted_activations(maps[tap].numpy()[0], gradient.numpy()[0]) for tap, gradient in zip(taps, found, strict=True)}


def _weighted_activations(maps: Array, gradients: Array) -> Array:
    """(height, width, channels) twice to (height, width)."""
    found: Array = np.maximum((maps * gradients.mean(axis=(0, 1))).sum(axis=-1), 0).astype(np.float32)
    return found
