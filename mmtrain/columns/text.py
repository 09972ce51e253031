"""`role: text`: free text, read as TF-IDF or word by word.

`vectorize: tfidf` gives kind `bag` (ids sorted, so that equal texts are equal tensors); `vectorize: tokens` gives kind `tokens`
(reading order). With `ngrams: 2` pairs of neighbouring words are in the vocabulary of a bag, by the same frequencies; one that is not in
it adds nothing. `vectorize: pieces` divides texts for a pretrained encoder; `vectorize: hashed` keeps no vocabulary.
The modules of `vectorizers` hold the encodings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from mmtrain.columns.base import Content, Evidence, Guess, role
from mmtrain.columns.cells import CellError, missing_cell_error
from mmtrain.columns.input_column import ENCODER, ColumnEncoder, InputColumn
from mmtrain.columns.vectorizers.document_counts import DocumentCounts, count_tokens, inverse_document_frequency
from mmtrain.columns.vectorizers.fitted_text import LONGEST, FittedText, Length
from mmtrain.columns.vectorizers.text_hashes import BUCKETS, CHARACTERS, FittedHashes, fit_hashes
from mmtrain.columns.vectorizers.text_pieces import MOST_PIECES, FittedPieces, declared_pieces, fit_pieces
from mmtrain.specs import Kind, PieceSpec
from mmtrain.system.threads import in_threads

if TYPE_CHECKING:
    import pandas as pd

    from mmtrain.columns.profile import Profile

MISSING = {"code": "treat a missing text as a word of its own", "mask": "leave the text out of that row", "drop": "leave the row out"}


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
    max_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Words in a larger share of the training texts are left out of the vocabulary, such as those in more than half of them "
        "with 0.5.",
    )
    accents: Literal["keep", "remove"] = Field(
        "keep", description="remove: Latin and Greek letters are read without their accents, é as e; other scripts stay as they are."
    )
    columns: tuple[str, ...] = Field(
        (),
        description="Headers whose texts are read one after the other as one text, such as [title, body]. Left out: that of `column`.",
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
    def _several_columns(self) -> Text:
        if len(self.columns) == 1 or len(set(self.columns)) < len(self.columns):
            raise ValueError("`columns` names two headers or more, each once; a single one is `column`.")
        if self.columns and self.vectorize == "pieces":
            raise ValueError("`columns` needs another `vectorize` than pieces; declare a column for each header, and a branch for each.")
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
            words = ("ngrams", "max_tokens", "min_count", "max_share", "accents", "buckets", "characters")
            return {name: (what.format(name), "Leave it out.") for name in words if name in given}
        useless: dict[str, tuple[str, str]] = {}
        if self.vectorize == "hashed":
            what = "`{}` has no effect with `vectorize: hashed`, which has no vocabulary."
            useless = {
                name: (what.format(name), "Set `buckets`, or leave it out.")
                for name in ("max_tokens", "min_count", "max_share")
                if name in given
            }
        for name in ("buckets", "characters") if self.vectorize != "hashed" else ():
            if name in given:
                what = f"`{name}` has no effect with `vectorize: {self.vectorize}`."
                useless[name] = (what, "Set `vectorize: hashed`, or leave it out.")
        what = f"`model` has no effect with `vectorize: {self.vectorize}`."
        return useless | ({"model": (what, "Set `vectorize: pieces`, or leave it out.")} if self.model else {})

    def reads(self) -> tuple[str, ...]:
        """The headers whose texts are read, in order."""
        return self.columns or (self.column,)

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
        if self.columns:
            cells = map(self._joined, cells)
        if self.vectorize == "hashed":
            return fit_hashes(
                cells,
                buckets=self.buckets,
                ngrams=self.ngrams or 2,
                characters=self.characters,
                max_length=self.max_length or LONGEST,
                cut=self.max_length is not None,
                masked=self.missing == "mask",
                accents=self.accents == "keep",
                headers=self.columns,
            )
        counts = DocumentCounts()
        ngrams = self.ngrams or (2 if self.vectorize == "tfidf" else 1)
        # Chunks are tokenized in threads; the counts are added in their order here.
        with closing(in_threads(partial(count_tokens, ngrams=ngrams, accents=self.accents == "keep"), cells)) as pieces:
            for piece in pieces:
                counts.add(piece)
        vocabulary = counts.most_frequent(most=self.max_tokens, least=self.min_count, share=self.max_share)
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
            accents=self.accents == "keep",
            headers=self.columns,
        )

    def _joined(self, cells: pd.Series[str]) -> pd.Series[str]:
        table: Any = cells  # of several headers a DataFrame
        first: pd.Series[str]
        first, *others = (table[header].fillna("") for header in self.columns)
        for other in others:
            first = first + " " + other
        return first
