"""`--code FILE`: a user's own registrations and callbacks, given on the command line only, never stored in a run nor replayed from one.

An experiment file may come from a stranger, and importing a module runs its code. So the file may name classes of Keras and of the files
given with `--code`; any other installed module only where `--allow-callbacks` is given too.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import chain, count
from pathlib import Path

from mmtrain.errors import MmtrainError, Problem, UsageError
from mmtrain.layers.start import start_tensorflow
from mmtrain.system.paths import input_fault

PACKAGE = "mmtrain_user_code"
"""Package of user files: module names begin with it, so that no file hides a module of the same name."""
IMPORTS_TENSORFLOW = re.compile(rb"^(import|from)[ \t]+(keras|tensorflow|mmtrain\.layers)\b", re.MULTILINE)


def import_code(paths: Sequence[Path] | None) -> None:
    """Import Python files for their registrations; each can then also be imported by its stem, unless another module has that name.

    Raises UsageError if there is no such file, and with its line for an exception of the file.
    """
    for path in paths or ():
        _import(path)


_permissions: list[bool] = []
"""Not empty if this process has the option `--allow-callbacks`."""


def allow_callbacks() -> None:
    """Let experiment files import any installed module from now on."""
    _permissions.append(True)


def may_import(name: str) -> bool:
    """Return True if an experiment file may name this dotted class: a callback of Keras, a class of a `--code` file, or any if allowed."""
    # The module must be the user's: `mine` could also be an installed package of that name.
    module = sys.modules.get(name.partition(".")[0])
    is_user_code = module is not None and module.__name__.startswith(f"{PACKAGE}.")
    return is_user_code or name.startswith("keras.callbacks.") or bool(_permissions)


def is_user_code(function: Callable[..., object]) -> bool:
    """Return True for a function that a `--code` file defines."""
    return function.__module__.startswith(f"{PACKAGE}.")


def place_of(error: BaseException) -> str:
    """Return `file:line` of the innermost line of a `--code` file in a traceback; empty if there is none."""
    files = {module.__file__ for name, module in sys.modules.items() if name.startswith(f"{PACKAGE}.")}
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [f"{file}:{line}" for file, line in lines if file in files]
    return own[-1] if own else ""


def _import(path: Path) -> None:
    if fault := input_fault(path):
        raise UsageError(Problem("--code", f"{path} {fault.what}.", "Give the path of a file ending in .py."))
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(Problem("--code", f"{path} is not a Python file.", "Give the path of a file ending in .py."))
    if IMPORTS_TENSORFLOW.search(path.read_bytes()):
        start_tensorflow()  # our way, without its messages
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look up the module of a class there
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception) or isinstance(error, MmtrainError):
            raise
        what = f"the file could not be imported: {type(error).__name__}: {str(error).rstrip('.')}."
        raise UsageError(Problem(_line_of(error, path), what, f"Mend it; `python {path}` shows the whole traceback.")) from error
    # Callbacks are named by the stem, `mine.Stop`, as the user knows the file.
    if _is_free(path.stem, path):
        sys.modules[path.stem] = module


def _line_of(error: Exception, path: Path) -> str:
    """Return `file:line` of the file's last line on the way to an error, without the frames of mmtrain and other packages."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}"
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _module_name(path: Path) -> str:
    """Return the module name of a file, numbered if another file with this stem was imported before."""
    stem = f"{PACKAGE}.{path.stem}"
    names = chain([stem], (f"{stem}_{number}" for number in count(2)))
    return next(name for name in names if name not in sys.modules or _is_file(sys.modules[name].__file__, path))


def _is_free(name: str, path: Path) -> bool:
    """Return True if a module of this name hides no other module."""
    if name in sys.modules or not name.isidentifier():
        return False
    known = importlib.util.find_spec(name)
    return known is None or _is_file(known.origin, path)


def _is_file(known: str | None, path: Path) -> bool:
    return known is not None and Path(known).resolve() == path.resolve()
