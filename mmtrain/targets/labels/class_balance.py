"""Corrections for how often classes occur: weights of classes in the loss, and the prior of decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from mmtrain.registry import Section
from mmtrain.targets.base import ClassWeights

if TYPE_CHECKING:
    from collections.abc import Mapping

EFFECTIVE_ROWS = 1000
"""Limit of the effective number of rows, 1 / (1 - b) with b = 0.999: the value of Cui et al. 2019 for their largest tables is 0.9999."""


def class_weights(counts: Mapping[str, int], wanted: ClassWeights) -> dict[str, float]:
    """A weight per class.

    `balanced` gives rows / (classes * rows of the class), so that every class adds the same to the loss and the mean
    weight is 1 (King and Zeng 2001; the formula of scikit-learn). `effective` does the same with the effective number of
    rows of each class, see `effective_number`. A class that `wanted` does not name weighs 1.
    """
    if wanted == "none":
        return dict.fromkeys(counts, 1.0)
    if isinstance(wanted, dict):
        return {name: wanted.get(name, 1.0) for name in counts}
    total = sum(counts.values())
    sizes: Mapping[str, float] = counts
    parts: float = len(counts)
    if wanted == "effective":
        sizes = {name: effective_number(count) for name, count in counts.items()}
        # Over all rows, the mean weight is 1, so that neither the loss nor the learning rate depends on the choice.
        parts = sum(count / sizes[name] for name, count in counts.items() if count)
    # A class without training rows can have no finite weight, and has no row that would use it.
    return {name: total / (parts * size) if size else 0.0 for name, size in sizes.items()}


def effective_number(rows: int) -> float:
    """Return the effective number of rows of a class, `(1 - b ** rows) / (1 - b)` (Cui et al. 2019, arXiv:1901.05555).

    It is near `rows` for a few and never above `EFFECTIVE_ROWS`: each further row of a large class adds less that is new.
    """
    beta = 1 - 1 / EFFECTIVE_ROWS
    return float((1 - beta**rows) * EFFECTIVE_ROWS)


class Decision(Section):
    """Assumed frequency of each class when a class is predicted from the probabilities."""

    prior: Literal["given", "balanced", "uniform"] | dict[str, Annotated[float, Field(gt=0)]] = Field(
        description="balanced: every class as often as every other, for the highest balanced accuracy; uniform: another word for it; "
        "given: as often as in training rows, whatever the class weights were; or a share per class, as in the rows to come.",
        examples=["balanced", {"benign": 0.98, "malignant": 0.02}],
    )

    @property
    def named_classes(self) -> tuple[str, ...]:
        """The classes that have a share of their own."""
        return tuple(self.prior) if isinstance(self.prior, dict) else ()

    def shares(self, counts: Mapping[str, int]) -> tuple[float, ...]:
        """Return the share of each class, in the order of `counts`, the training rows of each; together 1."""
        assumed = counts if self.prior == "given" else self.prior if isinstance(self.prior, dict) else dict.fromkeys(counts, 1)
        total = sum(assumed[name] for name in counts)
        return tuple(assumed[name] / total for name in counts)
