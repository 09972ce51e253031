"""mixup and cutmix: shares, mixed inputs of every kind, losses of both answers, and batches that stay exact."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tiny import paint, ready, write_experiment, write_table

from mmtrain.config.sections.mixing import Mix
from mmtrain.data.counter_rng import uniform
from mmtrain.input_layout import InputLayout
from mmtrain.pipeline.build import assemble_network
from mmtrain.specs import ImageSpec, SequenceSpec, SetSpec
from mmtrain.training.augmentation.mixing import Mixing, beta_quantiles
from mmtrain.training.step import TrainStep

TREE = """
columns:
  scan: {role: image, size: [8, 8], channels: 1}
  x: {role: numeric, missing: mask}
  z: {role: numeric}
  kind: {role: categorical}
  note: {role: text, vectorize: tokens, max_length: 3}
  y: {role: target, task: binary, missing: mask}
  amount: {role: target, task: regression, missing: mask}
branches:
  scan: {columns: [scan], architecture: cnn, filters: [2]}
  table: {columns: [x, z, kind], units: [4]}
  note: {columns: [note], width: 4}
training: {batch_size: 16, steps_per_call: 2, jit: 'off'}
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixing")
    rows = []
    for row in range(64):
        paint(folder / f"{row}.png", 4 * row)
        rows.append(
            {
                "scan": f"{row}.png",
                "x": "" if row % 5 == 0 else row,
                "z": -row,
                "kind": "abcd"[row % 4],
                "note": f"w{row % 8}",
                "y": ("no", "yes")[row % 2] if row % 3 else "",
                "amount": row if row % 7 else "",
            }
        )
    write_table(folder / "table.csv", rows)
    return ready(write_experiment(folder / "a.yaml", TREE))


def batch_of(material, mixing, rows=16):
    taken = material.partition.train[:rows]
    batch = {
        "inputs": material.arrays.take(taken),
        "targets": {key: values[taken] for key, values in material.arrays.targets.items()},
        "weights": {key: values[taken] for key, values in material.arrays.weights.items()},
        "uniforms": uniform(0, 1, taken, mixing.uniforms),
    }
    return tf.nest.map_structure(tf.constant, batch)


def mixing_of(material, **options):
    return Mixing(Mix(**options), InputLayout({key: column.spec for key, column in material.fitted.columns.items()}))


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 3.0])
def test_shares_have_a_beta_distribution(alpha):
    quantiles = beta_quantiles(alpha, 1025)
    assert len(quantiles) == 1025
    # The right half is the mirror image, where float64 cannot tell quantiles near 1 apart.
    assert stats.beta(alpha, alpha).cdf(quantiles[:513]) == pytest.approx(np.linspace(0, 0.5, 513), abs=2e-4)
    assert quantiles == pytest.approx(1 - quantiles[::-1])


def test_mixup_takes_means_of_pixels_and_numbers_and_exchanges_columns(material):
    mixing = mixing_of(material, method="mixup", alpha=1.0)
    batch = batch_of(material, mixing)
    mixed = tf.nest.map_structure(lambda one: one.numpy(), mixing.apply(batch))
    before = tf.nest.map_structure(lambda one: one.numpy(), batch)
    share = np.interp(before["uniforms"][:, 1], np.linspace(0, 1, 1025), beta_quantiles(1.0, 1025))
    own, other = before["inputs"]["scan"].astype(float), np.roll(before["inputs"]["scan"], 1, axis=0).astype(float)
    weighted = share[:, None, None, None] * own + (1 - share[:, None, None, None]) * other
    assert np.abs(mixed["inputs"]["scan"] - weighted).max() <= 0.51
    assert mixed["inputs"]["scan"].dtype == np.uint8
    numbers, shown = before["inputs"]["numbers"], before["inputs"]["numbers_present"]
    both = (shown > 0) & (np.roll(shown, 1, axis=0) > 0)
    expected = np.where(both, share[:, None] * numbers + (1 - share[:, None]) * np.roll(numbers, 1, axis=0), numbers)
    assert mixed["inputs"]["numbers"] == pytest.approx(expected, abs=1e-5)
    assert (mixed["inputs"]["numbers_present"] == shown).all()
    for name in ("kind", "note"):
        codes = before["inputs"][name]
        is_own, is_other = (mixed["inputs"][name] == codes).all(axis=1), (mixed["inputs"][name] == np.roll(codes, 1, axis=0)).all(axis=1)
        assert (is_own | is_other).all()
        assert not is_own.all()


def test_cutmix_replaces_a_rectangle_whose_area_is_the_share_of_the_other_answer(material):
    mixing = mixing_of(material, method="cutmix")
    batch = batch_of(material, mixing)
    mixed = mixing.apply(batch)
    own, other = batch["inputs"]["scan"].numpy(), np.roll(batch["inputs"]["scan"].numpy(), 1, axis=0)
    new = mixed["inputs"]["scan"].numpy()
    assert ((new == own) | (new == other)).all()
    replaced = (new == other).mean(axis=(1, 2, 3))
    weights = batch["weights"]["amount"].numpy()
    left = mixed["weights"]["amount"].numpy()[weights > 0] / weights[weights > 0]
    assert np.abs(1 - left - replaced[weights > 0]).max() < 0.15  # whole pixels of a side of 8
    assert 0.2 < replaced.mean() < 0.6


def test_series_and_sets_are_exchanged_as_a_whole():
    """Members of a set and steps of a series are not of one place in two rows: their means would be of unlike things."""
    specs = {"series": SequenceSpec(length=3, channels=1), "views": SetSpec(ImageSpec(4, 4, 1), most=2)}
    mixing = Mixing(Mix(method="mixup", alpha=1.0), InputLayout(specs))
    assert mixing.exchanged == ["series", "views"]
    rows = np.arange(8, dtype=np.float32)
    inputs = {
        "series": np.tile(rows[:, None, None], (1, 3, 2)),
        "views": np.tile(rows[:, None, None, None, None], (1, 2, 4, 4, 1)).astype(np.uint8),
    }
    inputs |= {f"{name}_present": np.ones((8, 1), np.float32) for name in specs}
    batch = {"inputs": inputs, "targets": {}, "weights": {}, "uniforms": uniform(0, 1, np.arange(8), mixing.uniforms)}
    mixed = mixing.apply(tf.nest.map_structure(tf.constant, batch))["inputs"]
    for name in specs:
        first = mixed[name].numpy().reshape(8, -1)
        assert (first == first[:, :1]).all()
        assert set(np.abs(first[:, 0] - rows)) <= {0, 1, 7}


def test_rows_that_are_not_mixed_stay_as_they_are(material):
    mixing = mixing_of(material, method="cutmix", probability=1e-9)
    batch = batch_of(material, mixing)
    mixed = mixing.apply(batch)
    for name, values in batch["inputs"].items():
        assert (mixed["inputs"][name].numpy() == values.numpy()).all()
    assert (mixed["weights"]["y"].numpy() == batch["weights"]["y"].numpy()).all()
    assert not mixed["other"]["weights"]["y"].numpy().any()


@pytest.fixture(scope="module")
def steps(material):
    training = material.experiment.training.with_settings(mix=Mix(method="mixup", alpha=1.0))
    return TrainStep(training, material.experiment.columns, material.fitted, assemble_network(material.experiment, material.fitted))


def test_the_loss_is_that_of_both_answers_by_their_shares(material, steps):
    batch = batch_of(material, steps.mixing)
    mixed = steps.mixing.apply(batch)
    raw = steps.models.trained(mixed["inputs"], training=False)
    losses = {key: float(loss) for key, loss in steps.losses.by_target(raw, mixed).items()}
    share = np.interp(batch["uniforms"].numpy()[:, 1], np.linspace(0, 1, 1025), beta_quantiles(1.0, 1025))
    for key, target in steps.fitted.targets.items():
        truth, weight = batch["targets"][key], batch["weights"][key].numpy()
        mine = target.minimized(truth, raw[key]).numpy() * weight * share
        theirs = target.minimized(tf.roll(truth, 1, axis=0), raw[key]).numpy() * np.roll(weight, 1) * (1 - share)
        assert losses[key] == pytest.approx((mine + theirs).mean() / target.answered_share, rel=1e-4)


@pytest.mark.slow
def test_steps_of_one_call_are_mixed_within_their_own_batches(material, steps):
    taken = material.partition.train[:32]
    both = next(steps.batches(material.arrays, taken).epoch(1))
    assert both.steps == 2
    losses = steps.train(both, [0.0, 0.0])["loss"].numpy()
    singly = steps._train_one
    for number, loss in enumerate(losses):
        part = slice(16 * number, 16 * (number + 1))
        one = tf.nest.map_structure(lambda values, part=part: values[part], both.tree())
        assert float(singly(one, tf.constant([0.0]))["loss"][0]) == pytest.approx(float(loss), rel=1e-5)
