"""`mmtrain models`: list the pretrained encoders at hand."""

from __future__ import annotations

import math
from pathlib import Path

from mmtrain.artifacts.command_results import ModelAtHand
from mmtrain.encoders import families, identify, models_at_hand, open_checkpoint
from mmtrain.errors import RunError


def list_models() -> list[ModelAtHand]:
    """Return the models that the name of a `pretrained` architecture can be, sorted by name. Reads tables of files, not the weights."""
    return [_describe(name, path) for name, path in models_at_hand().items()]


def _describe(name: str, path: Path) -> ModelAtHand:
    kind = family = problem = ""
    parameters = size = 0
    try:
        checkpoint = open_checkpoint(path)
        size = sum(file.stat().st_size for file in checkpoint.paths)
        parameters = sum(math.prod(shape) for shape in checkpoint.shapes.values())
        known = identify(checkpoint, name, families)
        if known is None:
            problem = "its family is not known."
        else:
            family, kind = known.family.name, known.family.kind
    except RunError as error:
        problem = error.problems[0].what
    return ModelAtHand(name=name, kind=kind, family=family, parameters=parameters, size=size, path=path, problem=problem)
