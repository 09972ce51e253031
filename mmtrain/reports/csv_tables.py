"""Numbers of the report in full, as CSV files in the run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.artifacts.analysis_results import RowSubset
from mmtrain.artifacts.results import TargetResult
from mmtrain.artifacts.run_folder import Run
from mmtrain.data.tables.csv_text import csv_text, is_formula
from mmtrain.metrics.bootstrap_counts import weighted_mean
from mmtrain.metrics.labels.classification import f1
from mmtrain.metrics.score import Estimate, Score, Scores
from mmtrain.reports.report_data import EvaluatedSplit, ReportData

Line = dict[str, Any]
EPOCHS = "epochs.csv"
"""Numbers of the learning curves."""
SCORES = ("target", "predictor", "score", "value", "low", "high", "difference", "difference_low", "difference_high", "rows", "note")
"""Differences are the value of the model minus that of the baseline, with the interval of the difference."""
CONFUSION = ("target", "true", "predicted", "rows")
CLASSES = ("target", "class", "rows", "predicted", "recall", "precision", "f1")


def write(run: Run, contents: ReportData) -> bool:
    """Write the files; a file without rows is not written, and one from an earlier evaluation is removed.

    They are made for spreadsheets: a cell that would run as a formula gets an apostrophe. Return True if there are such cells.
    """
    changed = _write(run, EPOCHS, pd.DataFrame([{"epoch": line.epoch, **line.values} for line in contents.epochs]))
    for part in contents.parts:
        tables = {"scores": scores(part), "confusion": confusion(part), "classes": classes(part)}
        for kind, table in (tables | analyses(part.results)).items():
            changed |= _write(run, f"{kind}_{part.label}.csv", table)
    return changed


def _write(run: Run, name: str, table: pd.DataFrame) -> bool:
    # An old file would be read as part of this evaluation.
    if not len(table):
        (run / name).unlink(missing_ok=True)
        return False
    run.write_text(name, csv_text(table, spreadsheet=True))
    return bool(table.map(is_formula).to_numpy().any())


def scores(part: EvaluatedSplit) -> pd.DataFrame:
    """Return a line per target, predictor and score."""
    return pd.DataFrame(_scores(part), columns=list(SCORES))


def confusion(part: EvaluatedSplit) -> pd.DataFrame:
    """Return a line per target, true and predicted class; if a target has many classes, only for pairs with rows."""
    return pd.DataFrame(_confusion(part), columns=list(CONFUSION))


def classes(part: EvaluatedSplit) -> pd.DataFrame:
    """Return a line per target and class."""
    return pd.DataFrame(_classes(part), columns=list(CLASSES))


def _scores(part: EvaluatedSplit) -> Iterator[tuple[Any, ...]]:
    for key, result in part.results.items():
        model: list[tuple[str, Scores, Scores]] = [("model", result.scores, {})]
        # The model has no differences from itself.
        for name, scores, differences in (*model, *((one.name, one.scores, one.differences) for one in result.baselines)):
            for metric, score in scores.items():
                note = score.undefined or score.note
                yield key, name, metric, *_with_limits(score), *_with_limits(differences.get(metric)), result.rows, note


def _with_limits(score: Score | Estimate | None) -> tuple[float | None, ...]:
    """Return value, lower and upper limit, each None if there is none."""
    return (None, None, None) if score is None else (score.value, score.low, score.high)


def _confusion(part: EvaluatedSplit) -> Iterator[tuple[Any, ...]]:
    for key, result in part.results.items():
        matrix = result.confusion_matrix()
        # Sparse for many classes: then only cells of 1 and more are listed, otherwise those of 0 too.
        for true, predicted in np.argwhere(matrix >= (result.confusion_pairs is not None)).tolist():
            yield key, result.classes[true], result.classes[predicted], int(matrix[true, predicted])


def _classes(part: EvaluatedSplit) -> Iterator[tuple[Any, ...]]:
    for key, result in part.results.items():
        matrix = result.confusion_matrix()
        hits, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
        columns = (true, predicted, weighted_mean(hits, true), weighted_mean(hits, predicted), f1(hits, true, predicted))
        for name, *values in zip(result.classes, *columns, strict=True):
            yield key, name, *values


def analyses(results: Mapping[str, TargetResult]) -> dict[str, pd.DataFrame]:
    """Return the tables of analyses by the prefix of the file name; empty for an analysis that was not computed.

    They have a line per score or, for calibration, per bin of probabilities.
    """
    return {
        name: pd.DataFrame([{"target": key, **line} for key, result in results.items() for line in lines(result)])
        for name, lines in ANALYSES.items()
    }


def _contributions(result: TargetResult) -> Iterator[Line]:
    importance = result.contributions
    if importance is None:
        return
    for one in importance.inputs:
        # Where a branch was shuffled as a whole, no single column is meant.
        column = "" if one.whole_branch else one.name
        for name, loss in one.losses.items():
            yield {"branch": one.branch, "column": column, "rows": importance.rows, "score": name, **_loss(loss)}


def _missing_patterns(result: TargetResult) -> Iterator[Line]:
    analysis = result.missing_patterns
    if analysis is None:
        return
    for pattern in analysis.patterns:
        # No pattern at all: the rare ones together.
        missing = "other" if pattern.missing is None else " + ".join(pattern.missing) or "nothing"
        yield from ({"missing": missing, "left_out": "", **line, **_loss(None)} for line in _subset(pattern))
    for masked in analysis.masked:
        for line in _subset(masked):
            yield {"missing": "", "left_out": masked.branch, **line, **_loss(masked.losses.get(line["score"]))}


def _subgroups(result: TargetResult) -> Iterator[Line]:
    for column in result.subgroups:
        for one in column.subgroups:
            yield from ({"column": column.column, "subgroup": one.name, **line} for line in _subset(one))


def _calibration(result: TargetResult) -> Iterator[Line]:
    calibration = result.calibration
    for probabilities, reliability in () if calibration is None else (("network", calibration.before), ("calibrated", calibration.after)):
        for one in () if reliability is None else reliability.bins:
            yield {"probabilities": probabilities, **one.to_json()}


def _subset(subset: RowSubset) -> Iterator[Line]:
    units = {"rows": subset.rows, **({} if subset.groups is None else {"groups": subset.groups})}
    for name, score in subset.scores.items():
        yield {**units, "score": name, "value": score.value, "low": score.low, "high": score.high, "undefined": score.undefined}


def _loss(loss: Estimate | None) -> Line:
    return dict(zip(("loss", "loss_low", "loss_high"), _with_limits(loss), strict=True))


ANALYSES: Mapping[str, Callable[[TargetResult], Iterator[Line]]] = {
    "contributions": _contributions,
    "missing_patterns": _missing_patterns,
    "subgroups": _subgroups,
    "calibration": _calibration,
}
"""By the key of metrics.json."""
