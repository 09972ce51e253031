"""Layers of pretrained networks, where Keras has none."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mmtrain")
class FirstView(keras.layers.Layer):  # type: ignore[misc]
    """The first of several views of each row, (batch, views, width) to (batch, width), in the layer's compute type."""

    def call(self, views: Any) -> Any:
        return ops.cast(views[:, 0], self.compute_dtype)

    def compute_output_spec(self, views: Any) -> Any:
        return keras.KerasTensor((views.shape[0], *views.shape[2:]), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class NormalizedPixels(keras.layers.Layer):  # type: ignore[misc]
    """Integer pixels, (batch, height, width, channels), to three channels of (brightness - mean) / deviation.

    A grey image is taken three times; opacity is left out.
    """

    def __init__(self, *, levels: int, mean: list[float], deviation: list[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels, self.mean, self.deviation = levels, list(mean), list(deviation)

    def call(self, pixels: Any) -> Any:
        values = ops.cast(pixels, self.compute_dtype)
        values = ops.repeat(values, 3, axis=-1) if values.shape[-1] == 1 else values[..., :3]
        # One product and one sum: (x / levels - mean) / deviation.
        factors = ops.convert_to_tensor([1.0 / (self.levels * one) for one in self.deviation], self.compute_dtype)
        addends = ops.convert_to_tensor([-mean / one for mean, one in zip(self.mean, self.deviation, strict=True)], self.compute_dtype)
        return values * factors + addends

    def compute_output_spec(self, pixels: Any) -> Any:
        return keras.KerasTensor((*pixels.shape[:-1], 3), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), "levels": self.levels, "mean": self.mean, "deviation": self.deviation}
