"""Split shift: columns whose distribution in a given part differs from training.

Nothing is tested where the rows were divided at random. One row of each group is compared; p-values are corrected for all columns and
parts (Holm 1979), and the difference has to be large in addition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE, chi_square, holm, kolmogorov_smirnov
from mmtrain.audit.label_index import LabelIndex
from mmtrain.audit.row_metadata import TEST, TRAIN, VALIDATION, RowMetadata, shift_advice
from mmtrain.columns.split_words import PARTS
from mmtrain.errors import listed
from mmtrain.text.printable import quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE = 0.1
"""Smallest distance of two distributions, or of the shares of one category, of a finding: a shift of a tenth of the rows moves accuracy by
a tenth at most."""
LEAST_ROWS = 20
MOST_CATEGORIES = 200
MOST_NAMED = 3


class ShiftTest(NamedTuple):
    """A column in one part next to training."""

    header: str
    part: int
    size: float
    p_value: float
    sentence: str


def split_shift(table: TableValues, metadata: RowMetadata) -> list[Finding]:
    """Return the findings on inputs and targets; texts are compared word by word in `text_quality`."""
    if metadata.parts is None or metadata.by_random:
        return []
    several = [labels for labels in metadata.targets if labels.several]
    train = metadata.one_of_each(metadata.of_part(TRAIN))
    compared = []
    for part in (VALIDATION, TEST):
        other = metadata.one_of_each(metadata.of_part(part))
        # Fewer rows leave the tests hardly any power.
        if min(len(train), len(other)) >= LEAST_ROWS:
            able = ("numbers", "names")
            columns = [
                cells
                for cells in table.of_purpose("input", "answer")
                if (cells.use.content in able or cells.use.purpose == "answer") and not cells.use.traits.has_labels
            ]
            compared += [_compare(cells, part, train, other) for cells in columns]
            compared += [_missing(cells, part, train, other) for cells in table.inputs_of("numbers", "texts", "images")]
            compared += [one for labels in several for one in _labels(labels, part, train, other)]
    shifts: dict[tuple[str, int], list[ShiftTest]] = {}
    # One family for all columns and both parts, then the size: a tiny shift of many rows is significant too.
    for one, p_value in zip(compared, holm([one.p_value for one in compared]), strict=True):
        if p_value < FAMILY_WISE_ERROR_RATE and one.size >= LARGE:
            shifts.setdefault((one.header, one.part), []).append(one)
    return [_finding(*place, several, metadata) for place, several in shifts.items()]


def _finding(header: str, part: int, several: list[ShiftTest], metadata: RowMetadata) -> Finding:
    """Return the finding on one column: its values and its empty cells, or its labels."""
    largest = sorted(several, key=lambda one: -one.size)
    what = f"{PARTS[part]} differs from training: {listed([one.sentence for one in largest], most=MOST_NAMED)}."
    level, why, fix = shift_advice(metadata, part, "rows")
    return Finding(level, "shift", header, what, why, fix)


def _labels(labels: LabelIndex, part: int, train: NDArray[np.int64], other: NDArray[np.int64]) -> list[ShiftTest]:
    """Compare the frequency of each label."""
    sizes = [int(labels.known[rows].sum()) for rows in (train, other)]
    tests = []
    # Parts without a known label have no share.
    for label in labels.most(MOST_CATEGORIES) if min(sizes) else ():
        # Test rows may be counted here: the shares of labels are compared, no model learns from them.
        holds = np.zeros(len(labels.known), dtype=np.bool_)
        holds[labels.holders(label)] = True
        times = [int((holds & labels.known)[rows].sum()) for rows in (train, other)]
        table = np.array([[count, size - count] for count, size in zip(times, sizes, strict=True)])
        shares = table[:, 0] / sizes
        sentence = f"{quote_value(labels.names[label])} in {shares[1]:.0%} of the rows, in training in {shares[0]:.0%}"
        tests.append(ShiftTest(labels.header, part, float(abs(shares[0] - shares[1])), chi_square(table), sentence))
    return tests


def _missing(cells: ColumnValues, part: int, train: NDArray[np.int64], other: NDArray[np.int64]) -> ShiftTest:
    """Compare the share of empty cells; among categories, missing is one of them."""
    missing = [int(cells.missing[rows].sum()) for rows in (train, other)]
    table = np.array([[count, len(rows) - count] for count, rows in zip(missing, (train, other), strict=True)])
    shares = missing[0] / len(train), missing[1] / len(other)
    sentence = f"{shares[1]:.0%} of the cells are empty, in training {shares[0]:.0%}"
    return ShiftTest(cells.header, part, abs(shares[0] - shares[1]), chi_square(table), sentence)


def _compare(cells: ColumnValues, part: int, train: NDArray[np.int64], other: NDArray[np.int64]) -> ShiftTest:
    if cells.use.is_number and cells.numbers is not None:
        here, there = (cells.numbers[rows][~np.isnan(cells.numbers[rows])] for rows in (train, other))
        size, p_value = kolmogorov_smirnov(here, there)
        medians = [f"{np.median(values):.4g}" if len(values) else "nothing" for values in (there, here)]
        return ShiftTest(cells.header, part, size, p_value, f"the median is {medians[0]}, in training {medians[1]}; distance {size:.2f}")
    codes, names = cells.codes(np.concatenate([train, other]))
    # Codes come by first appearance, so that those above the limit are mostly rare.
    codes = np.where(codes < MOST_CATEGORIES, codes + 1, MOST_CATEGORIES + 1)  # 0 is missing, a category like any other
    # Rare categories are merged, or the chi-square test would have too few expected rows in most cells.
    table = np.stack([np.bincount(part_codes, minlength=MOST_CATEGORIES + 2) for part_codes in (codes[: len(train)], codes[len(train) :])])
    shares = table / table.sum(axis=1, keepdims=True)
    most = int(np.abs(shares[0] - shares[1]).argmax())
    name = "missing" if most == 0 else "rare" if most > min(MOST_CATEGORIES, len(names)) else quote_value(names[most - 1])
    sentence = f"{name} in {shares[1, most]:.0%} of the rows, in training in {shares[0, most]:.0%}"
    return ShiftTest(cells.header, part, float(np.abs(shares[0] - shares[1]).max()), chi_square(table), sentence)
