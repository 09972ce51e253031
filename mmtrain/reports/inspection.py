"""The page that `inspect-data --html` writes: findings first, then parts, empty cells and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmtrain.audit import Finding
from mmtrain.audit.finding import LEVELS, Kind, by_kind, describe_column, sample_rows
from mmtrain.audit.profiling.profile import Profile
from mmtrain.audit.quality.missing_value_policies import MissingPlan
from mmtrain.data.splits.summary import PartSummary
from mmtrain.errors import Problem, counted
from mmtrain.reports.blocks import Block, Cell, Paragraph, Section, Table, Tone, number
from mmtrain.reports.report import page
from mmtrain.reports.wording import count, percent, significant

MOST_CLASSES = 50
MOST_VALUES = 5
LONGEST = 40
"""Characters of a cell that are shown."""
FOOTER = "Written by mmtrain."


@dataclass(frozen=True)
class Inspected:
    """The contents of the page."""

    table: str
    """Name of the file."""
    rows: int
    columns: tuple[tuple[str, str, Profile | None], ...]
    """Header, role and contents."""
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...] = ()
    """What `fit` would refuse."""
    parts: tuple[PartSummary, ...] = ()
    missing: tuple[MissingPlan, ...] = ()
    split_notes: tuple[str, ...] = ()
    """What the split method says of the parts."""


def inspection_page(found: Inspected, *, every: bool = False) -> str:
    """The HTML text; with `every` finding, or the worst of each kind."""
    sections = [_findings(found, every=every)]
    if found.problems:
        sections.append(_problems(found.problems))
    if found.parts:
        sections.append(Section("Parts", (_parts(found.parts), *(Paragraph(note) for note in found.split_notes))))
    if found.missing:
        sections.append(Section("Empty cells", (_missing(found.missing),)))
    sections.append(Section("Columns", (_columns(found),)))
    facts = (counted(found.rows, "row"), counted(len(found.columns), "column"), sample_rows(found.findings) or "nothing found")
    return page(title=found.table, facts=facts, sections=sections, footer=FOOTER)


def _findings(found: Inspected, *, every: bool) -> Section:
    if not found.findings:
        return Section("Findings", (Paragraph("Nothing was found that would spoil a study.", tone="good"),))
    sections = []
    for level in LEVELS:
        own = [finding for finding in found.findings if finding.level == level]
        if own:
            sections.append(Section(sample_rows(own), tuple(block for kind in by_kind(own) for block in _kind(kind, every=every))))
    meaning = "An error makes scores wrong, a warning may make them wrong, a note is good to know."
    return Section("Findings", (Paragraph(meaning),), tuple(sections))


def _kind(kind: Kind, *, every: bool) -> list[Block]:
    """Its findings, or the worst of them and how many more there are."""
    shown = kind.findings if every else kind.worst
    blocks = [block for finding in shown for block in _finding(finding)]
    if more := len(kind.findings) - len(shown):
        blocks.append(Paragraph(f"{more:,} more of the kind", f"`{kind.title}`; --all shows them."))
    return blocks


def _finding(finding: Finding) -> tuple[Block, ...]:
    tone: Tone = "bad" if finding.level == "error" else ""
    return (Paragraph(f"{finding.where}:", finding.what, f"{finding.why} {finding.fix} {describe_column(finding)}".rstrip(), tone=tone),)


def _problems(problems: Sequence[Problem]) -> Section:
    lines = tuple((Cell(problem.where), Cell(problem.what), Cell(problem.fix)) for problem in problems)
    return Section("What fit would refuse", (Table("Problems", ("Where", "What", "What would be right"), lines),))


def _parts(parts: Sequence[PartSummary]) -> Table:
    grouped = parts[0].groups is not None
    classes = list(parts[0].classes)[:MOST_CLASSES]
    medians = [f"Median of {key}" for key in parts[0].medians]
    lines = []
    for part in parts:
        groups = (number(count(part.groups or 0)),) if grouped else ()
        lines.append(
            (
                Cell(part.part),
                number(count(part.rows)),
                number(percent(part.share)),
                *groups,
                *(number(count(part.classes[one])) for one in classes),
                *(number("–" if middle is None else significant(middle)) for middle in part.medians.values()),
            )
        )
    note = "No group is on two sides." if grouped else ""
    return Table("Rows of each part", ("Part", "Rows", "Share", *(("Groups",) if grouped else ()), *classes, *medians), tuple(lines), note)


def _missing(plans: Sequence[MissingPlan]) -> Table:
    lines = []
    for plan in plans:
        for name, effect in plan.effects.items():
            chosen = Cell(f"{name} (chosen)" if name == plan.chosen else name)
            lines.append((Cell(plan.header), number(count(plan.cells)), number(percent(plan.share)), chosen, Cell(effect)))
    return Table("What each policy for missing cells would do", ("Column", "Empty", "Share", "Policy", "What would happen"), tuple(lines))


def _columns(found: Inspected) -> Table:
    lines = []
    for header, role, profile in found.columns:
        if profile is None:
            lines.append((Cell(header), Cell(role), number("–"), number("–"), Cell("cannot be read")))
        else:
            lines.append(
                (Cell(header), Cell(role), number(count(profile.missing)), number(count(profile.distinct)), Cell(_contents(profile)))
            )
    return Table("What is in each column", ("Column", "Role", "Empty", "Different", "Contents"), tuple(lines))


def _contents(profile: Profile) -> str:
    if profile.numbers is not None and profile.number_cells == profile.filled and profile.distinct > 2 * MOST_VALUES:
        low, middle, high = (significant(value) for value in (profile.numbers.minimum, profile.numbers.median, profile.numbers.maximum))
        return f"{low} to {high}, median {middle}"
    named = [(value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…", rows) for value, rows in profile.frequent[:MOST_VALUES]]
    return ", ".join(f"{value} ({count(rows)})" for value, rows in named)
