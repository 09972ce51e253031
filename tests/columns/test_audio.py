"""Recordings as a column: options, the guess of `init`, the store, and one training whose planted class is a frequency."""

import csv

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError
from tiny import ready

from mmtrain.cli.app import run
from mmtrain.columns import Audio, Image
from mmtrain.columns.profile import Profile
from mmtrain.specs import ImageSpec

soundfile = pytest.importorskip("soundfile")

ROWS = 48
RATE = 8_000


def write_recordings(folder):
    """Tones with noise, of 0.3 to 0.6 s, low ones of class a and high ones of class b, as WAV or FLAC; one cell is empty."""
    random = np.random.default_rng(0)
    rows = []
    (folder / "calls").mkdir()
    for row in range(ROWS):
        count = RATE * (3 + row % 4) // 10
        frequency = random.uniform(300, 700) if row % 2 else random.uniform(1500, 3000)
        samples = random.uniform(0.1, 0.8) * np.sin(2 * np.pi * frequency * np.arange(count) / RATE) + random.normal(0, 0.02, count)
        name = f"{row}.{'wav' if row % 3 else 'flac'}"
        soundfile.write(folder / "calls" / name, samples.clip(-1, 1), RATE)
        rows.append([row, "" if row == 5 else name, row % 7, "a" if row % 2 else "b"])
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "call", "age", "kind"], *rows])


OPTIONS = {"role": "audio", "sample_rate": RATE, "seconds": 0.5, "mels": 16, "missing": "mask"}
EXPERIMENT = {
    "data": {"table": "table.csv", "images": "calls"},
    "columns": {
        "id": {"role": "id"},
        "call": OPTIONS,
        "age": {"role": "numeric"},
        "kind": {"role": "target", "task": "binary", "positive": "b"},
    },
    "branches": {
        "call": {"columns": ["call"], "architecture": "cnn", "filters": [4, 8]},
        "age": {"columns": ["age"], "architecture": "mlp", "units": [4]},
    },
    "training": {"epochs": 12, "batch_size": 8, "learning_rate": 0.01},
}


def test_the_spectrogram_is_an_image_of_one_channel():
    column = Audio(**OPTIONS)
    assert (column.kind, column.declared_spec()) == ("image", ImageSpec(16, 48, 1))
    assert Audio().declared_spec().shape == (64, 398, 1)
    assert column.fit([]).layout.size == (16, 48)
    assert "seconds" in column.fit([]).model_dump() and "mel bands" in column.fit([]).learned_words(column, str)
    assert type(column.fit([])).model_validate_json(column.fit([]).model_dump_json()) == column.fit([])


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"frequencies": [50, 9000]}, "`frequencies` end above 8000 Hz, half of `sample_rate`. Set `sample_rate: 18000`."),
        ({"frequencies": [500]}, "`frequencies` are the lowest and the highest in Hz, such as [50, 8000]."),
        ({"frequencies": [500, 50]}, "`frequencies` are the lowest and the highest in Hz, such as [50, 8000]."),
        ({"seconds": 0.01}, "a frame of `window: 25` ms is longer than `seconds: 0.01`. Shorten `window`, or raise `seconds`."),
        ({"seconds": 600}, "`seconds` and `hop` give 59,998 frames, more than 8,192. Shorten `seconds`, or raise `hop`."),
    ],
)
def test_options_that_give_no_spectrogram_are_refused(options, what):
    with pytest.raises(ValidationError) as error:
        Audio(**options)
    assert error.value.errors()[0]["msg"] == f"Value error, {what}"


def test_augmentation_is_read_again_with_every_default():
    augmented = Audio(**OPTIONS, augment={"time_mask": 0.2})
    assert Audio.model_validate(augmented.model_dump(mode="json")) == augmented
    with pytest.raises(ValidationError, match="`time_masks` has no effect without `time_mask`, the share that each covers"):
        Audio(**OPTIONS, augment={"time_masks": 2})


def test_attributions_are_divided_by_frequency_and_time():
    values = np.zeros((16, 48))
    values[0, 0], values[-1, -1] = 1, 2  # the highest band at the beginning, the lowest at the end
    elements = dict(Audio(**OPTIONS).fit([]).attribute("x.wav", values, values).elements)
    assert (elements["high frequencies, first third"], elements["low frequencies, last third"], sum(elements.values())) == (1, 2, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of recordings, their table and an experiment."""
    folder = tmp_path_factory.mktemp("recordings")
    write_recordings(folder)
    (folder / "calls.yaml").write_text(yaml.safe_dump(EXPERIMENT), encoding="utf-8")
    return folder


def test_init_recognizes_recordings(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert run(["init", "table.csv", "--target", "kind", "--output", "guessed.yaml"]) == 0
    column = yaml.safe_load((folder / "guessed.yaml").read_text(encoding="utf-8"))["columns"]["call"]
    assert column == {"role": "audio", "seconds": 0.6, "sample_rate": RATE, "missing": "mask"}
    text = (folder / "guessed.yaml").read_text(encoding="utf-8")
    assert "cells end like names of recordings, as " in text and "0.3 to 0.6 s" in text


@pytest.mark.parametrize(("recordings", "images", "role"), [(90, 10, "audio"), (40, 60, "image"), (100, 0, "audio"), (80, 0, None)])
def test_recordings_are_guessed_where_some_cells_name_images(recordings, images, role):
    """They were taken for images as soon as one cell in twenty named one."""
    names = [("a.wav", recordings), ("b.png", images), ("c", 100 - recordings - images)]
    frequent = tuple((value, rows) for value, rows in names if rows)
    profile = Profile(header="x", rows=100, missing=0, distinct=len(frequent), frequent=frequent, images=images, unread_images=recordings)
    guesses = [guess for guess in (Audio.guess(profile), Image.guess(profile)) if guess is not None]
    assert [guess.role for guess in sorted(guesses, key=lambda guess: guess.evidence)][-1:] == ([role] if role else [])


def test_recordings_have_no_size_in_pixels_before_a_layout_says_so(folder):
    from mmtrain.cli.views.inspection import file_kinds
    from mmtrain.config.image_folder import ImageFolder
    from mmtrain.data.images.header_profile import profile_images

    profile = profile_images(["0.flac", "1.wav", "2.wav", "none.wav"], ImageFolder(folder / "calls"))
    assert (profile.found, profile.largest, profile.sizes, profile.bits) == (3, None, 0, {})
    assert file_kinds(profile) == "WAV 2, FLAC 1"


@pytest.mark.usefixtures("tensorflow")
def test_recordings_are_stored_as_they_are_predicted(folder):
    """Shorter ones with silence, missing ones dark; a folder of recordings is a table as well."""
    from mmtrain.config.image_folder import ImageFolder
    from mmtrain.data.images.decode_cells import decode_cells
    from mmtrain.data.images.locate import ImageFinder
    from mmtrain.pipeline.prediction.predict_input import predict_input

    made = ready(folder / "calls.yaml", [f"data.cache.folder={folder / 'cache'}"])
    column = made.experiment.columns["call"]
    pixels = made.arrays.inputs["call"].take(np.arange(ROWS))
    assert (pixels.shape, pixels.dtype, made.arrays.present["call"].sum()) == ((ROWS, 16, 48, 1), np.uint8, ROWS - 1)
    cells = pd.read_csv(folder / "table.csv", dtype="str")["call"]
    decoded = decode_cells(cells, column.image_cells, ImageFinder(ImageFolder(folder / "calls")), policy="mask")
    assert np.array_equal(decoded.pixels, pixels)
    raw = made.fitted.columns["call"].raw(
        cells.map(lambda cell: str(folder / "calls" / cell), na_action="ignore").where(cells.notna(), None)
    )
    encoded, present = made.fitted.columns["call"].preprocessing()(raw)
    assert np.array_equal(encoded.numpy(), pixels) and np.array_equal(present.numpy(), decoded.present)
    with predict_input(folder / "calls", made.experiment.columns) as given:
        lines = given.path.read_text(encoding="utf-8").splitlines()
    assert (lines[:2], len(lines)) == (["call,age", "0.flac,"], ROWS + 1)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_a_planted_frequency_is_learned_explained_and_exported(folder, monkeypatch, capsys):
    from mmtrain.commands.deployment.export import ExportOptions, export
    from mmtrain.commands.explain import ExplainOptions, explain

    monkeypatch.chdir(folder)
    monkeypatch.setenv("MMTRAIN_CACHE", str(folder / "cache"))
    assert run(["fit", "calls.yaml"]) == 0
    assert run(["evaluate", "calls"]) == 0
    assert "The model is better; the uncertainty of the difference is unknown." in capsys.readouterr().out
    explained = explain("calls", ExplainOptions(rows=("6", "7")))
    elements = pd.read_csv(explained.folder / "explanations.csv")
    assert "low frequencies, first third" in elements.iloc[:, 4].tolist()
    for name in ("saved_model", "onnx"):
        export("calls", ExportOptions(name))
    assert run(["inspect-data", "calls.yaml"]) == 0
    assert "WAV" in capsys.readouterr().out
