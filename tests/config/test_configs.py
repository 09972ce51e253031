"""Every shipped experiment is loaded, and with the slow tests trained for an epoch on rows of the sample data."""

from pathlib import Path

import pytest

from mmtrain import config
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = ("emoji", "imbalanced", "scan_and_demographics", "text_and_image")


def test_every_shipped_config_is_named_here():
    assert tuple(sorted(path.stem for path in CONFIGS.glob("[!.]*.yaml"))) == SHIPPED


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_config_trains_and_is_scored(tensorflow, tmp_path, name):
    path = CONFIGS / f"{name}.yaml"
    shrunk = [f"columns.{key}.size=[16, 16]" for key, column in config.load(path).inputs.items() if column.kind == "image"]
    assert len(shrunk) == 1
    table = config.load(path).data.table
    header, *rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("".join([header, *rows[:: max(1, len(rows) // 400)]]), encoding="utf-8")
    overrides = [f"data.table={fewer}", "training.epochs=1", "training.batch_size=64", "training.optimizer=sgd", *shrunk]
    overrides += ["evaluation.permutations=1", "evaluation.draws=100"]
    done = fit(path, overrides=overrides, output=tmp_path)
    assert (done.run.folder, done.run.state) == (tmp_path / name / "1", "finished")
    found = evaluate(str(done.run.folder), EvaluateOptions(part="validation"), output=tmp_path)
    assert [result.rows > 35 for result in found.targets.values()] == [True]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_config_says_how_to_run_it_and_what_to_expect(name):
    header = [line for line in (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    text = "\n".join(header)
    assert f"mmtrain fit configs/{name}.yaml" in text
    assert "test " in text
    assert any(unit in text for unit in ("seconds", "minute"))
    experiment = config.load(CONFIGS / f"{name}.yaml")
    assert experiment.data.table.is_file()
    assert experiment.inputs and experiment.targets
