"""`split: time`: the earliest rows train, later ones validate, the latest are tested.

With folds the origin rolls forward: the rows are cut into folds + 1 periods of about the same number of rows, and fold i learns from the
first i + 1 of them and is scored on the next one; the last rows of what it learns from are its validation rows, later rows are not used.

A group goes by its latest row, so that training knows nothing of the time that validation and test are from; its earlier rows then
are on the later side of a cut, and a note gives their number. Rows of equal time are never on two sides of a cut. Nothing is random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmtrain.errors import DataError, Problem, counted, listed
from mmtrain.splits.base import Folds, TestShare, ValidationShare, split_method
from mmtrain.splits.plan import USES, IntArray, Partition, Rows, SplitPlan, TextPerRow

if TYPE_CHECKING:
    import numpy as np

    FloatArray = np.ndarray[tuple[int], np.dtype[np.float64]]

FAR = 0.05
"""Distance of a part's share from the wanted one, above which a note is made."""


@split_method(needs="times")
def time(rows: Rows, *, validation: ValidationShare = 0.15, test: TestShare = 0.15, folds: Folds = None) -> SplitPlan:
    """By the column with the role `time`: the earliest rows train, later ones validate, the latest are tested."""
    import numpy as np

    from mmtrain.splits.random_assignment import check_shares

    check_shares(validation, test, validation + test if folds is None else max(validation, test))
    if rows.times is None or rows.time_cells is None:
        raise ValueError("A split by time needs the times.")
    if folds is not None:
        return _rolling(rows, rows.times, rows.time_cells, folds, validation, test)
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


def _rolling(rows: Rows, times: FloatArray, cells: TextPerRow, folds: int, validation: float, test: float) -> SplitPlan:
    """Return folds of a rolling origin: each learns from all rows before those that it is scored on."""
    import numpy as np

    moments, moment = np.unique(_last_times(rows, times), return_inverse=True)
    # Validation of the first fold is a period of its own.
    fewest = folds + 2 + bool(test)
    if len(moments) < fewest:
        raise DataError(_too_few_for_folds(rows, len(moments), folds, fewest))
    rows_at = np.bincount(moment)
    end = _cuts(rows_at, {"test": test}, least=folds + 2)["test"] if test else len(moments)
    # From the end of the first period on; each fold takes an equal share of what is inside.
    shares = dict.fromkeys(map(str, range(folds)), 1 / (folds + 1))
    starts = list(_cuts(rows_at[:end], shares, least=2).values())
    partitions = []
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        cut = _cuts(rows_at[:start], {"validation": validation})["validation"]
        codes = np.full(rows.count, -1, np.int64)
        codes[moment < stop] = USES.index("test")
        codes[moment < start] = USES.index("validation")
        codes[moment < cut] = USES.index("train")
        partitions.append(Partition.from_codes(codes))
    header, written = rows.headers.get("times", ""), np.asarray(cells, dtype=object)
    cuts = [str(written[np.argmax(times == moments[start])]) for start in [*starts, end][: folds + bool(test)]]
    uses = [*(f"fold {number}" for number in range(folds)), "test"]
    named = [f"{use} from {cell} on" for use, cell in zip(uses, cuts, strict=False)]
    return SplitPlan(
        tuple(partitions),
        np.flatnonzero(moment >= end),
        f"The rows were divided by the column {header}; each of {folds} folds learns from all rows before those that it is scored on",
        (f"Split by '{header}': {listed(named, most=20)}.",),
        {"fold_cuts": cuts[:folds]},
        partial=True,
    )


def _too_few_for_folds(rows: Rows, moments: int, folds: int, fewest: int) -> Problem:
    times = counted(moments, "different time") + (" among the latest rows of its groups" if rows.groups is not None else "")
    what = f"the column '{rows.headers.get('times', '')}' has {times}; {folds} folds need {fewest}."
    return Problem("split", what, "Lower `split.folds`, or use times that are less coarse.")


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


def _cuts(rows_at: IntArray, wanted: dict[str, float], least: int = 1) -> dict[str, int]:
    """Return the moment at which each use begins, so that it has nearly its share of the rows; the last use is cut off first.

    `rows_at` counts the rows of each moment, in order; at least the first `least` moments are before all uses.
    """
    import numpy as np

    before = np.append(0, np.cumsum(rows_at))  # rows before each moment
    begins: dict[str, int] = {}
    end = len(rows_at)
    for left, (use, share) in zip(range(least + len(wanted) - 1, least - 1, -1), reversed(wanted.items()), strict=True):
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
