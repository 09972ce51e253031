"""The compiled functions: one step of training, several steps in one call, and one of evaluation.

A call from Python costs a fraction of a millisecond, more than a step of a small table model. So a call may take several steps, and
XLA may compile them. A batch smaller than the others always takes the plain step, which is compiled once for all sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import tensorflow as tf

from mmtrain.batches import Batch, Batches
from mmtrain.columns import Column
from mmtrain.config.sections.training import Training
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.encode import Fitted
from mmtrain.data.sampling import BalancedSampler, EpochSampler, GroupSampler
from mmtrain.input_layout import InputLayout
from mmtrain.model.models import Models
from mmtrain.training.augmentation.augmenter import Augmenter
from mmtrain.training.augmentation.mixing import Mixing
from mmtrain.training.batch_losses import BatchLosses
from mmtrain.training.distillation import Distillation
from mmtrain.training.optimization.gradient_balance import GradientBalance
from mmtrain.training.optimization.group_optimizer import ParameterGroups, optimizer_for, set_factors
from mmtrain.training.optimization.stages import Stages
from mmtrain.training.workers.collective import WISHES, Alone, Wishes

RATES = tf.TensorSpec((None,), tf.float32)
"""Signature of the learning rates, one per step of a call."""
AUXILIARY = "auxiliary_{}"
"""Name of the loss of a branch alone."""


class TrainStep:
    """The compiled functions of one training."""

    def __init__(
        self,
        training: Training,
        columns: Mapping[str, Column],
        fitted: Fitted,
        models: Models,
        workers: Alone | None = None,
        distillation: Distillation | None = None,
    ) -> None:
        """Build the optimizer of `training` and enter its first stage; `columns` says which images are augmented, and how.

        With `distillation`, predictions of a teacher are part of the minimized loss.

        Raises ValueError while `training` has open settings.
        """
        if training.open_settings:
            raise ValueError(f"{training.open_settings} must be decided first.")
        self.whole = models
        """The models of all stages."""
        self.models = models
        """The models of the stage that is trained, which take features of encoders that the stage leaves as they are."""
        self.workers = workers or Alone()
        """The processes that share every batch."""
        self.distillation = distillation
        self._take(fitted)
        self.optimizer = optimizer_for(training)
        # Before a stage freezes anything: every variable gets its slots, and checkpoints of all stages hold the same
        # arrays.
        self.optimizer.build(models.trained.trainable_variables)
        self.variables = models.trained.trainable_variables
        """All weights that any stage trains, in the optimizer's order."""
        self.groups = ParameterGroups(models.groups, models.depths)
        self.columns = columns
        self.batch_size, self.seed = int(training.batch_size), training.seed
        self.steps_per_call = int(training.steps_per_call)
        self.plain = self.steps_per_call == 1 and training.jit == "off"
        self.jit = training.jit == "on"
        self.stages, self.mix = Stages(training), training.mix
        self.enter_stage(0)

    def restart(self, training: Training, fitted: Fitted, models: Models) -> None:
        """Begin another training with the same compiled functions; `models` has the networks of this one with new values.

        The optimizer starts anew. `training` may have another seed, and `fitted` other values that no compiled function reads.
        """
        fresh = optimizer_for(training)
        fresh.build(self.variables)
        # Into the variables that the compiled functions update.
        for ours, theirs in zip(self.optimizer.variables, fresh.variables, strict=True):
            ours.assign(theirs)
        self.whole = self.models = models
        self.seed, self.stages = training.seed, Stages(training)
        self._take(fitted)

    def _take(self, fitted: Fitted) -> None:
        """Take the targets of a training; `reported` has the losses of its answers alone.

        Smoothed labels are minimized, but a loss with them says little about probabilities.
        """
        self.fitted = fitted
        self.reported_targets = {key: target.without_smoothing() for key, target in fitted.targets.items()}
        self.losses = BatchLosses(fitted.targets, self.whole.members, self.distillation)
        self.reported = BatchLosses(self.reported_targets, self.whole.members)

    def enter_stage(self, number: int) -> None:
        """Train what stage `number` trains, at its rates; steps are compiled anew, as they update other variables."""
        self.groups.train_only(self.stages.trained_groups(number))
        base, decay = float(self.stages.training.learning_rate), self.stages.layer_decay(number)
        set_factors(self.optimizer, self.groups.factors(self.stages.group_rates(number), base, decay))
        self.models = self.whole.on_features([key for key, one in self.whole.tuned.items() if not one.encoder.network.trainable_variables])
        self.augmenter = Augmenter(self.columns, self.fitted, {key: one.spec.views for key, one in self.models.encoders.items()})
        specs = {key: column.spec for key, column in self.fitted.columns.items()}
        specs |= {key: one.spec for key, one in self.models.encoders.items()}
        self.mixing = None if self.mix is None else Mixing(self.mix, InputLayout(specs))
        self.uniform_columns = self.augmenter.uniforms + (self.mixing.uniforms if self.mixing else 0)
        # XLA compiles no sums over workers: of several, the part of each alone.
        alone = self.workers.count == 1
        self.update = tf.function(self._updates, jit_compile=(self.jit and alone) or None, autograph=False)
        self.compiled = self._gradients if alone else tf.function(self._gradients, jit_compile=self.jit or None, autograph=False)
        for compiled in ("train_one", "train_full", "eval_step"):
            # A cached_property keeps its value in `__dict__`: without it, the next call compiles anew.
            self.__dict__.pop(compiled, None)

    @cached_property
    def train_one(self) -> Any:
        """The compiled function of one step."""
        return _compile(self._train_one, self._signature(batch=True), RATES)

    @cached_property
    def train_full(self) -> Any:
        """The compiled function of `steps_per_call` steps."""
        return _compile(self._train_full, self._signature(batch=True), RATES)

    @cached_property
    def eval_step(self) -> Any:
        """The compiled function of evaluation: the loss of every row, (batch,), and the predictions."""
        return _compile(self._eval_step, self._signature(batch=False))

    def inputs_of(self, arrays: Arrays) -> Arrays:
        """Return the arrays with the inputs of the stage that is trained."""
        return arrays.on_features(self.models.encoders.keys() - self.whole.encoders.keys())

    def batches(self, arrays: Arrays, rows: Array) -> Batches:
        """Return the batches over `rows` that `train` takes."""
        teacher = {} if self.distillation is None else self.distillation.teacher
        sampler: EpochSampler | None = None
        for key, target in self.fitted.targets.items():
            if target.is_sampled:
                sampler = BalancedSampler(arrays.targets[key][rows])
            elif target.is_ranked:
                sampler = GroupSampler(target.group_codes(arrays.targets[key][rows]))
        return Batches(
            self.inputs_of(arrays),
            rows,
            self.batch_size,
            self.seed,
            self.uniform_columns,
            self.steps_per_call,
            tf.constant,
            teacher,
            sampler,
            self.workers.number,
            self.workers.count,
        )

    def train(self, batch: Batch, rates: list[float], wishes: Wishes = Wishes()) -> dict[str, Any]:  # noqa: B008 (frozen)
        """Train on a batch of one call and return {name: (steps,)}: each target's mean loss over the rows of a step, and `loss`.

        `rates` has the learning rate of every step; `loss` is the weighted sum over targets of the fused predictions. With auxiliary
        losses, `auxiliary_<branch>` is that of the predictions of a branch alone; they are minimized, but not included in `loss`. Several
        workers give the losses of the whole batch, and the sums of their `wishes` under the names in `WISHES`.
        """
        full = batch.total == self.batch_size * self.steps_per_call and not self.plain
        call = self.train_full if full else self.train_one
        # As a tensor: a Python number would become a constant of the compiled function.
        losses: dict[str, Any] = call({**batch.tree(), **self.workers.arguments(batch.share, wishes)}, tf.constant(rates, tf.float32))
        return losses

    def _signature(self, *, batch: bool) -> dict[str, Any]:
        """Return a signature for any batch size: a smaller last batch needs no other compilation, and fixed sizes were no faster."""
        inputs = {tensor.name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in self.models.network.inputs}
        specs = {key: target.truth_spec for key, target in self.fitted.targets.items()}
        truths = {key: tf.TensorSpec((None, *spec.shape), spec.dtype) for key, spec in specs.items()}
        weights = {key: tf.TensorSpec((None,), tf.float32) for key in truths}
        signature: dict[str, Any] = {"inputs": inputs, "targets": truths, "weights": weights}
        if batch:
            signature["uniforms"] = tf.TensorSpec((None, self.uniform_columns), tf.float32)
            if self.distillation is not None:
                signature["teacher"] = self.distillation.specs
            signature |= self.workers.signature
        return signature

    def _train_one(self, batch: Mapping[str, Any], rates: Any) -> dict[str, Any]:
        losses = self._update({**batch, "inputs": self.augmenter.inputs(batch)}, rates[0])
        return {key: loss[None] for key, loss in losses.items()}

    def _train_full(self, batch: Mapping[str, Any], rates: Any) -> dict[str, Any]:
        """Run `steps_per_call` steps. Images are augmented before: their resampling is compiled by itself, or is a GPU kernel."""
        losses: dict[str, Any] = self.update({**batch, "inputs": self.augmenter.inputs(batch)}, rates)
        return losses

    def _updates(self, batch: Mapping[str, Any], rates: Any) -> dict[str, Any]:
        """Run one update after the other, on the consecutive batches in `batch`."""
        steps = self.steps_per_call
        size = len(range(self.workers.number, self.batch_size, self.workers.count))
        if steps == 1:
            return {name: loss[None] for name, loss in self._update(batch, rates[0]).items()}
        # (steps * size, ...) to (steps, size, ...); what workers add is the same for every step.
        same = {name: batch[name] for name in self.workers.signature}
        rows = {name: values for name, values in batch.items() if name not in same}
        stacked = tf.nest.map_structure(lambda values: tf.reshape(values, (steps, size, *values.shape[1:])), rows)
        of_targets = self.fitted.targets if len(self.fitted.targets) > 1 else ()
        # TensorArrays are made before the loop, so the names that `_update` returns are needed in advance, in its
        # order.
        names = {**dict.fromkeys(map(AUXILIARY.format, self.models.branches)), **dict.fromkeys(of_targets), "loss": None}
        names |= dict.fromkeys(WISHES if same else ())

        def one_step(number: Any, arrays: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            losses = self._update({**tf.nest.map_structure(lambda values: values[number], stacked), **same}, rates[number], self.compiled)
            return number + 1, {name: array.write(number, losses[name]) for name, array in arrays.items()}

        # XLA needs their length when it compiles.
        empty = {name: tf.TensorArray(tf.float32, steps) for name in names}
        _, arrays = tf.while_loop(lambda number, _: number < steps, one_step, (0, empty))
        return {name: array.stack() for name, array in arrays.items()}

    def _update(self, batch: Mapping[str, Any], rate: Any, compute: Any = None) -> dict[str, Any]:
        self.optimizer.learning_rate.assign(rate)
        reported, gradients = self.workers.summed(compute or self._gradients, batch)
        self.optimizer.apply(gradients, self.models.trained.trainable_variables)
        return reported

    def _gradients(self, batch: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """Return the losses of a batch, and the gradients of what the current stage trains, for a loss that may be scaled."""
        batch = batch if self.mixing is None else self.mixing.apply(batch)
        with tf.GradientTape() as tape:
            # (batch, ...) raw values; only `trained` has the heads of single branches.
            outputs = self.models.trained(batch["inputs"], training=True)
            outputs = outputs if self.models.branches else (outputs, {}, {})
            losses, auxiliary = self.losses(outputs, batch)
            total = self.losses.total(losses)
            balanced = total if self.models.uncertainty is None else self.models.uncertainty.total(tf.stack(self.losses.weighted(losses)))
            minimized = balanced + self.models.auxiliary * sum(auxiliary.values()) / len(auxiliary) if auxiliary else balanced
            # The identity, but in float16; `apply` divides the gradients again.
            scaled = self.optimizer.scale_loss(minimized)
        # Read while tracing: those that the current stage trains.
        variables = self.models.trained.trainable_variables
        gradients = self._balance_gradients(tape.gradient(scaled, variables), variables, outputs, batch)
        if self.reported_targets != self.fitted.targets or self.distillation is not None:
            losses, auxiliary = self.reported(outputs, batch)
            total = self.reported.total(losses)
        reported = {**losses, "loss": total} if len(losses) > 1 else {"loss": total}
        reported = {AUXILIARY.format(branch): loss for branch, loss in auxiliary.items()} | reported
        return reported, list(gradients)

    def _balance_gradients(
        self, gradients: Sequence[Any], variables: Sequence[Any], outputs: tuple[Any, Any, Any], batch: Mapping[str, Any]
    ) -> Any:
        """Return the gradients as `fusion.balance` modulates them; `outputs` are those of `models.trained`."""
        if self.models.balance == "none" or not self.models.branches:
            return gradients
        balance = GradientBalance(self.models, variables, self.seed)
        factors = balance.factors(outputs[1], outputs[2], batch, self.reported_targets)
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        # `iterations` counts updates; this counts batches, also those whose gradients are only accumulated, and is in checkpoints.
        return balance.modulate(gradients, factors, tf.cast(inner._iterations, tf.int32))

    def learned_weights(self) -> dict[str, float]:
        """Return the weight of each target in the minimized loss, as `train_<target>_weight`; empty where they are fixed."""
        if self.whole.uncertainty is None:
            return {}
        factors = zip(self.fitted.targets.items(), self.whole.uncertainty.factors().numpy().tolist(), strict=True)
        return {f"train_{key}_weight": factor * target.loss_weight for (key, target), factor in factors}

    def _eval_step(self, batch: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the loss of every row, (batch,), and the predictions; no state changes."""
        raw = self.models.mean_raw(self.models.network(batch["inputs"], training=False))
        losses = {
            key: target.weighted_losses(batch["targets"][key], raw[key], batch["weights"][key])
            for key, target in self.reported_targets.items()
        }
        return losses, {key: self.models.activations[key](raw[key]) for key in raw}


def _compile(function: Any, *signature: Any) -> Any:
    """Trace eagerly: otherwise TensorFlow warns about retracing when several models are trained in one process."""
    return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()
