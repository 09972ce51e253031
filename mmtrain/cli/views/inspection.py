"""The screen of `inspect-data` for an experiment: a small table for each role, the parts and the problems."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from mmtrain.artifacts.inspection_results import Finding, ImageProfile, InspectedColumn, Inspection
from mmtrain.audit.finding import sample_rows
from mmtrain.cli.views.console import clip, format_value, line, list_problems, out, plain_table
from mmtrain.cli.views.findings import show_findings
from mmtrain.cli.views.splits import show_splits
from mmtrain.columns import role_class
from mmtrain.columns.profile import Profile, Range
from mmtrain.errors import counted, listed
from mmtrain.targets import tasks

SHOWN_CLASSES = 12
MANY_ROWS = 100
"""Number of rows above which a table is laid out here: Rich takes a millisecond for each."""


def show_inspection(inspection: Inspection, *, every: bool = False) -> None:
    """Print a whole inspection on standard output, with `every` finding or the worst of each kind."""
    console = out()
    unused = f", not used: {listed([clip(header) for header in inspection.unused])}" if inspection.unused else ""
    used = f"{len(inspection.headers) - len(inspection.unused)} of {counted(len(inspection.headers), 'column')} used"
    line(console, f"{inspection.table.name}: {counted(inspection.rows, 'row')}, {used}{unused}")
    if inspection.dropped:
        line(console, f"{counted(inspection.dropped, 'row')} of them left out because of missing cells.")
    # First: they decide whether the rest is worth reading.
    _problems(console, inspection, every=every)
    show_findings(console, inspection.findings, every=every)
    by_role: dict[str, list[tuple[InspectedColumn, Profile]]] = {}
    for column in inspection.columns:
        if column.profile is not None:
            by_role.setdefault(column.role, []).append((column, column.profile))
    for role, columns in by_role.items():
        traits = role_class(role)
        view = VIEWS.get(traits.content or traits.purpose, _values)
        view(console, role, columns)
    _missing(console, inspection)
    _parts(console, inspection)
    repeat_findings(console, inspection.findings)


def format_heading(console: Console, title: str) -> None:
    """Print a heading above a table."""
    console.print()
    console.print(f"[bold cyan]{escape(title)}[/]")


def distinct(profile: Profile) -> str:
    """Format the number of distinct values, which is counted up to a million."""
    return f"{profile.distinct:,}" if profile.distinct < 1_000_000 else "1,000,000+"


def frequent(values: Iterable[tuple[str, int]]) -> str:
    """`F (227), M (173)`."""
    return ", ".join(f"{clip(value)} ({rows:,})" for value, rows in values)


def three(values: Range | None) -> tuple[str, str, str]:
    """Format the smallest, the median and the largest value."""
    return ("", "", "") if values is None else (format_value(values.minimum), format_value(values.median), format_value(values.maximum))


def show_rows(console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]], *, words: Collection[int] = ()) -> None:
    """Print a table; columns are right-aligned except for the first and those at the positions `words`."""
    left = [position == 0 or position in words for position in range(len(headers))]
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]
    room = console.width - sum(widths[:-1]) - 2 * (len(widths) - 1)
    fits = room >= widths[-1] or (left[-1] and room >= max(*widths[:-1], cell_len(headers[-1])))
    if len(rows) > MANY_ROWS and fits and all(cell.isprintable() for row in rows for cell in row):
        widths[-1] = min(widths[-1], room)
        head, *lines = (line for row in (headers, *rows) for line in _laid_out(console, row, widths, left))
        console.print(Text(head, style="bold"), soft_wrap=True)
        console.print(Text("\n".join(lines)), soft_wrap=True)
        return
    table = plain_table(*headers)
    for position in words:
        table.columns[position].justify = "left"
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _laid_out(console: Console, row: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> Iterator[str]:
    """Yield the lines of a row: one, or more if the last cell is wider than its column."""
    *first, last = row
    ends = [last] if cell_len(last) <= widths[-1] else [line.plain for line in Text(last).wrap(console, widths[-1], overflow="fold")]
    for cells in ([*first, ends[0]], *(["" for _ in first] + [end] for end in ends[1:])):
        blanks = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]
        yield "  ".join(cell + blank if is_left else blank + cell for cell, blank, is_left in zip(cells, blanks, left, strict=True))


Columns = Sequence[tuple[InspectedColumn, Profile]]


def _name(column: InspectedColumn) -> str:
    return column.key if column.header in (column.key, "") else f"{column.key} ({column.header})"


def _numbers(console: Console, role: str, columns: Columns) -> None:
    format_heading(console, role)
    rows = [
        (_name(column), f"{profile.missing:,}", f"{profile.filled - profile.number_cells:,}", distinct(profile), *three(profile.numbers))
        for column, profile in columns
    ]
    show_rows(console, ("column", "missing", "not numeric", "distinct", "smallest", "median", "largest"), rows)


def _values(console: Console, role: str, columns: Columns) -> None:
    format_heading(console, role)
    rows = []
    for column, profile in columns:
        all_different = profile.distinct == profile.filled > 1
        shown = f"all differ, such as {clip(profile.frequent[0][0])}" if all_different else frequent(profile.frequent)
        rows.append((_name(column), f"{profile.missing:,}", distinct(profile), shown))
    show_rows(console, ("column", "missing", "distinct", "most frequent"), rows, words=[3])


def _dates(console: Console, role: str, columns: Columns) -> None:
    """Show the period of dates; times that are numbers, and dates that only a `format` tells, as other values."""
    dated = [(column, profile) for column, profile in columns if profile.earliest]
    if dated:
        format_heading(console, role)
        rows = [
            (
                _name(column),
                f"{profile.missing:,}",
                f"{profile.filled - profile.dates:,}",
                distinct(profile),
                profile.earliest,
                profile.latest,
            )
            for column, profile in dated
        ]
        show_rows(console, ("column", "missing", "not a date", "distinct", "earliest", "latest"), rows)
    if others := [one for one in columns if one not in dated]:
        (_values if any(profile.numbers is None for _, profile in others) else _numbers)(console, role, others)


def _texts(console: Console, role: str, columns: Columns) -> None:
    format_heading(console, f"{role} (words in a cell)")
    rows = [
        (_name(column), f"{profile.missing:,}", f"{profile.wordless:,}", distinct(profile), *three(profile.words))
        for column, profile in columns
    ]
    show_rows(console, ("column", "missing", "no words", "distinct", "fewest", "median", "most"), rows)


def _groups(console: Console, role: str, columns: Columns) -> None:
    format_heading(console, f"{role} (rows of a group)")
    rows = [(_name(column), f"{profile.missing:,}", distinct(profile), *three(profile.rows_per_value)) for column, profile in columns]
    show_rows(console, ("column", "missing", "groups", "fewest", "median", "most"), rows)


def _images(console: Console, role: str, columns: Columns) -> None:
    sized = any(column.images is not None and column.images.largest for column, _ in columns)  # recordings have no size in pixels
    format_heading(console, f"{role} (height x width in pixels)" if sized else role)
    rows = []
    for column, profile in columns:
        images, counts = column.images, column.image_counts
        unreadable = f"{counts.unreadable:,}" if counts is not None else "?"
        sizes = (
            [f"{size[0]} x {size[1]}" if size else "" for size in (images.smallest, images.median, images.largest)] if images else [""] * 3
        )
        shown = (*sizes, f"{images.sizes:,}" if images else "") if sized else ()
        rows.append((_name(column), f"{profile.missing:,}", unreadable, distinct(profile), *shown))
    heads = ("column", "missing", "unreadable", "files", *(("smallest", "median", "largest", "sizes") if sized else ()))
    show_rows(console, heads, rows)
    for column, _ in columns:
        if column.images is not None and column.images.found:
            line(console, f"{_name(column)}: {file_kinds(column.images)}")


def file_kinds(images: ImageProfile) -> str:
    """`PNG 400; mode L 400; 8 bits 400`, of recordings their formats."""
    formats = ", ".join(f"{name} {files:,}" for name, files in images.formats.items())
    modes = ", ".join(f"{name} {files:,}" for name, files in images.modes.items())
    bits = ", ".join(f"{bits} bits {files:,}" for bits, files in images.bits.items())
    return f"{formats}; mode {modes}; {bits}" if modes else formats


def _targets(console: Console, role: str, columns: Columns) -> None:
    numeric: dict[str, list[tuple[InspectedColumn, Profile]]] = {}
    for column, profile in columns:
        if column.classes is None:
            numeric.setdefault(column.task, []).append((column, profile))
    for task, of_task in numeric.items():
        _numbers(console, f"{role}, {task}", of_task)
    for column, profile in columns:
        if column.classes is None:
            continue
        traits = tasks[column.task]
        lacking = "without a label" if traits.has_labels else "missing"  # an empty cell of labels means none of them
        missing = f", {profile.missing:,} {lacking}" if profile.missing else ""
        format_heading(console, f"{role} {_name(column)}, {column.task}{missing}")
        shown = list(column.classes.items())[:SHOWN_CLASSES]
        show_rows(
            console, (traits.noun, "rows", "share"), [(clip(name, 40), f"{rows:,}", f"{rows / profile.rows:.1%}") for name, rows in shown]
        )
        if (more := len(column.classes) - SHOWN_CLASSES) > 0:
            console.print(f"and {more:,} more, down to {counted(min(column.classes.values()), 'row')}")


VIEWS = {
    "images": _images,
    "numbers": _numbers,
    "dates": _dates,
    "ordering": _dates,
    "weighting": _numbers,
    "texts": _texts,
    "grouping": _groups,
    "answer": _targets,
}
"""By content of an input or purpose of another column; all others show their values."""


def _missing(console: Console, inspection: Inspection) -> None:
    """Show the effect of each policy on the empty cells; the chosen one first."""
    if not inspection.missing:
        return
    format_heading(console, "empty cells, and what each `missing` would do")
    for plan in inspection.missing:
        ways = sorted(plan.effects.items(), key=lambda way: way[0] != plan.chosen)
        line(console, f"{plan.header}: {plan.cells:,} ({plan.share:.1%})")
        for name, effect in ways:
            line(console, f"  {name}{' (chosen)' if name == plan.chosen else ''}: {effect}")


def _parts(console: Console, inspection: Inspection) -> None:
    format_heading(console, f"split, {inspection.method}")
    if not inspection.parts:
        console.print("The rows cannot be divided; see the problems.")
        return
    show_splits(console, inspection.parts)
    for remark in inspection.split_notes:
        line(console, remark)


def _problems(console: Console, inspection: Inspection, *, every: bool) -> None:
    masked = [
        one.image_counts
        for one in inspection.columns
        if one.image_counts and one.image_counts.bad and one.image_counts.bad[0] not in inspection.problems
    ]
    for counts in masked:
        format_heading(console, "files that cannot be read, in rows that are masked or left out")
        for problem in counts.bad:
            line(console, f"{problem.where}: {problem.what}")
        if (more := counts.unreadable - len(counts.bad)) > 0:
            console.print(f"and {more:,} more")
    console.print()
    if not inspection.problems:
        console.print("[green]Nothing that `mmtrain fit` would refuse.[/]")
        return
    console.print(f"[bold red]{counted(len(inspection.problems), 'problem')}[/] for which `mmtrain fit` would refuse the data:")
    list_problems(console, inspection.problems, every=every)


def repeat_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Count the findings once more at the end, where a reader of a long output looks."""
    if findings:
        console.print()
        line(console, f"{sample_rows(findings)}: listed at the top.")
