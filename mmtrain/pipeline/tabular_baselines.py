"""Baselines on the columns of the table: models of scikit-learn, and pretrained networks for tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.config.sections.evaluation import BaselineKind, PretrainedBaseline
from mmtrain.data.arrays import Array
from mmtrain.data.images.store import Say
from mmtrain.errors import DataError, RunError, listed
from mmtrain.evaluation.baselines import BaselinePredictions
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing, fit_postprocessing
from mmtrain.pipeline.analyze import AnalysisInput
from mmtrain.pipeline.build import EncodedTable
from mmtrain.targets import FittedTarget

if TYPE_CHECKING:
    from mmtrain.evaluation.reference_models.tabular_baseline import TabularBaseline


@dataclass(frozen=True)
class _Tabular:
    """A baseline on the columns of the table, and what it reads in the words of a sentence."""

    label: str
    reads: str
    texts: bool


TABULAR: Mapping[BaselineKind, _Tabular] = {
    "gradient_boosting": _Tabular("gradient boosting", "numbers and categories", texts=False),
    "linear": _Tabular("linear model", "numbers, categories and texts", texts=True),
    "tabicl": _Tabular("TabICL", "numbers and categories", texts=False),
}


def tabular_baselines(subject: AnalysisInput, read_table: Callable[[], EncodedTable], say: Say) -> Iterator[BaselinePredictions | str]:
    """Fit the baselines on the columns of the table to the training rows of the run, now and every time."""
    wanted: list[tuple[BaselineKind, str]] = [(one, "") for one in TABULAR if one in subject.section.baselines]
    wanted += [(one.name, one.weights) for one in subject.section.baselines if isinstance(one, PretrainedBaseline)]
    try:
        table = read_table() if wanted else None
    except DataError as error:
        for kind, _ in wanted:
            yield f"{TABULAR[kind].label} has no scores, because it is fitted again each time: {error.problems[0].what}"
        return
    for kind, weights in wanted:
        if table is not None:
            yield from _fitted(kind, weights, subject, table, say)


def _model_class(kind: BaselineKind, weights: str) -> type[TabularBaseline]:
    """Return the class of a baseline. Raises RunError for weights that it cannot use."""
    if kind == "tabicl":
        from mmtrain.evaluation.reference_models.tabicl import TabICL

        return TabICL.of(weights)
    from mmtrain.evaluation.reference_models.gradient_boosting import GradientBoosting
    from mmtrain.evaluation.reference_models.linear_model import LinearModel

    return GradientBoosting if kind == "gradient_boosting" else LinearModel


def _fitted(kind: BaselineKind, weights: str, subject: AnalysisInput, table: EncodedTable, say: Say) -> Iterator[BaselinePredictions | str]:
    """Yield the predictions of a model for each target that it can predict, and a sentence about each of the others."""
    from mmtrain.evaluation.reference_models.tabular_baseline import FeatureMatrix

    baseline = TABULAR[kind]
    features = FeatureMatrix(table.fitted, table.arrays, table.partition.train)
    texts = [key for key, column in table.fitted.columns.items() if baseline.texts and column.attributed_to == "words"]
    columns = [key for key in table.fitted.columns if key in {*features.columns, *texts}]
    if not columns:
        yield f"{baseline.label} has no scores: it reads {baseline.reads}, and training rows have none."
        return
    try:
        model_class = _model_class(kind, weights)
    except RunError as error:
        yield f"{baseline.label} has no scores: {error.problems[0].what}"
        return
    able = dict(table.fitted.targets)
    for key, target in table.fitted.targets.items():
        if obstacle := model_class.obstacle(target, len(table.partition.train)):
            yield f"{baseline.label} has no scores of {key}: {obstacle[0].lower()}{obstacle[1:]}"
            del able[key]
    if not able:
        return
    say(f"Fitting the baseline {baseline.label}.")
    model = model_class(
        table.fitted.model_copy(update={"targets": able}), table.arrays, table.partition, features, seed=subject.section.seed
    )
    targets = _with_thresholds(table, model.predict(table.arrays, table.partition.validation))
    predictions = model.predict(subject.arrays, subject.rows)
    if model.remark:
        yield f"{baseline.label}: {model.remark}"
    name = f"{baseline.label} ({Path(weights).name})" if weights else baseline.label
    yield BaselinePredictions(kind, baseline.label, f"{name} on {listed(columns)}", targets, predictions)


def _with_thresholds(table: EncodedTable, validation: Mapping[str, Array]) -> dict[str, FittedTarget]:
    """Return the targets with thresholds chosen for these predictions of the validation rows, if `evaluation.threshold` is set."""
    by_target = {}
    for key, prediction in validation.items():
        rows = EvalSet.of(table.fitted.targets[key], table.arrays.targets[key][table.partition.validation], prediction, None)
        by_target[key] = fit_postprocessing(table.experiment.evaluation.of_baselines, rows, rows)
    return Postprocessing(targets=by_target).with_thresholds(table.fitted.targets)
