"""Metadata of image files, in one pass: header and hash of each, no pixel decoded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.data.images.decode import Progress, in_chunks
from mmtrain.data.images.image_file import ImageFile
from mmtrain.image_decoding import ImageHeader, UnreadableImage, inspect
from mmtrain.image_decoding.decoded_image import cut_short
from mmtrain.image_decoding.folder_content import file_bytes
from mmtrain.image_decoding.image_source import content

if TYPE_CHECKING:
    from numpy.typing import NDArray

TAIL = 1024
"""Bytes at the end of a file in which most files differ; only files with equal tails are hashed as a whole."""


@dataclass(frozen=True, eq=False)
class FileFacts:
    """Headers, sizes and tails of files. Many files share a header: each distinct one is stored once."""

    headers: tuple[ImageHeader, ...]
    of: NDArray[np.int32]
    """(files,): position in `headers`, -1 where a file has none."""
    tails: NDArray[np.uint64]
    """(files,): hash of size and last bytes, 0 for a file that is not an image."""
    refusals: dict[int, UnreadableImage]
    """By position: files without a header; without a store, also those without an end."""

    def whole(self, readable: NDArray[np.bool_]) -> FileFacts:
        """Return the facts without the headers of files that have a refusal, or are not `readable` (files,)."""
        usable = readable.copy()
        usable[list(self.refusals)] = False
        return replace(self, of=np.where(usable, self.of, -1))


def file_facts(files: Sequence[ImageFile], *, ends: bool, progress: Progress | None = None) -> FileFacts:
    """Read every file, in threads; check their `ends` where they are not decoded."""
    headers: dict[ImageHeader, int] = {}
    of = np.full(len(files), -1, dtype=np.int32)
    tails = np.zeros(len(files), dtype=np.uint64)
    refusals: dict[int, UnreadableImage] = {}

    def look(piece: range) -> list[_Fact]:
        return [_fact(files[position].source, ends=ends) for position in piece]

    size = 0
    with closing(in_chunks(look, len(files))) as pieces:
        for piece, facts in pieces:
            for position, fact in zip(piece, facts, strict=True):
                tails[position] = fact.tail
                if fact.header is not None:
                    of[position] = headers.setdefault(fact.header, len(headers))
                if fact.refusal is not None:
                    refusals[position] = fact.refusal
                size += files[position].size
            if progress is not None:
                progress(piece.stop, len(files), size)
    return FileFacts(tuple(headers), of, tails, refusals)


def equal_bytes(files: Sequence[ImageFile], tails: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the same number for files of equal bytes, (files,); files with a unique tail are not read again."""
    _, codes, counts = np.unique(tails, return_inverse=True, return_counts=True)
    # A tail of 0 belongs to a file that is not an image.
    doubtful = np.flatnonzero((counts[codes] > 1) & (tails > 0))

    def whole(piece: range) -> list[bytes]:
        those = [files[position] for position in doubtful[piece.start : piece.stop]]
        sources = (file.source for file in those)
        return [sha256(source if isinstance(source, bytes) else file_bytes(source)).digest() for source in sources]

    numbers = np.arange(len(files), dtype=np.int64)
    first: dict[bytes, int] = {}
    with closing(in_chunks(whole, len(doubtful))) as pieces:
        hashes = [digest for _, piece in pieces for digest in piece]
    for position, digest in zip(doubtful.tolist(), hashes, strict=True):
        # The number of a set is the position of its first file.
        numbers[position] = first.setdefault(digest, position)
    return numbers


@dataclass(frozen=True)
class _Fact:
    tail: int = 0
    header: ImageHeader | None = None
    refusal: UnreadableImage | None = None


def _fact(source: Path | bytes, *, ends: bool) -> _Fact:
    tail, header = 0, None
    try:
        kind, data = content(source)
        # Size and tail: images of one camera often share their first kilobytes.
        tail = _hash(len(data).to_bytes(8, "big") + data[-TAIL:])
        header = inspect(data)
        if ends and kind == "JPEG" and not _tail_of(data):
            raise cut_short(kind)
    except UnreadableImage as refusal:
        return _Fact(tail, header, refusal)
    return _Fact(tail, header)


def _hash(data: bytes) -> int:
    return int.from_bytes(sha256(data).digest()[:8], "big")


def _tail_of(data: bytes) -> bool:
    """Return True where the end marker comes after the last scan of a JPEG; within a scan neither marker can be."""
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
