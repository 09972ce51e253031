"""Logistic, ridge, Poisson, quantile and Cox regression on everything that is not an image: a simple model that is often hard to beat.

Numbers are standardized, a missing one is the mean and has an indicator; categories are one-hot, texts are TF-IDF vectors of length 1.
The strength of the L2 penalty is the one with the lowest loss on validation rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.columns.vectorizers.fitted_text import FIRST_ID
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.encode import Fitted
from mmtrain.evaluation.reference_models.tabular_baseline import Examples, FeatureMatrix, Model, TabularBaseline
from mmtrain.specs import BagSpec, TokenSpec
from mmtrain.splits.plan import Partition
from mmtrain.targets import FittedTarget

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Of logistic regression, as 1 / C; a ridge is tried with a hundred times each, too. Without validation rows it is 1."""
QUANTILE_PENALTIES = (0.01, 0.001, 0.1)
"""L1 penalties of linear quantiles, on the mean loss of standardized answers. Without validation rows it is the first one."""
MOST_QUANTILE_ROWS = 2_000
"""Training rows up to which linear quantiles are fitted: each is a linear program with two variables a row."""
MOST_STEPS = 200
"""Of the solver; more changed no score of `benchmarks/accuracy.py`."""


class LinearModel(TabularBaseline):
    """One model per target, or per label, quantile or number of a target with several."""

    @classmethod
    def obstacle(cls, target: FittedTarget, rows: int) -> str:
        """Return why there is no such model of a target: linear quantiles of many rows take minutes."""
        if target.reference_kind == "each quantile" and rows > MOST_QUANTILE_ROWS:
            return f"Linear quantiles are fitted to at most {MOST_QUANTILE_ROWS:,} training rows, and there are {rows:,}."
        return "" if target.reference_kind == "times" else super().obstacle(target, rows)

    def __init__(self, fitted: Fitted, arrays: Arrays, partition: Partition, features: FeatureMatrix, *, seed: int) -> None:
        self.texts = {key: column.spec for key, column in fitted.columns.items() if isinstance(column.spec, BagSpec | TokenSpec)}
        self.design = _Design(features, features.read(arrays, partition.train)) if features.columns else None
        self.rarity = {key: self._rarity(key, arrays, partition.train) for key in self.texts}
        super().__init__(fitted, arrays, partition, features, seed=seed)

    def cells(self, arrays: Arrays, rows: Array) -> csr_matrix:
        """Everything side by side, (rows, features), sparse."""
        from scipy.sparse import hstack

        table = [self.design.matrix(self.features.read(arrays, rows))] if self.design is not None else []
        return hstack([*table, *(self._text(key, arrays, rows) for key in self.texts)], format="csr")

    def number(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:
        """Fit a ridge; the number is standardized so that the penalty means the same in every unit. Of counts, a Poisson regression."""
        from sklearn.linear_model import Ridge

        if target.reference_loss == "poisson":
            return self._poisson(train, validation)
        # A constant answer has no spread to divide by.
        center, scale = float(train.truth.mean()), float(train.truth.std()) or 1.0
        models = []
        for penalty in self._penalties((*PENALTIES, 1000.0), validation):
            model = Ridge(alpha=penalty, solver="lsqr", random_state=self.seed)
            # "lsqr" takes sparse features as they are; a direct solver would need them dense.
            model.fit(train.cells, (train.truth - center) / scale, train.weights)
            models.append(model)
        best = min(models, key=lambda model: _squared(model, validation, center, scale)) if len(models) > 1 else models[0]
        return lambda cells: (best.predict(cells) * scale + center)[:, None]

    def _poisson(self, train: Examples, validation: Examples) -> Model:
        """Fit Poisson regressions, with the penalty that has the lowest deviance on validation rows."""
        from sklearn.linear_model import PoissonRegressor

        models = [
            # scikit-learn adds the penalty to the mean loss of rows.
            PoissonRegressor(alpha=penalty / len(train.truth), max_iter=MOST_STEPS).fit(train.cells, train.truth, train.weights)
            for penalty in self._penalties(PENALTIES, validation)
        ]
        score = {id(model): model.score(*validation) for model in models} if len(models) > 1 else {}
        best = max(models, key=lambda model: score.get(id(model), 0.0))
        return lambda cells: best.predict(cells)[:, None]

    def classes(self, count: int, train: Examples, validation: Examples) -> Any:  # noqa: ARG002
        """Fit logistic regressions, from the strongest penalty to the weakest."""
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        models = []
        for penalty in self._penalties(PENALTIES, validation):
            model = LogisticRegression(C=1 / penalty, max_iter=MOST_STEPS, random_state=self.seed)
            with warnings.catch_warnings():
                # A solver that stops early is still a baseline; users cannot act on the warning.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(train.cells, train.truth, train.weights)
            models.append(model)
        return min(models, key=lambda model: _log_loss(model, validation)) if len(models) > 1 else models[0]

    def quantile(self, level: float, train: Examples, validation: Examples) -> Model:
        """Fit linear quantile regressions, with the L1 penalty that has the lowest pinball loss on validation rows."""
        from sklearn.linear_model import QuantileRegressor
        from sklearn.metrics import mean_pinball_loss

        center, scale = float(train.truth.mean()), float(train.truth.std()) or 1.0
        models = [
            QuantileRegressor(quantile=level, alpha=penalty, solver="highs").fit(train.cells, (train.truth - center) / scale, train.weights)
            for penalty in (QUANTILE_PENALTIES if len(self._penalties(PENALTIES, validation)) > 1 else QUANTILE_PENALTIES[:1])
        ]

        def loss(model: Any) -> float:
            predicted = model.predict(validation.cells) * scale + center
            return float(mean_pinball_loss(validation.truth, predicted, alpha=level, sample_weight=validation.weights))

        best = min(models, key=loss) if len(models) > 1 else models[0]
        return lambda cells: (best.predict(cells) * scale + center)[:, None]

    def hazards(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:
        """Fit Cox regressions, with the L2 penalty that has the highest partial likelihood on validation rows."""
        from mmtrain.evaluation.reference_models.cox_regression import fit_cox, partial_loss

        penalties = self._penalties(PENALTIES, validation)
        fits = [fit_cox(*train, penalty) for penalty in penalties]
        best = min(fits, key=lambda one: partial_loss(validation.cells @ one, *validation[1:])) if len(fits) > 1 else fits[0]
        return lambda cells: target.reference_curve(train.truth, train.cells @ best, train.weights, cells @ best)

    def _penalties(self, penalties: tuple[float, ...], validation: Examples) -> tuple[float, ...]:
        return penalties if len(validation.truth) and validation.weights.sum() > 0 else (1.0,)

    def _counts(self, key: str, arrays: Arrays, rows: Array) -> csr_matrix:
        """Count each word in each text, (rows, ids)."""
        from scipy.sparse import csr_matrix

        ids = arrays.column(key, rows)
        # Ids below FIRST_ID are padding, missing texts and unseen words.
        row, place = np.nonzero((ids >= FIRST_ID) & (arrays.present[key][rows] > 0))
        shape = (len(rows), self.texts[key].size)
        return csr_matrix((np.ones(len(row)), (row, ids[row, place])), shape=shape)

    def _rarity(self, key: str, arrays: Arrays, train: Array) -> Array:
        """Inverse document frequency of each id in training rows."""
        # (ids,) training texts that have the word
        documents = np.asarray((self._counts(key, arrays, train) > 0).sum(axis=0)).reshape(-1)
        # The smoothed form of scikit-learn: a word of every text keeps the weight 1.
        return np.asarray(np.log((1 + len(train)) / (1 + documents)) + 1)

    def _text(self, key: str, arrays: Arrays, rows: Array) -> csr_matrix:
        from scipy.sparse import diags

        counts = self._counts(key, arrays, rows)
        # Sublinear: the tenth occurrence of a word says less than the first.
        counts.data = 1 + np.log(counts.data)
        weighted = counts @ diags(self.rarity[key])
        length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1))).reshape(-1)
        # Length 1, so that a long text weighs no more than a short one; an empty text stays all zeros.
        return diags(1 / np.where(length > 0, length, 1)) @ weighted


class _Design:
    """The design matrix of a table: numbers standardized by training rows, indicators of missing ones, categories one-hot."""

    def __init__(self, features: FeatureMatrix, train: Array) -> None:
        categorical = np.array(features.categorical)
        self.categories = {place: np.unique(train[~np.isnan(train[:, place]), place]) for place in np.flatnonzero(categorical)}
        self.numbers = np.flatnonzero(~categorical)
        numbers = train[:, self.numbers]
        # Only numbers that lack values in training rows get an indicator.
        self.gaps = self.numbers[np.isnan(numbers).any(axis=0)]
        self.center = np.nanmean(numbers, axis=0)
        spread = np.nanstd(numbers, axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)

    def matrix(self, cells: Array) -> csr_matrix:
        """(rows, features) to sparse columns; a category that training rows do not have is all zeros."""
        from scipy.sparse import csr_matrix, hstack

        # Standardized, 0 is the mean, which a missing number becomes.
        numbers = np.nan_to_num((cells[:, self.numbers] - self.center) / self.scale)
        blocks = [csr_matrix(numbers), csr_matrix(np.isnan(cells[:, self.gaps]).astype(np.float64))]
        for place, known in self.categories.items():
            # Position of the category among the known ones; unknown codes meet a neighbour, which the next line sees.
            codes = np.searchsorted(known, cells[:, place]).clip(max=len(known) - 1)
            rows = np.flatnonzero(known[codes] == cells[:, place])
            blocks.append(csr_matrix((np.ones(len(rows)), (rows, codes[rows])), shape=(len(cells), len(known))))
        return hstack(blocks, format="csr")


def _squared(model: Any, rows: Examples, center: float, scale: float) -> float:
    errors = model.predict(rows.cells) * scale + center - rows.truth
    return float(np.average(errors**2, weights=rows.weights))


def _log_loss(model: Any, rows: Examples) -> float:
    """The mean log loss of rows of known classes; a class that no training row has costs every model the same."""
    probabilities = model.predict_proba(rows.cells)
    # Validation rows may have classes that no training row has.
    known = np.isin(rows.truth, model.classes_)
    places = np.searchsorted(model.classes_, rows.truth[known])
    # A probability of 0 would cost infinitely much.
    given = np.maximum(probabilities[known][np.arange(len(places)), places], 1e-15)
    return float(-(np.log(given) * rows.weights[known]).sum())
