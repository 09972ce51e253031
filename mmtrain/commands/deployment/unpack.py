"""`mmtrain unpack`: a packed run as a run folder again.

An archive may come from a stranger, so names, sizes, checksums and experiments in it are checked, and nothing of it is executed.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmtrain.artifacts import archive
from mmtrain.artifacts.atomic_files import disk_errors, replacing_folder
from mmtrain.artifacts.manifest import MANIFEST, MAX_MANIFEST_BYTES, REQUIRED_FILES, Manifest, needed_files
from mmtrain.artifacts.manifest import read as read_manifest
from mmtrain.config import yaml_source
from mmtrain.errors import Problem, RunError, UsageError, listed
from mmtrain.system.remote import is_address

AWAY = "config.yaml looks for tables or images, or keeps a cache, outside of the run's folder."
CALLS = "config.yaml names callbacks or trackers, which would run with later commands."
STRANGER = "Do not use an archive of unknown origin."


@dataclass(frozen=True)
class UnpackResult:
    """A run folder, unpacked from an archive."""

    folder: Path
    manifest: Manifest
    table: Path
    """The place where the run expects its table."""


def unpack(path: Path, folder: Path | None = None) -> UnpackResult:
    """Unpack a packed run into a new folder, by default named like the archive, in the working directory.

    Raises UsageError if the folder exists already, and RunError for an archive that differs from its manifest or is made to do harm; then
    nothing is written.
    """
    target = folder or Path(path.stem)
    entries = archive.directory(path)
    if os.path.lexists(target):
        raise UsageError(
            Problem(str(target), "the folder exists already; nothing is overwritten.", "Name another: mmtrain unpack ZIP FOLDER")
        )
    with archive.open_archive(path) as opened:
        # The folder gets its name only after the last check in this block: no half of a refused archive is left.
        manifest = _read_manifest(path, opened, entries)
        with disk_errors(target), replacing_folder(target) as temporary:
            for name, entry in entries.items():
                _write(opened, entry, temporary / name, manifest.files[name].sha256 if name in manifest.files else None)
            tables = {name: _table(temporary, name, path) for name in entries if PurePosixPath(name).name == "config.yaml"}
    return UnpackResult(target, manifest, target / tables["config.yaml"])


def _read_manifest(path: Path, opened: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> Manifest:
    """Return the manifest. Raises RunError unless the archive holds exactly the files it lists, all of them files of a run."""
    if MANIFEST not in entries or entries[MANIFEST].file_size > MAX_MANIFEST_BYTES:
        fix = "`mmtrain pack RUN ZIP` makes archives that can be unpacked here."
        raise RunError(Problem(str(path), f"this is not a packed run: it has no {MANIFEST}.", fix))
    manifest = read_manifest(opened.read(MANIFEST), str(path))
    if problems := list(_disagreements(manifest, entries)):
        raise RunError([Problem(str(path), what, archive.DAMAGED_ARCHIVE) for what in problems])
    return manifest


def _disagreements(manifest: Manifest, entries: dict[str, zipfile.ZipInfo]) -> Iterator[str]:
    sizes = {name: entry.file_size for name, entry in entries.items() if name != MANIFEST}
    known = {name: file.size for name, file in manifest.files.items()}
    if missing := sorted((set(known) | needed_files(known)) - set(sizes)):
        yield f"the archive does not hold {listed(missing)}."
    if unlisted := sorted(set(sizes) - set(known)):
        yield f"the manifest does not list {listed(unlisted)}."
    if strange := sorted(name for name in known if not REQUIRED_FILES.fullmatch(name)):
        yield f"no run has {listed(strange)}."
    if other := sorted(name for name in sizes if name in known and sizes[name] != known[name]):
        yield f"the manifest has other sizes for {listed(other)}."


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, known: str | None) -> None:
    """Unpack one file. Raises RunError if its bytes are not those that were packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as packed, path.open("xb") as file:
        checksum = archive.extract_entry(packed, file, entry.file_size)
    if known is not None and checksum != known:
        raise RunError(
            Problem(f"{opened.filename}: {entry.filename!r}", "the checksum is not that of the manifest.", archive.DAMAGED_ARCHIVE)
        )


def _table(folder: Path, name: str, where: Path) -> PurePosixPath:
    """Return the place of the table of the experiment in the file `name`, relative to the unpacked folder.

    Raises RunError if the experiment would read, write or run anything outside of that folder.
    """
    tree = yaml_source.read(folder / name).tree
    data, training = (section if isinstance(section := tree.get(name), dict) else {} for name in ("data", "training"))
    table, cache = data.get("table"), data.get("cache") or {}
    # The trainings of a group look for the table of the group, in the folder above them.
    place = os.path.normpath(PurePosixPath(name).parent / table) if isinstance(table, str) and not os.path.isabs(table) else ""
    second = data.get("tables") or {}
    tables = [table, *(one.get("table") for one in second.values() if isinstance(one, dict))] if isinstance(second, dict) else [None]
    if (
        not archive.is_below_a_folder(place)
        or not all(_inside(one, name) for one in tables)
        or data.get("images") is not None
        or not isinstance(cache, dict)
        or cache.get("folder") is not None
    ):
        raise RunError(Problem(str(where), AWAY, STRANGER))
    # Trackers would send results elsewhere when the run is evaluated.
    if training.get("callbacks") or training.get("trackers"):
        raise RunError(Problem(str(where), CALLS, STRANGER))
    return PurePosixPath(place)


def _inside(table: object, name: str) -> bool:
    """Return whether a table of the config.yaml called `name` lies in the folder that is unpacked; no address is opened."""
    return (
        isinstance(table, str) and not is_address(table) and archive.is_below_a_folder(table.removeprefix("../../" if "/" in name else ""))
    )
