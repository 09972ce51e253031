"""`role: date`: a date, with a time of day or without, as days and parts of the calendar.

Encoded as kind `vector`: (batch, width) float32, the numbers of `parts` one after the other. With `cyclic`, month, day, weekday and hour
are the sine and cosine of their angle, so that December lies next to January. Raw dates are texts of ISO 8601, whatever their format in
the table: the saved model reads `2024-03-31` and `2024-03-31T10:30:00`.

    >>> import pandas as pd
    >>> Date(column="seen").faults(pd.Series(["03/04/2021"], dtype="str"))[0].what
    "'03/04/2021' may be 3 April 2021 or 4 March 2021: no cell shows which number is the day."
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from mmtrain.columns.base import Content, Evidence, Guess, role
from mmtrain.columns.cells import CellError, CellWarning, missing_cell_error, rows_by_value
from mmtrain.columns.input_column import InputColumn
from mmtrain.columns.numbers import bin_edges, center_and_scale
from mmtrain.columns.numeric import AUTO_ROWS
from mmtrain.columns.vectorizers.fitted_date import FittedDate, Part
from mmtrain.errors import DataError, Problem, listed
from mmtrain.specs import Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile

MONTHS = 12
MISSING = {"mean": "use the training mean", "mask": "leave the date out of that row", "drop": "leave the row out"}
ORDERS = "Set `format: day_first` or `format: month_first`, or write dates such as 2021-04-03."
WRITE = "Write dates such as 2024-03-31 or 2024-03-31 10:30, state their `format`, or leave the cell empty."


def _once(parts: tuple[Part, ...] | None) -> tuple[Part, ...] | None:
    if parts is not None and len(set(parts)) < len(parts):
        raise ValueError("a part is named twice")
    return parts


@role("date", fitted=FittedDate)
class Date(InputColumn):
    """A date, with a time of day or without."""

    content: ClassVar[Content] = "dates"

    role: Literal["date"] = "date"
    format: str = Field(
        "",
        description="day_first or month_first: the order of dates between slashes, such as 03/04/2021; or the format of all cells, such as "
        "'%d.%m.%y %H:%M' (as in Python's strptime). Left out: inferred, and asked about where 03/04/2021 may be two dates.",
    )
    time_zone: str = Field(
        "",
        description="IANA time zone, such as Europe/Vienna, that times with an offset from UTC are converted to, so that hour and weekday "
        "are local. Left out: UTC. Times without an offset stay as they are.",
    )
    since: str = Field(
        "",
        description="Header of another column of dates, such as a date of birth, that days are counted from. Left out: a fixed date, "
        "which has no effect on the encoded number.",
    )
    parts: Annotated[tuple[Part, ...] | None, AfterValidator(_once)] = Field(
        None,
        min_length=1,
        description="Numbers that the network reads of a date. Left out: days, month, day and weekday, and hour if training rows have "
        "times of day.",
    )
    cyclic: bool = Field(True, description="Month, day, weekday and hour as sine and cosine, so that their ends meet; false: as a number.")
    missing: Literal["mean", "mask", "error", "drop"] = Field(
        "mean",
        description="mean: the training mean of every number and an indicator; mask: the branch goes without; error: refuse; drop: leave "
        "the row out.",
    )

    @model_validator(mode="after")
    def _usable_options(self) -> Date:
        from zoneinfo import ZoneInfo

        if self.time_zone:
            try:
                ZoneInfo(self.time_zone)
            except (KeyError, ValueError, OSError) as error:
                raise ValueError(f"{self.time_zone!r} is not a time zone. Write a name such as Europe/Vienna or UTC.") from error
        if self.format and self.format not in ("day_first", "month_first") and "%" not in self.format:
            raise ValueError(f"{self.format!r} is not a format. Write day_first, month_first, or a pattern such as '%d/%m/%Y'.")
        if "%" in self.format:
            import pandas as pd

            try:
                pd.to_datetime(["2024-03-31"], format=self.format, errors="coerce", utc="%z" in self.format)
            except ValueError as error:
                raise ValueError(f"{self.format!r} is not a format: {error}. Write a pattern such as '%d/%m/%Y'.") from error
        if self.since and self.since == self.column:
            raise ValueError("`since` names the column itself. Name another column of dates, or leave `since` out.")
        return self

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by dates; where no cell shows the order of day and month, the column has to be described first."""
        if not profile.nearly_all(profile.dates):
            return None
        import pandas as pd

        from mmtrain.text.iso_dates import first_slashed, possible_orders

        values = pd.Series(profile.values, dtype="str")
        reason = f"dates such as {profile.example}; to order rows in time, add a column of `role: time`"
        options: dict[str, Any] = {}
        if first_slashed(values) and possible_orders(values) == (True, True):
            reason = f"dates such as {profile.example}; check `format`: no frequent cell shows whether day or month comes first"
            options = {"format": "day_first"}
        return Guess(role="date", evidence=Evidence.DATES, reason=reason, options=options, used=not options)

    @property
    def kind(self) -> Kind:
        """Always a vector."""
        return "vector"

    def reads(self) -> tuple[str, ...]:
        """The date, and the one that it is counted from."""
        return (self.column, self.since) if self.since else (self.column,)

    @classmethod
    def ranks(cls, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return days since 1970."""
        from mmtrain.text.dates import days

        return days(cells)

    def missing_cells(self, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows that lack the date, or the one that it is counted from."""
        import numpy as np

        empty = np.asarray(cells.isna())
        return np.asarray(empty if empty.ndim == 1 else empty.any(axis=1))

    def options_without_effect(self) -> dict[str, tuple[str, str]]:
        """Return `since` where days are not among the parts."""
        if not self.since or self.parts is None or "days" in self.parts:
            return {}
        return {"since": ("`since` has no effect without `days` among `parts`.", "Add `days`, or leave `since` out.")}

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Cells that are not dates, or may be two dates; a column without any; missing cells where those are refused."""
        import numpy as np

        from mmtrain.text.iso_dates import iso_texts

        faults = missing_cell_error(cells, self.missing, MISSING)
        if cells.isna().all():
            return faults or [CellError(np.arange(1), "no row has a date.", "Remove the column from the file, or fill it in.")]
        texts = iso_texts(cells, format=self.format, day_first=self._declared_order)
        unread = np.flatnonzero((texts == "") & cells.notna().to_numpy())
        return [*faults, CellError(unread, *self._not_a_date(cells, unread[0]))] if len(unread) else faults

    def doubts(self, cells: pd.Series[str]) -> list[CellError]:
        """Times with an offset from UTC next to times without one."""
        import numpy as np

        from mmtrain.text.date_patterns import OFFSET_FROM_UTC

        offsets = cells.str.contains(OFFSET_FROM_UTC, regex=True, na=False).to_numpy(dtype=np.bool_)
        others = np.flatnonzero(cells.notna().to_numpy() & ~offsets)
        if not offsets.any() or not len(others):
            return []
        example = cells.iloc[int(np.flatnonzero(offsets)[0])]
        what = f"{cells.iloc[others[0]]!r} has no offset from UTC, and other cells have one, such as {example!r}."
        return [CellError(others, what, f"It is read as a time of {self.time_zone or 'UTC'}; write an offset in every cell if it is not.")]

    @property
    def _declared_order(self) -> bool | None:
        return {"day_first": True, "month_first": False}.get(self.format)

    def _not_a_date(self, cells: pd.Series[str], row: int) -> tuple[str, str]:
        """Return why a cell is refused as a date, and the fix."""
        from mmtrain.text.dates import slashed_numbers
        from mmtrain.text.iso_dates import possible_orders, spelled_date

        cell = str(cells.iloc[row])
        (first, second), *_ = slashed_numbers(cells.iloc[row : row + 1])
        if "%" in self.format:
            return f"{cell!r} does not have the format {self.format!r}.", "Write it so, change `format`, or leave the cell empty."
        if first <= MONTHS and second <= MONTHS and self._declared_order is None:
            orders = possible_orders(cells)
            if orders == (True, True):
                one, other = spelled_date(cell, day_first=True), spelled_date(cell, day_first=False)
                return f"{cell!r} may be {one} or {other}: no cell shows which number is the day.", ORDERS
        if max(first, second) > MONTHS and self._declared_order is None and possible_orders(cells) == (False, False):
            numbers = slashed_numbers(cells)
            other = cells[numbers[:, 1 if first > MONTHS else 0] > MONTHS].iloc[0]
            return f"{cell!r} and {other!r} have the day and the month in two orders.", "Write dates such as 2024-03-31."
        return f"{cell!r} is not a date.", WRITE

    def remarks(self, cells: pd.Series[str], raw: np.ndarray[Any, Any], encoded: np.ndarray[Any, Any]) -> list[CellWarning]:
        """Name the cells that are not dates, which are refused as in training."""
        import numpy as np

        if not len(unread := np.flatnonzero((raw == "").any(axis=1))):
            return []
        remarks = []
        for number, one in enumerate(self._each_header([cells])):
            bad = unread[(raw[unread, number] == "") & one.iloc[unread].notna().to_numpy()]
            remarks += [CellWarning(rows, f"{cell!r} is not a date", WRITE) for cell, rows in rows_by_value(one, bad)]
        return remarks + super().remarks(cells, raw, encoded)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedDate:
        """Center and scale of every number in training rows; the order of day and month.

        Raises DataError where training rows have dates between slashes, and none shows the order.
        """
        import numpy as np

        from mmtrain.layers.numbers.dates import PERIODS, numbers_of
        from mmtrain.text.iso_dates import short_iso

        pieces = list(cells)
        day_first = self._learned_order(pieces)
        draft = self._fitted(day_first=day_first)
        raw = np.concatenate([draft.raw(piece) for piece in pieces])
        parts = self._parts(raw)
        numbers = numbers_of(raw, parts, cyclic=self.cyclic)
        known = numbers[~np.isnan(numbers[:, 0])]
        missing = len(numbers) - len(known)
        dates = np.sort(raw[~np.isnan(numbers[:, 0]), 0])
        # Training rows without any date: zeros keep every statistic finite.
        known = known if len(known) else np.zeros((1, numbers.shape[1]))
        circular = np.array([self.cyclic and part in PERIODS for part in parts for _ in range(1 + (self.cyclic and part in PERIODS))])
        # Sines and cosines stay as they are: scaled, those of a few neighbouring months would be large in any other month.
        scaling = [(0.0, 1.0) if is_angle else center_and_scale(column) for column, is_angle in zip(known.T, circular, strict=True)]
        center, scale = zip(*scaling, strict=True)
        edges, ranks = bin_edges(known[:, 0]) if parts[0] in ("days", "year") else ((), ())
        return self._fitted(
            day_first=day_first,
            parts=parts,
            center=center,
            scale=scale,
            fill=tuple(np.where(circular & (self.missing != "mask"), known.mean(axis=0), 0.0).tolist()),
            # Without a missing training row an indicator would be constant, and its weight untrained.
            indicator=self.missing == "mean" and missing > 0,
            first=short_iso(dates[0]) if len(dates) else "",
            last=short_iso(dates[-1]) if len(dates) else "",
            missing=missing,
            few_rows=len(known) < AUTO_ROWS,
            edges=edges,
            ranks=ranks,
        )

    def _fitted(self, **learned: Any) -> FittedDate:
        empty: dict[str, Any] = {"parts": ("days",), "center": (0.0,), "scale": (1.0,), "fill": (0.0,), "indicator": False, "missing": 0}
        options = {"format": self.format if "%" in self.format else "", "time_zone": self.time_zone, "cyclic": self.cyclic}
        return FittedDate(
            **{**empty, "first": "", "last": "", **options, "headers": self.reads(), "masked": self.missing == "mask", **learned}
        )

    def _parts(self, raw: np.ndarray[Any, Any]) -> tuple[Part, ...]:
        if self.parts is not None:
            # Days, else the year, first: networks divide the first number into bins.
            return tuple(sorted(self.parts, key=lambda part: {"days": 0, "year": 1}.get(part, 2)))
        timed = any(text and not text.endswith("T00:00:00") for text in raw[:, 0])
        return ("days", "month", "day", "weekday", *(("hour",) if timed else ()))

    def _learned_order(self, pieces: list[pd.Series[str]]) -> bool | None:
        """Return the order of dates between slashes: as declared, else as the training rows show it; None where none has slashes."""
        from mmtrain.text.iso_dates import first_slashed, possible_orders

        if self.format:
            return self._declared_order
        slashed = None
        shown = {True: False, False: False}
        for piece in self._each_header(pieces):
            cells = piece.dropna().drop_duplicates()
            day_may_be_first, month_may_be_first = possible_orders(cells)
            shown[True] |= not month_may_be_first
            shown[False] |= not day_may_be_first
            if day_may_be_first and month_may_be_first and slashed is None:
                slashed = first_slashed(cells)
        if shown[True] and shown[False]:  # by one header each: `faults` refuses a column of two orders
            what = f"the training rows of {listed(self.reads())} have the day and the month in two orders."
            raise DataError(Problem(self.column, what, "Write dates such as 2024-03-31."))
        if shown[True] or shown[False]:
            return shown[True]
        if slashed is None:
            return None
        what = f"the training rows have dates such as {slashed!r}, and none of them shows which number is the day."
        raise DataError(Problem(self.column, what, ORDERS))

    def _each_header(self, pieces: list[pd.Series[str]]) -> Iterator[pd.Series[str]]:
        for piece in pieces:
            table: Any = piece  # of two headers a DataFrame
            yield from [piece] if piece.ndim == 1 else [table[header] for header in self.reads()]
