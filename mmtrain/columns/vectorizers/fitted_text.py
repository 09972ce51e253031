"""Texts as the ids of words: sorted in a bag with inverse document frequencies (`tfidf`), or in reading order (`tokens`).

Words are the runs of letters, marks, digits and apostrophes of the lower-cased text, any script, and signs such as emoji. Ids: 0 = padding,
1 = missing text, 2 = unseen word, 3... = words of training rows, most frequent first (ties by their text). A text of no
words at all counts as missing. Runs of Chinese, Japanese, Thai are their overlapping pairs of characters.

Inverse document frequency is ln((1 + texts) / (1 + texts with the word)) + 1, the smoothed form of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from mmtrain.columns.base import Names
from mmtrain.columns.categorical import texts
from mmtrain.columns.cells import missing_words
from mmtrain.columns.fitted_column import CellAttribution, EncodingDescription, FittedColumn, RawInput
from mmtrain.errors import counted, listed
from mmtrain.registry import Section
from mmtrain.specs import BagSpec, TokenSpec
from mmtrain.text.tokenization import BETWEEN_WORDS, CHARACTER, VARIANTS, WORD

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator


MISSING_ID, UNSEEN_ID, FIRST_ID = 1, 2, 3


LONGEST = 256
"""Words kept of a text when `max_length` is not given and training texts are longer."""


Length = Annotated[int, Field(ge=1, le=100_000)]


class FittedText(FittedColumn):
    """The vocabulary of training rows, in id order, with its inverse document frequencies."""

    attributed_to: ClassVar[Literal["words"]] = "words"

    role: Literal["text"] = "text"
    vectorize: Literal["tfidf", "tokens"]
    words: Names
    idf: tuple[float, ...] = Field(description="Of each id, the three special ones included; empty for tokens.")
    length: Length
    longest: int = Field(description="Words in the longest training text.")
    masked: bool
    missing: int = Field(description="Training rows without a text.")
    signs: bool = Field(False, description="Whether emoji and other signs are words; older versions threw them away.")
    character_pairs: bool = Field(
        False,
        description="Whether runs of scripts without blanks become overlapping pairs; older versions kept them whole.",
    )
    accents: bool = Field(True, description="False where accents of Latin and Greek letters are taken out.")
    headers: tuple[str, ...] = Field((), description="Headers whose texts are read one after the other; empty for a single one.")
    ngrams: int = Field(1, description="2 where `words` also holds pairs of neighbouring words, with a blank between them.")

    @property
    def spec(self) -> BagSpec | TokenSpec:
        """(batch, length) ids: with pairs, `length` words and the pairs between them."""
        if self.vectorize == "tokens":
            return TokenSpec(self.length, FIRST_ID + len(self.words), self.words)
        return BagSpec(self.length if self.ngrams == 1 else 2 * self.length - 1, self.idf)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """A string for each header, empty for missing."""
        return {name: RawInput((max(1, len(self.headers)),), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, headers) str."""
        return several_texts(cells, self.headers)

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Unseen and rare words; pairs of words are not counted, as those that training did not know leave no trace."""
        from mmtrain.columns.summaries.codes import CodeAccumulator

        pairs = [number for number, word in enumerate(self.words, start=FIRST_ID) if " " in word]
        return CodeAccumulator("text", self.spec.size, FIRST_ID, uncounted=pairs)

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """The size of the vocabulary, and how much of a text is kept."""
        length = f"{counted(self.length, 'word')} kept of each text, the longest has {number(self.longest)}"
        pairs = sum(" " in word for word in self.words)
        vocabulary = f"a vocabulary of {counted(len(self.words) - pairs, 'word')}"
        if self.ngrams > 1:
            vocabulary += f" and {counted(pairs, 'pair')} of words"
        return "; ".join([vocabulary, length, missing_words(self.missing)])

    def says_nothing(self, entry: np.ndarray[Any, Any]) -> bool:
        """Return whether the text has no words."""
        return MISSING_ID in entry

    def attribute(self, cell: str, values: np.ndarray[Any, Any], entry: np.ndarray[Any, Any]) -> CellAttribution:
        """Divide among words, and pairs of words: `values` (length,) belong to the places of the ids.

        In the words in reading order, each word of a pair has half of it.
        """
        words = words_of(text_of(cell, self.headers), signs=self.signs, character_pairs=self.character_pairs, accents=self.accents)
        read, unread = words[: self.length], max(0, len(words) - self.length)
        if self.vectorize == "tokens":
            reading = tuple(zip(read, map(float, values), strict=False))
            # The network may attend to padding; its share is shown, so that all parts add up.
            rest = float(values[len(read) :].sum())  # of a branch that looks at padding
            return CellAttribution((*reading, ("(padding)", rest)) if rest else reading, reading, unread)
        known = {word: number for number, word in enumerate(self.words, start=FIRST_ID)}
        of_id = self._shares(values, entry[0])
        # A word in several places: its id has one attribution, divided evenly.
        shares = [of_id[known.get(word, UNSEEN_ID)] for word in read]
        sums = dict.fromkeys(read, 0.0)
        for word, value in zip(read, shares, strict=True):
            sums[word] += value
        for place, pair in enumerate(map(" ".join, pairwise(read))):
            if pair in known:
                value = of_id[known[pair]]
                sums[pair] = sums.get(pair, 0.0) + value
                # Half of a pair's attribution for each of its two words.
                shares[place : place + 2] = [share + value / 2 for share in shares[place : place + 2]]  # as both words are read
        return CellAttribution(tuple(sums.items()), tuple(zip(read, shares, strict=True)), unread)

    def _shares(self, values: np.ndarray[Any, Any], ids: np.ndarray[Any, Any]) -> list[float]:
        """Return an equal part of what an id adds for each of its places, (size,). Words that training did not know share one id."""
        import numpy as np

        size = self.spec.size
        # Sum over the places of an id, divided by their number; ids that do not occur divide 0 by 1.
        shares: list[float] = (np.bincount(ids, weights=values, minlength=size) / np.maximum(np.bincount(ids, minlength=size), 1)).tolist()
        return shares

    def recipe(self) -> EncodingDescription:
        """Words and their ids."""
        order = "in reading order" if self.vectorize == "tokens" else "sorted, the largest first"
        words = f"take out {VARIANTS}, take the matches of {WORD}" if self.signs else f"put a blank for {BETWEEN_WORDS}, split at blanks"
        if self.character_pairs:
            words += f", divide each run of {CHARACTER} into its overlapping pairs (abc into ab, bc)"
        pairs = "; then the pairs of neighbouring words that `words` has, joined by a blank, in the same way" if self.ngrams > 1 else ""
        several = f"Join the texts of {listed(self.headers)} with a blank. " if self.headers else ""
        folded = "" if self.accents else "take accents off Latin and Greek letters, "
        encoded = (
            f"{several}Lower-case the text, {folded}{words} (RE2), keep {self.length} words at most. "
            f"A word is {FIRST_ID} + its position in `words` of columns.json, from 0, or 2 if it is not there{pairs}; {order}, "
            "0 after the last. A text without words is the one id 1."
        )
        present = "1 if there is a word, else 0." if self.masked else "Always 1."
        cell = " ".join(self.words[:2])
        return EncodingDescription("A text.", encoded, present, dict.fromkeys(self.headers, cell) if self.headers else cell)

    def preprocessing(self) -> Any:
        """Splits into words and looks them up."""
        from mmtrain.layers.encoding import EncodeText

        ordered = self.vectorize == "tokens"
        reading = {"signs": self.signs, "character_pairs": self.character_pairs, "accents": self.accents}
        return EncodeText(words=list(self.words), length=self.length, ordered=ordered, masked=self.masked, ngrams=self.ngrams, **reading)


def several_texts(cells: pd.Series[str], headers: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return the texts of each header, (rows, headers) str, an empty string where missing; of no `headers` those of a single column."""
    import numpy as np

    table: Any = cells  # of several headers a DataFrame
    return np.stack([texts(table[header]) for header in headers], axis=1) if headers else texts(cells)[:, None]


def text_of(shown: str, headers: Sequence[str]) -> str:
    """Return the text that is read of `shown`, the cells of one row as `header: cell, header: cell`.

    >>> text_of("title: Rash, body: since May", ("title", "body"))
    'Rash since May'
    """
    pieces: list[str] = []
    for header in reversed(headers):
        before, found, text = shown.rpartition(f"{header}: ")
        if found:
            shown, pieces = before.removesuffix(", "), [text, *pieces]
    return " ".join(pieces) if headers else shown


def words_of(text: str, **choice: bool) -> list[str]:
    """Return the words of a text in reading order, as the network's own preprocessing finds them."""
    import tensorflow as tf

    from mmtrain.layers.words import distinct_words

    words, places = distinct_words(tf.constant([text]), **choice)
    return [word.decode("utf-8") for word in words.numpy()[places.flat_values.numpy()]]
