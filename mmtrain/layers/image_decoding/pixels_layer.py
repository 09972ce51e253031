"""The layer of images and volumes whose files TensorFlow cannot decode: a batch of brightness to a batch of pixels."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from mmtrain.layers.configured import ConfiguredLayer


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodePixels(ConfiguredLayer):
    """(batch, ..., channels) float32 from 0 to 1 to whole numbers up to `levels`, as the image store has them, and their presence.

    Pixels are uint8, or uint16 for more than 255 levels; presence is (batch, 1) float32, 0 where all values are NaN. Other values are
    brought to 0 to 1.
    """

    def __init__(self, *, levels: int, **kwargs: Any) -> None:
        super().__init__({"levels": levels}, **{"autocast": False, "trainable": False, **kwargs})
        self.levels = levels
        self.built = True

    def call(self, brightness: Any) -> tuple[Any, Any]:
        absent = tf.math.is_nan(brightness)
        levels = tf.round(tf.clip_by_value(tf.where(absent, 0.0, brightness), 0.0, 1.0) * float(self.levels))
        present = ~tf.reduce_all(absent, axis=list(range(1, len(brightness.shape))))
        return tf.cast(levels, self._type), tf.cast(present, tf.float32)[:, None]

    def compute_output_spec(self, brightness: Any) -> tuple[Any, Any]:
        return keras.KerasTensor(brightness.shape, self._type), keras.KerasTensor((brightness.shape[0], 1), "float32")

    @property
    def _type(self) -> str:
        return "uint16" if self.levels > 255 else "uint8"
