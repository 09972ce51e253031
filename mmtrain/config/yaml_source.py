"""The experiment file as a tree of plain values that remembers where every key was written.

A plain scalar stays text until its field gives it a type, so that `positive: 010` is the class "010", `epochs: 010` is ten,
`learning_rate: 1e-3` is a number, and `no` is a word or false, depending on the field. Only `null`, `~` and an empty value are
interpreted here, as "left out". Texts in quotes are marked as `Quoted`, since options of callbacks have no field to give them a type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import yaml

from mmtrain.config.yaml_syntax import NESTED, Quoted, check_colon, compose
from mmtrain.errors import ConfigError, Problem, shell_command
from mmtrain.system.paths import PathFault, input_fault

Location: TypeAlias = tuple[str | int, ...]
LocatedProblem: TypeAlias = tuple[Location, str, str]
"""Location, problem, and fix."""

TABLES = (".csv", ".tsv", ".tab", ".gz", ".parquet")
"""Suffixes of tables, which users sometimes give in place of the experiment file."""

MOST_BYTES = 10_000_000
MOST_NODES = 100_000
MOST_LEVELS = 50
TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp", "value", "yaml")
)
"""Tags of plain values. Others are written explicitly, as `!!python/object`, and are refused: no object is ever built from a file."""
MERGE = "tag:yaml.org,2002:merge"


HALF = re.compile("[\ud800-\udfff]")
HALVES = re.compile("[\udc80-\udcff]")
"""Bytes of a file name that is not UTF-8, as Python reads them and `mmtrain init` writes them."""
PATHS: frozenset[Location] = frozenset({("data", "table"), ("data", "images"), ("data", "cache", "folder")})


@dataclass(frozen=True, order=True)
class Mark:
    """The place where a key was written; ordered as in the file, overrides after the file."""

    override: bool = False
    line: int = 0
    """Line, from 1; for an override its number, from 0."""
    column: int = 0


@dataclass
class Source:
    """A tree of str, None, list and dict; `marks` are the places of its locations, `notes` the problems of the YAML itself."""

    file: str
    tree: dict[str, Any] = field(default_factory=dict)
    marks: dict[Location, Mark] = field(default_factory=dict)
    notes: list[tuple[Mark, Problem]] = field(default_factory=list)

    def mark(self, location: Location) -> Mark:
        """Return the mark of the location, or of the nearest location above it."""
        around = (location[:length] for length in range(len(location), -1, -1))
        return next((self.marks[part] for part in around if part in self.marks), Mark())

    def place(self, location: Location, mark: Mark | None = None) -> str:
        """Return the place of a location for a message.

        `clinic.yaml:12: columns.age`, `clinic.yaml:14: training.stages, entry 1, unfreeze, entry 2`, or `--set columns.age`.
        """
        dotted = ""
        for before, part in zip((None, *location), location, strict=False):
            if isinstance(part, int):
                dotted += f", entry {part + 1}"
            else:
                dotted += part if before is None else f".{part}" if isinstance(before, str) else f", {part}"
        mark = mark or self.mark(location)
        if mark.override:
            return f"--set {dotted}"
        file = f"{self.file}:{mark.line}" if mark.line else self.file
        return f"{file}: {dotted}" if dotted else file

    def problems(self, located: Iterable[LocatedProblem]) -> list[Problem]:
        """Return the notes and the located problems, each with its place, in the order of the file."""
        placed = [(self.mark(location), Problem(self.place(location), what, fix)) for location, what, fix in located]
        return [problem for _, problem in sorted([*self.notes, *placed], key=lambda marked: marked[0])]


class NotInFile(Protocol):
    """An experiment that is not in a file, see `config.in_memory`."""

    @property
    def path(self) -> Path:
        """The path that its file would have: the stem is the default name of the experiment, relative paths start from the folder."""

    def source(self) -> Source:
        """Return the tree of the experiment."""


@dataclass(frozen=True)
class Origin:
    """Path and overrides of an experiment, from which the line of a setting can be named later."""

    path: Path | NotInFile
    overrides: tuple[str, ...] = ()

    @cached_property
    def _source(self) -> Source:
        return read(self.path, self.overrides)

    def place(self, *location: str | int) -> str:
        """Return the place of a setting, see `Source.place`."""
        return self._source.place(location)


def read(path: Path | NotInFile, overrides: Iterable[str] = ()) -> Source:
    """Read an experiment, usually from a file, then put `key.sub=value` overrides into it.

    Duplicate keys and overrides without `=` become notes of the source. Raises ConfigError if the source cannot be read at all: no
    such file, not UTF-8, not YAML (with the line).
    """
    source = _of_file(path) if isinstance(path, Path) else path.source()
    for number, override in enumerate(overrides):
        mark = Mark(override=True, line=number)
        source.notes += [(mark, problem) for problem in _override(source, override, mark)]
    return source


def _of_file(path: Path) -> Source:
    fault = input_fault(path)
    if fault is None and path.name.lower().endswith(TABLES):
        raise ConfigError(
            Problem(str(path), "this is a table, not an experiment file.", f"`{shell_command('init', path)}` writes one for it.")
        )
    if fault is not None:
        raise ConfigError(_unusable(path, fault))
    source = Source(path.name)
    node = _composed_file(_text(path), path.name)
    if node is None:
        raise ConfigError(Problem(path.name, "the file is empty.", "`mmtrain init TABLE` writes one to begin with."))
    if not isinstance(node, yaml.MappingNode):
        what = "an experiment file is a map of keys and values."
        raise ConfigError(Problem(f"{path.name}:{node.start_mark.line + 1}", what, "It begins with keys like `data:` and `columns:`."))
    source.tree = _Reader(source).whole(node, ())
    return source


def _unusable(path: Path, fault: PathFault) -> Problem:
    if fault.absent:
        return Problem(str(path), "the file does not exist.", "Give the path of an experiment file; `mmtrain init TABLE` writes one.")
    if fault.kind == "a folder":
        return Problem(str(path), "this is a folder.", "Give the path of an experiment file.")
    return fault.problem(path, "the file")


@lru_cache(maxsize=1)
def _composed_file(text: str, file: str) -> yaml.Node | None:
    """Compose a whole file; cached, as a command reads it three times: to validate it, to use it, and for lines in later messages."""
    return compose(text, file)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(Problem(str(path), f"the file cannot be read: {error.strerror}.")) from None
    if len(content) > MOST_BYTES:
        what = f"the file has more than {MOST_BYTES:,} bytes."
        raise ConfigError(Problem(str(path), what, "An experiment file has a few thousand; give the path of one."))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"the byte 0x{content[error.start]:02X} is not UTF-8 text."
        raise ConfigError(Problem(f"{path.name}:{line}", what, "Save the file as UTF-8.")) from None


class _Reader:
    """Turns YAML nodes into plain values, and leaves marks and notes in the source on the way."""

    def __init__(self, source: Source, override: Mark | None = None) -> None:
        self.source = source
        self._override = override
        self._nodes = 0

    def whole(self, node: yaml.Node, location: Location) -> Any:
        """Return the plain value of a node. Raises ConfigError for one that contains itself."""
        try:
            return self.value(node, location)
        except RecursionError:  # a map that merges itself
            raise ConfigError(Problem(self.source.file, NESTED.what, NESTED.fix)) from None

    def value(self, node: yaml.Node, location: Location) -> Any:
        """Return the plain value of a node, and leave marks and notes on the way."""
        self._check(node, location)
        self.source.marks.setdefault(location, self._mark(node))
        if isinstance(node, yaml.MappingNode):
            return self.map(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, number)) for number, item in enumerate(node.value)]
        # A style means quotes or a block: such a scalar is text whatever it looks like.
        if isinstance(node, yaml.ScalarNode) and node.style is not None:
            return Quoted(self._text(node, location))
        return None if node.value in ("", "~", "null", "Null", "NULL") else str(node.value)

    def _text(self, node: yaml.ScalarNode, location: Location) -> str:
        """Return a quoted text; two escapes that are the halves of one character, as JSON writes them, become that character."""
        # UTF-16 joins two halves of a character, and keeps one that stands alone.
        text = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        halves = HALVES.sub("", text) if location in PATHS else text
        if not halves.isascii() and (half := HALF.search(halves)):
            what = f"the escape \\u{ord(half[0]):04X} is half of a character."
            self._note(node, location, what, "Write the character itself, or both halves.")
            return HALF.sub("\N{REPLACEMENT CHARACTER}", text)  # so that nothing else is said of it
        return str(text)

    def map(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        """Return the plain values of a map; keys of the map itself replace those merged by `<<`."""
        values = self._merged(node, location)
        written: dict[str, Mark] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                continue
            where = (*location, HALF.sub("\N{REPLACEMENT CHARACTER}", str(key_node.value)))
            check_colon(key_node, self.source.file)
            if not isinstance(key_node, yaml.ScalarNode):
                self._note(key_node, location, "a key has to be one word or text, not a list or a map.", "Write `key: value`.")
            elif key_node.value in written:
                line = written[key_node.value].line
                seen = "" if self._override else f", after line {line}" if line != key_node.start_mark.line + 1 else " in this line"
                self._note(key_node, where, f"the key is here a second time{seen}.", "Remove one of the two.")
            else:
                written[key_node.value] = self.source.marks[where] = self._mark(key_node)
                key = key_node.value if key_node.style is None else self._text(key_node, where)
                values[key] = self.value(value_node, where)
        return values

    def _merged(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag != MERGE:
                continue
            for other in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                if isinstance(other, yaml.MappingNode):
                    # On the right, earlier maps win, as YAML defines for `<<`.
                    values = self.value(other, location) | values
                else:
                    self._note(key_node, (*location, "<<"), "only a map can be merged.", "Write `<<: *name` with the anchor of a map.")
        return values

    def _check(self, node: yaml.Node, location: Location) -> None:
        # Aliases are written out and counted each time, so a few lines cannot stand for a million values.
        self._nodes += 1
        if self._nodes > MOST_NODES:
            what = f"the file holds more than {MOST_NODES:,} values, aliases written out."
            raise ConfigError(Problem(self.source.file, what, "Check its anchors and aliases."))
        if len(location) > MOST_LEVELS:
            raise ConfigError(Problem(self.source.file, NESTED.what, NESTED.fix))
        if node.tag not in TAGS:
            self._note(node, location, f"the tag `{node.tag}` means nothing here.", "Remove it, or quote the value.")

    def _mark(self, node: yaml.Node) -> Mark:
        return self._override or Mark(line=node.start_mark.line + 1, column=node.start_mark.column)

    def _note(self, node: yaml.Node, location: Location, what: str, fix: str) -> None:
        mark = self._mark(node)
        self.source.notes.append((mark, Problem(self.source.place(location, mark), what, fix)))


def _override(source: Source, text: str, mark: Mark) -> list[Problem]:
    """Put one override into the tree; return its problems."""
    key, equals, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path):
        return [Problem(f"--set {text}", "an override is written key.sub=value.", "For example `--set training.epochs=5`.")]
    parent = source.tree
    for length, part in enumerate(path[:-1], start=1):
        if parent.get(part) is None:
            # Keys above the override may not exist yet.
            parent[part] = {}
            source.marks[path[:length]] = mark
        if not isinstance(parent[part], dict):
            above = ".".join(path[:length])
            return [Problem(f"--set {key}", f"`{above}` has no keys below it: it is {parent[part]!r}.", f"Set `{above}` as a whole.")]
        parent = parent[part]
    for known in [known for known in source.marks if known[: len(path)] == path]:  # lines of the file no longer hold these values
        del source.marks[known]
    try:
        node = compose(value, source.file)
    except ConfigError:
        return [Problem(f"--set {key}", f"{value!r} is not a YAML value.", "Quote it, or check its brackets.")]
    source.marks[path] = mark
    parent[path[-1]] = None if node is None else _Reader(source, mark).whole(node, path)
    return []
