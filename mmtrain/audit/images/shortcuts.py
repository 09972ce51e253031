"""Image shortcuts: files whose kind goes with an answer, and size or brightness that predicts it.

Images of one class may come from another camera or program. Answers of the test part are not used. Kinds are tested on one row of each
group, as the tests assume independent rows; a measure is scored like a column of numbers, with groups kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmtrain.audit.finding import Finding, Level
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE, chi_square, conservative_rank_sum, holm
from mmtrain.audit.images.file_metadata import FileFacts
from mmtrain.audit.images.image_column import ImageFiles
from mmtrain.audit.leakage.predictive_power import UnivariateScore, sample_rows
from mmtrain.audit.leakage.target_leakage import certain, describe_score, outcome, suspect
from mmtrain.audit.ranked_numbers import rank_numbers
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmtrain.image_decoding import ImageHeader

NOTED, STRIKING = 0.3, 0.5
"""Differences between classes in the share of images of one kind, of a note and of a warning; for numbers, twice the distance of an AUC
from 0.5, which is the same for two different numbers."""

FEWEST = 10
"""Rows of a class whose shares are compared, and of a kind whose numbers are."""

MOST_KINDS = 8
"""Kinds that are distinguished, the most common ones; the others count as one."""

MOST_NAMED = 3
"""Labels that one finding names."""


class Difference(NamedTuple):
    """Compare one answer between kinds: the size of the difference, its p-value, and a sentence."""

    size: float
    p_value: float
    sentence: str


def kind_shortcut_findings(column: ImageFiles, facts: FileFacts, metadata: RowMetadata, targets: Sequence[TargetView]) -> list[Finding]:
    """Test formats, modes, depths and sizes of one column against the targets."""
    kinds = {name: np.array(values, dtype=object) for name, values in _kinds(facts.headers).items()}
    # The -1 behind the last header is what a row without an image gets.
    headers = np.append(facts.of, -1)[column.of_rows(metadata.rows)]  # (rows,), -1 for a row without an image
    tested = []
    for target in targets:
        known = target.rows[headers[target.rows] >= 0]
        independent = np.flatnonzero(np.isin(target.rows, metadata.one_of_each(known)))
        for name, of_header in kinds.items():
            values, codes = _common(of_header[headers[target.rows[independent]]])
            if len(values) > 1:
                tested += [
                    (target, name, len(independent), _difference(values, codes, answer.at(independent))) for answer in target.answers
                ]
    corrected = holm([difference.p_value for *_, difference in tested])
    effects: dict[tuple[str, str], tuple[TargetView, str, int, list[Difference]]] = {}
    for (target, name, rows, difference), p_value in zip(tested, corrected, strict=True):
        if p_value < FAMILY_WISE_ERROR_RATE and difference.size >= NOTED:
            effects.setdefault((target.header, name), (target, name, rows, []))[3].append(difference)
    return [_finding(column.header, *one) for one in effects.values()]


def _kinds(headers: tuple[ImageHeader, ...]) -> Mapping[str, list[str]]:
    """Return the value of each kind, for each header."""
    return {
        "format": [header.format for header in headers],
        "mode": [f"mode {header.mode}" for header in headers],
        "depth": [f"{header.bits} bits" for header in headers],
        "size": [f"{header.height} x {header.width} pixels" for header in headers],
    }


def _common(values: NDArray[np.object_]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the most common kinds, and all others as one, and the code of each row, (rows,)."""
    names, codes, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    common = np.argsort(-counts, kind="stable")[:MOST_KINDS]
    place = np.full(len(names), len(common), dtype=np.int64)
    place[common] = np.arange(len(common))
    return [*names[common].tolist(), *(["another"] if len(names) > len(common) else [])], place[codes]


def _difference(kinds: Sequence[str], codes: NDArray[np.int64], answer: BinaryTargetView) -> Difference:
    if answer.labels is None:
        return _of_numbers(kinds, codes, answer.numbers if answer.numbers is not None else np.empty(0))
    several = max(len(answer.classes), 2)
    # (kinds, classes)
    table = np.bincount(codes * several + answer.labels, minlength=len(kinds) * several).reshape(-1, several)
    # Shares of fewer rows are too uncertain to be quoted; the test still uses all classes.
    classes = np.flatnonzero(table.sum(axis=0) >= FEWEST)
    if len(classes) < 2:
        return Difference(0.0, 1.0, "")
    shares = table[:, classes] / table[:, classes].sum(axis=0)
    # The kind whose shares differ most between two classes.
    kind = int(np.ptp(shares, axis=1).argmax())
    high, low = int(shares[kind].argmax()), int(shares[kind].argmin())
    named = [f"{shares[kind, one]:.0%} of {answer.called(int(classes[one]))}" for one in (high, low)]
    return Difference(float(np.ptp(shares[kind])), chi_square(table), f"{named[0]} and {named[1]} have {kinds[kind]}")


def _of_numbers(kinds: Sequence[str], codes: NDArray[np.int64], numbers: NDArray[np.float64]) -> Difference:
    """Test the kind whose numbers differ most from those of all others."""
    able = [kind for kind, rows in enumerate(np.bincount(codes, minlength=len(kinds))) if FEWEST <= rows <= len(codes) - FEWEST]
    if not able:
        return Difference(0.0, 1.0, "")
    tested = [conservative_rank_sum(numbers[codes == kind], numbers[codes != kind]) for kind in able]
    # Each kind against the rest is a test of its own.
    p_values = holm([p_value for _, p_value in tested])
    best = int(np.argmin(p_values))
    middles = [np.median(numbers[(codes == able[best]) == inside]) for inside in (True, False)]
    sentence = f"the median answer of those that have {kinds[able[best]]} is {middles[0]:.4g}, and {middles[1]:.4g} elsewhere"
    # Twice the distance from 0.5 has the range of a difference of shares.
    return Difference(2 * abs(tested[best][0] - 0.5), p_values[best], sentence)


def _finding(header: str, target: TargetView, name: str, rows: int, differences: Sequence[Difference]) -> Finding:
    largest = sorted(differences, key=lambda difference: -difference.size)
    sentences = "; ".join(difference.sentence for difference in largest[:MOST_NAMED])
    what = f"the {name} of an image is associated with {target.named(len(differences))}: {sentences}."
    why = "If answers come from different sources, the network may learn these instead: their traces remain in the pixels."
    fix = "Find out why; collect images for all answers from the same sources, or score each source by itself."
    level: Level = "warning" if largest[0].size >= STRIKING else "note"
    return Finding(level, "file_kind_tells_label", header, what, why, fix, count=rows)


def measure_shortcut_findings(
    header: str, measures: Mapping[str, NDArray[np.float64]], metadata: RowMetadata, targets: Sequence[TargetView]
) -> list[Finding]:
    """Test measures of the images of one column, such as brightness: a number for each row of the table's file, NaN without an image."""
    scored = []
    for target in targets:
        for name, numbers in measures.items():
            sampled = sample_rows(np.flatnonzero(~np.isnan(numbers[target.rows])))
            rows = target.rows[sampled]
            sizes = rank_numbers(numbers[rows])
            pairs = [(one, outcome(one.at(sampled), metadata.units[rows]).score_sizes(sizes)) for one in target.answers if len(rows)]
            scored += [(target, name, answer, score) for answer, score in pairs if score is not None]
    corrected = holm([score.surest.p_value for *_, score in scored])
    shortcuts: dict[tuple[str, str], tuple[TargetView, str, list[tuple[BinaryTargetView, UnivariateScore]]]] = {}
    for (target, name, answer, score), p_value in zip(scored, corrected, strict=True):
        if p_value < FAMILY_WISE_ERROR_RATE and suspect(score):
            shortcuts.setdefault((target.header, name), (target, name, []))[2].append((answer, score))
    return [_measure_finding(header, *one, grouped=metadata.groups is not None) for one in shortcuts.values()]


def _measure_finding(
    header: str, target: TargetView, name: str, scores: Sequence[tuple[BinaryTargetView, UnivariateScore]], *, grouped: bool
) -> Finding:
    what = f"the {name} of an image alone {describe_score(target, scores, grouped=grouped)}"
    why = "If that comes from how images were taken or prepared, the network learns it, and fails on images from elsewhere."
    fix = "Look at images of different answers; where the difference is not what should be learned, prepare all of them alike."
    return Finding("warning" if any(certain(scores)) else "note", "image_tells_label", header, what, why, fix)
