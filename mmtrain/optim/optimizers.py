"""The optimizers that come with mmtrain, all from Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from mmtrain.optim.base import optimizer

Momentum = Annotated[float, Field(ge=0, lt=1)]
Beta1 = Annotated[Momentum, Field(description="Decay of the running mean of gradients.")]
Beta2 = Annotated[Momentum, Field(description="Decay of the running mean of squared gradients.")]
Epsilon = Annotated[float, Field(gt=0, description="Added to denominators for numerical stability.")]
Settings = Mapping[str, Any]


@optimizer
def adam(settings: Settings, *, beta_1: Beta1 = 0.9, beta_2: Beta2 = 0.999, epsilon: Epsilon = 1e-7) -> Any:
    """Adam: steps scaled by running means of gradients and of their squares (Kingma and Ba 2015, arXiv:1412.6980)."""
    import keras

    return keras.optimizers.Adam(**settings, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


@optimizer
def adamw(settings: Settings, *, beta_1: Beta1 = 0.9, beta_2: Beta2 = 0.999, epsilon: Epsilon = 1e-7) -> Any:
    """Adam with decoupled weight decay, set by `training.weight_decay` (Loshchilov and Hutter 2019, arXiv:1711.05101)."""
    import keras

    decay = settings["weight_decay"] or 0.0  # Keras takes no None here
    return keras.optimizers.AdamW(**{**settings, "weight_decay": decay}, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


@optimizer
def sgd(
    settings: Settings,
    *,
    momentum: Annotated[Momentum, Field(description="Share of the previous step that is kept.")] = 0.9,
    nesterov: Annotated[bool, Field(description="Whether the gradient is taken after the momentum step.")] = False,
) -> Any:
    """Stochastic gradient descent with momentum."""
    import keras

    return keras.optimizers.SGD(**settings, momentum=momentum, nesterov=nesterov)


@optimizer
def rmsprop(
    settings: Settings,
    *,
    rho: Annotated[Momentum, Field(description="Decay of the running mean of squared gradients.")] = 0.9,
    momentum: Annotated[Momentum, Field(description="Share of the previous step that is kept.")] = 0.0,
    epsilon: Epsilon = 1e-7,
) -> Any:
    """RMSprop: steps scaled by a running mean of squared gradients (Tieleman and Hinton 2012)."""
    import keras

    return keras.optimizers.RMSprop(**settings, rho=rho, momentum=momentum, epsilon=epsilon)


@optimizer
def lion(
    settings: Settings,
    *,
    beta_1: Annotated[float, Field(gt=0, lt=1, description="Share of the momentum in the direction of a step.")] = 0.9,
    beta_2: Annotated[float, Field(gt=0, lt=1, description="Decay of the momentum.")] = 0.99,
) -> Any:
    """Lion: steps of one size, in the direction of the sign of the momentum (Chen et al. 2023, arXiv:2302.06675)."""
    import keras

    return keras.optimizers.Lion(**settings, beta_1=beta_1, beta_2=beta_2)


@optimizer
def muon(
    settings: Settings,
    *,
    momentum: Annotated[Momentum, Field(description="Of matrices; other weights are updated by Adam.")] = 0.95,
    adam_beta_1: Beta1 = 0.9,
    adam_beta_2: Beta2 = 0.999,
) -> Any:
    """Muon: momentum made orthogonal for the matrices of hidden layers, Adam for everything else (Jordan et al. 2024)."""
    import keras

    decay = settings["weight_decay"] or 0.0  # Keras would decay by 0.004 where none is given
    muon = {"momentum": momentum, "adam_beta_1": adam_beta_1, "adam_beta_2": adam_beta_2, "adam_weight_decay": decay}
    return keras.optimizers.Muon(**{**settings, "weight_decay": decay}, **muon)


@optimizer
def lamb(settings: Settings, *, beta_1: Beta1 = 0.9, beta_2: Beta2 = 0.999, epsilon: Epsilon = 1e-7) -> Any:
    """Adam with steps scaled per layer, for large batches (You et al. 2020, arXiv:1904.00962)."""
    import keras

    return keras.optimizers.Lamb(**settings, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


@optimizer
def adafactor(
    settings: Settings,
    *,
    relative_step: Annotated[bool, Field(description="Whether the step follows from the step count instead of the learning rate.")] = False,
    clip_threshold: Annotated[float, Field(gt=0, description="Largest root mean square of an update.")] = 1.0,
) -> Any:
    """Adam with a factored second moment, which takes little memory (Shazeer and Stern 2018, arXiv:1804.04235)."""
    import keras

    # With Keras's 1e-30, a weight whose row and column both have no gradient gets 0/0: the product of both means underflows.
    return keras.optimizers.Adafactor(**settings, relative_step=relative_step, clip_threshold=clip_threshold, epsilon_1=1e-15)
