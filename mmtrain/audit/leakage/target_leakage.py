"""Target leakage: single columns, values, ids, the order of rows or missing cells that reveal the answer.

Answers of the test part are not used. An effect has to be large, and significant among all tests of the table: every column, every
target and every label (Holm 1979). Of several labels, one finding names all that a column predicts too well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE, holm
from mmtrain.audit.leakage.informative_missingness import informative_missingness
from mmtrain.audit.leakage.order_leakage import order_leakage
from mmtrain.audit.leakage.predictive_power import (
    RANKED,
    ClassOutcome,
    NumberOutcome,
    UnivariateScore,
    ranges,
    sample_rows,
)
from mmtrain.audit.leakage.pure_values import pure_values
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView, target_views
from mmtrain.errors import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRONG = {"AUC": 0.95, "R2": 0.9, RANKED: 0.9}
"""Scores that legitimate columns reach sometimes, as the sizes of cell nuclei do for cancer: a note."""
SUSPECT = {"AUC": 0.985, "R2": 0.95, RANKED: 0.95}
"""Scores that legitimate columns hardly ever reach."""
CERTAIN = {"AUC": 0.995, "R2": 0.999, RANKED: 0.999}
"""The column is the answer in other words."""
LOWEST = 0.8
"""Smallest lower limit of the interval of such a score."""
MOSTLY_MISSING = 0.5
MOST_NAMED = 5
"""Labels that one finding names; the rest are counted."""


def target_leakage(table: TableValues, metadata: RowMetadata) -> list[Finding]:
    """Return all findings of target leakage but those of texts."""
    targets = target_views(table, metadata)
    given = leaking_columns(table, metadata, targets)
    # A column that has been reported as a whole is not reported again for its values.
    leaking = {finding.where for finding in given if finding.level != "note"}
    return [
        *given,
        *pure_values(table, metadata, targets, leaking),
        *order_leakage(table, metadata, targets),
        *informative_missingness(table, metadata, targets),
    ]


def leaking_columns(table: TableValues, metadata: RowMetadata, targets: Sequence[TargetView]) -> list[Finding]:
    """Find inputs that predict the answer on their own."""
    scored = []
    for target in targets:
        # Only answers that are known are in `target`; a sample bounds the time for large tables.
        sampled = sample_rows(np.arange(len(target.rows)))
        rows = target.rows[sampled]
        outcomes = [outcome(answer.at(sampled), metadata.units[rows]) for answer in target.answers]
        for cells in table.inputs_of("numbers", "names"):
            each = zip(target.answers, _univariate_scores(cells, rows, outcomes), strict=True)
            scored.append((target, cells, [(answer, score) for answer, score in each if score is not None]))
    # One family over all targets and labels: each finding needs its own p-value, in this order.
    corrected = iter(holm([score.surest.p_value for *_, scores in scored for _, score in scores]))
    findings = []
    for target, cells, scores in scored:
        # `next` runs once for every score, whether or not it is kept: the iterator stays in step.
        sure = [one for one in scores if next(corrected) < FAMILY_WISE_ERROR_RATE]
        findings += _told(cells.header, target, sure, grouped=metadata.groups is not None)
    return findings


def _told(header: str, target: TargetView, sure: Sequence[tuple[BinaryTargetView, UnivariateScore]], *, grouped: bool) -> list[Finding]:
    """Report the strongest finding on a column: the whole target, one class of several, or a strong score."""
    suspected = [(answer, score) for answer, score in sure if suspect(score)]
    if suspected:
        return [_leak_finding(header, target, suspected, grouped=grouped)]
    single = [
        _one_class(header, target, answer, score.best)
        for answer, score in sure
        if score.best is not None and score.best.score >= CERTAIN["AUC"] and score.best.low >= LOWEST
    ]
    strong = [(answer, score) for answer, score in sure if score.score >= STRONG[score.name] and score.low >= LOWEST]
    # With one class found, the strong score of the whole target would say the same more weakly.
    return single or ([_strong(header, target, strong, grouped=grouped)] if strong else [])


def suspect(score: UnivariateScore) -> bool:
    """Return True for a score that a legitimate column hardly ever has."""
    return score.score >= SUSPECT[score.name] and score.low >= LOWEST


def certain(scores: Sequence[tuple[BinaryTargetView, UnivariateScore]]) -> list[bool]:
    """Mark the answers that are predicted without fail."""
    return [score.score >= CERTAIN[score.name] for _, score in scores]


def describe_score(target: TargetView, scores: Sequence[tuple[BinaryTargetView, UnivariateScore]], *, grouped: bool) -> str:
    """Return the end of a sentence on something that predicts these answers of a target, all of them suspiciously well or none."""
    best = sorted(scores, key=lambda one: -one[1].score)
    sure = certain(best)
    how = "without fail" if all(sure) else "almost without fail" if not any(sure) else "without fail or almost so"
    if not suspect(best[0][1]):
        how = "well"
    after = ", with groups kept apart" if grouped else ""
    listing = listed([f"{answer.called(0)} ({score})" for answer, score in best], most=MOST_NAMED) if target.labels else str(best[0][1])
    return f"predicts {target.named(len(scores))} {how}: {listing}{after}."


def _leak_finding(header: str, target: TargetView, scores: Sequence[tuple[BinaryTargetView, UnivariateScore]], *, grouped: bool) -> Finding:
    what = f"the column alone {describe_score(target, scores, grouped=grouped)}"
    why = "Is it known before the answer is? A column that is filled in because of the answer makes a model that is useless on new rows."
    fix = "Leave the column out, unless it is known when the model is used."
    level: Level = "error" if any(certain(scores)) else "warning"
    return Finding(level, "gives_answer_away", header, what, why, fix, strength=max(score.score for _, score in scores))


def _strong(header: str, target: TargetView, scores: Sequence[tuple[BinaryTargetView, UnivariateScore]], *, grouped: bool) -> Finding:
    what = f"the column alone {describe_score(target, scores, grouped=grouped)}"
    why = "Legitimate columns sometimes do that, and so do columns that are filled in because of the answer."
    fix = "Ask whether it is known before the answer is."
    return Finding("note", "strong_column", header, what, why, fix, strength=max(score.score for _, score in scores))


def _one_class(header: str, target: TargetView, answer: BinaryTargetView, score: UnivariateScore) -> Finding:
    what = f"the column alone tells {answer.called(score.label)} of {target.named(1)} from the other classes without fail: {score}."
    why = "Is it known before the answer is? If it is filled in because of that class, a model that relies on it is useless on new rows."
    fix = "Leave the column out, unless it is known when the model is used."
    return Finding("note", "gives_answer_away", header, what, why, fix, strength=score.score)


def _univariate_scores(
    cells: ColumnValues, rows: NDArray[np.int64], outcomes: Sequence[ClassOutcome | NumberOutcome]
) -> list[UnivariateScore | None]:
    """Score by values or ranges or, if that is better, by the size of numbers, where most of `rows` have one; for each outcome."""
    # Names have no order: only their values can predict.
    if cells.use.content != "numbers" or cells.numbers is None:
        codes = pd.factorize(cells.prints[rows])[0]
        return [one.score_values(codes) for one in outcomes]
    numbers = cells.ranked.at(rows)
    # Ranges find a class in the middle of a column, sizes a monotone relation without the loss of binning.
    codes = pd.factorize(ranges(numbers))[0]
    scores = [one.score_values(codes) for one in outcomes]
    # Known sizes of a minority of the rows say nothing about the rest; its values, with missing as one of them, may.
    if numbers.total <= (1 - MOSTLY_MISSING) * len(rows):
        return scores
    if numbers.total < len(rows):
        known = np.flatnonzero(numbers.codes >= 0)
        numbers, outcomes = numbers.at(known), [one.at(known) for one in outcomes]
    both = [[score, one.score_sizes(numbers)] for score, one in zip(scores, outcomes, strict=True)]
    return [max((one for one in pair if one is not None), key=lambda one: one.score, default=None) for pair in both]


def outcome(answer: BinaryTargetView, units: NDArray[np.int64]) -> ClassOutcome | NumberOutcome:
    """Return the answers prepared for scores, with intervals from the lowest threshold on; `units` (rows of the answer,)."""
    if answer.labels is not None:
        return ClassOutcome(answer.labels, units, interval_from=min(STRONG.values()))
    return NumberOutcome(answer.numbers if answer.numbers is not None else np.empty(0), units, interval_from=min(STRONG.values()))
