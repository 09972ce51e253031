"""Answers from which nothing can be learned, each with the rows and the whole text of the message."""

import numpy as np
import pandas as pd

from mmtrain.targets import tasks


def cells(*values):
    return pd.Series(list(values), dtype="str")


def made(task, **options):
    return tasks[task](role="target", task=task, column="y", **options)


def as_tuples(errors):
    return [(error.rows.tolist(), error.what, error.fix) for error in errors]


def test_no_row_has_a_label():
    assert as_tuples(made("multilabel", separator=";").faults(cells(None, None))) == [([0], "no row has a label.", "Fill in the answers.")]
    assert as_tuples(made("multilabel", labels=("a", "b"), missing="mask").faults(cells(None, None))) == [
        ([0], "no row has an answer.", "Fill in the answers, or leave the label out.")
    ]


def test_a_level_that_is_written_in_two_ways():
    assert as_tuples(made("ordinal").faults(cells("1", "1.0", "2", "1.0"))) == [
        ([1, 3], "'1.0' is the same level as '1'.", "Write every level in one way.")
    ]


def test_times_that_do_not_reach_the_horizon():
    times = made("survival", time="t", event="e", horizon=9)
    assert as_tuples(times._time_errors(np.array([1.0, 2.0]))) == [
        (
            [0],
            "the longest time is 2, so that nothing is known of the horizon 9.",
            "Set an earlier `horizon`, in the unit of the times.",
        )
    ]
    assert as_tuples(times._time_errors(np.array([np.nan]))) == [([0], "no row has a time.", "Fill in the answers.")]


def test_groups_without_an_order():
    assert as_tuples(made("ranking", group="q").part_faults({"y": cells("1", "1", "2"), "q": cells("a", "a", "b")})) == [
        (
            [0],
            "no two rows of one 'q' have different relevances, so that there is no order to learn.",
            "Name the header that the rows to be ordered have in common under `group`.",
        )
    ]
