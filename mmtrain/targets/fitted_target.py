"""The contract of a fitted target: plain values learned from training rows, its head, loss, outputs and scores.

Three scales meet here. A *truth* is the encoded label (codes, 0/1 per label, or the number itself). The *raw* value is the output of
the network, on a scale for a stable loss (logits; a standardized number). A *prediction* is on the scale of the user (probabilities;
the number in its own unit). `activation()` is the layer from raw to prediction.

A label that is missing, or that training rows do not have, is -1 in the truth (NaN for a number), with several labels only in those
concerned; loss and scores leave it out.

Class weights reach the loss as sample weights of their target, so they work for every task and for several targets.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import Field

from mmtrain.metrics.on_request.declared import reason, requested_scorer
from mmtrain.metrics.registered_metrics import registered_scorer, registered_scores
from mmtrain.metrics.score import value_or_reason
from mmtrain.optim import LossSection, losses
from mmtrain.targets.baseline_models import BaselineModels
from mmtrain.targets.decides import Decides
from mmtrain.targets.prediction_columns import TRUTH, PredictionColumns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score


class FittedTarget(Decides, PredictionColumns, BaselineModels):
    """A target fitted to training rows: plain values."""

    task: str
    column: str
    loss_weight: float
    own_loss: dict[str, Any] | None = Field(None, description="The declared `loss`: its method and options.")
    extra_metrics: tuple[str, ...] = Field((), description="Scores next to those of the task.")
    answered_share: float = Field(1.0, gt=0, le=1, description="Share of the training rows that have an answer.")

    @property
    def answers_by_name(self) -> bool:
        """True if cells name classes or labels, rather than saying yes or no to one."""
        return True

    @property
    def spread(self) -> float:
        """Scale of differences between predictions: 1 for probabilities, the standard deviation for a number."""
        return 1.0

    @property
    def predicts_median(self) -> bool:
        """True if the loss of a number is minimal at the median of labels, not at their mean."""
        return False

    @property
    def raw_bias(self) -> tuple[float, ...]:
        """Raw values at which a head begins, (raw_units,); empty for zeros."""
        return ()

    @property
    def squares_losses(self) -> bool:
        """True if the mean of predictions minimizes the squares of `row_losses`, as of the distance of a number."""
        return self.is_continuous and not self.predicts_median

    @property
    def reference_loss(self) -> Literal["squared", "absolute", "poisson"]:
        """Loss of a number that models of scikit-learn minimize for comparison."""
        return "absolute" if self.predicts_median else "squared"

    def with_baseline(self, truth: np.ndarray[Any, Any], raw: np.ndarray[Any, Any], weight: np.ndarray[Any, Any]) -> list[Any] | None:  # noqa: ARG002
        """Return the weights of the activation that follow from the training rows once the network is trained; None for none.

        Args:
            truth: Labels of the training rows, as encoded.
            raw: Their raw values, (rows, raw_units).
            weight: Their weights in the loss, (rows,).
        """
        return None

    def tables(
        self,
        truth: np.ndarray[Any, Any],  # noqa: ARG002
        prediction: np.ndarray[Any, Any],  # noqa: ARG002
        groups: np.ndarray[Any, Any] | None = None,  # noqa: ARG002
    ) -> dict[str, ScoreTable]:
        """Return further tables about scored rows, all with a known label, by name: for metrics.json, the terminal and the report.

        `groups` are codes, (rows,), of rows that are not independent of each other; None where all rows are.
        """
        return {}

    def with_loss(self, declared: LossSection | None) -> Self:
        """Return the same target that minimizes the `declared` loss; None is the loss of the task."""
        return self if declared is None else self.model_copy(update={"own_loss": declared.model_dump()})

    def with_extra_metrics(self, names: tuple[str, ...]) -> Self:
        """Return the same target with these scores next to those of its task."""
        return self.model_copy(update={"extra_metrics": names})

    def without_smoothing(self) -> Self:
        """Return the same target with the labels as they are, for reported losses; `label_smoothing` is for minimized ones."""
        return self.model_copy(update={"label_smoothing": 0.0}) if dict(self).get("label_smoothing") else self

    def compiled_values(self) -> dict[str, Any]:
        """Return everything that the loss, the head and the activation read: constants of compiled functions, as plain values."""
        # Scores are not compiled.
        return self.model_dump(mode="json", exclude={"extra_metrics"})

    @property
    def has_known_loss(self) -> bool:
        """True if task and loss are those of mmtrain; others may read any field of the target."""
        return self.own_loss is None and type(self).__module__.startswith("mmtrain.")

    def spelled(self, cells: pd.Series[str]) -> pd.Series[str]:
        """Return cells that were typed numbers or booleans in the spelling of training rows, where the spelling matters."""
        return cells

    @property
    def truth_spec(self) -> TruthSpec:
        """Shape and type of the truth of a row; by default one code."""
        return TruthSpec((), "int32")

    @abstractmethod
    def truth(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """Encode labels as (rows, *truth_spec.shape); an unknown label is -1 or NaN."""

    def known_rows(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows with a label that training knows, (rows,); the others are in no loss and no score."""
        import numpy as np

        # NaN for numbers, -1 for codes.
        return ~np.isnan(truth) if np.issubdtype(truth.dtype, np.floating) else np.asarray(truth >= 0)

    def row_weights(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the weights of rows in the loss, (rows,) float32; 0 without a known label."""
        import numpy as np

        return np.asarray(self.known_rows(truth).astype(np.float32))

    def head(self, features: Any, name: str) -> Any:
        """Return the raw output, (batch, raw_units) float32, of the fused features, through one layer or Keras model with this name."""
        import keras

        bias = keras.initializers.Constant(self.raw_bias) if self.raw_bias else "zeros"
        # float32 also in mixed precision: logits of float16 would round the loss.
        return keras.layers.Dense(self.raw_units, bias_initializer=bias, dtype="float32", name=name)(features)

    @abstractmethod
    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Return the loss of each row, (batch,) float32; a TensorFlow function."""

    @property
    def compares_rows(self) -> bool:
        """True if the loss of a row depends on the other rows of its batch, so that several processes cannot share the batch."""
        return False

    def group_codes(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the codes of the groups within which rows are compared, (rows,), NaN without one; only of a task that `is_ranked`.

        Batches keep the rows of a group together.
        """
        raise NotImplementedError

    def loss(self, truth: Any, raw: Any, weight: Any) -> Any:
        """Return the loss of a batch, a scalar: the mean of weighted row losses; a TensorFlow function.

        Dividing by the number of rows, not by the sum of weights, makes a row count the same in every batch. Where rows lack the answer,
        the number of rows that would have one on average: the loss of a target does not fall because few rows have it.
        """
        return self.batch_mean(self.weighted_losses(truth, raw, weight))

    def weighted_losses(self, truth: Any, raw: Any, weight: Any) -> Any:
        """Return the weighted loss of each row, (batch,) float32; where rows are compared, the weights of the others count as well."""
        return self.minimized(truth, raw) * weight

    def batch_mean(self, losses: Any) -> Any:
        """Return the loss of a batch from the weighted losses of its rows, (batch,)."""
        import tensorflow as tf

        mean = tf.reduce_mean(losses)
        return mean if self.answered_share == 1 else mean / self.answered_share

    def minimized(self, truth: Any, raw: Any) -> Any:
        """Return the loss of each row, (batch,) float32: the declared one, or that of the task; a TensorFlow function.

        It is finite where the label is unknown, and means nothing there.
        """
        truth = self.without_gaps(truth)
        if self.own_loss is None:
            return self.row_loss(truth, raw)
        options = dict(self.own_loss)
        # A method of `losses`, with the rest of the section as its options.
        return losses[options.pop("method")].build(self, truth, raw, **options)

    def without_gaps(self, truth: Any) -> Any:
        """Return numbers, (batch,), with 0 in place of NaN: the gradient of a NaN would be NaN whatever the weight of its row.

        Truths of several numbers stay as they are: their losses have to tell which of a row's numbers are missing.
        """
        import tensorflow as tf

        if self.truth_spec.shape or not self.truth_spec.dtype.startswith("float"):
            return truth
        return tf.where(tf.math.is_nan(truth), tf.zeros_like(truth), truth)

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:
        """Return the distance of each row from the prediction of a teacher, (batch,) float32; a TensorFlow function.

        Args:
            teacher: Predictions as from `activation`, (batch, units) float32.
            raw: Raw values of the network that learns, as `head` returns them.
            temperature: Divisor of the logits of probabilities, 1 or more; numbers have none.

        Raises NotImplementedError where the task states none: its networks cannot be distilled.
        """
        raise NotImplementedError

    @abstractmethod
    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the loss of each prediction, (rows,), without weights or smoothing; NaN where the label is unknown."""

    @abstractmethod
    def activation(self, name: str) -> Any:
        """Return a Keras layer from raw values, (batch, raw_units), to predictions, (batch, units), in float32.

        Its method `mean_of_members(name)`, if it has one, returns the layer from raw values (batch, members, raw_units) to the raw value
        of the mean prediction; other layers, but those of mmtrain, get the mean of the raw values.
        """

    @abstractmethod
    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Return the scores of this task."""

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return the scores of bootstrap samples of these rows, as a function of the count of each row, (samples, rows).

        This implementation works for every task; one in closed form of the counts is several times as fast.
        """
        import numpy as np

        names = [score.name for score in self.scores(truth, prediction)]

        def scores(counts: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
            # Rows repeated as often as they were drawn: a task's `scores` knows no weights.
            draws = (np.repeat(np.arange(len(truth)), row) for row in counts)
            values = [[score.value for score in self.scores(truth[rows], prediction[rows])] for rows in draws]
            return dict(zip(names, np.array(values, dtype=np.float64).T, strict=True))

        return scores

    def all_scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Return the scores of the task, those registered for it and those asked for, of rows (rows, ...) whose answers are known."""
        scores = (*self.scores(truth, prediction), *registered_scores(self, truth, prediction))
        if not self.extra_metrics:
            return scores
        from mmtrain.metrics.bootstrap_counts import unit_counts

        values = requested_scorer(self, truth, prediction)(unit_counts(len(truth)))
        return (*scores, *(value_or_reason(name, value[0], reason(name, len(truth))) for name, value in values.items()))

    def all_scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return the same of bootstrap draws, as a function of how often each row was drawn, (draws, rows)."""
        scorers = [one(self, truth, prediction) for one in (type(self).scorer, registered_scorer, requested_scorer)]
        return lambda counts: {name: values for scorer in scorers for name, values in scorer(counts).items()}

    def parse_truth(self, columns: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """Return encoded labels from `truth_columns` as text, NA where a cell was empty."""
        return self.truth({self.column: columns[TRUTH]})

    @abstractmethod
    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """Return the predictions of a dummy baseline for `count` rows: it knows the training labels and no input."""


class TruthSpec(NamedTuple):
    """Shape and dtype of the encoded label of a row."""

    shape: tuple[int, ...]
    dtype: str


class ScoreTable(NamedTuple):
    """A table about scored rows."""

    head: tuple[str, ...]
    """Heading of every column."""
    rows: list[list[str | bool | int | float | None]]
    """Cells; None where a value is undefined."""
    caption: str
    note: str = ""
