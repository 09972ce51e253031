"""Weights of a pretrained encoder that a training changes: its last blocks, all of them, or low-rank adapters next to its kernels.

LoRA (Hu et al. 2021, arXiv:2106.09685): a kernel W, (inputs, outputs), stays as it is, and W + A B is used, where A has `rank` columns and
B as many rows. B begins as zeros, so that the network begins as the pretrained one. Convolutions are adapted like dense layers, with the
taps of their kernel among the inputs; depthwise ones have too few weights to gain by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from mmtrain.encoders.base import Encoder
from mmtrain.errors import Problem, RunError

Tune = Literal["none", "lora", "last_blocks", "all"]


def tune(encoder: Encoder, mode: Tune, *, blocks: int, rank: int) -> Encoder:
    """Make weights of an encoder trainable, in place, and return it with the `blocks` that are tuned, from the input to the output.

    Normalizations over the batch keep their statistics and factors: those of few images are worse.

    Raises RunError for a network without a layer that adapters could be put next to.
    """
    import keras

    if mode == "none":
        return encoder
    known = [block for block in encoder.blocks if mode != "lora" or any(map(_takes_adapter, block))]
    tuned = known if mode == "all" else known[-blocks:]
    if not tuned:
        fix = "Set `tune: last_blocks` or `tune: none`."
        raise RunError(Problem(encoder.name, "it has no dense layer or convolution that `tune: lora` could adapt.", fix))
    inside = {id(layer) for block in tuned for layer in block}
    encoder.network.trainable = True
    for layer in encoder.network._flatten_layers(include_self=False):
        if layer.weights and not isinstance(layer, keras.Model):
            layer.trainable = id(layer) in inside and not isinstance(layer, keras.layers.BatchNormalization)
            if mode == "lora" and layer.trainable:
                _add_adapter(layer, rank)
    return replace(encoder, blocks=tuned)


def _takes_adapter(layer: Any) -> bool:
    import keras

    kinds = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.EinsumDense)
    return isinstance(layer, kinds) and bool(layer.weights)


def _add_adapter(layer: Any, rank: int) -> None:
    """Freeze a layer but for an adapter of this rank, or of the smaller side of the kernel; a layer that takes none is frozen."""
    if not _takes_adapter(layer):
        layer.trainable = False
        return
    pretrained = list(layer.weights)
    outputs = int(layer.kernel.shape[-1])
    layer.enable_lora(min(rank, outputs, int(layer.kernel.shape.num_elements()) // outputs))
    for variable in pretrained:  # biases, too: they are few, and every checkpoint would hold them
        variable.trainable = False


def is_adapter(variable: Any) -> bool:
    """Return whether a variable was added by `tune: lora`, so that no file of weights has it."""
    return variable.name in ("lora_kernel_a", "lora_kernel_b")


def merge_adapters(network: Any) -> None:
    """Replace the adapters in a network by kernels that have them added, in place: the layers are then those of a network without any.

    The outputs stay as they are up to rounding. Functions that were compiled before stay right, as they add a B of zeros.
    """
    for layer in network._flatten_layers(include_self=True):
        if getattr(layer, "lora_enabled", False):
            layer._kernel.assign(layer.kernel)
            layer.lora_kernel_b.assign(layer.lora_kernel_b * 0)
            for variable in (layer.lora_kernel_a, layer.lora_kernel_b):
                layer._untrack_variable(variable)
            layer.lora_enabled, layer.lora_rank, layer.lora_alpha = False, None, None


def depths(blocks: Sequence[Sequence[Any]]) -> dict[int, int]:
    """Return the number of blocks between a variable and the output, by the variable's `id`: 0 for the last block."""
    numbered = enumerate(reversed(blocks))
    return {id(variable): depth for depth, block in numbered for layer in block for variable in layer.trainable_variables}
