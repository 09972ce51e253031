"""A file of an image as a cell names it or holds it, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from mmtrain.columns.cells import SLICE_MARK
from mmtrain.data.images.tar_members import read_member
from mmtrain.image_decoding.data_uri import from_data_uri, is_data_uri
from mmtrain.system.remote import masked

HELD = "the image"
"""Name of an image that a cell holds itself: its base64 would say nothing, and has all that the file says of a patient."""


class ImageFile(NamedTuple):
    """A file as it was found: its real path, bytes, and time of its last change in nanoseconds.

    Of an image that the cell itself holds, `content` has the bytes, and `path` stands for them: `data:` and their SHA-256.
    """

    path: str
    size: int
    changed: int
    content: bytes = b""
    offset: int = -1
    """Position of the image in the file at `path` before `#`, a tar archive; -1 for a file of its own."""
    slice: tuple[int, int] = (-1, 0)
    """Slice of the file, see `ImageCells.slices`; (-1, 0) for the one of the layout."""

    @property
    def source(self) -> Path | bytes:
        """The argument of `mmtrain.image_decoding.read`; of a member of an archive its bytes, read now."""
        if self.offset >= 0:
            return read_member(self.path, self.offset, self.size, self.changed)
        # Content from a cell has no time of change.
        return Path(self.path) if self.changed else self.content


@dataclass(frozen=True)
class Refusal:
    """The reason why a cell has no image. One that points `outside` the images folder is refused under every `missing` policy."""

    what: str
    fix: str
    outside: bool = False
    absent: bool = False
    """True if there is no such file."""
    suffix: bool = False
    """True if the option `suffix` would name one."""


@dataclass(frozen=True)
class Unreadable:
    """A table row without an image. One whose cell points `outside` the images folder is refused under every policy."""

    row: int
    what: str
    fix: str
    outside: bool = False
    suffix: bool = False
    """True if the option `suffix` would name its file."""
    others: bool = False
    """True if the row has other images, of a column of several images per row."""
    place: int = -1
    """Position of the name among those of all rows, of such a column."""


def by_file(bad: Sequence[Unreadable]) -> list[Unreadable]:
    """Return all slices of a file that a row lacks for one reason as one, which names the file."""
    reasons: dict[tuple[int, str], list[Unreadable]] = {}
    for one in bad:
        reasons.setdefault((one.row, SLICE_MARK.sub("", one.what)), []).append(one)
    return [slices[0] if len(slices) == 1 else replace(slices[0], what=what) for (_, what), slices in reasons.items()]


def not_decoded(cell: str, reason: tuple[str, str] | None) -> Refusal | None:
    """The refusal of a file that was found but not decoded, for the `reason` (what, fix); None without one."""
    if reason is None:
        return None
    what, fix = reason
    name = HELD if is_data_uri(cell) else masked(cell)
    return Refusal(f"{name}: {what[:1].lower()}{what[1:]}", fix)


def held_image(cell: str) -> ImageFile | Refusal:
    """Return the image that a data URI holds, or the reason why it holds none."""
    try:
        content = from_data_uri(cell)
    except ValueError as error:
        fix = "Write `data:image/png;base64,`, and after it the bytes of the image file in base64."
        return Refusal(f"the cell {cell[:40]}… cannot be read as a data URI: {error}.", fix)
    return ImageFile(f"data:{sha256(content).hexdigest()}", len(content), 0, content)
