"""Images decoded inside the graph: the very pixels of the image store, for every format, layout and orientation."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mmtrain.image_decoding import Layout, UnreadableImage, read

pytestmark = pytest.mark.usefixtures("tensorflow")

SIZES = [(41, 23), (13, 37)]
"""Height and width: larger and smaller than every layout below in one side or the other."""
LAYOUTS = {
    "colour": Layout((20, 16), 3, background=(10, 200, 30)),
    "deep grey, padded": Layout((16, 20), 1, bits=16, resize="pad", background=(9, 99, 200)),
    "transparent, cropped": Layout((16, 20), 4, resize="crop"),
}


def photo(size, channels):
    """Noise on a slope, (height, width) or (height, width, channels), the same for the same arguments."""
    height, width = size
    slope = np.linspace(0, 200, height)[:, None, None] * np.linspace(0.2, 1, width)[None, :, None]
    pixels = (slope + np.random.default_rng(channels).integers(0, 56, (height, width, channels))).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def saved(image, kind, **options):
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bitmap(size, depth, *, masks=(), top_first=False):
    """A BMP of random bytes at 16 or 32 bits a pixel, with or without told masks."""
    height, width = size
    stride = (width * depth + 31) // 32 * 4
    body = np.random.default_rng(depth).integers(0, 256, height * stride, dtype=np.uint8).tobytes()
    told = b"".join(struct.pack("<I", mask) for mask in masks)
    length = 40 + len(told)
    info = struct.pack("<IiiHHIIiiII", length, width, -height if top_first else height, 1, depth, 3 if masks else 0, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 14 + length + len(body), 0, 0, 14 + length) + info + told + body


def small_first_frame(size, clear):
    """A GIF whose first frame covers a part of its screen."""
    height, width = size
    frame = saved(photo((height - 5, width - 6), 3).quantize(16), "GIF", **({"transparency": 3} if clear else {}))
    at = frame.index(b",\0\0\0\0")
    return frame[:6] + struct.pack("<HH", width, height) + frame[10 : at + 1] + struct.pack("<HH", 2, 3) + frame[at + 5 :]


def examples(size):
    """Every format, and what its readers are known to stumble over."""
    grey, colour, alpha = (photo(size, channels) for channels in (1, 3, 4))
    few = colour.quantize(20)
    moving = {"save_all": True, "append_images": [photo(size, 3).rotate(180)]}
    return {
        "JPEG": saved(colour, "JPEG", quality=85),
        "JPEG grey": saved(grey, "JPEG"),
        "JPEG progressive": saved(colour, "JPEG", progressive=True, subsampling=2),
        "JPEG CMYK": saved(colour.convert("CMYK"), "JPEG"),
        "PNG": saved(colour, "PNG"),
        "PNG grey": saved(grey, "PNG"),
        "PNG black and white": saved(grey.convert("1"), "PNG"),
        "PNG 16 colours": saved(colour.quantize(16), "PNG", bits=4),
        "PNG alpha": saved(alpha, "PNG"),
        "PNG grey alpha": saved(alpha.convert("LA"), "PNG"),
        "PNG palette": saved(few, "PNG"),
        "PNG palette, transparent": saved(few, "PNG", transparency=bytes(range(0, 200, 10))),
        "PNG transparent grey": saved(grey, "PNG", transparency=grey.getpixel((0, 0))),
        "PNG transparent colour": saved(few.convert("RGB"), "PNG", transparency=few.convert("RGB").getpixel((0, 0))),
        "GIF": saved(colour, "GIF"),
        "GIF transparent": saved(few, "GIF", transparency=3, interlace=0),
        "GIF animated": saved(colour, "GIF", **moving),
        "GIF small first frame": small_first_frame(size, clear=False),
        "GIF small first frame, transparent": small_first_frame(size, clear=True),
        "BMP": saved(colour, "BMP"),
        "BMP grey": saved(grey, "BMP"),
        "BMP palette": saved(few, "BMP"),
        "BMP black and white": saved(grey.convert("1"), "BMP"),
        "BMP alpha": saved(alpha, "BMP"),
        "BMP 16 bits": bitmap(size, 16),
        "BMP 16 bits, masks": bitmap(size, 16, masks=(0xF800, 0x7E0, 0x1F), top_first=True),
        "BMP 32 bits, masks": bitmap(size, 32, masks=(0xFF000000, 0xFF0000, 0xFF00), top_first=True),
        "WEBP": saved(colour, "WEBP"),
        "WEBP lossless": saved(colour, "WEBP", lossless=True),
        "WEBP alpha": saved(alpha, "WEBP"),
        "WEBP lossless alpha": saved(alpha, "WEBP", lossless=True),
        "WEBP animated": saved(colour, "WEBP", **moving),
        "WEBP animated alpha": saved(alpha, "WEBP", **moving, lossless=True),
    }


def turned(kind, orientation, *, order="<", size=(13, 37)):
    """An image with an EXIF orientation."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010E], exif[0x0112] = "what is shown", orientation
    return saved(photo(size, 3), kind, exif=exif, lossless=True)


def deep(colour_type, size=(9, 7)):
    """A PNG of 16 bits a sample."""
    height, width = size
    samples = {0: 1, 2: 3}[colour_type]
    rows = np.random.default_rng(1).integers(0, 256, (height, 1 + width * samples * 2), dtype=np.uint8)
    rows[:, 0] = 0
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)), (b"IDAT", zlib.compress(rows.tobytes()))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in [*parts, (b"IEND", b"")]
    )


def too_large():
    """The beginning of a PNG of 400 million pixels: whoever decoded it would find it cut short."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    end = b"IEND"
    chunks = [(13, body), (4, b"IDAT" + bytes(4)), (0, end)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", size) + part + struct.pack(">I", zlib.crc32(part)) for size, part in chunks)


def layer_of(layout):
    from mmtrain.layers.image_decoding import EncodeImage

    return EncodeImage(
        height=layout.size[0],
        width=layout.size[1],
        channels=layout.channels,
        bits=layout.bits,
        resize=layout.resize,
        background=layout.background,
        max_pixels=layout.max_pixels,
        window=layout.window,
    )


@pytest.fixture(scope="module")
def layers(tensorflow):
    """One of each layout: it is tracing that takes the time."""
    return {name: layer_of(layout) for name, layout in LAYOUTS.items()}


def decoded(layer, files):
    pixels, present, status = layer(np.array([[file] for file in files], dtype=object).reshape(-1, 1))
    return pixels.numpy(), present.numpy()[:, 0].tolist(), status.numpy()[:, 0].tolist()


@pytest.mark.parametrize("name", [name if name == "colour" else pytest.param(name, marks=pytest.mark.slow) for name in LAYOUTS])
def test_graph_gives_the_very_pixels_of_the_image_store(name, layers):
    files = {(size, kind): file for size in SIZES for kind, file in examples(size).items()}
    files |= {("turned", kind, turn): turned(kind, turn) for kind in ("JPEG", "PNG", "WEBP") for turn in range(1, 9)}
    files |= {("other byte order", kind): turned(kind, 6, order=">") for kind in ("JPEG", "PNG", "WEBP")}
    # From here on JPEGs are decoded at a half, a quarter or an eighth.
    for size in [(40, 40), (39, 41), (81, 67), (83, 170), (170, 131), (161, 163)]:
        files |= {(size, kind): file for kind, file in examples(size).items() if kind.startswith("JPEG")}
    files |= {("turned large", turn): turned("JPEG", turn, size=(45, 90)) for turn in range(1, 9)}
    if LAYOUTS[name].bits == 16:
        files["PNG", "16 bits"] = deep(0)
    assert len(files) >= 2 * 33 + 24 + 3 + 24 + 8
    pixels, present, status = decoded(layers[name], files.values())
    assert (set(present), set(status)) == ({1.0}, {0})
    different = [
        key for key, found, file in zip(files, pixels, files.values(), strict=True) if not np.array_equal(found, read(file, LAYOUTS[name]))
    ]
    assert different == []


def test_one_bad_image_does_not_spoil_its_batch(layers):
    good = saved(photo((20, 16), 3), "PNG")
    bad = [
        b"",
        b"not an image",
        good[: len(good) // 2],
        saved(photo((20, 16), 3), "JPEG")[:400],
        b"GIF89a",
        b"RIFF1234WEBPVP8 ",
        b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\xff" + b"\xff" * 52,  # a part of 4 GB, and as large an image
        b"BM",
        saved(photo((20, 16), 3), "BMP")[:18] + bytes(4) + saved(photo((20, 16), 3), "BMP")[22:],  # no columns
        deep(2),
    ]
    pixels, present, status = decoded(layers["colour"], [good, *bad, good])
    assert status == [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 4, 0]
    assert present == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert not pixels[1:-1].any()
    for found in (pixels[0], pixels[-1]):
        assert np.array_equal(found, read(good, LAYOUTS["colour"]))


def test_a_batch_without_any_image_is_blank(layers):
    pixels, present, status = decoded(layers["colour"], [b"", b"x"])
    assert (pixels.shape, pixels.any(), present, status) == ((2, 20, 16, 3), False, [0, 0], [1, 2])
    assert decoded(layers["colour"], [])[0].shape == (0, 20, 16, 3)


def test_image_that_is_too_large_is_never_decoded(layers):
    assert decoded(layers["colour"], [too_large()])[1:] == ([0], [3])
    with pytest.raises(UnreadableImage, match="has 400,000,000 pixels, more than max_pixels 50,000,000"):
        read(too_large(), LAYOUTS["colour"])


def wide_screen(side):
    """A GIF of 37 bytes with a screen of `side` x `side` and one pixel in it."""
    small = saved(Image.new("P", (1, 1)), "GIF")
    return small[:6] + struct.pack("<HH", side, side) + small[10:]


PEAK = """
import resource, sys
import tensorflow as tf
from mmtrain.layers.image_decoding import EncodeImage
layer = EncodeImage(height=256, width=256, channels=3, bits=8, resize="stretch", background=(0, 0, 0), max_pixels=50_000_000)
small, large = (open(path, "rb").read() for path in sys.argv[1:])
layer(tf.constant([[small]]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = layer(tf.constant([[large]]))[2]
print(int(status[0, 0]), 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "pixels"),
    [  # took 50, 3,000 and 87 bytes a pixel
        (lambda: wide_screen(4000), 16_000_000),
        (lambda: saved(Image.new("1", (500_000, 1)), "BMP"), 500_000),
        (lambda: saved(Image.new("RGB", (3000, 2000)), "BMP"), 6_000_000),
    ],
)
def test_memory_for_a_image_is_bounded_by_its_pixels(file, pixels, tmp_path):
    (tmp_path / "small").write_bytes(saved(photo((20, 16), 3), "PNG"))
    (tmp_path / "large").write_bytes(file())
    command = [sys.executable, "-c", PEAK, "small", "large"]
    status, peak = map(int, subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True).stdout.split())
    assert status == 0
    assert peak < 20 * pixels + 100_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_large_images_in_strips_have_the_very_pixels_of_the_image_store(name, layers):
    sizes = [(700, 900), (1, 300_000), (300_000, 1), (3, 200_000), (5000, 90)]
    files = [saved(photo(size, channels), kind) for size in sizes for channels, kind in ((1, "PNG"), (3, "BMP"), (4, "PNG"))]
    pixels, _, status = decoded(layers[name], files)
    assert set(status) == {0}
    for number, (found, file) in enumerate(zip(pixels, files, strict=True)):
        assert np.abs(found.astype(int) - read(file, LAYOUTS[name]).astype(int)).max() <= 1, (number, name)


def test_compressed_bmp_is_refused_by_both(layers):
    rows = b"\4\1\0\0\4\2\0\1"
    palette = b"".join(bytes([level, 0, 0, 0]) for level in range(256))
    info = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 8, 1, len(rows), 0, 0, 256, 0)
    file = b"BM" + struct.pack("<IHHI", 54 + 1024 + len(rows), 0, 0, 54 + 1024) + info + palette + rows
    with pytest.raises(UnreadableImage, match=r"^The BMP file is compressed, which is not read\.$") as caught:
        read(file, LAYOUTS["colour"])
    assert caught.value.fix == "Save it without compression, or as PNG."
    assert decoded(layers["colour"], [file])[2] == [2]


def test_layer_is_rebuilt_from_plain_json(layers):
    import keras

    layer = layers["colour"]
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert config["registered_name"] == "mmtrain>EncodeImage"
    copy = keras.saving.deserialize_keras_object(config, safe_mode=True)
    assert copy.layout == layer.layout == LAYOUTS["colour"]


WINDOWED = [
    Layout((16, 20), 1, window=(100.0, 3000.0)),
    Layout((20, 16), 3, resize="pad", window=(20.5, 200.0)),
    Layout((16, 20), 1, bits=16, resize="pad", window="percentile"),
    Layout((16, 20), 3, resize="crop", window="percentile"),
]


@pytest.mark.slow  # three seconds to trace each
@pytest.mark.parametrize("layout", WINDOWED, ids=str)
def test_windows_are_those_of_the_image_store(layout):
    files = [file for size in SIZES for file in examples(size).values()]
    files += [saved(photo((81, 67), 3), "JPEG"), turned("PNG", 6), deep(0), deep(0, SIZES[0])]
    layer = type(layer_of(layout)).from_config(layer_of(layout).get_config())
    pixels, present, status = decoded(layer, files)
    assert (layer.layout, set(present), set(status)) == (layout, {1.0}, {0})
    for found, file in zip(pixels, files, strict=True):
        expected = read(file, layout).astype(int)
        # One level: values in a window are real numbers, and an average of them may lie between two.
        assert np.abs(found.astype(int) - expected).max() <= max(1, layout.top // 65535)


def test_pixels_that_were_decoded_elsewhere_keep_their_levels():
    import keras

    from mmtrain.layers.image_decoding import EncodePixels

    layer = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(EncodePixels(levels=65535)))
    ramp = np.arange(65536, dtype=np.uint16).reshape(1, 4, 64, 256, 1)
    both = np.concatenate([ramp / np.float32(65535), np.full(ramp.shape, np.nan, np.float32)]).astype(np.float32)
    pixels, present = layer(both)
    assert np.array_equal(pixels.numpy()[0], ramp[0])
    assert (pixels.dtype, int(pixels.numpy()[1].max()), present.numpy().tolist()) == ("uint16", 0, [[1], [0]])
    # Levels of 8 bits survive the way through float32, and values beyond 0 to 1 are brought to them.
    grey = np.append(np.arange(256) / np.float32(255), [-1, 2]).astype(np.float32)[None]
    assert EncodePixels(levels=255)(grey)[0].numpy()[0].tolist() == [*range(256), 0, 255]
