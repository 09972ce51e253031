"""Every shipped experiment is loaded and trained for an epoch on the sample data, two of them with the slow tests."""

from pathlib import Path

import pytest

from mmtrain import config
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = ("emoji", "imbalanced", "scan_and_demographics", "text_and_image")
SLOW = ("imbalanced", "text_and_image")
TRAINED = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in SHIPPED]


def test_every_shipped_config_is_named_here():
    assert tuple(sorted(path.stem for path in CONFIGS.glob("[!.]*.yaml"))) == SHIPPED


@pytest.mark.parametrize("name", TRAINED)
def test_shipped_config_trains_and_is_scored(tensorflow, tmp_path, name):
    path = CONFIGS / f"{name}.yaml"
    shrunk = [f"columns.{key}.size=[16, 16]" for key, column in config.load(path).inputs.items() if column.kind == "image"]
    assert len(shrunk) == 1
    done = fit(path, overrides=["training.epochs=1", "training.batch_size=64", *shrunk], output=tmp_path)
    assert (done.run.folder, done.run.state) == (tmp_path / name / "1", "finished")
    found = evaluate(str(done.run.folder), EvaluateOptions(part="validation"), output=tmp_path)
    assert [result.rows > 70 for result in found.targets.values()] == [True]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_config_says_how_to_run_it_and_what_to_expect(name):
    header = [line for line in (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    text = "\n".join(header)
    assert f"mmtrain fit configs/{name}.yaml" in text
    assert "test " in text
    assert any(unit in text for unit in ("seconds", "minute"))
