"""`--code FILE`: a user's own registrations. Given on the command line only; never stored in a run nor replayed from one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mmtrain.errors import Problem, UsageError


def import_code(path: Path | None) -> None:
    """Import a Python file for what it registers. Raises UsageError when there is no such file; what the file raises is shown as it is."""
    if path is None:
        return
    spec = importlib.util.spec_from_file_location("mmtrain_user_code", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UsageError(Problem("--code", f"{path} is not a Python file.", "Give the path of a file ending in .py."))
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
