"""The screen of `inspect-data` for a table without an experiment: what its columns hold, and their guessed roles."""

from __future__ import annotations

from mmtrain.artifacts.inspection_results import InspectedTable
from mmtrain.cli.views.console import clip, format_value, line, note, out
from mmtrain.cli.views.findings import show_findings
from mmtrain.cli.views.inspection import distinct, file_kinds, format_heading, frequent, repeat_findings, show_rows
from mmtrain.columns.profile import Profile
from mmtrain.errors import counted, shell_command


def show_table_profile(survey: InspectedTable, *, quiet: bool = False, every: bool = False) -> None:
    """Print a table of contents, one of guessed roles, and the findings that hold if the guesses are right."""
    console = out()
    line(console, f"{survey.path.name}: {counted(survey.rows, 'row')}, {counted(len(survey.columns), 'column')}")
    note(survey.notice, quiet=quiet or not survey.notice)
    show_findings(console, survey.findings, every=every)
    format_heading(console, "columns")
    profiles = [(column.header, column.profile) for column in survey.columns if column.profile is not None]
    rows = [(clip(header, 30), f"{one.missing:,}", distinct(one), describe_contents(one)) for header, one in profiles]
    show_rows(console, ("column", "missing", "distinct", "contents"), rows, words=[3])
    for column in survey.columns:
        if column.images is not None:
            files = f"{column.images.found:,} of {column.images.paths:,} files found in {column.images.folder}"
            kinds = f": {file_kinds(column.images)}" if column.images.found else ""
            line(console, f"{column.header}: {files}{kinds}")
    format_heading(console, "guessed roles")
    guesses = []
    for column in survey.columns:
        role = column.guess.role if column.guess.used else "not used"
        task = column.guess.options.get("task")
        guesses.append((clip(column.header, 30), f"{role}, {task}" if task else role, column.guess.reason))
    show_rows(console, ("column", "role", "because"), guesses, words=[1, 2])
    repeat_findings(console, survey.findings)
    note(f"An experiment file with these roles: {shell_command('init', survey.path)}", quiet=quiet)


def describe_contents(profile: Profile) -> str:
    """Describe the contents of a column: the range of dates or numbers, the length of texts, or the most frequent values."""
    if not profile.filled:
        return "nothing"
    if profile.period:
        odd = profile.filled - profile.dates
        return profile.period + (f"; {counted(odd, 'cell')} not a date" if odd else "")
    if profile.numbers is not None and profile.distinct > 10 and profile.number_cells >= 0.5 * profile.filled:
        low, middle, high = (format_value(value) for value in (profile.numbers.minimum, profile.numbers.median, profile.numbers.maximum))
        odd = profile.filled - profile.number_cells
        return f"{low} to {high}, median {middle}" + (f"; {counted(odd, 'cell')} not a number" if odd else "")
    if profile.words is not None and profile.spaced * 4 >= profile.filled and profile.words.median >= 3:
        words = profile.words
        return f"{format_value(words.minimum)} to {format_value(words.maximum)} words, median {format_value(words.median)}"
    if profile.distinct >= 0.9 * profile.filled > 1:
        return f"{'all' if profile.distinct == profile.filled else 'nearly all'} differ, such as {clip(profile.frequent[0][0])}"
    return frequent(profile.frequent)
