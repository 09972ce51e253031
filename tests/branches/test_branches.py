"""Every registered architecture keeps the same contract, with its defaults and with its options changed."""

import contextlib
import inspect
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mmtrain.branches import Branch, Features, Input, Pretrained, architectures, branch, default_architecture, stacked
from mmtrain.errors import UsageError
from mmtrain.registry import option_fields
from mmtrain.specs import (
    BagSpec,
    ImageSpec,
    IndexSpec,
    SequenceSpec,
    SetSpec,
    TokenSpec,
    VectorSpec,
    VolumeSpec,
    default_embedding_width,
    kind,
    kinds,
)

NUMBER = VectorSpec(2)
BINNED = VectorSpec(2, "auto", (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0), (0.02, 0.16, 0.31, 0.5, 0.69, 0.84, 0.98))
CATEGORY = IndexSpec(5)
ONE_HOT = IndexSpec(5, one_hot=True)
BAG = BagSpec(4, idf=(0.0, 1.0, 2.5, 1.1, 1.9, 2.0))
TOKENS = TokenSpec(4, size=6)
IMAGE = ImageSpec(6, 5, 3)
SLOW = pytest.mark.slow
DEEP_IMAGE = ImageSpec(6, 5, 1, bits=16)
VOLUME = VolumeSpec(6, 5, 1, depth=3)
SERIES = SequenceSpec(5, 2, timed=True)
TABLE = [NUMBER, BINNED, CATEGORY, ONE_HOT, BAG]
EMBEDDINGS = {"embedding_width": 3, "embedding_dropout": 0.5}

EXAMPLES = {
    # specs, another value of every option, width of the output by default
    "mlp": (
        TABLE,
        {"units": (8, 4), "activation": "tanh", "normalization": "layer", "residual": True, "dropout": 0.5, "linear": 4, **EMBEDDINGS},
        80,
    ),
    "linear": (TABLE, {"units": 3}, 16),
    "resnet": (
        TABLE,
        {
            **{"width": 8, "blocks": 1, "factor": 1.5, "activation": "tanh", "normalization": "batch", "dropout": 0.5},
            **{"residual_dropout": 0.2, **EMBEDDINGS},
        },
        192,
    ),
    "dcn": (TABLE, {"layers": 1, "rank": 2, "units": (), "activation": "tanh", "dropout": 0.5, **EMBEDDINGS}, 219),
    "realmlp": (
        TABLE,
        {"units": (8,), "activation": "relu", "dropout": 0.5, "embedding_width": 3, "frequencies": 5, "sigma": 0.5},
        256,
    ),
    "tabm": (
        TABLE,
        {"members": 3, "units": (8,), "activation": "tanh", "dropout": 0.5, "linear": 4, "base": "none", **EMBEDDINGS},
        (8, 192 + 32),
    ),
    "ft_transformer": (
        [NUMBER, BINNED, CATEGORY, ONE_HOT],
        {"width": 8, "blocks": 1, "heads": 2, "factor": 1.0, "attention_dropout": 0.5, "dropout": 0.5},
        64,
    ),
    "cnn": (
        [IMAGE],
        {"filters": (2, 3), "kernel": 1, "normalization": "none", "pooling": "both", "activation": "gelu", "dropout": 0.5},
        64,
    ),
    "cnn3d": (
        [VOLUME],
        {"filters": (2, 3), "kernel": 1, "normalization": "none", "pooling": "both", "activation": "gelu", "dropout": 0.5},
        128,
    ),
    "image_resnet": ([IMAGE], {"filters": (2, 3), "blocks": 2, "dropout": 0.5}, 64),
    "vit": ([IMAGE], {"patch": 3, "width": 8, "blocks": 1, "heads": 2, "dropout": 0.5}, 64),
    "text_cnn": ([TOKENS], {"width": 3, "windows": (2,), "filters": 5, "dropout": 0.5}, 192),
    "text_gru": ([TOKENS], {"width": 3, "units": 5, "dropout": 0.5}, 128),
    "text_transformer": ([TOKENS], {"width": 8, "blocks": 1, "heads": 2, "dropout": 0.5}, 64),
    "sequence_tcn": ([SERIES], {"width": 8, "blocks": 2, "kernel": 2, "dropout": 0.5}, 64),
    "sequence_gru": ([SERIES], {"units": 5, "dropout": 0.5}, 128),
    "sequence_transformer": ([SERIES], {"width": 8, "blocks": 1, "heads": 2, "dropout": 0.5}, 64),
    "embedding_average": ([TOKENS], {"width": 3, "units": (5,), "activation": "tanh", "dropout": 0.5}, 64),
}
SCRATCH = sorted(name for name, entry in architectures.items() if entry.pretrained is None)
"""Architectures that begin without pretrained weights; the others are tested in tests/encoders."""
WITH = {("embedding_average", "activation"): {"units": (5,)}, ("mlp", "residual"): {"units": (8, 8)}}
"""Options that do something only beside others."""


def values(spec, rows=5, seed=3):
    """Encoded rows such as this spec describes."""
    random = np.random.default_rng(seed)
    if spec.kind == "vector":
        return random.normal(size=(rows, *spec.shape)).astype(np.float32)
    if spec.kind == "set":
        sets = values(spec.of, rows * spec.most, seed).reshape(rows, *spec.shape)
        sets[np.arange(spec.most) >= np.arange(rows)[:, None]] = 0  # row 0 has no image, row 1 one, and so on
        return sets
    if spec.kind == "sequence":
        steps = random.normal(size=(rows, *spec.shape)).astype(np.float32)
        steps[..., spec.channels : 2 * spec.channels] = steps[..., spec.channels : 2 * spec.channels] > -0.5
        steps[..., : spec.channels] *= steps[..., spec.channels : 2 * spec.channels]
        steps[0], steps[1, 3:] = 0, 0  # no steps at all, and a shorter series
        return steps
    if spec.kind in ("image", "volume"):
        return random.integers(0, spec.levels + 1, size=(rows, *spec.shape)).astype(spec.dtype)
    codes = random.integers(0, spec.size, size=(rows, *spec.shape)).astype(np.int32)
    codes[0] = 0  # nothing but padding, or a missing value
    return np.sort(codes, axis=1)[:, ::-1].copy() if spec.kind == "bag" else codes


def built(name, specs, **options):
    """A Keras model of this branch alone, with the weights of one seed."""
    return built_with_features(name, specs, **options)[0]


def built_with_features(name, specs, masked=False, **options):
    """The same, of all columns and their presence where they are `masked`, and the features that the branch returned."""
    import keras

    keras.utils.set_random_seed(5)
    section = architectures[name].section(columns=[f"c{number}" for number in range(len(specs))], architecture=name, **options)
    tensors = [keras.Input(spec.shape, dtype=spec.dtype) for spec in specs]
    present = [keras.Input((1,)) if masked else None for _ in specs]
    inputs = {f"c{number}": Input(*one) for number, one in enumerate(zip(tensors, present, specs, strict=True))}
    features = section.build(inputs)
    return keras.Model([*tensors, *(present if masked else [])], features.vector), features


@pytest.fixture(scope="module")
def models(tensorflow):
    """Return the model and the features of an architecture, with its defaults or with every option changed, built when first asked for."""
    known = {}

    def model_of(name, changed=False):
        if (name, changed) not in known:
            known[name, changed] = built_with_features(name, EXAMPLES[name][0], **(all_changed(name) if changed else {}))
        return known[name, changed]

    return model_of


def all_changed(name):
    """Every option of an architecture with another value, each so that it does something."""
    needed = [options for (of, _), options in WITH.items() if of == name]
    return EXAMPLES[name][1] | {key: value for options in needed for key, value in options.items()}


def described(model):
    """The layers of a model without their names."""
    return [(type(layer).__name__, re.sub(r"'name': '[^']*'", "", str(layer.get_config()))) for layer in model.layers]


def gradients(model, arrays):
    """Of every trainable weight for a loss that all outputs take part in."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        output = tf.cast(model(arrays, training=True), tf.float32)
        loss = tf.reduce_sum(tf.square(output - 1.0))
    found = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in found), [
        weight.path for weight, gradient in zip(model.trainable_variables, found, strict=True) if gradient is None
    ]
    return found


def check_contract(model, specs, folder, dtype="float32"):
    """Output (batch, width), finite, the same after loading; a gradient for every weight, and a step changes the output."""
    import keras

    arrays = [values(spec) for spec in specs]
    output = model(arrays, training=False)
    assert output.shape == (5, *model.output_shape[1:])
    assert output.dtype == model.output.dtype == dtype
    assert np.isfinite(output).all()
    model.save(folder / "branch.keras")
    loaded = keras.models.load_model(folder / "branch.keras", safe_mode=True)
    assert np.array_equal(loaded(arrays, training=False), output)
    found = gradients(model, arrays)
    assert all(np.isfinite(gradient if not hasattr(gradient, "values") else gradient.values).all() for gradient in found)
    assert len(found) > 0
    keras.optimizers.SGD(1e-4).apply(found, model.trainable_variables)
    assert not np.array_equal(model(arrays, training=False), output)


OPTIONS = [(name, option) for name, (_, changes, _) in EXAMPLES.items() for option in changes]
QUICK = ("cnn",)
"""Architectures that are tried with masks every time; the others mask by the same helper, see test_masked_columns.py."""


def some(*more):
    """All architectures; those that are not quick are slow tests, except these."""
    return [name if name in (*QUICK, *more) else pytest.param(name, marks=pytest.mark.slow) for name in SCRATCH]


@pytest.mark.parametrize("name", SCRATCH)
def test_branch_has_this_width_by_default(models, name):
    assert models(name)[0].output_shape == (None, *np.atleast_1d(EXAMPLES[name][2]))


@pytest.mark.slow  # with all options changed below
@pytest.mark.parametrize("name", SCRATCH)
def test_branch_keeps_the_contract(tmp_path, models, name):
    check_contract(models(name)[0], EXAMPLES[name][0], tmp_path)


BY_DEFAULT = ("cnn", "mlp", "text_gru", "ft_transformer")
"""Architectures that are saved, loaded and trained every time, one for each kind of layers; all are built and called below."""


@pytest.mark.parametrize("name", [name if name in BY_DEFAULT else pytest.param(name, marks=pytest.mark.slow) for name in SCRATCH])
def test_branch_keeps_the_contract_with_all_options_changed(tmp_path, models, name):
    check_contract(models(name, changed=True)[0], EXAMPLES[name][0], tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_branch_keeps_the_contract_with_each_option_changed(tmp_path, name, option):
    specs, changes, _ = EXAMPLES[name]
    others = WITH.get((name, option), {})
    model = built(name, specs, **others, **{option: changes[option]})
    if (name, option) != ("tabm", "base"):  # it acts behind the branch, see tests/training/test_linear_base.py
        assert described(model) != described(built(name, specs, **others))
    check_contract(model, specs, tmp_path)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("name", [name if name == "mlp" else pytest.param(name, marks=pytest.mark.slow) for name in SCRATCH])
def test_branch_keeps_the_contract_in_mixed_precision(tmp_path, name):
    import keras

    specs = EXAMPLES[name][0]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = built(name, specs)
        check_contract(model, specs, tmp_path, dtype="bfloat16")
        assert {weight.dtype for weight in model.trainable_variables} == {"float32"}
    finally:
        keras.config.set_dtype_policy(before)


OF_FILES = ("embeddings", "train_embeddings")
"""Options that need a file of word vectors, tested in tests/text/test_word_vectors.py."""


def test_every_architecture_and_option_has_an_example():
    assert set(EXAMPLES) == set(SCRATCH)
    for name, (specs, changes, _) in EXAMPLES.items():
        defaults = {option: field for option, field in option_fields(architectures[name].build).items() if option not in OF_FILES}
        assert set(changes) == set(defaults), name
        assert all(changes[option] != default for option, (_, default) in defaults.items()), name
        # What reads an image reads sets of images, see below.
        assert {spec.kind for spec in specs} == set(architectures[name].kinds) - {"set"}, name
        assert ("set" in architectures[name].kinds) == (specs[0].kind == "image"), name
    assert (len(EXAMPLES), len(OPTIONS)) == (18, 90)


def test_every_kind_has_a_default_architecture_that_takes_it():
    found = {name: default_architecture(name) for name in kinds}
    assert found == {
        **{"image": "cnn", "volume": "cnn3d", "set": "cnn", "vector": "mlp", "index": "mlp", "bag": "mlp"},
        **{"tokens": "embedding_average", "pieces": "text_pretrained", "sequence": "sequence_tcn"},
    }


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("name", "pool"), [("cnn", "attention"), pytest.param("image_resnet", "mean", marks=SLOW), pytest.param("vit", "max", marks=SLOW)]
)
def test_branch_of_images_reads_sets_of_images(tmp_path, name, pool):
    spec = SetSpec(IMAGE, 4, pool)
    model, features = built_with_features(name, [spec])
    check_contract(model, [spec], tmp_path)
    assert features.tokens.shape == (None, 4, model.output_shape[1])
    sets, fresh = values(spec), built(name, [spec])
    assert np.all(fresh([sets], training=False)[0] == 0)  # a row without images
    # The vector of one image is that of the same network alone; the weights of both follow from one seed.
    of_one = built(name, [IMAGE])([sets[1, :1]], training=False)
    np.testing.assert_allclose(fresh([sets], training=False)[1:2], of_one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SCRATCH)
def test_branch_row_does_not_depend_on_other_rows(models, name):
    specs, model = EXAMPLES[name][0], models(name, changed=True)[0]
    arrays = [values(spec) for spec in specs]
    others = [np.concatenate([array[:1], array[:0:-1]]) for array in arrays]
    assert np.array_equal(model(arrays, training=False)[0], model(others, training=False)[0])


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("name", some("ft_transformer"))  # it alone replaces tokens, by a vector of their own
def test_branch_masks_every_column_itself(name):
    """What is under the mask never reaches the output, and presence itself does."""
    specs = EXAMPLES[name][0]
    model, _ = built_with_features(name, specs, masked=True)
    arrays, others = [values(spec) for spec in specs], [values(spec, seed=4) for spec in specs]
    shown = model([*arrays, *[np.ones((5, 1), np.float32) for _ in specs]], training=False).numpy()
    for column in range(len(specs)):
        present = [np.ones((5, 1), np.float32) for _ in specs]
        assert not np.array_equal(model([*arrays[:column], others[column], *arrays[column + 1 :], *present], training=False), shown)
        present[column] = np.zeros((5, 1), np.float32)
        absent = model([*arrays, *present], training=False).numpy()
        hidden = model([*arrays[:column], others[column], *arrays[column + 1 :], *present], training=False).numpy()
        assert np.array_equal(hidden, absent), column
        assert not np.array_equal(absent, shown), column


@pytest.mark.parametrize("name", SCRATCH)
def test_branch_returns_the_parameter_groups_it_is_registered_with(models, name):
    for changed in (False, True):
        model, features = models(name, changed)
        assert tuple(features.groups) == architectures[name].groups
        assert {layer for layers in features.groups.values() for layer in layers} <= set(model.layers)
    grouped = {id(weight) for layers in features.groups.values() for layer in layers for weight in layer.weights}
    assert grouped == ({id(weight) for weight in model.weights if "seed" not in weight.path} if features.groups else set())


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("name", ["mlp", "linear"])
@pytest.mark.parametrize("spec", [NUMBER, CATEGORY, ONE_HOT, BAG])
def test_dense_branch_reads_one_column_of_any_of_its_kinds(tmp_path, name, spec):
    check_contract(built(name, [spec], units=(3,) if name == "mlp" else 3), [spec], tmp_path)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("name", "units"), [("mlp", (3,)), ("linear", 3)])
def test_dense_branch_weighs_words_by_how_rare_they_are(name, units):
    from mmtrain.layers.text_tokens import BagProjection

    found = [layer for layer in built(name, [BAG, NUMBER], units=units).layers if isinstance(layer, BagProjection)]
    linear_path = [(BAG.idf, 16)] if name == "mlp" else []
    assert [(tuple(layer.settings["idf"]), layer.units) for layer in found] == [(BAG.idf, 3), *linear_path]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("specs", "options", "width"),
    [([BAG], {}, 64 + 16), ([NUMBER, BAG], {}, 64 + 16), ([NUMBER], {}, 64), ([BAG], {"linear": 0}, 64), ([NUMBER], {"linear": 4}, 64 + 4)],
)
def test_mlp_has_a_linear_path_by_default_where_it_reads_a_text(specs, options, width):
    assert built("mlp", specs, **options).outputs[0].shape == (None, width)


@pytest.mark.usefixtures("tensorflow")
def test_tabm_reads_numbers_beyond_the_bins_and_members_share_a_linear_path():
    few = replace(BINNED, few_rows=True)
    assert np.shape(built("tabm", [few], members=2, units=(3,), linear=0).outputs[0]) == (None, 2, 3)
    model = built("tabm", [few], members=2, units=(3,), linear=4)
    rows = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [4, 0]], np.float32)  # the last edge is 2
    path = [layer for layer in model.layers if type(layer).__name__ == "Dense"]
    assert [layer.kernel.shape for layer in path] == [(2 + 6, 4)]
    assert 0 < np.abs(model([rows]).numpy()[:, :, 3:]).max() < 0.05  # it begins near 0, where heads of zeros can still move it
    weights = np.random.default_rng(0).normal(size=(8, 4))
    path[0].kernel.assign(weights)
    found = model([rows]).numpy()[:, :, 3:]
    assert np.array_equal(found[:, 0], found[:, 1])
    assert np.allclose(found[3:, 0] - found[2, 0], rows[3:, :1] @ weights[-2:-1] - 2 * weights[-2], atol=1e-5)
    assert np.ptp(model([rows]).numpy()[2:, :, :3], axis=0).max(axis=1).min() > 0  # every member reads the number as well


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("name", "widths"), [("mlp", 64), ("tabm", 64)])
def test_bins_of_few_rows_are_read_by_tabm_alone(name, widths):
    few = replace(BINNED, few_rows=True)
    kinds_of_layers = [{type(layer).__name__ for layer in built(name, [spec], units=(widths,)).layers} for spec in (few, BINNED)]
    assert [("PiecewiseLinear" in found) for found in kinds_of_layers] == [name == "tabm", True]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("spec", "width"),
    [
        (CATEGORY, 3),
        (IndexSpec(5, embedding_width=7), 7),
        (IndexSpec(1000), 50),
        (ONE_HOT, 5),
    ],
)
def test_category_is_embedded_or_one_hot(spec, width):
    import keras

    from mmtrain.branches.tables.encodings import embed_codes

    codes = keras.Input((1,), dtype="int32")
    model = keras.Model(codes, embed_codes(stacked({"site": Input(codes, None, spec)})))
    assert model.output_shape == (None, width)
    found = model(np.array([[0], [1], [4]], dtype=np.int32)).numpy()
    if spec.one_hot:
        assert found.tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
        assert model.trainable_weights == []
    else:
        assert np.array_equal(found, model.trainable_weights[0].numpy()[[0, 1, 4]])


@pytest.mark.parametrize(("size", "width"), [(2, 1), (3, 2), (10, 5), (99, 50), (10_000, 50)])
def test_embedding_width_grows_with_the_categories_up_to_50(size, width):
    assert default_embedding_width(size) == width


@pytest.mark.usefixtures("tensorflow")
def test_cnn_sees_a_deep_image_as_it_sees_a_shallow_one():
    """Both are brought to 0..1: full brightness is 255 in one and 65535 in the other."""
    shallow = built("cnn", [ImageSpec(6, 5, 1)], normalization="none")
    deep = built("cnn", [DEEP_IMAGE], normalization="none")
    deep.set_weights(shallow.get_weights())
    pixels = np.random.default_rng(1).integers(0, 256, size=(3, 6, 5, 1))
    one, other = shallow([pixels.astype(np.uint8)]).numpy(), deep([(pixels * 257).astype(np.uint16)]).numpy()
    assert np.allclose(one, other, rtol=0, atol=1e-6)
    assert np.abs(one).max() > 1e-3


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("size", "sizes"), [((8, 8), [(8, 8), (4, 4), (2, 2)]), ((1, 4), [(1, 4)] * 3), ((2, 3), [(2, 3), (1, 1), (1, 1)])]
)
def test_cnn_halves_a_image_while_there_is_something_to_halve(size, sizes):
    import keras

    model = built("cnn", [ImageSpec(*size, 1)])
    assert [layer.output.shape[1:3] for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == sizes


@pytest.mark.usefixtures("tensorflow")
def test_embedding_average_ignores_padding_and_order():
    model = built("embedding_average", [TOKENS])
    rows = np.array([[3, 4, 0, 0], [4, 3, 0, 0], [3, 4, 3, 4], [0, 0, 0, 0]], dtype=np.int32)
    output = model([rows]).numpy()
    assert np.allclose(output[0], output[1], rtol=0, atol=1e-7)
    assert np.allclose(output[0], output[2], rtol=0, atol=1e-7)
    assert output[3].tolist() == [0] * 64


@pytest.mark.parametrize(
    ("taken", "message"),
    [
        (("vecto",), f"A branch takes one or more of the kinds {', '.join(kinds)}; received ('vecto',)."),
        ((), f"A branch takes one or more of the kinds {', '.join(kinds)}; received ()."),
    ],
)
def test_branch_of_an_unknown_kind_is_not_registered(taken, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        branch(*taken)


def registered(function, **options):
    """The function as an architecture of vectors, for the time of a block; gives its section."""
    branch("vector", **options)(function)
    return contextlib.closing(_Registered(function.__name__))


class _Registered:
    def __init__(self, name):
        self.name = name

    def build(self):
        return architectures[self.name].section(columns=["a"], architecture=self.name).build({"a": Input(4.0, None, NUMBER)})

    def close(self):
        architectures.remove(self.name)


def test_a_branch_of_the_former_shape_is_refused_with_the_new_one():
    def former(inputs, specs, *, width: int = 2):
        return inputs[0]

    with pytest.raises(UsageError) as caught:
        branch("vector")(former)
    assert str(caught.value) == (
        "architecture former: a branch takes its inputs as one map; this one takes (inputs, specs). Write `def former(inputs, *, ...)`, "
        "read `inputs[column].tensor`, `.present` and `.spec`, return `Features(vector)`."
    )
    assert "former" not in architectures


def test_a_branch_that_returns_no_features_is_refused():
    def bare_for_a_test(inputs):
        return inputs["a"].tensor

    with registered(bare_for_a_test) as own, pytest.raises(UsageError) as caught:
        own.build()
    assert str(caught.value) == (
        "architecture bare_for_a_test: the function returned float, not Features. Return `Features(vector)`, from mmtrain.branches; "
        "it may also have `tokens` and `groups`."
    )


def test_a_branch_that_keeps_its_encoder_to_itself_is_refused():
    """Without it, checkpoints and stages could not tell the weights of the encoder from others."""

    def encoded_for_a_test(inputs):
        return Features(inputs["a"].tensor)

    with registered(encoded_for_a_test, pretrained=lambda: Pretrained("any")) as own, pytest.raises(UsageError) as caught:
        own.build()
    assert str(caught.value) == (
        "architecture encoded_for_a_test: it is registered with a pretrained encoder, and returned none. "
        "Return `Features(vector, encoder=encoder)`."
    )


def test_a_branch_that_returns_other_groups_than_it_is_registered_with_is_refused():
    def grouped_for_a_test(inputs):
        return Features(inputs["a"].tensor, groups={"head": []})

    with registered(grouped_for_a_test) as own, pytest.raises(UsageError) as caught:
        own.build()
    assert str(caught.value) == (
        "architecture grouped_for_a_test: it returned the parameter groups head, and is registered with none. "
        'Register it with `@branch(..., groups=("head",))`, or return those.'
    )


def test_a_kind_of_ones_own_gets_the_architecture_that_reads_it():
    @kind
    @dataclass(frozen=True)
    class WaveSpec(VectorSpec):
        kind = "wave_for_a_test"

    @branch("wave_for_a_test", name="reads_waves")
    def reads_waves(inputs):
        return Features(next(iter(inputs.values())).tensor)

    try:
        assert default_architecture("wave_for_a_test") == "reads_waves"
        assert (WaveSpec(3).shape, WaveSpec(3).dtype) == ((3,), "float32")
    finally:
        architectures.remove("reads_waves")
        kinds.remove("wave_for_a_test")


def test_branch_is_registered_with_the_options_of_its_function():
    @branch("vector", most_columns=2, name="doubled_for_a_test")
    def doubled(inputs, *, factor: float = 2.0):
        """Twice."""
        return Features(inputs["a"].tensor * factor)

    try:
        entry = architectures["doubled_for_a_test"]
        assert (entry.build, entry.kinds, entry.most_columns) == (doubled, ("vector",), 2)
        section = entry.section(columns=["a"], architecture="doubled_for_a_test", factor=3)
        assert isinstance(section, Branch)
        assert section.build({"a": Input(4.0, None, NUMBER)}).vector == 12.0
    finally:
        architectures.remove("doubled_for_a_test")


def test_architecture_says_in_its_docstring_what_it_does():
    assert all(inspect.getdoc(entry.build) for _, entry in architectures.items())
