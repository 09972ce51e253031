"""Layers for tables: each against the plain computation it stands for, for all columns at once."""

from statistics import NormalDist

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("tensorflow")

EDGES = [[-1.0, 0.0, 2.0], [0.0, 0.5, 1.0, 4.0]]
NUMBERS = np.array([[-3.0, 9.0, 0.25], [-0.5, 9.0, 1.0], [1.0, 9.0, 3.0], [5.0, 9.0, 7.0]], np.float32)
"""Two columns with bins and a flag between them."""


def test_piecewise_linear_fills_the_bins_below_a_number():
    from mmtrain.layers.tabular.number_encodings import PiecewiseLinear

    bins = PiecewiseLinear(positions=[0, 2], edges=EDGES)(NUMBERS).numpy()
    assert bins.shape == (4, 2, 3)
    assert bins[:, 0].tolist() == [[0, 0, 0], [0.5, 0, 0], [1, 0.5, 0], [1, 1, 0]]  # padded: this column has two bins
    assert np.allclose(bins[:, 1], [[0.5, 0, 0], [1, 1, 0], [1, 1, 2 / 3], [1, 1, 1]])


def test_normal_score_is_interpolated_between_the_edges():
    from mmtrain.layers.tabular.number_encodings import NormalScore

    scores = [[-2.0, 0.0, 1.0], [-1.0, 0.0, 0.5, 3.0]]
    found = NormalScore(positions=[0, 2], edges=EDGES, scores=scores)(NUMBERS).numpy()
    expected = [np.interp(NUMBERS[:, place], edges, own) for place, edges, own in zip((0, 2), EDGES, scores, strict=True)]
    assert np.allclose(found[:, :, 0], np.stack(expected, axis=1), atol=1e-6)


def test_robust_scale_clips_smoothly_at_three():
    from mmtrain.layers.tabular.number_encodings import RobustScale

    found = RobustScale(positions=[0, 2], centers=[1.0, 0.0], factors=[2.0, 1.0])(np.array([[1, 0, 1e6], [2, 0, 0.1]], np.float32)).numpy()
    assert np.allclose(found, [[0, 3], [2 / np.sqrt(1 + 4 / 9), 0.1]], atol=1e-3)


def test_periodic_is_made_of_cosines_and_sines_of_its_frequencies():
    from mmtrain.layers.tabular.number_encodings import Periodic

    layer = Periodic(positions=[0, 2], frequencies=2, sigma=0.5)
    found = layer(NUMBERS).numpy()
    angles = 2 * np.pi * NUMBERS[:, [0, 2], None] * layer.frequency.numpy()
    assert np.allclose(found, np.concatenate([np.cos(angles), np.sin(angles)], axis=2), atol=1e-5)
    shifted = Periodic(positions=[2], frequencies=3, sigma=0.5, phase=True)
    assert np.allclose(
        shifted(NUMBERS), np.cos(2 * np.pi * NUMBERS[:, [2], None] * shifted.frequency.numpy() + shifted.phase.numpy()), atol=1e-5
    )


@pytest.mark.parametrize("shared", [False, True])
def test_column_dense_is_a_dense_layer_per_column(shared):
    from mmtrain.layers.tabular.blocks import ColumnDense

    values = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    layer = ColumnDense(units=2, activation="relu", shared=shared)
    found = layer(values).numpy()
    kernel, bias = (
        np.broadcast_to(weight.numpy(), (3, *weight.shape[-2:][-rank:])) for weight, rank in ((layer.kernel, 2), (layer.bias, 1))
    )
    assert np.allclose(found, np.maximum(np.einsum("bnt,ntd->bnd", values, kernel) + bias, 0), atol=1e-5)


def test_vectors_of_all_columns_are_summed():
    from mmtrain.layers.tabular.blocks import SumOfColumns

    assert np.allclose(SumOfColumns(columns=2)(np.array([[1.0, 2, 30, 40]])), [[31, 42]])


def test_member_dense_is_a_dense_layer_with_factors_of_each_member():
    from mmtrain.layers.tabular.members import MemberDense

    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    layer = MemberDense(units=2, members=5, signs=True)
    found = layer(values).numpy()
    before, after, bias, kernel = (weight.numpy() for weight in (layer.before, layer.after, layer.bias, layer.kernel))
    assert set(np.unique(before)) == {-1, 1}
    expected = np.stack([((values * before[k]) @ kernel) * after[k] + bias[k] for k in range(5)], axis=1)
    assert np.allclose(found, expected, atol=1e-5)
    again = layer(np.repeat(values[:, None], 5, axis=1)).numpy()
    assert np.allclose(again, expected, atol=1e-5)


@pytest.mark.parametrize("link", ["sigmoid", "softmax", "linear"])
def test_the_mean_of_members_is_that_of_their_predictions(link):
    import keras

    from mmtrain.layers.tabular.members import MemberMean

    raw = np.random.default_rng(0).normal(scale=20, size=(6, 3, 4)).astype(np.float32)
    activation = keras.activations.get(link)
    found = activation(MemberMean(link=link)(raw)).numpy()
    assert np.allclose(found, np.mean(activation(raw), axis=1), atol=1e-5)


def test_folded_members_of_a_row_follow_each_other():
    from mmtrain.layers.tabular.members import FoldMembers, UnfoldMembers

    rows = np.arange(12.0).reshape(2, 3, 2)
    folded = FoldMembers(members=3, shared=False)(rows).numpy()
    assert folded.tolist() == rows.reshape(6, 2).tolist()
    assert FoldMembers(members=3, shared=True)(rows[:, 0]).numpy().tolist() == np.repeat(rows[:, 0], 3, axis=0).tolist()
    assert UnfoldMembers(members=3)(folded).numpy().tolist() == rows.tolist()


def test_cross_layer_multiplies_the_first_vector():
    from mmtrain.layers.tabular.blocks import Cross

    first, values = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    full, low = Cross(), Cross(rank=2)
    for layer in (full, low):
        found = layer(first, values).numpy()
        product = np.linalg.multi_dot([values, *(kernel.numpy() for kernel in layer.kernels), np.eye(4)])
        assert np.allclose(found, first * product + values, atol=1e-5)


def test_normal_scores_of_ranks_are_bounded():
    from mmtrain.branches.tables.encodings import _normal_scores

    assert _normal_scores([0.5, 0.975]) == pytest.approx([0, NormalDist().inv_cdf(0.975)])
    assert _normal_scores([0.0, 1.0]) == pytest.approx([-3.09, 3.09], abs=1e-2)


@pytest.mark.parametrize("given", [("numbers", "codes"), ("numbers",), ("codes",)])
def test_linear_base_is_a_linear_model_of_numbers_and_one_hot_codes(given):
    from mmtrain.layers.tabular.blocks import LinearBase

    random = np.random.default_rng(4)
    numbers, codes = random.normal(size=(5, 3)).astype(np.float32), random.integers(0, [4, 2], size=(5, 2)).astype(np.int32)
    layer = LinearBase(units=2, sizes=[4, 2] if "codes" in given else [])
    inputs = [{"numbers": numbers, "codes": codes}[name] for name in given]
    assert not np.any(layer(inputs))
    assert layer.trainable_weights == []
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    expected = np.tile(layer.bias.numpy(), (5, 1))
    if "numbers" in given:
        expected += numbers @ layer.kernel.numpy()
    if "codes" in given:
        hot = np.concatenate([np.eye(4)[codes[:, 0]], np.eye(2)[codes[:, 1]]], axis=1)
        expected += hot @ layer.table.numpy()
    assert layer(inputs).numpy() == pytest.approx(expected, abs=1e-6)
