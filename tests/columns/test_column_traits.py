"""Traits of roles hold for every registered role, and nobody outside of the columns asks for the class or the name of a role or kind."""

import ast
from typing import get_args

import pandas as pd
import pytest
from tiny import nodes, package_trees

from mmtrain.audit.column_usage import ColumnUsage
from mmtrain.columns import role_class, roles
from mmtrain.columns.base import Column, fitted_roles
from mmtrain.specs import kinds

ROLES = sorted(roles)
TRAITS = {
    "image": ("input", "images", ""),
    "volume": ("input", "images", ""),
    "audio": ("input", "images", ""),
    "images": ("input", "images", ""),
    "numeric": ("input", "numbers", "1"),
    "categorical": ("input", "names", "1"),
    "text": ("input", "texts", ""),
    "date": ("input", "dates", "days"),
    "sequence": ("input", "series", ""),
    "embedding": ("input", "vectors", ""),
    "target": ("answer", "", "1"),
    "group": ("grouping", "", "last"),
    "id": ("naming", "", "last"),
    "split": ("assigning", "", ""),
    "time": ("ordering", "", ""),
    "weight": ("weighting", "", ""),
}
"""Purpose, content, and what orders cells: the number that a cell is, the last one in it, or its days since 1970."""
NAMES = {*TRAITS, *kinds}
NAMING = {
    "branches/tables/dense.py": "a branch of its own kinds",
    "branches/__init__.py": "which branch a kind has by default",
    "pipeline/proposals/encoder_speed.py": "encoders of images or of texts",
    "export/runners/encode.py": "a program that reads columns.json without mmtrain",
    "synonyms.py": "lists usual words for every name of an experiment file, below everything that could state them",
}
"""Modules outside of the columns that may compare a role's or kind's name, or have a table by these names, and why."""


@pytest.fixture(scope="module")
def outside():
    """Every module but those of the columns and targets and the specs."""
    return [
        (place, tree) for place, tree in package_trees().items() if not place.startswith(("columns/", "targets/")) and place != "specs.py"
    ]


def constants(node):
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def asks_for(node):
    """Whether an expression is, or has, something called role or kind."""
    called = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)} | {
        one.id for one in ast.walk(node) if isinstance(one, ast.Name)
    }
    return any(name in ("role", "kind", "roles", "kinds") or name.endswith(("_role", "_kind")) for name in called)


def test_every_role_states_its_traits():
    assert set(TRAITS) == set(roles)
    cells = pd.Series(["x7y", "3", "1970-01-04"], dtype="str")
    for name, (purpose, content, order) in TRAITS.items():
        cls = role_class(name)
        assert (cls.purpose, cls.content) == (purpose, content)
        ranks = cls.ranks(cells)
        assert ranks is None or ranks[2 if order == "days" else 1] == 3
        assert (ranks is not None) is bool(order)
        assert ranks is None or bool(ranks[0] == 7) is (order == "last")
        assert (name in fitted_roles) is (purpose == "input")


def fitted_classes(entry):
    """The classes of a fitted role, which may be an annotated union of such."""
    return (entry,) if isinstance(entry, type) else get_args(get_args(entry)[0])


def test_a_name_that_is_no_role_has_no_traits():
    assert role_class("belongs") is Column
    assert (Column.purpose, Column.content, Column.harm_of_spellings) == ("", "", "")


def test_usage_of_a_guess_has_the_traits_of_its_role():
    assert [(use.purpose, use.content) for use in (ColumnUsage("a", "numeric"), ColumnUsage("b", ""))] == [("input", "numbers"), ("", "")]
    cells = pd.Series(["2024-01-02", "x"], dtype="str")
    assert ColumnUsage("c", "", unused="dates").ranks(cells)[0] == 19724
    assert ColumnUsage("c", "", unused="persons").ranks(cells) is None


def test_no_module_asks_for_the_class_of_a_role(outside):
    classes = {role_class(name).__name__ for name in roles}
    classes |= {one.__name__ for _, entry in fitted_roles.items() for one in fitted_classes(entry)}
    assert {"Image", "FittedText", "Weight", "Target"} <= classes
    # Classes of others with such names: Rich's Text and the Group of h5py.
    others = ("splits/plan.py", "cli/views/console.py", "model/safe_loading.py", "model/model_file.py")
    asked = {
        (place, ast.unparse(node))
        for place, tree in outside
        if place not in others
        for node in nodes(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass")
        for name in ast.walk(node.args[1])
        if (isinstance(name, ast.Name) and name.id in classes) or (isinstance(name, ast.Attribute) and name.attr in classes)
    }
    assert asked == set()


def test_no_module_compares_the_name_of_a_role_or_kind(outside):
    compared = {
        (place, ast.unparse(node))
        for place, tree in outside
        if place not in NAMING
        for node in nodes(tree)
        if isinstance(node, ast.Compare) and constants(node) & NAMES and asks_for(node)
    }
    assert compared == set()


def test_no_module_has_a_table_by_the_names_of_roles_or_kinds(outside):
    tables = {
        (place, ast.unparse(node)[:80])
        for place, tree in outside
        if place not in NAMING
        for node in nodes(tree)
        if isinstance(node, ast.Dict)
        and len(node.keys) > 1
        and all(isinstance(key, ast.Constant) and key.value in NAMES for key in node.keys)
    }
    assert tables == set()


HELPERS = {"numeric": 3, "categorical": 11, "text": 3, "image": 10, "embedding": 1}
"""Modules that import something else from the module of these roles, such as its reader of words, or the options of `augment`."""


def importers(module):
    """The modules of the package that import from a module, by their places; imports inside of functions and for types too."""
    return {
        place
        for place, tree in package_trees().items()
        for node in nodes(tree)
        if isinstance(node, ast.ImportFrom) and node.module == module
    }


@pytest.mark.parametrize("name", sorted(set(fitted_roles) - {"images"}))
def test_a_role_is_its_file_and_its_registration(name):
    """Nothing else of the package would have to be touched for it."""
    found = importers(role_class(name).__module__)
    assert "columns/__init__.py" in found
    assert len(found) - 1 <= HELPERS.get(name, 0), found


@pytest.mark.parametrize("source", ["use.role == 'text'", "column.spec.kind in ('index', 'bag')", "'image' != kind"])
def test_search_finds_what_it_looks_for(source):
    (node,) = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare)]
    assert constants(node) & NAMES
    assert asks_for(node)
