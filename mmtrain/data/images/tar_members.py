"""Images in tar archives (shards), as WebDataset and others write them: an index of the members, and their bytes by position.

The index is read once per process from the headers alone, 512 bytes per member; an image is one read of its own range.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from mmtrain.image_decoding import UnreadableImage


class Member(NamedTuple):
    """The place of the bytes of a member in its archive."""

    offset: int
    size: int


@lru_cache(maxsize=4096)
def members_of(path: str, size: int, changed: int) -> Mapping[str, Member]:  # noqa: ARG001 (so that a changed archive is read again)
    """Return the regular files in an archive without compression, by name; of equal names the last, as `tar` extracts them.

    Raises OSError for a damaged archive.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            return {one.name.removeprefix("./"): Member(one.offset_data, one.size) for one in archive if one.isreg()}
    except (tarfile.TarError, EOFError) as error:
        raise OSError(str(error) or "it is damaged") from error


def read_member(path: str, offset: int, size: int, changed: int) -> bytes:
    """Return the bytes of a member. `path` is that of the archive and, behind `#`, its name; `changed` is the archive's time of change.

    Raises UnreadableImage for an archive that is gone, was cut short, or was written again meanwhile.
    """
    archive = path[: path.index(".tar#") + len(".tar")]
    try:
        # Without a buffer, which would read 8 KB for an image of 1 KB.
        with open(archive, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_mtime_ns != changed:
                raise UnreadableImage("The archive was changed while it was in use.", "Start again.")
            file.seek(offset)
            content = file.read(size)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UnreadableImage(f"The archive cannot be opened: {reason}.", "Give the path of an archive that this user may read.") from error
    if len(content) != size:
        raise UnreadableImage("The archive was cut short.", "Copy it again, whole.")
    return content
