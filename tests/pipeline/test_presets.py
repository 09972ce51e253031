"""Presets of `fit`: what they set, what they leave alone, and what the run says of it."""

import pytest
from tiny import paint, two_blobs, write_experiment

from mmtrain import config
from mmtrain.artifacts.runs import find
from mmtrain.artifacts.search_results import CorrectedChoice, SearchResult, TrialResult
from mmtrain.cli.app import run as run_command
from mmtrain.commands.fitting import fit_preset as fit_preset_module
from mmtrain.commands.fitting.fit_preset import fit_preset
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.errors import UsageError
from mmtrain.pipeline.proposals import presets
from mmtrain.pipeline.proposals.encoder_speed import EncoderSpeed
from mmtrain.pipeline.proposals.presets import with_preset

COLUMNS = "columns: {x: {role: numeric}, y: {role: target, task: binary}}\n"


def chosen(folder, preset, text=COLUMNS, overrides=(), rows=60, **columns):
    two_blobs(folder, rows, **columns)
    return with_preset(write_experiment(folder / "a.yaml", text), preset, overrides)


def settings(one):
    return {".".join(setting.path): setting.value for setting in one.settings}


def test_quick_sets_what_init_would_write(tmp_path):
    one = chosen(tmp_path, "quick")
    given = settings(one)
    assert given.pop("branches") == "tabm"
    assert given == {
        "fusion": {"units": []},
        "training.epochs": 60,
        "training.batch_size": 16,
        "training.learning_rate": 0.002,
        "training.schedule": "cosine",
        "training.weight_decay": 3.0,
        "training.early_stopping": {"monitor": "validation_loss"},
    }
    experiment = config.load(one)
    assert (experiment.name, experiment.branches["table"].architecture, experiment.training.epochs) == ("a", "tabm", 60)
    assert experiment.split.folds is None


@pytest.mark.parametrize(
    ("text", "overrides", "left_open"),
    [
        ("branches: {table: {columns: [x]}}\n", (), {"branches", "fusion"}),
        ("training: {epochs: 7, optimizer: sgd}\n", (), {"training.epochs", *(f"training.{key}" for key in presets.ADAPTED)}),
        ("training: {early_stopping: {monitor: validation_auc}}\n", (), {"training.early_stopping"}),
        ("training: {stages: [{epochs: 3}]}\n", (), {"training.epochs", *(f"training.{key}" for key in presets.ADAPTED)}),
        (
            "",
            ("training.epochs=7", "split.folds=3", "split.test=0.3", "tune.trials=2"),
            {"training.epochs", "split.folds", "split.test", "tune.trials"},
        ),
        ("split: {method: time}\n", (), set()),
    ],
)
def test_a_preset_leaves_alone_what_the_file_or_an_override_gives(tmp_path, text, overrides, left_open):
    if "time" in text:
        text += "columns: {x: {role: numeric}, t: {role: time}, y: {role: target, task: binary}}\n"
    one = chosen(tmp_path, "best", text if "columns: {x: {role" in text else COLUMNS + text, overrides, t=lambda row: 2000 + row)
    assert settings(one).keys() & left_open == set()
    experiment, before = config.load(one, overrides), config.load(tmp_path / "a.yaml", overrides)
    for key in left_open & {"training.epochs", "training.optimizer", "training.early_stopping", "split.folds", "split.test"}:
        section, name = key.split(".")
        assert getattr(getattr(experiment, section), name) == getattr(getattr(before, section), name)
    assert experiment.split.folds == (3 if overrides else 5)


def test_best_keeps_rows_that_neither_the_search_nor_a_fold_sees(tmp_path):
    given = settings(chosen(tmp_path, "best", overrides=["training.minutes=10"]))
    assert given | {"split.folds": 5, "split.test": 0.15, "tune.trials": 20, "tune.folds": 3, "tune.minutes": 4.0} == given


def test_few_minutes_leave_some_for_the_search_of_best(tmp_path):
    one = chosen(tmp_path, "best", overrides=["training.minutes=0.001"])
    assert settings(one)["tune.minutes"] == 0.0004
    assert config.load(one, ["training.minutes=0.001"]).tune.minutes == 0.0004


def test_best_refuses_a_fold_that_does_not_exist_before_its_search(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_preset_module, "tune", lambda *_, **__: pytest.fail("the search began"))
    two_blobs(tmp_path, 60)
    path = write_experiment(tmp_path / "a.yaml", COLUMNS)
    with pytest.raises(UsageError, match=r"--fold 9: the split has 5 folds"):
        fit_preset(path, "best", output=tmp_path / "runs", fold=9)
    assert not (tmp_path / "runs").exists()


def test_trials_of_best_have_folds_where_validation_rows_are_few(tmp_path, monkeypatch):
    assert settings(chosen(tmp_path, "best"))["tune.folds"] == 3
    assert "tune.folds" not in settings(chosen(tmp_path, "best", overrides=["tune.folds=2"]))
    monkeypatch.setattr(presets, "ROWS_OF_FOLDS", 59)
    assert "tune.folds" not in settings(chosen(tmp_path, "best"))


def test_a_split_by_column_stays_as_the_table_gives_it(tmp_path):
    text = "columns: {x: {role: numeric}, part: {role: split}, y: {role: target, task: binary}}\nsplit: {method: column}\n"
    parts = lambda row: ("train", "validation", "test")[row % 3]  # noqa: E731
    assert not any(key.startswith("split") for key in settings(chosen(tmp_path, "best", text, part=parts)))


@pytest.mark.parametrize(
    ("image", "per_second", "uses"),
    [
        ("{role: image}", 100.0, True),
        ("{role: image, size: [32, 32]}", 100.0, False),  # the file chooses what the network reads
        ("{role: image}", 0.001, False),  # it would take hours
    ],
)
def test_good_begins_images_with_an_encoder_at_hand(tmp_path, monkeypatch, image, per_second, uses):
    at_hand = {"images": ("little", EncoderSpeed(per_second, 10**6))}
    monkeypatch.setattr(presets, "encoder_at_hand", at_hand.get)
    for row in range(60):
        paint(tmp_path / f"{row}.png", row)
    text = f"columns: {{scan: {image}, x: {{role: numeric}}, y: {{role: target, task: binary}}}}\n"
    given = settings(chosen(tmp_path, "good", text, scan=lambda row: f"{row}.png"))
    assert ("branches" in given) == uses
    if uses:
        assert given["columns.scan.size"] == [224, 224]
        pretrained = {"columns": ["scan"], "architecture": "pretrained", "model": "little"}
        assert given["branches"] == {"scan": pretrained, "table": {"columns": ["x"]}}


@pytest.mark.parametrize(("options", "uses"), [("", True), (", vectorize: hashed", False)])
def test_good_reads_texts_by_an_encoder_next_to_their_words(tmp_path, monkeypatch, options, uses):
    monkeypatch.setattr(presets, "encoder_at_hand", {"texts": ("little", EncoderSpeed(100.0, 10**6))}.get)
    text = f"columns: {{note: {{role: text{options}}}, x: {{role: numeric}}, y: {{role: target, task: binary}}}}\n"
    given = settings(chosen(tmp_path, "good", text, note=lambda row: f"word{row % 3}"))
    assert ("columns.note_meaning" in given) == uses
    if uses:
        assert given["columns.note_meaning"] == {"column": "note", "role": "text"}
        pretrained = {"columns": ["note_meaning"], "architecture": "pretrained", "model": "little"}
        assert given["branches"] == {
            **{"note": {"columns": ["note"]}, "note_meaning": pretrained},
            "table": {"columns": ["x"], "architecture": "tabm"},
        }
    else:
        assert isinstance(given["branches"], str)  # as `init` chooses the table's branch


def test_a_mistake_in_a_setting_of_a_preset_has_the_place_of_the_file(tmp_path):
    one = chosen(tmp_path, "quick", COLUMNS + "training: {epochs: 0}\n", overrides=["training.epochs=1"])
    assert one.source().place(("training", "learning_rate")) == "a.yaml:7: training.learning_rate"


@pytest.mark.slow
def test_the_run_of_a_preset_lists_its_settings(tmp_path):
    notes = []
    text = f"{COLUMNS}branches: {{table: {{columns: [x]}}}}\ntraining: {{epochs: 2}}\nsplit: {{folds: 2}}\n"
    two_blobs(tmp_path, 60)
    path = write_experiment(tmp_path / "a.yaml", text)
    result = fit_preset(path, "good", output=tmp_path / "runs", listeners=Listeners(say=notes.append))
    assert result.scores.folds == 2
    text = (result.run / "config.yaml").read_text()
    assert "# Set by `--preset good`, where the experiment file says nothing:\n#   training.batch_size: 16  (as `init` chooses it" in text
    assert "good: training.batch_size, as `init` chooses it for these columns and 60 rows." in notes
    assert config.load(result.run / "config.yaml").training.batch_size == 16


@pytest.mark.parametrize("gain", [0.02, -0.01])
def test_best_keeps_the_experiment_where_other_rows_do_not_confirm_the_search(tmp_path, monkeypatch, gain):
    two_blobs(tmp_path, 60)
    path, trained, said = write_experiment(tmp_path / "a.yaml", COLUMNS), [], []
    best = TrialResult(trial=1, outcome="complete", score=0.9, best_epoch=1, epochs=2, seconds=1.0, settings={}, own=False)
    corrected = CorrectedChoice(score="auc", value=0.8 + gain, own=0.8, better=0.5, draws=100)
    found = SearchResult.model_construct(run="a/1", best=best, corrected=corrected, changes={}, experiment="a/1/best.yaml")
    monkeypatch.setattr(fit_preset_module, "tune", lambda *_, **__: found)
    monkeypatch.setattr(fit_preset_module, "fit", lambda one, **options: trained.append((one, options["header"])))
    fit_preset(path, "best", output=tmp_path / "runs", listeners=Listeners(say=said.append))
    ((experiment, header),) = trained
    assert (experiment == "a/1/best.yaml") == ("# Then changed by the search a/1:" in header) == (gain > 0)
    assert (fit_preset_module.NOT_CONFIRMED in said) == ("# The search a/1 found nothing that" in header) == (gain < 0)


@pytest.mark.slow
def test_best_searches_and_trains_the_folds_of_the_best_experiment(tmp_path):
    two_blobs(tmp_path, 80)
    path = write_experiment(tmp_path / "a.yaml", COLUMNS + "training: {epochs: 2}\n")
    overrides = ["tune.trials=2", "split.folds=2"]
    result = fit_preset(path, "best", overrides=overrides, output=tmp_path / "runs")
    assert result.run.folder == tmp_path / "runs/a/2"
    text = (result.run / "config.yaml").read_text()
    assert "#   split.test: 0.15  (neither the search nor a fold sees these rows)" in text
    # By what it found, or because other rows do not confirm it.
    assert "he search a/1" in text
    assert find("a/1", tmp_path / "runs").state == "finished"


def test_a_preset_is_for_a_new_training(capsys):
    assert run_command(["fit", "a.yaml", "--preset", "good", "--dry-run"]) == 2
    assert "--preset cannot be given with --dry-run. Leave --dry-run out." in " ".join(capsys.readouterr().err.split())
    assert run_command(["fit", "a.yaml", "--dry-run", "--fold", "1", "--workers", "2"]) == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert "--fold and --workers cannot be given with --dry-run, which tries the first training in this process. Leave" in printed
    assert run_command(["fit", "--resume", "a", "--preset", "good"]) == 2
    assert "A resumed run keeps the settings of its config.yaml" in capsys.readouterr().err
