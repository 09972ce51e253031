"""Decode pictures into a folder of the cache, once; see `images` for what is in it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.data.image_files import ImageFile
from mmtrain.errors import Problem, RunError
from mmtrain.pixels import Layout, UnreadableImage, read

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 1
"""Part of the name of every store; to be raised when `mmtrain.pixels` gives other pixels for the same file."""

_AHEAD = 256
"""Pictures handed to the threads at once, which bounds what waits in memory."""

_DAY = 24 * 60 * 60


@dataclass(frozen=True, eq=False)
class Decoded:
    """`pixels` (files, height, width, channels), read-only; `unreadable` has (what, fix) of the files that could not be decoded."""

    pixels: NDArray[Any]
    unreadable: dict[int, tuple[str, str]]


def decoded(files: Sequence[ImageFile], layout: Layout, *, cache: Path, progress: Callable[[int, int], None] | None = None) -> Decoded:
    """The pixels of `files`, in their order; decoded now unless the cache has them.

    Raises:
        RunError: the cache cannot be written, or has too little space.

    """
    manifest = _manifest(files, layout)
    folder = cache / sha256(manifest).hexdigest()
    if store := _opened(folder, len(files)):
        return store
    try:
        _build(folder, files, layout, manifest=manifest, progress=progress)
    except OSError as error:
        fix = "Set MMTRAIN_CACHE to a folder that can be written."
        raise RunError(Problem(str(cache), f"the image store cannot be written: {(error.strerror or str(error)).lower()}.", fix)) from error
    store = _opened(folder, len(files))
    if store is None:
        raise RunError(
            Problem(str(folder), "the image store cannot be read right after it was written.", "Remove this folder and start again.")
        )
    return store


def _manifest(files: Sequence[ImageFile], layout: Layout) -> bytes:
    # Real paths, not those in the cells: unpacked archives hold many files of one name, size and time in different folders.
    lines = [f"{file.size} {file.changed} {json.dumps(file.path)}" for file in files]
    return "\n".join([f"mmtrain image store {VERSION}", repr(layout), *lines, ""]).encode()


def _opened(folder: Path, pictures: int) -> Decoded | None:
    """The store in `folder`; None when there is none, or a machine that went down has left a damaged one."""
    try:
        pixels = np.asarray(np.load(folder / "pixels.npy", mmap_mode="r"))
        unreadable = json.loads((folder / "unreadable.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if len(pixels) != pictures:
        return None
    return Decoded(pixels, {int(position): (what, fix) for position, (what, fix) in unreadable.items()})


def _build(
    folder: Path, files: Sequence[ImageFile], layout: Layout, *, manifest: bytes, progress: Callable[[int, int], None] | None
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder.parent)
    _require_space(folder.parent, files, layout)
    temporary = folder.with_name(f"{folder.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        unreadable = _decode(temporary / "pixels.npy", files, layout, progress=progress)
        (temporary / "unreadable.json").write_text(json.dumps(unreadable), encoding="utf-8")
        (temporary / "manifest.txt").write_bytes(manifest)
        _publish(temporary, folder, len(files))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _decode(
    path: Path, files: Sequence[ImageFile], layout: Layout, *, progress: Callable[[int, int], None] | None
) -> dict[int, tuple[str, str]]:
    """Decode all files into a new array at `path`; those that cannot be stay zero and are returned with (what, fix)."""
    dtype = np.uint16 if layout.bits == 16 else np.uint8
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(len(files), *layout.size, layout.channels))

    def decode(position: int) -> tuple[str, str] | None:
        try:
            pixels[position] = read(Path(files[position].path), layout)
        except UnreadableImage as refusal:
            return str(refusal), refusal.fix
        return None

    unreadable: dict[int, tuple[str, str]] = {}
    # Pillow lets go of the interpreter while it decodes, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(files), _AHEAD):
            positions = range(start, min(start + _AHEAD, len(files)))
            for position, refusal in zip(positions, threads.map(decode, positions), strict=True):
                if refusal is not None:
                    unreadable[position] = refusal
                if progress is not None:
                    progress(position + 1, len(files))
    pixels.flush()
    return unreadable


def _publish(temporary: Path, folder: Path, pictures: int) -> None:
    """Give a whole store its name, unless another process was faster; a damaged one is replaced."""
    if folder.exists() and _opened(folder, pictures) is None:
        shutil.rmtree(folder)
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _require_space(cache: Path, files: Sequence[ImageFile], layout: Layout) -> None:
    """A full disk would end the process without a word, because the array is written through memory."""
    needed = len(files) * layout.size[0] * layout.size[1] * layout.channels * layout.bits // 8
    free = shutil.disk_usage(cache).free
    if needed > free:
        what = f"the image store needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free."
        raise RunError(Problem(str(cache), what, "Make room, set MMTRAIN_CACHE to a folder on another disk, or choose a smaller `size`."))


def _remove_leftovers(cache: Path) -> None:
    """What builds have left behind that were killed more than a day ago."""
    for leftover in cache.glob("*.tmp-*"):
        try:
            abandoned = time.time() - (leftover / "pixels.npy").stat().st_mtime > _DAY
        except OSError:
            continue
        if abandoned:
            shutil.rmtree(leftover, ignore_errors=True)
