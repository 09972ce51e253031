"""Zip archives from strangers: their directory is checked before a byte is unpacked, and again while unpacking.

A name in an archive is a path below one folder, with `/` between its parts. Refused are names that lead out of the folder or
mean different files on different systems, links and other special files, what is encrypted or compressed in rare ways, and
archives that would grow far beyond their own size ("zip bombs", among them those of Fifield 2019, whose entries overlap).
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mmtrain.config.byte_size import format_bytes
from mmtrain.errors import Problem, RunError
from mmtrain.system.paths import input_fault

COPY_CHUNK_BYTES = 1 << 20
ENTRY_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of every entry that is written, so that the same files give the same archive; the earliest that zip can hold."""

UNSAFE_CHARACTERS = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]|[. ](?:/|$)')
"""Characters with a meaning of their own in paths of Linux, macOS or Windows; the last two vanish there at the end of a name."""
RESERVED_NAMES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
PACKED_ALREADY = (".keras", ".npz", ".png")
"""Stored as they are: they would not become smaller."""
SHOWN = 10
"""Maximum number of problems of one archive that are shown."""
DAMAGED_ARCHIVE = "Ask for the archive again."


@dataclass(frozen=True)
class Limits:
    """Size limits of an unpacked archive."""

    entries: int = 10_000
    size: int = 20 * 10**9
    """Bytes of all entries together."""
    ratio: int = 100
    """An entry's bytes over its compressed bytes; texts reach 10, an archive made to fill a disk 1,000."""
    free: int = 10**6
    """Bytes of an entry to which the ratio does not apply: a small file of blanks is harmless."""


def directory(path: Path, limits: Limits | None = None) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of an archive by name, in their order, each of them checked.

    Raises RunError with the problems of one kind at a time: of the archive, of its entries, of their names together.
    """
    with open_archive(path) as archive:
        entries = archive.infolist()
    allowed = limits or Limits()
    # The later checks go through entries one by one, so they wait for the limit on the number of entries.
    problems = [Problem(str(path), what, DAMAGED_ARCHIVE) for what in _archive_error(entries, path.stat().st_size, allowed)]
    if not problems:
        problems = [
            Problem(f"{path}: {entry.filename!r}", what, DAMAGED_ARCHIVE) for entry in entries if (what := _entry_error(entry, allowed))
        ]
    if not problems:
        problems = [
            Problem(f"{path}: {name!r}", what, DAMAGED_ARCHIVE) for name, what in _collisions([entry.filename for entry in entries])
        ]
    if problems:
        raise RunError(problems[:SHOWN])
    return {entry.filename: entry for entry in entries}


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive for reading. Raises RunError if it is missing, damaged or not a zip archive, also during the block."""
    if fault := input_fault(path):
        raise RunError(Problem(str(path), "the file does not exist.") if fault.absent else fault.problem(path, "the archive"))
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, UnicodeDecodeError) as error:
        raise RunError(Problem(str(path), "the file is not a zip archive, or it is damaged.", DAMAGED_ARCHIVE)) from error
    except OSError as error:
        raise RunError(Problem(str(path), f"the file cannot be read: {(error.strerror or str(error)).lower()}.")) from None


def _archive_error(entries: list[zipfile.ZipInfo], size: int, limits: Limits) -> Iterator[str]:
    if len(entries) > limits.entries:
        yield f"the archive holds {len(entries):,} files; {limits.entries:,} are allowed."
    # Sizes are as the directory states them; `extract_entry` holds entries to them.
    total = sum(entry.file_size for entry in entries)
    if total > limits.size:
        yield f"the archive unpacks to {format_bytes(total)}; {format_bytes(limits.size)} are allowed."
    # Fifield (2019): overlapping entries share their compressed bytes, so that together they have more than the file.
    if sum(entry.compress_size for entry in entries) > size:
        yield "files of the archive lie one over the other, as in an archive made to fill a disk."


def _entry_error(entry: zipfile.ZipInfo, limits: Limits) -> str:
    """Return the problem of one entry as a sentence; empty without a problem."""
    # The upper half has the mode of Unix: kind of file and permissions.
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if what := _name_error(entry.orig_filename):  # the name as it is written: `filename` ends at a NUL and has other slashes
        return what
    if kind not in (0, stat.S_IFREG) or entry.external_attr & 0x410:  # of Windows: folder, reparse point
        return "this is a folder, a link or a special file, not a plain file."
    if entry.flag_bits & 0x1:
        return "the file is encrypted."
    if entry.compress_type not in METHODS:
        return "the file is compressed in a way that is not read."
    # A ratio alone would refuse small files of blanks.
    if entry.file_size > limits.free + limits.ratio * entry.compress_size:
        return f"the file unpacks from {format_bytes(entry.compress_size)} to {format_bytes(entry.file_size)}."
    return ""


def _name_error(name: str) -> str:
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "the name is not a path below a folder."
    if (
        UNSAFE_CHARACTERS.search(name)
        or any(RESERVED_NAMES.fullmatch(part) for part in parts)
        # File systems allow 255 bytes; a temporary name and a folder of the user need some.
        or len(name.encode(errors="surrogateescape")) > 200
    ):
        return "the name does not mean the same file on every system."
    return ""


def is_below_a_folder(name: str) -> bool:
    """Return True if a relative path stays in its folder, on every system."""
    return not _name_error(name)


def _collisions(names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield names that mean one file: equal ones, and those that differ by case or by the encoding of an accent only."""
    seen: dict[str, str] = {}
    for name in names:
        # macOS and Windows ignore case, and macOS composes accents: there, the second file would replace the first.
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            yield name, "the name is here twice." if seen[key] == name else f"the name differs from {seen[key]!r} by case or accents only."
        seen[key] = name
    for key, name in seen.items():
        # `a` and `a/b` cannot both exist.
        parts = key.split("/")
        if any("/".join(parts[:length]) in seen for length in range(1, len(parts))):
            yield name, "the name is below a name that is a file."


def extract_entry(source: IO[bytes], target: IO[bytes], size: int) -> str:
    """Copy `size` bytes and return their SHA-256. Raises EOFError if there are more or fewer, having written at most `size`."""
    digest, left = hashlib.sha256(), size
    while piece := source.read(min(COPY_CHUNK_BYTES, left + 1)):  # one byte more than is left shows that there are more
        left -= len(piece)
        if left < 0:
            raise EOFError(f"more than {size} bytes")
        digest.update(piece)
        target.write(piece)
    if left:
        raise EOFError(f"{left} of {size} bytes are missing")
    return digest.hexdigest()


def write(path: Path, files: Mapping[str, bytes | Path]) -> dict[str, str]:
    """Write contents and files, by name, to a zip archive and return the SHA-256 of each; equal contents give equal bytes.

    Raises OSError, and EOFError for a file whose size changes meanwhile.
    """
    digests = {}
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        # Sorted, so that the same files give the same bytes in any order.
        for name in sorted(files):
            source = files[name]
            entry = zipfile.ZipInfo(name, ENTRY_TIME)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16  # 3: Unix, whatever system packs
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(PACKED_ALREADY) else zipfile.ZIP_DEFLATED
            entry.file_size = len(source) if isinstance(source, bytes) else source.stat().st_size
            with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file, archive.open(entry, "w") as target:
                digests[name] = extract_entry(file, target, entry.file_size)
    return digests


def hash_entry(content: bytes) -> str:
    """SHA-256 of a content, as `atomic_files.file_hash` computes it for a file."""
    return hashlib.sha256(content).hexdigest()
