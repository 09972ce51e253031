"""Worst predictions: rows with the highest loss, each a card with its images and cells."""

from __future__ import annotations

from typing import Literal

from mmtrain.artifacts.results import WorstPrediction
from mmtrain.columns import Id, column_of_role
from mmtrain.reports.blocks import Card, Cards, Cell, Paragraph, Section, Thumbnail, Tone
from mmtrain.reports.report_data import ReportData, TargetResultView
from mmtrain.reports.wording import count, decimals, plain, rows_called

NOTE = (
    "Worth checking: is the answer in the table right, does the image show what it should, what do these rows have in common? "
    "Rows are numbered from 0, the first one below the header."
)
PROBABILITIES = "In parentheses: the probability that the model gave to the class."


def sections(contents: ReportData) -> tuple[Section, ...]:
    """Return a section for each part whose worst predictions the run keeps."""
    named = column_of_role(contents.columns, Id) is not None
    by_part = ((part, [view for view in contents.views(part) if view.worst_predictions]) for part in contents.parts)
    return tuple(
        Section(f"Worst predictions on {part.title}", (*(_cards(view, named=named) for view in wrong), Paragraph(NOTE, tone="quiet")))
        for part, wrong in by_part
        if wrong
    )


def _cards(view: TargetResultView, *, named: bool) -> Cards:
    """Return the cards of one target, the highest loss first."""
    rows = view.worst_predictions
    caption = f"Of the {rows_called(view)}, the {count(len(rows))} with the highest loss for {view.key}"
    return Cards(caption, tuple(_card(row, named=named) for row in rows), PROBABILITIES if rows[0].probability is not None else "")


def _card(row: WorstPrediction, *, named: bool) -> Card:
    name = f"{row.id} (row {row.row})" if named else f"row {row.row}"
    cells = tuple((key, Cell(text) if text else Cell("missing", tone="quiet")) for key, text in row.cells.items())
    images = tuple(Thumbnail(f"{key} of {name}", jpeg) for key, jpeg in row.images.items())
    answers = (("true", Cell(_answer(row, "truth"))), ("predicted", Cell(_answer(row, "prediction"), tone=_tone(row))))
    return Card(name, images, answers, cells)


def _answer(row: WorstPrediction, field: Literal["truth", "prediction"]) -> str:
    """Write an answer with its predicted probability: `malignant (0.031)`."""
    value, probability = getattr(row, field), row.probability
    text = plain(value) if isinstance(value, float) else value or "no label"
    return f"{text} ({decimals(getattr(probability, field))})" if probability else text


def _tone(row: WorstPrediction) -> Tone:
    """Return the tone of a right or wrong prediction; numbers have none, as they are never exactly right."""
    if isinstance(row.truth, float):
        return ""
    return "good" if row.truth == row.prediction else "bad"
