"""The scores and the predictions of a run as DataFrames: numbers as numbers, predictions under the index of the scored DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mmtrain.artifacts.run_folder import Run
from mmtrain.data.tables.stored_frame import index_of
from mmtrain.errors import Problem, UsageError, did_you_mean, listed
from mmtrain.reports.report_data import predictions_of
from mmtrain.splits.plan import USE_NAMED

if TYPE_CHECKING:
    from mmtrain.artifacts.results import TargetResult
    from mmtrain.data.encode import Fitted
    from mmtrain.reports.report_data import ReportData

SCORES = ("split", "target", "score", "value", "low", "high", "baseline")
NUMBERS = ("prediction_low", "prediction_high")
PROBABILITIES = ("probability_", "calibrated_")


def read_scores(contents: ReportData) -> pd.DataFrame:
    """See `TrainedRun.scores`."""
    return pd.DataFrame([*_evaluated_scores(contents), *_best_epoch_scores(contents)], columns=list(SCORES))


def _evaluated_scores(contents: ReportData) -> Iterable[dict[str, Any]]:
    for part in contents.parts:
        for view in contents.views(part):
            for name, score in view.scores.items():
                value = {"value": score.value, "low": score.low, "high": score.high}
                baseline = view.baseline.scores[name].value
                yield {"split": part.label, "target": view.key, "score": name, **value, "baseline": baseline}


def _best_epoch_scores(contents: ReportData) -> Iterable[dict[str, Any]]:
    """Yield the scores of the best epoch, for splits that were not evaluated."""
    evaluated = {part.label for part in contents.parts}
    best = next((line.values for line in contents.epochs if line.epoch == contents.facts.best_epoch), {})
    only = "" if contents.several else next(iter(contents.fitted.targets), "")
    for split in ("validation", "train"):
        for name, value in best.items() if split not in evaluated else ():
            if name.startswith(f"{split}_"):
                score = contents.score_of(name)
                target = only or name.removeprefix(f"{split}_").removesuffix(score).removesuffix("_")
                yield {"split": split, "target": target, "score": score, "value": value}


def read_contributions(results: Mapping[str, TargetResult]) -> pd.DataFrame:
    """See `Evaluation.contributions`."""
    from mmtrain.reports.target_results.input_importance import input_label, ranked

    rows = []
    for key, result in results.items():
        if (importance := result.contributions) is None:
            continue
        for one in ranked(importance):
            loss = one.losses[importance.main]
            values = {"worse_by": loss.value, "low": loss.low, "high": loss.high}
            rows.append({"target": key, "input": input_label(one), "score": importance.main, **values})
    return pd.DataFrame(rows, columns=["target", "input", "score", "worse_by", "low", "high"])


def read_predictions(run: Run, contents: ReportData, split: str, table: Path) -> pd.DataFrame:
    """See `TrainedRun.predictions_of`; `table` is that of the training."""
    looks = {look.part: look for look in contents.facts.evaluations or ()}
    rows = predictions_of(run, split) if split in looks else None
    if rows is None:
        hint = did_you_mean(split, looks) or (
            f"The run has been evaluated on {listed(list(looks))}." if looks else f"Call `run.evaluate({split!r})` first."
        )
        raise UsageError(Problem(str(run.folder), f"the run has no predictions called {split!r}.", hint))
    return typed_predictions(rows, contents.fitted, table if split in USE_NAMED else Path(looks[split].path))


def typed_predictions(rows: pd.DataFrame, fitted: Fitted, table: Path) -> pd.DataFrame:
    """Return predictions, every cell a text, with numbers as numbers, under the index of the DataFrame that became `table`, if any."""
    predictions = pd.DataFrame({name: pd.to_numeric(rows[name]) if _is_number(str(name), fitted) else rows[name] for name in rows})
    index = index_of(table)
    # A table that has changed since has other rows; then the positions say more than a wrong index.
    if index is not None and (not len(predictions) or predictions["row"].max() < len(index)):
        predictions.index = index[predictions["row"].to_numpy()]
    return predictions


def _is_number(column: str, fitted: Fitted) -> bool:
    """Return whether cells of this column are numbers; a class or an id may look like one and is a text."""
    if column == "row":
        return True
    for key, target in fitted.targets.items():
        prefix = f"{key}_" if len(fitted.targets) > 1 else ""
        name = column.removeprefix(prefix)
        if column.startswith(prefix) and (name in NUMBERS or name.startswith(PROBABILITIES)):
            return True
        if column.startswith(prefix) and name in ("truth", "prediction"):
            # For a target with classes the answer is a name, else a number.
            return not target.columns
    return False
