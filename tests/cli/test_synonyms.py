"""Words that other programs have for ours: keys, values, commands, formats and options; and what the help shows."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mmtrain.branches import architectures
from mmtrain.cli.app import COMMANDS, run
from mmtrain.columns import roles
from mmtrain.config import json_schema
from mmtrain.config.load import load
from mmtrain.errors import ConfigError, did_you_mean, similar_file
from mmtrain.export import export_formats
from mmtrain.fusions import fusions
from mmtrain.synonyms import WORDS_OF
from mmtrain.targets import tasks

TRAINING = list(json_schema()["$defs"]["Training"]["properties"])


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("lr", TRAINING, "learning_rate"),
        ("LR", TRAINING, "learning_rate"),
        ("bs", TRAINING, "batch_size"),
        ("batch", TRAINING, "batch_size"),
        ("epoch", TRAINING, "epochs"),
        ("num_epochs", TRAINING, "epochs"),
        ("optim", TRAINING, "optimizer"),
        ("wd", TRAINING, "weight_decay"),
        ("scheduler", TRAINING, "schedule"),
        ("patience", TRAINING, "early_stopping"),
        ("fp16", ["float32", "bfloat16", "float16"], "float16"),
        ("jpg", roles, "image"),
        ("number", roles, "numeric"),
        ("label", [*roles, "target"], "target"),
        ("multi-class", tasks, "multiclass"),
        ("number", tasks, "regression"),
        ("dense", architectures, "mlp"),
        ("transformer", architectures, "ft_transformer"),
        ("cn", architectures, "cnn"),
        ("concat", fusions, "concatenate"),
        ("val", ["train", "validation", "test"], "validation"),
        ("val_auc", ["train_loss", "validation_loss", "validation_auc"], "validation_auc"),
        ("loss", ["train_loss", "validation_loss"], "validation_loss"),
        ("tflite", export_formats, "litert"),
        ("train", COMMANDS, "fit"),
        ("tune", COMMANDS, "fit"),
        ("eval", COMMANDS, "evaluate"),
        ("epochz", TRAINING, "epochs"),
        ("name", ["method", "beta_1"], "method"),
        ("type", ["columns", "architecture"], "architecture"),
    ],
)
def test_usual_word_finds_what_is_meant(word, known, meant):
    assert did_you_mean(word, known) == f"Did you mean '{meant}'?"


def test_word_that_means_nothing_here_finds_nothing():
    assert did_you_mean("lr", ["red", "blue"]) == ""


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("nope.png", ["274e.png", "bike.png"], ""),  # they share the ending alone
        ("cta.png", ["car.png", "cat.png"], "cat.png"),
        ("1.BMP", ["1.png", "1.bmp", "1.gif"], "1.bmp"),
        ("left-eye.png", ["left_eye.jpg"], "left_eye.jpg"),
    ],
)
def test_file_is_meant_by_its_name_without_the_ending(name, known, meant):
    assert similar_file(name, known) == (f"Did you mean '{meant}'?" if meant else "")


def test_every_name_of_the_table_is_one_of_ours():
    schema = json_schema()
    sections = [schema, *schema["$defs"].values()]
    keys = {key for section in sections for key in section.get("properties", {})}
    values = {word for section in sections for field in section.get("properties", {}).values() for word in _words(field)}
    other = {*COMMANDS, *export_formats, *roles, *tasks, *architectures, *fusions, "target", "validation_loss", "interval"}
    others = {"cosine", "plateau", "exponential", "random", "stratified"}
    assert sorted(set(WORDS_OF) - keys - values - other - others) == []


def _words(field):
    return [word for one in (field, *field.get("anyOf", ())) for word in one.get("enum", ())]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "No such command 'train'. Did you mean 'fit'?"),
        (["evaluat"], "No such command 'evaluat'. Did you mean 'evaluate'?"),
        (["nonsense"], "No such command 'nonsense'."),
        (["cache", "delete"], "No such command 'delete'."),
        (
            ["export", "--format", "tflite"],
            "--format: expected saved_model, keras, onnx, litert, hub or container; found 'tflite'. Did you mean 'litert'?",
        ),
        (["export", "--format", "contaner"], "found 'contaner'. Did you mean 'container'?"),
        (["evaluate", "--part", "val"], "'train', 'calibration', 'conformal'. Did you mean 'validation'?"),
        (["fit", "--lr", "1"], "No such option: --lr. Write `--set training.learning_rate=VALUE`."),
        (["fit", "--batch-size", "1"], "No such option: --batch-size. Write `--set training.batch_size=VALUE`."),
        (["check", "--jsn"], "No such option: --jsn (Possible options: --json"),
    ],
)
def test_command_line_says_what_was_meant(arguments, said, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


def test_usual_keys_of_a_file_are_told_at_once(tmp_path):
    text = "data: {csv: t.csv}\ncolumns: {a: {type: number}, y: {role: label, task: binary}}\ntraining: {lr: 1, loss: mse}\n"
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")
    assert str(caught.value).splitlines() == [
        "a.yaml:1: data.csv: unknown key. Did you mean 'table'?",
        "a.yaml:2: columns.a.type: unknown key. Did you mean 'role'?",
        "a.yaml:2: columns.y.role: there is no role 'label'. Did you mean 'target'?",
        "a.yaml:3: training.lr: unknown key. Did you mean 'learning_rate'?",
        "a.yaml:3: training.loss: unknown key. The loss follows from the `task` of each target, or from its `loss`.",
    ]


# Help, completion, licence


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["cache"], ["cache", "list"], ["cache", "clear"]])
def test_help_shows_no_type_of_flags(command, capsys):
    assert run([*command, "--help"]) == 0
    assert "bool" not in capsys.readouterr().out


def test_shell_completes_commands_and_choices(tmp_path):
    for words, found in (("mmtrain ev", ["evaluate"]), ("mmtrain export --format o", ["onnx"])):
        asked = {"_MMTRAIN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        program = "import sys; sys.argv = ['mmtrain']; from mmtrain.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", program], env=os.environ | asked, capture_output=True, text=True, check=False)
        assert done.stdout.split() == found, done.stderr


def test_licence_is_the_one_that_the_package_names():
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    text = (root / "LICENSE").read_text(encoding="utf-8")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
