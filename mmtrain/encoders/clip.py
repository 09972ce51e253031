"""The two towers of CLIP and SigLIP (Radford et al. 2021, arXiv:2103.00020; Zhai et al. 2023, arXiv:2303.15343), as in Transformers.

An image tower and a text tower whose vectors lie in the same space: the cosine of both says how well a text describes an image. Both are
transformers with the normalization in front of each part. CLIP reads texts from left to right, and its vectors are those of the class
token and of the last piece, projected. SigLIP reads texts padded to 64 pieces, padding included, and its image vector is attention pooling
by a learned query. Sizes follow from the arrays, heads from the config.json or from the usual width of 64.

SigLIP 2 (Tschannen et al. 2025, arXiv:2502.14786) has the networks of SigLIP where its config.json names `siglip`, and Gemma's tokenizer.
Where it names `siglip2` (NaFlex), patches are embedded by a dense layer, and positions are brought to the grid of the image, of any aspect
ratio, by linear interpolation with antialias. The columns of mmtrain have one size, so no patch of an image is padding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.encoders.base import Built, Family, Slot, family
from mmtrain.encoders.layer_builder import HALVES, LayerBuilder, activation_layer, check_sides, image_input, input_scaling
from mmtrain.encoders.vit import HEAD_WIDTH, cubic_weights, linear_weights, resample
from mmtrain.specs import PieceSpec, TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

CLIP_SCALING = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
ACTIVATIONS = ("quick_gelu", "gelu", "gelu_pytorch_tanh")
HUBS = {
    "clip-vit-base-patch32": "openai/clip-vit-base-patch32",
    "clip-vit-base-patch16": "openai/clip-vit-base-patch16",
    "siglip-base-patch16-224": "google/siglip-base-patch16-224",
    "siglip2-base-patch16-naflex": "google/siglip2-base-patch16-naflex",
}


@dataclass(frozen=True)
class Architecture:
    """Sizes of a tower, as its arrays and config.json have them."""

    siglip: bool
    """True for SigLIP and SigLIP 2."""
    prefix: str
    """Beginning of the names of its arrays, `vision_model.` or `text_model.`."""
    blocks: int
    width: int
    heads: int
    inner: int
    activation: str
    epsilon: float
    positions: int
    """Rows of the table of positions."""
    projected: int
    """Width of the vector; 0 where the checkpoint has no projection."""
    patch: int = 0
    naflex: bool = False
    """True for an image tower of SigLIP 2 that was trained on images of any aspect ratio."""
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    vocabulary: int = 0
    padding: int = 0
    """The piece that SigLIP reads as padding."""


@family("image", "clip")
class ClipImage(Family):
    """Image towers of CLIP and SigLIP."""

    has_text_tower: ClassVar[bool] = True
    unused: ClassVar[tuple[str, ...]] = (r"text_(model|projection)\..*", r"logit_(scale|bias)", r".*\.position_ids")
    hubs: ClassVar[Mapping[str, str]] = HUBS

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:  # noqa: ARG002
        """Return the image tower of a checkpoint whose config.json names CLIP or SigLIP."""
        return _tower(checkpoint, "vision")

    def check(self, architecture: Architecture, spec: TensorSpec) -> None:
        """Raise ValueError for images smaller than a patch."""
        check_sides(spec, architecture.patch)

    def build(self, architecture: Architecture, spec: TensorSpec) -> Built:
        """Return the network of an image to its vector."""
        return build_image(architecture, spec)


@family("pieces", "clip_text")
class ClipText(Family):
    """Text towers of CLIP and SigLIP."""

    unused: ClassVar[tuple[str, ...]] = (r"(vision_model|visual_projection)\..*", r"logit_(scale|bias)", r".*\.position_ids")
    hubs: ClassVar[Mapping[str, str]] = HUBS

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:  # noqa: ARG002
        """Return the text tower of a checkpoint whose config.json names CLIP or SigLIP."""
        return _tower(checkpoint, "text")

    def check(self, architecture: Architecture, spec: TensorSpec) -> None:
        """Raise ValueError for longer texts than the tower has positions, and for ids of another vocabulary."""
        if not isinstance(spec, PieceSpec):
            return
        if spec.length > architecture.positions:
            raise ValueError(f"it reads {architecture.positions} pieces at most, and `max_length` is {spec.length}")
        # Padding is a piece behind the vocabulary, see `mmtrain.text.tokenizers.pieces`.
        if spec.size - (spec.padding == architecture.vocabulary) > architecture.vocabulary:
            raise ValueError(f"its tokenizer has {spec.size:,} pieces, and its weights are for {architecture.vocabulary:,}")

    def build(self, architecture: Architecture, spec: TensorSpec) -> Built:
        """Return the network of ids (batch, length) to the vector of the text."""
        return build_text(architecture, spec)


def _tower(checkpoint: Checkpoint, part: str) -> Architecture | None:
    version = str(checkpoint.config.get("model_type", "")).removesuffix(f"_{part}_model")
    kind = "siglip" if version == "siglip2" else version
    prefix, shapes = f"{part}_model.", checkpoint.shapes
    name = f"{prefix}embeddings." + ("patch_embedding.weight" if part == "vision" else "token_embedding.weight")
    if kind not in ("clip", "siglip") or name not in shapes:
        return None
    config = checkpoint.config.get(f"{part}_config", checkpoint.config)
    table, inner = shapes[name], shapes[f"{prefix}encoder.layers.0.mlp.fc1.weight"][0]
    width = table[0] if part == "vision" else table[1]
    heads = int(config.get("num_attention_heads", max(1, width // HEAD_WIDTH)))
    activation = str(config.get("hidden_act", "quick_gelu" if kind == "clip" else "gelu_pytorch_tanh"))
    if heads < 1 or width % heads:
        raise ValueError(f"`num_attention_heads` is {heads}, which does not divide the width {width}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"`hidden_act` is {activation!r}; known are {', '.join(ACTIVATIONS)}")
    projections = {"visionclip": "visual_projection", "textclip": "text_projection", "textsiglip": f"{prefix}head"}
    projection = shapes.get(f"{projections.get(part + kind, '')}.weight", (0,))
    mean, deviation = input_scaling(checkpoint.config, HALVES if kind == "siglip" else CLIP_SCALING) if part == "vision" else ((), ())
    return Architecture(
        siglip=kind == "siglip",
        prefix=prefix,
        blocks=next(block for block in range(1000) if f"{prefix}encoder.layers.{block}.mlp.fc1.weight" not in shapes),
        width=width,
        heads=heads,
        inner=inner,
        activation=activation,
        epsilon=float(config.get("layer_norm_eps", 1e-6 if kind == "siglip" else 1e-5)),
        positions=shapes[f"{prefix}embeddings.position_embedding.weight"][0],
        projected=projection[0],
        patch=_patch(table) if part == "vision" else 0,
        naflex=part == "vision" and len(table) == 2,
        mean=mean,
        deviation=deviation,
        vocabulary=table[0] if part == "text" else 0,
        padding=int(config.get("pad_token_id", 1)),
    )


def _patch(kernel: tuple[int, ...]) -> int:
    """Return the side of a patch from the shape of its kernel, (width, 3, side, side) or, in NaFlex, (width, side * side * 3)."""
    return kernel[2] if len(kernel) == 4 else math.isqrt(kernel[1] // 3)


def build_image(one: Architecture, spec: TensorSpec) -> Built:
    """Return the network of an image to its vector, with arrays named as in Transformers."""
    import keras

    from mmtrain.layers.pretrained import SpecialTokens

    image, pixels = image_input(spec, one.mean, one.deviation)
    rows, columns = spec.shape[0] // one.patch, spec.shape[1] // one.patch
    layers = LayerBuilder(epsilon=one.epsilon)
    patches = f"{one.prefix}embeddings.patch_embedding"
    values = layers.cut_patches(pixels, patches, one.width, one.patch, bias=one.siglip, flat=one.naflex)
    values = keras.layers.Reshape((rows * columns, one.width), dtype="float32")(values)
    tokens = SpecialTokens(special=int(not one.siglip), registers=0, name="tokens", dtype="float32")
    values = tokens(values)
    layers.slots.append(_positions(tokens, one, rows, columns))
    if not one.siglip:
        values = layers.normalize(values, f"{one.prefix}pre_layrnorm")  # the name in the published files
    layers.end_block()
    values = _blocks(layers, values, one)
    if one.siglip:
        vector = _pool_attention(layers, layers.normalize(values, f"{one.prefix}post_layernorm"), one)
    else:
        vector = layers.normalize(values[:, 0], f"{one.prefix}post_layernorm")
        vector = layers.dense(vector, "visual_projection", one.projected, bias=False) if one.projected else vector
    layers.end_block()
    return layers.finish(image, vector)


def build_text(one: Architecture, spec: TensorSpec) -> Built:
    """Return the network of ids to the vector of a text, with arrays named as in Transformers."""
    import keras

    from mmtrain.layers.transformer_encoder import FixedLength, PieceMask, PiecePositions, PoolPieces, TrimPadding

    layers = LayerBuilder(epsilon=one.epsilon)
    size, padding = getattr(spec, "size", one.vocabulary), getattr(spec, "padding", one.vocabulary)
    ids = keras.Input((None,), dtype="int32")
    if one.siglip:
        fill = padding if padding < one.vocabulary else one.padding
        pieces = FixedLength(length=one.positions, padding=padding, fill=fill)(ids)
    else:
        pieces = TrimPadding(padding=padding)(ids)
    known = PieceMask(padding=-1 if one.siglip else padding)(pieces)  # SigLIP's last piece is that of the last place
    count = max(size, one.vocabulary)
    table = keras.layers.Embedding(count, one.width, embeddings_initializer="zeros", dtype="float32")
    places = PiecePositions(positions=one.positions, shared=False)
    values = places(table(pieces), known)
    layers.slots.append(Slot(table, {f"{one.prefix}embeddings.token_embedding.weight": (one.vocabulary, one.width)}, _pad_rows(count)))
    arrays = {f"{one.prefix}embeddings.position_embedding.weight": (one.positions, one.width)}
    layers.slots.append(Slot(places, arrays, lambda positions: [positions]))
    layers.end_block()
    values = layers.normalize(_blocks(layers, values, one, causal=not one.siglip), f"{one.prefix}final_layer_norm")
    vector = PoolPieces(pooling="last")(values, known)
    if one.siglip:
        vector = layers.dense(vector, f"{one.prefix}head", one.projected)
    elif one.projected:
        vector = layers.dense(vector, "text_projection", one.projected, bias=False)
    layers.end_block()
    return layers.finish(ids, vector)


def _pad_rows(count: int) -> Any:
    """Return a conversion of a table of vectors to `count` rows; the row of our own padding, which no vector depends on, is 0."""
    import numpy as np

    return lambda words: [np.pad(words, [[0, count - len(words)], [0, 0]])]


def _blocks(layers: LayerBuilder, values: Any, one: Architecture, *, causal: bool = False) -> Any:
    """Return the tokens after all blocks, (batch, tokens, width)."""
    from mmtrain.layers.pretrained import AttendHeads

    for number in range(one.blocks):
        start = f"{one.prefix}encoder.layers.{number}."
        inner = layers.normalize(values, f"{start}layer_norm1")
        parts = [layers.dense(inner, f"{start}self_attn.{part}_proj", one.width) for part in ("q", "k", "v")]
        attended = AttendHeads(heads=one.heads, causal=causal, dtype="float32")(*parts)
        values = layers.add(values, layers.dense(attended, f"{start}self_attn.out_proj", one.width))
        values = layers.add(values, _feed_forward(layers, layers.normalize(values, f"{start}layer_norm2"), f"{start}mlp", one))
        layers.end_block()
    return values


def _feed_forward(layers: LayerBuilder, values: Any, name: str, one: Architecture) -> Any:
    inner = activation_layer(one.activation)(layers.dense(values, f"{name}.fc1", one.inner))
    return layers.dense(inner, f"{name}.fc2", one.width)


def _pool_attention(layers: LayerBuilder, values: Any, one: Architecture) -> Any:
    """Return SigLIP's vector of an image: a learned query attends to all patches, and a feed-forward part follows."""
    import keras

    from mmtrain.layers.pretrained import AttendHeads, LearnedToken

    start = f"{one.prefix}head."
    joint = {
        f"{start}attention.in_proj_weight": (3 * one.width, one.width),
        f"{start}attention.in_proj_bias": (3 * one.width,),
    }  # query, key and value, one below the other
    token = LearnedToken(name="query", dtype="float32")
    query = token(values)
    first = slice(0, one.width)
    arrays = {f"{start}probe": (1, 1, one.width), **joint}
    # The projected query is a constant, so that is what the layer keeps.
    layers.slots.append(Slot(token, arrays, lambda probe, kernel, bias: [probe[0] @ kernel[first].T + bias[first]]))
    parts = []
    for place, name in enumerate(("key", "value"), start=1):
        layer = keras.layers.Dense(one.width, kernel_initializer="zeros", name=f"pooling_{name}", dtype="float32")
        parts.append(layer(values))
        rows = slice(place * one.width, (place + 1) * one.width)
        layers.slots.append(Slot(layer, joint, lambda kernel, bias, rows=rows: [kernel[rows].T, bias[rows]]))
    attended = AttendHeads(heads=one.heads, dtype="float32")(query, *parts)
    attended = layers.dense(attended, f"{start}attention.out_proj", one.width)
    inner = _feed_forward(layers, layers.normalize(attended, f"{start}layernorm"), f"{start}mlp", one)
    return layers.add(attended, inner)[:, 0]


def _positions(layer: Any, one: Architecture, rows: int, columns: int) -> Slot:
    """Return CLIP's class token with its position, and the positions of the patches."""
    special = int(not one.siglip)
    side = math.isqrt(one.positions - special)
    if side * side + special != one.positions:
        raise ValueError(f"its {one.positions} positions are not a square")
    arrays: dict[str, tuple[int, ...]] = {} if one.siglip else {f"{one.prefix}embeddings.class_embedding": (one.width,)}
    arrays |= {f"{one.prefix}embeddings.position_embedding.weight": (one.positions, one.width)}

    def convert(*values: Any) -> list[Any]:
        table = values[-1]
        weights = linear_weights if one.naflex else cubic_weights
        grid = resample(table[special:].reshape(side, side, one.width), (rows, columns), weights).reshape(rows * columns, one.width)
        return [*([values[0][None] + table[:1]] if special else []), grid]

    return Slot(layer, arrays, convert)
