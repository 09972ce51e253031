"""TabICL (Qu et al. 2025, arXiv:2502.05564), a pretrained network for tables, on the columns that are neither images nor texts.

Nothing is fitted: the training rows are the context in which the network answers. The weights are a file of the user; nothing is
downloaded. Categories are their ranks by frequency, a missing category is -1, a missing number the mean of the context.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmtrain.data.arrays import Array, Arrays
from mmtrain.errors import Problem, RunError
from mmtrain.evaluation.reference_models.tabular_baseline import Examples, Model, TabularBaseline
from mmtrain.targets import FittedTarget

MOST_ROWS = 10_000
"""Rows of the context, drawn at random from more training rows."""
MOST_CELLS = 200_000
"""Cells of the context: a network of the published size took 12 KB for each, so 3 GB in all (benchmarks/LOG.md)."""
CHUNK_CELLS = 50_000
"""Cells in one call of the network."""

UNWEIGHTED = "it takes no weights, so that rows of unequal weight or exposure count the same."
"""Remark where the other models of a comparison weigh the rows of a class, or those of a number."""


class Weights(NamedTuple):
    """A checkpoint of TabICL."""

    path: Path
    classes: int
    """Largest number of classes that it predicts; 0 for a regressor."""


def read_weights(path: Path) -> Weights:
    """Read what a checkpoint predicts. Raises RunError for a file that is not a checkpoint of TabICL."""
    import torch

    try:
        # Plain values and tensors only, so that no code of the file runs.
        return Weights(path, int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["config"]["max_classes"]))
    except Exception as error:
        what = f"{path.name} is not a checkpoint of TabICL: {type(error).__name__}."
        raise RunError(Problem(str(path), what, "Give a checkpoint of its classifier or its regressor.")) from None


def context_rows(rows: int, features: int) -> int:
    """Return how many of the training rows are the context."""
    return min(rows, MOST_ROWS, max(1, MOST_CELLS // features))


def draw_context(train: Examples, seed: int, *, every_class: bool) -> Array:
    """Return the places of the rows that are the context, ascending; rows of weight 0 only where all are."""
    order = np.random.default_rng(seed).permutation(len(train.truth))
    order = order[np.argsort(train.weights[order] <= 0, kind="stable")]
    if every_class:  # one row of each comes first, however rare
        firsts = np.unique(train.truth[order], return_index=True)[1]
        order = np.concatenate([order[firsts], np.delete(order, firsts)])
    counting = int((train.weights > 0).sum()) or len(order)
    return np.sort(order[: context_rows(counting, train.cells.shape[1])])


def is_uneven(weights: Array) -> bool:
    """Return True if weights above 0 differ beyond rounding."""
    counting = weights[weights > 0]
    return len(counting) > 0 and bool(np.ptp(counting) > 1e-6 * counting.max())


def class_factors(train: Examples, context: Array) -> Array:
    """Return the weight of all training rows of each class of the context over its rows there, (classes,); ones if no row has a weight.

    The network answers with the frequencies of its context, which has too many rows of a class that was drawn for its only row, and too
    few of one with rows of weight 0, which are not drawn.
    """
    classes, counts = np.unique(train.truth[context], return_counts=True)
    factors = np.array([train.weights[train.truth == code].sum() for code in classes]) / counts
    return factors if factors.any() else np.ones(len(classes))


class TabICL(TabularBaseline):
    """One context per target, or per label, quantile or number of a target with several."""

    weights: Weights

    def cells(self, arrays: Arrays, rows: Array) -> Array:
        """Return the features of `rows`, (rows, features), NaN for missing numbers, -1 for missing categories."""
        cells = self.features.read(arrays, rows)
        return np.where(np.isnan(cells) & np.asarray(self.features.categorical), -1.0, cells)

    def number(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:  # noqa: ARG002
        """Return a model of the mean, or of the median if the network minimizes the absolute error."""
        return self._numbers(train, output_type="median" if target.reference_loss == "absolute" else "mean")

    def quantile(self, level: float, train: Examples, validation: Examples) -> Model:  # noqa: ARG002
        """Return a model of one quantile."""
        return self._numbers(train, output_type="quantiles", alphas=[level])

    def classes(self, count: int, train: Examples, validation: Examples) -> Any:  # noqa: ARG002
        """Return a classifier that takes the class weights of the training into account.

        The network has no weights of rows. The probabilities that minimize a weighted loss are its own times the weight of the class,
        divided by their sum.
        """
        from tabicl import TabICLClassifier

        if any(is_uneven(train.weights[train.truth == code]) for code in np.unique(train.truth)):
            self._note(UNWEIGHTED)
        model, means, rows = self._context(TabICLClassifier, train)
        return _Classifier(model, means, class_factors(train, rows))

    def _numbers(self, train: Examples, **output: Any) -> Model:
        from tabicl import TabICLRegressor

        if is_uneven(train.weights):
            self._note(UNWEIGHTED)
        model, means, _ = self._context(TabICLRegressor, train)
        return lambda cells: _in_chunks(lambda chunk: model.predict(chunk, **output).reshape(-1, 1), _filled(cells, means))

    def _context(self, kind: Any, train: Examples) -> tuple[Any, Array, Array]:
        """Return a model with training rows as its context, the means of their numbers, and their places in `train`."""
        rows = draw_context(train, self.seed, every_class=self.weights.classes > 0)
        known = ~np.isnan(train.cells[rows])
        means = np.where(known, train.cells[rows], 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        model = kind(
            model_path=self.weights.path,
            allow_auto_download=False,
            device="cpu",
            batch_size=1,  # of the eight views of a table: one at a time
            kv_cache="repr",  # the context is read once, and not for every chunk of rows
            random_state=self.seed,
        )
        counting = int((train.weights > 0).sum()) or len(train.truth)
        if len(rows) < counting:
            self._note(f"its context is {len(rows):,} of {counting:,} training rows, drawn at random to bound its memory.")
        model.fit(_filled(train.cells[rows], means), train.truth[rows])
        return model, means, rows

    def _note(self, remark: str) -> None:
        if remark not in self.remark:
            self.remark = f"{self.remark.removesuffix('.')}; {remark}" if self.remark else remark

    @classmethod
    def of(cls, path: str) -> type[TabICL]:
        """Return the baseline with the weights of a checkpoint. Raises RunError for a file that is not one."""
        return type(cls.__name__, (cls,), {"weights": read_weights(Path(path))})

    @classmethod
    def obstacle(cls, target: FittedTarget, rows: int) -> str:
        """Return why there is no such model of a target: a checkpoint predicts either classes or numbers."""
        if target.reference_kind in ("none", "times"):
            return super().obstacle(target, rows)
        needed = {"labels": 2, "classes": len(target.columns)}.get(target.reference_kind, 0)
        if (needed == 0) != (cls.weights.classes == 0):
            kind, wanted = ("regressor", "classes") if needed else ("classifier", "numbers")
            return f"The checkpoint {cls.weights.path.name} is a {kind}, which does not predict {wanted}."
        if needed > cls.weights.classes:
            return f"The checkpoint {cls.weights.path.name} predicts up to {cls.weights.classes} classes, and there are {needed}."
        return ""


class _Classifier:
    """Probabilities of TabICL, times class weights."""

    def __init__(self, model: Any, means: Array, weights: Array) -> None:
        self.model, self.means, self.weights = model, means, weights
        self.classes_ = model.classes_

    def predict_proba(self, cells: Array) -> Array:
        """Return (rows, classes)."""
        weighted = _in_chunks(self.model.predict_proba, _filled(cells, self.means)) * self.weights
        return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def _filled(cells: Array, means: Array) -> Array:
    # TabICL leaves out a column that is missing in all rows of a call, so that rows would depend on each other.
    return np.where(np.isnan(cells), means, cells)


def _in_chunks(predict: Callable[[Array], Array], cells: Array) -> Array:
    step = max(1, CHUNK_CELLS // cells.shape[1])
    return np.concatenate([np.asarray(predict(cells[start : start + step]), np.float64) for start in range(0, len(cells), step)])
