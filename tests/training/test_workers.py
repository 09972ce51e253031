"""The losses and gradients of the shares of a batch add up to those of the batch; what cannot be shared is refused."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import ready, two_blobs, write_experiment

from mmtrain.batches import Batches
from mmtrain.data.sampling import BalancedSampler
from mmtrain.errors import ConfigError
from mmtrain.layers.network import SharedNormalization
from mmtrain.pipeline.build import assemble_network
from mmtrain.pipeline.checks.shareable import batch_normalizations, check_network_shareable
from mmtrain.training.step import TrainStep

EXPERIMENT = {
    "columns": {
        "x": {"role": "numeric"},
        "w": {"role": "weight"},
        "z": {"role": "target", "task": "regression", "missing": "mask"},
        "y": {"role": "target", "task": "binary", "positive": "high", "loss_weight": 2.0, "sample": "balanced"},
    },
    "branches": {"table": {"columns": ["x"], "architecture": "mlp", "units": [4]}},
    "training": {"batch_size": 7},
}


@pytest.mark.parametrize(("workers", "place"), [(2, 0), (8, 0), (2, -1)], ids=["two", "more than rows", "last batch"])
def test_shares_add_up_to_the_batch(tmp_path, workers, place):
    # Three of seven answers of z are missing, and rows have weights.
    two_blobs(tmp_path, z=lambda row: row / 10 if row % 7 > 2 else "", w=lambda row: 1 + row % 3)
    one = ready(write_experiment(tmp_path / "one.yaml", EXPERIMENT))
    keras.utils.set_random_seed(1)
    steps = TrainStep(one.experiment.training, one.experiment.columns, one.fitted, assemble_network(one.experiment, one.fitted))

    def gradients(worker, count):
        rows = one.partition.train
        sampler = BalancedSampler(one.arrays.targets["y"][rows])
        batches = Batches(one.arrays, rows, 7, seed=0, sampler=sampler, worker=worker, workers=count)
        batch = list(batches.epoch(1))[place]
        share = {"share": tf.constant(batch.share)} if count > 1 else {}
        return steps._gradients({**tf.nest.map_structure(tf.constant, batch.tree()), **share})

    assert one.fitted.targets["z"].answered_share < 0.7
    whole = gradients(0, 1)
    shares = [gradients(worker, workers) for worker in range(workers)]  # with 8 workers, the last one has no row
    for expected, *parts in zip(tf.nest.flatten(whole), *map(tf.nest.flatten, shares), strict=True):
        np.testing.assert_allclose(np.sum([part.numpy() for part in parts], axis=0), expected.numpy(), rtol=1e-5, atol=1e-7)


def test_layers_and_tasks_that_need_the_whole_batch_are_refused():
    groups = {
        "branches.ours": [SharedNormalization()],
        "branches.theirs": [keras.layers.BatchNormalization()],
        "branches.frozen": [keras.layers.BatchNormalization(trainable=False)],
        "branches.theirs.head": [keras.layers.BatchNormalization()],
        "fusion": [keras.layers.Dense(1)],
    }
    assert batch_normalizations(SimpleNamespace(groups=groups)) == {"ours": True, "theirs": False}

    class Pairs:
        compares_rows = True

    data = SimpleNamespace(models=SimpleNamespace(groups=groups), fitted=SimpleNamespace(targets={"time": Pairs()}))
    experiment = SimpleNamespace(training=SimpleNamespace(jit="on"))
    with pytest.raises(ConfigError) as refused:
        check_network_shareable(experiment, data, lambda *keys: f"a.yaml: {'.'.join(keys)}")
    assert str(refused.value) == (
        "a.yaml: columns.time: the loss of its task compares the rows of a batch, which cannot be shared. Train it in one process.\n"
        "a.yaml: branches.theirs: its `keras.layers.BatchNormalization` would take the moments of each worker's rows. "
        "Use `mmtrain.layers.network.SharedNormalization`, or train it in one process.\n"
        "a.yaml: training.jit: XLA cannot compile the moments of a batch that several workers share. "
        "Set `jit: off`, or `normalization: none` in branches.ours."
    )
