"""A predictor that answers with a single branch: everywhere the same predictions, and the fused one in rows without the branch."""

import json

import numpy as np
import pytest
from test_members import ROWS, TREE
from tiny import mixed_table, ready, two_blobs, write_experiment

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.fixture(scope="module")
def material(tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("answers")
    mixed_table(folder, len(ROWS), sex=lambda row: "" if row % 5 == 0 else "fm"[row % 2])
    return ready(write_experiment(folder / "a.yaml", TREE), ["fusion.auxiliary=0.3", "columns.sex.missing=mask"])


@pytest.fixture(scope="module")
def answers(material):
    import keras

    from mmtrain.model.branch_answers import BranchAnswers
    from mmtrain.pipeline.build import assemble_network

    keras.utils.set_random_seed(1)
    return BranchAnswers(assemble_network(material.experiment, material.fitted), material.fitted)


@pytest.fixture(scope="module")
def chosen(answers):
    return answers.choose({"price": "table", "kind": "note"})


def arrays_of(tensors):
    return {key: values.numpy() for key, values in tensors.items()}


@pytest.mark.slow
def test_predictions_of_branches_are_those_of_their_heads_and_the_fused_ones_elsewhere(material, answers):
    fused, alone = answers.predict(material.arrays, ROWS)
    inputs = material.arrays.take(ROWS)
    assert all(np.allclose(fused[key], values, atol=1e-6) for key, values in arrays_of(answers.models.predictor(inputs)).items())
    _, single, present = answers.models.trained(inputs, training=False)
    for branch, shape in (("table", (20, 3, 3)), ("note", (20, 3))):
        shown = present[branch].numpy()[:, 0] > 0
        assert 0 < shown.sum() < len(ROWS)
        assert tuple(single[branch]["kind"].shape) == shape
        raw = answers.models.means["kind"](single[branch]["kind"]) if len(shape) > 2 else single[branch]["kind"]
        expected = answers.models.activations["kind"](raw).numpy()
        assert np.allclose(alone[branch]["kind"][shown], expected[shown], atol=1e-6)
        assert np.allclose(alone[branch]["kind"][~shown], fused["kind"][~shown], atol=1e-6)
        assert not np.allclose(alone[branch]["kind"][shown], fused["kind"][shown], atol=1e-3)


def test_the_chosen_answers_are_in_the_predictor_what_is_saved_of_it_and_its_halves(material, answers, chosen, tmp_path):
    import keras

    from mmtrain.explanation.hooks import hook_model
    from mmtrain.model import model_file
    from mmtrain.model.branch_features import SplitPredictor
    from mmtrain.model.network_inputs import by_column

    fused, alone = answers.predict(material.arrays, ROWS)
    expected = {"sick": fused["sick"], "price": alone["table"]["price"], "kind": alone["note"]["kind"]}
    chosen.end_to_end.save(tmp_path / "model.keras")
    predictor = model_file.parts(keras.models.load_model(tmp_path / "model.keras", safe_mode=True))[1]
    inputs = material.arrays.take(ROWS)
    halves = SplitPredictor(predictor, material.experiment.branches, material.experiment.columns, material.fitted)
    features = halves.features(material.arrays, ROWS)
    columns = {name: inputs[name] for name in inputs}
    found = [arrays_of(chosen.predictor(inputs)), arrays_of(predictor(inputs)), halves.predictions(features)]
    for predictions in found:
        for key, values in expected.items():
            assert np.allclose(predictions[key], values, rtol=1e-5, atol=1e-6), key
    absent = halves.predictions(features.without("note"))
    assert np.allclose(absent["price"], np.where(features.present["table"] > 0, expected["price"], absent["price"]), rtol=1e-5)
    assert not np.allclose(absent["kind"], expected["kind"], atol=1e-3)
    raw = hook_model(predictor, material.experiment.branches, material.fitted).raw(columns)
    assert np.allclose(raw["price"], expected["price"], rtol=1e-4)
    split = by_column(predictor, material.fitted)
    assert {tuple(tensor.shape) for tensor in split.output.values()} == {(None, 1), (None, 3)}


def test_heads_that_answer_nothing_are_not_saved(answers, chosen):
    names = {layer.name for layer in chosen.predictor.layers}
    assert {name for name in names if name.startswith(("single_", "answer_"))} == {
        "single_table_price",
        "answer_table_price",
        "single_note_kind",
        "answer_note_kind",
    }
    kept = answers.choose({})
    assert [layer.name for layer in kept.predictor.layers if layer.weights] == [
        layer.name for layer in answers.models.predictor.layers if layer.weights
    ]


GUARDED = """
name: guarded
columns: {x: {role: numeric, missing: mask}, z: {role: numeric}, y: {role: target, task: binary}}
branches: {first: {columns: [x], architecture: linear}, second: {columns: [z], architecture: linear}}
fusion: {units: [1], dropout: 0.95, auxiliary: 1}
split: {validation: 0.4, test: 0.2}
training: {epochs: 6, batch_size: 16, learning_rate: 0.03, deterministic: true, early_stopping: {monitor: validation_auc}}
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A run whose fusion fails, and what `fit` printed."""
    from typer.testing import CliRunner

    from mmtrain.artifacts import runs
    from mmtrain.cli.app import app

    folder = tmp_path_factory.mktemp("guarded")
    two_blobs(folder, rows=200, z=lambda row: row % 5)
    path = write_experiment(folder / "e.yaml", GUARDED)
    told = CliRunner().invoke(app, ["fit", str(path), "--output", str(folder / "runs")])
    assert told.exit_code == 0, told.output
    return runs.find(None, folder / "runs"), told


@pytest.mark.slow
def test_a_run_whose_fusion_fails_answers_with_its_best_branch_and_says_so(guarded, capsys):
    from mmtrain.cli.views.training_result import show_result
    from mmtrain.commands.evaluate import EvaluateOptions, evaluate
    from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
    from mmtrain.pipeline.train_run import TrainingResult
    from mmtrain.training.listeners.events import Ended

    run, told = guarded
    guard = run.read("run.json").fusion_guard["y"]
    assert (guard.chosen, guard.score, set(guard.branches)) == ("first", "auc", {"first", "second"})
    sentence = "Fusion of y: replaced by the branch first alone in all rows that have it."
    assert sentence in " ".join(told.output.split())
    assert all(sentence in (run / file).read_text(encoding="utf-8") for file in ("report.html", "model_card.md"))
    facts = run.read("run.json")
    show_result(TrainingResult(run, Ended(6, 1, {}, ""), "validation_auc", Postprocessing(), facts.fusion_guard), as_json=True, quiet=True)
    assert json.loads(capsys.readouterr().out)["fusion_guard"]["y"] == guard.to_json()
    result = evaluate(str(run.folder), EvaluateOptions(part="validation"))
    assert result.targets["y"].scores["auc"].value == pytest.approx(guard.branches["first"].value)


@pytest.mark.slow
def test_an_export_names_the_branch_that_answers(guarded):
    from mmtrain.commands.deployment.export import ExportOptions, export

    run, _ = guarded
    signature = export(str(run.folder), ExportOptions("keras")).signature
    assert [one.branch for one in signature.outputs] == ["first"]
