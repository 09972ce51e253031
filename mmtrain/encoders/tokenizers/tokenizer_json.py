"""`tokenizer.json`, the description of a tokenizer as a pipeline of the library `tokenizers`.

    read_pipeline(Path("models/roberta-base/tokenizer.json")).method  # 'byte_pairs'

Four models are read, each with the normalizers and pre-tokenizers of published models: WordPiece (BERT), byte-level BPE (RoBERTa, CLIP),
BPE of characters (Gemma, SigLIP 2), Unigram (XLM-RoBERTa, SigLIP). Texts that spell a special token are words like any other, so of
`added_tokens` only the ids and those that are not special matter.
"""

from __future__ import annotations

import base64
import binascii
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mmtrain.encoders.base import read_json_map
from mmtrain.errors import Problem, RunError, listed
from mmtrain.text.tokenizers.byte_pairs import WORD_END, BytePairs
from mmtrain.text.tokenizers.character_pairs import CharacterPairs
from mmtrain.text.tokenizers.pieces import OWN_PADDING, PieceTokenizer
from mmtrain.text.tokenizers.unigram import SPACE, Unigram, read_replacements
from mmtrain.text.tokenizers.wordpiece import LONGEST_WORD, PREFIX, CleaningRules, WordPiece

FETCH = "Fetch the model again, with its tokenizer."
CHOOSE_OTHER = "Choose another model."
CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""End of the pattern of CLIP's words; in front of it files may have the special tokens."""


def read_pipeline(path: Path) -> PieceTokenizer:
    """Return the tokenizer of a tokenizer.json. Raises RunError for a damaged one, and for parts or options that are not read."""
    values = read_json_map(path, FETCH)
    readers = {"WordPiece": _wordpiece, "BPE": _byte_pairs, "Unigram": _unigram}
    kind = _section(path, values, "model").get("type")
    if kind not in readers:
        raise _unreadable(path, f"its `model` is {kind!r}; {listed(list(readers), last='or')} is what can be read.")
    return readers[kind](path, values)


def _wordpiece(path: Path, values: Mapping[str, Any]) -> PieceTokenizer:
    model, cleaning = (_section(path, values, name) for name in ("model", "normalizer"))
    kinds = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}
    _expect(path, {name: _section(path, values, name).get("type") for name in kinds}, kinds)
    expected = {"continuing_subword_prefix": PREFIX, "max_input_chars_per_word": LONGEST_WORD}
    _expect(path, {**expected, **model}, expected)
    _expect(path, {"clean_text": True, **cleaning}, {"clean_text": True})
    lower_case, strip = bool(cleaning.get("lowercase", True)), cleaning.get("strip_accents")
    rules = CleaningRules(
        lower_case=lower_case,
        strip_accents=lower_case if strip is None else bool(strip),
        split_chinese=bool(cleaning.get("handle_chinese_chars", True)),
    )
    special = {"unknown": str(model.get("unk_token", "[UNK]"))}
    if values.get("post_processor"):
        special["first"], special["last"] = _frame(path, values)
    if padding := _padding(path, values):
        special["padding"] = padding
    return validate(WordPiece, path, pieces=in_order(path, _with_added(values, model.get("vocab"))), rules=rules, **special)


def _byte_pairs(path: Path, values: Mapping[str, Any]) -> PieceTokenizer:
    model, steps = _section(path, values, "model"), _steps(values.get("pre_tokenizer"), "pretokenizers")
    if model.get("byte_fallback"):
        return _character_pairs(path, values)
    for name in ("dropout", "ignore_merges", "continuing_subword_prefix"):
        if model.get(name):
            raise _unreadable(path, f"its `{name}` is {model[name]!r}, which is not read.")
    types, normalizers = [step.get("type") for step in steps], _types(values.get("normalizer"), "normalizers")
    clip = (model.get("end_of_word_suffix") or "") == WORD_END
    known = (["Split", "ByteLevel"], ["NFC", "Replace", "Lowercase"]) if clip else (["ByteLevel"], [])
    if (types, normalizers) != known or not (_has_clip_words(steps[0]) if clip else steps[0].get("use_regex", True)):
        shown = f"{listed(normalizers) if normalizers else 'nothing'} before {listed(types) if types else 'nothing'}"
        raise _unreadable(path, f"it divides texts by {shown}; those of GPT-2, RoBERTa and CLIP are what can be read.")
    first, last = _frame(path, values)
    pieces = in_order(path, _with_added(values, model.get("vocab")))
    pieces, padding = with_padding(pieces, _padding(path, values), (first, last))
    merges = _merges(model)
    words, space = "clip" if clip else "gpt2", not clip and bool(steps[0].get("add_prefix_space"))
    return validate(
        BytePairs, path, pieces=pieces, merges=merges, words=words, leading_space=space, first=first, last=last, padding=padding
    )


def _character_pairs(path: Path, values: Mapping[str, Any]) -> PieceTokenizer:
    """Return Gemma's tokenizer. SigLIP 2 was trained on lower-cased texts, which its files leave to the program that reads them."""
    model, normalizers = _section(path, values, "model"), _steps(values.get("normalizer"), "normalizers")
    for name in ("dropout", "ignore_merges", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise _unreadable(path, f"its `{name}` is {model[name]!r}, which is not read.")
    types, words = [step.get("type") for step in normalizers], _types(values.get("pre_tokenizer"), "pretokenizers")
    spaces = {"pattern": {"String": " "}, "content": SPACE}
    if types not in (["Replace"], ["Lowercase", "Replace"]) or {name: normalizers[-1].get(name) for name in spaces} != spaces:
        raise _unreadable(path, f"its normalizers are {listed(types) or 'none'}; one that replaces spaces by {SPACE} is what can be read.")
    if words not in ([], ["Split"]):  # no space is left that `Split` could divide at
        raise _unreadable(path, f"it divides texts by {listed(words)}; `Split` at spaces is what can be read.")
    added = [token for token in values.get("added_tokens", ()) if not token.get("special")]
    if any(token.get(name) for token in added for name in ("lstrip", "rstrip", "single_word", "normalized")):
        raise _unreadable(path, "some of its `added_tokens` are found in normalized texts, or with the spaces around them.")
    first, last = _frame(path, values)
    pieces, padding = with_padding(in_order(path, _with_added(values, model.get("vocab"))), _padding(path, values), (first, last))
    siglip = str(read_json_map(path.with_name("config.json"), FETCH).get("model_type", "")).startswith("siglip")
    options = {"whole": tuple(token["content"] for token in added), "lower_case": siglip or "Lowercase" in types}
    unknown = str(model.get("unk_token") or "")
    return validate(
        CharacterPairs, path, pieces=pieces, merges=_merges(model), unknown=unknown, first=first, last=last, padding=padding, **options
    )


def _merges(model: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in model.get("merges", ()))


def _has_clip_words(step: Mapping[str, Any]) -> bool:
    pattern = step.get("pattern", {}).get("Regex", "")
    return pattern.endswith(CLIP_WORDS) and step.get("behavior") == "Removed" and step.get("invert") is True


def _unigram(path: Path, values: Mapping[str, Any]) -> PieceTokenizer:
    model, vocabulary = _section(path, values, "model"), _section(path, values, "model").get("vocab")
    unknown = model.get("unk_id")
    if not isinstance(vocabulary, list) or type(unknown) is not int or not 0 <= unknown < len(vocabulary) or model.get("byte_fallback"):
        raise _unreadable(path, "its vocabulary is not a list of pieces with scores that has an unknown piece, or falls back to bytes.")
    special = {token["content"] for token in values.get("added_tokens", ()) if token.get("special")} | {vocabulary[unknown][0]}
    numbered = {piece: number for number, (piece, _) in enumerate(vocabulary)}
    pieces = in_order(path, _with_added(values, numbered)) if len(numbered) == len(vocabulary) else tuple(piece for piece, _ in vocabulary)
    first, last = _frame(path, values)
    pieces, padding = with_padding(pieces, _padding(path, values), (first, last))
    scores = [None if piece in special else score for piece, score in vocabulary] + [None] * (len(pieces) - len(vocabulary))
    names = {"unknown": vocabulary[unknown][0], "first": first, "last": last, "padding": padding}
    return validate(Unigram, path, pieces=pieces, scores=tuple(scores), **names, **_unigram_rules(path, values))


def _unigram_rules(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the treatment of characters and spaces by the normalizers and pre-tokenizers of a unigram model."""
    rules: dict[str, Any] = {}
    collapsed, stripped, steps = False, False, _steps(values.get("pre_tokenizer"), "pretokenizers")
    types = [step.get("type") for step in steps]
    if types not in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]) or not _adds_spaces(steps[-1]):
        raise _unreadable(path, f"it divides texts by {listed(types) if types else 'nothing'}; known is `Metaspace` with a space in front.")
    for step in _steps(values.get("normalizer"), "normalizers"):
        kind, pattern, content = step.get("type"), str((step.get("pattern") or {}).get("Regex", "")), step.get("content")
        if kind == "Precompiled":
            rules["replacements"], rules["compose"] = _charsmap(path, step)
        elif kind == "Lowercase" and not rules:
            rules["lower_case"] = True
        elif kind == "Replace" and content == "" and "replacements" not in rules and _removed_punctuation(pattern):
            rules["removed"] = _removed_punctuation(pattern)
        elif kind == "Replace" and pattern in (" {2,}", r"\s+") and content in (" ", SPACE):
            collapsed = True
        elif kind == "Strip" and step.get("strip_right"):
            stripped = True
        else:
            raise _unreadable(path, f"its normalizer {kind!r} is not read.")
    if stripped and not collapsed:
        raise _unreadable(path, "its normalizer `Strip` is read where another one joins neighbouring spaces.")
    words = len(types) == 2 or (collapsed and stripped)
    return rules | {"spaces": "words" if words else "collapsed" if collapsed else "kept"}


def _adds_spaces(step: Mapping[str, Any]) -> bool:
    scheme = step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never")
    return scheme in ("always", "first") and step.get("replacement", SPACE) == SPACE


def _charsmap(path: Path, step: Mapping[str, Any]) -> tuple[Mapping[str, str], bool]:
    try:
        return read_replacements(base64.b64decode(str(step.get("precompiled_charsmap")), validate=True))
    except (ValueError, IndexError, binascii.Error) as error:
        raise _unreadable(path, f"the table of its normalizer `Precompiled` is damaged: {str(error).rstrip('.')}.", FETCH) from error


def _removed_punctuation(pattern: str) -> str:
    """Return the punctuation that a pattern matches; empty for a pattern of other characters."""
    try:
        matched = [character for character in map(chr, range(128)) if re.fullmatch(pattern, character)]
    except re.error:
        return ""
    return "".join(matched) if set(matched) <= set(string.punctuation) else ""


def _frame(path: Path, values: Mapping[str, Any]) -> tuple[str, str]:
    """Return the pieces before and after every text; empty for none."""
    for step in _steps(values.get("post_processor"), "processors"):
        if step.get("type") in ("RobertaProcessing", "BertProcessing"):
            return str(step["cls"][0]), str(step["sep"][0])
        if step.get("type") == "TemplateProcessing":
            names = [part.get("SpecialToken", {}).get("id", "") for part in step.get("single", ())]
            place = names.index("") if names.count("") == 1 else -1
            if place in (0, 1) and len(names) - place <= 2:
                return names[0] if place else "", names[-1] if names[-1:] != [""] else ""
            raise _unreadable(path, f"it puts {listed(names)} around texts; one piece before and one behind is what can be read.")
    return "", ""


def _padding(path: Path, values: Mapping[str, Any]) -> str:
    """Return the padding piece; empty where no file has one."""
    named = (values.get("padding") or {}).get("pad_token")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        named = named or read_json_map(path.with_name(name), FETCH).get("pad_token")
    return str(named.get("content", "") if isinstance(named, dict) else named or "")


def _with_added(values: Mapping[str, Any], vocabulary: Any) -> Any:
    """Return a vocabulary, {piece: id}, with the added tokens behind it."""
    if not isinstance(vocabulary, dict):
        return vocabulary
    added = {token["content"]: token["id"] for token in values.get("added_tokens", ()) if token["content"] not in vocabulary}
    return {**vocabulary, **added}


def with_padding(pieces: Sequence[str], padding: str, framing: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the pieces and the padding one: that of the model, or one of our own where it has none or pads with one around texts."""
    padding = padding or ("<pad>" if "<pad>" in pieces else "")
    if padding and padding not in framing:
        return tuple(pieces), padding
    return (*pieces, OWN_PADDING), OWN_PADDING


def in_order(path: Path, vocabulary: Any) -> tuple[str, ...]:
    """Return the pieces of {piece: id} in the order of the ids."""
    numbered = isinstance(vocabulary, dict) and all(type(number) is int for number in vocabulary.values())
    pieces = {number: piece for piece, number in vocabulary.items()} if numbered else {}
    if not pieces or sorted(pieces) != list(range(len(pieces))):
        raise RunError(Problem(str(path), "its vocabulary does not number the pieces from 0 on.", FETCH))
    return tuple(pieces[number] for number in range(len(pieces)))


def validate(kind: type[PieceTokenizer], path: Path, **values: Any) -> PieceTokenizer:
    """Return a tokenizer. Raises RunError where the values are not those of one."""
    try:
        return kind(**values)
    except ValidationError as error:
        name = {WordPiece: "WordPiece", BytePairs: "byte pairs", CharacterPairs: "byte pairs", Unigram: "a unigram model"}[kind]
        what = f"it is not a vocabulary of {name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}."
        raise RunError(Problem(str(path), what, FETCH)) from error


def _steps(part: Any, key: str) -> list[Mapping[str, Any]]:
    """Return the steps of a part of the pipeline, which is one of them, a sequence, or nothing."""
    steps = [part] if isinstance(part, dict) and part.get("type") != "Sequence" else (part or {}).get(key, [])
    return [step for one in steps for step in (_steps(one, key) if one.get("type") == "Sequence" else [one])]


def _types(part: Any, key: str) -> list[Any]:
    return [step.get("type") for step in _steps(part, key)]


def _section(path: Path, values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    if isinstance(part, dict):
        return part
    raise RunError(Problem(str(path), f"it has no part `{name}`.", FETCH))


def _expect(path: Path, given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise RunError for a value that is not the expected one."""
    for name, value in expected.items():
        if given[name] != value:
            raise _unreadable(path, f"its `{name}` is {given[name]!r}; {value!r} is what can be read.")


def _unreadable(path: Path, what: str, fix: str = CHOOSE_OTHER) -> RunError:
    return RunError(Problem(str(path), what, fix))
