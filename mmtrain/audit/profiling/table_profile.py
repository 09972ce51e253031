"""A table nobody has described yet: what each column is probably for, which one is the answer and where the images lie.

`guess` looks at one column alone. Here the guesses are brought into line with each other, so that an experiment file that
follows them can be used: one id, one group, one split, no column that gives the answer away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from mmtrain.audit.coded_table import CodedTable
from mmtrain.audit.profiling import infer_target
from mmtrain.audit.profiling.column_relations import resolve_duplicates
from mmtrain.audit.profiling.find_suffix import named_images, without_ending
from mmtrain.audit.profiling.infer_role import InferredRole, infer_role, quote_value
from mmtrain.audit.profiling.profile import Profile, profile_columns
from mmtrain.columns import Image
from mmtrain.columns.base import Purpose
from mmtrain.columns.numeric import number_errors
from mmtrain.config.image_folder import ImageFolder
from mmtrain.config.table_format import TableFormat
from mmtrain.data.images.header_profile import SAMPLE, ImageProfile, folder_of, folders, profile_images
from mmtrain.data.images.locate import ImageFile, ImageFinder
from mmtrain.data.tables.formats import SUFFIXES, open_table
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.data.tables.table_file import TableFile
from mmtrain.data.tables.table_problems import header_problem
from mmtrain.errors import ConfigError, DataError, Problem, did_you_mean, listed
from mmtrain.system.paths import input_fault

MOST_PATHS = 10_000
"""Different images of a column that are looked for."""

MOST_PIXELS: int = Image.model_fields["max_pixels"].default

SINGLE: tuple[tuple[Purpose, str, bool], ...] = (
    ("naming", "the id is", True),
    ("grouping", "rows are grouped by", False),
    ("assigning", "the split is given by", False),
)
"""Purposes that one column can have, the words for the column that has it, and whether it is the first one whose name says id: a group
is a patient rather than a session, and any name of people rather than an id."""


@dataclass(frozen=True)
class ProfiledColumn:
    """One header, what is in the column and what it is probably for."""

    header: str
    guess: InferredRole
    profile: Profile | None = None
    """None where the column cannot be read: no header, the same one twice, or cells that are no text."""
    images: ImageProfile | None = None


@dataclass(frozen=True)
class TableProfile:
    """A table and the guesses."""

    path: Path
    rows: int
    columns: tuple[ProfiledColumn, ...]
    target: str
    """Header of the answer; empty when no column can be one."""
    images: Path | None
    """The folder of the images; None without images that exist."""
    classes: dict[str, int]
    """Rows of each class of a binary or multiclass target."""
    scarce: bool
    """True where some class is in fewer than three rows, or in fewer than three groups."""
    format: Mapping[str, Any] = field(default_factory=dict)
    """`data.format` that reads the table as it was read, where its file is not written in the usual way."""
    notice: str = ""
    """A sentence on how the table was read; empty for the usual way."""
    missing_words: tuple[str, ...] = ()
    """Cells that mean missing in every column, in the order of the columns that need it."""

    @property
    def used(self) -> tuple[ProfiledColumn, ...]:
        """The columns that the guesses use."""
        return tuple(column for column in self.columns if column.guess.used)


def profile_table(
    path: Path,
    *,
    target: str | None = None,
    images: Path | None = None,
    table_format: TableFormat | None = None,
    table: CodedTable | None = None,
) -> TableProfile:
    """Look at the table at `path`; `target` and `images` (a folder) are guessed where they are not given. `table` is it where it is open.

    Raises:
        ConfigError: `target` is no header, or its column cannot be an answer; `images` is no folder.
        DataError: the table cannot be read.

    """
    if images is not None and (fault := input_fault(images, "folder")):
        fix = "Give the folder that the cells of image columns start from."
        raise ConfigError(Problem("--images", f"there is no folder {images}." if fault.absent else f"{images} {fault.what}.", fix))
    table = table or open_coded(path, table_format)
    file = table.file
    unusable = {header: reason for header in dict.fromkeys(file.headers) if (reason := _unusable(file, header))}
    table, found, guesses = _profiled(table, table_format, [header for header in file.headers if header not in unusable])
    file = table.file
    rows = next((profile.rows for profile in found.values()), 0)
    if not rows:
        raise DataError(Problem(path.name, "the table has no rows.", "Write a line below the headers for every row."))
    if images is not None:
        _name_files(guesses, found, images)
    if target is not None:
        guesses[target] = _given_target(file, target, found, unusable)
    elif chosen := infer_target.choose_target(found, guesses):
        target, why = chosen
        guesses[target] = _target(found[target], why)
    _place_other_than_numbers(file, guesses, found)
    for purpose, words, named_id in SINGLE:
        _only_one(guesses, purpose, words, named_id=named_id)
    folder, image_profiles = _image_profiles(table, guesses, found, images)
    classes, scarce = resolve_duplicates(table, guesses, found, target) if target is not None else ({}, False)
    columns = [
        ProfiledColumn(
            header, guesses.get(header) or InferredRole("", unusable[header], used=False), found.get(header), image_profiles.get(header)
        )
        for header in dict.fromkeys(file.headers)
    ]
    known = TableProfile(path, rows, tuple(columns), target or "", folder, classes, scarce)
    return replace(known, format=_format(file, table_format), notice=file.notice, missing_words=file.missing_values)


def open_coded(path: Path, table_format: TableFormat | None = None) -> CodedTable:
    """The table at `path`. Raises DataError when it cannot be read."""
    return CodedTable(open_table(path, (), table_format, otherwise=f"Give the path of a file that ends in one of {', '.join(SUFFIXES)}."))


def _format(file: TableFile, given: TableFormat | None) -> dict[str, Any]:
    """The options that were found out, and those that were given although they would have been found out."""
    return {**file.format_options, **(given.given if given is not None else {})}


def _profiled(
    table: CodedTable, table_format: TableFormat | None, headers: list[str]
) -> tuple[CodedTable, dict[str, Profile], dict[str, InferredRole]]:
    """The table, its columns and their guesses: a word that some column has for a missing value is missing in all, as in the experiment.

    The guess of that column itself is of the time when the word was still in it, so that it says so.
    """
    first: dict[str, InferredRole] = {}
    while True:
        found = profile_columns(table, headers)
        guesses = {header: first.get(header) or infer_role(profile) for header, profile in found.items()}
        first |= {header: one for header, one in guesses.items() if one.used and one.missing_words}
        words = dict.fromkeys(word.strip() for header in headers if header in first for word in first[header].missing_words)
        if set(words) <= set(table.file.missing_values):
            return table, found, guesses
        table = table.reopened(open_table(table.file.path, tuple(words), table_format))


def _unusable(file: TableFile, header: str) -> str:
    """Why a column cannot be used at all, or nothing."""
    if not header:
        return "it has no header"
    problem = header_problem(file, header)
    return problem.what.rstrip(".") if problem else ""


def _target(profile: Profile, why: str) -> InferredRole:
    """The guess of a target that was chosen because of `why`."""
    found = infer_target.infer_task(profile)
    if found is None:
        raise ValueError(f"{profile.header!r} cannot be a target.")
    return replace(found, reason=f"{why}; {found.reason}; please confirm")


def _given_target(file: TableFile, target: str, found: dict[str, Profile], unusable: dict[str, str]) -> InferredRole:
    """The guess of the target that was asked for."""
    if target not in file.headers:
        fix = did_you_mean(target, file.headers) or f"It has {listed(file.headers)}."
        raise ConfigError(Problem("--target", f"the table has no column '{target}'.", fix))
    if target in unusable:
        raise ConfigError(
            Problem("--target", f"'{target}' cannot be used: {unusable[target]}.", "Mend the table, or choose another column.")
        )
    task = infer_target.infer_task(found[target])
    if task is None:
        profile = found[target]
        what = f"'{target}' has {profile.distinct:,} different values in {profile.filled:,} rows, which are neither numbers nor classes."
        raise ConfigError(Problem("--target", what, "Choose a column of numbers, or one with at least two classes that repeat."))
    return task


def _place_other_than_numbers(file: TableFile, guesses: dict[str, InferredRole], found: dict[str, Profile]) -> None:
    """Say where the cells are for which a column of numbers is not used."""
    headers = [header for header, one in guesses.items() if one.content == "numbers" and not one.used and found[header].not_numbers]
    places: dict[str, str] = {}
    start = 0
    for piece in file.pieces(headers, size=READ_CHUNK_ROWS) if headers else ():
        for header in headers:
            for fault in number_errors(piece[header]) if header not in places else ():
                places[header] = f"; {file.where(start + int(fault.rows[0]))}: {fault.what} {fault.fix}"
        start += len(piece[headers[0]])
    for header, place in places.items():
        guesses[header] = replace(guesses[header], reason=guesses[header].reason + place)


def _only_one(guesses: dict[str, InferredRole], purpose: Purpose, words: str, *, named_id: bool) -> None:
    """Leave one column with the purpose, the one whose name is clearest."""
    having = [header for header, found in guesses.items() if found.purpose == purpose and found.used]
    having.sort(key=lambda header: ("the name says id" in guesses[header].reason) != named_id)
    for header in having[1:]:
        reason = f"{guesses[header].reason}; {words} {quote_value(having[0])}"
        guesses[header] = replace(guesses[header], used=False, reason=reason, options={})


def _name_files(guesses: dict[str, InferredRole], found: dict[str, Profile], images: Path) -> None:
    """Columns whose cells are files of the given folder are images, however the names end: those of DICOM often have no ending."""
    finder = ImageFinder(ImageFolder(images))
    for header, profile in found.items():
        names = [value.strip() for value, _ in profile.frequent]
        if (
            guesses[header].content == "images"
            or profile.distinct < 2
            or not all(isinstance(finder.find(name), ImageFile) for name in names)
        ):
            continue
        options = {"missing": "mask"} if profile.missing else {}
        guesses[header] = InferredRole("image", f"cells are names of files in the images folder, as {quote_value(names[0])}", options)


def _image_profiles(
    table: CodedTable, guesses: dict[str, InferredRole], found: Mapping[str, Profile], images: Path | None
) -> tuple[Path | None, dict[str, ImageProfile]]:
    """Where the images lie and what they are; a column without any file is left out, and holes are masked."""
    headers = [header for header, found in guesses.items() if found.content == "images" and found.used]
    paths = _distinct_cells(table, headers, MOST_PATHS)
    sample = [cell for cells in paths.values() for cell in cells[:SAMPLE]]
    beside = table.file.path.resolve().parent
    if sample:
        folder = images if images is not None else folder_of(sample, beside)[0]
    else:
        names = _distinct_cells(table, without_ending(guesses, found), SAMPLE)
        named = named_images(names, [images] if images is not None else folders(beside))
        if named is None:
            return None, {}
        folder = named.folder
        guesses |= named.guesses
        paths = _distinct_cells(table, [header for header, one in named.guesses.items() if one.used], MOST_PATHS)
    suffixes = {header: str(guesses[header].options.get("suffix", "")) for header in paths}
    image_profiles = {header: profile_images(cells, ImageFolder(folder), suffixes[header]) for header, cells in paths.items()}
    for header, profile in image_profiles.items():
        guesses[header] = _image(guesses[header], profile)
    return folder if any(profile.found for profile in image_profiles.values()) else None, image_profiles


def _image(found: InferredRole, images: ImageProfile) -> InferredRole:
    """The guess with what the files say."""
    if not images.found:
        why = (
            f"no file can be read, as {quote_value(images.unread[0])}: {images.unread[1]}"
            if images.unread
            else "no such file was found, try --images FOLDER"
        )
        return replace(found, used=False, reason=f"{found.reason}; {why}")
    options = {**_layout(images), **found.options}
    reason = f"{found.reason}; {_sizes(images)}"
    if missing := images.paths - images.found:
        options["missing"] = "mask"
        reason += f"; {missing:,} of {images.paths:,} files do not exist or cannot be read"
        reason += f", as {quote_value(images.unread[0])}: {images.unread[1]}" if images.unread else ""
    if odd := _undecodable(images, options):
        options["missing"] = "mask"
        reason += f"; {odd} are left out"
    return replace(found, reason=reason, options=options)


def _undecodable(images: ImageProfile, options: Mapping[str, object]) -> str:
    """Name those of these images that are refused once they are decoded, by their headers."""
    height, width = images.largest or (0, 0)
    if height * width > MOST_PIXELS:
        return f"those of more than {MOST_PIXELS:,} pixels"
    return "those with 16 bits per sample" if 16 in images.bits and "bits" not in options else ""


def _layout(images: ImageProfile) -> dict[str, object]:
    """Images are not enlarged, and are brought to 128 pixels a side at most."""
    side = min(128, *(images.median or (128, 128)))
    options: dict[str, object] = {"size": [side, side], "channels": 1 if set(images.modes) <= {"1", "L", "I;16"} else 3}
    return options | ({"bits": 16} if max(images.bits) == 16 and options["channels"] == 1 else {})


def _sizes(images: ImageProfile) -> str:
    low, high = (" x ".join(map(str, size or ())) for size in (images.smallest, images.largest))
    return f"all are {low} pixels" if images.sizes == 1 else f"{low} to {high} pixels"


def _distinct_cells(table: CodedTable, headers: Sequence[str], most: int) -> dict[str, list[str]]:
    """The first `most` distinct cells of each column, in the order of the rows."""
    found: dict[str, dict[str, None]] = {header: {} for header in headers}
    for chunk in table.chunks(headers):
        unfilled = {header: cells for header, cells in found.items() if len(cells) < most}
        if not unfilled:
            break
        for header, cells in unfilled.items():
            cells.update(dict.fromkeys(chunk[header].values[: most + len(cells)].to_pylist()))
    return {header: list(islice(cells, most)) for header, cells in found.items()}
