"""Examples in docstrings run and give what they show; what they register is removed again."""

import doctest
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import mmtrain
from mmtrain.metrics import score
from mmtrain.registry import Registry, _origin

ROOT = Path(mmtrain.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
CONTRACTS = (
    "api.experiments",
    "audit.checks",
    "branches.base",
    "columns.base",
    "columns.fitted_column",
    "export.base",
    "fusions.base",
    "metrics.registered_metrics",
    "optim.base",
    "registry",
    "splits.plan",
    "targets.base",
    "targets.traits",
)


@contextmanager
def examples_removed(module, monkeypatch):
    """Remove what examples of `module` register; other modules may register their own when an example imports them."""
    added = []
    add = Registry.add

    def recorded(registry, name, entry):
        if name not in registry and _origin(entry).startswith(f"{module}."):
            added.append((registry, name))
        return add(registry, name, entry)

    metrics = dict(score._METRICS)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "add", recorded)
        try:
            yield
        finally:
            for registry, name in added:
                registry.remove(name)
            for name in [name for name in score._METRICS if name not in metrics]:
                del score._METRICS[name]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_run(name, monkeypatch, tmp_path):
    module = import_module(name)
    monkeypatch.chdir(tmp_path)
    with examples_removed(name, monkeypatch):
        results = doctest.testmod(module, extraglobs={"np": np, "Path": Path})
    assert results.attempted
    assert results.failed == 0


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_shows_an_example(name):
    assert f"mmtrain.{name}" in MODULES
