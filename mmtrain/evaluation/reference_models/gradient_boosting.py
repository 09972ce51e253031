"""Gradient boosting on the columns that are neither images nor texts: the usual model for a table alone.

The histogram method of scikit-learn (Ke and others 2017, LightGBM). It stops when the loss on the validation rows no longer falls. Its
features are the encoded cells, with NaN where one is missing.
"""

from __future__ import annotations

from typing import Any

from mmtrain.evaluation.reference_models.tabular_baseline import Examples, Model, TabularBaseline
from mmtrain.targets import FittedTarget

PATIENCE = 20
"""Rounds without improvement on validation rows."""
MOST_ROUNDS, MOST_TREES = 500, 5_000
"""A round grows a tree for every class, so that many classes get fewer rounds."""
ROUNDS = 100
"""Rounds without early stopping, if there are no validation rows."""


class GradientBoosting(TabularBaseline):
    """One model per target, or per label, quantile or number of a target with several."""

    @classmethod
    def obstacle(cls, target: FittedTarget, rows: int) -> str:
        """Return why there is no such model of a target: scikit-learn has none of times."""
        if target.reference_kind == "times":
            return "scikit-learn has no gradient boosting of times to an event."
        return super().obstacle(target, rows)

    def number(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:
        """Minimize the error that the network minimizes: the squared or the absolute one, or the Poisson deviance of counts."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        names = {"squared": "squared_error", "absolute": "absolute_error", "poisson": "poisson"}
        model = HistGradientBoostingRegressor(loss=names[target.reference_loss], **self._options(1, validation))
        _fit(model, train, validation)
        # (rows, 1), as the network gives numbers
        return lambda cells: model.predict(cells)[:, None]

    def quantile(self, level: float, train: Examples, validation: Examples) -> Model:
        """Minimize the pinball loss of one level."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(loss="quantile", quantile=level, **self._options(1, validation))
        _fit(model, train, validation)
        return lambda cells: model.predict(cells)[:, None]

    def classes(self, count: int, train: Examples, validation: Examples) -> Any:
        """Minimize the log loss."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        # Two classes need one tree per round, several one for each class.
        model = HistGradientBoostingClassifier(**self._options(count if count > 2 else 1, validation))
        _fit(model, train, validation)
        return model

    def _options(self, trees: int, validation: Examples) -> dict[str, Any]:
        """Return the options of a model that grows `trees` trees per round."""
        # scikit-learn would split off its own validation rows, which could share groups with training rows; `fit` gets ours.
        most = MOST_ROUNDS if len(validation.truth) else ROUNDS
        return {
            "max_iter": max(1, min(most, MOST_TREES // trees)),
            "early_stopping": bool(len(validation.truth)),
            "n_iter_no_change": PATIENCE,
            "categorical_features": self.features.categorical,
            "random_state": self.seed,
        }


def _fit(model: Any, train: Examples, validation: Examples) -> None:
    """Fit in one thread: sums are then the same on every machine, and two threads that shared two busy cores took three times as long."""
    from threadpoolctl import threadpool_limits  # a requirement of scikit-learn

    stop = {"X_val": validation.cells, "y_val": validation.truth, "sample_weight_val": validation.weights}
    with threadpool_limits(1, user_api="openmp"):
        model.fit(train.cells, train.truth, train.weights, **(stop if len(validation.truth) else {}))
