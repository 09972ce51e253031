"""The space of a search whose file has none: a few settings that matter on most data, for the columns and branches of the experiment."""

from __future__ import annotations

from mmtrain.branches import Branch
from mmtrain.config import Experiment
from mmtrain.config.sections.tune import Range, Space

RATE_FACTOR = 10.0
"""The learning rate is varied from the file's divided by this to the file's times this."""
MOST_DROPOUT = 0.5
"""Upper end of the range of dropout rates."""
DEFAULT_RATE = 0.001
"""Center of the range of learning rates where the file's is `auto`."""
WIDTHS = ((16,), (64,), (128, 64))
TABM_WIDTHS = ((64, 64), (192, 192))
FILTERS = ((16, 32, 64), (32, 64, 128))
"""Choices of `units`, of those of TabM, and of `filters`, in addition to the file's."""
MOST_BRANCHES = 3
"""Branches whose networks are varied; more settings need more trials than a search has."""


def propose_space(experiment: Experiment) -> Space:
    """Return a space for an experiment: learning rate, weight decay, dropout, and widths of the branches of its tables and images.

    Options that the optimizer or an architecture does not have are left out.
    """
    training = experiment.training
    rate = training.learning_rate if isinstance(training.learning_rate, float) else DEFAULT_RATE
    space: Space = {"training.learning_rate": Range(low=_round(rate / RATE_FACTOR), high=_round(rate * RATE_FACTOR), scale="log")}
    if training.weight_decay:
        decay = training.weight_decay
        space["training.weight_decay"] = Range(low=_round(decay / RATE_FACTOR), high=_round(decay * RATE_FACTOR), scale="log")
    if experiment.fusion.units or len(experiment.branches) > 1:
        space["fusion.dropout"] = Range(low=0.0, high=MOST_DROPOUT)
    named = [(key, branch) for key, branch in experiment.branches.items() if "." not in key]  # a dotted key cannot name the others
    for key, branch in named[:MOST_BRANCHES]:
        space |= _branch_space(key, branch)
    return space


def _branch_space(key: str, branch: Branch) -> Space:
    options = type(branch).model_fields
    space: Space = {}
    if "dropout" in options:
        space[f"branches.{key}.dropout"] = Range(low=0.0, high=MOST_DROPOUT)
    for name, choices in (("units", TABM_WIDTHS if branch.architecture == "tabm" else WIDTHS), ("filters", FILTERS)):
        declared = getattr(branch, name, None)
        if isinstance(declared, tuple) and declared:
            # The file's own first; it may be one of the others.
            space[f"branches.{key}.{name}"] = tuple(list(widths) for widths in dict.fromkeys((declared, *choices)))
    return space


def _round(value: float) -> float:
    return float(f"{value:.2g}")
