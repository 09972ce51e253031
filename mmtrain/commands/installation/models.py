"""`mmtrain models`: list and measure the pretrained encoders at hand, and fetch others from a hub."""

from __future__ import annotations

import math
from pathlib import Path

from mmtrain.artifacts.command_results import ModelAtHand
from mmtrain.encoders import Recognized, families, identify, model_folders, models_at_hand, open_checkpoint
from mmtrain.encoders.download import Progress, download_model, hub_address, repository_of
from mmtrain.errors import RunError
from mmtrain.pipeline.proposals.encoder_speed import known_speed, measured_speed


def list_models(*, measure: bool = False) -> list[ModelAtHand]:
    """Return the models that the name of a `pretrained` architecture can be, sorted by name, one for each kind of input that it reads.

    Reads tables of files, not the weights.
    Speed and memory are those of an earlier measurement; with `measure`, they are measured where there is none, which starts TensorFlow.
    """
    return [one for name, path in models_at_hand().items() for one in _describe(name, path, measure=measure)]


def download(
    name: str, *, sha256: str, hub: str | None = None, revision: str = "main", folder: Path | None = None, progress: Progress | None = None
) -> list[ModelAtHand]:
    """Fetch a model from a hub, into the user's folder of models or into `folder`, and return it as `list_models` does.

    `name` is that of a model, or a repository of the hub, `owner/model`. Raises UsageError and RunError as `download_model`.
    """
    repository, address = repository_of(name), hub_address(hub)
    place = (folder or model_folders()[-1]) / name.rpartition("/")[2]
    download_model(repository, place, hub=address, sha256=sha256, revision=revision, progress=progress)
    return _describe(place.name, place)


def _describe(name: str, path: Path, *, measure: bool = False) -> list[ModelAtHand]:
    """Return a model: once for each kind of input that its weights have an encoder of, such as both towers of CLIP."""
    try:
        checkpoint = open_checkpoint(path)
        kinds = dict.fromkeys(family.kind for _, family in families.items())
        among = [[key for key, family in families.items() if family.kind == kind] for kind in kinds]
        known = [one for keys in among if (one := identify(checkpoint, name, keys)) is not None]
    except RunError as error:
        return [ModelAtHand(name=name, kind="", family="", parameters=0, size=0, path=path, problem=error.problems[0].what)]
    size = sum(file.stat().st_size for file in checkpoint.paths)
    if not known:
        parameters = sum(map(math.prod, checkpoint.shapes.values()))
        what = "its family is not known."
        return [ModelAtHand(name=name, kind="", family="", parameters=parameters, size=size, path=path, problem=what)]
    return [_known(name, path, one, size, measure=measure) for one in known]


def _known(name: str, path: Path, known: Recognized, size: int, *, measure: bool) -> ModelAtHand:
    kind = known.family.kind
    speed = (measured_speed if measure else known_speed)(name, path, kind)
    return ModelAtHand(
        name=name,
        kind=kind,
        family=known.family.name,
        parameters=sum(math.prod(shape) for array, shape in known.checkpoint.shapes.items() if not known.family.ignores(array)),
        size=size,
        per_second=None if speed is None else speed.per_second,
        memory=None if speed is None else speed.memory,
        path=path,
        problem="",
    )
