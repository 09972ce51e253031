"""From the bytes of a file to its pixels as they are stored: (height, width, channels) uint8, or float32 for 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from mmtrain.layers.pictures.bmp import bmp
from mmtrain.layers.pictures.colour import opaque, transparent
from mmtrain.layers.pictures.gif import first_frame as gif_frame
from mmtrain.layers.pictures.header import GREY_DEEP, Header
from mmtrain.layers.pictures.resize import PARTS, reduction
from mmtrain.layers.pictures.webp import first_frame as webp_frame
from mmtrain.pixels import Layout
from mmtrain.pixels.colour import grey


def pixels_of(text: Any, data: Any, number: Any, head: Header, turn: Any, layout: Layout) -> Any:
    """`text` are the bytes as a string, `data` as a vector; `number` is that of the format, `turn` the orientation that EXIF tells.

    A JPEG that is much larger than the layout comes at a half, a quarter or an eighth of its size.
    """
    decoders: list[Callable[[], Any]] = [
        lambda: _flat(_jpeg(text, reduction(head, turn, layout)), layout),
        lambda: _png(text, head, layout),
        lambda: _flat(bmp(data), layout),
        lambda: _flat(gif_frame(text, data), layout),
        lambda: _flat(webp_frame(text, data), layout),
    ]
    return tf.ensure_shape(tf.switch_case(number, decoders), (None, None, layout.channels))


def _flat(pixels: Any, layout: Layout) -> Any:
    """From 3 or 4 channels, of which the fourth is alpha, to the layout's."""
    channels, background = layout.channels, layout.background
    found = opaque(pixels, channels) if pixels.shape[-1] == 3 else transparent(pixels, channels, background)
    # Samples of 8 bits times 257, so that white is white.
    return tf.cast(found, tf.float32) * 257 if layout.bits == 16 else found


def _jpeg(text: Any, part: Any) -> Any:
    """How much smaller is an attribute of the operation, so there is one for each."""
    sizes = [partial(tf.io.decode_jpeg, text, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE") for ratio in PARTS]
    return tf.switch_case(tf.argmax(tf.equal(part, PARTS), output_type=tf.int32), sizes)


def _png(text: Any, head: Header, layout: Layout) -> Any:
    def shallow() -> Any:
        return tf.cond(
            head.transparent,
            lambda: _flat(tf.io.decode_png(text, channels=4), layout),
            lambda: _flat(tf.io.decode_png(text, channels=3), layout),
        )

    def deep() -> Any:
        pixels = tf.cast(tf.io.decode_png(text, channels=4, dtype=tf.uint16), tf.float32)
        return tf.where(pixels[..., 3:4] > 0, pixels[..., 0:1], float(grey(layout.background) * 257))

    return tf.cond(tf.equal(head.bits, GREY_DEEP), deep, shallow) if layout.bits == 16 else shallow()
