"""MobileNetV3 (Howard et al. 2019, arXiv:1905.02244), in the naming of timm; the `tf_` variants pad and normalize as TensorFlow does.

Widths and kernels follow from the arrays; strides and activations of the stages are those of the paper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.encoders.base import Built, Family, family
from mmtrain.encoders.layer_builder import HALVES, IMAGENET, LayerBuilder, image_input, input_scaling
from mmtrain.specs import TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

NAME = re.compile(r"(?P<tf>tf_)?mobilenetv3_(?P<size>large|small)_(?P<width>\d{3})")
STAGES = {
    "large": ((1, "relu"), (2, "relu"), (2, "relu"), (2, "hard_silu"), (1, "hard_silu"), (2, "hard_silu"), (1, "hard_silu")),
    "small": ((2, "relu"), (2, "relu"), (2, "hard_silu"), (1, "hard_silu"), (2, "hard_silu"), (1, "hard_silu")),
}
"""Stride and activation of each stage."""


@dataclass(frozen=True)
class Convolution:
    """One convolution: its name, the normalization behind it, and its width and kernel."""

    name: str
    norm: str
    width: int
    kernel: int


@dataclass(frozen=True)
class Block:
    """Convolutions of a block in order, and the width of its gate, 0 for none."""

    name: str
    convolutions: tuple[Convolution, ...]
    gate: int
    stride: int
    activation: str


@dataclass(frozen=True)
class Architecture:
    """A network of the family."""

    tensorflow: bool
    stem: int
    blocks: tuple[Block, ...]
    head: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@family("image")
class MobileNetV3(Family):
    """MobileNetV3 large and small."""

    unused: ClassVar[tuple[str, ...]] = (r"classifier\.(weight|bias)", r".*\.num_batches_tracked")
    hubs: ClassVar[Mapping[str, str]] = {
        "mobilenetv3_large_100": "timm/mobilenetv3_large_100.ra_in1k",
        "mobilenetv3_small_100": "timm/mobilenetv3_small_100.lamb_in1k",
    }

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:
        """Return the architecture that the config.json or the name says; the arrays do not tell the paddings apart."""
        match = NAME.fullmatch(str(checkpoint.config.get("architecture", name)).lower())
        stem = checkpoint.shapes.get("conv_stem.weight", ())
        if match is None or len(stem) != 4:
            return None
        blocks = tuple(_blocks(checkpoint.shapes, STAGES[match["size"]]))
        head = checkpoint.shapes.get("conv_head.weight", (0,))[0]
        scaling = input_scaling(checkpoint.config, HALVES if match["tf"] else IMAGENET)
        return Architecture(bool(match["tf"]), stem[0], blocks, head, *scaling)

    def build(self, architecture: Any, spec: TensorSpec) -> Built:
        """Return the network of an image to the vector behind its last convolution."""
        return _build(architecture, spec)


def _blocks(shapes: Mapping[str, Sequence[int]], stages: Sequence[tuple[int, str]]) -> Any:
    """Yield the blocks of all stages, each with the convolutions that it has arrays for."""
    for stage, (stride, activation) in enumerate(stages):
        for number in range(100):
            name = f"blocks.{stage}.{number}"
            present = [one for one in ("conv", "conv_pw", "conv_dw", "conv_pwl") if f"{name}.{one}.weight" in shapes]
            if not present:
                break
            if "conv_pwl" not in present and "conv_dw" in present:
                present.reverse()  # without expansion, the depthwise convolution is the first
            convolutions = []
            for position, one in enumerate(present, start=1):
                shape = shapes[f"{name}.{one}.weight"]
                convolutions.append(Convolution(f"{name}.{one}", f"{name}.bn{position}", shape[0], shape[-1]))
            gate = shapes.get(f"{name}.se.conv_reduce.weight", (0,))[0]
            yield Block(name, tuple(convolutions), gate, stride if number == 0 else 1, activation)


def _build(one: Architecture, spec: TensorSpec) -> Built:
    import keras

    image, values = image_input(spec, one.mean, one.deviation)
    layers = LayerBuilder(padding="tensorflow" if one.tensorflow else "even", epsilon=1e-3 if one.tensorflow else 1e-5)
    values = layers.convolve(values, "conv_stem", one.stem, kernel=3, stride=2, norm="bn1", activation="hard_silu")
    layers.end_block()
    for block in one.blocks:
        values = _block(layers, values, block)
        layers.end_block()
    values = keras.layers.GlobalAveragePooling2D(keepdims=True, dtype="float32")(values)
    values = layers.convolve(values, "conv_head", one.head, activation="hard_silu", bias=True)
    layers.end_block()
    return layers.finish(image, keras.layers.Flatten(dtype="float32")(values))


def _block(layers: LayerBuilder, inputs: Any, block: Block) -> Any:
    values = inputs
    for number, one in enumerate(block.convolutions, start=1):
        depthwise = one.name.endswith("conv_dw")
        # The last convolution of a block is linear; a block of one convolution, the last stage, is not.
        linear = number == len(block.convolutions) > 1
        activation = "linear" if linear else block.activation
        if depthwise:
            values = layers.convolve_depthwise(
                values, one.name, kernel=one.kernel, stride=block.stride, norm=one.norm, activation=activation
            )
        else:
            values = layers.convolve(values, one.name, one.width, kernel=one.kernel, norm=one.norm, activation=activation)
        if depthwise and block.gate:
            names = f"{block.name}.se.conv_reduce", f"{block.name}.se.conv_expand"
            values = layers.gate(values, *names, block.gate, activation="relu", gate="hard_sigmoid")
    same = values.shape[-1] == inputs.shape[-1] and block.stride == 1 and len(block.convolutions) > 1
    return layers.add(inputs, values) if same else values
