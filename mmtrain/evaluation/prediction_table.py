"""predictions_<part>.csv: row i in is row i out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.data.tables.csv_text import csv_text
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.evaluation.postprocessing.fit_postprocessing import columns as decided_columns
from mmtrain.targets import FittedTarget
from mmtrain.targets.base import TRUTH, UNKNOWN_LABELS

Array = np.ndarray[Any, Any]


def prediction_frame(
    rows: Array,
    ids: list[str],
    targets: Mapping[str, FittedTarget],
    truths: Mapping[str, Array],
    predictions: Mapping[str, Array],
    decisions: Postprocessing | None = None,
) -> pd.DataFrame:
    """`row` (position in the file), `id`, then per target truth, prediction, a probability per class or label, and what was decided.

    With several targets the columns begin with the target's name. Truth columns are left out where there is no truth; beside that of
    several labels another one says which of them are not known, where there are any.
    """
    columns: dict[str, Any] = {"row": rows, "id": ids}
    for key, target in targets.items():
        if key in truths:
            columns |= {f"{_prefix(key, targets)}{name}": values for name, values in target.truth_columns(truths[key]).items()}
        columns |= prediction_columns(key, targets, decisions or Postprocessing(), predictions[key])
    return pd.DataFrame(columns)


def prediction_columns(
    key: str, targets: Mapping[str, FittedTarget], decisions: Postprocessing, prediction: Array, *, probabilities: bool = True
) -> dict[str, Array]:
    """The columns of one of the targets: its prediction in the words of the table, if wanted the probabilities, and what was decided."""
    target, prefix = targets[key], _prefix(key, targets)
    columns = target.outputs(prediction, probabilities=probabilities)
    columns |= decided_columns(target, decisions.of(key), prediction, probabilities=probabilities)
    return {f"{prefix}{name}": values for name, values in columns.items()}


def parse_predictions(rows: pd.DataFrame, key: str, targets: Mapping[str, FittedTarget]) -> tuple[Array, Array]:
    """Truth and prediction of one of the targets, from rows of predictions_<part>.csv as text; a prediction is the same float32 as it was.

    Raises:
        LookupError: a column is missing.
        ValueError: a cell is not a number.

    """
    target, prefix = targets[key], _prefix(key, targets)
    names = [name for name in map(str, rows.columns) if name.startswith(prefix)]
    own = {name.removeprefix(prefix): rows[name].replace("", pd.NA) for name in names}
    return target.parse_truth(own), target.parse_outputs(own)


def answers_as_text(rows: pd.DataFrame, key: str, targets: Mapping[str, FittedTarget]) -> pd.Series[str]:
    """The answers to one of the targets in rows of predictions_<part>.csv, equal where they are. Raises LookupError without them."""
    answers, unknown = rows[truth_column(key, targets)], f"{_prefix(key, targets)}{UNKNOWN_LABELS}"
    if unknown not in rows:
        return answers
    return answers.where(rows[unknown] == "", answers + " (not known: " + rows[unknown] + ")")


def truth_column(key: str, targets: Mapping[str, FittedTarget]) -> str:
    """Return the column of predictions_<part>.csv with the answers to a target."""
    return f"{_prefix(key, targets)}{TRUTH}"


def _prefix(key: str, targets: Mapping[str, FittedTarget]) -> str:
    return f"{key}_" if len(targets) > 1 else ""


def to_csv(table: pd.DataFrame) -> str:
    """Its text; probabilities as the shortest decimals that give back the same float32."""
    return csv_text(table)
