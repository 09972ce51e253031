"""Speeds of encoders on this machine: measured once, shown by `models list`, and the basis of what `init` proposes."""

import json
import os

import numpy as np
import pytest
from checkpoints import resnet_arrays, tiny_resnet, write_safetensors
from tiny import paint, write_table
from tiny_encoders import BERT, WIDTH, checkpoint, write_model
from typer.testing import CliRunner

from mmtrain import config
from mmtrain.cli.app import app
from mmtrain.commands.init import init
from mmtrain.pipeline.proposals import encoder_speed
from mmtrain.pipeline.proposals.encoder_speed import EncoderSpeed, known_speed, measured_speed


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder of models with an image and a text encoder, and the list of those that were measured, at four inputs a second."""
    folder, measured = tmp_path / "models", []
    folder.mkdir()
    tiny_resnet(folder)
    write_model(folder / "words")
    monkeypatch.setenv("MMTRAIN_MODELS", str(folder))
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(encoder_speed, "_measure", lambda reference, spec: measured.append(reference) or EncoderSpeed(4.0, 5_000_000))
    return folder, measured


def image_table(folder, rows=40):
    for row in range(rows):
        paint(folder / f"{row}.png", row)
    columns = [
        {"scan": f"{row}.png", "age": 20 + row * 7 % 31, "note": f"a note of {row} words", "kind": "ab"[row % 2]} for row in range(rows)
    ]
    return write_table(folder / "t.csv", columns)


def test_init_proposes_an_encoder_at_hand_with_its_minutes(tmp_path, models):
    file = init(image_table(tmp_path), target="kind", file=tmp_path / "t.yaml").file
    text = file.read_text(encoding="utf-8")
    assert (
        "scan: {columns: [scan], architecture: pretrained, model: tiny_resnet}  # a pretrained network at hand, frozen: it reads 40 images "
        "once, in about 0.2 min (4 a second on this machine), and epochs take seconds\n"
    ) in text
    experiment = config.load(file)
    assert {key: branch.columns for key, branch in experiment.branches.items()} == {"scan": ("scan",), "note": ("note",), "table": ("age",)}
    assert (experiment.columns["scan"].size, experiment.columns["scan"].augmentation) == ((224, 224), None)
    assert models[1] == [str(models[0] / "tiny_resnet")]


def test_init_only_names_an_encoder_that_would_take_long(tmp_path, models, monkeypatch):
    monkeypatch.setattr(encoder_speed, "_measure", lambda reference, spec: EncoderSpeed(0.04, 1))
    text = init(image_table(tmp_path), target="kind", file=tmp_path / "t.yaml").file.read_text(encoding="utf-8")
    assert (
        "# `architecture: pretrained, model: tiny_resnet` for images would take a while: it reads 40 images once, in about 17 min" in text
    )
    assert "augment" in text and "branches:\n" not in text


@pytest.fixture
def long_texts(models):
    """The folder of models with a text encoder that reads 128 pieces."""
    arrays = checkpoint() | {"embeddings.position_embeddings.weight": np.zeros((128, WIDTH), np.float32)}
    write_model(models[0] / "sentences", {**BERT, "max_position_embeddings": 128}, arrays)
    return models


def text_table(folder, rows=40):
    notes = [f"a note of {row % 30} words" for row in range(rows)]
    table = [{"note": note, "age": 20 + row * 7 % 31, "kind": "ab"[row % 2]} for row, note in enumerate(notes)]
    return write_table(folder / "t.csv", table)


def test_init_proposes_a_text_encoder_next_to_the_words(tmp_path, long_texts):
    file = init(text_table(tmp_path), target="kind", file=tmp_path / "t.yaml").file
    text = file.read_text(encoding="utf-8")
    # 30 distinct texts of five words: 2 + 1.3 * 5 pieces of the 64 that take a quarter of a second.
    assert (
        "note_meaning: {columns: [note_meaning], architecture: pretrained, model: sentences}  # a pretrained network at hand, frozen: it "
        "reads 30 distinct texts once, in about 0.0 min (30 a second on this machine), and epochs take seconds\n"
    ) in text
    experiment = config.load(file)
    assert {key: branch.columns for key, branch in experiment.branches.items()} == {
        **{"note": ("note",), "note_meaning": ("note_meaning",), "table": ("age",)}
    }
    assert (experiment.columns["note"].vectorize, experiment.columns["note_meaning"].vectorize) == ("tfidf", "pieces")
    assert experiment.columns["note_meaning"].column == "note"
    assert experiment.branches["table"].architecture == "tabm"  # as without an encoder
    assert experiment.fusion.auxiliary > 0


def test_words_and_meaning_of_a_text_alone_have_auxiliary_losses(tmp_path, long_texts):
    table = write_table(tmp_path / "t.csv", [{"note": f"a note of {row} words", "kind": "ab"[row % 2]} for row in range(40)])
    experiment = config.load(init(table, target="kind", file=tmp_path / "t.yaml").file)
    assert list(experiment.branches) == ["note", "note_meaning"] and experiment.fusion.auxiliary > 0


def test_a_key_for_the_meaning_is_free(tmp_path, long_texts):
    rows = [{"note": f"a note of {row} words", "note_meaning": row * 7 % 31, "kind": "ab"[row % 2]} for row in range(40)]
    experiment = config.load(init(write_table(tmp_path / "t.csv", rows), target="kind", file=tmp_path / "t.yaml").file)
    assert list(experiment.branches) == ["note", "note_meaning_2", "table"]


def test_init_proposes_both_encoders(tmp_path, long_texts):
    experiment = config.load(init(image_table(tmp_path), target="kind", file=tmp_path / "t.yaml").file)
    models = {key: getattr(branch, "model", "") for key, branch in experiment.branches.items()}
    assert models == {"scan": "tiny_resnet", "note": "", "note_meaning": "sentences", "table": ""}


def test_init_only_names_a_text_encoder_that_would_take_long(tmp_path, long_texts, monkeypatch):
    monkeypatch.setattr(encoder_speed, "_measure", lambda reference, spec: EncoderSpeed(0.01, 1))
    text = init(text_table(tmp_path), target="kind", file=tmp_path / "t.yaml").file.read_text(encoding="utf-8")
    assert "# `architecture: pretrained, model: sentences` for texts would take a while: it reads 30 distinct texts once, in about " in text
    assert "meaning" not in text and "branches:\n" not in text


def test_init_proposes_nothing_without_images_or_encoders(tmp_path, models, monkeypatch):
    init(write_table(tmp_path / "n.csv", [{"x": row * 7 % 31 / 10, "kind": "ab"[row % 2]} for row in range(30)]), file=tmp_path / "n.yaml")
    monkeypatch.setenv("MMTRAIN_MODELS", str(tmp_path / "empty"))
    text = init(image_table(tmp_path), target="kind", file=tmp_path / "t.yaml").file.read_text(encoding="utf-8")
    assert "pretrained" not in text and models[1] == []


def test_a_model_is_measured_once_until_its_file_changes(models):
    folder, measured = models
    path = folder / "tiny_resnet"
    assert known_speed("tiny_resnet", path, "image") is None
    for _ in range(2):
        assert measured_speed("tiny_resnet", path, "image") == EncoderSpeed(4.0, 5_000_000)
    assert len(measured) == 1
    write_safetensors(path / "model.safetensors", resnet_arrays(seed=1))
    os.utime(path / "model.safetensors", ns=(1, 1))
    assert known_speed("tiny_resnet", path, "image") is None


def test_models_are_listed_with_speed_and_memory_once_they_were_measured(models):
    plain = CliRunner().invoke(app, ["models", "list"])
    assert "images/s" not in plain.output and "mmtrain models list --measure" in plain.output
    CliRunner().invoke(app, ["models", "list", "--measure"])
    shown = CliRunner().invoke(app, ["models", "list"]).output
    assert "4 images/s" in shown and "4 texts/s" in shown and "--measure" not in shown
    document = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)
    assert [(one["name"], one["per_second"], one["memory"]) for one in document["models"]][-1] == ("words", 4.0, 5_000_000)


@pytest.mark.slow
def test_a_measurement_runs_the_network(tensorflow, tmp_path, monkeypatch):
    monkeypatch.setattr(encoder_speed, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(encoder_speed, "PIECES", 9)
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))
    speed = measured_speed("words", write_model(tmp_path / "words"), "pieces")
    assert speed.per_second > 0 and speed.memory >= 0
