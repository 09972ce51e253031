"""Table of predictions, written and parsed again: predictions_<part>.csv. Row i in is row i out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.data.tables.csv_text import csv_text
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.evaluation.postprocessing.fit_postprocessing import columns as postprocessed_columns
from mmtrain.targets import FittedTarget
from mmtrain.targets.prediction_columns import PREDICTION, PROBABILITY, TRUTH, UNKNOWN_LABELS

Array = np.ndarray[Any, Any]


def prediction_frame(
    rows: Array,
    ids: list[str],
    targets: Mapping[str, FittedTarget],
    truths: Mapping[str, Array],
    predictions: Mapping[str, Array],
    decisions: Postprocessing | None = None,
) -> pd.DataFrame:
    """Return `row` (position in the file), `id`, and per target truth, prediction, probabilities per class or label, and postprocessing.

    With several targets the column names begin with the name of the target. Targets without `truths` have no truth columns; labels have
    a second one that lists the unknown labels of each row, if there are any.
    """
    columns: dict[str, Any] = {"row": rows, "id": ids}
    for key in targets:
        if key in truths:
            columns |= truth_columns(key, targets, truths[key])
        columns |= prediction_columns(key, targets, decisions or Postprocessing(), predictions[key])
        if key in truths:
            columns |= row_columns(key, targets, truths[key], predictions[key])
    return pd.DataFrame(columns)


def prediction_columns(
    key: str, targets: Mapping[str, FittedTarget], decisions: Postprocessing, prediction: Array, *, probabilities: bool = True
) -> dict[str, Array]:
    """Return the columns of one target: predictions as in the table, probabilities if wanted, and the columns of postprocessing."""
    target, prefix = targets[key], _prefix(key, targets)
    columns = target.outputs(prediction, probabilities=probabilities)
    columns |= postprocessed_columns(target, decisions.of(key), prediction, probabilities=probabilities)
    return {f"{prefix}{name}": values for name, values in columns.items()}


def row_columns(key: str, targets: Mapping[str, FittedTarget], truth: Array, prediction: Array) -> dict[str, Array]:
    """Return the columns of one target that follow from the prediction and from cells that no branch reads."""
    return {f"{_prefix(key, targets)}{name}": values for name, values in targets[key].row_columns(truth, prediction).items()}


def truth_columns(key: str, targets: Mapping[str, FittedTarget], truth: Array) -> dict[str, Array]:
    """Return the columns with the answers to one target, of encoded answers."""
    return {f"{_prefix(key, targets)}{name}": values for name, values in targets[key].truth_columns(truth).items()}


def probability_columns(key: str, targets: Mapping[str, FittedTarget]) -> list[str]:
    """Return the names of the columns with the probabilities of the classes or labels of one target."""
    return [f"{_prefix(key, targets)}{PROBABILITY.format(name)}" for name in targets[key].columns]


def parse_predictions(rows: pd.DataFrame, key: str, targets: Mapping[str, FittedTarget]) -> tuple[Array, Array]:
    """Parse the truth and prediction of one target from rows of predictions_<part>.csv as text; predictions are float32, bit-equal.

    Raises:
        LookupError: a column is missing.
        ValueError: a cell is not a number.

    """
    return parse_truth(rows, key, targets), parse_prediction(rows, key, targets)


def parse_truth(rows: pd.DataFrame, key: str, targets: Mapping[str, FittedTarget]) -> Array:
    """Parse the truth of one target alone; see `parse_predictions`."""
    return targets[key].parse_truth(_cells(rows, key, targets))


def parse_prediction(rows: pd.DataFrame, key: str, targets: Mapping[str, FittedTarget]) -> Array:
    """Parse the prediction of one target alone; see `parse_predictions`."""
    return targets[key].parse_outputs(_cells(rows, key, targets))


def _cells(rows: pd.DataFrame, key: str, targets: Mapping[str, FittedTarget]) -> dict[str, pd.Series[str]]:
    """Return the columns of one target by their names without the target's; empty cells are missing, as in the table of the training."""
    prefix = _prefix(key, targets)
    names = [name for name in map(str, rows.columns) if name.startswith(prefix)]
    return {name.removeprefix(prefix): rows[name].replace("", pd.NA) for name in names}


def answers_as_text(rows: pd.DataFrame, key: str, targets: Mapping[str, FittedTarget]) -> pd.Series[str]:
    """Return the answers to one target in rows of predictions_<part>.csv, as texts that are equal for equal answers.

    Raises LookupError if there is no such column.
    """
    answers, unknown = rows[truth_column(key, targets)], f"{_prefix(key, targets)}{UNKNOWN_LABELS}"
    if unknown not in rows:
        return answers
    return answers.where(rows[unknown] == "", answers + " (not known: " + rows[unknown] + ")")


def truth_column(key: str, targets: Mapping[str, FittedTarget]) -> str:
    """Return the column of predictions_<part>.csv with the answers to a target."""
    return f"{_prefix(key, targets)}{TRUTH}"


def prediction_column(key: str, targets: Mapping[str, FittedTarget]) -> str:
    """Return the column of predictions_<part>.csv with the decisions on a target."""
    return f"{_prefix(key, targets)}{PREDICTION}"


def _prefix(key: str, targets: Mapping[str, FittedTarget]) -> str:
    return f"{key}_" if len(targets) > 1 else ""


def to_csv(table: pd.DataFrame) -> str:
    """Return the text of the file; probabilities are the shortest decimals that parse to the same float32."""
    return csv_text(table)
