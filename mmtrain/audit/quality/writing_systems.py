"""The script that a text is written in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCRIPTS = ("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Han", "Hangul", "Thai", "another")
PATTERNS = (
    *(r"\p{Latin}", r"\p{Cyrillic}", r"\p{Greek}", r"\p{Arabic}", r"\p{Hebrew}", r"\p{Devanagari}"),
    *(r"[\p{Han}\p{Hiragana}\p{Katakana}]", r"\p{Hangul}", r"\p{Thai}"),
)
"""RE2, as Arrow reads them; Japanese mixes its own letters with Han and counts as one with it."""

BEGINNING = 60
"""Characters of a text that are looked at."""


def count_scripts(texts: Any) -> NDArray[np.int8]:
    """Return the position in `SCRIPTS` of the script that most letters belong to, for each of an Arrow array of texts; -1 without letters.

    Texts of the basic alphabet alone, most of a Latin table, are told by their bytes; only the others are counted letter by letter.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    beginnings = pc.utf8_slice_codeunits(texts, 0, BEGINNING)
    lettered = pc.match_substring_regex(beginnings, r"\p{L}").to_numpy(zero_copy_only=False)
    found = np.where(lettered, 0, -1).astype(np.int8)
    odd = np.flatnonzero(lettered & ~pc.string_is_ascii(beginnings).to_numpy(zero_copy_only=False))
    if len(odd):
        others = beginnings.take(pa.array(odd))
        counts = np.stack([pc.count_substring_regex(others, pattern).to_numpy() for pattern in (*PATTERNS, r"\p{L}")])
        counts[-1] -= counts[:-1].sum(axis=0)
        found[odd] = counts.argmax(axis=0)
    return found
