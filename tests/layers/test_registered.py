"""The names by which model.keras calls our layers, in a process that has built no network."""

import subprocess
import sys

import pytest

PROGRAM = """
import mmtrain.layers.registered
import keras
print(*sorted({kept.__module__ for name, kept in keras.saving.get_custom_objects().items() if name.startswith("mmtrain>")}))
"""


@pytest.mark.slow  # a process of its own; tests/pipeline/test_promises.py opens a model in another one
def test_every_module_of_layers_is_registered_in_a_fresh_process():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == [
        "mmtrain.layers.encoding",
        "mmtrain.layers.end_to_end",
        "mmtrain.layers.fusion",
        "mmtrain.layers.image_decoding.decode_image_layer",
        "mmtrain.layers.network",
        "mmtrain.layers.prediction_scales",
        "mmtrain.layers.pretrained",
        "mmtrain.layers.stacks",
        "mmtrain.layers.table_encoder",
        "mmtrain.layers.tabular.blocks",
        "mmtrain.layers.tabular.members",
        "mmtrain.layers.tabular.number_encodings",
        "mmtrain.layers.target_scales",
        "mmtrain.layers.text_tokens",
        "mmtrain.layers.tokenizers.encode",
        "mmtrain.layers.transformer_encoder",
    ]
