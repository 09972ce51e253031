"""Stretch, crop or pad, bilinear with antialias, with the geometry and the roundings of `mmtrain.pixels.resize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from mmtrain.layers.pictures.colour import divided, fill, multiplied
from mmtrain.pixels import Layout

_HALF = 0.5001
"""Pillow averages in whole numbers and rounds a half up; in float32 a half may come out a little smaller."""


def resized(pixels: Any, layout: Layout) -> Any:
    """(height, width, channels) uint8 or, for 16 bits, float32, at the layout's size; as it is where it has that size already."""
    size = tf.shape(pixels)[:2]
    found = tf.cond(tf.reduce_all(tf.equal(size, layout.size)), lambda: pixels, lambda: _HOW[layout.resize](pixels, layout))
    return tf.ensure_shape(found, (*layout.size, layout.channels))


def _stretched(pixels: Any, layout: Layout) -> Any:
    height, width = tf.unstack(tf.shape(pixels)[:2])
    return _boxed(pixels, tf.constant(layout.size), (0.0, tf.cast(height, tf.float32)), (0.0, tf.cast(width, tf.float32)))


def _cropped(pixels: Any, layout: Layout) -> Any:
    """The part of the picture that is left by covering the size and cutting out the centre, resized alone."""
    size = tf.cast(tf.shape(pixels)[:2], tf.int64)
    cover = _at_scale(size, layout.size, larger=True)
    first = (cover - layout.size) // 2
    step = tf.cast(size, tf.float64) / tf.cast(cover, tf.float64)
    start = tf.cast(first, tf.float64) * step
    end = tf.minimum(tf.cast(size, tf.float64), tf.cast(first + layout.size, tf.float64) * step)
    (top, left), (bottom, right) = (tf.unstack(tf.cast(edge, tf.float32)) for edge in (start, end))
    return _boxed(pixels, tf.constant(layout.size), (top, bottom), (left, right))


def _padded(pixels: Any, layout: Layout) -> Any:
    height, width = tf.unstack(tf.shape(pixels)[:2])
    inner = tf.cast(_at_scale(tf.cast(tf.shape(pixels)[:2], tf.int64), layout.size, larger=False), tf.int32)
    small = _boxed(pixels, inner, (0.0, tf.cast(height, tf.float32)), (0.0, tf.cast(width, tf.float32)))
    before = (tf.constant(layout.size) - inner) // 2
    place = tf.stack([before, layout.size - inner - before], axis=1)  # (2, 2): before and after, of height and width
    scale = 257 if layout.bits == 16 else 1
    colour = tf.constant(fill(layout.background, layout.channels), small.dtype) * tf.constant(scale, small.dtype)
    channels = [tf.pad(small[..., number], place, constant_values=colour[number]) for number in range(layout.channels)]
    return tf.stack(channels, axis=2)


_HOW: dict[str, Callable[[Any, Layout], Any]] = {"stretch": _stretched, "crop": _cropped, "pad": _padded}


def _at_scale(size: Any, target: tuple[int, int], *, larger: bool) -> Any:
    """The size in the proportions of `size` that just covers `target` or, unless `larger`, that just fits into it; int64."""
    height, width = tf.unstack(size)
    wide = width * target[0] >= height * target[1]
    by_height = tf.stack([tf.constant(target[0], tf.int64), _rounded(width * target[0], height)])
    by_width = tf.stack([_rounded(height * target[1], width), tf.constant(target[1], tf.int64)])
    if larger:
        return tf.maximum(tf.where(wide, by_height, by_width), tf.constant(target, tf.int64))
    return tf.maximum(tf.where(wide, by_width, by_height), 1)


def _rounded(numerator: Any, denominator: Any) -> Any:
    return (2 * numerator + denominator) // (2 * denominator)


def _boxed(pixels: Any, size: Any, rows: tuple[Any, Any], columns: tuple[Any, Any]) -> Any:
    """The box `rows` x `columns` of `pixels` at `size`; transparent colours count by their alpha."""
    if pixels.dtype != tf.uint8:
        return _scaled(pixels, size, rows, columns, lambda values: values)
    if pixels.shape[-1] != 4:
        return tf.cast(_scaled(pixels, size, rows, columns, _to_levels), tf.uint8)
    return divided(tf.cast(_scaled(multiplied(pixels), size, rows, columns, _to_levels), tf.uint8))


def _to_levels(values: Any) -> Any:
    return tf.clip_by_value(tf.floor(values + _HALF), 0.0, 255.0)


def _scaled(pixels: Any, size: Any, rows: tuple[Any, Any], columns: tuple[Any, Any], rounded: Callable[[Any], Any]) -> Any:
    """First across, then down, rounded in between as Pillow does; float32."""
    height = tf.shape(pixels)[0]
    across = _translated(pixels, tf.stack([height, size[1]]), (0.0, tf.cast(height, tf.float32)), columns)
    width = (0.0, tf.cast(size[1], tf.float32))
    return rounded(_translated(rounded(across), size, rows, width))


def _translated(pixels: Any, size: Any, rows: tuple[Any, Any], columns: tuple[Any, Any]) -> Any:
    """Triangles as wide as the reduction, normalised where they stick out of the picture: those of Pillow's bilinear filter."""
    scale = [tf.cast(size[side], tf.float32) / (end - start) for side, (start, end) in enumerate((rows, columns))]
    shift = [-start * scale[side] for side, (start, _) in enumerate((rows, columns))]
    return tf.raw_ops.ScaleAndTranslate(
        images=pixels[None], size=size, scale=tf.stack(scale), translation=tf.stack(shift), kernel_type="triangle", antialias=True
    )[0]
