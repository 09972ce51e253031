"""Tiny tables and experiments for tests: what a row holds follows from its number, so that nothing can be mixed up unseen."""

import ast
import csv
import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import yaml

import mmtrain
from mmtrain import config
from mmtrain.data import encode
from mmtrain.pipeline.prepare import read_data, split_rows

HEAVY = {"numpy", "pandas", "pydantic", "yaml", "tensorflow", "keras", "PIL", "pyarrow", "sklearn", "matplotlib", "jinja2"}
"""Packages that a command should not wait for unless it needs them."""


def paint(path, level, size=(8, 8)):
    """An image of one brightness, or of the given pixels (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full(size, level, dtype=np.uint8) if np.isscalar(level) else np.asarray(level)
    PIL.Image.fromarray(pixels).save(path)


def write_table(path, rows):
    """A CSV of these rows, which are dictionaries with the same keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_experiment(path, tree):
    """An experiment file on the table beside it; `tree` is YAML text or a dictionary."""
    tree = yaml.safe_load(tree) if isinstance(tree, str) else tree
    tree["data"] = {"table": "table.csv"} | tree.get("data", {})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@dataclass
class Ready:
    """Everything before the network."""

    experiment: Any
    data: Any
    partition: Any
    fitted: Any
    arrays: Any


def ready(path, overrides=()):
    """An experiment up to its encoded arrays."""
    experiment = config.load(path, overrides).untried()
    data = read_data(experiment, experiment.data.table, experiment.data.images_folder)
    partition = split_rows(experiment, data.table).holdout
    fitted = encode.fit(experiment.columns, data.table, partition.train, experiment.training.class_weights)
    return Ready(
        experiment, data, partition, fitted, encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache)
    )


def two_blobs(folder, rows=60, **columns):
    """A table whose classes `low` and `high` can be told apart by its number `x`; `columns` are further cells by row number."""
    cells = [
        {"x": (row % 2) * 2 - 1 + (row % 7) / 10, "y": ("low", "high")[row % 2], **{key: value(row) for key, value in columns.items()}}
        for row in range(rows)
    ]
    return write_table(folder / "table.csv", cells)


@functools.cache
def package_trees():
    """Every module of mmtrain as a syntax tree, by its path; read only, as all tests share them."""
    package = Path(mmtrain.__file__).parent
    return {path.relative_to(package).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))}


@functools.cache
def nodes(tree):
    """All nodes of a syntax tree of `package_trees`: walking through the package takes half a second, and many tests search it."""
    return tuple(ast.walk(tree))


def lines(path):
    """The documents of a file with one JSON document a line."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def start(*arguments, folder, **options):
    """`python -m mmtrain ...` in a process of its own."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **options}
    return subprocess.Popen(
        [sys.executable, "-m", "mmtrain", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def mixed_table(folder, rows, **columns):
    """A table with holes for a target of each task; `columns` are further or other cells by row number."""
    cells = {
        "age": lambda row: "" if row % 5 == 0 else row,
        "note": lambda row: "" if row % 4 == 1 else f"w{row % 3} w{row % 4}",
        "sick": lambda row: ("no", "yes")[row % 3 == 0],
        "price": lambda row: row**2,
        "kind": lambda row: "abc"[row % 3],
    } | columns
    return write_table(folder / "table.csv", [{key: cell(row) for key, cell in cells.items()} for row in range(rows)])
