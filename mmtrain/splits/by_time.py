"""`split: time`: the earliest rows train, later ones validate, the latest are tested.

A group goes by its latest row, so that training knows nothing of the time that validation and test are from; its earlier rows then
are on the later side of a cut, and a note gives their number. Rows of equal time are never on two sides of a cut. Nothing is random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmtrain.errors import DataError, Problem, counted, listed
from mmtrain.splits.base import TestShare, ValidationShare, split_method
from mmtrain.splits.plan import IntArray, Partition, Rows, SplitPlan

if TYPE_CHECKING:
    import numpy as np

    FloatArray = np.ndarray[tuple[int], np.dtype[np.float64]]

FAR = 0.05
"""Distance of a part's share from the wanted one, above which a note is made."""


@split_method(needs="times")
def time(rows: Rows, *, validation: ValidationShare = 0.15, test: TestShare = 0.15) -> SplitPlan:
    """By the column with the role `time`: the earliest rows train, later ones validate, the latest are tested."""
    import numpy as np

    from mmtrain.splits.random_assignment import check_shares

    check_shares(validation, test, validation + test)
    if rows.times is None or rows.time_cells is None:
        raise ValueError("A split by time needs the times.")
    shares = {"validation": validation, "test": test}
    wanted = {use: share for use, share in shares.items() if share}
    last = _last_times(rows, rows.times)
    moments, moment = np.unique(last, return_inverse=True)
    if len(moments) <= len(wanted):
        raise DataError(_too_few(rows, len(moments), len(wanted) + 1))
    begins = _cuts(np.bincount(moment), wanted)
    codes = np.zeros(rows.count, np.int64)
    for code, use in enumerate(shares, start=1):
        codes[moment >= begins.get(use, len(moments))] = code
    partition = Partition.from_codes(codes)
    cuts = {use: str(np.asarray(rows.time_cells, dtype=object)[np.argmax(rows.times == moments[start])]) for use, start in begins.items()}
    earlier = {use: int((rows.times[partition[use]] < moments[start]).sum()) for use, start in begins.items()}
    header = rows.headers.get("times", "")
    return SplitPlan.of(
        partition,
        description=f"The rows were divided by the column {header}, training rows first in time",
        notes=_notes(header, cuts, earlier, {use: (len(partition[use]) / rows.count, share) for use, share in wanted.items()}),
        facts={"cuts": cuts, "earlier_rows_of_groups": earlier},
    )


def _last_times(rows: Rows, times: FloatArray) -> FloatArray:
    """Return the latest time in the group of each row, or of the row itself; (rows,)."""
    import numpy as np

    if rows.groups is None:
        return times
    from mmtrain.splits.random_assignment import coded

    group, names = coded(rows.groups, rows.count, "groups", in_order=False)
    last = np.full(len(names), -np.inf)
    np.maximum.at(last, group, times)
    return last[group]


def _cuts(rows_at: IntArray, wanted: dict[str, float]) -> dict[str, int]:
    """Return the moment at which each use begins, so that it has nearly its share of the rows; the last use is cut off first.

    `rows_at` counts the rows of each moment, in order.
    """
    import numpy as np

    before = np.append(0, np.cumsum(rows_at))  # rows before each moment
    begins: dict[str, int] = {}
    end = len(rows_at)
    for left, (use, share) in zip(range(len(wanted), 0, -1), reversed(wanted.items()), strict=True):
        begin = left + int(np.argmin(np.abs(before[left:end] - (before[end] - share * before[-1]))))
        begins[use] = end = begin
    return dict(reversed(begins.items()))


def _notes(header: str, cuts: dict[str, str], earlier: dict[str, int], shares: dict[str, tuple[float, float]]) -> tuple[str, ...]:
    """Say where the cuts are, which rows are earlier than that, and which part is far from its share."""
    notes = [f"Split by '{header}': {listed([f'{use} from {cell} on' for use, cell in cuts.items()])}."]
    if any(earlier.values()):
        which = listed([counted(number, f"{use} row") for use, number in earlier.items() if number])
        alone = sum(earlier.values()) == 1
        notes.append(
            f"{which} {'is' if alone else 'are'} earlier than that: {'its group has' if alone else 'their groups have'} later rows."
        )
    far = [f"{use} has {got:.0%} of the rows instead of {share:.0%}" for use, (got, share) in shares.items() if abs(got - share) > FAR]
    if far:
        notes.append(f"Rows of equal time and of one group stay together: {listed(far)}.")
    return tuple(notes)


def _too_few(rows: Rows, moments: int, parts: int) -> Problem:
    times = counted(moments, "different time") + (" among the latest rows of its groups" if rows.groups is not None else "")
    what = f"the column '{rows.headers.get('times', '')}' has {times}, fewer than the {parts} parts."
    without_test = ", set `test: 0`" if moments > 1 and parts > 2 else ""
    return Problem("split", what, f"Add rows of other times{without_test}, or use another split method.")
