"""Files of SentencePiece: its model as a protocol buffer, of which the few fields that a unigram tokenizer needs are read.

A message is a sequence of fields: a number (field * 8 + type) in base 128, the lowest digits first and each but the last with its highest
bit set, then a number of that sort (type 0), eight or four bytes (1, 5), or a length and as many bytes (2). Fields are those of
`sentencepiece_model.proto`: pieces are the messages 1, the trainer's options 2, the normalizer's 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmtrain.errors import Problem, RunError

UNIGRAM = 1
"""Value of the trainer's option `model_type`."""
NORMAL, UNKNOWN = 1, 2
"""Types of pieces. Control pieces, user-defined ones and bytes have other types."""


@dataclass(frozen=True)
class SentencePieceModel:
    """A unigram model. Pieces that no text has, such as control pieces, have no score."""

    pieces: tuple[str, ...]
    scores: tuple[float | None, ...]
    unknown: str
    charsmap: bytes
    trims_spaces: bool
    """True if several spaces count as one, and none at the ends."""


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Read a model. Raises RunError for a damaged file, and for a model of another sort or with user-defined pieces."""
    try:
        return _model(path.read_bytes())
    except (OSError, ValueError, KeyError, IndexError, struct.error, AttributeError, TypeError) as error:
        what = f"it cannot be read as a unigram model of SentencePiece: {str(error).rstrip('.') or type(error).__name__}."
        raise RunError(Problem(str(path), what, "Fetch the model again, with its tokenizer.")) from error


def _model(data: bytes) -> SentencePieceModel:
    pieces: list[str] = []
    scores: list[float | None] = []
    unknown = ""
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for field, value in _fields(data):
        if field == 1:
            part = dict(_fields(value))
            kind, name = part.get(3, NORMAL), part[1].decode("utf-8")
            if kind not in (NORMAL, UNKNOWN, 3, 5):  # control, unused
                raise ValueError(f"it has the piece {name!r} of the type {kind}")
            unknown = name if kind == UNKNOWN else unknown
            pieces.append(name)
            scores.append(struct.unpack("<f", part.get(2, bytes(4)))[0] if kind == NORMAL else None)
        elif field in (2, 3):
            (trainer if field == 2 else normalizer).update(_fields(value))
    if trainer.get(3, UNIGRAM) != UNIGRAM:
        raise ValueError("it is not a unigram model, but one of another `model_type`")
    if not normalizer.get(3, 1):
        raise ValueError("it has no space in front of the first word (`add_dummy_prefix`)")
    return SentencePieceModel(tuple(pieces), tuple(scores), unknown, normalizer.get(2, b""), bool(normalizer.get(4, 1)))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of every field of a message. Raises ValueError or IndexError for bytes that are not a message."""
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            value, shift, place = value | (byte & 0x7F) << shift, shift + 7, place + 1
            if byte < 0x80:
                return value

    while place < len(data):
        field, kind = divmod(number(), 8)
        if kind == 0:
            yield field, number()
            continue
        size = {1: 8, 5: 4}.get(kind) or (number() if kind == 2 else -1)
        if not 0 <= size <= len(data) - place:
            raise ValueError("a field lies outside the file")
        yield field, data[place : place + size]
        place += size
