"""Words for yes and no: one table for the positive class, for columns with one label each and for what `init` guesses."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.targets import BinaryTarget, MultilabelTarget
from mmtrain.targets.labels.yes_no import CLASS_PAIRS, NO, PAIRS, YES, positive_of, read_answers

POSITIVE = [
    ("1.0", "0.0"),
    ("1", "0"),
    ("1.000000e+00", "0.000000e+00"),
    ("1", "-1"),
    ("1", "2"),
    ("+", "-"),
    ("Y", "N"),
    ("T", "F"),
    ("TRUE", "FALSE"),
    ("yes ", "No"),
    ("pos", "neg"),
    ("present", "absent"),
    ("abnormal", "normal"),
    ("Case", "Control"),
    ("malignant", "benign"),
    ("sick", "healthy"),
    ("diseased", "Healthy"),
    ("dead", "alive"),
    ("ja", "nein"),
    ("Oui", "Non"),
    ("si", "no"),
    ("HER2+", "HER2-"),
    ("tested_positive", "tested_negative"),
    ("class 1", "class 0"),
    ("recurrence-events", "no-recurrence-events"),
    ("smoker", "non-smoker"),
    ("fire", "nofire"),
    ("not healthy", "healthy"),
    ("tumor", "none"),
    ("parkinson", "healthy"),
    ("malignant", "nevus"),
]


@pytest.mark.parametrize("names", POSITIVE, ids="/".join)
def test_the_positive_class_reads_like_a_yes_in_whichever_order(names):
    assert [found[0] for found in (positive_of(names), positive_of(names[::-1])) if found] == [names[0]] * 2


@pytest.mark.parametrize(
    "names", [("f", "m"), ("1", "3"), ("died", "survived"), ("fail", "pass"), ("cat", "dog"), ("p", "e")], ids="/".join
)
def test_names_that_leave_a_doubt_have_no_positive_class(names):
    assert positive_of(names) is None
    assert positive_of(names[::-1]) is None


@pytest.mark.parametrize(("names", "positive"), [(("0.0", "1.0"), "1.0"), (("abnormal", "normal"), "abnormal"), (("f", "m"), "m")])
def test_a_binary_target_takes_it_where_the_file_names_none(names, positive):
    cells = pd.Series([*names] * 3, dtype="str")
    assert BinaryTarget(column="y", task="binary").fit({"y": cells}, "none").classes[1] == positive


def test_columns_with_one_label_each_understand_the_same_words():
    cells = pd.Series(
        ["1.0", "0.0", " Yes", "no", "+", "-", "present", "absent", "pos", "neg", "abnormal", "normal", "ja", "nein", None], dtype="str"
    )
    assert read_answers(cells).tolist() == [1, 0] * 7 + [-1]
    target = MultilabelTarget(column="y", task="multilabel", labels=("a", "b"))
    known = {"a": cells.dropna(), "b": cells.dropna()[::-1].reset_index(drop=True)}
    assert target.fit(known, "none").truth(known).T.tolist() == [[1, 0] * 7, [0, 1] * 7]
    assert target.tally(known) == {"a": 7, "b": 7}
    assert target.malformed(known["a"]) == []


def test_an_uncertain_answer_is_neither():
    cells = pd.Series(["1.0", "-1.0", "0.0", "maybe"], dtype="str")
    assert read_answers(cells).tolist() == [1, -1, 0, -1]
    (fault,) = MultilabelTarget(column="y", task="multilabel", labels=("a",)).malformed(cells)
    assert (fault.rows.tolist(), fault.what) == ([1, 3], "'-1.0' is neither 0 nor 1.")


def test_no_word_means_both():
    assert not YES & NO
    assert not any(yes & no for yes, no in PAIRS + CLASS_PAIRS)
    assert np.array([len(yes) * len(no) for yes, no in PAIRS + CLASS_PAIRS]).all()
