"""Distillation: the distance from a teacher's prediction of every task, and its part in the loss of a row."""

import numpy as np
import pytest
import tensorflow as tf

from mmtrain.batches import Batches
from mmtrain.data.arrays import Arrays
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.regression import FittedRegression
from mmtrain.training.distillation import Distillation

NUMBER = FittedRegression(column="y", loss_weight=1, center=10, scale=2, minimum=0, maximum=20, error="squared")
BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
CLASSES = FittedMulticlass(column="y", loss_weight=1, classes=("a", "b", "c"), counts=(1, 1, 1), weights=(1, 1, 1))
LABELS = FittedMultilabel(
    column="y", loss_weight=1, labels=("a", "b"), one_column_each=False, separator=";", rows=2, counts=(1, 1), weights=(1, 1)
)
EXAMPLES = {
    "binary": (BINARY, [[0.8]], [[np.log(4.0)]]),
    "multiclass": (CLASSES, [[0.2, 0.5, 0.3]], np.log([[0.2, 0.5, 0.3]])),
    "multilabel": (LABELS, [[0.5, 0.2]], [[0.0, -np.log(4.0)]]),
    "regression": (NUMBER, [[13.0]], [[1.5]]),
}
"""By task: a target, the prediction of a teacher, and the raw values that give it."""


def tensor(values):
    return tf.constant(np.asarray(values), tf.float32)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("task", list(EXAMPLES))
def test_distance_is_smallest_at_the_prediction_of_the_teacher(task, temperature):
    target, teacher, raw = EXAMPLES[task]
    with tf.GradientTape() as tape:
        tape.watch(at := tensor(raw))
        distance = target.distillation_loss(tensor(teacher), at, temperature)
    assert distance.shape == (1,)
    np.testing.assert_allclose(tape.gradient(distance, at), np.zeros_like(raw), atol=1e-5)
    other = np.asarray(raw) + np.linspace(0.5, 0.9, np.size(raw)).reshape(np.shape(raw))
    assert target.distillation_loss(tensor(teacher), tensor(other), temperature)[0] > distance[0]


def test_softened_cross_entropy_has_the_value_of_the_paper():
    """Hinton et al. 2015: softmax(logits / T) of both, times T squared."""
    soft = np.exp(np.log([0.2, 0.5, 0.3]) / 2) / np.exp(np.log([0.2, 0.5, 0.3]) / 2).sum()
    student = np.exp(np.array([1.0, 0.0, -1.0]) / 2) / np.exp(np.array([1.0, 0.0, -1.0]) / 2).sum()
    expected = -4 * (soft * np.log(student)).sum()
    assert CLASSES.distillation_loss(tensor([[0.2, 0.5, 0.3]]), tensor([[1, 0, -1]]), 2.0).numpy()[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_certain_teachers_give_finite_losses_and_gradients(probability):
    for target, teacher in ((BINARY, [[probability]]), (CLASSES, [[probability, 1 - probability, 0.0]])):
        with tf.GradientTape() as tape:
            tape.watch(raw := tensor(np.full((1, len(teacher[0])), 30.0)))
            loss = target.distillation_loss(tensor(teacher), raw, 1.0)
        assert np.isfinite(loss).all() and np.isfinite(tape.gradient(loss, raw)).all()


def test_rows_without_a_teacher_learn_their_answer_alone():
    teacher = np.array([[0.8], [np.nan]], np.float32)
    taught = Distillation({"y": teacher}, weight=0.75, temperature=2.0)
    truth, weight = tf.constant([1, 0]), tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(raw := tensor([[0.3], [0.7]]))
        loss = taught.loss(BINARY, truth, raw, weight, tensor(teacher))
    answer = BINARY.minimized(truth, raw).numpy()
    distance = BINARY.distillation_loss(tensor([[0.8]]), raw[:1], 2.0).numpy()[0]
    assert loss.numpy() == pytest.approx((0.25 * answer[0] + 0.75 * distance + 2 * answer[1]) / 2, rel=1e-5)
    assert np.isfinite(tape.gradient(loss, raw)).all()


def test_each_row_of_a_batch_has_its_own_teacher():
    """Numbers of rows as the teacher's predictions: in any order of the epoch they are those of the batch."""
    arrays = Arrays({}, {}, {"y": np.arange(50)}, {"y": np.ones(50, np.float32)})
    teacher = {"y": np.arange(50, dtype=np.float32)[:, None]}
    rows = np.arange(5, 45)
    for batch in Batches(arrays, rows, 8, seed=3, teacher=teacher).epoch(2):
        assert batch.tree()["teacher"]["y"][:, 0].tolist() == batch.rows.tolist()
    assert "teacher" not in next(Batches(arrays, rows, 8, seed=3).epoch(2)).tree()
