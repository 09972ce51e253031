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


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodeImages(keras.layers.Layer):  # type: ignore[misc]
    """(batch, most) strings, files of several images, to (batch, most, height, width, channels), presence (batch, 1) and status.

    Files come first in each row, as `FittedImages.raw` gives them; status is (batch, most). The first value of an entirely black image
    is 1, as a place of zeros has no image. With an `EncodePixels` as `image`, (batch, most, height, width, channels) brightness without
    a status.
    """

    def __init__(self, *, most: int, image: Any, **kwargs: Any) -> None:
        super().__init__(autocast=False, trainable=False, **kwargs)
        self.most = most
        self.image = keras.saving.deserialize_keras_object(image) if isinstance(image, dict) else image
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments, plain JSON."""
        config = {key: value for key, value in super().get_config().items() if key not in ("dtype", "trainable")}
        return {**config, "most": self.most, "image": keras.saving.serialize_keras_object(self.image)}

    def call(self, raw: Any) -> tuple[Any, ...]:
        pixels, shown, *status = self.image(tf.reshape(raw, (-1, 1) if len(raw.shape) == 2 else (-1, *raw.shape[2:])))
        dark = tf.reduce_max(tf.reshape(pixels, (tf.shape(pixels)[0], -1)), axis=1)[:, None, None, None] == 0
        first = tf.one_hot(0, int(tf.TensorShape(pixels.shape[1:]).num_elements()), dtype=pixels.dtype)
        mark = tf.cast(dark & (shown[:, :, None, None] > 0), pixels.dtype) * tf.reshape(first, (1, *pixels.shape[1:]))
        pixels = tf.reshape(pixels + mark, (-1, self.most, *pixels.shape[1:]))
        shown = tf.reduce_max(tf.reshape(shown, (-1, self.most)), axis=1, keepdims=True)
        return pixels, shown, *(tf.reshape(one, (-1, self.most)) for one in status)

    def compute_output_spec(self, raw: Any) -> tuple[Any, ...]:
        batch, shape = raw.shape[0], (1,) if len(raw.shape) == 2 else raw.shape[2:]
        pixels, shown, *status = self.image.compute_output_spec(keras.KerasTensor((batch, *shape), raw.dtype))
        sets = keras.KerasTensor((batch, self.most, *pixels.shape[1:]), pixels.dtype)
        return sets, shown, *(keras.KerasTensor((batch, self.most), one.dtype) for one in status)


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
