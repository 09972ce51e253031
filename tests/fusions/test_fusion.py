"""Every registered fusion keeps the same contract; above all, the values of an absent branch never change its output."""

import functools
import math

import numpy as np
import pytest

from mmtrain.fusions import FusionSection, fusion, fusions
from mmtrain.registry import option_fields

WIDTHS = {"z scan": 3, "a": 5, "größe": 2}
"""Branches in an order that is not that of their names."""
ROWS = 6
OPTIONS = {
    # another value of every option; `width` by default 64
    "concatenate": {},
    "add": {"width": 4},
    "multiply": {"width": 4},
    "average": {"width": 4},
    "maximum": {"width": 4},
    "gated": {"width": 4},
    "attention": {"width": 4, "heads": 2},
    "transformer": {"width": 4, "heads": 2, "layers": 1},
    "late": {"width": 4, "weights": "equal"},
    "film": {"width": 4},
    "low_rank": {"width": 4, "rank": 2},
    "bilinear": {"width": 4},
}
SMALL = {name: {"width": 8} if "width" in options else {} for name, options in OPTIONS.items()}


def features(count, seed=1):
    """{branch: (rows, width)} of the first `count` branches."""
    random = np.random.default_rng(seed)
    return {name: random.normal(size=(ROWS, width)).astype(np.float32) for name, width in list(WIDTHS.items())[:count]}


def everywhere(count, value=1.0):
    return {name: np.full((ROWS, 1), value, dtype=np.float32) for name in list(WIDTHS)[:count]}


def built(method, count, **options):
    """A Keras model of this fusion alone, called as the network calls it: on [features, present]."""
    import keras

    keras.utils.set_random_seed(5)
    section = fusions[method].section(method=method, **({"units": ()} | options))
    own = {name: keras.Input((width,)) for name, width in list(WIDTHS.items())[:count]}
    shown = {name: keras.Input((1,)) for name in own}
    return keras.Model([own, shown], section.build(own, shown))


@functools.cache
def built_by_default(method):
    """The model of a method over two branches with its own options."""
    return built(method, 2)


def output(model, given, present):
    return model([given, present], training=False).numpy()


QUICK = ("concatenate", "attention", "film", "late")
"""Methods that are tried in every way each time: each has layers of its own."""
CASES = [(method, count) for method in sorted(fusions) for count in (1, 2, 3)]


def cases(*often, of=(1, 2, 3)):
    """All methods with all numbers of branches; numbers that are not tried `often` are left to the slow tests."""
    marks = {count: () if count in often else pytest.mark.slow for count in of}
    return [pytest.param(method, count, marks=marks[count]) for method, count in CASES if count in of]


@pytest.fixture(scope="module")
def models(tensorflow):
    """Return the model of a method over 1, 2 or 3 branches, built when first asked for; its weights are not changed."""
    return functools.cache(lambda method, count: built(method, count, **SMALL[method]))


def test_every_method_and_option_has_an_example():
    assert set(OPTIONS) == set(fusions)
    for method, changes in OPTIONS.items():
        defaults = option_fields(fusions[method].build)
        assert set(changes) == set(defaults), method
        assert all(changes[option] != default for option, (_, default) in defaults.items()), method
    assert (len(OPTIONS), len(CASES)) == (12, 36)


@pytest.mark.parametrize(("method", "count"), cases(2))
def test_fusion_gives_one_vector_a_row(models, method, count):
    model = models(method, count)
    width = sum(list(WIDTHS.values())[:count]) if method == "concatenate" else 8
    found = output(model, features(count), everywhere(count))
    assert found.shape == (ROWS, width)
    assert model.output_shape == (None, width)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("method", "count"), cases(2))
@pytest.mark.parametrize(
    "garbage",  # by row
    [pytest.param([[1e30]], id="huge", marks=pytest.mark.slow), pytest.param([[math.nan], [math.inf], [-math.inf]], id="no numbers")],
)
def test_absent_branch_never_changes_the_output(models, method, count, garbage):
    given = features(count)
    checked = 0
    for absent in given:
        present = everywhere(count)
        present[absent][::2] = 0
        spoiled = {name: value.copy() for name, value in given.items()}
        spoiled[absent][::2] = garbage
        expected = output(models(method, count), given, present)
        assert np.isfinite(expected).all()
        assert np.array_equal(output(models(method, count), spoiled, present), expected)
        checked += 1
    assert checked == count


@pytest.mark.parametrize(("method", "count"), cases(2))
def test_present_branch_changes_the_output(models, method, count):
    given = features(count)
    expected = output(models(method, count), given, everywhere(count))
    changed = 0
    for name in given:
        other = given | {name: features(count, seed=2)[name]}
        assert np.abs(output(models(method, count), other, everywhere(count)) - expected).max() > 1e-4
        changed += 1
    assert changed == count


@pytest.mark.parametrize(("method", "count"), cases(2, of=(2, 3)))
def test_absence_itself_changes_the_output(models, method, count):
    given = features(count)
    expected = output(models(method, count), given, everywhere(count))
    for name in given:
        present = everywhere(count) | {name: np.zeros((ROWS, 1), dtype=np.float32)}
        assert np.abs(output(models(method, count), given, present) - expected).max() > 1e-4


@pytest.mark.parametrize(("method", "count"), cases(2))
def test_all_branches_absent_gives_one_finite_vector_for_all_rows(models, method, count):
    spoiled = {name: np.full_like(value, math.nan) for name, value in features(count).items()}
    found = output(models(method, count), spoiled, everywhere(count, 0.0))
    assert np.isfinite(found).all()
    # Of matrix products over several tokens a row, the last bits depend on the row's place in the batch.
    assert np.allclose(found, found[0], rtol=0, atol=1e-6 if method == "transformer" else 0)


@pytest.mark.parametrize(("method", "count"), cases(2))
def test_row_does_not_depend_on_other_rows(models, method, count):
    given, present = features(count), everywhere(count)
    present[next(iter(given))][3] = 0
    expected = output(models(method, count), given, present)
    for row in (2, 3):
        others = {name: np.where(np.arange(ROWS)[:, None] == row, value, math.nan).astype(np.float32) for name, value in given.items()}
        assert np.array_equal(output(models(method, count), others, present)[row], expected[row])


@pytest.mark.parametrize(("method", "count"), cases(2))
def test_gradients_are_finite_and_none_reaches_an_absent_branch(models, tensorflow, method, count):
    model = models(method, count)
    present, given = everywhere(count), features(count)
    first = next(iter(given))
    present[first][:2], given[first][:2] = 0, math.inf
    for name in given:
        present[name][5], given[name][5] = 0, math.nan
    present, given = ({name: tensorflow.constant(value) for name, value in arrays.items()} for arrays in (present, given))
    with tensorflow.GradientTape() as tape:
        tape.watch(given)
        loss = tensorflow.reduce_sum(tensorflow.square(model([given, present], training=True) - 1.0))
    of_weights, of_features = tape.gradient(loss, (model.trainable_variables, given))
    assert np.isfinite(loss)
    assert len(of_weights) == len(model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in of_weights)
    assert all(np.isfinite(gradient).all() for gradient in of_features.values())
    assert not np.any(of_features[first][:2])
    assert not any(np.any(gradient[5]) for gradient in of_features.values())
    assert np.any(of_features[first][2:5])


@pytest.mark.parametrize(
    ("method", "count"),
    [pytest.param(method, count, marks=() if method in QUICK and count == 2 else pytest.mark.slow) for method, count in CASES],
)
def test_fusion_is_saved_and_loaded(models, tmp_path, method, count):
    import keras

    models(method, count).save(tmp_path / "fusion.keras")
    loaded = keras.models.load_model(tmp_path / "fusion.keras", safe_mode=True)
    present = everywhere(count)
    present[next(iter(present))][::2] = 0
    assert np.array_equal(output(loaded, features(count), present), output(models(method, count), features(count), present))


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("method", "option"),
    [
        pytest.param(method, option, marks=() if method in QUICK else pytest.mark.slow)
        for method, changes in OPTIONS.items()
        for option in changes
    ],
)
def test_fusion_takes_each_of_its_options(method, option):
    default, changed = built_by_default(method), built(method, 2, **{option: OPTIONS[method][option]})
    sizes = [[tuple(weight.shape) for weight in model.weights] for model in (default, changed)]
    assert sizes[0] != sizes[1]
    assert np.isfinite(output(changed, features(2), everywhere(2))).all()


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    "method",
    [name if name == "attention" else pytest.param(name, marks=pytest.mark.slow) for name in sorted(fusions)],
)
def test_fusion_works_in_mixed_precision(tmp_path, method):
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = built(method, 3, **SMALL[method], units=(4,))
        model.save(tmp_path / "fusion.keras")
    finally:
        keras.config.set_dtype_policy(before)
    loaded = keras.models.load_model(tmp_path / "fusion.keras", safe_mode=True)  # in a session that has another policy
    present = everywhere(3)
    present["a"][::2] = 0
    given = features(3)
    given["a"][::2] = math.nan
    found = model([given, present], training=False)
    assert (found.dtype, {weight.dtype for weight in model.weights}) == ("bfloat16", {"float32"})
    assert np.isfinite(np.asarray(found, dtype=np.float32)).all()
    assert np.array_equal(found, loaded([given, present], training=False))


A = np.array([[1, 2], [3, 4]], dtype=np.float32)
B = np.array([[10, 20], [30, 40]], dtype=np.float32)


def aligned_to_itself(model):
    """Alignments of width 2 made the identity, so that what follows them shows."""
    for layer in model.layers:
        if layer.name.startswith("align_"):
            layer.set_weights([np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32)])


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("method", "both", "only_a", "none"),
    [
        ("concatenate", [[1, 2, 10, 20], [3, 4, 30, 40]], [[1, 2, 0, 0], [3, 4, 0, 0]], [[0, 0, 0, 0]] * 2),
        ("add", [[11, 22], [33, 44]], [[1, 2], [3, 4]], [[0, 0]] * 2),
        ("multiply", [[10, 40], [90, 160]], [[1, 2], [3, 4]], [[1, 1]] * 2),
        ("average", [[5.5, 11], [16.5, 22]], [[1, 2], [3, 4]], [[0, 0]] * 2),
        ("maximum", [[10, 20], [30, 40]], [[1, 2], [3, 4]], [[0, 0]] * 2),
    ],
)
def test_fusion_computes_what_its_name_says(method, both, only_a, none):
    import keras

    section = fusions[method].section(method=method, units=(), **({} if method == "concatenate" else {"width": 2}))
    own = {name: keras.Input((2,)) for name in ("a", "b")}
    shown = {name: keras.Input((1,)) for name in own}
    model = keras.Model([own, shown], section.build(own, shown))
    aligned_to_itself(model)
    yes, no = np.ones((2, 1), dtype=np.float32), np.zeros((2, 1), dtype=np.float32)
    assert output(model, {"a": A, "b": B}, {"a": yes, "b": yes}).tolist() == both
    assert output(model, {"a": A, "b": B}, {"a": yes, "b": no}).tolist() == only_a
    assert output(model, {"a": A, "b": B}, {"a": no, "b": no}).tolist() == none


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    "method",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(set(fusions) - {"concatenate"})],
)
def test_absent_branch_takes_no_part_with_its_own_layer_either(method):
    """Its bias would otherwise speak for it."""
    model, given = built(method, 3, **SMALL[method]), features(3)
    (own,) = [layer for layer in model.layers if layer.name in ("align_a", "value_a")]
    absent, present = everywhere(3) | {"a": np.zeros((ROWS, 1), dtype=np.float32)}, everywhere(3)
    before = [output(model, given, absent), output(model, given, present)]
    own.set_weights([np.full(weight.shape, 0.3) for weight in own.weights])
    after = [output(model, given, absent), output(model, given, present)]
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1])


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("method", ["attention", pytest.param("transformer", marks=pytest.mark.slow)])
def test_attention_reads_tokens_but_neither_padding_nor_those_of_an_absent_branch(method, tmp_path):
    import keras

    keras.utils.set_random_seed(5)
    section = fusions[method].section(method=method, units=(), width=8)
    own, shown = ({name: keras.Input((width,)) for name, width in widths.items()} for widths in (WIDTHS, dict.fromkeys(WIDTHS, 1)))
    tokens = {"a": keras.Input((4, 6))}
    model = keras.Model([own, shown, tokens], section.build(own, shown, tokens))
    random = np.random.default_rng(2)
    words = random.normal(size=(ROWS, 4, 6)).astype(np.float32)
    words[:, 2:] = 0
    given, present = features(3), everywhere(3)

    def answer(words, present=present):
        return model([given, present, {"a": words}], training=False).numpy()

    before = answer(words)
    other = words.copy()
    other[:, 1] = random.normal(size=(ROWS, 6))
    assert (np.abs(answer(other) - before).max(axis=1) > 1e-4).all()
    assert np.allclose(answer(words[:, [1, 0, 2, 3]]), before, atol=1e-6)  # their order is the branch's own business
    longer = np.concatenate([words[:, :1], words[:, 2:3], words[:, 1:2], words[:, 3:]], axis=1)
    assert np.allclose(answer(longer), before, atol=1e-6)
    absent = present | {"a": np.zeros((ROWS, 1), np.float32)}
    nothing = np.full_like(words, np.nan)
    assert np.array_equal(answer(nothing, absent), answer(words, absent))
    assert np.isfinite(answer(nothing, absent)).all()
    model.save(tmp_path / "fusion.keras")
    loaded = keras.models.load_model(tmp_path / "fusion.keras", safe_mode=True)
    assert np.array_equal(loaded([given, present, {"a": words}], training=False), before)


def test_only_attention_reads_tokens():
    assert [name for name, entry in fusions.items() if entry.reads_tokens] == ["attention", "transformer"]


@pytest.mark.usefixtures("tensorflow")
def test_maximum_of_negative_features_is_negative():
    model = built("maximum", 1, width=2)
    weights = [np.zeros((3, 2), dtype=np.float32), np.array([-3, -1e6], dtype=np.float32)]
    next(layer for layer in model.layers if layer.name.startswith("align_")).set_weights(weights)
    assert output(model, features(1), everywhere(1))[0].tolist() == [-3, -1e6]


@pytest.mark.usefixtures("tensorflow")
def test_dense_layers_follow_the_fusion():
    import keras

    model = built("concatenate", 2, units=(7, 3), activation="tanh", dropout=0.25)
    after = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense | keras.layers.Dropout)]
    assert [getattr(layer, "rate", None) or (layer.units, layer.activation.__name__) for layer in after] == [
        0.25,
        (7, "tanh"),
        0.25,
        (3, "tanh"),
        0.25,
    ]
    assert model.output_shape == (None, 3)
    assert [type(layer).__name__ for layer in built("concatenate", 2).layers].count("Dropout") == 0


def test_fusion_is_registered_with_the_options_of_its_function():
    @fusion
    def first_for_a_test(features, present, *, factor: float = 2.0):
        """The first feature alone."""
        return features["a"] * factor

    try:
        section = fusions["first_for_a_test"].section(method="first_for_a_test", units=(), factor=3)
        assert isinstance(section, FusionSection)
        assert section.build({"a": 5.0}, {"a": 1.0}) == 15.0
    finally:
        fusions.remove("first_for_a_test")


@pytest.mark.usefixtures("tensorflow")
def test_branches_are_left_out_at_random_in_training_and_one_always_stays():
    import keras

    from mmtrain.layers.fusion import ModalityDropout

    keras.utils.set_random_seed(3)
    layer, rows = ModalityDropout(rate=0.5), 4000
    ones = [np.ones((rows, 1), np.float32), np.ones((rows, 1), np.float32), np.repeat([[1.0], [0.0]], rows // 2, axis=0)]
    assert np.array_equal(np.hstack(layer(ones)), np.hstack(ones))
    kept = np.hstack(layer(ones, training=True))
    assert set(np.unique(kept)) == {0.0, 1.0}
    assert (kept.sum(axis=1) >= 1).all()
    assert not kept[rows // 2 :, 2].any()  # what is absent stays so
    # Of three branches, one in eight rows would lose all and keeps all instead: 1/2 + 1/8; of two, 1/2 + 1/4.
    assert np.allclose(kept[: rows // 2].mean(axis=0), 0.625, atol=0.04)
    assert np.allclose(kept[rows // 2 :, :2].mean(axis=0), 0.75, atol=0.04)


@pytest.mark.usefixtures("tensorflow")
def test_modality_dropout_changes_training_alone():
    model, plain = (built("concatenate", 2, modality_dropout=rate) for rate in (0.5, 0.0))
    given, present = features(2), everywhere(2)
    assert np.array_equal(output(model, given, present), output(plain, given, present))
    assert not np.array_equal(model([given, present], training=True), output(plain, given, present))


@pytest.mark.usefixtures("tensorflow")
def test_a_learned_vector_stands_for_an_absent_branch():
    import keras

    section = fusions["attention"].section(method="attention", units=(), width=4, absent="learned")
    own, shown, tokens = {"a": keras.Input((2,))}, {"a": keras.Input((1,))}, {"a": keras.Input((3, 2))}
    model = keras.Model([own, shown, tokens], section.build(own, shown, tokens))
    no = {"a": np.zeros((2, 1), np.float32)}
    words = np.full((2, 3, 2), np.nan, np.float32)
    before = model([{"a": np.full_like(A, np.nan)}, no, {"a": words}], training=False).numpy()
    assert np.isfinite(before).all()
    (layer,) = [layer for layer in model.layers if type(layer).__name__ == "LearnedAbsence"]
    layer.set_weights([np.array([5.0, -5.0])])
    after = model([{"a": A}, no, {"a": words}], training=False).numpy()
    assert np.abs(after - before).max() > 1e-3


@pytest.mark.usefixtures("tensorflow")
def test_products_are_those_of_every_two_branches():
    from mmtrain.layers.fusion import PairProducts

    three = {"a": A, "b": B, "c": A + B}
    assert np.array_equal(PairProducts()(three), A * B + A * (A + B) + B * (A + B))


def test_late_fusion_has_no_dense_layers_of_its_own():
    assert fusions["late"].section(method="late").units == ()
    assert fusions["late"].section(method="late", units=(8,)).units == (8,)
