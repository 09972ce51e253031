"""Which scores are computed after an epoch, so that the file can name one to watch."""

from __future__ import annotations

from collections.abc import Iterator

from mmtrain.config.experiment import EarlyStopping
from mmtrain.config.source import Finding, Location
from mmtrain.config.tolerant import Sound, has_only
from mmtrain.errors import did_you_mean, listed
from mmtrain.named_score import EACH_LABEL, HIGHER_IS_BETTER, OF_TASK
from mmtrain.targets import MultilabelTarget, Target


def monitored(targets: dict[str, Target]) -> dict[str, str]:
    """Every name that can be watched, and its score: `validation_auc`, with several targets `validation_diagnosis_auc`.

    The labels of a multilabel target are known from the data only; `validation_auc[LABEL]` stands for all of them.
    """
    names = {f"{part}_loss": "loss" for part in ("validation", "train")}
    for key, target in targets.items():
        infix = f"{key}_" if len(targets) > 1 else ""
        names |= {f"{part}_{infix}loss": "loss" for part in ("validation", "train")}
        names |= {f"validation_{infix}{score}": score for score in OF_TASK.get(target.task, tuple(HIGHER_IS_BETTER))}
        if isinstance(target, MultilabelTarget):
            names |= {f"validation_{infix}{score}[LABEL]": score for score in EACH_LABEL}
    return names


def direction_of(monitor: str) -> str:
    """`maximize` or `minimize`; `minimize` for an unknown score, which is refused later."""
    return "maximize" if HIGHER_IS_BETTER.get(_score_of(monitor), False) else "minimize"


def _score_of(monitor: str) -> str:
    """`log_loss` of `validation_diagnosis_log_loss`, the longest known score at its end; empty for none."""
    words = monitor.partition("[")[0].split("_")
    ends = ("_".join(words[start:]) for start in range(len(words)))
    return next((end for end in ends if end in HIGHER_IS_BETTER), "")


def is_weighted_loss(monitor: str, targets: dict[str, Target]) -> bool:
    """Whether a row's weight counts in the score: in losses of the validation part it does, in scores it does not."""
    return monitor.startswith("validation_") and monitored(targets).get(monitor) == "loss"


def stopping_rule(sound: Sound) -> Iterator[Finding]:
    """The monitored score exists for these targets, and its direction is the right one."""
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
        yield (*where, "monitor"), f"there is no score {monitor!r} for these targets.", _nearest(monitor, known)
        return
    right = direction_of(monitor)
    wrong = {"minimize": "maximize", "maximize": "minimize"}[right]
    if stopping.get("direction") == wrong:
        yield (*where, "direction"), f"`{monitor}` is better when it is {_HIGH[right]}.", f"Set `direction: {right}`, or leave it out."


_HIGH = {"minimize": "lower", "maximize": "higher"}


def _nearest(monitor: str, known: dict[str, str]) -> str:
    """The same score under its right name, a score of a similar spelling, or all there are."""
    score = _score_of(monitor)
    same = [name for name, other in known.items() if other == score and name.startswith("validation_")]
    if same:
        return did_you_mean(monitor, same) or f"Did you mean '{same[0]}'?"
    hint = "" if score else did_you_mean(monitor, known)  # a score of another task is no misspelling
    return hint or f"There are {listed([name for name in known if name.startswith('validation_')], most=30)}."


def _general(monitor: str, targets: dict[str, Target]) -> str:
    """`validation_auc[LABEL]` for `validation_auc[beach]`; a label is checked where the file lists the labels."""
    score, bracket, label = monitor.partition("[")
    if not bracket or not label.endswith("]"):
        return monitor
    listed_labels = {name for target in targets.values() if isinstance(target, MultilabelTarget) for name in target.labels}
    return f"{score}[LABEL]" if not listed_labels or label[:-1] in listed_labels else monitor
