"""Dispersions of negative binomial counts that several members predict: those of the mixture of their distributions."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tiny_groups import group

from mmtrain.evaluation.out_of_fold import Combined
from mmtrain.layers.end_to_end import mean_of_columns
from mmtrain.pipeline.groups.ensemble import mean_predictions
from mmtrain.targets import CountTarget

MEANS, DISPERSIONS, WEIGHTS = np.array([2.0, 5.0, 8.0]), np.array([0.25, 0.5, 1.0]), np.array([0.5, 0.25, 0.25])
MEMBERS = np.stack([MEANS, DISPERSIONS], axis=1)[:, None].astype(np.float32)


def fitted():
    cells = pd.Series(["0", "2", "4", "13", "1"], dtype="str")
    return CountTarget(column="y", distribution="negative_binomial").fit({"y": cells}, "none")


def moments_of_mixture(means, dispersions, weights):
    """The mean and the dispersion of a mixture, from the probabilities of its counts."""
    counts = np.arange(2000)
    sizes = 1 / dispersions
    probabilities = weights @ np.stack([stats.nbinom(n, n / (n + m)).pmf(counts) for n, m in zip(sizes, means, strict=True)])
    mean = probabilities @ counts
    return mean, (probabilities @ (counts - mean) ** 2 - mean) / mean**2


def test_trainings_of_a_group_give_the_dispersion_of_their_mixture(tensorflow):
    labels, predictions = {"y": fitted()}, [{"y": one} for one in MEMBERS]
    expected = pytest.approx(moments_of_mixture(MEANS, DISPERSIONS, WEIGHTS), rel=1e-6)
    assert mean_predictions(labels, predictions, {"y": WEIGHTS.tolist()})["y"][0] == expected
    # In a saved model, and in exports of encoded columns.
    columns = [tensorflow.constant(one, tensorflow.float64) for one in MEMBERS]
    assert mean_of_columns(columns, WEIGHTS.tolist(), mixture="dispersion").numpy()[0] == expected
    # Alike, three trainings are one.
    assert mean_predictions(labels, predictions[:1] * 3)["y"].tolist() == MEMBERS[0].tolist()


def test_out_of_fold_predictions_of_several_seeds_have_the_dispersion_of_their_mixture():
    predictions = np.repeat(MEMBERS[:2], 200, axis=1)
    mean = Combined(group(fitted(), predictions), {"y": fitted()}).parsed["y"][1]
    assert mean[0] == pytest.approx(moments_of_mixture(MEANS[:2], DISPERSIONS[:2], np.full(2, 0.5)), rel=1e-6)


@pytest.mark.usefixtures("tensorflow")
def test_members_of_one_network_give_the_dispersion_of_their_mixture():
    layer = fitted().activation("p")
    raw = np.log(MEMBERS.reshape(1, 3, 2)) - np.asarray(layer.settings["offsets"], np.float32)
    assert np.asarray(layer(raw[0]))[:, 0] == pytest.approx(MEANS, rel=1e-5)
    mixture = np.asarray(layer(layer.mean_of_members("m")(raw)))[0]
    assert mixture == pytest.approx(moments_of_mixture(MEANS, DISPERSIONS, np.full(3, 1 / 3)), rel=1e-5)
