"""Experiments as Python dictionaries: what their values become, and where their mistakes are placed."""

import datetime
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from tiny import write_experiment

from mmtrain import config
from mmtrain.config.in_memory import InMemory
from mmtrain.errors import ConfigError


class Level(Enum):
    high = "high"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (0.001, "0.001"),
        (1e300, "1e+300"),
        (True, "true"),
        (None, None),
        ("010", "010"),
        (Path("scans"), "scans"),
        (Level.high, "high"),
        (datetime.date(2024, 1, 31), "2024-01-31"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
        (np.bool_(True), "true"),
        (np.array([[1, 2], [3, 4]]), [["1", "2"], ["3", "4"]]),
        ((1, "a"), ["1", "a"]),
        ({"b", "a"}, ["a", "b"]),
        ({1: {np.str_("k"): 2}}, {"1": {"k": "2"}}),
    ],
)
def test_a_value_becomes_what_a_file_would_hold(value, text):
    assert InMemory({"key": value}, Path()).source().tree == {"key": text}


def test_a_dictionary_is_the_experiment_of_the_file_with_the_same_values(tmp_path):
    tree = {
        "name": "clinic",
        "data": {"table": "table.csv"},
        "columns": {"age": {"role": "numeric"}, "ill": {"role": "target", "task": "binary", "positive": "1"}},
        "training": {"epochs": 3, "learning_rate": 1e-3, "callbacks": [{"name": "a.B", "option": "5", "rate": 0.5}]},
    }
    file = write_experiment(tmp_path / "clinic.yaml", tree)
    given = tree | {"data": {"table": Path("table.csv")}}
    given["columns"] = tree["columns"] | {"ill": {"role": "target", "task": "binary", "positive": np.int8(1)}}
    assert config.load(InMemory(given, tmp_path)) == config.load(file)


def test_mistakes_are_placed_by_their_keys_and_told_all_at_once_in_their_order():
    tree = {
        "columns": {"age": {"role": "numric"}, "ill": {"role": "target", "task": "binary", "positive": open}, 1: {}, "1": {}},
        "branches": {"one": {"columns": ["age", "sex"], "units": (0, 1)}},
        "training": {"epochs": np.float64(2.5), "epoch": 2},
    }
    with pytest.raises(ConfigError) as refused:
        config.load(InMemory(tree, Path()), ["split.seed=x"])
    places = [f"{problem.where} | {problem.what}" for problem in refused.value.problems]
    assert places == PLACES


PLACES = [
    "experiment: data | this key is missing.",
    "experiment: columns.age.role | there is no role 'numric'.",
    "experiment: columns.ill.positive | found an object of type builtin_function_or_method.",
    "experiment: columns.1 | the key is here a second time: '1' and another key have the same text.",
    "experiment: columns.1.role | this key is missing.",
    "experiment: branches.one.columns, entry 2 | there is no column 'sex'.",
    "experiment: branches.one.units, entry 1 | 0 is out of range.",
    "experiment: training.epochs | expected a whole number; found '2.5'.",
    "experiment: training.epoch | unknown key.",
    "--set split.seed | expected a whole number; found 'x'.",
]


def test_a_dictionary_that_contains_itself_is_refused():
    tree = {}
    tree["data"] = tree
    with pytest.raises(ConfigError) as refused:
        config.load(InMemory(tree, Path()))
    what = "lists and maps are nested too deeply, or an alias refers to itself. Fifty levels are allowed; a file needs five."
    assert str(refused.value) == f"experiment: {what}"
