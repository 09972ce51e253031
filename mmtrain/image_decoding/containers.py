"""Find the parts of a file that decide its pixels.

Pillow warns about broken metadata, and a warning can neither be caught in one thread only nor be read by the user of a table.
So Pillow is given the file without the parts that make it warn, and mended where it is known to read pixels wrong
(Pillow 13.0, seen in its answers):

- JPEG: without application segments other than JFIF and Adobe, which alone decide colours.
- PNG: without chunks that decide no pixel; all checksums are checked here, for Pillow skips IDAT's.
- GIF: with the first frame's disposal cleared, for which Pillow fills a whole frame before its size can be checked.
- BMP: with a longer palette where Pillow takes one of black and white for a one-bit image whatever the depth says.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from mmtrain.image_decoding.decoded_image import UnreadableImage, cut_short, damaged_image, image_errors
from mmtrain.image_decoding.format_rules import BMP_MOST_COLOURS, PNG_ORDER, PNG_OTHERS, PNG_PALETTE, PNG_PARTS, PNG_TRANSPARENT
from mmtrain.image_decoding.lzw import can_be_followed
from mmtrain.image_decoding.webp_parts import webp_exif


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
    colours: int = 0
    """Colours in the palette of a BMP or a GIF, which no pixel may exceed; 0 for other formats."""
    flaw: UnreadableImage | None = None
    """The damage of its pixels, reported unless the image is too large anyway."""


def unpack(kind: str, data: bytes) -> Container:
    """Take `data` of the format `kind` apart.

    Raises:
        UnreadableImage: the file ends early, or its parts contradict each other.

    """
    with image_errors(kind):
        return _UNPACK[kind](data)


_JPEG_START_OF_SCAN = 0xDA
_JPEG_END = b"\xff\xd9"
_JPEG_NO_LENGTH = {0x00, 0x01, *range(0xD0, 0xDA)}
"""Stuffed zero, TEM, restarts, start and end of image: markers that stand alone."""
_JPEG_METADATA = {*range(0xE0, 0xF0), 0xFE} - {0xE0, 0xEE}
"""Application segments and comments, but for JFIF's (0xE0) and Adobe's (0xEE)."""
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Headers of frames: size, bits and components. Those of baseline, extended and progressive Huffman coding are 0xC0 to 0xC2."""


def _jpeg(data: bytes) -> Container:
    segments, exif, frames = [data[:2]], b"", []
    for marker, segment in _jpeg_segments(data):
        # The first EXIF part counts.
        if marker == 0xE1 and segment[4:10] == b"Exif\0\0":
            exif = exif or segment[10:]
        if marker in _JPEG_FRAMES:
            frames.append((marker, segment))
        if marker not in _JPEG_METADATA:
            segments.append(segment)
    # Some decoders miss the end, some have all pixels by then.
    flaw = cut_short("JPEG") if segments[-1].rfind(_JPEG_END) < 0 else None
    return Container("JPEG", b"".join(segments), exif=exif, plain=_plain_jpeg(frames), flaw=flaw)


def _plain_jpeg(frames: list[tuple[int, bytes]]) -> tuple[str, int, int] | None:
    """Mode, width and height of a JPEG with one frame, of 8 bits, in grey or colour; None of any other."""
    if len(frames) != 1 or len(frames[0][1]) < 10:
        return None
    marker, segment = frames[0]
    # Behind marker and length: bits of a sample, height, width, number of components.
    bits, height, width, components = struct.unpack_from(">BHHB", segment, 4)
    mode = {1: "L", 3: "RGB"}.get(components)
    # Above 0xC2 lie lossless, hierarchical and arithmetic coding; a height of 0 is stated only behind the scan.
    if marker > 0xC2 or bits != 8 or mode is None or len(segment) != 10 + 3 * components or not width * height:
        return None
    return mode, width, height


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and segment in turn, junk between them skipped as libjpeg skips it; the last is the scan and all behind it."""
    at = 2
    while (at := data.find(b"\xff", at) + 1) > 0:  # behind the first of perhaps several
        while data.startswith(b"\xff", at):
            at += 1
        # A segment has two bytes of length at least.
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
        elif end < at + 3:  # the length counts its own two bytes
            raise damaged_image("JPEG")
        else:
            yield marker, data[at - 1 : end]
            at = end
    raise cut_short("JPEG")


def _png(data: bytes) -> Container:
    parts = list(_png_chunks(data))
    # Ancillary chunks begin with a small letter, and decoders may skip them.
    if not PNG_ORDER.holds(PNG_PARTS.get(name) or PNG_OTHERS[name[:1].isupper()] for name, _ in parts):
        raise damaged_image("PNG")
    # Bytes 16 and 17 of the first chunk: bits of a sample and kind of colour.
    bits, colour = parts[0][1][16:18]
    exif = next((chunk[8:-4] for name, chunk in parts if name == b"eXIf"), b"")
    palette = next((chunk for name, chunk in parts if name == b"PLTE"), None) if colour == PNG_PALETTE else None
    if colour == PNG_PALETTE and palette is None:
        raise damaged_image("PNG")
    # Whatever else there is tells no pixel, and may make Pillow warn or refuse.
    chunks = [data[:8], parts[0][1], palette or b"", _png_transparency(parts, colour, palette)]
    return Container("PNG", b"".join([*chunks, *(chunk for name, chunk in parts if name in (b"IDAT", b"IEND"))]), bits=bits, exif=exif)


def _png_transparency(parts: list[tuple[bytes, bytes]], colour: int, palette: bytes | None) -> bytes:
    """The first chunk of transparency, where it counts, behind the palette and before the pixels, and of the right size."""
    names = [name for name, _ in parts]
    places = range(0 if palette is None else names.index(b"PLTE"), names.index(b"IDAT"))
    # One entry of opacity for each colour of the palette at most; a single colour otherwise.
    sizes = [PNG_TRANSPARENT.get(colour, 0)] if palette is None else range(1, (len(palette) - 12) // 3 + 1)
    bodies = (parts[place][1] for place in places if names[place] == b"tRNS" and len(parts[place][1]) - 12 in sizes)
    return next(bodies, b"")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and chunk (length, name, body, checksum) in turn, through IEND."""
    at, name = 8, b""
    while name != b"IEND":
        # Length, name and checksum take 12 bytes.
        if at + 12 > len(data):
            raise cut_short("PNG")
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise cut_short("PNG")
        chunk = data[at:end]
        # The checksum covers name and body.
        if crc32(memoryview(chunk)[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise UnreadableImage("The PNG file is damaged: a checksum in it is wrong.", "Copy or download it again.")
        yield name, chunk
        at = end


_BMP_OLD = 12
"""Size of the OS/2 header, with sides of two bytes and colours of three."""


def _bmp(data: bytes) -> Container:
    offset, header_size = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
    if header_size == _BMP_OLD:
        width, height, _, depth = struct.unpack_from("<4H", data, 18)
        compression = colours = 0
    else:
        width, height, _, depth, compression = struct.unpack_from("<IiHHI", data, 18)
        colours = struct.unpack_from("<I", data, 46)[0]
    if compression not in (0, 3):
        raise UnreadableImage("The BMP file is compressed, which is not read.", "Save it without compression, or as PNG.")
    # 0 stands for all colours of that depth; deeper images have no palette.
    entries = (colours or 1 << depth) if depth <= 8 else 0
    # The pixels begin behind the header and the palette.
    if 14 + header_size + entries * (3 if header_size == _BMP_OLD else 4) > offset or entries > BMP_MOST_COLOURS:
        raise damaged_image("BMP")
    palette = min(entries, 1 << depth)
    palette_end = 14 + header_size + 4 * palette
    # Rows are padded to whole words of 4 bytes; a negative height means rows from top to bottom.
    flaw = None if offset + abs(height) * ((width * depth + 31) // 32 * 4) <= len(data) else cut_short("BMP")
    # 17 colours at depth 4: sixteen in a row from black are taken for a grey image of depth 8.
    wanted = {4: 17, 8: 256}.get(depth, 0)
    if header_size != _BMP_OLD and (depth == 4 or (depth == 8 and colours == 2)):  # of OS/2 no palette length can be mistaken
        padding = bytes(14 + header_size + 4 * wanted - palette_end)
        # A longer palette moves the pixels and is counted in the header.
        head = data[:10] + struct.pack("<I", offset + len(padding)) + data[14:46] + struct.pack("<I", wanted) + data[50:palette_end]
        data = head + padding + data[palette_end:]
    return Container("BMP", data, bits=_bmp_sample_bits(depth), colours=palette, flaw=flaw)


def _bmp_sample_bits(depth: int) -> int:
    """Bits of a sample from the bits of a pixel, which hold three or four samples from 16 on."""
    return depth if depth in (1, 2, 4) else 8


def _gif(data: bytes) -> Container:
    changed = bytearray(data)
    # Behind the header of 13 bytes and the global palette, 3 bytes a colour.
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while at < len(data) and data[at] not in b",;":
        if data[at] != ord("!"):
            at += 1
            continue
        # An extension for the control of graphics, with the disposal of the frame.
        if data[at + 1] == 0xF9 and data[at + 2]:
            if data[at + 2] < 4:
                raise damaged_image("GIF")
            # Bits 2 to 4 are the disposal.
            changed[at + 3] &= ~0x1C & 0xFF
        at += 2
        # Blocks have their length in front; one of length 0 ends them.
        while data[at]:
            at += data[at] + 1
        at += 1
    frame = data[at : at + 10]
    if frame[:1] != b",":
        raise damaged_image("GIF") if frame else cut_short("GIF")
    local_palette = frame[9] & 0x80
    # The low three bits are the exponent of the number of colours, less one.
    colours = 2 << ((frame[9] if local_palette else data[10]) & 7)
    flaw = None if (frame[9] | data[10]) & 0x80 else damaged_image("GIF")  # without any palette
    raster = at + 10 + (3 * colours if local_palette else 0)
    try:
        codes = _gif_blocks(data, raster + 1)
        flaw = flaw or (None if can_be_followed(codes, data[raster]) else damaged_image("GIF"))
    except IndexError:
        flaw = cut_short("GIF")
    return Container("GIF", bytes(changed), colours=colours, flaw=flaw)


def _gif_blocks(data: bytes, at: int) -> bytes:
    """Return the content of the blocks from a place on, of which the last is empty."""
    blocks = []
    while data[at]:
        blocks.append(data[at + 1 : at + 1 + data[at]])
        at += data[at] + 1
    return b"".join(blocks)


def _webp(data: bytes) -> Container:
    return Container("WEBP", data, exif=webp_exif(data))


_UNPACK = {"JPEG": _jpeg, "PNG": _png, "BMP": _bmp, "GIF": _gif, "WEBP": _webp}
