"""Tiles at the top of the report: the main score of each target with its interval, next to the baseline, as numbers and on a ruler."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mmtrain.errors import counted
from mmtrain.metrics.score import Score, metric_of
from mmtrain.reports.blocks import Mark, Ruler, Tile, Tiles, Tone
from mmtrain.reports.report_data import EvaluatedSplit, ReportData, TargetResultView
from mmtrain.reports.target_results.group_scores import GroupData
from mmtrain.reports.wording import count, format_score, in_sentence, limits, main_score_of, outcome, rows_called, title, verdict

MARGIN = 0.1
"""Room at the ends of a ruler without natural ends, as a share of what it shows."""


def tiles(contents: ReportData, part: EvaluatedSplit) -> Tiles:
    """Return a tile for every target of a part."""
    return Tiles(tuple(_tile(contents, view) for view in contents.views(part)))


def _tile(contents: ReportData, view: TargetResultView) -> Tile:
    name = main_score_of(contents, view)
    score, baseline = view.scores[name], view.baseline.scores[name]
    heading = f"{title(name)} of {view.key} on {rows_called(view)}"
    if score.value is None:
        return Tile(heading, "undefined", "", score.undefined or "", "bad", None)
    percent = view.interval.percent if view.interval else ""
    interval = f"{percent} interval {limits(name, score)}" if score.interval else "without an interval"
    compared = f"Baseline ({view.baseline.label}): {_value(name, baseline)}. {verdict(contents, view).strong}"
    tone: Tone = "good" if outcome(name, score, baseline, view.difference(name)) == "better" else "bad"
    return Tile(heading, format_score(name, score.value), interval, compared, tone, ruler(name, score, baseline), in_rows(view))


def in_rows(view: TargetResultView) -> str:
    """Say in numbers of rows what the predictions of a target are worth; empty for targets without classes or absolute errors."""
    matrix, classes = view.result.confusion_matrix(), view.result.classes
    if len(classes) == 2:
        (right, alarms), (missed, found) = matrix.tolist()
        fate = f"{count(found)} {_are(found)} found and {count(missed)} {_are(missed)} missed"
        positive = f"Of {counted(missed + found, 'row')} of {classes[1]}, {fate}."
        return f"{positive} Of the {counted(right + alarms, 'other')}, {count(alarms)} {_are(alarms)} taken for {classes[1]}."
    if len(classes) > 2 and matrix.sum():
        right, errors = int(matrix.trace()), matrix * (1 - np.eye(len(classes), dtype=np.int64))
        true, predicted = np.unravel_index(errors.argmax(), errors.shape)
        most = int(errors[true, predicted])
        every = f"{count(right)} of {counted(int(matrix.sum()), 'row')} {_are(right)} predicted correctly."
        confused = (
            f"{count(most)} of {counted(int(matrix[true].sum()), 'row')} of {classes[true]} {_are(most)} taken for {classes[predicted]}"
        )
        return f"{every} The most frequent error: {confused}." if most else every
    error = view.scores.get("median_absolute_error")
    if error is None or error.value is None:
        return ""
    return f"Half of the predictions are off by {format_score('median_absolute_error', error.value)} or less."


def _are(rows: int) -> str:
    return "is" if rows == 1 else "are"


GROUP_VERDICTS: Mapping[str, tuple[str, Tone]] = {
    "better": (" The model beats the baseline.", "good"),
    "open": (" The model is not shown to beat the baseline.", "bad"),
    "unknown": ("", ""),
}
"""Verdict on a group of trainings, and the tone of its tile, by `GroupData.outcome`."""


def group_tiles(contents: GroupData) -> Tiles:
    """Return a tile for every target of a group of trainings."""
    return Tiles(tuple(_group_tile(contents, key) for key in contents.result.targets))


def _group_tile(contents: GroupData, key: str) -> Tile:
    result, score, baseline = contents.result, contents.main_score(key), contents.baseline_score(key)
    name, trained = score.name, result.targets[key][score.name]
    rows = counted(result.rows, "out-of-fold row" if result.predictions else "validation row")
    heading = f"{title(name)} of {key} on {rows}, {result.trainings}"
    if score.value is None:
        return Tile(heading, "undefined", "", score.undefined or "", "bad", None)
    interval = f"{contents.percent} interval {limits(name, score)}" if score.interval else "without an interval"
    if not result.predictions and trained.deviation is not None:
        interval = f"standard deviation over seeds {format_score(name, trained.deviation)}"
    if baseline is None:
        return Tile(heading, format_score(name, score.value), interval, "", "", None)
    conclusion, tone = GROUP_VERDICTS[contents.outcome(key)]
    compared = f"Baseline ({contents.baselines[key].label}): {_value(name, baseline)}.{conclusion}"
    return Tile(heading, format_score(name, score.value), interval, compared, tone, ruler(name, score, baseline))


def _value(name: str, score: Score) -> str:
    return "undefined" if score.value is None else format_score(name, score.value)


def ruler(name: str, score: Score, baseline: Score, compared: str = "baseline") -> Ruler | None:
    """Return the ruler of a score with a value: over the whole range of a metric with two ends, else over the numbers that it shows.

    `compared` names what `baseline` is the score of.
    """
    assert score.value is not None  # noqa: S101
    metric = metric_of(name)
    shown = [score.value, *(score.interval or ()), *([] if baseline.value is None else [baseline.value])]
    start, end = metric.minimum, metric.maximum
    if not (math.isfinite(start) and math.isfinite(end)):
        room = MARGIN * (max(shown) - min(shown))
        start, end = max(metric.minimum, min(shown) - room), min(metric.maximum, max(shown) + room)
    if end <= start:
        return None
    low, high = (None, None) if score.interval is None else ((one - start) / (end - start) for one in score.interval)
    other = None if baseline.value is None else Mark((baseline.value - start) / (end - start), format_score(name, baseline.value))
    words = f"{in_sentence(name)} {format_score(name, score.value)}"
    words += f", interval {limits(name, score)}" if score.interval else ""
    words += "" if other is None else f", {compared} {other.label}"
    mark = Mark((score.value - start) / (end - start), format_score(name, score.value))
    return Ruler(
        format_score(name, start),
        format_score(name, end),
        mark,
        low,
        high,
        other,
        f"{words}, from {format_score(name, start)} to {format_score(name, end)}",
    )
