"""Sizes of memory and disk: `20 GB`, `500 MB`, `1.5 GiB`, or a number of bytes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
"""Bytes in each unit; upper and lower case are the same."""

_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_STEPS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def parse_bytes(value: Any) -> Any:
    """Return the bytes of a size such as `20 GB`; values other than texts and numbers are returned unchanged, for the field to refuse.

    Raises:
        ValueError: the text is not a size.

    """
    # A truth value of Python is a number, `True` would be one byte.
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    match = _WRITTEN.fullmatch(str(value).strip())
    if match is None or match[2].lower() not in UNITS:
        raise ValueError(f"expected a size; found {str(value)!r}. Write `20 GB`, `500 MB` or a number of bytes.")
    return round(float(match[1]) * UNITS[match[2].lower()])


Size = Annotated[int, BeforeValidator(parse_bytes), Field(ge=0), WithJsonSchema({"type": ["integer", "number", "string"]})]
"""Bytes, written with or without a unit."""


def format_bytes(size: float) -> str:
    """Format a size as `1.2 GB`, `350 MB` or `12 bytes`: at most three digits from a kilobyte on."""
    for step, name in _STEPS:
        share = size / step
        if share >= 0.9995:  # in the next smaller unit it would be rounded to 1000
            # Two digits below 100, three from there on.
            return f"{share:.1f} {name}" if share < 99.95 and step > 10**6 else f"{share:.0f} {name}"
    return f"{size:.0f} byte{'' if size == 1 else 's'}"
