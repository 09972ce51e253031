"""Image stores on disk: found, or built whole; where one has no room, images that are decoded in flight."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.config.byte_size import format_bytes
from mmtrain.config.experiment import Cache
from mmtrain.data.cache import (
    FULL,
    IMAGES,
    MANIFEST,
    MappedFile,
    building,
    entries,
    mark_used,
    new_array,
    no_room,
    publish,
    remove_unfinished,
)
from mmtrain.data.images.decode import Outcome, Progress, decode_all, digest, image_bytes, image_format
from mmtrain.data.images.locate import ImageFile
from mmtrain.data.images.on_the_fly import OnTheFlyImages
from mmtrain.data.images.prefetch import PixelSource, StoredImages, read_ahead
from mmtrain.errors import Problem, RunError
from mmtrain.image_decoding import Layout
from mmtrain.system.paths import cache_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 3
"""Part of the name of every store; to be raised when `mmtrain.image_decoding` gives other pixels for the same file."""

_PAUSE = 0.03
"""Seconds for which pixels gather before the disk is made to write them."""


@dataclass(frozen=True, eq=False)
class DecodedImages:
    """`pixels` (files, height, width, channels); `unreadable` has (what, fix) of the files that could not be decoded.

    `notice` gives the reason where pixels are decoded in flight; `contents` is, with `verify: content`, the digest of
    the files' bytes.
    """

    pixels: PixelSource
    unreadable: dict[int, tuple[str, str]]
    notice: str = ""
    contents: str = ""
    digest: str = ""
    """SHA-256 of the layout and of the files in their order, as the name of the store has it; empty of no files."""


def decode_to_store(files: Sequence[ImageFile], layout: Layout, *, cache: Cache, progress: Progress | None = None) -> DecodedImages:
    """The pixels of `files`, in their order; decoded now unless the cache has them. Every file is decoded once before this returns.

    Of no files nothing is kept.

    Raises:
        RunError: the cache cannot be written for another reason than that it is full.

    """
    if not files:
        dtype, image = image_format(layout)
        return DecodedImages(StoredImages(np.empty((0, *image), dtype=dtype)), {})
    folder = cache.folder or cache_folder()
    manifest = _manifest(files, layout, cache.verify)
    name = sha256(manifest).hexdigest()
    if store := _found(folder, name, files, cache.verify):
        return replace(store, digest=_full_name(name, store.contents))
    needed = len(files) * image_bytes(layout)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder)
        reason = no_room(folder, needed, cache.disk)
        if not reason:
            store = _built(folder, name, files, layout, manifest=manifest, progress=progress)
            return replace(store, digest=_full_name(name, store.contents))
    except OSError as error:
        if error.errno not in FULL:
            fix = "Set `data.cache.folder` or MMTRAIN_CACHE to a folder that can be written."
            raise RunError(
                Problem(str(folder), f"the image store cannot be written: {(error.strerror or str(error)).lower()}.", fix)
            ) from error
        reason = f"the disk of {folder} was full before it was written"
    flight = OnTheFlyImages(files, layout, memory=cache.memory)
    contents = digest(files) if cache.verify == "content" else ""
    return DecodedImages(flight, flight.check(progress), _notice(needed, reason, flight), contents, _full_name(name, contents))


def _manifest(files: Sequence[ImageFile], layout: Layout, verify: str) -> bytes:
    # Real paths, not those in the cells: unpacked archives hold many files of one name, size and time in different folders.
    lines = [f"{file.size} {file.changed if verify == 'stat' else '-'} {json.dumps(file.path)}" for file in files]
    return "\n".join([f"{IMAGES.title} {VERSION} {verify}", json.dumps(asdict(layout)), *lines, ""]).encode()


def _found(cache: Path, name: str, files: Sequence[ImageFile], verify: str) -> DecodedImages | None:
    """A whole store of these files. To verify contents they are all read, unless no store could be theirs."""
    if verify == "stat":
        return open_if_whole(cache / name, len(files))
    if not any(entry.path.name.startswith(f"{name}.") and entry.state == "complete" for entry in entries(cache)):
        return None
    contents = digest(files)
    store = open_if_whole(cache / _full_name(name, contents), len(files))
    return None if store is None else replace(store, contents=contents)


def _full_name(name: str, contents: str) -> str:
    # 128 bits of the digest keep the name of the folder under 100 characters.
    return f"{name}.{contents[:32]}" if contents else name


def open_if_whole(folder: Path, images: int | None) -> DecodedImages | None:
    """The store in `folder`, which must hold `images` images; None when it has none, or a machine that went down has left a damaged one."""
    try:
        file = MappedFile(folder / IMAGES.array)
        pixels = np.asarray(np.load(folder / IMAGES.array, mmap_mode="r"))
        ahead = read_ahead(folder / IMAGES.array, pixels)
        unreadable = json.loads((folder / IMAGES.second).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if images not in (None, len(pixels)):
        return None
    mark_used(folder)
    refusals = {int(position): (what, fix) for position, (what, fix) in unreadable.items()}
    return DecodedImages(StoredImages(pixels, file, ahead), refusals)


def _notice(needed: int, reason: str, flight: OnTheFlyImages) -> str:
    if flight.cached_images == len(flight):
        instead = "All images are kept in memory, until this run ends."
    else:
        in_memory = f"; {flight.cached_images:,} of {len(flight):,} stay in memory" if flight.cached_images else ""
        instead = f"Every batch is decoded anew, which is slower{in_memory}."
    return (
        f"no image store: it needs {format_bytes(needed)}, and {reason}. {instead} "
        "To have a store, raise `data.cache.disk`, set `data.cache.folder` to another disk, choose a smaller `size`, "
        "or remove old stores with `mmtrain cache clear`."
    )


def _built(
    cache: Path, name: str, files: Sequence[ImageFile], layout: Layout, *, manifest: bytes, progress: Progress | None
) -> DecodedImages:
    """Build a store under a temporary name, open it, and give it its own name."""
    with building(cache, name) as temporary:
        # The first line of the manifest ends with the option `verify`.
        hashed = f" {VERSION} content\n".encode() in manifest[:80]
        outcome = _write_pixels(temporary / IMAGES.array, files, layout, hashed=hashed, progress=progress)
        (temporary / IMAGES.second).write_text(json.dumps(outcome.unreadable), encoding="utf-8")
        (temporary / MANIFEST).write_bytes(manifest)
        # Opened before it is renamed: what other processes do to the name from then on does not matter any more.
        store = open_if_whole(temporary, len(files))
        if store is None:
            raise OSError("it cannot be read right after it was written")
        publish(temporary, cache / _full_name(name, outcome.digest), lambda folder: open_if_whole(folder, len(files)) is not None)
    return replace(store, contents=outcome.digest)


def _write_pixels(path: Path, files: Sequence[ImageFile], layout: Layout, *, hashed: bool, progress: Progress | None) -> Outcome:
    """Decode all files into a .npy file at `path`; those that cannot be are zeros."""
    dtype, image = image_format(layout)
    size = image_bytes(layout)
    with new_array(path, (len(files), *image), dtype) as (file, start), written_meanwhile(file.fileno()):

        def keep(position: int, pixels: NDArray[Any]) -> None:
            _write(file.fileno(), pixels, start + position * size)

        return decode_all(files, layout, keep, hashed=hashed, progress=progress)


@contextmanager
def written_meanwhile(descriptor: int) -> Iterator[None]:
    """Let the disk write what there is while more is decoded, so that next to nothing is left to wait for at the end.

    Raises:
        OSError: the disk cannot write. It says so only once, and not again when the file is closed.

    """
    done = Event()

    def write() -> None:
        while not done.wait(_PAUSE):
            os.fsync(descriptor)

    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write)
        try:
            yield
        finally:
            done.set()
    # Raises here what the thread could not write.
    writing.result()


def _write(descriptor: int, pixels: NDArray[Any], offset: int) -> None:
    left = pixels.data.cast("B")
    # May write fewer bytes than it was given.
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
