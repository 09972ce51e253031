"""Arrays that lie in files of the cache and are mapped into memory, looked after so that a file cut short is told in words.

A page of a map behind the end of its file ends the process with SIGBUS, which Python cannot catch. So the length of the file is
asked for before every batch is taken from it, which costs less than a microsecond. What is left is a file that is cut short while
the batch is copied, some hundred microseconds. A file that is removed or replaced does no harm: the map keeps what it had.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from mmtrain.errors import Problem, RunError

FIX = "Start again, and leave the cache alone while a run uses it."


class MappedFile:
    """The file of a map, by a descriptor of its own: whatever its name comes to mean, this is the file that the map reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._size = os.fstat(self._file).st_size

    def check(self) -> None:
        """Raises RunError when the file has become shorter."""
        if os.fstat(self._file).st_size < self._size:
            raise RunError(Problem(str(self.path), "the file has become shorter while it was used.", FIX))
