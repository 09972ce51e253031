"""`role: text` with `vectorize: hashed`: words, pairs of words and runs of characters, hashed into a fixed number of buckets.

No vocabulary is kept (Weinberger et al. 2009, arXiv:0902.2206): misspelt and compound words share runs of characters with those of
training, and n-grams that fall into one bucket share its weight. Only in how many training texts each bucket occurs is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mmtrain.columns.categorical import texts
from mmtrain.columns.cells import missing_words
from mmtrain.columns.fitted_column import CellAttribution, EncodingDescription, FittedColumn, RawInput
from mmtrain.columns.vectorizers.fitted_text import FIRST_ID, several_texts, text_of, words_of
from mmtrain.errors import counted, listed
from mmtrain.registry import Section
from mmtrain.specs import BagSpec
from mmtrain.system.threads import in_threads

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator

MOST_IDS = 2_048
"""Maximum number of n-grams that are kept of a text."""
BUCKETS = 32_768
CHARACTERS = (3, 5)
"""Defaults of the options `buckets` and `characters`."""


class FittedHashes(FittedColumn):
    """The options of the hashes, and the inverse document frequency of each bucket."""

    attributed_to: ClassVar[Literal["words"]] = "words"

    role: Literal["text"] = "text"
    vectorize: Literal["hashed"] = "hashed"
    idf: tuple[float, ...] = Field(description="Inverse document frequency of each id, the three special ones included.")
    ngrams: int
    characters: tuple[int, ...] = Field(description="Minimum and maximum number of characters of a run; empty for none.")
    length: int = Field(description="Number of words that are read of a text.")
    width: int = Field(description="Number of n-grams that are kept of a text.")
    longest: int = Field(description="Number of words in the longest training text.")
    masked: bool
    accents: bool = Field(True, description="False where accents of Latin and Greek letters are taken out.")
    headers: tuple[str, ...] = Field((), description="Headers whose texts are read one after the other; empty for a single one.")
    missing: int = Field(description="Number of training rows without a text.")

    @property
    def buckets(self) -> int:
        """Number of buckets."""
        return len(self.idf) - FIRST_ID

    @property
    def spec(self) -> BagSpec:
        """(batch, width) ids."""
        return BagSpec(self.width, self.idf)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """A string for each header, empty for missing."""
        return {name: RawInput((max(1, len(self.headers)),), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, headers) str."""
        return several_texts(cells, self.headers)

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Missing texts, and buckets that are met once."""
        from mmtrain.columns.summaries.codes import CodeAccumulator

        return CodeAccumulator("text", self.spec.size, FIRST_ID)

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """Return the number of buckets in use, and the number of words kept of a text."""
        # Buckets that no training text has share the largest value.
        used = sum(value < max(self.idf) for value in self.idf[FIRST_ID:])
        words = f"{used} of {counted(self.buckets, 'bucket')} in use"
        length = f"{counted(self.length, 'word')} kept of each text, the longest has {number(self.longest)}"
        return "; ".join([words, length, missing_words(self.missing)])

    def says_nothing(self, entry: np.ndarray[Any, Any]) -> bool:
        """Return whether the text has no words."""
        return bool((entry == 1).any())

    def attribute(self, cell: str, values: np.ndarray[Any, Any], entry: np.ndarray[Any, Any]) -> CellAttribution:
        """Divide among words: `values` (width,) belong to the places of the ids; a pair of words is halved between them.

        An n-gram in several words, or several n-grams in one bucket, share its attribution evenly. N-grams beyond the first
        `width` are not read.
        """
        import numpy as np
        import tensorflow as tf

        from mmtrain.layers.words import hashed_ngrams

        cell = text_of(cell, self.headers)
        words = words_of(cell, accents=self.accents)
        read, unread = words[: self.length], max(0, len(words) - self.length)
        options: dict[str, Any] = {"buckets": self.buckets, "length": self.length, "characters": self.characters, "accents": self.accents}
        owners: list[tuple[int, ...]] = []
        ids: list[int] = []
        for place, word in enumerate(read):
            word_ids = hashed_ngrams(tf.constant([word]), **options, ngrams=1)[0].flat_values.numpy().tolist()
            ids += word_ids
            owners += [(place,)] * len(word_ids)
        whole = hashed_ngrams(tf.constant([cell]), **options, ngrams=self.ngrams)[0].flat_values.numpy().tolist()
        # Pairs come last, in the order of their first words.
        owners += [(place, place + 1) for place in range(len(whole) - len(ids))]
        ids_in_order = np.array(whole[: self.width], dtype=np.int64) + FIRST_ID
        size = self.spec.size
        shares = np.bincount(entry[0], weights=values, minlength=size) / np.maximum(np.bincount(ids_in_order, minlength=size), 1)
        place_values = np.zeros(max(1, len(read)))
        for number, owner in zip(ids_in_order.tolist(), owners, strict=False):
            place_values[list(owner)] += shares[number] / len(owner)
        sums = dict.fromkeys(read, 0.0)
        for word, value in zip(read, place_values.tolist(), strict=False):
            sums[word] += value
        return CellAttribution(tuple(sums.items()), tuple(zip(read, place_values.tolist(), strict=False)), unread)

    def recipe(self) -> EncodingDescription:
        """N-grams and their ids."""
        from mmtrain.text.tokenization import CHARACTER, VARIANTS, WORD

        runs = ""
        if self.characters:
            fewest, most = self.characters
            runs = f"; the runs of {fewest} to {most} characters of <word>, with a blank in front of each"
        pairs = "; the pairs of neighbouring words, with a blank between them" if self.ngrams > 1 else ""
        several = f"Join the texts of {listed(self.headers)} with a blank. " if self.headers else ""
        folded = "" if self.accents else "take accents off Latin and Greek letters, "
        encoded = (
            f"{several}Lower-case the text, {folded}take out {VARIANTS}, take the matches of {WORD}, "
            f"divide each run of {CHARACTER} into its overlapping "
            f"pairs (abc into ab, bc) (RE2), keep {self.length} words at most. N-grams: each word and its runs, word after word"
            f"{runs}{pairs}; the first {self.width}. An id is {FIRST_ID} + the FarmHash Fingerprint64 of the UTF-8 bytes modulo "
            f"{self.buckets}; sorted, the largest first, 0 after the last. A text without words is the one id 1."
        )
        present = "1 if there is a word, else 0." if self.masked else "Always 1."
        cell = dict.fromkeys(self.headers, "an example") if self.headers else "an example"
        return EncodingDescription("A text.", encoded, present, cell)

    def preprocessing(self) -> Any:
        """Splits into words and hashes their n-grams."""
        from mmtrain.layers.encoding import EncodeHashes

        options = {"buckets": self.buckets, "length": self.length, "width": self.width, "ngrams": self.ngrams}
        return EncodeHashes(**options, characters=list(self.characters), masked=self.masked, accents=self.accents)


def fit_hashes(  # noqa: PLR0913 (options)
    cells: Iterable[pd.Series[str]],
    *,
    buckets: int,
    ngrams: int,
    characters: tuple[int, ...],
    max_length: int,
    cut: bool,
    masked: bool,
    accents: bool = True,
    headers: tuple[str, ...] = (),
) -> FittedHashes:
    """Count in how many training texts each bucket occurs. `cut`: `max_length` holds even if the longest text is shorter."""
    import numpy as np

    documents, rows, missing, longest, width = np.zeros(buckets, dtype=np.int64), 0, 0, 0, 1
    count = partial(_count_documents, buckets=buckets, ngrams=ngrams, characters=characters, length=max_length, accents=accents)
    with closing(in_threads(count, cells)) as chunks:
        for chunk_documents, words, most in chunks:
            documents += chunk_documents
            rows, missing = rows + len(words), missing + int((words == 0).sum())
            longest, width = max(longest, int(words.max(initial=0))), max(width, most)
    idf = np.log((1 + rows) / (1 + documents)) + 1
    # Padding, a missing text, and an unseen word, which hashes do not have.
    special = (0.0, 1.0, float(np.log(1 + rows) + 1))
    return FittedHashes(
        idf=(*special, *(float(value) for value in idf)),
        ngrams=ngrams,
        characters=characters,
        length=max_length if cut else max(1, min(longest, max_length)),
        width=min(width, MOST_IDS),
        longest=longest,
        masked=masked,
        accents=accents,
        headers=headers,
        missing=missing,
    )


def _count_documents(
    cells: pd.Series[str], *, buckets: int, ngrams: int, characters: tuple[int, ...], length: int, accents: bool
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], int]:
    """Return the texts of one chunk that have each bucket, the words of each text, and the most n-grams of a text."""
    import numpy as np
    import tensorflow as tf

    from mmtrain.layers.words import hashed_ngrams

    options: dict[str, Any] = {"buckets": buckets, "length": length, "ngrams": ngrams, "characters": characters}
    options["accents"] = accents
    hashed, words = hashed_ngrams(tf.constant(texts(cells), dtype=tf.string), **options)
    rows, ids = hashed.value_rowids().numpy(), hashed.flat_values.numpy()
    # A bucket counts once for a text.
    once = np.unique(rows.astype(np.int64) * buckets + ids)
    return np.bincount(once % buckets, minlength=buckets), words.numpy(), int(hashed.row_lengths().numpy().max(initial=0))
