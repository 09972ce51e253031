"""predictions_<part>.csv: row i in is row i out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.data.tables.csv_text import csv_text
from mmtrain.evaluation.decisions import Decisions
from mmtrain.evaluation.decisions import columns as decided_columns
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
UNKNOWN = "unknown_labels"
"""The column of the labels of a row whose answers are not known; there is one only where some are."""


def frame(
    rows: Array,
    ids: list[str],
    targets: Mapping[str, FittedTarget],
    truths: Mapping[str, Array],
    predictions: Mapping[str, Array],
    decisions: Decisions | None = None,
) -> pd.DataFrame:
    """`row` (position in the file), `id`, then per target truth, prediction, a probability per class or label, and what was decided.

    With several targets the columns begin with the target's name. Truth columns are left out where there is no truth; beside that of
    several labels another one says which of them are not known, where there are any.
    """
    columns: dict[str, Any] = {"row": rows, "id": ids}
    for key, target in targets.items():
        if key in truths:
            columns[f"{_prefix(key, targets)}truth"] = target.spoken(truths[key])
            if (unknown := target.unknown_labels(truths[key])) is not None:
                columns[f"{_prefix(key, targets)}{UNKNOWN}"] = unknown
        columns |= prediction_columns(key, targets, decisions or Decisions(), predictions[key])
    return pd.DataFrame(columns)


def prediction_columns(
    key: str, targets: Mapping[str, FittedTarget], decisions: Decisions, prediction: Array, *, probabilities: bool = True
) -> dict[str, Array]:
    """The columns of one of the targets: its prediction in the words of the table, if wanted the probabilities, and what was decided."""
    target, prefix = targets[key], _prefix(key, targets)
    columns = {f"{prefix}prediction": target.decide(prediction)}
    if probabilities:
        names = [f"{prefix}probability_{name}" for name in target.columns]
        columns |= dict(zip(names, target.probabilities(prediction).T, strict=True))
    decided = decided_columns(target, decisions.of(key), prediction, probabilities=probabilities)
    return columns | {f"{prefix}{name}": values for name, values in decided.items()}


def reread(rows: pd.DataFrame, key: str, targets: Mapping[str, FittedTarget]) -> tuple[Array, Array]:
    """Truth and prediction of one of the targets, from rows of predictions_<part>.csv as text; a prediction is the same float32 as it was.

    Raises:
        LookupError: a column is missing.
        ValueError: a cell is no number.

    """
    target, prefix = targets[key], _prefix(key, targets)
    probabilities = rows[[f"{prefix}probability_{name}" for name in target.columns]].to_numpy(dtype=np.float32)
    truth, decided = (rows[f"{prefix}{name}"].replace("", pd.NA) for name in ("truth", "prediction"))
    unknown = rows[f"{prefix}{UNKNOWN}"].replace("", pd.NA) if f"{prefix}{UNKNOWN}" in rows else None
    return target.reread_truth(truth, unknown), target.reread_prediction(decided, probabilities)


def answers_as_text(rows: pd.DataFrame, key: str, targets: Mapping[str, FittedTarget]) -> pd.Series[str]:
    """The answers to one of the targets in rows of predictions_<part>.csv, equal where they are. Raises LookupError without them."""
    answers, unknown = rows[truth_column(key, targets)], f"{_prefix(key, targets)}{UNKNOWN}"
    if unknown not in rows:
        return answers
    return answers.where(rows[unknown] == "", answers + " (not known: " + rows[unknown] + ")")


def truth_column(key: str, targets: Mapping[str, FittedTarget]) -> str:
    """Where predictions_<part>.csv has the answers to a target."""
    return f"{_prefix(key, targets)}truth"


def _prefix(key: str, targets: Mapping[str, FittedTarget]) -> str:
    return f"{key}_" if len(targets) > 1 else ""


def to_csv(table: pd.DataFrame) -> str:
    """Its text; probabilities as the shortest decimals that give back the same float32."""
    return csv_text(table)
