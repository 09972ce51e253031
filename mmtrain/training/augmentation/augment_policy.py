"""Changes of training images drawn from a list: RandAugment and TrivialAugment.

Each image draws its operations from its own uniform numbers. Moves are composed into the one affine map of `augment`, so that pixels
are resampled once; changes of colour follow in the order in which they were drawn. Equalizing histograms is left out: it needs a sort of
all pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from mmtrain.columns.pixels.image_augment import Augment

UNIFORMS_PER_OPERATION = 3
"""Uniform numbers of an operation: which, how strong, and in which direction."""

OPERATIONS = (
    *("identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("brightness", "color", "contrast", "sharpness", "posterize", "solarize", "autocontrast"),
)
STRONGEST_MAGNITUDE = 30


class Ranges(NamedTuple):
    """Amount of each operation at the greatest strength."""

    degrees: float
    shear: float
    translate: float
    """Share of the side."""
    enhance: float
    """Factors are up to this much above or below 1."""
    bits: float
    """Number of the 8 bits that `posterize` takes away."""


RANGES = {"rand_augment": Ranges(30.0, 0.3, 0.45, 0.9, 4.0), "trivial_augment": Ranges(135.0, 0.99, 32 / 224, 0.99, 6.0)}
"""Ranges of RandAugment, and of the wide space of TrivialAugment, whose moves of 32 pixels were meant for sides of 224."""


class Operation(NamedTuple):
    """One operation of every image of a batch, and its amounts if it is that one, (batch,) float64 each."""

    number: Any
    """int32, place in `OPERATIONS`."""
    degrees: Any
    shear: Any
    translate: Any
    factor: Any
    bits: Any
    threshold: Any
    """Share of full brightness from which `solarize` inverts."""


Drawn: TypeAlias = Sequence[Operation]
"""Operations in their order; empty without a policy."""


def operations_of(how: Augment) -> int:
    """Return the number of operations of each image."""
    return {"none": 0, "trivial_augment": 1, "rand_augment": how.operations}[how.policy]


def draw_operations(uniforms: Any, how: Augment) -> Drawn:
    """Return the operations that uniform numbers, (batch, operations * 3), draw."""
    drawn = []
    for place in range(operations_of(how)):
        which, amount, direction = (uniforms[:, UNIFORMS_PER_OPERATION * place + one] for one in range(UNIFORMS_PER_OPERATION))
        number = tf.minimum(tf.cast(which * len(OPERATIONS), tf.int32), len(OPERATIONS) - 1)
        fixed = tf.ones_like(amount) * (how.magnitude / STRONGEST_MAGNITUDE)
        strength = fixed if how.policy == "rand_augment" else amount
        signed = tf.where(direction < 0.5, -strength, strength)
        most = RANGES[how.policy]
        drawn.append(
            Operation(
                number,
                *(signed * most.degrees, signed * most.shear, signed * most.translate, 1.0 + signed * most.enhance),
                *(tf.round(8.0 - strength * most.bits), 1.0 - strength),
            )
        )
    return drawn


def policy_moves(drawn: Drawn, height: int, width: int) -> tuple[Any, ...]:
    """Return the affine maps from output to input positions of all moves together, six times (batch,), about the centre."""
    one, none = tf.ones_like(drawn[0].degrees), tf.zeros_like(drawn[0].degrees)
    a, b, c, d, e, f = one, none, none, none, one, none
    for step in drawn:
        angle = _if(step, "rotate", step.degrees, none) * 3.141592653589793 / 180.0
        slant_x, slant_y = _if(step, "shear_x", step.shear, none), _if(step, "shear_y", step.shear, none)
        move_x = _if(step, "translate_x", step.translate, none) * width
        move_y = _if(step, "translate_y", step.translate, none) * height
        m0, m1, m3, m4 = tf.cos(angle), slant_x - tf.sin(angle), slant_y + tf.sin(angle), tf.cos(angle)
        a, b, c, d, e, f = (
            *(m0 * a + m1 * d, m0 * b + m1 * e, m0 * c + m1 * f - move_x),
            *(m3 * a + m4 * d, m3 * b + m4 * e, m3 * c + m4 * f - move_y),
        )
    x, y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    return a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y


def recoloured(values: Any, drawn: Drawn, levels: int) -> Any:
    """Return pixels, (batch, height, width, channels) floats from 0 to `levels`, with the changes of colour; opacity stays."""
    opacity = values[..., 3:]
    colours = values[..., :3]
    for step in drawn:
        colours = tf.clip_by_value(_one_change(colours, step, levels), 0.0, float(levels))
    return tf.concat([colours, opacity], axis=-1) if drawn else values


def _one_change(values: Any, step: Operation, levels: int) -> Any:
    def of_images(numbers: Any) -> Any:
        return tf.cast(numbers, values.dtype)[:, None, None, None]

    def chosen(name: str) -> Any:
        return tf.equal(step.number, OPERATIONS.index(name))[:, None, None, None]

    grey = _grey(values)
    # An enhancement moves away from its degenerate image, or towards it (Pillow's ImageEnhance).
    plain = tf.where(chosen("contrast"), tf.reduce_mean(grey, axis=(1, 2, 3), keepdims=True), tf.zeros_like(values))
    plain = tf.where(chosen("color"), grey, plain)
    plain = tf.where(chosen("sharpness"), _smoothed(values), plain)
    enhanced = chosen("brightness") | chosen("contrast") | chosen("color") | chosen("sharpness")
    changed = tf.where(enhanced, plain + of_images(step.factor) * (values - plain), values)
    width = (levels + 1.0) / of_images(2.0**step.bits)
    changed = tf.where(chosen("posterize"), tf.floor(values / width) * width, changed)
    changed = tf.where(chosen("solarize") & (values >= of_images(step.threshold * levels)), levels - values, changed)
    low, high = (reduce(values, axis=(1, 2), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    stretched = tf.where(high > low, (values - low) * levels / tf.maximum(high - low, 1.0), values)
    return tf.where(chosen("autocontrast"), stretched, changed)


def _grey(values: Any) -> Any:
    """Return the brightness by ITU-R BT.601, (batch, height, width, 1)."""
    if values.shape[-1] == 1:
        return values
    return values[..., :1] * 0.299 + values[..., 1:2] * 0.587 + values[..., 2:3] * 0.114


def _smoothed(values: Any) -> Any:
    """Return the mean of 3 by 3 pixels with the middle one five times, as Pillow's SMOOTH; edges stay."""
    inner = values[:, 1:-1, 1:-1]
    if 0 in inner.shape[1:3]:
        return values
    around = [values[:, row : row + inner.shape[1], column : column + inner.shape[2]] for row in range(3) for column in range(3)]
    smooth = (tf.add_n(around) + 4.0 * inner) / 13.0
    middle = tf.concat([values[:, 1:-1, :1], smooth, values[:, 1:-1, -1:]], axis=2)
    return tf.concat([values[:, :1], middle, values[:, -1:]], axis=1)


def _if(step: Operation, name: str, amount: Any, otherwise: Any) -> Any:
    return tf.where(tf.equal(step.number, OPERATIONS.index(name)), amount, otherwise)
