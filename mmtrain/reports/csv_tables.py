"""The report's numbers in full, as CSV files in the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.artifacts.run_folder import Run
from mmtrain.data.tables.csv_text import csv_text, is_formula
from mmtrain.metrics.bootstrap_counts import weighted_mean
from mmtrain.metrics.classification import f1
from mmtrain.reports import analysis_tables
from mmtrain.reports.report_data import EvaluatedSplit, ReportData, confusion_of

EPOCHS = "epochs.csv"
"""What the learning curves show."""
SCORES = ("target", "predictor", "score", "value", "low", "high", "difference", "difference_low", "difference_high", "rows", "note")
"""Differences are the model's value minus the baseline's, with the interval of the difference itself."""
CONFUSION = ("target", "true", "predicted", "rows")
CLASSES = ("target", "class", "rows", "predicted", "recall", "precision", "f1")


def write(run: Run, contents: ReportData) -> bool:
    """Write the files; one without a row is not written, and removed where an earlier evaluation wrote it.

    They are made for spreadsheets: whether some cell would have been a formula, and has an apostrophe before it, is returned.
    """
    changed = _write(run, EPOCHS, pd.DataFrame(list(contents.epochs)))
    for part in contents.parts:
        found = {"scores": scores(part), "confusion": confusion(part), "classes": classes(part)}
        for kind, table in (found | analysis_tables.tables(part.results)).items():
            changed |= _write(run, f"{kind}_{part.label}.csv", table)
    return changed


def _write(run: Run, name: str, table: pd.DataFrame) -> bool:
    if not len(table):
        (run / name).unlink(missing_ok=True)
        return False
    run.write_text(name, csv_text(table, spreadsheet=True))
    return bool(table.map(is_formula).to_numpy().any())


def scores(part: EvaluatedSplit) -> pd.DataFrame:
    """A line per target, predictor and score."""
    return pd.DataFrame(_scores(part), columns=list(SCORES))


def confusion(part: EvaluatedSplit) -> pd.DataFrame:
    """A line per target, true and predicted class; of many classes, only of those pairs that have rows."""
    return pd.DataFrame(_confusion(part), columns=list(CONFUSION))


def classes(part: EvaluatedSplit) -> pd.DataFrame:
    """A line per target and class."""
    return pd.DataFrame(_classes(part), columns=list(CLASSES))


def _scores(part: EvaluatedSplit) -> Iterator[tuple[Any, ...]]:
    for key, result in part.results.items():
        beside = result["baselines"] if "baselines" in result else [result["baseline"]]
        for predictor in ({"name": "model", "scores": result["scores"]}, *beside):
            for name, score in predictor["scores"].items():
                difference = predictor.get("differences", {}).get(name) or {}
                note = score.get("undefined") or score.get("note", "")
                yield key, predictor["name"], name, *_ranged(score), *_ranged(difference), result["rows"], note


def _ranged(found: Mapping[str, Any]) -> tuple[float | None, ...]:
    """Value and interval, None for what there is not."""
    return found.get("value"), found.get("low"), found.get("high")


def _confusion(part: EvaluatedSplit) -> Iterator[tuple[Any, ...]]:
    for key, result in part.results.items():
        matrix, names = confusion_of(result), result.get("classes", ())
        for true, called in np.argwhere(matrix >= ("confusion_pairs" in result)).tolist():
            yield key, names[true], names[called], int(matrix[true, called])


def _classes(part: EvaluatedSplit) -> Iterator[tuple[Any, ...]]:
    for key, result in part.results.items():
        matrix = confusion_of(result)
        hits, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
        columns = (true, predicted, weighted_mean(hits, true), weighted_mean(hits, predicted), f1(hits, true, predicted))
        for name, *values in zip(result.get("classes", ()), *columns, strict=True):
            yield key, name, *values
