"""Preprocessing of dates: ISO 8601 texts to days and parts of the calendar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtrain.layers.encoding import Encode, presence

ISO_DATE = r"^\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:(?:T|,?\s+)(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?Z?\s*$"
SLASHED_DATE = r"^\s*(\d{1,2})/(\d{1,2})/(\d{4})(.*)$"
DOTTED_DATE = r"^\s*(\d{1,2})[-.](\d{1,2})[-.](\d{4})(.*)$"
"""Dates that users of a saved model may write as well; mmtrain itself gives texts of ISO 8601."""
DAYS_OF_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
PERIODS = {"month": 12, "day": 31, "weekday": 7, "hour": 24}
"""Parts that repeat, and their period in their own unit; 28 to 31 days of a month count as 31."""


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodeDate(Encode):
    """(batch, 1 or 2) dates to the numbers of `parts`, (batch, width) float32, and presence.

    Dates are texts of ISO 8601, or numbers with the day first, empty for missing.

    Arguments:
        parts: `days` since 1970, of two dates the days from the second to the first; `year`, `month`, `day`, `weekday`, `hour`.
        cyclic: True if each part that repeats becomes the sine and cosine of its angle.
        center, scale: For each number, `(number - center) / scale` is computed in float64 and rounded once.
        fill: Numbers of a missing date, encoded.
        indicator: True if 1 follows for a missing date, else 0.
        masked: True if presence is 0 for a missing date.
        day_first: Order of dates between slashes, such as 31/03/2024; without an order they are missing. 31.3.2024 needs none.
        utc: True if times are those of UTC; in another time zone 10:30Z is missing, as it would be another time.

    A text that is not a date, such as 2023-02-29, is missing; if one of two dates is missing, both are.
    """

    def __init__(  # noqa: PLR0913 (settings)
        self,
        *,
        parts: Sequence[str],
        cyclic: bool,
        center: Sequence[float],
        scale: Sequence[float],
        fill: Sequence[float],
        indicator: bool,
        masked: bool,
        day_first: bool | None = None,
        utc: bool = True,
        **kwargs: Any,
    ) -> None:
        settings: dict[str, Any] = {"day_first": day_first, "utc": utc}
        settings |= {"parts": list(parts), "cyclic": cyclic, "center": list(center), "scale": list(scale), "fill": list(fill)}
        super().__init__({**settings, "indicator": indicator, "masked": masked}, **kwargs)

    def call(self, raw: Any) -> tuple[Any, Any]:
        settings = self.settings
        dates, known = parse(raw, settings["day_first"])
        if not settings["utc"]:
            known &= ~tf.strings.regex_full_match(raw, r".*Z\s*")
        known = tf.reduce_all(known, axis=1, keepdims=True)
        numbers = calendar_numbers(dates, settings["parts"], cyclic=settings["cyclic"])
        center, scale = (tf.constant([settings[name]], tf.float64) for name in ("center", "scale"))
        encoded = tf.where(known, tf.cast((numbers - center) / scale, tf.float32), tf.constant([settings["fill"]], tf.float32))
        if settings["indicator"]:
            encoded = tf.concat([encoded, 1.0 - tf.cast(known, tf.float32)], axis=1)
        return encoded, presence(known, settings["masked"])

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any]:
        width = len(self.settings["center"]) + int(self.settings["indicator"])
        return keras.KerasTensor((raw.shape[0], width), "float32"), keras.KerasTensor((raw.shape[0], 1), "float32")


def parse(texts: Any, day_first: bool | None = None) -> tuple[Any, Any]:
    """Return year, month, day, hour, minute and second of texts (batch, dates), (batch, dates, 6) int64, and which of them are dates."""
    texts = tf.strings.regex_replace(texts, DOTTED_DATE, r"\3-\2-\1\4")
    if day_first is not None:
        texts = tf.strings.regex_replace(texts, SLASHED_DATE, r"\3-\2-\1\4" if day_first else r"\3-\1-\2\4")
    written = tf.strings.regex_full_match(texts, ISO_DATE)
    # A zero in front of each number: those that a text does not have are then 0.
    numbers = tf.strings.regex_replace(tf.where(written, texts, "1970-01-01"), ISO_DATE, r"\1 \2 \3 0\4 0\5 0\6")
    flat = tf.strings.to_number(tf.strings.split(tf.reshape(numbers, (-1,))).flat_values, tf.int64)
    fields = tf.reshape(flat, tf.concat([tf.shape(texts), [6]], axis=0))
    year, month, day, hour, minute, second = tf.unstack(fields, axis=-1)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    in_month = tf.gather(tf.constant(DAYS_OF_MONTHS, tf.int64), tf.clip_by_value(month, 1, 12) - 1)
    in_month += tf.cast(leap & tf.equal(month, 2), tf.int64)
    real = (month >= 1) & (month <= 12) & (day >= 1) & (day <= in_month) & (hour < 24) & (minute < 60) & (second < 61)
    return fields, written & real


def calendar_numbers(dates: Any, parts: Sequence[str], *, cyclic: bool) -> Any:
    """Return the numbers of `parts` for the first of the dates (batch, dates, 6), (batch, numbers) float64."""
    year, month, day, hour, minute, second = tf.unstack(dates, axis=-1)
    whole_days = days_since_1970(year, month, day)
    of_day = tf.cast(hour, tf.float64) + tf.cast(minute, tf.float64) / 60 + tf.cast(second, tf.float64) / 3600
    days = tf.cast(whole_days, tf.float64) + of_day / 24
    several = dates.shape[1] is not None and dates.shape[1] > 1
    values = {
        "days": days[:, :1] - days[:, 1:2] if several else days[:, :1],
        "year": year[:, :1],
        "month": month[:, :1] - 1,
        "day": day[:, :1] - 1,
        "weekday": (whole_days[:, :1] + 3) % 7,  # 1970 began on a Thursday; Monday is 0
        "hour": of_day[:, :1],
    }
    columns: list[Any] = []
    for part in parts:
        value = tf.cast(values[part], tf.float64)
        if cyclic and part in PERIODS:
            angle = value * (2 * math.pi / PERIODS[part])
            columns += [tf.sin(angle), tf.cos(angle)]
        else:
            columns.append(value)
    return tf.concat(columns, axis=1)


def days_since_1970(year: Any, month: Any, day: Any) -> Any:
    """Return days since 1970-01-01 of dates of the Gregorian calendar, int64; the year begins in March, so that leap days end it."""
    year = year - tf.cast(month <= 2, tf.int64)
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    # 719,468 days from 0000-03-01 to 1970-01-01; 146,097 in 400 years.
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def numbers_of(raw: np.ndarray[Any, Any], parts: Sequence[str], *, cyclic: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the numbers of raw dates (rows, dates), (rows, numbers) float64, NaN for missing ones; as the layer computes them."""
    dates, known = parse(tf.constant(raw, tf.string))
    numbers: np.ndarray[Any, np.dtype[np.float64]] = calendar_numbers(dates, parts, cyclic=cyclic).numpy()
    numbers[~known.numpy().all(axis=1)] = np.nan
    return numbers
