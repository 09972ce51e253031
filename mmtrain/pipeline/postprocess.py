"""Post-hoc calibration, decision threshold and conformal bound, fitted on validation rows for the best model; decisions.json.

They are fitted whenever a best model is saved, also if a training was interrupted or failed after its first epoch, since they belong to
that model. If a process was killed between saving and fitting, `mmtrain fit --resume` fits them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from mmtrain.artifacts import run_folder
from mmtrain.artifacts.results import TargetResult
from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.data.encode import Fitted
from mmtrain.errors import Problem, RunError, shell_command
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing, evaluate_postprocessing, fit_postprocessing
from mmtrain.evaluation.scoring import ScoredTarget

if TYPE_CHECKING:
    from mmtrain.training.training_data import TrainingData

FILE = "decisions.json"


def forget(run: Run) -> None:
    """Remove the postprocessing of an earlier model before another model is written: a kill in between must not leave both."""
    (run / FILE).unlink(missing_ok=True)


def fit_and_save_postprocessing(run: Run, data: TrainingData, evaluation: Evaluation) -> Postprocessing:
    """Fit and write the postprocessing that `evaluation` configures, if any, with the present weights of the network."""
    if not evaluation.decides:
        return Postprocessing()
    from mmtrain.model import model_file

    partition = data.partition
    # One pass over the network for both, cut apart below.
    both = np.concatenate([partition.validation, partition.calibration])
    predictions = model_file.predict(data.models.predictor, data.arrays, both)
    by_target = {}
    for key, target in data.fitted.targets.items():
        per_part = np.split(predictions[key], [len(partition.validation)])
        rows, held_back = (
            EvalSet.of(target, data.arrays.targets[key][part], one, None if data.groups is None else data.groups[part])
            for part, one in zip((partition.validation, partition.calibration), per_part, strict=True)
        )
        by_target[key] = fit_postprocessing(evaluation, rows, held_back)
    decisions = Postprocessing(targets=by_target)
    save_postprocessing(run, decisions)
    return decisions


def save_postprocessing(run: Run, decisions: Postprocessing) -> None:
    """Write and seal decisions.json."""
    run.write_text(FILE, decisions.model_dump_json(indent=1) + "\n")
    # A sealed file that changes later is refused when the run is opened.
    run.seal(FILE)


def read_postprocessing(run: Run, experiment: Experiment, fitted: Fitted) -> Postprocessing:
    """Return the postprocessing of the run's model. Raises RunError if it is missing, damaged, or of another version."""
    if not experiment.evaluation.decides:
        return Postprocessing()
    if not (run / FILE).is_file():
        what = "the training was stopped before the calibration, the threshold or the conformal bound of its model was fitted."
        raise RunError(Problem(str(run.folder), what, f"Resume it: {shell_command('fit', '--resume', run.folder)}"))
    try:
        decisions = Postprocessing.model_validate(run.read_json(FILE))
    except ValidationError as error:
        what = f"the file is damaged: {error.errors()[0]['msg']}."
        raise RunError(Problem(str(run / FILE), what, run_folder.RESTORE)) from None
    if not decisions.matches(fitted.targets):
        raise RunError(Problem(str(run / FILE), "the file does not fit the targets of columns.json.", run_folder.RESTORE))
    return decisions


def apply_postprocessing(fitted: Fitted, decisions: Postprocessing) -> Fitted:
    """Return the fitted columns and targets with the chosen thresholds; columns.json stays as it is."""
    return fitted.model_copy(update={"targets": decisions.with_thresholds(fitted.targets)})


def with_postprocessing(scored: Mapping[str, ScoredTarget], decisions: Postprocessing) -> dict[str, TargetResult]:
    """Return the results with their calibration, and with the threshold and the conformal bound evaluated on the scored rows."""
    return {
        key: one.result if one.bootstrap_scores is None else evaluate_postprocessing(one.result, decisions.of(key), one.bootstrap_scores)
        for key, one in scored.items()
    }
