"""`task: multilabel`: any number of labels per row; a logit and a probability per label.

The answer is one cell with labels between separators (`beach;sunset`, an empty cell means none) or with a list of them
(`["beach", "sunset"]`), or, with `labels`, one 0/1 column per label.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.base import Fault, Names
from mmtrain.targets.base import ClassWeights, FittedTarget, Target, task
from mmtrain.targets.classes import class_weights
from mmtrain.targets.label_lists import LIST, labels_in, lists_of, read_list, written
from mmtrain.targets.yes_no import read_answers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.named_score import Score


class FittedMultilabel(FittedTarget):
    """`labels` in the order of their names, or as the file lists their columns."""

    task: Literal["multilabel"] = "multilabel"
    labels: Names
    one_column_each: bool
    separator: str
    rows: int = Field(description="Training rows.")
    counts: tuple[int, ...] = Field(description="Training rows that have each label.")
    weights: tuple[float, ...] = Field(description="Of a row's having each label; not having it weighs 1.")
    threshold: float = 0.5

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

    def truth(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows, labels) int8, 0 or 1; labels that training did not have are left out."""
        import numpy as np

        if self.one_column_each:
            return np.stack([(read_answers(cells[label]) == 1).astype(np.int8) for label in self.labels], axis=1)
        return self._of_one_cell(cells[self.column])

    def _of_one_cell(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        import numpy as np

        position = {label: number for number, label in enumerate(self.labels)}
        found = np.zeros((len(cells), len(self.labels)), dtype=np.int8)
        for row, names in enumerate(split_labels(cells, self.separator)):
            found[row, [position[name] for name in names if name in position]] = 1
        return found

    def loss(self, truth: Any, raw: Any) -> Any:
        """Mean binary cross-entropy over labels, rows that have a label weighted by it."""
        import tensorflow as tf

        truth = tf.cast(truth, tf.float32)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=truth, logits=raw)  # (batch, labels)
        weights = 1.0 + truth * (tf.constant(self.weights, tf.float32) - 1.0)
        return tf.reduce_mean(losses * weights, axis=1)

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Log loss, the mean over labels."""
        import numpy as np

        given = np.where(truth == 1, prediction, 1 - prediction).astype(np.float64)
        losses: np.ndarray[Any, np.dtype[np.float64]] = -np.log(np.maximum(given, np.finfo(np.float32).tiny)).mean(axis=1)
        return losses

    def activation(self, name: str) -> Any:
        """A sigmoid per label; (batch, labels)."""
        import keras

        return keras.layers.Activation("sigmoid", dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Scores over all labels, then of each."""
        from mmtrain.scores import multilabel_scores

        return multilabel_scores(truth, prediction, labels=self.labels, threshold=self.threshold)

    def resampled(
        self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any], counts: np.ndarray[Any, np.dtype[np.int64]]
    ) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
        """The same of many draws."""
        from mmtrain.scores import multilabel_values

        return multilabel_values(truth, prediction, counts, labels=self.labels, threshold=self.threshold)

    def decide(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The labels from the threshold on."""
        return self.spoken(prediction >= self.threshold)

    def spoken(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Labels joined by the separator, or as a list."""
        import numpy as np

        joined = [written([label for label, has in zip(self.labels, row, strict=True) if has], self.separator) for row in truth]
        return np.array(joined, dtype=object)

    def probabilities(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(rows, labels)."""
        return prediction

    def reread_truth(self, words: pd.Series[str]) -> np.ndarray[Any, Any]:
        """From one cell with labels, also where the table has a column for each. Labels must not hold the separator."""
        return self._of_one_cell(words)

    def served(self, prediction: Any) -> dict[str, Any]:
        """The labels as `spoken` writes them, and (batch, labels)."""
        import tensorflow as tf

        listing = self.separator == LIST
        between = ", " if listing else self.separator
        names = [written([label], LIST)[1:-1] for label in self.labels] if listing else self.labels
        words = tf.where(prediction >= self.threshold, [f"{name}{between}" for name in names], "")
        joined = tf.strings.reduce_join(words, axis=1)
        length = tf.maximum(tf.strings.length(joined) - len(between.encode()), 0)  # without the last separator
        text = tf.strings.substr(joined, tf.zeros_like(length), length)
        return {"prediction": tf.strings.join(["[", text, "]"]) if listing else text, "probabilities": prediction}

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """How often each label occurs in training rows, for every row."""
        import numpy as np

        return np.tile(np.asarray(self.counts) / self.rows, (count, 1))


def split_labels(cells: pd.Series[str], separator: str) -> list[list[str]]:
    """The labels of each row, each once, without blanks around them; every different cell is taken apart once."""
    found: dict[str, list[str]] = {"": []}
    return [found[cell] if cell in found else found.setdefault(cell, labels_in(cell, separator)) for cell in cells.fillna("")]


@task("multilabel", FittedMultilabel)
class MultilabelTarget(Target):
    """Any number of labels per row."""

    task: Literal["multilabel"] = "multilabel"
    separator: str = Field(
        ";", min_length=1, description="What stands between labels in one cell; list: cells are lists such as `['a', 'b']` or `[]`."
    )
    labels: tuple[str, ...] = Field((), description="Headers of 0/1 columns, one per label; then no cell with separators is read.")
    class_weights: ClassWeights | None = Field(
        None, description="none, balanced, or a weight per label for the rows that have it; left out: `training.class_weights`."
    )

    def reads(self) -> tuple[str, ...]:
        """One header, or those of `labels`."""
        return self.labels or (self.column,)

    def faults(self, cells: pd.Series[str]) -> list[Fault]:
        """With `labels`: cells that are neither yes nor no, missing ones included. With one cell: no label anywhere."""
        import numpy as np

        if not self.labels:
            found = self.malformed(cells) or self._other_separator(cells)
            return found if cells.notna().any() else [Fault(np.arange(1), "no row has a label.", "Fill in the answers.")]
        return super().faults(cells) + self.malformed(cells)

    def malformed(self, cells: pd.Series[str]) -> list[Fault]:
        """With `labels`: what is neither yes nor no. With `separator: list`: what is no list."""
        import numpy as np

        if not self.labels:
            return self._no_lists(cells) if self.separator == LIST else []
        bad = np.flatnonzero(cells.notna().to_numpy() & (read_answers(cells) < 0))
        if not len(bad):
            return []
        return [Fault(bad, f"{cells.iloc[bad[0]]!r} is neither 0 nor 1.", "Write 1 where the row has the label and 0 where not.")]

    def _no_lists(self, cells: pd.Series[str]) -> list[Fault]:
        import numpy as np

        words = cells.dropna().unique()
        bad = np.flatnonzero(cells.isin([word for word in words if read_list(word) is None]).to_numpy())
        if not len(bad):
            return []
        fix = 'Write it like ["a", "b"] or [], or set `separator` to what stands between labels.'
        return [Fault(bad, f"{cells.iloc[bad[0]]!r} is not a list of labels.", fix)]

    def _other_separator(self, cells: pd.Series[str]) -> list[Fault]:
        """No cell holds the separator, and many hold what surely is another one."""
        import numpy as np

        words = [str(cell) for cell in cells.dropna().unique()]
        if self.separator == LIST or any(self.separator in word for word in words):
            return []
        found = lists_of(cells)
        if found is None:
            return []
        rows = np.flatnonzero(cells == found.example)[:1]
        what = f"no cell holds the separator {self.separator!r}, but {found.example!r} looks like several labels{found.between}."
        return [Fault(rows, what, f"Set `separator: {found.as_option}`.")]

    @property
    def drops_missing(self) -> bool:
        """An empty cell of labels means none of them; only 0/1 columns can lack an answer."""
        return bool(self.labels) and self.missing == "drop"

    def answers(self, cells: Mapping[str, pd.Series[str]]) -> list[str]:
        """The labels: those of the file, or those that occur, by name."""
        if self.labels:
            return list(self.labels)
        return sorted({name for names in split_labels(cells[self.column].drop_duplicates(), self.separator) for name in names})

    def tally(self, cells: Mapping[str, pd.Series[str]]) -> Mapping[str, int]:
        """Rows that have each label; every different cell is split once."""
        if self.labels:
            return {label: int((read_answers(cells[label]) == 1).sum()) for label in self.labels}
        found: Counter[str] = Counter()
        times = cells[self.column].value_counts()
        for names, rows in zip(split_labels(times.index.to_series(), self.separator), times.tolist(), strict=True):
            found.update(dict.fromkeys(names, rows))
        return found

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedMultilabel:
        """The labels of training rows."""
        labels = tuple(self.answers(cells))
        fitted = FittedMultilabel(
            column=self.column,
            loss_weight=self.loss_weight,
            labels=labels,
            one_column_each=bool(self.labels),
            separator=self.separator,
            rows=0,
            counts=(0,) * len(labels),
            weights=(1.0,) * len(labels),
        )
        truth = fitted.truth(cells)
        wanted = default_weights if self.class_weights is None else self.class_weights
        counts = truth.sum(axis=0).tolist()
        if wanted == "balanced":  # rows with and rows without a label add the same to its loss, where there are both
            weights = [(len(truth) - count) / count if 0 < count < len(truth) else 1.0 for count in counts]
        else:
            weights = list(class_weights(dict(zip(labels, counts, strict=True)), wanted).values())
        return fitted.model_copy(update={"rows": len(truth), "counts": tuple(counts), "weights": tuple(weights)})
