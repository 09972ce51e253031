"""Fetch a model from a hub into the user's folder of models: only where a user asks for it, and only with the checksum of the weights.

A hub serves the files of a repository under `<hub>/<repository>/resolve/<revision>/<file>`. They are fetched into a folder next to the
final one, which is renamed when everything is there and the checksum is right. The next download completes an
interrupted one; files with a wrong checksum are removed.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path
from typing import Any

from mmtrain.encoders.base import families
from mmtrain.errors import Problem, RunError, UsageError, did_you_mean, listed
from mmtrain.system.locks import locked

HUB_VARIABLE = "MMTRAIN_HUB"
"""Environment variable with the address of a hub."""
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""Files of weights, the preferred one first."""
OTHER_FILES = (
    "config.json",
    "preprocessor_config.json",
    "open_clip_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
"""Files that a family or a tokenizer reads, of which a model has some."""
BLOCK_BYTES, TIMEOUT_SECONDS = 1 << 20, 30.0
"""Number of bytes that are read at once, and time limit for each of these blocks."""
MISSING = (404, 410)
"""Status codes for a file that the hub does not have."""
PARTIAL = ".part"
"""Suffix of a file that is still incomplete."""
Progress = Callable[[int, int], None]
"""Takes the number of bytes of the weights so far, and in all; 0 where the hub does not say."""


def hub_address(given: str | None) -> str:
    """Return the address of the hub without a slash at its end. Raises UsageError without one, or for other than http and https."""
    address = (given or os.environ.get(HUB_VARIABLE, "")).strip().rstrip("/")
    where = "--hub" if given else HUB_VARIABLE
    if not address:
        fix = f"Give the address of a hub, `--hub https://...`, or set {HUB_VARIABLE}."
        raise UsageError(Problem("--hub", "no hub is set, and mmtrain has no default one.", fix))
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(Problem(where, f"{address!r} is not the address of a hub.", "Give one that begins with https://."))
    return address


def repository_of(name: str) -> str:
    """Return the repository of a model, which may be given itself as `owner/model`. Raises UsageError for an unknown name."""
    known = {model: repository for _, entry in families.items() for model, repository in entry.hubs.items()}
    if name in known:
        return known[name]
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and ".." not in name:
        return name
    fix = f"{did_you_mean(name, known)} Give a repository of the hub, `owner/model`.".strip()
    raise UsageError(Problem(name, "no family of encoders has a model of this name.", fix))


def download_model(
    repository: str, folder: Path, *, hub: str, sha256: str, revision: str = "main", progress: Progress | None = None
) -> Path:
    """Fetch a repository of a hub into `folder`, and return the folder.

    Args:
        repository: `owner/model`, see `repository_of`.
        folder: The folder of the model, which does not exist yet; its parent is created.
        hub: See `hub_address`.
        sha256: SHA-256 of the file of weights, 64 hexadecimal digits.
        revision: Branch, tag or commit of the repository.
        progress: Called while the weights are read.

    Raises:
        UsageError: `folder` exists, or `sha256` is not a SHA-256.
        RunError: the hub cannot be reached or has no such file, the disk is full, or the weights have another checksum.

    """
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        fix = "Copy it from the page of the file on the hub: 64 digits and letters from a to f."
        raise UsageError(Problem("--sha256", f"{sha256!r} is not a SHA-256.", fix))
    if folder.exists():
        raise UsageError(Problem(str(folder), "the model already exists.", "Remove the folder to fetch it again."))
    source = f"{hub}/{urllib.parse.quote(repository)}/resolve/{urllib.parse.quote(revision, safe='')}"
    unfinished = folder.with_name(f".{folder.name}{PARTIAL}")
    with _locked(unfinished):
        for name in OTHER_FILES:
            _fetch(f"{source}/{name}", unfinished / name)
        weights = next((name for name in WEIGHT_FILES if _fetch(f"{source}/{name}", unfinished / name, progress)), None)
        if weights is None:
            shutil.rmtree(unfinished, ignore_errors=True)
            what = f"the hub has none of {listed(WEIGHT_FILES, last='and')} there."
            raise RunError(Problem(source, what, "Check the name of the repository and the revision."))
        with (unfinished / weights).open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        if digest != sha256.lower():
            shutil.rmtree(unfinished, ignore_errors=True)
            what = f"{weights} has the SHA-256 {digest}, not {sha256.lower()}; the files that were fetched are removed."
            raise RunError(Problem(source, what, "Check the checksum on the hub, then fetch the model again."))
        unfinished.rename(folder)
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create `folder` with a lock on it for the block. Raises RunError where another process holds it, or the disk refuses a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, wait=False):
            try:
                yield
            finally:
                with suppress(OSError):
                    folder.rmdir()  # nothing was fetched
    except BlockingIOError as error:
        raise RunError(Problem(str(folder), "another process is fetching this model.", "Wait until it has ended.")) from error
    except OSError as error:
        raise RunError(
            Problem(str(folder), f"a file cannot be written: {error.strerror or error}.", "Free disk space, then try again.")
        ) from error


def _fetch(address: str, path: Path, progress: Progress | None = None) -> bool:
    """Fetch a file to `path`, from where an earlier attempt stopped; return False where the hub does not have it."""
    if path.exists():
        return True
    partial = path.with_name(path.name + PARTIAL)
    start = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={start}-"} if start else {})  # noqa: S310 (`hub_address`)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            _write(answer, partial, start, address, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing follows what is there already
            partial.rename(path)
            return True
        if error.code == 429 or error.code >= 500:  # a passing trouble of the hub: what was fetched stays
            raise _interrupted(address, f"the hub answered {error.code} {error.reason}") from error
        partial.unlink(missing_ok=True)
        if error.code in MISSING:
            return False
        fix = "Check the address, and whether the repository is public."
        raise RunError(Problem(address, f"the hub answered {error.code} {error.reason}.", fix)) from error
    except urllib.error.URLError as error:
        raise _interrupted(address, f"the hub cannot be reached: {error.reason}") from error
    except (HTTPException, ConnectionError, TimeoutError) as error:
        raise _interrupted(address, f"the connection ended: {str(error) or type(error).__name__}") from error
    partial.rename(path)
    return True


def _write(answer: Any, partial: Path, start: int, address: str, progress: Progress | None) -> None:
    """Append the content of an answer to `partial`, of which `start` bytes are there. Raises RunError where it ends too early."""
    # 200 in place of 206: the hub sends the file from its beginning.
    start = start if answer.status == 206 else 0
    length = int(answer.headers.get("Content-Length") or 0)
    expected = start + length if length else 0
    partial.parent.mkdir(exist_ok=True)
    with partial.open("ab" if start else "wb") as file:
        while block := answer.read(BLOCK_BYTES):
            file.write(block)
            if progress is not None:
                progress(file.tell(), expected)
        if file.tell() < expected:
            raise _interrupted(address, f"the connection ended after {file.tell():,} of {expected:,} bytes")


def _interrupted(address: str, what: str) -> RunError:
    return RunError(Problem(address, f"{what}.", "Try again: it continues from where it stopped."))
