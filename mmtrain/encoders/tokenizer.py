"""The tokenizer in the folder of a pretrained encoder: `tokenizer.json`, or `vocab.txt` with the rules of `tokenizer_config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mmtrain.encoders.base import read_json_map
from mmtrain.errors import Problem, RunError
from mmtrain.text.wordpiece import LONGEST_WORD, PREFIX, CleaningRules, WordPiece

FETCH = "Fetch the model again, with its tokenizer."


def read_tokenizer(place: Path) -> WordPiece:
    """Return the tokenizer of the model at `place`, a folder or a file of weights in one.

    Raises RunError where there is none, or one of a sort or with an option that is not read: other pieces would give other vectors.
    """
    folder = place if place.is_dir() else place.parent
    path = folder / "tokenizer.json"
    if path.is_file():
        return _from_json(path, read_json_map(path, FETCH))
    path = folder / "vocab.txt"
    if path.is_file():
        return _from_vocabulary(path, read_json_map(folder / "tokenizer_config.json", FETCH))
    what = "it has no tokenizer: neither tokenizer.json nor vocab.txt is there."
    raise RunError(Problem(str(folder), what, FETCH))


def _from_vocabulary(path: Path, options: Mapping[str, Any]) -> WordPiece:
    """Return the tokenizer of a file with a piece per line, in the order of ids."""
    lower_case = bool(options.get("do_lower_case", True))
    strip = options.get("strip_accents")
    chinese = bool(options.get("tokenize_chinese_chars", True))
    rules = CleaningRules(lower_case=lower_case, strip_accents=lower_case if strip is None else bool(strip), split_chinese=chinese)
    try:
        pieces = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(Problem(str(path), f"it cannot be read as text in UTF-8: {error}.", FETCH)) from error
    return _validate(path, pieces=tuple(pieces), rules=rules)


def _from_json(path: Path, values: Mapping[str, Any]) -> WordPiece:
    """Return the tokenizer of a `tokenizer.json`, which describes a pipeline; only BERT's is read."""
    model, cleaning = (_section(path, values, name) for name in ("model", "normalizer"))
    kinds = {"model": "WordPiece", "normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}
    _expect(path, {name: _section(path, values, name).get("type") for name in kinds}, kinds)
    given = {
        "continuing_subword_prefix": model.get("continuing_subword_prefix", PREFIX),
        "max_input_chars_per_word": model.get("max_input_chars_per_word", LONGEST_WORD),
        "clean_text": cleaning.get("clean_text", True),
    }
    _expect(path, given, {"continuing_subword_prefix": PREFIX, "max_input_chars_per_word": LONGEST_WORD, "clean_text": True})
    lower_case, strip = bool(cleaning.get("lowercase", True)), cleaning.get("strip_accents")
    rules = CleaningRules(
        lower_case=lower_case,
        strip_accents=lower_case if strip is None else bool(strip),
        split_chinese=bool(cleaning.get("handle_chinese_chars", True)),
    )
    return _validate(path, pieces=_in_order(path, model.get("vocab")), rules=rules, unknown=str(model.get("unk_token", "[UNK]")))


def _in_order(path: Path, vocabulary: Any) -> tuple[str, ...]:
    """Return the pieces of {piece: id} in the order of the ids."""
    numbered = isinstance(vocabulary, dict) and all(type(number) is int for number in vocabulary.values())
    pieces = {number: piece for piece, number in vocabulary.items()} if numbered else {}
    if not pieces or sorted(pieces) != list(range(len(pieces))):
        raise RunError(Problem(str(path), "its vocabulary does not number the pieces from 0 on.", FETCH))
    return tuple(pieces[number] for number in range(len(pieces)))


def _validate(path: Path, **values: Any) -> WordPiece:
    try:
        return WordPiece(**values)
    except ValidationError as error:
        what = f"it is not a vocabulary of WordPiece: {error.errors()[0]['msg'].removeprefix('Value error, ')}."
        raise RunError(Problem(str(path), what, FETCH)) from error


def _section(path: Path, values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    if isinstance(part, dict):
        return part
    raise RunError(Problem(str(path), f"it has no part `{name}`.", FETCH))


def _expect(path: Path, given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise RunError for a value that is not the expected one."""
    for name, value in expected.items():
        if given[name] != value:
            what = f"its `{name}` is {given[name]!r}; {value!r} is what can be read."
            raise RunError(Problem(str(path), what, "Choose another model."))
