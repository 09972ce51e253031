"""A folder of DICOM files as bytes: what reads, hashes or compares the bytes of an image then takes a series as well."""

from __future__ import annotations

import os
import struct
from hashlib import sha256
from pathlib import Path

MARK = b"mmtrain folder of DICOM files\n"
ENDINGS = (".dcm", ".dicom", ".ima")


def file_state(path: str | Path) -> tuple[int, int]:
    """Return the bytes of a file and the time of its last change in ns; of a folder those of all its files, and a hash of all times.

    Raises:
        OSError: it cannot be read.

    """
    if not os.path.isdir(path):
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    states = [(entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in _entries(path)]
    digest = sha256(repr(states).encode()).digest()
    # 62 bits, and never 0, which stands for an image that a cell holds.
    return sum(size for _, size, _ in states), (int.from_bytes(digest[:8], "big") >> 2) + 1


def file_bytes(path: Path) -> bytes:
    """Return the bytes of a file, or those of the DICOM files of a folder in the order of their names. Raises OSError."""
    if not path.is_dir():
        return path.read_bytes()
    files = [Path(entry.path).read_bytes() for entry in _entries(path)]
    kept = [data for entry, data in zip(_entries(path), files, strict=True) if _is_dicom(entry.name, data)]
    return MARK + struct.pack("<I", len(kept)) + b"".join(struct.pack("<Q", len(data)) + data for data in kept)


def files_of(data: bytes) -> list[bytes]:
    """Return the bytes of each file from those that `file_bytes` returned for a folder."""
    (count,) = struct.unpack_from("<I", data, len(MARK))
    at, files = len(MARK) + 4, []
    for _ in range(count):
        (size,) = struct.unpack_from("<Q", data, at)
        files.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return files


def is_dicom_file(path: Path) -> bool:
    """Return whether a file is DICOM by its name or, as those of scanners often have no ending, by its mark."""
    try:
        with path.open("rb") as file:
            return _is_dicom(path.name, file.read(132))
    except OSError:
        return False


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if entry.is_file() and not entry.name.startswith(".")), key=lambda entry: entry.name)


def _is_dicom(name: str, data: bytes) -> bool:
    # The directory of a disc has the mark of DICOM and no image.
    return name.upper() != "DICOMDIR" and (data[128:132] == b"DICM" or name.lower().endswith(ENDINGS))
