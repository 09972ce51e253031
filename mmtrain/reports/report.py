"""Writing `report.html` and its companions, self-contained files, from the run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.artifacts.run_folder import Run
from mmtrain.columns import Column
from mmtrain.config.training import Training
from mmtrain.data.encode import Fitted
from mmtrain.data.tables.csv_text import TOLD
from mmtrain.reports import csv_tables, model_card
from mmtrain.reports import report_data as run_contents
from mmtrain.reports.blocks import Paragraph, Section
from mmtrain.reports.figures.plot_style import FigureWriter, style
from mmtrain.reports.sections import headline, sections
from mmtrain.text.printable import printable

if TYPE_CHECKING:
    from jinja2 import Template

HERE = Path(__file__).parent
MOST = 4_800_000
"""Bytes of the page; sections that it has no room for are only named."""

FOOTER = "Written by mmtrain. Every plot also lies in the folder plots of the run, as PNG, and the files named here lie beside this page."


def write(run: Run, columns: Mapping[str, Column], training: Training, fitted: Fitted) -> Path:
    """Write report.html, its plots, its numbers as CSV and model_card.md. Raises RunError when a file of the run is missing or damaged."""
    contents = run_contents.read(run, columns, training, fitted)
    formulas = csv_tables.write(run, contents)
    run.write_text("model_card.md", model_card.text(contents, _read(run / "model_card.md")))
    with style():
        found = sections(contents, FigureWriter(run))
    footer = f"{FOOTER} {TOLD}" if formulas else FOOTER
    return run.write_text("report.html", limit_size(found, title=str(run), facts=headline(contents), footer=footer))


def _read(path: Path) -> str:
    """A text of its owner, from whatever editor; empty where there is none."""
    content = path.read_bytes() if path.is_file() else b""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def limit_size(found: Sequence[Section], *, title: str, facts: Sequence[str], footer: str = FOOTER, most: int = MOST) -> str:
    """The page of these sections, the largest of them left out until it has at most `most` bytes."""
    text = page(title=title, facts=facts, sections=found, footer=footer)
    if len(text.encode()) <= most:
        return text
    sizes = [len(page(title=title, facts=facts, sections=(section,)).encode()) for section in found]
    kept = list(found)
    while sum(sizes) > most and max(sizes):
        largest = sizes.index(max(sizes))
        kept[largest] = Section(
            found[largest].title, (Paragraph("This report has no room for the section; its numbers are in the run folder."),)
        )
        sizes[largest] = 0
    return page(title=title, facts=facts, sections=kept, footer=footer)


def page(*, footer: str = FOOTER, **values: object) -> str:
    """The HTML text; see `report.html` for what it needs."""
    css = (HERE / "report.css").read_text(encoding="utf-8")
    return printable(_template().render(css=css, footer=footer, **values))  # of plots and networks too, which are no text to the template


@cache
def _template() -> Template:
    """Compiled once."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html")
