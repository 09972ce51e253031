"""Names in folders of images, each folder listed once: for cells in another Unicode form, and for cells without an ending."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp")
"""Of image files that are read, in lower case."""

NEARLY_ALL = 0.95
"""Share of the cells of a column that have to be files with one ending."""

_SAMPLE = 200


class Listings:
    """The names in folders. What cannot be listed has none."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._forms: dict[str, dict[str, list[str]]] = {}
        self._endings: dict[str, dict[str, list[str]]] = {}

    def names(self, folder: str) -> list[str]:
        """All names in a folder, sorted."""
        if folder not in self._names:
            try:
                self._names[folder] = sorted(os.listdir(folder))
            except (OSError, ValueError):  # ValueError: a null character in a cell
                self._names[folder] = []
        return self._names[folder]

    def other_form(self, folder: str, path: str) -> str | None:
        """The one path that is there and differs from `path` in nothing but its Unicode form; None where there is none.

        Composed and decomposed letters (NFC, NFD) look the same and are other bytes: macOS writes one where Linux and most tables
        have the other. The names of folders on the way may differ as well.
        """
        if path.isascii() or "\0" in path:
            return None
        here = "/" if os.path.isabs(path) else folder
        for part in path.split("/"):
            there = os.path.join(here, part)
            if not part.isascii() and not os.path.lexists(there):
                alike = self._forms_in(here).get(unicodedata.normalize("NFC", part), [])
                if len(alike) != 1:
                    return None
                there = os.path.join(here, alike[0])
            here = there
        return here

    def _forms_in(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._forms:
            forms = self._forms[folder] = {}
            for name in self.names(folder):
                if not name.isascii():
                    forms.setdefault(unicodedata.normalize("NFC", name), []).append(name)
        return self._forms[folder]

    def endings(self, folder: str, path: str) -> list[str]:
        """Every ending with which `path` is the name of an image file."""
        parent, name = os.path.split(os.path.join(folder, path))
        if parent not in self._endings:
            endings = self._endings[parent] = {}
            for file in self.names(parent):
                stem, ending = os.path.splitext(file)
                if ending.lower() in ENDINGS:
                    endings.setdefault(unicodedata.normalize("NFC", stem), []).append(ending)
        return self._endings[parent].get(unicodedata.normalize("NFC", name), [])

    def common_endings(self, folder: str, paths: Sequence[str]) -> Counter[str]:
        """Count the image files with each ending among the first `paths`; an empty ending counts those with any."""
        counts: Counter[str] = Counter()
        for path in paths[:_SAMPLE]:
            if found := self.endings(folder, path):
                counts.update(["", *found])
        return counts


def missing_ending(listings: Listings, folder: str, paths: Sequence[str]) -> str:
    """The ending that nearly all of `paths` lack to be image files; empty where no single one is it."""
    counts = listings.common_endings(folder, paths)
    able = able_endings(counts, min(len(paths), _SAMPLE))
    return able[0] if able else ""


def able_endings(counts: Counter[str], paths: int) -> list[str]:
    """The endings that nearly all of so many `paths` have, the commonest first."""
    return [ending for ending, files in counts.most_common() if ending and files >= NEARLY_ALL * paths]


def existing_form(path: Path) -> Path:
    """`path`, or the path that is there and differs from it in its Unicode form alone."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    try:
        found = Listings().other_form(os.curdir, str(path))
    except OSError:  # a folder on the way that may not be listed: whoever opens the path says so
        return path
    return path if found is None or not os.path.lexists(found) else Path(found)
