"""Profile of an undescribed table: contents and probable role of each column, the target, and the folder of the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmtrain.artifacts.inspection_results import ProfiledColumn, TableProfile
from mmtrain.audit.coded_table import CodedTable
from mmtrain.audit.profiling.column_relations import resolve_relations
from mmtrain.audit.profiling.guess_roles import guess_targets, infer_role, leave_single_purposes, locate_non_numbers
from mmtrain.audit.profiling.image_guesses import guess_by_files, profile_image_columns
from mmtrain.audit.profiling.profile import profile_columns
from mmtrain.columns.base import Guess, OptionValue
from mmtrain.columns.profile import Profile
from mmtrain.config.sections.table_format import TableFormat
from mmtrain.data.tables.file_formats.formats import SUFFIXES, open_table
from mmtrain.data.tables.table_file import TableFile
from mmtrain.data.tables.table_problems import header_problem
from mmtrain.errors import ConfigError, DataError, Problem
from mmtrain.system.paths import input_fault


def profile_table(
    path: Path,
    *,
    target: str | Sequence[str] | None = None,
    images: Path | None = None,
    table_format: TableFormat | None = None,
    table: CodedTable | None = None,
) -> TableProfile:
    """Profile the table at `path`; `target`, one header or several, and `images`, a folder, are guessed where they are not given.

    `table` is the table where it is open.

    Raises:
        ConfigError: `target` is not a header, or its column cannot be an answer; `images` is not a folder.
        DataError: the table cannot be read.

    """
    if images is not None and (fault := input_fault(images, "folder")):
        fix = "Give the folder that the cells of image columns start from."
        raise ConfigError(Problem("--images", f"there is no folder {images}." if fault.absent else f"{images} {fault.what}.", fix))
    table = table or open_coded(path, table_format)
    file = table.file
    unusable = {header: reason for header in dict.fromkeys(file.headers) if (reason := _unusable(file, header))}
    table, profiles, guesses = _guess_columns(table, table_format, [header for header in file.headers if header not in unusable])
    file = table.file
    rows = next((profile.rows for profile in profiles.values()), 0)
    if not rows:
        raise DataError(Problem(path.name, "the table has no rows.", "Write a line below the headers for every row."))
    # Before the target is chosen: a column of images cannot be one.
    if images is not None:
        guess_by_files(guesses, profiles, images)
    given = () if target is None else (target,) if isinstance(target, str) else tuple(target)
    targets = guess_targets(file, given, guesses, profiles, unusable)
    locate_non_numbers(file, guesses, profiles)
    # After the target: a target that is named id leaves the purpose to another column.
    leave_single_purposes(guesses)
    folder, image_profiles = profile_image_columns(table, guesses, profiles, images)
    relations = [resolve_relations(table, guesses, profiles, one) for one in targets] or [({}, False)]
    # At the end, because rules between columns need a profile, which an unusable column lacks.
    guesses |= {header: Guess(role="", reason=reason, used=False) for header, reason in unusable.items()}
    columns = [
        ProfiledColumn(header=header, guess=guesses[header], profile=profiles.get(header), images=image_profiles.get(header))
        for header in dict.fromkeys(file.headers)
    ]
    return TableProfile(
        path=path,
        rows=rows,
        columns=tuple(columns),
        target=targets[0] if targets else "",
        images=folder,
        classes=relations[0][0],
        scarce=any(scarce for _, scarce in relations),
        format=_format(file, table_format),
        notice=file.notice,
        missing_words=tuple(file.missing_values),
    )


def open_coded(path: Path, table_format: TableFormat | None = None) -> CodedTable:
    """Open the table at `path`. Raises DataError when it cannot be read."""
    return CodedTable(open_table(path, (), table_format, otherwise=f"Give the path of a file that ends in one of {', '.join(SUFFIXES)}."))


def _format(file: TableFile, given: TableFormat | None) -> dict[str, OptionValue]:
    """Return the detected options, and given ones even if they would have been detected."""
    return {**file.format_options, **(given.explicit if given is not None else {})}


def _guess_columns(
    table: CodedTable, table_format: TableFormat | None, headers: list[str]
) -> tuple[CodedTable, dict[str, Profile], dict[str, Guess]]:
    """Return the table, its profiles and guesses: a word that means missing in some column is missing in all, as in the experiment.

    The guess of that column itself is of the time when the word was still in it, so that it says so.
    """
    first: dict[str, Guess] = {}
    # A word that is missing from now on may leave another column of numbers with words of its own: repeat until none is new.
    while True:
        profiles = profile_columns(table, headers)
        guesses = {header: first.get(header) or infer_role(profile) for header, profile in profiles.items()}
        first |= {header: guess for header, guess in guesses.items() if guess.used and guess.missing_words}
        words = dict.fromkeys(word.strip() for header in headers if header in first for word in first[header].missing_words)
        if set(words) <= set(table.file.missing_values):
            return table, profiles, guesses
        table = table.reopened(open_table(table.file.path, tuple(words), table_format))


def _unusable(file: TableFile, header: str) -> str:
    """Say why a column cannot be used at all, or nothing."""
    if not header:
        return "it has no header"
    problem = header_problem(file, header)
    return problem.what.rstrip(".") if problem else ""
