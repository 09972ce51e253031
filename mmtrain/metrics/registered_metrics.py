"""Metrics that a user's own file adds to the tasks of mmtrain.

A metric is a function `(y_true, prediction, target) -> float` of the rows with a known answer: `y_true` is (rows,) or (rows, labels) as
the task encodes answers, `prediction` (rows, units) has probabilities, or numbers in the unit of the table, and `target` is the fitted
target with `columns` (its classes) and `predict_label(prediction)`. NaN means that the metric is undefined for these rows. An example:

    >>> import numpy as np
    >>> @metric("regression", higher_is_better=False, in_target_unit=True)
    ... def largest_error(y_true, prediction, target):
    ...     return np.abs(y_true - prediction[:, 0]).max()
    >>> registered_metrics["largest_error"].metric.title
    'Largest error'
    >>> [float(entry.compute(np.array([1.0, 2.0]), np.array([[1.0], [5.0]]), None)) for entry in of_task("regression")]
    [3.0]

It follows the scores of the task in training, reports and exports, has an interval, and can be monitored: `validation_largest_error`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mmtrain.metrics.score import Metric, Score, add_metric, value_or_reason
from mmtrain.registry import Registry

if TYPE_CHECKING:
    import numpy as np

    from mmtrain.metrics.bootstrap_counts import Scorer

    Array = np.ndarray[Any, Any]
    Compute = Callable[[Array, Array, "ScoredTarget"], float]


class ScoredTarget(Protocol):
    """Fitted target as a metric sees it."""

    @property
    def task(self) -> str:
        """`binary`, `regression`, ..."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The classes or labels; empty for a number."""

    def predict_label(self, prediction: Array) -> Array:
        """Return the predicted class names, label lists or numbers, (rows,)."""

    def decode_truth(self, truth: Array) -> Array:
        """Return the answers in the words of the table, (rows,)."""


@dataclass(frozen=True)
class RegisteredMetric:
    """A metric, the tasks it is for, and how it is computed."""

    metric: Metric
    tasks: frozenset[str]
    compute: Compute


registered_metrics: Registry[RegisteredMetric] = Registry("metric")


def metric(*tasks: str, higher_is_better: bool, title: str = "", in_target_unit: bool = False) -> Callable[[Compute], Compute]:
    """Register a function as a metric of these tasks, under its own name; without a `title` it follows from the name.

    Raises:
        ValueError: a registered metric has this name, or one of mmtrain that is better in the other direction.
    """

    def register(function: Compute) -> Compute:
        entry = Metric(function.__name__, higher_is_better, title, in_target_unit)
        add_metric(entry)
        registered_metrics.add(entry.name, RegisteredMetric(entry, frozenset(tasks), function))
        return function

    return register


def of_task(task: str) -> Iterator[RegisteredMetric]:
    """Yield the registered metrics of a task."""
    return (entry for _, entry in registered_metrics.items() if task in entry.tasks)


def registered_scores(target: ScoredTarget, y_true: Array, prediction: Array) -> tuple[Score, ...]:
    """Return the registered scores of the task of `target`; every one is undefined without rows."""
    reason = "The metric is not a number for these rows." if len(y_true) else "There are no rows to score."
    return tuple(
        value_or_reason(entry.metric.name, entry.compute(y_true, prediction, target) if len(y_true) else float("nan"), reason)
        for entry in of_task(target.task)
    )


def registered_scorer(target: ScoredTarget, y_true: Array, prediction: Array) -> Scorer:
    """Return the same scores of bootstrap draws, as a function of the counts (draws, rows)."""
    import numpy as np

    def scores(counts: Array) -> dict[str, Array]:
        draws = [np.repeat(np.arange(len(y_true)), row) for row in counts]  # a user's function knows no weights, so rows are repeated
        return {
            entry.metric.name: np.array([entry.compute(y_true[rows], prediction[rows], target) for rows in draws], dtype=np.float64)
            for entry in of_task(target.task)
        }

    return scores
