"""What lies in a run folder, read for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mmtrain.artifacts.run_folder import RESTORE, Run, is_test_access
from mmtrain.config import Experiment
from mmtrain.data.encode import Fitted
from mmtrain.data.splits.split_file import read_split
from mmtrain.errors import Problem, RunError
from mmtrain.evaluation.bootstrap import BootstrapInfo
from mmtrain.splits.plan import USES
from mmtrain.targets import FittedTarget

Numbers = npt.NDArray[np.float64]
SCORE = "Score the run again with `mmtrain evaluate`."


def confusion_of(result: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    """The confusion matrix that metrics.json has of a target, (classes, classes); without classes (0, 0)."""
    if "confusion_pairs" not in result:
        return np.array(result.get("confusion", np.empty((0, 0))), dtype=np.int64)
    count = len(result["classes"])
    matrix = np.zeros((count, count), dtype=np.int64)
    true, called, rows = np.array(result["confusion_pairs"], dtype=np.int64).reshape(-1, 3).T
    matrix[true, called] = rows
    return matrix


@dataclass(frozen=True)
class TargetResultView:
    """One target on one part: what metrics.json says of it, and the rows of its predictions."""

    key: str
    part: EvaluatedSplit
    target: FittedTarget
    result: Mapping[str, Any]
    prefix: str
    """What its columns of the predictions begin with; empty for a single target."""

    @property
    def scores(self) -> Mapping[str, Mapping[str, Any]]:
        """`{name: {value, low, high, undefined, note}}`; all but the value only where there is an interval, or something to say."""
        found: Mapping[str, Mapping[str, Any]] = self.result["scores"]
        return found

    @property
    def drawing(self) -> BootstrapInfo | None:
        """What the intervals come from; an older mmtrain gave none."""
        return BootstrapInfo(**self.result["interval"]) if "interval" in self.result else None

    @property
    def baselines(self) -> Sequence[Mapping[str, Any]]:
        """`{kind, label, name, scores, differences}` of each; the first looks at no column. A run of an older mmtrain has only that one."""
        older = {"kind": "majority", "label": "baseline", "differences": {}}
        found: Sequence[Mapping[str, Any]] = self.result.get("baselines") or [older | self.result["baseline"]]
        return found

    @property
    def baseline(self) -> Mapping[str, Mapping[str, Any]]:
        """The scores of the baseline that looks at no column."""
        found: Mapping[str, Mapping[str, Any]] = self.baselines[0]["scores"]
        return found

    def difference(self, score: str) -> Mapping[str, Any]:
        """Of the model minus the first baseline: `{value, low, high}`, without what is not known."""
        found: Mapping[str, Any] = self.baselines[0].get("differences", {}).get(score) or {}
        return found

    def csv(self, kind: str) -> str:
        """The file of the run that holds numbers of this kind, as `numbers` writes it: `scores_test.csv`."""
        return f"{kind}_{self.part.label}.csv"

    @property
    def most_wrong(self) -> Sequence[Mapping[str, Any]]:
        """Its most wrong rows, the worst first: `row`, `id`, `truth`, `prediction`, `loss`, `cells`, `images`, perhaps `probability`."""
        found: Sequence[Mapping[str, Any]] = self.part.most_wrong.get(self.key, ())
        return found

    def texts(self, column: str) -> pd.Series[str]:
        """A column of the predictions as text; an unknown answer is empty. The part must have `rows`."""
        return self._column(column).fillna("").astype(str)

    def numbers(self, column: str) -> Numbers:
        """A column of the predictions as (rows,) float64; NaN where it is empty. The part must have `rows`."""
        values: Numbers = pd.to_numeric(self._column(column), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        return values

    def _column(self, column: str) -> pd.Series[Any]:
        assert self.part.rows is not None  # noqa: S101
        name = f"{self.prefix}{column}"
        if name not in self.part.rows:
            raise RunError(Problem(f"predictions_{self.part.label}.csv", f"the file has no column {name!r}.", SCORE))
        found: pd.Series[Any] = self.part.rows[name]
        return found


@dataclass(frozen=True, eq=False)
class EvaluatedSplit:
    """A part, or another table, that was scored."""

    label: str
    table: str
    """File name of the table it was read from."""
    results: Mapping[str, Mapping[str, Any]]
    rows: pd.DataFrame | None
    """None when its predictions are no longer in the run."""
    most_wrong: Mapping[str, Any]
    """What most_wrong_<part>.json holds, per target; empty when it is gone."""

    @property
    def called(self) -> str:
        """`test rows`, or `rows of newer.csv`."""
        return f"{self.label} rows" if self.label in USES else f"rows of {self.table or self.label}"

    @property
    def title(self) -> str:
        """`the test part`, or `newer.csv`."""
        return f"the {self.label} part" if self.label in USES else self.table or self.label


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything a report speaks of."""

    run: Run
    experiment: Experiment
    fitted: Fitted
    facts: Mapping[str, Any]
    """run.json"""
    data: Mapping[str, Any]
    """data.json"""
    network: Mapping[str, Any]
    """network.json; empty when it is gone."""
    sizes: Mapping[str, int]
    """Rows of train, validation and test, and of calibration where there are some."""
    epochs: tuple[Mapping[str, Any], ...]
    """Lines of metrics.jsonl, one per epoch."""
    parts: tuple[EvaluatedSplit, ...]
    """Test first, then other tables, validation and train; of other tables the newest first."""
    config: str

    @property
    def several(self) -> bool:
        """Whether names have to say which target they mean."""
        return len(self.fitted.targets) > 1

    def score_of(self, name: str) -> str:
        """The score that a name in metrics.jsonl speaks of: `auc` of `validation_auc`, with several targets of `validation_ill_auc`."""
        score = name.partition("_")[2]
        prefixes = [f"{key}_" for key in self.fitted.targets if self.several and score.startswith(f"{key}_")]
        return score.removeprefix(max(prefixes, key=len, default=""))

    @property
    def looks(self) -> int:
        """How often the test part was scored."""
        return sum(1 for look in self.facts.get("evaluations", []) if is_test_access(look))

    def judged(self, part: EvaluatedSplit) -> tuple[TargetResultView, ...]:
        """Every target on one part."""
        targets = self.fitted.targets
        return tuple(
            TargetResultView(key, part, targets[key], result, f"{key}_" if self.several else "")
            for key, result in part.results.items()
            if key in targets and result["task"] == targets[key].task
        )


def read(run: Run, experiment: Experiment, fitted: Fitted) -> ReportData:
    """The contents of a run. Raises RunError for a damaged file, and for one that does not go with another."""
    facts, data = run.read_json("run.json"), run.read_json("data.json")
    if facts.get("trained"):  # the report is what is still missing
        facts = {**facts, "state": "finished"}
    sizes = {part: len(positions) for part, positions in read_split(run / "split.csv").plan.holdout.items()}
    for key, answers in data.get("answers", {}).items():
        columns = fitted.targets[key].columns if key in fitted.targets else ()
        if any(len(answers.get(part, ())) != len(columns) for part in sizes):
            raise RunError(Problem(str(run / "data.json"), f"the file has other classes of {key!r} than columns.json.", RESTORE))
    return ReportData(
        run,
        experiment,
        fitted,
        facts,
        data,
        _if_there(run, "network.json"),
        sizes,
        read_epochs(run),
        _parts(run, facts),
        (run / "config.yaml").read_text(encoding="utf-8"),
    )


def read_epochs(run: Run) -> tuple[Mapping[str, Any], ...]:
    """Lines of whole epochs."""
    return tuple(line for line in run.read_lines("metrics.jsonl") if "step" not in line)


def _parts(run: Run, facts: Mapping[str, Any]) -> tuple[EvaluatedSplit, ...]:
    looks = {look["part"]: (place, look) for place, look in enumerate(facts.get("evaluations", []))}  # the last look at each
    metrics = _if_there(run, "metrics.json")
    since = max([facts.get("ended", ""), *facts.get("resumed", [])])  # earlier looks were at other weights
    known = [part for part in metrics if part in looks and looks[part][1]["when"] >= since]
    # The headline is never of rows that the model learned from, if there are others.
    rank = {"test": 0, "calibration": 2, "validation": 3, "train": 4}
    return tuple(
        EvaluatedSplit(part, looks[part][1]["table"], metrics[part], predictions_of(run, part), _if_there(run, f"most_wrong_{part}.json"))
        for part in sorted(known, key=lambda part: (rank.get(part, 1), -looks[part][0]))
    )


def predictions_of(run: Run, part: str) -> pd.DataFrame | None:
    """Every cell as text, as `NA` and `001` may be classes; None when the file is gone."""
    path = run / f"predictions_{part}.csv"
    if not path.is_file():
        return None
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except ValueError:
        raise RunError(Problem(str(path), "the file is damaged.", SCORE)) from None


def _if_there(run: Run, name: str) -> Mapping[str, Any]:
    """What a JSON file of the run holds; nothing when there is no such file."""
    found: Mapping[str, Any] = run.read_json(name) if (run / name).is_file() else {}
    return found


def label_counts(judged: TargetResultView) -> Mapping[str, int] | None:
    """Rows of each class or label in the part; None where there are no classes or the predictions are gone."""
    if judged.part.rows is None or not judged.target.columns:
        return None
    return judged.target.count_answers(judged.texts("truth"))
