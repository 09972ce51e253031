"""Classifier and Regressor in the manner of scikit-learn: `fit(X, y)`, `predict`, `score`, usable in cross-validation and pipelines.

The columns of X are read as an experiment reads those of a table; their roles are guessed by the code of `mmtrain init` unless
`columns` names them. A share of the rows, 15 % by default, is held out of the training to choose the best epoch. The fitted run is
kept inside the estimator, so that it can be pickled and copied; with `output` its folder is kept as well.

    >>> from mmtrain import Classifier
    >>> Classifier(training={"epochs": 5}, random_state=0)
    Classifier(random_state=0, training={'epochs': 5})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from mmtrain.api import experiments
from mmtrain.api.inputs import PathOrText, as_path
from mmtrain.columns.base import role_class
from mmtrain.columns.input_column import InputColumn
from mmtrain.pipeline.proposals.recipes import PLAIN_TRAINING, recipe_for

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import assert_all_finite, check_consistent_length, check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise ImportError("mmtrain.Classifier and mmtrain.Regressor need scikit-learn: pip install 'mmtrain[sklearn]'.") from error

if TYPE_CHECKING:
    from mmtrain.pipeline.prediction.predictor import Predictor

Array = np.ndarray[Any, Any]

LEFT_BEHIND = ("checkpoints", "plots", "tensorboard", "report.html", "model_card.md", "exports", "explanations", "baselines")
"""What of a run folder no prediction needs."""
FEWEST_PER_CLASS = 3
"""Rows of a class up to which the split cannot bring it into every part."""

_opened: WeakKeyDictionary[Any, Predictor] = WeakKeyDictionary()
"""The models of fitted estimators, ready to predict; not part of them, as they cannot be pickled."""


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """Base of both estimators: parameters are sections of an experiment, passed on unchanged."""

    def __init__(
        self,
        *,
        columns: Mapping[str, Any] | None = None,
        branches: Mapping[str, Any] | None = None,
        fusion: str | Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        split: Mapping[str, Any] | None = None,
        output: PathOrText | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.columns = columns
        self.branches = branches
        self.fusion = fusion
        self.training = training
        self.split = split
        self.output = output
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X: Any, answers: pd.Series[Any], target: Mapping[str, Any], *, stratified: bool) -> None:  # noqa: N803
        """Train on the columns of X and the answers, texts of classes or numbers."""
        frame = self._frame(X)
        # A column of X may be called `target` as well.
        name = _unused("target", frame.columns)
        table = frame.assign(**{name: answers.to_numpy()})
        with self._output() as folder:
            columns = self._roles(X, frame, table, name, folder)
            tree = self._experiment({**columns, name: {"role": "target", **target}}, len(table), stratified=stratified)
            run = experiments.fit(tree, table, images=Path.cwd(), output=folder, progress=bool(self.verbose))
            self.history_ = run.history
            self.folder_ = None if self.output is None else run.folder
            self._target = name
            self._files = {
                path.relative_to(run.folder).as_posix(): path.read_bytes()
                for path in sorted(run.folder.rglob("*"))
                if path.is_file() and path.relative_to(run.folder).parts[0] not in LEFT_BEHIND
            }
        self._open()

    def _experiment(self, columns: Mapping[str, Any], rows: int, *, stratified: bool) -> dict[str, Any]:
        """The experiment; the parameters are put over the recipe that `mmtrain init` writes."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        split = {"method": "stratified" if stratified else "random", "validation": 0.15, "test": 0, "seed": seed}
        sections: dict[str, Any] = {"branches": self.branches, "fusion": self.fusion, "training": PLAIN_TRAINING}
        if self.branches is None and self.fusion is None:
            # The sections of a recipe are chosen for each other.
            sections = recipe_for(_input_roles(columns), rows)
        training = sections.pop("training")
        return {
            "name": type(self).__name__.lower(),
            "columns": columns,
            "split": {**split, **(self.split or {})},
            # Only a fixed seed is worth the price of determinism.
            "training": {**training, "seed": seed, "deterministic": self.random_state is not None, **(self.training or {})},
            **{key: section for key, section in sections.items() if section is not None},
        }

    def _roles(self, X: Any, frame: pd.DataFrame, table: pd.DataFrame, target: str, folder: Path) -> dict[str, Any]:  # noqa: N803
        """The columns that are used and what for: as `columns` says, numbers of an array, else as `mmtrain init` guesses."""
        if self.columns is not None:
            return {str(key): {"role": one} if isinstance(one, str) else dict(one) for key, one in self.columns.items()}
        # Numbers of an array are measurements: a guess would take small whole ones for categories.
        if _unnamed(X) and all(pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes):
            return {name: {"role": "numeric"} for name in frame.columns}
        guessed: dict[str, Any] = experiments.init(table, target, images=Path.cwd(), output=folder).experiment["columns"]
        return {key: one for key, one in guessed.items() if key != target}

    @contextmanager
    def _output(self) -> Iterator[Path]:
        """The folder of the runs; a temporary one where none is given."""
        if self.output is not None:
            yield as_path(self.output)
            return
        with TemporaryDirectory(prefix="mmtrain_") as folder:
            yield Path(folder)

    def _validated(self, X: Any, *, reset: bool) -> Any:  # noqa: N803
        """X with its columns counted and named; the cells of a DataFrame are checked by their roles. Raises ValueError."""
        # Two rows for a fit, one to be validated; predictions may be of a single row.
        fewest = 2 if reset else 1
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if len(X) < fewest:
                # In the words of scikit-learn, which its own checks look for.
                raise ValueError(f"Found array with {len(X)} sample(s) (shape={X.shape}) while a minimum of {fewest} is required.")
            return X
        # NaN is a missing cell, with a policy of its own.
        return validate_data(self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=fewest)

    @staticmethod
    def _frame(X: Any) -> pd.DataFrame:  # noqa: N803
        """A DataFrame whose headers are texts; columns without names are x0, x1, ..."""
        names = [f"x{number}" for number in range(X.shape[1])] if _unnamed(X) else [str(name) for name in X.columns]
        if isinstance(X, pd.DataFrame):
            return X.set_axis(names, axis=1).reset_index(drop=True)
        return pd.DataFrame(X, columns=names).infer_objects()

    def _predicted(self, X: Any) -> pd.DataFrame:  # noqa: N803
        """The predictions of every row, in their order. Raises DataError for a row that cannot be predicted."""
        check_is_fitted(self)
        frame = self._frame(self._validated(X, reset=False))
        return self._open().predict(frame, proba=True, on_error="fail", images=Path.cwd())

    def _open(self) -> Predictor:
        """The fitted model, read once in a process."""
        # Weak keys: the model is freed together with its estimator.
        if self not in _opened:
            from mmtrain.pipeline.groups.ensemble import load

            with TemporaryDirectory(prefix="mmtrain_") as folder:
                for name, content in self._files.items():
                    path = Path(folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                _opened[self] = load(folder)
        return _opened[self]

    def __sklearn_is_fitted__(self) -> bool:
        # Set when the training has succeeded.
        return hasattr(self, "_files")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """Predict one of several classes from the columns of X.

    Args:
        columns: What each column is for, by name: a role (`"numeric"`) or a dictionary of the experiment's section `columns`. Columns
            that are not named are not used. Left out: guessed.
        branches: As in an experiment. Left out, with `fusion`: those that `mmtrain init` writes.
        fusion: As in an experiment.
        training: As in an experiment, over what `mmtrain init` writes; with `branches` or `fusion` of your own over 30 epochs and early
            stopping after 5 without improvement.
        split: As in an experiment, over the default of 15 % validation rows and no test rows.
        output: The folder that holds the runs. Left out: a temporary one.
        random_state: Seed of the split, the initial weights and the order of rows; with one, training is deterministic.
        verbose: Above 0, progress is shown.

    Attributes:
        classes_: The classes, sorted.
        history_: Losses and scores, one row per epoch.
        folder_: The run folder; None without `output`.

    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Train on rows X, a DataFrame or an array, and their classes y, (rows,)."""
        X = self._validated(X, reset=True)  # noqa: N806
        y = _answers(self, y)
        check_consistent_length(X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has only one class, {self.classes_.tolist()[0]!r}; a classifier needs samples of at least two classes.")
        self._names = _class_names(self.classes_)
        # The second class in sorted order, as scikit-learn has it.
        task = {"task": "binary", "positive": self._names[1]} if len(self._names) == 2 else {"task": "multiclass"}
        # So rare a class cannot be in every part: a stratified split would refuse it.
        rare = np.bincount(codes).min() < FEWEST_PER_CLASS
        self._fit(X, pd.Series(np.array(self._names, dtype=object)[codes]), task, stratified=not rare)
        return self

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """The probability of each class, (rows, classes), in the order of `classes_`; 0 for a class that no training row has."""
        predictions = self._predicted(X)
        columns = [predictions.get(f"probability_{name}") for name in self._names]
        # A class that fell into the held-out rows alone was never learned.
        values = np.column_stack([np.zeros(len(predictions)) if one is None else one.to_numpy(np.float64) for one in columns])
        # Probabilities in float32 add up to 1 only nearly.
        shares: Array = values / values.sum(axis=1, keepdims=True)
        return shares

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The most probable class of each row, (rows,)."""
        most = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[most])


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """Predict a number from the columns of X. Parameters and attributes are those of `Classifier`, without `classes_`."""

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Train on rows X, a DataFrame or an array, and their numbers y, (rows,)."""
        X = self._validated(X, reset=True)  # noqa: N806
        y = _answers(self, y)
        check_consistent_length(X, y)
        # Texts of numbers become numbers; others raise as NumPy does.
        if y.dtype.kind not in "biuf":
            y = y.astype(np.float64)
        assert_all_finite(y, input_name="y")
        self._fit(X, pd.Series(y), {"task": "regression"}, stratified=False)
        return self

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The predicted number of each row, (rows,)."""
        return self._predicted(X)["prediction"].to_numpy(np.float64)


def _input_roles(columns: Mapping[str, Any]) -> list[str]:
    roles = [str(one.get("role")) for one in columns.values()]
    return [role for role in roles if issubclass(role_class(role), InputColumn)]


def _unnamed(X: Any) -> bool:  # noqa: N803
    """Return whether the columns have no names: those of an array, and of a DataFrame that was made of one."""
    return not isinstance(X, pd.DataFrame) or X.columns.equals(pd.RangeIndex(X.shape[1]))


def _answers(estimator: _Estimator, y: Any) -> Array:
    """Y as (rows,). Raises ValueError where it is missing or has several columns."""
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
    labels: Array = column_or_1d(y, warn=True)
    assert_all_finite(labels, input_name="y")
    return labels


def _class_names(classes: Array) -> list[str]:
    """Texts for a table: the classes themselves where their texts are plain and differ."""
    names = [str(one) for one in classes.tolist()]
    plain = all(name and name == name.strip() and name.isprintable() for name in names)
    return names if plain and len(set(names)) == len(names) else [f"class {number}" for number in range(len(names))]


def _unused(name: str, taken: Any) -> str:
    while name in taken:
        name += "_"
    return name
