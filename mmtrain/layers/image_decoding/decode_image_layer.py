"""The layer: a batch of files to a batch of pixels."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, Literal

import keras
import tensorflow as tf

from mmtrain.image_decoding import Layout, Window
from mmtrain.layers.image_decoding.byte_reader import GREY_DEEP, open_bytes
from mmtrain.layers.image_decoding.decode import header_of, kind, pixels_of
from mmtrain.layers.image_decoding.exif import orientation, upright
from mmtrain.layers.image_decoding.resize import resized
from mmtrain.layers.image_decoding.window import to_levels

OK, NO_IMAGE, UNREADABLE, TOO_LARGE, TOO_DEEP = range(5)
STATUS = {
    OK: "ok",
    NO_IMAGE: "no image",
    UNREADABLE: "unreadable",
    TOO_LARGE: "more pixels than max_pixels",
    TOO_DEEP: "16 bits per sample, which the model does not take",
}
"""Meaning of each status."""


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodeImage(keras.layers.Layer):  # type: ignore[misc]
    """(batch, 1) strings, the bytes of image files, empty for no image, to pixels, presence and status.

    Pixels are (batch, height, width, channels) uint8, or uint16 for 16 bits, as the image store has them; all zeros where
    there is no image. Presence is (batch, 1) float32, 0 or 1; status (batch, 1) int32, see `STATUS`.
    A file that cannot be decoded never fails its batch.
    """

    def __init__(
        self,
        *,
        height: int,
        width: int,
        channels: int,
        bits: int,
        resize: Literal["stretch", "crop", "pad"],
        background: tuple[int, int, int],
        max_pixels: int,
        window: Window = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, trainable=False, **kwargs)
        # A list in a saved file.
        window = window if isinstance(window, str) else (float(window[0]), float(window[1]))
        self.layout = Layout((height, width), channels, bits, resize, (background[0], background[1], background[2]), max_pixels, window)
        self.built = True
        self._decode = _compiled(self.layout)

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments, plain JSON."""
        layout = self.layout
        arguments = {
            "height": layout.size[0],
            "width": layout.size[1],
            "channels": layout.channels,
            "bits": layout.bits,
            "resize": layout.resize,
            "background": list(layout.background),
            "max_pixels": layout.max_pixels,
            "window": layout.window if isinstance(layout.window, str) else list(layout.window),
        }
        return {**{key: value for key, value in super().get_config().items() if key not in ("dtype", "trainable")}, **arguments}

    def call(self, raw: Any) -> tuple[Any, Any, Any]:
        pixels, status = self._decode(tf.reshape(raw, (-1,)))
        return pixels, tf.cast(tf.equal(status, OK), tf.float32), status

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any, Any]:
        batch, layout = raw.shape[0], self.layout
        pixels = keras.KerasTensor((batch, *layout.size, layout.channels), "uint16" if layout.bits == 16 else "uint8")
        return pixels, keras.KerasTensor((batch, 1), "float32"), keras.KerasTensor((batch, 1), "int32")


@lru_cache(maxsize=16)
def _compiled(layout: Layout) -> Any:
    """One function for all layers of a layout: tracing it takes half a second, and its first call one."""
    return tf.function(partial(_decoded, layout=layout), input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)


def _decoded(texts: Any, *, layout: Layout) -> tuple[Any, Any]:
    """Pixels and status of (batch,) strings.

    A graph cannot catch an error; a dataset can leave out what failed. In front of the images goes one that never fails, a blank,
    which stands in for all that are left out.
    """
    empty = tf.equal(tf.strings.length(texts), 0)
    wanted = tf.reshape(tf.where(~empty), (-1,))
    images = tf.data.Dataset.from_tensor_slices((wanted, tf.gather(texts, wanted)))
    images = images.map(lambda row, text: (row, *_image(text, layout)), num_parallel_calls=tf.data.AUTOTUNE)
    blank = tf.data.Dataset.from_tensors((tf.constant(-1, tf.int64), _blank(layout), tf.constant(UNREADABLE)))
    decoded = blank.concatenate(images.ignore_errors()).batch(tf.size(texts, tf.int64) + 1)
    rows, pixels, status = decoded.with_options(_options()).get_single_element()
    place = tf.scatter_nd(rows[1:, None], tf.range(1, tf.size(rows)), tf.shape(texts, tf.int64))  # 0, the blank, for a file that failed
    status = tf.where(empty, NO_IMAGE, tf.gather(status, place))
    return tf.gather(pixels, place), status[:, None]


def _options() -> tf.data.Options:
    """Autotune off: it lets the end of an iterator wait for 0.2 s; AUTOTUNE then means as many threads as there are cores."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def _image(text: Any, layout: Layout) -> tuple[Any, Any]:
    """The pixels of one file, and its status; an error of TensorFlow's where it cannot be decoded."""
    file = open_bytes(text)
    number = kind(file)
    head = header_of(file, number)
    too_deep = head.bits > (GREY_DEEP if layout.bits == 16 or layout.window != "auto" else GREY_DEEP - 1)
    status = tf.where(head.height * head.width > layout.max_pixels, TOO_LARGE, tf.where(too_deep, TOO_DEEP, OK))

    def decoded() -> Any:
        turn = orientation(file.data[head.exif : head.exif_end], head.turn)
        whole = upright(pixels_of(file, number, head, turn, layout), turn)
        fitted = resized(whole if layout.window == "auto" else to_levels(whole, layout), layout)
        return fitted if fitted.dtype == tf.uint8 else tf.cast(tf.clip_by_value(tf.round(fitted), 0, layout.top), layout.dtype)

    return tf.cond(tf.equal(status, OK), decoded, lambda: _blank(layout)), status


def _blank(layout: Layout) -> Any:
    return tf.zeros(layout.shape, layout.dtype)
