"""Findings about one number of an image that predicts an answer: how many pixels its file has, or its brightness.

As of a column of numbers, which it could be: answers of the test part are not looked at, and groups are kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.finding import Finding
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE, holm
from mmtrain.audit.leakage.predictive_power import UnivariateScore, sample_rows
from mmtrain.audit.leakage.target_leakage import certain, describe_score, outcome, suspect
from mmtrain.audit.ranked_numbers import rank_numbers
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shortcut_findings(
    header: str, measures: Mapping[str, NDArray[np.float64]], cohort: RowMetadata, asked: Sequence[TargetView]
) -> list[Finding]:
    """Check one column; `measures` have a number for each row of the table's file, NaN for a row without an image."""
    scored = []
    for question in asked:
        for name, numbers in measures.items():
            kept = sample_rows(np.flatnonzero(~np.isnan(numbers[question.rows])))
            rows = question.rows[kept]
            sizes = rank_numbers(numbers[rows])
            found = [(one, outcome(one.at(kept), cohort.units[rows]).score_sizes(sizes)) for one in question.answers if len(rows)]
            scored += [(question, name, answer, score) for answer, score in found if score is not None]
    corrected = holm([score.surest.chance for *_, score in scored])
    told: dict[tuple[str, str], tuple[TargetView, str, list[tuple[BinaryTargetView, UnivariateScore]]]] = {}
    for (question, name, answer, score), chance in zip(scored, corrected, strict=True):
        if chance < FAMILY_WISE_ERROR_RATE and suspect(score):
            told.setdefault((question.header, name), (question, name, []))[2].append((answer, score))
    return [_finding(header, *one, grouped=cohort.groups is not None) for one in told.values()]


def _finding(
    header: str, question: TargetView, name: str, told: Sequence[tuple[BinaryTargetView, UnivariateScore]], *, grouped: bool
) -> Finding:
    what = f"the {name} of an image alone {describe_score(question, told, grouped=grouped)}"
    why = "If that comes from how images were taken or prepared, the network learns it, and fails on images from elsewhere."
    fix = "Look at images of different answers; where nothing that is to be learned makes them differ so, prepare all of them alike."
    return Finding("warning" if any(certain(told)) else "note", "image_tells_label", header, what, why, fix)
