"""The import of TensorFlow: late, and without its messages on standard error."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from mmtrain.system.imports import without_gc

KERAS_EXTRAS = ("sklearn", "matplotlib")
"""Packages that Keras imports for wrappers and plots if they are installed; unused here, and seconds of start-up."""


def start_tensorflow() -> None:
    """Import TensorFlow and Keras. Their messages on standard error are shown only when the import fails."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet_native_stderr(), hidden(KERAS_EXTRAS), without_gc():
        import keras  # noqa: F401
        import tensorflow

        tensorflow.config.list_physical_devices()  # prints more when it first looks for devices


@contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Context that shows what libraries write to standard error, also from C++, only when the block fails."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(stderr, 2)
            messages.seek(0)
            os.write(2, messages.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextmanager
def hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Context in which these packages cannot be imported, unless they are already."""
    new = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(new))  # type: ignore[arg-type]  # importing a name that holds None raises ImportError
    try:
        yield
    finally:
        for name in new:
            del sys.modules[name]
