"""Users' Keras callbacks: named in the file, checked before anything is called, told of the training."""

import math
import sys

import pytest
from tiny import lines, start, two_blobs, write_experiment

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.cli.app import run as command_line
from mmtrain.commands.check import check
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.config.yaml_source import read
from mmtrain.config.yaml_syntax import typed_value
from mmtrain.errors import ConfigError, RunError
from mmtrain.system.user_code import import_code
from mmtrain.training.listeners.events import Ended, EpochEnded, Started, StepsBegan
from mmtrain.training.signals import GracefulShutdown

CODE = """
import keras

heard = []

class Hears(keras.callbacks.Callback):
    def __init__(self, word, *, often=1):
        super().__init__()
        self.word, self.often = word, often
    def on_train_begin(self, logs=None):
        heard.append(("train begin", self.word, self.params["epochs"], self.params["steps"]))
    def on_epoch_begin(self, epoch, logs=None):
        heard.append(("epoch begin", epoch))
    def on_train_batch_begin(self, batch, logs=None):
        heard.append(("batch begin", batch))
    def on_train_batch_end(self, batch, logs=None):
        heard.append(("batch end", batch, logs["loss"]))
    def on_epoch_end(self, epoch, logs=None):
        heard.append(("epoch end", epoch, logs))
    def on_train_end(self, logs=None):
        heard.append(("train end",))

class Stops(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True

class Fails(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            logs["no such score"]

class Refuses(keras.callbacks.Callback):
    def __init__(self, rate):
        raise ValueError("the rate is too high")

not_a_callback = print
"""
LINE = CODE.splitlines().index('            logs["no such score"]') + 1
STEM = "callbacks_of_this_test"

EXPERIMENT = """
columns: {x: {role: numeric}, y: {role: target, task: binary}}
training: {epochs: 3, batch_size: 16, steps_per_call: 1, optimizer: sgd}
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("callbacks")
    two_blobs(folder)
    (folder / f"{STEM}.py").write_text(CODE)
    import_code([folder / f"{STEM}.py"])
    yield write_experiment(folder / "called.yaml", EXPERIMENT)
    del sys.modules[STEM]


def named(*callbacks):
    """An override that names these callbacks."""
    return [f"training.callbacks=[{', '.join(callbacks)}]"]


# Values whose types nobody declares


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3", 3),
        ("-07", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("yes", "yes"),
        ("log.csv", "log.csv"),
        ("2020-01-01", "2020-01-01"),
        ("0x10", "0x10"),
        (".inf", ".inf"),
        ("null", None),
        ('"3"', "3"),
        ("'true'", "true"),
        ("[1, '2', {a: 0.5}]", [1, "2", {"a": 0.5}]),
    ],
)
def test_value_means_what_yaml_says_and_survives_the_run_folder(experiment, tmp_path, written, value):
    found = config.load(experiment, named(f"{{name: a.B, option: {written}}}"))
    assert found.training.callbacks[0].options == {"option": value}
    assert type(found.training.callbacks[0].options["option"]) is type(value)
    (tmp_path / "config.yaml").write_text(config.to_yaml(found, tmp_path))
    assert config.load(tmp_path / "config.yaml").training.callbacks == found.training.callbacks


@pytest.mark.parametrize("text", ["1e3", "0o7", "12", "true", "null", "1.5", "-.5", "1_000"])
def test_text_that_looks_like_another_value_is_quoted_in_the_run_folder(experiment, tmp_path, text):
    found = config.load(experiment, named(f"{{name: a.B, option: '{text}'}}"))
    (tmp_path / "config.yaml").write_text(config.to_yaml(found, tmp_path))
    tree = read(tmp_path / "config.yaml").tree
    assert typed_value(tree["training"]["callbacks"][0]["option"]) == text


# Mistakes

NOT_ALLOWED = (
    "is not imported: an experiment file may name callbacks of Keras and of files given with `--code` only. "
    "Where you trust the file, give `--allow-callbacks`; importing a module runs its code."
)
WRONG = [
    ("{name: os.system, command: 'touch touched'}", f", entry 1, name: `os.system` {NOT_ALLOWED}"),
    ("{name: subprocess.Popen, args: [touch, touched]}", f", entry 1, name: `subprocess.Popen` {NOT_ALLOWED}"),
    ("{name: keras.src.utils.A}", f", entry 1, name: `keras.src.utils.A` {NOT_ALLOWED}"),
    ("{name: keras.models.Model}", f", entry 1, name: `keras.models.Model` {NOT_ALLOWED}"),
    ("{name: keras.callbacksx.A}", f", entry 1, name: `keras.callbacksx.A` {NOT_ALLOWED}"),
    (
        "{name: tensorflow.keras.callbacks.CSVLogger, filename: a}",
        ", entry 1, name: `tensorflow.keras.callbacks.CSVLogger` is not imported. Write `keras.callbacks.CSVLogger`.",
    ),
    (
        f"{{name: {STEM}.not_a_callback}}",
        f", entry 1, name: `{STEM}.not_a_callback` is not a Keras callback. Name a subclass of `keras.callbacks.Callback`.",
    ),
    (
        "{name: keras.callbacks.CSVLoger, filename: a}",
        ", entry 1, name: there is no 'CSVLoger' in `keras.callbacks`. Did you mean 'CSVLogger'?",
    ),
    (
        f"{{name: {STEM}.Zoom}}",
        f", entry 1, name: there is no 'Zoom' in `{STEM}`. Its callbacks are Hears, Stops, Fails and Refuses.",
    ),
    ("{name: os.environ.Mine}", f", entry 1, name: `os.environ.Mine` {NOT_ALLOWED}"),
    ("{name: nowhere.Mine}", ", entry 1, name: there is no module 'nowhere'. Give its file with `--code nowhere.py`, or install it."),
    (
        "{name: keras.callbacks.ReduceLROnPlateau}",
        ", entry 1, name: `keras.callbacks.ReduceLROnPlateau` has no effect here. "
        "The loop sets the learning rate: use `training.schedule: {method: plateau}`.",
    ),
    (f"{{name: {STEM}.Hears, word: a, ofen: 2}}", f", entry 1, ofen: `{STEM}.Hears` has no option 'ofen'. Did you mean 'often'?"),
    (f"{{name: {STEM}.Hears, wrd: a}}", f", entry 1, wrd: `{STEM}.Hears` has no option 'wrd'. Did you mean 'word'?"),
    (f"{{name: {STEM}.Hears}}", f", entry 1: `{STEM}.Hears` needs the option 'word'. Add it: `word: ...`."),
    (f"{{name: {STEM}.Stops, a: 1}}", f", entry 1, a: `{STEM}.Stops` has no option 'a'. It has no options."),
    (
        "{name: csvlogger}",
        ", entry 1, name: 'csvlogger' does not have the right form. Module and class, as `keras.callbacks.CSVLogger`, "
        "or as `my_callbacks.Mine` for a file given with `--code my_callbacks.py`. Other installed modules need `--allow-callbacks`.",
    ),
]


@pytest.mark.parametrize(("callback", "problem"), WRONG)
def test_mistake_is_told_before_anything_is_called(experiment, tmp_path, monkeypatch, callback, problem):
    monkeypatch.chdir(tmp_path)
    for command in (check, fit):
        with pytest.raises(ConfigError) as caught:
            command(experiment, overrides=named(callback))
        assert str(caught.value) == f"--set training.callbacks{problem}"
    assert list(tmp_path.iterdir()) == []


def test_all_mistakes_are_told_at_once_with_their_lines(experiment, tmp_path):
    two_blobs(tmp_path)
    text = "data: {table: table.csv}\ncolumns: {x: {role: numeric}, y: {role: target, task: binary}}\ntraining:\n"
    path = tmp_path / "wrong.yaml"
    path.write_text(f"{text}  callbacks:\n  - {{name: os.system}}\n  - name: {STEM}.Stops\n    often: 2\n")
    with pytest.raises(ConfigError) as caught:
        check(path)
    assert str(caught.value).splitlines() == [
        f"wrong.yaml:5: training.callbacks, entry 1, name: `os.system` {NOT_ALLOWED}",
        f"wrong.yaml:7: training.callbacks, entry 2, often: `{STEM}.Stops` has no option 'often'. It has no options.",
    ]


def test_module_and_constructor_that_raise_are_told(experiment, tmp_path, monkeypatch):
    (tmp_path / "broken_callbacks.py").write_text("import no_such_package\n")
    (tmp_path / "rude_callbacks.py").write_text("raise SystemExit('bye')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("mmtrain.system.user_code._permissions", [True])
    with pytest.raises(ConfigError) as caught:
        check(experiment, overrides=named("{name: broken_callbacks.A}", "{name: rude_callbacks.A}"))
    place = "--set training.callbacks, entry"
    assert str(caught.value).splitlines() == [
        f"{place} 1, name: `broken_callbacks` cannot be imported: ModuleNotFoundError: No module named 'no_such_package'. "
        "Install what it needs.",
        f"{place} 2, name: `rude_callbacks` cannot be imported: SystemExit: bye.",
    ]
    with pytest.raises(ConfigError) as caught:
        fit(experiment, overrides=named(f"{{name: {STEM}.Refuses, rate: 9}}"), output=tmp_path / "runs")
    assert str(caught.value) == (
        f"--set training.callbacks, entry 1: `{STEM}.Refuses` refuses these options: ValueError: the rate is too high."
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["check", pytest.param("fit", marks=pytest.mark.slow)])
def test_file_of_a_stranger_has_no_module_imported_unless_the_user_says_so(experiment, tmp_path, monkeypatch, capsys, command):
    (tmp_path / "evil_callbacks.py").write_text(
        "open('imported', 'w').close()\nimport keras\nclass A(keras.callbacks.Callback):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("mmtrain.system.user_code._permissions", [])
    monkeypatch.chdir(tmp_path)
    given = [command, str(experiment), "--set", *named("{name: evil_callbacks.A}")]
    for more in ([], ["--code", str(experiment.with_name(f"{STEM}.py"))]):
        assert command_line(given + more) == 2
        assert capsys.readouterr().err.splitlines()[-1].endswith(f"`evil_callbacks.A` {NOT_ALLOWED}")
        assert not (tmp_path / "imported").exists()
    assert command_line([*given, "--allow-callbacks"]) == 0
    assert (tmp_path / "imported").exists()
    del sys.modules["evil_callbacks"]


# What they are told


def test_callbacks_hear_of_the_whole_training(experiment, tmp_path):
    told = sys.modules[STEM].heard
    told.clear()
    log = tmp_path / "log.csv"
    callbacks = named(f"{{name: {STEM}.Hears, word: hello}}", f"{{name: keras.callbacks.CSVLogger, filename: '{log}'}}")
    run = fit(experiment, overrides=callbacks, output=tmp_path).run
    batches = [kind for number in range(3) for kind in (("batch begin", number), ("batch end", number))]
    assert [entry[:2] for entry in told] == [
        ("train begin", "hello"),
        *[entry for epoch in range(3) for entry in (("epoch begin", epoch), *batches, ("epoch end", epoch))],
        ("train end",),
    ]
    assert told[0][2:] == (3, 3)
    ends = [entry[2] for entry in told if entry[0] == "epoch end"]
    written = lines(run / "metrics.jsonl")
    assert [logs["val_auc"] for logs in ends] == [line["validation_auc"] for line in written]
    assert [logs["loss"] for logs in ends] == [line["train_loss"] for line in written]
    assert [logs["learning_rate"] for logs in ends] == [line["learning_rate"] for line in written]
    # The loss of a batch's end is the mean of the epoch so far, its own rows included.
    assert [entry[2] for entry in told if entry[:2] == ("batch end", 2)] == [line["train_loss"] for line in written]
    assert len(log.read_text().splitlines()) == 4
    assert log.read_text().startswith("epoch,learning_rate,loss,val_accuracy,val_auc,")


def test_undefined_score_is_not_a_number(experiment):
    from mmtrain.training.listeners.callbacks import Callbacks, Named

    hears = sys.modules[STEM].Hears("x")
    told = sys.modules[STEM].heard
    watch = Callbacks([Named("hears", hears)], type("Core", (), {})(), GracefulShutdown(), "here")
    watch(Started(1, 1, 1, "validation_loss", "minimize"))
    told.clear()
    watch(EpochEnded(1, {"validation_auc": None, "train_y_loss": 0.5}, 0.1, 1.0, 1.0, True, 1))
    ((_, epoch, logs),) = told
    assert (epoch, math.isnan(logs.pop("val_auc")), logs) == (0, True, {"y_loss": 0.5, "learning_rate": 0.1})


@pytest.mark.slow
def test_callback_ends_the_training_after_its_epoch(experiment, tmp_path):
    done = fit(experiment, overrides=named(f"{{name: {STEM}.Stops}}"), output=tmp_path)
    reason = f"the callback {STEM}.Stops stopped it"
    assert done.ended == Ended(1, 1, done.ended.best_scores, reason)
    assert (done.run.state, done.run.read_json("run.json")["stopped"]) == ("finished", reason)


def test_callback_that_fails_is_named_and_costs_no_checkpoint(experiment, tmp_path):
    with pytest.raises(RunError) as caught:
        fit(experiment, overrides=named(f"{{name: {STEM}.Fails}}"), output=tmp_path)
    run = Run(tmp_path / "called" / "1")
    assert str(caught.value) == (
        f"{run.folder}: the callback `{STEM}.Fails` failed in on_epoch_end ({STEM}.py:{LINE}): KeyError: 'no such score'. "
        "Fix it, then continue with --resume."
    )
    assert (run.state, run.read_json("run.json")["error"]) == ("failed", str(caught.value))
    assert (run / "model.keras").is_file()
    said, begun = [], []
    # Two epochs are done, so the third is the first that it hears of, and it fails in the second only.
    watch = Listeners(say=said.append, watch=lambda event: begun.append(event) if isinstance(event, StepsBegan) else None)
    assert resume(str(run.folder), listeners=watch).ended.epochs == 3
    assert begun[0] == StepsBegan(3, 0)
    assert said[:2] == [
        "Data checked; starting TensorFlow.",
        "The callbacks start again: what they kept in memory is not part of a checkpoint.",
    ]


# `--code`


def test_code_file_does_not_hide_another_module(tmp_path):
    before = sys.modules["json"]
    (tmp_path / "json.py").write_text("import dataclasses\n@dataclasses.dataclass\nclass A:\n    a: 'int'\n")
    import_code([tmp_path / "json.py"])
    assert sys.modules["json"] is before


@pytest.mark.slow
def test_fit_takes_callbacks_from_a_code_file_and_says_who_stopped_it(experiment, tmp_path):
    process = start(
        *("fit", str(experiment), "--code", str(experiment.with_name(f"{STEM}.py")), "--output", "runs"),
        *("--set", *named(f"{{name: {STEM}.Stops}}")),
        folder=tmp_path,
    )
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (0, "runs/called/1\n"), err
    assert err.startswith("Data checked; starting TensorFlow.\n")  # Keras was imported before, by the file, without a word
    assert f"Best epoch 1 of 1; the callback {STEM}.Stops stopped it.  train_loss" in err
