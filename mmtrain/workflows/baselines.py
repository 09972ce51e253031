"""What stands beside the model in an evaluation, trained or fitted on the run's own training rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec

from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.encode import Array, Arrays, Fitted
from mmtrain.data.images import Progress, Say
from mmtrain.data.parts import read_split
from mmtrain.errors import DataError, Problem, RunError, UsageError, listed
from mmtrain.evaluation.baselines import Answers, BaselineScores, Contest, blind
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.scoring import TargetScores, known_rows
from mmtrain.runs import Run
from mmtrain.workflows.prepare import recorded_data
from mmtrain.workflows.single_branch import Ground, folders, kept, train_alone


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows that the model has answered for, and that baselines shall answer for as well."""

    run: Run
    experiment: Experiment
    fitted: Fitted
    arrays: Arrays
    """The table of these rows, encoded."""
    rows: Array
    resampling: Resampling
    predictions: Mapping[str, Array]
    """Of the model."""
    trained_on: bool
    """Whether the table is the one that the run was trained on."""
    progress: Progress | None
    say: Say

    @cached_property
    def ground(self) -> Ground:
        """What the run was trained on; if not the scored table, read and encoded now. Raises DataError when it is gone."""
        if self.trained_on:
            return Ground(self.experiment, self.fitted, self.arrays, read_split(self.run / "split.csv").parts)
        data, parts = recorded_data(self.run, self.experiment, progress=self.progress, say=self.say)
        arrays = encode.encode(self.experiment, self.fitted, data.table, data.stores, say=self.say)
        return Ground(self.experiment, self.fitted, arrays, parts)


def check_packages(experiment: Experiment) -> None:
    """Raises UsageError when a baseline needs what is not installed."""
    if "gradient_boosting" in experiment.evaluation.baselines and find_spec("sklearn") is None:
        what = "gradient_boosting needs scikit-learn, which is not installed."
        raise UsageError(Problem("evaluation.baselines", what, "Run `pip install 'mmtrain[baselines]'`, or leave it out."))


def with_baselines(scored: Scored, results: Mapping[str, TargetScores]) -> dict[str, TargetScores]:
    """The results with every baseline that the experiment asks for, and with the model's differences to each."""
    told = [*_alone(scored), *_boosted(scored)]
    answers = [one for one in told if isinstance(one, Answers)]
    notes = tuple(one for one in told if isinstance(one, str))
    found = {}
    for key, result in results.items():
        baselines = _held_against(scored, key, answers) if result.rows else result.baselines
        found[key] = replace(result, baselines=baselines, baseline_notes=notes)
    return found


def _held_against(scored: Scored, key: str, answers: list[Answers]) -> tuple[BaselineScores, ...]:
    """On the rows with a known answer, of which there are some."""
    target, truth = scored.fitted.targets[key], scored.arrays.targets[key][scored.rows]
    known = known_rows(truth)
    contest = Contest(key, target, truth[known], scored.predictions[key][known], scored.resampling.bootstrap(known))
    return contest.against([blind(key, target, int(known.sum())), *(one.of(known) for one in answers)])


def _alone(scored: Scored) -> Iterator[Answers | str]:
    from mmtrain.model import saved

    branches, wanted = scored.experiment.branches, scored.experiment.evaluation.baselines
    if "single_branch" not in wanted:
        if len(branches) > 1:
            more = ", ".join([*wanted, "single_branch"])
            yield f"To see what each branch achieves alone: mmtrain evaluate {scored.run} --set 'evaluation.baselines=[{more}]'"
        return
    if len(branches) == 1:
        yield f"The model has one branch only, {next(iter(branches))}: alone it is the model itself."
        return
    for branch, folder in folders(scored.run, scored.experiment).items():
        try:
            run = kept(folder) or train_alone(scored.run, branch, scored.ground, scored.say)
            arrays = scored.arrays.of(branches[branch].columns)
            predictions = saved.predict(saved.predictor(run / "model.keras"), arrays, scored.rows)
        except (DataError, RunError) as error:  # the model can be judged all the same; without a path, which a packed run must not tell
            yield f"{branch} alone has no scores: {error.problems[0].what}"
        else:
            yield Answers("single_branch", f"{branch} alone", f"{branch} alone", predictions)


def _boosted(scored: Scored) -> Iterator[Answers | str]:
    from mmtrain.evaluation import gradient_boosting

    if "gradient_boosting" not in scored.experiment.evaluation.baselines:
        return
    columns = gradient_boosting.usable(scored.fitted)
    if not columns:
        yield "gradient boosting has no scores: it reads numbers and categories, and this experiment has none among its inputs."
        return
    try:
        ground = scored.ground
    except DataError as error:
        yield f"gradient boosting has no scores, as it is fitted anew every time: {error.problems[0].what}"
        return
    scored.say("Fitting the baseline gradient boosting.")
    boosted = gradient_boosting.Boosted(ground.fitted, ground.arrays, ground.parts, seed=scored.experiment.evaluation.seed)
    name = f"gradient boosting on {listed(columns)}"
    yield Answers("gradient_boosting", "gradient boosting", name, boosted.predict(scored.arrays, scored.rows))
