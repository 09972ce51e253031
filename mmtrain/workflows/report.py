"""What a person reads of a run, written anew by `fit` and by every `evaluate`."""

from __future__ import annotations

from pathlib import Path

from mmtrain import config
from mmtrain.data import encode
from mmtrain.runs import Run


def write_report(run: Run) -> Path:
    """report.html with its plots and tables, and model_card.md, from what lies in the run folder."""
    from mmtrain.reports.report import write

    return write(run, config.load(run / "config.yaml"), encode.read_fitted(run.read_json("columns.json")))
