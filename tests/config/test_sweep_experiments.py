"""A sweep of damaged experiment files: whatever stands in a file or behind `--set`, `check` answers in sentences.

Each file is a valid one with some keys, values, characters or overrides spoilt. Hypothesis draws what is spoilt, the same every time,
and names the smallest file that dies.
"""

import contextlib
import copy
import datetime
import functools
import io
import json
import random

import pytest
import yaml
from tiny import paint, write_table

from mmtrain import config
from mmtrain.cli.app import run
from mmtrain.text.printable import printable

CLINIC = {
    "name": "clinic",
    "data": {"table": "table.csv", "images": "images", "missing_values": ["NA"]},
    "columns": {
        "row": {"role": "id"},
        "scan": {"role": "image", "size": [8, 8], "channels": 1, "augment": {"flip": "horizontal", "rotate": 10}},
        "age": {"role": "numeric", "normalize": "standard", "missing": "median"},
        "sex": {"role": "categorical", "encode": "one_hot"},
        "note": {"role": "text", "vectorize": "tfidf", "max_tokens": 50},
        "patient": {"role": "group"},
        "sick": {"role": "target", "task": "binary", "positive": "yes"},
    },
    "branches": {
        "scan": {"columns": ["scan"], "architecture": "cnn", "filters": [4, 8]},
        "table": {"columns": ["age", "sex"], "architecture": "mlp", "units": [8], "dropout": 0.1},
        "note": {"columns": ["note"], "architecture": "linear"},
    },
    "fusion": {"method": "gated", "width": 8},
    "split": {"method": "stratified", "validation": 0.2, "test": 0.2, "seed": 1},
    "training": {"epochs": 2, "batch_size": 4, "optimizer": "adam", "learning_rate": 0.01, "class_weights": "balanced"},
    "evaluation": {"draws": 200, "seed": 1},
}
SEVERAL = {
    "data": {"table": "table.csv", "format": {"separator": ",", "decimal": "."}},
    "columns": {
        "age": {"role": "numeric"},
        "words": {"role": "text", "column": "note", "vectorize": "tokens", "max_tokens": 50, "max_length": 5},
        "part": {"role": "split"},
        "weight": {"role": "weight"},
        "kind": {"role": "target", "task": "multiclass", "class_weights": {"a": 1, "b": 2, "c": 1}},
        "tags": {"role": "target", "task": "multilabel", "separator": ";", "loss_weight": 0.5},
        "dose": {"role": "target", "task": "regression", "loss_weight": 2},
    },
    "split": {"method": "column", "validation": 0.2},
    "training": {
        "stages": [{"epochs": 1, "unfreeze": ["fusion", "targets"]}, {"epochs": 1, "learning_rate": {"branches": 0.001}}],
        "schedule": {"method": "cosine", "warmup_epochs": 1},
        "optimizer": {"method": "sgd", "momentum": 0.9},
        "early_stopping": {"monitor": "validation_loss", "patience": 2},
    },
}
BASES = (
    CLINIC,
    SEVERAL,
    {"data": {"table": "table.csv"}, "columns": {"age": {"role": "numeric"}, "kind": {"role": "target", "task": "multiclass"}}},
)

VALUES = (
    *(None, True, False, 0, 1, -1, 2, 7, 65536, 10**9, 10**30, 0.0, -0.0, 0.5, 1.0, 1.5, -0.5, 1e-320, 1e308, float("inf"), float("nan")),
    *(
        "",
        " ",
        "auto",
        "none",
        "null",
        "yes",
        "1",
        "0.5",
        "1e-3",
        "1_000",
        "1:30",
        "é",
        "e\u0301",
        "🙂",
        "\u202e",
        "\x1b[31m",
        "\0",
        "x" * 500,
    ),
    *(
        "table.csv",
        "images",
        "/etc/passwd",
        "/dev/null",
        "/dev/zero",
        "..",
        ".",
        "no/such.csv",
        "~",
        "$HOME",
        "%s",
        "{}",
        "[red]",
        "a.b",
        "\\",
    ),
    *(
        "age",
        "scan",
        "sick",
        "kind",
        "tags",
        "sex",
        "note",
        "part",
        "validation_auc",
        "validation_loss",
        "[1",
        "mlp",
        "cnn",
        "adam",
        "image",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [1, 2],
        [0, 0],
        [-1, 8],
        ["age"],
        ["age", "age"],
        [{}],
        {"a": 1},
        {None: 1},
        {1: 2},
        {"": ""},
        {True: []},
        [[8, 8], [8]],
    ),
    *(
        [10**9, 10**9],
        ["validation", 1],
        {"name": "adam"},
        {"method": "random"},
        {"role": "numeric"},
        [0.1] * 50,
        datetime.date(2021, 1, 5),
        b"\xff",
    ),
)
SPOILS = ("remove", "replace", "add", "rename", "wrap", "list", "move", "deep", "type")
SCRAPS = (
    "\t",
    "  ",
    "\n",
    "\r",
    ":",
    "- ",
    "&a ",
    "*a ",
    "<<: ",
    "!!python/name:os.system ",
    "!x ",
    "'",
    '"',
    "#",
    "---\n",
    "...\n",
    "{",
    "}",
    "[",
    "]",
)
SCRAPS += (
    ", ",
    "|\n",
    ">\n",
    "? ",
    "%YAML 9.9\n",
    "\x00",
    "\x85",
    "\u2028",
    "\ufeff",
    "é",
    "\U0001f642",
    '"\\U00110000"',
    '"\\ud800"',
    "\x1b",
    "@",
    "`",
)
SCRAPS += (
    "!!binary x",
    "!!timestamp 2021-99-99",
    "2021-99-99",
    "0o9",
    "0x",
    "1e999",
    ".inf",
    "!!float x",
    "!!int x",
    "!!set {a}",
    "190:20:30",
    "{? {}}",
)


@functools.cache
def known_keys():
    """Every key that the schema knows."""
    schema = config.json_schema()
    found = set(schema["properties"])
    for section in schema["$defs"].values():
        found.update(section.get("properties", ()))
    return sorted(found)


def places(tree, path=()):
    """The path of every key and item."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def spoil(tree, kind, place, value, key):
    """Change a tree at one of its places."""
    paths = list(places(tree))
    if not paths:
        return
    path = paths[place % len(paths)]
    holder = tree
    for step in path[:-1]:
        holder = holder[step]
    last = path[-1]
    old = holder[last]
    if kind == "remove":
        del holder[last]
    elif kind == "rename" and isinstance(holder, dict):
        del holder[last]
        holder[key] = old
    elif kind == "add":
        (old if isinstance(old, dict) else holder if isinstance(holder, dict) else {})[key] = value
    elif kind == "move":
        holder[last] = copy.deepcopy(tree[next(iter(tree))])
    else:
        new = {"wrap": {key: old}, "list": [old, value], "deep": nested(place % 60, old), "type": str(old)}
        holder[last] = new.get(kind, value)


def nested(depth, value):
    """A value within so many lists."""
    for _ in range(depth):
        value = [value]
    return value


def spoilt_file(draw):
    """(bytes of a file, overrides), as Hypothesis draws them."""
    from hypothesis import strategies as st

    tree = copy.deepcopy(draw(st.sampled_from(BASES)))
    keys = st.one_of(
        st.sampled_from(known_keys()), st.sampled_from(VALUES).filter(lambda value: not isinstance(value, list | dict)), st.text(max_size=3)
    )
    numbers = st.integers(0, 10**4)
    values = st.sampled_from(VALUES).map(copy.deepcopy)
    for change in draw(st.lists(st.tuples(st.sampled_from(SPOILS), numbers, values, keys), max_size=3)):
        spoil(tree, *change)
    text = yaml.safe_dump(
        tree, sort_keys=False, allow_unicode=draw(st.booleans()), default_flow_style=draw(st.sampled_from((None, False, True)))
    )
    for place, removed, scrap in draw(st.lists(st.tuples(numbers, st.integers(0, 4), st.sampled_from(SCRAPS)), max_size=2)):
        spot = place % (len(text) + 1)
        text = text[:spot] + scrap + text[spot + removed :]
    dotted = st.sampled_from([".".join(map(str, path)) for base in BASES for path in places(base)])
    paths = st.one_of(dotted, dotted, st.tuples(dotted, keys.map(str)).map(".".join), st.text(max_size=5))
    written = st.one_of(values.map(str), st.sampled_from(SCRAPS), st.just("null"))
    overrides = draw(st.lists(st.one_of(st.tuples(paths, written).map("=".join), paths), max_size=2))
    return text.encode(draw(st.sampled_from(("utf-8",) * 9 + ("utf-16", "latin-1", "utf-8-sig"))), "replace"), overrides


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table that all bases fit."""
    folder = tmp_path_factory.mktemp("experiments")
    for number in range(4):
        paint(folder / "images" / f"{number}.png", 60 * number)
    write_table(
        folder / "table.csv",
        [
            {
                "row": f"r{row}",
                "scan": f"{row % 4}.png",
                "age": 20 + row,
                "sex": "fm"[row % 2],
                "note": f"seen {'well ' * (row % 3)}",
                "patient": f"p{row}",
                "part": ("train", "train", "train", "test")[row % 4],
                "weight": 1 + row % 2,
                "sick": ("yes", "no")[row % 2],
                "kind": "abc"[row % 3],
                "tags": ("red;blue", "blue", "red")[row % 3],
                "dose": row / 2,
            }
            for row in range(36)
        ],
    )
    return folder


def answer(folder, data, overrides):
    """Exit code and JSON document of `check`; nothing else may happen."""
    path = folder / "clinic.yaml"
    path.write_bytes(data)
    printed = io.StringIO()
    options = [part for override in overrides for part in ("--set", override)]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        code = run(["check", str(path), "--json", *options])
    return code, printed.getvalue()


def assert_answered(folder, spoilt):
    """All went well, or problems that say where and what."""
    code, printed = answer(folder, *spoilt)
    assert printed == printable(printed)
    document = json.loads(printed)
    assert code in (0, 1, 2, 3)
    if code:
        assert document["error"]["exit_code"] == code
        assert all(problem["what"] for problem in document["error"]["problems"])
        assert document["error"]["problems"]


@pytest.mark.parametrize("base", range(len(BASES)))
def test_the_files_are_valid_before_they_are_spoilt(folder, base):
    code, printed = answer(folder, yaml.safe_dump(BASES[base]).encode(), [])
    assert (code, json.loads(printed).get("error")) == (0, None)


@pytest.mark.parametrize("kind", SPOILS)
def test_some_spoilt_experiments(folder, kind):
    """One change of each kind, and a scrap somewhere in every other file."""
    chance = random.Random(kind)
    tree = copy.deepcopy(chance.choice(BASES))
    spoil(tree, kind, chance.randrange(10**4), copy.deepcopy(chance.choice(VALUES)), chance.choice(known_keys()))
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    place = chance.randrange(len(text))
    scrap = chance.choice(SCRAPS) if SPOILS.index(kind) % 2 else ""
    assert_answered(folder, ((text[:place] + scrap + text[place:]).encode("utf-8", "replace"), []))


@pytest.mark.slow
def test_experiment_sweep(folder):
    """Hypothesis is imported here: a collected test of it parses every module of the package, in each process, 1 to 3 s."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    @settings(max_examples=2000, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(spoilt=st.composite(spoilt_file)())
    def sweep(spoilt):
        assert_answered(folder, spoilt)

    sweep()
