"""`architecture: pretrained` of a text in the experiment file: one key, and the column follows."""

import re

import pytest
from tiny import two_blobs, write_experiment

from mmtrain import config
from mmtrain.errors import ConfigError

TREE = {
    "columns": {"note": {"role": "text"}, "x": {"role": "numeric"}, "y": {"role": "target", "task": "binary"}},
    "branches": {"words": {"columns": ["note"], "architecture": "pretrained"}, "rest": {"columns": ["x"]}},
}


def load(folder, branch=None, **column):
    columns = {**TREE["columns"], "note": {"role": "text", **column}}
    branches = {**TREE["branches"], "words": {**TREE["branches"]["words"], **(branch or {})}}
    two_blobs(folder, note=lambda row: "good")
    return config.load(write_experiment(folder / "e.yaml", {"columns": columns, "branches": branches}))


def test_column_is_divided_by_the_tokenizer_of_the_branch(tmp_path):
    (tmp_path / "models").mkdir()
    experiment = load(tmp_path, {"model": "models"}, max_length=32)
    note, words = experiment.columns["note"], experiment.branches["words"]
    assert (note.vectorize, note.model, note.max_length) == ("pieces", str(tmp_path / "models"), 32)
    assert (words.architecture, words.model) == ("text_pretrained", str(tmp_path / "models"))


def test_name_of_a_model_stays_a_name(tmp_path):
    assert load(tmp_path, {"model": "e5-small-v2"}).columns["note"].model == "e5-small-v2"
    assert load(tmp_path).columns["note"].model == "all-minilm-l6-v2"


def test_resolved_file_repeats_the_run(tmp_path):
    experiment = load(tmp_path, {"model": "e5-small-v2"})
    (tmp_path / "again.yaml").write_text(config.to_yaml(experiment, tmp_path))
    assert config.load(tmp_path / "again.yaml") == experiment.model_copy(update={"name": "e"})


WRONG = {
    "words in place of pieces": (
        {},
        {"vectorize": "tokens"},
        "`text_pretrained` cannot read 'note', a text column with `vectorize: tokens`. Put it into a branch with the architecture "
        "embedding_average, text_cnn, text_gru or text_transformer, or set `vectorize: pieces`.",
    ),
    "two models": (
        {"model": "e5-small-v2"},
        {"vectorize": "pieces", "model": "bge-small-en-v1.5"},
        "branches.words.model: the branch reads pieces by e5-small-v2, and the column 'note' gives those of bge-small-en-v1.5. "
        "Leave `model` out of the column.",
    ),
}


@pytest.mark.parametrize(("branch", "column", "message"), WRONG.values(), ids=list(WRONG))
def test_mistakes_say_what_to_write(tmp_path, branch, column, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(tmp_path, branch, **column)


def stages(folder, **training):
    columns = {**TREE["columns"], "more": {"role": "text", "column": "note"}}
    branches = {"words": {**TREE["branches"]["words"], "tune": "lora"}, "more": {"columns": ["more"], "architecture": "pretrained"}}
    branches["more"]["tune"] = training.pop("more", "none")
    branches["words"]["tune"] = training.pop("words", "lora")
    branches["rest"] = {"columns": ["x"]}
    two_blobs(folder, note=lambda row: "good")
    tree = {"columns": columns, "branches": branches, "training": training}
    return config.load(write_experiment(folder / "e.yaml", tree)).training


def test_a_tuned_encoder_is_frozen_in_a_first_stage_and_has_a_rate_of_its_own(tmp_path):
    training = stages(tmp_path, epochs=10)
    first, last = training.stages
    assert (training.epochs, first.epochs, last.epochs) == (10, 8, 2)
    rest = ("branches.words.head", "branches.more.backbone", "branches.more.head", "branches.rest", "fusion", "targets.y")
    assert first.unfreeze == rest
    assert (last.unfreeze, last.learning_rate, last.begin_with) == (None, {"branches.words.backbone": 0.0005}, "best")
    assert (last.layer_decay, last.warmup_epochs) == (0.8, 0.5)


def test_the_epochs_of_a_training_are_divided_also_where_they_are_left_out_or_one(tmp_path):
    assert [stage.epochs for stage in stages(tmp_path, words="all").stages] == [24, 6]
    (only,) = stages(tmp_path, epochs=1).stages
    assert (only.epochs, only.unfreeze) == (1, None)


def test_stages_that_are_given_stay_and_a_trial_sets_its_own(tmp_path):
    assert [stage.epochs for stage in stages(tmp_path, stages=[{"epochs": 3}]).stages] == [3]
    assert stages(tmp_path, words="auto").stages == ()
    rates = stages(tmp_path, words="auto", more="last_blocks").stages[1].learning_rate
    assert rates == {"branches.words.backbone": 0.0005, "branches.more.backbone": 0.0001}
