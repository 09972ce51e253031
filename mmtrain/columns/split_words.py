"""The words that tables use for the parts of a split, and what each stands for.

Capitals, blanks, hyphens and a trailing `set` or `data` do not count: `Train`, `train_set` and `TRAINING` are all train. Where two
names of one column would stand for the same part, as `dev` and `val` would, nobody can tell which is which, and both are refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from unicodedata import normalize

from mmtrain.columns.base import Evidence, Guess
from mmtrain.columns.profile import Profile, name_words
from mmtrain.errors import listed
from mmtrain.text.printable import quote_value
from mmtrain.text.spelling import BLANKS

PARTS = ("train", "validation", "test")

_NAMES = {
    "train": ("train", ("train", "training", "tr", "trn", "learn", "learning", "derivation")),
    "validation": ("validation", ("validation", "validate", "validating", "valid", "vali", "val", "va")),
    "dev": ("validation", ("dev", "devel", "development")),
    "tune": ("validation", ("tune", "tuning")),
    "test": ("test", ("test", "testing", "tst", "te")),
    "holdout": ("test", ("holdout", "heldout", "held", "hold")),
    "eval": ("", ("eval", "evaluation", "evaluate")),
}
"""Name -> the part it stands for and its spellings. `eval` is validation to some and test to others: the other words decide."""
_NAME_OF = {spelling: name for name, (_, spellings) in _NAMES.items() for spelling in spellings}

_ENDING = re.compile(r"(?<=..)(?:set|sets|data|dataset|split|part|sample|samples|cohort)$")
_FOLD = re.compile(r"(cv|fold|split|part|k|f)?[\s_#-]*(\d{1,4})(?:\.0)?")
MOST_FOLDS = 100
HEADER_WORDS = {"split", "splits", "partition", "subset", "cv"}
"""Words of headers; not `test`, `set` and `validation`, which mean other things as often."""
FLAG_WORDS = {"train", "istrain", "istest", "holdout"}
"""Words of headers over yes and no; `is_training` and `is_test` are two words."""
PARTS_EXPECTED = f"the parts of a split have to be called {listed(PARTS)} in every row"
FOLDS_FOUND = "looks like fold numbers; with this role and `split: {method: column}`, they are used for cross-validation"
_YES = ("true", "yes", "y", "t", "1", "1.0")
_NO = ("false", "no", "n", "f", "0", "0.0")


@dataclass(frozen=True)
class SplitWords:
    """The meaning of the different words of a split column."""

    parts: Mapping[str, str]
    """Word -> train, validation or test; words that are not understood are left out."""
    doubts: Mapping[str, str]
    """Word -> why two readings of it are possible; what stands here is not in `parts`."""

    @property
    def renamed(self) -> dict[str, str]:
        """The words that are not the name of their part."""
        return {word: part for word, part in self.parts.items() if word != part}

    def meaning(self) -> str:
        """`'tr' is taken for train and 'va' is taken for validation`; empty where the words are the names of the parts."""
        renamed = self.renamed
        by_part = [(part, [f"'{word}'" for word in renamed if renamed[word] == part]) for part in PARTS]
        taken = [f"{listed(words, most=5)} {'are' if len(words) > 1 else 'is'} taken for {part}" for part, words in by_part if words]
        return listed(taken)


def split_words(words: Iterable[str]) -> SplitWords:
    """Return what each of the different words of one column stands for."""
    names = {word: name for word in words if (name := _NAME_OF.get(_bare(word)))}
    part_of = {name: part for name, (part, _) in _NAMES.items()}
    there = {part_of[name] for name in names.values()}
    doubts: dict[str, str] = {}
    # `eval` is what the other words leave: validation next to test, otherwise test.
    part_of["eval"] = "validation" if "test" in there else "test"
    if {"validation", "test"} <= there:
        doubts |= dict.fromkeys(_of(names, "eval"), "may mean validation or test, and the column has words for both.")
        part_of["eval"] = ""
    for part in PARTS:
        # Different names for one part, such as `dev` and `val`.
        rivals = [name for name in dict.fromkeys(names.values()) if part_of[name] == part]
        if len(rivals) > 1:
            spelled = [word for word, name in names.items() if name in rivals]
            doubts |= dict.fromkeys(spelled, f"is one of several names of the {part} part in this column: {_quoted(spelled)}.")
    return SplitWords({word: part_of[name] for word, name in names.items() if word not in doubts}, doubts)


def misread(words: Collection[str], header: str) -> tuple[str, str] | None:
    """Return the fault of a column that says yes and no instead of parts, with a remedy; None for other words."""
    lower = {word: word.strip(BLANKS).casefold() for word in words}
    return _yes_or_no(lower, header) if lower and set(lower.values()) <= {*_YES, *_NO} else None


def are_folds(words: Collection[str]) -> bool:
    """Return whether words are the numbers of folds: 0 to k - 1, 1 to k, or `fold_3`; 0 and 1 alone say yes and no."""
    lower = {word.strip(BLANKS).casefold() for word in words}
    matches = [match for name in lower if (match := _FOLD.fullmatch(name))]
    numbers = {int(match[2]) for match in matches}
    if lower <= {*_YES, *_NO} or len(matches) < len(lower) or len(numbers) < len(lower) or not 2 <= len(numbers) <= MOST_FOLDS:
        return False
    # Folds count from 0 or from 1, without gaps, or each is called a fold.
    counted_up = numbers in (set(range(len(numbers))), set(range(1, len(numbers) + 1)))
    return counted_up or all(match[1] for match in matches)


def _yes_or_no(lower: Mapping[str, str], header: str) -> tuple[str, str]:
    what = f"{_quoted(list(lower))} {'says' if len(lower) == 1 else 'say'} yes or no, not which part a row belongs to."
    name = header.casefold()
    hinted = next((part for hint, part in _HINTS.items() if hint in name), "")
    if not hinted:
        return what, "Write train, validation or test."
    yes, no = ([f"'{word}'" for word, plain in lower.items() if plain in plains] for plains in (_YES, _NO))
    parts = [(yes, hinted), (no, "test" if hinted == "train" else "train")]
    return what, f"Write {listed([f'{part} instead of {listed(spellings)}' for spellings, part in parts if spellings])}."


_HINTS = {"train": "train", "test": "test", "holdout": "test", "val": "validation", "dev": "validation", "eval": "test"}
"""Part of a header -> the part that a yes below it means."""


def _bare(word: str) -> str:
    # NFKC turns full-width letters into ordinary ones; separators go.
    letters = re.sub(r"[\W_]+", "", normalize("NFKC", word.strip(BLANKS)).casefold())
    return letters if letters in _NAME_OF else _ENDING.sub("", letters)


def _of(names: Mapping[str, str], name: str) -> list[str]:
    return [word for word, part in names.items() if part == name]


def _quoted(words: Iterable[str]) -> str:
    return listed([f"'{word}'" for word in words], most=5)


def guess_split(profile: Profile) -> Guess | None:
    """Return the guess of the role `split`: used where it can be followed in every row; None for other columns.

    A split that cannot be followed is not an input either: which rows somebody set aside for a test says nothing about a new row.
    """
    if reason := _followed(profile):
        return Guess(role="split", evidence=Evidence.SPLIT_WORDS, reason=reason)
    reason = _trouble(profile) or _folds(profile)
    return Guess(role="split", evidence=Evidence.SPLIT_WORDS, reason=reason, used=False) if reason else None


def _understood(profile: Profile, words: SplitWords) -> bool:
    """Return whether every value is a word for a part, among them one for train."""
    return len(words.parts) + len(words.doubts) == len(profile.values) and "train" in words.parts.values()


def _followed(profile: Profile) -> str:
    words = split_words(profile.values)
    if len(profile.values) != profile.distinct or not _understood(profile, words) or words.doubts or profile.missing:
        return ""
    return f"the values are {listed(sorted(profile.values))}{f': {meaning}' if (meaning := words.meaning()) else ''}"


def _trouble(profile: Profile) -> str:
    """Say what is wrong with a column that names parts, or folds or yes and no below a header that says split; else nothing."""
    words, header = split_words(profile.values), name_words(profile.header)
    if len(profile.values) != profile.distinct:
        return ""
    if _understood(profile, words):
        doubt = next((f"{word!r} {doubt}".rstrip(".") for word, doubt in words.doubts.items()), "")
        return f"{PARTS_EXPECTED}; {doubt or f'some of its {profile.rows:,} cells are empty'}"
    named = bool(HEADER_WORDS.intersection(header))
    flag = profile.distinct == 2 and (bool(FLAG_WORDS.intersection(header)) or header in (["is", "training"], ["is", "test"]))
    if named and are_folds(set(profile.values) - words.parts.keys()):
        return FOLDS_FOUND
    if (named or flag) and (odd := misread(profile.values, profile.header)):
        return odd[0].rstrip(".")
    parts = set(words.parts.values())
    if not ({"train", "test"} <= parts or {"train", "validation"} <= parts or (named and (parts or words.doubts))):
        return ""
    other = next((value for value in profile.values if value not in words.parts), "")
    return f"{PARTS_EXPECTED}; {f'{quote_value(other)} is not one of them' if other else 'no row is called train'}"


def _folds(profile: Profile) -> str:
    """Say so where whole numbers stand below `fold`, or cells are like `fold_3`."""
    named = any(word.rstrip("0123456789") in {"fold", "folds", "kfold"} for word in name_words(profile.header)) and profile.whole
    if profile.distinct > MOST_FOLDS or not (named or all(value.casefold().startswith("fold") for value in profile.values)):
        return ""
    return FOLDS_FOUND
