"""Cohort: rows from the file to the parts, and rows that were left out, with the reason."""

from __future__ import annotations

from collections.abc import Sequence

from mmtrain.artifacts.run_schema.run_facts import Dropped
from mmtrain.errors import counted, listed
from mmtrain.reports.blocks import Block, Cell, Flow, Section, Table, number
from mmtrain.reports.report_data import ReportData
from mmtrain.reports.wording import count, percent

MOST_IDS = 20
MOST_REASONS = 30
MOST_CLASSES = 200


def section(contents: ReportData) -> Section:
    """Return the cohort section."""
    blocks: list[Block] = [flow(contents)]
    if contents.data.dropped:
        # Thousands of rows may be left out, but only for a few reasons.
        blocks.append(dropped(contents.data.dropped))
    return Section("Rows", (*blocks, *tables(contents)))


def tables(contents: ReportData) -> list[Table]:
    """Count the rows of each part, by class if a target has classes."""
    return [rows_by_class(contents, key) for key in contents.data.answers] or [rows_by_part(contents)]


def flow(contents: ReportData) -> Flow:
    """Count the rows of the file, left out, used, and in each part."""
    data = contents.data
    steps = [(count(data.rows), f"in {data.table}")]
    if data.dropped:
        steps.append((count(len(data.dropped)), "left out"))
    steps.append((count(data.used), "used"))
    return Flow((*steps, *((count(rows), part) for part, rows in contents.sizes.items())))


def dropped(rows: Sequence[Dropped]) -> Table:
    """List the rows that were left out by reason, the most frequent first."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        by_reason.setdefault(row.reason, []).append(row.id or f"row {row.row}")
    ranked = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    lines = [(Cell(reason), number(count(len(ids))), Cell(listed(ids, most=MOST_IDS))) for reason, ids in ranked[:MOST_REASONS]]
    rest = ranked[MOST_REASONS:]
    note = "Rows are numbered from 0, the first one below the header." if any(not row.id for row in rows) else ""
    if rest:
        note = (
            f"{counted(len(rest), 'further reason')} with {counted(sum(len(ids) for _, ids in rest), 'row')} in data.json. {note}".strip()
        )
    return Table("Rows left out", ("Reason", "Rows", "Which"), tuple(lines), note)


def rows_by_part(contents: ReportData) -> Table:
    """Count the rows of each part, for targets without classes."""
    used = sum(contents.sizes.values())
    lines = tuple((Cell(part), number(count(rows)), number(percent(rows / used))) for part, rows in contents.sizes.items())
    return Table("Rows of each part", ("Part", "Rows", "Share"), lines)


def rows_by_class(contents: ReportData, key: str) -> Table:
    """Count the rows of every class or label of a target in every part."""
    target, answers = contents.fitted.targets[key], contents.data.answers[key]
    lines = [(Cell("all rows"), *(number(count(rows)) for rows in contents.sizes.values()))]
    for place, name in list(enumerate(target.columns))[:MOST_CLASSES]:
        lines.append((Cell(name), *(_rows(answers[part][place], size) for part, size in contents.sizes.items())))
    if target.has_classes and target.answered_share < 1:
        without = {part: size - sum(answers[part]) for part, size in contents.sizes.items()}
        lines.append((Cell("no answer"), *(_rows(without[part], size) for part, size in contents.sizes.items())))
    note = f"The first {MOST_CLASSES} of {count(len(target.columns))}." if len(target.columns) > MOST_CLASSES else ""
    return Table(f"Rows of each part by {key}", (target.noun.capitalize(), *contents.sizes), tuple(lines), note)


def _rows(rows: int, of: int) -> Cell:
    """Return a count with its share of the part."""
    # A part that is empty has no shares.
    return number(f"{count(rows)} ({percent(rows / of)})" if of else count(rows))
