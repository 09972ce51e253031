"""What gives the answer away: a single column, a word, an id or the order of rows, and cells that are empty where the answer says so.

Answers of the test part are not looked at. Single columns are judged by size, not by significance: a column of pure chance that
reaches an AUC of 0.95 with 10 rows of either class, the fewest that are scored, is 3.4 standard errors out, one in 3,000. The other
findings are tests, corrected for how many of them there are (Holm 1979), and have to be large besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmtrain.data.findings.answers import Answer, answers
from mmtrain.data.findings.cells import Cells, Sheet
from mmtrain.data.findings.cohort import Cohort
from mmtrain.data.findings.finding import Finding, Level, first_rows
from mmtrain.data.findings.foretold import Foretold, foretold_class, foretold_number, ordered_class, picked, ranges, straight_number
from mmtrain.data.findings.significance import SURE, chi_square, holm, normal_tail, rank_sum, ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUSPECT = {"AUC": 0.95, "R2": 0.9}
"""Scores that single columns seldom reach honestly; what reaches them deserves a look."""
CERTAIN = {"AUC": 0.995, "R2": 0.999}
"""The column is the answer in other words."""
LOWEST = 0.8
"""Where the interval of such a score must begin."""
ORDERED = 0.15
"""How far from 0.5 the AUC of an order has to be, and half of how far from 0 a rank correlation."""
MOST_UNNUMBERED = 0.05
"""The share of ids without a number, as of a pilot, from which the numbers are no order."""
MISSING_NOTE, MISSING_WARNING = 0.1, 0.3
"""Differences of the share of empty cells between classes."""
LEAST_MISSING = 5
MOSTLY_MISSING = 0.5


def leaks(sheet: Sheet, cohort: Cohort) -> list[Finding]:
    """Everything of this family but words."""
    found: list[Finding] = []
    for answer in answers(sheet, cohort):
        found += giving_away(sheet, cohort, answer)
        found += ordering(sheet, cohort, answer)
        found += telling_holes(sheet, cohort, answer)
    return found


def giving_away(sheet: Sheet, cohort: Cohort, answer: Answer) -> list[Finding]:
    """Inputs that foretell the answer on their own."""
    part = answer.at(picked(np.arange(len(answer.rows))))
    found = []
    for cells in sheet.inputs:
        if cells.use.role in ("numeric", "categorical"):
            score = _alone(cells, part, cohort.units[part.rows])
            if score is not None and score.score >= SUSPECT[score.name] and score.low >= LOWEST:
                found.append(_given_away(cells.header, answer.header, score, grouped=cohort.groups is not None))
            elif score is not None and score.best is not None and score.best.score >= CERTAIN["AUC"] and score.best.low >= LOWEST:
                found.append(_one_class(cells.header, answer, score.best))
    return found


def _given_away(header: str, target: str, score: Foretold, *, grouped: bool) -> Finding:
    certain = score.score >= CERTAIN[score.name]
    after = ", with groups kept apart" if grouped else ""
    what = f"the column alone foretells '{target}' {'without fail' if certain else 'almost without fail'}: {score}{after}."
    why = "Is it known before the answer is? A column that is filled in because of the answer makes a model that is useless on new rows."
    fix = "Leave the column out, unless it is known when the model will be asked."
    return Finding("error" if certain else "warning", "gives_answer_away", header, what, why, fix)


def _one_class(header: str, answer: Answer, score: Foretold) -> Finding:
    what = f"the column alone tells '{answer.classes[score.label]}' of '{answer.header}' from the other classes without fail: {score}."
    why = "Is it known before the answer is? If it is filled in because of that class, a model that relies on it is useless on new rows."
    return Finding("note", "gives_answer_away", header, what, why, "Leave the column out, unless it is known when the model will be asked.")


def _alone(cells: Cells, answer: Answer, units: NDArray[np.int64]) -> Foretold | None:
    """By its values or ranges or, if that is better, by the size of its numbers, where most rows have one."""
    numbers = cells.numbers[answer.rows] if cells.use.role == "numeric" and cells.numbers is not None else None
    values = ranges(numbers) if numbers is not None else cells.prints[answer.rows].view(np.int64)
    found = [_by_value(values, answer, units)]
    if numbers is not None and np.isnan(numbers).mean() < MOSTLY_MISSING:
        known = np.flatnonzero(~np.isnan(numbers))
        found.append(_by_size(numbers[known], answer.at(known), units[known]))
    return max((one for one in found if one is not None), key=lambda one: one.score, default=None)


def _by_value(values: NDArray[np.int64], answer: Answer, units: NDArray[np.int64]) -> Foretold | None:
    if answer.labels is not None:
        return foretold_class(values, answer.labels, units)
    return foretold_number(values, answer.numbers, units) if answer.numbers is not None else None


def _by_size(numbers: NDArray[np.float64], answer: Answer, units: NDArray[np.int64]) -> Foretold | None:
    if answer.labels is not None:
        return ordered_class(numbers, answer.labels, units)
    return straight_number(numbers, answer.numbers, units) if answer.numbers is not None else None


def ordering(sheet: Sheet, cohort: Cohort, answer: Answer) -> list[Finding]:
    """Ids, or the order of the rows, that go with the answer; every group counts once, at its mean place."""
    answer = answer.at(picked(np.arange(len(answer.rows))))
    orders: list[tuple[str, NDArray[np.float64]]] = [("", np.arange(sheet.rows, dtype=np.float64))]
    for cells in reversed(sheet.of_role("id", "group")):
        if cells.numbers is not None and np.isnan(cells.numbers).mean() <= MOST_UNNUMBERED:
            orders.insert(0, (cells.header, cells.numbers))
    scores = [_ordered(order, answer, cohort.units) for _, order in orders]
    sure = [chance < SURE for chance in holm([chance for _, chance, _ in scores])]
    for (header, _), (size, _, told), counts in zip(orders, scores, sure, strict=True):
        if counts and size >= ORDERED:
            role = next((cells.use.role for cells in sheet.of_role("id", "group") if cells.header == header), "row")
            what = f"the {role}s stand in an order that goes with '{answer.header}': {told}."
            why = "Whoever numbered them knew the answer, or it changed while they were gathered, and so may a camera or a clerk have."
            fix = "Find out what else changed with the order; never use an id or a position as an input."
            return [Finding("warning" if role == "id" else "note", "order_tells_label", header or sheet.name, what, why, fix)]
    return []


def _ordered(order: NDArray[np.float64], answer: Answer, units: NDArray[np.int64]) -> tuple[float, float, str]:
    """How far the order is from chance, how likely that is by chance, and in words."""
    answer = answer.at(np.flatnonzero(~np.isnan(order[answer.rows])))
    order, units = order[answer.rows], units[answer.rows]
    if answer.labels is None:
        _, first = np.unique(units, return_index=True)
        if answer.numbers is None or len(first) < 10:
            return 0.0, 1.0, ""
        correlation = float(np.corrcoef(ranks(order[first]), ranks(answer.numbers[first]))[0, 1])
        chance = normal_tail(correlation * np.sqrt(len(first) - 1))  # Spearman 1904; the normal limit of Hotelling and Pabst 1936
        return abs(correlation) / 2, chance, f"their rank correlation is {correlation:.2f}"
    areas = []
    for label, name in enumerate(answer.classes):
        inside, outside = (_places(order[mask], units[mask]) for mask in (answer.labels == label, answer.labels != label))
        if min(len(inside), len(outside)) >= 10:
            areas.append((*rank_sum(inside, outside), name))
    if not areas:
        return 0.0, 1.0, ""
    chances = holm([chance for _, chance, _ in areas])
    area, chance, name = max(
        ((area, chance, name) for (area, _, name), chance in zip(areas, chances, strict=True)), key=lambda one: abs(one[0] - 0.5)
    )
    return (
        abs(area - 0.5),
        chance,
        f"those of '{name}' come {'later' if area > 0.5 else 'earlier'}, with an AUC of {max(area, 1 - area):.2f}",
    )


def _places(order: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean place of each unit."""
    known, codes = np.unique(units, return_inverse=True)
    return np.bincount(codes, order, minlength=len(known)) / np.maximum(np.bincount(codes, minlength=len(known)), 1)


def telling_holes(sheet: Sheet, cohort: Cohort, answer: Answer) -> list[Finding]:
    """Inputs whose cells are empty more often for some answers than for others."""
    position = np.full(cohort.rows, -1, dtype=np.int64)
    position[answer.rows] = np.arange(len(answer.rows))
    part = answer.at(position[cohort.one_of_each(answer.rows)])
    tested = []
    for cells in sheet.inputs:
        missing = cells.missing[part.rows]
        if min(int(missing.sum()), int((~missing).sum())) >= LEAST_MISSING:
            tested.append((cells, *_holes(missing, part)))
    found = []
    for (cells, size, _, told), chance in zip(tested, holm([chance for _, _, chance, _ in tested]), strict=True):
        if chance < SURE and size >= MISSING_NOTE:
            what = f"whether a cell is empty goes with '{answer.header}': {told}."
            why = "If cells were left empty because of the answer, or filled in because of it, the model learns that and fails on new rows."
            fix = "Find out why they are empty. If it is because of the answer, leave the column out."
            level: Level = "warning" if size >= MISSING_WARNING else "note"
            rows = np.flatnonzero(cells.missing)
            found.append(Finding(level, "missing_tells_label", cells.header, what, why, fix, first_rows(rows), count=len(rows)))
    return found


def _holes(missing: NDArray[np.bool_], answer: Answer) -> tuple[float, float, str]:
    """How much, how likely by chance, and in words."""
    if answer.labels is None:
        numbers = answer.numbers if answer.numbers is not None else np.empty(0)
        area, chance = rank_sum(numbers[missing], numbers[~missing])
        middles = [f"{np.median(numbers[mask]):.4g}" for mask in (missing, ~missing)]
        return abs(area - 0.5), chance, f"the median answer is {middles[0]} where it is empty and {middles[1]} elsewhere"
    table = np.stack([np.bincount(answer.labels[mask], minlength=len(answer.classes)) for mask in (missing, ~missing)])
    rows = table.sum(axis=0)
    shares = np.where(rows >= 10, table[0] / np.maximum(rows, 1), np.nan)
    if np.isnan(shares).sum() > len(shares) - 2:
        return 0.0, 1.0, ""
    high, low = int(np.nanargmax(shares)), int(np.nanargmin(shares))
    told = f"{shares[high]:.0%} of '{answer.classes[high]}' and {shares[low]:.0%} of '{answer.classes[low]}' lack it"
    return float(shares[high] - shares[low]), chi_square(table), told
