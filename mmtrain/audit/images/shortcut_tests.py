"""Findings about one number of a picture that foretells an answer: how many pixels its file has, or its brightness.

As of a column of numbers, which it could be: answers of the test part are not looked at, and groups are kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.finding import Finding
from mmtrain.audit.hypothesis_tests import SURE, holm
from mmtrain.audit.leakage.predictive_power import Foretold, picked
from mmtrain.audit.leakage.target_leakage import by_size, certain, foretells, suspect
from mmtrain.audit.row_metadata import Cohort
from mmtrain.audit.target_view import Answer, Question

if TYPE_CHECKING:
    from numpy.typing import NDArray


def telling_findings(header: str, measures: Mapping[str, NDArray[np.float64]], cohort: Cohort, asked: Sequence[Question]) -> list[Finding]:
    """Of one column; `measures` have a number for each row of the table's file, NaN for a row without a picture."""
    scored = []
    for question in asked:
        for name, numbers in measures.items():
            kept = picked(np.flatnonzero(~np.isnan(numbers[question.rows])))
            rows = question.rows[kept]
            found = [(answer, by_size(numbers[rows], answer.at(kept), cohort.units[rows])) for answer in question.answers if len(rows)]
            scored += [(question, name, answer, score) for answer, score in found if score is not None]
    corrected = holm([score.surest.chance for *_, score in scored])
    told: dict[tuple[str, str], tuple[Question, str, list[tuple[Answer, Foretold]]]] = {}
    for (question, name, answer, score), chance in zip(scored, corrected, strict=True):
        if chance < SURE and suspect(score):
            told.setdefault((question.header, name), (question, name, []))[2].append((answer, score))
    return [_told(header, *one, grouped=cohort.groups is not None) for one in told.values()]


def _told(header: str, question: Question, name: str, told: Sequence[tuple[Answer, Foretold]], *, grouped: bool) -> Finding:
    what = f"the {name} of a picture alone {foretells(question, told, grouped=grouped)}"
    why = "If that comes from how pictures were taken or prepared, the network learns it, and fails on pictures from elsewhere."
    fix = "Look at pictures of different answers; where nothing that is to be learned makes them differ so, prepare all of them alike."
    return Finding("warning" if any(certain(told)) else "note", "picture_tells_label", header, what, why, fix)
