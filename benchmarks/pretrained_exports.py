"""Exports of a run whose pretrained encoders were tuned: agreement with `predict`, and what each file takes on disk.

    python benchmarks/pretrained_exports.py --image efficientnet_lite0 --text all-minilm-l6-v2 [--quick] [--json FILE]

Both names are those of models at hand (`mmtrain models list`); about a minute and a half on two cores. A small part of the emoji that ship
with mmtrain is trained: one epoch on cached features, one with LoRA in both encoders. The SavedModel is read by TensorFlow alone, from
strings and the bytes of image files, and the network of the ONNX file by its runtime. Sizes are those of each checkpoint's weights when its
epoch has ended, of the saved model, and of the exports. It is an error if an export is further from `predict` than the targets allow.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from script import keep, parser

import mmtrain
from mmtrain.artifacts.export_results import ExportResult
from mmtrain.commands.deployment.export import ExportOptions, export
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.training.listeners.events import EpochEnded

EMOJI = Path(__file__).parents[1] / "sample_data" / "emoji"
SAVED_MODEL, ONNX = 1e-5, 1e-4
"""Largest differences of probabilities. The images are PNG of the very size, so that decoders and resizing cannot differ."""
PROGRAM = """
import json, pathlib, sys, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
rows = json.load(open(sys.argv[2]))
images = [pathlib.Path(path).read_bytes() for path in rows["picture"]]
answer = serve(picture=tf.constant(images), name=tf.constant(rows["name"]))
assert not any(name.split(".")[0] == "mmtrain" for name in sys.modules)
print(json.dumps(answer["probabilities"].numpy().tolist()))
"""


def experiment(table: Path, image: str, text: str) -> dict[str, Any]:
    """Image and text, each behind an encoder that is tuned in the second of two epochs."""
    tuned = {"architecture": "pretrained", "tune": "lora", "rank": 8, "blocks": 2}
    return {
        "name": "pretrained_exports",
        "data": {"table": str(table), "images": str(EMOJI / "pictures"), "cache": {"folder": str(table.parent / "cache")}},
        "columns": {
            "picture": {"role": "image", "size": [64, 64]},
            "name": {"role": "text", "max_length": 32},
            "category": {"role": "target", "task": "multiclass"},
        },
        "branches": {
            "picture": {"columns": ["picture"], **tuned, "model": image},
            "name": {"columns": ["name"], **tuned, "model": text},
        },
        "training": {"epochs": 2, "batch_size": 16},
    }


def read_alone(saved: Path, rows: pd.DataFrame, folder: Path) -> Any:
    """Return the probabilities by the SavedModel for raw rows, in a process that has TensorFlow alone."""
    cells = {"picture": [str(EMOJI / "pictures" / path) for path in rows["picture"]], "name": rows["name"].tolist()}
    (folder / "rows.json").write_text(json.dumps(cells), encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, str(saved), str(folder / "rows.json")]
    return np.array(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))  # noqa: S603


def difference(done: ExportResult) -> float:
    """Return the largest difference that the check of an export has seen."""
    return float("nan") if done.signature.check is None else done.signature.check.largest_difference


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) if path.is_dir() else path.stat().st_size


def measure(image: str, text: str, rows: int, folder: Path) -> dict[str, Any]:
    """Train, export, and return differences and sizes."""
    table = folder / "emoji.csv"
    with (EMOJI / "emoji.csv").open(encoding="utf-8", newline="") as file:
        frame = pd.DataFrame(list(islice(csv.DictReader(file), 0, None, max(1, 1900 // rows))))
    frame = frame[frame.groupby("category")["category"].transform("size") >= 5]
    frame.to_csv(table, index=False)
    checkpoints: dict[str, int] = {}

    def watch(event: object) -> None:
        if isinstance(event, EpochEnded) and event.epoch > 1:
            checkpoints[f"epoch {event.epoch - 1}"] = size(run_folder / "checkpoints" / "last")

    run_folder = folder / "runs" / "pretrained_exports" / "1"
    config = folder / "experiment.yaml"
    config.write_text(yaml.safe_dump(experiment(table, image, text), sort_keys=False), encoding="utf-8")
    run = fit(config, output=folder / "runs", listeners=Listeners(watch=watch)).run
    checkpoints["epoch 2"] = size(run / "checkpoints" / "last")
    raw = frame.head(40)
    predicted = mmtrain.load(run.folder).predict(raw, proba=True, images=EMOJI / "pictures")
    expected = predicted[[name for name in predicted.columns if name.startswith("p_") or name.startswith("probability")]].to_numpy(float)
    saved = export(str(run.folder), ExportOptions("saved_model"))
    served = read_alone(saved.folder / "model", raw, folder)
    differences = {
        "SavedModel, checked by export": difference(saved),
        "SavedModel, TensorFlow alone": float(np.abs(served - expected).max()),
    }
    exports = {"SavedModel": size(saved.folder)}
    onnx = export(str(run.folder), ExportOptions("onnx"))
    differences["ONNX, checked by export"] = difference(onnx)
    exports["ONNX"] = size(onnx.folder)
    sizes = {**{f"checkpoint after {name}": one for name, one in checkpoints.items()}, "model.keras": size(run / "model.keras"), **exports}
    sizes["whole run"] = size(run.folder)
    return {"rows": len(frame), "differences": differences, "bytes": sizes}


def main() -> None:
    asked = parser(__doc__, quick="Few rows.")
    asked.add_argument("--image", default="efficientnet_lite0", help="Image encoder at hand.")
    asked.add_argument("--text", default="all-minilm-l6-v2", help="Text encoder at hand.")
    asked.add_argument("--rows", type=int, default=160)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="pretrained_exports_") as folder:
        results = measure(options.image, options.text, 80 if options.quick else options.rows, Path(folder))
    for name, difference in results["differences"].items():
        print(f"{name:32} {difference:.1e}")
    for name, count in results["bytes"].items():
        print(f"{name:32} {count / 1e6:8.1f} MB")
    keep(options, {"image": options.image, "text": options.text}, results)
    far = [name for name, one in results["differences"].items() if one > (ONNX if name.startswith("ONNX") else SAVED_MODEL)]
    if far:
        raise SystemExit(f"Too far from `predict`: {', '.join(far)}.")


if __name__ == "__main__":
    main()
