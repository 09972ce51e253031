"""The contract of a split: what a method may know of the rows, and the plan of partitions that it returns.

    >>> import numpy as np
    >>> from mmtrain.splits.base import split_method, split_methods
    >>> @split_method
    ... def every_third(rows, *, offset: int = 0):
    ...     codes = (np.arange(rows.count) + offset) % 3  # (rows,): 0 = train, 1 = validation, 2 = test
    ...     return SplitPlan.of(Partition.from_codes(codes))
    >>> split_methods["every_third"].plan(Rows(6), offset=1).holdout.train.tolist()
    [2, 5]

NumPy and pandas are imported inside functions: the experiment file is checked without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor
from typing import TYPE_CHECKING, Any, TypeAlias

from mmtrain.errors import DataError, Problem, counted

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

IntArray: TypeAlias = "npt.NDArray[np.signedinteger[Any]]"
TextPerRow: TypeAlias = "Sequence[Any] | npt.NDArray[Any] | pd.Series[Any] | pd.Categorical[Any]"


@dataclass(frozen=True)
class Rows:
    """The knowledge of a split method about the rows: how many, and one value per row where there is such a column."""

    count: int
    groups: TextPerRow | None = None
    labels: TextPerRow | None = None
    """Classes; None where the target has none."""
    given: TextPerRow | None = None
    """`train`, `validation` or `test`, or the name of a fold, from the column with the role `split`."""
    times: npt.NDArray[np.float64] | None = None
    """From the column with the role `time`; larger is later."""
    time_cells: TextPerRow | None = None
    """The same as the table writes them."""
    folds: bool = False
    """True if the column with the role `split` names folds."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the columns that `groups`, `given` and `times` come from, by these names."""

    def at(self, positions: IntArray) -> Rows:
        """Return only these rows."""
        import numpy as np

        values = {name: cells for name, cells in vars(self).items() if name not in ("count", "headers", "folds") and cells is not None}
        picked: dict[str, Any] = {
            name: (np.asarray(cells) if name == "times" else by_position(cells))[positions] for name, cells in values.items()
        }
        return Rows(len(positions), folds=self.folds, headers=self.headers, **picked)


def by_position(cells: TextPerRow) -> npt.NDArray[np.object_] | pd.Categorical[Any]:
    """Return cells that can be indexed by position. Of a million rows, categories take a tenth of the time and memory of texts."""
    import numpy as np
    import pandas as pd

    return cells if isinstance(cells, pd.Categorical) else np.asarray(cells, dtype=object)


def _no_rows() -> IntArray:
    import numpy as np

    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Partition:
    """Row positions by what the rows are used for: int64, ascending, disjoint.

    >>> import numpy as np
    >>> partition = Partition.from_codes(np.array([0, 2, 0, 1]))
    >>> partition.train.tolist(), partition.validation.tolist(), partition["test"].tolist()
    ([0, 2], [3], [1])
    """

    train: IntArray
    """Rows that are fitted on."""
    validation: IntArray
    """Rows that select the best epoch, and that calibration and threshold are fitted on."""
    test: IntArray
    """Rows that are scored, by `evaluate` alone."""
    calibration: IntArray = field(default_factory=_no_rows)
    """Rows for nothing but the conformal bound; not among those of `validation`. Empty without a bound."""

    @classmethod
    def from_codes(cls, codes: np.ndarray[Any, np.dtype[np.integer[Any]]]) -> Partition:
        """Return the partition of (rows,) codes: 0 = train, 1 = validation, 2 = test, 3 = calibration; others are in no use."""
        import numpy as np

        return cls(*(np.flatnonzero(codes == code).astype(np.int64) for code in range(len(USES))))

    def __getitem__(self, use: str) -> IntArray:
        if use not in USES:
            raise KeyError(use)
        positions: IntArray = getattr(self, use)
        return positions

    def items(self) -> Iterator[tuple[str, IntArray]]:
        """Yield uses and positions in the order train, validation, test, and calibration where it has rows."""
        return ((use, self[use]) for use in USES if use != "calibration" or len(self.calibration))

    def codes(self, rows: int) -> IntArray:
        """Return the use of each row, as `from_codes` takes it; (rows,), -1 for a row in no use."""
        import numpy as np

        codes = np.full(rows, -1, np.int64)
        for code, use in enumerate(USES):
            codes[self[use]] = code
        return codes

    def names(self, rows: int) -> npt.NDArray[np.str_]:
        """Return the use of each row by its name; (rows,), empty for a row in no use."""
        import numpy as np

        return np.array([*USES, ""])[self.codes(rows)]

    def hold_out(self, rows: IntArray) -> Partition:
        """Return the partition with `rows` of validation used for calibration instead."""
        import numpy as np

        return replace(self, validation=np.setdiff1d(self.validation, rows), calibration=rows)


USES = tuple(Partition.__dataclass_fields__)
UNUSED = "unused"
"""Part of a row that a partition leaves out, as folds of time leave out later rows."""
USE_NAMED = {**{use: use for use in USES}, "conformal": "calibration"}
"""Names by which a user may call a use: its name, or what calibration rows are for."""


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """One or several partitions of the same rows, and perhaps outer test rows that no partition has.

    A hold-out is a plan of one partition, k folds are k partitions; the rows that a fold scores are the test rows of its partition.
    """

    partitions: tuple[Partition, ...]
    test: IntArray = field(default_factory=_no_rows)
    """Outer test rows: nothing is fitted on them or selected by them, in no fold."""
    description: str = ""
    """The way in which the rows were divided, a sentence without its full stop, for the model card."""
    notes: tuple[str, ...] = ()
    """Sentences for the user."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON values that the run keeps in data.json."""
    repeats: int = 1
    """Number of times that the rows were dealt to folds; the partitions of a repeat follow each other."""
    partial: bool = False
    """True if a partition may leave rows out, as folds of time leave out those later than the scored ones."""

    @classmethod
    def of(cls, *partitions: Partition, **more: Any) -> SplitPlan:
        """Return the plan of these partitions; `more` are its other fields."""
        return cls(partitions, **more)

    @property
    def holdout(self) -> Partition:
        """The one partition of a plan without folds, with the outer test rows, if any, as its test rows.

        Raises ValueError for several partitions, and for two sets of test rows.
        """
        if len(self.partitions) != 1:
            raise ValueError(f"the plan has {len(self.partitions)} partitions, and one training takes one")
        partition = self.partitions[0]
        if not len(self.test):
            return partition
        if len(partition.test):
            raise ValueError("the plan has outer test rows besides the test rows of its only partition")
        return replace(partition, test=self.test)

    @property
    def folds(self) -> int:
        """Number of folds of each repeat; 1 for a hold-out."""
        return len(self.partitions) // self.repeats

    @property
    def trainings(self) -> tuple[Partition, ...]:
        """The partition of each training: that of `holdout`, or those of the folds."""
        return self.partitions if len(self.partitions) > 1 else (self.holdout,)

    def items(self) -> Iterator[tuple[str, IntArray]]:
        """Yield parts and positions for a summary: those of the only partition, or the rows that each fold of one repeat scores."""
        if len(self.partitions) == 1:
            yield from self.holdout.items()
            return
        for number, partition in enumerate(self.partitions[: self.folds]):
            yield f"fold {number}", partition.test
        if len(self.test):
            yield "test", self.test

    def record(self) -> dict[str, Any]:
        """Return what a run keeps of the plan besides its rows: JSON values."""
        folds = {"folds": self.folds, "repeats": self.repeats} if len(self.partitions) > 1 else {}
        return {"description": self.description, "notes": list(self.notes), **folds, **self.facts}

    def check(self, rows: Rows) -> None:
        """Look once more, by other means than the method used, that every row has one use and every group is on one side.

        Raises:
            RuntimeError: some are not. For a method of mmtrain that is a bug, not something to be mended by a user.

        """
        for number, partition in enumerate(self.partitions):
            where = f" in partition {number}" if len(self.partitions) > 1 else ""
            if faults := self._faults(partition, rows):
                raise RuntimeError(f"The split is unsound{where}: {', '.join(faults)}.")
        if not self.partitions:
            raise RuntimeError("The split is unsound: it has no partition.")
        if len(self.partitions) % self.repeats:
            raise RuntimeError(f"The split is unsound: {len(self.partitions)} partitions in {self.repeats} repeats.")
        if len(self.partitions) > 1 and not all(len(partition.test) for partition in self.partitions):
            raise RuntimeError("The split is unsound: a fold has no row to score.")

    def _faults(self, partition: Partition, rows: Rows) -> list[str]:
        import numpy as np
        import pandas as pd

        sides = [partition[use] for use in USES] + [self.test]
        everything = np.concatenate(sides)
        if len(everything) and not 0 <= everything.min() <= everything.max() < rows.count:
            return [f"positions outside of the {counted(rows.count, 'row')}"]
        # How often each row is used: exactly once is right.
        times = np.bincount(everything, minlength=rows.count)
        faults = [
            f"{counted(len(positions_at_fault), 'row')} in {where} (first: {positions_at_fault[0]})"
            for where, positions_at_fault in (("no part", np.flatnonzero(times == 0)), ("several parts", np.flatnonzero(times > 1)))
            if len(positions_at_fault) and not (self.partial and where == "no part")
        ]
        if not len(partition.train):
            faults.append("no row to train on")
        if rows.groups is not None:
            groups, names = pd.factorize(by_position(rows.groups))
            met = np.zeros(len(names), dtype=np.int64)
            # Sides on which each group has rows, counted once per side.
            for positions in sides:
                met += np.bincount(groups[positions], minlength=len(names)) > 0
            torn = np.flatnonzero(met > 1)
            if len(torn):
                faults.append(f"{counted(len(torn), 'group')} in several parts (first: {str(names[torn[0]])!r})")
        return faults


def hold_out_calibration(partition: Partition, rows: Rows, *, coverage: float, fewest: int, seed: int) -> Partition:
    """Return the partition with `calibration` taken from `validation`, which keeps the odd group.

    Whole groups are dealt at random, half of them to each side: conformal prediction promises something of new groups, so groups, or
    rows where there are none, are what is counted. Neither size nor class plays a part, which keeps those held back a fair sample.
    The same rows and seed give the same halves. A split by time is no exception: what the bound promises rests on calibration rows
    being like those of validation, so both are of the same period.

    Raises:
        DataError: fewer than `fewest` groups, or rows, would be held back; the `coverage` needs that many.

    """
    import numpy as np
    import pandas as pd

    places = partition.validation if rows.groups is None else by_position(rows.groups)[partition.validation]
    unit, names = pd.factorize(places)
    half = len(names) // 2
    if half < max(1, fewest):
        raise DataError(_too_few(len(names), half, coverage, fewest, "row" if rows.groups is None else "group"))
    chosen = np.zeros(len(names), dtype=np.bool_)
    # Whole groups, or rows where there are none.
    chosen[np.random.Generator(np.random.PCG64(seed)).permutation(len(names))[:half]] = True
    return partition.hold_out(partition.validation[chosen[unit]])


def _too_few(count: int, half: int, coverage: float, fewest: int, noun: str) -> Problem:
    of_part = f"{count} {noun if count == 1 else f'{noun}s'}"
    what = f"a coverage of {coverage:g} needs {fewest} {noun}s held back; the validation part has {of_part}, half of which is {half}."
    possible = floor(100 * half / (half + 1)) / 100
    lower = f" or lower the coverage to {possible:g}," if possible > 0.5 else ""
    return Problem("evaluation.conformal", what, f"Raise `split.validation`,{lower} or leave `conformal` out.")
