"""Sections on the scores of each target and each evaluated part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mmtrain.errors import counted
from mmtrain.metrics.classification import f1
from mmtrain.metrics.score import Score
from mmtrain.reports.blocks import Block, Cell, Paragraph, Plots, Section, Table, Tone, number
from mmtrain.reports.figures.plot_selection import of_confusion, of_target
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.report_data import EvaluatedSplit, ReportData, TargetResultView, label_counts
from mmtrain.reports.target_results import baselines, input_importance, postprocessing, subgroups
from mmtrain.reports.wording import (
    CAVEATS,
    Outcome,
    between,
    count,
    direction,
    format_score,
    limits,
    main_score_of,
    outcome,
    percent,
    rows_called,
    title,
    unknown_labels,
)

MOST_COLUMNS = 12
"""Classes up to which the confusion matrix is a table; more are drawn."""
MOST_ROWS = 200
COMPARED: Mapping[Outcome, tuple[str, Tone]] = {
    "better": ("better", "good"),
    "worse": ("worse", "bad"),
    "same": ("the same", ""),
    "open": ("not shown to differ", "quiet"),
    "undefined": ("–", "quiet"),
}


def sections(contents: ReportData, gallery: FigureWriter) -> tuple[Section, ...]:
    """A section per part, the newest first."""
    return tuple(_part(contents, part, gallery) for part in contents.parts)


def _part(contents: ReportData, part: EvaluatedSplit, gallery: FigureWriter) -> Section:
    start: tuple[Block, ...] = (Paragraph(CAVEATS[part.label]),) if part.label in CAVEATS else ()
    if part.rows is None:
        start += (Paragraph(f"predictions_{part.label}.csv is no longer in the run, so there are no plots."),)
    heading, found = f"Results on {part.title}", contents.judged(part)
    if contents.several:
        each = tuple(Section(judged.key, _scores(contents, judged, gallery), _analyses(judged, gallery)) for judged in found)
        return Section(heading, start, each)
    blocks = (block for judged in found for block in _scores(contents, judged, gallery))
    return Section(heading, (*start, *blocks), tuple(section for judged in found for section in _analyses(judged, gallery)))


def _scores(contents: ReportData, judged: TargetResultView, gallery: FigureWriter) -> tuple[Block, ...]:
    # The summary has the verdicts on the newest part.
    blocks: list[Block] = [] if judged.part is contents.parts[0] else [*baselines.verdicts(contents, judged)]
    if judged.result.unknown_answers:
        unknown = counted(judged.result.unknown_answers, "row")
        blocks.append(Paragraph(f"{unknown} left out of the scores: the answer is missing, or training did not have it."))
    if judged.result.unknown_labels:
        blocks.append(Paragraph(f"Labels that are not known, left out row by row: {unknown_labels(judged.result.unknown_labels)}."))
    blocks.append(scores_table(judged))
    blocks += baselines.blocks(judged, main_score_of(contents, judged))
    if judged.result.classes:
        blocks += _classes(judged, gallery)
    if judged.target.label_metrics:
        blocks.append(labels_table(judged))
    if judged.part.rows is not None:
        plots = of_target(judged, gallery)
        blocks += [Plots(plots)] if plots else []
    return tuple(blocks)


def _analyses(judged: TargetResultView, gallery: FigureWriter) -> tuple[Section, ...]:
    """Return a section for each kind of analysis that was computed."""
    found = {
        "Probabilities and decisions": tuple(postprocessing.blocks(judged)),
        "Inputs": input_importance.blocks(judged, gallery),
        "Subgroups": subgroups.blocks(judged, gallery),
    }
    return tuple(Section(title, blocks) for title, blocks in found.items() if blocks)


def scores_table(judged: TargetResultView) -> Table:
    """Every score of all rows together with the baseline's, and which direction is better."""
    lines, drawing = [], judged.interval
    for name, score in judged.scores.items():
        if "[" in name:
            continue
        theirs = judged.baseline.scores[name]
        compared, tone = COMPARED[outcome(name, score, theirs, judged.difference(name))]
        interval = (number(between(name, score), tone="" if score.interval else "quiet"),) if drawing else ()
        values = (_value(name, score), *interval, _value(name, theirs))
        lines.append((Cell(title(name)), *values, Cell(compared, tone=tone), Cell(direction(name)), _remark(score, theirs)))
    caption = f"Scores of {judged.key} on the {rows_called(judged)}"
    intervals = (f"{drawing.percent} interval",) if drawing else ()
    head = ("Score", "Model", *intervals, "Baseline", "Model is", "Better when", "Note")
    note = f"Baseline — {judged.baseline.name}.{f' Intervals — {drawing.text}.' if drawing else ''}"
    return Table(caption, head, tuple(lines), note, csv=judged.csv("scores")).without_empty_notes()


def _value(name: str, score: Score) -> Cell:
    if score.value is None:
        return number("undefined", tone="quiet")
    return number(format_score(name, score.value))


def _remark(mine: Score, theirs: Score) -> Cell:
    """Reasons of what is undefined, and notes; the baseline's where it says something else."""
    remarks = [mine.undefined, mine.note]
    other = theirs.undefined
    if other and other not in remarks:
        remarks.append(f"Baseline: {other}")
    return Cell(" ".join(remark for remark in remarks if remark))


def _classes(judged: TargetResultView, gallery: FigureWriter) -> list[Block]:
    matrix, classes = judged.result.confusion_matrix(), judged.result.classes
    plot = of_confusion(judged, matrix, classes, gallery)
    blocks: list[Block] = (
        [confusion_table(judged.key, matrix, classes, csv=judged.csv("confusion"))]
        if len(classes) <= MOST_COLUMNS
        else [Plots((plot,), wide=True)]
    )
    return [*blocks, classes_table(judged.key, matrix, classes, csv=judged.csv("classes"))] if len(classes) > 2 else blocks


def confusion_table(key: str, matrix: npt.NDArray[np.int64], classes: Sequence[str], *, csv: str) -> Table:
    """Counts and shares of the true class; the diagonal is right."""
    lines = []
    for name, row in zip(classes, matrix.tolist(), strict=True):
        total = sum(row)
        shares = [cell / total if total else 0.0 for cell in row]
        cells = [
            number(f"{count(cell)} ({percent(share)})" if total else "0", share=share) for cell, share in zip(row, shares, strict=True)
        ]
        lines.append((Cell(name), *cells, number(count(total))))
    head = ("True class", *classes, "All")
    return Table(
        f"Confusion matrix of {key}", head, tuple(lines), "Rows, and their share of the true class.", over="Predicted class", csv=csv
    )


def classes_table(key: str, matrix: npt.NDArray[np.int64], classes: Sequence[str], *, csv: str) -> Table:
    """Recall, precision and F1 of every class."""
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
    if any("undefined" in cell.text for line in lines for cell in line[3:]):
        notes.append("Undefined: recall of a class without rows, precision of a class that is never predicted, F1 of a class with neither.")
    if len(classes) > MOST_ROWS:
        notes.append(f"The first {MOST_ROWS} of {count(len(classes))} classes; the rest is in the file.")
    head = ("Class", "Rows", "Predicted", "Recall", "Precision", "F1")
    return Table(f"Classes of {key}", head, tuple(lines), " ".join(notes), csv=csv)


def _share(part: int, of: int) -> Cell:
    return number(format_score("f1", part / of)) if of else number("undefined", tone="quiet")


def labels_table(judged: TargetResultView) -> Table:
    """The scores of every label, the baseline's in parentheses."""
    rows = label_counts(judged)
    lines = []
    for label in judged.target.columns[:MOST_ROWS]:
        names = [f"{metric.name}[{label}]" for metric in judged.target.label_metrics]
        found = [(name, judged.scores[name], judged.baseline.scores[name]) for name in names]
        reasons = dict.fromkeys(score.undefined for _, score, _ in found if score.value is None)
        cells = [_with_baseline(name, mine, theirs) for name, mine, theirs in found]
        lines.append((Cell(label), number("–" if rows is None else count(rows[label])), *cells, Cell(" ".join(reasons))))
    intervals = f"Behind the comma: the {judged.interval.percent} interval. " if judged.interval else ""
    note = f"{intervals}In parentheses: the baseline."
    if len(judged.target.columns) > MOST_ROWS:
        note += f" The first {MOST_ROWS} of {count(len(judged.target.columns))} labels; the rest is in the file."
    head = ("Label", "Rows", *(metric.title for metric in judged.target.label_metrics), "Note")
    return Table(f"Labels of {judged.key}", head, tuple(lines), note, csv=judged.csv("scores")).without_empty_notes()


def _with_baseline(name: str, mine: Score, theirs: Score) -> Cell:
    if mine.value is None:
        return number("undefined", tone="quiet")
    baseline = "undefined" if theirs.value is None else format_score(name, theirs.value)
    interval = f", {limits(name, mine)}" if mine.interval else ""
    return number(f"{format_score(name, mine.value)}{interval} ({baseline})")
