"""File names in image folders, each listed once: for cells in another Unicode form, and for cells without a file ending."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp")
"""File endings of the image formats that can be read, in lower case."""

NEARLY_ALL = 0.95
"""Minimum share of the cells of a column that are files with one ending."""

_SAMPLE = 200
"""Maximum number of cells that are looked up."""


class Listings:
    """Cached names of folders; a folder that cannot be listed counts as empty."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._forms: dict[str, dict[str, list[str]]] = {}
        self._endings: dict[str, dict[str, list[str]]] = {}

    def names(self, folder: str) -> list[str]:
        """Return all names in a folder, sorted."""
        if folder not in self._names:
            try:
                self._names[folder] = sorted(os.listdir(folder))
            except (OSError, ValueError):  # ValueError: a null character in a cell
                self._names[folder] = []
        return self._names[folder]

    def other_form(self, folder: str, path: str) -> str | None:
        """Return the only existing path that differs from `path` in nothing but its Unicode form; None if there is none.

        Composed and decomposed letters (NFC, NFD) look the same but have different bytes: macOS writes NFD, Linux and most tables have
        NFC. The folders of the path may differ as well.
        """
        if path.isascii() or "\0" in path:
            return None
        existing = folder
        for part in Path(path).parts:  # the root of an absolute path replaces the folder
            candidate = os.path.join(existing, part)
            if not part.isascii() and not os.path.lexists(candidate):
                alike = self._forms_in(existing).get(unicodedata.normalize("NFC", part), [])
                if len(alike) != 1:  # two files that only their forms distinguish: neither may be guessed
                    return None
                candidate = os.path.join(existing, alike[0])
            existing = candidate
        return existing

    def _forms_in(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._forms:
            forms = self._forms[folder] = {}
            for name in self.names(folder):
                if not name.isascii():
                    forms.setdefault(unicodedata.normalize("NFC", name), []).append(name)
        return self._forms[folder]

    def endings(self, folder: str, path: str) -> list[str]:
        """Return every ending with which `path` is the name of an image file."""
        parent, name = os.path.split(os.path.join(folder, path))
        if parent not in self._endings:
            endings = self._endings[parent] = {}
            for file in self.names(parent):
                stem, ending = os.path.splitext(file)
                if ending.lower() in ENDINGS:
                    # By the composed form, whatever the file system has.
                    endings.setdefault(unicodedata.normalize("NFC", stem), []).append(ending)
        return self._endings[parent].get(unicodedata.normalize("NFC", name), [])

    def common_endings(self, folder: str, paths: Sequence[str]) -> Counter[str]:
        """Count the image files with each ending among the first `paths`; the key `""` counts those with any ending."""
        counts: Counter[str] = Counter()
        for path in paths[:_SAMPLE]:
            # A path with two files, `a.png` and `a.jpg`, counts for both endings, and once as a whole.
            if endings := self.endings(folder, path):
                counts.update(["", *endings])
        return counts


def missing_ending(listings: Listings, folder: str, paths: Sequence[str]) -> str:
    """Return the ending with which nearly all of `paths` are image files; empty if there is none."""
    counts = listings.common_endings(folder, paths)
    able = able_endings(counts, min(len(paths), _SAMPLE))
    return able[0] if able else ""


def able_endings(counts: Counter[str], paths: int) -> list[str]:
    """Return the endings that nearly all of this number of `paths` have, the most frequent first."""
    return [ending for ending, files in counts.most_common() if ending and files >= NEARLY_ALL * paths]


def existing_form(path: Path) -> Path:
    """Return `path`, or the existing path that differs from it in its Unicode form alone."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    try:
        existing = Listings().other_form(os.curdir, str(path))
    except OSError:  # a folder that may not be searched: opening the path reports it
        return path
    return path if existing is None or not os.path.lexists(existing) else Path(existing)
