"""Word vectors from files: only those of known words, in every format that they are published in."""

import re

import numpy as np
import pytest

from mmtrain.errors import RunError
from mmtrain.text.word_vectors import read_word_vectors

WORDS = ("dress", "the", "größe", "unknown")
EXPECTED = {"the": [1.0, 2.0], "dress": [3.0, 4.0], "größe": [5.0, 6.0]}
LINES = "the 1 2\nother 9 9\ndress 3.0 4e0\nthe 8 8\nthe end 7 7\ngröße 5 6\n"


def by_word(path):
    found = read_word_vectors(str(path), WORDS)
    assert found.vectors.dtype == np.float32
    return {WORDS[position]: vector.tolist() for position, vector in zip(found.positions, found.vectors, strict=True)}


@pytest.mark.parametrize("text", [LINES, f"6 2\n{LINES}", LINES.replace("\n", " \r\n")], ids=["GloVe", "fastText", "blanks at the end"])
def test_text_files(tmp_path, text):
    (tmp_path / "vectors.txt").write_text(text, encoding="utf-8")
    assert by_word(tmp_path / "vectors.txt") == EXPECTED


@pytest.mark.parametrize("words", ["vectors.txt", "index.parquet"])
def test_array_with_a_list_of_words(tmp_path, words):
    names = ["the", "other", "dress", "größe"]
    np.save(tmp_path / "vectors.npy", np.array([[1, 2], [9, 9], [3, 4], [5, 6]], np.float32))
    if words.endswith(".txt"):
        (tmp_path / words).write_text("\n".join(names) + "\n", encoding="utf-8")
    else:
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table({"index": names}), tmp_path / words)
    assert by_word(tmp_path / "vectors.npy") == EXPECTED


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("the 1 2\n")
    assert by_word(path) == {"the": [1.0, 2.0]}
    path.write_text("the 1 2.5\n")
    assert by_word(path) == {"the": [1.0, 2.5]}


WRONG = {
    "text.txt": ("the 1 2\ndress 1 x\n", ":2: the line does not have 2 numbers behind its word."),
    "short.txt": ("the 1 2\ndress 1\n", ":2: the line does not have 2 numbers behind its word."),
    "nothing.txt": ("other 1 2\n", ": it has vectors of none of the 4 words of the texts."),
    "prose.txt": ("words\n", ":1: the line is not a word and its numbers."),
    "noarray.npy": ("the 1 2\n", ": it is not an array of NumPy."),
    "empty.npy": ("", ": it is not an array of NumPy."),
    "large.txt": ("the 1 2\ndress 1e39 2\n", ":2: the line does not have 2 numbers behind its word."),
}


@pytest.mark.parametrize(("name", "text", "message"), [(name, *case) for name, case in WRONG.items()], ids=list(WRONG))
def test_other_files_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(RunError, match=re.escape(f"{tmp_path / name}{message}")):
        read_word_vectors(str(tmp_path / name), WORDS)


def test_array_needs_as_many_words_as_rows(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros((3, 2), np.float32))
    with pytest.raises(RunError, match=re.escape("its list of words is not there: v.txt, with a word on each line.")):
        read_word_vectors(str(tmp_path / "v.npy"), WORDS)
    (tmp_path / "v.txt").write_text("the\ndress\n")
    with pytest.raises(RunError, match=re.escape("it has 3 rows, and its list 2 words.")):
        read_word_vectors(str(tmp_path / "v.npy"), WORDS)


@pytest.mark.parametrize("wrong", [np.nan, 1e300])
def test_array_has_numbers_that_float32_holds(tmp_path, wrong):
    np.save(tmp_path / "v.npy", np.array([[1, 2], [3, wrong]]))
    (tmp_path / "v.txt").write_text("the\ndress\n")
    with pytest.raises(RunError, match=re.escape("v.npy, row 1: the vector of 'dress' has values that are not finite.")):
        read_word_vectors(str(tmp_path / "v.npy"), WORDS)


@pytest.mark.parametrize(("name", "what"), [("v.txt", "its list of words is not text in UTF-8"), ("v.parquet", "words cannot be read")])
def test_a_damaged_list_of_words_is_named(tmp_path, name, what):
    np.save(tmp_path / "v.npy", np.ones((2, 2), np.float32))
    (tmp_path / name).write_bytes(b"the\n\xff\n")
    with pytest.raises(RunError, match=re.escape(what)):
        read_word_vectors(str(tmp_path / "v.npy"), WORDS)


def test_an_archive_of_arrays_is_refused(tmp_path):
    with (tmp_path / "v.npy").open("wb") as file:
        np.savez(file, np.ones((2, 2)))
    with pytest.raises(RunError, match=re.escape("it is an archive of arrays.")):
        read_word_vectors(str(tmp_path / "v.npy"), WORDS)


def test_a_mark_of_the_order_of_bytes_is_no_part_of_the_first_word(tmp_path):
    (tmp_path / "vectors.txt").write_text(LINES, encoding="utf-8-sig")
    assert by_word(tmp_path / "vectors.txt") == {**EXPECTED, "the": [1.0, 2.0]}


def test_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=re.escape("the word vectors cannot be read: No such file or directory.")):
        read_word_vectors(str(tmp_path / "none.txt"), WORDS)


@pytest.mark.parametrize("architecture", ["embedding_average", "text_cnn", "text_gru", "text_transformer"])
def test_embedding_begins_with_the_vectors_of_known_words(tensorflow, tmp_path, architecture):
    import keras

    from mmtrain.branches import Input, architectures
    from mmtrain.specs import TokenSpec

    (tmp_path / "vectors.txt").write_text("dress 1 2 3 4\nsea 5 6 7 8\n")
    spec = TokenSpec(3, 6, ("the", "dress", "fit"))
    tokens = keras.Input((3,), dtype="int32")
    options = {"embeddings": str(tmp_path / "vectors.txt"), "train_embeddings": False}
    features = architectures[architecture].build({"note": Input(tokens, None, spec)}, **options)
    embedding = features.groups["backbone"][0]
    table = embedding.embeddings.numpy()
    assert table.shape == (6, 4)
    assert table[4].tolist() == [1, 2, 3, 4]
    assert (np.abs(np.delete(table, 4, axis=0)) < 0.06).all()  # random as ever
    assert features.notes == ("note: 1 of 3 words have vectors in vectors.txt; the others begin with random ones.",)
    assert not embedding.trainable_weights
