# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2", "pillow>=13"]
# ///
"""Encode rows for this export: `python encode.py TABLE.csv INPUTS.npz [IMAGES]`, then `python run.py INPUTS.npz OUTPUTS.npz`.

Needs numpy, and Pillow for images; nothing else. It reads columns.json, characters.json and signature.json next to it, and makes the same
arrays from the same cells as the training. Image cells are relative to the folder IMAGES; left out, to the folder of the table.

In a program of your own: `Encoder(folder).encode(rows)` takes dictionaries with a text, a number or None for every header, and the path or
the bytes of an image file for an image.
"""

import csv
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
LARGEST = 3.4028234663852886e38
"""The largest float32."""
MOST_CELL_CHARACTERS = 2**31 - 1
"""Maximum length of a cell: one with an image in base64 is longer than Python's default of 131,072."""
BETWEEN_RUNS = re.compile("[ \t\n\v\f\r]+")
MASK_64 = 2**64 - 1
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
"""Constants of FarmHash (Google 2014), whose Fingerprint64 the hashes of texts are."""

CHOICES = ("signs", "character_pairs", "accents")
"""Options of a column that say what a word is."""

Row = dict[str, Any]
Pair = tuple[Any, Any]


class Encoder:
    """Encodes rows by what is in the folder of an export."""

    def __init__(self, folder: Path) -> None:
        self.signature = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
        self.fitted = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
        self._classes = json.loads((folder / "characters.json").read_text(encoding="utf-8"))
        self._headers = {
            column: [header for header, names in self.signature["headers"].items() if names_of(self.signature, column) & set(names)]
            for column in self.fitted["columns"]
        }
        self._missing = {"", *self.signature["missing"]}
        self._suffixes = self.signature.get("suffixes", {})
        self._blanks = self._classes["blanks"]
        self._columns = {key: self._encoder(column) for key, column in self.fitted["columns"].items()}

    def encode(self, rows: Sequence[Row], images: Path = Path()) -> dict[str, Any]:
        """Return an array for every input, (rows, ...); row i of each is row i of `rows`."""
        arrays = {}
        for key, encode in self._columns.items():
            column = self.fitted["columns"][key]
            header, *others = column.get("headers") or self._headers[key]
            cells = [row[header] for row in rows]
            if column["role"] == "image":
                contents = (cell if isinstance(cell, bytes) else self._cell(cell) for cell in cells)
                pairs = [encode(_content(content, images, self._suffixes.get(key, ""))) for content in contents]
            else:
                texts = [self._cell(cell) for cell in cells]
                if header in self.fitted["typed"] and column["role"] == "categorical":
                    texts = spelled(column["categories"], texts)
                for other in others:
                    texts = [f"{text or ''} {self._cell(row[other]) or ''}" for text, row in zip(texts, rows, strict=True)]
                pairs = [encode(text) for text in texts]
            values, present = zip(*pairs, strict=True)
            arrays[key] = np.stack(values)
            arrays[f"{key}_present"] = np.array(present, np.float32)[:, None]
        return {one["name"]: arrays[one["tensor"]].astype(one["dtype"]) for one in self.signature["inputs"]}

    def _cell(self, cell: Any) -> str | None:
        """Return a cell as a text without blanks at its ends, None for missing."""
        if cell is None or cell != cell:  # noqa: PLR0124 (not a number)
            return None
        if isinstance(cell, bool):
            cell = "true" if cell else "false"
        if isinstance(cell, float):
            cell = int(cell) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
        text = str(cell).strip(self._blanks)
        return None if text in self._missing else text

    def _encoder(self, column: dict[str, Any]) -> Callable[[Any], Pair]:
        """Return the function from a cell to its encoded values and presence."""
        role = column["role"]
        if role == "numeric":
            return lambda cell: encode_number(column, cell)
        if role == "categorical" and (buckets := column["buckets"]):
            return lambda cell: (
                np.array([0 if cell is None else 2 + fingerprint(cell.encode()) % buckets]),
                cell is not None or not column["masked"],
            )
        if role == "categorical":
            codes = {name: code for code, name in enumerate(column["categories"], 2)}
            return lambda cell: (np.array([0 if cell is None else codes.get(cell, 1)]), cell is not None or not column["masked"])
        if role == "image":
            return lambda content: encode_image(column, content)
        if role == "text" and column["vectorize"] == "hashed":
            return Hashes(column, self._classes)
        if role == "text" and column["vectorize"] in ("tfidf", "tokens"):
            return Words(column, self._classes)
        kind = f"{role} ({column['vectorize']})" if "vectorize" in column else role
        raise SystemExit(f"Columns of the role {kind} are not encoded here; CONTRACT.md says how they are.")


def names_of(signature: dict[str, Any], column: str) -> set[str]:
    """Return the inputs of a column."""
    return {one["name"] for one in signature["inputs"] if one["column"] == column}


def encode_number(column: dict[str, Any], cell: str | None) -> Pair:
    """Return (number - center) / scale, with 1 behind it for a missing one where the column has an indicator."""
    value = float(cell) if cell is not None and NUMBER.fullmatch(cell) else math.nan
    known = abs(value) <= LARGEST

    def scaled(number: float) -> Any:
        # In float64, rounded to float32 once.
        number = transformed(column, number)
        with np.errstate(over="ignore"):
            return np.float32((np.float64(number) - column["center"]) / column["scale"])

    number = scaled(value) if known else np.float32(np.nan)
    known = bool(np.isfinite(number))
    number = number if known else scaled(column["fill"])
    values = [number, np.float32(not known)] if column["indicator"] else [number]
    return np.array(values, np.float32), known or not column["masked"]


def transformed(column: dict[str, Any], number: float) -> Any:
    """Return a number within the bounds of its column and transformed."""
    low, high = column["bounds"] or (-math.inf, math.inf)
    value = np.float64(min(max(number, low), high))
    transform = column["transform"] or {"method": ""}
    if transform["method"] == "log1p":
        return np.sign(value) * np.log1p(abs(value))
    if transform["method"] == "quantile":
        return np.interp(value, transform["knots"], transform["scores"])
    if transform["method"] == "yeo_johnson":
        sign, power = (1, transform["power"]) if value >= 0 else (-1, 2 - transform["power"])
        logarithm = np.log1p(abs(value))
        return sign * (np.expm1(power * logarithm) / power if power else logarithm)
    return value


def spelled(names: Sequence[str], cells: Sequence[str | None]) -> list[str | None]:
    """Return cells that are numbers or truth values as training rows wrote them: `1` as `1.0`, `true` as `True`."""
    values = [value_of(name) for name in names]
    occurring = {value for value in values if value is not None}
    numbers = occurring <= {"true", "false"} or occurring <= {0.0, 1.0}

    def number(value: Any) -> Any:
        return float(value == "true") if numbers and isinstance(value, str) else value

    values = [number(value) for value in values]
    known = {value: name for value, name in zip(values, names, strict=True) if value is not None and values.count(value) == 1}
    new = [cell is not None and cell not in names for cell in cells]
    return [known.get(number(value_of(str(cell))), cell) if is_new else cell for cell, is_new in zip(cells, new, strict=True)]


def value_of(name: str) -> float | str | None:
    """Return a name as a truth value in lower case or as a number; None for any other."""
    if name.lower() in ("true", "false"):
        return name.lower()
    value = float(name) if NUMBER.fullmatch(name) else math.nan
    return value if abs(value) <= LARGEST else None


class Words:
    """Ids of the words of a text: 0 padding, 1 without words, 2 unseen, 3... in the order of `words`."""

    def __init__(self, column: dict[str, Any], classes: dict[str, Any]) -> None:
        self._column, self._split = column, Splitter(classes, **{name: column[name] for name in CHOICES})
        self._ids = {word: code for code, word in enumerate(column["words"], 3)}

    def __call__(self, cell: str | None) -> Pair:
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

    def __call__(self, cell: str | None) -> Pair:
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


def fingerprint(text: bytes) -> int:
    """Return FarmHash's Fingerprint64 of bytes."""
    size = len(text)
    if size <= 16:
        return _short(text, size)
    if size <= 32:
        factor = (K2 + size * 2) & MASK_64
        a, b = _word(text, 0) * K1 & MASK_64, _word(text, 8)
        c, d = _word(text, -8) * factor & MASK_64, _word(text, -16) * K2 & MASK_64
        return _mix(_turn(a + b, 43) + _turn(c, 30) + d, a + _turn(b + K2, 18) + c, factor)
    if size <= 64:
        return _medium(text, size)
    return _long(text, size)


def _short(text: bytes, size: int) -> int:
    if size >= 8:
        factor = (K2 + size * 2) & MASK_64
        a, b = (_word(text, 0) + K2) & MASK_64, _word(text, -8)
        c, d = (_turn(b, 37) * factor + a) & MASK_64, (_turn(a, 25) + b) * factor & MASK_64
        return _mix(c, d, factor)
    if size >= 4:
        factor = (K2 + size * 2) & MASK_64
        return _mix(size + (_half(text, 0) << 3), _half(text, -4), factor)
    if size > 0:
        y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
        return _shifted(y * K2 ^ z * K0) * K2 & MASK_64
    return K2


def _medium(text: bytes, size: int) -> int:
    factor = (K2 + size * 2) & MASK_64
    a, b = _word(text, 0) * K2 & MASK_64, _word(text, 8)
    c, d = _word(text, -8) * factor & MASK_64, _word(text, -16) * K2 & MASK_64
    y = (_turn(a + b, 43) + _turn(c, 30) + d) & MASK_64
    z = _mix(y, a + _turn(b + K2, 18) + c, factor)
    e, f = _word(text, 16) * factor & MASK_64, _word(text, 24)
    g, h = (y + _word(text, -32)) * factor & MASK_64, (z + _word(text, -24)) * factor & MASK_64
    return _mix(_turn(e + f, 43) + _turn(g, 30) + h, e + _turn(f + a, 18) + g, factor)


def _long(text: bytes, size: int) -> int:
    seed = 81
    x, y = seed, (seed * K1 + 113) & MASK_64
    z = _shifted(y * K2 + 113) * K2 & MASK_64
    v, w = (0, 0), (0, 0)
    x = (x * K2 + _word(text, 0)) & MASK_64
    end, last = (size - 1) // 64 * 64, size - 64
    for at in range(0, end, 64):
        x = _turn(x + y + v[0] + _word(text, at + 8), 37) * K1 & MASK_64
        y = _turn(y + v[1] + _word(text, at + 48), 42) * K1 & MASK_64
        x ^= w[1]
        y = (y + v[0] + _word(text, at + 40)) & MASK_64
        z = _turn(z + w[0], 33) * K1 & MASK_64
        v = _weak(text, at, v[1] * K1, x + w[0])
        w = _weak(text, at + 32, z + w[1], y + _word(text, at + 16))
        z, x = x, z
    factor = (K1 + ((z & 0xFF) << 1)) & MASK_64
    w = ((w[0] + ((size - 1) & 63)) & MASK_64, w[1])
    v = ((v[0] + w[0]) & MASK_64, v[1])
    w = ((w[0] + v[0]) & MASK_64, w[1])
    x = _turn(x + y + v[0] + _word(text, last + 8), 37) * factor & MASK_64
    y = _turn(y + v[1] + _word(text, last + 48), 42) * factor & MASK_64
    x ^= w[1] * 9 & MASK_64
    y = (y + v[0] * 9 + _word(text, last + 40)) & MASK_64
    z = _turn(z + w[0], 33) * factor & MASK_64
    v = _weak(text, last, v[1] * factor, x + w[0])
    w = _weak(text, last + 32, z + w[1], y + _word(text, last + 16))
    z, x = x, z
    first = _mix(v[0], w[0], factor) + _shifted(y) * K0 + z
    return _mix(first, _mix(v[1], w[1], factor) + x, factor)


def _weak(text: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    first, second, third, fourth = (_word(text, at + 8 * number) for number in range(4))
    a = (a + first) & MASK_64
    b = _turn(b + a + fourth, 21)
    before = a
    a = (a + second + third) & MASK_64
    b = (b + _turn(a, 44)) & MASK_64
    return (a + fourth) & MASK_64, (b + before) & MASK_64


def _mix(u: int, v: int, factor: int) -> int:
    a = _shifted(((u & MASK_64) ^ (v & MASK_64)) * factor, 47)
    return _shifted(((v & MASK_64) ^ a) * factor, 47) * factor & MASK_64


def _shifted(value: int, bits: int = 47) -> int:
    value &= MASK_64
    return value ^ value >> bits


def _turn(value: int, bits: int) -> int:
    value &= MASK_64
    return (value >> bits | value << 64 - bits) & MASK_64


def _word(text: bytes, at: int) -> int:
    at = at if at >= 0 else len(text) + at
    return int.from_bytes(text[at : at + 8], "little")


def _half(text: bytes, at: int) -> int:
    at = at if at >= 0 else len(text) + at
    return int.from_bytes(text[at : at + 4], "little")


def encode_image(column: dict[str, Any], content: bytes | Path | None) -> Pair:
    """Return the pixels of an image file, zeros where there is none; raises UnreadableImage for a damaged one."""
    decoding = import_module("image_decoding")
    shape = (column["height"], column["width"], column["channels"])
    if content is None:
        return np.zeros(shape, np.uint16 if column["bits"] == 16 else np.uint8), False
    options = {name: column[name] for name in ("channels", "bits", "resize", "max_pixels")}
    # A list in JSON.
    options["window"] = window if isinstance(window := column["window"], str) else tuple(window)
    layout = decoding.Layout(size=shape[:2], background=tuple(column["background"]), **options)
    return decoding.read(content, layout), True


def _content(cell: bytes | str | None, images: Path, suffix: str) -> bytes | Path | None:
    """Return the file of an image cell, with the suffix unless it is there already, or its bytes; None for a missing one."""
    if not cell or isinstance(cell, bytes):
        return cell or None
    if cell.startswith("data:"):
        decoded: bytes = import_module("image_decoding.data_uri").from_data_uri(cell)
        return decoded
    return images / (cell if cell.endswith(suffix) else cell + suffix)


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit(__doc__.strip())
    table, arrays, *folder = map(Path, sys.argv[1:])
    encoder = Encoder(Path(__file__).parent)
    csv.field_size_limit(MOST_CELL_CHARACTERS)
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        sys.exit(f"{table}: the table has no rows.")
    if lacking := [header for header in encoder.signature["headers"] if header not in rows[0]]:
        sys.exit(f"{table}: there is no column {lacking[0]!r}.")
    np.savez(arrays, **encoder.encode(rows, folder[0] if folder else table.parent))
