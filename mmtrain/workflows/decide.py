"""The last step of `fit`: what the experiment wants fitted on validation rows, with the weights of the best epoch; decisions.json.

It is fitted whenever a best model is saved, so also of a training that was interrupted or that failed after a good epoch: the model
and what was fitted for it belong together. Where a process was killed between the two, `mmtrain fit --resume` makes up for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from mmtrain.config import Experiment
from mmtrain.data.encode import Array, Fitted
from mmtrain.errors import Problem, RunError
from mmtrain.evaluation.decisions import Decisions, Rows, decide, judge
from mmtrain.evaluation.scoring import TargetScores
from mmtrain.runs import Run

if TYPE_CHECKING:
    from mmtrain.training.material import Material

FILE = "decisions.json"


def forget(run: Run) -> None:
    """What was fitted for an earlier model says nothing about the one that is about to be written."""
    (run / FILE).unlink(missing_ok=True)


def fit_decisions(run: Run, material: Material) -> Decisions:
    """Fit and write what the experiment asks for, from the network as it is now; nothing where it asks for nothing."""
    wish = material.experiment.evaluation
    if not wish.decides:
        return Decisions()
    from mmtrain.model import saved

    parts = material.parts
    both = np.concatenate([parts.validation, parts.conformal])
    predictions = saved.predict(material.network.predictor, material.arrays, both)
    found = {}
    for key, target in material.fitted.targets.items():
        rows = _rows(material, key, parts.validation, predictions[key][: len(parts.validation)])
        held_back = _rows(material, key, parts.conformal, predictions[key][len(parts.validation) :])
        found[key] = decide(wish, target, rows, held_back)
    decisions = Decisions(targets=found)
    run.write_text(FILE, decisions.model_dump_json(indent=1) + "\n")
    run.seal(FILE)
    return decisions


def _rows(material: Material, key: str, positions: Array, prediction: Array) -> Rows:
    groups = None if material.groups is None else material.groups[positions]
    return Rows(material.arrays.targets[key][positions], prediction, groups)


def read_decisions(run: Run, experiment: Experiment) -> Decisions:
    """What was fitted for the model of the run. Raises RunError where it is missing, or is not what this version writes."""
    if not experiment.evaluation.decides:
        return Decisions()
    if not (run / FILE).is_file():
        what = "the training was stopped before the calibration, the threshold or the conformal bound of its model was fitted."
        raise RunError(Problem(str(run.folder), what, f"Go on with it: mmtrain fit --resume {run.folder}"))
    try:
        return Decisions.model_validate(run.read_json(FILE))
    except ValidationError as error:
        what = f"the file does not hold what was fitted on validation rows: {error.errors()[0]['msg']}."
        raise RunError(Problem(str(run / FILE), what, "Train again, or restore the folder.")) from None


def overlaid(fitted: Fitted, decisions: Decisions) -> Fitted:
    """What training rows taught, with the chosen thresholds; columns.json stays as it is."""
    return fitted.model_copy(update={"targets": decisions.overlaid(fitted.targets)})


def with_decisions(
    results: Mapping[str, TargetScores], fitted: Fitted, decisions: Decisions, rows: Mapping[str, Rows], confidence: float
) -> dict[str, TargetScores]:
    """The results of the scored `rows`, with their calibration and how the threshold and the conformal bound fare on them."""
    return {
        key: result.with_analyses(judge(fitted.targets[key], decisions.of(key), rows[key], confidence=confidence))
        for key, result in results.items()
    }
