"""Reference models of `accuracy.py`: scikit-learn on the columns of a table, preprocessed as its user guide does.

Everything is fitted on the training rows. Columns of one word that is another in every row are left out, and so are images. Scores are
those of mmtrain, which its tests pin to scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

MODELS = ("majority", "linear", "gradient_boosting")
TEXT_WORDS, TEXT_VALUES = 3, 50
"""A column of texts has more words than this in an average cell, and more different cells."""
IMAGES = (".jpg", ".jpeg", ".png")
MOST_TERMS, MOST_COMPONENTS = 5000, 50

Array = np.ndarray[Any, Any]


class Columns:
    """The roles of columns, as their training rows suggest."""

    def __init__(self, train: pd.DataFrame) -> None:
        self.numbers: list[str] = []
        self.categories: list[str] = []
        self.texts: list[str] = []
        for header in train:
            cells = train[header].dropna()
            if not len(cells):
                continue
            if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
                self.numbers.append(str(header))
                continue
            words = cells.astype(str)
            if words.str.lower().str.endswith(IMAGES).all():
                continue
            if words.map(lambda cell: len(cell.split())).mean() > TEXT_WORDS and words.nunique() > TEXT_VALUES:
                self.texts.append(str(header))
            elif words.nunique() < 0.9 * len(words):
                self.categories.append(str(header))

    @property
    def any(self) -> bool:
        """False if there is nothing to predict from."""
        return bool(self.numbers or self.categories or self.texts)

    def encoder(self, *, trees: bool) -> Any:
        """Return a transformer: for trees ordinal codes, missing numbers as they are, and 50 components of a text."""
        from sklearn.compose import ColumnTransformer
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

        if trees:
            ordinal = OrdinalEncoder(
                handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan, max_categories=250
            )
            steps: list[tuple[str, Any, Any]] = [("numbers", "passthrough", self.numbers), ("categories", ordinal, self.categories)]
        else:
            numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
            one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2)
            steps = [("numbers", numbers, self.numbers), ("categories", one_hot, self.categories)]
        for number, header in enumerate(self.texts):
            tfidf = TfidfVectorizer(max_features=MOST_TERMS, sublinear_tf=True, ngram_range=(1, 2), min_df=2)
            steps.append(
                (f"text {number}", make_pipeline(tfidf, TruncatedSVD(MOST_COMPONENTS, random_state=0)) if trees else tfidf, header)
            )
        return ColumnTransformer(steps, sparse_threshold=0.0 if trees else 0.3)

    def prepared(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the cells as the encoders take them."""
        prepared = rows[[*self.numbers, *self.categories, *self.texts]].copy()
        for header in self.categories:
            prepared[header] = rows[header].map(lambda cell: np.nan if pd.isna(cell) else str(cell)).astype(object)
        for header in self.texts:
            prepared[header] = rows[header].fillna("").astype(str)
        return prepared


def scores(model: str, task: str, rows: pd.DataFrame, target: str, train: Array, test: Array, seed: int) -> dict[str, float | None]:
    """Fit a reference on the rows `train` and score it on the rows `test`; both are positions."""
    inputs = rows.drop(columns=[target])
    columns = Columns(inputs.iloc[train])
    cells = columns.prepared(inputs)
    fitted_on, scored_on = cells.iloc[train], cells.iloc[test]
    if model == "majority" or not columns.any:
        fitted_on, scored_on = pd.DataFrame({"": np.zeros(len(train))}), pd.DataFrame({"": np.zeros(len(test))})
    elif model in MODELS:
        encoder = columns.encoder(trees=model == "gradient_boosting")
        fitted_on, scored_on = encoder.fit_transform(fitted_on), encoder.transform(scored_on)
    answers = rows[target]
    if task == "regression":
        numbers = answers.to_numpy(dtype=np.float64)
        fitted = _fit(_estimator(model, task, columns, seed), fitted_on, numbers[train])
        return _values(task, numbers[test], np.asarray(fitted.predict(scored_on)), [])
    if task == "multilabel":
        return _labels(model, columns, answers, (train, test), (fitted_on, scored_on), seed)
    names, codes = np.unique(answers.astype(str), return_inverse=True)
    present = np.unique(codes[train])
    probabilities = np.zeros((len(test), len(names)))
    fitted = _fit(_estimator(model, task, columns, seed), fitted_on, codes[train])
    probabilities[:, present] = fitted.predict_proba(scored_on)
    return _values(task, codes[test], probabilities, list(map(str, names)))


def _labels(
    model: str, columns: Columns, answers: pd.Series[Any], parts: tuple[Array, Array], cells: tuple[Any, Any], seed: int
) -> dict[str, float | None]:
    """A model for every label that training rows have."""
    train, test = parts
    sets = [set(filter(None, str(cell).split(";"))) for cell in answers.fillna("")]
    names = sorted(set().union(*(sets[row] for row in train)))
    truth = np.array([[name in labels for name in names] for labels in sets])
    probabilities = np.empty((len(test), len(names)))
    for number in range(len(names)):
        has = truth[train, number]
        if has.all():
            probabilities[:, number] = 1.0
            continue
        fitted = _fit(_estimator(model, "binary", columns, seed), cells[0], has.astype(int))
        probabilities[:, number] = fitted.predict_proba(cells[1])[:, 1]
    return _values("multilabel", truth[test].astype(int), probabilities, names)


def _estimator(model: str, task: str, columns: Columns, seed: int) -> Any:
    """Default settings of scikit-learn; the penalty of the ridge is chosen on training rows."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, RidgeCV

    number = task == "regression"
    if model == "majority" or not columns.any:
        return DummyRegressor() if number else DummyClassifier(strategy="prior")
    if model == "linear":
        return RidgeCV(np.logspace(-2, 4, 13)) if number else LogisticRegression(max_iter=1000)
    codes = [len(columns.numbers) + place for place in range(len(columns.categories))]
    options: Mapping[str, Any] = {"categorical_features": codes or None, "random_state": seed}
    return HistGradientBoostingRegressor(**options) if number else HistGradientBoostingClassifier(**options)


def _fit(estimator: Any, cells: Any, truth: Array) -> Any:
    """In one thread: two that share two busy cores took three times as long."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(cells, truth)


def _values(task: str, truth: Array, prediction: Array, names: list[str]) -> dict[str, float | None]:
    from mmtrain import metrics

    if task == "regression":
        found = metrics.regression_scores(truth, prediction)
    elif task == "binary":
        found = metrics.binary_scores(truth, prediction[:, 1], classes=(names[0], names[1]))
    elif task == "multiclass":
        found = metrics.multiclass_scores(truth, prediction / prediction.sum(axis=1, keepdims=True), classes=names)
    else:
        found = metrics.multilabel_scores(truth, prediction, labels=names)
    return {score.name: score.value for score in found if "[" not in score.name}
