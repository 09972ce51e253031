"""`role: text` with `vectorize: pieces`: texts in the pieces of a pretrained encoder's own tokenizer.

Nothing is learned but the number of missing texts: vocabulary and rules are those of the model. They are kept in the fitted column, so
that a run reads texts without the model's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.categorical import texts
from mmtrain.columns.cells import missing_words
from mmtrain.columns.fitted_column import EncodingDescription, FittedColumn, RawInput
from mmtrain.errors import counted
from mmtrain.registry import Section
from mmtrain.specs import PieceSpec
from mmtrain.text.tokenizers import Tokenizer
from mmtrain.text.tokenizers.pieces import PieceTokenizer

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator

MOST_PIECES = 128
"""Pieces kept of a text when `max_length` is not given: about 100 words. The time of an encoder grows with them."""

METHODS = {
    "wordpiece": "WordPiece",
    "byte_pairs": "byte-level byte-pair encoding",
    "character_pairs": "SentencePiece's byte-pair encoding",
    "unigram": "SentencePiece's unigram model",
}


class FittedPieces(FittedColumn):
    """A tokenizer, and the number of pieces that are kept of a text."""

    role: Literal["text"] = "text"
    vectorize: Literal["pieces"] = "pieces"
    model: str = Field(description="Name of the encoder that the vocabulary is from.")
    tokenizer: Tokenizer
    length: int
    masked: bool
    missing: int = Field(description="Training rows without a text.")

    @property
    def spec(self) -> PieceSpec:
        """(batch, length) ids."""
        return PieceSpec(self.length, len(self.tokenizer.pieces), self.tokenizer.id_of[self.tokenizer.padding])

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """One string, empty for missing."""
        return {name: RawInput((1,), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, 1) str."""
        return texts(cells)[:, None]

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Count texts without pieces, and unknown pieces."""
        from mmtrain.columns.summaries.codes import PieceAccumulator

        tokenizer = self.tokenizer
        framing = [tokenizer.id_of[tokenizer.padding], *tokenizer.framing]
        return PieceAccumulator(self.spec.size, framing=framing, unknown=tokenizer.id_of.get(tokenizer.unknown))

    def baseline(self, learned: Any) -> str:  # noqa: ARG002
        """Return the empty text."""
        return ""

    def says_nothing(self, entry: np.ndarray[Any, Any]) -> bool:
        """Return whether the text has no pieces but those that stand around every text."""
        return bool((entry != self.spec.padding).sum() <= len(self.tokenizer.framing))

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """The vocabulary, and how much of a text is kept."""
        vocabulary = f"the vocabulary of {self.model}, {counted(len(self.tokenizer.pieces), 'piece')}"
        return "; ".join([vocabulary, f"{self.length} pieces kept of each text", missing_words(self.missing)])

    def recipe(self) -> EncodingDescription:
        """Pieces and their ids."""
        first, last, method = self.tokenizer.first, self.tokenizer.last, METHODS[self.tokenizer.method]
        places = [place for place in (first and f"after {first}", last and f"before {last}") if place]
        between = f"between {first} and {last}" if first and last else " ".join(places)
        encoded = (
            f"Divide the text with the tokenizer of {self.model} ({method}; `tokenizer` of columns.json holds its pieces in the order of "
            f"their ids, and its rules), keep {self.length - len(places)} pieces at most, {between or 'nothing around them'}; "
            f"{self.spec.padding} after the last."
        )
        present = "1 if there is a piece, else 0." if self.masked else "Always 1."
        return EncodingDescription("A text.", encoded, present, "an example")

    def preprocessing(self) -> Any:
        """Divides texts and looks their pieces up."""
        from mmtrain.layers.tokenizers.encode import EncodePieces

        return EncodePieces(tokenizer=self.tokenizer.model_dump(mode="json"), length=self.length, masked=self.masked)


def read_tokenizer_of(model: str) -> PieceTokenizer:
    """Return the tokenizer of a model. Raises RunError where the model is not there, or has another tokenizer."""
    from mmtrain.encoders.loading import find_weights
    from mmtrain.encoders.tokenizers.reading import read_tokenizer

    return read_tokenizer(find_weights(model))


def fit_pieces(cells: Iterable[pd.Series[str]], model: str, length: int, *, masked: bool) -> FittedPieces:
    """Read the tokenizer of a model, and count missing texts. Raises RunError, see `read_tokenizer_of`."""
    missing = sum(int(piece.isna().sum()) for piece in cells)
    name, tokenizer = Path(model).name, read_tokenizer_of(model)
    return FittedPieces(model=name, tokenizer=tokenizer, length=length, masked=masked, missing=missing)


def declared_pieces(model: str, length: int) -> PieceSpec:
    """Return the spec of texts in the pieces of a model. Raises RunError, see `read_tokenizer_of`."""
    tokenizer = read_tokenizer_of(model)
    return PieceSpec(length, len(tokenizer.pieces), tokenizer.id_of[tokenizer.padding])
