"""How the rows of a table that is predicted differ from those of training, in words.

A share is told when it exceeds what training lets expect by more than five hundredths of the rows and three standard errors:
less changes few predictions, or may be chance. A mean is told when it has moved by more than half a standard deviation (a
medium effect: Cohen 1988) and three standard errors. So a single row is seldom told of, and a large table always by its size
of change, never by its number of rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mmtrain.data.drift.statistics import AnyStatistics, CodeStatistics, ImageStatistics, NumericStatistics

SHARE = 0.05
SHIFT = 0.5
ERRORS = 3.0

UNITS = (2.54, 7.0, 10.0, 12.0, 24.0, 30.44, 60.0, 100.0, 365.25, 1000.0, 3600.0, 1e6, 0.4536, 1.609, 3.281)
"""Centimetres in an inch, days in a week, months in a year, hours, days in a month, minutes, days in a year, and the steps of the
metric system; kilograms in a pound, kilometres in a mile, feet in a metre."""
UNIT_TOLERANCE = 0.1
UNIT_ROWS = 20
"""Quartiles of fewer numbers are too rough to tell a unit by."""


@dataclass(frozen=True)
class Drift:
    """Something that has changed since training: the column's header, which sort of change, and a sentence."""

    column: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.column}: {self.text}"


def compare_columns(header: str, before: AnyStatistics, now: AnyStatistics) -> list[Drift]:
    """What is to be told of one column."""
    found = _missing(before, now)
    if isinstance(before, NumericStatistics) and isinstance(now, NumericStatistics):
        found |= _numbers(before, now)
    elif isinstance(before, CodeStatistics) and isinstance(now, CodeStatistics):
        found |= _codes(before, now)
    elif isinstance(before, ImageStatistics) and isinstance(now, ImageStatistics):
        found |= _images(before, now)
    return [Drift(header, kind, text) for kind, text in found.items()]


def exceeds(count: int, rows: int, usual: float) -> bool:
    """Whether `count` of `rows` is more than a share of `usual` lets expect; the module says by how much."""
    likely = min(max(usual, SHARE), 1.0)
    return rows > 0 and count / rows > usual + SHARE + ERRORS * math.sqrt(likely * (1 - likely) / rows)


def _missing(before: AnyStatistics, now: AnyStatistics) -> dict[str, str]:
    total, usual = now.rows + now.missing, _share(before.missing, before.rows + before.missing)
    if isinstance(now, CodeStatistics) and now.kind == "text":
        return {}  # counts words, not rows; a text that is missing is told in its row
    if not exceeds(now.missing, total, usual):
        return {}
    return {"missing": f"{_percent(now.missing, total)} of the rows have no usable value, in training {usual:.0%}."}


def _numbers(before: NumericStatistics, now: NumericStatistics) -> dict[str, str]:
    if not (before.rows and now.rows):
        return {}
    if factor := _unit(before, now):
        times = f"{factor:g} times those of training" if factor > 1 else f"those of training divided by {1 / factor:g}"
        middles = f"median {now.quartiles[1]:.4g}, in training {before.quartiles[1]:.4g}"
        return {"unit": f"the numbers look like another unit: they are about {times} ({middles})."}
    shift = abs(now.mean - before.mean) / before.deviation if before.deviation else 0.0
    if shift <= SHIFT + ERRORS / math.sqrt(now.rows):
        return {}
    return {"mean": f"the mean is {now.mean:.4g}, in training {before.mean:.4g}: {_times(shift)} standard deviations away."}


def _unit(before: NumericStatistics, now: NumericStatistics) -> float | None:
    """The factor between two units by which all quartiles have changed: another unit scales every number, other people do not."""
    pairs = list(zip(before.quartiles, now.quartiles, strict=True))
    if now.rows < UNIT_ROWS or any((old == 0) != (new == 0) or old * new < 0 for old, new in pairs):
        return None
    ratios = [new / old for old, new in pairs if old]
    for factor in (step for unit in UNITS for step in (unit, 1 / unit)):
        if len(ratios) > 1 and all(abs(ratio / factor - 1) <= UNIT_TOLERANCE for ratio in ratios):
            return factor
    return None


def range_drift(header: str, before: NumericStatistics, outside: int, rows: int) -> list[Drift]:
    """Numbers outside the training range; of n further numbers two in n + 1 are to be expected there."""
    if not before.rows or not exceeds(outside, rows, min(1.0, 2 / (before.rows + 1))):
        return []
    text = f"{_percent(outside, rows)} of the numbers lie outside those of training, {before.minimum:.4g} to {before.maximum:.4g}."
    return [Drift(header, "range", text)]


def _codes(before: CodeStatistics, now: CodeStatistics) -> dict[str, str]:
    usual = _share(before.unseen + before.once, before.rows)
    if not exceeds(now.unseen, now.rows, usual):
        return {}
    noun = "words" if now.kind == "text" else "categories"
    return {"unseen": f"{_percent(now.unseen, now.rows)} of the {noun} are unknown to training; {usual:.0%} were to be expected."}


def _images(before: ImageStatistics, now: ImageStatistics) -> dict[str, str]:
    found = {}
    if before.headers and now.headers and abs(_share(now.deep, now.headers) - _share(before.deep, before.headers)) > 0.5:
        deep, usual = _percent(now.deep, now.headers), _percent(before.deep, before.headers)
        found["depth"] = f"{deep} of the images have 16 bits, in training {usual}."
    shift = abs(now.brightness - before.brightness) / before.deviation if before.deviation else 0.0
    if before.rows and now.rows and shift > SHIFT + ERRORS / math.sqrt(now.rows):
        text = f"the mean brightness is {now.brightness:.2f}, in training {before.brightness:.2f} (0 black, 1 white)"
        found["brightness"] = f"{text}: {_times(shift)} standard deviations away."
    return found


def _share(count: int, rows: int) -> float:
    return count / rows if rows else 0.0


def _times(deviations: float) -> str:
    return f"{deviations:.1f}" if deviations < 1000 else "more than 1,000"


def _percent(count: int, rows: int) -> str:
    return f"{_share(count, rows):.0%}"
