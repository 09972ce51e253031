"""Random augmentation of training images, inside the compiled step.

All geometry is one affine transform and one bilinear resampling, all colour one multiplication and one addition per channel. The
changes of a row follow from its own uniform random numbers (`Batch.uniforms`): the same ones, whatever the batch.

On a CPU, XLA compiles it into one loop, whatever `jit` is for the network: a quarter of the processor time of TensorFlow's own
resampling, without intermediate copies (`benchmarks/augmentation.py`). It computes in float64, so that no rounding depends on the
batch of a row. On a GPU, TensorFlow's own resampling in float32 is used, which needs no compilation.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mmtrain.columns.pixels.audio_augment import AudioAugment
from mmtrain.columns.pixels.image_augment import Augment
from mmtrain.training.augmentation.augment_policy import (
    UNIFORMS_PER_OPERATION,
    Drawn,
    draw_operations,
    operations_of,
    policy_moves,
    recoloured,
)
from mmtrain.training.augmentation.spectrograms import augment_spectrograms, uniforms_for_spectrogram

UNIFORMS_PER_IMAGE = 8
"""Uniform numbers per image: two flips, rotation, two shifts, zoom, brightness, contrast."""
UNIFORMS_OF_COLOR_AND_ERASE = 8
"""Further ones for `color` (three channels) and `erase` (whether, height, width, top, left)."""
UNIFORMS_OF_SHEAR_AND_SHIFTS = 4
"""Further ones for `shear` and `channel_shift` (three channels); those of a policy come last."""
ERASED = 0.5
"""Share of the images in which `erase` covers a rectangle, as in random erasing (Zhong et al. 2020, arXiv:1708.04896)."""


def uniforms_for(how: Augment | AudioAugment) -> int:
    """Return how many uniform numbers per image the changes take: eight, and more of those options that need some."""
    if isinstance(how, AudioAugment):
        return uniforms_for_spectrogram(how)
    return _first_of_policy(how) + UNIFORMS_PER_OPERATION * operations_of(how)


def _first_of_shear(how: Augment) -> int:
    return UNIFORMS_PER_IMAGE + (UNIFORMS_OF_COLOR_AND_ERASE if how.color or how.erase else 0)


def _first_of_policy(how: Augment) -> int:
    return _first_of_shear(how) + (UNIFORMS_OF_SHEAR_AND_SHIFTS if how.shear or how.channel_shift else 0)


def augment_images(pixels: Any, uniforms: Any, how: Augment | AudioAugment, levels: int, *, compiled: bool | None = None) -> Any:
    """Return augmented pixels of the same type and shape, (batch, height, width, channels).

    Args:
        pixels: Integers from 0 to `levels`.
        uniforms: (batch, `uniforms_for(how)`) uniform random numbers in [0, 1).
        how: Which changes, and how strong.
        levels: The value of full brightness, 255 or 65535.
        compiled: Whether XLA compiles the change of images; by default where there is no GPU.
    """
    if isinstance(how, AudioAugment):
        return augment_spectrograms(pixels, uniforms, how, levels)
    numbers = tf.cast(uniforms, tf.float64)
    drawn = draw_operations(numbers[:, _first_of_policy(how) :], how)
    transforms = _transforms(numbers, how, pixels.shape[1], pixels.shape[2], drawn) if how.moves else None
    factors, addends = _colours(numbers, how, float(levels), pixels.shape[3])
    if how.erase:
        visible = _outside_rectangles(numbers, how.erase, pixels.shape[1], pixels.shape[2])
        # Erased places become the middle grey: factor 0 and addend levels / 2.
        factors, addends = factors * visible, addends * visible + levels / 2.0 * (1.0 - visible)
    if compiled is None:
        compiled = not tf.config.list_physical_devices("GPU")
    change = _changed_by_xla if compiled else _changed_by_kernels
    return change(pixels, transforms, drawn, factors, addends, levels, how.fill, how.fill_value * levels)


def _signed(uniform: Any) -> Any:
    # [0, 1) to [-1, 1)
    return uniform * 2.0 - 1.0


def _transforms(uniforms: Any, how: Augment, height: int, width: int, drawn: Drawn) -> Any:
    """Return the affine maps from output to input positions, (batch, 6): x = t0 x + t1 y + t2, y = t3 x + t4 y + t5.

    They flip, rotate, shear, zoom and shift about the centre, after the moves of a policy.
    """
    one = tf.ones_like(uniforms[:, 0])
    flip_x = tf.where(uniforms[:, 0] < 0.5, -one, one) if how.flip in ("horizontal", "both") else one
    flip_y = tf.where(uniforms[:, 1] < 0.5, -one, one) if how.flip in ("vertical", "both") else one
    # Degrees to radians.
    angle = _signed(uniforms[:, 2]) * how.rotate * 3.141592653589793 / 180.0
    # Shifts are shares of the side, in pixels here.
    shift_x = _signed(uniforms[:, 3]) * how.shift * width
    shift_y = _signed(uniforms[:, 4]) * how.shift * height
    # The map leads from output to input, so zooming in by 20 % reads a region 1 / 1.2 as large.
    scale = 1.0 / (1.0 + _signed(uniforms[:, 5]) * how.zoom)
    cosine, sine = tf.cos(angle) * scale, tf.sin(angle) * scale
    # Pixels lie at 0 ... width - 1, so the centre is between the two middle ones of an even side.
    center_x, center_y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    a0, a1 = cosine * flip_x, -sine * flip_x
    b0, b1 = sine * flip_y, cosine * flip_y
    if how.shear:
        slant = tf.tan(_signed(uniforms[:, _first_of_shear(how)]) * how.shear * 3.141592653589793 / 180.0)
        a1, b1 = a1 + a0 * slant, b1 + b0 * slant
    # input = A (output - centre - shift) + centre
    a2 = center_x - a0 * (center_x + shift_x) - a1 * (center_y + shift_y)
    b2 = center_y - b0 * (center_x + shift_x) - b1 * (center_y + shift_y)
    if drawn:
        p0, p1, p2, q0, q1, q2 = policy_moves(drawn, height, width)
        a0, a1, a2 = a0 * p0 + a1 * q0, a0 * p1 + a1 * q1, a0 * p2 + a1 * q2 + a2
        b0, b1, b2 = b0 * p0 + b1 * q0, b0 * p1 + b1 * q1, b0 * p2 + b1 * q2 + b2
    return tf.stack([a0, a1, a2, b0, b1, b2], axis=1)


def _colours(uniforms: Any, how: Augment, levels: float, channels: int) -> tuple[Any, Any]:
    """Return contrast about the middle grey, then brightness, then the balance of colours, as a factor and an addend.

    Both are (batch, 1, 1, 1), with `color` (batch, 1, 1, channels); opacity is not a colour.
    """
    contrast = (1.0 + _signed(uniforms[:, 7]) * how.contrast)[:, None, None, None]
    brightness = (_signed(uniforms[:, 6]) * how.brightness * levels)[:, None, None, None]
    factors, addends = contrast, levels / 2.0 * (1.0 - contrast) + brightness
    if how.channel_shift:
        colours, first = min(channels, 3), _first_of_shear(how) + 1
        shifts = _signed(uniforms[:, first : first + colours]) * how.channel_shift * levels
        addends = addends + tf.pad(shifts, [[0, 0], [0, channels - colours]])[:, None, None, :]
    if how.color and channels >= 3:
        gains = 1.0 + _signed(uniforms[:, 8:11]) * how.color
        gains = tf.pad(gains, [[0, 0], [0, channels - 3]], constant_values=1)[:, None, None, :]
        factors, addends = factors * gains, addends * gains
    return factors, addends


def _outside_rectangles(uniforms: Any, most: float, height: int, width: int) -> Any:
    """Return 0 within a rectangle of half of the images and 1 elsewhere, (batch, height, width, 1).

    The sides of a rectangle are up to `most` of the image's.
    """
    sides = tf.where(uniforms[:, 11:12] < ERASED, uniforms[:, 12:14] * most, 0.0)  # (batch, 2), shares of height and width
    starts = uniforms[:, 14:16] * (1.0 - sides)
    inside = []
    for axis, length in enumerate((height, width)):
        places = (tf.range(length, dtype=tf.float64) + 0.5) / length
        first, last = starts[:, axis, None], (starts + sides)[:, axis, None]
        inside.append(tf.cast((places >= first) & (places < last), tf.float64))  # (batch, length)
    return (1.0 - inside[0][:, :, None] * inside[1][:, None, :])[..., None]


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _changed_by_xla(pixels: Any, transforms: Any, drawn: Drawn, factors: Any, addends: Any, levels: int, fill: str, constant: float) -> Any:
    """Change pixels in one compiled loop; each shape is compiled once per process, in 0.1 s."""
    values = tf.cast(pixels, tf.float64) if transforms is None else _resampled(pixels, transforms, fill, constant)
    return _as_levels(recoloured(values, drawn, levels) * factors + addends, pixels.dtype, levels)


def _changed_by_kernels(
    pixels: Any, transforms: Any, drawn: Drawn, factors: Any, addends: Any, levels: int, fill: str, constant: float
) -> Any:
    """Change pixels in float32 by TensorFlow's own kernels."""
    values = tf.cast(pixels, tf.float32)
    if transforms is not None:
        values = tf.raw_ops.ImageProjectiveTransformV3(
            images=values,
            transforms=tf.pad(tf.cast(transforms, tf.float32), [[0, 0], [0, 2]]),  # (batch, 8): no perspective
            output_shape=pixels.shape[1:3],
            interpolation="BILINEAR",
            fill_mode=fill.upper(),
            fill_value=constant,
        )
    values = recoloured(values, drawn, levels)
    return _as_levels(values * tf.cast(factors, tf.float32) + tf.cast(addends, tf.float32), pixels.dtype, levels)


def _as_levels(values: Any, dtype: Any, levels: int) -> Any:
    # Rounded first: a cast of floats to integers cuts the fraction off, which would darken each image by half a level.
    return tf.cast(tf.clip_by_value(tf.round(values), 0.0, float(levels)), dtype)


def _inside(positions: Any, length: int, fill: str) -> Any:
    """Return the positions in the image that positions beyond its edge read, 0 to length - 1; `wrap` goes up to `length`."""
    if fill == "wrap":
        return tf.math.floormod(positions, float(length))
    if fill == "reflect":
        # Mirrored at the edge of the last pixel, so that this pixel is there twice.
        there = tf.math.floormod(positions + 0.5, 2.0 * length)
        positions = tf.minimum(there, 2.0 * length - there) - 0.5
    return tf.clip_by_value(positions, 0.0, length - 1.0)


def _resampled(pixels: Any, transforms: Any, fill: str, constant: float) -> Any:
    """Return bilinearly resampled pixels in float64; `fill` says what positions outside are."""
    height, width, channels = pixels.shape[1:]
    matrix = transforms[:, :, None, None]  # (batch, 6, 1, 1)
    column, row = tf.range(width, dtype=tf.float64), tf.range(height, dtype=tf.float64)[:, None]
    there_x = matrix[:, 0] * column + matrix[:, 1] * row + matrix[:, 2]  # (batch, height, width)
    there_y = matrix[:, 3] * column + matrix[:, 4] * row + matrix[:, 5]
    x, y = _inside(there_x, width, fill), _inside(there_y, height, fill)
    # Casts cut the fraction off, which is the floor, as no position is negative.
    left, top = tf.cast(x, tf.int32), tf.cast(y, tf.int32)
    right, bottom = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)
    if fill == "wrap":
        left, top = left % width, top % height  # a position may round to `width`
        right, bottom = (left + 1) % width, (top + 1) % height
    to_right, down = (x - tf.floor(x))[..., None], (y - tf.floor(y))[..., None]  # (batch, height, width, 1)
    # (batch, pixels, channels), so that one index per output pixel suffices.
    flat = tf.reshape(pixels, (-1, height * width, channels))

    def at(rows: Any, columns: Any) -> Any:
        return tf.cast(tf.gather(flat, rows * width + columns, batch_dims=1), tf.float64)

    above = at(top, left) * (1.0 - to_right) + at(top, right) * to_right
    below = at(bottom, left) * (1.0 - to_right) + at(bottom, right) * to_right
    values = above * (1.0 - down) + below * down
    if fill != "constant":
        return values
    # By half a pixel beyond the middle of the last one, where the image ends.
    within = (there_x >= -0.5) & (there_x <= width - 0.5) & (there_y >= -0.5) & (there_y <= height - 0.5)
    return tf.where(within[..., None], values, tf.cast(constant, tf.float64))
