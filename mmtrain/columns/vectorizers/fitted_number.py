"""A number as training rows taught it: bounded, transformed, centered and scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.cells import missing_words
from mmtrain.columns.fitted_column import EncodingDescription, FittedColumn, RawInput
from mmtrain.columns.numbers import MAX_EDGES, encoded_edges, parse_numbers
from mmtrain.columns.vectorizers.number_transforms import NumberTransform
from mmtrain.registry import Section
from mmtrain.specs import NumberEncoding, VectorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator


class FittedNumeric(FittedColumn):
    """`(value - center) / scale` on training rows; `fill` replaces a missing value before that."""

    role: Literal["numeric"] = "numeric"
    fill: float
    center: float
    scale: float = Field(gt=0)
    indicator: bool
    masked: bool
    minimum: float
    maximum: float
    missing: int = Field(description="Training rows without a value.")
    embed: NumberEncoding = "none"
    few_rows: bool = Field(False, description="Fewer training rows with a number than bins need in most architectures.")
    edges: tuple[float, ...] = Field((), max_length=MAX_EDGES, description="Edges of the bins, in the column's unit.")
    ranks: tuple[float, ...] = Field((), max_length=MAX_EDGES, description="Rank among training rows at each edge, 0 to 1.")
    bounds: tuple[float, float] | None = Field(
        None, description="Numbers outside are taken to be the nearest of these; None for no bounds."
    )
    transform: NumberTransform | None = Field(None, description="Applied before `center` and `scale`, which are in its unit.")

    @property
    def spec(self) -> VectorSpec:
        """(batch, 1) or, with the missing indicator, (batch, 2); the network expands the number as `embed` says."""
        edges = tuple(self.transformed(self.edges).tolist()) if self._transforms_numbers else self.edges
        edges, ranks = encoded_edges(edges, self.ranks, self.center, self.scale)
        return VectorSpec(2 if self.indicator else 1, self.embed, edges, ranks, self.few_rows)

    @property
    def _transforms_numbers(self) -> bool:
        return self.bounds is not None or self.transform is not None

    def transformed(self, numbers: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return numbers within the bounds and transformed, before they are centered and scaled."""
        import numpy as np

        values = np.asarray(numbers, dtype=np.float64) if self.bounds is None else np.clip(numbers, *self.bounds)
        return values if self.transform is None else self.transform.apply(values)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """One float64 number, NaN for missing."""
        return {name: RawInput((1,), "float64")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, 1) float64."""
        return parse_numbers(cells)[:, None]

    def accumulator(self, learned: Any = None) -> Accumulator:
        """Moments, quartiles and range."""
        from mmtrain.columns.summaries.numbers import NumericAccumulator

        return NumericAccumulator(learned)

    def baseline(self, learned: Any) -> str | np.ndarray[Any, Any] | None:
        """Return the training median; 0 where it is not known."""
        return super().baseline(learned) if learned is None else repr(learned.quartiles[1])

    def baseline_words(self, learned: Any) -> str:
        """Describe the baseline with its number."""
        return super().baseline_words(learned) if learned is None else f"the training median, {learned.quartiles[1]:g}"

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:
        """Range, and what is used of mean, deviation and median."""
        words = [f"from {number(self.minimum)} to {number(self.maximum)}"]
        if dict(declared).get("normalize") == "standard":
            words.append(f"mean {number(self.center)}, standard deviation {number(self.scale)}")
        if self.bounds is not None:
            words.append(f"bounded to {number(self.bounds[0])} and {number(self.bounds[1])}")
        if self.transform is not None:
            power = f" with the power {number(self.transform.power)}" if self.transform.method == "yeo_johnson" else ""
            words.append(f"{self.transform.method}{power}")
        if self.embed in ("piecewise_linear", "quantile"):
            words.append(f"{len(self.edges)} edges of bins")
        if not self.masked:
            policy = dict(declared).get("missing")
            name = policy if policy in ("mean", "constant") else "median"
            words.append(f"{name} {number(self.fill)}" + (" instead of a missing number" if self.missing else ""))
        return "; ".join([*words, missing_words(self.missing)])

    def recipe(self) -> EncodingDescription:
        """Center, scale and fill, with their numbers."""
        flag = ", then 1 if the number is missing, else 0" if self.indicator else ""
        scaled = f"(number - {self.center!r}) / {self.scale!r}, computed in float64 and rounded to float32"
        if self.transform is not None:
            scaled = f"{self.transform.words}; of that {scaled}"
        if self.bounds is not None:
            scaled = f"At least {self.bounds[0]!r} and at most {self.bounds[1]!r}, then {scaled}"
        encoded = f"{scaled}{flag}. A missing number is taken to be {self.fill!r}."
        present = "1 if there is a number, else 0." if self.masked else "Always 1."
        return EncodingDescription("A number.", encoded, present, repr(self.fill))

    def preprocessing(self) -> Any:
        """Fills, scales and flags in float64, then rounds to float32 once."""
        return self.preprocessing_together([self])

    @classmethod
    def preprocessing_together(cls, columns: Sequence[FittedNumeric]) -> Any:
        """Return the same for the numbers of many columns at once."""
        from mmtrain.layers.encoding import EncodeNumbers

        names = ("fill", "center", "scale", "indicator", "masked")
        given: dict[str, Any] = {name: [getattr(column, name) for column in columns] for name in names}
        if any(column._transforms_numbers for column in columns):
            given["transforms"] = [column._transform_settings() for column in columns]
        return EncodeNumbers(**given)

    def _transform_settings(self) -> dict[str, Any] | None:
        """Return bounds and transform as plain values for the layer."""
        bounds = {} if self.bounds is None else dict(zip(("low", "high"), self.bounds, strict=True))
        return {**bounds, **({} if self.transform is None else self.transform.model_dump(mode="json"))} or None
