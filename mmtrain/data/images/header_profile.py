"""Profile of the files of an image column by their headers; no pixel is decoded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from mmtrain.artifacts.inspection_results import ImageProfile
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.image_file import ImageFile
from mmtrain.data.images.locate import ImageFinder
from mmtrain.image_decoding import ImageHeader, UnreadableImage, inspect
from mmtrain.image_decoding.data_uri import without_content
from mmtrain.image_decoding.decoded_image import SOUNDS

SAMPLE = 200
"""Files that are looked for in each folder when the folder of the images is not known."""

MOST_FOLDERS = 1000
DEEPEST = 2
"""Levels of folders below the table's that are searched for images."""


def profile_images(cells: Iterable[str], folder: ImageFolder, suffix: str = "", *, recordings: bool = False) -> ImageProfile:
    """Open the header of every different path in `cells`, which lack `suffix`; `recordings` says that the column has the role `audio`.

    Raises:
        DataError: there is no such folder.

    """
    finder = ImageFinder(folder, suffix, folders=True)
    headers: list[ImageHeader] = []
    bad: list[tuple[str, str]] = []
    unread: tuple[str, str] | None = None
    paths = 0
    for cell in dict.fromkeys(cell.strip() for cell in cells):
        paths += 1
        header = _opened(finder, cell, recordings)
        if isinstance(header, ImageHeader):
            headers.append(header)
            continue
        if isinstance(header, UnreadableImage):
            unread = unread or (without_content(cell), f"{header} {header.fix}")
        if len(bad) < 20:
            bad.append((without_content(cell), str(header)))
    drawn = [header for header in headers if header.format not in SOUNDS]  # recordings have no pixels before they are spectrograms
    # By area, so that the median is the size of an image that exists.
    sizes = sorted(((header.height, header.width) for header in drawn), key=lambda size: (size[0] * size[1], size))
    return ImageProfile(
        folder=folder.path,
        paths=paths,
        found=len(headers),
        smallest=sizes[0] if sizes else None,
        median=sizes[len(sizes) // 2] if sizes else None,
        largest=sizes[-1] if sizes else None,
        sizes=len(set(sizes)),
        formats=dict(Counter(header.format for header in headers).most_common()),
        modes=dict(Counter(header.mode for header in drawn).most_common()),
        bits=dict(Counter(header.bits for header in drawn).most_common()),
        bad=tuple(bad),
        unread=unread,
    )


def _opened(finder: ImageFinder, cell: str, recording: bool) -> ImageHeader | UnreadableImage | str:
    """The header, or what is wrong with the file or with its path."""
    file = finder.find(cell)
    if not isinstance(file, ImageFile):
        return file.what
    try:
        return inspect(file.source, recording=recording)
    except UnreadableImage as refusal:
        return refusal


def folder_of(cells: Sequence[str], top: Path) -> tuple[Path, int]:
    """The folder in which most of `cells` are files, and how many are: `top`, or one at most `DEEPEST` folders below it."""
    best, most = top, -1
    for folder in folders(top):
        finder = ImageFinder(ImageFolder(folder))
        count = sum(isinstance(finder.find(cell.strip()), ImageFile) for cell in cells)
        if count > most:
            best, most = folder, count
        if count == len(cells):
            break
    return best, max(most, 0)


def folders(top: Path) -> Iterator[Path]:
    """`top`, its folders by name, then theirs, down to `DEEPEST`; hidden ones are left out."""
    return islice(_folders(top, DEEPEST), MOST_FOLDERS)


def _folders(top: Path, levels: int) -> Iterator[Path]:
    level = [top]
    for depth in range(levels + 1):
        yield from level
        if depth < levels:
            level = [folder for parent in level[:MOST_FOLDERS] for folder in _below(parent)]


def _below(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            return sorted(Path(entry.path) for entry in entries if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
