"""The scripts in `benchmarks/`, which are started by hand: what they import from mmtrain is there."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


def test_there_are_benchmarks():
    assert len(SCRIPTS) > 10


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_imports_what_there_is(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmtrain")
        for alias in node.names
    ]
    missing = [f"{module}.{name}" for module, name in names if not hasattr(import_module(module), name) and not is_module(module, name)]
    assert missing == []


def is_module(package, name):
    try:
        import_module(f"{package}.{name}")
    except ModuleNotFoundError:
        return False
    return True
