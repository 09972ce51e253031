"""What the first bytes of a file say of its image, before a pixel is decoded."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from mmtrain.layers.image_decoding.byte_reader import whole

SHALLOW, GREY_DEEP, COLOUR_DEEP = 8, 16, 48
"""8 bits a sample or fewer, 16 in one channel, 16 in more than one."""

_OWN = 8


class Header(NamedTuple):
    """All of them int64 scalars, but for `own`."""

    height: Any
    """As stored, before EXIF turns the image, like `width`."""
    width: Any
    bits: Any
    """`SHALLOW` or fewer, `GREY_DEEP` or `COLOUR_DEEP`."""
    exif: Any
    """Where the TIFF structure begins."""
    exif_end: Any
    """The place behind it; 0 where there is none."""
    turn: Any
    """The orientation that is told without EXIF."""
    own: Any
    """(8,): what the decoder of the format wants to know; see the readers."""


def facts(height: Any, width: Any, *own: Any, bits: Any = SHALLOW, exif: tuple[Any, Any] = (0, 0), turn: Any = 1) -> Any:
    """A header as one vector, so that every format's has the same shape; int64."""
    values = tf.stack([whole(value) for value in (height, width, bits, *exif, turn, *own)])
    return tf.pad(values, [[0, _OWN - len(own)]])


def header(vector: Any) -> Header:
    """Of what `facts` made."""
    scalars, own = tf.split(vector, [6, _OWN])
    return Header._make([*tf.unstack(scalars), own])
