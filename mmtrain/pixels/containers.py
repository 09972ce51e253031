"""What of a file decides its pixels.

Pillow warns about broken metadata, and a warning can neither be caught in one thread only nor be read by the user of a table.
So Pillow is given the file without the parts that make it warn, and mended where it is known to read pixels wrong
(Pillow 13.0, seen in its answers):

- JPEG: without application segments other than JFIF and Adobe, which alone decide colours.
- PNG: without EXIF and animation chunks; the checksums of the chunks that make up the picture are checked here, for Pillow skips IDAT's.
- GIF: with the first frame's disposal cleared, for which Pillow fills a whole frame before anyone can look at the size.
- BMP: with a longer palette where Pillow takes one of black and white for a one-bit picture whatever the depth says.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from mmtrain.pixels.picture import UnreadableImage, cut_short, damaged, refusing


@dataclass(frozen=True)
class Container:
    """A file taken apart: `data` is for Pillow, `exif` the TIFF structure of its EXIF part, `bits` those of one sample.

    `plain` is (mode, width, height) of a grey or colour JPEG that needs nothing but its decoder; of others None.
    """

    format: str
    data: bytes
    bits: int = 8
    exif: bytes = b""
    plain: tuple[str, int, int] | None = None


def unpack(kind: str, data: bytes) -> Container:
    """Take `data` of the format `kind` apart.

    Raises:
        UnreadableImage: the file ends early, or its parts contradict each other.

    """
    with refusing(kind):
        return _UNPACK[kind](data)


_JPEG_START_OF_SCAN = 0xDA
_JPEG_NO_LENGTH = {0x00, 0x01, *range(0xD0, 0xDA)}
"""Stuffed zero, TEM, restarts, start and end of image: markers that stand alone."""
_JPEG_METADATA = {*range(0xE0, 0xF0), 0xFE} - {0xE0, 0xEE}
"""Application segments and comments, but for JFIF's (0xE0) and Adobe's (0xEE)."""
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Headers of frames: size, bits and components. Those of baseline, extended and progressive Huffman coding are 0xC0 to 0xC2."""


def _jpeg(data: bytes) -> Container:
    kept, exif, frames = [data[:2]], b"", []
    for marker, segment in _jpeg_segments(data):
        if marker == 0xE1 and segment[4:10] == b"Exif\0\0":
            exif = exif or segment[10:]
        if marker in _JPEG_FRAMES:
            frames.append((marker, segment))
        if marker not in _JPEG_METADATA:
            kept.append(segment)
    return Container("JPEG", b"".join(kept), exif=exif, plain=_plain_jpeg(frames))


def _plain_jpeg(frames: list[tuple[int, bytes]]) -> tuple[str, int, int] | None:
    """Mode, width and height of a JPEG with one frame, of 8 bits, in grey or colour; None of any other."""
    if len(frames) != 1 or len(frames[0][1]) < 10:
        return None
    marker, segment = frames[0]
    bits, height, width, components = struct.unpack_from(">BHHB", segment, 4)
    mode = {1: "L", 3: "RGB"}.get(components)
    if marker > 0xC2 or bits != 8 or mode is None or len(segment) != 10 + 3 * components or not width * height:
        return None
    return mode, width, height


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and segment in turn, junk between them skipped as libjpeg skips it; the last is the scan and all behind it."""
    at = 2
    while (at := data.find(b"\xff", at) + 1) > 0:  # behind the first of perhaps several
        while data.startswith(b"\xff", at):
            at += 1
        if at + 3 > len(data):
            break
        marker, end = data[at], at + 1 + (data[at + 1] << 8 | data[at + 2])
        if marker in _JPEG_NO_LENGTH:
            at += 1
        elif marker == _JPEG_START_OF_SCAN:
            yield marker, data[at - 1 :]
            return
        elif end > len(data):
            break
        else:
            yield marker, data[at - 1 : end]
            at = end
    raise cut_short("JPEG")


_PNG_DROPPED = {b"eXIf", b"acTL", b"fcTL", b"fdAT"}
"""EXIF, read here, and animation."""


def _png(data: bytes) -> Container:
    kept, exif, whole = [data[:8]], b"", True
    for name, chunk in _png_chunks(data):
        if name == b"eXIf" and _intact(chunk):
            exif = exif or chunk[8:-4]
        if name in _PNG_DROPPED:
            whole = False
        else:
            kept.append(chunk)
    if kept[1][4:8] != b"IHDR":
        raise damaged("PNG")
    return Container("PNG", data if whole else b"".join(kept), bits=kept[1][16], exif=exif)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and chunk (length, name, body, checksum) in turn, through IEND."""
    at, name = 8, b""
    while name != b"IEND":
        if at + 12 > len(data):
            raise cut_short("PNG")
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise cut_short("PNG")
        chunk = data[at:end]
        # A capital first letter marks the chunks without which there is no picture.
        if name[:1].isupper() and not _intact(chunk):
            raise UnreadableImage("The PNG file is damaged: a checksum in it is wrong.", "Copy or download it again.")
        yield name, chunk
        at = end


def _intact(chunk: bytes) -> bool:
    return crc32(memoryview(chunk)[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _bmp(data: bytes) -> Container:
    header_size, offset = struct.unpack_from("<I", data, 14)[0], struct.unpack_from("<I", data, 10)[0]
    if header_size == 12:  # OS/2: no palette length to mistake
        return Container("BMP", data, bits=_bmp_sample_bits(struct.unpack_from("<H", data, 24)[0]))
    depth, colours = struct.unpack_from("<H", data, 28)[0], struct.unpack_from("<I", data, 46)[0]
    palette_end = 14 + header_size + 4 * (colours or 1 << min(depth, 8))
    # 17 colours at depth 4: sixteen in a row from black are taken for a grey picture of depth 8.
    wanted = {4: 17, 8: 256}.get(depth, 0)
    if palette_end <= offset and (depth == 4 or (depth == 8 and colours == 2)):
        padding = bytes(max(0, 14 + header_size + 4 * wanted - palette_end))
        head = data[:10] + struct.pack("<I", offset + len(padding)) + data[14:46] + struct.pack("<I", wanted) + data[50:palette_end]
        data = head + padding + data[palette_end:]
    return Container("BMP", data, bits=_bmp_sample_bits(depth))


def _bmp_sample_bits(depth: int) -> int:
    """Bits of a sample from the bits of a pixel, which hold three or four samples from 16 on."""
    return depth if depth in (1, 2, 4) else 8


def _gif(data: bytes) -> Container:
    changed = bytearray(data)
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while at < len(data) and data[at] not in b",;":
        if data[at] != ord("!"):
            at += 1
            continue
        if data[at + 1] == 0xF9 and data[at + 2]:
            changed[at + 3] &= ~0x1C & 0xFF
        at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    return Container("GIF", bytes(changed))


def _webp(data: bytes) -> Container:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise cut_short("WEBP")
    at, exif = 12, b""
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            exif = exif or data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
        at += 8 + length + length % 2
    return Container("WEBP", data, exif=exif)


_UNPACK = {"JPEG": _jpeg, "PNG": _png, "BMP": _bmp, "GIF": _gif, "WEBP": _webp}
