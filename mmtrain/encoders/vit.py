"""Vision transformers (Dosovitskiy et al. 2021, arXiv:2010.11929): ViT, DeiT and DINOv2, in the naming of timm and of Transformers.

All are the same network with other names: patches and special tokens, blocks of attention and a feed-forward part, each normalized before
it and, in DINOv2, scaled behind it. The vector is the class token behind the last normalization. Depth and widths follow from the arrays,
heads from the config.json or from the usual width of 64. Positions are resampled to other sizes of images as bicubic interpolation does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.encoders.base import Built, Family, Slot, family
from mmtrain.encoders.layer_builder import HALVES, IMAGENET, LayerBuilder, check_sides, image_input, input_scaling
from mmtrain.specs import TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

HEAD_WIDTH = 64
"""Width of a head in all published networks of the family."""


@dataclass(frozen=True)
class Names:
    """The names of arrays in one naming; `{}` stands for the number of a block."""

    patches: str
    classes: str
    positions: str
    registers: str
    distillation: str
    first_norm: str
    attention: tuple[str, ...]
    """Query, key and value, or all three in one array."""
    projected: str
    first_scale: str
    second_norm: str
    widened: str
    narrowed: str
    second_scale: str
    norm: str


TIMM = Names(
    "patch_embed.proj",
    "cls_token",
    "pos_embed",
    "reg_token",
    "dist_token",
    "blocks.{}.norm1",
    ("blocks.{}.attn.qkv",),
    "blocks.{}.attn.proj",
    "blocks.{}.ls1.gamma",
    "blocks.{}.norm2",
    "blocks.{}.mlp.fc1",
    "blocks.{}.mlp.fc2",
    "blocks.{}.ls2.gamma",
    "norm",
)
_LAYER = "encoder.layer.{}"
_QUERIES = tuple(f"{_LAYER}.attention.attention.{part}" for part in ("query", "key", "value"))
VIT = Names(
    "embeddings.patch_embeddings.projection",
    "embeddings.cls_token",
    "embeddings.position_embeddings",
    "embeddings.register_tokens",
    "embeddings.distillation_token",
    f"{_LAYER}.layernorm_before",
    _QUERIES,
    f"{_LAYER}.attention.output.dense",
    "",
    f"{_LAYER}.layernorm_after",
    f"{_LAYER}.intermediate.dense",
    f"{_LAYER}.output.dense",
    "",
    "layernorm",
)
DINO = Names(
    VIT.patches,
    VIT.classes,
    VIT.positions,
    VIT.registers,
    VIT.distillation,
    f"{_LAYER}.norm1",
    _QUERIES,
    VIT.projected,
    f"{_LAYER}.layer_scale1.lambda1",
    f"{_LAYER}.norm2",
    f"{_LAYER}.mlp.fc1",
    f"{_LAYER}.mlp.fc2",
    f"{_LAYER}.layer_scale2.lambda1",
    "layernorm",
)
NAMINGS = {"": TIMM, **{"vit": VIT, "deit": VIT}, **dict.fromkeys(("dinov2", "dinov2_with_registers"), DINO)}
"""Namings by the `model_type` of the config.json; timm has none."""


@dataclass(frozen=True)
class Architecture:
    """A network of the family."""

    naming: str
    prefix: str
    """Beginning of the names in a checkpoint with a head, such as `vit.`."""
    depth: int
    width: int
    hidden: int
    heads: int
    patch: int
    positions: int
    """Rows of the table of positions."""
    registers: int
    distilled: bool
    epsilon: float
    scaled: bool
    bias: bool
    """True if queries, keys and values have one."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def name(self, field: str, block: int = 0) -> str:
        """Return the name of an array, or of a layer's arrays."""
        return self.prefix + str(getattr(NAMINGS[self.naming], field)).format(block)


@family("image")
class ViT(Family):
    """ViT, DeiT, and DINOv2 with and without registers."""

    unused: ClassVar[tuple[str, ...]] = (
        r"(head|head_dist|classifier|cls_classifier|distillation_classifier)\.(weight|bias)",
        r"(\w+\.)?embeddings\.mask_token",
        r"(\w+\.)?pooler\.dense\.(weight|bias)",
    )
    hubs: ClassVar[Mapping[str, str]] = {
        "dinov2_small": "facebook/dinov2-small",
        "dinov2_base": "facebook/dinov2-base",
        "vit_base_patch16_224": "google/vit-base-patch16-224",
        "vit_small_patch16_224": "timm/vit_small_patch16_224.augreg_in21k_ft_in1k",
        "deit_small_patch16_224": "facebook/deit-small-patch16-224",
    }

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:  # noqa: ARG002
        """Return the architecture of a checkpoint whose config.json names the family; the scaling of images follows from it."""
        config = checkpoint.config
        naming, timm = str(config.get("model_type", "")), str(config.get("architecture", ""))
        if naming not in NAMINGS or (not naming and not timm.startswith(("vit_", "deit_"))):
            return None
        names = NAMINGS[naming]
        prefixes = ("", *(f"{model}." for model in NAMINGS if model))
        prefix = next((one for one in prefixes if one + names.classes in checkpoint.shapes), None)
        if prefix is None:
            return None
        return _architecture(checkpoint, naming, prefix, names)

    def check(self, architecture: Any, spec: TensorSpec) -> None:
        """Raise ValueError for images smaller than a patch."""
        check_sides(spec, architecture.patch)

    def build(self, architecture: Any, spec: TensorSpec) -> Built:
        """Return the network of an image to the class token."""
        return _build(architecture, spec)


def _architecture(checkpoint: Checkpoint, naming: str, prefix: str, names: Names) -> Architecture | None:
    shapes, config = checkpoint.shapes, checkpoint.config
    patches, positions = shapes.get(f"{prefix}{names.patches}.weight", ()), shapes.get(prefix + names.positions, ())
    hidden = shapes.get(f"{prefix}{names.widened}.weight".format(0), ())
    if (len(patches), len(positions), len(hidden)) != (4, 3, 2):
        return None
    depth = next(block for block in range(1000) if f"{prefix}{names.widened}.weight".format(block) not in shapes)
    usual = IMAGENET if naming.startswith("dinov2") or naming == "deit" else HALVES
    mean, deviation = input_scaling(config, usual)
    registers = shapes.get(prefix + names.registers, (1, 0, 0))
    heads = int(config.get("num_attention_heads", max(1, patches[0] // HEAD_WIDTH)))
    if heads < 1 or patches[0] % heads:
        raise ValueError(f"`num_attention_heads` is {heads}, which does not divide the width {patches[0]}")
    return Architecture(
        naming,
        prefix,
        depth,
        width=patches[0],
        hidden=hidden[0],
        heads=heads,
        patch=patches[2],
        positions=positions[1],
        registers=registers[1],
        distilled=prefix + names.distillation in shapes,
        epsilon=float(config.get("layer_norm_eps", 1e-6)),
        scaled=bool(names.first_scale) and prefix + names.first_scale.format(0) in shapes,
        bias=f"{prefix}{names.attention[0]}.bias".format(0) in shapes,
        mean=mean,
        deviation=deviation,
    )


def _build(one: Architecture, spec: TensorSpec) -> Built:
    import keras

    from mmtrain.layers.pretrained import SpecialTokens

    image, pixels = image_input(spec, one.mean, one.deviation)
    rows, columns = spec.shape[0] // one.patch, spec.shape[1] // one.patch
    layers = LayerBuilder(epsilon=one.epsilon)
    values = layers.cut_patches(pixels, one.name("patches"), one.width, one.patch)
    values = keras.layers.Reshape((rows * columns, one.width), dtype="float32")(values)
    special = SpecialTokens(special=1 + one.distilled, registers=one.registers, name="tokens", dtype="float32")
    values = special(values)
    layers.slots.append(_tokens(special, one, rows, columns))
    layers.end_block()
    for number in range(one.depth):
        values = _block(layers, values, one, number)
        layers.end_block()
    vector = layers.normalize(values[:, 0], one.name("norm"))
    layers.end_block()
    return layers.finish(image, vector)


def _block(layers: LayerBuilder, values: Any, one: Architecture, number: int) -> Any:
    """Return the tokens behind a block, (batch, tokens, width)."""
    from mmtrain.layers.pretrained import AttendHeads

    def scale(branch: Any, field: str) -> Any:
        return layers.scale(branch, one.name(field, number)) if one.scaled else branch

    inner = layers.normalize(values, one.name("first_norm", number))
    names = [one.prefix + name.format(number) for name in NAMINGS[one.naming].attention]
    parts = [layers.dense(inner, name, 3 * one.width // len(names), bias=one.bias) for name in names]
    attended = AttendHeads(heads=one.heads, dtype="float32")(*parts)
    attended = layers.dense(attended, one.name("projected", number), one.width)
    values = layers.add(values, scale(attended, "first_scale"))
    inner = layers.normalize(values, one.name("second_norm", number))
    inner = layers.dense(inner, one.name("widened", number), one.hidden, activation="gelu")
    inner = layers.dense(inner, one.name("narrowed", number), one.width)
    return layers.add(values, scale(inner, "second_scale"))


def _tokens(layer: Any, one: Architecture, rows: int, columns: int) -> Slot:
    """Return the tokens in front of the patches, each with its position, the registers, and the positions of the patches."""
    special = 1 + one.distilled
    side = math.isqrt(one.positions - special)
    # timm keeps no position for special tokens where there are registers: the table then is that of the patches alone.
    placed = special if side * side == one.positions - special else 0
    side = math.isqrt(one.positions - placed)
    if side * side + placed != one.positions:
        raise ValueError(f"its {one.positions} positions are not a square")
    arrays = {one.name("classes"): (1, 1, one.width)}
    arrays |= {one.name("distillation"): (1, 1, one.width)} if one.distilled else {}
    arrays |= {one.name("positions"): (1, one.positions, one.width)}
    arrays |= {one.name("registers"): (1, one.registers, one.width)} if one.registers else {}

    def convert(*values: Any) -> list[Any]:
        import numpy as np

        tokens, table = np.concatenate(values[:special], axis=1)[0], values[special][0]
        tokens = tokens + table[:placed] if placed else tokens
        grid = resample(table[placed:].reshape(side, side, one.width), (rows, columns)).reshape(rows * columns, one.width)
        return [tokens, *([values[-1][0]] if one.registers else []), grid]

    return Slot(layer, arrays, convert)


def cubic_weights(length: int, before: int) -> Any:
    """Return the weights, (length, before), of cubic convolution with a = -0.75, which is PyTorch's `bicubic`."""
    import numpy as np

    place = (np.arange(length) + 0.5) * before / length - 0.5
    first = np.floor(place).astype(int)
    matrix = np.zeros((length, before))
    for step in range(-1, 3):
        distance = np.abs(place - first - step)
        near = (1.25 * distance - 2.25) * distance**2 + 1
        far = -0.75 * (((distance - 5) * distance + 8) * distance - 4)
        np.add.at(matrix, (np.arange(length), np.clip(first + step, 0, before - 1)), np.where(distance <= 1, near, far))
    return matrix


def linear_weights(length: int, before: int) -> Any:
    """Return the weights, (length, before), of linear interpolation with antialias: a triangle that is wider where the grid shrinks."""
    import numpy as np

    place = (np.arange(length) + 0.5) * before / length
    distance = np.abs(np.arange(before) + 0.5 - place[:, None]) / max(before / length, 1)
    triangle = np.maximum(1 - distance, 0)
    return triangle / triangle.sum(axis=1, keepdims=True)


def resample(grid: Any, size: Sequence[int], weights: Callable[[int, int], Any] = cubic_weights) -> Any:
    """Return a grid, (height, width, channels), at another size; `weights` are those of one side."""
    import numpy as np

    for axis, length in enumerate(size):
        if grid.shape[axis] != length:
            matrix = weights(length, grid.shape[axis])
            grid = np.moveaxis(np.tensordot(matrix, grid, (1, axis)), 0, axis)
    return grid.astype(np.float32)
