"""`role: text` with `vectorize: pieces`: the tokenizer of a pretrained encoder as a column."""

import re

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError
from tiny_encoders import PIECES, write_model

from mmtrain.columns import AnyFittedColumn, Text
from mmtrain.columns.vectorizers.text_pieces import FittedPieces
from mmtrain.errors import RunError
from mmtrain.specs import PieceSpec


def cells(*values):
    return pd.Series(values, dtype="str")


@pytest.fixture
def fitted(tmp_path):
    model = write_model(tmp_path / "tiny")
    return Text(vectorize="pieces", model=str(model), max_length=6, missing="mask").fit([cells("good dresses", None), cells("bad", None)])


def test_vocabulary_and_rules_are_those_of_the_model(fitted):
    assert (fitted.model, list(fitted.tokenizer.pieces), fitted.length, fitted.missing) == ("tiny", PIECES, 6, 2)
    assert fitted.spec == PieceSpec(6, len(PIECES), 0)
    assert fitted.learned_words(Text(), str) == "the vocabulary of tiny, 11 pieces; 6 pieces kept of each text; missing in 2 training rows"
    words = fitted.recipe()
    assert words.encoded == (
        "Divide the text with the tokenizer of tiny (WordPiece; `tokenizer` of columns.json holds its pieces in the order of their ids, "
        "and its rules), keep 4 pieces at most, between [CLS] and [SEP]; 0 after the last."
    )
    assert words.present == "1 if there is a piece, else 0."


def test_survives_json_as_another_class_than_words(fitted):
    adapter = TypeAdapter(AnyFittedColumn)
    back = adapter.validate_json(fitted.model_dump_json())
    assert isinstance(back, FittedPieces)
    assert back == fitted
    assert type(adapter.validate_json(Text().fit([cells("a")]).model_dump_json())).__name__ == "FittedText"


def test_layer_reads_cells(tensorflow, fitted):
    raw = fitted.raw(cells("The good DRESSES fit!", None, "..."))
    ids, present = fitted.preprocessing()(raw)
    named = [[PIECES[number] for number in row] for row in ids.numpy()]
    assert named[0] == ["[CLS]", "the", "good", "dress", "##es", "[SEP]"]
    assert named[1] == ["[CLS]", "[SEP]", *["[PAD]"] * 4]
    assert named[2][:4] == ["[CLS]", *["[UNK]"] * 3]
    assert present.numpy().tolist() == [[1], [0], [1]]
    assert [fitted.says_nothing(np.asarray(row[None])) for row in ids.numpy()] == [False, True, False]


def test_summary_counts_missing_texts_and_unknown_pieces(tensorflow, fitted):
    from mmtrain.columns.summaries.base import SeenRows

    accumulator = fitted.accumulator()
    ids, _ = fitted.preprocessing()(fitted.raw(cells("good good fit", None, "!", "")))
    accumulator.add(SeenRows(entries=ids.numpy()))
    assert accumulator.statistics().model_dump(exclude={"kind"}) == {"rows": 4, "missing": 2, "unseen": 1, "once": 1}


def test_is_read_without_the_folder_of_the_model(tensorflow, fitted, tmp_path):
    (tmp_path / "tiny").rename(tmp_path / "gone")
    ids, _ = fitted.preprocessing()(fitted.raw(cells("good")))
    assert ids.numpy().tolist() == [[2, 4, 3, 0, 0, 0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vectorize": "pieces"}, "`vectorize: pieces` needs `model`, the folder or name of the encoder that reads them."),
        ({"vectorize": "pieces", "model": "m", "max_length": 2}, "`max_length` of pieces is at least 3"),
    ],
)
def test_declaration_needs_a_model_and_room(options, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        Text(**options)


def test_options_of_words_have_no_effect():
    pieces = Text(vectorize="pieces", model="m", max_tokens=5, min_count=1)
    assert pieces.kind == "pieces"
    assert pieces.options_without_effect() == {
        "max_tokens": ("`max_tokens` has no effect with `vectorize: pieces`: the vocabulary is that of the model.", "Leave it out.")
    }
    assert Text(model="m").options_without_effect() == {
        "model": ("`model` has no effect with `vectorize: tfidf`.", "Set `vectorize: pieces`, or leave it out.")
    }
    assert Text().option_for({"pieces"}) == "vectorize: pieces"


def test_model_that_is_not_there_is_named():
    with pytest.raises(RunError, match="model all-minilm: its weights are not there"):
        Text(vectorize="pieces", model="all-minilm").fit([cells("a")])
