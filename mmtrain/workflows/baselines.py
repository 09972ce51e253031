"""What stands beside the model in an evaluation, trained or fitted on the run's own training rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec

from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.encode import Array, Arrays
from mmtrain.data.pictures.store import Progress, Say
from mmtrain.data.splits.parts import read_split
from mmtrain.errors import DataError, Problem, RunError, UsageError, listed
from mmtrain.evaluation.baselines import Answers, BaselineScores, Contest, blind
from mmtrain.evaluation.decisions import Decisions, Rows, decide
from mmtrain.evaluation.scoring import TargetScores, known_rows
from mmtrain.runs import Run
from mmtrain.targets import FittedTarget
from mmtrain.workflows.analyse import Subject
from mmtrain.workflows.decide import read_decisions
from mmtrain.workflows.prepare import recorded_data
from mmtrain.workflows.single_branch import Ground, folders, kept, train_alone


@dataclass(frozen=True, eq=False)
class Home:
    """Where a run was trained, for baselines to learn on the same ground."""

    run: Run
    experiment: Experiment
    arrays: Arrays | None
    """Its table, encoded, where that is what is scored."""
    progress: Progress | None
    say: Say

    @cached_property
    def ground(self) -> Ground:
        """What the run was trained on; read and encoded now if it is not the scored table. Raises DataError when it is gone."""
        fitted = encode.read_fitted(self.run.read_json("columns.json"))  # without the thresholds that were chosen for the model
        if self.arrays is not None:
            return Ground(self.experiment, fitted, self.arrays, read_split(self.run / "split.csv").parts)
        data, parts = recorded_data(self.run, self.experiment, progress=self.progress, say=self.say)
        arrays = encode.encode(self.experiment, fitted, data.table, data.stores, say=self.say)
        return Ground(self.experiment, fitted, arrays, parts)


def check_packages(experiment: Experiment) -> None:
    """Raises UsageError when a baseline needs what is not installed."""
    if "gradient_boosting" in experiment.evaluation.baselines and find_spec("sklearn") is None:
        what = "gradient_boosting needs scikit-learn, which is not installed."
        raise UsageError(Problem("evaluation.baselines", what, "Run `pip install 'mmtrain[baselines]'`, or leave it out."))


def with_baselines(results: Mapping[str, TargetScores], subject: Subject, home: Home) -> dict[str, TargetScores]:
    """The results with every baseline that the experiment asks for, and with the model's differences to each."""
    told = [*_alone(subject, home), *_boosted(subject, home)]
    answers = [one for one in told if isinstance(one, Answers)]
    notes = tuple(one for one in told if isinstance(one, str))
    found = {}
    for key, result in results.items():
        baselines = _held_against(subject, key, answers) if result.rows else result.baselines
        found[key] = replace(result, baselines=baselines, baseline_notes=notes)
    return found


def _held_against(subject: Subject, key: str, answers: list[Answers]) -> tuple[BaselineScores, ...]:
    """On the rows with a known answer, of which there are some."""
    target, truth = subject.fitted.targets[key], subject.arrays.targets[key][subject.rows]
    known = known_rows(truth)
    contest = Contest(key, target, truth[known], subject.predictions[key][known], subject.drawn.bootstrap(known))
    return contest.against([blind(key, target, int(known.sum())), *(one.of(known) for one in answers)])


def _alone(subject: Subject, home: Home) -> Iterator[Answers | str]:
    branches, wanted = subject.experiment.branches, subject.section.baselines
    if "single_branch" not in wanted:
        if len(branches) > 1:
            more = ", ".join([*wanted, "single_branch"])
            yield f"To see what each branch achieves alone: mmtrain evaluate {subject.run} --set 'evaluation.baselines=[{more}]'"
        return
    if len(branches) == 1:
        yield f"The model has one branch only, {next(iter(branches))}: alone it is the model itself."
        return
    for branch in branches:
        try:
            yield _of_branch(branch, subject, home)
        except (DataError, RunError) as error:  # the model can be judged all the same; without a path, which a packed run must not tell
            yield f"{branch} alone has no scores: {error.problems[0].what}"


def _of_branch(branch: str, subject: Subject, home: Home) -> Answers:
    """By the branch as it is kept, or trained now. Raises DataError, RunError."""
    from mmtrain.model import saved

    run = kept(folders(subject.run, subject.experiment)[branch]) or train_alone(subject.run, branch, home.ground, home.say)
    decisions = read_decisions(run, subject.experiment.alone(branch))
    arrays = subject.arrays.of(subject.branches[branch])
    predictions = saved.predict(saved.predictor(run / "model.keras"), arrays, subject.rows)
    return Answers("single_branch", f"{branch} alone", f"{branch} alone", decisions.overlaid(subject.fitted.targets), predictions)


def _boosted(subject: Subject, home: Home) -> Iterator[Answers | str]:
    from mmtrain.evaluation import gradient_boosting

    if "gradient_boosting" not in subject.section.baselines:
        return
    columns = gradient_boosting.usable(subject.fitted)
    if not columns:
        yield "gradient boosting has no scores: it reads numbers and categories, and this experiment has none among its inputs."
        return
    try:
        ground = home.ground
    except DataError as error:
        yield f"gradient boosting has no scores, as it is fitted anew every time: {error.problems[0].what}"
        return
    home.say("Fitting the baseline gradient boosting.")
    boosted = gradient_boosting.Boosted(ground.fitted, ground.arrays, ground.parts, seed=subject.section.seed)
    targets = _decided(ground, boosted.predict(ground.arrays, ground.parts.validation))
    predictions = boosted.predict(subject.arrays, subject.rows)
    yield Answers("gradient_boosting", "gradient boosting", f"gradient boosting on {listed(columns)}", targets, predictions)


def _decided(ground: Ground, validation: Mapping[str, Array]) -> dict[str, FittedTarget]:
    """The targets with thresholds chosen for these predictions of the validation rows, where the experiment wants any."""
    found = {}
    for key, prediction in validation.items():
        rows = Rows(ground.arrays.targets[key][ground.parts.validation], prediction, None)
        found[key] = decide(ground.experiment.evaluation.of_baselines, ground.fitted.targets[key], rows, rows)
    return Decisions(targets=found).overlaid(ground.fitted.targets)
