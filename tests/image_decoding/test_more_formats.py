"""TIFF, AVIF and HEIC, and windows of samples: files with known pixels, their literal values, and refusals."""

import sys
import warnings
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mmtrain.image_decoding import Layout, UnreadableImage, inspect, read
from mmtrain.image_decoding.decoded_image import MissingReader
from mmtrain.image_decoding.formats import tiff
from mmtrain.image_decoding.window import percentile_window, to_levels

GREY = np.array([[0, 10, 20], [30, 40, 255]], np.uint8)
DEEP = np.array([[0, 1000, 2000], [30000, 40000, 65535]], np.uint16)
COLOUR = np.array([[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (7, 8, 9)]], np.uint8)
FULL = (0.0, 65535.0)


def saved(array, kind="TIFF", **options):
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def by_tifffile(array, **options):
    tifffile = pytest.importorskip("tifffile")
    buffer = BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def layout(array, **options):
    channels = options.pop("channels", 1 if array.ndim == 2 else 3)
    return Layout(array.shape[:2], channels, **options)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_is_read_by_pillow(compression):
    assert read(saved(GREY, compression=compression), layout(GREY))[..., 0].tolist() == GREY.tolist()
    assert read(saved(COLOUR, compression=compression), layout(COLOUR)).tolist() == COLOUR.tolist()
    header = inspect(saved(COLOUR, compression=compression))
    assert (header.format, header.width, header.height, header.bits, header.mode) == ("TIFF", 2, 2, 8, "RGB")


def test_tiff_of_sixteen_bits_is_read_as_a_png_of_them():
    deep = layout(DEEP, bits=16)
    for data in (saved(DEEP), by_tifffile(DEEP, byteorder=">"), saved(DEEP, "PNG")):
        assert read(data, deep)[..., 0].tolist() == DEEP.tolist()
        with pytest.raises(UnreadableImage, match="16 bits per sample, more than the 8"):
            read(data, layout(DEEP))


def test_white_may_be_zero():
    assert read(by_tifffile(DEEP, photometric="miniswhite"), layout(DEEP, bits=16))[..., 0].tolist() == (65535 - DEEP).tolist()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_window_chooses_the_values_between_black_and_white(kind):
    data = saved(DEEP, kind)
    assert read(data, layout(DEEP, window=(1000.0, 40000.0)))[..., 0].tolist() == [[0, 0, 7], [190, 255, 255]]
    assert read(data, layout(DEEP, bits=16, window=FULL))[..., 0].tolist() == DEEP.tolist()
    assert read(data, layout(DEEP, window=FULL, channels=3))[1].tolist() == [[117] * 3, [156] * 3, [255] * 3]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_ramp_of_sixteen_bits_keeps_its_levels(kind):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert len(np.unique(read(saved(ramp, kind), layout(ramp, bits=16)))) == 65536
    # A window of 4,096 values: each of them stays a level of its own.
    assert len(np.unique(read(saved(ramp, kind), layout(ramp, bits=16, window=(20000.0, 24096.0))))) == 4097


def test_percentiles_leave_out_the_extremes():
    samples = np.arange(1001)
    assert percentile_window(samples) == (5, 995)
    assert percentile_window(np.full(9, 7)) == (7, 8)
    assert percentile_window(np.array([np.nan, 1.0, np.inf, 3.0])) == (1, 3)
    assert to_levels(np.array([-5, 5, 500, 995, 2000]), (5, 995), 255).tolist() == [0, 0, 127.5, 255, 255]
    assert to_levels(np.array([5.0, np.nan]), (5, 995), 255, inverted=True).tolist() == [255, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["pillow", "tifffile", "AVIF"])
def test_every_orientation_is_set_upright(orientation, kind):
    # As `test_image_decoding` has it for JPEG, PNG and WebP.
    upright = np.kron(GREY, np.ones((16, 16), np.uint8))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: np.rot90(upright.T, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    if kind == "tifffile":
        # Two pages of 16 bits: not for Pillow.
        data = by_tifffile(np.stack([stored] * 2).astype(np.uint16), extratags=[(274, "H", 1, orientation, True)], photometric="minisblack")
        pixels = read(data, layout(upright, bits=16, window=(0.0, 65535.0)))
    else:
        exif = {"exif": exif_with(orientation)}
        data = saved(stored, "TIFF", **exif) if kind == "pillow" else saved(stored, "AVIF", quality=100, subsampling="4:4:4", **exif)
        pixels = read(data, layout(upright))
    assert np.abs(pixels[..., 0].astype(int) - upright).max() <= (3 if kind == "AVIF" else 0)
    assert (inspect(data).width, inspect(data).height) == upright.shape[::-1]


def test_pages_are_chosen_and_never_cut_in_silence():
    stack = np.stack([np.full((2, 2), level, np.uint8) for level in (10, 20, 30, 40)])
    data = by_tifffile(stack, photometric="minisblack")
    assert [int(read(data, Layout((2, 2), 1, slice=number))[0, 0, 0]) for number in (None, 0, 3)] == [30, 10, 40]
    with pytest.raises(UnreadableImage, match="has 4 pages; `slice: 4` counts from 0"):
        read(data, Layout((2, 2), 1, slice=4))
    assert read(data, Layout((2, 2), 1, depth=4))[:, 0, 0, 0].tolist() == [10, 20, 30, 40]


def test_sixteen_bit_colours_need_a_window():
    colours = COLOUR.astype(np.uint16) * 257
    data = by_tifffile(colours, photometric="rgb")
    with pytest.raises(UnreadableImage, match="16 bits per sample and more than one channel"):
        read(data, layout(COLOUR))
    assert read(data, layout(COLOUR, window=FULL)).tolist() == COLOUR.tolist()


def test_floats_are_shown_by_their_percentiles_or_a_window():
    values = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    for data in (saved(values), by_tifffile(values)):
        assert read(data, layout(values, window=(-1.0, 1.0)))[0, :, 0].tolist() == [0, 23, 46, 70]
        assert read(data, layout(values))[..., 0].ravel()[[0, -1]].tolist() == [0, 255]


def test_many_channels_are_refused():
    data = by_tifffile(np.zeros((2, 2, 13), np.uint8), photometric="minisblack", planarconfig="contig")
    with pytest.raises(UnreadableImage, match="13 channels per pixel"):
        read(data, Layout((2, 2), 3))


def test_the_extra_is_named_where_its_packages_are_missing(monkeypatch):
    import sys

    stack = by_tifffile(np.zeros((2, 2, 2), np.uint8), photometric="minisblack")
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    for name in ("tifffile", "pillow_heif"):
        monkeypatch.setitem(sys.modules, name, None)
    for data, extra in ((stack, "tiff"), (heic, "heif")):
        with pytest.raises(MissingReader) as refused:
            read(data, Layout((2, 2), 1))
        assert refused.value.fix == f"Run `pip install 'mmtrain[{extra}]'`."


def test_a_damaged_tiff_is_refused_and_nothing_is_written():
    data = saved(np.zeros((40, 40), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for end in range(9, len(data), 97):
            with pytest.raises(UnreadableImage):
                read(data[:end], Layout((4, 4), 1))


def test_heic_is_read():
    heif = pytest.importorskip("pillow_heif")
    image = Image.fromarray(np.kron(COLOUR, np.ones((32, 32, 1), np.uint8)))
    buffer = BytesIO()
    heif.from_pillow(image).save(buffer, quality=-1, chroma=444)
    pixels = read(buffer.getvalue(), Layout((64, 64), 3))
    assert np.abs(pixels[16::32, 16::32].astype(int) - COLOUR).max() <= 6
    assert inspect(buffer.getvalue()).format == "HEIC"


def test_a_directory_that_refers_to_itself_ends():
    data = bytearray(saved(GREY))
    (start,) = np.frombuffer(data[4:8], "<u4")
    count = int(np.frombuffer(data[start : start + 2], "<u2")[0])
    data[start + 2 + 12 * count : start + 6 + 12 * count] = data[4:8]
    assert len(tiff.pages_of(bytes(data))) == 1


def test_one_picture_is_no_volume():
    image = saved(np.kron(COLOUR, np.ones((32, 32, 1), np.uint8)), "AVIF")
    for data, kind in ((image, "AVIF"), (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"), (saved(GREY, "PNG"), "PNG")):
        with pytest.raises(UnreadableImage, match=f"The file is an? {kind} image, not a volume"):
            read(data, Layout((4, 4), 1, depth=2))


def test_a_place_beyond_any_file_is_an_end_that_is_missing():
    data = bytearray(saved(GREY))
    data[:16] = b"II+\0\x08\0\0\0" + b"\xff" * 8  # BigTIFF, its first directory at 2**64 - 1
    for look in (inspect, lambda damaged: read(damaged, layout(GREY))):
        with pytest.raises(UnreadableImage, match="The TIFF file is cut short"):
            look(bytes(data))


def test_a_stack_that_tifffile_mends_is_read_without_a_word(caplog):
    data = bytearray(by_tifffile(np.full((2, 40, 40), 7, np.uint8), photometric="minisblack"))
    place = data.index(np.array([279, 4, 1], "<u2").tobytes()[:4])  # StripByteCounts, a LONG
    data[place + 4 : place + 8] = b"\x05\0\0\0"  # five of one strip
    assert read(bytes(data), Layout((4, 4), 1)).max() == 7
    assert caplog.text == ""


def test_values_beyond_float32_are_white_without_a_warning():
    values = np.array([[-1e300, 0.0, 0.5, 1e300, np.inf]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_levels(values, (0.0, 1.0), 255).tolist() == [[0.0, 0.0, 127.5, 255.0, 255.0]]


@pytest.mark.parametrize(
    ("package", "data", "noun", "extra"),
    [
        ("tifffile", lambda: by_tifffile(COLOUR.astype(np.uint16), photometric="rgb"), "a TIFF image with 16-bit colours", "tiff"),
        ("pillow_heif", lambda: b"\0\0\0\x18ftypheic" + bytes(64), "a HEIC image", "heif"),
    ],
)
def test_the_extra_that_reads_a_file_is_named(monkeypatch, package, data, noun, extra):
    content = data()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingReader, match=f"The file is {noun}.* and the packages that read it are not installed") as refused:
        read(content, layout(COLOUR, window=FULL))
    assert refused.value.fix == f"Run `pip install 'mmtrain[{extra}]'`."


def test_a_compression_without_its_decoder_names_the_extra(monkeypatch):
    tifffile = pytest.importorskip("tifffile")

    def refuse(self, *_, **__):
        raise ValueError("<COMPRESSION.JPEG2000: 34712> requires the 'imagecodecs' package")

    data = by_tifffile(COLOUR.astype(np.uint16), photometric="rgb")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    with pytest.raises(MissingReader, match="The file is a TIFF image of a rare compression"):
        read(data, layout(COLOUR, window=FULL))
