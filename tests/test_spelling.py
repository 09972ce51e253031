"""Blanks around names, and names that are nearly spelled alike."""

import sys

import numpy as np
import pyarrow as pa
import pytest

from mmtrain.spelling import BLANKS, WHITE_SPACE, keys, rounded, trimmed

CHARACTERS = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def test_blanks_are_white_space_of_every_script_and_what_has_no_ink():
    assert set(WHITE_SPACE) == {character for character in CHARACTERS if character.isspace()}
    assert set("\u200b\u200d\u200e\u2060\ufeff\u00ad") < set(BLANKS)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("side", ["behind", "before"])
def test_the_layer_of_the_saved_model_cuts_off_what_the_table_does(side):
    import tensorflow as tf

    from mmtrain.layers.encoding import EncodeCategory

    cells = [f"a{character}" if side == "behind" else f"{character}a" for character in CHARACTERS]
    same = np.array(trimmed(pa.array(cells, pa.large_string())).to_pylist()) == "a"
    codes, _ = EncodeCategory(categories=["a"], masked=False)(tf.constant(cells)[:, None])
    assert same.sum() == len(BLANKS)
    np.testing.assert_array_equal(codes[:, 0], np.where(same, 2, 1))


@pytest.mark.usefixtures("tensorflow")
def test_the_layer_takes_a_category_of_blanks_for_a_missing_one_and_bytes_that_are_not_text_for_unseen():
    import tensorflow as tf

    from mmtrain.layers.encoding import EncodeCategory

    codes, present = EncodeCategory(categories=["a"], masked=True)(tf.constant([[b" \xe2\x80\x8b\t"], [b""], [b" a "], [b" \xff"]]))
    assert codes.numpy().ravel().tolist() == [0, 0, 2, 1]
    assert present.numpy().ravel().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("alike", "key"),
    [
        (["P7", "p7", " P7", "\uff30\uff17", "P\u200b7"], "p7"),
        (["7", "007", "7.0", "7.", "+7", "\uff17"], "7"),
        (["-7.5", "-07.50", "\u22127.5"], "-7.5"),
        (["0", "00", "0.0"], "0"),
        (["New York", "new  york", "New\u00a0York", "NEW YORK"], "new york"),
        (["Zo\u00eb", "Zoe\u0308", "ZO\u00cb"], "zo\u00eb"),
        (["Stra\u00dfe", "STRASSE"], "strasse"),
        (["a-1", "A\u20131", "a\u20111"], "a-1"),
        (["O'Neil", "O\u2019Neil"], "o'neil"),
        (["", " ", "\u200b"], ""),
    ],
)
def test_near_spellings_have_one_key(alike, key):
    assert keys(pa.array(alike, pa.large_string())).to_pylist() == [key] * len(alike)


def test_other_names_have_keys_of_their_own():
    others = [
        "P7",
        "P07",
        "P 7",
        "P-7",
        "P_7",
        "7",
        "70",
        "-7",
        "7.01",
        "7,0",
        "1.2.0",
        "A+",
        "A-",
        "12345678901234567",
        "12345678901234568",
    ]
    assert len(set(keys(pa.array(others, pa.large_string())).to_pylist())) == len(others)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *[("1.23457E+14", True), ("1,23457E+14", True), ("1.2345678901234568e+17", True), ("5E+10", True)],
        *[("12E4", False), ("1E5", False), ("1.5e-07", False), ("E+14", False), ("123457", False)],
    ],
)
def test_a_rounded_id_is_recognised(cell, expected):
    assert rounded(pa.array([cell], pa.large_string())).to_pylist() == [expected]
