"""`model_card.md`: the report in brief, in the order of model cards (Mitchell and others 2019, arXiv:1810.03993)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.artifacts.run_schema.network_facts import Branch
from mmtrain.columns import Group, column_of_role
from mmtrain.errors import counted
from mmtrain.reports import cohort, limits, training
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
"""Sections that the owner of the model writes; see the template."""
GENERATED = re.compile(r"(Scores( on .*)?)?$")
"""Titles of generated sections that depend on the state of the run, so that an old one is not mistaken for the owner's."""
HEADING = re.compile(r"^## +(.*?) *#* *$")
FENCE = re.compile(r"^ {0,3}(```|~~~)")


def text(contents: ReportData, before: str = "") -> str:
    """Return the Markdown of the card, with the sections that its owner has written into the card `before`."""
    return render(str(contents.run), headline(contents), sections(contents), before)


def render(title: str, facts: Sequence[str], sections: Sequence[Section], before: str) -> str:
    """Return the Markdown of a card of these generated sections, with the owner's sections of the card `before`."""
    return keep_owner_sections(_template().render(title=title, facts=facts, sections=sections), before)


def keep_owner_sections(card: str, before: str) -> str:
    """Return a new card with the owner's sections of the card `before`; those that only it has are appended."""
    new, old = _sections(card), _sections(before)
    titles = {title for title, _ in new}
    # Sections that only the old card has were written by a person, unless its title comes from another state of the run.
    added = [body for title, body in old if title not in titles and not GENERATED.match(title)]
    owned = {title: "".join(body for other, body in old if other == title) for title in OWNED}
    # An empty text counts as not written: then the new section stays.
    return "\n".join(["".join(owned.get(title) or body for title, body in new), *added])


def _sections(card: str) -> list[tuple[str, str]]:
    """Split a card into title and text of each section, heading included; the text before the first has an empty title."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    fenced = False
    for line in card.splitlines(keepends=True):
        fenced ^= bool(FENCE.match(line))  # a heading inside a code block is not one
        heading = None if fenced else HEADING.match(line.rstrip())
        if heading:
            sections.append((heading[1], []))
        sections[-1][1].append(line)
    return [(title, "".join(lines)) for title, lines in sections]


@cache
def _template() -> Template:
    """Compile the template once."""
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
    """Return the generated sections."""
    return (
        Section("Model", (Paragraph(question(contents)), *_network(contents), Paragraph(training.course(contents)))),
        Section("Data", _data(contents)),
        *(_scores(contents, place) for place in range(len(contents.parts))),
        *(Section("Scores", tuple(training.epochs_reached(contents))) for _ in range(not contents.parts)),
        limits.section(contents),
        training.provenance(contents),
    )


def _network(contents: ReportData) -> tuple[Block, ...]:
    outline = contents.network
    if outline is None:
        return ()
    branches = [
        f"Branch {branch.name}: {branch.architecture} of {', '.join(entry.name for entry in branch.inputs)}, "
        f"{counted(branch.parameters, 'parameter')}{_encoder(branch)}"
        for branch in outline.branches
    ]
    fusion = outline.fusion
    # Nothing is reported without a linear model and without a guard.
    facts = contents.facts
    chosen = (
        *postprocessing.describe_distillation(facts.distillation),
        *postprocessing.describe_soup(facts.soup),
        *postprocessing.describe_base(facts.linear_base),
        *postprocessing.describe_guard(facts.fusion_guard or {}),
    )
    return (Points((*branches, f"Fusion: {fusion.method}, {counted(fusion.parameters, 'parameter')}")), *map(Paragraph, chosen))


def _encoder(branch: Branch) -> str:
    """Return the pretrained encoder of a branch, behind a comma."""
    encoder = branch.encoder
    if encoder is None:
        return ""
    frozen = "frozen" if encoder.frozen else "tuned"
    return f", behind the pretrained {encoder.model} ({frozen}, {counted(encoder.parameters, 'parameter')}, SHA-256 {encoder.sha256[:12]})"


def _data(contents: ReportData) -> tuple[Block, ...]:
    return (Paragraph(f"{rows_used(contents)} {_division(contents)}"), *cohort.tables(contents))


def _division(contents: ReportData) -> str:
    """Describe the split in a sentence."""
    split, group = contents.data.split, column_of_role(contents.columns, Group)
    sentence = split.description or f"The rows were divided by the split method {split.method}"
    end = f"; rows with the same {group.column} are in one part." if group is not None else "."
    return " ".join([f"{sentence}{end}", *split.notes])


def _scores(contents: ReportData, place: int) -> Section:
    """Return the scores of one part with verdicts and analyses."""
    part = contents.parts[place]
    blocks: list[Block] = [Paragraph(CAVEATS[part.label])] if part.label in CAVEATS else []
    for view in contents.views(part):
        blocks += [*baselines.verdicts(contents, view), scores.scores_table(view), *_analyses(view)]
    return Section(f"Scores on {part.title}", tuple(blocks))


def _analyses(view: TargetResultView) -> list[Block]:
    """Describe the analyses in sentences; the tables are in the report."""
    blocks: list[Block] = [Paragraph(sentence) for sentence in postprocessing.sentences(view.result)]
    if view.result.contributions is not None:
        blocks.append(Paragraph(input_importance.contribution_sentence(view.result.contributions)))
    if view.result.subgroups:
        blocks.append(Paragraph(*subgroups.sentence(view.result.subgroups)))
    return blocks


def escaped(value: object) -> str:
    """Escape the characters that have a meaning in Markdown or HTML, and replace line ends by blanks."""
    plain = printable(" ".join(str(value).split()))
    for letter, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        plain = plain.replace(letter, shown)
    # A backslash before what Markdown would take as markup.
    plain = re.sub(r"[\\`*\[\]|~$]", r"\\\g<0>", plain)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", plain)  # inside a word an underscore is plain text
