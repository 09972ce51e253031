"""The names by which model.keras calls our layers, in a process that has built no network."""

import subprocess
import sys
from pathlib import Path

import pytest

import mmtrain

PROGRAM = """
import mmtrain.layers.registered
import keras
print(*sorted({kept.__module__ for name, kept in keras.saving.get_custom_objects().items() if name.startswith("mmtrain>")}))
"""


@pytest.mark.slow  # a process of its own; tests/pipeline/test_promises.py opens a model in another one
def test_every_module_of_layers_is_registered_in_a_fresh_process():
    root = Path(mmtrain.__file__).parent
    registering = [path for path in (root / "layers").rglob("*.py") if "register_keras_serializable" in path.read_text(encoding="utf-8")]
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == sorted(".".join(("mmtrain", *path.relative_to(root).with_suffix("").parts)) for path in registering)
