"""`mmtrain unpack`: a packed run becomes a run folder again; everything in the archive is checked, as it may come from a stranger."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmtrain.artifacts import archive
from mmtrain.artifacts.atomic_files import disk_errors, replacing_folder
from mmtrain.artifacts.manifest import LARGEST, MANIFEST, NEEDED, REQUIRED_FILES, Manifest, read
from mmtrain.config import yaml_source
from mmtrain.errors import Problem, RunError, UsageError, listed

AWAY = "config.yaml looks for tables or images, or keeps a cache, outside of the run's folder."
CALLS = "config.yaml names callbacks, which would be run where the training is gone on with."
STRANGER = "Do not use an archive of unknown origin."


@dataclass(frozen=True)
class UnpackResult:
    """A run folder, made of an archive."""

    folder: Path
    manifest: Manifest
    table: Path
    """Where the run looks for its table."""


def unpack(path: Path, folder: Path | None = None) -> UnpackResult:
    """Unpack a packed run into a new folder, by default named like the archive, in the working directory.

    Raises UsageError where the folder exists already, and RunError for an archive that is not wholly as its manifest says, or is
    made to do harm; nothing is written then.
    """
    target = folder or Path(path.stem)
    entries = archive.directory(path)
    if os.path.lexists(target):
        raise UsageError(
            Problem(str(target), "the folder exists already; nothing is overwritten.", "Name another: mmtrain unpack ZIP FOLDER")
        )
    with archive.open_archive(path) as opened:
        manifest = _manifest(path, opened, entries)
        with disk_errors(target), replacing_folder(target) as temporary:
            for name, entry in entries.items():
                _write(opened, entry, temporary / name, manifest.files[name].sha256 if name in manifest.files else None)
            table = _table(temporary / "config.yaml", path)
    return UnpackResult(target, manifest, target / table)


def _manifest(path: Path, opened: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> Manifest:
    """The manifest, once the archive holds the files it lists, no other, and none that no run has."""
    if MANIFEST not in entries or entries[MANIFEST].file_size > LARGEST:
        fix = "`mmtrain pack RUN ZIP` makes archives that can be unpacked here."
        raise RunError(Problem(str(path), f"this is no packed run: there is no {MANIFEST}.", fix))
    manifest = read(opened.read(MANIFEST), str(path))
    if problems := list(_disagreements(manifest, entries)):
        raise RunError([Problem(str(path), what, archive.DAMAGED_ARCHIVE) for what in problems])
    return manifest


def _disagreements(manifest: Manifest, entries: dict[str, zipfile.ZipInfo]) -> Iterator[str]:
    sizes = {name: entry.file_size for name, entry in entries.items() if name != MANIFEST}
    known = {name: file.size for name, file in manifest.files.items()}
    if missing := sorted((set(known) | NEEDED) - set(sizes)):
        yield f"the archive does not hold {listed(missing)}."
    if unlisted := sorted(set(sizes) - set(known)):
        yield f"the manifest does not list {listed(unlisted)}."
    if strange := sorted(name for name in known if not REQUIRED_FILES.fullmatch(name)):
        yield f"no run has {listed(strange)}."
    if other := sorted(name for name in sizes if name in known and sizes[name] != known[name]):
        yield f"the manifest tells other sizes of {listed(other)}."


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, known: str | None) -> None:
    """One file. Raises RunError when its bytes are not those that were packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as packed, path.open("xb") as file:
        found = archive.extract_entry(packed, file, entry.file_size)
    if known is not None and found != known:
        raise RunError(
            Problem(f"{opened.filename}: {entry.filename!r}", "the checksum is not that of the manifest.", archive.DAMAGED_ARCHIVE)
        )


def _table(path: Path, where: Path) -> PurePosixPath:
    """Where the experiment looks for its table, below the run folder. Raises RunError when it would read, write or run anything else."""
    tree = yaml_source.read(path).tree
    data, training = (section if isinstance(section := tree.get(name), dict) else {} for name in ("data", "training"))
    table, cache = data.get("table"), data.get("cache") or {}
    inside = isinstance(table, str) and archive.is_below_a_folder(table)
    if not inside or data.get("images") is not None or not isinstance(cache, dict) or cache.get("folder") is not None:
        raise RunError(Problem(str(where), AWAY, STRANGER))
    if training.get("callbacks"):
        raise RunError(Problem(str(where), CALLS, STRANGER))
    return PurePosixPath(str(table))
