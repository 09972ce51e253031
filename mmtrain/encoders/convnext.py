"""ConvNeXt (Liu et al. 2022, arXiv:2201.03545), in the naming of timm and of Transformers; depths and widths follow from the arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.encoders.base import Built, Family, family
from mmtrain.encoders.layer_builder import IMAGENET, LayerBuilder, check_sides, image_input, input_scaling
from mmtrain.specs import TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint


@dataclass(frozen=True)
class Names:
    """The names of arrays in one naming, with the number of a stage and of a block."""

    stem: str
    stem_norm: str
    down_norm: str
    down: str
    depthwise: str
    norm: str
    widened: str
    narrowed: str
    scale: str
    last_norm: str


_STAGE, _LAYERS = "stages.{}.blocks.{}", "encoder.stages.{}.layers.{}"
TIMM = Names(
    "stem.0",
    "stem.1",
    "stages.{}.downsample.0",
    "stages.{}.downsample.1",
    f"{_STAGE}.conv_dw",
    f"{_STAGE}.norm",
    f"{_STAGE}.mlp.fc1",
    f"{_STAGE}.mlp.fc2",
    f"{_STAGE}.gamma",
    "head.norm",
)
TRANSFORMERS = Names(
    "embeddings.patch_embeddings",
    "embeddings.layernorm",
    "encoder.stages.{}.downsampling_layer.0",
    "encoder.stages.{}.downsampling_layer.1",
    f"{_LAYERS}.dwconv",
    f"{_LAYERS}.layernorm",
    f"{_LAYERS}.pwconv1",
    f"{_LAYERS}.pwconv2",
    f"{_LAYERS}.layer_scale_parameter",
    "layernorm",
)
NAMINGS = {"": TIMM, "convnext.": TRANSFORMERS, "transformers": TRANSFORMERS}
"""Namings by what names begin with; `transformers` for none, in a checkpoint without a head."""


@dataclass(frozen=True)
class Architecture:
    """A network of the family."""

    naming: str
    patch: int
    stages: tuple[tuple[int, int, int], ...]
    """Depth, width, and kernel of the depthwise convolutions."""
    convolved: bool
    """True if the dense layers of a block are stored as convolutions of single pixels."""
    epsilon: float
    """Epsilon of the last normalization; that of all others is 1e-6."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def name(self, field: str, stage: int = 0, block: int = 0) -> str:
        """Return the name of an array, or of a layer's arrays."""
        prefix = "" if self.naming == "transformers" else self.naming
        return prefix + str(getattr(NAMINGS[self.naming], field)).format(stage, block)


@family("image")
class ConvNeXt(Family):
    """ConvNeXt of any size; the second version has further arrays and is refused."""

    unused: ClassVar[tuple[str, ...]] = (r"(head\.fc|classifier)\.(weight|bias)",)
    hubs: ClassVar[Mapping[str, str]] = {
        "convnext_tiny": "timm/convnext_tiny.fb_in1k",
        "convnext_pico": "timm/convnext_pico.d1_in1k",
        "convnext_small": "timm/convnext_small.fb_in1k",
    }

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:  # noqa: ARG002
        """Return the architecture of a checkpoint with a patch stem and depthwise convolutions of one of the namings."""
        shapes = checkpoint.shapes
        for naming in NAMINGS:
            empty = Architecture(naming, 0, (), False, 0.0, (), ())
            stem, depthwise = f"{empty.name('stem')}.weight", f"{empty.name('depthwise')}.weight"
            if len(shapes.get(stem, ())) == 4 and len(shapes.get(depthwise, ())) == 4:
                stages = tuple(_stages(shapes, empty))
                convolved = len(shapes.get(f"{empty.name('widened')}.weight", ())) == 4
                epsilon = float(checkpoint.config.get("layer_norm_eps", 1e-6))
                return Architecture(naming, shapes[stem][2], stages, convolved, epsilon, *input_scaling(checkpoint.config, IMAGENET))
        return None

    def check(self, architecture: Any, spec: TensorSpec) -> None:
        """Raise ValueError for images that have no pixel left behind the last stage."""
        check_sides(spec, architecture.patch * 2 ** (len(architecture.stages) - 1))

    def build(self, architecture: Any, spec: TensorSpec) -> Built:
        """Return the network of an image to the normalized mean of the last maps."""
        return _build(architecture, spec)


def _stages(shapes: Mapping[str, tuple[int, ...]], empty: Architecture) -> Any:
    for stage in range(10):
        depth = next(block for block in range(1000) if f"{empty.name('depthwise', stage, block)}.weight" not in shapes)
        if not depth:
            return
        width, _, kernel, _ = shapes[f"{empty.name('depthwise', stage)}.weight"]
        yield depth, width, kernel


def _build(one: Architecture, spec: TensorSpec) -> Built:
    import keras

    image, values = image_input(spec, one.mean, one.deviation)
    layers = LayerBuilder(epsilon=1e-6)
    values = layers.cut_patches(values, one.name("stem"), one.stages[0][1], one.patch)
    values = layers.normalize(values, one.name("stem_norm"))
    layers.end_block()
    for stage, (depth, width, kernel) in enumerate(one.stages):
        if stage:
            values = layers.normalize(values, one.name("down_norm", stage))
            values = layers.cut_patches(values, one.name("down", stage), width, 2)
        for block in range(depth):
            values = _block(layers, values, one, stage, block, kernel)
            layers.end_block()
    vector = keras.layers.GlobalAveragePooling2D(dtype="float32")(values)
    layers.epsilon = one.epsilon
    vector = layers.normalize(vector, one.name("last_norm"))
    layers.end_block()
    return layers.finish(image, vector)


def _block(layers: LayerBuilder, inputs: Any, one: Architecture, stage: int, block: int, kernel: int) -> Any:
    width = inputs.shape[-1]
    values = layers.convolve_depthwise(inputs, one.name("depthwise", stage, block), kernel=kernel, bias=True)
    values = layers.normalize(values, one.name("norm", stage, block))
    values = layers.dense(values, one.name("widened", stage, block), 4 * width, activation="gelu", convolved=one.convolved)
    values = layers.dense(values, one.name("narrowed", stage, block), width, convolved=one.convolved)
    return layers.add(inputs, layers.scale(values, one.name("scale", stage, block)))
