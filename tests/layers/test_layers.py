"""Our own layers: each against the plain computation it stands for, and saved and loaded without a change."""

import math

import numpy as np
import pytest

from mmtrain.text.tokenizers.wordpiece import WordPiece

pytestmark = pytest.mark.usefixtures("tensorflow")

TEXTS = ["the cat sat", "the dog", "the cat and the cat", "a dog sat", "b"]
"""What the vocabulary is learned from."""
NEW_TEXTS = [
    "the cat",
    "cat cat cat the",  # repeated words
    "the zebra sat zebra",  # unseen words
    "zebra",
    "",  # no words
    "a b dog sat the cat and",
]


def sklearn_vectors(words, texts):
    """TF-IDF by scikit-learn over the ids of `words` (rows, 3 + words): padding, missing, unseen, then words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    known = set(words)
    split = [[word if word in known else "<unseen>" for word in text.split()] or ["<missing>"] for text in texts]
    vectorizer = TfidfVectorizer(
        vocabulary=["<padding>", "<missing>", "<unseen>", *words], analyzer=lambda names: names, smooth_idf=True, norm="l2"
    )
    return np.asarray(vectorizer.fit([text.split() for text in TEXTS]).transform(split).todense())


def bag_column():
    import pandas as pd

    from mmtrain.columns import Text

    return Text(max_length=8, ngrams=1).fit([pd.Series(TEXTS, dtype="str")])


def bags(fitted, texts):
    import pandas as pd

    return fitted.preprocessing()(fitted.raw(pd.Series(texts, dtype="str")))[0]


def projection(fitted, units=3):
    """The layer with a matrix that is easy to tell apart: (size, units)."""
    from mmtrain.layers.text_tokens import BagProjection

    layer = BagProjection(idf=list(fitted.idf), units=units)
    layer.build((None, fitted.length))
    layer.kernel.assign(np.random.default_rng(1).normal(size=(len(fitted.idf), units)))
    return layer


def test_bag_projection_is_a_dense_layer_on_the_tf_idf_vector():
    fitted = bag_column()
    layer = projection(fitted)
    vectors = sklearn_vectors(fitted.words, NEW_TEXTS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.allclose(layer(bags(fitted, NEW_TEXTS)), vectors @ layer.kernel.numpy(), rtol=0, atol=1e-5)


def test_bag_projection_has_the_gradient_of_that_dense_layer(tensorflow):
    fitted = bag_column()
    layer = projection(fitted)
    weights = np.random.default_rng(2).normal(size=(len(NEW_TEXTS), 3)).astype(np.float32)
    with tensorflow.GradientTape() as tape:
        loss = tensorflow.reduce_sum(layer(bags(fitted, NEW_TEXTS)) * weights)
    gradient = tensorflow.convert_to_tensor(tape.gradient(loss, layer.kernel.value)).numpy()
    expected = sklearn_vectors(fitted.words, NEW_TEXTS).T @ weights
    assert np.allclose(gradient, expected, rtol=0, atol=1e-5)
    assert (np.abs(expected).max(axis=1) > 0).sum() == len(fitted.words) + 2  # all but padding


def test_bag_of_words_and_pairs_is_that_of_scikit_learn():
    import pandas as pd
    from sklearn.feature_extraction.text import TfidfVectorizer

    from mmtrain.columns import Text

    fitted = Text(ngrams=2).fit([pd.Series(TEXTS, dtype="str")])
    assert sum(" " in word for word in fitted.words) == 1  # `the cat`; all others are in one text
    vectorizer = TfidfVectorizer(vocabulary=fitted.words, ngram_range=(1, 2), token_pattern=r"\w+")
    texts = ["the cat sat", "cat the cat the cat", "a dog", "b"]
    vectors = vectorizer.fit(TEXTS).transform(texts).toarray()
    layer = projection(fitted)
    assert np.allclose(layer(bags(fitted, texts)), vectors @ layer.kernel.numpy()[3:], rtol=0, atol=1e-5)


def test_bag_projection_of_padding_alone_is_zero():
    layer = projection(bag_column())
    assert layer(np.zeros((2, 4), dtype=np.int32)).numpy().tolist() == [[0, 0, 0], [0, 0, 0]]


def test_bag_projection_does_not_depend_on_the_length_of_the_padding():
    layer = projection(bag_column())
    ids = np.array([[5, 5, 3]], dtype=np.int32)
    assert np.allclose(layer(ids), layer(np.pad(ids, ((0, 0), (0, 7)))), rtol=0, atol=1e-7)


def test_token_average_leaves_padding_out():
    from mmtrain.layers.text_tokens import TokenAverage

    ids = np.array([[3, 4, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]], dtype=np.int32)
    vectors = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    assert TokenAverage()(ids, vectors).numpy().tolist() == [[1, 2], [8, 9], [0, 0]]


@pytest.mark.parametrize(("dtype", "levels"), [("uint8", 255), ("uint16", 65_535)])
def test_brightness_is_between_0_and_1(dtype, levels):
    from mmtrain.layers.network import Brightness01

    pixels = np.array([0, levels // 5, levels], dtype=dtype).reshape(1, 1, 3, 1)
    assert Brightness01(levels=levels)(pixels).numpy().ravel() == pytest.approx([0, 0.2, 1], abs=1e-7)


@pytest.mark.parametrize("compiled", [None, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("policy", "dtype"),
    [("float32", "float32"), *(pytest.param(f"mixed_{kind}", kind, marks=pytest.mark.slow) for kind in ("bfloat16", "float16"))],
)
def test_fused_normalization_is_that_of_keras(policy, dtype, compiled):
    import keras
    import tensorflow as tf

    from mmtrain.layers.network import FusedNormalization

    random = np.random.default_rng(0)
    features = tf.cast(random.normal(3, 5, (4, 6, 5, 3)), dtype)
    weights = tf.cast(random.normal(size=features.shape), dtype)
    results = []
    for kind in (keras.layers.BatchNormalization, FusedNormalization):
        layer = kind(momentum=0.9, dtype=policy)
        layer.build(features.shape)
        layer.gamma.assign([1.5, 2, 3])
        layer.beta.assign([0.1, 0.2, 0.3])

        @tf.function(jit_compile=compiled)
        def trained(layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(features)
                normal = layer(features, training=True)
                loss = tf.reduce_sum(tf.cast(normal * weights, tf.float32))
            return normal, tape.gradient(loss, [features, *[variable.value for variable in layer.trainable_variables]])

        found = [*keras.tree.flatten(trained()), *layer.variables, layer(features, training=False)]
        results.append([np.asarray(keras.ops.cast(value, "float32")) for value in found])
    assert len(results[0]) == len(results[1]) == 9
    for expected, one in zip(*results, strict=True):
        np.testing.assert_allclose(
            one, expected, rtol={"float32": 1e-4, "bfloat16": 3e-2, "float16": 4e-3}[dtype], atol=2e-2 if dtype == "bfloat16" else 1e-3
        )


def test_mask_selects_so_that_no_absent_value_passes():
    from mmtrain.layers.fusion import Mask

    feature = np.array([[1, 2], [np.nan, np.inf], [3, 4]], dtype=np.float32)
    present = np.array([[1], [0], [0]], dtype=np.float32)
    assert Mask()(feature, present).numpy().tolist() == [[1, 2], [0, 0], [0, 0]]
    assert Mask(fill=1.0)(feature, present).numpy().tolist() == [[1, 2], [1, 1], [1, 1]]


def test_affine_brings_a_number_back_to_its_unit():
    from mmtrain.layers.numbers.prediction_scales import Affine

    assert Affine(scale=2.0, offset=10.0)(np.array([[-1.0], [0.5]], dtype=np.float32)).numpy().tolist() == [[8], [11]]


BRANCHES = {
    "a": np.array([[1, -5], [1, -5], [1, -5], [1, -5]], dtype=np.float32),
    "b": np.array([[3, -1e5], [3, -1e5], [3, -1e5], [3, -1e5]], dtype=np.float32),
}
SHOWN = {"a": [[1], [1], [0], [0]], "b": [[1], [0], [1], [0]]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PresentMean", [[2, -50_002.5], [1, -5], [3, -1e5], [0, 0]]),
        ("PresentMaximum", [[3, -5], [1, -5], [3, -1e5], [0, 0]]),
    ],
)
def test_mean_and_maximum_are_taken_over_present_branches(name, expected):
    import mmtrain.layers.fusion

    layer = getattr(mmtrain.layers.fusion, name)()
    present = {key: np.array(value, dtype=np.float32) for key, value in SHOWN.items()}
    assert layer(BRANCHES, present).numpy().tolist() == expected


def test_feature_attention_tells_branches_apart_by_their_place():
    from mmtrain.layers.fusion import FeatureAttention

    layer = FeatureAttention(width=4, heads=2)
    one, other = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    present = {"z": np.ones((3, 1), dtype=np.float32), "a": np.ones((3, 1), dtype=np.float32)}
    straight, exchanged = layer({"z": one, "a": other}, present).numpy(), layer({"z": other, "a": one}, present).numpy()
    assert np.abs(straight - exchanged).max() > 1e-4
    layer.places.assign(np.zeros((2, 4)))
    straight, exchanged = layer({"z": one, "a": other}, present).numpy(), layer({"z": other, "a": one}, present).numpy()
    assert np.allclose(straight, exchanged, rtol=0, atol=1e-6)


def test_feature_attention_to_one_present_branch_is_that_to_it_alone():
    from mmtrain.layers.fusion import FeatureAttention

    pair, alone = FeatureAttention(width=4, heads=2), FeatureAttention(width=4, heads=2)
    one, other = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    yes, no = np.ones((3, 1), dtype=np.float32), np.zeros((3, 1), dtype=np.float32)
    found = pair({"a": one, "b": other}, {"a": yes, "b": no})
    alone({"a": one}, {"a": yes})
    alone.set_weights([weight[:1] if weight.shape == (2, 4) else weight for weight in pair.get_weights()])
    assert np.allclose(found, alone({"a": one}, {"a": yes}), rtol=0, atol=1e-6)
    assert np.abs(found - pair({"a": one, "b": other}, {"a": yes, "b": yes})).max() > 1e-3


def test_feature_attention_keeps_its_own_type_when_loaded_elsewhere():
    import keras

    from mmtrain.layers.fusion import FeatureAttention

    layer = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(FeatureAttention(width=4, heads=2, dtype="bfloat16")))
    features = {"a": np.ones((2, 4), dtype=np.float32)}
    assert layer(features, {"a": np.ones((2, 1), dtype=np.float32)}).dtype == "bfloat16"
    assert {part.dtype_policy.name for part in (layer, layer.attend, layer.normalize, layer.mean)} == {"bfloat16"}


def network_of(encoded):
    """A network with these inputs."""
    import keras

    inputs = {name: keras.Input(values.shape[1:], dtype=values.dtype, name=name) for name, values in encoded.items()}
    return keras.Model(inputs, {"y": keras.layers.Dense(2)(inputs["numbers"])})


@pytest.fixture(scope="module")
def layers_to_save():
    """Every registered layer of ours with an example of its inputs. What decodes images is traced once for all."""
    from mmtrain.layers import (
        encoding,
        end_to_end,
        fusion,
        image_decoding,
        network,
        pretrained,
        sets,
        stacks,
        table_encoder,
    )
    from mmtrain.layers import text_tokens as tokens
    from mmtrain.layers import transformer_encoder as transformers
    from mmtrain.layers.numbers import dates, number_lists, prediction_scales, series, target_scales
    from mmtrain.layers.tabular import blocks, number_encodings
    from mmtrain.layers.tabular import members as ensembles
    from mmtrain.layers.tokenizers import encode

    ids = np.array([[4, 3, 3, 0]], dtype=np.int32)
    strings = np.array([["B c"], [""]], dtype=object)
    pair = (BRANCHES, {key: np.array(value, dtype=np.float32) for key, value in SHOWN.items()})
    pixels = np.full((2, 1, 1, 1), 9, dtype=np.uint8)
    brightness = np.array([0.2, np.nan], dtype=np.float32).reshape(2, 1, 1, 1)
    here = np.array([[1], [0]], dtype=np.float32)
    layout = {"height": 2, "width": 3, "channels": 1, "bits": 16, "resize": "pad", "background": [1, 2, 3], "max_pixels": 9}
    numbers = {"fill": [0.1, 2], "center": [0.3, 1], "scale": [0.7, 3], "indicator": [True, False], "masked": [False, True]}
    numbers_layer = encoding.EncodeNumbers(**numbers)
    encoder = table_encoder.TableEncoder(
        [
            table_encoder.EncodedTogether(("a", "b"), {"a": ((1,), "float64"), "b": ((1,), "float64")}, (2, 1), numbers_layer),
            table_encoder.EncodedTogether(
                ("c",), {"c": ((1,), "string")}, (1,), encoding.EncodeCategories(categories=[["B c"]], masked=[False])
            ),
        ],
        {"numbers": ["b", "a"]},
    )
    other_encoder = table_encoder.TableEncoder(
        [
            table_encoder.EncodedTogether(
                ("a", "b"),
                {"a": ((1,), "float64"), "b": ((1,), "float64")},
                (2, 1),
                encoding.EncodeNumbers(**{**numbers, "center": [0.1, 2]}),
            ),
            encoder.parts[1],
        ],
        {"numbers": ["b", "a"]},
    )
    raw = {"a": np.array([[1.5], [np.nan]]), "b": np.array([[1.0], [2.0]]), "c": strings}
    pair_of_numbers = np.array([[0.5, 2.0], [-1.0, 1.0]], dtype=np.float32)
    members = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    words = (np.arange(8, dtype=np.float32).reshape(1, 4, 2), np.array([[1, 1, 1, 0]], dtype=np.float32))
    pieces = WordPiece(pieces=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "b", "c")).model_dump(mode="json")
    codes = {"sizes": [5, 3, 5], "widths": [2, 3, 2], "one_hot": [False, True, False]}
    return {
        "EncodeNumbers": (encoding.EncodeNumbers(**numbers), (np.array([[1.5, 1], [np.nan, np.nan]]),)),
        "EncodeCategories": (
            encoding.EncodeCategories(categories=[["B c", "ü"], []], masked=[False, True]),
            (np.concatenate([strings, strings], axis=1),),
        ),
        "EncodeText": (encoding.EncodeText(words=["b", "c"], length=3, ordered=False, masked=True), (strings,)),
        "EncodeHashes": (
            encoding.EncodeHashes(buckets=50, length=3, width=6, ngrams=2, characters=[2, 3], masked=True),
            (strings,),
        ),
        "EncodeDate": (
            dates.EncodeDate(
                parts=["days", "hour"], cyclic=True, center=[9.5, 0, 0], scale=[2, 1, 1], fill=[0, 0, 1], indicator=True, masked=False
            ),
            (np.array([["1970-01-09T10:30:00"], ["1970-02-30"]], dtype=object),),
        ),
        "EncodeEmbedding": (
            number_lists.EncodeEmbedding(
                width=2, unit_length=True, center=[0.5, 0], scale=[2, 1], fill=[0, 0], indicator=True, masked=False
            ),
            (np.array([["[3, -4e0]"], ["1 2 3"], ['["1", null]'], [""]], dtype=object),),
        ),
        "EncodeSequence": (
            series.EncodeSequence(length=3, center=[0.5, 1], scale=[2, 1], timed=True, step=0.5, from_start=False, masked=True),
            (np.array([["[1, 2]", "[3, null]", "[0, 0.7]"], ["", "", ""]], dtype=object),),
        ),
        "StepFlags": (series.StepFlags(channels=1), (np.array([[[0.5, 1], [2, 0]]], dtype=np.float32),)),
        "EncodeImage": (image_decoding.EncodeImage(**layout), (strings,)),
        "EncodePixels": (image_decoding.EncodePixels(levels=255), (brightness,)),
        "EncodeImages": (image_decoding.EncodeImages(most=2, image=image_decoding.EncodePixels(levels=255)), (brightness[None],)),
        "Brightness01": (network.Brightness01(levels=255), (pixels,)),
        "BagProjection": (tokens.BagProjection(idf=[0.0, 1.0, 3.0, 1.5, 2.5], units=2), (ids,)),
        "TokenAverage": (tokens.TokenAverage(), (ids, np.ones((1, 4, 2), dtype=np.float32))),
        "Mask": (fusion.Mask(fill=1.0), (np.ones((2, 3), dtype=np.float32), here)),
        "TargetUncertainty": (network.TargetUncertainty(targets=2), (pair_of_numbers,)),
        "MaskedColumn": (network.MaskedColumn(flag=True), (np.ones((2, 3), dtype=np.float32), here)),
        "Affine": (prediction_scales.Affine(scale=2.0, offset=1.0), (here,)),
        "BinExpectation": (prediction_scales.BinExpectation(bins=[-1.0, 0.0, 2.0]), (pair_of_numbers @ np.eye(2, 3, dtype=np.float32),)),
        "Exponential": (prediction_scales.Exponential(scale=2.0, offset=1.0, low=-1.0, high=4.0, shift=0.5), (here,)),
        "QuantileInverse": (
            prediction_scales.QuantileInverse(scale=2.0, offset=-1.0, points=[-1.0, 0.0, 2.0], values=[3.0, 4.0, 9.0]),
            (here,),
        ),
        "LevelProbabilities": (target_scales.LevelProbabilities(), (pair_of_numbers,)),
        "SurvivalCurve": (target_scales.SurvivalCurve(), (pair_of_numbers,)),
        "StepsMean": (target_scales.StepsMean(), (members,)),
        "ProportionalHazards": (target_scales.ProportionalHazards(hazard=[0.0, 0.5, 2.0]), (here,)),
        "OrderedNumbers": (target_scales.OrderedNumbers(middle=1, scale=2.0, offset=1.0), (pair_of_numbers,)),
        "Affines": (target_scales.Affines(scales=[2.0, 3.0], offsets=[1.0, -1.0]), (pair_of_numbers,)),
        "CountMoments": (target_scales.CountMoments(offsets=[0.5, -1.0], limits=[3.0, 4.0]), (pair_of_numbers,)),
        "NormalMoments": (prediction_scales.NormalMoments(scale=2.0, offset=1.0, limit=0.5), (pair_of_numbers,)),
        "MixtureMoments": (prediction_scales.MixtureMoments(limit=0.5), (members,)),
        "CountMixture": (target_scales.CountMixture(offsets=[0.5, -1.0], limits=[30.0, 4.0]), (members,)),
        "LogMean": (target_scales.LogMean(), (members,)),
        "TokenMaximum": (tokens.TokenMaximum(), (ids, np.ones((1, 4, 2), dtype=np.float32))),
        "PaddingZeros": (tokens.PaddingZeros(), (ids, np.ones((1, 4, 2), dtype=np.float32))),
        "WordMask": (tokens.WordMask(), (ids,)),
        "TokenPositions": (network.TokenPositions(), (np.ones((1, 4, 2), dtype=np.float32),)),
        "TakePlaces": (stacks.TakePlaces(places=[2, 0]), (np.ones((2, 3), dtype=np.float32),)),
        "AnyPresent": (stacks.AnyPresent(), (np.array([[1, 0], [0, 0]], dtype=np.float32),)),
        "MaskStack": (stacks.MaskStack(widths=[2, 1], masked=[1], flags=True), (np.ones((2, 3), dtype=np.float32), here)),
        "CodeVectors": (stacks.CodeVectors(**codes), (np.array([[4, 2, 0]], dtype=np.int32),)),
        "FlattenMembers": (sets.FlattenMembers(), (members,)),
        "SpreadMembers": (sets.SpreadMembers(), (pair_of_numbers, np.array([[0, 1], [1, 0]], dtype=np.float32))),
        "PoolMembers": (sets.PoolMembers(pool="max"), words),
        "AttentionPool": (sets.AttentionPool(units=3), words),
        "SideBySide": (stacks.SideBySide(), ([pair_of_numbers, pair_of_numbers],)),
        "TakeNumbers": (number_encodings.TakeNumbers(positions=[1]), (pair_of_numbers,)),
        "PiecewiseLinear": (number_encodings.PiecewiseLinear(positions=[1], edges=[[0, 1, 3]]), (pair_of_numbers,)),
        "NormalScore": (number_encodings.NormalScore(positions=[1], edges=[[0, 3]], scores=[[-1, 1]]), (pair_of_numbers,)),
        "Periodic": (number_encodings.Periodic(positions=[0, 1], frequencies=3, sigma=0.5, phase=True), (pair_of_numbers,)),
        "RobustScale": (number_encodings.RobustScale(positions=[1], centers=[0.5], factors=[2.0]), (pair_of_numbers,)),
        "ColumnDense": (blocks.ColumnDense(units=2, activation="relu"), (members,)),
        "SumOfColumns": (blocks.SumOfColumns(columns=2), (pair_of_numbers,)),
        "LinearBase": (blocks.LinearBase(units=2, sizes=[3]), ([pair_of_numbers, np.array([[2], [0]], dtype=np.int32)],)),
        "FirstToken": (blocks.FirstToken(), (members,)),
        "Cross": (blocks.Cross(rank=1), (pair_of_numbers, pair_of_numbers)),
        "MemberDense": (ensembles.MemberDense(units=2, members=3), (members,)),
        "FoldMembers": (ensembles.FoldMembers(members=3, shared=False), (members,)),
        "UnfoldMembers": (ensembles.UnfoldMembers(members=2), (pair_of_numbers,)),
        "MemberMean": (ensembles.MemberMean(link="softmax"), (members,)),
        "TableEncoder": (encoder, (raw,)),
        "EndToEnd": (end_to_end.EndToEnd(encoder, network_of(encoder(raw))), (raw,)),
        "MemberEncoders": (end_to_end.MemberEncoders([encoder, other_encoder]), (raw,)),
        "MeanOfMembers": (
            end_to_end.MeanOfMembers([network_of(encoder(raw)), network_of(encoder(raw))], {"y": [[1, 0], [0, 1]]}, {"y": 2}),
            ([encoder(raw), encoder(raw)],),
        ),
        "PresentMean": (fusion.PresentMean(), pair),
        "FusedNormalization": (network.FusedNormalization(momentum=0.9), (np.ones((2, 3, 3, 2), dtype=np.float32),)),
        "SharedNormalization": (network.SharedNormalization(momentum=0.9), (np.ones((2, 3), dtype=np.float32),)),
        "PresentMaximum": (fusion.PresentMaximum(), pair),
        "FeatureAttention": (fusion.FeatureAttention(width=2, heads=1), pair),
        "BranchTokens": (fusion.BranchTokens(width=2), pair),
        "WeightedMean": (fusion.WeightedMean(learned=True), pair),
        "ModalityDropout": (fusion.ModalityDropout(rate=0.5), ([here, here],)),
        "LearnedAbsence": (fusion.LearnedAbsence(), (np.ones((2, 3), dtype=np.float32), here)),
        "Modulation": (fusion.Modulation(), (np.ones((2, 3), dtype=np.float32), np.ones((2, 6), dtype=np.float32))),
        "RankSum": (fusion.RankSum(rank=2), (np.ones((2, 4), dtype=np.float32),)),
        "PairProducts": (fusion.PairProducts(), pair[:1]),
        "PresentOr": (fusion.PresentOr(), (np.ones((2, 3), dtype=np.float32), np.zeros((2, 3), dtype=np.float32), here)),
        "ForMembers": (ensembles.ForMembers(members=3), (pair_of_numbers,)),
        "FirstView": (pretrained.FirstView(), (members,)),
        "PrincipalComponents": (pretrained.PrincipalComponents(components=2), (np.ones((2, 3), dtype=np.float32),)),
        "NormalizedPixels": (pretrained.NormalizedPixels(levels=255, mean=[0.1, 0.2, 0.3], deviation=[1.0, 2.0, 3.0]), (pixels,)),
        "SpecialTokens": (pretrained.SpecialTokens(special=1, registers=2), (members,)),
        "LearnedToken": (pretrained.LearnedToken(), (members,)),
        "RotaryPositions": (pretrained.RotaryPositions(heads=1, special=1, rows=1, columns=2, base=100.0), (np.tile(members, 2),)),
        "AttendHeads": (pretrained.AttendHeads(heads=1), (members, members, members, np.array([[1, 1, 0], [1, 0, 0]], np.float32))),
        "ChannelScale": (pretrained.ChannelScale(), (members,)),
        "EncodePieces": (encode.EncodePieces(tokenizer=pieces, length=4, masked=True), (strings,)),
        "PieceMask": (transformers.PieceMask(padding=0), (ids,)),
        "TrimPadding": (transformers.TrimPadding(padding=0), (ids,)),
        "FixedLength": (transformers.FixedLength(length=6, padding=0, fill=2), (ids,)),
        "PiecePositions": (transformers.PiecePositions(positions=6, start=1, counted=True), words),
        "PoolPieces": (transformers.PoolPieces(pooling="mean", normalize=True), words),
        "QuickGelu": (transformers.QuickGelu(), (pair_of_numbers,)),
        "Gelu": (transformers.Gelu(approximate=True), (pair_of_numbers,)),
    }


DECODING = pytest.mark.parametrize("uncalled", [("EncodeImage",), pytest.param((), marks=pytest.mark.slow)], ids=["not traced", "all"])
"""Decoders of images take four seconds to trace."""


@DECODING
def test_every_layer_is_rebuilt_from_its_plain_config(layers_to_save, uncalled):
    import json

    import keras

    rebuilt = 0
    for name, (layer, inputs) in layers_to_save.items():
        expected = layer(*inputs) if name not in uncalled else None
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        assert config["registered_name"] == f"mmtrain>{name}"
        copy = keras.saving.deserialize_keras_object(config, safe_mode=True)
        if name not in uncalled:
            copy(*inputs)
            copy.set_weights(layer.get_weights())
            found = copy(*inputs)
            for one, other in zip(keras.tree.flatten(expected), keras.tree.flatten(found), strict=True):
                assert one.dtype == other.dtype
                assert np.array_equal(one, other), name
        assert json.loads(json.dumps(copy.get_config())) == json.loads(json.dumps(layer.get_config()))  # a tuple is a list there
        rebuilt += 1
    ours = [name for name in keras.saving.get_custom_objects() if name.startswith("mmtrain>")]
    assert sorted(f"mmtrain>{name}" for name in layers_to_save) == sorted(ours)
    assert rebuilt == len(ours) > 0


def test_parts_that_members_encode_alike_are_encoded_once(layers_to_save):
    members, (raw,) = layers_to_save["MemberEncoders"]
    assert [type(layer).__name__ for layer in members.encoders] == ["EncodeNumbers", "EncodeCategories", "EncodeNumbers"]
    alone = [member(raw) for member in members.members]
    for together, one in zip(members(raw), alone, strict=True):
        assert {name: values.numpy().tolist() for name, values in together.items()} == {
            name: values.numpy().tolist() for name, values in one.items()
        }


def test_classes_of_members_find_their_places(layers_to_save):
    mean, (inputs,) = layers_to_save["MeanOfMembers"]
    first, second = (member(own)["y"].numpy() for member, own in zip(mean.members, inputs, strict=True))
    np.testing.assert_allclose(mean(inputs)["y"], (first[:, ::-1] + second) / 2, rtol=1e-6)


@DECODING
def test_symbolic_outputs_have_the_shape_and_type_of_real_ones(layers_to_save, uncalled):
    import keras

    checked, unknown = 0, []
    for name, (layer, inputs) in layers_to_save.items():
        if name in uncalled:
            continue
        symbols = keras.tree.map_structure(lambda array: keras.KerasTensor((None, *array.shape[1:]), dtype_of(array)), list(inputs))
        promised = keras.tree.flatten(layer(*symbols))
        real = keras.tree.flatten(layer(*inputs))
        assert [one.dtype for one in promised] == [other.dtype.name for other in real], name
        for one, other in zip(promised, real, strict=True):
            # None where the length follows from the values.
            assert list(one.shape[1:]) == [
                None if size is None else found for size, found in zip(one.shape[1:], other.shape[1:], strict=True)
            ], name
            unknown += [name] * (None in one.shape[1:])
        checked += 1
    assert unknown == ["TrimPadding"]
    assert checked == len(layers_to_save) - len(uncalled)


def dtype_of(array):
    return "string" if array.dtype == object else array.dtype.name


def words_in(texts):
    """The words of each text, and each word once, as the layer finds them."""
    import tensorflow as tf

    from mmtrain.layers.words import distinct_words

    words, places = distinct_words(tf.constant(texts, dtype=tf.string))
    names = [word.decode("utf-8") for word in words.numpy()]
    return [[names[code] for code in text] for text in places.to_list()], names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat", ["the", "cat"]),
        (" a-b,c \t d\ne ", ["a", "b", "c", "d", "e"]),
        ("don't 'tis", ["don't", "'tis"]),
        ("H2O 3.5", ["h2o", "3", "5"]),
        ("ΌΛΟΣ ΟΔΟΣ, ΟΔΟΣ.Α", ["όλος", "οδος", "οδοσ", "α"]),  # a final sigma where the word ends; a full stop parts after that is known
        ("Ünï İ", ["ünï", "i\u0307"]),
        ("你好，世界", ["你好", "世界"]),
        ("a\u00a0b\u3000c", ["a", "b", "c"]),
        ("...", []),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_in_lower_case(text, words):
    assert words_in([text])[0] == [words]


def test_words_keep_their_texts_and_are_told_once():
    texts, words = words_in(["A b", "", "c", "!", "B? a-B"])
    assert texts == [["a", "b"], [], ["c"], [], ["b", "a", "b"]]
    assert sorted(words) == ["a", "b", "c"]


def test_no_texts_have_no_words():
    assert words_in([]) == ([], [])


def codes_in(texts, words):
    """The codes of each text: 3... in the order of `words`, 2 for any other word."""
    import tensorflow as tf

    from mmtrain.layers.words import word_codes

    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, tf.range(3, 3 + len(words))), 2)
    return word_codes(tf.constant(texts, dtype=tf.string), table, 2).to_list()


def test_known_words_are_known_in_whatever_they_stand():
    texts = ["a b", "", "B, a-b a", "zoo", "!", "b.A!zoo a", " a "]
    assert codes_in(texts, ["a", "b"]) == [[3, 4], [], [4, 3, 4, 3], [2], [], [4, 3, 2, 3], [3]]
    assert codes_in([], ["a"]) == []


def test_a_word_read_again_is_the_same_word():
    changed = [chr(code) for code in range(0x110000) if chr(code).lower() != chr(code)]
    words = words_in([*changed, "ΟΣ", "ΣΑΣ"])[1]
    assert len(words) > 1000
    assert words_in(words) == ([[word] for word in words], words)


def test_tf_idf_is_that_of_the_formula():
    fitted = bag_column()
    assert fitted.words == ("the", "cat", "dog", "sat", "a", "and", "b")
    # 5 texts; in how many each word is: the 3, cat, dog and sat 2, a, and and b 1
    assert fitted.idf == pytest.approx((0, 1, *(math.log(6 / (1 + count)) + 1 for count in (0, 3, 2, 2, 2, 1, 1, 1))), rel=1e-15)
