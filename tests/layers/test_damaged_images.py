"""Damaged image files: the reader in Python and the layer of an exported model decide alike, and read the same pixels."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from PIL import Image
from test_image_layers import LAYOUTS as WHOLE
from test_image_layers import decoded, deep, examples, layer_of, photo, saved, turned

from mmtrain.image_decoding import Layout, UnreadableImage, read

pytestmark = [pytest.mark.usefixtures("tensorflow")]

FILES = 4000
LAYOUTS = [Layout((16, 20), 3, max_pixels=1_000_000), Layout((13, 17), 4, max_pixels=1_000_000), Layout((9, 9), 1, bits=16, resize="pad")]
COLOUR = WHOLE["colour"]
"""A layout whose decoder other tests have traced, which takes seconds."""


def whole_files():
    """Small files of all formats, with all the parts that Pillow writes."""
    exif = Image.Exif()
    exif[0x0112] = 3
    extras = {"exif": exif, "icc_profile": b"x" * 40}
    found = {**examples((13, 17)), **{f"{kind} turned": turned(kind, 6) for kind in ("JPEG", "PNG", "WEBP")}, "PNG 16 bits": deep(0)}
    few = photo((13, 17), 3).quantize(9)
    found["PNG extras"] = saved(few, "PNG", **extras, dpi=(72, 72), transparency=bytes([3] * 9))
    found["WEBP extras"] = saved(photo((13, 17), 4), "WEBP", **extras, xmp=b"<x/>")
    found["JPEG extras"] = saved(photo((13, 17), 3), "JPEG", **extras, comment=b"hello")
    return found


def parts(data: bytes) -> list[bytes]:
    """Chunks of a PNG or WebP, segments of a JPEG, sevenths of the others; as far as they can be told."""
    at = {b"\x89P": 8, b"RI": 12, b"\xff\xd8": 2}.get(data[:2])
    if at is None:
        size = max(1, len(data) // 7)
        return [data[start : start + size] for start in range(0, len(data), size)]
    found = [data[:at]]
    while at + 8 < len(data) and not data.startswith(b"\xff\xda", at):
        if data[0] == 0x89:
            length = 12 + struct.unpack_from(">I", data, at)[0]
        elif data[0] == 0xFF:
            length = 2 + struct.unpack_from(">H", data, at + 2)[0]
        else:
            length = 8 + struct.unpack_from("<I", data, at + 4)[0]
            length += length % 2
        found.append(data[at : at + length])
        at += length
    return [*found, data[at:]]


def broken(data: bytes, source: random.Random) -> bytes:
    """The file with one kind of damage."""
    how = source.choice(["bits", "bits", "bytes", "head", "head", "cut", "swap", "drop", "twice", "zero", "insert"])
    found, place = bytearray(data), source.randrange(len(data))
    if how in ("swap", "drop", "twice"):
        pieces = parts(data)
        one, other = (source.randrange(1, len(pieces)) for _ in range(2)) if len(pieces) > 2 else (0, 0)
        if how == "swap":
            pieces[one], pieces[other] = pieces[other], pieces[one]
        elif how == "drop":
            del pieces[one]
        else:
            pieces.insert(other, pieces[one])
        return b"".join(pieces)
    if how == "cut":
        return data[:place]
    if how == "zero":
        found[place : place + 20] = bytes(len(found[place : place + 20]))
    elif how == "insert":
        found[place:place] = source.randbytes(source.randint(1, 9))
    elif how == "head":
        found[source.randrange(min(len(found), 90))] = source.choice([0, 1, 2, 3, 4, 8, 16, 24, 32, 127, 128, 255])
    for _ in range(source.randint(1, 4) if how in ("bits", "bytes") else 0):
        place = source.randrange(len(found))
        found[place] = found[place] ^ 1 << source.randrange(8) if how == "bits" else source.randrange(256)
    return bytes(found)


def judged(file: bytes, layout: Layout):
    """Pixels, or the sentence of the refusal."""
    try:
        return read(file, layout)
    except UnreadableImage as error:
        return str(error)


def differences(files, layout):
    """Those about which the readers disagree, with what each says."""
    pixels, _, status = decoded(layer_of(layout), files.values())
    level = 257 if layout.bits == 16 else 1  # samples of 8 bits count 257 times
    found = {}
    for (name, file), of_layer, code in zip(files.items(), pixels, status, strict=True):
        of_reader = judged(file, layout)
        if isinstance(of_reader, str) or code:
            if not (isinstance(of_reader, str) and code):
                found[name] = (of_reader if isinstance(of_reader, str) else "read", code, file.hex())
        # Where scans of a progressive JPEG are lost, versions of the decoder make up for them in ways of their own.
        elif "progressive" not in name[1] and np.abs(of_layer.astype(int) - of_reader.astype(int)).max() > level:
            found[name] = ("other pixels", file.hex())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS, ids=["colour", "alpha", "deep"])
def test_files_broken_at_random_are_decided_alike(layout, seed):
    source = random.Random(f"{seed} {layout.channels}")
    sound = whole_files()
    files = {}
    while len(files) < FILES:
        name = source.choice(list(sound))
        file = broken(sound[name], source)
        if len(file) > 100 and source.random() < 0.25:
            file = broken(file, source)
        if file:
            files[len(files), name] = file
    found = {}
    for start in range(0, FILES, 500):
        found |= differences(dict(list(files.items())[start : start + 500]), layout)
    assert found == {}


def replaced(kind, at, byte):
    """One of the whole files with another byte at a place, which counts from a word if there is one."""
    data = bytearray(whole_files()[kind])
    word, offset = at if isinstance(at, tuple) else (b"", at)
    data[data.index(word) + offset] = byte
    return bytes(data)


def chunks_of(kind, order):
    """One of the whole files with its parts in another order."""
    pieces = parts(whole_files()[kind])
    return b"".join(pieces[number] for number in order)


DAMAGED = {
    "JPEG without its end": lambda: whole_files()["JPEG"][:-2],
    "JPEG segment of no length": lambda: replaced("JPEG", (b"JFIF", -1), 1),
    "PNG ancillary checksum": lambda: replaced("PNG extras", (b"iCCP", 10), 7),
    "PNG transparency checksum": lambda: replaced("PNG extras", (b"tRNS", 5), 7),
    "PNG EXIF checksum": lambda: replaced("PNG turned", (b"eXIf", 12), 7),
    "PNG two headers": lambda: chunks_of("PNG", [0, 1, 1, 2, 3]),
    "PNG two palettes": lambda: chunks_of("PNG palette", [0, 1, 2, 2, 3, 4]),
    "PNG palette behind pixels": lambda: chunks_of("PNG palette", [0, 1, 3, 2, 4]),
    "PNG without its palette": lambda: chunks_of("PNG palette", [0, 1, 3, 4]),
    "BMP colour beyond the palette": lambda: replaced("BMP palette", -1 - 3, 200),
    "BMP without its last bytes": lambda: whole_files()["BMP grey"][:-1],
    "BMP header of no known size": lambda: replaced("BMP", 14, 41),
    "BMP masks of no known kind": lambda: replaced("BMP 16 bits, masks", 55, 0xF0),
    "BMP pixels inside the palette": lambda: replaced("BMP palette", 10, 100),
    "BMP palette of too many colours": lambda: replaced("BMP black and white", 48, 8),
    "GIF without a palette": lambda: replaced("GIF", 10, 0x07),
    "GIF colour beyond the palette": lambda: replaced("GIF transparent", 10, 0x81),
    "GIF ends before its frame": lambda: whole_files()["GIF"][:781] + b";" + whole_files()["GIF"][781:],
    "WEBP two headers": lambda: chunks_of("WEBP extras", [0, 1, 1, 2, 3, 4, 5, 6]),
    "WEBP transparency behind pixels": lambda: chunks_of("WEBP alpha", [0, 1, 3, 2]),
    "WEBP pixels of another size than the canvas": lambda: replaced("WEBP alpha", (b"VP8X", 12), 40),
    "WEBP unknown flag": lambda: replaced("WEBP alpha", (b"VP8X", 8), 0x90),
    "WEBP EXIF beyond the end": lambda: replaced("WEBP extras", (b"EXIF", 4), 200),
    "WEBP frames without the word for it": lambda: chunks_of("WEBP animated", [0, 1, 3, 4]),
    "WEBP frame outside of the canvas": lambda: replaced("WEBP animated", (b"ANMF", 8), 9),
}


@pytest.fixture(scope="module")
def colour(tensorflow):
    return layer_of(COLOUR)


@pytest.fixture(scope="module")
def statuses(colour):
    """The layer's status of every damaged file, in one batch: each batch begins the decoders of all formats anew."""
    return dict(zip(DAMAGED, decoded(colour, [damaged() for damaged in DAMAGED.values()])[2], strict=True))


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.slow
def test_what_is_damaged_is_refused_by_both(name, statuses):
    assert judged(DAMAGED[name](), COLOUR).startswith((f"The {name.split()[0]} file is ", "The file is not an image"))
    assert statuses[name] == 2


@pytest.mark.slow
def test_codes_of_a_gif_that_come_before_they_are_defined_are_refused_by_both(colour):
    file = bytearray(saved(photo((40, 40), 3), "GIF"))
    file[-300] ^= 0xFF
    assert judged(bytes(file), COLOUR) == "The GIF file is damaged or of a kind that is not read."
    assert decoded(colour, [bytes(file)])[2] == [2]
    large = Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 300), dtype=np.uint8)).quantize(256)
    file = saved(large, "GIF")  # whose table of codes is full several times
    assert np.array_equal(decoded(colour, [file])[0][0], read(file, COLOUR))


@pytest.mark.slow
def test_what_decides_no_pixel_may_be_anything_in_both(colour):
    head, first, *others = parts(whole_files()["PNG extras"])
    late = [piece for piece in others if piece[4:8] == b"tRNS"]
    rest = [piece for piece in others if piece[4:8] != b"tRNS"]
    file = b"".join([head, first, *rest[:-1], *late, rest[-1]])  # transparency behind the pixels counts for nobody
    opaque = b"".join([head, first, *rest])
    pixels, _, status = decoded(colour, [file, opaque])
    assert status == [0, 0]
    for found in (*pixels, read(file, COLOUR)):
        assert np.array_equal(found, read(opaque, COLOUR))
