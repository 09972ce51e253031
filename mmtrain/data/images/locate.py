"""From the cell of an image column to the file it names, or to the reason why it names none."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.columns.cells import split_slice
from mmtrain.columns.pixels.image_cells import not_a_path
from mmtrain.config.image_folder import SETTING, ImageFolder
from mmtrain.data.images.image_file import ImageFile, Refusal, held_image
from mmtrain.data.images.tar_members import members_of
from mmtrain.errors import DataError, Problem, similar_file
from mmtrain.image_decoding.data_uri import is_data_uri
from mmtrain.image_decoding.folder_content import file_state
from mmtrain.system.folder_names import Listings, existing_form, missing_ending
from mmtrain.system.paths import input_fault
from mmtrain.system.remote import (
    address_of,
    cache_of,
    fetch_all,
    fetch_members,
    is_address,
    known_members,
    local_path,
    masked,
    member_path,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEMBER = ".tar#"
"""Between the path of a tar archive and the name of an image in it."""
_HINTS = 50
"""Missing files for which a similar name is looked up; past that the folder is wrong, not the names."""


class ImageFinder:
    """Finds the files of image cells, which lack `suffix`; with `folders`, a cell may name a folder of DICOM files.

    Remembers what it has looked up, so that a million files take seconds.

    Raises:
        DataError: there is no such folder.

    """

    def __init__(self, folder: ImageFolder, suffix: str = "", *, folders: bool = False) -> None:
        path = existing_form(local_path(folder.path))
        if address_of(path):
            path.mkdir(parents=True, exist_ok=True)  # files come when they are used
        if fault := input_fault(path, "folder"):
            fix = f"Set `{folder.setting}` to the folder that image cells are relative to."
            raise DataError(Problem(str(path), f"the images folder {fault.what}.", fix))
        self._folder = path
        self._cache = cache_of(path)
        # With all links followed, so that neither `..` nor a link leads out of the folder unseen.
        self._root = os.path.realpath(path)
        self._suffix = suffix
        self._folders = folders
        self._allow_outside = folder.allow_outside
        self._real_parents: dict[str, str] = {}
        self._listings = Listings()
        self._hints = _HINTS
        self._unfetched: dict[Path, str] = {}

    def find(self, cell: str) -> ImageFile | Refusal:
        """The file that `cell` names, with the suffix unless it is there already; or the image that it holds, see `data_uri`.

        The name may be that of a slice, see `slice_name`.
        """
        name, number = split_slice(cell) if self._folders else (cell, (-1, 0))
        file = self._found(name)
        return file._replace(slice=number) if isinstance(file, ImageFile) and number[0] >= 0 else file

    def _found(self, cell: str) -> ImageFile | Refusal:
        if is_data_uri(cell):
            return held_image(cell)
        file = self._find(cell if cell.endswith(self._suffix) else cell + self._suffix)
        if isinstance(file, Refusal) and not is_address(cell) and (other := not_a_path(cell)):
            return Refusal(*other)
        return file

    def fetch(self, cells: Iterable[str]) -> None:
        """Fetch the remote files that cells name, several at a time; those that cannot be had are refused when they are looked up."""
        paths: list[Path] = []
        archives: dict[Path, list[str]] = {}
        # Each file once, whatever slices of it are read.
        for cell in dict.fromkeys(split_slice(cell)[0] if self._folders else cell for cell in cells):
            if is_data_uri(cell):
                continue
            name, sign, member = (cell if cell.endswith(self._suffix) else cell + self._suffix).partition(MEMBER)
            if sign and (archive := self._remote(name + MEMBER[:-1])):
                archives.setdefault(archive, []).append(member)
            elif not sign and (path := self._remote(name)):
                paths.append(path)
        self._unfetched |= fetch_all(paths) | fetch_members(archives)

    def _remote(self, cell: str) -> Path | None:
        """Return the place in the mirror of the file that a cell names; None for a local file, and for one that may not be fetched."""
        if is_address(cell):
            # Compared as addresses: the mirror itself may lie within a folder of local images.
            base = f"{address_of(self._folder)}/"
            inside = base != "/" and cell.startswith(base)
            if not inside or "?" in cell:
                try:
                    return local_path(cell, self._cache if inside else None, inherited=False) if inside or self._allow_outside else None
                except ValueError:
                    return None
            cell = cell.removeprefix(base)
        if not address_of(self._folder) or ".." in cell.split("/") or os.path.isabs(cell):
            return None
        return self._folder / cell

    def _find(self, cell: str) -> ImageFile | Refusal:
        if MEMBER in cell:
            shard, _, name = cell.partition(MEMBER)
            remote = self._remote(shard + MEMBER[:-1])
            if remote is not None and (member := self._remote_member(remote, name)) is not None:
                return member
            archive = self._find(shard + MEMBER[:-1])
            return archive if isinstance(archive, Refusal) else _member(archive, name)
        remote = self._remote(cell)
        if is_address(cell) and remote is None:
            return Refusal(*(not_a_path(cell) or ("the cell is an address.", "")), outside=True)
        if remote is not None:
            self._unfetched |= fetch_all([remote] if remote not in self._unfetched else [])
            if reason := self._unfetched.get(remote):
                return Refusal(
                    f"the file {masked(cell)} cannot be fetched: {reason.rstrip('.')}.",
                    "Check the address and your credentials.",
                )
            status = os.stat(remote)
            return ImageFile(os.path.realpath(remote), status.st_size, status.st_mtime_ns)
        return self._find_local(cell)

    def _remote_member(self, archive: Path, name: str) -> ImageFile | Refusal | None:
        """Return an image of a remote archive of which members are fetched, not the whole; None for an archive that was fetched."""
        path = member_path(archive, name)
        if not archive.exists() and archive not in self._unfetched and path is not None and not path.is_file():
            self._unfetched |= fetch_members({archive: [name]})
        if archive.exists() or archive in self._unfetched:
            return None
        if path is not None and path.is_file():
            status = os.stat(path)
            return ImageFile(os.path.realpath(path), status.st_size, status.st_mtime_ns)
        members = known_members(archive)
        return None if members is None else _absent(archive.name, name, members)

    def _find_local(self, cell: str) -> ImageFile | Refusal:
        if os.path.isabs(cell) and not self._allow_outside:
            fix = f"Write it relative to the images folder {self._folder}, or set `data.allow_outside: true`."
            return Refusal(f"the path {cell} is absolute.", fix, outside=True)
        try:
            path = self._existing(cell)
            if not self._allow_outside and not self._inside(path):
                fix = "Move the file there, or set `data.allow_outside: true`."
                return Refusal(f"the path {cell} leaves the images folder {self._folder}.", fix, outside=True)
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null character in the cell
            return Refusal(f"the file {cell} does not exist.", self._hint(cell), absent=True)
        except OSError as error:
            return Refusal(
                f"the file {cell} cannot be opened: {(error.strerror or 'unknown error').lower()}.", "Check its name and permissions."
            )
        is_folder = stat.S_ISDIR(status.st_mode)
        if not stat.S_ISREG(status.st_mode) and not (is_folder and self._folders):
            kind = "is a folder" if is_folder else "is not a regular file"
            return Refusal(f"the path {cell} {kind}.", "Write the path of one image file.")
        return ImageFile(path, *(file_state(path) if is_folder else (status.st_size, status.st_mtime_ns)))

    def _existing(self, cell: str) -> str:
        """The real path that a cell names or, where nothing is there, one that differs from it in its Unicode form."""
        path = self._real_path(os.path.join(self._root, cell))
        # Other spellings of one name are Unicode forms: macOS writes `é` as `e` and an accent.
        if cell.isascii() or os.path.lexists(path):
            return path
        other = self._listings.other_form(self._root, cell)
        return path if other is None else self._real_path(other)

    def missing_ending(self, cells: Sequence[str]) -> str:
        """The ending that nearly all of these cells lack to name images; empty where no single one is it."""
        return missing_ending(self._listings, self._root, cells)

    def _inside(self, path: str) -> bool:
        # With a slash at its end: `/data/images2` is not inside `/data/images`.
        return path == self._root or path.startswith(os.path.join(self._root, ""))

    def _real_path(self, path: str) -> str:
        """`path` with all links followed. Links among the folders are followed once per folder: that takes most of the time."""
        parent, name = os.path.split(path)
        # Such names have to be followed together with their parent.
        if name in ("", ".", ".."):
            return os.path.realpath(path)
        if parent not in self._real_parents:
            self._real_parents[parent] = os.path.realpath(parent)
        path = os.path.join(self._real_parents[parent], name)
        return os.path.realpath(path) if os.path.islink(path) else path

    def _hint(self, cell: str) -> str:
        """Return what may have been meant by the path of a file that does not exist."""
        usual = f"Paths are relative to the images folder {self._folder}."
        self._hints -= 1
        if self._hints < 0 or "\0" in cell:
            return usual
        if "\\" in cell and os.path.exists(os.path.join(self._root, cell.replace("\\", "/"))):
            return f"Write it with forward slashes: {cell.replace(chr(92), '/')}."
        parent, name = os.path.split(cell)
        # A cell that repeats the name of the images folder, as `images/1.png` within `images`.
        if os.path.exists(os.path.join(os.path.dirname(self._root), cell)) and parent:
            return f"{usual} Leave out '{cell.split('/', maxsplit=1)[0]}/'."
        if endings := self._listings.endings(self._root, cell):
            return f"Did you mean '{name}{endings[0]}'?"
        close = similar_file(name, self._listings.names(os.path.join(self._root, parent)))
        return close or usual


def _member(archive: ImageFile, name: str) -> ImageFile | Refusal:
    """Return an image in an archive, or the reason why there is none."""
    shown = Path(archive.path).name
    try:
        members = members_of(archive.path, archive.size, archive.changed)
    except OSError as error:
        return Refusal(f"the archive {shown} cannot be read: {error}.", "Write it again, as a tar archive without compression.")
    if (place := members.get(name)) is None:
        return _absent(shown, name, members)
    return ImageFile(f"{archive.path}#{name}", place.size, archive.changed, offset=place.offset)


def _absent(archive: str, name: str, members: Collection[str]) -> Refusal:
    fix = similar_file(name, members) or f"It has {len(members):,} files."
    return Refusal(f"the archive {archive} has no file {name}.", fix, absent=True)


def right_folder(setting: str) -> str:
    """Return the question for the user where a column has not one image."""
    return f"is `{setting}` the right folder, and this the column of the images?"


@dataclass(frozen=True, eq=False)
class Located:
    """The files of an image column.

    `codes` (rows,) are positions in `names`, the different cells without blanks around them, -1 for an empty cell. `results` has what
    each name is, and `places` (len(names) + 1,) its position in `files`, -1 for a refusal and, last, for the empty cell.
    """

    codes: NDArray[np.int64]
    names: list[str]
    results: list[ImageFile | Refusal]
    files: list[ImageFile]
    """Different ones, sorted, so that a table in another order gives the same; two spellings of a path are one file."""
    places: NDArray[np.int64]

    @property
    def of_rows(self) -> NDArray[np.int64]:
        """(rows,) positions in `files`, -1 where a row has none."""
        return self.places[self.codes]


def locate(cells: pd.Series[str], folder: ImageFolder, suffix: str = "", *, folders: bool = False) -> Located:
    """Look every different cell up. Raises DataError when the images folder does not exist."""
    codes, names = pd.factorize(cells.str.strip())
    finder = ImageFinder(folder, suffix, folders=folders)
    finder.fetch(map(str, names))
    located = _with_ending([str(name) for name in names], [finder.find(str(name)) for name in names], finder, folder.setting)
    files = sorted({file for file in located if isinstance(file, ImageFile)})
    positions = {file: position for position, file in enumerate(files)}
    places = [positions[file] if isinstance(file, ImageFile) else -1 for file in located]
    return Located(codes, [str(name) for name in names], located, files, np.array([*places, -1], dtype=np.int64))


def _with_ending(names: list[str], located: list[ImageFile | Refusal], finder: ImageFinder, setting: str) -> list[ImageFile | Refusal]:
    """Return the results; if most files are missing because of one missing ending, each refusal names that ending."""
    absent = [name for name, one in zip(names, located, strict=True) if isinstance(one, Refusal) and one.absent]
    # A few missing files are missing; most of them lack an ending.
    ending = finder.missing_ending(absent) if len(absent) * 2 > len(names) else ""
    if not ending:
        return located
    fix = f"Set `suffix: {ending}`: with it, cells of this column name files."
    if setting != SETTING:  # of a trained run
        fix = f"Write the ending into the cells: {absent[0]}{ending}."
    return [replace(one, fix=fix, suffix=True) if isinstance(one, Refusal) and one.absent else one for one in located]
