"""`mmtrain models`: list and measure the pretrained encoders at hand, and fetch others from a hub."""

from __future__ import annotations

import math
from pathlib import Path

from mmtrain.artifacts.command_results import ModelAtHand
from mmtrain.encoders import families, identify, model_folders, models_at_hand, open_checkpoint
from mmtrain.encoders.download import Progress, download_model, hub_address, repository_of
from mmtrain.errors import RunError
from mmtrain.pipeline.encoder_speed import known_speed, measured_speed


def list_models(*, measure: bool = False) -> list[ModelAtHand]:
    """Return the models that the name of a `pretrained` architecture can be, sorted by name. Reads tables of files, not the weights.

    Speed and memory are those of an earlier measurement; with `measure`, they are measured where there is none, which starts TensorFlow.
    """
    return [_describe(name, path, measure=measure) for name, path in models_at_hand().items()]


def download(
    name: str, *, sha256: str, hub: str | None = None, revision: str = "main", folder: Path | None = None, progress: Progress | None = None
) -> ModelAtHand:
    """Fetch a model from a hub, into the user's folder of models or into `folder`, and return it.

    `name` is that of a model, or a repository of the hub, `owner/model`. Raises UsageError and RunError as `download_model`.
    """
    repository, address = repository_of(name), hub_address(hub)
    place = (folder or model_folders()[-1]) / name.rpartition("/")[2]
    download_model(repository, place, hub=address, sha256=sha256, revision=revision, progress=progress)
    return _describe(place.name, place)


def _describe(name: str, path: Path, *, measure: bool = False) -> ModelAtHand:
    kind = family = problem = ""
    speed = None
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
            speed = (measured_speed if measure else known_speed)(name, path)
    except RunError as error:
        problem = error.problems[0].what
    return ModelAtHand(
        name=name,
        kind=kind,
        family=family,
        parameters=parameters,
        size=size,
        per_second=None if speed is None else speed.per_second,
        memory=None if speed is None else speed.memory,
        path=path,
        problem=problem,
    )
