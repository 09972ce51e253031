"""One image file to one array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.image_decoding import formats
from mmtrain.image_decoding.colour import mend
from mmtrain.image_decoding.containers import Container, unpack
from mmtrain.image_decoding.decoded_image import SOUNDS, Layout, UnreadableImage, damaged_image, image_errors
from mmtrain.image_decoding.header import describe, open_container
from mmtrain.image_decoding.image_source import content
from mmtrain.image_decoding.lay_out import check_bits, check_pixels, lay_out
from mmtrain.image_decoding.resize import reduction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


def read(source: Path | bytes, layout: Layout, *, writable: bool = True) -> NDArray[np.uint8 | np.uint16]:
    """The pixels of the image file `source`, or of its bytes, as (height, width, channels); of an animation, its first frame.

    A layout with a depth gives a volume, (depth, height, width, channels): of a file with several slices, or of a folder of DICOM files.

    Where they need not be `writable`, a copy is saved.

    Raises:
        UnreadableImage: the file is missing or damaged, larger than `layout.max_pixels`, or of a depth that does not fit.

    """
    kind, data = content(source, recording=layout.spectrogram is not None)
    if (kind in SOUNDS) != (layout.spectrogram is not None):
        raise _other_kind(kind)
    if layout.depth and kind not in formats.VOLUMES:
        what = f"The file is {_with_article(kind)} image, not a volume."
        raise UnreadableImage(what, "Name a NIfTI file, a DICOM file or a folder of them, or a TIFF stack; or use the role `image`.")
    pixels = formats.pixels(kind, data, layout) if kind in formats.READERS else _pixels(unpack(kind, data), layout)
    return pixels if pixels.flags.writeable or not writable else pixels.copy()


def _other_kind(kind: str) -> UnreadableImage:
    """Return the refusal of a recording in a column of images, or of an image in one of recordings."""
    if kind in SOUNDS:
        return UnreadableImage(f"The file is {_with_article(kind)} recording, not an image.", "Give its column the role `audio`.")
    fix = "Name a WAV, FLAC, Ogg or MP3 file, or use the role `image`."
    return UnreadableImage(f"The file is {_with_article(kind)} image, not a recording.", fix)


def _with_article(kind: str) -> str:
    return f"{'an' if kind in ('AVIF', 'MP3', 'OGG') else 'a'} {kind}"


def _pixels(container: Container, layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    if container.plain is not None:
        mode, *(width, height) = container.plain
        header = describe(mode, (width, height), container)
        check_pixels(header, layout)
        if container.flaw is not None:
            raise container.flaw
        # The target as the file has it, before it is turned upright: (width, height).
        target = layout.size if header.orientation >= 5 else layout.size[::-1]
        part = reduction((width, height), target, layout.resize)
        if (decoded := _decoded(container.data, mode, (width, height), part)) is not None:
            return lay_out(decoded, header, layout)
    image = open_container(container)
    header = describe(image.mode, image.size, container)
    check_pixels(header, layout)
    check_bits(header, layout)
    if container.flaw is not None:
        raise container.flaw
    with image_errors(container.format):
        image.load()
        _check_palette(image, container)
        mend(image, header)
    return lay_out(image, header, layout)


def _decoded(data: bytes, mode: str, size: tuple[int, int], part: int) -> Image | None:
    """A JPEG of `size` (width, height), at a `part` of it, straight from Pillow's decoder.

    Pillow's reader takes the file apart once more, which costs a third of decoding. None where this fails, for the reader to say why.
    """
    from PIL import Image

    width, height = (-(-side // part) for side in size)
    try:
        image = Image.new(mode, (width, height), None)  # not filled, as `Image.frombytes` would
        image.frombytes(data, "jpeg", mode, "", part, 0)
    except (ValueError, OSError, MemoryError):
        return None
    return image


def _check_palette(image: Image, container: Container) -> None:
    """No pixel is beyond the palette, where Pillow and TensorFlow would see different colours."""
    if container.colours:
        highest = max(number for number, times in enumerate(image.histogram()) if times)
        # Mode "1" has the levels 0 and 255 for its two colours.
        if (highest // 255 if image.mode == "1" else highest) >= container.colours:
            raise damaged_image(container.format)
