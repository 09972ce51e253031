"""Contents of a run folder, read for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mmtrain.artifacts.results import BaselineResult, BootstrapInfo, PartResults, TargetResult, WorstPrediction
from mmtrain.artifacts.run_folder import RESTORE, Run
from mmtrain.artifacts.run_schema.network_facts import Network
from mmtrain.artifacts.run_schema.progress_records import EpochLine
from mmtrain.artifacts.run_schema.run_facts import Data, RunFacts
from mmtrain.columns import Column
from mmtrain.config.sections.training import Training
from mmtrain.data.encode import Fitted
from mmtrain.data.splits.split_file import read_sizes
from mmtrain.errors import Problem, RunError
from mmtrain.metrics.score import Score, Scores
from mmtrain.splits.plan import USES
from mmtrain.targets import FittedTarget

Numbers = npt.NDArray[np.float64]
OUT_OF_FOLD = "out_of_fold"
"""Label of the out-of-fold predictions of a group, which are the test rows of one fold each."""
SCORE_AGAIN = "Score the run again with `mmtrain evaluate`."


@dataclass(frozen=True)
class TargetResultView:
    """One target on one part: its result and its predictions."""

    key: str
    part: EvaluatedSplit
    target: FittedTarget
    result: TargetResult
    prefix: str
    """Prefix of its columns in the predictions; empty for a single target."""

    @property
    def scores(self) -> Scores:
        """The scores of the model."""
        return self.result.scores

    @property
    def interval(self) -> BootstrapInfo | None:
        """Bootstrap settings of the intervals; None if there are none."""
        return self.result.interval

    @property
    def baseline(self) -> BaselineResult:
        """The dummy baseline."""
        return self.result.baselines[0]

    def difference(self, score: str) -> Score | None:
        """Return the score of the model minus that of the dummy baseline; None without a bootstrap."""
        return self.baseline.differences.get(score)

    def csv(self, kind: str) -> str:
        """Return the file of the run with numbers of this kind, see `csv_tables`: `scores_test.csv`."""
        return f"{kind}_{self.part.label}.csv"

    @property
    def worst_predictions(self) -> Sequence[WorstPrediction]:
        """Its rows with the highest loss, the highest first."""
        return self.part.worst_predictions.get(self.key, ())

    def texts(self, column: str) -> pd.Series[str]:
        """Return a column of the predictions as text; an unknown answer is empty. The part must have `rows`."""
        return self._column(column).fillna("").astype(str)

    def numbers(self, column: str) -> Numbers:
        """Return a column of the predictions as (rows,) float64; NaN for an empty cell. The part must have `rows`."""
        # `coerce`: an empty cell of a regression is an unknown answer.
        values: Numbers = pd.to_numeric(self._column(column), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        return values

    def _column(self, column: str) -> pd.Series[Any]:
        assert self.part.rows is not None  # noqa: S101
        name = f"{self.prefix}{column}"
        if name not in self.part.rows:
            raise RunError(Problem(f"predictions_{self.part.label}.csv", f"the file has no column {name!r}.", SCORE_AGAIN))
        cells: pd.Series[Any] = self.part.rows[name]
        return cells


@dataclass(frozen=True, eq=False)
class EvaluatedSplit:
    """A part, or another table, that was scored."""

    label: str
    table: str
    """File name of its table."""
    results: Mapping[str, TargetResult]
    rows: pd.DataFrame | None
    """Its predictions; None if their file is gone."""
    worst_predictions: Mapping[str, Sequence[WorstPrediction]]
    """By target; empty if their file is gone."""

    @property
    def called(self) -> str:
        """`test rows`, or `rows of newer.csv`."""
        if self.label == OUT_OF_FOLD:
            return "out-of-fold rows"
        return f"{self.label} rows" if self.label in USES else f"rows of {self.table or self.label}"

    @property
    def title(self) -> str:
        """`the test part`, or `newer.csv`."""
        return f"the {self.label} part" if self.label in USES else self.table or self.label


@dataclass(frozen=True, eq=False)
class ReportData:
    """All contents of a report."""

    run: Run
    columns: Mapping[str, Column]
    training: Training
    fitted: Fitted
    facts: RunFacts
    data: Data
    network: Network | None
    """None if its file is gone."""
    sizes: Mapping[str, int]
    """Rows of train, validation and test, and of calibration where there are some."""
    epochs: tuple[EpochLine, ...]
    """Whole epochs."""
    parts: tuple[EvaluatedSplit, ...]
    """Test first, then other tables, validation and train; of other tables the newest first."""
    config: str

    @property
    def several(self) -> bool:
        """True if the run has several targets, so that names have to include the target."""
        return len(self.fitted.targets) > 1

    def score_of(self, name: str) -> str:
        """Return the score of a name in metrics.jsonl: `auc` of `validation_auc`, and with several targets of `validation_ill_auc`."""
        score = name.partition("_")[2]
        # The longest one: with the targets `ill` and `ill_late`, `ill_late_auc` is the AUC of the latter.
        prefixes = [f"{key}_" for key in self.fitted.targets if self.several and score.startswith(f"{key}_")]
        return score.removeprefix(max(prefixes, key=len, default=""))

    @property
    def looks(self) -> int:
        """Number of times that the test part was scored."""
        return sum(look.is_test_access for look in self.facts.evaluations or ())

    def views(self, part: EvaluatedSplit) -> tuple[TargetResultView, ...]:
        """Return a view of every target on one part."""
        targets = self.fitted.targets
        return tuple(
            TargetResultView(key, part, targets[key], result, f"{key}_" if self.several else "")
            for key, result in part.results.items()
            # A run that was trained again may have other targets than an old evaluation.
            if key in targets and result.task == targets[key].task
        )


def read(run: Run, columns: Mapping[str, Column], training: Training, fitted: Fitted) -> ReportData:
    """Read the contents of a run. Raises RunError for a damaged file, and for files that do not match."""
    facts, data = _facts(run), run.read("data.json")
    sizes = read_sizes(run / "split.csv")
    for key, answers in data.answers.items():
        classes = fitted.targets[key].columns if key in fitted.targets else ()
        if any(len(answers.get(part, ())) != len(classes) for part in sizes):
            raise RunError(Problem(str(run / "data.json"), f"the file has other classes of {key!r} than columns.json.", RESTORE))
    return ReportData(
        run,
        columns,
        training,
        fitted,
        facts,
        data,
        run.read("network.json") if (run / "network.json").is_file() else None,
        sizes,
        read_epochs(run),
        _parts(run, facts),
        (run / "config.yaml").read_text(encoding="utf-8"),
    )


def _facts(run: Run) -> RunFacts:
    facts: RunFacts = run.read("run.json")
    # Where only the report is missing, it says finished.
    return facts.model_copy(update={"state": "finished"}) if facts.trained else facts


def read_group(run: Run, columns: Mapping[str, Column], training: Training, labels: Fitted, *, evaluations: bool = False) -> ReportData:
    """Read the contents of a group of trainings, without epochs, and its `evaluations` only if asked for; its report has none.

    Raises RunError for a damaged file.
    """
    config, facts = (run / "config.yaml").read_text(encoding="utf-8"), _facts(run)
    parts = _parts(run, facts) if evaluations else ()
    return ReportData(run, columns, training, labels, facts, run.read("data.json"), None, {}, (), parts, config)


def read_epochs(run: Run) -> tuple[EpochLine, ...]:
    """Return the lines of whole epochs."""
    return tuple(line for line in run.read_lines("metrics.jsonl") if line.step is None)


def _parts(run: Run, facts: RunFacts) -> tuple[EvaluatedSplit, ...]:
    # A later evaluation of the same part replaces the earlier one.
    looks = {look.part: (place, look) for place, look in enumerate(facts.evaluations or ())}  # the last evaluation of each
    metrics: Mapping[str, PartResults] = _if_there(run, "metrics.json")
    since = max([facts.ended or "", *(facts.resumed or ())])  # earlier evaluations used other weights
    known = [part for part in metrics if part in looks and looks[part][1].when >= since]
    # The summary shows the first part: training rows only if nothing else was scored.
    rank = {"test": 0, "calibration": 2, "validation": 3, "train": 4}
    return tuple(
        EvaluatedSplit(
            part, looks[part][1].table, metrics[part], predictions_of(run, part), _if_there(run, f"worst_predictions_{part}.json")
        )
        # The newest first: of other tables the last look has the highest place.
        for part in sorted(known, key=lambda part: (rank.get(part, 1), -looks[part][0]))
    )


def predictions_of(run: Run, part: str) -> pd.DataFrame | None:
    """Read the predictions, every cell as text, as `NA` and `001` may be classes; None if the file is gone."""
    path = run / f"predictions_{part}.csv"
    if not path.is_file():
        return None
    try:
        # `NA` may be a class: nothing is read as missing.
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except ValueError:
        raise RunError(Problem(str(path), "the file is damaged.", SCORE_AGAIN)) from None


def _if_there(run: Run, name: str) -> Mapping[str, Any]:
    """Read results by part or target from a JSON file of the run; empty if there is no such file."""
    results: Mapping[str, Any] = run.read(name) if (run / name).is_file() else {}
    return results


def label_counts(view: TargetResultView) -> Mapping[str, int] | None:
    """Count the rows of each class or label in the part; None without classes or without the predictions."""
    if view.part.rows is None or not view.target.columns:
        return None
    return view.target.count_answers(view.texts("truth"))
