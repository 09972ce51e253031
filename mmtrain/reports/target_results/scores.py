"""Sections on each evaluated part: the scores of each target, and its worst predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from mmtrain.artifacts.analysis_results import AnalysisTable
from mmtrain.artifacts.results import WorstPrediction
from mmtrain.columns import Id, column_of_role
from mmtrain.errors import counted
from mmtrain.metrics.labels.classification import f1
from mmtrain.metrics.score import Score
from mmtrain.reports.blocks import Block, Card, Cards, Cell, Paragraph, Plots, Section, Table, Thumbnail, Tone, number
from mmtrain.reports.figures.plot_selection import of_confusion, of_target
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.report_data import EvaluatedSplit, ReportData, TargetResultView, label_counts
from mmtrain.reports.target_results import baselines, input_importance, postprocessing, subgroups, threshold_choice
from mmtrain.reports.wording import (
    CAVEATS,
    Outcome,
    between,
    cell_text,
    count,
    decimals,
    direction,
    format_score,
    limits,
    main_score_of,
    outcome,
    percent,
    plain,
    rows_called,
    title,
    unknown_labels,
)

MOST_COLUMNS = 25
"""Maximum number of classes for a confusion matrix as a table; more are drawn as a plot."""
MOST_WIDE = 6
"""Maximum number of classes whose cells also have shares and whose headings are level; more would not fit on a page."""
MOST_ROWS = 200
COMPARED: Mapping[Outcome, tuple[str, Tone]] = {
    "better": ("better", "good"),
    "worse": ("worse", "bad"),
    "same": ("the same", ""),
    "open": ("not shown to differ", "quiet"),
    "undefined": ("–", "quiet"),
}


def sections(contents: ReportData, writer: FigureWriter) -> tuple[Section, ...]:
    """Return a section per part, in the order of `ReportData.parts`."""
    return tuple(_part(contents, part, writer) for part in contents.parts)


def _part(contents: ReportData, part: EvaluatedSplit, writer: FigureWriter) -> Section:
    start: tuple[Block, ...] = (Paragraph(CAVEATS[part.label]),) if part.label in CAVEATS else ()
    # Plots are drawn from single predictions.
    if part.rows is None:
        start += (Paragraph(f"The run folder has no predictions_{part.label}.csv any more, so there are no plots."),)
    heading, views = f"Results on {part.title}", contents.views(part)
    # One target needs no heading of its own.
    if contents.several:
        each = tuple(Section(view.key, _scores(contents, view, writer), _analyses(view, writer)) for view in views)
        return Section(heading, start, each)
    blocks = (block for view in views for block in _scores(contents, view, writer))
    return Section(heading, (*start, *blocks), tuple(section for view in views for section in _analyses(view, writer)))


def _scores(contents: ReportData, view: TargetResultView, writer: FigureWriter) -> tuple[Block, ...]:
    # The summary has the verdicts on the newest part.
    blocks: list[Block] = [] if view.part is contents.parts[0] else [*baselines.verdicts(contents, view)]
    if view.result.unknown_answers:
        unknown = counted(view.result.unknown_answers, "row")
        blocks.append(Paragraph(f"{unknown} left out of the scores: the answer is missing or not in the training rows."))
    if view.result.unknown_labels:
        blocks.append(Paragraph(f"Unknown labels, left out row by row: {unknown_labels(view.result.unknown_labels)}."))
    blocks.append(scores_table(view))
    blocks += baselines.blocks(view, main_score_of(contents, view))
    if view.result.classes:
        blocks += _classes(view, writer)
    if view.target.label_metrics:
        blocks.append(labels_table(view))
    if view.part.rows is not None:
        plots = of_target(view, writer)
        blocks += [Plots(plots)] if plots else []
        blocks += threshold_choice.blocks(view) if view.target.thresholdable else ()
    return tuple(blocks)


def _analyses(view: TargetResultView, writer: FigureWriter) -> tuple[Section, ...]:
    """Return a section for each kind of analysis that was computed."""
    analyses = {
        "Probabilities and decisions": tuple(postprocessing.blocks(view)),
        "Inputs": input_importance.blocks(view, writer),
        "Subgroups": subgroups.blocks(view, writer),
        "Further analyses": tuple(analysis_table(name, table) for name, table in view.result.analyses.items()),
    }
    return tuple(Section(title, blocks) for title, blocks in analyses.items() if blocks)


def analysis_table(name: str, table: AnalysisTable) -> Table:
    """Tabulate a registered analysis."""
    rows = tuple(tuple(Cell(cell_text(value), number=isinstance(value, int | float)) for value in row) for row in table.rows)
    return Table(table.caption or name, tuple(table.head), rows, table.note)


def scores_table(view: TargetResultView) -> Table:
    """Tabulate every score of all rows together, next to that of the baseline, with the better direction."""
    lines, drawing = [], view.interval
    for name, score in view.scores.items():
        if "[" in name:
            continue
        theirs = view.baseline.scores[name]
        compared, tone = COMPARED[outcome(name, score, theirs, view.difference(name))]
        interval = (number(between(name, score), tone="" if score.interval else "quiet"),) if drawing else ()
        values = (_value(name, score), *interval, _value(name, theirs))
        lines.append((Cell(title(name)), *values, Cell(compared, tone=tone), Cell(direction(name)), _remark(score, theirs)))
    caption = f"Scores of {view.key} on the {rows_called(view)}"
    intervals = (f"{drawing.percent} interval",) if drawing else ()
    head = ("Score", "Model", *intervals, "Baseline", "Model is", "Better when", "Note")
    note = f"Baseline — {view.baseline.name}.{f' Intervals — {drawing.text}.' if drawing else ''}"
    return Table(caption, head, tuple(lines), note, csv=view.csv("scores")).without_empty_notes()


def _value(name: str, score: Score) -> Cell:
    if score.value is None:
        return number("undefined", tone="quiet")
    return number(format_score(name, score.value))


def _remark(mine: Score, theirs: Score) -> Cell:
    """Return the reason for an undefined score, its note, and the reason of the baseline if it differs."""
    remarks = [mine.undefined, mine.note]
    other = theirs.undefined
    if other and other not in remarks:
        remarks.append(f"Baseline: {other}")
    return Cell(" ".join(remark for remark in remarks if remark))


def _classes(view: TargetResultView, writer: FigureWriter) -> list[Block]:
    matrix, classes = view.result.confusion_matrix(), view.result.classes
    plot = of_confusion(view, matrix, classes, writer)
    blocks: list[Block] = (
        [confusion_table(view.key, matrix, classes, csv=view.csv("confusion"))]
        if len(classes) <= MOST_COLUMNS
        else [Plots((plot,), wide=True)]
    )
    # With two classes, recall and precision are in the table of scores.
    return [*blocks, classes_table(view.key, matrix, classes, csv=view.csv("classes"))] if len(classes) > 2 else blocks


def confusion_table(key: str, matrix: npt.NDArray[np.int64], classes: Sequence[str], *, csv: str) -> Table:
    """Tabulate counts, and shares of the true class, of a confusion matrix (classes, classes)."""
    wide = len(classes) <= MOST_WIDE
    lines = []
    for place, (name, row) in enumerate(zip(classes, matrix.tolist(), strict=True)):
        # A class without rows has no shares.
        total = max(1, sum(row))
        cells = [
            number(
                f"{count(cell)} ({percent(cell / total)})" if wide and sum(row) else count(cell),
                share=cell / total,
                tone="" if column == place else "bad" if cell else "quiet",
            )
            for column, cell in enumerate(row)
        ]
        lines.append((Cell(name), *cells, number(count(sum(row)))))
    head = ("True class", *classes, "All")
    shares = ", and their share of the true class" if wide else ""
    note = f"Rows{shares}. The darker, the larger the share of the true class; errors are orange."
    return Table(f"Confusion matrix of {key}", head, tuple(lines), note, over="Predicted class", csv=csv, matrix=not wide)


def classes_table(key: str, matrix: npt.NDArray[np.int64], classes: Sequence[str], *, csv: str) -> Table:
    """Tabulate recall, precision and F1 of every class."""
    each_f1 = f1(np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0))
    lines = []
    for place, name in list(enumerate(classes))[:MOST_ROWS]:
        rows, called, right = int(matrix[place].sum()), int(matrix[:, place].sum()), int(matrix[place, place])
        lines.append(
            (
                Cell(name),
                number(count(rows)),
                number(count(called)),
                _share(right, rows),
                _share(right, called),
                number("undefined", tone="quiet") if np.isnan(each_f1[place]) else number(format_score("f1", float(each_f1[place]))),
            )
        )
    notes = []
    # The last three cells are the scores.
    if any("undefined" in cell.text for line in lines for cell in line[3:]):
        notes.append("Undefined: recall of a class without rows, precision of a class that is never predicted, F1 of a class with neither.")
    if len(classes) > MOST_ROWS:
        notes.append(f"The first {MOST_ROWS} of {count(len(classes))} classes; the file has all of them.")
    head = ("Class", "Rows", "Predicted", "Recall", "Precision", "F1")
    return Table(f"Classes of {key}", head, tuple(lines), " ".join(notes), csv=csv)


def _share(part: int, of: int) -> Cell:
    return number(format_score("f1", part / of)) if of else number("undefined", tone="quiet")


def labels_table(view: TargetResultView) -> Table:
    """Tabulate the scores of every label, with those of the baseline in parentheses."""
    rows = label_counts(view)
    lines = []
    for label in view.target.columns[:MOST_ROWS]:
        names = [f"{metric.name}[{label}]" for metric in view.target.label_metrics]
        pairs = [(name, view.scores[name], view.baseline.scores[name]) for name in names]
        # Each reason once, in the order of the scores.
        reasons = dict.fromkeys(score.undefined for _, score, _ in pairs if score.value is None)
        cells = [_with_baseline(name, mine, theirs) for name, mine, theirs in pairs]
        lines.append((Cell(label), number("–" if rows is None else count(rows[label])), *cells, Cell(" ".join(reasons))))
    intervals = f"After the comma: the {view.interval.percent} interval. " if view.interval else ""
    note = f"{intervals}In parentheses: the baseline."
    if len(view.target.columns) > MOST_ROWS:
        note += f" The first {MOST_ROWS} of {count(len(view.target.columns))} labels; the file has all of them."
    head = ("Label", "Rows", *(metric.title for metric in view.target.label_metrics), "Note")
    return Table(f"Labels of {view.key}", head, tuple(lines), note, csv=view.csv("scores")).without_empty_notes()


def _with_baseline(name: str, mine: Score, theirs: Score) -> Cell:
    if mine.value is None:
        return number("undefined", tone="quiet")
    baseline = "undefined" if theirs.value is None else format_score(name, theirs.value)
    interval = f", {limits(name, mine)}" if mine.interval else ""
    return number(f"{format_score(name, mine.value)}{interval} ({baseline})")


WORST_NOTE = (
    "Worth checking: is the answer in the table right, does the image show what it should, what do these rows have in common? "
    "Rows are numbered from 0, the first one below the header."
)
PROBABILITIES = "In parentheses: the probability that the model gave to the class."


def worst_predictions(contents: ReportData) -> tuple[Section, ...]:
    """Return a section for each part with stored worst predictions: a card per row, with its images and cells."""
    named = column_of_role(contents.columns, Id) is not None
    by_part = ((part, [view for view in contents.views(part) if view.worst_predictions]) for part in contents.parts)
    return tuple(
        Section(f"Worst predictions on {part.title}", (*(_cards(view, named=named) for view in wrong), Paragraph(WORST_NOTE, tone="quiet")))
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
