"""Keras knows our layers as soon as both it and mmtrain are imported, whichever comes first.

Keras opens a model file only if the layers that it names are registered, and those of ours import TensorFlow, which takes seconds:
too long for an `import mmtrain` that may never need Keras. So where mmtrain comes first, the import of Keras takes them along.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

LAYERS = "mmtrain.layers.registered"
WHOLE = ("keras", "tensorflow")
"""Each imports the other, so the layers wait for the one that began."""


def register_layers() -> None:
    """Now, or when Keras is imported."""
    if "keras" in sys.modules:
        import_module(LAYERS)
    else:
        sys.meta_path.insert(0, _TakesLayersAlong())


class _TakesLayersAlong:
    """Is asked for every module that is not imported yet, answers once, for Keras or TensorFlow, and leaves."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        if fullname not in WHOLE:
            return None
        # Once: afterwards every import is as fast as before.
        sys.meta_path.remove(self)
        # Found by the others, now that this one has left: else it would find itself.
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                import_module(LAYERS)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one loader, which loads nothing else
        return spec
