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


def frame(
    rows: Array,
    ids: list[str],
    targets: Mapping[str, FittedTarget],
    truths: Mapping[str, Array],
    predictions: Mapping[str, Array],
    decisions: Decisions | None = None,
) -> pd.DataFrame:
    """`row` (position in the file), `id`, then per target truth, prediction, a probability per class or label, and what was decided.

    With several targets the columns begin with the target's name. Truth columns are left out where there is no truth.
    """
    columns: dict[str, Any] = {"row": rows, "id": ids}
    for key, target in targets.items():
        if key in truths:
            columns[f"{_prefix(key, targets)}truth"] = target.spoken(truths[key])
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
    return target.reread_truth(truth), target.reread_prediction(decided, probabilities)


def truth_column(key: str, targets: Mapping[str, FittedTarget]) -> str:
    """Where predictions_<part>.csv has the answers to a target."""
    return f"{_prefix(key, targets)}truth"


def _prefix(key: str, targets: Mapping[str, FittedTarget]) -> str:
    return f"{key}_" if len(targets) > 1 else ""


def to_csv(table: pd.DataFrame) -> str:
    """Its text; probabilities as the shortest decimals that give back the same float32."""
    return csv_text(table)
