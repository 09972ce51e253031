"""What stands beside the model in an evaluation, trained or fitted on the run's own training rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.encode import Array, Arrays
from mmtrain.data.images.store import Progress, Say
from mmtrain.data.splits.split_file import read_split
from mmtrain.errors import DataError, MmtrainError, listed, shell_command
from mmtrain.evaluation.baselines import BaselinePredictions, dummy_baseline
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing, fit_postprocessing
from mmtrain.evaluation.scoring import TargetScores
from mmtrain.pipeline.analyze import AnalysisInput
from mmtrain.pipeline.child_run import TrainingContext, cached_predictions, folders, most_epochs, train_single_branch
from mmtrain.pipeline.postprocess import read_postprocessing
from mmtrain.pipeline.restore import restore_data
from mmtrain.targets import FittedTarget


@dataclass(frozen=True, eq=False)
class BaselineContext:
    """Where a run was trained, for baselines to learn on the same ground."""

    run: Run
    experiment: Experiment
    arrays: Arrays | None
    """Its table, encoded, where that is what is scored."""
    progress: Progress | None
    say: Say

    @cached_property
    def ground(self) -> TrainingContext:
        """What the run was trained on; read and encoded now if it is not the scored table. Raises DataError when it is gone."""
        fitted = encode.of_run(self.run, self.experiment)  # without the thresholds that were chosen for the model
        if self.arrays is not None:
            return TrainingContext(self.experiment, fitted, self.arrays, read_split(self.run / "split.csv").plan.holdout)
        data, partition = restore_data(self.run, self.experiment, progress=self.progress, say=self.say)
        arrays = encode.encode(self.experiment, fitted, data.table, data.stores, say=self.say)
        return TrainingContext(self.experiment, fitted, arrays, partition)


def add_baselines(results: Mapping[str, TargetScores], subject: AnalysisInput, home: BaselineContext) -> dict[str, TargetScores]:
    """The results with every baseline that the experiment asks for, and with the model's differences to each."""
    told = [*_alone(subject, home), *_boosted(subject, home)]
    beside = [one for one in told if isinstance(one, BaselinePredictions)]
    notes = tuple(one for one in told if isinstance(one, str))
    return {key: replace(_held_against(result, subject, beside), baseline_notes=notes) for key, result in results.items()}


def _held_against(result: TargetScores, subject: AnalysisInput, beside: list[BaselinePredictions]) -> TargetScores:
    """On the rows with a known answer."""
    key, model = result.target, result.drawn
    if model is None:
        return result
    known = subject.truths.known(key)
    baselines = [dummy_baseline(key, model.rows.target, len(model.rows)), *(one.of(known) for one in beside)]
    return replace(result, baselines=tuple(one.against(key, model) for one in baselines))


def _alone(subject: AnalysisInput, home: BaselineContext) -> Iterator[BaselinePredictions | str]:
    branches, wanted = subject.experiment.branches, subject.section.baselines
    if "single_branch" not in wanted:
        if len(branches) > 1:
            more = ", ".join([*wanted, "single_branch"])
            asked = shell_command("evaluate", subject.run, "--set", f"evaluation.baselines=[{more}]")
            yield f"To see what each branch achieves alone: {asked}"
        return
    if len(branches) == 1:
        yield f"The model has one branch only, {next(iter(branches))}: alone it is the model itself."
        return
    most = most_epochs(subject.run, subject.experiment.training.early_stopping)
    if most is not None:
        yield (
            f"The training of this run ended after {most} of {subject.experiment.training.epochs} epochs, "
            "so no branch was trained alone for more."
        )
    for branch in branches:
        try:
            yield _of_branch(branch, subject, home, most)
        except MmtrainError as error:  # the model can be judged all the same; without a path, which a packed run must not tell
            yield f"{branch} alone has no scores: {error.problems[0].what}"


def _of_branch(branch: str, subject: AnalysisInput, home: BaselineContext, most: int | None) -> BaselinePredictions:
    """By the branch as it is kept, or trained now for as many epochs at `most`. Raises MmtrainError."""
    from mmtrain.model import model_file

    run = cached_predictions(folders(subject.run, subject.experiment)[branch], branch, most) or train_single_branch(
        subject.run, branch, home.ground, most, home.say
    )
    alone = subject.experiment.alone(branch)
    decisions = read_postprocessing(run, alone, subject.fitted)
    _, predictor = model_file.of_run(run, alone, subject.fitted.of(alone.inputs))
    arrays = subject.arrays.of(subject.branches[branch])
    predictions = model_file.predict(predictor, arrays, subject.rows)
    targets = decisions.overlaid(subject.fitted.targets)
    return BaselinePredictions("single_branch", f"{branch} alone", f"{branch} alone", targets, predictions)


def _boosted(subject: AnalysisInput, home: BaselineContext) -> Iterator[BaselinePredictions | str]:
    from mmtrain.evaluation import gradient_boosting

    if "gradient_boosting" not in subject.section.baselines:
        return
    try:
        ground = home.ground
    except DataError as error:
        yield f"gradient boosting has no scores, as it is fitted anew every time: {error.problems[0].what}"
        return
    features = gradient_boosting.FeatureMatrix(ground.fitted, ground.arrays, ground.partition.train)
    if not features.columns:
        yield "gradient boosting has no scores: it reads numbers and categories, and training rows have none."
        return
    unable = [key for key, target in ground.fitted.targets.items() if not gradient_boosting.can_predict(target)]
    if unable:
        yield f"gradient boosting has no scores: it predicts classes, labels and numbers, and {listed(unable)} is none of them."
        return
    home.say("Fitting the baseline gradient boosting.")
    boosted = gradient_boosting.GradientBoosting(ground.fitted, ground.arrays, ground.partition, features, seed=subject.section.seed)
    targets = _decided(ground, boosted.predict(ground.arrays, ground.partition.validation))
    predictions = boosted.predict(subject.arrays, subject.rows)
    told = f"gradient boosting on {listed(list(features.columns))}"
    yield BaselinePredictions("gradient_boosting", "gradient boosting", told, targets, predictions)


def _decided(ground: TrainingContext, validation: Mapping[str, Array]) -> dict[str, FittedTarget]:
    """The targets with thresholds chosen for these predictions of the validation rows, where the experiment wants any."""
    found = {}
    for key, prediction in validation.items():
        rows = EvalSet.of(ground.fitted.targets[key], ground.arrays.targets[key][ground.partition.validation], prediction, None)
        found[key] = fit_postprocessing(ground.experiment.evaluation.of_baselines, rows, rows)
    return Postprocessing(targets=found).overlaid(ground.fitted.targets)
