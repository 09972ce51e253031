"""`model_card.md`: the report in brief, in the order of model cards (Mitchell and others 2019, arXiv:1810.03993)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.columns import Group, column_of_role
from mmtrain.errors import counted
from mmtrain.reports import background, cohort, limits, training
from mmtrain.reports.blocks import Block, Paragraph, Points, Section
from mmtrain.reports.report_data import ReportData, TargetResultView
from mmtrain.reports.sections import headline, question, rows_used
from mmtrain.reports.target_results import baselines, input_importance, postprocessing, scores, subgroups
from mmtrain.reports.wording import CAVEATS
from mmtrain.text.printable import printable

if TYPE_CHECKING:
    from jinja2 import Template

HERE = Path(__file__).parent


OWNED = ("Intended use", "Ethical considerations")
"""Sections that are the owner's to write; see the template."""
GENERATED = re.compile(r"(Scores( on .*)?)?$")
"""Titles that a card may have in one state of the run and not in another."""
HEADING = re.compile(r"^## +(.*?) *#* *$")
FENCE = re.compile(r"^ {0,3}(```|~~~)")


def text(contents: ReportData, before: str = "") -> str:
    """The Markdown of the card; what its owner has written into the card `before` is kept."""
    return kept(_template().render(title=str(contents.run), facts=headline(contents), sections=sections(contents)), before)


def kept(card: str, before: str) -> str:
    """A new card with the sections of the owner, and those that only the card `before` has, at their end."""
    written, known = _sections(card), _sections(before)
    titles = {title for title, _ in written}
    own = [body for title, body in known if title not in titles and not GENERATED.match(title)]
    found = {title: "".join(body for other, body in known if other == title) for title in OWNED}
    return "\n".join(["".join(found.get(title) or body for title, body in written), *own])


def _sections(card: str) -> list[tuple[str, str]]:
    """Title and text of each section, heading included; what stands before the first has an empty title."""
    found: list[tuple[str, list[str]]] = [("", [])]
    fenced = False
    for line in card.splitlines(keepends=True):
        fenced ^= bool(FENCE.match(line))
        heading = None if fenced else HEADING.match(line.rstrip())
        if heading:
            found.append((heading[1], []))
        found[-1][1].append(line)
    return [(title, "".join(lines)) for title, lines in found]


@cache
def _template() -> Template:
    """Compiled once."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - every value is escaped, for Markdown
        loader=FileSystemLoader(HERE),
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("model_card.md")


def sections(contents: ReportData) -> tuple[Section, ...]:
    """Return the sections that need no owner."""
    return (
        Section("Model", (Paragraph(question(contents)), *_network(contents), Paragraph(training.course(contents)))),
        Section("Data", _data(contents)),
        *(_scores(contents, place) for place in range(len(contents.parts))),
        *(Section("Scores", tuple(training.epochs_reached(contents))) for _ in range(not contents.parts)),
        limits.section(contents),
        background.provenance(contents),
    )


def _network(contents: ReportData) -> tuple[Block, ...]:
    outline = contents.network
    if outline is None:
        return ()
    branches = [
        f"Branch {branch.name}: {branch.architecture} of {', '.join(entry.name for entry in branch.inputs)}, "
        f"{counted(branch.parameters, 'parameter')}"
        for branch in outline.branches
    ]
    fusion = outline.fusion
    return (Points((*branches, f"Fusion: {fusion.method}, {counted(fusion.parameters, 'parameter')}")),)


def _data(contents: ReportData) -> tuple[Block, ...]:
    return (Paragraph(f"{rows_used(contents)} {_division(contents)}"), *cohort.tables(contents))


def _division(contents: ReportData) -> str:
    """Describe the split in a sentence."""
    split, group = contents.data.split, column_of_role(contents.columns, Group)
    way = split.description or f"The rows were divided by the split method {split.method}"
    end = f"; rows with the same {group.column} are in one part." if group is not None else "."
    return " ".join([f"{way}{end}", *split.notes])


def _scores(contents: ReportData, place: int) -> Section:
    """The first part has its verdict in the card, the others their tables only."""
    part = contents.parts[place]
    blocks: list[Block] = [Paragraph(CAVEATS[part.label])] if part.label in CAVEATS else []
    for judged in contents.judged(part):
        blocks += [*baselines.verdicts(contents, judged), scores.scores_table(judged), *_analyses(judged)]
    return Section(f"Scores on {part.title}", tuple(blocks))


def _analyses(judged: TargetResultView) -> list[Block]:
    """Describe the analyses in sentences; the tables are in the report."""
    found: list[Block] = [Paragraph(sentence) for sentence in postprocessing.sentences(judged.result)]
    if judged.result.contributions is not None:
        found.append(Paragraph(input_importance.contribution_sentence(judged.result.contributions)))
    if judged.result.subgroups:
        found.append(Paragraph(*subgroups.sentence(judged.result.subgroups)))
    return found


def escaped(value: object) -> str:
    """Letters that Markdown or HTML would take for their own, and line ends, made plain."""
    plain = printable(" ".join(str(value).split()))
    for letter, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        plain = plain.replace(letter, shown)
    plain = re.sub(r"[\\`*\[\]|~$]", r"\\\g<0>", plain)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", plain)  # within a word it means nothing
