"""`label_smoothing`: smoothed labels are minimized, and losses are reported without them."""

import numpy as np
import pytest
from tiny import mixed_table, ready, write_experiment

pytestmark = pytest.mark.usefixtures("tensorflow")

TREE = """
columns:
  age: {{role: numeric, missing: mask}}
  note: {{role: text, vectorize: tokens, max_length: 4, missing: mask}}
  sick: {{role: target, task: binary{smoothing}}}
  kind: {{role: target, task: multiclass{smoothing}}}
  tags: {{role: target, task: multilabel{smoothing}}}
branches: {{table: {{columns: [age], units: [6]}}, note: {{columns: [note], width: 4}}}}
fusion: {{units: [5], auxiliary: 0.3}}
training: {{batch_size: 20, optimizer: {{method: sgd, momentum: 0}}, weight_decay: 0}}
"""
ROWS = np.arange(20)


@pytest.fixture(scope="module")
def steps(tmp_path_factory, tensorflow):
    """A step without and one with smoothing, of networks with equal weights, and a batch."""
    from mmtrain.pipeline.build import assemble_network
    from mmtrain.training.device import prepare
    from mmtrain.training.step import TrainStep

    folder = tmp_path_factory.mktemp("smoothing")
    mixed_table(folder, len(ROWS), tags=lambda row: ";".join("ab"[: row % 3]))
    made = []
    for smoothing in ("", ", label_smoothing: 0.4"):
        one = ready(write_experiment(folder / "a.yaml", TREE.format(smoothing=smoothing)))
        prepare(3, deterministic=False, precision="float32")
        made.append(TrainStep(one.experiment.training, one.experiment.columns, one.fitted, assemble_network(one.experiment, one.fitted)))
    batch = {
        "inputs": one.arrays.take(ROWS),
        "targets": {key: values[ROWS] for key, values in one.arrays.targets.items()},
        "weights": {key: values[ROWS] for key, values in one.arrays.weights.items()},
    }
    return *made, tensorflow.nest.map_structure(tensorflow.constant, batch)


@pytest.mark.slow
def test_reported_losses_are_those_of_the_labels_themselves(steps):
    hard, smooth, batch = steps
    evaluated = [one.eval_step(batch)[0] for one in (hard, smooth)]
    assert all(np.allclose(evaluated[0][key], evaluated[1][key], atol=1e-6) for key in evaluated[0])
    raw = smooth.models.network(batch["inputs"], training=False)
    assert all(
        not np.allclose(target.minimized(batch["targets"][key], raw[key]), evaluated[1][key])
        for key, target in smooth.fitted.targets.items()
    )
    before = [[weight.numpy() for weight in one.variables] for one in (hard, smooth)]
    losses = [{name: float(loss) for name, loss in one._update(batch, 0.1).items()} for one in (hard, smooth)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert {"auxiliary_table", "auxiliary_note", "sick", "kind", "tags"} < set(losses[0])
    after = [[weight.numpy() for weight in one.variables] for one in (hard, smooth)]
    assert all(np.array_equal(*pair) for pair in zip(*before, strict=True))
    assert not all(np.allclose(*pair, atol=1e-5) for pair in zip(*after, strict=True))
