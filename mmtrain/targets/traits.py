"""Traits of a task, so that no other module compares its name.

A task writes one subclass and mixes it into its declared and its fitted target:

    >>> from mmtrain.targets.labels.multiclass import MulticlassTraits
    >>> class OrdinalTraits(MulticlassTraits):
    ...     title = "one of several ordered classes"
    ...     is_ordered = True
    ...     metrics = (Metric("kappa", higher_is_better=True, title="Quadratic weighted kappa"),)
    ...     main_metric = "kappa"
    >>> OrdinalTraits.has_classes, OrdinalTraits.is_ordered, OrdinalTraits.is_continuous
    (True, True, False)
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from mmtrain.metrics.registered_metrics import of_task
from mmtrain.metrics.score import Metric
from mmtrain.registry import Section


class DummyBaseline(NamedTuple):
    """Name of the predictions of `FittedTarget.baseline` in reports."""

    label: str
    """Heading of a column."""
    description: str
    """Description for a sentence."""


class TaskTraits(Section):
    """Class attributes only. The defaults are those of a task that offers nothing beyond scores."""

    title: ClassVar[str] = ""
    """Description in parentheses behind the name of a target; left out: the name of the task."""
    noun: ClassVar[str] = "class"
    """Noun for a name in `FittedTarget.columns`."""

    has_classes: ClassVar[bool] = False
    """Each row has exactly one of several named classes; truths are codes, probabilities of a row add up to 1."""
    has_labels: ClassVar[bool] = False
    """Each row has any number of named labels, each predicted by itself; truths are 0, 1 or -1 per label."""
    is_ordered: ClassVar[bool] = False
    """The classes have an order."""
    is_continuous: ClassVar[bool] = False
    """The answer is a number, in the unit of the table."""
    is_censored: ClassVar[bool] = False
    """True if some labels are only lower bounds."""
    is_ranked: ClassVar[bool] = False
    """Rows are compared with those of their group alone, see `FittedTarget.group_codes`."""

    metrics: ClassVar[tuple[Metric, ...]] = ()
    """Names and directions of the scores of `FittedTarget.scores`, in the order of reports."""
    label_metrics: ClassVar[tuple[Metric, ...]] = ()
    """Metrics that are also computed for each label: `auc[beach]`."""
    main_metric: ClassVar[str] = ""
    """The score that stands for the target unless another one chose the best epoch; left out: the first."""

    stratifies: ClassVar[bool] = False
    """`Target.strata` gives each row a class, so that a split can be stratified."""
    calibratable: ClassVar[bool] = False
    """Probabilities can be calibrated on validation rows."""
    thresholdable: ClassVar[bool] = False
    """The prediction is the probability of the second of two classes, and `threshold` decides from when on it counts."""
    conformal: ClassVar[Literal["sets", "intervals", "intervals_per_number", "none"]] = "none"
    """Kind of split conformal prediction: sets of classes, intervals around a number, or around each of several numbers."""
    plots: ClassVar[tuple[str, ...]] = ()
    """Names among `mmtrain.reports.figures.plot_selection.PLOTS`, in the order in which they are shown."""
    meaning: ClassVar[str] = "What the task predicts."
    """Meaning of the prediction, a sentence for readers of an export without mmtrain; `{last!r}` is the last class or label."""
    explained_as: ClassVar[str] = "logit of {name}"
    """Name of the explained output of a class or label: attributions add up to its difference from the baseline row."""
    dummy: ClassVar[DummyBaseline] = DummyBaseline("majority", "majority: class shares of the training rows")

    @property
    def softens_probabilities(self) -> bool:
        """True if `FittedTarget.distillation_loss` divides logits by the temperature."""
        return self.has_labels or (self.has_classes and not self.is_ordered)

    @property
    def late_scores(self) -> tuple[str, ...]:
        """Scores that no epoch has, as predictions follow from the raw values only once training has ended (`with_baseline`)."""
        return ()

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """The metrics of the task and those registered for it."""
        return (*self.metrics, *(entry.metric for entry in of_task(dict(self)["task"])))
