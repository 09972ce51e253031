"""`model_card.md`: the report in brief, in the order of model cards (Mitchell and others 2019, arXiv:1810.03993)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.columns import Group, Split
from mmtrain.errors import counted
from mmtrain.reports import background, baselines, cohort, decisions, inputs, limits, results, subgroups, training
from mmtrain.reports.blocks import Block, Paragraph, Points, Section
from mmtrain.reports.contents import Contents, Judged
from mmtrain.reports.sections import headline, question, rows_used
from mmtrain.reports.words import CAVEATS

if TYPE_CHECKING:
    from jinja2 import Template

HERE = Path(__file__).parent


def text(contents: Contents) -> str:
    """The Markdown of the card."""
    return _template().render(title=str(contents.run), facts=headline(contents), sections=sections(contents))


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


def sections(contents: Contents) -> tuple[Section, ...]:
    """What can be said without its owner."""
    return (
        Section("Model", (Paragraph(question(contents)), *_network(contents), Paragraph(training.course(contents)))),
        Section("Data", _data(contents)),
        *(_scores(contents, place) for place in range(len(contents.parts))),
        *(Section("Scores", tuple(training.reached(contents))) for _ in range(not contents.parts)),
        limits.section(contents),
        background.provenance(contents),
    )


def _network(contents: Contents) -> tuple[Block, ...]:
    outline = contents.network
    if not outline:
        return ()
    branches = [
        f"Branch {branch['name']}: {branch['architecture']} of {', '.join(entry['name'] for entry in branch['inputs'])}, "
        f"{counted(branch['parameters'], 'parameter')}"
        for branch in outline["branches"]
    ]
    fusion = outline["fusion"]
    return (Points((*branches, f"Fusion: {fusion['method']}, {counted(fusion['parameters'], 'parameter')}")),)


def _data(contents: Contents) -> tuple[Block, ...]:
    return (Paragraph(f"{rows_used(contents)} {_division(contents)}"), *cohort.tables(contents))


def _division(contents: Contents) -> str:
    """How the rows came into their parts, in a sentence."""
    section, given, group = contents.experiment.split, contents.experiment.only(Split), contents.experiment.only(Group)
    way = {
        "random": "The rows were dealt to the parts at random",
        "stratified": "The rows were dealt to the parts at random, so that each part has its share of every class",
        "column": f"The parts were given by the column {given.column if given is not None else ''}",
    }[section.method]
    if section.method == "column" and section.validation:
        way += "; where it marks no row validation, those rows were drawn from the rows marked train"
    return f"{way}; rows with the same {group.column} are in one part." if group is not None else f"{way}."


def _scores(contents: Contents, place: int) -> Section:
    """The first part has its verdict in the card, the others their tables only."""
    part = contents.parts[place]
    blocks: list[Block] = [Paragraph(CAVEATS[part.label])] if part.label in CAVEATS else []
    for judged in contents.judged(part):
        blocks += [*baselines.verdicts(contents, judged), results.scores_table(judged), *_analyses(judged)]
    return Section(f"Scores on {part.title}", tuple(blocks))


def _analyses(judged: Judged) -> list[Block]:
    """What was found besides the scores, in sentences; the tables are in the report."""
    found: list[Block] = [Paragraph(sentence) for sentence in decisions.sentences(judged.result)]
    if "contributions" in judged.result:
        found.append(Paragraph(inputs.contribution_sentence(judged.result["contributions"])))
    if judged.result.get("subgroups"):
        found.append(Paragraph(*subgroups.sentence(judged.result["subgroups"])))
    return found


def escaped(value: object) -> str:
    """Letters that Markdown or HTML would take for their own, and line ends, made plain."""
    plain = " ".join(str(value).split())
    for letter, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        plain = plain.replace(letter, shown)
    plain = re.sub(r"[\\`*\[\]|~$]", r"\\\g<0>", plain)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", plain)  # within a word it means nothing
