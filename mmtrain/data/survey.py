"""A table nobody has described yet: what each column is probably for, which one is the answer and where the pictures lie.

`guess` looks at one column alone. Here the guesses are brought into line with each other, so that an experiment file that
follows them can be used: one id, one group, one split, no column that gives the answer away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pandas as pd

from mmtrain.data import guess_target
from mmtrain.data.formats import SUFFIXES, open_table
from mmtrain.data.guess import Guess, guess, shown
from mmtrain.data.image_profile import SAMPLE, ImageProfile, folder_of, profile_images
from mmtrain.data.profile import Profile, profiles
from mmtrain.data.table import PIECE
from mmtrain.data.table_file import TableFile
from mmtrain.data.table_problems import header_problem
from mmtrain.errors import ConfigError, DataError, Problem, did_you_mean, listed

MOST_PATHS = 10_000
"""Different pictures of a column that are looked for."""

MOST_PAIRS = 100_000
"""Different pairs of values of two columns, past which nothing is said of the two."""

SINGLE = {"id": "the id is", "group": "rows are grouped by", "split": "the split is given by"}
"""Roles that one column can have, and what is said of the column that has it."""


@dataclass(frozen=True)
class SurveyedColumn:
    """One header, what is in the column and what it is probably for."""

    header: str
    guess: Guess
    profile: Profile | None = None
    """None where the column cannot be read: no header, the same one twice, or cells that are no text."""
    images: ImageProfile | None = None


@dataclass(frozen=True)
class Survey:
    """A table and the guesses."""

    path: Path
    rows: int
    columns: tuple[SurveyedColumn, ...]
    target: str
    """Header of the answer; empty when no column can be one."""
    images: Path | None
    """The folder of the pictures; None without pictures that exist."""
    classes: dict[str, int]
    """Rows of each class of a binary or multiclass target."""
    scarce: bool
    """Whether some class is in fewer than three rows, or in fewer than three groups."""

    @property
    def used(self) -> tuple[SurveyedColumn, ...]:
        """The columns that the guesses use."""
        return tuple(column for column in self.columns if column.guess.used)


def survey(path: Path, *, target: str | None = None, images: Path | None = None) -> Survey:
    """Look at the table at `path`; `target` and `images` (a folder) are guessed where they are not given.

    Raises:
        ConfigError: `target` is no header, or its column cannot be an answer; `images` is no folder.
        DataError: the table cannot be read.

    """
    file = _opened(path)
    if images is not None and not images.is_dir():
        raise ConfigError(
            Problem("--images", f"there is no folder {images}.", "Give the folder that the cells of image columns start from.")
        )
    unusable = {header: reason for header in dict.fromkeys(file.headers) if (reason := _unusable(file, header))}
    found = profiles(file, [header for header in file.headers if header not in unusable])
    if not next((profile.rows for profile in found.values()), 0):
        raise DataError(Problem(path.name, "the table has no rows.", "Write a line below the headers for every row."))
    guesses = {header: guess(profile) for header, profile in found.items()}
    if target is not None:
        guesses[target] = _given_target(file, target, found, unusable)
    elif chosen := guess_target.choose(found, guesses):
        target = chosen[0]
        guesses[target] = _target(found[target], chosen[1])
    for role in SINGLE:
        _only_one(guesses, role)
    folder, pictures = _pictures(file, guesses, images)
    classes, scarce = _relations(file, guesses, found, target) if target is not None else ({}, False)
    columns = [SurveyedColumn(header, Guess("", reason, used=False)) for header, reason in unusable.items()]
    columns += [SurveyedColumn(header, guesses[header], found[header], pictures.get(header)) for header in found]
    order = {header: number for number, header in reversed(list(enumerate(file.headers)))}
    ordered = tuple(sorted(columns, key=lambda column: order[column.header]))
    return Survey(path, next(iter(found.values())).rows, ordered, target or "", folder, classes, scarce)


def _opened(path: Path) -> TableFile:
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        fix = did_you_mean(path.name, siblings) or f"Give the path of a file that ends in one of {', '.join(SUFFIXES)}."
        raise DataError(Problem(str(path), "the table does not exist.", fix))
    return open_table(path)


def _unusable(file: TableFile, header: str) -> str:
    """Why a column cannot be used at all, or nothing."""
    if not header:
        return "it has no header"
    problem = header_problem(file, header)
    return problem.what.rstrip(".") if problem else ""


def _target(profile: Profile, why: str) -> Guess:
    """The guess of a target that was chosen because of `why`."""
    found = guess_target.task(profile)
    if found is None:
        raise ValueError(f"{profile.header!r} cannot be a target.")
    return replace(found, reason=f"{why}; {found.reason}; please confirm")


def _given_target(file: TableFile, target: str, found: dict[str, Profile], unusable: dict[str, str]) -> Guess:
    """The guess of the target that was asked for."""
    if target not in file.headers:
        fix = did_you_mean(target, file.headers) or f"It has {listed(file.headers)}."
        raise ConfigError(Problem("--target", f"the table has no column '{target}'.", fix))
    if target in unusable:
        raise ConfigError(
            Problem("--target", f"'{target}' cannot be used: {unusable[target]}.", "Mend the table, or choose another column.")
        )
    task = guess_target.task(found[target])
    if task is None:
        profile = found[target]
        what = f"'{target}' has {profile.distinct:,} different values in {profile.filled:,} rows, which are neither numbers nor classes."
        raise ConfigError(Problem("--target", what, "Choose a column of numbers, or one with at least two classes that repeat."))
    return task


def _only_one(guesses: dict[str, Guess], role: str) -> None:
    """Leave one column with the role, the one whose name is clearest."""
    having = [header for header, found in guesses.items() if found.role == role and found.used]
    if role == "group":  # a patient rather than a session, and any name of people rather than an id
        having.sort(key=lambda header: "the name says id" in guesses[header].reason)
    if role == "id":
        having.sort(key=lambda header: "the name says id" not in guesses[header].reason)
    for header in having[1:]:
        reason = f"{guesses[header].reason}; {SINGLE[role]} {shown(having[0])}"
        guesses[header] = replace(guesses[header], used=False, reason=reason, options={})


def _pictures(file: TableFile, guesses: dict[str, Guess], images: Path | None) -> tuple[Path | None, dict[str, ImageProfile]]:
    """Where the pictures lie and what they are; a column without any file is left out, and holes are masked."""
    headers = [header for header, found in guesses.items() if found.role == "image"]
    paths = {header: list(islice(_different(file, header), MOST_PATHS)) for header in headers}
    sample = [cell for cells in paths.values() for cell in cells[:SAMPLE]]
    if not sample:
        return None, {}
    folder = images if images is not None else folder_of(sample, file.path.resolve().parent)[0]
    pictures = {header: profile_images(cells, folder) for header, cells in paths.items()}
    for header, found in pictures.items():
        guesses[header] = _image(guesses[header], found)
    return folder if any(found.found for found in pictures.values()) else None, pictures


def _image(found: Guess, images: ImageProfile) -> Guess:
    """The guess with what the files say."""
    if not images.found:
        return replace(found, used=False, reason=f"{found.reason}; no such file was found, try --images FOLDER")
    options = {**_layout(images), **found.options}
    reason = f"{found.reason}; {_sizes(images)}"
    if missing := images.paths - images.found:
        options["missing"] = "mask"
        reason += f"; {missing:,} of {images.paths:,} files do not exist or cannot be read"
    return replace(found, reason=reason, options=options)


def _layout(images: ImageProfile) -> dict[str, object]:
    """Pictures are not enlarged, and are brought to 128 pixels a side at most."""
    side = min(128, *(images.median or (128, 128)))
    options: dict[str, object] = {"size": [side, side], "channels": 1 if set(images.modes) <= {"1", "L", "I;16"} else 3}
    return options | ({"bits": 16} if max(images.bits) == 16 and options["channels"] == 1 else {})


def _sizes(images: ImageProfile) -> str:
    low, high = (" x ".join(map(str, size or ())) for size in (images.smallest, images.largest))
    return f"all are {low} pixels" if images.sizes == 1 else f"{low} to {high} pixels"


def _different(file: TableFile, header: str) -> Iterator[str]:
    """Every different cell of a column, in the order of the rows."""
    seen: set[str] = set()
    for piece in file.pieces([header], size=PIECE):
        for cell in piece[header].dropna().unique():
            if cell not in seen:
                seen.add(cell)
                yield str(cell)


def _relations(file: TableFile, guesses: dict[str, Guess], found: dict[str, Profile], target: str) -> tuple[dict[str, int], bool]:
    """Leave out columns that give the answer away and a split that tears groups; the classes, and whether some are scarce."""
    classes = guesses[target].options["task"] in ("binary", "multiclass")
    group = next((header for header, one in guesses.items() if one.role == "group" and one.used), None)
    given = next((header for header, one in guesses.items() if one.role == "split" and one.used), None)
    suspects = [header for header, one in guesses.items() if one.used and one.role in ("categorical", "numeric")]
    wanted = [(header, target) for header in suspects if classes and found[header].distinct * 2 <= found[header].filled]
    wanted += [(group, target)] if group and classes else []
    wanted += [(group, given)] if group and given else []
    pairs, counts = _pairs(file, wanted, target if classes else None)
    for header, other in wanted:
        both = pairs[header, other]
        if both is None or header == group:
            continue
        if reason := _gives_away(both, found[header], target):
            guesses[header] = replace(guesses[header], used=False, reason=reason)
    if group and given and ((torn := pairs[group, given]) is None or torn[0].duplicated().any()):
        reason = f"{guesses[given].reason}; it tears groups of {shown(group)} apart"
        guesses[given] = replace(guesses[given], used=False, reason=reason)
    holders = pairs.get((group, target)) if group else None
    least = min(counts.values(), default=3) if holders is None else int(holders[1].value_counts().min())
    return counts, least < 3


def _gives_away(pairs: pd.DataFrame, profile: Profile, target: str) -> str:
    """What makes a column suspicious: each of its values, met five times on average, goes with one answer only."""
    if pairs[0].duplicated().any() or profile.distinct * 5 > profile.filled or not len(pairs):
        return ""
    if not pairs[1].duplicated().any():
        return f"says the same as the target {shown(target)} in other words; it would give the answer away"
    return f"each value goes with one value of the target {shown(target)} only; does it give the answer away?"


Pairs = dict[tuple[str, str], pd.DataFrame | None]


def _pairs(file: TableFile, wanted: Sequence[tuple[str, str]], counted: str | None) -> tuple[Pairs, dict[str, int]]:
    """Different pairs of values (columns 0 and 1) of pairs of headers, None where there are too many; rows of each value of `counted`."""
    pairs: Pairs = {names: pd.DataFrame({0: [], 1: []}, dtype="str") for names in wanted}
    counts: dict[str, int] = {}
    headers = list(dict.fromkeys([*(header for names in wanted for header in names), *([counted] if counted else [])]))
    for piece in file.pieces(headers, size=PIECE) if headers else ():
        if counted:
            for value, rows in piece[counted].value_counts().items():
                counts[str(value)] = counts.get(str(value), 0) + int(rows)
        for names, known in pairs.items():
            if known is not None:
                here = pd.DataFrame({0: piece[names[0]], 1: piece[names[1]]}).dropna().drop_duplicates()
                both = pd.concat([known, here], ignore_index=True).drop_duplicates()
                pairs[names] = both if len(both) <= MOST_PAIRS else None
    return pairs, dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
