"""Vocabulary of a text column, and the signs that tokenization drops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues
from mmtrain.audit.pairs import distinct_pairs, positions_in_runs
from mmtrain.text.tokenization import CHARACTER_PAIRS, SPACED, VARIANTS, WORD, WORD_OR_OTHER

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The words in the sampled texts of a column."""

    rows: NDArray[np.int64]
    """(texts,): rows of the file."""
    names: NDArray[np.object_]
    text: NDArray[np.int64]
    """(pairs,): position of the text, and..."""
    word: NDArray[np.int64]
    """(pairs,): ...of a word in it; every pair once."""

    def holding(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count the texts in `mask` (texts,) that have each word, (words,)."""
        return np.bincount(self.word[mask[self.text]], minlength=len(self.names))


def build_vocabulary(cells: ColumnValues, sample: NDArray[np.int64]) -> Vocabulary:
    """Return the words of the sampled texts, in lower case."""
    import pyarrow.compute as pc

    def spaced(runs: Any) -> Any:
        for pattern, replacement in ((WORD_OR_OTHER, SPACED), *CHARACTER_PAIRS):
            runs = pc.replace_substring_regex(runs, pattern, replacement)
        return runs

    return _parted(cells, sample, spaced)


def signs_of(cells: ColumnValues, sample: NDArray[np.int64]) -> Vocabulary:
    """Return the characters of the sampled texts that are not in a word, blanks left out: punctuation, above all."""
    import pyarrow.compute as pc

    return _parted(
        cells, sample, lambda runs: pc.replace_substring_regex(pc.replace_substring_regex(runs, WORD, " "), r"(?s)(\S)|.", SPACED)
    )


def _parted(cells: ColumnValues, sample: NDArray[np.int64], spaced: Callable[[Any], Any]) -> Vocabulary:
    """Return the parts of texts, between which `spaced` puts blanks. Each distinct run between blanks is split once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # By Python, as the network does it: Arrow's own lower case knows no final sigma and no letter that becomes two.
    lowered = pa.array([text.lower() for text in cells.texts] if cells.texts is not None else [], pa.large_string())
    runs = pc.utf8_split_whitespace(lowered)
    # Language repeats itself: each distinct run is split once, and its words are then copied to every text that has it.
    run, spellings = pd.factorize(runs.flatten().to_numpy(zero_copy_only=False))
    # Variation selectors are not part of a word: the network drops them too.
    plain = pc.replace_substring_regex(pa.array(spellings, pa.large_string()), VARIANTS, "")
    word_run, word, names = _pairs(pc.split_pattern(spaced(plain), " "))
    counts = np.bincount(word_run, minlength=len(spellings))
    # Where the words of each run begin in `word`.
    at = np.cumsum(counts) - counts
    of_text, of_run = distinct_pairs(pc.list_parent_indices(runs).to_numpy().astype(np.int64), run)
    times = counts[of_run]
    # For every pair of text and run, all words of the run, without a loop over texts.
    words = word[np.repeat(at[of_run], times) + positions_in_runs(times)]
    return Vocabulary(sample, names, *distinct_pairs(np.repeat(of_text, times), words))


def _pairs(parts: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.object_]]:
    """Return distinct pairs of a run and one of its words, (pairs,) each, in the order of the runs; and the words."""
    import pyarrow.compute as pc

    words = parts.flatten()
    some = pc.not_equal(words, "").to_numpy(zero_copy_only=False)
    codes, names = pd.factorize(words.to_numpy(zero_copy_only=False)[some])
    run, word = distinct_pairs(pc.list_parent_indices(parts).to_numpy()[some].astype(np.int64), codes)
    return run, word, np.asarray(names, dtype=object)
