"""Options of texts: frequent words left out, accents, several columns joined."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.columns import Text

pytestmark = pytest.mark.usefixtures("tensorflow")


def cells(*values):
    return pd.Series(list(values), dtype="str")


def ids(fitted, *values):
    return fitted.preprocessing()(fitted.raw(cells(*values)))[0].numpy()


def test_words_in_a_larger_share_of_the_texts_are_left_out_with_their_pairs():
    training = cells("the cat", "the dog", "the cat sat", "a dog")
    assert Text(max_share=0.5, ngrams=1).fit([training]).words == ("cat", "dog", "a", "sat")
    assert Text(max_share=0.75).fit([training]).words[:2] == ("the", "cat")
    assert "the cat" in Text(max_share=0.75).fit([training]).words
    assert "the cat" not in Text(max_share=0.5).fit([training]).words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Résumé ÉCOLE", ("ecole", "resume")),
        ("re\u0301sume\u0301", ("resume",)),
        ("Việt đường", ("viet", "đuong")),  # đ has no accent in Unicode
        ("Ελλάδα ώρα", ("ελλαδα", "ωρα")),
        ("Straße smørrebrød", ("smørrebrød", "straße")),
        ("мой", ("мой",)),  # a letter of its own
        ("日本語 नमस्ते ภาษา", ("नमस्ते", "ภา", "ษา", "าษ", "日本", "本語")),
    ],
)
def test_accents_of_latin_and_greek_letters_are_taken_off(text, words):
    assert Text(accents="remove", ngrams=1).fit([cells(text)]).words == words


@pytest.mark.parametrize("options", [{}, {"vectorize": "tokens"}, {"vectorize": "hashed", "buckets": 64}])
def test_word_with_and_without_accents_is_one_word(options):
    fitted = Text(accents="remove", **options).fit([cells("café", "the")])
    first, second, third = ids(fitted, "Cafe", "CAFÉ", "cafe\u0301")
    assert first.tolist() == second.tolist() == third.tolist()
    kept = Text(**options).fit([cells("café", "the")])
    assert ids(kept, "Cafe")[0].tolist() != ids(kept, "CAFÉ")[0].tolist()


@pytest.mark.parametrize("options", [{}, {"vectorize": "tokens"}, {"vectorize": "hashed", "buckets": 64}])
def test_texts_of_several_columns_are_read_as_one(options):
    title, body = ["Red rash", None, "Cough", None], ["since May", "red eyes", None, None]
    table = pd.DataFrame({"body": body, "title": title}, dtype="str")
    together = [" ".join(filter(None, both)) or None for both in zip(title, body, strict=True)]
    joined = Text(columns=("title", "body"), **options).fit([table])
    single = Text(column="text", **options).fit([cells(*together)])
    assert joined.model_copy(update={"headers": ()}) == single
    encoded, present = joined.preprocessing()(joined.raw(table))
    expected, shown = single.preprocessing()(single.raw(cells(*together)))
    assert np.array_equal(encoded, expected)
    assert np.array_equal(present, shown)
    assert Text(columns=("title", "body")).missing_cells(table).tolist() == [False, False, False, True]


def test_attributions_of_joined_texts_belong_to_their_words():
    fitted = Text(columns=("title", "body"), vectorize="tokens").fit([pd.DataFrame({"title": ["Red"], "body": ["eyes"]}, dtype="str")])
    parts = fitted.attribute("title: Red, body: eyes", np.array([0.25, 0.5]), np.array([[3, 4]]))
    assert parts.reading == (("red", 0.25), ("eyes", 0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("a",)}, "`columns` names two headers or more"),
        ({"columns": ("a", "a")}, "`columns` names two headers or more"),
        ({"columns": ("a", "b"), "vectorize": "pieces", "model": "x"}, "`columns` needs another `vectorize` than pieces"),
    ],
)
def test_columns_that_cannot_be_joined_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Text(**options)
