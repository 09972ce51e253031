"""Page of `inspect-data --html`: findings first, then parts, empty cells, histograms by class, thumbnails and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mmtrain.artifacts.inspection_figures import ClassThumbnails, ColumnHistogram
from mmtrain.artifacts.inspection_results import MissingPlan, PartSummary
from mmtrain.audit import Finding
from mmtrain.audit.finding import LEVELS, Kind, by_kind, describe_column, sample_rows
from mmtrain.columns.profile import Profile
from mmtrain.errors import Problem, counted, listed
from mmtrain.reports.blocks import Block, Card, Cards, Cell, Paragraph, Plot, Plots, Section, Table, Thumbnail, Tone, number
from mmtrain.reports.figures.column_plots import histogram
from mmtrain.reports.figures.plot_style import as_markup, style
from mmtrain.reports.report import WRITTEN_BY, page
from mmtrain.reports.wording import count, percent, significant

MOST_CLASSES = 50
MOST_VALUES = 5
LONGEST = 40
"""Maximum number of characters of a cell that are shown."""


@dataclass(frozen=True)
class Inspected:
    """Contents of the page."""

    table: str
    """Name of the file."""
    rows: int
    columns: tuple[tuple[str, str, Profile | None], ...]
    """Header, role and profile."""
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...] = ()
    """Problems for which `fit` would refuse the table."""
    parts: tuple[PartSummary, ...] = ()
    missing: tuple[MissingPlan, ...] = ()
    split_notes: tuple[str, ...] = ()
    """Remarks of the split method."""
    histograms: tuple[ColumnHistogram, ...] = ()
    thumbnails: tuple[ClassThumbnails, ...] = ()


def inspection_page(inspected: Inspected, *, every: bool = False) -> str:
    """Return the HTML text, with `every` finding or only the worst ones of each kind."""
    # Findings first: they decide whether the rest is worth reading.
    sections = [_findings(inspected, every=every)]
    if inspected.problems:
        sections.append(_problems(inspected.problems))
    if inspected.parts:
        sections.append(Section("Parts", (_parts(inspected.parts), *(Paragraph(note) for note in inspected.split_notes))))
    if inspected.missing:
        sections.append(Section("Empty cells", (_missing(inspected.missing),)))
    sections += [*_histograms(inspected.histograms), *_thumbnails(inspected.thumbnails)]
    sections.append(Section("Columns", (_columns(inspected),)))
    facts = (counted(inspected.rows, "row"), counted(len(inspected.columns), "column"), sample_rows(inspected.findings) or "nothing found")
    return page(title=inspected.table, facts=facts, sections=sections, footer=WRITTEN_BY)


def _histograms(histograms: Sequence[ColumnHistogram]) -> list[Section]:
    """Draw every column by class, with the numbers of each plot."""
    if not histograms:
        return []
    with style():
        plots = tuple(_histogram(one, number_of) for number_of, one in enumerate(histograms))
    compared = "Shares of the rows of each class." if len(histograms[0].classes) > 1 else "Rows of the table."
    return [Section("Distributions", (Paragraph(f"{compared} A column whose shapes differ by class predicts it."), Plots(plots)))]


def _histogram(one: ColumnHistogram, place: int) -> Plot:
    """Draw a column; its numbers are next to the plot, so the description names it only."""
    names = one.values or tuple(f"{significant(low)} to {significant(high)}" for low, high in pairwise(one.edges))
    rows = tuple(
        (Cell(name), *(number(count(cell)) for cell in cells)) for name, cells in zip(names, zip(*one.counts, strict=True), strict=True)
    )
    numbers = Table(f"Rows of {one.header}", ("Value", *one.classes), rows)
    markup = as_markup(histogram(one), salt=f"column {place}")
    return Plot("", one.header, f"Histogram of {one.header} for the rows of {listed(one.classes)}.", "", markup, numbers=numbers)


def _thumbnails(thumbnails: Sequence[ClassThumbnails]) -> list[Section]:
    """Show images of each class, spread over the rows of the table."""
    cards: dict[str, list[Card]] = {}
    for one in thumbnails:
        images = tuple(Thumbnail(f"{one.column} of a row of {one.name}", jpeg) for jpeg in one.images)
        cards.setdefault(one.column, []).append(Card(one.name, images, (), ()))
    blocks = tuple(Cards(f"{column} by class", tuple(of_column)) for column, of_column in cards.items())
    return [Section("Images", blocks)] if blocks else []


def _findings(inspected: Inspected, *, every: bool) -> Section:
    if not inspected.findings:
        return Section("Findings", (Paragraph("Nothing was found that would spoil a study.", tone="good"),))
    sections = []
    for level in LEVELS:
        # From error to note, so that the worst is on the first screen.
        level_findings = [finding for finding in inspected.findings if finding.level == level]
        if level_findings:
            blocks = tuple(block for kind in by_kind(level_findings) for block in _kind(kind, every=every))
            sections.append(Section(sample_rows(level_findings), blocks))
    meaning = "An error makes scores wrong, a warning may make them wrong, a note is worth knowing."
    return Section("Findings", (Paragraph(meaning),), tuple(sections))


def _kind(kind: Kind, *, every: bool) -> list[Block]:
    """Return every finding of a kind, or the worst ones and the number of the others."""
    shown = kind.findings if every else kind.worst
    blocks = [block for finding in shown for block in _finding(finding)]
    if more := len(kind.findings) - len(shown):
        blocks.append(Paragraph(f"{more:,} more of this kind", f"`{kind.title}`; --all shows them."))
    return blocks


def _finding(finding: Finding) -> tuple[Block, ...]:
    tone: Tone = "bad" if finding.level == "error" else ""
    return (Paragraph(f"{finding.where}:", finding.what, f"{finding.why} {finding.fix} {describe_column(finding)}".rstrip(), tone=tone),)


def _problems(problems: Sequence[Problem]) -> Section:
    lines = tuple((Cell(problem.where), Cell(problem.what), Cell(problem.fix)) for problem in problems)
    return Section("What fit would refuse", (Table("Problems", ("Where", "Problem", "Fix"), lines),))


def _parts(parts: Sequence[PartSummary]) -> Table:
    # All parts have the same groups, classes and medians: the first one gives the headings.
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
    note = "No group is in two parts." if grouped else ""
    return Table("Rows of each part", ("Part", "Rows", "Share", *(("Groups",) if grouped else ()), *classes, *medians), tuple(lines), note)


def _missing(plans: Sequence[MissingPlan]) -> Table:
    lines = []
    for plan in plans:
        for name, effect in plan.effects.items():
            chosen = Cell(f"{name} (chosen)" if name == plan.chosen else name)
            lines.append((Cell(plan.header), number(count(plan.cells)), number(percent(plan.share)), chosen, Cell(effect)))
    return Table("Effect of each policy for missing cells", ("Column", "Empty", "Share", "Policy", "Effect"), tuple(lines))


def _columns(inspected: Inspected) -> Table:
    lines = []
    for header, role, profile in inspected.columns:
        if profile is None:
            lines.append((Cell(header), Cell(role), number("–"), number("–"), Cell("cannot be read")))
        else:
            lines.append(
                (Cell(header), Cell(role), number(count(profile.missing)), number(count(profile.distinct)), Cell(_contents(profile)))
            )
    return Table("Contents of each column", ("Column", "Role", "Empty", "Different", "Contents"), tuple(lines))


def _contents(profile: Profile) -> str:
    if profile.period:
        return profile.period
    # A column with few different numbers probably has codes: then its values say more than a range.
    if profile.numbers is not None and profile.number_cells == profile.filled and profile.distinct > 2 * MOST_VALUES:
        low, middle, high = (significant(value) for value in (profile.numbers.minimum, profile.numbers.median, profile.numbers.maximum))
        return f"{low} to {high}, median {middle}"
    named = [(value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…", rows) for value, rows in profile.frequent[:MOST_VALUES]]
    return ", ".join(f"{value} ({count(rows)})" for value, rows in named)
