"""One pass over the files of pictures: header and hash of each, no pixel decoded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.data.image_decode import Progress, in_pieces
from mmtrain.data.image_files import ImageFile
from mmtrain.pixels import Picture, UnreadableImage, inspect
from mmtrain.pixels.picture import cut_short
from mmtrain.pixels.source import content

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FileFacts:
    """What files are. Files differ much less in their headers than in their bytes: each different header is held once."""

    headers: tuple[Picture, ...]
    of: NDArray[np.int32]
    """(files,): position in `headers`, -1 where a file has none."""
    digests: NDArray[np.uint64]
    """(files,): half of the first 128 bits of the SHA-256 of the bytes; 0 where they are no image."""
    refusals: dict[int, UnreadableImage]
    """Of files without a header, or without an end."""


def file_facts(files: Sequence[ImageFile], *, progress: Progress | None = None) -> FileFacts:
    """Read every file once, in threads."""
    headers: dict[Picture, int] = {}
    of = np.full(len(files), -1, dtype=np.int32)
    digests = np.zeros(len(files), dtype=np.uint64)
    refusals: dict[int, UnreadableImage] = {}

    def look(piece: range) -> list[_Fact]:
        return [_fact(files[position].path) for position in piece]

    size = 0
    with closing(in_pieces(look, len(files))) as pieces:
        for piece, facts in pieces:
            for position, fact in zip(piece, facts, strict=True):
                digests[position] = fact.digest
                if fact.header is not None:
                    of[position] = headers.setdefault(fact.header, len(headers))
                if fact.refusal is not None:
                    refusals[position] = fact.refusal
                size += files[position].size
            if progress is not None:
                progress(piece.stop, len(files), size)
    return FileFacts(tuple(headers), of, digests, refusals)


@dataclass(frozen=True)
class _Fact:
    digest: int = 0
    header: Picture | None = None
    refusal: UnreadableImage | None = None


def _fact(path: str) -> _Fact:
    digest, header = 0, None
    try:
        kind, data = content(Path(path))
        digest = int.from_bytes(sha256(data).digest()[:8], "big")
        header = inspect(data)
        if kind == "JPEG" and not _ended(data):
            raise cut_short(kind)
    except UnreadableImage as refusal:
        return _Fact(digest, header, refusal)
    return _Fact(digest, header)


def _ended(data: bytes) -> bool:
    """Whether the end marker comes after the last scan of a JPEG; within a scan neither marker can be."""
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
