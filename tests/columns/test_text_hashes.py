"""`role: text` with `vectorize: hashed`: n-grams in buckets, without a vocabulary."""

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from mmtrain.columns import AnyFittedColumn, Text
from mmtrain.columns.vectorizers.text_hashes import FittedHashes

TRAINING = ["good dress", "Good, good fit!", None, "bad"]


def cells(*values):
    return pd.Series(values, dtype="str")


def column(**options):
    return Text(vectorize="hashed", **{"buckets": 1009, **options})


@pytest.fixture(scope="module")
def fitted():
    return column(missing="mask").fit([cells(*TRAINING[:2]), cells(*TRAINING[2:])])


def bucket(text):
    """The id of one n-gram, by TensorFlow's own function."""
    import tensorflow as tf

    return 3 + int(tf.strings.to_hash_bucket_fast([text], 1009)[0])


def ids(fitted, *values):
    encoded, present = fitted.preprocessing()(fitted.raw(cells(*values)))
    return [[number for number in row if number] for row in encoded.numpy().tolist()], present.numpy().reshape(-1).tolist()


def test_ids_are_those_of_words_pairs_and_runs_of_characters(tensorflow, fitted):
    runs = [" <ba", " bad", " ad>", " <bad", " bad>", " <bad>"]
    assert ids(fitted, "BAD", None, "...") == ([sorted(map(bucket, ["bad", *runs]), reverse=True), [1], [1]], [1, 0, 0])
    words = column(characters=()).fit([cells(*TRAINING)])
    assert ids(words, "bad dress")[0] == [sorted(map(bucket, ["bad", "dress", "bad dress"]), reverse=True)]
    single = column(characters=(), ngrams=1).fit([cells(*TRAINING)])
    assert ids(single, "bad dress")[0] == [sorted(map(bucket, ["bad", "dress"]), reverse=True)]


def test_longer_texts_are_cut_to_words_and_ngrams_of_training(tensorflow, fitted):
    # "good good fit": 1 + 9 n-grams of a word of four letters twice, 1 + 6 of one of three, 2 pairs
    assert (fitted.length, fitted.longest, fitted.width, fitted.missing) == (3, 3, 29, 1)
    assert ids(fitted, "good good fit good bad bad") == ids(fitted, "good good fit")
    assert len(ids(fitted, "extraordinarily good")[0][0]) == fitted.width
    assert column(max_length=1).fit([cells(*TRAINING)]).length == 1


def test_idf_is_that_of_the_texts_with_the_bucket(tensorflow, fitted):
    # Two of four texts have "good", one has "bad"; "Good, good fit!" has it twice and counts once.
    assert fitted.idf[bucket("good")] == pytest.approx(np.log(5 / 3) + 1)
    assert fitted.idf[bucket("bad")] == pytest.approx(np.log(5 / 2) + 1)
    assert fitted.idf[:2] == (0.0, 1.0)
    assert fitted.spec.size == 3 + 1009


def test_survives_json_and_is_described(fitted):
    back = TypeAdapter(AnyFittedColumn).validate_json(fitted.model_dump_json())
    assert isinstance(back, FittedHashes)
    assert back == fitted
    assert fitted.learned_words(Text(), str).endswith("3 words kept of each text, the longest has 3; missing in 1 training row")
    assert "FarmHash Fingerprint64 of the UTF-8 bytes modulo 1009" in fitted.recipe().encoded
    assert fitted.recipe().present == "1 if there is a word, else 0."


def test_layer_is_the_same_after_loading(tensorflow, fitted, tmp_path):
    import keras

    given = keras.Input((1,), dtype="string")
    model = keras.Model(given, fitted.preprocessing()(given))
    model.save(tmp_path / "hashes.keras")
    raw = fitted.raw(cells("good", None, "日本語 fit"))
    for one, other in zip(keras.models.load_model(tmp_path / "hashes.keras")(raw), model(raw), strict=True):
        assert np.array_equal(one, other)


def test_attributions_of_ngrams_go_to_their_words(tensorflow, fitted):
    (entry, _) = fitted.preprocessing()(fitted.raw(cells("good fit")))
    entry = entry.numpy()
    values = np.where(entry[0] == bucket("good"), 1.0, 0.0) + np.where(entry[0] == bucket("good fit"), 4.0, 0.0)
    found = fitted.attribute("good fit", values, entry)
    assert dict(found.elements) == pytest.approx({"good": 3.0, "fit": 2.0})
    assert sum(value for _, value in found.reading) == pytest.approx(values.sum())
    assert fitted.attribute("good good fit bad", values, entry).unread == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"characters": (5, 3)}, "fewest and the most of a run"), ({"buckets": 1}, "greater than or equal to 2")],
)
def test_refuses(options, message):
    with pytest.raises(ValidationError, match=message):
        column(**options)


def test_options_of_another_way_have_no_effect():
    assert list(column(max_tokens=5, min_count=2).options_without_effect()) == ["max_tokens", "min_count"]
    assert list(Text(buckets=64, characters=(2, 3)).options_without_effect()) == ["buckets", "characters"]
    assert column().options_without_effect() == {}
    assert column().kind == "bag"
