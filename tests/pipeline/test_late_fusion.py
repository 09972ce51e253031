"""Late fusion: the network and each branch alone as trainings of one group, weighted on validation rows."""

import asyncio
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tiny import two_blobs, write_experiment

from mmtrain import config
from mmtrain.commands.deployment.export import ExportOptions, export
from mmtrain.commands.deployment.pack import pack
from mmtrain.commands.evaluate import evaluate
from mmtrain.commands.explain import ExplainOptions, explain
from mmtrain.commands.fit import fit
from mmtrain.errors import ConfigError
from mmtrain.pipeline.groups.ensemble import end_to_end, load
from mmtrain.pipeline.restore import restore_group
from mmtrain.serving.explain import Explanations
from mmtrain.serving.metrics import Metrics
from mmtrain.serving.served_model import Limits, ServedModel

pytestmark = pytest.mark.slow  # three trainings; tests of weights alone are in test_ensemble.py and test_ensemble_weights.py

EXPERIMENT = """
name: late
columns: {x: {role: numeric}, city: {role: categorical}, y: {role: target, task: binary}}
branches: {number: {columns: [x], units: [4]}, place: {columns: [city], units: [4]}}
split: {method: stratified, test: 0.2, validation: 0.4, seed: 3}
training: {epochs: 2, batch_size: 16, deterministic: true, learning_rate: 0.05}
evaluation: {draws: 100, permutations: 0}
ensemble: {weights: greedy, single_branches: true}
"""


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    folder = tmp_path_factory.mktemp("late")
    two_blobs(folder, rows=90, city=lambda row: f"c{row % 5}")
    return fit(write_experiment(folder / "late.yaml", EXPERIMENT), output=folder / "runs").run


def test_branches_alone_are_members_with_all_files_of_a_run(late):
    assert [path.name for path in sorted((late / "seeds").iterdir())] == ["0", "0-number", "0-place"]
    own = config.load(late / "seeds/0-place/config.yaml")
    assert (list(own.branches), list(own.inputs)) == (["place"], ["city"])
    scores = json.loads((late / "cross_validation.json").read_text())
    assert [one["name"] for one in scores["members"]] == ["seeds/0"]  # the scores are those of the experiment itself


def test_weights_drive_prediction_evaluation_explanation_and_exports(late, tmp_path):
    """Weights of our own choice, one of them 0, in place of those of the run."""
    known = late.read("ensemble.json")
    weights = {"all branches": 0.25, "number alone": 0.75, "place alone": 0.0}
    chosen = known.targets["y"].model_copy(update={"weights": weights, "members": list(weights.values())})
    late.write_json("ensemble.json", known.model_copy(update={"targets": {"y": chosen}}))
    late.seal("ensemble.json")
    table = pd.read_csv(late.folder.parents[2] / "table.csv")
    alone = [load(late / name).predict(table, proba=True)["probability_low"] for name in ("seeds/0", "seeds/0-number", "seeds/0-place")]
    expected = sum(weight * one.to_numpy(np.float64) for weight, one in zip(chosen.members, alone, strict=True))
    np.testing.assert_allclose(load(late.folder).predict(table, proba=True)["probability_low"], expected, atol=1e-6)
    raw = {"x": table[["x"]].to_numpy(), "city": table[["city"]].to_numpy(object)}
    np.testing.assert_allclose(end_to_end(late, restore_group(late)[1])(raw)["y"].numpy()[:, 0], expected, atol=1e-6)
    done = evaluate(str(late.folder))
    rows = pd.read_csv(done.predictions)
    np.testing.assert_allclose(rows.probability_low, expected[rows.row], atol=1e-6)
    assert [one.label for one in done.targets["y"].baselines[1:]] == ["seeds/0 alone", "seeds/0-number alone", "seeds/0-place alone"]
    explained = explain(str(late.folder), ExplainOptions((str(rows.row[0]),), folder=tmp_path / "explained")).rows[0]
    assert explained.trainings == ["seeds/0", "seeds/0-number"]
    each = pd.read_csv(tmp_path / "explained/trainings.csv").pivot_table(index="training", columns="column", values="attribution").fillna(0)
    for column in ("x", "city"):
        assert explained.attributions[column] == pytest.approx(0.25 * each[column].iloc[0] + 0.75 * each[column].iloc[1], abs=1e-6)
    # Checked in a process of its own against the weighted mean; the branch that does not count is not in it.
    exported = export(str(late.folder), ExportOptions("onnx", folder=tmp_path / "onnx")).signature
    assert [one.name for one in exported.inputs] == ["x", "x_present", "city", "city_present"]
    assert exported.check.largest_difference < 1e-6
    assert "ensemble.json" in pack(str(late.folder), tmp_path / "late.zip").manifest.files


@pytest.mark.slow  # opens all networks again
def test_a_weighted_group_is_served_explained_and_encoded_without_mmtrain(late, tmp_path):
    table = pd.read_csv(late.folder.parents[2] / "table.csv")
    rows = table.to_dict("records")
    rows[4] |= {"x": None, "city": "elsewhere"}
    model = ServedModel("late", str(late.folder), tmp_path, Limits(), Metrics())
    served = model.predictor.predict(model.predictor.prepare(rows))
    expected = load(late.folder).predict(pd.DataFrame(rows), proba=True)
    for name, values in served.columns.items():
        np.testing.assert_array_equal(values, expected[name].to_numpy())
    assert served.status.tolist() == expected["status"].tolist()

    async def explained():
        answer = await Explanations().of(model, rows[0], None)
        await model.close()
        return answer

    answer = asyncio.run(explained())
    assert answer["prediction"] == expected["prediction"][0]
    assert answer["explains"].endswith(f"logit of {answer['prediction']}")
    total = sum(column["attribution"] for column in answer["columns"])
    assert total == pytest.approx(answer["output"] - answer["baseline_output"], rel=0.02, abs=1e-3)
    done = export(str(late.folder), ExportOptions("onnx", folder=tmp_path / "onnx"))
    for arguments in (["encode.py", str(late.folder.parents[2] / "table.csv"), "in.npz"], ["run.py", "in.npz", "out.npz"]):
        subprocess.run([sys.executable, *arguments], cwd=done.folder, check=True, timeout=120)
    plain = load(late.folder).predict(table, proba=True)
    with np.load(done.folder / "out.npz") as arrays:
        np.testing.assert_allclose(arrays["y"][:, 0], plain["probability_low"], atol=1e-5)


def test_report_shows_the_weights(late):
    page = (late / "report.html").read_text()
    assert late.read("ensemble.json").targets["y"].rows == 36
    assert "Weights in the prediction of y" in page and "number alone" in page and "Caruana" in page


def test_branches_alone_need_several_branches_and_weights(tmp_path):
    two_blobs(tmp_path, city=lambda row: "c")
    path = write_experiment(tmp_path / "late.yaml", EXPERIMENT)
    for change, words in (
        ("ensemble.weights=mean", "needs weights"),
        ("branches={all: {columns: [x, city]}}", "has no effect with a single branch"),
    ):
        with pytest.raises(ConfigError, match=words):
            config.load(path, [change])
