"""Class folders as a table: `photos/cat/1.jpg`, or `photos/train/cat/1.jpg` in a given split."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from mmtrain.columns.split_words import SplitWords, split_words
from mmtrain.data.tables.csv_text import CsvLines
from mmtrain.errors import DataError, Problem, counted, listed
from mmtrain.system.folder_names import ENDINGS

PATH, CLASS, SPLIT = "path", "class", "split"
"""Headers of the table."""

SHAPE = "Give a folder that has a folder of images per class, as photos/cat and photos/dog, or these in photos/train, photos/val, ..."


@dataclass(frozen=True)
class ClassFolders:
    """Images as (path from `folder`, class, part); the part is empty without a given split."""

    folder: Path
    rows: tuple[tuple[str, str, str], ...]

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers of the table."""
        return (PATH, CLASS, SPLIT) if self.rows[0][2] else (PATH, CLASS)

    def write(self, file: TextIO) -> None:
        """Write the table as CSV to a file opened with `newline=""`."""
        writer = csv.writer(CsvLines(file))
        writer.writerow(self.headers)
        writer.writerows(row[: len(self.headers)] for row in self.rows)


def class_folders(folder: Path) -> ClassFolders:
    """List the images of a folder, in the order of their paths. Hidden files and other files are ignored.

    Raises:
        DataError: it is not a folder of class folders, or not clearly one.

    """
    tops, images = _list_folder(folder)
    words = split_words(tops)
    # Only where every folder is a part: `train` next to `cat` is a class of trains.
    split = bool(tops) and all(name in words.parts or name in words.doubts for name in tops)
    problems = _loose(folder, images) + (_unclear_parts(folder, words) if split else [])
    rows: list[tuple[str, str, str]] = []
    for top in tops:
        if not split:
            problems += _add(rows, folder, top, top, "")
            continue
        classes, loose = _list_folder(folder / top)
        problems += _loose(folder / top, loose)
        for name in classes:
            problems += _add(rows, folder, f"{top}/{name}", name, words.parts.get(top, ""))
    # Too few classes would only repeat a problem that is listed already.
    problems = problems or _too_few(folder, rows)
    if problems:
        raise DataError(problems)
    return ClassFolders(folder, tuple(rows))


def _add(rows: list[tuple[str, str, str]], folder: Path, place: str, name: str, part: str) -> list[Problem]:
    """Add the images of one class to `rows`; return the problems of its folder."""
    below, images = _list_folder(folder / place)
    if below:
        what = f"the folder of the class {name!r} has folders in it: {listed([repr(one) for one in below], most=4)}."
        return [Problem(str(folder / place), what, "Move their images up, or move them out.")]
    # Readers strip cells, so that such a name would come back as another one.
    if name != name.strip() or not name.isprintable():
        return [Problem(str(folder / place), f"{name!r} cannot be the name of a class.", "Rename the folder.")]
    odd = [image for image in images if image != image.strip() or not image.isprintable()]
    if odd:
        return [Problem(str(folder / place), f"{odd[0]!r} cannot be written into a table.", "Rename the file.")]
    if not images:
        return [_no_images(folder / place)]
    rows += [(f"{place}/{image}", name, part) for image in images]
    return []


def _unclear_parts(folder: Path, words: SplitWords) -> list[Problem]:
    if not words.doubts:
        return []
    what = f"it is not clear which parts of a split the folders {listed([repr(name) for name in words.doubts])} stand for."
    return [Problem(str(folder), what, "Rename them: train, validation and test are understood.")]


def _no_images(folder: Path) -> Problem:
    others = sorted({os.path.splitext(entry.name)[1].lower() for entry in _entries(folder)} - {""})
    content = f", but files that end in {listed(others, most=4)}" if others else ""
    fix = (
        f"Convert them to JPEG or PNG; files that end in {listed(ENDINGS, 'or')} are read." if others else "Remove the folder, or fill it."
    )
    return Problem(str(folder), f"the folder has no images{content}.", fix)


def _loose(folder: Path, images: list[str]) -> list[Problem]:
    if not images:
        return []
    what = f"{counted(len(images), 'image is', 'images are')} not in the folder of a class, {images[0]} for instance."
    return [Problem(str(folder), what, SHAPE)]


def _too_few(folder: Path, rows: list[tuple[str, str, str]]) -> list[Problem]:
    classes = {name for _, name, _ in rows}
    if len(classes) < 2:
        content = f"images of one class only, {rows[0][1]!r}" if classes else "no folder with images in it"
        return [Problem(str(folder), f"the folder has {content}.", SHAPE)]
    parts = {part for _, _, part in rows}
    if parts != {""} and "train" not in parts:
        return [Problem(str(folder), f"the folder has {listed(sorted(parts))}, but no train.", SHAPE)]
    return []


def _list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """Return folders and images, sorted by name."""
    entries = list(_entries(folder))
    folders = [entry.name for entry in entries if entry.is_dir()]
    return folders, [name for name in _files(entries) if os.path.splitext(name)[1].lower() in ENDINGS]


def _files(entries: Iterable[os.DirEntry[str]]) -> Iterator[str]:
    return (entry.name for entry in entries if entry.is_file())


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            # Sorted: the order of a directory differs between file systems, and would make the table differ.
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(Problem(str(folder), f"the folder cannot be read: {(error.strerror or str(error)).lower()}.")) from None
