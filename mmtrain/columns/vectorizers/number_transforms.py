"""Transforms of skewed numbers before they are centered and scaled; all grow with the number and keep its order.

| method | transformed number | for |
|---|---|---|
| `log1p` | sign(x) ln(1 + abs(x)) | amounts, counts; defined below 0 as well |
| `yeo_johnson` | power of x + 1, of 1 - x below 0; the likeliest for normal numbers (Yeo and Johnson 2000) | moderate skew of either sign |
| `quantile` | normal score of the rank among training rows, linear between at most 256 of them | any shape |

    >>> NumberTransform(method="log1p").apply([0.0, 1.0, -1.0]).round(3).tolist()
    [0.0, 0.693, -0.693]
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.numbers import bin_edges
from mmtrain.registry import Section

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.float64]]

Method = Literal["log1p", "yeo_johnson", "quantile"]
KNOTS = 256
TAILS = 1e-3
"""Smallest rank of a normal score, whose size is then at most 3.1."""
POWERS = (-5.0, 7.0)
"""Range in which the power of Yeo and Johnson is looked for; it is symmetric around 1, which changes nothing."""
SEARCH_STEPS = 60
"""Steps of the golden section, after which the range has shrunk by 3e-13."""
POWER_ROWS = 100_000
"""Numbers that the power is estimated from at most; of more, evenly spaced ones in their order."""


class NumberTransform(Section):
    """A transform as training rows taught it."""

    method: Method
    power: float = Field(1.0, description="Power of yeo_johnson.")
    knots: tuple[float, ...] = Field((), max_length=KNOTS, description="Numbers of quantile, increasing, in the column's unit.")
    scores: tuple[float, ...] = Field((), max_length=KNOTS, description="Normal score at each knot.")

    @classmethod
    def fit(cls, method: Method, numbers: Numbers) -> NumberTransform | None:
        """Learn from at least one number of training rows; None where all are equal, which nothing has to be done about."""
        if numbers.min() == numbers.max():
            return None
        if method == "yeo_johnson":
            return cls(method=method, power=likeliest_power(numbers))
        if method == "quantile":
            knots, ranks = bin_edges(numbers, most=KNOTS)
            scores = tuple(NormalDist().inv_cdf(min(max(rank, TAILS), 1 - TAILS)) for rank in ranks)
            return cls(method=method, knots=knots, scores=scores)
        return cls(method=method)

    def apply(self, numbers: Any) -> Numbers:
        """Return the transformed numbers, float64; NaN stays NaN."""
        import numpy as np

        values = np.asarray(numbers, dtype=np.float64)
        if self.method == "quantile":
            return np.where(np.isnan(values), np.nan, np.interp(values, self.knots, self.scores))
        if self.method == "yeo_johnson":
            return yeo_johnson(values, self.power)
        return np.asarray(np.sign(values) * np.log1p(np.abs(values)))

    @property
    def words(self) -> str:
        """Describe the transform with its numbers."""
        if self.method == "log1p":
            return "sign(number) * ln(1 + abs(number))"
        if self.method == "yeo_johnson":
            up, down = f"{self.power!r}", f"{2 - self.power!r}"
            return (
                f"((number + 1) ** {up} - 1) / {up} from 0 on and -((1 - number) ** {down} - 1) / {down} below 0; ln(number + 1) and "
                "-ln(1 - number) where a power is 0"
            )
        return "the number among `knots` of `transform` in columns.json, linear between them, to the `scores` there"


def yeo_johnson(values: Numbers, power: float) -> Numbers:
    """Return the transform of Yeo and Johnson (2000), Biometrika 87, with this power."""
    import numpy as np

    up, down = (np.log1p(np.maximum(sign * values, 0)) for sign in (1, -1))  # NaN stays NaN
    above = np.expm1(power * up) / power if power else up
    below = np.expm1((2 - power) * down) / (2 - power) if power != 2 else down
    return np.asarray(above - below)


def likeliest_power(numbers: Numbers) -> float:
    """Return the power for which the transformed numbers are likeliest under a normal distribution, by golden section."""
    import numpy as np

    values = np.sort(numbers)
    if len(values) > POWER_ROWS:
        values = values[np.linspace(0, len(values) - 1, POWER_ROWS).astype(np.int64)]
    jacobian = float((np.sign(values) * np.log1p(np.abs(values))).mean())

    def likelihood(power: float) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            variance = float(yeo_johnson(values, power).var())
        # An overflow, or a variance below the smallest number, is as unlikely as can be.
        return (power - 1) * jacobian - np.log(variance) / 2 if 0 < variance < np.inf else -np.inf

    low, high = POWERS
    golden = (5**0.5 - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    of_left, of_right = likelihood(left), likelihood(right)
    for _ in range(SEARCH_STEPS):
        if of_left >= of_right:
            high, right, of_right = right, left, of_left
            left = high - golden * (high - low)
            of_left = likelihood(left)
        else:
            low, left, of_left = left, right, of_right
            right = low + golden * (high - low)
            of_right = likelihood(right)
    return round((low + high) / 2, 9)
