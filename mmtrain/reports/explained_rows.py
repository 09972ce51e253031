"""Section on rows that `mmtrain explain` has explained: what changed the prediction of each most, in points of probability."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from mmtrain.artifacts.command_results import probability_change
from mmtrain.errors import listed
from mmtrain.metrics.score import signed_difference
from mmtrain.reports.blocks import Cell, Paragraph, Section, Table
from mmtrain.reports.report_data import ReportData
from mmtrain.reports.wording import decimals, significant

STRONGEST = 3
"""Inputs that are named for each row."""
POINTS = (
    "Points: how much lower the probability would be without what this input adds to the output, all others as they are; each input by "
    "itself, so they do not add up."
)
NUMBERS = "Numbers: what this input adds to {explained}, in its unit, compared with the baseline."
FILES = "Heat maps and words are in the figures and tables in {folder} of the run."


def sections(contents: ReportData) -> tuple[Section, ...]:
    """Return a section for each part whose rows were explained with the weights of the run."""
    facts = contents.facts
    since = max([facts.ended or "", *(facts.resumed or ())])  # earlier explanations are those of other weights
    parts = {part for one in facts.explanations or () if one.part is None and one.when >= since for part in one.rows}
    return tuple(section for part in contents.sizes if part in parts for section in _section(contents, part))


def _section(contents: ReportData, part: str) -> Iterator[Section]:
    folder = f"explanations/{part}"
    rows, elements = (_read(contents.run / f"{folder}/{name}") for name in ("completeness.csv", "explanations.csv"))
    if rows is None or elements is None or not len(rows):
        return
    values = pd.to_numeric(elements["attribution"], errors="coerce").groupby([elements["row"], elements["column"]]).sum()
    lines = tuple(_line(row, values[row["row"]].to_dict()) for _, row in rows.iterrows() if row["row"] in values)
    head = ("Row", "Selected as", "True", "Predicted", "Probability", "What changes it most")
    table = Table(f"Explained rows of the {part} part", head, lines).without_empty_notes()
    yield Section(f"Explanations on the {part} part", (table, Paragraph(_meaning(rows, folder), tone="quiet")))


def _meaning(rows: pd.DataFrame, folder: str) -> str:
    """Return what the numbers of the table mean: points of a probability, or the unit of what is explained."""
    logit = rows.apply(_has_logit, axis=1)
    plain = [NUMBERS.format(explained=listed(rows["explained"][~logit].unique().tolist()))] if not logit.all() else []
    return " ".join([*([POINTS] if logit.any() else []), *plain, FILES.format(folder=folder)])


def _has_logit(row: pd.Series[Any]) -> bool:
    return bool(row["probability"]) and "logit of " in row["explained"]


def _line(row: pd.Series[Any], attributions: dict[str, float]) -> tuple[Cell, ...]:
    """Return the cells of one row, whose strongest inputs are in points or, of a number, in its unit."""
    strongest = sorted(attributions, key=lambda column: -abs(attributions[column]))[:STRONGEST]
    logit = _has_logit(row)
    words = []
    for column in strongest:
        if attributions[column] == 0:
            continue
        change = 100 * probability_change(float(row["probability"]), attributions[column]) if logit else attributions[column]
        size = f"{change:+.1f} points" if logit else ("+" if change > 0 else "") + significant(change)
        words.append(f"{column} {signed_difference(size)}")
    probability = f"{decimals(float(row['probability']))} of {row['explained'].partition('logit of ')[2]}" if logit else ""
    return (Cell(row["id"]), Cell(row["why"]), Cell(row["truth"]), Cell(row["prediction"]), Cell(probability), Cell(", ".join(words)))


def _read(path: Path) -> pd.DataFrame | None:
    """Read a table of `mmtrain explain` as text; None if it is gone or damaged, as the report can do without."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError):
        return None
