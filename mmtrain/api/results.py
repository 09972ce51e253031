"""Result objects of what is done with a run: they print well in a terminal and in a notebook, and read the run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from mmtrain.api import notebook
from mmtrain.api.notebook import Report, Result

if TYPE_CHECKING:
    from mmtrain.api.trained_run import TrainedRun
    from mmtrain.artifacts import command_results
    from mmtrain.artifacts.export_results import ExportResult


class Evaluation(Result):
    """The scores of one evaluation."""

    def __init__(self, run: TrainedRun, done: command_results.EvaluationResult) -> None:
        self.run = run
        self.split = done.part
        self._done = done
        self.remarks = done.remarks
        """Sentences needed to read the scores right."""
        self.test_evaluations = done.test_looks
        """Number of evaluations of the test split, this one included; 0 if none of its rows was scored."""

    @property
    def scores(self) -> pd.DataFrame:
        """The rows of `run.scores` for this split."""
        from mmtrain.api.run_tables import read_scores

        # Those in `scores` of a group are its cross-validation.
        scores = read_scores(self.run._contents())
        return scores[scores["split"] == self.split].reset_index(drop=True)

    @property
    def contributions(self) -> pd.DataFrame:
        """Permutation importance: how much worse the main score becomes when the values of an input are shuffled among the rows.

        One row per target and input, the largest first, with the columns `target, input, score, worse_by, low, high`; empty if none was
        computed, as with `evaluation.permutations: 0`.
        """
        from mmtrain.api.run_tables import read_contributions

        return read_contributions(self._done.targets)

    @property
    def predictions(self) -> pd.DataFrame:
        """See `TrainedRun.predictions_of`."""
        return self.run.predictions_of(self.split)

    @property
    def report(self) -> Report:
        """The report of the run, this evaluation included."""
        return self.run.report

    def _title(self) -> str:
        return f"mmtrain evaluation of {self.run.folder} on {self.split}"

    def _lines(self) -> Iterable[str]:
        from mmtrain.cli.views.scores import headline
        from mmtrain.reports.wording import often

        scores = [headline(key, self.split, result, self._done.main[key]) for key, result in self._done.targets.items()]
        again = [f"The test split has now been scored {often(self.test_evaluations)}."] if self.test_evaluations > 1 else []
        return (*scores, *self.remarks, *again)

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Scores": self.scores, "Contributions": self.contributions}


class Explanations(Result):
    """Explained rows: `rows` and `attributions` as DataFrames, and an image per row in `folder`."""

    def __init__(self, run: TrainedRun, done: command_results.Explanation) -> None:
        self.run = run
        self.folder = done.folder
        self.target = done.target
        self.baseline = dict(done.baseline)
        """What each column is compared with, in words."""
        self.images = tuple(row.image for row in done.rows)
        self._explained = done.rows

    @property
    def rows(self) -> pd.DataFrame:
        """One row per explained row: truth, prediction, output, baseline output and completeness of the attributions."""
        # Ids such as `007` stay texts.
        return pd.read_csv(self.folder / "completeness.csv", dtype={"id": str, "truth": str, "prediction": str})

    @property
    def attributions(self) -> pd.DataFrame:
        """One row per explained row, column and element: a word, a region of an image, or the whole cell."""
        # The element `NA` is a word of a text, and not a missing one.
        return pd.read_csv(self.folder / "explanations.csv", dtype={"id": str, "element": str}, keep_default_na=False)

    def _title(self) -> str:
        return f"mmtrain explanations of {self.target} in {self.folder}"

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        from mmtrain.cli.explain import points_line

        points = [points_line(row, 3) for row in self._explained]
        # Only logits have points of probability; a predicted number has none.
        explained = ["explanation"] if all(points) else ["output", "baseline_output", "gap_percent"]
        return {"Rows": self.rows.assign(explanation=points)[["id", "part", "why", "truth", "prediction", *explained]]}

    def _figures(self) -> Iterable[notebook.Figure]:
        return tuple(notebook.image(row.image, row.id) for row in self._explained)


class Export(Result):
    """A model written for other programs."""

    def __init__(self, run: TrainedRun, done: ExportResult) -> None:
        self.run = run
        self.folder = done.folder
        self.signature = done.signature
        """Inputs, outputs and check of the export; the content of signature.json."""

    def _title(self) -> str:
        return f"mmtrain export {self.folder}"

    def _lines(self) -> Iterable[str]:
        check = self.signature.check
        return [] if check is None else [f"Checked on {check.rows} validation rows: largest difference {check.largest_difference:.2g}."]
