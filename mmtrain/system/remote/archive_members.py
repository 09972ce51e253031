"""Members of remote tar archives, fetched one by one where that is less work than fetching the archive.

The index of an archive is the chain of its headers, so that reading it by ranges takes a request for each member. It is read of archives
with large members alone, and kept in the mirror; all others are fetched whole, as are those of which most bytes are wanted, and those of
servers that send files whole only. A fetched member is a file of the mirror, next to the place of its archive.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from mmtrain.system.remote.mirror import (
    DOWNLOADS,
    PARTIAL,
    address_of,
    fetch_all,
    listed,
    problem_of,
    versions_file,
    with_retries,
    write_json,
)
from mmtrain.system.remote.sources import RangesError, RemoteFile, Source

LARGE_MEMBER = 1_000_000
"""Mean bytes of the first members of an archive whose index is worth its requests: in the 20 ms of one, 1 MB comes at 50 MB/s."""
PROBED = 16
"""Members whose mean is taken."""
WHOLE_SHARE = 0.5
"""Share of the bytes of an archive from which it is fetched whole."""
BLOCK_BYTES = 4096
"""Bytes of one request for headers; a long name has headers of its own."""

Index = Mapping[str, tuple[int, int]]
"""Offset and size of each member by its name."""


def member_path(archive: Path, name: str) -> Path | None:
    """Return the place of a member in the mirror; None for a name that leads out of it."""
    parts = name.split("/")
    return None if ".." in parts or "" in parts or "\0" in name else archive.with_name(f".{archive.name}.members").joinpath(*parts)


def fetch_members(archives: Mapping[Path, Iterable[str]]) -> dict[Path, str]:
    """Fetch members by the place of their archive, or whole archives; return the reasons for those that cannot be had.

    Members that an archive does not have are left out.
    """
    missing = {archive: wanted for archive, names in archives.items() if not archive.exists() and (wanted := _missing(archive, names))}
    if not missing:
        return {}
    threads = max(1, DOWNLOADS // len(missing))
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        reasons = pool.map(lambda item: _fetch(item[0], item[1], threads), missing.items())
        return {archive: reason for archive, reason in zip(missing, reasons, strict=True) if reason}


def known_members(archive: Path) -> Index | None:
    """Return the index of an archive in the mirror; None without one."""
    with suppress(OSError, ValueError, KeyError):
        members: dict[str, tuple[int, int]] = json.loads(_index_file(archive).read_text(encoding="utf-8"))["members"]
        return members
    return None


def _missing(archive: Path, names: Iterable[str]) -> list[str]:
    paths = {name: member_path(archive, name) for name in names}
    return [name for name, path in paths.items() if path is not None and not path.is_file()]


def _fetch(archive: Path, names: list[str], threads: int) -> str:
    address = address_of(archive)
    try:
        source, files = with_retries(lambda: listed(address))
        index = _index(archive, source, files[0])
        wanted = [name for name in names if index is not None and name in index]
        if index is None or sum(index[name][1] for name in wanted) >= WHOLE_SHARE * files[0].size:
            return fetch_all([archive]).get(archive, "")
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda name: _fetch_member(archive, name, index[name], source, files[0]), wanted))
    except RangesError:
        return fetch_all([archive]).get(archive, "")
    except OSError as error:
        return problem_of(address, error).what
    return ""


def _fetch_member(archive: Path, name: str, place: tuple[int, int], source: Source, file: RemoteFile) -> None:
    path = member_path(archive, name)
    if path is None:
        return
    content = with_retries(lambda: source.read(file, *place)) if place[1] else b""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name[:200]}.{os.getpid()}{PARTIAL}")
    unfinished.write_bytes(content)
    if file.changed:  # as in an archive that was fetched whole
        os.utime(unfinished, (file.changed, file.changed))
    unfinished.replace(path)


def _index(archive: Path, source: Source, file: RemoteFile) -> Index | None:
    """Return the index of this version of an archive; None for an archive that is to be fetched whole."""
    path = _index_file(archive)
    with suppress(OSError, ValueError, KeyError):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["version"] == file.version:
            members: dict[str, tuple[int, int]] = record["members"]
            return members
    if file.size < PROBED * LARGE_MEMBER or (index := _read_index(source, file)) is None:
        return None
    write_json(path, {"version": file.version, "members": index})
    return index


def _read_index(source: Source, file: RemoteFile) -> Index | None:
    members: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(fileobj=_Headers(source, file), mode="r:") as archive:  # type: ignore[call-overload]
            for number, one in enumerate(archive, 1):
                if one.isreg():
                    members[one.name.removeprefix("./")] = (one.offset_data, one.size)
                if number == PROBED and one.offset_data < PROBED * LARGE_MEMBER:
                    return None
    except (tarfile.TarError, EOFError):
        return None  # what reads the whole archive says what is wrong with it
    return members


def _index_file(archive: Path) -> Path:
    return versions_file(archive).with_suffix(".members.json")


class _Headers:
    """A remote archive as the file that `tarfile` reads headers from."""

    def __init__(self, source: Source, file: RemoteFile) -> None:
        self._source, self._file = source, file
        self._place = self._start = 0
        self._block = b""

    def tell(self) -> int:
        return self._place

    def seek(self, place: int) -> None:
        self._place = place

    def read(self, size: int) -> bytes:
        size = min(size, self._file.size - self._place)
        if size <= 0:
            return b""
        if not self._start <= self._place <= self._place + size <= self._start + len(self._block):
            wanted = min(max(size, BLOCK_BYTES), self._file.size - self._place)
            self._start, self._block = self._place, with_retries(lambda: self._source.read(self._file, self._place, wanted))
        first = self._place - self._start
        self._place += size
        return self._block[first : first + size]
