"""Findings on rows with the same image: in several parts, with different labels, of different groups, or repeated.

Rows of one group may share an image, and a group is always in one part of a split: that is a note at most. Labels of the test part
are not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.finding import Finding, Level
from mmtrain.audit.images.image_column import SHOWN_FILES
from mmtrain.audit.images.image_usage import ImageUsage
from mmtrain.audit.pairs import has_several
from mmtrain.audit.row_metadata import TEST, RowMetadata, split_names
from mmtrain.errors import counted, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class _Case:
    """The sentences of a finding on rows that share images; `what` follows their number, `3 images are` for instance."""

    level: Level
    kind: str
    what: str
    why: str
    fix: str


_TOO_GOOD = "The network is scored on images that it was trained on, so the scores are too good."
_ONE_GROUP = "Leave the copies out, or give their rows one value in a `group` column."
_SAME_ACROSS = _Case("error", "same_image_across_parts", "in more than one part", _TOO_GOOD, _ONE_GROUP)
_SAME_IN_ROW = _Case(
    "warning",
    "same_image_in_two_columns",
    "the same image in more than one column",
    "A second branch learns nothing from what the first has seen; or a path was copied into the wrong column.",
    "Correct the cells, or leave one of the columns out.",
)
_SAME_LABELS = _Case(
    "warning",
    "same_image_with_different_labels",
    "in rows with different labels",
    "At most one label of an image is right, unless other columns tell the rows apart.",
    "Look at them, and correct the labels or the cells.",
)
_SAME_GROUPS = _Case(
    "warning",
    "same_image_in_different_groups",
    "in rows of different groups",
    "Another split may put them into two parts; perhaps the groups are wrong.",
    _ONE_GROUP,
)
_SAME_AGAIN = _Case(
    "note",
    "same_image_repeated",
    "in more than one row",
    "Each copy counts, in training and in scores.",
    "Leave the copies out, unless other columns tell the rows apart.",
)
_ALIKE_ACROSS = _Case(
    "warning",
    "similar_images_across_parts",
    "in more than one part",
    "If they are copies, saved again or changed a little, the network is scored on what it was trained on.",
    f"Look at them. {_ONE_GROUP}",
)
_ALIKE = _Case(
    "note",
    "similar_images",
    "in one part",
    "They may be copies, saved again or changed a little.",
    "Look at them, and leave copies out.",
)


def duplicate_findings(headers: Sequence[str], used: ImageUsage, metadata: RowMetadata) -> list[Finding]:
    """Return the findings on all image columns, whose `headers` these are."""
    return [*_in_same_split(headers, used), *_same(headers, used, metadata), *_similar(headers, used, metadata)]


def _in_same_split(headers: Sequence[str], used: ImageUsage) -> Iterator[Finding]:
    """Find the same image in two columns of a row."""
    names = np.array([headers.index(header) for header in headers])[used.columns]  # one header may serve two columns
    # Sorted by row and image, the same image in two columns of a row is next to itself.
    order = np.lexsort((names, used.images, used.rows))
    first, second = order[:-1], order[1:]
    same = (used.rows[first] == used.rows[second]) & (used.images[first] == used.images[second]) & (names[first] != names[second])
    first, second = first[same], second[same]
    if not len(first):
        return
    rows = np.unique(used.rows[first])
    what = f"{counted(len(rows), 'row')} {'has' if len(rows) == 1 else 'have'} {_SAME_IN_ROW.what}."
    pairs = np.column_stack([first, second])[: SHOWN_FILES // 2].ravel()
    where = _where(headers, np.concatenate([used.columns[first], used.columns[second]]))
    yield _finding(_SAME_IN_ROW, where, what, used, pairs, len(rows))


@dataclass(frozen=True, eq=False)
class _Sets:
    """Cells that share an image, or look the same, in at least two rows."""

    used: ImageUsage
    numbers: NDArray[np.int64]
    """The set that each of `used` is in."""
    across: NDArray[np.bool_]
    """(sets,): in more than one part."""
    differing: NDArray[np.bool_]
    """(sets,): with more than one label."""
    one_group: NDArray[np.bool_]
    """(sets,): all rows are of one group."""

    def shown(self, which: NDArray[np.bool_], apart: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return two cells from each of the first of these sets, with different values in `apart`, which has one for each cell."""
        pairs: list[int] = []
        for number in np.flatnonzero(which)[: SHOWN_FILES // 2].tolist():
            # -1 means that the value is not known, which differs from nothing.
            members = np.flatnonzero((self.numbers == number) & (apart >= 0))
            others = members[apart[members] != apart[members[0]]]
            pairs += [int(members[0]), int(others[0])]
        return np.array(pairs, dtype=np.int64)


def _sets(used: ImageUsage, shared: NDArray[np.int64], within: NDArray[np.int64], metadata: RowMetadata) -> _Sets:
    """Return the sets of cells with the same number in `shared` that have several rows and several numbers in `within`."""
    _, codes = np.unique(shared, return_inverse=True)
    count = int(codes.max(initial=-1)) + 1
    # Several rows, and several images or files: one image in one row is not a duplicate.
    wanted = (has_several(codes, used.rows, count) & has_several(codes, within, count))[codes]
    used, (_, numbers) = used.select(wanted), np.unique(codes[wanted], return_inverse=True)
    members = np.column_stack([numbers, used.rows])
    count = int(numbers.max(initial=-1)) + 1
    one_group = (metadata.groups is not None) & ~has_several(numbers, metadata.units[used.rows], count)
    return _Sets(used, numbers, metadata.spans(members, metadata.parts), metadata.spans(members, _known_labels(metadata)), one_group)


def _known_labels(metadata: RowMetadata) -> NDArray[np.int64] | None:
    """Return codes, (rows,), equal for rows with the same classes and labels in all targets; -1 where one is unknown, and for test rows."""
    if not metadata.targets:
        return None
    known = np.ones(metadata.rows, dtype=np.bool_) if metadata.parts is None else metadata.parts != TEST
    codes = np.zeros(metadata.rows, dtype=np.int64)
    for labels in metadata.targets:
        sets = labels.sets()
        known &= sets >= 0
        # Combined codes are renumbered for each target, so that they never overflow.
        codes = pd.factorize(codes * (int(sets.max(initial=0)) + 2) + sets)[0]
    return np.where(known, codes, -1)


def _same(headers: Sequence[str], used: ImageUsage, metadata: RowMetadata) -> Iterator[Finding]:
    sets = _sets(used, used.images, used.rows, metadata)
    rows, free = sets.used.rows, ~sets.one_group
    across, differing = sets.across & free, sets.differing & free
    # Each set is reported once, by its gravest case.
    strange = free & ~across & (metadata.groups is not None)
    again = ~across & ~differing & ~strange
    cases = (
        (_SAME_ACROSS, across, metadata.parts),
        (_SAME_LABELS, differing, _known_labels(metadata)),
        (_SAME_GROUPS, strange, metadata.units),
        (_SAME_AGAIN, again, None),
    )
    for case, which, values in cases:
        if which.any():
            shown = sets.shown(which, rows if values is None else values[rows])
            number = int(which.sum())
            what = f"{counted(number, 'image')} {'is' if number == 1 else 'are'} {case.what}"
            yield _describe(case, what, f": {_ways(sets, which)}", headers, (sets, which, shown), metadata)


def _similar(headers: Sequence[str], used: ImageUsage, metadata: RowMetadata) -> Iterator[Finding]:
    sets = _sets(used, used.scenes, used.images, metadata)
    across = sets.across & ~sets.one_group
    for case, which in ((_ALIKE_ACROSS, across), (_ALIKE, ~across & ~sets.one_group)):
        if which.any():
            shown = sets.shown(which, sets.used.images)
            number, differing = int(which.sum()), int((which & sets.differing).sum())
            what = f"{counted(number, 'set')} of images that look the same {'is' if number == 1 else 'are'} {case.what}"
            labels = f", {differing:,} of them with different labels" if differing else ""
            yield _describe(case, what, labels, headers, (sets, which, shown), metadata)


def _ways(sets: _Sets, which: NDArray[np.bool_]) -> str:
    """Return `2 the same file, 1 equal pixels in files of other bytes`."""
    files, contents = (has_several(sets.numbers, values, len(which)) for values in (sets.used.files, sets.used.contents))
    ways = {"the same file": ~files, "equal bytes in different files": files & ~contents, "equal pixels in files of other bytes": contents}
    return listed([f"{int((which & way).sum()):,} {name}" for name, way in ways.items() if (which & way).any()])


def _describe(
    case: _Case,
    what: str,
    more: str,
    headers: Sequence[str],
    selection: tuple[_Sets, NDArray[np.bool_], NDArray[np.int64]],
    metadata: RowMetadata,
) -> Finding:
    """Return the finding of a case; `what` is followed by the names of the parts, then by `more`."""
    sets, which, shown = selection
    inside = which[sets.numbers]
    rows = np.unique(sets.used.rows[inside])
    first, second = sets.used.cells[shown[:2]]
    parts = (
        f" ({listed(split_names(metadata.parts[rows]))})" if case in (_SAME_ACROSS, _ALIKE_ACROSS) and metadata.parts is not None else ""
    )
    what = f"{what}{parts}{more}; {counted(len(rows), 'row')} in all, for instance {first}" + (
        "." if first == second else f" and {second}."
    )
    where = _where(headers, sets.used.columns[inside])
    return _finding(case, where, what, sets.used, shown, len(rows))


def _where(headers: Sequence[str], columns: NDArray[np.int64]) -> str:
    return ", ".join(dict.fromkeys(headers[column] for column in np.unique(columns).tolist()))


def _finding(case: _Case, where: str, what: str, used: ImageUsage, shown: NDArray[np.int64], count: int) -> Finding:
    """Return the finding with the cells `shown`: `rows` and `files` in the same order, pair by pair."""
    rows, files = used.rows[shown].tolist(), used.cells[shown].tolist()
    return Finding(case.level, case.kind, where, what, case.why, case.fix, tuple(rows), files=tuple(files), count=count)
