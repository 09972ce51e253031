"""DINOv3 (Simeoni et al. 2025, arXiv:2508.10104), vision transformers in the naming of Transformers.

Unlike ViT and DINOv2 they have no table of positions: queries and keys of patches are rotated by angles that follow from the place of
their patch in the image (RoPE, Su et al. 2021, arXiv:2104.09864, in two dimensions), so that images of any size are read. The class token
and four registers are not rotated. The vector is the class token after the last normalization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.encoders.base import Built, Family, Slot, family
from mmtrain.encoders.layer_builder import IMAGENET, LayerBuilder, activation_layer, check_sides, image_input, input_scaling
from mmtrain.encoders.vit import HEAD_WIDTH
from mmtrain.specs import TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

ACTIVATIONS = ("gelu", "silu")


@dataclass(frozen=True)
class Architecture:
    """Sizes and options of a network, as its arrays and config.json have them."""

    depth: int
    width: int
    inner: int
    heads: int
    patch: int
    registers: int
    epsilon: float
    base: float
    """Base of the rotations' wavelengths."""
    activation: str
    gated: bool
    biases: tuple[str, ...]
    """Projections of the first block that have a bias; the others have the same."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@family("image")
class DinoV3(Family):
    """DINOv3's vision transformers."""

    unused: ClassVar[tuple[str, ...]] = (r"embeddings\.mask_token", r"rope_embeddings\..*")
    hubs: ClassVar[Mapping[str, str]] = {
        "dinov3_small": "facebook/dinov3-vits16-pretrain-lvd1689m",
        "dinov3_base": "facebook/dinov3-vitb16-pretrain-lvd1689m",
    }

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:  # noqa: ARG002
        """Return the architecture of a checkpoint whose config.json names the family."""
        return _architecture(checkpoint) if checkpoint.config.get("model_type") == "dinov3_vit" else None

    def check(self, architecture: Architecture, spec: TensorSpec) -> None:
        """Raise ValueError for images smaller than a patch."""
        check_sides(spec, architecture.patch)

    def build(self, architecture: Architecture, spec: TensorSpec) -> Built:
        """Return the network of an image to the class token."""
        return _build(architecture, spec)


def _architecture(checkpoint: Checkpoint) -> Architecture:
    shapes, config = checkpoint.shapes, checkpoint.config
    width, _, patch, _ = shapes["embeddings.patch_embeddings.weight"]
    heads, activation = int(config.get("num_attention_heads", max(1, width // HEAD_WIDTH))), str(config.get("hidden_act", "gelu"))
    if heads < 1 or width % heads or (width // heads) % 4:
        raise ValueError(f"`num_attention_heads` is {heads}; the width {width} divided by it must be a multiple of 4")
    if activation not in ACTIVATIONS:
        raise ValueError(f"`hidden_act` is {activation!r}; known are {', '.join(ACTIVATIONS)}")
    projections = ("attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj", "mlp.up_proj")
    mean, deviation = input_scaling(config, IMAGENET)
    return Architecture(
        depth=next(block for block in range(1000) if f"layer.{block}.mlp.up_proj.weight" not in shapes),
        width=width,
        inner=shapes["layer.0.mlp.up_proj.weight"][0],
        heads=heads,
        patch=patch,
        registers=shapes.get("embeddings.register_tokens", (1, 0, 0))[1],
        epsilon=float(config.get("layer_norm_eps", 1e-5)),
        base=float(config.get("rope_theta", 100.0)),
        activation=activation,
        gated="layer.0.mlp.gate_proj.weight" in shapes,
        biases=tuple(name for name in projections if f"layer.0.{name}.bias" in shapes),
        mean=mean,
        deviation=deviation,
    )


def _build(one: Architecture, spec: TensorSpec) -> Built:
    import keras

    from mmtrain.layers.pretrained import RotaryPositions, SpecialTokens

    image, pixels = image_input(spec, one.mean, one.deviation)
    rows, columns = spec.shape[0] // one.patch, spec.shape[1] // one.patch
    layers = LayerBuilder(epsilon=one.epsilon)
    values = layers.cut_patches(pixels, "embeddings.patch_embeddings", one.width, one.patch)
    values = keras.layers.Reshape((rows * columns, one.width), dtype="float32")(values)
    special = SpecialTokens(special=1, registers=one.registers, positions=False, name="tokens", dtype="float32")
    values = special(values)
    arrays = {"embeddings.cls_token": (1, 1, one.width)}
    arrays |= {"embeddings.register_tokens": (1, one.registers, one.width)} if one.registers else {}
    layers.slots.append(Slot(special, arrays, lambda *tokens: [token[0] for token in tokens]))
    layers.end_block()
    rotate = RotaryPositions(heads=one.heads, special=1 + one.registers, rows=rows, columns=columns, base=one.base, dtype="float32")
    for number in range(one.depth):
        values = _block(layers, values, one, number, rotate)
        layers.end_block()
    vector = layers.normalize(values[:, 0], "norm")
    layers.end_block()
    return layers.finish(image, vector)


def _block(layers: LayerBuilder, values: Any, one: Architecture, number: int, rotate: Any) -> Any:
    """Return the tokens after a block, (batch, tokens, width)."""
    from mmtrain.layers.pretrained import AttendHeads

    start = f"layer.{number}."

    def dense(inputs: Any, name: str, width: int) -> Any:
        bias = name in one.biases or (name.startswith("mlp") and "mlp.up_proj" in one.biases)
        return layers.dense(inputs, start + name, width, bias=bias)

    inner = layers.normalize(values, f"{start}norm1")
    queries, keys, parts = (dense(inner, f"attention.{part}_proj", one.width) for part in ("q", "k", "v"))
    attended = AttendHeads(heads=one.heads, dtype="float32")(rotate(queries), rotate(keys), parts)
    attended = dense(attended, "attention.o_proj", one.width)
    values = layers.add(values, layers.scale(attended, f"{start}layer_scale1.lambda1"))
    inner = layers.normalize(values, f"{start}norm2")
    wide = dense(inner, "mlp.up_proj", one.inner)
    activation = activation_layer(one.activation)
    if one.gated:
        import keras

        wide = keras.layers.Multiply(dtype="float32")([activation(dense(inner, "mlp.gate_proj", one.inner)), wide])
    else:
        wide = activation(wide)
    narrow = dense(wide, "mlp.down_proj", one.width)
    return layers.add(values, layers.scale(narrow, f"{start}layer_scale2.lambda1"))
