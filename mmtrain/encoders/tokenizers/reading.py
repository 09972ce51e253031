"""The tokenizer in the folder of a pretrained encoder, from the first of these files that is there.

`tokenizer.json` describes a pipeline, see `mmtrain.encoders.tokenizers.tokenizer_json`; those of BERT, RoBERTa, CLIP, XLM-RoBERTa and
SigLIP are read. Else `sentencepiece.bpe.model` or `spiece.model` of SentencePiece, `vocab.json` with `merges.txt` of byte pairs, or
`vocab.txt` of WordPiece, with the rules of `tokenizer_config.json`. Options that are not known are refused: other pieces would give other
vectors.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path

from mmtrain.encoders.base import read_json_map
from mmtrain.encoders.tokenizers.sentencepiece_file import read_sentencepiece
from mmtrain.encoders.tokenizers.tokenizer_json import FETCH, in_order, read_pipeline, validate, with_padding
from mmtrain.errors import Problem, RunError, listed
from mmtrain.text.tokenizers.byte_pairs import WORD_END, BytePairs
from mmtrain.text.tokenizers.pieces import PieceTokenizer
from mmtrain.text.tokenizers.unigram import Unigram, read_replacements
from mmtrain.text.tokenizers.wordpiece import CleaningRules, WordPiece

FILES = ("tokenizer.json", "sentencepiece.bpe.model", "spiece.model", "vocab.json", "vocab.txt")


def read_tokenizer(place: Path) -> PieceTokenizer:
    """Return the tokenizer of the model at `place`, a folder or a file of weights in one.

    Raises RunError where there is none, or one of a sort or with an option that is not read.
    """
    folder = place if place.is_dir() else place.parent
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        what = f"it has no tokenizer: neither {listed(FILES, last='nor')} is there."
        raise RunError(Problem(str(folder), what, FETCH))
    if path.suffix == ".model":
        return _from_sentencepiece(path)
    readers = {"tokenizer.json": read_pipeline, "vocab.json": _from_merges, "vocab.txt": _from_vocabulary}
    return readers[path.name](path)


def _from_vocabulary(path: Path) -> PieceTokenizer:
    """Return the WordPiece tokenizer of a file with a piece per line, in the order of ids."""
    options = read_json_map(path.with_name("tokenizer_config.json"), FETCH)
    lower_case = bool(options.get("do_lower_case", True))
    strip = options.get("strip_accents")
    chinese = bool(options.get("tokenize_chinese_chars", True))
    rules = CleaningRules(lower_case=lower_case, strip_accents=lower_case if strip is None else bool(strip), split_chinese=chinese)
    return validate(WordPiece, path, pieces=tuple(_lines(path)), rules=rules)


def _from_merges(path: Path) -> PieceTokenizer:
    """Return the byte-pair tokenizer of a `vocab.json`, {piece: id}, and the `merges.txt` next to it; CLIP's marks the ends of words."""
    pieces = in_order(path, read_json_map(path, FETCH))
    merges = [line for line in _lines(path.with_name("merges.txt")) if line and not line.startswith("#version")]
    options = read_json_map(path.with_name("tokenizer_config.json"), FETCH)
    clip = any(piece.endswith(WORD_END) for piece in pieces)
    first, last = ("<|startoftext|>", "<|endoftext|>") if clip else ("<s>", "</s>")
    pieces, padding = with_padding(pieces, "" if clip else "<pad>", (first, last))
    words, space = "clip" if clip else "gpt2", bool(options.get("add_prefix_space", False))
    values = {"pieces": pieces, "merges": tuple(merges), "words": words, "leading_space": space}
    return validate(BytePairs, path, **values, first=first, last=last, padding=padding)


def _from_sentencepiece(path: Path) -> PieceTokenizer:
    """Return the unigram tokenizer in a file of SentencePiece.

    XLM-RoBERTa has special pieces of its own in front of those of the file, in whose `sentencepiece.bpe.model` they are in another order.
    """
    model = read_sentencepiece(path)
    replacements, compose = _replacements(path, model.charsmap)
    common = {"replacements": replacements, "compose": compose, "spaces": "words" if model.trims_spaces else "kept"}
    if path.name == "sentencepiece.bpe.model":
        special = ("<s>", "<pad>", "</s>", "<unk>")
        pieces, scores = (*special, *model.pieces[3:], "<mask>"), (*[None] * 4, *model.scores[3:], None)
        return validate(Unigram, path, pieces=pieces, scores=scores, **common)
    config = read_json_map(path.with_name("config.json"), FETCH)
    if config.get("model_type") != "siglip":
        what = f"the ids of special pieces are not known for a {config.get('model_type')!r} without tokenizer.json."
        raise RunError(Problem(str(path), what, "Fetch the model again, with its tokenizer.json."))
    unknown, last = model.unknown, "</s>"
    pieces, padding = with_padding(model.pieces, "", (last,))
    scores = (*model.scores, *[None] * (len(pieces) - len(model.pieces)))
    rules = {"lower_case": True, "removed": string.punctuation}
    return validate(Unigram, path, pieces=pieces, scores=scores, unknown=unknown, first="", last=last, padding=padding, **rules, **common)


def _replacements(path: Path, charsmap: bytes) -> tuple[Mapping[str, str], bool]:
    try:
        return read_replacements(charsmap) if charsmap else ({}, False)
    except (ValueError, IndexError) as error:
        raise RunError(Problem(str(path), f"{error}.", FETCH)) from error


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(Problem(str(path), f"it cannot be read as text in UTF-8: {error}.", FETCH)) from error
