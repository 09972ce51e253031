"""Numbers with a decimal comma or with grouped digits, respelled as all other modules read them: `1234.5`.

Only cells that are such a number as a whole are respelled. A cell that could be two numbers is never respelled: in a table with
decimal commas, `1.234` may be a thousand or one and a bit. Columns of numbers refuse it; to other columns it is a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

UNCLEAR = "has a decimal point or grouped digits, in a table whose numbers have decimal commas"
CLEAR = 'Write it with a decimal comma and without grouping its digits, or set `thousands: "."` in `data.format`.'


@dataclass(frozen=True)
class Numerals:
    """The notation of numbers in a table."""

    decimal: str = "."
    thousands: str = ""

    @property
    def plain(self) -> bool:
        """Return whether nothing has to be respelled."""
        return self.decimal == "." and not self.thousands

    def respelled(self, cells: pa.Array) -> pa.Array:
        """Texts with every number spelled `1234.5`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.thousands:
            # Next to the blank, the no-break space and the narrow one, which French and Swiss programs write.
            group = r"[ \x{a0}\x{202f}]" if self.thousands == " " else re.escape(self.thousands)
            grouped = rf"^\s*[+-]?\d{{1,3}}(?:{group}\d{{3}})+(?:{re.escape(self.decimal)}\d*)?\s*$"
            joined = pc.replace_substring_regex(pc.utf8_trim_whitespace(cells), group, "")
            # Only where the whole cell is a number: `room 1 204` keeps its blank.
            cells = pc.if_else(pc.match_substring_regex(cells, grouped), joined, cells)
        if self.decimal == ",":
            cells = pc.replace_substring_regex(cells, r"^(\s*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?\s*)$", r"\1.\2")
        return cells.cast(pa.large_string())

    def unclear(self, cells: pa.Array) -> pa.Array:
        """(rows,) of truth values: which texts, not yet respelled, are numbers with a point where the decimal mark is a comma."""
        import pyarrow.compute as pc

        pointed = pc.match_substring_regex(cells, r"^\s*[+-]?\d*\.\d+(?:\.\d+)*(?:,\d*)?(?:[eE][+-]?\d+)?\s*$")
        if self.thousands != ".":
            return pointed
        # With `thousands: "."`, whole groups of three are clear: `1.234` is a thousand and more.
        return pc.and_not(pointed, pc.match_substring_regex(cells, r"^\s*[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?\s*$"))


PLAIN = Numerals()
