"""One image file to one array of pixels, or a refusal in words."""

from __future__ import annotations

import os
import pickle
import random
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mmtrain.image_decoding import ImageHeader, Layout, UnreadableImage, inspect, read
from mmtrain.image_decoding.containers import unpack
from mmtrain.image_decoding.resize import covering_size, fitting_size, reduction

RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)
YELLOW = (255, 255, 0)
WORDS_OF_FORMATS = "JPEG, PNG, BMP, GIF or WEBP"


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def image_of(rows, mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (len(rows[0]), len(rows)))
    image.putdata([pixel for row in rows for pixel in row])
    return image


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *before: bytes, after: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND", b"")


def bmp(width: int, height: int, depth: int, palette, rows: bytes, *, colours: int = 0) -> bytes:
    table = b"".join(bytes((blue, green, red, 0)) for red, green, blue in palette)
    offset = 54 + len(table)
    head = struct.pack("<IHHI", offset + len(rows), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, 0, len(rows), 0, 0, colours, 0)
    return b"BM" + head + info + table + rows


def listing(pixels: np.ndarray) -> list:
    """Rows of pixels: a number where there is one channel, else a tuple."""
    return [[int(pixel[0]) if len(pixel) == 1 else tuple(int(value) for value in pixel) for pixel in row] for row in pixels]


def refusal(source, layout: Layout | None = None) -> tuple[str, str]:
    with pytest.raises(UnreadableImage) as caught:
        read(source, layout or Layout((1, 1), 3))
    return str(caught.value), caught.value.fix


# Formats


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_read_gives_the_pixels_of_each_format(kind, options, tmp_path):
    path = tmp_path / "image.of_any_name"
    image = Image.new("RGB", (16, 8), (200, 200, 200))
    image.paste((40, 40, 40), (8, 0, 16, 8))
    path.write_bytes(saved(image, kind, **options))
    pixels = read(path, Layout((8, 16), 3))
    assert (pixels.shape, pixels.dtype) == ((8, 16, 3), np.dtype(np.uint8))
    assert listing(pixels) == [[(200, 200, 200)] * 8 + [(40, 40, 40)] * 8] * 8
    assert inspect(path).format == kind
    assert np.array_equal(read(path.read_bytes(), Layout((8, 16), 3)), pixels)


def test_read_gives_an_array_that_may_be_written_to():
    pixels = read(saved(image_of([[RED]]), "PNG"), Layout((1, 1), 3))
    pixels += 1
    assert listing(pixels) == [[(0, 1, 1)]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_read_takes_the_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert listing(read(data, Layout((4, 4), 3))) == [[RED] * 4] * 4


# Colours


@pytest.mark.parametrize(
    ("mode", "pixels", "grey", "colour", "alpha"),
    [
        ("1", [0, 255], [0, 255], [BLACK, WHITE], [(*BLACK, 255), (*WHITE, 255)]),
        ("L", [7, 200], [7, 200], [(7, 7, 7), (200, 200, 200)], [(7, 7, 7, 255), (200, 200, 200, 255)]),
        ("RGB", [RED, GREEN], [76, 150], [RED, GREEN], [(*RED, 255), (*GREEN, 255)]),
        ("RGBA", [(*RED, 0), (*BLUE, 255)], [150, 29], [GREEN, BLUE], [(*RED, 0), (*BLUE, 255)]),
        ("RGBA", [(*RED, 51), (0, 0, 0, 102)], [135, 90], [(51, 204, 0), (0, 153, 0)], [(*RED, 51), (0, 0, 0, 102)]),
        ("LA", [(255, 51), (0, 255)], [171, 0], [(51, 255, 51), BLACK], [(255, 255, 255, 51), (0, 0, 0, 255)]),
    ],
)
def test_read_converts_each_mode_to_each_number_of_channels(mode, pixels, grey, colour, alpha):
    data = saved(image_of([pixels], mode), "PNG")
    expected = {1: grey, 3: colour, 4: alpha}
    for channels, values in expected.items():
        assert listing(read(data, Layout((1, 2), channels, background=GREEN))) == [values]
    assert inspect(data).mode == mode


PALETTE = chunk(b"PLTE", bytes([*RED, *GREEN, *BLUE]))


@pytest.mark.parametrize(
    ("transparency", "colour", "alpha"),
    [
        ((), [RED, GREEN, BLUE], [255, 255, 255]),
        ((chunk(b"tRNS", b"\xff\x00"),), [RED, WHITE, BLUE], [255, 0, 255]),
        ((chunk(b"tRNS", b"\x33\xff\x00"),), [(255, 204, 204), GREEN, WHITE], [51, 255, 0]),
    ],
)
def test_palettes_are_read_with_their_transparency(transparency, colour, alpha):
    data = png(3, 1, 8, 3, b"\0\0\1\2", PALETTE, *transparency)
    assert listing(read(data, Layout((1, 3), 3))) == [colour]
    assert listing(read(data, Layout((1, 3), 1))) == [
        [int(0.299 * red + 0.587 * green + 0.114 * blue + 0.5) for red, green, blue in colour]
    ]
    assert listing(read(data, Layout((1, 3), 4))) == [[(*RED, alpha[0]), (*GREEN, alpha[1]), (*BLUE, alpha[2])]]


def test_gif_transparency_lies_on_the_background():
    image = image_of([[0, 1]], "P")
    image.putpalette([*RED, *BLUE])
    data = saved(image, "GIF", transparency=0)
    assert listing(read(data, Layout((1, 2), 3, background=(9, 8, 7)))) == [[(9, 8, 7), BLUE]]


@pytest.mark.parametrize(
    ("bits", "row", "transparent", "expected"),
    [
        (1, b"\x40", 1, [0, 128]),
        (2, b"\x10", 1, [0, 128]),
        (4, b"\x0f", 15, [0, 128]),
        (8, b"\x00\x09", 9, [0, 128]),
        (2, b"\x10", 2, [0, 85]),
    ],
)
def test_grey_png_of_few_bits_knows_its_transparent_value(bits, row, transparent, expected):
    data = png(2, 1, bits, 0, b"\0" + row, chunk(b"tRNS", struct.pack(">H", transparent)))
    assert listing(read(data, Layout((1, 2), 1, background=(128, 128, 128)))) == [expected]
    assert inspect(data).bits == bits


def test_colour_png_knows_its_transparent_colour():
    data = png(2, 1, 8, 2, b"\0" + bytes([*RED, *BLUE]), chunk(b"tRNS", struct.pack(">HHH", *RED)))
    assert listing(read(data, Layout((1, 2), 3))) == [[WHITE, BLUE]]
    assert listing(read(data, Layout((1, 2), 4))) == [[(*RED, 0), (*BLUE, 255)]]


def test_cmyk_jpeg_is_read_right_with_and_without_the_mark_of_adobe():
    marked = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    at = marked.index(b"\xff\xee")
    unmarked = marked[:at] + marked[at + 16 :]
    assert b"Adobe" not in unmarked
    # Adobe stores inks inverted: red's (0, 255, 255, 0) is stored as (255, 0, 0, 255), which without the mark means black.
    assert listing(read(marked, Layout((8, 8), 3)))[4][4] == RED
    assert listing(read(unmarked, Layout((8, 8), 3)))[4][4] == BLACK
    assert listing(read(marked, Layout((8, 8), 1)))[4][4] == 76


@pytest.mark.parametrize(
    ("depth", "palette", "row", "expected"),
    [
        (1, [BLACK, WHITE], b"\x60", [BLACK, WHITE, WHITE, BLACK]),
        (1, [RED, BLUE], b"\x60", [RED, BLUE, BLUE, RED]),
        (4, [BLACK, WHITE], b"\x01\x10", [BLACK, WHITE, WHITE, BLACK]),
        (4, [(n, n, n) for n in range(16)], b"\x01\x2f", [BLACK, (1, 1, 1), (2, 2, 2), (15, 15, 15)]),
        (8, [BLACK, WHITE], b"\0\1\1\0", [BLACK, WHITE, WHITE, BLACK]),
        (8, [BLACK, RED, GREEN], b"\0\1\2\0", [BLACK, RED, GREEN, BLACK]),
        (8, [(n, n, n) for n in range(256)], b"\0\1\2\xff", [BLACK, (1, 1, 1), (2, 2, 2), WHITE]),
    ],
)
def test_bmp_palettes_are_read_at_their_depth(depth, palette, row, expected):
    data = bmp(4, 1, depth, palette, row.ljust(4, b"\0"), colours=len(palette))
    assert listing(read(data, Layout((1, 4), 3))) == [expected]
    assert inspect(data).bits == depth


# Sixteen bits


def test_sixteen_bit_grey_is_read_exactly():
    data = saved(Image.fromarray(np.array([[0, 1, 257], [1000, 65534, 65535]], dtype=np.uint16)), "PNG")
    pixels = read(data, Layout((2, 3), 1, bits=16))
    assert (pixels.shape, pixels.dtype) == ((2, 3, 1), np.dtype(np.uint16))
    assert listing(pixels) == [[0, 1, 257], [1000, 65534, 65535]]
    assert inspect(data) == ImageHeader("PNG", 3, 2, "I;16", 16, 1)


def test_sixteen_bit_grey_is_resized_in_full_depth():
    data = saved(Image.fromarray(np.array([[1000, 1003]], dtype=np.uint16)), "PNG")
    # 1001.5 is rounded to the even neighbour.
    assert listing(read(data, Layout((1, 1), 1, bits=16))) == [[1002]]


def test_sixteen_bit_grey_is_turned_padded_and_laid_on_the_background():
    rows = b"\0" + struct.pack(">HH", 5, 60000)
    data = png(2, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 5)), chunk(b"eXIf", exif_with(6).tobytes()[6:]))
    layout = Layout((2, 3), 1, bits=16, resize="pad", background=(1, 1, 1))
    assert listing(read(data, layout)) == [[257, 257, 257], [257, 60000, 257]]


def test_eight_bits_become_sixteen_by_257():
    data = saved(image_of([[0, 1, 255]], "L"), "PNG")
    assert listing(read(data, Layout((1, 3), 1, bits=16))) == [[0, 257, 65535]]


@pytest.mark.parametrize(("channels", "fix"), [(1, "Set `bits: 16`"), (3, "Set `bits: 16` and `channels: 1`")])
def test_sixteen_bit_grey_is_refused_where_eight_are_asked_for(channels, fix):
    data = png(1, 1, 16, 0, b"\0\1\2")
    fix += " to keep them, or `window: percentile` or `window: [low, high]` to choose the values between black and white."
    assert refusal(data, Layout((1, 1), channels)) == ("The image has 16 bits per sample, more than the 8 that are asked for.", fix)


@pytest.mark.parametrize(("colour", "samples", "mode"), [(2, 3, "RGB"), (4, 2, "RGBA"), (6, 4, "RGBA")])
def test_sixteen_bits_in_several_channels_are_refused(colour, samples, mode):
    data = png(1, 1, 16, colour, b"\0" + b"\1\2" * samples)
    assert inspect(data) == ImageHeader("PNG", 1, 1, mode, 16, 1)
    for bits in (8, 16):
        assert refusal(data, Layout((1, 1), 1, bits=bits)) == (
            "The image has 16 bits per sample and more than one channel; 16 bits are read from grey images only.",
            "Convert it to 8 bits per sample, or to grey.",
        )


# Orientation

UPRIGHT = [[10, 20, 30], [40, 50, 60]]
AS_STORED = {
    1: [[10, 20, 30], [40, 50, 60]],
    2: [[30, 20, 10], [60, 50, 40]],
    3: [[60, 50, 40], [30, 20, 10]],
    4: [[40, 50, 60], [10, 20, 30]],
    5: [[10, 40], [20, 50], [30, 60]],
    6: [[30, 60], [20, 50], [10, 40]],
    7: [[60, 30], [50, 20], [40, 10]],
    8: [[40, 10], [50, 20], [60, 30]],
}


@pytest.mark.parametrize("orientation", AS_STORED)
def test_every_orientation_is_set_upright(orientation):
    stored = image_of(AS_STORED[orientation], "L")
    data = saved(stored, "PNG", exif=exif_with(orientation))
    assert listing(read(data, Layout((2, 3), 1))) == UPRIGHT
    assert inspect(data) == ImageHeader("PNG", 3, 2, "L", 8, orientation)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_found_in_each_format_that_has_exif(kind):
    data = saved(Image.new("RGB", (16, 8)), kind, exif=exif_with(8))
    assert (inspect(data).width, inspect(data).height, inspect(data).orientation) == (8, 16, 8)


@pytest.mark.parametrize(
    ("exif", "expected"),
    [
        (b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0112, 3, 1, 6), 6),
        (b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x0112, 3, 1, 6, 0), 6),
        (b"MM\0*" + struct.pack(">IHHHII", 8, 1, 0x0112, 4, 1, 6), 6),
        (b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0112, 3, 1, 9), 1),
        (b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0112, 3, 1, 0), 1),
        (b"II*\0" + struct.pack("<IHHHII", 8, 65535, 0x0111, 3, 1, 6), 1),
        (b"II*\0" + struct.pack("<I", 4_000_000_000), 1),
        (b"II*", 1),
        (b"rubbish", 1),
        (b"", 1),
    ],
)
def test_broken_exif_leaves_the_image_as_it_is(exif, expected):
    jpeg = saved(Image.new("RGB", (8, 8)), "JPEG")
    data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 8 + len(exif)) + b"Exif\0\0" + exif + jpeg[2:]
    assert inspect(data) == ImageHeader("JPEG", 8, 8, "RGB", 8, expected)
    assert listing(read(data, Layout((8, 8), 3))) == [[BLACK] * 8] * 8


def test_a_png_is_refused_for_the_checksum_of_any_part():
    exif = chunk(b"eXIf", exif_with(6).tobytes()[6:])
    sound = png(2, 1, 8, 0, b"\0\1\2", exif)
    assert inspect(sound).orientation == 6
    assert refusal(sound.replace(exif, exif[:-1] + b"?")) == (
        "The PNG file is damaged: a checksum in it is wrong.",
        "Copy or download it again.",
    )


# Sizes

ROW = [0, 0, 100, 200, 255, 255]


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_the_right_size_keep_every_pixel(resize, channels):
    noise = np.random.default_rng(3).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    data = saved(Image.fromarray(noise.squeeze()), "PNG")
    assert np.array_equal(read(data, Layout((5, 7), channels, resize=resize)), noise)


@pytest.mark.parametrize(
    ("resize", "size", "expected"),
    [
        ("stretch", (1, 3), [[14, 144, 247]]),
        ("crop", (1, 2), [[100, 200]]),
        ("crop", (2, 2), [[125, 175], [125, 175]]),
        ("pad", (3, 6), [[29] * 6, ROW, [29] * 6]),
        ("pad", (1, 8), [[29, *ROW, 29]]),
        ("pad", (2, 3), [[14, 144, 247], [29, 29, 29]]),
    ],
)
def test_resize_stretches_crops_or_pads(resize, size, expected):
    # To half its length with antialias, the middle is (0 + 3 * 100 + 3 * 200 + 255) / 8 = 144; without, it would be 150.
    data = saved(image_of([ROW], "L"), "PNG")
    assert listing(read(data, Layout(size, 1, resize=resize, background=BLUE))) == expected


def test_crop_gives_the_centre_of_the_covering_image():
    noise = np.random.default_rng(5).integers(0, 256, (37, 91, 3), dtype=np.uint8)
    covered = Image.fromarray(noise).resize((69, 28), Image.Resampling.BILINEAR)
    assert covering_size((91, 37), (20, 28)) == (69, 28)
    pixels = read(saved(Image.fromarray(noise), "PNG"), Layout((28, 20), 3, resize="crop"))
    assert np.abs(pixels - np.asarray(covered)[:, 24:44].astype(int)).max() <= 1


def test_padding_of_a_image_with_alpha_is_opaque():
    data = saved(image_of([[(*RED, 0)]], "RGBA"), "PNG")
    assert listing(read(data, Layout((1, 3), 4, resize="pad", background=GREEN))) == [[(*GREEN, 255), (*RED, 0), (*GREEN, 255)]]


@pytest.mark.parametrize(
    ("size", "target", "cover", "fit"),
    [
        ((400, 300), (100, 100), (133, 100), (100, 75)),
        ((300, 400), (100, 100), (100, 133), (75, 100)),
        ((100, 100), (30, 20), (30, 30), (20, 20)),
        ((1, 1000), (10, 10), (10, 10000), (1, 10)),
        ((3, 2), (3, 3), (5, 3), (3, 2)),
    ],
)
def test_covering_and_fitting_keep_proportions(size, target, cover, fit):
    assert (covering_size(size, target), fitting_size(size, target)) == (cover, fit)


def test_crop_of_a_long_strip_needs_no_covering_image():
    data = png(1, 200_000, 8, 0, b"\0\x50" * 200_000)
    assert listing(read(data, Layout((3, 3), 1, resize="crop"))) == [[80] * 3] * 3


def test_colours_of_invisible_pixels_do_not_bleed():
    data = saved(image_of([[(*RED, 0), (*BLUE, 255)]], "RGBA"), "PNG")
    assert listing(read(data, Layout((1, 1), 4))) == [[(*BLUE, 128)]]
    assert listing(read(data, Layout((1, 1), 3))) == [[(128, 128, 255)]]


# Refusals


def test_files_that_are_no_files_are_refused(tmp_path):
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "absent.png") == ("The file does not exist.", "Give the path of an image file that exists.")
    folder = ("The path is a folder without DICOM files.", "Give the path of one image file, or of a folder of DICOM files.")
    assert refusal(tmp_path) == folder
    assert refusal(tmp_path / "pipe") == ("The path is not a regular file.", "Give the path of one image file.")
    assert refusal(tmp_path / "empty.png") == ("The file is empty.", "Replace it with a whole image file.")
    assert refusal(tmp_path / ("long" * 100)) == (
        "The file cannot be opened: file name too long.",
        "Give the path of a file that this user may read.",
    )


@pytest.mark.parametrize(
    "content", [b"age,sex\n40,f\n", b"BMW,320,a long enough line of text to be a header", b"<html></html>", b"\0" * 200, b"\xff\xd8"]
)
def test_other_content_is_not_an_image(content, tmp_path):
    path = tmp_path / "named.png"
    path.write_bytes(content)
    assert refusal(path) == ("The file is not an image.", f"Use an image file: {WORDS_OF_FORMATS}.")


@pytest.mark.parametrize(
    ("content", "noun"),
    [
        (saved(Image.new("RGB", (2, 2)), "JPEG2000"), "a JPEG 2000 image"),
        (saved(Image.new("L", (2, 2)), "ICO"), "an ICO image"),
        (saved(Image.new("L", (2, 2)), "PPM"), "a Netpbm image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    ],
)
def test_formats_that_are_not_read_are_named(content, noun):
    assert refusal(content) == (f"The file is {noun}, a format that is not read.", f"Convert it to {WORDS_OF_FORMATS}.")


SLICES = "Save the slices that matter as PNG, each in an image column of its own."
FRAMES = "Save the frames that matter as PNG, each in an image column of its own."
ONE_FILE = "Save header and voxels as one file, .nii or .nii.gz."
PNG_ARRAY = "Save it as PNG, with 8 or 16 bits."


@pytest.mark.parametrize(
    ("content", "noun", "fix"),
    [
        (b"\x5c\1\0\0" + b"\0" * 340 + b"ni1\0" + b"\0" * 20, "a NIfTI header without its voxels", ONE_FILE),
        (b"NRRD0004\ntype: float\n", "an NRRD volume", SLICES),
        (b"\0\0\0\x20ftypisom" + b"\0" * 20, "a video", FRAMES),
        (b"RIFF\x10\0\0\0AVI LIST" + b"\0" * 20, "an AVI video", FRAMES),
        (b"%PDF-1.7\n", "a PDF document", "Save the page that matters as PNG."),
        (b"\x93NUMPY\1\0v\0{}", "a NumPy array", PNG_ARRAY),
        (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file", "Save the array in it as PNG, with 8 or 16 bits."),
        (b"PK\3\4\x14\0", "a ZIP archive", "Unpack it, and write the path of each image."),
    ],
)
def test_what_is_no_image_has_a_way_out_of_its_own(content, noun, fix):
    assert refusal(content) == (f"The file is {noun}, a format that is not read.", fix)


@pytest.mark.parametrize(
    ("name", "noun", "fix"),
    [
        ("a.NRRD", "an NRRD volume", SLICES),
        ("a.jp2", "a JPEG 2000 image", f"Convert it to {WORDS_OF_FORMATS}."),
        ("a.cr2", "a raw camera image", f"Convert it to {WORDS_OF_FORMATS}."),
    ],
)
def test_the_name_tells_what_the_first_bytes_do_not(tmp_path, name, noun, fix):
    (tmp_path / name).write_bytes(b"\x1f\x8b\x08\0" + b"\0" * 50)
    assert refusal(tmp_path / name) == (f"The file is not an image that is read; its name ends like that of {noun}.", fix)


HUGE = {
    "PNG": png(20_000, 20_000, 8, 2, b""),
    "BMP": bmp(20_000, 20_000, 24, [], b""),
    "GIF": b"GIF89a"
    + struct.pack("<HHBBB", 9, 9, 0, 0, 0)
    + b"!\xf9\4\x0a\0\0\0\0"
    + b","
    + struct.pack("<HHHHBB", 0, 0, 20_000, 20_000, 0, 8),
    "JPEG": b"\xff\xd8\xff\xc0" + struct.pack(">HBHHBBBB", 11, 8, 20_000, 20_000, 1, 1, 0x11, 0) + b"\xff\xda\0\x08\1\1\0\0\x3f\0\0",
}


@pytest.mark.parametrize("kind", HUGE)
def test_too_many_pixels_are_refused_before_any_is_decoded(kind):
    assert refusal(HUGE[kind], Layout((1, 1), 3)) == (
        "The image has 400,000,000 pixels, more than max_pixels 50,000,000.",
        "Use a smaller image, or raise max_pixels.",
    )
    assert (inspect(HUGE[kind]).width, inspect(HUGE[kind]).height) == (20_000, 20_000)


def test_a_gif_is_handed_on_without_what_fills_memory_before_the_check():
    flags = HUGE["GIF"].index(b"!\xf9\4") + 3
    assert (HUGE["GIF"][flags], unpack("GIF", HUGE["GIF"]).data[flags]) == (0x0A, 0x02)


def test_max_pixels_is_the_most_that_is_read():
    data = saved(Image.new("RGB", (4, 3)), "PNG")
    assert read(data, Layout((1, 1), 3, max_pixels=12)).shape == (1, 1, 3)
    assert refusal(data, Layout((1, 1), 3, max_pixels=11))[0] == "The image has 12 pixels, more than max_pixels 11."


def test_a_image_that_no_memory_holds_is_refused():
    data = png(2**31 - 1, 2**31 - 1, 8, 2, b"")
    assert refusal(data, Layout((1, 1), 3, max_pixels=2**62)) == (
        "The image does not fit into memory.",
        "Use a smaller image, or lower max_pixels.",
    )


DAMAGED_FIX = "Open it in an image program and save it again, as PNG for instance."


def test_a_text_part_that_swells_is_never_looked_into():
    bomb = chunk(b"zTXt", b"note\0\0" + zlib.compress(b"\0" * 3_000_000))
    assert listing(read(png(1, 1, 8, 0, b"\0\1", bomb), Layout((1, 1), 1))) == [[1]]


def test_a_kind_of_jpeg_that_is_not_read_is_refused():
    twelve_bits = HUGE["JPEG"].replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc1\0\x0b\x0c")
    assert refusal(twelve_bits) == ("The JPEG file is damaged or of a kind that is not read.", DAMAGED_FIX)


def test_a_png_with_a_wrong_checksum_is_refused():
    data = png(1, 1, 8, 0, b"\0\1")
    at = data.index(b"IDAT") + 6
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    assert refusal(changed) == ("The PNG file is damaged: a checksum in it is wrong.", "Copy or download it again.")


def test_a_refusal_survives_the_way_between_processes():
    copy = pickle.loads(pickle.dumps(UnreadableImage("What.", "Fix.")))
    assert (str(copy), copy.fix) == ("What.", "Fix.")


# Hostile bytes


def victims() -> dict[str, bytes]:
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8))
    exif = exif_with(6)
    exif[0x010F] = "a maker with a long name"
    exif[0x011A] = 72.0
    other = colours.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return {
        "jpeg": saved(colours, "JPEG", exif=exif),
        "progressive jpeg": saved(colours, "JPEG", progressive=True),
        "cmyk jpeg": saved(colours.convert("CMYK"), "JPEG"),
        "two-image jpeg": saved(colours, "MPO", save_all=True, append_images=[other]),
        "png": saved(colours, "PNG", exif=exif),
        "palette png": saved(colours.quantize(16), "PNG", transparency=b"\0\x80"),
        "animated png": saved(colours, "PNG", save_all=True, append_images=[other]),
        "bmp": saved(colours, "BMP"),
        "palette bmp": saved(colours.quantize(16), "BMP"),
        "gif": saved(colours.quantize(16), "GIF", transparency=3, disposal=2),
        "animated gif": saved(colours, "GIF", save_all=True, append_images=[other]),
        "webp": saved(colours, "WEBP", exif=exif),
        "lossless webp": saved(colours.convert("RGBA"), "WEBP", lossless=True),
    }


LAYOUT = Layout((8, 8), 3, max_pixels=1_000_000)


def test_a_file_cut_short_is_refused_or_lost_nothing_of_its_image():
    cuts, refused = 0, {}
    for name, data in victims().items():
        whole = read(data, LAYOUT)
        for length in range(200, len(data), 7):
            cuts += 1
            try:
                assert np.array_equal(read(data[:length], LAYOUT), whole), (name, length)
            except UnreadableImage as error:
                refused.setdefault(str(error).split()[1], set()).add((str(error), error.fix))
    assert cuts > 1000
    assert refused == {
        kind: {(f"The {kind} file is cut short.", "Copy or download it again, whole.")} for kind in ("JPEG", "PNG", "BMP", "GIF", "WEBP")
    }


def test_nothing_but_a_refusal_comes_out_of_damaged_files():
    chance, cases, refused = random.Random(17), 0, 0
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        for data in victims().values():
            for _ in range(60):
                changed = bytearray(data)
                for _ in range(chance.choice((1, 1, 3, 10))):
                    # Most of the damage goes where the headers are.
                    changed[chance.randrange(chance.choice((60, 200, len(data))))] = chance.randrange(256)
                cases += 1
                try:
                    assert read(bytes(changed), LAYOUT).shape == (8, 8, 3)
                except UnreadableImage as error:
                    refused += 1
                    assert str(error).endswith(".")
                    assert error.fix.endswith(".")
    assert cases == 780
    assert refused > 200
    assert [str(warning.message) for warning in leaked] == []


def test_many_threads_read_what_one_reads():
    files = list(victims().values())
    alone = [read(data, LAYOUT) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: read(data, LAYOUT), files * 20))
    assert len(together) == 260
    assert all(np.array_equal(pixels, alone[number % len(files)]) for number, pixels in enumerate(together))


def test_importing_the_package_loads_neither_numpy_nor_pillow():
    code = "import sys, mmtrain.image_decoding; print([name for name in ('numpy', 'PIL') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("size", "target", "how", "part"),
    [
        ((128, 128), (128, 128), "stretch", 1),
        ((255, 256), (128, 128), "stretch", 1),
        ((256, 256), (128, 128), "stretch", 2),
        ((3000, 4000), (224, 224), "stretch", 8),
        ((1791, 4000), (224, 224), "stretch", 4),
        ((3000, 4000), (400, 400), "crop", 4),  # covers 400 x 533, and an eighth has 375 rows
        ((3000, 4000), (400, 400), "pad", 8),  # fits into 300 x 400
        ((100, 20), (200, 10), "stretch", 1),
    ],
)
def test_a_jpeg_is_made_smaller_while_it_is_decoded_as_far_as_enough_is_left(size, target, how, part):
    assert reduction(size, target, how) == part


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    slope = np.linspace(0, 255, 96, dtype=np.uint8)[:, None] * np.ones((1, 64), np.uint8)
    jpeg = saved(Image.fromarray(slope), "JPEG", quality=95, exif=exif)
    drafted = Image.open(BytesIO(jpeg))
    drafted.draft("L", (32, 48))
    expected = np.asarray(drafted.transpose(Image.Transpose.ROTATE_270) if orientation == 6 else drafted)
    found = read(jpeg, Layout(expected.shape, 1))[..., 0]
    assert np.array_equal(found, expected)
    whole = Image.fromarray(slope.T[:, ::-1] if orientation == 6 else slope).resize(expected.shape[::-1], Image.Resampling.BILINEAR)
    assert np.abs(found.astype(int) - np.asarray(whole)).max() <= 3
