"""Result objects of the API: they print well in a terminal and in a notebook, and read the run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from mmtrain.api import notebook
from mmtrain.api.inputs import Overrides, PathOrText, TableLike
from mmtrain.api.notebook import Figures, Report, Result
from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import Problem, UsageError

if TYPE_CHECKING:
    from mmtrain.artifacts import command_results
    from mmtrain.artifacts.export_results import ExportResult
    from mmtrain.config import Experiment
    from mmtrain.explanation.selection import Method
    from mmtrain.pipeline.prediction.predictor import OnError, Predictor
    from mmtrain.reports.report_data import ReportData


class TrainedRun(Result):
    """A trained run: what it scored, what it predicted, and what can be done with its model."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self._run.folder

    @property
    def state(self) -> str:
        """`finished`, `interrupted`, `failed` or `running`."""
        return self._run.state

    @cached_property
    def experiment(self) -> Experiment:
        """The validated experiment, every default written out."""
        from mmtrain import config

        return config.load(self._run / "config.yaml")

    @property
    def history(self) -> pd.DataFrame:
        """Losses, scores, learning rate and speed, one row per epoch."""
        from mmtrain.reports.report_data import read_epochs

        return pd.DataFrame([{"epoch": line.epoch, **line.values} for line in read_epochs(self._run)])

    @property
    def scores(self) -> pd.DataFrame:
        """One row per split, target and score: `split, target, score, value, low, high, baseline`.

        `low` and `high` bound the confidence interval, `baseline` is the score of a predictor that looks at no column. Splits that were
        not evaluated have the scores of the best epoch alone, without these.
        """
        from mmtrain.api.run_tables import read_scores

        return read_scores(self._contents())

    @property
    def predictions(self) -> pd.DataFrame:
        """The predictions of the last evaluation, see `predictions_of`. Raises UsageError where there was none."""
        evaluations = self._run.read("run.json").evaluations
        if not evaluations:
            raise UsageError(Problem(str(self.folder), "the run has not been evaluated.", 'Call `run.evaluate("test")` first.'))
        return self.predictions_of(evaluations[-1].part)

    def predictions_of(self, split: str) -> pd.DataFrame:
        """Predictions of a split, `test` for instance, or of another table by the name its evaluation has.

        One row per scored row, under the index of the DataFrame they come from if they come from one; else `row` is their position in
        the table. Classes are texts, as in the table. Raises UsageError where the split was not evaluated.
        """
        from mmtrain.api.run_tables import read_predictions

        return read_predictions(self._run, self._contents(), split, self.experiment.data.table)

    @property
    def report(self) -> Report:
        """The report of the run; a notebook shows the page."""
        return Report(self._run / "report.html")

    def plot(self) -> Figures:
        """The figures of the report; a notebook shows them."""
        from mmtrain.reports.figures.plot_style import FigureWriter, style
        from mmtrain.reports.sections import sections

        with style():
            return Figures(self._run, notebook.figures_of(sections(self._contents(), FigureWriter(self._run))))

    def evaluate(
        self,
        split: str = "test",
        table: TableLike | None = None,
        *,
        images: PathOrText | None = None,
        subgroups: Iterable[str] = (),
        overrides: Overrides = (),
        progress: bool = True,
    ) -> Evaluation:
        """Score the run on one of its splits, or on all rows of another table; see `mmtrain.evaluate`."""
        from mmtrain.api import commands

        return commands.evaluate(self, split, table, images=images, subgroups=subgroups, overrides=overrides, progress=progress)

    def predict(
        self,
        frame: pd.DataFrame,
        *,
        proba: bool = False,
        on_error: OnError = "status",
        images: PathOrText | None = None,
        allow_outside: bool | None = None,
    ) -> pd.DataFrame:
        """Predict every row of a table in memory; row i in is row i out, under the index of `frame`.

        Columns and errors are those of `mmtrain predict`: `row`, `id` if the frame has the id column, the prediction, with `proba` a
        probability per class or label, and `status`. A row that cannot be predicted has no prediction (`on_error="status"`), is left
        out (`"skip"`), or stops everything (`"fail"`). `attrs["drift"]` lists, in sentences, how the rows differ from those of training.
        """
        folder = None if images is None else Path(images)
        return self._loaded.predict(frame, proba=proba, on_error=on_error, images=folder, allow_outside=allow_outside)

    def explain(
        self,
        rows: Iterable[Any] = (),
        *,
        split: str = "test",
        table: TableLike | None = None,
        images: PathOrText | None = None,
        target: str | None = None,
        class_name: str | None = None,
        method: Method = "both",
        steps: int | None = None,
        folder: PathOrText | None = None,
        progress: bool = True,
    ) -> Explanations:
        """Explain the predictions of single rows; see `mmtrain.explain`."""
        from mmtrain.api import commands

        options = {"images": images, "target": target, "class_name": class_name, "method": method, "steps": steps, "folder": folder}
        return commands.explain(self, rows, split=split, table=table, progress=progress, **options)  # type: ignore[arg-type]

    def export(
        self,
        format: str,
        *,
        quantize: Literal["", "float16", "int8"] = "",
        inputs: Literal["raw", "encoded"] | None = None,
        folder: PathOrText | None = None,
        force: bool = False,
        progress: bool = True,
    ) -> Export:
        """Write the model for other programs; see `mmtrain.export`."""
        from mmtrain.api import commands

        return commands.export(self, format, quantize=quantize, inputs=inputs, folder=folder, force=force, progress=progress)

    def start(self) -> None:
        """Read the model now, and not with the first prediction."""
        _ = self._loaded

    @cached_property
    def _loaded(self) -> Predictor:
        from mmtrain.pipeline.groups.ensemble import load

        return load(self.folder)

    def _contents(self) -> ReportData:
        from mmtrain.data import encode
        from mmtrain.reports import report_data

        columns, training = self.experiment.columns, self.experiment.training
        return report_data.read(self._run, columns, training, encode.of_run(self._run, columns))

    def _title(self) -> str:
        return f"mmtrain run {self.folder}"

    def _lines(self) -> Iterable[str]:
        from mmtrain.reports.sections import headline

        # A run that was interrupted early has fitted no columns yet.
        if not (self._run / "columns.json").is_file():
            return (self.state,)
        return (", ".join(headline(self._contents())),)

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Scores": self.scores} if (self._run / "columns.json").is_file() else {}

    def _figures(self) -> Iterable[notebook.Figure]:
        from mmtrain.reports.figures.plot_style import FigureWriter, style
        from mmtrain.reports.training import learning

        if not (self._run / "columns.json").is_file():
            return ()
        with style():
            return notebook.figures_of([learning(self._contents(), FigureWriter(self._run))])


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
        """The contribution of each input, how much worse the main score becomes when its values are shuffled among the rows.

        One row per target and input: `target, input, score, worse_by, low, high`, the largest first; none where contributions were not
        computed.
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
        # Outputs that are no logits, such as numbers, have no points.
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
