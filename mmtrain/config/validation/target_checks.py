"""Rules on targets, and on settings of the training that balance their classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmtrain.config.validation.partial_validation import ValidParts
from mmtrain.config.yaml_source import LocatedProblem
from mmtrain.errors import listed
from mmtrain.optim import losses
from mmtrain.targets import Target
from mmtrain.targets.losses import LOGIT_ADJUSTED


def _class_weights(sound: ValidParts) -> Iterator[LocatedProblem]:
    """`training.class_weights` has a target that takes them."""
    section = sound.tree.get("training")
    weights = section.get("class_weights") if isinstance(section, dict) else None
    if weights in (None, "none") or not sound.whole or not sound.targets:
        return
    where = ("training", "class_weights")
    having = {key: target for key, target in sound.targets.items() if not target.is_continuous}
    with_own = [key for key, target in having.items() if target.own_class_weights is not None]
    if not having:
        what = "`class_weights` needs a target with classes or labels, and numbers have none."
        yield where, what, "Leave it out; a column with the role `weight` gives each row a weight."
    elif len(with_own) == len(having):
        what = f"`class_weights` has no effect here: every target with classes ({listed(with_own)}) has `class_weights` of its own."
        yield where, what, "Leave out one of the two."


def _priors(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Decisions of two classes follow a prior or a chosen threshold, not both."""
    section = sound.tree.get("evaluation")
    if not isinstance(section, dict) or section.get("threshold") is None:
        return
    for key, target in sound.targets.items():
        if key not in sound.flawed and target.thresholdable and dict(target).get("decision") is not None:
            what = "`decision` and `evaluation.threshold` both say from which probability on the positive class is predicted."
            yield ("columns", key, "decision"), what, "Leave one of them out."


def _losses(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Every loss is for the task of its target, and is not given twice."""
    for key, target in sound.targets.items():
        if key in sound.flawed or target.loss is None:
            continue
        where, method = ("columns", key, "loss"), target.loss.method
        if target.task not in losses[method].tasks:
            able = [name for name, entry in losses.items() if target.task in entry.tasks]
            fix = f"Set {listed([f'`{name}`' for name in able], 'or')}, or leave it out." if able else "Leave it out."
            yield where, f"the loss `{method}` is for `task: {' or '.join(losses[method].tasks)}`.", fix
        # A run's config.yaml has every value, the default of `error` included.
        elif (error := type(target).model_fields.get("error")) and dict(target)["error"] != error.default:
            yield where, "`loss` and `error` both choose the loss.", "Leave one of them out."
        elif dict(target).get("label_smoothing"):
            yield where, f"`label_smoothing` is for the cross-entropy, and `loss: {method}` is another one.", "Leave one of them out."
        elif method == LOGIT_ADJUSTED and _weights_of(sound, target) not in (None, "none"):
            yield where, f"`class_weights` and `loss: {method}` both correct for how often classes occur.", "Leave one of them out."


def _sampling(sound: ValidParts) -> Iterator[LocatedProblem]:
    """One target at most says which rows an epoch draws, and nothing else corrects its loss for the frequency of classes."""
    balanced = {
        key: target for key, target in sound.targets.items() if key not in sound.flawed and dict(target).get("sample") == "balanced"
    }
    for key, target in balanced.items():
        where = ("columns", key, "sample")
        if key != next(iter(balanced)):
            yield where, f"the rows of an epoch are drawn by the classes of '{next(iter(balanced))}' already.", "Leave one of the two out."
        if _weights_of(sound, target) not in (None, "none"):
            yield where, "`class_weights` and `sample: balanced` both correct for how often classes occur.", "Leave one of them out."
        if target.loss is not None and target.loss.method == LOGIT_ADJUSTED:
            what = f"`loss: {LOGIT_ADJUSTED}` and `sample: balanced` both correct for how often classes occur."
            yield where, what, "Leave one of them out."


def _ranked_groups(sound: ValidParts) -> Iterator[LocatedProblem]:
    """The groups of a ranking are kept together by the split, and batches are not drawn in another way."""
    ranked = {key: target for key, target in sound.targets.items() if key not in sound.flawed and target.is_ranked}
    headers = [column.column or key for key, column in sound.columns.items() if column is not None and column.purpose == "grouping"]
    for key, target in ranked.items():
        where = ("columns", key, "group")
        if key != next(iter(ranked)):
            yield where, f"the batches keep the groups of '{next(iter(ranked))}' together already.", "Train the two in two experiments."
        elif sound.whole and target.ranked_within not in headers:
            other = f", and {headers[0]!r} is another column" if headers else ""
            what = f"rows of one {target.ranked_within!r} have to be in one part of the split{other}."
            fix = f"Give it the role `group` as well: `groups: {{role: group, column: {target.ranked_within}}}`."
            yield where, what, fix
        sampled = [other for other, one in sound.targets.items() if dict(one).get("sample") == "balanced"]
        if sampled:
            what = "the rows of an epoch are drawn by class, which separates those of a group."
            yield ("columns", sampled[0], "sample"), what, f"Leave it out, or train '{key}' in an experiment of its own."


def _single_rows(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Batches have several rows where the loss compares them: a batch of one has no gradient."""
    training = sound.tree.get("training")
    if not isinstance(training, dict) or str(training.get("batch_size")) != "1":
        return
    for key, target in sound.targets.items():
        if key not in sound.flawed and target.compares_rows:
            yield ("training", "batch_size"), f"a batch of one row has no pair from which '{key}' is learned.", "Set 32, for example."


def _balanced_targets(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Weights of targets are learned where there are several."""
    training = sound.tree.get("training")
    learns_weights = isinstance(training, dict) and training.get("balance_targets") == "uncertainty"
    if learns_weights and sound.whole and len(sound.targets) == 1:
        what = "`balance_targets: uncertainty` weighs several targets against each other, and there is one."
        yield ("training", "balance_targets"), what, "Leave it out."


def _weights_of(sound: ValidParts, target: Target) -> Any:
    """Return the class weights of a target as the file has them: its own, or those of the training."""
    training = sound.tree.get("training")
    common = training.get("class_weights") if isinstance(training, dict) else None
    return common if target.own_class_weights is None else target.own_class_weights


TARGET_RULES = (_class_weights, _priors, _losses, _sampling, _ranked_groups, _single_rows, _balanced_targets)
