"""Multilabel targets as fitted: 0, 1 or unknown for each label, a logit and a probability per label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.base import Names
from mmtrain.columns.categorical import spelled_as
from mmtrain.columns.cells import is_word
from mmtrain.metrics.score import EACH_LABEL, MULTILABEL, metrics_named
from mmtrain.targets.fitted_target import FittedTarget, TruthSpec
from mmtrain.targets.labels.yes_no import read_answers
from mmtrain.targets.losses import softened_distance
from mmtrain.targets.prediction_columns import TRUTH, UNKNOWN_LABELS
from mmtrain.targets.traits import DummyBaseline, TaskTraits
from mmtrain.text.label_lists import LIST, split_labels, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score


class MultilabelTraits(TaskTraits):
    """Any number of labels, each with a probability."""

    title = "any number of labels"
    meaning = "A probability per label, each for itself."
    noun = "label"
    has_labels = True
    metrics = metrics_named(MULTILABEL)
    label_metrics = metrics_named(EACH_LABEL)
    main_metric = "macro_auc"
    calibratable = True
    plots = ("reliability",)
    dummy = DummyBaseline("label shares", "share of each label in the training rows")


class FittedMultilabel(MultilabelTraits, FittedTarget):
    """`labels` in the order of their names, or as the file lists their columns."""

    task: Literal["multilabel"] = "multilabel"
    labels: Names
    one_column_each: bool
    separator: str
    rows: int = Field(description="Training rows.")
    counts: tuple[int, ...] = Field(description="Training rows that have each label.")
    weights: tuple[float, ...] = Field(description="Weight of the rows that have a label, by label; rows without it weigh 1.")
    threshold: float = 0.5
    known: tuple[int, ...] = Field((), description="Training rows of which it is known whether they have each label; left out: all.")
    missing_words: tuple[str, ...] = Field((), description="Cells, in lower case, whose labels are not known; those of one column.")
    label_smoothing: float = 0.0

    @property
    def answers_by_name(self) -> bool:
        """Not with a 0/1 column per label."""
        return not self.one_column_each

    @property
    def units(self) -> int:
        """A logit per label."""
        return len(self.labels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    @property
    def class_counts(self) -> dict[str, int]:
        """Training rows of each label."""
        return dict(zip(self.labels, self.counts, strict=True))

    @property
    def class_weights(self) -> dict[str, float]:
        """The weight of each label."""
        return dict(zip(self.labels, self.weights, strict=True))

    def compiled_values(self) -> dict[str, Any]:
        """Leave out the training rows of each label; its weight is part of the loss."""
        unread = ("rows", "counts", "known") if self.has_known_loss else ()
        return {name: value for name, value in super().compiled_values().items() if name not in unread}

    def spelled(self, cells: pd.Series[str]) -> pd.Series[str]:
        """Notation of the labels where a cell holds one number; 0 and 1 are read in any notation."""
        return cells if self.one_column_each else spelled_as(self.labels, cells)

    @property
    def truth_spec(self) -> TruthSpec:
        """0, 1 or -1 per label."""
        return TruthSpec((len(self.labels),), "int8")

    def truth(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows, labels) int8, 0 or 1, -1 where it is not known; labels that training did not have are left out."""
        import numpy as np

        if self.one_column_each:
            return np.stack([read_answers(cells[label]) for label in self.labels], axis=1)
        truth = self._of_one_cell(cells[self.column])
        # A word for missing leaves every label of the row unknown.
        truth[is_word(cells[self.column], self.missing_words)] = -1
        return truth

    def _of_one_cell(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        import numpy as np

        position = {label: number for number, label in enumerate(self.labels)}
        truth = np.zeros((len(cells), len(self.labels)), dtype=np.int8)
        for row, names in enumerate(split_labels(cells, self.separator)):
            # Labels that training did not have get no column.
            truth[row, [position[name] for name in names if name in position]] = 1
        return truth

    def known_rows(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Rows with one known label at least."""
        import numpy as np

        return np.asarray((truth >= 0).any(axis=1))

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Mean binary cross-entropy over labels, rows that have a label weighted by it; a label that is not known adds 0."""
        return self.mean_over_labels(truth, self.label_losses(truth, raw))

    def label_losses(self, truth: Any, raw: Any) -> Any:
        """Return the binary cross-entropy of each label, (batch, labels), of any value where it is not known; a TensorFlow function."""
        import tensorflow as tf

        truth = tf.cast(truth, tf.float32)
        labels = truth * (1 - self.label_smoothing) + self.label_smoothing / 2
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=raw)

    def mean_over_labels(self, truth: Any, losses: Any) -> Any:
        """Return the mean of the losses of labels, (batch, labels) to (batch,), with the weights of labels; a TensorFlow function."""
        import tensorflow as tf

        # The loss of an unknown label, -1, means nothing, and may be negative.
        known = tf.cast(truth >= 0, tf.float32)
        weights = 1.0 + tf.cast(truth > 0, tf.float32) * (tf.constant(self.weights, tf.float32) - 1.0)
        # Divided by all labels, known or not, so that a label weighs the same in every row.
        return tf.reduce_mean(losses * weights * known, axis=1)

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:
        """Mean cross-entropy over labels from the softened probabilities of the teacher, also of labels that are not known."""
        import tensorflow as tf

        return tf.reduce_mean(softened_distance(teacher, raw, temperature), axis=1)

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Log loss, the mean over the labels that are known."""
        import numpy as np

        known = truth >= 0
        # A float32 probability may be exactly 0, whose logarithm is infinite; the smallest positive one stands for it.
        given = np.where(truth == 1, prediction, 1 - prediction).astype(np.float64)
        sums = np.where(known, -np.log(np.maximum(given, np.finfo(np.float32).tiny)), 0).sum(axis=1)
        counts = known.sum(axis=1)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def row_weights(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """1, and 0 for a row without any known label."""
        import numpy as np

        return self.known_rows(truth).astype(np.float32)

    def activation(self, name: str) -> Any:
        """A sigmoid per label; (batch, labels)."""
        import keras

        return keras.layers.Activation("sigmoid", dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Scores over all labels, then of each."""
        from mmtrain.metrics import multilabel_scores

        return multilabel_scores(truth, prediction, labels=self.labels, threshold=self.threshold)

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics import multilabel_scorer

        return multilabel_scorer(truth, prediction, labels=self.labels, threshold=self.threshold)

    def predict_label(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The labels from the threshold on."""
        return self.decode_truth(prediction >= self.threshold)

    def decode_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Labels joined by the separator, or as a list."""
        import numpy as np

        joined = [written([label for label, has in zip(self.labels, row, strict=True) if has == 1], self.separator) for row in truth]
        return np.array(joined, dtype=object)

    def truth_columns(self, truth: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """The labels of each row, and those that are not known, where any is not."""
        unknown = {UNKNOWN_LABELS: self.decode_truth(truth < 0)} if (truth < 0).any() else {}
        return super().truth_columns(truth) | unknown

    def is_right(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Every label that is known is predicted as it is."""
        right: np.ndarray[Any, np.dtype[np.bool_]] = (((prediction >= self.threshold) == (truth == 1)) | (truth < 0)).all(axis=1)
        return right

    def probabilities(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(rows, labels)."""
        return prediction

    def parse_truth(self, columns: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """From one cell with labels, also where the table has a column for each. Labels must not hold the separator."""
        import numpy as np

        truth = self._of_one_cell(columns[TRUTH])
        if UNKNOWN_LABELS not in columns:
            return truth
        return np.where(self._of_one_cell(columns[UNKNOWN_LABELS]) == 1, np.int8(-1), truth)

    def serving_outputs(self, prediction: Any) -> dict[str, Any]:
        """The labels as `decode_truth` writes them, and (batch, labels)."""
        import tensorflow as tf

        listing = self.separator == LIST
        between = ", " if listing else self.separator
        names = [written([label], LIST)[1:-1] for label in self.labels] if listing else self.labels
        words = tf.where(prediction >= self.threshold, [f"{name}{between}" for name in names], "")
        joined = tf.strings.reduce_join(words, axis=1)
        # In bytes, as `tf.strings.substr` counts by default.
        length = tf.maximum(tf.strings.length(joined) - len(between.encode()), 0)  # without the last separator
        text = tf.strings.substr(joined, tf.zeros_like(length), length)
        return {"prediction": tf.strings.join(["[", text, "]"]) if listing else text, "probabilities": prediction}

    def count_answers(self, words: pd.Series[str]) -> dict[str, int] | None:
        """Rows that have each label; None where labels that hold the separator were joined by it."""
        if self.separator != LIST and any(self.separator in name for name in self.labels):
            return None
        import pandas as pd

        return super().count_answers(pd.Series(split_labels(words, self.separator)).explode())

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """Return the frequency of each label in training rows, repeated for every row."""
        import numpy as np

        # Labels are known for different numbers of rows; at least 1, so that nothing divides by 0.
        return np.tile(np.asarray(self.counts) / np.maximum(self.known or (self.rows,) * len(self.labels), 1), (count, 1))
