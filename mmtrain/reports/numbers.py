"""The report's numbers in full, as CSV files in the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from mmtrain.reports import analysis_numbers
from mmtrain.reports.contents import Contents, EvaluatedPart
from mmtrain.runs import Run

SCORES = ("target", "predictor", "score", "value", "low", "high", "rows", "note")
CONFUSION = ("target", "true", "predicted", "rows")


def scores_file(part: str) -> str:
    """Every score of every target on a part, the model's and those of what stands beside it."""
    return f"scores_{part}.csv"


def confusion_file(part: str) -> str:
    """Rows by true and predicted class."""
    return f"confusion_{part}.csv"


EPOCHS_FILE = "epochs.csv"
"""What the learning curves show."""


def write(run: Run, contents: Contents) -> None:
    """Write the files; one without a row is not written, and removed where an earlier evaluation wrote it."""
    _write(run, EPOCHS_FILE, pd.DataFrame(list(contents.epochs)))
    for part in contents.parts:
        _write(run, scores_file(part.label), scores(part))
        _write(run, confusion_file(part.label), confusion(part))
        for name, table in analysis_numbers.tables(part.results).items():
            _write(run, f"{name}_{part.label}.csv", table)


def _write(run: Run, name: str, table: pd.DataFrame) -> None:
    if len(table):
        run.write_text(name, table.to_csv(index=False, lineterminator="\n"))
    else:
        (run / name).unlink(missing_ok=True)


def scores(part: EvaluatedPart) -> pd.DataFrame:
    """A line per target, predictor and score."""
    return pd.DataFrame(_scores(part), columns=list(SCORES))


def confusion(part: EvaluatedPart) -> pd.DataFrame:
    """A line per target, true and predicted class."""
    return pd.DataFrame(_confusion(part), columns=list(CONFUSION))


def _scores(part: EvaluatedPart) -> Iterator[tuple[Any, ...]]:
    for key, result in part.results.items():
        for predictor, found in predictors(result):
            for name, score in found.items():
                note = score.get("undefined") or score.get("note", "")
                yield key, predictor, name, score["value"], score.get("low"), score.get("high"), result["rows"], note


def predictors(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Mapping[str, Any]]]]:
    """The model and every baseline of one target, by name, with their scores."""
    yield "model", result["scores"]
    beside = result["baselines"] if "baselines" in result else [result["baseline"]]
    for baseline in beside:
        yield baseline["name"], baseline["scores"]


def _confusion(part: EvaluatedPart) -> Iterator[tuple[Any, ...]]:
    for key, result in part.results.items():
        for true, counts in zip(result.get("classes", ()), result.get("confusion", ()), strict=True):
            for predicted, rows in zip(result["classes"], counts, strict=True):
                yield key, true, predicted, rows
