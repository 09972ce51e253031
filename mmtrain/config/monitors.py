"""Scores that are computed after every epoch, of which an experiment monitors one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mmtrain.config.sections.training import EarlyStopping
from mmtrain.config.validation.partial_validation import ValidParts, has_only
from mmtrain.config.yaml_source import LocatedProblem, Location
from mmtrain.config.yaml_syntax import typed_value
from mmtrain.errors import did_you_mean, listed
from mmtrain.metrics.on_request.declared import ON_REQUEST
from mmtrain.metrics.score import LEVEL, METRICS, metric_of
from mmtrain.targets import Target


def monitored(targets: dict[str, Target]) -> dict[str, str]:
    """Return every name that can be monitored, with its score: `validation_auc`, with several targets `validation_diagnosis_auc`.

    The labels of a multilabel target are known only from the data; `validation_auc[LABEL]` stands for all of them.
    """
    names = {f"{part}_loss": "loss" for part in ("validation", "train")}
    for key, target in targets.items():
        infix = f"{key}_" if len(targets) > 1 else ""
        names |= {f"{part}_{infix}loss": "loss" for part in ("validation", "train")}
        names |= {f"validation_{infix}{metric.name}": metric.name for metric in target.all_metrics if metric.name not in target.late_scores}
        names |= {f"validation_{infix}{name}": metric_of(name).name for name in target.extra_metrics}
        names |= {f"{name}[LABEL]": score for name, score in _of_each_label(key, targets).items()}
    return names


def _of_each_label(key: str, targets: dict[str, Target]) -> dict[str, str]:
    """Return the names of the scores of single labels, without the label, and the scores."""
    infix = f"{key}_" if len(targets) > 1 else ""
    return {f"validation_{infix}{metric.name}": metric.name for metric in targets[key].label_metrics}


def direction_of(monitor: str) -> str:
    """Return `maximize` or `minimize`; `minimize` for an unknown score, which is refused later."""
    score = _score_of(monitor)
    return "maximize" if score and METRICS[score].higher_is_better else "minimize"


def _score_of(monitor: str) -> str:
    """Return the longest known score at the end of a name, `log_loss` for `validation_diagnosis_log_loss`; empty without one."""
    # From the longest end to the shortest: `log_loss` before `loss`.
    words = monitor.partition("[")[0].partition(LEVEL)[0].split("_")
    ends = ("_".join(words[start:]) for start in range(len(words)))
    return next((end for end in ends if end in METRICS), "")


def is_weighted_loss(monitor: str, targets: dict[str, Target]) -> bool:
    """Return True if the monitored score uses the weights of rows: validation losses do, other scores do not."""
    return monitor.startswith("validation_") and monitored(targets).get(monitor) == "loss"


def stopping_rule(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that the monitored score exists for these targets and has the right direction; a weight soup needs one of validation rows."""
    training = sound.tree.get("training")
    stopping = training.get("early_stopping") if isinstance(training, dict) else None
    if not sound.whole or not sound.targets or not isinstance(stopping, dict) or not has_only(stopping, EarlyStopping):
        return
    monitor = stopping.get("monitor") or "validation_loss"
    if not isinstance(monitor, str):
        return
    where: Location = ("training", "early_stopping")
    known = monitored(sound.targets)
    if _general(monitor, sound.targets) not in known:
        yield (*where, "monitor"), f"there is no score {monitor!r} for these targets.", nearest_monitor(monitor, known)
        return
    right = direction_of(monitor)
    wrong = {"minimize": "maximize", "maximize": "minimize"}[right]
    if stopping.get("direction") == wrong:
        yield (*where, "direction"), f"`{monitor}` is better when it is {_HIGH[right]}.", f"Set `direction: {right}`, or leave it out."
    if not isinstance(training, dict) or training.get("soup") is None:
        return
    if typed_value(stopping.get("standard_errors")):
        what = "epochs with the best scores are averaged, and `early_stopping.standard_errors` keeps one that need not be among them."
        yield ("training", "soup"), what, "Leave one of them out."
    if not monitor.startswith("validation_"):
        what = f"the mean of weights is compared with the best epoch on validation rows, and `{monitor}` is that of training rows."
        yield ("training", "soup"), what, "Leave it out, or monitor `validation_loss`."


_HIGH = {"minimize": "lower", "maximize": "higher"}


def nearest_monitor(monitor: str, known: dict[str, str]) -> str:
    """Return the same score under its right name, a score of a similar spelling, or all scores."""
    # The same score under another prefix: `val_auc`, or `validation_auc` where there are several targets.
    score = _score_of(monitor)
    same = [name for name, other in known.items() if other == score and name.startswith("validation_")]
    if same:
        return did_you_mean(monitor, same) or f"Did you mean '{same[0]}'?"
    if score in ON_REQUEST:
        return f"Ask for it with `extra_metrics: [{ON_REQUEST[score].usage}]` of its target."
    hint = "" if score else did_you_mean(monitor, known)  # a known score of another task is not misspelt
    return hint or f"Their scores are {listed([name for name in known if name.startswith('validation_')], most=30)}."


def _general(monitor: str, targets: dict[str, Target]) -> str:
    """Return `validation_auc[LABEL]` for `validation_auc[beach]`, unless the file lists the labels and `beach` is not one of them."""
    label = label_of(monitor, targets)
    if label is None or label.label not in (label.target.declared_labels or [label.label]):
        return monitor
    return f"{monitor.partition('[')[0]}[LABEL]"


class LabelOf(NamedTuple):
    """A label that a monitor names, and the target that should have it."""

    target: Target
    label: str


def label_of(monitor: str, targets: dict[str, Target]) -> LabelOf | None:
    """Return the label of `validation_auc[beach]` and its target; None if the monitor is not the score of one label."""
    score, _, label = monitor.removesuffix("]").partition("[")
    for key, target in targets.items():
        if f"{score}[{label}]" == monitor and score in _of_each_label(key, targets):
            return LabelOf(target, label)
    return None
