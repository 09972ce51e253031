"""The parts that families build their networks of: the input of images, and layers with the list of their weights.

A frozen batch normalization is a factor and an addend per channel, so it is multiplied into the convolution before it: half the layers,
and the same values up to rounding. Layers compute in float32, also in a training in mixed precision: features in bfloat16 differ from
those in float32 by up to 1.2 standard deviations, and are no faster on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mmtrain.encoders.base import PREPROCESSOR, Built, Slot
from mmtrain.specs import ImageSpec, TensorSpec

Padding = Literal["tensorflow", "even"]
Scaling = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, of brightness from 0 to 1."""
IMAGENET: Scaling = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES: Scaling = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
NORM = ("weight", "bias", "running_mean", "running_var")


def image_input(spec: TensorSpec, mean: Sequence[float], deviation: Sequence[float]) -> tuple[Any, Any]:
    """Return the input of a network of images, and the same as three channels, (brightness 0..1 - mean) / deviation.

    Raises ValueError when `spec` is not that of an image.
    """
    import keras

    from mmtrain.layers.pretrained import NormalizedPixels

    if not isinstance(spec, ImageSpec):
        raise ValueError("they are not images")
    image = keras.Input(spec.shape, dtype=spec.dtype, name="image")
    return image, NormalizedPixels(levels=spec.levels, mean=list(mean), deviation=list(deviation), dtype="float32")(image)


def check_sides(spec: TensorSpec, least: int) -> None:
    """Raise ValueError for images with a side of fewer than `least` pixels."""
    if min(spec.shape[:2]) < least:
        raise ValueError(f"images need at least {least} pixels each way")


def input_scaling(config: Mapping[str, Any], usual: Scaling) -> Scaling:
    """Return the scaling that the config.json of timm or the preprocessor_config.json of Transformers gives, else the usual one.

    Raises ValueError where it is not a number for each of three channels, or a deviation is not above 0.
    """
    timm, transformers = config.get("pretrained_cfg", {}), config.get(PREPROCESSOR, {})
    mean, deviation = timm.get("mean", transformers.get("image_mean", usual[0])), timm.get("std", transformers.get("image_std", usual[1]))
    numbers = [float(number) for values in (mean, deviation) for number in values]
    if len(mean) != 3 or len(deviation) != 3 or not all(map(math.isfinite, numbers)) or min(numbers[3:]) <= 0:
        raise ValueError(f"images are scaled by the mean {mean!r} and the deviation {deviation!r}")
    return tuple(numbers[:3]), tuple(numbers[3:])


class LayerBuilder:
    """Makes the layers of a network and keeps the list of their weights, `slots`, and of the groups that are tuned together, `blocks`.

    Names are those in the checkpoint, without `.weight`; a `norm` is the batch normalization that follows. `epsilon` is that of all
    normalizations. Values are (batch, height, width, channels) for convolutions and (batch, ..., channels) for all other layers.
    """

    def __init__(self, *, epsilon: float, padding: Padding = "even") -> None:
        self.padding, self.epsilon = padding, epsilon
        self.slots: list[Slot] = []
        self.blocks: list[list[Any]] = []
        self._ended = 0

    def convolve(  # noqa: PLR0913 (the arguments of a convolution)
        self,
        values: Any,
        name: str,
        width: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        norm: str = "",
        activation: str = "linear",
        groups: int = 1,
        bias: bool = False,
    ) -> Any:
        """Return the values after a convolution."""
        import keras

        values, padding = self._pad(values, kernel, stride)
        layer = keras.layers.Conv2D(
            width, kernel, strides=stride, padding=padding, groups=groups, activation=activation, name=_layer_name(name), dtype="float32"
        )
        shape = (width, values.shape[-1] // groups, kernel, kernel)
        output = layer(values)
        self._slot(layer, name, shape, width, norm, bias=bias, axes=(2, 3, 1, 0))
        return output

    def convolve_depthwise(
        self, values: Any, name: str, *, kernel: int, stride: int = 1, norm: str = "", activation: str = "linear", bias: bool = False
    ) -> Any:
        """Return the values after a convolution of each channel by itself."""
        import keras

        width = values.shape[-1]
        values, padding = self._pad(values, kernel, stride)
        layer = keras.layers.DepthwiseConv2D(
            kernel, strides=stride, padding=padding, activation=activation, name=_layer_name(name), dtype="float32"
        )
        output = layer(values)
        self._slot(layer, name, (width, 1, kernel, kernel), width, norm, bias=bias, axes=(2, 3, 0, 1))
        return output

    def cut_patches(self, values: Any, name: str, width: int, side: int, *, bias: bool = True, flat: bool = False) -> Any:
        """Return patches of `side` pixels that do not overlap, as vectors of this width.

        With `flat` the checkpoint holds the kernel of a dense layer on a patch's rows of pixels, (width, side * side * channels).
        """
        import keras

        layer = keras.layers.Conv2D(width, side, strides=side, name=_layer_name(name), dtype="float32")
        channels = values.shape[-1]
        output = layer(values)
        if flat:
            arrays = {f"{name}.weight": (width, side * side * channels), f"{name}.bias": (width,)}
            shape = (side, side, channels, width)
            self.slots.append(Slot(layer, arrays, lambda kernel, offset: [kernel.T.reshape(shape), offset]))
        else:
            self._slot(layer, name, (width, channels, side, side), width, "", bias=bias, axes=(2, 3, 1, 0))
        return output

    def dense(self, values: Any, name: str, width: int, *, bias: bool = True, activation: str = "linear", convolved: bool = False) -> Any:
        """Return the values after a dense layer, which the checkpoint holds as a convolution of single pixels where `convolved`."""
        import keras

        layer = keras.layers.Dense(
            width, activation=activation, use_bias=bias, kernel_initializer="zeros", name=_layer_name(name), dtype="float32"
        )
        shape = (width, values.shape[-1], *((1, 1) if convolved else ()))
        arrays = {f"{name}.weight": shape} | ({f"{name}.bias": (width,)} if bias else {})
        output = layer(values)
        self.slots.append(Slot(layer, arrays, lambda kernel, *biases: [kernel.reshape(width, -1).T, *biases]))
        return output

    def normalize(self, values: Any, name: str, parts: tuple[str, str] = ("weight", "bias")) -> Any:
        """Return the values after a layer normalization; `parts` are the checkpoint's words for its scale and its offset."""
        import keras

        layer = keras.layers.LayerNormalization(epsilon=self.epsilon, name=_layer_name(name), dtype="float32")
        output = layer(values)
        arrays = {f"{name}.{part}": (values.shape[-1],) for part in parts}
        self.slots.append(Slot(layer, arrays, lambda scale, offset: [scale, offset]))
        return output

    def scale(self, values: Any, name: str) -> Any:
        """Return the values times a learned factor per channel; `name` is that of the array itself."""
        from mmtrain.layers.pretrained import ChannelScale

        layer = ChannelScale(name=_layer_name(name), dtype="float32")
        output = layer(values)
        self.slots.append(Slot(layer, {name: (values.shape[-1],)}, lambda factors: [factors]))
        return output

    def gate(self, values: Any, reduce: str, widen: str, width: int, *, activation: str, gate: str) -> Any:
        """Return the values times a factor per channel that follows from the mean of every channel (squeeze and excitation)."""
        import keras

        factors = keras.layers.GlobalAveragePooling2D(keepdims=True, dtype="float32")(values)
        factors = self.convolve(factors, reduce, width, activation=activation, bias=True)
        factors = self.convolve(factors, widen, values.shape[-1], activation=gate, bias=True)
        return keras.layers.Multiply(dtype="float32")([values, factors])

    def add(self, *values: Any, activation: str = "") -> Any:
        """Return the sum."""
        import keras

        total = keras.layers.Add(dtype="float32")(list(values))
        return keras.layers.Activation(activation, dtype="float32")(total) if activation else total

    def end_block(self) -> None:
        """End a group of layers that are tuned together."""
        self.blocks.append([slot.layer for slot in self.slots[self._ended :]])
        self._ended = len(self.slots)

    def pool(self, image: Any, maps: Any) -> Built:
        """Return the network from `image` to the mean of `maps`."""
        import keras

        return self.finish(image, keras.layers.GlobalAveragePooling2D(dtype="float32")(maps))

    def finish(self, inputs: Any, vector: Any) -> Built:
        """Return the network from `inputs` to `vector`."""
        import keras

        return Built(keras.Model(inputs, vector, name="encoder"), self.slots, self.blocks)

    def _pad(self, values: Any, kernel: int, stride: int) -> tuple[Any, str]:
        """Return the values and the padding of a convolution of them. With a stride, `same` pads less in front than behind."""
        import keras

        if self.padding == "tensorflow" or stride == 1 or kernel == 1:
            return values, "same"
        return keras.layers.ZeroPadding2D((kernel - 1) // 2, dtype="float32")(values), "valid"

    def _slot(self, layer: Any, name: str, shape: tuple[int, ...], width: int, norm: str, *, bias: bool, axes: Sequence[int]) -> None:
        epsilon = self.epsilon
        arrays = {f"{name}.weight": shape} | ({f"{name}.bias": (width,)} if bias else {})
        arrays |= {f"{norm}.{part}": (width,) for part in NORM} if norm else {}

        def convert(kernel: Any, *others: Any) -> list[Any]:
            import numpy as np

            shift, folded = (others[0] if bias else np.zeros(width, np.float32)), kernel
            if norm:
                scale, offset, mean, variance = others[-4:]
                factor = scale / np.sqrt(variance + epsilon)
                folded, shift = kernel * factor.reshape(-1, 1, 1, 1), (shift - mean) * factor + offset
            return [np.transpose(folded, axes), shift]

        self.slots.append(Slot(layer, arrays, convert))


def _layer_name(name: str) -> str:
    return name.strip("_").replace(".", "_")


def activation_layer(name: str) -> Any:
    """Return the layer of an activation by its name in config.json. `gelu` is exact, `gelu_new` and `gelu_pytorch_tanh` by tanh."""
    import keras

    from mmtrain.layers.transformer_encoder import Gelu, QuickGelu

    if name == "quick_gelu":
        return QuickGelu()
    return Gelu(approximate=name != "gelu") if name.startswith("gelu") else keras.layers.Activation(name, dtype="float32")
