"""Decision thresholds and priors of a fitted target: what corrects the label that it predicts from probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from mmtrain.targets.traits import TaskTraits

if TYPE_CHECKING:
    import numpy as np

    from mmtrain.targets.fitted_target import FittedTarget

UNCHOSEN = 0.5
"""Decision threshold where none was chosen."""


class Decides(TaskTraits):
    """The part of a fitted target that decides; by default of a task that has nothing to decide, or a field `threshold`."""

    @property
    def decision_threshold(self) -> float | None:
        """The field `threshold` of tasks that have it: the probability from which a class or label counts as predicted."""
        threshold: float | None = dict(self).get("threshold")
        return threshold

    def with_threshold(self, threshold: float = UNCHOSEN) -> Self:
        """Return the same target with this decision threshold; left out, as if none had been chosen."""
        return self.model_copy(update={"threshold": threshold}) if self.thresholdable else self

    @property
    def decision_factors(self) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """Factors of the probabilities of classes, (classes,), where the largest product decides; None where they are not corrected."""
        return None

    def without_decision(self) -> Self:
        """Return the same target without anything that corrects its decisions: the most probable class, or a threshold of 0.5."""
        return self.with_threshold()

    def with_decision_of(self, member: FittedTarget) -> Self:
        """Return the same target with the decision of one that was fitted to other rows, which may know fewer classes."""
        threshold = member.decision_threshold
        return self if threshold is None else self.with_threshold(threshold)

    def one_sided(self) -> tuple[Self, ...]:
        """Return the same target with decisions that hardly depend on the row: each calls nearly all rows by one class."""
        # No probability is below 0 or above 1.
        return (self.with_threshold(0.0), self.with_threshold(1.1)) if self.thresholdable else ()

    @property
    def is_sampled(self) -> bool:
        """True if each epoch draws the training rows by the classes of this target."""
        return False

    @property
    def balance(self) -> str:
        """The setting that shifts learned probabilities of classes away from their frequency, for a sentence; empty without one."""
        return ""
