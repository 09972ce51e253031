"""Readers of remote addresses: object stores and HDFS by Arrow, HTTP by the standard library, everything else by fsspec.

A source lists the files of an address and opens one of them from a position on, so that a download that was cut off goes on from there.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from http.client import HTTPException
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

CONNECT_SECONDS, READ_SECONDS, GCS_SECONDS = 10, 60, 20
"""Longest waits for a connection, for the next bytes, and for all retries of Google's client, whose own limit is 15 minutes."""
ARROW_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
HTTP_SCHEMES = ("http", "https")
NO_HEAD = (400, 403, 405, 501)
"""Answers to HEAD of servers that may answer GET."""


class RemoteFile(NamedTuple):
    """A file below an address: its path relative to that, empty for the address itself, and what tells its versions apart."""

    name: str
    size: int
    version: str
    changed: float
    """Seconds since 1970; 0 where the source does not say."""


class MissingError(OSError):
    """There is nothing at an address."""


class DeniedError(OSError):
    """The address may not be read with these credentials, or without any."""


class RangesError(OSError):
    """The server sends a file whole only, or another version of it."""


class MissingPackageError(OSError):
    """A package for the address is not installed; the message has the command that installs it."""


class Source(Protocol):
    """Reader of one address."""

    def files(self) -> list[RemoteFile]:
        """Return the file at the address, or all files below it. Raises OSError."""

    def open(self, file: RemoteFile, start: int) -> Any:
        """Open a file for reading from byte `start` on; close it after use. Raises OSError."""

    def read(self, file: RemoteFile, start: int, size: int) -> bytes:
        """Return `size` bytes from byte `start` on, and read no more. Raises RangesError where that cannot be, OSError."""


def source_of(address: str) -> Source:
    """Return the reader of an address without signs of patterns. Raises OSError where it cannot be made."""
    scheme = address.partition("://")[0].lower()
    if scheme in HTTP_SCHEMES:
        return HttpSource(address)
    return ArrowSource(*_arrow(address)) if scheme in ARROW_SCHEMES else FsspecSource(address)


def _arrow(address: str) -> tuple[Any, str]:
    """Return the file system of Arrow, and the path in it."""
    from pyarrow import fs

    scheme, (rest, _, query) = address.partition("://")[0].lower(), address.partition("://")[2].partition("?")
    if scheme == "s3":
        return _s3(rest.partition("/")[0], query), rest
    if scheme in ("gs", "gcs"):
        address = f"{address}{'&' if query else '?'}retry_limit_seconds={GCS_SECONDS}"
    with _clear_errors():
        system, path = fs.FileSystem.from_uri(address)
    return system, path


@lru_cache(maxsize=64)
def _s3(bucket: str, query: str) -> Any:
    """Return the file system of a bucket; made once, since each has its own connections and asks for its region."""
    from pyarrow import fs

    options = dict(urllib.parse.parse_qsl(query))
    endpoint = options.get("endpoint_override") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    secure = options.get("scheme") or ("http" if endpoint.startswith("http://") else "https")
    region = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or (endpoint and "us-east-1")
    with _clear_errors():
        return fs.S3FileSystem(
            anonymous=options.get("anonymous", "").lower() in ("1", "true", "yes"),
            endpoint_override=endpoint.partition("://")[2] if "://" in endpoint else endpoint or None,
            scheme=secure,
            region=region or fs.resolve_s3_region(bucket),
            connect_timeout=CONNECT_SECONDS,
            request_timeout=READ_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=3),
        )


class _clear_errors:  # noqa: N801 (used as a function)
    """Raise errors of Arrow and fsspec as MissingError or DeniedError where their texts say so, and anything of a server as OSError."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise MissingError(str(error)) from error
        if isinstance(error, PermissionError):
            raise DeniedError(str(error)) from error
        if isinstance(error, Exception) and not isinstance(error, MissingError | DeniedError | MissingPackageError):
            text = str(error)
            denied = (
                "ACCESS_DENIED",
                "403",
                "401",
                "INVALID_ACCESS_KEY",
                "SIGNATURE",
                "credential",
                "Credential",
                "UNAUTHORIZED",
                "Unauthor",
            )
            if any(word in text for word in denied):
                raise DeniedError(text) from error
            if any(word in text for word in ("NO_SUCH", "RESOURCE_NOT_FOUND", "404")):
                raise MissingError(text) from error
            if isinstance(error, OSError | ValueError):
                raise OSError(text) from error


@dataclass(frozen=True)
class ArrowSource:
    """An address in a file system of Arrow."""

    system: Any
    path: str

    def files(self) -> list[RemoteFile]:
        """Return the file, or all files below the path."""
        from pyarrow import fs

        with _clear_errors():
            info = self.system.get_file_info(self.path.rstrip("/"))
            if info.type == fs.FileType.File:
                return [_arrow_file("", info)]
            if info.type == fs.FileType.NotFound:
                raise MissingError("nothing is there")
            found = self.system.get_file_info(fs.FileSelector(self.path.rstrip("/"), recursive=True))
        base = PurePosixPath(info.path)
        return [_arrow_file(str(PurePosixPath(one.path).relative_to(base)), one) for one in found if one.type == fs.FileType.File]

    def open(self, file: RemoteFile, start: int) -> Any:
        """Open a file from byte `start` on."""
        with _clear_errors():
            opened = self.system.open_input_file(f"{self.path.rstrip('/')}/{file.name}" if file.name else self.path)
            opened.seek(start)
        return opened

    def read(self, file: RemoteFile, start: int, size: int) -> bytes:
        """Return bytes of a file."""
        with _clear_errors(), self.open(file, start) as opened:
            return _whole(opened, size)


def _arrow_file(name: str, info: Any) -> RemoteFile:
    changed = info.mtime.timestamp() if info.mtime is not None else 0.0
    return RemoteFile(name, info.size, f"{info.size} {info.mtime_ns}", changed)


@dataclass(frozen=True)
class HttpSource:
    """A file by HTTP."""

    address: str

    def files(self) -> list[RemoteFile]:
        """Return the file: servers do not list others."""
        try:
            answer = self._answer({}, "HEAD")
        except OSError as error:
            if getattr(error.__cause__, "code", 0) not in NO_HEAD:
                raise
            # A signed address is one for GET alone, and some servers know nothing else.
            answer = self._answer({"Range": "bytes=0-0"})
        with answer:
            headers: Mapping[str, str] = answer.headers
            length = headers.get("Content-Range", "").rpartition("/")[2] if answer.status == 206 else headers.get("Content-Length", "")
            size = int(length) if length.isdecimal() else -1
        changed = headers.get("Last-Modified") or ""
        moment = parsedate_tz(changed)
        return [RemoteFile("", size, headers.get("ETag") or f"{size} {changed}", float(mktime_tz(moment)) if moment else 0.0)]

    def open(self, file: RemoteFile, start: int) -> Any:
        """Open the file; a server that sends it from its beginning in spite of `start` is read up to there."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and file.version.startswith('"'):
            headers["If-Range"] = file.version
        answer = self._answer(headers)
        if start and answer.status != 206:
            left = start
            while left and (block := answer.read(min(left, 1 << 20))):
                left -= len(block)
        return answer

    def read(self, file: RemoteFile, start: int, size: int) -> bytes:
        """Return bytes of the file."""
        version = {"If-Range": file.version} if file.version.startswith('"') else {}
        with self._answer({"Range": f"bytes={start}-{start + size - 1}", **version}) as answer:
            if answer.status != 206:
                raise RangesError("the server sends the file whole")
            try:
                return _whole(answer, size)
            except HTTPException as error:
                raise ConnectionError(f"the connection ended too early: {error}") from error

    def _answer(self, headers: Mapping[str, str], method: str = "GET") -> Any:
        # Blanks and letters beyond ASCII, as people write them; what is quoted already stays.
        address = urllib.parse.quote(self.address, safe="%/:?#[]@!$&'()*+,;=~")
        request = urllib.request.Request(address, headers=dict(headers), method=method)  # noqa: S310 (http and https)
        try:
            return urllib.request.urlopen(request, timeout=READ_SECONDS)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            text = f"the server answered {error.code} {error.reason}"
            kinds: dict[int, Callable[[str], OSError]] = {401: DeniedError, 403: DeniedError, 404: MissingError, 410: MissingError}
            raise kinds.get(error.code, OSError)(text) from error
        except urllib.error.URLError as error:
            raise OSError(str(error.reason)) from error
        except HTTPException as error:
            raise OSError(str(error) or type(error).__name__) from error


@dataclass(frozen=True)
class FsspecSource:
    """An address of another scheme, by the handler that fsspec has for it."""

    address: str

    def _system(self) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs
        except ModuleNotFoundError as error:
            raise MissingPackageError("it needs fsspec, which is not installed; run `pip install 'mmtrain[remote]'`") from error
        try:
            with _clear_errors():
                system, path = url_to_fs(self.address)
        except ImportError as error:  # fsspec names the package of the scheme
            raise MissingPackageError(str(error)) from error
        return system, str(path)

    def files(self) -> list[RemoteFile]:
        """Return the file, or all files below the address."""
        system, path = self._system()
        with _clear_errors():
            info = system.info(path)
            found = {"": info} if info["type"] == "file" else system.find(path, detail=True)
        base = PurePosixPath(path)
        return [_fsspec_file(name and str(PurePosixPath(name).relative_to(base)), one) for name, one in found.items()]

    def open(self, file: RemoteFile, start: int) -> Any:
        """Open a file from byte `start` on."""
        system, path = self._system()
        with _clear_errors():
            opened = system.open(f"{path.rstrip('/')}/{file.name}" if file.name else path, "rb")
            opened.seek(start)
        return opened

    def read(self, file: RemoteFile, start: int, size: int) -> bytes:
        """Return bytes of a file."""
        system, path = self._system()
        with _clear_errors():
            content: bytes = system.cat_file(f"{path.rstrip('/')}/{file.name}" if file.name else path, start=start, end=start + size)
        return content


def _whole(opened: Any, size: int) -> bytes:
    """Read `size` bytes. Raises ConnectionError where there are fewer."""
    parts, left = [], size
    while left and (part := opened.read(left)):
        parts.append(part)
        left -= len(part)
    if left:
        raise ConnectionError(f"the connection ended after {size - left:,} of {size:,} bytes")
    return b"".join(parts)


def _fsspec_file(name: str, info: Mapping[str, Any]) -> RemoteFile:
    marks = [info.get(key) for key in ("ETag", "etag", "checksum", "mtime", "LastModified", "created")]
    return RemoteFile(name, int(info.get("size") or -1), f"{info.get('size')} {next((mark for mark in marks if mark), '')}", 0.0)
