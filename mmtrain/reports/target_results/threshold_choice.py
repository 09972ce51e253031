"""Consequences of other thresholds of a binary target: a slider, and the same as a table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mmtrain.metrics.labels.auc import threshold_counts
from mmtrain.reports.blocks import Block, Cell, Paragraph, Table, ThresholdSlider, number
from mmtrain.reports.report_data import TargetResultView
from mmtrain.reports.wording import count, decimals, rows_called, significant
from mmtrain.targets.decides import UNCHOSEN

SLIDER_POINTS = 200
"""Maximum number of thresholds of the slider, at equal shares of the rows; a page needs about 20 bytes for each."""
TABLE_POINTS = 9
CAUTION = (
    "A threshold that is chosen on these rows looks better than it is: choose it on validation rows with `evaluation.threshold`, and "
    "read here what others would cost."
)

Point = tuple[float, int, int]


def blocks(view: TargetResultView) -> tuple[Block, ...]:
    """Return the slider and the table; nothing unless both classes occur. The part must have `rows`."""
    codes = view.target.parse_truth({"truth": view.texts("truth")})
    truth = codes[codes >= 0].astype(np.int64)  # negative codes are unknown answers
    probability = view.numbers(f"probability_{view.target.columns[1]}")[codes >= 0]
    if not 0 < truth.sum() < len(truth):
        return ()
    in_use = view.target.decision_threshold or UNCHOSEN
    points, start = threshold_points(truth, probability, in_use, SLIDER_POINTS)
    positives = int(truth.sum())
    slider = ThresholdSlider(view.key, view.target.columns[1], points, start, positives, len(truth) - positives)
    rows, used = threshold_points(truth, probability, in_use, TABLE_POINTS)
    return Paragraph(CAUTION), slider, _table(view, slider, rows, used)


def threshold_points(
    truth: npt.NDArray[np.int64], probability: npt.NDArray[np.float64], in_use: float, most: int
) -> tuple[tuple[Point, ...], int]:
    """Return at most `most` thresholds between the rows and the one in use, ascending, with hits and false alarms, and its place.

    A shown threshold is rounded down to four digits, so that the row it belongs to is still at or above it.
    """
    hits, alarms = threshold_counts(truth, probability)
    levels = np.unique(probability)
    places = np.unique(np.linspace(0, len(levels) - 1, min(most, len(levels))).round().astype(np.int64))
    points = {}
    for threshold in (*(np.floor(levels[places] * 1e4) / 1e4).tolist(), in_use):
        # Rows from this threshold on: of the counts, which descend from the highest level, those down to its level.
        above = len(levels) - int(np.searchsorted(levels, threshold, side="left"))
        shown = float(f"{threshold:.4g}")
        points[shown] = (shown, int(hits[above - 1]), int(alarms[above - 1])) if above else (shown, 0, 0)
    ordered = tuple(points[threshold] for threshold in sorted(points))
    return ordered, sorted(points).index(float(f"{in_use:.4g}"))


def _table(view: TargetResultView, slider: ThresholdSlider, points: tuple[Point, ...], used: int) -> Table:
    lines = []
    for place, (threshold, hits, alarms) in enumerate(points):
        right = slider.negatives - alarms
        shares = ((hits, slider.positives), (right, slider.negatives), (hits, hits + alarms), (right, right + slider.positives - hits))
        name = f"{significant(threshold)}{' (in use)' if place == used else ''}"
        lines.append((Cell(name, number=True), number(count(hits + alarms)), *(_share(part, of) for part, of in shares)))
    head = ("Threshold", f"Predicted {slider.positive}", "Sensitivity", "Specificity", "PPV", "NPV")
    note = "PPV and NPV, the shares of positive and negative predictions that are right, hold for the class shares of these rows only."
    return Table(f"Thresholds of {view.key} on the {rows_called(view)}", head, tuple(lines), note)


def _share(part: int, of: int) -> Cell:
    return number(decimals(part / of)) if of else number("undefined", tone="quiet")
