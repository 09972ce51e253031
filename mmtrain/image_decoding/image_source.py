"""From a path to bytes, and from the first bytes to the format."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from mmtrain.errors import listed
from mmtrain.image_decoding.decoded_image import FORMATS, UnreadableImage
from mmtrain.image_decoding.format_rules import BMP_HEADER_SIZES
from mmtrain.image_decoding.unsupported_formats import HEAD, by_content, by_name

_START = 1 << 16
"""Bytes that are read at first; most images are smaller."""

_MARKS = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"))
"""First bytes that tell a format by themselves."""


def content(source: Path | bytes) -> tuple[str, bytes]:
    """The format, one of `FORMATS`, and all bytes of `source`.

    The head of a file is looked at before the rest is read, so that a large file of another kind costs nothing.

    Raises:
        UnreadableImage: there is no such file, it cannot be opened, it is empty, or it is not of a format that is read.

    """
    if isinstance(source, bytes):
        return _format_of(source[:HEAD]), source
    try:
        return _read(source)
    except OSError as error:
        with suppress(OSError):
            _require_file(source)
        reason = (error.strerror or type(error).__name__).lower()
        raise UnreadableImage(f"The file cannot be opened: {reason}.", "Give the path of a file that this user may read.") from error


def _read(path: Path) -> tuple[str, bytes]:
    """Read a file in few calls of the system: after each, a thread may have to wait for the interpreter. Raises OSError."""
    # Without waiting for someone to write, should it be a pipe.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        start = os.read(descriptor, _START)
        kind = _format_of(start[:HEAD], path.name)
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
    if path.is_dir():
        raise UnreadableImage("The path is a folder, not a file.", "Give the path of one image file.")
    if path.exists():
        raise UnreadableImage("The path is not a regular file.", "Give the path of one image file.")
    raise UnreadableImage("The file does not exist.", "Give the path of an image file that exists.")


def _format_of(head: bytes, name: str = "") -> str:
    """One of `FORMATS`, by the first bytes; the name only says what a file is that is none of these."""
    if not head:
        raise UnreadableImage("The file is empty.", "Replace it with a whole image file.")
    if known := _known(head):
        return known
    if other := by_content(head):
        raise UnreadableImage(f"The file is {other.noun}, a format that is not read.", other.fix)
    if other := by_name(name):
        raise UnreadableImage(f"The file is not an image that is read; its name ends like that of {other.noun}.", other.fix)
    raise UnreadableImage("The file is not an image.", f"Use an image file: {listed(FORMATS, 'or')}.")


def _known(head: bytes) -> str:
    """One of `FORMATS`, or an empty string."""
    if marked := next((name for mark, name in _MARKS if head.startswith(mark)), ""):
        return marked
    # Two letters alone would take every text that begins with BM.
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in BMP_HEADER_SIZES:
        return "BMP"
    return "WEBP" if head.startswith(b"RIFF") and head.startswith(b"WEBP", 8) else ""
