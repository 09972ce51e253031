"""Classifier and Regressor as scikit-learn uses them."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import mmtrain
from mmtrain.errors import ConfigError, DataError
from mmtrain.pipeline.proposals.starter_config import recipe_for

SHORT = {"epochs": 4, "learning_rate": 0.02, "jit": "off", "steps_per_call": 1}
ROWS = 80


def table():
    """Numbers and words from which the class and the number can be told."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"x": generator.normal(size=ROWS), "city": generator.choice(["ulm", "bonn"], ROWS), "note": "none"})
    return frame.set_index(np.arange(ROWS)[::-1])


@pytest.fixture(scope="module")
def classifier(tensorflow):
    frame = table()
    return mmtrain.Classifier(training=SHORT, random_state=0).fit(frame, np.where(frame["x"] > 0, 30, 7))


def test_parameters_are_kept_as_they_are_and_can_be_set():
    estimator = mmtrain.Classifier(training=SHORT, random_state=3)
    assert clone(estimator).get_params() == estimator.get_params()
    assert estimator.set_params(verbose=1).verbose == 1


def test_a_table_of_numbers_and_categories_is_trained_as_init_writes_it():
    columns = {
        "x": {"role": "numeric"},
        "city": {"role": "categorical"},
        "who": {"role": "group"},
        "y": {"role": "target", "task": "binary"},
    }
    recipe = recipe_for(["numeric", "categorical"], 500)
    found = mmtrain.Classifier(training={"epochs": 3})._experiment(columns, 500, stratified=True)
    assert {key: found[key] for key in ("branches", "fusion")} == {"branches": "tabm", "fusion": {"units": []}}
    assert {**found["training"], **recipe["training"]} == {**found["training"], "epochs": recipe["training"]["epochs"]}
    assert found["training"]["epochs"] == 3
    own = mmtrain.Classifier(fusion="gated")._experiment(columns, 500, stratified=True)
    texts = mmtrain.Classifier()._experiment({**columns, "note": {"role": "text"}}, 500, stratified=True)
    assert own["training"]["early_stopping"]["patience"] == texts["training"]["early_stopping"]["patience"] == 5
    assert ("branches" in own, texts["branches"], texts["fusion"]) == (False, "tabm", {"units": [], "auxiliary": 1.0})


def test_a_classifier_predicts_its_own_classes(classifier):
    frame = table()
    truth = np.where(frame["x"] > 0, 30, 7)
    assert classifier.classes_.tolist() == [7, 30]
    assert classifier.feature_names_in_.tolist() == ["x", "city", "note"]
    assert classifier.score(frame, truth) > 0.9
    probabilities = classifier.predict_proba(frame)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert classifier.predict(frame).tolist() == classifier.classes_[probabilities.argmax(axis=1)].tolist()
    assert classifier.predict(frame.iloc[::-1]).tolist() == classifier.predict(frame).tolist()[::-1]
    assert classifier.history_["epoch"].tolist() == [1, 2, 3, 4]
    assert classifier.folder_ is None


@pytest.mark.slow
def test_a_fitted_estimator_is_pickled_whole(classifier):
    copy = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(copy.predict_proba(table()), classifier.predict_proba(table()))


@pytest.mark.slow
def test_the_same_random_state_gives_the_same_model(classifier):
    frame = table()
    again = clone(classifier).fit(frame, np.where(frame["x"] > 0, 30, 7))
    np.testing.assert_array_equal(again.predict_proba(frame), classifier.predict_proba(frame))


@pytest.mark.slow  # fitted on a frame by the classifier above
def test_a_regressor_on_an_array_names_its_columns_and_keeps_its_run(tensorflow, tmp_path):
    frame = table()
    cells = frame[["x"]].to_numpy()
    regressor = mmtrain.Regressor(training=SHORT, output=tmp_path, random_state=0).fit(cells, 3 * cells[:, 0])
    assert regressor.score(cells, 3 * cells[:, 0]) > 0.3
    assert regressor.folder_ == tmp_path / "regressor" / "1"
    assert list(mmtrain.load(regressor.folder_).experiment.columns) == ["x0", "target"]
    assert regressor.predict(np.array([[np.nan], [0.0]])).shape == (2,)


@pytest.mark.slow
def test_several_classes_and_a_group_are_named_by_columns(tensorflow, tmp_path):
    frame = table().assign(patient=lambda frame: np.arange(len(frame)) // 2)
    answers = pd.cut(frame["x"], [-9, -0.4, 0.4, 9], labels=["low", "middle", "high"]).astype(str)
    columns = {"x": "numeric", "patient": {"role": "group"}}
    estimator = mmtrain.Classifier(columns=columns, training=SHORT, split={"method": "random"}, output=tmp_path, random_state=0)
    estimator.fit(frame, answers)
    assert estimator.classes_.tolist() == ["high", "low", "middle"]
    assert set(mmtrain.load(estimator.folder_).experiment.columns) == {"x", "patient", "target"}
    assert estimator.predict(frame[["x", "city", "note", "patient"]]).shape == (ROWS,)


@pytest.mark.parametrize(
    ("estimator", "frame", "y", "kind", "message"),
    [
        ("Classifier", table(), None, ValueError, "This Classifier estimator requires y to be passed, but the target y is None."),
        ("Classifier", table(), np.zeros(ROWS), ValueError, "y has only one class, 0.0; a classifier needs samples of at least two"),
        ("Classifier", table(), np.zeros(3), ValueError, "Found input variables with inconsistent numbers of samples"),
        ("Regressor", table(), np.full(ROWS, np.nan), ValueError, "Input y contains NaN."),
        (
            "Classifier",
            table().head(0),
            [],
            ValueError,
            r"Found array with 0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 2 is required\.",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(estimator, frame, y, kind, message):
    with pytest.raises(kind, match=f"^{message}"):
        getattr(mmtrain, estimator)().fit(frame, y)


def test_mistakes_of_sections_are_placed():
    with pytest.raises(ConfigError) as refused:
        mmtrain.Regressor(columns={"x": "numeric"}, training={"epoch": 1}).fit(table(), np.arange(ROWS))
    assert str(refused.value) == "experiment: training.epoch: unknown key. Did you mean 'epochs'?"


def test_rows_and_columns_that_were_not_learned_are_refused(classifier):
    with pytest.raises(NotFittedError):
        mmtrain.Classifier().predict(table())
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        classifier.predict(table().rename(columns={"x": "z"}))
    with pytest.raises(DataError, match=r"^the DataFrame: row 0: x: 'word' is not a number"):
        classifier.predict(table().assign(x="word"))


@pytest.mark.slow
def test_without_scikit_learn_one_sentence_says_what_is_missing():
    program = "import sys; sys.modules['sklearn'] = None; sys.modules['sklearn.base'] = None\nimport mmtrain\nmmtrain.Classifier"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    sentence = "ImportError: mmtrain.Classifier and mmtrain.Regressor need scikit-learn: pip install 'mmtrain[sklearn]'."
    assert done.stderr.splitlines()[-1] == sentence


@pytest.mark.slow
def test_estimators_work_in_cross_validation_search_and_pipelines(tensorflow):
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    frame = table()
    truth = np.where(frame["x"] > 0, "b", "a")
    estimator = mmtrain.Classifier(training=SHORT, random_state=0)
    assert cross_val_score(estimator, frame, truth, cv=3).mean() > 0.8
    search = GridSearchCV(estimator, {"training": [SHORT, SHORT | {"learning_rate": 1e-6}]}, cv=2).fit(frame, truth)
    assert search.best_params_ == {"training": SHORT}
    pipeline = make_pipeline(FunctionTransformer(lambda frame: frame[["x"]]), StandardScaler(), mmtrain.Regressor(training=SHORT))
    assert pipeline.fit(frame, frame["x"]).predict(frame).shape == (ROWS,)


EXPECTED: dict[str, str] = {}
"""Checks of scikit-learn that an estimator which holds out validation rows does not pass, and why: none."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["Classifier", "Regressor"])
def test_estimators_pass_the_checks_of_scikit_learn(name, tensorflow, tmp_path, monkeypatch):
    from sklearn.utils.estimator_checks import check_estimator

    monkeypatch.chdir(tmp_path)
    estimator = getattr(mmtrain, name)(training=SHORT | {"epochs": 20}, random_state=0)
    results = check_estimator(estimator, expected_failed_checks=EXPECTED, on_fail=None)
    failed = {result["check_name"]: str(result["exception"]) for result in results if result["status"] == "failed"}
    assert failed == {}
    assert sum(result["status"] == "passed" for result in results) > 40
