"""ResNet, Wide ResNet and ResNeXt (He et al. 2016, arXiv:1512.03385), with weights in the naming of torchvision and timm.

Depth, widths and groups follow from the names and shapes of the arrays, so that no config.json is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.encoders.base import Built, Family, family
from mmtrain.encoders.layer_builder import IMAGENET, LayerBuilder, image_input, input_scaling
from mmtrain.specs import TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

BLOCK = re.compile(r"layer(?P<stage>[1-9])\.(?P<number>\d+)\.conv(?P<convolution>[123])\.weight")


@dataclass(frozen=True)
class Block:
    """One residual block: its convolutions as (width, kernel, groups), and whether its shortcut has a convolution."""

    name: str
    convolutions: tuple[tuple[int, int, int], ...]
    stride: int
    projected: bool


@dataclass(frozen=True)
class Architecture:
    """A network of the family."""

    stem: tuple[int, int]
    """Width and kernel of the first convolution."""
    blocks: tuple[Block, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@family("image")
class ResNet(Family):
    """ResNet-18 to -152 and their wide and grouped relatives."""

    unused: ClassVar[tuple[str, ...]] = (r"fc\.(weight|bias)", r".*\.num_batches_tracked")
    hubs: ClassVar[Mapping[str, str]] = {f"resnet{depth}": f"timm/resnet{depth}.a1_in1k" for depth in (18, 34, 50, 101, 152)}

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:  # noqa: ARG002
        """Return the architecture of a checkpoint with the convolutions `conv1` and `layer1.0.conv1`."""
        shapes = checkpoint.shapes
        stem = shapes.get("conv1.weight", ())
        if len(stem) != 4 or len(shapes.get("layer1.0.conv1.weight", ())) != 4:
            return None
        mean, deviation = input_scaling(checkpoint.config, IMAGENET)
        blocks = _blocks(shapes, stem[0])
        return Architecture((stem[0], stem[2]), blocks, mean, deviation)

    def build(self, architecture: Any, spec: TensorSpec) -> Built:
        """Return the network of an image to the mean of the last maps."""
        return _build(architecture, spec)


def _blocks(shapes: Mapping[str, Sequence[int]], width: int) -> tuple[Block, ...]:
    """Return the blocks in order; `width` is that of the maps in front of the first one."""
    convolutions_of: dict[tuple[int, int], list[tuple[int, Sequence[int]]]] = {}
    for name, shape in shapes.items():
        if (match := BLOCK.fullmatch(name)) and len(shape) == 4:
            convolutions_of.setdefault((int(match["stage"]), int(match["number"])), []).append((int(match["convolution"]), shape))
    blocks = []
    for (stage, number), convolutions in sorted(convolutions_of.items()):
        described = []
        for _, (outputs, inputs, kernel, _) in sorted(convolutions):
            described.append((outputs, kernel, max(1, width // max(1, inputs))))
            width = outputs
        name = f"layer{stage}.{number}"
        stride = 2 if stage > 1 and number == 0 else 1
        blocks.append(Block(name, tuple(described), stride, f"{name}.downsample.0.weight" in shapes))
    return tuple(blocks)


def _build(one: Architecture, spec: TensorSpec) -> Built:
    import keras

    image, values = image_input(spec, one.mean, one.deviation)
    layers = LayerBuilder(padding="even", epsilon=1e-5)
    width, kernel = one.stem
    values = layers.convolve(values, "conv1", width, kernel=kernel, stride=2, norm="bn1", activation="relu")
    # Behind ReLU, a border of zeros is the same as the border of minus infinity that PyTorch pads with.
    values = keras.layers.ZeroPadding2D(1, dtype="float32")(values)
    values = keras.layers.MaxPooling2D(3, strides=2, dtype="float32")(values)
    layers.end_block()
    for block in one.blocks:
        values = _block(layers, values, block)
        layers.end_block()
    return layers.pool(image, values)


def _block(layers: LayerBuilder, inputs: Any, block: Block) -> Any:
    """Return the maps behind a block. The stride is that of its first convolution over neighbours (version 1.5)."""
    values, strided = inputs, False
    for number, (width, kernel, groups) in enumerate(block.convolutions, start=1):
        stride = block.stride if not strided and kernel > 1 else 1
        strided |= kernel > 1
        last = number == len(block.convolutions)
        values = layers.convolve(
            values,
            f"{block.name}.conv{number}",
            width,
            kernel=kernel,
            stride=stride,
            groups=groups,
            norm=f"{block.name}.bn{number}",
            activation="linear" if last else "relu",
        )
    if block.projected:
        down = f"{block.name}.downsample"
        inputs = layers.convolve(inputs, f"{down}.0", block.convolutions[-1][0], stride=block.stride, norm=f"{down}.1")
    return layers.add(values, inputs, activation="relu")
