"""Ids of the words of a text, or of its hashed words and runs of characters."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.export.runners.encoding.fingerprint import fingerprint

BETWEEN_RUNS = re.compile("[ \t\n\v\f\r]+")
CHOICES = ("signs", "character_pairs", "accents")
"""Options of a column that say what a word is."""


def encoder(column: dict[str, Any], context: dict[str, Any]) -> Callable[[list[Any], Path], tuple[Any, Any]]:
    """Return the function from the texts of the headers, read one after the other, to ids."""
    read = (Hashes if column["vectorize"] == "hashed" else Words)(column, context["characters"])
    return lambda cells, _: read(cells[0] if len(cells) == 1 else " ".join(cell or "" for cell in cells))


class Words:
    """Ids of the words of a text: 0 padding, 1 without words, 2 unseen, 3... in the order of `words`."""

    def __init__(self, column: dict[str, Any], classes: dict[str, Any]) -> None:
        self._column, self._split = column, Splitter(classes, **{name: column[name] for name in CHOICES})
        self._ids = {word: code for code, word in enumerate(column["words"], 3)}

    def __call__(self, cell: str | None) -> tuple[Any, Any]:
        """Return the ids of one text, and its presence."""
        column, length = self._column, self._column["length"]
        words = self._split(cell or "")
        read = words[:length]
        ids = [self._ids.get(word, 2) for word in read]
        width = length
        if column["ngrams"] > 1:
            width = 2 * length - 1
            pairs = (f"{first} {second}" for first, second in pairwise(read))
            ids += [self._ids[pair] for pair in pairs if pair in self._ids]
        ids = ids if words else [1]
        ids = ids if column["vectorize"] == "tokens" else sorted(ids, reverse=True)
        return np.array(ids + [0] * (width - len(ids)), np.int32), bool(words) or not column["masked"]


class Hashes:
    """Ids of the hashed n-grams of a text: 0 padding, 1 without words, 3 + bucket."""

    def __init__(self, column: dict[str, Any], classes: dict[str, Any]) -> None:
        self._column, self._split = column, Splitter(classes, accents=column["accents"])

    def __call__(self, cell: str | None) -> tuple[Any, Any]:
        """Return the ids of one text, and its presence."""
        column = self._column
        words = self._split(cell or "")
        read = words[: column["length"]]
        grams = [gram for word in read for gram in (word, *self._runs(word))]
        if column["ngrams"] > 1:
            grams += [f"{first} {second}" for first, second in pairwise(read)]
        buckets = len(column["idf"]) - 3
        ids = [3 + fingerprint(gram.encode()) % buckets for gram in grams[: column["width"]]] if words else [1]
        ids.sort(reverse=True)
        return np.array(ids + [0] * (column["width"] - len(ids)), np.int32), bool(words) or not column["masked"]

    def _runs(self, word: str) -> list[str]:
        """Return the runs of characters of a word between < and >, with a blank in front of each."""
        if not self._column["characters"]:
            return []
        fewest, most = self._column["characters"]
        whole = f"<{word}>"
        return [f" {whole[at : at + size]}" for size in range(fewest, most + 1) for at in range(len(whole) - size + 1)]


class Splitter:
    """Splits texts into words by the patterns of characters.json."""

    def __init__(self, classes: dict[str, Any], *, signs: bool = True, character_pairs: bool = True, accents: bool = True) -> None:
        self._signs = signs
        letters = {} if accents else classes["base_letters"]
        self._letters = {int(point): base if base >= 0 else None for point, base in letters.items()}
        self._variants, self._word, self._between = (re.compile(classes[name], re.ASCII) for name in ("variants", "word", "between_words"))
        pairs = classes["character_pairs"] if character_pairs else []
        self._pairs = [(re.compile(search, re.ASCII), replacement) for search, replacement in pairs]

    def __call__(self, text: str) -> list[str]:
        """Return the words of a text, in reading order."""
        return [word for run in BETWEEN_RUNS.split(text) for word in self._words(run.lower().translate(self._letters))]

    def _words(self, run: str) -> list[str]:
        if not self._signs:
            return self._between.sub(" ", run).split()
        spaced = "".join(f"{word} " for word in self._word.findall(self._variants.sub("", run)))
        for search, replacement in self._pairs:
            spaced = search.sub(replacement, spaced)
        return [word for word in BETWEEN_RUNS.split(spaced) if word]
