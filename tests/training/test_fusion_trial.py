"""`fusion: auto`: other methods are tried for a few epochs, and one is taken if it is better on validation rows beyond noise."""

import numpy as np
import pytest
from tiny import two_blobs, write_experiment

from mmtrain.config import load
from mmtrain.errors import ConfigError
from mmtrain.fusions import fusions

RANDOM = np.random.default_rng(0)
LOSSES = RANDOM.exponential(size=400)
NOISE = RANDOM.normal(scale=0.1, size=400)
TREE = """
name: tried
columns: {{x: {{role: numeric}}, z: {{role: numeric}}, y: {{role: target, task: binary}}}}
branches: {{first: {{columns: [x], units: [4]}}, second: {{columns: [z], units: [4]}}}}
fusion: {fusion}
training: {{epochs: 1, batch_size: 16}}
"""


@pytest.mark.usefixtures("tensorflow")
def test_another_fusion_is_taken_only_if_its_loss_is_lower_beyond_noise():
    from mmtrain.training.auto_settings.fusion_trial import best_candidate

    assert best_candidate([LOSSES], None) == 0
    assert best_candidate([LOSSES, LOSSES + NOISE - NOISE.mean() - 0.005, LOSSES + 0.1], None) == 0
    assert best_candidate([LOSSES, LOSSES + NOISE - 0.03, LOSSES + NOISE - 0.05, LOSSES], None) == 2
    assert best_candidate([LOSSES, np.full(400, np.inf)], None) == 0  # it diverged
    assert best_candidate([np.full(400, np.inf), LOSSES, LOSSES - 0.001, np.full(400, np.inf)], None) == 2
    assert best_candidate([np.full(400, np.inf)] * 2, None) == 0


@pytest.mark.usefixtures("tensorflow")
def test_rows_of_a_group_are_one_observation():
    from mmtrain.training.auto_settings.fusion_trial import best_candidate

    gains = np.repeat(RANDOM.normal(scale=0.3, size=4), 100) + 0.05
    assert best_candidate([LOSSES, LOSSES - gains], None) == 1
    assert best_candidate([LOSSES, LOSSES - gains], np.repeat(np.arange(4), 100)) == 0
    assert best_candidate([LOSSES, LOSSES - gains], np.zeros(400, dtype=np.int64)) == 0


@pytest.mark.usefixtures("tensorflow")
def test_candidates_have_the_options_of_every_fusion():
    from mmtrain.training.auto_settings.fusion_trial import candidates

    section = fusions["concatenate"].section(method="concatenate", trial=("gated", "late", "concatenate"), auxiliary=1.0, dropout=0.2)
    found = candidates(section)
    assert [one.method for one in found] == ["concatenate", "gated", "late"]
    assert {(one.auxiliary, one.dropout, one.trial) for one in found} == {(1.0, 0.2, ())}
    assert found[2].units == fusions["late"].section(method="late").units


@pytest.mark.parametrize(
    ("fusion", "branches", "trial"),
    [
        ("auto", 2, ("gated", "low_rank", "film", "attention", "late")),
        ("{method: auto, auxiliary: 1}", 2, ("gated", "low_rank", "film", "attention", "late")),
        ("{method: auto, trial: [film]}", 2, ("film",)),
        ("auto", 1, ()),
        ("gated", 2, ()),
    ],
)
def test_auto_tries_other_methods_against_concatenate(tmp_path, fusion, branches, trial):
    tree = TREE.format(fusion=fusion)
    if branches == 1:
        tree = tree.replace("second: {columns: [z], units: [4]}", "").replace("[x]", "[x, z]")
    found = load(write_experiment(tmp_path / "a.yaml", tree)).fusion
    assert (found.method, found.trial) == ("gated" if fusion == "gated" else "concatenate", trial)


def test_an_unknown_method_of_a_trial_is_refused(tmp_path):
    path = write_experiment(tmp_path / "a.yaml", TREE.format(fusion="{trial: [film, gate]}"))
    with pytest.raises(ConfigError, match=r"fusion\.trial, entry 2: there is no method 'gate'\. Did you mean 'gated'\?"):
        load(path)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("gain", "chosen"), [(0.5, "add"), (0.0, "concatenate")])
def test_a_run_keeps_the_fusion_that_was_chosen(tmp_path, monkeypatch, gain, chosen):
    from mmtrain.commands.fit import fit
    from mmtrain.commands.fitting.training_listeners import Listeners
    from mmtrain.training.auto_settings import fusion_trial

    actual = fusion_trial._validation_losses

    def losses(steps, *arguments):
        names = {layer.name for layer in steps.models.network.get_layer("fusion").layers}
        return actual(steps, *arguments) * 0 + RANDOM.normal(1 - gain * ("add" in names), 0.01, size=len(arguments[2].validation))

    monkeypatch.setattr(fusion_trial, "_validation_losses", losses)
    two_blobs(tmp_path, z=lambda row: row % 5)
    path, told = write_experiment(tmp_path / "e.yaml", TREE.format(fusion="{trial: [add], units: [3]}")), []
    run = fit(path, output=tmp_path / "runs", listeners=Listeners(say=told.append)).run
    assert "Trying 2 fusions for 3 epochs each: concatenate and add." in told
    found = load(run / "config.yaml").fusion  # read by `fit --resume`
    assert (found.method, found.trial, found.units) == (chosen, (), (3,))
    assert run.read("network.json").fusion.method == chosen
    reason = run.read("run.json").trial.reasons[0]
    assert reason in told
    verdict = "lower than that of concatenate beyond noise" if gain else "not higher beyond noise than that of the others"
    assert reason.startswith(f"fusion {chosen}: its loss is {verdict} (validation loss after at most 3 epochs: concatenate ")
