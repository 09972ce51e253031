"""`--format keras`: model.keras with a program that runs it: raw numbers, strings and image files in, predictions out."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from mmtrain.export.base import EXACT, ExportableModel, Format
from mmtrain.export.subprocess_runner import run_with_json


def write(exportable: ExportableModel, path: Path, quantize: str) -> dict[str, Any]:  # noqa: ARG001
    """Copy model.keras, or save the model of a group; return its size."""
    if exportable.source is None:
        exportable.whole.save(path)
    else:
        shutil.copyfile(exportable.source, path)
    return {"bytes": path.stat().st_size}


FORMAT = Format(
    name="keras",
    inputs="raw",
    file="model.keras",
    tolerances={"": EXACT},
    write=write,
    run=partial(run_with_json, with_mmtrain=True),
    usage="python run.py model.keras{code} < example.json > outputs.json",
)
