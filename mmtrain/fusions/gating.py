"""Features that decide how much of each other is taken."""

from __future__ import annotations

from mmtrain.fusions.base import CommonWidth, Features, fusion, masked, merged, same_width
from mmtrain.specs import Tensor, layer_names

BOTTLENECK = 7
"""Inputs of scale and shift for each unit of their hidden layer."""


@fusion
def gated(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """Each row decides how much of each feature it takes: gated multimodal units (Arevalo et al. 2017, arXiv:1702.01992)."""
    import keras

    shown = masked(features, present)
    together = merged(keras.layers.Concatenate(), shown)  # (batch, sum of widths)
    parts = {}
    for key, name in layer_names(shown).items():
        value = keras.layers.Dense(width, activation="tanh", name=f"value_{name}")(shown[key])
        gate = keras.layers.Dense(width, activation="sigmoid", name=f"gate_{name}")(together)
        parts[key] = keras.layers.Multiply()([value, gate])
    # The gate of an absent branch is not 0, so its part is masked.
    return merged(keras.layers.Add(), masked(parts, present))


@fusion
def film(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """Each feature is scaled and shifted by what the others say, then the mean: feature-wise linear modulation.

    Perez et al. 2018 (arXiv:1709.07871); DAFT (Wolf et al. 2022, arXiv:2107.05990) does so for scans and clinical data. Scale and shift
    come through a bottleneck of a seventh of the inputs, as in DAFT.
    """
    import keras

    from mmtrain.layers.fusion import Modulation, PresentMean

    aligned = masked(same_width(masked(features, present), width), present)
    if len(aligned) == 1:
        # A single branch has no others to be modulated by.
        return next(iter(aligned.values()))
    names = layer_names(aligned)
    modulated = {}
    for key, name in names.items():
        others = merged(keras.layers.Concatenate(), {other: feature for other, feature in aligned.items() if other != key})
        squeezed = keras.layers.Dense(max(1, others.shape[-1] // BOTTLENECK), activation="relu", name=f"squeeze_{name}")(others)
        # Zeros at the start: training begins with the plain mean.
        change = keras.layers.Dense(2 * width, kernel_initializer="zeros", name=f"modulate_{name}")(squeezed)
        modulated[key] = Modulation()(aligned[key], change)
    return PresentMean()(modulated, present)
