"""Several labels in one cell: splitting, joining, and recognition in a column that is not declared to hold them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

LIST = "list"
"""The `separator` of cells that are lists of Python or JSON: `['beach', 'sunset']`, `[]` for none."""

SEPARATORS = (";", "|", "\n", "\t", ",", "+", "/", "&", " ")
"""Separators of labels, the least ambiguous first; the blank comes last, as labels may contain blanks."""
PLAIN = (";", "|")
"""Separators that are seldom used for anything else."""

MOST_LABELS = 1000
MOST_VALUES = 5000
"""Different cells that are looked at; whether they are label lists shows in fewer."""
LONGEST = 60
"""Characters of a label; what is longer is a text."""

BRACKETS = {"[": "]", "(": ")", "{": "}"}
TOKEN = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^,'"\[\](){}]+))\s*(,?)""", re.DOTALL)
NUMPY_TEXT = re.compile(r"""np\.str_\(('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\)""")
WRAPPED = re.compile(r"(?:set|frozenset|array|list|tuple)\((.*?)(?:, dtype=[\w<>']+)?\)", re.DOTALL)
NOTHING = {"", "none", "null", "nan"}
FUNCTION_WORDS = {
    *("a", "an", "and", "are", "at", "be", "but", "by", "for", "from", "has", "have", "he", "i", "in", "is", "it", "not", "of", "on"),
    *("or", "she", "that", "the", "this", "to", "was", "we", "with", "you"),
}
"""Words that make a text of words between blanks."""


def labels_in(cell: str, separator: str) -> list[str]:
    """The labels of a cell, each once, without blanks around them; of a cell that should be a list and is none, the whole cell."""
    if separator == LIST:
        names = read_list(cell)
        return _once([cell] if names is None else names)
    return _once(cell.split() if separator == " " else cell.split(separator))


def split_labels(cells: pd.Series[str], separator: str) -> list[list[str]]:
    """The labels of each row, each once, without blanks around them; every different cell is taken apart once."""
    known: dict[str, list[str]] = {"": []}
    # "" is known beforehand: an empty cell has no labels.
    return [known[cell] if cell in known else known.setdefault(cell, labels_in(cell, separator)) for cell in cells.fillna("")]


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in map(str.strip, names) if name))


def written(labels: Sequence[str], separator: str) -> str:
    """The cell of some labels: joined by the separator, or as a list of JSON."""
    return json.dumps(list(labels), ensure_ascii=False) if separator == LIST else separator.join(labels)


def read_list(cell: str) -> list[str] | None:
    """Return the labels of a list of Python, JSON, NumPy or PostgreSQL; None for a cell that is not a flat list."""
    text = cell.strip()
    if wrapped := WRAPPED.fullmatch(text):
        # `set()` has nothing inside.
        text = wrapped[1] or "[]"
    if len(text) < 2 or BRACKETS.get(text[0]) != text[-1]:
        return None
    if text[0] == "[":
        # JSON first: only it knows escapes such as `\u00e9`.
        try:
            return _of_json(json.loads(text))
        except (ValueError, RecursionError):
            pass
    # NumPy 2 writes `np.str_('a')`.
    return _of_tokens(NUMPY_TEXT.sub(r"\1", text[1:-1]), braces=text[0] == "{")


def _of_json(values: list[Any]) -> list[str] | None:
    if any(isinstance(value, list | dict) for value in values):
        return None
    return [value if isinstance(value, str) else json.dumps(value) for value in values if value is not None]


def _of_tokens(inner: str, *, braces: bool) -> list[str] | None:
    """Quoted or bare words between commas; NumPy leaves the commas out."""
    names: list[str] = []
    bare, commas, at = [], 0, 0
    # The end may be blanks, of which no token can begin.
    while at < len(inner.rstrip()):
        token = TOKEN.match(inner, at)
        if token is None or token.end() == at:
            return None
        double, single, plain, comma = token.groups()
        if plain is not None and plain.strip().casefold() not in NOTHING:
            if braces and ":" in plain:  # a dictionary
                return None
            bare.append(plain.strip())
        names += [_unescaped(token[0].strip().rstrip(",").strip(), double if double is not None else single)] if plain is None else []
        names += [plain.strip()] if plain is not None and plain.strip().casefold() not in NOTHING else []
        commas += bool(comma)
        at = token.end()
    # A single bare token without a comma is the words of NumPy between blanks.
    return names[0].split() if len(names) == len(bare) == 1 and not commas else names


def _unescaped(quoted: str, inner: str) -> str:
    try:
        return str(ast.literal_eval(quoted))
    except (ValueError, SyntaxError, MemoryError):
        return inner


@dataclass(frozen=True)
class LabelLists:
    """A recognized list column: the separator, the distinct labels, and the distinct combinations of several."""

    separator: str
    labels: int
    combinations: int
    example: str
    """A cell with several labels."""
    sure: bool = True
    """True if the labels alone are proof, whatever the separator."""

    @property
    def between(self) -> str:
        """` between ','`, to follow a noun; nothing of lists."""
        return {LIST: "", " ": " between blanks"}.get(self.separator, f" between {self.separator!r}")

    @property
    def fix(self) -> str:
        """Return the option for the experiment file."""
        return f"Set `task: multilabel` and `separator: {self.as_option}`"

    @property
    def as_option(self) -> str:
        """The separator as the experiment file has it."""
        return LIST if self.separator == LIST else json.dumps(self.separator)


def recognise(rows: Mapping[str, int]) -> LabelLists | None:
    """Recognize few labels in many combinations in the different cells of a column (cell -> rows); None if the cells are not such."""
    first_cells = dict(islice(rows.items(), MOST_VALUES))
    candidates = ([LIST] if any(read_list(cell) is not None for cell in islice(first_cells, 20)) else []) + list(SEPARATORS)
    verdicts = (_SplitCells(first_cells, separator).verdict() for separator in candidates)
    return next((verdict for verdict in verdicts if verdict is not None), None)


def lists_of(cells: pd.Series[str]) -> LabelLists | None:
    """Return the label lists that a column surely holds, else None."""
    lists = recognise({str(cell): rows for cell, rows in cells.value_counts().items()})
    return lists if lists is not None and lists.sure else None


class _SplitCells:
    """The cells of a column, split at one separator."""

    def __init__(self, rows: Mapping[str, int], separator: str) -> None:
        self.separator = separator
        self.rows = sum(rows.values())
        self.values = len(rows)
        # Rows whose cell holds the separator; without many of them, splitting is not worth it.
        self.cut = {} if separator == LIST else {cell: times for cell, times in rows.items() if separator in cell.strip()}
        self.cells = {cell: names for cell in rows if (names := labels_in(cell, separator))} if self._worth_it(rows) else {}
        self.lists = {cell: names for cell, names in self.cells.items() if len(names) > 1}
        # As sets: `a;b` and `b;a` are one combination.
        self.sets = {frozenset(names) for names in self.lists.values()}
        self.alone = {names[0] for names in self.cells.values() if len(names) == 1}
        self.listed = {name for names in self.lists.values() for name in names}
        self.labels = self.alone | self.listed
        self.several = sum(rows[cell] for cell in self.lists)

    def _worth_it(self, rows: Mapping[str, int]) -> bool:
        """Return False for columns of texts, as splitting each would take longer than everything else."""
        if self.separator == LIST:
            lists = sum(times for cell, times in rows.items() if read_list(cell) is not None)
            return lists >= 0.95 * self.rows
        cut_rows = sum(self.cut.values())
        lengths = sum(map(len, self.cut))
        return cut_rows >= max(2, 0.02 * self.rows) and lengths <= 200 * len(self.cut)

    def verdict(self) -> LabelLists | None:
        """Return None if the cells are not label lists, or too few of them to be sure."""
        if not self.labels or not (self.lists or self.separator == LIST):
            return None
        if len(self.labels) > MOST_LABELS or max(map(len, self.labels)) > LONGEST or self._numbers():
            return None
        sure = self.several >= max(3, 0.02 * self.rows) and (self._complete() or self._mixed())
        if not (sure or self._usual()):
            return None
        example = next(iter(self.lists or self.cells))
        return LabelLists(self.separator, len(self.labels), len(self.sets), example, sure or self.separator == LIST)

    def _usual(self) -> bool:
        """Trust brackets, and a semicolon or a bar: few people write these into the name of a class.

        A class rarely has the names of others in it either: `cat,dog` next to `cat` and `dog`. Between blanks it may, as `not sure` next
        to `sure` and `not`.
        """
        if self.separator not in (LIST, " ") and self.sets and all(names <= self.alone for names in self.sets):
            return self.several >= max(3, 0.02 * self.rows)
        list_rows = self.rows if self.separator == LIST else sum(self.cut.values()) if self.separator in PLAIN else 0
        return list_rows * 10 >= self.rows and len(self.labels) <= 2 * self.values and self.values > 2

    def _numbers(self) -> bool:
        """Recognize decimal commas, thousands, dates, fractions and coordinates, which are not lists of numbered labels."""
        numbers = sum(re.fullmatch(r"[+-]?\d+(?:\.\d+)?", name) is not None for name in self.listed)
        # A few numbers among the labels prove nothing.
        if not self.listed or numbers < 0.9 * len(self.listed):
            return False
        sizes = {len(names) for names in self.lists.values()}
        # `1,234,567`: groups of three behind the first.
        thousands = all(len(name) == 3 for names in self.lists.values() for name in names[1:])
        decimals = any("." in name for name in self.listed)
        repeated = self.separator == LIST and any(self._times(cell) > len(names) for cell, names in self.lists.items())
        fewest = 2 if self.separator in (*PLAIN, LIST) else 3
        return decimals or thousands or repeated or max(sizes) < fewest or len(sizes | ({1} if self.alone else set())) < 2

    def _times(self, cell: str) -> int:
        """Labels in a cell, repetitions included."""
        return len(cell.split()) if self.separator == " " else len(read_list(cell) or ())

    def _complete(self) -> bool:
        """Labels that stand together stand alone, too: unlike `New York` and `York`, or `Paris, France` and `France`."""
        whole = sum(names <= self.alone for names in self.sets)
        share = 0.8 if self.separator == " " else 0.5
        # Words between blanks stand alone by accident more often than labels between commas.
        return len(self.sets) >= 2 and len(self.sets) + len(self.alone) > len(self.labels) and whole >= share * len(self.sets)

    def _mixed(self) -> bool:
        """Far more combinations than labels, of differing length, with most labels in differing places: no address, no text."""
        first = {names[0] for names in self.lists.values()}
        later = {name for names in self.lists.values() for name in names[1:]}
        sizes = {len(names) for names in self.lists.values()} | ({1} if self.alone else set())
        # A text or an address would not have its words at the first and at later places.
        if len(self.sets) < 2 * len(self.listed) or len(self.listed) < 3 or len(sizes) < 2 or 2 * len(first & later) < len(self.listed):
            return False
        return self.separator != " " or not self._text()

    def _text(self) -> bool:
        repeated = sum(self._times(cell) > len(names) for cell, names in self.lists.items())
        function_words = FUNCTION_WORDS & {name.casefold() for name in self.listed}
        return bool(function_words) or repeated * 50 > len(self.lists) or len(self.labels) > 100
