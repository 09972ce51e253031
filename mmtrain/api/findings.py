"""Results of `check`, `inspect_data`, `init` and `compare`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from mmtrain.api import notebook
from mmtrain.api.inputs import ExperimentLike, Overrides, PathOrText, TableLike, as_path, experiment_argument, temporary_table
from mmtrain.api.notebook import Result
from mmtrain.api.progress import watching
from mmtrain.artifacts.inspection_results import InspectedColumn, InspectedTable, Inspection, PartSummary, TableProfile
from mmtrain.config import Experiment
from mmtrain.errors import Problem, counted

if TYPE_CHECKING:
    from mmtrain.artifacts.command_results import Comparison as Compared
    from mmtrain.artifacts.inspection_results import CheckResult
    from mmtrain.metrics.score import Score


class Check(Result):
    """A table that can be trained on: its rows, and the splits it would have."""

    def __init__(self, done: CheckResult) -> None:
        self.rows = done.rows
        self.dropped = done.dropped
        """Rows that leave the table because of `missing: drop`."""
        self.splits = _splits(done.summary)

    def _title(self) -> str:
        return f"mmtrain check: {counted(self.rows, 'row')}, {self.dropped:,} dropped"

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Splits": self.splits}


def _splits(parts: Iterable[PartSummary]) -> pd.DataFrame:
    """One row per split: rows, share, groups, and rows of each class or the median of a number."""
    rows = [{"split": one.part, "rows": one.rows, "share": one.share, "groups": one.groups, **one.classes, **one.medians} for one in parts]
    table = pd.DataFrame(rows)
    # Without groups the column would be empty.
    return table.drop(columns="groups") if len(table) and table["groups"].isna().all() else table


class DataInspection(Result):
    """Contents and findings of a table; a notebook shows the page that `--html` writes."""

    def __init__(self, inspection: Inspection | InspectedTable) -> None:
        self._found = inspection

    @property
    def spoiled(self) -> bool:
        """True if any finding is an error, so that scores would mean nothing."""
        return self._found.spoiled

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that `fit` would refuse; empty without an experiment."""
        return getattr(self._found, "problems", ())

    @property
    def columns(self) -> pd.DataFrame:
        """One row per column: header, role, rows, missing cells and different values, without those that cannot be read."""
        return pd.DataFrame(list(self._columns()))

    def _columns(self) -> Iterable[dict[str, Any]]:
        for one in self._found.columns:
            # A column that is left out has no role, whatever was guessed.
            role = one.role if isinstance(one, InspectedColumn) else one.guess.role if one.guess.used else ""
            profile = one.profile
            facts = (
                {} if profile is None else {"rows": profile.rows, "missing": profile.rows - profile.filled, "distinct": profile.distinct}
            )
            yield {"column": one.header, "role": role, **facts}

    @property
    def findings(self) -> pd.DataFrame:
        """One row per finding, the worst first: `level, kind, where, what, why, fix, rows`."""
        fields = ("level", "kind", "where", "what", "why", "fix", "rows")
        return pd.DataFrame([{name: getattr(one, name) for name in fields} for one in self._found.findings], columns=list(fields))

    def write(self, path: PathOrText) -> Path:
        """Write a page without further files; return its path."""
        from mmtrain.commands.inspect_data import write_page

        write_page(self._found, as_path(path))
        return as_path(path)

    def _title(self) -> str:
        table = self._found.path if isinstance(self._found, InspectedTable) else self._found.table
        return f"mmtrain inspection of {table.name}"

    def _lines(self) -> Iterable[str]:
        return (str(problem) for problem in self.problems)

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Columns": self.columns, "Findings": self.findings[["level", "where", "what"]]}

    def _repr_html_(self) -> str:
        with TemporaryDirectory(prefix="mmtrain_") as folder:
            return notebook.embedded_page(self.write(Path(folder) / "page.html").read_text(encoding="utf-8"))


def inspect(
    source: ExperimentLike | TableLike, table: TableLike | None, *, images: PathOrText | None, overrides: Overrides, progress: bool
) -> DataInspection:
    """See `mmtrain.inspect_data`."""
    from mmtrain.commands.inspect_data import inspect_experiment, inspect_table

    with ExitStack() as stack:
        # A table in place of the experiment, or the one that replaces the experiment's.
        given = source if not _is_experiment(source) else table
        file = None if given is None else stack.enter_context(temporary_table(given))  # type: ignore[arg-type]
        if file is not None:
            stack.enter_context(file.named_as_given())
        shown = stack.enter_context(watching(progress))
        if file is not None and not _is_experiment(source):
            folder = as_path(images) if images is not None else Path.cwd() if file.frame else None
            return DataInspection(inspect_table(file.path, images=folder, checking=shown.checked, figures=True))
        wanted = experiment_argument(source, overrides).on(file, images)  # type: ignore[arg-type]
        # The result may be written as a page.
        inspection = inspect_experiment(
            wanted.source, overrides=wanted.overrides, progress=shown.images, checking=shown.checked, figures=True
        )
        return DataInspection(inspection)


def _is_experiment(source: Any) -> bool:
    if isinstance(source, str | PathLike):
        return as_path(source).suffix.lower() in (".yaml", ".yml")
    return isinstance(source, Mapping | Experiment)


class Starter(Result):
    """A first experiment, guessed from a table, to be confirmed by a person."""

    def __init__(self, survey: TableProfile, file: Path | None) -> None:
        self._survey = survey
        self.file = file
        """The file that was written, or None."""
        self.target = survey.target

    @property
    def text(self) -> str:
        """The experiment file, with the reason for each guess as a comment; its paths are relative to it, or to the current folder."""
        from mmtrain.pipeline.proposals.starter_config import starter_text

        return starter_text(self._survey, self.file or Path.cwd() / "experiment.yaml")

    @property
    def experiment(self) -> dict[str, Any]:
        """The experiment as a dictionary, to change and to pass to `mmtrain.fit`."""
        import yaml

        tree: dict[str, Any] = yaml.safe_load(self.text)
        folders = {"table": self._survey.path, "images": self._survey.images}
        # Absolute paths: a dictionary has no folder to start from.
        tree["data"] |= {key: str(path) for key, path in folders.items() if path is not None}
        return tree

    @property
    def columns(self) -> pd.DataFrame:
        """One row per column: its header, the guessed role, whether it is used, and why."""
        rows = [(one.header, one.guess.role, one.guess.used, one.guess.reason) for one in self._survey.columns]
        return pd.DataFrame(rows, columns=["column", "role", "used", "reason"])

    def _title(self) -> str:
        return f"mmtrain experiment for {self._survey.path.name}"

    def _lines(self) -> Iterable[str]:
        return () if self.file is None else (str(self.file),)

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Columns": self.columns}


class Comparison(Result):
    """Runs on the same rows."""

    def __init__(self, done: Compared) -> None:
        self._done = done
        self._names = [run.name for run in done.runs]
        self.split = done.part
        self.remarks = tuple(done.remarks)

    @property
    def scores(self) -> pd.DataFrame:
        """One row per run, target and score: `run, target, score, value, low, high`."""
        rows = [
            {"run": run.name, "target": key, **_score(score)}
            for key, target in self._done.targets.items()
            for run, scores in zip(self._done.runs, target.scores, strict=True)
            for score in scores.values()
        ]
        return pd.DataFrame(rows)

    @property
    def differences(self) -> pd.DataFrame:
        """Each run minus the first: `run, target, score, value, low, high`, and `p_value` (DeLong) of the AUC."""
        rows = [
            {"run": run.name, "target": key, **_score(score), "p_value": delong.p if delong and score.name == "auc" else None}
            for key, target in self._done.targets.items()
            for run, against in zip(self._done.runs[1:], target.against_first, strict=True)
            # DeLong's test is of the AUC alone.
            for delong in [against.delong]
            for score in against.differences.values()
        ]
        return pd.DataFrame(rows)

    @property
    def settings(self) -> pd.DataFrame:
        """Settings that differ between the experiments: one row per setting, one column per run."""
        return pd.DataFrame([[key, *map(str, values)] for key, values in self._done.settings.items()], columns=["setting", *self._names])

    def _title(self) -> str:
        return f"mmtrain comparison on {self.split}: {' and '.join(self._names)}"

    def _lines(self) -> Iterable[str]:
        return self.remarks

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Scores": self.scores, "Differences": self.differences, "Settings": self.settings}


def _score(score: Score) -> dict[str, Any]:
    return {"score": score.name, "value": score.value, "low": score.low, "high": score.high}
