"""The mirror of remote files in the cache: an address is a path below `remote-files`, where its file comes when it is used.

`s3://bucket/scans/1.png` is `remote-files/s3/bucket/scans/1.png` in the cache folder. So a table and its images are ordinary files for the
rest of mmtrain, read as often as needed, and a path is enough to know the address. A table is compared with its source once per process;
an image that is there stays. Files come whole or not at all; a download that was cut off continues where it stopped. Secrets in addresses
are in no path: see `secrets`.
"""

from __future__ import annotations

import json
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, TypeVar

from mmtrain.errors import DataError, Problem
from mmtrain.system.locks import locked
from mmtrain.system.paths import PATTERN_SIGNS, cache_folder
from mmtrain.system.remote import secrets
from mmtrain.system.remote.sources import DeniedError, MissingError, MissingPackageError, RangesError, RemoteFile, Source, source_of

FOLDER = "remote-files"
VERSIONS = ".versions"
"""Folder of the mirror that holds the versions of the files of each address."""
PARTIAL = ".partial"
ATTEMPTS = 3
BLOCK_BYTES = 1 << 20
DOWNLOADS = 8
"""Files that are fetched at the same time."""

Result = TypeVar("Result")


class UnsignedError(DeniedError):
    """The secret of the address is not known."""


_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{1,15}):/{1,2}([^/].*)", re.IGNORECASE | re.DOTALL)


def is_address(text: str) -> bool:
    """Return whether a text is a remote address. `file://` and `data:` are none; `C:/x` is a path.

    >>> is_address("s3://bucket/table.parquet"), is_address("scans/1.png"), is_address("file:///scans/1.png")
    (True, False, False)
    """
    found = _ADDRESS.match(text)
    return found is not None and found[1].lower() not in ("file", "local", "data")


def local_path(address: str | Path, cache: Path | None = None, *, inherited: bool = True) -> Path:
    """Return the place of an address in the mirror; another path as it is. `cache` is the cache folder, by default the user's.

    `pathlib` makes one slash of `s3://`, so an address is known with one as well. Its secrets are remembered, with `inherited` also in
    processes that this one starts.
    Raises ValueError for an address with `..`.
    """
    found = _ADDRESS.match(str(address))
    if found is None or not is_address(str(address)):
        return Path(address)
    scheme = found[1].lower()
    rest = secrets.remember(f"{scheme}://{found[2]}", inherited=inherited).partition("://")[2]
    rest, _, query = rest.partition("?") if scheme in secrets.WITH_QUERY else (rest, "", "")
    host, _, path = rest.partition("/")
    if ".." in path.split("/") or host in ("", ".", ".."):
        raise ValueError(f"{str(address)!r} is not an address of a file. Write it without `..`.")
    # The query comes first, so that the name keeps its ending, which tells the format.
    return Path(cache or cache_folder(), FOLDER, scheme, host, *([f"@{urllib.parse.quote(query, safe='')}"] if query else []), path)


def address_of(path: Path) -> str:
    """Return the address whose place in the mirror a path is; empty for an ordinary path.

    >>> address_of(local_path("https://host/scans/1.png?size=big", Path("cache")))
    'https://host/scans/1.png?size=big'
    """
    parts = path.parts
    if FOLDER not in parts or len(parts) < parts.index(FOLDER) + 3:
        return ""
    scheme, host, *names = parts[parts.index(FOLDER) + 1 :]
    if scheme == VERSIONS:
        return ""
    query = ""
    if names and names[0].startswith("@"):
        query = f"?{urllib.parse.unquote(names.pop(0)[1:])}"
    return f"{scheme}://{'/'.join([host, *names])}{query}"


def cache_of(path: Path) -> Path | None:
    """Return the cache folder that a path of the mirror lies in; None for an ordinary path."""
    return Path(*path.parts[: path.parts.index(FOLDER)]) if address_of(path) else None


def fetch(path: Path) -> None:
    """Bring a table in the mirror up to date with its address, once per process; do nothing for an ordinary path.

    The address may be that of a folder, or a pattern of files with `*`.
    Raises DataError where the source cannot be reached or read, or the disk is full.
    """
    if address_of(path):
        _fetch_once(path)


def fetch_all(paths: Iterable[Path]) -> dict[Path, str]:
    """Fetch files that the mirror does not have yet, several at a time; return the reasons for those that cannot be had."""
    missing = []
    for path in dict.fromkeys(paths):
        if address := address_of(path):
            if path.exists():
                secrets.forget(address)
            else:
                missing.append(path)
    if not missing:
        return {}
    with ThreadPoolExecutor(DOWNLOADS) as threads:
        reasons = dict(zip(missing, threads.map(_fetch_reason, missing), strict=True))
    return {path: reason for path, reason in reasons.items() if reason}


def _fetch_reason(path: Path) -> str:
    address = address_of(path)
    try:
        source, files = with_retries(lambda: listed(address))
        _download(source, files[0], path, address)
    except OSError as error:
        return problem_of(address, error).what
    secrets.forget(address)
    return ""


@lru_cache(maxsize=256)
def _fetch_once(path: Path) -> None:
    _update(path)


def _update(path: Path) -> None:
    """Fetch the files of the address of a path that are new or have changed, and remove those that are gone."""
    root, pattern = _without_pattern(path)
    address = address_of(root)
    if not secrets.whole(address) and root.is_file():
        return  # what reads it compares its hash, where it has to be the same
    try:
        source, files = with_retries(lambda: listed(address))
        wanted = [file for file in files if not pattern or fnmatchcase(file.name, pattern)]
        known = _read_versions(root)
        changed = [file for file in wanted if known.get(file.name) != file.version or not _place(root, file).is_file()]
        with ThreadPoolExecutor(DOWNLOADS) as threads:
            list(threads.map(lambda file: _download(source, file, _place(root, file), address), changed))
        gone = [name for name in known if name not in {file.name for file in wanted} and (not pattern or fnmatchcase(name, pattern))]
        for name in gone:
            _place(root, name).unlink(missing_ok=True)
        if changed or gone:
            kept = {name: version for name, version in known.items() if name not in gone}
            write_json(versions_file(root), kept | {file.name: file.version for file in wanted})
    except OSError as error:
        raise DataError(problem_of(address, error)) from error


def _without_pattern(path: Path) -> tuple[Path, str]:
    """Return the folder and the pattern in it; the path itself and an empty pattern where it has no sign of one."""
    names = path.parts
    start = names.index(FOLDER)
    signs = [place for place, name in enumerate(names) if place > start and any(sign in name for sign in PATTERN_SIGNS)]
    return (path, "") if not signs else (Path(*names[: signs[0]]), "/".join(names[signs[0] :]))


def listed(address: str) -> tuple[Source, list[RemoteFile]]:
    """Return the reader of an address, and its files. Raises OSError."""
    if not secrets.whole(address):
        raise UnsignedError
    source = source_of(secrets.whole(address))
    return source, source.files()


def _place(root: Path, file: RemoteFile | str) -> Path:
    name = file if isinstance(file, str) else file.name
    if ".." in name.split("/"):
        raise OSError(f"the source has a file of the name {name!r}")
    return root / name if name else root


def _download(source: Source, file: RemoteFile, target: Path, address: str) -> None:
    """Write a file to `target`, from where an earlier attempt at this version has stopped."""
    target.parent.mkdir(parents=True, exist_ok=True)
    tag = sha256(f"{address} {file.version}".encode()).hexdigest()[:8]
    partial = target.with_name(f".{target.name[:200]}.{tag}{PARTIAL}")
    partial.touch()
    with locked(partial):
        if not partial.exists():  # another process has fetched it meanwhile
            return
        with partial.open("ab") as written:
            with_retries(lambda: _append(source, file, written))
        if file.changed:
            os.utime(partial, (file.changed, file.changed))
        partial.replace(target)


def _append(source: Source, file: RemoteFile, written: BinaryIO) -> None:
    """Append what is missing. Raises OSError where the connection ends too early."""
    position = written.seek(0, os.SEEK_END)
    if position == file.size:
        return
    with closing(source.open(file, position)) as opened:
        try:
            while block := opened.read(BLOCK_BYTES):
                written.write(block)
        except HTTPException as error:  # of chunks, whose end is marked
            raise ConnectionError(f"the connection ended too early: {error}") from error
    written.flush()
    if file.size >= 0 and written.tell() != file.size:
        raise ConnectionError(f"the connection ended after {written.tell():,} of {file.size:,} bytes")


def with_retries(work: Callable[[], Result]) -> Result:
    """Return the result of the first attempt that does not fail in passing."""
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except (MissingError, DeniedError, MissingPackageError, RangesError):
            raise
        except OSError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(2**attempt / 2)
    raise AssertionError("the last attempt returns or raises")


def versions_file(root: Path) -> Path:
    """Return the file with the versions of the files of an address, by its place in the mirror."""
    parts = root.parts
    base = Path(*parts[: parts.index(FOLDER) + 1])
    return base / VERSIONS / f"{sha256(address_of(root).encode()).hexdigest()}.json"


def _read_versions(root: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        known: dict[str, str] = json.loads(versions_file(root).read_text(encoding="utf-8"))
        return known
    return {}


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a file of the mirror, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}{PARTIAL}")
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    unfinished.replace(path)


def problem_of(address: str, error: OSError) -> Problem:
    """Return the problem of an address that could not be read, with the remedy."""
    text = " ".join(str(error).replace(secrets.whole(address) or address, address).split())[:300].rstrip(".")
    scheme = address.partition("://")[0]
    if isinstance(error, MissingError):
        return Problem(address, "nothing is at this address.", "Check its spelling.")
    if isinstance(error, MissingPackageError):
        return Problem(address, f"{text}.", "")
    if isinstance(error, UnsignedError):
        return Problem(address, "its signature or token is not stored.", "Give the signed address again.")
    if isinstance(error, DeniedError):
        fixes = {
            "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; end the address of a public bucket in "
            "`?anonymous=true`.",
            "gs": "Set GOOGLE_APPLICATION_CREDENTIALS, or begin the address of a public bucket with `gs://anonymous@`.",
            "abfss": "Set AZURE_STORAGE_ACCOUNT and the credentials of Azure's default chain.",
        }
        fix = "Sign the address again." if secrets.is_masked(address) else "Check your credentials."
        return Problem(address, f"it may not be read: {text}.", fixes.get(scheme, fix))
    if error.filename is not None:  # of the mirror
        return Problem(
            str(error.filename), f"the file cannot be written: {(error.strerror or text).lower()}.", "Make room, or set MMTRAIN_CACHE."
        )
    return Problem(
        address,
        f"the source does not answer: {text}.",
        "Check the address and the network, then try again: the download continues where it stopped.",
    )
