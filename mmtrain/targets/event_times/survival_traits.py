"""Traits of `task: survival`, for the declared and the fitted target."""

from __future__ import annotations

from mmtrain.metrics.score import Metric
from mmtrain.targets.traits import DummyBaseline, TaskTraits


class SurvivalTraits(TaskTraits):
    """A time to an event."""

    title = "a time to an event"
    meaning = "The probability that the event has not happened by each time, the first of which is 0."
    noun = "outcome"
    is_continuous = True
    is_censored = True
    stratifies = True
    metrics = (
        Metric("concordance", higher_is_better=True, title="Concordance (Harrell)", unbiased=True, minimum=0, maximum=1),
        Metric("integrated_brier", higher_is_better=False, title="Integrated Brier score", unbiased=True, minimum=0),
    )
    main_metric = "concordance"
    plots = ("survival_curves",)
    dummy = DummyBaseline("Kaplan-Meier", "survival curve of the training rows (Kaplan-Meier)")

    @property
    def late_scores(self) -> tuple[str, ...]:
        """With proportional hazards, that of the curve: the loss leaves the level of the hazards open."""
        return ("integrated_brier",) if dict(self).get("method") == "cox" else ()
