"""From a file to an `Experiment`, and back: the resolved file that reproduces a run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from mmtrain.branches import architectures
from mmtrain.columns import Column, roles
from mmtrain.config import cross_checks, messages
from mmtrain.config.defaults import fill_defaults
from mmtrain.config.experiment import Data, Experiment
from mmtrain.config.partial_validation import sound_section, valid_parts
from mmtrain.config.schema import schema_of
from mmtrain.config.training import NUMBER, Training
from mmtrain.config.yaml_source import LocatedProblem, NotInFile, Source, read
from mmtrain.errors import ConfigError
from mmtrain.fusions import fusions
from mmtrain.optim import losses, optimizers, schedules
from mmtrain.splits import split_methods
from mmtrain.targets import tasks

_built: list[tuple[int, ...]] = []


def load(path: Path | NotInFile, overrides: Iterable[str] = ()) -> Experiment:
    """The experiment of a file, with `key.sub=value` overrides on top.

    Precedence: default, then file, then override. Raises ConfigError with every problem of the file, in the order of its lines.
    """
    return validated(read(path, overrides), path if isinstance(path, Path) else path.path)


def validated(source: Source, path: Path) -> Experiment:
    """The experiment of a tree; see `load`."""
    tree = fill_defaults(source.tree, path)
    found: list[LocatedProblem] = []
    experiment: Experiment | None = None
    try:
        experiment = _model().model_validate(tree)
    except ValidationError as error:
        found = messages.located_problems(error.errors(include_url=False), Experiment)
    problems = source.problems([*found, *cross_checks.located_problems(tree)])
    if problems or experiment is None:
        raise ConfigError(problems)
    return experiment


def load_sound(path: Path | NotInFile, overrides: Iterable[str] = ()) -> tuple[Data | None, dict[str, Column]]:
    """Return what an experiment with mistakes says of its data: the `data` section and the columns without a mistake of their own.

    Of a `data` section with a mistake the places are left, and no columns, since what their cells mean may depend on the mistake;
    None where not even the place of the table is sound.
    """
    try:
        source = read(path, overrides)
    except ConfigError:
        return None, {}
    parts = valid_parts(fill_defaults(source.tree, path if isinstance(path, Path) else path.path))
    columns = {key: column for key, column in parts.columns.items() if column is not None and key not in parts.flawed}
    data, exact = sound_section(TypeAdapter(Data), parts.tree.get("data"))
    return data, columns if exact else {}


def _model() -> type[Experiment]:
    """The model, built again when something has been registered since."""
    registries = (roles, tasks, architectures, fusions, optimizers, schedules, losses, split_methods)
    versions = tuple(registry.version for registry in registries)
    if [versions] != _built:
        for _, target in tasks.items():
            target.model_rebuild(force=True)  # its `loss` is one of those that are registered by now
        Training.model_rebuild(force=True)
        Experiment.model_rebuild(force=True)
        _built[:] = [versions]
    return Experiment


def to_yaml(experiment: Experiment, folder: Path) -> str:
    """The resolved file: every value written out, paths relative to `folder`, where the file is going to lie."""
    values = experiment.model_dump(mode="json")
    for holder, key in ((values["data"], "table"), (values["data"], "images"), (values["data"]["cache"], "folder")):
        if holder[key] is not None:
            holder[key] = Path(os.path.relpath(holder[key], folder.resolve())).as_posix()
    header = "# Every value of this experiment, defaults included. `mmtrain fit` on this file repeats the run.\n"
    return header + yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)


class _Dumper(yaml.SafeDumper):
    """Puts a text into quotes also where only YAML 1.2 takes it for a number: `1e3`."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+.0123456789"))


def json_schema() -> dict[str, Any]:
    """JSON Schema of the experiment file, for editors. It knows everything that is registered by now."""
    return schema_of(_model())
