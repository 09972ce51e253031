"""Findings about files whose kind goes with an answer: images of one class that come from another camera or program.

Answers of the test part are not looked at, and one row stands for each group, as the tests suppose rows that were drawn independently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmtrain.audit.finding import Finding, Level
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE, chi_square, conservative_rank_sum, holm
from mmtrain.audit.images.file_metadata import FileFacts
from mmtrain.audit.images.image_column import ImageFiles
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmtrain.image_decoding import ImageHeader

NOTED, STRIKING = 0.3, 0.5
"""Differences between classes in the share of images of one kind; of numbers, twice the distance of an AUC from 0.5, which is the same
where there are only two different ones."""

FEWEST = 10
"""Rows of a class whose shares are compared, and of a kind whose numbers are."""

MOST_KINDS = 8
"""Kinds that are told apart, the most common ones; the others count as one."""

MOST_TOLD = 3
"""Labels whose shares one finding tells."""


class Difference(NamedTuple):
    """Compare one answer between kinds: the size of the difference, its p-value, and a sentence."""

    size: float
    chance: float
    told: str


def source_shortcut_findings(column: ImageFiles, facts: FileFacts, cohort: RowMetadata, asked: Sequence[TargetView]) -> list[Finding]:
    """Describe the formats, modes, depths and sizes of one column."""
    kinds = {name: np.array(values, dtype=object) for name, values in _kinds(facts.headers).items()}
    headers = np.append(facts.of, -1)[column.of_rows(cohort.rows)]  # (rows,), -1 for a row without an image
    tested = []
    for question in asked:
        known = question.rows[headers[question.rows] >= 0]
        kept = np.flatnonzero(np.isin(question.rows, cohort.one_of_each(known)))
        for name, of_header in kinds.items():
            values, codes = _common(of_header[headers[question.rows[kept]]])
            if len(values) > 1:
                tested += [(question, name, len(kept), _difference(values, codes, answer.at(kept))) for answer in question.answers]
    corrected = holm([difference.chance for *_, difference in tested])
    found: dict[tuple[str, str], tuple[TargetView, str, int, list[Difference]]] = {}
    for (question, name, rows, difference), chance in zip(tested, corrected, strict=True):
        if chance < FAMILY_WISE_ERROR_RATE and difference.size >= NOTED:
            found.setdefault((question.header, name), (question, name, rows, []))[3].append(difference)
    return [_finding(column.header, *one) for one in found.values()]


def _kinds(headers: tuple[ImageHeader, ...]) -> Mapping[str, list[str]]:
    """The value that is compared, for each header."""
    return {
        "format": [header.format for header in headers],
        "mode": [f"mode {header.mode}" for header in headers],
        "depth": [f"{header.bits} bits" for header in headers],
        "size": [f"{header.height} x {header.width} pixels" for header in headers],
    }


def _common(values: NDArray[np.object_]) -> tuple[list[str], NDArray[np.int64]]:
    """The most common kinds, and all others as one; (rows,) which of them each row has."""
    names, codes, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    common = np.argsort(-counts, kind="stable")[:MOST_KINDS]
    place = np.full(len(names), len(common), dtype=np.int64)
    place[common] = np.arange(len(common))
    return [*names[common].tolist(), *(["another"] if len(names) > len(common) else [])], place[codes]


def _difference(kinds: Sequence[str], codes: NDArray[np.int64], answer: BinaryTargetView) -> Difference:
    if answer.labels is None:
        return _of_numbers(kinds, codes, answer.numbers if answer.numbers is not None else np.empty(0))
    several = max(len(answer.classes), 2)
    table = np.bincount(codes * several + answer.labels, minlength=len(kinds) * several).reshape(-1, several)
    classes = np.flatnonzero(table.sum(axis=0) >= FEWEST)
    if len(classes) < 2:
        return Difference(0.0, 1.0, "")
    shares = table[:, classes] / table[:, classes].sum(axis=0)
    kind = int(np.ptp(shares, axis=1).argmax())
    high, low = int(shares[kind].argmax()), int(shares[kind].argmin())
    named = [f"{shares[kind, one]:.0%} of {answer.called(int(classes[one]))}" for one in (high, low)]
    return Difference(float(np.ptp(shares[kind])), chi_square(table), f"{named[0]} and {named[1]} have {kinds[kind]}")


def _of_numbers(kinds: Sequence[str], codes: NDArray[np.int64], numbers: NDArray[np.float64]) -> Difference:
    """Test the kind whose numbers are least like those of all others."""
    able = [kind for kind, rows in enumerate(np.bincount(codes, minlength=len(kinds))) if FEWEST <= rows <= len(codes) - FEWEST]
    if not able:
        return Difference(0.0, 1.0, "")
    tested = [conservative_rank_sum(numbers[codes == kind], numbers[codes != kind]) for kind in able]
    chances = holm([chance for _, chance in tested])
    best = int(np.argmin(chances))
    middles = [np.median(numbers[(codes == able[best]) == inside]) for inside in (True, False)]
    told = f"the median answer of those that have {kinds[able[best]]} is {middles[0]:.4g}, and {middles[1]:.4g} elsewhere"
    return Difference(2 * abs(tested[best][0] - 0.5), chances[best], told)


def _finding(header: str, question: TargetView, name: str, rows: int, differences: Sequence[Difference]) -> Finding:
    largest = sorted(differences, key=lambda difference: -difference.size)
    told = "; ".join(difference.told for difference in largest[:MOST_TOLD])
    what = f"the {name} of an image goes with {question.named(len(differences))}: {told}."
    why = "If answers come from different sources, the network may learn these instead; what sets them apart remains in the pixels."
    fix = "Find out why; gather images for all answers from the same sources, or look at the scores of each source by itself."
    level: Level = "warning" if largest[0].size >= STRIKING else "note"
    return Finding(level, "file_kind_tells_label", header, what, why, fix, count=rows)
