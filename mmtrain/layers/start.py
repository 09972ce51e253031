"""The one place where TensorFlow is first imported: late, and without its greetings."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

KERAS_EXTRAS = ("sklearn", "matplotlib")
"""What Keras imports for its own wrappers and plots when it is installed: seconds of start-up that nothing here uses."""


def start_tensorflow() -> None:
    """Import TensorFlow and Keras. What they say about the machine on standard error is shown only when the import fails."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet_native_stderr(), _hidden(KERAS_EXTRAS), _without_gc():
        import keras  # noqa: F401
        import tensorflow

        tensorflow.config.list_physical_devices()  # says more when it first looks for devices


@contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """What libraries write to standard error, past Python too, is shown only when the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(kept, 2)
            said.seek(0)
            os.write(2, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """As if these packages were not installed, unless they are imported already."""
    new = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(new))  # type: ignore[arg-type]  # importing a name that holds None raises ImportError
    try:
        yield
    finally:
        for name in new:
            del sys.modules[name]


@contextmanager
def _without_gc() -> Iterator[None]:
    """What the block imports stays for good: Python need not look for garbage in it, neither meanwhile nor ever after."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
