"""Student's t distribution with any number of degrees of freedom: exact enough for one or two of them, without SciPy.

Both tails are an incomplete beta function, I_x(degrees / 2, 1 / 2) with x = degrees / (degrees + t^2) (Abramowitz and Stegun 1964,
26.7.1).
"""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p

TERMS = 10_000
"""Maximum number of terms of the continued fraction; about the square root of the degrees of freedom is needed."""
PRECISION = 1e-15
TINY = 1e-300
"""Replaces a denominator of 0."""


def two_sided_p(t: float, degrees: float) -> float:
    """Return the probability of a value at least as far from 0 as `t`; `degrees` is above 0."""
    if t == 0:
        return 1.0
    square = t * t
    if square == inf:
        return 0.0
    return _incomplete_beta(degrees / 2, degrees / (degrees + square), square / (degrees + square))


def quantile(probability: float, degrees: float) -> float:
    """Return the value below which `probability`, in (0, 1), of the distribution lies; `degrees` is above 0.

    >>> round(quantile(0.975, 4), 3)
    2.776
    """
    tail = 2 * min(probability, 1 - probability)
    low, high = 0.0, 1.0
    while two_sided_p(high, degrees) > tail:
        low, high = high, 2 * high
    # Bisection: the tail falls with t, and 60 halvings leave no bit of a double.
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, degrees) > tail else (low, middle)
    return high if probability > 0.5 else -high if probability < 0.5 else 0.0


def _incomplete_beta(a: float, x: float, rest: float) -> float:
    """Return the regularized incomplete beta function I_x(a, 1/2); `rest` is 1 - x, which would lose digits near 1."""
    b = 0.5
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * (log(x) if x < 0.5 else log1p(-rest)) + b * log(rest))
    # The continued fraction converges fast on one side of the mean only; the other follows by symmetry.
    if x < (a + 1) / (a + b + 2):
        return front * _continued_fraction(a, b, x) / a
    return 1 - front * _continued_fraction(b, a, rest) / b


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function (26.5.8) by Lentz's method."""
    numerator, denominator = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = denominator
    for m in range(1, TERMS):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            denominator = 1 / _nonzero(1 + term * denominator)
            numerator = _nonzero(1 + term / numerator)
            factor = denominator * numerator
            value *= factor
        if abs(factor - 1) < PRECISION:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > TINY else TINY
