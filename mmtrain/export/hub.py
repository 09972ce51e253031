"""`--format hub`: a folder as model hubs have it: a card with front matter (README.md), config.json and model.safetensors.

config.json is the configuration of the whole model, preprocessing included, as Keras writes it; the weights are in a file that holds
numbers only. `load_folder` opens the folder, with the inspection that every model file goes through.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.columns import AnyFittedColumn
from mmtrain.columns.base import role_class
from mmtrain.encoders.weights.files import SAFETENSORS_TYPES, SafetensorsFile
from mmtrain.errors import Problem, RunError
from mmtrain.export.base import EXACT, ExportableModel, Format
from mmtrain.export.subprocess_runner import run_with_json
from mmtrain.targets import FittedTarget

CONFIG, CARD = "config.json", "README.md"
TYPE_NAMES = {code.lstrip("<|"): name for name, code in SAFETENSORS_TYPES.items()}
ALIGNMENT = 8
"""The table of a safetensors file ends at a multiple of this many bytes."""


def write(exportable: ExportableModel, path: Path, quantize: str) -> dict[str, Any]:  # noqa: ARG001
    """Write the weights to `path`, and config and card next to them; return the size."""
    import keras

    write_safetensors(path, {name: np.asarray(weight) for name, weight in _named_weights(exportable.whole).items()})
    config = {"library_name": "mmtrain", "model_type": "mmtrain", "keras": keras.saving.serialize_keras_object(exportable.whole)}
    (path.parent / CONFIG).write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    card = None if exportable.source is None else exportable.source.parent / "model_card.md"
    body = card.read_text(encoding="utf-8") if card is not None and card.is_file() else "# A model of mmtrain\n"
    front = front_matter(exportable.fitted.columns.values(), exportable.fitted.targets.values())
    (path.parent / CARD).write_text(front + body, encoding="utf-8")
    return {"bytes": path.stat().st_size}


def load_folder(path: Path) -> Any:
    """Return the model whose weights are at `path`, next to its config. Raises RunError for a damaged file or an object not allowed."""
    import keras

    import mmtrain.layers.registered  # noqa: F401 (registers our layers under the names in the file)
    from mmtrain.model.safe_loading import first_line, wrong_objects

    place = path.parent / CONFIG
    try:
        config = json.loads(place.read_text(encoding="utf-8"))["keras"]
        if wrong := next(wrong_objects(config), ""):
            raise RunError(Problem(str(place), f"the model is not opened: {wrong}.", "Export it again."))
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        weights, file = _named_weights(model), SafetensorsFile(path)
    except RunError:
        raise
    except Exception as error:  # any error of Keras: the file is the cause
        raise RunError(Problem(str(place), f"the model cannot be opened: {first_line(error)}.", "Export it again.")) from error
    if {name: tuple(weight.shape) for name, weight in weights.items()} != file.shapes:
        raise RunError(Problem(str(path), f"the weights are not those of {CONFIG}.", "Export it again."))
    for name, weight in weights.items():
        weight.assign(file.read(name).astype(str(weight.dtype)))
    return model


def _named_weights(model: Any) -> dict[str, Any]:
    """Return the weights of a model by their paths; equal ones, as those of the members of a group, are numbered."""
    times: Counter[str] = Counter()
    named = {}
    for weight in model.weights:
        times[weight.path] += 1
        number = times[weight.path]
        named[weight.path if number == 1 else f"{weight.path}#{number}"] = weight
    return named


def write_safetensors(path: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write arrays as a safetensors file: the length of a JSON table, the table, and the numbers in its order."""
    table: dict[str, Any] = {"__metadata__": {"format": "np"}}
    place = 0
    for name, values in arrays.items():
        end = place + values.nbytes
        table[name] = {"dtype": TYPE_NAMES[values.dtype.str.lstrip("<|")], "shape": list(values.shape), "data_offsets": [place, end]}
        place = end
    head = json.dumps(table).encode()
    head += b" " * (math.ceil(len(head) / ALIGNMENT) * ALIGNMENT - len(head))
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for values in arrays.values():
            file.write(np.ascontiguousarray(values).tobytes())


def front_matter(columns: Iterable[AnyFittedColumn], targets: Iterable[FittedTarget]) -> str:
    """Return the YAML at the top of a card, by which hubs sort models.

    >>> from mmtrain.columns.numeric import Numeric
    >>> import pandas as pd
    >>> age = Numeric(column="age").fit([pd.Series(["60", "70"], dtype="str")])
    >>> print(front_matter([age], []), end="")
    ---
    library_name: mmtrain
    pipeline_tag: tabular-regression
    tags:
    - keras
    - tabular
    ---
    <BLANKLINE>
    """
    subjects = {"images": "image", "texts": "text"}
    contents = sorted({subjects.get(role_class(column.role).content, "tabular") for column in columns})
    classes = any(target.columns for target in targets)
    # Hubs have no task for images or texts together with a table, nor for numbers that are read off images.
    subject = contents[0] if len(contents) == 1 and classes else "tabular"
    tag = f"{subject}-{'classification' if classes else 'regression'}"
    lines = ["library_name: mmtrain", f"pipeline_tag: {tag}", "tags:", "- keras", *(f"- {kind}" for kind in contents)]
    return "\n".join(["---", *lines, "---", "", ""])


FORMAT = Format(
    name="hub",
    inputs="raw",
    file="model.safetensors",
    tolerances={"": EXACT},
    write=write,
    run=partial(run_with_json, with_mmtrain=True),
    usage="python run.py model.safetensors{code} < example.json > outputs.json",
    runner=Path(__file__).parent / "runners" / "keras.py",
)
