"""Decode many images, once each, in as many threads as there are cores; see `store` for what becomes of them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mmtrain.data.images.image_file import ImageFile
from mmtrain.errors import Problem, RunError
from mmtrain.image_decoding import Layout, UnreadableImage, read
from mmtrain.image_decoding.decoded_image import MissingReader
from mmtrain.image_decoding.folder_content import file_bytes
from mmtrain.system.threads import cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECODE_CHUNK_IMAGES = 16
"""Images that a thread takes at once: handing over one at a time costs a tenth of decoding small ones."""

_AHEAD = 4
"""Pieces per thread that are handed over before the first is done, which bounds what waits."""

Progress = Callable[[int, int, int], None]
"""Called with images done, images in all, and the bytes of the pixels done."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """`unreadable`: (what, fix) of the files that could not be decoded; `hashes`: SHA-256 of each file's bytes, where that was wanted."""

    unreadable: dict[int, tuple[str, str]]
    hashes: bytes = b""

    @property
    def digest(self) -> str:
        """SHA-256 of the hashes; empty without any."""
        return sha256(self.hashes).hexdigest() if self.hashes else ""


def image_format(layout: Layout) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The dtype and the shape of one image, (height, width, channels), of a volume (depth, height, width, channels)."""
    return np.dtype(layout.dtype), layout.shape


def image_bytes(layout: Layout) -> int:
    """The bytes of one decoded image."""
    return math.prod(layout.shape) * layout.bits // 8


def layout_of(file: ImageFile, layout: Layout) -> Layout:
    """Return the layout of a column with the slice of this file that is read."""
    return layout if file.slice[0] < 0 else replace(layout, slice=file.slice[0], slices=file.slice[1])


def decode_all(
    files: Sequence[ImageFile],
    layout: Layout,
    keep: Callable[[int, NDArray[Any]], None],
    *,
    hashed: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Decode every file and hand its position and its pixels to `keep`, from several threads and in no order.

    Raises:
        RunError: the packages that read a format are not installed.

    """
    unreadable: dict[int, tuple[str, str]] = {}
    all_hashes: list[bytes] = []

    def decode(piece: range) -> list[bytes]:
        hashes: list[bytes] = []
        for position in piece:
            try:
                keep(position, _decoded(files[position], layout, hashes if hashed else None))
            except MissingReader as refusal:
                # Not an image that is missing: with the packages, all of them would be there.
                raise RunError(
                    Problem(Path(files[position].path).name, f"{str(refusal)[:1].lower()}{str(refusal)[1:]}", refusal.fix)
                ) from refusal
            except UnreadableImage as refusal:
                unreadable[position] = (str(refusal), refusal.fix)
        return hashes

    done, size = 0, image_bytes(layout)
    with closing(in_chunks(decode, len(files))) as pieces:
        # Pieces come in order, whichever thread is first, so that the hashes are in the order of the files.
        for piece, hashes in pieces:
            all_hashes += hashes
            done = piece.stop
            if progress is not None:
                progress(done, len(files), done * size)
    return Outcome(dict(sorted(unreadable.items())), b"".join(all_hashes))


def digest(files: Sequence[ImageFile]) -> str:
    """Compute the digest of these files as `decode_all` does."""
    digests = sha256()

    def hash_piece(piece: range) -> list[bytes]:
        return [_content(files[position].source)[1] for position in piece]

    with closing(in_chunks(hash_piece, len(files))) as pieces:
        for _, hashes in pieces:
            digests.update(b"".join(hashes))
    return digests.hexdigest()


def _decoded(file: ImageFile, layout: Layout, hashes: list[bytes] | None) -> NDArray[Any]:
    """The pixels of a file; where `hashes` are wanted, of the bytes that were hashed."""
    layout = layout_of(file, layout)
    if hashes is None:
        return read(file.source, layout, writable=False)
    data, content_hash = _content(file.source)
    hashes.append(content_hash)
    # A file that cannot be opened is left to `read`, which says why.
    return read(file.source if data is None else data, layout, writable=False)


def _content(source: Path | bytes) -> tuple[bytes | None, bytes]:
    """The bytes of a file and their hash; None and the hash of nothing where it cannot be read."""
    try:
        data = source if isinstance(source, bytes) else file_bytes(source)
    except OSError:
        return None, sha256().digest()
    return data, sha256(data).digest()


def in_chunks(work: Callable[[range], Result], count: int, *, size: int = DECODE_CHUNK_IMAGES) -> Generator[tuple[range, Result]]:
    """`work` of every piece of `count` positions, `size` at a time, in order. Pillow lets go of the interpreter, so threads are enough."""
    number = cores() + 1  # one more than cores, as there is nearly always one that waits for the interpreter
    waiting: deque[tuple[range, Future[Result]]] = deque()
    with ThreadPoolExecutor(number) as threads:
        try:
            for start in range(0, count, size):
                piece = range(start, min(start + size, count))
                waiting.append((piece, threads.submit(work, piece)))
                # Bounded: results that nobody has taken yet hold hashes and exceptions.
                if len(waiting) > _AHEAD * number:
                    first, result = waiting.popleft()
                    yield first, result.result()
            for first, result in waiting:
                yield first, result.result()
        finally:
            # A caller that stops early, or an error, must not wait for pieces that nobody will read.
            threads.shutdown(cancel_futures=True)
