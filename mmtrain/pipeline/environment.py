"""Versions of what a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import version

PACKAGES = ("mmtrain", "tensorflow", "keras", "numpy", "pandas", "pillow", "pyarrow")


def versions() -> dict[str, str]:
    """Of mmtrain, Python and the libraries that touch numbers or pixels."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}, "platform": platform.platform()}
