"""`fusion: auto`: a short training with each of some fusions, compared on validation rows.

Each candidate is trained for the same few epochs, with the same seed, on a network that is thrown away. Another method than the first one
is taken only if its loss on validation rows is lower beyond noise: by the two-sided test of paired differences, corrected for the number
of candidates (Bonferroni). Most differences between fusions are noise, and the best of five at random would be worse than the plain one.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from mmtrain.config.sections.training import Training
from mmtrain.data.arrays import Array, Arrays
from mmtrain.errors import listed
from mmtrain.fusions import FusionSection, fusions
from mmtrain.splits.plan import Partition
from mmtrain.training.device import forget_networks, prepare
from mmtrain.training.step import TrainStep
from mmtrain.training.validation import predict_rows

EPOCHS = 3
"""Epochs of each candidate: the six methods of `fusion: auto` cost as much as 18 epochs of a training."""
SIGNIFICANCE = 0.05

Losses = np.ndarray[tuple[int], np.dtype[np.float64]]


def candidates(section: FusionSection) -> list[FusionSection]:
    """Return the fusion and those of its `trial`, with the options that every fusion has; those of one method keep their defaults."""
    common = {name: getattr(section, name) for name in section.model_fields_set & FusionSection.model_fields.keys() - {"method", "trial"}}
    others = [name for name in dict.fromkeys(section.trial) if name != section.method]
    return [section.model_copy(update={"trial": ()}), *(fusions[name].section(method=name, **common) for name in others)]


def choose_fusion(
    section: FusionSection,
    training: Training,
    make_step: Callable[[FusionSection, Training], TrainStep],
    arrays: Arrays,
    partition: Partition,
    groups: Array | None,
) -> tuple[FusionSection, str]:
    """Return the chosen fusion, without a `trial`, and the sentence that says why. Call `device.prepare` afterwards.

    Args:
        section: The fusion that is kept unless another one is better, with the methods of its `trial`.
        training: Settings of the training; open ones have their defaults in the trial.
        make_step: Assembles a network with a fusion and fresh weights.
        arrays: The encoded table.
        partition: Training and validation rows.
        groups: (rows of the table,) codes of rows that belong together and count as one observation; None for none.
    """
    untuned = training.with_settings(jit="off", steps_per_call=1).without_trial()
    codes = None if groups is None else groups[partition.validation]
    sections = candidates(section)
    losses = []
    for one in sections:
        forget_networks()
        prepare(untuned.seed, deterministic=untuned.deterministic, precision=untuned.precision)
        losses.append(_validation_losses(make_step(one, untuned), float(untuned.learning_rate), arrays, partition))
    best = best_candidate(losses, codes)
    means = [f"{one.method} {mean.mean():.4g}" for one, mean in zip(sections, losses, strict=True)]
    verdict = "lower than that of" if best else "not higher beyond noise than that of"
    others = sections[0].method if best else "the others"
    what = f"validation loss after at most {EPOCHS} epochs: {listed(means, most=20)}"
    return sections[best], f"fusion {sections[best].method}: its loss is {verdict} {others}{' beyond noise' if best else ''} ({what})"


def best_candidate(losses: list[Losses], groups: Array | None) -> int:
    """Return the position of the lowest mean loss among candidates that are better than the first beyond noise; else 0.

    Where the first has diverged, every candidate that has not is better.
    """
    if len(losses) < 2:
        return 0
    finite = [bool(np.isfinite(one).all()) for one in losses]
    if not finite[0]:
        return int(np.argmin([one.mean() if whole else np.inf for one, whole in zip(losses, finite, strict=True)]))
    needed = NormalDist().inv_cdf(1 - SIGNIFICANCE / 2 / (len(losses) - 1))
    better = {}
    for number, other in enumerate(losses[1:], start=1):
        if not finite[number]:  # it diverged
            continue
        gains = losses[0] - other
        total = gains if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], weights=gains)
        error = float(np.sqrt(len(total)) * total.std(ddof=1)) if len(total) > 1 else np.inf
        if gains.sum() > needed * error:
            better[number] = float(gains.sum())
    return max(better, key=better.__getitem__, default=0)


def _validation_losses(steps: TrainStep, rate: float, arrays: Arrays, partition: Partition) -> Losses:
    """Train for `EPOCHS` and return the loss of each validation row, summed over targets, after the epoch with the lowest mean."""
    batches, best = steps.batches(arrays, partition.train), np.full(len(partition.validation), np.inf)
    for epoch in range(1, EPOCHS + 1):
        for batch in batches.epoch(epoch):
            steps.train(batch, [rate])
        losses = np.zeros(len(partition.validation))
        for key, loss in predict_rows(steps, arrays, partition.validation)[0].items():
            target = steps.fitted.targets[key]
            known = target.known_rows(arrays.targets[key][partition.validation])
            losses += target.loss_weight * np.where(known, loss.astype(np.float64), 0)
        if losses.mean() < best.mean():
            best = losses
    return best
