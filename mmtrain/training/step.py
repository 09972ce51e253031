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
from mmtrain.columns import Column, inputs_among
from mmtrain.columns.pixels.image import Augment
from mmtrain.config.training import Training
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.encode import Fitted
from mmtrain.data.sampling import BalancedSampler
from mmtrain.input_layout import InputLayout
from mmtrain.model.models import Models
from mmtrain.targets import FittedTarget
from mmtrain.training.augmentation.augment import augment_images, uniforms_for
from mmtrain.training.augmentation.mixing import Mixing
from mmtrain.training.distillation import Distillation
from mmtrain.training.optimization.gradient_balance import GradientBalance
from mmtrain.training.optimization.group_optimizer import ParameterGroups, optimizer_for, set_factors
from mmtrain.training.optimization.stages import Stages
from mmtrain.training.workers.collective import WISHES, Alone, Wishes

RATES = tf.TensorSpec((None,), tf.float32)
"""Signature of the learning rates, one per step of a call."""


LABELS = ("targets", "weights", "teacher")
"""Parts of a batch that the losses read; the last one only of a training with a teacher."""
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
        self.fitted = fitted
        self.reported_targets = {key: target.without_smoothing() for key, target in fitted.targets.items()}
        """Targets of reported losses: smoothed labels are minimized, but a loss with them says little about probabilities."""
        self.workers = workers or Alone()
        """The processes that share every batch."""
        self.distillation = distillation
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
        self.fitted, self.seed, self.stages = fitted, training.seed, Stages(training)
        self.reported_targets = {key: target.without_smoothing() for key, target in fitted.targets.items()}

    def enter_stage(self, number: int) -> None:
        """Train what stage `number` trains, at its rates; steps are compiled anew, as they update other variables."""
        self.groups.train_only(self.stages.trained_groups(number))
        base, decay = float(self.stages.training.learning_rate), self.stages.layer_decay(number)
        set_factors(self.optimizer, self.groups.factors(self.stages.group_rates(number), base, decay))
        self.models = self.whole.on_features([key for key, one in self.whole.tuned.items() if not one.encoder.network.trainable_variables])
        augmentations = {key: column.augmentation for key, column in inputs_among(self.columns).items()}
        views = {key: one.spec.views for key, one in self.models.encoders.items()}
        self.augmentations = {key: one for key, one in augmentations.items() if one is not None and views.get(key, 2) > 1}
        specs = {key: column.spec for key, column in self.fitted.columns.items()}
        specs |= {key: one.spec for key, one in self.models.encoders.items()}
        self.mixing = None if self.mix is None else Mixing(self.mix, InputLayout(specs))
        members = {key: getattr(self.fitted.columns[key].spec, "most", 1) for key in self.augmentations}
        augmented = sum(members[key] * uniforms_for(one) for key, one in self.augmentations.items())
        self.uniform_columns = augmented + (self.mixing.uniforms if self.mixing else 0)
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
        balanced = next((key for key, target in self.fitted.targets.items() if target.is_sampled), None)
        sampler = None if balanced is None else BalancedSampler(arrays.targets[balanced][rows])
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
        losses = self._update({**batch, "inputs": self.augmented_inputs(batch)}, rates[0])
        return {key: loss[None] for key, loss in losses.items()}

    def _train_full(self, batch: Mapping[str, Any], rates: Any) -> dict[str, Any]:
        """Run `steps_per_call` steps. Images are augmented before: their resampling is compiled by itself, or is a GPU kernel."""
        losses: dict[str, Any] = self.update({**batch, "inputs": self.augmented_inputs(batch)}, rates)
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
            losses, auxiliary = self._all_losses(outputs, batch, self.fitted.targets)
            total = self._total(losses)
            balanced = total if self.models.uncertainty is None else self.models.uncertainty.total(tf.stack(self._weighted_losses(losses)))
            minimized = balanced + self.models.auxiliary * sum(auxiliary.values()) / len(auxiliary) if auxiliary else balanced
            # The identity, but in float16; `apply` divides the gradients again.
            scaled = self.optimizer.scale_loss(minimized)
        # Read while tracing: those that the current stage trains.
        variables = self.models.trained.trainable_variables
        gradients = self._balance_gradients(tape.gradient(scaled, variables), variables, outputs, batch)
        if self.reported_targets != self.fitted.targets or self.distillation is not None:
            answers = {part: values for part, values in batch.items() if part != "teacher"}
            if "other" in answers:
                answers["other"] = {part: values for part, values in batch["other"].items() if part != "teacher"}
            losses, auxiliary = self._all_losses(outputs, answers, self.reported_targets)
            total = self._total(losses)
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

    def augmented_inputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs of a batch with augmented images; a masked image stays all zeros, as in prediction."""
        inputs, first = dict(batch["inputs"]), 0
        for key, augment in self.augmentations.items():
            # Each image of a set has changes of its own.
            spec: Any = self.fitted.columns[key].spec.member  # of an image, as only images are augmented
            most = getattr(self.fitted.columns[key].spec, "most", 1)
            width = uniforms_for(augment)
            uniforms = tf.reshape(batch["uniforms"][:, first : first + most * width], (-1, width))
            first += most * width
            if key in self.models.encoders:
                inputs[key] = _one_view(inputs[key], uniforms[:, 0])
                continue
            inputs[key] = _augmented(inputs[key], inputs[f"{key}_present"], uniforms, augment, spec)
        return inputs

    def _all_losses(
        self, outputs: tuple[Any, Any, Any], batch: Mapping[str, Any], targets: Mapping[str, FittedTarget]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the loss of each target by the fused prediction, and the total loss of each branch alone; of `models.trained`."""
        fused, single, present = outputs
        alone = {branch: self._losses(raw, _weighted(batch, present[branch]), targets) for branch, raw in single.items()}
        losses, auxiliary = self._losses(fused, batch, targets), {branch: self._total(losses) for branch, losses in alone.items()}
        if "share" in batch:  # means over the rows of this worker, whose weighted sum over workers is the mean over all rows
            losses, auxiliary = tf.nest.map_structure(lambda loss: loss * batch["share"], (losses, auxiliary))
        return losses, auxiliary

    def _losses(self, raw: Mapping[str, Any], batch: Mapping[str, Any], by_key: Mapping[str, FittedTarget]) -> dict[str, Any]:
        """Return the loss of each target. Members of an ensemble are rows of their own, each with the truth and weight of its row."""
        if "other" in batch:
            # Of mixed rows, the loss of the other answer comes in addition.
            theirs = self._losses(raw, batch["other"], by_key)
            mine = self._losses(raw, {part: values for part, values in batch.items() if part != "other"}, by_key)
            return {key: loss + theirs[key] for key, loss in mine.items()}
        labels = {part: batch[part] for part in LABELS if part in batch}
        # Next to a branch with members, the head of a branch without them gives (batch, units).
        if self.models.members and not all(len(values.shape) == 2 for values in raw.values()):
            # Row 0 as often as there are members, then row 1: the order in which the reshape lays out (batch, members).
            repeats = self.models.members
            labels = {part: {key: tf.repeat(values[key], repeats, axis=0) for key in by_key} for part, values in labels.items()}
            raw = {key: tf.reshape(values, (-1, *values.shape[2:])) for key, values in raw.items()}
        return {key: self._loss(key, target, labels, raw[key]) for key, target in by_key.items()}

    def _loss(self, key: str, target: FittedTarget, labels: Mapping[str, Any], raw: Any) -> Any:
        """Return the loss of one target, with its part of the teacher where `labels` have its predictions."""
        truth, weight = labels["targets"][key], labels["weights"][key]
        if self.distillation is None or "teacher" not in labels:
            return target.loss(truth, raw, weight)
        return self.distillation.loss(target, truth, raw, weight, labels["teacher"][key])

    def _total(self, losses: Mapping[str, Any]) -> Any:
        """Return the weighted sum of the losses over targets."""
        return sum(self._weighted_losses(losses))

    def _weighted_losses(self, losses: Mapping[str, Any]) -> list[Any]:
        return [losses[key] * target.loss_weight for key, target in self.fitted.targets.items()]

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
            key: target.minimized(batch["targets"][key], raw[key]) * batch["weights"][key] for key, target in self.reported_targets.items()
        }
        return losses, {key: self.models.activations[key](raw[key]) for key in raw}


def _augmented(pixels: Any, present: Any, uniforms: Any, how: Augment, spec: Any) -> Any:
    """Return augmented images, (batch, height, width, channels) or sets of them, (batch, most, ...); absent ones stay all zeros."""
    images = tf.reshape(pixels, (-1, *spec.shape))
    changed = augment_images(images, uniforms, how, spec.levels)
    if len(pixels.shape) == 4:
        return tf.where(tf.reshape(present > 0, (-1, 1, 1, 1)), changed, images)
    shown = tf.reduce_max(tf.reshape(images, (tf.shape(images)[0], -1)), axis=1) > 0
    # An image that is changed to black is still there: its first value is not 0.
    first = tf.one_hot(0, spec.height * spec.width * spec.channels, dtype=images.dtype)
    changed = tf.where(shown[:, None, None, None], tf.maximum(changed, tf.reshape(first, (1, *spec.shape))), images)
    return tf.reshape(changed, (-1, *pixels.shape[1:]))


def _one_view(views: Any, uniforms: Any) -> Any:
    """Return views, (batch, views, width), that are all the one that a uniform number, (batch,), draws for each row."""
    count = views.shape[1]
    drawn = tf.minimum(tf.cast(uniforms * count, tf.int32), count - 1)
    return tf.repeat(tf.gather(views, drawn[:, None], batch_dims=1), count, axis=1)


def _weighted(batch: Mapping[str, Any], present: Any) -> dict[str, Any]:
    """Return the labels of a batch, with weight 0 in the rows where a branch is absent; `present` is (batch, 1)."""
    shown = tf.cast(present[:, 0] > 0, tf.float32)
    weighted = {**batch, "weights": {key: weights * shown for key, weights in batch["weights"].items()}}
    return {**weighted, "other": _weighted(batch["other"], present)} if "other" in batch else weighted


def _compile(function: Any, *signature: Any) -> Any:
    """Trace eagerly: otherwise TensorFlow warns about retracing when several models are trained in one process."""
    return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()
