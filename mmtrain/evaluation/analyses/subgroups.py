"""Scores of subgroups of the rows, and the gap between the best and the worst of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmtrain.artifacts.analysis_results import Gap, Subgroup, Subgroups
from mmtrain.columns.numbers import parse_numbers
from mmtrain.config.sections.evaluation import Evaluation, SubgroupSpec
from mmtrain.data.tables.table_file import TableFile
from mmtrain.data.tables.table_problems import header_problem
from mmtrain.errors import Problem
from mmtrain.evaluation.bootstrap import LEAST_DEFINED
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.metrics.score import higher_is_better

MOST_VALUES = 20
"""Maximum number of values of a column; with more, each has too few rows, and some of them differ at random."""
CHUNK_ROWS = 100_000
"""Rows read at once."""


@dataclass(frozen=True, eq=False)
class SubgroupCodes:
    """`codes` (rows,) are positions in `names`; None is the name of the rows whose cell is missing."""

    header: str
    names: tuple[str | None, ...]
    codes: NDArray[np.int64]

    def only(self, rows: NDArray[np.bool_]) -> SubgroupCodes:
        """Return some of the rows; subgroups stay, even if they have no row left."""
        return replace(self, codes=self.codes[rows])


def assign_subgroups(division: SubgroupSpec, cells: pd.Series[str]) -> SubgroupCodes:
    """Assign rows by value; with edges, by range, which includes its lower edge; the last range includes its upper edge too.

    Ranges without rows stay. Numbers outside of them, and cells that are not numbers, form subgroups of their own.
    """
    return _by_range(division, cells) if division.edges else _by_value(division, cells)


def _by_value(division: SubgroupSpec, cells: pd.Series[str]) -> SubgroupCodes:
    codes, values = pd.factorize(cells)
    # Values in the order that a reader expects, not in that of their first rows.
    order = sorted(range(len(values)), key=lambda code: _rank(str(values[code])))
    places = np.empty(len(values) + 1, dtype=np.int64)
    places[order] = np.arange(len(values))
    places[-1] = len(values)  # the code of a missing cell is -1
    names = [str(values[code]) for code in order]
    return SubgroupCodes(division.header, (*names, *([None] if (codes < 0).any() else [])), places[codes])


def _rank(value: str) -> tuple[float, str]:
    """Sort key of a value: numbers by size, before words."""
    number = float(parse_numbers(pd.Series([value], dtype="str"))[0])
    return (np.inf if np.isnan(number) else number), value


def _by_range(division: SubgroupSpec, cells: pd.Series[str]) -> SubgroupCodes:
    edges = np.array(division.edges)
    values = parse_numbers(cells)
    places = np.searchsorted(edges, values, side="right")  # 0 below the first edge, len(edges) from the last one on
    places[values == edges[-1]] = len(edges) - 1
    unreadable, missing = len(edges) + 1, len(edges) + 2
    places[np.isnan(values)] = unreadable
    places[cells.isna().to_numpy()] = missing
    ends = [edge_name(edge) for edge in division.edges]
    ranges = [f"{low} to under {high}" for low, high in pairwise(ends[:-1])] + [f"{ends[-2]} to {ends[-1]}"]
    names = [f"below {ends[0]}", *ranges, f"above {ends[-1]}", "not a number", None]
    # Ranges stay even without rows; the places outside of them only with rows.
    present = [place for place in range(len(names)) if 0 < place < len(edges) or (places == place).any()]
    return SubgroupCodes(division.header, tuple(names[place] for place in present), np.searchsorted(present, places).astype(np.int64))


def edge_name(edge: float) -> str:
    """Write an edge as in the experiment file: `40`, `0.5`."""
    return str(int(edge)) if float(edge).is_integer() and abs(edge) < 1e15 else repr(edge)


def subgroup_problem(file: TableFile, division: SubgroupSpec, declared: str, written: Callable[[SubgroupSpec], str]) -> Problem | None:
    """Return the problem with subgroups by a column, or None; `declared` is the option, `written` the notation of a column there."""
    problem = header_problem(file, division.header, declared)
    if problem is not None:
        return problem
    seen: dict[str, None] = {}
    any_number = False
    for piece in file.pieces([division.header], size=CHUNK_ROWS):
        cells = piece[division.header].dropna()
        any_number = any_number or bool(division.edges and not np.isnan(parse_numbers(cells)).all())
        # Memory for the distinct values only, not for the column.
        if not division.edges:
            seen |= dict.fromkeys(str(value) for value in cells.unique())
    if division.edges:
        fix = "Leave the edges out, so that each value is a subgroup."
        return None if any_number else Problem(declared, f"no cell of the column {division.header!r} is a number.", fix)
    return None if len(seen) <= MOST_VALUES else _too_many(division.header, list(seen), declared, written)


def _too_many(header: str, values: list[str], declared: str, written: Callable[[SubgroupSpec], str]) -> Problem:
    what = f"the column {header!r} has {len(values):,} different values; subgroups need at most {MOST_VALUES}."
    numbers = parse_numbers(pd.Series(values, dtype="str"))
    if np.isnan(numbers).any():
        return Problem(declared, what, f"Name a column with at most {MOST_VALUES} values.")
    return Problem(
        declared, what, f"Give the edges of ranges, for instance `{written(SubgroupSpec(header, tuple(suggest_edges(numbers))))}`."
    )


def suggest_edges(values: NDArray[np.float64]) -> list[float]:
    """Suggest round edges of two to five ranges that cover all values, at least two of which differ."""
    low, high = float(values.min()), float(values.max())
    # Four ranges on average; the rounded step gives two to five.
    step = (high - low) / 4
    size = 10 ** np.floor(np.log10(step))
    # 0.999: a step that is round but for float rounding, 0.30000000000000004 say, stays as it is.
    step = next(float(size * factor) for factor in (1, 2, 5, 10) if size * factor >= 0.999 * step)
    # The first edge lies at or below the smallest value, the last one at or above the largest.
    first = np.floor(low / step)
    # Twelve digits: 0.1 * 3 would be written as 0.30000000000000004.
    return [float(round(edge * step, 12)) for edge in np.arange(first, np.ceil(high / step) + 1)]


LEAST_ROWS = 10
"""Minimum size of a subgroup that is compared with others; with fewer rows, almost any score can occur at random."""
SHIFT = 1000
"""Added to the seed of the first subgroup's draws. Subgroups of equal size must not share draws: their rows have nothing in common, and
correlated draws would make the difference of two scores look more, or less, certain than it is."""


def score_subgroups(eval_set: EvalSet, codes: SubgroupCodes, main: str, section: Evaluation) -> Subgroups:
    """Score the subgroups of one column; `codes` are those of the rows of `eval_set`, `main` is the score that subgroups compare by."""
    # Subgroups share no rows, so each has draws of its own.
    subsets = tuple(eval_set.only(codes.codes == code).resample(section, shift=SHIFT + code) for code in range(len(codes.names)))
    subgroups = [
        Subgroup(name=name, rows=len(one.rows), groups=one.groups, scores=one.scores)
        for name, one in zip(codes.names, subsets, strict=True)
    ]
    gap = _gap(codes.names, subsets, main)
    return Subgroups(column=codes.header, main=main, confidence=section.confidence, subgroups=subgroups, gap=gap)


def _gap(names: Sequence[str | None], subsets: Sequence[BootstrapScores], main: str) -> Gap | None:
    """Return the gap between the best and the worst subgroup, or None if fewer than two can be compared.

    Two subgroups share no rows, so the interval is that of the differences of their independent draws. If rows of one group are in both,
    it is rather too wide.
    """
    sign = 1 if higher_is_better(main) else -1
    # Only subgroups whose score is defined in 90 % of the draws are compared, the condition for an interval.
    values = {place: one.scores[main].value for place, one in enumerate(subsets) if len(one.rows) >= LEAST_ROWS}
    ranked = sorted(
        (sign * value, place)
        for place, value in values.items()
        if value is not None and np.isnan(subsets[place].draws[main]).mean() <= 1 - LEAST_DEFINED
    )
    if len(ranked) < 2:
        return None
    (worst_value, worst), (best_value, best) = ranked[0], ranked[-1]
    differences = sign * (subsets[best].draws[main] - subsets[worst].draws[main])
    value = best_value - worst_value
    low, high = subsets[best].bootstrap.interval(differences, value) or (None, None)
    return Gap(best=names[best], worst=names[worst], value=value, low=low, high=high, compared=len(ranked))
