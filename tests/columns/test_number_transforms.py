"""Bounds and transforms of numbers: those of scikit-learn, the same in numpy and in the layer."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.columns import Categorical, Numeric
from mmtrain.columns.vectorizers.number_transforms import NumberTransform, likeliest_power, yeo_johnson


def cells(numbers):
    return pd.Series(["" if np.isnan(number) else repr(float(number)) for number in numbers], dtype="str").replace({"": None})


def samples():
    random = np.random.default_rng(3)
    return {
        "skewed": random.lognormal(1, 1, 500),
        "negative": -random.lognormal(0, 1, 500),
        "both": random.normal(0, 3, 500) ** 3,
        "large": random.lognormal(12, 1, 500),
        "zeros": np.where(random.random(500) < 0.8, 0.0, random.exponential(5, 500)),
    }


SAMPLES = samples()


@pytest.mark.parametrize("name", SAMPLES)
def test_power_is_that_of_scikit_learn(name):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    values = SAMPLES[name]
    power = likeliest_power(values)
    theirs = preprocessing.PowerTransformer(standardize=False).fit(values[:, None])
    assert power == pytest.approx(theirs.lambdas_[0], abs=2e-4)
    theirs.lambdas_[0] = power
    assert yeo_johnson(values, power) == pytest.approx(theirs.transform(values[:, None])[:, 0], rel=1e-9)


@pytest.mark.parametrize("power", [0.0, 2.0, 1.0])
def test_power_of_0_and_2_is_the_logarithm_on_one_side(power):
    values = np.array([-2.0, 0.0, 3.0])
    up = np.log1p(3) if power == 0 else (4**power - 1) / power
    down = np.log1p(2) if power == 2 else (3 ** (2 - power) - 1) / (2 - power)
    assert yeo_johnson(values, power) == pytest.approx([-down, 0, up])


@pytest.mark.parametrize("method", ["log1p", "yeo_johnson", "quantile"])
@pytest.mark.parametrize("name", SAMPLES)
def test_transform_keeps_order(method, name):
    transform = NumberTransform.fit(method, SAMPLES[name])
    transformed = transform.apply(np.sort(SAMPLES[name]))
    assert (np.diff(transformed) >= 0).all()
    assert np.isnan(transform.apply([np.nan]))[0]
    assert NumberTransform.fit(method, np.full(3, 7.0)) is None


def test_ranks_become_normal_numbers():
    column = Numeric(column="x", normalize="quantile").fit([cells(SAMPLES["large"])])
    scores = column.transformed(SAMPLES["large"])
    assert scores.mean() == pytest.approx(0, abs=0.02)
    assert scores.std() == pytest.approx(1, abs=0.03)
    assert column.transformed([0, 1e30]).tolist() == [column.transform.scores[0], column.transform.scores[-1]]


COLUMNS = {
    "plain": {},
    "bounded": {"clip": 0.05},
    "log1p": {"normalize": "log1p", "missing": "mean"},
    "robust": {"normalize": "robust", "clip": 0.01},
    "yeo_johnson": {"normalize": "yeo_johnson", "clip": 0.01, "missing": "constant", "constant": 2.0},
    "other_power": {"normalize": "yeo_johnson", "missing": "mask"},
    "quantile": {"normalize": "quantile"},
    "few": {"normalize": "quantile", "missing": "mean"},
    "constant": {"normalize": "quantile"},
}


@pytest.fixture(scope="module")
def fitted():
    """Columns of every option, as training rows teach them, with one missing number each."""
    numbers = {
        **dict(zip(COLUMNS, [*SAMPLES.values(), *SAMPLES.values()], strict=False)),
        "few": np.array([1.0, 2.0, 4.0]),
        "constant": np.full(9, 7.0),
    }
    return {name: Numeric(column=name, **options).fit([cells([*numbers[name], np.nan])]) for name, options in COLUMNS.items()}


@pytest.mark.usefixtures("tensorflow")
def test_layer_of_many_columns_computes_the_numbers_of_each(fitted):
    columns = list(fitted.values())
    raw = np.random.default_rng(5).normal(0, 50, (200, len(columns)))
    raw[::7], raw[1], raw[2] = np.nan, np.inf, 1e300
    encoded, present = type(columns[0]).preprocessing_together(columns)(raw)
    place = 0
    for number, column in enumerate(columns):
        values = np.where(np.isfinite(raw[:, number]), raw[:, number], np.nan)
        with np.errstate(over="ignore"):
            expected = ((column.transformed(values) - column.center) / column.scale).astype(np.float32)
        expected[~np.isfinite(expected)] = np.float32((column.transformed([column.fill])[0] - column.center) / column.scale)
        np.testing.assert_allclose(encoded[:, place], expected, rtol=1e-6, atol=1e-6)
        place += column.spec.width
        assert present[0, number] == (not column.masked)
    assert encoded.shape[1] == place


@pytest.mark.usefixtures("tensorflow")
def test_layer_is_the_same_after_loading(fitted):
    import keras

    layer = type(fitted["plain"]).preprocessing_together(list(fitted.values()))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    raw = np.random.default_rng(5).normal(0, 50, (20, len(fitted)))
    assert np.array_equal(layer(raw)[0], again(raw)[0])
    assert "transforms" not in fitted["plain"].preprocessing().get_config(), "columns without one are saved as ever"


def test_edges_of_bins_are_those_of_the_encoded_number(fitted):
    for name in ("bounded", "log1p", "yeo_johnson", "quantile"):
        spec, column = fitted[name].spec, fitted[name]
        assert len(spec.edges) == len(spec.ranks) > 5
        last = np.float32((column.transformed([column.edges[-1]])[0] - column.center) / column.scale)
        assert spec.edges[-1] == pytest.approx(last, rel=1e-6)


def test_learned_bounds_and_transforms_are_described(fitted):
    column = Numeric(column="x", **COLUMNS["yeo_johnson"])
    words = fitted["yeo_johnson"].learned_words(column, "{:.3g}".format)
    assert "; bounded to " in words
    assert "; yeo_johnson with the power " in words
    assert "; constant 2 instead of a missing number" in words
    assert Numeric(constant=1.0).options_without_effect() == {
        "constant": ("`constant` has no effect with `missing: median`.", "Set `missing: constant`, or leave it out.")
    }


@pytest.mark.usefixtures("tensorflow")
def test_categories_are_hashed_into_buckets():
    column = Categorical(column="c", buckets=8)
    names = [f"n{number}" for number in range(100)]
    fitted = column.fit([pd.Series([*names, None], dtype="str")])
    assert (fitted.categories, fitted.spec.size, fitted.missing) == ((), 10, 1)
    codes, present = fitted.preprocessing()(fitted.raw(pd.Series(["n1", " n1", "new", None, *names], dtype="str")))
    codes = codes.numpy()[:, 0]
    assert codes[0] == codes[1]
    assert codes[3] == 0
    assert set(codes[4:]) == set(range(2, 10))
    assert codes[2] >= 2, "a name that training did not know has a bucket as well"
    assert present.numpy().ravel().tolist() == [1] * 104
    assert fitted.learned_words(column, str) == "hashed into 8 codes; missing in 1 training row"
    assert column.options_without_effect() == {}
    assert set(Categorical(buckets=8, min_count=2, max_categories=5).options_without_effect()) == {"min_count", "max_categories"}
