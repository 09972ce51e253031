"""An ensemble of members inside a branch: fusion, heads and losses see each member as a row, predictions are their mean."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import mixed_table, ready, write_experiment

from mmtrain.errors import UsageError
from mmtrain.targets.numbers.number_transform import LogTransform, QuantileTransform

pytestmark = pytest.mark.usefixtures("tensorflow")

TREE = """
columns:
  age: {role: numeric, missing: mask, embed: piecewise_linear}
  sex: {role: categorical}
  note: {role: text, vectorize: tokens, max_length: 4, missing: mask}
  sick: {role: target, task: binary, class_weights: {yes: 3}}
  price: {role: target, task: regression, loss_weight: 2}
  kind: {role: target, task: multiclass}
branches:
  table: {columns: [age, sex], architecture: tabm, members: 3, units: [6], dropout: 0}
  note: {columns: [note], width: 4}
fusion: {method: attention, width: 8, units: [5]}
training: {optimizer: sgd}
"""
ROWS = np.arange(20)


@pytest.fixture(scope="module")
def material(tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("members")
    mixed_table(folder, len(ROWS), sex=lambda row: "fm"[row % 2])
    return ready(write_experiment(folder / "a.yaml", TREE))


@pytest.fixture(scope="module")
def models(material):
    return assembled(material)


def assembled(material):
    import keras

    from mmtrain.pipeline.build import assemble_network

    keras.utils.set_random_seed(1)
    return assemble_network(material.experiment, material.fitted)


def raw_values(models, material):
    return {key: values.numpy() for key, values in models.network(material.arrays.take(ROWS), training=False).items()}


def test_a_prediction_is_the_mean_of_the_predictions_of_its_members(material, models):
    raw = raw_values(models, material)
    assert {key: values.shape for key, values in raw.items()} == {"sick": (20, 3, 1), "price": (20, 3, 1), "kind": (20, 3, 3)}
    assert all(np.ptp(values, axis=1).min() > 1e-6 for values in raw.values())  # members differ in every row
    found = models.predictor(material.arrays.take(ROWS), training=False)
    for key, values in raw.items():
        members = np.stack([models.activations[key](values[:, member]).numpy() for member in range(3)], axis=1)
        assert np.allclose(found[key], members.mean(axis=1), rtol=1e-5, atol=1e-6), key
        assert np.allclose(models.activations[key](models.mean_raw(raw)[key]), found[key], rtol=1e-5), key


@pytest.mark.parametrize(
    ("transform", "apart", "digits"),
    [
        (LogTransform(shift=1.0, low=0.0, high=9.0), 1.0, 1e-5),
        (LogTransform(shift=1.0, low=0.0, high=4.0), 9.0, 1e-5),  # some members are beyond the training answers
        (QuantileTransform(answers=(0.0, 1.0, 9.0, 1000.0), quantiles=(-2.0, -0.5, 0.5, 2.0)), 1.0, 1e-4),
    ],
)
def test_members_of_a_transformed_number_are_averaged_in_its_own_unit(transform, apart, digits):
    import keras

    from mmtrain.model.ensemble import Ensemble

    activation = transform.inverse(0.3, 0.8, "prediction")
    mean = Ensemble.mean(activation, "mean")
    raw = apart * np.random.default_rng(0).normal(size=(50, 3, 1)).astype(np.float32)
    expected = np.mean([activation(raw[:, member]).numpy() for member in range(3)], axis=0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(mean))
    for layer in (mean, again):
        assert np.allclose(activation(layer(raw)), expected, rtol=digits, atol=1e-4)
    assert not np.allclose(activation(raw.mean(axis=1)), expected, rtol=0.01)


def test_the_loss_is_the_mean_of_the_losses_of_the_members(material, models):
    from mmtrain.training.step import TrainStep

    steps = TrainStep(material.experiment.training.without_trial(), material.experiment.columns, material.fitted, models)
    batch = {"targets": material.arrays.targets, "weights": material.arrays.weights}
    raw = raw_values(models, material)
    found = steps.losses.by_target(raw, batch)
    for key, target in material.fitted.targets.items():
        members = [target.loss(batch["targets"][key], raw[key][:, member], batch["weights"][key]).numpy() for member in range(3)]
        assert len({round(float(loss), 6) for loss in members}) == 3
        assert found[key].numpy() == pytest.approx(np.mean(members), rel=1e-5), key


@pytest.mark.slow  # tests/pipeline/test_column_encoders.py trains members
def test_a_step_trains_and_validation_scores_the_mean(material):
    from mmtrain.training.step import TrainStep
    from mmtrain.training.validation import predict_rows

    models = assembled(material)
    steps = TrainStep(material.experiment.training.without_trial(), material.experiment.columns, material.fitted, models)
    losses, predictions = predict_rows(steps, material.arrays, ROWS)
    assert {key: values.shape for key, values in losses.items()} == dict.fromkeys(material.fitted.targets, (20,))
    assert np.allclose(predictions["kind"], models.predictor(material.arrays.take(ROWS), training=False)["kind"], atol=1e-6)
    probability = predictions["kind"][np.arange(20), material.arrays.targets["kind"]]
    assert np.allclose(losses["kind"], -np.log(probability), atol=1e-5)
    for batch, _ in zip(steps.batches(material.arrays, ROWS).epoch(0), range(2), strict=False):
        steps.train(batch, [0.01])
    assert not np.allclose(predict_rows(steps, material.arrays, ROWS)[1]["kind"], predictions["kind"], atol=1e-4)


@pytest.mark.slow
def test_saved_network_and_its_halves_say_the_same(material, models, tmp_path):
    import keras

    from mmtrain.model import model_file
    from mmtrain.model.branch_features import SplitPredictor

    models.end_to_end.save(tmp_path / "model.keras")
    predictor = model_file.parts(keras.models.load_model(tmp_path / "model.keras", safe_mode=True))[1]
    expected = {key: values.numpy() for key, values in models.predictor(material.arrays.take(ROWS), training=False).items()}
    halves = SplitPredictor(predictor, material.experiment.branches, material.experiment.columns, material.fitted)
    features = halves.features(material.arrays, ROWS)
    assert features.values["table"].shape == (20, 3, 6 + 32)  # next to the members' vectors, the linear path
    for found in (predictor(material.arrays.take(ROWS), training=False), halves.predictions(features)):
        for key, values in expected.items():
            assert np.allclose(found[key], values, rtol=1e-5, atol=1e-6), key
    absent = halves.predictions(features.without("table"))
    hidden = material.arrays.take(ROWS)
    hidden = {name: np.zeros_like(values) if name in ("age_present", "sex_present") else values for name, values in hidden.items()}
    assert np.allclose(absent["price"], models.predictor(hidden, training=False)["price"], rtol=1e-5)


@pytest.mark.slow
def test_raw_values_of_members_are_float32_in_mixed_precision(material):
    import keras

    from mmtrain.fusions import fusions
    from mmtrain.training.step import TrainStep

    section = fusions["concatenate"].section(method="concatenate", auxiliary=0.3)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        models = assembled(replace(material, experiment=material.experiment.model_copy(update={"fusion": section})))
    finally:
        keras.config.set_dtype_policy(before)
    assert models.network.get_layer("fusion").output.dtype == "bfloat16"
    raw, single, _ = models.trained.output
    assert {tensor.dtype for tensor in keras.tree.flatten([raw, single, models.predictor.output])} == {"float32"}
    steps = TrainStep(material.experiment.training.without_trial(), material.experiment.columns, material.fitted, models)
    batch = {"inputs": material.arrays.take(ROWS), "targets": material.arrays.targets, "weights": material.arrays.weights}
    assert all(np.isfinite(loss.numpy()) for loss in steps._update(batch, 0.01).values())


def test_branches_with_different_numbers_of_members_are_refused(material):
    from mmtrain.model.ensemble import Ensemble

    assert Ensemble.of({"a": 0, "b": 0}).members == 0
    assert Ensemble.of({"a": 4, "b": 0, "c": 4}).members == 4
    with pytest.raises(UsageError, match=r"branches have different numbers of members: a 4 and c 8\. Give them the same number"):
        Ensemble.of({"a": 4, "b": 0, "c": 8})
