"""`mmtrain evaluate`: score a run on one of its parts, or on another table.

The test part is scored here and nowhere else, from the weights of the best epoch, and every time is recorded in the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtrain import config, runs
from mmtrain.columns.bookkeeping import PARTS
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.images import Progress, Say
from mmtrain.errors import DataError, Problem, RunError
from mmtrain.evaluation.predictions import frame, to_csv
from mmtrain.evaluation.scoring import TargetScores, score_target
from mmtrain.layers.start import start_tensorflow
from mmtrain.runs import Run
from mmtrain.workflows.prepare import Prepared, read_data, recorded_data, scored_columns

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found and where it lies."""

    run: Run
    part: str
    results: dict[str, TargetScores]
    predictions: Path
    report: Path
    looks: int
    """How often the test part has been scored by now, this time included; 0 for other parts."""


def evaluate(
    which: str | None = None,
    *,
    part: str = "test",
    table: Path | None = None,
    output: Path = Path("runs"),
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> Evaluated:
    """Score the run called `which` (see `runs.find`) on `part`, or on all rows of another `table` with the same columns.

    Raises RunError for a run that cannot be used, DataError for a table that does not fit it.
    """
    run = runs.find(which, output)
    experiment, fitted = opened(run)
    data, rows = part_data(run, experiment, part, progress, say) if table is None else other_data(experiment, table, progress, say)
    label = part if table is None else other_label(table)
    say("Data checked; starting TensorFlow.")
    start_tensorflow()
    from mmtrain.model import saved

    # The whole table, as training encoded it: of a large one the cache has the arrays.
    arrays = encode.encode(experiment, fitted, data.table, data.stores, say=say)
    predictions = saved.predict(saved.predictor(run / "model.keras"), arrays, rows)
    truths = {key: values[rows] for key, values in arrays.targets.items()}
    results = {key: score_target(key, target, truths[key], predictions[key]) for key, target in fitted.targets.items()}
    predicted = frame(data.table.rows[rows], data.table.ids(rows), fitted.targets, truths, predictions)
    looks = keep(run, label, results, predicted, data.table.path.name)
    report = write_report(run, experiment, fitted, label, predicted)
    return Evaluated(run, label, results, run / f"predictions_{label}.csv", report, looks)


def opened(run: Run) -> tuple[Experiment, encode.Fitted]:
    """The experiment of a run and what its training rows taught it. Raises RunError when there is no model to score."""
    if not (run / "model.keras").is_file():
        raise RunError(
            Problem(str(run.folder), f"the run has no trained model; its state is '{run.state}'.", "Train again with `mmtrain fit`.")
        )
    experiment = config.load(run / "config.yaml")
    return experiment, encode.read_fitted(run.read_json("columns.json"))


def part_data(run: Run, experiment: Experiment, part: str, progress: Progress | None, say: Say) -> tuple[Prepared, Array]:
    """The table of a run and the positions of one part. Raises DataError when the table is no longer the one that was split."""
    data, parts = recorded_data(run, experiment, progress=progress, say=say)
    if not len(parts[part]):
        raise DataError(Problem(str(run.folder), f"the {part} part is empty.", "Choose another part with --part."))
    return data, parts[part]


def other_data(experiment: Experiment, path: Path, progress: Progress | None, say: Say) -> tuple[Prepared, Array]:
    """Another table and all its positions; its image cells are relative to the experiment's images folder, or else to the table's own."""
    images = experiment.data.images if experiment.data.images is not None else path.resolve().parent
    data = read_data(experiment, path, images, columns=scored_columns(experiment), progress=progress, say=say)
    return data, np.arange(len(data.table))


def other_label(path: Path) -> str:
    """What the files of another table are called: `newer` of newer.csv.gz; `test_table` of test.csv, which is not the test part."""
    label = path.name.partition(".")[0] or "table"
    return f"{label}_table" if label in PARTS else label


def keep(run: Run, label: str, results: dict[str, TargetScores], rows: pd.DataFrame, table: str) -> int:
    """Write predictions and scores into the run and record that this part was looked at; how often the test part was."""
    look = {"part": label, "when": runs.now(), "rows": len(rows), "table": table}
    looks = [*run.read_json("run.json").get("evaluations", []), look]
    run.update(evaluations=looks)  # first, so that nothing can be seen without being counted
    run.write_text(f"predictions_{label}.csv", to_csv(rows))
    known = run.read_json("metrics.json") if (run / "metrics.json").exists() else {}
    run.write_json("metrics.json", {**known, label: {key: result.plain() for key, result in results.items()}})
    return sum(1 for look in looks if look["part"] == "test") if label == "test" else 0


def write_report(run: Run, experiment: Experiment, fitted: encode.Fitted, label: str, rows: pd.DataFrame) -> Path:
    """report.html and its plots, from what lies in the run folder."""
    from mmtrain.reports.report import write

    return write(run, experiment, fitted, label, rows)
