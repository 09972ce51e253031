"""From a path to bytes, and from the first bytes to the format."""

from __future__ import annotations

import os
import stat
import zlib
from contextlib import suppress
from pathlib import Path

from mmtrain.errors import listed
from mmtrain.image_decoding.decoded_image import FORMATS, UnreadableImage
from mmtrain.image_decoding.folder_content import ENDINGS as DICOM_ENDINGS
from mmtrain.image_decoding.folder_content import MARK as FOLDER_MARK
from mmtrain.image_decoding.folder_content import file_bytes, files_of
from mmtrain.image_decoding.format_rules import BMP_HEADER_SIZES
from mmtrain.image_decoding.unsupported_formats import HEAD, RECORDING, by_content, by_name

_START = 1 << 16
"""Bytes that are read at first; most images are smaller."""

_MARKS = (
    *((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF")),
    *((mark, "TIFF") for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (FOLDER_MARK, "DICOM series"),
    *((b"fLaC", "FLAC"), (b"OggS", "OGG"), (b"ID3", "MP3")),
)
"""First bytes that tell a format by themselves."""
_NIFTI_MARKS = ((344, b"n+1\0"), (4, b"n+2\0"))
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_DICOM_GROUPS = (b"\x02\0", b"\x08\0")
"""First bytes of DICOM files without the usual 128 bytes in front: a tag of the first group, with a type of two capital letters."""


def content(source: Path | bytes, *, recording: bool = False) -> tuple[str, bytes]:
    """The format, one of `FORMATS` or of `formats.READERS`, and all bytes of `source`, of a folder those of its DICOM files.

    The head of a file is looked at before the rest is read, so that a large file of another kind costs nothing. The refusal says what
    to do instead in a column of images, or of recordings.

    Raises:
        UnreadableImage: there is no such file, it cannot be opened, it is empty, or it is not of a format that is read.

    """
    if isinstance(source, bytes):
        return _format_of(source[:_START], recording=recording), source
    try:
        return _read_folder(source) if source.is_dir() else _read(source, recording)
    except OSError as error:
        with suppress(OSError):
            _require_file(source)
        reason = (error.strerror or type(error).__name__).lower()
        raise UnreadableImage(f"The file cannot be opened: {reason}.", "Give the path of a file that this user may read.") from error


def known_format(data: bytes) -> str:
    """Return the format of an image by its first bytes; an empty string for bytes that are not an image."""
    return _known(data[:_START]) or _medical(data[:_START], "")


def _read_folder(path: Path) -> tuple[str, bytes]:
    """The DICOM files of a folder. Raises UnreadableImage without any."""
    data = file_bytes(path)
    if not files_of(data):
        raise UnreadableImage(
            "The path is a folder without DICOM files.", "Give the path of one image file, or of a folder of DICOM files."
        )
    return "DICOM series", data


def _read(path: Path, recording: bool) -> tuple[str, bytes]:
    """Read a file in few calls of the system: after each, a thread may have to wait for the interpreter. Raises OSError."""
    # Without waiting for someone to write, should it be a pipe.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        start = os.read(descriptor, _START)
        kind = _format_of(start, path.name, recording=recording)
        parts = [start]
        # A short read means the end; longer files are read to the end in one more call.
        while len(start) == _START and parts[-1]:
            parts.append(os.read(descriptor, max(_START, status.st_size)))
        return kind, start if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(descriptor)


def _require_file(path: Path) -> None:
    if path.is_file():
        return
    if path.exists():
        raise UnreadableImage("The path is not a regular file.", "Give the path of one image file.")
    raise UnreadableImage("The file does not exist.", "Give the path of an image file that exists.")


def _format_of(head: bytes, name: str = "", *, recording: bool = False) -> str:
    """The format by the first bytes; the name only says what a file is that is none of these, and that DICOM may lack its mark."""
    if not head:
        raise UnreadableImage("The file is empty.", f"Replace it with a whole {'recording' if recording else 'image file'}.")
    if known := _known(head) or _medical(head, name):
        return known
    if recording:
        raise _not_a_recording(head, name)
    if other := by_content(head[:HEAD]):
        raise UnreadableImage(f"The file is {other.noun}, a format that is not read.", other.fix)
    if other := by_name(name):
        raise UnreadableImage(f"The file is not an image that is read; its name ends like that of {other.noun}.", other.fix)
    raise UnreadableImage("The file is not an image.", f"Use an image file: {listed(FORMATS, 'or')}.")


def _not_a_recording(head: bytes, name: str) -> UnreadableImage:
    """The refusal of a file that is neither a recording nor an image, in a column of recordings."""
    if other := by_content(head[:HEAD]):
        return UnreadableImage(f"The file is {other.noun}, a format that is not read.", "Convert its sound to WAV or FLAC.")
    if (named := by_name(name)) and named.noun == RECORDING:
        what = "The file does not begin like a recording, as its name says; it is damaged or of another format."
        return UnreadableImage(what, "Open it in an audio program and save it again, as WAV or FLAC for instance.")
    return UnreadableImage("The file is not a recording.", "Name a WAV, FLAC, Ogg or MP3 file.")


def _known(head: bytes) -> str:
    """The format, or an empty string."""
    # The 128 bytes in front of DICOM's mark are free, and may be the head of a TIFF: a file can be both.
    if head.startswith(b"DICM", 128):
        return "DICOM"
    if marked := next((name for mark, name in _MARKS if head.startswith(mark)), ""):
        return marked
    # Two letters alone would take every text that begins with BM.
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in BMP_HEADER_SIZES:
        return "BMP"
    if head.startswith(b"ftyp", 4):
        return _by_brand(head)
    if head.startswith(b"RIFF"):
        return {b"WEBP": "WEBP", b"WAVE": "WAV"}.get(head[8:12], "")
    return "MP3" if _is_layer_3(head) else ""


def _by_brand(head: bytes) -> str:
    """AVIF or HEIC, or an empty string."""
    # The first brand is the file's own, those behind the version are what it is compatible with.
    own, others = {head[8:12]}, {head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), 256), 4)}
    if own & _AVIF_BRANDS or (own & {b"mif1", b"msf1"} and others & _AVIF_BRANDS):
        return "AVIF"
    return "HEIC" if own & _HEIC_BRANDS else ""


def _is_layer_3(head: bytes) -> bool:
    """Return whether a frame of MPEG layer III begins: synchronization, a version, the layer, and rates that are not the reserved ones."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    return head[1] & 0x18 != 0x08 and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C


def _medical(head: bytes, name: str) -> str:
    """DICOM or NIfTI, or an empty string."""
    if name.lower().endswith(DICOM_ENDINGS):
        return "DICOM"
    if head[:2] in _DICOM_GROUPS and head[3:4] == b"\0" and head[4:6].isalpha() and head[4:6].isupper():
        return "DICOM"
    if head.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            head = zlib.decompressobj(31).decompress(head, HEAD)
    return "NIfTI" if any(head.startswith(mark, place) for place, mark in _NIFTI_MARKS) else ""
