"""Image stores on disk: found, or built whole; where one has no room, images that are decoded in flight."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

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
    no_room,
    publish,
    remove_unfinished,
)
from mmtrain.data.images.decode import Outcome, Progress, digest, image_bytes, image_format
from mmtrain.data.images.image_file import ImageFile
from mmtrain.data.images.on_the_fly import OnTheFlyImages
from mmtrain.data.images.prefetch import PixelSource, StoredImages, read_ahead
from mmtrain.data.images.shards import POLL_SECONDS, ShardedBuild
from mmtrain.errors import Problem, RunError
from mmtrain.image_decoding import Layout
from mmtrain.system.paths import cache_folder

VERSION = 3
"""Part of the name of every store; to be raised when `mmtrain.image_decoding` gives other pixels for the same file."""


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
        written = ShardedBuild.of(folder, name, files, layout).written
        reason = no_room(folder, needed - written, cache.disk)
        if not reason:
            store = _built(folder, name, files, layout, manifest=manifest, verify=cache.verify, progress=progress)
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
    lines = [
        f"{file.size} {file.changed if verify == 'stat' else '-'} {json.dumps(file.path)}{f' {file.slice}' if file.slice[0] >= 0 else ''}"
        for file in files
    ]
    return "\n".join([f"{IMAGES.title} {VERSION} {verify}", json.dumps(layout.record()), *lines, ""]).encode()


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
    cache: Path, name: str, files: Sequence[ImageFile], layout: Layout, *, manifest: bytes, verify: str, progress: Progress | None
) -> DecodedImages:
    """Build a store, with all other processes that build the same one; the first that finds all its shards gives it its name."""
    build = ShardedBuild.of(cache, name, files, layout, hashed=verify == "content")
    while True:
        if not build.folder.is_dir():
            # Another process may have published the store since it was looked for.
            if store := _found(cache, name, files, verify):
                return store
            build.begin()
        if (outcome := build.decode(progress)) is not None:
            with build.publishing() as mine:
                if mine:
                    return _published(build, cache, name, outcome, manifest)
        build.remove_damaged()
        time.sleep(POLL_SECONDS)


def _published(build: ShardedBuild, cache: Path, name: str, outcome: Outcome, manifest: bytes) -> DecodedImages:
    """Complete a store whose shards are all decoded under a temporary name, open it, and give it its own name."""
    with building(cache, name) as temporary:
        (build.folder / IMAGES.array).rename(temporary / IMAGES.array)
        (temporary / IMAGES.second).write_text(json.dumps(outcome.unreadable), encoding="utf-8")
        (temporary / MANIFEST).write_bytes(manifest)
        # Opened before it is renamed: what other processes do to the name from then on does not matter any more.
        store = open_if_whole(temporary, len(build.files))
        if store is None:
            raise OSError("it cannot be read right after it was written")
        publish(temporary, cache / _full_name(name, outcome.digest), lambda folder: open_if_whole(folder, len(build.files)) is not None)
    shutil.rmtree(build.folder, ignore_errors=True)
    return replace(store, contents=outcome.digest)
