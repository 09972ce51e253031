"""Texts that do not fit their image, by the two towers of CLIP."""

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import write_safetensors
from PIL import Image
from tiny import write_experiment, write_table

from mmtrain.audit.images import text_agreement
from mmtrain.audit.images.text_agreement import agreement, mismatches
from mmtrain.commands.inspect_data import inspect_experiment

ENCODERS = Path(__file__).parents[1] / "encoders"
ROWS = 40


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def pairs(count=ROWS, wrong=()):
    """Vectors of images and of texts that describe them, except for the `wrong` rows."""
    random = np.random.default_rng(3)
    images = random.normal(size=(count, 24))
    texts = images + 0.7 * random.normal(size=images.shape)
    texts[list(wrong)] = random.normal(size=(len(wrong), 24))
    return unit(images), unit(texts)


def test_agreement_is_the_cosine_in_standard_deviations_of_other_pairs():
    images, texts = pairs(5)
    cosines = images.astype(float) @ texts.T.astype(float)
    expected = []
    for row in range(5):
        others = [place for place in range(5) if place != row]
        ways = [cosines[row, others], cosines[others, row]]
        expected.append(np.mean([(cosines[row, row] - way.mean()) / way.std() for way in ways]))
    assert np.allclose(agreement(images, texts), expected, atol=1e-5)


def test_planted_mismatches_are_found_the_worst_first():
    wrong = (4, 17, 30)
    images, texts = pairs(wrong=wrong)
    (finding,) = mismatches("title, photo", "clip", np.arange(ROWS) + 100, images, texts)
    assert sorted(finding.rows) == [104, 117, 130]
    assert (finding.kind, finding.count, finding.level) == ("text_image_mismatch", 3, "warning")
    assert finding.what == "3 texts of 40 that were checked do not fit the image of their row: by clip, texts of other rows fit it as well."
    scores = agreement(images, texts)
    assert [row - 100 for row in finding.rows] == sorted(wrong, key=lambda row: scores[row])


def test_texts_that_fit_and_texts_that_describe_nothing_give_no_finding():
    assert mismatches("title, photo", "clip", np.arange(ROWS), *pairs()) == []
    assert mismatches("title, photo", "clip", np.arange(ROWS), *pairs(wrong=range(ROWS))) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table with photos and titles, and a tiny CLIP with its tokenizer."""
    folder = tmp_path_factory.mktemp("agreement")
    random = np.random.default_rng(1)
    cells = []
    for row in range(ROWS):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{row}.png")
        cells.append({"photo": f"{row}.png", "title": "" if row == 7 else f"{row} a", "y": ("low", "high")[row % 2]})
    write_table(folder / "table.csv", cells)
    known = json.loads((ENCODERS / "published.json").read_text(encoding="utf-8"))["clip"]
    files = json.loads((ENCODERS / "published_tokenizers.json").read_text(encoding="utf-8"))["clip"]["files"]
    known["shapes"]["text_model.embeddings.token_embedding.weight"][0] = len(json.loads(files["vocab.json"]))
    arrays = {key: random.normal(0, 0.3, shape) for key, shape in known["shapes"].items()}
    write_safetensors(folder / "clip" / "model.safetensors", arrays)
    (folder / "clip" / "config.json").write_text(json.dumps(known["config"]))
    (folder / "clip" / "tokenizer.json").write_text(files["tokenizer.json"], encoding="utf-8")
    tree = {
        "data": {"images": ".", "cache": {"folder": "cache"}},
        "columns": {
            "photo": {"role": "image", "size": [16, 16]},
            "title": {"role": "text", "missing": "mask"},
            "y": {"role": "target", "task": "binary"},
        },
        "branches": {"looks": {"columns": ["photo"], "architecture": "pretrained", "model": "clip"}, "words": {"columns": ["title"]}},
    }
    write_experiment(folder / "shop.yaml", tree)
    return folder


@pytest.mark.slow
def test_vectors_of_pairs_are_those_of_both_towers(tensorflow, folder, monkeypatch):
    """Of the rows with a text, in the order of rows; the longest text that the tower reads is not cut."""
    from mmtrain.encoders import load_encoder
    from mmtrain.specs import ImageSpec

    monkeypatch.chdir(folder)
    given = {}

    def recorded(where, model, rows, images, texts):
        given.update(where=where, model=model, rows=rows.tolist(), images=images, texts=texts)
        return []

    monkeypatch.setattr(text_agreement, "mismatches", recorded)
    inspect_experiment(folder / "shop.yaml")
    assert given["rows"] == [row for row in range(ROWS) if row != 7]
    assert (given["where"], Path(given["model"]).name) == ("title, photo", "clip")
    tower = load_encoder(str(folder / "clip"), ImageSpec(16, 16, 3)).network
    pixels = np.stack([np.asarray(Image.open(folder / f"{row}.png")) for row in given["rows"]])
    assert np.allclose(given["images"], unit(np.asarray(tower(pixels))), atol=1e-5)
    assert given["texts"].shape == given["images"].shape
    assert np.allclose(np.linalg.norm(given["texts"], axis=1), 1, atol=1e-5)
    assert len(np.unique(given["texts"].round(4), axis=0)) > 20


def test_findings_have_the_lines_of_the_table_and_a_tokenizer_that_cannot_be_read_is_told(folder, monkeypatch):
    monkeypatch.chdir(folder)
    images, texts = pairs(ROWS - 1, wrong=(2, 9))
    monkeypatch.setattr(text_agreement, "pair_vectors", lambda *arguments: (images, texts))
    (finding,) = [one for one in inspect_experiment(folder / "shop.yaml").findings if one.kind == "text_image_mismatch"]
    assert sorted(finding.places) == [2 + 2, 10 + 2]  # the header is line 1, and row 7 has no title
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    (folder / "clip" / "tokenizer.json").write_text('{"model": {"type": "WordLevel"}}')
    (note,) = [one for one in inspect_experiment(folder / "shop.yaml").findings if one.kind == "text_image_not_checked"]
    assert note.level == "note" and "its `model` is 'WordLevel'" in note.what
