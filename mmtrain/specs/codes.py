"""Specs of integer codes: categories, and texts as ids of words or pieces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mmtrain.specs.base import Kind, Tensor, TensorSpec, kind


class _Codes(TensorSpec):
    """Integer codes or ids, looked up in a table of vectors."""

    @property
    def dtype(self) -> str:
        """Always int32."""
        return "int32"


@kind
@dataclass(frozen=True)
class IndexSpec(_Codes):
    """One of several categories: (batch, 1) codes below `size`; 0 is missing."""

    kind: ClassVar[Kind] = "index"
    stack: ClassVar[str] = "categories"

    size: int
    """Number of codes, that of a missing and that of an unseen category included."""
    one_hot: bool = False
    """True if the code becomes a one-hot vector instead of a learned embedding."""
    embedding_width: int = 0
    """Width of the learned embedding; 0 chooses it from `size`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """A single code."""
        return (1,)

    @property
    def vector_width(self) -> int:
        """Width of the vector of a category: of the one-hot vector, or of the learned embedding."""
        return self.size if self.one_hot else self.embedding_width or default_embedding_width(self.size)


def default_embedding_width(size: int) -> int:
    """Return min(50, (size + 1) // 2), the rule of thumb of Howard and Gugger (fastai, 2020).

    >>> default_embedding_width(10), default_embedding_width(10_000)
    (5, 50)
    """
    return min(50, (size + 1) // 2)


@kind
@dataclass(frozen=True)
class TokenSpec(_Codes):
    """A text in reading order: (batch, length) ids below `size`; 0 is padding, 1 a missing text."""

    kind: ClassVar[Kind] = "tokens"
    architecture_prefix: ClassVar[str] = "text"
    absent_first: ClassVar[int] = 1

    length: int
    size: int
    """Number of ids, the special ones included."""
    words: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """The word of each of the last ids, in their order."""

    @property
    def shape(self) -> tuple[int, ...]:
        """An id per word."""
        return (self.length,)


@kind
@dataclass(frozen=True)
class BagSpec(_Codes):
    """A text as TF-IDF: (batch, length) ids, sorted; 0 is padding, 1 a missing text."""

    kind: ClassVar[Kind] = "bag"
    absent_first: ClassVar[int] = 1

    length: int
    idf: tuple[float, ...]
    """Inverse document frequency of each id."""

    @property
    def size(self) -> int:
        """Number of ids, the special ones included."""
        return len(self.idf)

    @property
    def shape(self) -> tuple[int, ...]:
        """An id per word."""
        return (self.length,)

    def project(self, tensor: Tensor, units: int, *, use_bias: bool) -> Tensor:
        """Return the TF-IDF vector, (batch, size), times a learned matrix: (batch, units). The vector itself is never built."""
        from mmtrain.layers.text_tokens import BagProjection

        return BagProjection(idf=list(self.idf), units=units, use_bias=use_bias)(tensor)


@kind
@dataclass(frozen=True)
class PieceSpec(_Codes):
    """A text in the pieces of a pretrained encoder: (batch, length) ids; `padding` is that of no piece."""

    kind: ClassVar[Kind] = "pieces"
    architecture_prefix: ClassVar[str] = "text"

    length: int
    size: int
    padding: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """An id per piece."""
        return (self.length,)
