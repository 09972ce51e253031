"""Scores of subgroups of the rows, column by column, and the gap between the best and the worst one."""

from __future__ import annotations

from collections.abc import Sequence

from mmtrain.artifacts.analysis_results import Gap, Subgroup, Subgroups
from mmtrain.errors import counted
from mmtrain.reports.blocks import Block, Cell, Paragraph, Plots, Table, number
from mmtrain.reports.figures import plots
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.report_data import TargetResultView
from mmtrain.reports.target_results.input_importance import percent_of
from mmtrain.reports.wording import count, direction, format_interval, format_score, in_sentence, rows_called, title

MISSING = "missing"
OTHERS = 2
"""Number of scores next to the main one; the CSV file has all of them."""


def blocks(view: TargetResultView, writer: FigureWriter) -> tuple[Block, ...]:
    """Return the largest gap in a sentence, then a plot and a table per column."""
    columns = view.result.subgroups
    if not columns:
        return ()
    result: list[Block] = [Paragraph(*sentence(columns))]
    for division in columns:
        result += [*_image(view, division, writer), table(view, division)]
    return tuple(result)


def name_of(subgroup: Subgroup) -> str:
    """Return its value or range."""
    return MISSING if subgroup.name is None else subgroup.name


def sentence(columns: Sequence[Subgroups]) -> tuple[str, str, str]:
    """Describe the largest gap in the main score over all columns: the text before, the strong part, and a caution after it.

    A gap whose interval contains 0 does not hide a smaller one whose interval does not.
    """
    compared = [(one.gap, one) for one in columns if one.gap is not None]
    if not compared:
        return "No two subgroups of one column have ten rows each and a score with an interval, so none are compared.", "", ""
    clear = [(gap, one) for gap, one in compared if _is_clear(gap, one.main)]
    # The largest of the clear gaps, and only without any of all.
    gap, largest = max(clear or compared, key=lambda pair: pair[0].value)
    main = largest.main
    subgroups = {one.name: one for one in largest.subgroups}
    best, worst = (_in_words(subgroups[name], largest) for name in (gap.best, gap.worst))
    pair = f"{best} against {worst}, {format_interval(main, gap)} apart."
    if not clear:
        return f"There is no clear gap in {in_sentence(main)} between subgroups; the largest observed one: {pair}", "", ""
    # An unclear gap may be larger than the one that is reported.
    kind = "largest" if gap.value == max(one.value for one, _ in compared) else "largest clear"
    number_compared = count(sum(one.compared for one, _ in compared))
    caution = (
        f"It is the largest among {number_compared} subgroups that could be compared; the more are compared, the larger the gap that "
        "random variation alone produces."
    )
    return "", f"The {kind} gap in {in_sentence(main)} between subgroups: {pair}", caution


def _is_clear(gap: Gap, main: str) -> bool:
    """Return True if a gap is not 0 in the digits shown, and its interval, if it has one, lies above 0."""
    least = gap.value if gap.low is None else gap.low
    return least > 0 and format_score(main, gap.value) != format_score(main, 0.0)


def _in_words(subgroup: Subgroup, division: Subgroups) -> str:
    """Describe a subgroup: `0.927 for department Jackets (165 rows)`."""
    value = format_score(division.main, subgroup.scores[division.main].value or 0.0)
    return f"{value} for {division.column} {name_of(subgroup)} ({counted(subgroup.rows, 'row')})"


def _image(view: TargetResultView, division: Subgroups, writer: FigureWriter) -> list[Block]:
    """Return a plot, or nothing if fewer than two subgroups have a score."""
    main = division.main
    shown = [one for one in division.subgroups if one.scores[main].value is not None]
    # A single one has nothing to be compared with.
    if len(shown) < 2:
        return []
    names = [f"{name_of(one)} (n = {count(one.rows)})" for one in shown]
    scores = [one.scores[main] for one in shown]
    figure = plots.ranges(names, scores, title(main), reference=view.scores[main].value if main in view.scores else None)
    words = "; ".join(f"{name} {format_interval(main, score)}" for name, score in zip(names, scores, strict=True))
    alt = f"{title(main)} of {view.key} by {division.column}: {words}."
    stem = f"subgroups_{view.prefix}{view.part.label}_{division.column}"
    caption = "Dots with their intervals; the dashed line is the score of all rows."
    return [Plots((writer.add(figure, stem, title=f"By {division.column}", alt=alt, caption=caption),), wide=True)]


def table(view: TargetResultView, division: Subgroups) -> Table:
    """Tabulate rows, groups, if there are any, and scores of every subgroup of a column."""
    main, subgroups = division.main, division.subgroups
    names = [main, *[name for name in view.scores if name != main and "[" not in name][:OTHERS]]
    grouped = any(one.groups is not None for one in subgroups)
    lines = []
    for one in subgroups:
        units = [number(count(one.rows)), *([number(count(one.groups or 0))] if grouped else [])]
        scores = [number(format_interval(name, one.scores[name])) for name in names]
        reasons = dict.fromkeys(one.scores[name].undefined for name in names) | {one.scores[main].note: None}
        lines.append((Cell(name_of(one)), *units, *scores, Cell(" ".join(filter(None, reasons)))))
    head = (division.column, "Rows", *(["Groups"] if grouped else []), *map(title, names), "Note")
    better = f"{title(main)}: {direction(main)} is better."
    note = f"With {percent_of(division.confidence)} intervals. {better}"
    return Table(
        f"{view.key} by {division.column} on the {rows_called(view)}", head, tuple(lines), note, csv=view.csv("subgroups")
    ).without_empty_notes()
