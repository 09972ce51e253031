"""The family of BERT: tiny checkpoints in its published format against a NumPy reference, and everything that cannot be read."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_encoders import BERT, DISTILBERT, POSITIONS, ROBERTA, VOCABULARY, WIDTH, checkpoint, last_states, mean_vectors, write_model

from mmtrain.encoders.loading import recognize
from mmtrain.encoders.tokenizers.reading import read_tokenizer
from mmtrain.errors import RunError
from mmtrain.specs import PieceSpec

IDS = [[2, 5, 9, 3, 0, 0], [2, 7, 3, 0, 0, 0], [2, 4, 5, 6, 8, 3]]
CASES = {
    "bert": SimpleNamespace(config=BERT, prefix="", norm=("weight", "bias")),
    "bert for masked words, of TensorFlow": SimpleNamespace(config=BERT, prefix="bert.", norm=("gamma", "beta")),
    "roberta": SimpleNamespace(config=ROBERTA, prefix="roberta.", norm=("weight", "bias")),
    "distilbert": SimpleNamespace(config=DISTILBERT, prefix="distilbert.", norm=("weight", "bias")),
}


def vectors(folder, ids, padding=0):
    from mmtrain.encoders.loading import load_encoder

    return np.asarray(load_encoder(str(folder), PieceSpec(6, VOCABULARY, padding)).network(np.array(ids, np.int32)))


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_vectors_equal_a_reference_in_numpy(tensorflow, tmp_path, case):
    plain = checkpoint(case.config, case.norm)
    arrays = {case.prefix + name: values for name, values in plain.items()}
    unused = {f"{case.prefix}embeddings.position_ids": np.zeros((1, POSITIONS)), "cls.predictions.bias": np.zeros(3)}
    folder = write_model(tmp_path / "tiny", case.config, arrays | unused)
    padding = case.config["pad_token_id"]
    ids = np.where(np.array(IDS) == 0, padding, IDS)
    expected = mean_vectors(case.config, plain, ids, case.norm)
    assert expected.shape == (3, WIDTH)
    np.testing.assert_allclose(vectors(folder, ids, padding), expected, rtol=0, atol=1e-5)
    longer = np.pad(ids, [[0, 0], [0, 1]], constant_values=padding)
    np.testing.assert_allclose(vectors(folder, longer, padding), expected, rtol=0, atol=1e-5)


POOLINGS = [("pooling_mode_mean_tokens", False), ("pooling_mode_cls_token", True), ("pooling_mode_max_tokens", False)]


@pytest.mark.parametrize(("pooling", "normalize"), POOLINGS)
def test_vector_is_what_the_files_of_sentence_transformers_say(tensorflow, tmp_path, pooling, normalize):
    arrays = checkpoint()
    modules = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    folder = write_model(tmp_path / "tiny", BERT, arrays, modules, {pooling: True, "pooling_mode_weightedmean_tokens": False})
    states, known = last_states(BERT, arrays, IDS)
    expected = {
        "pooling_mode_mean_tokens": mean_vectors(BERT, arrays, IDS),
        "pooling_mode_cls_token": states[:, 0],
        "pooling_mode_max_tokens": np.where(known[..., None], states, -np.inf).max(1),
    }[pooling]
    if normalize:
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors(folder, IDS), expected, rtol=0, atol=1e-5)


KNOWN = "known is one of pooling_mode_mean_tokens, pooling_mode_cls_token and pooling_mode_max_tokens."
UNKNOWN_FAMILY = "the weights are of no family of encoders of the kind 'pieces'; its config.json names 'gpt2'."
WRONG_CONFIGS = {
    "family": ({"model_type": "gpt2"}, UNKNOWN_FAMILY),
    "positions": ({"position_embedding_type": "relative_key"}, "`position_embedding_type` is 'relative_key'; only `absolute` positions"),
    "width": ({"hidden_size": "many"}, "`hidden_size` is 'many'; it should be a whole number from 1 on."),
    "heads": ({"num_attention_heads": 3}, "`num_attention_heads` is 3; it does not divide `hidden_size` 8."),
    "activation": ({"hidden_act": "mish"}, "`hidden_act` is 'mish'; known are gelu, gelu_new, gelu_pytorch_tanh, relu and silu."),
}


@pytest.mark.parametrize(("change", "message"), WRONG_CONFIGS.values(), ids=list(WRONG_CONFIGS))
def test_wrong_config_is_refused_by_its_key(tmp_path, change, message):
    folder = write_model(tmp_path / "tiny", {**BERT, **change}, checkpoint())
    with pytest.raises(RunError, match=re.escape(message)):
        recognize(str(folder), "pieces")


TWO = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}
WRONG_MODULES = {
    "dense layer": (
        ["Transformer", "Pooling", "Dense"],
        {},
        "its steps are Transformer, Pooling and Dense; known are Transformer, Pooling",
    ),
    "two poolings": (["Transformer", "Pooling"], TWO, f"it pools by pooling_mode_cls_token and pooling_mode_mean_tokens; {KNOWN}"),
    "unknown pooling": (["Transformer", "Pooling"], {"pooling_mode_lasttoken": True}, f"it pools by pooling_mode_lasttoken; {KNOWN}"),
}


@pytest.mark.parametrize(("modules", "pooling", "message"), WRONG_MODULES.values(), ids=list(WRONG_MODULES))
def test_unknown_steps_behind_the_network_are_refused(tmp_path, modules, pooling, message):
    folder = write_model(tmp_path / "tiny", BERT, checkpoint(), modules, pooling)
    with pytest.raises(RunError, match=re.escape(message)):
        recognize(str(folder), "pieces")


WRONG_WEIGHTS = {
    "missing": ({"encoder.layer.1.output.dense.bias": None}, "`encoder.layer.1.output.dense.bias` is missing for"),
    "surplus": ({"extra": np.zeros(2)}, "`extra` is not part of"),
    "shape": ({"embeddings.LayerNorm.weight": np.ones(7)}, "`embeddings.LayerNorm.weight` is (7,) instead of (8,) in"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_WEIGHTS.values(), ids=list(WRONG_WEIGHTS))
def test_weights_that_do_not_fit_are_named(tensorflow, tmp_path, change, message):
    arrays = {name: values for name, values in {**checkpoint(), **change}.items() if values is not None}
    folder = write_model(tmp_path / "tiny", BERT, arrays)
    with pytest.raises(RunError, match=re.escape(message)):
        vectors(folder, IDS)


def test_longer_texts_than_positions_are_refused(tensorflow, tmp_path):
    from mmtrain.encoders.loading import load_encoder

    folder = write_model(tmp_path / "tiny", ROBERTA)
    with pytest.raises(RunError, match=re.escape("it reads 7 pieces at most, and `max_length` is 8")):
        load_encoder(str(folder), PieceSpec(8, VOCABULARY, 1))


PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##b"]


def tokenizer_json(**changes):
    values = {
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {piece: number for number, piece in enumerate(PIECES)}},
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "strip_accents": None, "lowercase": False},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    }
    return json.dumps({name: {**value, **changes.get(name, {})} for name, value in values.items()})


def test_tokenizer_of_either_file(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    lower = read_tokenizer(tmp_path)
    assert (list(lower.pieces), lower.rules.lower_case, lower.rules.strip_accents) == (PIECES, True, True)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "tokenize_chinese_chars": False}))
    assert read_tokenizer(tmp_path).rules.model_dump() == {"lower_case": False, "strip_accents": False, "split_chinese": False}
    (tmp_path / "tokenizer.json").write_text(tokenizer_json())
    assert read_tokenizer(tmp_path).rules.model_dump() == {"lower_case": False, "strip_accents": False, "split_chinese": True}


NO_SPECIAL = "it is not a vocabulary of WordPiece: the vocabulary has no piece '[CLS]'."
WRONG_TOKENIZERS = {
    "method": (tokenizer_json(model={"type": "WordLevel"}), "its `model` is 'WordLevel'; WordPiece, BPE or Unigram is what can be read."),
    "prefix": (tokenizer_json(model={"continuing_subword_prefix": "@@"}), "its `continuing_subword_prefix` is '@@'; '##' is what can be"),
    "holes": (tokenizer_json(model={"vocab": {"a": 0, "b": 2}}), "its vocabulary does not number the pieces from 0 on."),
    "ids that are texts": (tokenizer_json(model={"vocab": {"a": "x", "b": 1}}), "its vocabulary does not number the pieces from 0 on."),
    "no special pieces": (tokenizer_json(model={"vocab": {"[UNK]": 0}}), NO_SPECIAL),
    "no normalizer": (json.dumps({"model": {"type": "WordPiece"}}), "it has no part `normalizer`."),
    "not JSON": ("{", "it cannot be read as JSON"),
}


@pytest.mark.parametrize(("text", "message"), WRONG_TOKENIZERS.values(), ids=list(WRONG_TOKENIZERS))
def test_other_tokenizers_are_refused(tmp_path, text, message):
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(RunError, match=re.escape(message)):
        read_tokenizer(tmp_path)


def test_a_vocabulary_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(RunError, match=re.escape(f"{tmp_path / 'vocab.txt'}: it cannot be read as text in UTF-8: ")):
        read_tokenizer(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(
        RunError,
        match=re.escape(
            "it has no tokenizer: neither tokenizer.json, sentencepiece.bpe.model, spiece.model, vocab.json nor vocab.txt is there."
        ),
    ):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_padding_of_a_bert_with_the_tokenizer_of_xlm_roberta(tmp_path, file):
    """Multilingual E5 and MiniLM: their config.json has BERT's id of padding."""
    folder = write_model(tmp_path / "tiny", BERT, checkpoint())
    values = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps({**values, "tokenizer_class": "XLMRobertaTokenizerFast"}))
    assert recognize(str(folder), "pieces").architecture.padding == 1
