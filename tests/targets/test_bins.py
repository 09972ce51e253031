"""`bins` of a regression target: the classes among quantiles, their labels, and the expectation that is predicted."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.targets import RegressionTarget

ANSWERS = np.round(np.exp(np.random.default_rng(0).normal(3, 1.0, 300)), 2)


def fitted(answers=ANSWERS, bins=20, **options):
    cells = pd.Series([repr(float(answer)) for answer in answers], dtype="str")
    return RegressionTarget(column="y", bins=bins, **options).fit({"y": cells}, "none")


def test_bins_are_quantiles_from_the_smallest_to_the_largest_answer():
    target = fitted()
    numbers = np.array(target.bins) * target.scale + target.center
    assert (len(numbers), target.units) == (20, 1)
    np.testing.assert_allclose(numbers, np.quantile(ANSWERS, np.linspace(0, 1, 20)), rtol=1e-5, atol=1e-4)


def test_equal_quantiles_are_one_bin_and_none_are_kept_without_the_option():
    assert len(fitted([1, 1, 1, 1, 1, 1, 2, 3], bins=8).bins) == 3
    assert fitted(bins=0).bins == ()
    assert fitted(bins=0).model_dump()["bins"] == ()


@pytest.mark.usefixtures("tensorflow")
def test_label_of_an_answer_is_divided_so_that_its_expectation_is_the_answer():
    """The gradient of the cross-entropy is probability - share: at equal probabilities it gives the shares."""
    import tensorflow as tf

    target = fitted()
    raw = tf.Variable(tf.zeros((len(ANSWERS), 21)))
    with tf.GradientTape() as tape:
        loss = target.row_loss(ANSWERS, raw)
    shares = 1 / 20 - tape.gradient(loss, raw).numpy()[:, 1:]
    assert (shares > -1e-6).all() and ((shares > 1e-6).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(shares @ np.array(target.bins), target.standardized(ANSWERS), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loss, np.log(20), rtol=1e-5)
    # Beyond the training answers: the first and the last bin.
    with tf.GradientTape() as tape:
        loss = target.row_loss(np.array([-1e6, 1e6]), raw[:2])
        gradients = tape.gradient(loss, raw)
    assert (1 / 20 - tf.convert_to_tensor(gradients).numpy()[:2, [1, 20]]).round(6).tolist() == [[1, 0], [0, 1]]


@pytest.mark.usefixtures("tensorflow")
def test_head_gives_the_expectation_first_and_the_activation_takes_it_to_the_unit():
    import keras

    target = fitted(bins=5)
    head = keras.Model(given := keras.Input((3,)), target.head(given, "target_y"))
    raw = head(np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)).numpy()
    assert raw.shape == (4, 6)
    chances = np.exp(raw[:, 1:]) / np.exp(raw[:, 1:]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(raw[:, 0], chances @ np.array(target.bins), rtol=1e-5)
    prediction = target.activation("prediction_y")(raw).numpy()
    np.testing.assert_allclose(prediction, raw[:, :1] * target.scale + target.center, rtol=1e-6)
    again = keras.Model.from_config(head.get_config())
    assert again.output.shape == (None, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": 1}, "`bins: 1` leaves nothing to learn. Set 20 for example, or 0."),
        ({"bins": 20, "error": "huber"}, "`bins` is a loss of its own; it excludes `error`. Leave one of them out."),
        ({"bins": 20, "transform": "log"}, "`bins` is a loss of its own; it excludes `transform`. Leave one of them out."),
        (
            {"bins": 20, "bins_weight": 0.1, "transform": "log"},
            "`bins` is a loss of its own; it excludes `transform`. Leave one of them out.",
        ),
        ({"bins_weight": 0.1}, "`bins_weight` is the weight of a classification among `bins`. Set `bins: 20` as well, for example."),
    ],
)
def test_options_that_exclude_bins(options, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        RegressionTarget(column="y", **options)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("options", [{}, {"loss": {"method": "huber", "delta": 0.5}}])
def test_auxiliary_bins_add_their_cross_entropy_to_the_loss_of_the_number(options):
    """The number has a raw output of its own, which the prediction follows; the error of the task is minimized as without bins."""
    import keras

    beside, plain = fitted(bins=5, bins_weight=0.3, **options), fitted(bins=0, **options)
    loss = RegressionTarget(column="y", bins=0, **options).loss
    beside, plain = beside.with_loss(loss), plain.with_loss(loss)
    assert (beside.raw_units, plain.raw_units, len(beside.bins)) == (6, 1, 5)
    head = keras.Model(given := keras.Input((3,)), beside.head(given, "target_y"))
    raw = head(np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)).numpy()
    answers = ANSWERS[:4]
    entropy = beside._cross_entropy(answers, raw).numpy()
    expected = plain.minimized(answers, raw[:, :1]).numpy() + 0.3 * entropy
    np.testing.assert_allclose(beside.minimized(answers, raw), expected, rtol=1e-5)
    assert (entropy > 0).all()
    predictions = [target.activation("prediction_y")(values).numpy() for target, values in ((beside, raw), (plain, raw[:, :1]))]
    np.testing.assert_array_equal(*predictions)
