"""Texts as word vectors, which begin with random values or with those of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from mmtrain.branches.inputs import Input
from mmtrain.specs import Tensor, TokenSpec
from mmtrain.text.word_vectors import read_word_vectors

Embeddings = Annotated[
    str,
    Field(
        description="File with word vectors: text of GloVe or fastText, or .npy with a list of words next to it. Only words of the "
        "vocabulary are read, `width` is that of the file, and other words begin with random vectors. Left out: all begin with random ones."
    ),
]
TrainEmbeddings = Annotated[bool, Field(description="Train word vectors; false keeps those of `embeddings` as they are.")]


@dataclass(frozen=True, eq=False)
class EmbeddedText:
    """A text as word vectors."""

    ids: Tensor
    """(batch, length)."""
    vectors: Tensor
    """(batch, length, width), of padding as well."""
    layer: Any
    """The embedding."""
    notes: tuple[str, ...]

    def words(self) -> Tensor:
        """Return the vectors, zero for padding."""
        from mmtrain.layers.text_tokens import PaddingZeros

        return PaddingZeros()(self.ids, self.vectors)


def embed_text(inputs: Mapping[str, Input[TokenSpec]], width: int, embeddings: str, *, trainable: bool) -> EmbeddedText:
    """Look up word vectors that begin with random values or, where `embeddings` is a file, with those of the file."""
    import keras

    ((column, text),) = inputs.items()
    text = text.masked()
    notes: tuple[str, ...] = ()
    vectors = read_word_vectors(embeddings, text.spec.words) if embeddings else None
    layer = keras.layers.Embedding(text.spec.size, width if vectors is None else vectors.vectors.shape[1])
    if vectors is not None:
        layer.build(None)
        table = keras.ops.convert_to_numpy(layer.embeddings).copy()
        table[text.spec.size - len(text.spec.words) + vectors.positions] = vectors.vectors
        layer.embeddings.assign(table)
        known, every = len(vectors.positions), len(text.spec.words)
        notes = (f"{column}: {known:,} of {every:,} words have vectors in {Path(embeddings).name}; the others begin with random ones.",)
    layer.trainable = trainable
    return EmbeddedText(text.tensor, layer(text.tensor), layer, notes)
