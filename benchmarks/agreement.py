"""How far the saved model and its SavedModel export are from `mmtrain evaluate`, on images of every format and orientation.

    python benchmarks/agreement.py [--quick] [--json FILE]        (about a minute)

A table with holes is trained on for one epoch. Then 500 new rows, a tenth of them with unseen categories, are answered in three ways:
as `evaluate` does it, from the image store; by model.keras, from raw values and encoded images, in a fresh process with mmtrain
imported; and by the SavedModel, in a fresh process with TensorFlow alone. Told are, per kind of image, the largest differences of
pixels (in levels of 255) and of probabilities; more than another decoder may change is an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from script import keep, parser

from mmtrain.config.image_folder import ImageFolder
from mmtrain.layers.start import start_tensorflow

EXPERIMENT = """
name: agreement
data: {table: table.csv}
columns:
  age: {role: numeric}
  sex: {role: categorical}
  note: {role: text}
  scan: {role: image, size: [48, 40], channels: 3, missing: mask, augment: {flip: horizontal, rotate: 20}}
  ill: {role: target, task: binary}
split: {method: random, validation: 0.2, test: 0.2}
training: {epochs: 1, batch_size: 32, seed: 1}
"""

LEVELS = 1
"""How far pixels may be apart; of probabilities `IMAGES` says it."""
RELOADED = """
import sys
from mmtrain.layers.start import start_tensorflow
start_tensorflow()
import keras, numpy as np, tensorflow as tf
import mmtrain.layers.registered
model = tf.function(keras.models.load_model(sys.argv[1], safe_mode=True), reduce_retracing=True)
raw = np.load(sys.argv[2], allow_pickle=True)
answers = []
for at in range(0, len(raw["age"]), 64):
    answers.append(model({name: tf.constant(raw[name][at : at + 64].tolist()) for name in raw.files}, training=False)["ill"])
np.save(sys.argv[3], np.concatenate(answers))
"""


def photo(chance: np.random.Generator) -> Image.Image:
    """A blurred scene of some size, with alpha."""
    height, width = chance.integers(20, 200, 2)
    coarse = Image.fromarray(chance.integers(0, 256, (height // 9 + 2, width // 9 + 2, 4), dtype=np.uint8))
    return coarse.resize((int(width), int(height)), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str) -> bytes:
    """An image as a file of one of `KINDS`."""
    buffer = BytesIO()
    name, _, what = kind.partition(" ")
    modes = {"grey": "L", "CMYK": "CMYK", "alpha": "RGBA", "palette": "P"}
    exif = Image.Exif()
    if what.startswith("orientation"):
        exif[0x0112] = int(what[-1])
    image.convert(modes.get(what, "RGB")).save(buffer, name, **({"exif": exif} if len(exif) else {}))
    return buffer.getvalue()


PLAIN = ["JPEG", "JPEG grey", "JPEG CMYK", "PNG", "PNG grey", "PNG alpha", "PNG palette", "GIF", "BMP", "WEBP", "WEBP alpha"]
KINDS = PLAIN + [f"{name} orientation {turn}" for name in ("JPEG", "PNG", "WEBP") for turn in range(1, 9)]


def table(folder: Path, rows: int, chance: np.random.Generator, *, unseen: bool) -> pd.DataFrame:
    """Rows with an image of every kind in turn, each twentieth without; holes in every other column too."""
    (folder / "scans").mkdir(exist_ok=True)
    cells: list[dict[str, Any]] = []
    for row in range(rows):
        name = f"scans/{'new' if unseen else 'old'}{row}"
        if row % 20:
            (folder / name).write_bytes(encoded(photo(chance), KINDS[row % len(KINDS)]))
        cells.append(
            {
                "age": None if row % 7 == 0 else round(float(chance.normal(50, 20)), 3),
                "sex": "other" if unseen and row % 10 == 0 else (None if row % 11 == 0 else chance.choice(["f", "m"])),
                "note": None if row % 6 == 0 else " ".join(chance.choice(["cough", "fever", "pain", f"word{row}"], 5)),
                "scan": name if row % 20 else None,
                "ill": chance.choice(["no", "yes"]),
            }
        )
    found = pd.DataFrame(cells)
    found.to_csv(folder / ("new.csv" if unseen else "table.csv"), index=False)
    return found


def measure(folder: Path, rows: int) -> list[dict[str, Any]]:
    """Largest differences per kind of image."""
    from mmtrain import config
    from mmtrain.commands.fit import fit
    from mmtrain.data import encode
    from mmtrain.export import export_formats, saved_model
    from mmtrain.export.check import give_runner
    from mmtrain.layers.image_decoding import EncodeImage
    from mmtrain.model import model_file
    from mmtrain.pipeline.prepare import read_data
    from mmtrain.pipeline.restore import restore_training

    chance = np.random.default_rng(1)
    table(folder, 300, chance, unseen=False)
    new = table(folder, rows, chance, unseen=True)
    (folder / "agreement.yaml").write_text(EXPERIMENT)
    run = fit(folder / "agreement.yaml", output=folder / "runs").run
    experiment, fitted, _ = restore_training(run)
    data = read_data(config.load(folder / "agreement.yaml"), folder / "new.csv", ImageFolder(folder))
    arrays = encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache)
    everything = np.arange(rows)
    expected = model_file.predict(model_file.parts(model_file.load_end_to_end(run / "model.keras"))[1], arrays, everything)["ill"][:, 0]

    columns = fitted.columns
    raw = {key: np.concatenate([columns[key].raw(piece) for piece in data.table.pieces(key)]) for key in columns if key != "scan"}
    files = [(folder / name).read_bytes() if isinstance(name, str) else b"" for name in new["scan"]]
    raw["scan"] = np.array(files, dtype=object)[:, None]
    saved_model.write(model_file.load_end_to_end(run / "model.keras"), fitted, folder / "saved_model")
    give_runner(export_formats["saved_model"], folder)
    served = export_formats["saved_model"].run(folder / "saved_model", raw, ())["probabilities"][:, 1]
    reloaded = in_fresh_process(folder, run / "model.keras", raw)
    layer: EncodeImage = fitted.columns["scan"].preprocessing()
    pixels = np.concatenate([layer(raw["scan"][at : at + 64])[0].numpy() for at in range(0, rows, 64)])
    levels = np.abs(pixels.astype(int) - arrays.inputs["scan"].take(everything)).max(axis=(1, 2, 3))
    return by_kind({"levels": levels, "model.keras": np.abs(reloaded - expected), "SavedModel": np.abs(served - expected)}, rows)


def by_kind(differences: dict[str, np.ndarray], rows: int) -> list[dict[str, Any]]:
    """The largest of each kind of image."""
    kinds = np.array([KINDS[row % len(KINDS)] if row % 20 else "no image" for row in range(rows)])
    return [
        {
            "images": kind,
            "rows": int((kinds == kind).sum()),
            **{name: own[kinds == kind].max().item() for name, own in differences.items()},
        }
        for kind in [*KINDS, "no image"]
    ]


def in_fresh_process(folder: Path, model: Path, raw: dict[str, Any]) -> Any:
    """The answers of model.keras where nothing is left over from training."""
    np.savez(folder / "raw.npz", **raw)
    subprocess.run([sys.executable, "-c", RELOADED, model, folder / "raw.npz", folder / "found.npy"], check=True)  # noqa: S603
    return np.load(folder / "found.npy")[:, 0]


def main() -> None:
    options = parser(__doc__, quick="70 new rows.").parse_args()
    rows = 70 if options.quick else 500
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MMTRAIN_CACHE"] = f"{folder}/cache"
        start_tensorflow()
        found = measure(Path(folder), rows)
    print(pd.DataFrame(found).to_string(index=False))
    keep(options, {"rows": rows}, found)
    from mmtrain.export.check import IMAGES

    apart = [one["images"] for one in found if one["levels"] > LEVELS or max(one["model.keras"], one["SavedModel"]) > IMAGES]
    if apart:
        raise SystemExit(f"Further apart than {LEVELS} level or {IMAGES:g} of a probability: {', '.join(apart)}.")


if __name__ == "__main__":
    main()
