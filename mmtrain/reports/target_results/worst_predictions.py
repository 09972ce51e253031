"""The worst predictions: rows with the highest loss, each a card with its images and cells."""

from __future__ import annotations

from typing import Literal

from mmtrain.artifacts.results import WorstPrediction
from mmtrain.columns import Id, column_of_role
from mmtrain.reports.blocks import Card, Cards, Cell, Paragraph, Section, Thumbnail, Tone
from mmtrain.reports.report_data import ReportData, TargetResultView
from mmtrain.reports.wording import count, decimals, plain, rows_called

NOTE = (
    "Worth a look: is the answer in the table right, does the image show what it should, what do these rows have in common? "
    "Rows are counted from 0, the first one under the header."
)
PROBABILITIES = "In parentheses: the probability that the model gave to the class."


def sections(contents: ReportData) -> tuple[Section, ...]:
    """Return a section for each part whose worst predictions the run keeps."""
    named = column_of_role(contents.columns, Id) is not None
    found = ((part, [judged for judged in contents.judged(part) if judged.worst_predictions]) for part in contents.parts)
    return tuple(
        Section(f"Worst predictions on {part.title}", (*(_cards(judged, named=named) for judged in wrong), Paragraph(NOTE, tone="quiet")))
        for part, wrong in found
        if wrong
    )


def _cards(judged: TargetResultView, *, named: bool) -> Cards:
    """The worst first."""
    rows = judged.worst_predictions
    caption = f"Of the {rows_called(judged)}, the {count(len(rows))} with the highest loss for {judged.key}"
    return Cards(caption, tuple(_card(row, named=named) for row in rows), PROBABILITIES if rows[0].probability is not None else "")


def _card(row: WorstPrediction, *, named: bool) -> Card:
    name = f"{row.id} (row {row.row})" if named else f"row {row.row}"
    cells = tuple((key, Cell(text) if text else Cell("missing", tone="quiet")) for key, text in row.cells.items())
    images = tuple(Thumbnail(f"{key} of {name}", jpeg) for key, jpeg in row.images.items())
    return Card(name, images, (("true", Cell(_told(row, "truth"))), ("predicted", Cell(_told(row, "prediction"), tone=_tone(row)))), cells)


def _told(row: WorstPrediction, answer: Literal["truth", "prediction"]) -> str:
    """`malignant (0.031)`, with the probability that the model gave to it."""
    value, given = getattr(row, answer), row.probability
    said = plain(value) if isinstance(value, float) else value or "no label"
    return f"{said} ({decimals(getattr(given, answer))})" if given else said


def _tone(row: WorstPrediction) -> Tone:
    """A number is never quite right, so of numbers nothing is said."""
    if isinstance(row.truth, float):
        return ""
    return "good" if row.truth == row.prediction else "bad"
