"""Numeric codes: postal codes, telephone numbers and long ids, which are names rather than quantities."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.column_values import ColumnValues
from mmtrain.audit.finding import Finding
from mmtrain.columns.profile import name_words
from mmtrain.text.printable import quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODE_WORDS = {
    *("zip", "zipcode", "postcode", "postalcode", "postal", "plz", "pincode", "code", "codes", "fips", "icd", "sku", "isbn", "ean", "upc"),
    *("gtin", "phone", "telephone", "mobile", "fax", "ssn", "nhs", "npi", "iban", "account", "barcode", "serial"),
}
LEADING_ZERO = re.compile(r"0\d+")
LEAST_ROWS = 20
LEAST_PADDED = 2
LONG = 8
"""Number of digits from which equal length in all rows marks codes: prices and counts vary."""
MOMENTS = ((9e8, 2.2e9), (9e11, 2.2e12), (1.9e7, 2.1e7))
"""Seconds and milliseconds since 1970, and dates like 20240131: of fixed width, but ordered in time."""


def code_like(cells: ColumnValues) -> list[Finding]:
    """Find numbers whose size has no meaning, by leading zeros, the header, or a common length."""
    if cells.use.content != "numbers" or cells.numbers is None:
        return []
    numbers = cells.ranked.values
    # Fractions are measured, and two values are a flag: neither is a code.
    if cells.ranked.total < LEAST_ROWS or (numbers != np.floor(numbers)).any() or len(cells.different) <= 2:
        return []
    # Arrow's filter also lets `0.5` and a plain `0` through.
    padded = [name for name in _beginning_with_zero(cells) if LEADING_ZERO.fullmatch(name)]
    named = CODE_WORDS & set(name_words(cells.header))
    if len(padded) >= LEAST_PADDED:
        sign = f"some begin with 0, such as {quote_value(padded[0])}"
    elif named:
        sign = f"the name says {min(named)}"
    elif _long(numbers):
        sign = f"all have {len(str(int(numbers[0])))} digits"
    else:
        return []
    what = f"the numbers look like codes: they are whole, and {sign}."
    why = "As numbers they are added and scaled, as if a larger code meant more of something."
    return [Finding("note", "codes_as_numbers", cells.header, what, why, "Give the column the role categorical, or leave it out.")]


def _beginning_with_zero(cells: ColumnValues) -> list[str]:
    """Return the distinct cells that begin with 0. They are few: Arrow selects them, so that the others do not become Python objects."""
    import pyarrow.compute as pc

    if cells.named is None:
        return []
    return list(dict.fromkeys(cells.named.texts.filter(pc.starts_with(cells.named.texts, "0")).to_pylist()))


def _long(numbers: NDArray[np.float64]) -> bool:
    """Return True where different numbers, ascending, have as many digits each, and many."""
    low, high = float(numbers[0]), float(numbers[-1])
    if low < 10.0 ** (LONG - 1) or len(str(int(low))) != len(str(int(high))):
        # Times and dates are long and whole as well, but their order means something.
        return False
    return not any(first <= low and high <= last for first, last in MOMENTS)
