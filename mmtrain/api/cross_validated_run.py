"""The result object of a group of trainings, and the one that fits a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from mmtrain.api import notebook
from mmtrain.api.inputs import PathOrText
from mmtrain.api.notebook import Figures
from mmtrain.api.results import TrainedRun
from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import Problem, UsageError

if TYPE_CHECKING:
    from mmtrain.artifacts.group_results import CrossValidation
    from mmtrain.reports.report_data import ReportData


RunLike: TypeAlias = PathOrText | TrainedRun | None
"""A run, its folder, its name (the latest run of that name under `output`), or None: the latest run of all."""


class CrossValidatedRun(TrainedRun):
    """A group of trainings, one for each fold and seed, and their scores on the rows that each of them left out."""

    @property
    def members(self) -> dict[str, TrainedRun]:
        """The trainings by name, `folds/0` for instance; each is a run that evaluates, predicts, explains and exports."""
        names = [member.name for member in self._run.read("run.json").members]
        return {name: TrainedRun(self._run.child(name)) for name in names if (self._run / f"{name}/run.json").is_file()}

    @property
    def history(self) -> pd.DataFrame:
        """The histories of all trainings, with the column `member`."""
        return pd.concat([run.history.assign(member=name) for name, run in self.members.items()], ignore_index=True)

    @property
    def cross_validation(self) -> CrossValidation:
        """The scores of all trainings. Raises UsageError while some are not finished."""
        if self.state != "finished":
            fix = "Call `mmtrain.resume` to train the others."
            raise UsageError(Problem(str(self.folder), "the trainings of this group are not all finished.", fix))
        result: CrossValidation = self._run.read("cross_validation.json")
        return result

    @property
    def scores(self) -> pd.DataFrame:
        """One row per target and score: estimate with its interval, mean, deviation, score of all rows, and one column per training."""
        result = self.cross_validation
        names = [member.name for member in result.members]
        return pd.DataFrame(
            [
                {
                    **{"target": key, "score": name, "estimate": score.estimate, "low": score.low, "high": score.high},
                    **{"mean": score.mean, "deviation": score.deviation, "out_of_fold": score.out_of_fold},
                    **dict(zip(names, score.values, strict=True)),
                }
                for key, by_name in result.targets.items()
                for name, score in by_name.items()
            ]
        )

    @property
    def predictions(self) -> pd.DataFrame:
        """The out-of-fold predictions, one row per row of the table: `row`, `id`, `fold`, truth, prediction, probabilities.

        Classes are texts, as in the table.
        """
        from mmtrain.api.run_tables import typed_predictions
        from mmtrain.data import encode

        result = self.cross_validation
        if not result.predictions:
            raise UsageError(Problem(str(self.folder), "trainings without folds have no out-of-fold predictions.", "Set `split.folds`."))
        rows = pd.read_csv(self._run / result.predictions, keep_default_na=False, dtype=str)
        labels = encode.of_group(self._run)
        return typed_predictions(rows, labels, self.experiment.data.table)

    def plot(self) -> Figures:
        """Refused: the figures of a group are in its report alone. Raises UsageError."""
        fix = "Open `run.report`, or call `plot` of one of `run.members`."
        raise UsageError(Problem(str(self.folder), "the figures of a group of trainings are in its report.", fix))

    def _contents(self) -> ReportData:
        from mmtrain.data import encode
        from mmtrain.reports import report_data

        labels = encode.of_group(self._run)
        return report_data.read_group(self._run, self.experiment.columns, self.experiment.training, labels, evaluations=True)

    def _lines(self) -> Iterable[str]:
        return (f"{self.state}; {len(self.members)} trainings",)

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Scores": self.scores} if self.state == "finished" else {}

    def _figures(self) -> Iterable[notebook.Figure]:
        return ()


def trained_run(run: Run) -> TrainedRun:
    """Return the result object of a run, or of a group of them."""
    return CrossValidatedRun(run) if run.is_group else TrainedRun(run)


def name_of_run(run: RunLike) -> str | None:
    """Return the folder or the name in a `RunLike`, as commands take it; None for the latest run."""
    return None if run is None else str(run.folder if isinstance(run, TrainedRun) else Path(run))
