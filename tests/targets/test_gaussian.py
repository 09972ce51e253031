"""A number with its standard deviation: the likelihood, moments of members, scores of distributions, and a planted spread that is found."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from tiny import write_experiment, write_table
from tiny_groups import group

from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.evaluation.out_of_fold import Combined
from mmtrain.layers.end_to_end import mean_of_columns
from mmtrain.metrics.numbers.gaussian import crps, gaussian_scores
from mmtrain.pipeline.groups.ensemble import mean_predictions
from mmtrain.targets import GaussianTarget

RANDOM = np.random.default_rng(2)
ROWS = 200
TRUTH, MEAN, DEVIATION = RANDOM.normal(5, 3, ROWS), RANDOM.normal(5, 2, ROWS), RANDOM.uniform(0.5, 3, ROWS)


def fitted(**options):
    cells = pd.Series(["2", "4", "9"], dtype="str")
    return GaussianTarget(column="y", **options).fit({"y": cells}, "none")


@pytest.mark.usefixtures("tensorflow")
def test_the_loss_is_minus_the_log_likelihood_of_the_prediction():
    target, raw = fitted(beta=0), RANDOM.normal(size=(ROWS, 2)).astype(np.float32)
    mean, deviation = np.asarray(target.activation("p")(raw), dtype=np.float64).T
    expected = -stats.norm(mean, deviation).logpdf(TRUTH) - np.log(target.scale) - 0.5 * np.log(2 * np.pi)
    assert target.minimized(TRUTH, raw).numpy() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.usefixtures("tensorflow")
def test_beta_gives_rows_with_a_large_variance_their_weight_back():
    import tensorflow as tf

    raw = tf.Variable([[0.0, 2.0], [0.0, -2.0]])
    slopes = []
    for beta in (0, 1):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(fitted(beta=beta).minimized(np.array([9.0, 9.0]), raw))
        slopes.append(tape.gradient(loss, raw).numpy()[:, 0])
    assert slopes[0][0] / slopes[0][1] == pytest.approx(np.exp(-4), rel=1e-5)
    assert slopes[1][0] == pytest.approx(slopes[1][1])


@pytest.mark.usefixtures("tensorflow")
def test_members_give_the_moments_of_their_mixture():
    layer = fitted().activation("p")
    raw = RANDOM.normal(size=(4, 3, 2)).astype(np.float32)
    mean, deviation = np.asarray(layer(layer.mean_of_members("m")(raw))).T
    moments = np.asarray(layer(raw.reshape(-1, 2)), dtype=np.float64).reshape(4, 3, 2)
    assert mean == pytest.approx(moments[..., 0].mean(axis=1), rel=1e-5)
    second = (moments[..., 1] ** 2 + moments[..., 0] ** 2).mean(axis=1)
    assert deviation == pytest.approx(np.sqrt(second - moments[..., 0].mean(axis=1) ** 2), rel=1e-4)


def test_trainings_of_a_group_give_the_moments_of_their_mixture(tensorflow):
    """A number far from 0, where squares of numbers would lose every digit of the deviation."""
    labels = {"y": fitted().model_copy(update={"center": 1e6})}
    members = (np.array([[[1e6 - 3, 1.0]], [[1e6, 1.0]], [[1e6 + 1, 2.0]]])).astype(np.float32)
    weights = np.array([0.5, 0.25, 0.25])
    mean = weights @ members[:, 0, 0].astype(np.float64)
    variance = weights @ (members[:, 0, 1].astype(np.float64) ** 2 + (members[:, 0, 0] - mean) ** 2)
    predictions = [{"y": one} for one in members]
    [combined] = mean_predictions(labels, predictions, {"y": weights.tolist()})["y"].tolist()
    assert combined == [np.float32(mean), pytest.approx(np.sqrt(variance), rel=1e-6)]
    # In a saved model and in exports of encoded columns.
    doubles = [tensorflow.constant(one, tensorflow.float64) for one in members]
    assert mean_of_columns(doubles, weights.tolist(), mixture="deviation").numpy()[0].tolist() == pytest.approx([mean, np.sqrt(variance)])
    assert mean_of_columns([tensorflow.constant(one) for one in members], weights.tolist(), mixture="deviation").numpy()[
        0, 1
    ] == pytest.approx(np.sqrt(variance), rel=0.01)
    # Alike, three trainings are one.
    assert mean_predictions(labels, predictions[:1] * 3)["y"].tolist() == members[0].tolist()


def test_out_of_fold_predictions_of_several_seeds_have_the_moments_of_their_mixture():
    target = fitted()
    predictions = np.stack([np.stack([MEAN + shift, DEVIATION], axis=1) for shift in (-1, 3)]).astype(np.float32)
    mean = Combined(group(target, predictions), {"y": target}).parsed["y"][1]
    assert mean[:, 0] == pytest.approx(MEAN + 1, rel=1e-5)
    assert mean[:, 1] == pytest.approx(np.sqrt(DEVIATION**2 + 4), rel=1e-5)


def test_training_that_does_not_count_may_predict_infinities_out_of_fold_as_well():
    target = fitted()
    predictions = np.stack([np.stack([MEAN, DEVIATION], axis=1), np.full((ROWS, 2), np.inf)]).astype(np.float32)
    weights = {"y": np.tile([[1.0], [0.0]], (4, ROWS))}
    _, mean, decided = Combined(group(target, predictions), {"y": target}, weights).parsed["y"]
    np.testing.assert_allclose(mean, predictions[0], rtol=1e-5)
    np.testing.assert_allclose(decided, predictions[0], rtol=1e-5)


def test_scores_equal_those_of_scikit_learn_and_scipy():
    scores = {score.name: score.value for score in gaussian_scores(TRUTH, MEAN, DEVIATION)}
    assert scores["mae"] == pytest.approx(mean_absolute_error(TRUTH, MEAN))
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(TRUTH, MEAN))
    assert scores["nll"] == pytest.approx(-stats.norm(MEAN, DEVIATION).logpdf(TRUTH).mean())
    inside = np.abs(TRUTH - MEAN) <= stats.norm.ppf(0.95) * DEVIATION
    assert scores["coverage_gap"] == pytest.approx(abs(inside.mean() - 0.9))
    # The integral of the squared distance between both distribution functions.
    for distance in (-1.5, 0.0, 0.7):
        below, above = quad(lambda x: stats.norm.cdf(x) ** 2, -20, distance)[0], quad(lambda x: stats.norm.sf(x) ** 2, distance, 20)[0]
        assert crps(np.array([distance]))[0] == pytest.approx(below + above, abs=1e-6)
    with pytest.raises(ValueError, match="A standard deviation is 0; each must be above 0"):
        gaussian_scores(TRUTH, MEAN, np.zeros(ROWS))


def test_coverage_is_tabulated_by_level():
    table = fitted().tables(TRUTH, np.stack([MEAN, DEVIATION], axis=1))["coverage"]
    assert [row[0] for row in table.rows] == [f"central {level} % interval".replace(" %", "%") for level in (50, 80, 90, 95)]
    assert [row[2] for row in table.rows] == sorted(row[2] for row in table.rows)


@pytest.mark.slow
def test_a_planted_spread_is_found(tmp_path):
    """The standard deviation of the answer is 1 where x is below 0, and 4 above; the mean is 3 x."""
    random = np.random.default_rng(0)
    x = random.uniform(-2, 2, 3000)
    y = 3 * x + random.normal(size=3000) * np.where(x < 0, 1.0, 4.0)
    write_table(tmp_path / "table.csv", [{"x": f"{one:.4f}", "y": f"{other:.4f}"} for one, other in zip(x, y, strict=True)])
    tree = """
    columns: {x: {role: numeric}, y: {role: target, task: gaussian}}
    training: {epochs: 25, batch_size: 64, learning_rate: 0.005, jit: 'off', steps_per_call: 8}
    evaluation: {draws: 100, permutations: 0}
    """
    run = fit(write_experiment(tmp_path / "a.yaml", tree), output=tmp_path / "runs").run
    result = evaluate(str(run.folder), EvaluateOptions(), output=tmp_path / "runs").targets["y"]
    rows = pd.read_csv(run / "predictions_test.csv")
    inputs = x[rows["row"]]
    assert rows["standard_deviation"][inputs < -0.3].median() == pytest.approx(1, abs=0.25)
    assert rows["standard_deviation"][inputs > 0.3].median() == pytest.approx(4, abs=0.6)
    observed = {row[1]: row[2] for row in result.analyses["coverage"].rows}
    assert all(abs(share - level) < 0.05 for level, share in observed.items())  # of 450 rows, 2 points are one standard error
    # That of the true distributions: sigma / sqrt(pi), on average over both halves.
    assert result.scores["crps"].value == pytest.approx(2.5 / np.sqrt(np.pi), abs=0.12)
