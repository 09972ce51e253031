"""`role: text`: free text, read as TF-IDF or word by word.

Words are the runs of letters, marks, digits and apostrophes of the lower-cased text, any script, and signs such as emoji. Ids: 0 = padding,
1 = missing text, 2 = unseen word, 3... = words of training rows, most frequent first (ties by their text). A text of no
words at all counts as missing. `vectorize: tfidf` gives kind `bag` (ids sorted, so that equal texts are equal tensors);
`vectorize: tokens` gives kind `tokens` (reading order).

Inverse document frequency is ln((1 + texts) / (1 + texts with the word)) + 1, the smoothed form of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from mmtrain.columns.base import (
    CellAttribution,
    CellError,
    Content,
    EncodingDescription,
    Evidence,
    FittedColumn,
    Guess,
    InputColumn,
    Names,
    RawInput,
    missing_cell_error,
    missing_words,
    role,
)
from mmtrain.columns.categorical import texts
from mmtrain.errors import counted
from mmtrain.specs import BagSpec, Kind, TokenSpec
from mmtrain.system.threads import in_threads
from mmtrain.text.tokenization import BETWEEN_WORDS, VARIANTS, WORD

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile
    from mmtrain.columns.summaries.base import Accumulator

MISSING_ID, UNSEEN_ID, FIRST_ID = 1, 2, 3
MISSING = {"code": "treat a missing text as a word of its own", "mask": "leave the text out of that row", "drop": "leave the row out"}
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

    @property
    def spec(self) -> BagSpec | TokenSpec:
        """(batch, length) ids."""
        return BagSpec(self.length, self.idf) if self.vectorize == "tfidf" else TokenSpec(self.length, FIRST_ID + len(self.words))

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """One string, empty for missing."""
        return {name: RawInput((1,), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, 1) str."""
        return texts(cells)[:, None]

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Unseen and rare words."""
        from mmtrain.columns.summaries.codes import CodeAccumulator

        return CodeAccumulator("text", self.spec.size, FIRST_ID)

    def learned_words(self, declared: InputColumn, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """The size of the vocabulary, and how much of a text is kept."""
        length = f"{counted(self.length, 'word')} kept of each text, the longest has {number(self.longest)}"
        return "; ".join([f"a vocabulary of {counted(len(self.words), 'word')}", length, missing_words(self.missing)])

    def says_nothing(self, entry: np.ndarray[Any, Any]) -> bool:
        """Return whether the text has no words."""
        return MISSING_ID in entry

    def attribute(self, cell: str, values: np.ndarray[Any, Any], entry: np.ndarray[Any, Any]) -> CellAttribution:
        """Divide among words: `values` (length,) belong to the places of the ids."""
        words = words_of(cell, signs=self.signs)
        read, unread = words[: self.length], max(0, len(words) - self.length)
        if self.vectorize == "tokens":
            reading = tuple(zip(read, map(float, values), strict=False))
            rest = float(values[len(read) :].sum())  # of a branch that looks at padding
            return CellAttribution((*reading, ("(padding)", rest)) if rest else reading, reading, unread)
        reading = self._attribute_bag(read, values, entry[0])
        sums = dict.fromkeys(read, 0.0)
        for word, value in reading:
            sums[word] += value
        return CellAttribution(tuple(sums.items()), reading, unread)

    def _attribute_bag(self, read: Sequence[str], values: np.ndarray[Any, Any], ids: np.ndarray[Any, Any]) -> tuple[tuple[str, float], ...]:
        """An equal part of what its id adds for each word. Words that training did not know share one id."""
        import numpy as np

        known = {word: number for number, word in enumerate(self.words, start=FIRST_ID)}
        size = self.spec.size
        of_id = np.bincount(ids, weights=values, minlength=size) / np.maximum(np.bincount(ids, minlength=size), 1)
        return tuple((word, float(of_id[known.get(word, UNSEEN_ID)])) for word in read)

    def recipe(self) -> EncodingDescription:
        """Words and their ids."""
        order = "in reading order" if self.vectorize == "tokens" else "sorted, the largest first"
        words = f"take out {VARIANTS}, take the matches of {WORD}" if self.signs else f"put a blank for {BETWEEN_WORDS}, split at blanks"
        encoded = (
            f"Lower-case the text, {words} (RE2), keep {self.length} words at most. "
            f"A word is {FIRST_ID} + its position in `words` of columns.json, from 0, or 2 if it is not there; {order}, 0 after the last. "
            "A text without words is the one id 1."
        )
        present = "1 if there is a word, else 0." if self.masked else "Always 1."
        return EncodingDescription("A text.", encoded, present, " ".join(self.words[:2]))

    def preprocessing(self) -> Any:
        """Splits into words and looks them up."""
        from mmtrain.layers.encoding import EncodeText

        ordered = self.vectorize == "tokens"
        return EncodeText(words=list(self.words), length=self.length, ordered=ordered, masked=self.masked, signs=self.signs)


@role("text", fitted=FittedText)
class Text(InputColumn):
    """Free text."""

    content: ClassVar[Content] = "texts"
    own_branch: ClassVar[bool] = True
    streamed: ClassVar[bool] = True

    role: Literal["text"] = "text"
    vectorize: Literal["tfidf", "tokens"] = Field(
        "tfidf", description="tfidf: which words occur, weighted by how rare they are; tokens: word by word."
    )
    max_tokens: PositiveInt = Field(20_000, description="Size of the vocabulary; the most frequent words of training rows are kept.")
    min_count: PositiveInt = Field(1, description="Words in fewer training texts are treated as unseen.")
    max_length: Length | None = Field(
        None, description=f"Words kept of each text; left out: those of the longest training text, at most {LONGEST}."
    )
    missing: Literal["code", "mask", "error", "drop"] = Field(
        "code",
        description="code: an empty text is a word of its own; mask: the branch goes without; error: refuse; drop: leave the row out.",
    )

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by cells of several words."""
        if not profile.has_sentences or profile.words is None:
            return None
        number = f"{profile.distinct:,}"
        kind = f"{number} different texts" if profile.distinct < profile.filled else f"{number} texts, all different,"
        return Guess(role="text", evidence=Evidence.SENTENCES, reason=f"{kind} of up to {profile.words.maximum:.0f} words")

    @property
    def kind(self) -> Kind:
        """A bag for TF-IDF, else tokens."""
        return "bag" if self.vectorize == "tfidf" else "tokens"

    @property
    def description(self) -> str:
        """Return the role with the option `vectorize`, which decides on the kind."""
        return f"{super().description} with `vectorize: {self.vectorize}`"

    def option_for(self, kinds: Collection[str]) -> str:
        """Return the other way to vectorize, if that would do."""
        kind, way = ("tokens", "tokens") if self.vectorize == "tfidf" else ("bag", "tfidf")
        return f"vectorize: {way}" if kind in kinds else ""

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing cells where those are refused."""
        return missing_cell_error(cells, self.missing, MISSING)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedText:
        """Count in how many training texts each word occurs."""
        count = DocumentCount()
        with closing(in_threads(count_tokens, cells)) as pieces:
            for piece in pieces:
                count.add(piece)
        words = count.most_frequent(most=self.max_tokens, least=self.min_count)
        return FittedText(
            vectorize=self.vectorize,
            words=tuple(words),
            idf=count.inverse_document_frequency(words) if self.vectorize == "tfidf" else (),
            length=self.max_length or max(1, min(count.longest, LONGEST)),
            longest=count.longest,
            masked=self.missing == "mask",
            missing=count.missing,
            signs=True,
        )


def words_of(text: str, *, signs: bool = True) -> list[str]:
    """Return the words of a text in reading order, as the network's own preprocessing finds them."""
    import tensorflow as tf

    from mmtrain.layers.words import distinct_words

    words, places = distinct_words(tf.constant([text]), signs=signs)
    return [word.decode("utf-8") for word in words.numpy()[places.flat_values.numpy()]]


@dataclass(frozen=True)
class TokenCounts:
    """Word counts of one chunk of texts: its words, each once, and in how many of its texts each of them occurs."""

    words: np.ndarray[Any, Any]
    documents: np.ndarray[Any, Any]
    lengths: np.ndarray[Any, Any]
    """Words of each text, (texts,)."""


def count_tokens(cells: pd.Series[str]) -> TokenCounts:
    """Count the tokens of one chunk by the operations that encode it later."""
    import numpy as np
    import tensorflow as tf

    from mmtrain.layers.words import distinct_words

    words, places = distinct_words(tf.constant(texts(cells), dtype=tf.string))
    lengths = places.row_lengths().numpy()
    rows = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    pairs = rows * len(words) + places.flat_values.numpy()
    pairs.sort()
    once = pairs[np.flatnonzero(np.diff(pairs, prepend=-1))]  # a word counts once per text
    return TokenCounts(words.numpy(), np.bincount(once % max(len(words), 1), minlength=len(words)), lengths)


class DocumentCount:
    """The number of texts that each word occurs in, added up chunk by chunk; memory grows with distinct words, not with texts."""

    def __init__(self) -> None:
        self.documents = 0
        self.missing = 0
        self.longest = 0
        self._counts: dict[bytes, int] = {}

    def add(self, piece: TokenCounts) -> None:
        """Add one piece."""
        self.documents += len(piece.lengths)
        self.missing += int((piece.lengths == 0).sum())
        self.longest = max(self.longest, int(piece.lengths.max(initial=0)))
        for word, count in zip(piece.words.tolist(), piece.documents.tolist(), strict=True):
            self._counts[word] = self._counts.get(word, 0) + count

    def most_frequent(self, *, most: int, least: int) -> list[str]:
        """Words in at least `least` texts, by falling count and then by their text."""
        ranked = sorted((-count, word) for word, count in self._counts.items() if count >= least)
        return [word.decode("utf-8") for _, word in ranked[:most]]

    def inverse_document_frequency(self, words: list[str]) -> tuple[float, ...]:
        """Return it for every id: padding 0, missing text 1, unseen word as rare as a word can be, then `words`."""
        import numpy as np

        counts = np.array([0, *(self._counts[word.encode("utf-8")] for word in words)], dtype=np.float64)
        values = np.log((1 + self.documents) / (1 + counts)) + 1
        return (0.0, 1.0, *(float(value) for value in values))
