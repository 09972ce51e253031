"""A date as training rows taught it: days and parts of the calendar, scaled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.cells import missing_words
from mmtrain.columns.fitted_column import EncodingDescription, FittedColumn, RawInput
from mmtrain.columns.numbers import MAX_EDGES, encoded_edges
from mmtrain.errors import listed
from mmtrain.registry import Section
from mmtrain.specs import VectorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator

Part = Literal["days", "year", "month", "day", "weekday", "hour"]


class FittedDate(FittedColumn):
    """The order of day and month, and center and scale of every number."""

    role: Literal["date"] = "date"
    headers: tuple[str, ...] = Field(min_length=1, max_length=2, description="Header of the date, and that of the date it is counted from.")
    format: str = Field("", description="As declared; empty for inferred formats.")
    day_first: bool | None = Field(None, description="Order of day and month between slashes; None where no training row has slashes.")
    time_zone: str = ""
    parts: tuple[Part, ...]
    cyclic: bool
    center: tuple[float, ...]
    scale: tuple[float, ...]
    fill: tuple[float, ...] = Field(description="Encoded numbers of a missing date.")
    indicator: bool
    masked: bool
    first: str = Field(description="Earliest date of training rows, empty without any.")
    last: str
    missing: int = Field(description="Training rows without a date.")
    few_rows: bool = False
    edges: tuple[float, ...] = Field((), max_length=MAX_EDGES, description="Edges of the bins of the first number.")
    ranks: tuple[float, ...] = Field((), max_length=MAX_EDGES, description="Rank among training rows at each edge, 0 to 1.")

    @property
    def spec(self) -> VectorSpec:
        """(batch, width); networks may divide the first number, days or year, into bins."""
        edges, ranks = encoded_edges(self.edges, self.ranks, self.center[0], self.scale[0]) if self.edges else ((), ())
        return VectorSpec(len(self.center) + int(self.indicator), "auto" if edges else "none", edges, ranks, self.few_rows)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """One text of ISO 8601, empty for missing; two with the date that days are counted from."""
        return {name: RawInput((len(self.headers),), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, 1 or 2) str."""
        import numpy as np

        from mmtrain.text.iso_dates import iso_texts

        table: Any = cells  # of two headers a DataFrame
        several = [cells] if len(self.headers) == 1 else [table[header] for header in self.headers]
        options: dict[str, Any] = {"format": self.format, "day_first": self.day_first, "time_zone": self.time_zone}
        return np.stack([iso_texts(one, **options).astype(object) for one in several], axis=1)

    def accumulator(self, learned: Any = None) -> Accumulator:
        """First, median and last date."""
        from mmtrain.columns.summaries.dates import DateAccumulator

        return DateAccumulator(learned)

    def baseline_words(self, learned: Any) -> str:
        """Describe the zero vector, which has no place on any circle of the calendar and the center of every other number."""
        from mmtrain.text.dates import day_name

        part = self.parts[0]
        if not self.first or part not in ("days", "year"):
            return super().baseline_words(learned)
        if len(self.headers) == 2:
            return f"the mean of training rows, {self.center[0]:,.0f} {part.rstrip('s')}s"
        return f"the mean training date, {day_name(self.center[0])}" if part == "days" else f"the mean training year, {self.center[0]:.0f}"

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """Range of the dates, and the parts that the network reads."""
        reach = f"from {self.first} to {self.last}" if self.first else "no dates"
        order = {True: "; day before month", False: "; month before day", None: ""}[self.day_first]
        return f"{reach}{order}; {listed(self.parts)}; {missing_words(self.missing)}"

    def recipe(self) -> EncodingDescription:
        """The numbers of every part."""
        counted_from = "1970-01-01" if len(self.headers) == 1 else f"the date of {self.headers[1]!r}"
        angle = "; month, day, weekday and hour are the sine and cosine of their share of 12, 31, 7 and 24" if self.cyclic else ""
        flag = ", then 1 if the date is missing, else 0" if self.indicator else ""
        encoded = (
            f"The numbers of {listed(self.parts)}: days are counted from {counted_from}, "
            f"months, days and weekdays from 0, Monday is 0{angle}. "
            f"Each is (number - center) / scale, computed in float64 and rounded to float32, center {list(self.center)!r}, scale "
            f"{list(self.scale)!r}{flag}. A missing date is {list(self.fill)!r}."
        )
        present = "1 if there is a date, else 0." if self.masked else "Always 1."
        day = self.first[:10] or "2024-03-31"
        cell = day if len(self.headers) == 1 else dict.fromkeys(self.headers, day)
        meaning = "A date as ISO 8601 writes it: 2024-03-31 or 2024-03-31T10:30:00."
        zone = f", in the time of {self.time_zone or 'UTC'}" if "hour" in self.parts else ""
        slashes = "" if self.day_first is None else f" or {'31/03/2024' if self.day_first else '03/31/2024'}"
        raw = f"The date as 2024-03-31, 31.3.2024{slashes}, with a time behind it{zone}; an empty text if missing. Others count as missing."
        return EncodingDescription(meaning, encoded, present, cell, raw)

    def preprocessing(self) -> Any:
        """Reads, scales and flags dates."""
        from mmtrain.layers.numbers.dates import EncodeDate

        names = ("parts", "cyclic", "center", "scale", "fill", "indicator", "masked", "day_first")
        return EncodeDate(**{name: getattr(self, name) for name in names}, utc=self.time_zone in ("", "UTC"))
