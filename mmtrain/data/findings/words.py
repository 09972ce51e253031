"""The words of a text column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.data.findings.cells import Cells
from mmtrain.word_pattern import BETWEEN_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Words:
    """Which words the sampled texts of a column hold."""

    rows: NDArray[np.int64]
    """(texts,): rows of the file."""
    names: NDArray[np.object_]
    text: NDArray[np.int64]
    """(pairs,): position of the text, and..."""
    word: NDArray[np.int64]
    """(pairs,): ...of a word in it; every pair once."""

    def holding(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(words,): how many of the texts in `mask` (texts,) hold each word."""
        return np.bincount(self.word[mask[self.text]], minlength=len(self.names))


def words_of(cells: Cells, sample: NDArray[np.int64]) -> Words:
    """The words of the sampled texts, in lower case."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lowered = pc.utf8_lower(pa.array(cells.texts if cells.texts is not None else [], pa.large_string()))
    parts: Any = pc.split_pattern(pc.replace_substring_regex(lowered, BETWEEN_WORDS, " "), " ")
    texts_of_words = pc.list_parent_indices(parts).to_numpy()
    codes, names = pd.factorize(parts.flatten().to_numpy(zero_copy_only=False))
    real = np.array([bool(name) for name in names], dtype=np.bool_)[codes] if len(names) else np.empty(0, dtype=np.bool_)
    pairs = np.unique(texts_of_words[real].astype(np.int64) * max(len(names), 1) + codes[real])
    return Words(sample, np.asarray(names, dtype=object), pairs // max(len(names), 1), pairs % max(len(names), 1))
