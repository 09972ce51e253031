"""`report.html`: one file that needs nothing beside it, from what lies in the run folder."""

from __future__ import annotations

from pathlib import Path

from mmtrain.config import Experiment
from mmtrain.data.encode import Fitted
from mmtrain.reports import contents as run_contents
from mmtrain.reports.drawing import Gallery, style
from mmtrain.reports.sections import headline, sections
from mmtrain.runs import Run

HERE = Path(__file__).parent


def write(run: Run, experiment: Experiment, fitted: Fitted) -> Path:
    """Write the report of a run and its plots, from what lies in its folder. Raises RunError when a file is missing or damaged."""
    contents = run_contents.read(run, experiment, fitted)
    with style():
        found = sections(contents, Gallery(run))
    return run.write_text("report.html", page(title=str(run), facts=headline(contents), sections=found))


def page(**values: object) -> str:
    """The HTML text; see `report.html` for what it needs."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    css = (HERE / "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(css=css, **values)
