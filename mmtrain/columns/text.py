"""`role: text`: free text, read as TF-IDF or word by word.

Words are the runs of letters, marks, digits and apostrophes of the lower-cased text, any script, and signs such as emoji. Ids: 0 = padding,
1 = missing text, 2 = unseen word, 3... = words of training rows, most frequent first (ties by their text). A text of no
words at all counts as missing. `vectorize: tfidf` gives kind `bag` (ids sorted, so that equal texts are equal tensors);
`vectorize: tokens` gives kind `tokens` (reading order). With `ngrams: 2` pairs of neighbouring words are in the vocabulary of a bag,
by the same frequencies; one that is not in it adds nothing. Runs of Chinese, Japanese, Thai are their overlapping pairs of characters.
`vectorize: pieces` divides texts for a pretrained encoder, see `mmtrain.columns.text_pieces`; `vectorize: hashed` keeps no vocabulary,
see `mmtrain.columns.text_hashes`.

Inverse document frequency is ln((1 + texts) / (1 + texts with the word)) + 1, the smoothed form of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from mmtrain.columns.base import ENCODER, ColumnEncoder, Content, Evidence, Guess, InputColumn, Names, role
from mmtrain.columns.categorical import texts
from mmtrain.columns.cells import CellError, missing_cell_error, missing_words
from mmtrain.columns.document_counts import DocumentCounts, count_tokens, inverse_document_frequency
from mmtrain.columns.fitted_column import CellAttribution, EncodingDescription, FittedColumn, RawInput
from mmtrain.columns.text_hashes import BUCKETS, CHARACTERS, FittedHashes, fit_hashes
from mmtrain.columns.text_pieces import MOST_PIECES, FittedPieces, declared_pieces, fit_pieces
from mmtrain.errors import counted
from mmtrain.registry import Section
from mmtrain.specs import BagSpec, Kind, PieceSpec, TokenSpec
from mmtrain.system.threads import in_threads
from mmtrain.text.tokenization import BETWEEN_WORDS, CHARACTER, VARIANTS, WORD

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
    character_pairs: bool = Field(
        False,
        description="Whether runs of scripts without blanks become overlapping pairs; older versions kept them whole.",
    )
    ngrams: int = Field(1, description="2 where `words` also holds pairs of neighbouring words, with a blank between them.")

    @property
    def spec(self) -> BagSpec | TokenSpec:
        """(batch, length) ids: with pairs, `length` words and the pairs between them."""
        if self.vectorize == "tokens":
            return TokenSpec(self.length, FIRST_ID + len(self.words), self.words)
        return BagSpec(self.length if self.ngrams == 1 else 2 * self.length - 1, self.idf)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """One string, empty for missing."""
        return {name: RawInput((1,), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, 1) str."""
        return texts(cells)[:, None]

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
        words = words_of(cell, signs=self.signs, character_pairs=self.character_pairs)
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
        encoded = (
            f"Lower-case the text, {words} (RE2), keep {self.length} words at most. "
            f"A word is {FIRST_ID} + its position in `words` of columns.json, from 0, or 2 if it is not there{pairs}; {order}, "
            "0 after the last. A text without words is the one id 1."
        )
        present = "1 if there is a word, else 0." if self.masked else "Always 1."
        return EncodingDescription("A text.", encoded, present, " ".join(self.words[:2]))

    def preprocessing(self) -> Any:
        """Splits into words and looks them up."""
        from mmtrain.layers.encoding import EncodeText

        ordered = self.vectorize == "tokens"
        reading = {"signs": self.signs, "character_pairs": self.character_pairs}
        return EncodeText(words=list(self.words), length=self.length, ordered=ordered, masked=self.masked, ngrams=self.ngrams, **reading)


@role("text", fitted=Annotated[FittedText | FittedHashes | FittedPieces, Field(discriminator="vectorize")])
class Text(InputColumn):
    """Free text."""

    content: ClassVar[Content] = "texts"
    own_branch: ClassVar[bool] = True
    streamed: ClassVar[bool] = True

    role: Literal["text"] = "text"
    vectorize: Literal["tfidf", "hashed", "tokens", "pieces"] = Field(
        "tfidf",
        description="tfidf: which words occur, weighted by how rare they are; hashed: the same of words and runs of characters without a "
        "vocabulary, for misspellings and languages with long words; tokens: word by word; pieces: parts of words in the "
        "vocabulary of a pretrained encoder, as a branch with `architecture: pretrained` reads them.",
    )
    model: str = Field(
        "",
        description="Folder or name of the pretrained encoder whose vocabulary `pieces` are from. Left out: that of the branch.",
    )
    encoder: ColumnEncoder | None = ENCODER
    ngrams: int | None = Field(
        None,
        ge=1,
        le=2,
        description="2: pairs of neighbouring words are in the vocabulary, too, if in two training texts or more, with hashed all of "
        "them. Left out: 2 with tfidf and hashed, 1 with tokens.",
    )
    buckets: int = Field(BUCKETS, ge=2, le=2**22, description="Numbers that hashed n-grams are mapped to; each has weights of its own.")
    characters: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(
        CHARACTERS,
        description="With `hashed`: fewest and most characters of the runs that are read of each word; [] for whole words alone.",
    )
    max_tokens: PositiveInt = Field(
        20_000, description="Size of the vocabulary; the most frequent words, and pairs of words, of training rows are kept."
    )
    min_count: PositiveInt = Field(1, description="Words, and pairs of words, in fewer training texts are treated as unseen.")
    max_length: Length | None = Field(
        None,
        description=f"Words, or pieces, kept of each text; left out: those of the longest training text, at most {LONGEST}; "
        f"of pieces {MOST_PIECES}.",
    )
    missing: Literal["code", "mask", "error", "drop"] = Field(
        "code",
        description="code: an empty text is a word of its own; mask: the branch goes without; error: refuse; drop: leave the row out.",
    )

    @model_validator(mode="after")
    def _pairs_in_a_bag(self) -> Text:
        if self.ngrams == 2 and self.vectorize == "tokens":
            raise ValueError("`ngrams: 2` needs `vectorize: tfidf`; tokens are single words in reading order. Leave one of them out.")
        return self

    @model_validator(mode="after")
    def _pieces_of_the_encoder(self) -> Text:
        if self.encoder and self.vectorize != "pieces":
            raise ValueError("`encoder` needs `vectorize: pieces`; leave `vectorize` out.")
        if self.encoder and self.model != self.encoder.model:
            raise ValueError("`encoder` reads the pieces of its own model; leave `model` out.")
        return self

    @model_validator(mode="after")
    def _runs_of_characters(self) -> Text:
        if len(self.characters) not in (0, 2) or list(self.characters) != sorted(self.characters):
            raise ValueError("`characters` are the fewest and the most of a run, as [3, 5], or [] for none.")
        return self

    @model_validator(mode="after")
    def _pieces_of_a_model(self) -> Text:
        if self.vectorize == "pieces" and not self.model:
            raise ValueError("`vectorize: pieces` needs `model`, the folder or name of the encoder that reads them.")
        if self.vectorize == "pieces" and self.max_length is not None and self.max_length < 3:
            raise ValueError("`max_length` of pieces is at least 3: one of the text between those that begin and end it.")
        return self

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
        """A bag for TF-IDF and hashes, else tokens or pieces; the numbers of an encoder."""
        return "vector" if self.encoder else "bag" if self.vectorize in ("tfidf", "hashed") else self.vectorize

    @property
    def description(self) -> str:
        """Return the role with the option `vectorize`, which decides on the kind."""
        return f"{super().description} with `vectorize: {self.vectorize}`"

    def option_for(self, kinds: Collection[str]) -> str:
        """Return another way to vectorize, if that would do."""
        ways = {"bag": "tfidf", "tokens": "tokens", "pieces": "pieces"}
        return next((f"vectorize: {way}" for kind, way in ways.items() if kind in kinds and way != self.vectorize), "")

    def options_without_effect(self) -> dict[str, tuple[str, str]]:
        """Return options of another way to vectorize: pieces are those of a model, and a model has no other use."""
        given = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        if self.vectorize == "pieces":
            what = "`{}` has no effect with `vectorize: pieces`: the vocabulary is that of the model."
            words = ("ngrams", "max_tokens", "min_count", "buckets", "characters")
            return {name: (what.format(name), "Leave it out.") for name in words if name in given}
        useless: dict[str, tuple[str, str]] = {}
        if self.vectorize == "hashed":
            what = "`{}` has no effect with `vectorize: hashed`, which has no vocabulary."
            useless = {
                name: (what.format(name), "Set `buckets`, or leave it out.") for name in ("max_tokens", "min_count") if name in given
            }
        for name in ("buckets", "characters") if self.vectorize != "hashed" else ():
            if name in given:
                what = f"`{name}` has no effect with `vectorize: {self.vectorize}`."
                useless[name] = (what, "Set `vectorize: hashed`, or leave it out.")
        what = f"`model` has no effect with `vectorize: {self.vectorize}`."
        return useless | ({"model": (what, "Set `vectorize: pieces`, or leave it out.")} if self.model else {})

    def declared_spec(self) -> PieceSpec | None:
        """Return the spec of pieces; None for words. Raises RunError where the tokenizer of the model cannot be read."""
        return declared_pieces(self.model, self.max_length or MOST_PIECES) if self.vectorize == "pieces" else None

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing cells where those are refused."""
        return missing_cell_error(cells, self.missing, MISSING)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedText | FittedHashes | FittedPieces:
        """Count in how many training texts each word occurs; of pieces, only how many texts are missing."""
        if self.vectorize == "pieces":
            return fit_pieces(cells, self.model, self.max_length or MOST_PIECES, masked=self.missing == "mask")
        if self.vectorize == "hashed":
            return fit_hashes(
                cells,
                buckets=self.buckets,
                ngrams=self.ngrams or 2,
                characters=self.characters,
                max_length=self.max_length or LONGEST,
                cut=self.max_length is not None,
                masked=self.missing == "mask",
            )
        counts = DocumentCounts()
        ngrams = self.ngrams or (2 if self.vectorize == "tfidf" else 1)
        # Chunks are tokenized in threads; the counts are added in their order here.
        with closing(in_threads(partial(count_tokens, ngrams=ngrams), cells)) as pieces:
            for piece in pieces:
                counts.add(piece)
        vocabulary = counts.most_frequent(most=self.max_tokens, least=self.min_count)
        return FittedText(
            vectorize=self.vectorize,
            words=tuple(vocabulary),
            idf=inverse_document_frequency(vocabulary, counts.documents) if self.vectorize == "tfidf" else (),
            length=self.max_length or max(1, min(counts.longest, LONGEST)),
            longest=counts.longest,
            masked=self.missing == "mask",
            missing=counts.missing,
            signs=True,
            character_pairs=True,
            ngrams=ngrams,
        )


def words_of(text: str, **choice: bool) -> list[str]:
    """Return the words of a text in reading order, as the network's own preprocessing finds them."""
    import tensorflow as tf

    from mmtrain.layers.words import distinct_words

    words, places = distinct_words(tf.constant([text]), **choice)
    return [word.decode("utf-8") for word in words.numpy()[places.flat_values.numpy()]]
