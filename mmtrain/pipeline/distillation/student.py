"""Students: runs that learn the predictions of a teacher, which are a file of the run.

A stopped student is resumed, and `evaluate` compares it with its teacher on the same rows, without the teacher's run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.artifacts import run_folder
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import Costs, DistillationRecord
from mmtrain.data.arrays import Array
from mmtrain.data.tables.table import Table
from mmtrain.errors import Problem, RunError
from mmtrain.evaluation.prediction_table import parse_prediction, probability_columns, to_csv
from mmtrain.targets import FittedTarget

if TYPE_CHECKING:
    from mmtrain.training.training_data import TrainingData

PREDICTIONS = "predictions_teacher.csv"
"""File of a student with the predictions of its teacher."""


def costs_of(trainings: list[Run], seconds: float) -> Costs:
    """Return the costs of a prediction that is the mean of these trainings; `seconds` is the time of their networks for 1,000 rows."""
    networks = [run.read("network.json") for run in trainings if (run / "network.json").is_file()]
    parameters = sum(part.parameters for one in networks for part in (*one.branches, one.fusion, *one.targets))
    size = sum((run / "model.keras").stat().st_size for run in trainings)
    return Costs(parameters=parameters, bytes=size, seconds=round(seconds, 6))


def write_teacher(run: Run, predictions: pd.DataFrame, record: DistillationRecord) -> None:
    """Write and seal the teacher's predictions, and record how they are learned, before the inputs of the training are recorded."""
    run.write_text(PREDICTIONS, to_csv(predictions))
    run.update(distillation=record.to_json())
    run.seal(PREDICTIONS)


def is_distilled(run: Run) -> bool:
    """Return True if a run has a teacher whose predictions are at hand; a packed run comes without them."""
    return (run / PREDICTIONS).is_file()


def read_teacher(run: Run, targets: Mapping[str, FittedTarget], table: Table) -> dict[str, Array]:
    """Return the teacher's predictions by target, (rows of the table, units) float32, NaN where there are none.

    Classes that only the teacher knows are left out; those that only the student knows have a probability of 0.

    Raises RunError for a damaged file.
    """
    path = run / PREDICTIONS
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        positions = rows["row"].to_numpy(dtype=np.int64)
        places = np.searchsorted(table.rows, positions)
        inside = np.isin(positions, table.rows)
        taught = {}
        for key in targets:
            absent = [name for name in probability_columns(key, targets) if name not in rows]
            values = parse_prediction(rows.assign(**dict.fromkeys(absent, "0")), key, targets)
            taught[key] = np.full((len(table), *values.shape[1:]), np.nan, np.float32)
            taught[key][places[inside]] = values[inside]
    except (OSError, LookupError, ValueError) as error:
        raise RunError(Problem(str(path), f"the predictions of the teacher cannot be read: {error}.", run_folder.RESTORE)) from None
    return taught


def is_out_of_fold(run: Run, rows: Array) -> bool:
    """Return True if the teacher's predictions of these rows of the table's file are those of trainings that have not seen them."""
    sources = pd.read_csv(run / PREDICTIONS, usecols=["row", "source"])
    return bool((sources["source"][sources["row"].isin(rows)] == "out_of_fold").all())


def with_teacher(run: Run, data: TrainingData, table: Table) -> TrainingData:
    """Return the inputs of a training with those of its teacher; the same where it has none."""
    if not is_distilled(run):
        return data
    from mmtrain.training.distillation import Distillation

    record = run.read("run.json").distillation
    teacher = read_teacher(run, data.fitted.targets, table)
    return replace(data, distillation=Distillation(teacher, record.weight, record.temperature))


def record_costs(run: Run, data: TrainingData) -> None:
    """Record what a prediction of a trained student costs, next to that of its teacher; nothing for a run without one."""
    if data.distillation is None:
        return
    from mmtrain.model import model_file

    seconds = model_file.seconds_of(data.models.predictor, data.arrays, data.partition.validation)
    costs = costs_of([run], seconds)

    def add(facts: dict[str, Any]) -> dict[str, Any]:
        return {**facts, "distillation": {**facts["distillation"], "student": costs.to_json()}}

    run.change("run.json", add)
