"""On-the-fly gradient modulation: branches that are ahead of the others learn more slowly (OGM-GE, Peng et al. 2022, arXiv:2203.15332).

The confidence of a branch in a batch is the mean of exp(-loss) of its own head over the rows that have the branch; for classes that is
the probability of the true one, as in the paper, and a number has a Gaussian around the answer. The ratio of a branch is its confidence
over the mean of the others', which for two branches is the ratio of the paper; above 1 the gradients of the branch are multiplied by
1 - tanh(strength * ratio). `ogm_ge` also adds noise with the standard deviation of each gradient to those of matrices and filters, which
the paper found to generalize better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from mmtrain.model.models import Models
from mmtrain.targets import FittedTarget


class GradientBalance:
    """The modulation of one network's gradients. It has no state: noise follows from the seed and the step, so a resumed run repeats it."""

    def __init__(self, models: Models, variables: Sequence[Any], seed: int) -> None:
        self.models, self.seed = models, seed
        self.noise = models.balance == "ogm_ge"
        places = {id(variable): number for number, variable in enumerate(variables)}
        self._places = {
            branch: [places[id(variable)] for layer in models.groups[f"branches.{branch}"] for variable in layer.trainable_weights]
            for branch in models.branches
        }

    def modulate(self, gradients: Sequence[Any], factors: Mapping[str, Any], step: Any) -> list[Any]:
        """Return the gradients of all variables, those of each branch times its factor; `step` is a number that no step repeats."""
        changed = list(gradients)
        for branch, places in self._places.items():
            for place in places:
                if changed[place] is not None:  # a weight that no loss of this network reaches
                    changed[place] = self._modulate(changed[place], factors[branch], tf.stack([(self.seed + place) % 2**31, step]))
        return changed

    def _modulate(self, gradient: Any, factor: Any, seed: Any) -> Any:
        if isinstance(gradient, tf.IndexedSlices):  # of an embedding: the rows that the batch looked up
            return tf.IndexedSlices(self._modulate(gradient.values, factor, seed), gradient.indices, gradient.dense_shape)
        changed = gradient * tf.cast(factor, gradient.dtype)
        if not self.noise or len(gradient.shape) < 2:
            return changed
        noise = tf.random.stateless_normal(tf.shape(gradient), seed, dtype=gradient.dtype)
        return changed + noise * tf.math.reduce_std(gradient)

    def factors(
        self,
        single: Mapping[str, Mapping[str, Any]],
        present: Mapping[str, Any],
        batch: Mapping[str, Any],
        targets: Mapping[str, FittedTarget],
    ) -> dict[str, Any]:
        """Return the factor of each branch, from the raw values of its head and its presence, (batch, 1), in this batch."""
        shown = {branch: tf.cast(present[branch][:, 0] > 0, tf.float32) for branch in single}
        confidence = {branch: self._confidence(of_targets, shown[branch], batch, targets) for branch, of_targets in single.items()}
        seen = {branch: tf.cast(tf.reduce_any(rows > 0), tf.float32) for branch, rows in shown.items()}
        total, count = sum(confidence.values()), sum(seen.values())
        factors = {}
        for branch, value in confidence.items():
            others = tf.math.divide_no_nan(total - value, count - seen[branch])  # 0 where no row of the batch has another branch
            ratio = tf.math.divide_no_nan(value, others)
            factors[branch] = tf.where(ratio > 1, 1 - tf.tanh(self.models.balance_strength * ratio), 1.0)
        return factors

    def _confidence(self, raw: Mapping[str, Any], shown: Any, batch: Mapping[str, Any], targets: Mapping[str, FittedTarget]) -> Any:
        """Return the mean of exp(-loss) over the rows with a known answer and the branch, and over targets; 0 without such rows."""
        means = []
        for key, target in targets.items():
            # Members of an ensemble answer by their mean, as in prediction.
            values = self.models.means[key](raw[key]) if len(raw[key].shape) > 2 else raw[key]
            rows = shown * tf.cast(batch["weights"][key] > 0, tf.float32)
            confidence = tf.where(rows > 0, tf.exp(-target.row_loss(target.without_gaps(batch["targets"][key]), values)), 0.0)
            means.append(tf.math.divide_no_nan(tf.reduce_sum(confidence), tf.reduce_sum(rows)))
        return sum(means) / len(means)
