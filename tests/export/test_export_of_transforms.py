"""Numbers that were learned transformed leave every export in their own unit."""

import numpy as np
import pytest
from tiny import write_experiment, write_table

from mmtrain.commands.deployment.export import ExportOptions, export
from mmtrain.commands.evaluate import evaluate
from mmtrain.commands.fit import fit

TREE = """
columns:
  x: {role: numeric}
  price: {role: target, task: regression, transform: log}
  change: {role: target, task: regression, transform: quantile}
training: {epochs: 3, learning_rate: 0.02}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prices")
    noise = np.random.default_rng(0)
    x = noise.normal(size=300)
    rows = [{"x": one, "price": round(float(np.exp(8 + 2 * one)), 2), "change": round(float(one**3), 4)} for one in x.round(4).tolist()]
    write_table(folder / "table.csv", rows)
    return fit(write_experiment(folder / "prices.yaml", TREE), output=folder / "runs").run


@pytest.mark.slow
def test_scores_are_in_the_unit(run):
    for result in evaluate(str(run.folder)).targets.values():
        assert result.scores["median_absolute_error"].value < result.baselines[0].scores["median_absolute_error"].value


@pytest.mark.slow
@pytest.mark.parametrize(("name", "quantize"), [("saved_model", ""), ("onnx", ""), ("litert", ""), ("onnx", "float16")])
def test_every_format_gives_what_predict_gives(run, tmp_path, name, quantize):
    """Each export is compared with the predictions of the run, and refused where they differ."""
    done = export(str(run.folder), ExportOptions(name, quantize=quantize, folder=tmp_path / name))
    assert (done.folder / done.signature.file).exists()
