"""`--code FILE`: a user's own registrations and callbacks. Given on the command line only; never stored in a run nor replayed from one."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mmtrain.errors import Problem, UsageError
from mmtrain.layers.start import start_tensorflow

NAME = "mmtrain_user_code"
HEAVY = re.compile(rb"^(import|from)[ \t]+(keras|tensorflow|mmtrain\.layers)\b", re.MULTILINE)


def import_code(paths: Sequence[Path] | None) -> None:
    """Import Python files for what they register; from then on each is a module under its stem too, unless another has that name.

    Raises UsageError when there is no such file; what the file raises is shown as it is.
    """
    for path in paths or ():
        _import(path)


def _import(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(NAME, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UsageError(Problem("--code", f"{path} is not a Python file.", "Give the path of a file ending in .py."))
    if HEAVY.search(path.read_bytes()):
        start_tensorflow()  # as we start it, without its greetings
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module  # where dataclasses, for one, look for the module of a class
    spec.loader.exec_module(module)
    if _is_free(path.stem, path):
        sys.modules[path.stem] = module


def _is_free(name: str, path: Path) -> bool:
    """Whether a module of this name would hide no other than the file itself."""
    if name in sys.modules or not name.isidentifier():
        return False
    known = importlib.util.find_spec(name)
    return known is None or (known.origin is not None and Path(known.origin).resolve() == path.resolve())
