"""The two towers of CLIP as OpenCLIP stores them (Cherti et al. 2023, arXiv:2212.07143), with its open_clip_config.json next to them.

The networks are those of `mmtrain.encoders.clip` with other names: query, key and value are one array, and projections are transposed. A
tower by timm or by Transformers, a ResNet, or one with other pooling is of no family here, or refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.encoders.base import OPEN_CLIP, Built, Slot, family
from mmtrain.encoders.clip import CLIP_SCALING, Architecture, ClipImage, ClipText, build_image, build_text
from mmtrain.encoders.layer_builder import input_scaling
from mmtrain.encoders.vit import HEAD_WIDTH
from mmtrain.specs import TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

PATCHES, FIRST_BLOCK = "visual.conv1.weight", "resblocks.0.attn.in_proj_weight"
TEXT = r"(.*\.)?(transformer|token_embedding|ln_final|text)\..*", r"(.*\.)?(positional_embedding|text_projection|attn_mask|cls_emb)"
REST = r"(.*\.)?(logit_scale|logit_bias|input_resolution|context_length|vocab_size)"
PLAIN = {
    **{"final_ln_after_pool": False, "no_causal_mask": False, "attentional_pool": False, "proj_type": "linear", "act_kwargs": None},
    **{"scaled_cosine_attn": False, "pos_embed_type": "learnable"},
}
"""Options of a tower that change its vectors and not its arrays, with the values that are read."""
RENAMED = (
    (r"(text|vision)_model\.", ""),
    (r"encoder\.layers\.", "transformer.resblocks."),
    (r"self_attn\.([qkv])_proj\.", "attn.in_proj_"),
    (r"self_attn\.", "attn."),
    (r"layer_norm([12])", r"ln_\1"),
    (r"mlp\.fc1", "mlp.c_fc"),
    (r"mlp\.fc2", "mlp.c_proj"),
    (r"embeddings\.patch_embedding", "conv1"),
    (r"embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"embeddings\.", ""),
    (r"pre_layrnorm", "ln_pre"),
    (r"post_layernorm", "ln_post"),
    (r"final_layer_norm", "ln_final"),
    (r"visual_projection\.weight", "proj"),
    (r"text_projection\.weight", "text_projection"),
)
"""Patterns in the names of Transformers, and what stands in their places."""


@family("image", "open_clip")
class OpenClipImage(ClipImage):
    """Image towers of OpenCLIP."""

    unused: ClassVar[tuple[str, ...]] = (rf"(?!(.*\.)?visual\.)({'|'.join(TEXT)})", REST)
    hubs: ClassVar[Mapping[str, str]] = {}

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:  # noqa: ARG002
        """Return the image tower of a checkpoint with the names of OpenCLIP. Raises ValueError without its config."""
        start = _start(checkpoint)
        if start is None:
            return None
        options, shapes = _options(checkpoint, "vision_cfg", "tok"), checkpoint.shapes
        width, _, patch, _ = shapes[f"{start}{PATCHES}"]
        heads = width // int(options.get("head_width", HEAD_WIDTH))
        mean, deviation = input_scaling({"pretrained_cfg": checkpoint.config[OPEN_CLIP].get("preprocess_cfg", {})}, CLIP_SCALING)
        start = f"{start}visual."
        return _tower(
            checkpoint, start, width=width, heads=heads, projected=shapes[f"{start}proj"][1], patch=patch, mean=mean, deviation=deviation
        )

    def build(self, architecture: Architecture, spec: TensorSpec) -> Built:
        """Return the network of an image to its vector."""
        return _renamed(build_image(replace(architecture, prefix="vision_model."), spec), architecture)


@family("pieces", "open_clip_text")
class OpenClipText(ClipText):
    """Text towers of OpenCLIP."""

    unused: ClassVar[tuple[str, ...]] = (r"(.*\.)?visual\..*", r"(.*\.)?attn_mask", REST)
    hubs: ClassVar[Mapping[str, str]] = {}

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:  # noqa: ARG002
        """Return the text tower of a checkpoint with the names of OpenCLIP. Raises ValueError without its config."""
        start, shapes = _start(checkpoint), checkpoint.shapes
        if start is None:
            return None
        start += "text." if f"{start}text.token_embedding.weight" in shapes else ""
        if f"{start}transformer.{FIRST_BLOCK}" not in shapes:
            return None
        options = _options(checkpoint, "text_cfg", "argmax")
        vocabulary, width = shapes[f"{start}token_embedding.weight"]
        heads, projected = int(options.get("heads", 8)), shapes[f"{start}text_projection"][1]
        return _tower(checkpoint, start, width=width, heads=heads, projected=projected, vocabulary=vocabulary)

    def build(self, architecture: Architecture, spec: TensorSpec) -> Built:
        """Return the network of ids (batch, length) to the vector of the text."""
        return _renamed(build_text(replace(architecture, prefix="text_model."), spec), architecture)


def _start(checkpoint: Checkpoint) -> str | None:
    """Return the beginning of all names, such as `module.`; None for other checkpoints than those of an OpenCLIP vision transformer."""
    start = next((name.removesuffix(PATCHES) for name in checkpoint.shapes if name.endswith(PATCHES)), None)
    return start if f"{start}visual.transformer.{FIRST_BLOCK}" in checkpoint.shapes else None


def _options(checkpoint: Checkpoint, part: str, pooling: str) -> Mapping[str, Any]:
    """Return the options of a tower. Raises ValueError for those that its arrays do not show, and that are not read."""
    model = checkpoint.config.get(OPEN_CLIP, {}).get("model_cfg")
    if not isinstance(model, dict) or not isinstance(model.get(part), dict):
        raise ValueError("there is no open_clip_config.json with a `model_cfg` next to them, which names the activation and the heads")
    options: Mapping[str, Any] = model[part]
    for name, value in {**PLAIN, "pool_type": pooling}.items():
        if options.get(name, value) != value:
            raise ValueError(f"`{part}.{name}` is {options[name]!r}; {value!r} is what can be read")
    return options


def _tower(checkpoint: Checkpoint, start: str, *, width: int, heads: int, projected: int, **more: Any) -> Architecture:
    shapes, config = checkpoint.shapes, checkpoint.config[OPEN_CLIP]["model_cfg"]
    if heads < 1 or width % heads:
        raise ValueError(f"it would have {heads} heads, which do not divide the width {width}")
    part = "vision_cfg" if start.endswith("visual.") else "text_cfg"
    return Architecture(
        siglip=False,
        prefix=start,
        blocks=next(block for block in range(1000) if f"{start}transformer.resblocks.{block}.ln_1.weight" not in shapes),
        width=width,
        heads=heads,
        inner=shapes[f"{start}transformer.resblocks.0.mlp.c_fc.weight"][0],
        activation="quick_gelu" if config.get("quick_gelu") else "gelu",
        epsilon=float((config[part].get("norm_kwargs") or {}).get("eps", 1e-5)),
        positions=shapes[f"{start}positional_embedding"][0],
        projected=projected,
        **more,
    )


def _renamed(built: Built, one: Architecture) -> Built:
    """Return a network whose slots have the names and shapes of OpenCLIP."""
    return replace(built, slots=[_renamed_slot(slot, one) for slot in built.slots])


def _renamed_slot(slot: Slot, one: Architecture) -> Slot:
    stored = [_stored(name, shape, one) for name, shape in slot.arrays.items()]
    arrays = {name: shape for name, shape, _ in stored}
    reads = [read for _, _, read in stored]
    return Slot(slot.layer, arrays, lambda *values: slot.convert(*(read(value) for read, value in zip(reads, values, strict=True))))


def _stored(name: str, shape: tuple[int, ...], one: Architecture) -> tuple[str, tuple[int, ...], Callable[[Any], Any]]:
    """Return name and shape of the array that has the one called `name` in Transformers, and how to read that from it."""
    part = re.search(r"self_attn\.([qkv])_proj", name)
    transposed = name.endswith("projection.weight")
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    if part:  # query, key and value, one below the other
        rows = slice("qkv".index(part[1]) * one.width, ("qkv".index(part[1]) + 1) * one.width)
        return one.prefix + name, (3 * shape[0], *shape[1:]), lambda values: values[rows]
    return one.prefix + name, shape[::-1] if transposed else shape, lambda values: values.T if transposed else values
