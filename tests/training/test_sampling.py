"""Balanced epochs: how often each row is visited, how the epochs go on from each other, and what the targets know of it."""

from types import SimpleNamespace

import numpy as np
import pytest
from tiny import ready, write_experiment, write_table

from mmtrain.batches import Batches
from mmtrain.config import load
from mmtrain.data.sampling import BalancedSampler, repetitions
from mmtrain.errors import ConfigError
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.training import validation
from mmtrain.training.workers.collective import Alone

CODES = np.array([0] * 50 + [1] * 9 + [2] + [-1] * 5)


def test_an_epoch_visits_every_class_equally_often_and_rows_without_an_answer_once():
    sampler = BalancedSampler(CODES)
    assert len(sampler) == 3 * 20 + 5
    for epoch in range(1, 5):
        positions = sampler.positions(7, epoch)
        assert len(positions) == len(sampler)
        assert np.bincount(CODES[positions] + 1).tolist() == [5, 20, 20, 20]
        assert sorted(positions[CODES[positions] < 0]) == list(range(60, 65))


def test_over_the_epochs_all_rows_of_a_class_are_visited_equally_often():
    sampler = BalancedSampler(CODES)
    for epochs in (1, 2, 5, 9):
        times = np.bincount(np.concatenate([sampler.positions(7, epoch) for epoch in range(1, epochs + 1)]), minlength=65)
        for code in range(3):
            assert np.ptp(times[code == CODES]) <= 1
    # Five epochs of 20 visits are two passes through the 50 rows.
    times = np.bincount(np.concatenate([sampler.positions(7, epoch) for epoch in range(1, 6)]), minlength=65)
    assert set(times[CODES == 0]) == {2}


def test_an_epoch_is_a_function_of_seed_and_number():
    sampler = BalancedSampler(CODES)
    assert (sampler.positions(7, 3) == BalancedSampler(CODES).positions(7, 3)).all()
    assert (sampler.positions(7, 3) != sampler.positions(8, 3)).any()
    assert sampler.positions(0, 1)[:10].tolist() == PINNED


PINNED = [18, 57, 53, 59, 3, 59, 26, 58, 1, 56]


def test_a_row_that_comes_again_is_counted():
    assert repetitions(np.array([4, 2, 4, 4, 2, 9])).tolist() == [0, 0, 1, 2, 1, 0]
    assert repetitions(np.array([], dtype=np.int64)).tolist() == []


TREE = """
columns: {{x: {{role: numeric}}, group: {{role: group}}, y: {{role: target, task: binary, {options}}}}}
training: {{epochs: 2, batch_size: 8}}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sampling")
    rows = [{"x": row, "y": "ill" if row % 10 == 0 else "well", "group": f"g{row // 4}"} for row in range(200)]
    write_table(folder / "table.csv", rows)
    write_experiment(folder / "a.yaml", TREE.format(options="sample: balanced"))
    return folder


def test_batches_draw_training_rows_alone_and_augment_repeated_rows_differently(place):
    encoded = ready(place / "a.yaml")
    train = encoded.partition.train
    truth = encoded.arrays.targets["y"]
    batches = Batches(encoded.arrays, train, 8, 0, 3, sampler=BalancedSampler(truth[train]))
    drawn = list(batches.epoch(1))
    rows, uniforms = np.concatenate([one.rows for one in drawn]), np.concatenate([one.uniforms for one in drawn])
    assert set(rows) <= set(train)
    assert len(rows) == batches.visits == len(train) // 2 * 2
    assert np.bincount(truth[rows]).tolist() == [len(rows) // 2] * 2
    assert len({tuple(one) for one in uniforms.tolist()}) == len(rows)
    # Entered in the middle, an epoch goes on with the same rows and numbers.
    rest = list(batches.epoch(1, start=3))
    assert np.concatenate([one.rows for one in rest]).tolist() == rows[24:].tolist()
    assert (np.concatenate([one.uniforms for one in rest]) == uniforms[24:]).all()


def test_decisions_know_that_classes_were_drawn_equally_often(place):
    target = ready(place / "a.yaml").fitted.targets["y"]
    assert (target.is_sampled, target.balance) == (True, "balanced sampling")
    counts, own = (90, 9, 1), {"column": "y", "loss_weight": 1, "classes": ("a", "b", "c"), "weights": (1, 1, 1), "sample": "balanced"}
    given = FittedMulticlass(counts=counts, prior=(0.9, 0.09, 0.01), **own)
    assert given.decision_factors == pytest.approx([1, 0.1, 0.01 / 0.9])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "sample: balanced, class_weights: effective",
            "columns.y.sample: `class_weights` and `sample: balanced` both correct for how often classes occur. Leave one of them out.",
        ),
        ("sample: balanced, loss: logit_adjusted", "columns.y.sample: `loss: logit_adjusted` and `sample: balanced` both correct"),
        ("sample: equal", "columns.y.sample: expected all or balanced; found 'equal'."),
    ],
)
def test_a_sampling_that_corrects_twice_is_refused(tmp_path, options, message):
    write_experiment(tmp_path / "a.yaml", TREE.format(options=options))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")
    assert message in str(caught.value)


def test_validation_losses_weigh_classes_as_epochs_draw_them(place, monkeypatch):
    encoded = ready(place / "a.yaml")
    rows, truth, target = encoded.partition.validation, encoded.arrays.targets["y"], encoded.fitted.targets["y"]
    rare = list(target.classes).index("ill")
    # A network that is right about the frequent class and always wrong about the rare one.
    answers = {"y": (truth[rows] == rare).astype(np.float32)}, {"y": np.full((len(rows), 1), 0.5, np.float32)}
    monkeypatch.setattr(validation, "predict_rows", lambda *_: answers)
    data = SimpleNamespace(
        training=encoded.experiment.training, fitted=encoded.fitted, arrays=encoded.arrays, partition=encoded.partition, workers=Alone()
    )
    found = validation.Validation(data, None, lambda _: None, "a.yaml").scores(1, None)["validation_loss"]
    trained = truth[encoded.partition.train]
    assert found == pytest.approx(len(trained) / 2 / (trained == rare).sum() * (truth[rows] == rare).mean())
