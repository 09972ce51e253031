"""Column roles: what is refused in the cells, what is learned from training rows, and how every cell is encoded after that."""

import math

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from mmtrain.columns import (
    AnyFittedColumn,
    Audio,
    Categorical,
    Date,
    Embedding,
    Group,
    Id,
    Image,
    Images,
    InputColumn,
    Numeric,
    Split,
    Text,
    Time,
    TimeSeries,
    Volume,
    Weight,
    roles,
)
from mmtrain.columns.base import fitted_roles
from mmtrain.columns.fitted_column import RawInput
from mmtrain.columns.pixels.image import FittedImage
from mmtrain.columns.summaries.base import SeenRows
from mmtrain.specs import BagSpec, ImageSpec, IndexSpec, TokenSpec, VectorSpec
from mmtrain.targets import Target

HALF = math.log(5 / 2) + 1


def cells(*values):
    return pd.Series(list(values), dtype="str")


def encoded(fitted, *values):
    """Encoded cells and their presence, as lists of rows."""
    codes, present = fitted.preprocessing()(fitted.raw(cells(*values)))
    return codes.numpy().tolist(), present.numpy().ravel().tolist()


EMPTY = "the cell is empty."
WORD = "Write a number, or list {!r} under `data.missing_values` if it stands for a missing value."
FINITE = "Write a finite number, or leave the cell empty."
RANGE = "Write a number between -3.4e38 and 3.4e38, or leave the cell empty."
COMMA = "Write the decimal point as a dot and leave out thousands separators, or set `decimal` or `thousands` in `data.format`."
OWN_ID = "Give every row an id of its own."
FAULTS = [
    (Numeric(), ["1", None, " 2 ", "-1.5e3", ".5"], []),
    (Numeric(), ["1", "abc", "2", "x"], [([1, 3], "'abc' is not a number.", WORD.format("abc"))]),
    (Numeric(), ["nan"], [([0], "'nan' is not a number.", WORD.format("nan"))]),
    (Numeric(), ["True"], [([0], "'True' is not a number.", WORD.format("True"))]),
    (Numeric(), ["1_000", "0x1F", "３"], [([0, 1, 2], "'1_000' is not a number.", WORD.format("1_000"))]),
    (Numeric(), ["1", "1,5"], [([1], "'1,5' is not a number.", COMMA)]),
    (Numeric(), ["1,234.5"], [([0], "'1,234.5' is not a number.", COMMA)]),
    (Numeric(), ["1", "-inf"], [([1], "'-inf' is infinite.", FINITE)]),
    (Numeric(), [" Infinity "], [([0], "' Infinity ' is infinite.", FINITE)]),
    (Numeric(), ["3.4e38", "-3.5e38"], [([1], "'-3.5e38' is too large.", RANGE)]),
    (Numeric(), ["1e400"], [([0], "'1e400' is too large.", RANGE)]),
    (Numeric(), [None, None], [([0], "no row has a number.", "Remove the column from the file, or fill it in.")]),
    (Numeric(missing="mask"), ["1", None], []),
    (Numeric(missing="drop"), ["1", None], []),
    (Numeric(missing="mean"), ["1", None], []),
    (Numeric(missing="constant"), ["1", None], []),
    (
        Numeric(missing="error"),
        ["1", None, "x", None],
        [
            ([2], "'x' is not a number.", WORD.format("x")),
            (
                [1, 3],
                EMPTY,
                "Fill it in, set `missing: median` to use the training median, set `missing: mean` to use the training mean, set "
                "`missing: constant` to use a number of your own, set `missing: mask` to leave the number out of that row, or "
                "set `missing: drop` to leave the row out.",
            ),
        ],
    ),
    (Categorical(), ["a", None], []),
    (Categorical(missing="mask"), ["a", None], []),
    (Categorical(missing="drop"), ["a", None], []),
    (
        Categorical(missing="error"),
        ["a", None],
        [
            (
                [1],
                EMPTY,
                "Fill it in, set `missing: code` to treat a missing value as a category, set `missing: mask` to leave the category out of "
                "that row, or set `missing: drop` to leave the row out.",
            )
        ],
    ),
    (Text(), ["a", None], []),
    (Text(missing="mask"), ["a", None], []),
    (Text(missing="drop"), ["a", None], []),
    (
        Text(missing="error"),
        [None, "a"],
        [
            (
                [0],
                EMPTY,
                "Fill it in, set `missing: code` to treat a missing text as a word of its own, set `missing: mask` to leave the text out "
                "of that row, or set `missing: drop` to leave the row out.",
            )
        ],
    ),
    # The image store reports on images: the file behind a cell decides, not the cell alone.
    *[(role(missing=policy), ["a.png", None], []) for policy in ("error", "drop", "mask") for role in (Image, Images)],
    (Date(), ["2024-03-01", None, "1.4.2024 10:30", "Apr 2, 2024"], []),  # more of them in test_dates
    (Date(missing="mask"), ["2024-03-01", None], []),
    (Date(missing="drop"), ["2024-03-01", None], []),
    (
        Date(missing="error"),
        ["2024-03-01", None],
        [
            (
                [1],
                EMPTY,
                "Fill it in, set `missing: mean` to use the training mean, set `missing: mask` to leave the date out of that row, "
                "or set `missing: drop` to leave the row out.",
            )
        ],
    ),
    (Embedding(), ["[1, 2]", None, "3;4", '["5", "6"]'], []),  # more of them in test_embeddings
    (Embedding(missing="mask"), ["[1, 2]", None], []),
    (Embedding(missing="drop"), ["[1, 2]", None], []),
    (
        Embedding(missing="error"),
        ["[1, 2]", None],
        [
            (
                [1],
                EMPTY,
                "Fill it in, set `missing: mean` to use the training mean, set `missing: mask` to leave the vector out of that row, "
                "or set `missing: drop` to leave the row out.",
            )
        ],
    ),
    *[(Volume(missing=policy), ["a.nii.gz", None], []) for policy in ("error", "drop", "mask")],
    *[(Audio(missing=policy), ["a.wav", None], []) for policy in ("error", "drop", "mask")],
    (TimeSeries(), ["[1, 2]", None, "[]", "3"], []),  # more of them in test_sequences
    (TimeSeries(missing="drop"), ["[1, 2]", None], []),
    (
        TimeSeries(missing="error"),
        ["[1, 2]", None],
        [([1], EMPTY, "Fill it in, set `missing: mask` to leave the series out of that row, or set `missing: drop` to leave the row out.")],
    ),
    (Group(), ["a", "a"], []),
    (Group(), ["a", None], [([1], EMPTY, "Fill it in, or set `missing: drop` to leave the row out.")]),
    (Group(missing="drop"), ["a", None], []),
    (Id(), ["a", "b"], []),
    (
        Id(),
        ["a", None, "b", "a", None, "a"],
        [
            ([1, 4], "the id is empty.", OWN_ID),
            (
                [3, 5],
                "the id 'a' occurs more than once.",
                "Give every row an id of its own, or use the role `group` if rows belong together.",
            ),
        ],
    ),
    (Split(), ["train", "validation", "test"], []),
    (Split(), ["train", "Probe", None], [([1, 2], "'Probe' is not a part.", "Write train, validation or test.")]),
    (Split(), ["train", None, "Probe"], [([1, 2], EMPTY, "Write train, validation or test.")]),
    (Time(), ["2024-03-01", "1.4.2024"], []),  # more of them in test_split_time
    (Time(), ["2024", None], [([1], EMPTY, "Fill it in, or set `missing: drop` to leave the row out.")]),
    (Time(missing="drop"), ["2024", None], []),
    (Weight(), ["0", "2.5"], []),
    (Weight(), ["1", "-2", "-1"], [([1, 2], "the weight -2 is negative.", "Write 0 or more.")]),
    (Weight(), ["1", "1,5"], [([1], "'1,5' is not a number.", COMMA)]),
    (Weight(), ["inf"], [([0], "'inf' is infinite.", FINITE)]),
    (Weight(), ["1", None], [([1], EMPTY, "Fill it in, or set `missing: drop` to leave the row out.")]),
    (Weight(missing="drop"), ["1", None], []),
]


@pytest.mark.parametrize(("column", "values", "expected"), FAULTS)
def test_faults_name_the_rows_what_was_found_and_what_would_be_right(column, values, expected):
    assert [(fault.rows.tolist(), fault.what, fault.fix) for fault in column.faults(cells(*values))] == expected


def test_every_role_and_policy_has_an_example_of_its_faults():
    """Targets have theirs in test_targets."""
    shown = {(column.role, getattr(column, "missing", "")) for column, _, _ in FAULTS}
    known = {
        (name, policy)
        for name, column in roles.items()
        if name != "target"
        for policy in (column.model_fields["missing"].annotation.__args__ if "missing" in column.model_fields else [""])
    }
    assert shown == known
    assert len(known) == 3 + 3 + 4 + 6 + 4 + 4 + 4 + 3 + 3 + 3 + 2 + 2 + 2 + 1 + 1
    assert set(roles) == {name for name, _ in known} | {Target.model_fields["role"].default}


NUMBERS = [
    # options, training cells, (fill, center, scale, indicator, masked, minimum, maximum, missing)
    ({}, ["1", "2", "6"], (2, 3, math.sqrt(14 / 3), False, False, 1, 6, 0)),
    ({}, ["1", None, "2", "6", "3"], (2.5, 3, math.sqrt(3.5), True, False, 1, 6, 1)),
    ({"normalize": "minmax"}, ["4", "2", "10"], (4, 2, 8, False, False, 2, 10, 0)),
    ({"normalize": "none"}, ["4", "2", "10"], (4, 0, 1, False, False, 2, 10, 0)),
    ({"missing": "mask"}, ["1", None, "3"], (2, 2, 1, False, True, 1, 3, 1)),
    ({"missing": "mask", "normalize": "minmax"}, ["1", None, "3"], (1, 1, 2, False, True, 1, 3, 1)),
    ({"normalize": "robust"}, ["1", "2", "3", "4", "100"], (3, 3, 2, False, False, 1, 100, 0)),
    ({"normalize": "robust"}, ["1", "1", "1", "1", "6"], (1, 1, 2, False, False, 1, 6, 0)),  # half are equal: the deviation
    ({"missing": "mean"}, ["1", None, "3", "8"], (4, 4, math.sqrt(26 / 3), True, False, 1, 8, 1)),
    ({"missing": "constant", "constant": -1}, ["1", None, "3"], (-1, 2, 1, True, False, 1, 3, 1)),
    ({"missing": "constant", "constant": -1}, ["1", "3"], (-1, 2, 1, False, False, 1, 3, 0)),
    ({"missing": "error"}, ["1", "3"], (2, 2, 1, False, False, 1, 3, 0)),
    ({"missing": "drop"}, ["1", "3"], (2, 2, 1, False, False, 1, 3, 0)),
    ({}, ["7", "7.0"], (7, 7, 1, False, False, 7, 7, 0)),
    # The mean of these is 0.10000000000000002 and their standard deviation 1e-17, not 0.
    ({}, ["0.1", "0.1", "0.1"], (0.1, 0.1, 1, False, False, 0.1, 0.1, 0)),
    ({"normalize": "minmax"}, ["0.1", "0.1", "0.1"], (0.1, 0.1, 1, False, False, 0.1, 0.1, 0)),
    # Squares of these are 0 in float64.
    ({}, ["1e-200", "3e-200"], (2e-200, 2e-200, 1, False, False, 1e-200, 3e-200, 0)),
    ({}, [None, None], (0, 0, 1, True, False, 0, 0, 2)),
    ({"missing": "mask"}, [None, None], (0, 0, 1, False, True, 0, 0, 2)),
]


@pytest.mark.parametrize(("options", "values", "expected"), NUMBERS)
def test_numeric_learns_these_values(options, values, expected):
    fitted = Numeric(**options).fit([cells(*values)])
    assert tuple(getattr(fitted, name) for name in ("fill", "center", "scale", "indicator", "masked", "minimum", "maximum", "missing")) == (
        pytest.approx(expected, rel=1e-15)
    )
    assert fitted.spec == VectorSpec(2 if fitted.indicator else 1, "auto", fitted.spec.edges, fitted.spec.ranks, few_rows=True)
    assert len(fitted.spec.edges) == len(fitted.spec.ranks)


@pytest.mark.usefixtures("tensorflow")
def test_fit_learns_the_same_from_pieces_as_from_one():
    values = ["3", None, "1", "2", "2"]
    fitted = 0
    for column in (Numeric(), Categorical(), Text(), Text(vectorize="tokens"), Image()):
        assert column.fit(iter([cells(*values[:2]), cells(*values[2:])])) == column.fit([cells(*values)])
        fitted += 1
    assert fitted == 5


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("options", "training", "values", "expected", "present"),
    [
        ({}, ["1", "3"], ["3", " 1 ", None, "abc", "1,5"], [[1], [-1], [0], [0], [0]], [1, 1, 1, 1, 1]),
        (
            {},
            ["1", "3", "3", "1", None, "10"],  # median 3, mean 3.6, standard deviation 3.3226...
            ["3.6", None, "abc", "inf", "1e39", "nan"],
            [[0, 0], *[[np.float32(-0.6 / math.sqrt(11.04)), 1]] * 5],
            [1, 1, 1, 1, 1, 1],
        ),
        ({"normalize": "minmax"}, ["2", "4"], ["3", "6", None], [[0.5], [2], [0.5]], [1, 1, 1]),
        ({"normalize": "none"}, ["2", "4"], ["3", "-1e5", "x"], [[3], [-1e5], [3]], [1, 1, 1]),
        ({"missing": "mask"}, ["1", None, "3"], ["3", None, "abc"], [[1], [0], [0]], [1, 0, 0]),
        ({"missing": "error"}, ["1", "3"], ["3", None], [[1], [0]], [1, 1]),
        ({}, ["5", "5"], ["5", "6"], [[0], [1]], [1, 1]),
        ({}, [None, None], ["2", None], [[2, 0], [0, 1]], [1, 1]),
    ],
)
def test_numeric_encodes_any_cell(options, training, values, expected, present):
    codes, shown = encoded(Numeric(**options).fit([cells(*training)]), *values)
    assert np.allclose(codes, expected, rtol=1e-7, atol=0)
    assert shown == present


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("center", "scale", "value"),
    [
        (16_777_216.0, 1.0, 16_777_217.0),  # float32 cannot tell these two apart
        (1_700_000_000.0, 86_400.0, 1_700_000_001.0),
        (0.1, 0.3, 0.7),
        (1e15, 7.0, 1e15 + 2),
        *[(float(np.random.default_rng(seed).normal(1e6, 1e5)), 123.4, 987_654.321 + seed) for seed in range(5)],
    ],
)
def test_numbers_are_subtracted_in_float64_and_rounded_once(center, scale, value):
    values = cells(repr(center - scale), repr(center + scale))
    fitted = Numeric().fit([values]).model_copy(update={"center": center, "scale": scale})
    expected = np.float32((np.float64(value) - np.float64(center)) / np.float64(scale))
    codes, _ = fitted.preprocessing()(fitted.raw(cells(repr(value))))
    assert codes.numpy().tobytes() == expected.tobytes()
    assert expected != 0


@pytest.mark.usefixtures("tensorflow")
def test_number_that_float32_cannot_hold_after_scaling_counts_as_missing():
    fitted = Numeric().fit([cells("1", "1.001", None)])
    codes, present = fitted.preprocessing()(np.array([[3e38], [-3e38], [np.inf], [np.nan], [1e300]]))
    assert codes.numpy().tolist() == [[0, 1]] * 5
    assert present.numpy().tolist() == [[1]] * 5


CATEGORIES = [
    # options, training cells, categories
    ({}, ["b", "a", None, "b", "B", " b", "é", "Z"], (" b", "B", "Z", "a", "b", "é")),
    ({}, ["10", "9", "010"], ("010", "10", "9")),
    ({}, ["[UNK]", "nan", "NaN", "None", None], ("NaN", "None", "[UNK]", "nan")),
    ({"min_count": 2}, ["a", "b", "b", "c", "c", "c"], ("b", "c")),
    ({"max_categories": 2}, ["d", "c", "b", "a", "b", "c", "d"], ("b", "c")),  # b, c and d twice each: the first by text stay
    ({"max_categories": 1}, ["a", "z", "z"], ("z",)),
    ({"min_count": 3}, ["a", "b", "b"], ()),
    ({}, [None, None], ()),
]


@pytest.mark.parametrize(("options", "values", "expected"), CATEGORIES)
def test_categorical_learns_these_categories(options, values, expected):
    fitted = Categorical(**options).fit([cells(*values)])
    assert fitted.categories == expected
    assert fitted.missing == values.count(None)
    assert fitted.spec == IndexSpec(2 + len(expected))


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("options", "training", "values", "codes", "present"),
    [
        ({}, ["b", "a"], ["a", "b", None, "c", "A", "a "], [2, 3, 0, 1, 1, 2], [1] * 6),
        ({"missing": "mask"}, ["b", "a"], ["a", None, "c"], [2, 0, 1], [1, 0, 1]),
        ({}, ["[UNK]", "nan", "x"], ["[UNK]", "nan", "x", "NaN", "", None], [2, 3, 4, 1, 0, 0], [1] * 6),
        ({}, ["größe", "grösse", "日本", "😀"], ["grösse", "größe", "日本", "😀", "GRÖSSE"], [2, 3, 4, 5, 1], [1] * 5),
        ({}, ["x" * 100_000, "x" * 99_999], ["x" * 100_000, "x" * 99_999, "x" * 99_998], [3, 2, 1], [1] * 3),
        ({"min_count": 2}, ["a", "b", "b"], ["a", "b"], [1, 2], [1, 1]),
        ({}, [None], ["a", None], [1, 0], [1, 1]),
        ({"encode": "one_hot"}, ["b", "a"], ["a", None], [2, 0], [1, 1]),
    ],
)
def test_categorical_encodes_any_cell(options, training, values, codes, present):
    found, shown = encoded(Categorical(**options).fit([cells(*training)]), *values)
    assert found == [[code] for code in codes]
    assert shown == present


def test_categorical_passes_on_how_it_wants_to_be_expanded():
    assert Categorical(encode="one_hot").fit([cells("a")]).spec == IndexSpec(3, one_hot=True)
    assert Categorical(embedding_width=5).fit([cells("a")]).spec == IndexSpec(3, embedding_width=5)


LETTERS = ["a b c", "c b", "c", "d"]
WORDS = [
    # options, training cells, words, length, longest, missing
    ({}, ["The cat's HAT", "the dog; the cat", None, "… !"], ("the", "cat", "cat's", "dog", "hat"), 4, 4, 2),
    ({}, ["b b b", "a"], ("a", "b"), 3, 3, 0),  # in as many texts, so by their text
    ({}, LETTERS, ("c", "b", "a", "d"), 3, 3, 0),
    ({"min_count": 2}, LETTERS, ("c", "b"), 3, 3, 0),
    ({"min_count": 9}, LETTERS, (), 3, 3, 0),
    ({"max_tokens": 3}, LETTERS, ("c", "b", "a"), 3, 3, 0),
    ({"max_length": 2}, LETTERS, ("c", "b", "a", "d"), 2, 3, 0),
    ({"max_length": 9}, LETTERS, ("c", "b", "a", "d"), 9, 3, 0),
    ({}, ["x " * 300], ("x",), 256, 300, 0),
    ({"max_length": 280}, ["x " * 300], ("x",), 280, 300, 0),
    ({}, [None, "..."], (), 1, 0, 2),
    ({}, ["ÄRGER ärger", "ΣΊΣΥΦΟΣ σίσυφος", "ПРИВЕТ"], ("ärger", "σίσυφος", "привет"), 2, 2, 0),
    ({}, ["a1-b2_c", "x@y.org", "2,5 %"], ("2", "5", "a1", "b2", "c", "org", "x", "y"), 3, 3, 0),
    ({}, ["日本語、テキ"], ("テキ", "日本", "本語"), 3, 3, 0),
    ({}, ["e\u0301te\u0301"], ("e\u0301te\u0301",), 1, 1, 0),
    ({"missing": "mask"}, ["a", None], ("a",), 1, 1, 1),
]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("options", "values", "words", "length", "longest", "missing"), WORDS)
@pytest.mark.parametrize("vectorize", ["tfidf", "tokens"])
def test_text_learns_this_vocabulary(vectorize, options, values, words, length, longest, missing):
    fitted = Text(vectorize=vectorize, ngrams=1, **options).fit([cells(*values)])
    assert (fitted.words, fitted.length, fitted.longest, fitted.missing) == (words, length, longest, missing)
    assert fitted.masked is ("missing" in options)
    assert len(fitted.idf) == (3 + len(words) if vectorize == "tfidf" else 0)
    assert fitted.spec == (BagSpec(length, fitted.idf) if vectorize == "tfidf" else TokenSpec(length, 3 + len(words)))
    assert fitted.spec.size == 3 + len(words)


@pytest.mark.usefixtures("tensorflow")
def test_text_weighs_rare_words_more():
    fitted = Text().fit([cells("The cat's HAT", "the dog; the cat", None, "… !")])
    # padding, missing text, unseen word, "the" in two of four texts, four words in one each
    assert fitted.idf == pytest.approx((0, 1, math.log(5) + 1, math.log(5 / 3) + 1, HALF, HALF, HALF, HALF), rel=1e-15)


TRAINING = ["b a", "b a", "b", "c b"]  # ids: b 3, a 4, c 5; two words at most


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("value", "tokens", "bag"),
    [
        ("a b", [4, 3], [4, 3]),
        ("b a", [3, 4], [4, 3]),
        ("B, A!", [3, 4], [4, 3]),
        ("b", [3, 0], [3, 0]),
        ("b b", [3, 3], [3, 3]),
        ("b new", [3, 2], [3, 2]),
        ("new b", [2, 3], [3, 2]),
        ("b a c", [3, 4], [4, 3]),  # cut after two words in reading order
        ("c a b", [5, 4], [5, 4]),
        (None, [1, 0], [1, 0]),
        ("   ", [1, 0], [1, 0]),
        ("… — !?", [1, 0], [1, 0]),
        ("😀 👍🏽 … —", [2, 2], [2, 2]),  # emoji are words
        ("b'a", [2, 0], [2, 0]),  # an apostrophe belongs to the word
    ],
)
def test_text_encodes_any_cell(value, tokens, bag):
    assert encoded(Text(vectorize="tokens").fit([cells(*TRAINING)]), value) == ([tokens], [1])
    assert encoded(Text(ngrams=1).fit([cells(*TRAINING)]), value) == ([bag], [1])


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("training", "same"),
    [
        ("ärger", "ÄRGER"),
        ("σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("привет", "ПРИВЕТ"),
        ("don't", "DON'T"),
        ("i\u0307zmi\u0307r", "İZMİR"),
        ("çok", "ÇOK"),
    ],
)
def test_text_knows_a_word_in_either_case_of_any_script(training, same):
    assert encoded(Text(vectorize="tokens").fit([cells(training)]), same) == ([[3]], [1])


@pytest.mark.usefixtures("tensorflow")
def test_text_masked_is_absent_where_it_has_no_words():
    fitted = Text(missing="mask", ngrams=1).fit([cells("a b", None)])
    assert encoded(fitted, "b", None, "…", "new") == ([[4, 0], [1, 0], [1, 0], [2, 0]], [1, 0, 0, 1])


@pytest.mark.usefixtures("tensorflow")
def test_text_without_any_training_word_knows_missing_and_unseen():
    assert encoded(Text(vectorize="tokens").fit([cells(None)]), "a", None) == ([[2], [1]], [1, 1])


PAIRS = [
    # options, training cells, words
    ({}, ["b a", "b a", "b c"], ("b", "a", "b a", "c")),  # `b c` is in one text; `a` comes before the pair that is in as many
    ({}, ["A, b? a b", "a b"], ("a", "b", "a b")),  # a pair counts once a text, across punctuation
    ({}, ["a b", "c", "a b"], ("a", "b", "a b", "c")),  # no pair across texts
    ({}, ["a b a", "a b a"], ("a", "b", "a b", "b a")),
    ({}, ["a a", "a a"], ("a", "a a")),
    ({}, ["b a c", "b a c"], ("a", "b", "c", "a c", "b a")),  # ties by the order of their words
    ({"max_tokens": 4}, ["b a c", "b a c"], ("a", "b", "c", "a c")),
    ({"max_tokens": 2}, ["b a c", "b a c"], ("a", "b")),
    ({"min_count": 3}, ["a b", "a b", "a c"], ("a",)),
    ({"min_count": 3}, ["a b", "a b", "a b", "a c"], ("a", "b", "a b")),
    ({}, ["a"], ("a",)),
    ({}, [None], ()),
]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("options", "values", "words"), PAIRS)
def test_pairs_of_neighbouring_words_are_learned_by_frequency(options, values, words):
    expected = Text(**options).fit([cells(*values)])
    assert expected.words == words
    assert Text(**options).fit([cells(value) for value in values]) == expected, "chunk by chunk"
    first = {word: place for place, word in enumerate(words)}
    assert all(first[one] < first[pair] for pair in words if " " in pair for one in pair.split()), "a pair comes after its words"


@pytest.mark.usefixtures("tensorflow")
def test_pairs_have_the_inverse_document_frequency_of_words():
    fitted = Text().fit([cells("b a", "b a", "b c")])
    assert fitted.idf[3:] == pytest.approx([math.log(4 / (1 + texts)) + 1 for texts in (3, 2, 2, 1)], rel=1e-15)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("value", "bag"),
    [
        ("b a", [5, 4, 3, 0, 0]),
        ("a b", [4, 3, 0, 0, 0]),  # not a pair that training had
        ("B... a!", [5, 4, 3, 0, 0]),
        ("b new a", [4, 3, 2, 0, 0]),  # an unknown word parts them, and its pairs add nothing
        ("c b a b", [6, 5, 4, 3, 0]),  # three words are read, and the pairs between them
        ("c c b a", [6, 6, 3, 0, 0]),
        ("new", [2, 0, 0, 0, 0]),
        (None, [1, 0, 0, 0, 0]),
    ],
)
def test_text_is_encoded_with_its_pairs(value, bag):
    fitted = Text(max_length=3).fit([cells("b a", "b a", "b c")])  # ids: b 3, a 4, `b a` 5, c 6
    assert fitted.spec == BagSpec(5, fitted.idf)
    assert encoded(fitted, value) == ([bag], [1])
    assert encoded(fitted, "b", value)[0][1] == bag, "rows do not touch"


@pytest.mark.usefixtures("tensorflow")
def test_text_of_pairs_alone_in_a_vocabulary_of_words():
    fitted = Text(max_tokens=1).fit([cells("a b", "a b")])
    assert encoded(fitted, "a b") == ([[3, 2, 0]], [1])


def test_pairs_are_for_bags():
    assert Text.model_validate({"role": "text", "column": "note", "ngrams": "2"}).ngrams == 2  # as a file has it
    assert Text(vectorize="tokens", ngrams=1).ngrams == 1
    with pytest.raises(ValueError, match="`ngrams: 2` needs `vectorize: tfidf`; tokens are single words in reading order"):
        Text(vectorize="tokens", ngrams=2)


@pytest.mark.usefixtures("tensorflow")
def test_vocabulary_tells_words_from_pairs():
    fitted = Text().fit([cells("b a", "b a", "b c")])
    assert (
        fitted.learned_words(Text(), str)
        == "a vocabulary of 3 words and 1 pair of words; 2 words kept of each text, the longest has 2; never missing"
    )
    assert "then the pairs of neighbouring words that `words` has" in fitted.recipe().encoded
    assert "pairs of neighbouring" not in Text(ngrams=1).fit([cells("b a")]).recipe().encoded


@pytest.mark.usefixtures("tensorflow")
def test_pairs_are_not_among_the_unknown_words_of_a_summary():
    fitted = Text().fit([cells("b a", "b a", "b c")])
    summary = fitted.accumulator()
    entries = np.array(encoded(fitted, "b a", "b a", "b c", "new")[0])
    summary.add(SeenRows(entries=entries, cells=None))
    assert (summary.statistics().rows, summary.statistics().unseen, summary.statistics().once) == (7, 1, 1)


@pytest.mark.usefixtures("tensorflow")
def test_what_a_pair_adds_is_told_of_the_pair_and_halved_between_its_words():
    fitted = Text(max_length=4).fit([cells("very good", "very good", "odd")])
    names = dict(zip((*fitted.words, "<unseen>"), (*range(3, 3 + len(fitted.words)), 2), strict=True))
    assert set(names) == {"very", "good", "very good", "odd", "<unseen>"}
    entry = np.array(encoded(fitted, "Very good zebra, very bad")[0])  # four words are read
    adds = {names["very"]: 0.1, names["good"]: 0.2, names["very good"]: 0.7, 2: 0.05}
    told = fitted.attribute("Very good zebra, very bad", np.array([adds.get(number, 0.0) for number in entry[0]]), entry)
    assert [(name, round(value, 6)) for name, value in told.elements] == [("very", 0.2), ("good", 0.2), ("zebra", 0.05), ("very good", 0.7)]
    assert [(name, round(value, 6)) for name, value in told.reading] == [("very", 0.45), ("good", 0.55), ("zebra", 0.05), ("very", 0.1)]
    assert told.unread == 1


@pytest.mark.parametrize(("bits", "dtype", "levels"), [(8, "uint8", 255), (16, "uint16", 65_535)])
def test_image_is_described_by_its_options(bits, dtype, levels):
    fitted = small_image(bits)
    assert fitted == FittedImage(height=1, width=2, channels=1, bits=bits, resize="crop", background=(1, 2, 3), max_pixels=9)
    assert fitted.spec == ImageSpec(1, 2, 1, bits=bits)
    assert (fitted.spec.shape, fitted.spec.dtype, fitted.spec.levels) == ((1, 2, 1), dtype, levels)
    assert fitted.raw_inputs("scan") == {"scan": RawInput((1,), "string")}


def small_image(bits):
    return Image(size=(1, 2), channels=1, bits=bits, resize="crop", background=(1, 2, 3), max_pixels=9).fit([])


@pytest.mark.slow  # three seconds to trace its decoders; they are in test_image_layers.py, and missing images in tests/model
@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("bits", "dtype", "levels"), [(8, "uint8", 255), (16, "uint16", 65_535)])
def test_image_is_blank_where_it_is_absent(bits, dtype, levels):
    fitted = small_image(bits)
    white = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0" + bytes(24) + b"\xff\xff\xff\0"
    codes, present, status = fitted.preprocessing()(np.array([[white], [b""]], dtype=object))
    assert codes.numpy().dtype == dtype
    assert codes.numpy().reshape(2, 2).tolist() == [[levels, levels], [0, 0]]
    assert present.numpy().tolist() == [[1], [0]]
    assert status.numpy().tolist() == [[0], [1]]


def test_image_cell_is_a_path_or_holds_the_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"one")
    column = pd.Series([tmp_path / "a.png", str(tmp_path / "a.png"), b"two", None, ""], dtype=object)
    assert Image().fit([]).raw(column).tolist() == [[b"one"], [b"one"], [b"two"], [b""], [b""]]
    assert Image().fit([]).raw(column[:0]).shape == (0, 1)


def test_files_that_tensorflow_cannot_decode_give_their_pixels_to_the_saved_model(tmp_path):
    from medical_files import ct

    (tmp_path / "a.dcm").write_bytes(ct([[-160, 40, 240]]))
    column = Image(size=(1, 3), channels=1, window=(-160, 240))
    fitted = column.fit([cells("a.dcm", None)])
    assert fitted.raw_inputs("scan") == {"scan": RawInput((1, 3, 1), "float32")}
    assert not fitted.decodes_images
    raw = fitted.raw(pd.Series([tmp_path / "a.dcm", None], dtype=object))
    assert np.round(255 * raw[0]).ravel().tolist() == [0, 128, 255]
    assert np.isnan(raw[1]).all()
    assert all(Image(**options).fit([cells("a")]).takes == "pixels" for options in ({"slice": "middle"}, {"window": (-1, 9)}))
    assert Image(window=(0, 9)).fit([cells("a", "b.png")]).takes == "files"


@pytest.mark.parametrize("options", [{"window": (2, 1)}, {"window": "percentile", "channels": 4}])
def test_windows_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=r"low first|`window` goes with"):
        Image(**options)


def test_deep_image_is_grey():
    with pytest.raises(ValueError, match="`bits: 16` goes with `channels: 1`"):
        Image(bits=16)


FITTED = {
    "numeric": lambda: Numeric().fit([cells("0.1", "0.7", None, "1e-9")]),
    "categorical": lambda: Categorical(missing="mask").fit([cells("größe", "[UNK]", 'a"b\\c', "x\ny")]),
    "date": lambda: Date().fit([cells("2024-03-01", None, "31/12/2023 10:30")]),
    "embedding": lambda: Embedding().fit([cells("[0.1, 1e-9]", None, "2 3")]),
    "sequence": lambda: TimeSeries().fit([cells("[0.1, 1e-9]", None, "2 3 null")]),
    "image": lambda: Image(size=(3, 4), channels=4).fit([]),
    "images": lambda: Images(size=(3, 4), most=2, pool="max", separator="|").fit([]),
    "text": lambda: Text().fit([cells("Ärger don't", None, "a b b")]),
    "audio": lambda: Audio(seconds=0.5, frequencies=(50, 8000), keep="end").fit([]),
    "volume": lambda: Volume(size=(2, 3, 4), window=(-160, 240), spacing=(2, 1, 1)).fit([]),
}


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("role", sorted(fitted_roles))
def test_fitted_column_survives_json(role):
    fitted = FITTED[role]()
    assert fitted.role == role
    adapter = TypeAdapter(AnyFittedColumn)
    back = adapter.validate_json(fitted.model_dump_json())
    assert back == fitted
    assert type(back) is type(fitted)
    assert back.spec == fitted.spec


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("role", ["numeric", "date", "embedding"])
def test_features_of_trees_leave_the_indicator_out_and_have_nan_for_a_filled_value(role):
    fitted = FITTED[role]()
    encoded = np.ones((3, fitted.spec.shape[0]), np.float32)
    encoded[:, -1] = 0, 1, 0
    found = fitted.features(encoded, np.float32([[1], [1], [0]]))
    assert (found.shape, found.dtype) == ((3, encoded.shape[1] - 1), np.float64)
    assert np.isnan(found).all(axis=1).tolist() == np.isnan(found).any(axis=1).tolist() == [False, True, True]


def test_every_role_that_feeds_the_network_has_a_fitted_example():
    feeding = {name for name, column in roles.items() if name != "target" and issubclass(column, InputColumn)}
    assert set(FITTED) == set(fitted_roles) == feeding
    assert {name: roles[name]().kind for name in feeding} == {
        "numeric": "vector",
        "categorical": "index",
        "date": "vector",
        "sequence": "sequence",
        "embedding": "vector",
        "image": "image",
        "images": "set",
        "text": "bag",
        "volume": "volume",
        "audio": "image",
    }
    assert Text(vectorize="tokens").kind == "tokens"


def test_names_are_shared_by_equal_cells():
    import pandas as pd

    from mmtrain.columns.cells import intern_cells

    found = intern_cells(pd.Series(["low", None, "high", "low", "high"], dtype="str"))
    assert found.tolist() == ["low", "", "high", "low", "high"]
    assert (found.codes.itemsize, found.categories.tolist()) == (1, ["", "high", "low"])
    assert intern_cells(pd.Series([], dtype="str")).tolist() == []


def test_words_in_every_cell_of_a_number_are_told_to_be_categories():
    (fault,) = Numeric(column="x").faults(pd.Series(["red", "blue", None], dtype="str"))
    assert fault.what == "'red' is not a number."
    assert fault.fix == "Set `role: categorical` for names, or `role: text` for texts; a numeric column holds numbers."
