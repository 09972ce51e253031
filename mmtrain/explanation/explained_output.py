"""Selection of the raw output of a network that is explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mmtrain.data.encode import Array
from mmtrain.errors import Problem, did_you_mean, listed
from mmtrain.targets import FittedTarget

Method = Literal["both", "grad_cam", "integrated_gradients"]


@dataclass(frozen=True)
class ExplainedOutputs:
    """Target and method of an explanation."""

    target: str
    class_name: str | None = None
    """By default the positive one of two classes; of several classes or labels the most probable one, row by row."""
    method: Method = "both"
    """Heat maps on images; columns and words have integrated gradients whatever it is."""
    steps: int | None = None
    """Points of integrated gradients; by default as many as are needed."""


@dataclass(frozen=True)
class OutputSelector:
    """The raw value of one unit of a target; with `sign` -1 what speaks against it."""

    target: str
    unit: int = 0
    sign: float = 1.0
    words: str = ""
    """What the value is called."""
    probability: float | None = None
    """Of the class or label that is asked for; None for a number."""


def selector_error(targets: Mapping[str, FittedTarget], target: str, class_name: str | None) -> list[Problem]:
    """Return the problems with explaining this class of this target; without a class, only the target is checked."""
    if target not in targets:
        fix = did_you_mean(target, targets) or f"It predicts {listed(list(targets))}."
        return [Problem("--target", f"this run predicts no {target!r}.", fix)]
    names = targets[target].columns
    if class_name is None or class_name in names:
        return []
    what = f"{target} has no class {class_name!r}." if names else f"{target} is a number and has no classes."
    fix = did_you_mean(class_name, names) or (f"Its classes are {listed(names)}." if names else "Leave --class out.")
    return [Problem("--class", what, fix)]


def output_selector(asked: ExplainedOutputs, target: FittedTarget, prediction: Array) -> OutputSelector:
    """Select the output that is explained for a row with this prediction, (1, units)."""
    names = target.columns
    if not names:
        return OutputSelector(asked.target, words=asked.target)
    probabilities = target.probabilities(prediction)[0]
    if asked.class_name is not None:
        code = names.index(asked.class_name)
    else:
        code = len(names) - 1 if target.units == 1 else int(probabilities.argmax())
    words, probability = f"logit of {names[code]}", float(probabilities[code])
    if target.units == 1 and len(names) > 1:  # one logit, which speaks for the second of two classes
        return OutputSelector(asked.target, 0, 1.0 if code else -1.0, words, probability)
    return OutputSelector(asked.target, code, 1.0, words, probability)
