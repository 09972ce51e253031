"""Compiled functions of one training, used again by the next one whose network differs in nothing but weights.

Tracing and compiling take seconds for every training, often longer than all steps on a small table. The folds and seeds of an experiment
mostly have the same network. The next training then takes over the network and the compiled functions of the one before: its own network
is built as always, and its initial weights, its states of dropout and its fresh optimizer are copied. So it ends with the same bits as
without sharing.

Compiled functions hold what is not a variable as a constant. Networks are the same if everything that is written into a model file but
their weights is equal: bins of numbers, frequencies of words and widths of vocabularies follow from training rows, and a fold in which
they differ is compiled anew. So is one whose loss has other constants, such as the standard deviation of a number that is predicted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from mmtrain.layers.end_to_end import EndToEnd
from mmtrain.model.models import Models
from mmtrain.specs import ImageSpec
from mmtrain.training.device import forget_networks
from mmtrain.training.step import TrainStep
from mmtrain.training.training_data import TrainingData

LARGE_NETWORK = 64_000_000
"""Bytes of weights from which the copied network is freed at once; the collection of garbage takes 0.1 s and more."""


@dataclass
class SharedSteps:
    """The network and the compiled functions of the last training of a group."""

    models: Models | None = None
    steps: TrainStep | None = None
    computation: str = ""
    """See `describe_computation`."""

    def take_over(self, data: TrainingData) -> TrainingData:
        """Return the data with compiled functions: those of the last training if its network was the same, else new ones."""
        computation = describe_computation(data)
        if self.models is None or self.steps is None or not computation or computation != self.computation:
            self.models, self.computation = data.models, computation
            self.steps = TrainStep(data.training, data.columns, data.fitted, data.models, distillation=data.distillation)
            return replace(data, steps=self.steps)
        copy_state(data.models, self.models)
        # Cells are encoded by the columns of this training, which are constants of its saved model.
        whole = data.models.end_to_end
        self.models = replace(
            self.models,
            end_to_end=EndToEnd(whole.preprocessing, self.models.end_to_end.predictor, name=whole.name),
            notes=data.models.notes,
        )
        self.steps.restart(data.training, data.fitted, self.models)
        large = sum(one.value.shape.num_elements() * one.value.dtype.size for one in variables_of(data.models)) > LARGE_NETWORK
        data = replace(data, models=self.models, steps=self.steps)
        if large:
            forget_networks()
        return data


def describe_computation(data: TrainingData) -> str:
    """Return everything that compiled functions hold as constants, as text; empty where they cannot be shared.

    Stages compile anew, adapters of encoders change the network itself, and a teacher has predictions of its own for each training.
    """
    models, training = data.models, data.training
    if models.tuned or len(training.stages) > 1 or data.distillation is not None:
        return ""
    networks = [models.trained, models.predictor, models.end_to_end.predictor]
    facts = {
        "networks": [keras.saving.serialize_keras_object(one) for one in {id(one): one for one in networks}.values()],
        "targets": {key: (type(target).__qualname__, target.compiled_values()) for key, target in data.fitted.targets.items()},
        "images": {key: repr(column.spec) for key, column in data.fitted.columns.items() if isinstance(column.spec, ImageSpec)},
        # The modulation of gradients draws its noise by the seed.
        "training": training.with_settings(seed=training.seed if models.balance != "none" else 0).model_dump(mode="json"),
        "fusion": [models.members, models.branches, models.auxiliary, models.balance, models.balance_strength],
        "encoders": {key: str(one.spec) for key, one in models.encoders.items()},
    }
    try:
        return json.dumps(facts)
    except (TypeError, ValueError):
        # A layer of the user's own, with settings that are not plain values.
        return ""


def copy_state(source: Models, target: Models) -> None:
    """Copy all variables of one network to an equal one: weights, statistics of normalization, and states of dropout."""
    for ours, theirs in zip(variables_of(target), variables_of(source), strict=True):
        ours.assign(theirs)


def variables_of(models: Models) -> Sequence[Any]:
    """Return the variables of all networks of a training, each once, in an order that is the same for equal networks."""
    every = [*models.trained.variables, *models.predictor.variables, *models.end_to_end.predictor.variables]
    return list({id(variable): variable for variable in every}.values())
