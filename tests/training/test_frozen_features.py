"""Features of frozen text encoders: each distinct text once, the shortest first, found again in the cache."""

from collections import Counter

import numpy as np
import pytest
from tiny_encoders import VOCABULARY, checkpoint, write_model

from mmtrain.specs import PieceSpec

SPEC = PieceSpec(6, VOCABULARY, 0)
IDS = np.array(
    [[2, 5, 9, 3, 0, 0], [2, 7, 3, 0, 0, 0], [2, 5, 9, 3, 0, 0], [2, 4, 5, 6, 8, 3], [2, 3, 0, 0, 0, 0], [2, 9, 5, 3, 0, 0]], np.int32
)
PRESENT = np.array([[1], [1], [1], [1], [0], [1]], np.float32)


def source(ids=IDS, present=PRESENT):
    from mmtrain.data.encoded_column import EncodedColumn

    return EncodedColumn(ids, present)


def distinct(ids=IDS, present=PRESENT):
    from mmtrain.training.encoder_features.distinct_texts import DistinctTexts

    return DistinctTexts.of(source(ids, present), present, SPEC)


def test_distinct_texts_are_sorted_by_length(tensorflow):
    texts = distinct()
    assert texts.lengths.tolist() == [2, 3, 4, 4, 6]
    assert texts.index[4] == -1  # absent
    assert texts.index[0] == texts.index[2]
    for row, text in enumerate(texts.index):
        if text >= 0:
            assert IDS[texts.rows[text]].tolist() == IDS[row].tolist()


def test_batches_hold_every_text_once_without_padding(tensorflow, monkeypatch):
    from mmtrain.training.encoder_features import distinct_texts

    monkeypatch.setattr(distinct_texts, "PIECES_AT_ONCE", 8)
    texts = distinct()
    batches = list(texts.batches())
    assert all(batch.size <= 8 or len(batch) == 1 for batch in batches)
    assert all((batch != 0).any(axis=0).all() for batch in batches)
    padded = [tuple(np.pad(row, (0, 6 - len(row))).tolist()) for batch in batches for row in batch]
    assert Counter(padded) == Counter({tuple(row) for row in IDS.tolist()})
    assert padded == [tuple(IDS[row].tolist()) for row in texts.rows]


@pytest.mark.parametrize("empty", [[0], [0, 1, 2, 3, 4, 5]], ids=["one", "all"])
def test_texts_without_pieces_are_read_as_one_place_of_padding(tensorflow, empty):
    """A tokenizer may remove every character of a text, and put no pieces around it."""
    ids = IDS.copy()
    ids[empty] = SPEC.padding
    texts = distinct(ids, np.ones_like(PRESENT))
    batches = list(texts.batches())
    assert texts.lengths[0] == 0 and (texts.index[empty] == 0).all()
    assert sum(map(len, batches)) == len(texts.rows) and all(batch.shape[1] >= 1 for batch in batches)
    assert batches[0][0].tolist() == [SPEC.padding] * batches[0].shape[1]


def test_digest_is_of_the_texts_and_not_of_their_rows(tensorflow):
    again = distinct(IDS[::-1].copy(), PRESENT[::-1].copy())
    assert again.digest == distinct().digest
    other = IDS.copy()
    other[1, 1] = 8
    assert distinct(other).digest != distinct().digest


@pytest.fixture
def read(tmp_path):
    """A function that gives features, and whether an encoder has read texts for them."""
    from mmtrain.config.experiment import Cache
    from mmtrain.encoders import load_encoder
    from mmtrain.training.encoder_features.feature_cache import FeatureCache
    from mmtrain.training.encoder_features.frozen_features import text_features

    def features(folder, ids):
        said = []
        texts = distinct(ids, PRESENT[: len(ids)])
        encoder = load_encoder(str(folder), SPEC)
        column = text_features(encoder, texts, FeatureCache("note", Cache(folder=tmp_path / "cache"), said.append))
        expected = encoder.network(ids[texts.rows]).numpy()
        np.testing.assert_allclose(column.take(np.arange(len(texts.rows)))[:, 0], expected, rtol=0, atol=1e-5)
        return said

    return features


def test_features_are_found_again_and_never_mixed_up(tensorflow, read, tmp_path):
    few = IDS[[0, 5, 2]]  # of one length: the encoder is traced for each
    folder = write_model(tmp_path / "tiny")
    (said,) = read(folder, few)
    assert said.startswith("note: tiny has read 2 distinct texts in ")
    assert read(folder, few) == []
    assert read(folder, few[[2, 1, 0]]) == []  # the same texts in other rows
    changed = few.copy()
    changed[1, 1] = 8
    assert len(read(folder, changed)) == 1
    assert len(read(write_model(tmp_path / "other", arrays=checkpoint(seed=4)), few)) == 1
    pooled = {"modules": ["Transformer", "Pooling"], "pooling": {"pooling_mode_cls_token": True}}
    assert len(read(write_model(tmp_path / "first", **pooled), few)) == 1


@pytest.mark.slow
def test_features_of_a_training_in_mixed_precision_are_those_of_float32(tensorflow, read, tmp_path):
    """Encoders compute in float32, so both trainings may have the same entry of the cache; it is bit-equal."""
    import keras

    from mmtrain.encoders import load_encoder

    folder = write_model(tmp_path / "tiny")
    read(folder, IDS[:3])
    plain = load_encoder(str(folder), SPEC).network(IDS).numpy()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = load_encoder(str(folder), SPEC, shared=False).network
        assert read(folder, IDS[:3]) == []
        assert {layer.compute_dtype for layer in network.layers[1:]} == {"float32"}  # all but the input
        assert np.array_equal(network(IDS).numpy(), plain)
    finally:
        keras.config.set_dtype_policy(before)


def test_a_long_reading_says_how_far_it_is(tensorflow, monkeypatch, tmp_path):
    """The time left follows from the work of the rest: texts come shortest first."""
    from types import SimpleNamespace

    from mmtrain.config.experiment import Cache
    from mmtrain.data.encoded_column import ArrayLayout
    from mmtrain.training.encoder_features import feature_cache

    clock = iter(range(0, 100, 10))
    monkeypatch.setattr(feature_cache, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    said, encoder = [], SimpleNamespace(name="tiny", fingerprint="1", design="one")
    batches = [np.zeros((2, 1, 3), np.float32)] * 3
    cache = feature_cache.FeatureCache("note", Cache(folder=tmp_path, disk=0), said.append)
    work = np.array([1, 1, 2, 2, 7, 7])
    assert cache.column(encoder, ArrayLayout(6, (1, 3), "float32"), {}, lambda: iter(batches), "text", work).codes.shape == (6, 1, 3)
    assert said == [
        "note: tiny has read 2 of 6 texts (0 a second, 1 min 30 s left).",
        "note: tiny has read 6 texts in 40 s (0 a second).",
    ]
