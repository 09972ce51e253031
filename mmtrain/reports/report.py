"""Writer of `report.html` and its companions, self-contained files, from the run folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.artifacts.run_folder import Run
from mmtrain.columns import Column
from mmtrain.config.sections.training import Training
from mmtrain.data.encode import Fitted
from mmtrain.data.tables.csv_text import APOSTROPHE_NOTE
from mmtrain.reports import csv_tables, model_card
from mmtrain.reports import report_data as run_contents
from mmtrain.reports.blocks import Paragraph, Section
from mmtrain.reports.figures.plot_style import FigureWriter, style
from mmtrain.reports.pages import group_report
from mmtrain.reports.sections import headline, sections
from mmtrain.reports.target_results.group_scores import GroupData
from mmtrain.text.printable import printable

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

HERE = Path(__file__).parent
CODE = re.compile(r"`([^`\n]+)`")
"""Code in a sentence: a command, a key or a value."""
MOST = 4_800_000
"""Maximum size of the page in bytes; sections without room are only named."""

WRITTEN_BY = "Written by mmtrain."
FOOTER = f"{WRITTEN_BY} Every plot is also a PNG file in the folder plots of the run; the files named here are next to this page."


def write(run: Run, columns: Mapping[str, Column], training: Training, fitted: Fitted) -> Path:
    """Write report.html, its plots, its numbers as CSV and model_card.md. Raises RunError if a file of the run is missing or damaged."""
    contents = run_contents.read(run, columns, training, fitted)
    formulas = csv_tables.write(run, contents)
    # The old card is read first: it has the sections of its owner.
    run.write_text("model_card.md", model_card.text(contents, _read(run / "model_card.md")))
    with style():
        page_sections = sections(contents, FigureWriter(run))
    footer = f"{FOOTER} {APOSTROPHE_NOTE}" if formulas else FOOTER
    return run.write_text("report.html", limit_size(page_sections, title=str(run), facts=headline(contents), footer=footer))


def write_group(run: Run, contents: GroupData) -> Path:
    """Write report.html, its plots and model_card.md of a finished group of trainings. Raises RunError if it cannot be written."""
    facts = (*headline(contents.data), contents.result.trainings)
    card = model_card.render(str(run), facts, group_report.card_sections(contents), _read(run / "model_card.md"))
    run.write_text("model_card.md", card)
    with style():
        page_sections = group_report.sections(contents, FigureWriter(run))
    return run.write_text("report.html", limit_size(page_sections, title=str(run), facts=facts))


def _read(path: Path) -> str:
    """Read a text that its owner may have saved in any editor; empty if there is none."""
    content = path.read_bytes() if path.is_file() else b""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def limit_size(sections: Sequence[Section], *, title: str, facts: Sequence[str], footer: str = FOOTER, most: int = MOST) -> str:
    """Return the page of these sections; the largest ones are left out until it has at most `most` bytes."""
    # The usual case: everything has room, and nothing is measured twice.
    text = page(title=title, facts=facts, sections=sections, footer=footer)
    if len(text.encode()) <= most:
        return text
    # Styles and script are in the page once, however many sections it has.
    frame, *pages = (len(page(title=title, facts=facts, sections=some).encode()) for some in ((), *((one,) for one in sections)))
    sizes = [size - frame for size in pages]
    shown = list(sections)
    while frame + sum(sizes) > most and max(sizes):
        largest = sizes.index(max(sizes))
        # Leaving out the largest costs the fewest others.
        shown[largest] = Section(
            sections[largest].title, (Paragraph("This report has no room for the section; its numbers are in the run folder."),)
        )
        # Counted as nothing from now on; its one sentence is negligible.
        sizes[largest] = 0
    return page(title=title, facts=facts, sections=shown, footer=footer)


def page(*, footer: str = FOOTER, **values: object) -> str:
    """Return the HTML text; the template `report.html` shows the `values` that it needs."""
    css, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return printable(
        _template().render(css=css, script=script, footer=footer, **values)
    )  # here, as the template does not see the texts in SVG


@cache
def _template() -> Template:
    """Compile the template once."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["with_code"] = with_code
    return environment.get_template("report.html")


def with_code(text: str) -> Markup:
    """Escape a sentence, and mark what stands in backticks as code."""
    from markupsafe import Markup, escape

    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 (escaped first)
