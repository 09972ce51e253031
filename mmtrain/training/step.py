"""One compiled step of training, and one of evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from mmtrain.columns import Image
from mmtrain.config import Experiment
from mmtrain.data.encode import Fitted
from mmtrain.model.assemble import Network
from mmtrain.training.augment import CHANCES, augmented


def optimizer_for(experiment: Experiment) -> Any:
    """The Keras optimizer of an experiment; its rate is set before every step."""
    training = experiment.training
    decay = training.weight_decay or None
    makers = {
        "adam": lambda: keras.optimizers.Adam(training.learning_rate, weight_decay=decay),
        "adamw": lambda: keras.optimizers.AdamW(training.learning_rate, weight_decay=training.weight_decay),
        "sgd": lambda: keras.optimizers.SGD(training.learning_rate, momentum=training.momentum, weight_decay=decay),
        "rmsprop": lambda: keras.optimizers.RMSprop(training.learning_rate, weight_decay=decay),
    }
    return makers[training.optimizer]()


class Steps:
    """The compiled functions of one training."""

    def __init__(self, experiment: Experiment, fitted: Fitted, network: Network) -> None:
        self.network = network
        self.fitted = fitted
        self.optimizer = optimizer_for(experiment)
        self.optimizer.build(network.core.trainable_variables)
        self.augmented_columns = {
            key: column.augment
            for key, column in experiment.inputs.items()
            if isinstance(column, Image) and (column.augment.moves or column.augment.recolours)
        }
        self.chance_columns = CHANCES * len(self.augmented_columns)
        self.train = tf.function(self._train, input_signature=[self._signature(batch=True)])
        self.judge = tf.function(self._judge, input_signature=[self._signature(batch=False)])

    def _signature(self, *, batch: bool) -> dict[str, Any]:
        """Any batch size with one compilation, so that a smaller last batch costs nothing."""
        inputs = {tensor.name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in self.network.core.inputs}
        truths = {
            key: tf.TensorSpec((None, target.units) if target.task == "multilabel" else (None,), _truth_type(target.task))
            for key, target in self.fitted.targets.items()
        }
        weights = {key: tf.TensorSpec((None,), tf.float32) for key in truths}
        signature: dict[str, Any] = {"inputs": inputs, "targets": truths, "weights": weights}
        if batch:
            signature["chances"] = tf.TensorSpec((None, self.chance_columns), tf.float32)
        return signature

    def _train(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """One update; the loss of each target, a mean over the rows of the batch, and their weighted sum as `loss`."""
        inputs = self.augmented_inputs(batch)
        with tf.GradientTape() as tape:
            losses = self._losses(self.network.core(inputs, training=True), batch)
            total = sum(losses[key] * target.loss_weight for key, target in self.fitted.targets.items())
        variables = self.network.core.trainable_variables
        self.optimizer.apply(tape.gradient(total, variables), variables)
        return {**losses, "loss": total} if len(losses) > 1 else {"loss": total}

    def augmented_inputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of a batch, its pictures changed; a masked picture stays all zeros, as in prediction."""
        inputs = dict(batch["inputs"])
        for number, (key, how) in enumerate(self.augmented_columns.items()):
            own = batch["chances"][:, number * CHANCES : (number + 1) * CHANCES]
            changed = augmented(inputs[key], own, how, self.fitted.columns[key].spec.levels)
            shown = tf.reshape(inputs[f"{key}_present"] > 0, (-1, 1, 1, 1))
            inputs[key] = tf.where(shown, changed, inputs[key])
        return inputs

    def _losses(self, raw: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: tf.reduce_mean(target.loss(batch["targets"][key], raw[key]) * batch["weights"][key])
            for key, target in self.fitted.targets.items()
        }

    def _judge(self, batch: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The loss of every row, (batch,), and the predictions; nothing is changed."""
        raw = self.network.core(batch["inputs"], training=False)
        losses = {key: target.loss(batch["targets"][key], raw[key]) * batch["weights"][key] for key, target in self.fitted.targets.items()}
        return losses, {key: self.network.activations[key](raw[key]) for key in raw}


def _truth_type(task: str) -> Any:
    return {"multilabel": tf.int8, "regression": tf.float64}.get(task, tf.int32)
