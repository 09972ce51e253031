"""From a file to an `Experiment`, and back: the resolved file that reproduces a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from mmtrain.branches import architectures
from mmtrain.columns import Column, roles
from mmtrain.config.defaults import fill_defaults
from mmtrain.config.experiment import Data, Experiment
from mmtrain.config.schema import schema_of
from mmtrain.config.sections.training import Training
from mmtrain.config.validation import cross_checks, messages
from mmtrain.config.validation.partial_validation import sound_section, valid_parts
from mmtrain.config.yaml_source import LocatedProblem, NotInFile, Source, read
from mmtrain.config.yaml_syntax import NUMBER
from mmtrain.errors import ConfigError
from mmtrain.fusions import fusions
from mmtrain.optim import losses, optimizers, schedules
from mmtrain.splits import split_methods
from mmtrain.system.remote import address_of
from mmtrain.targets import tasks
from mmtrain.trackers import trackers

_built: list[tuple[int, ...]] = []


def load(path: Path | NotInFile, overrides: Iterable[str] = ()) -> Experiment:
    """Load the experiment of a file, with `key.sub=value` overrides.

    An override replaces a value of the file, which replaces a default. Raises ConfigError with every problem of the file, in the order
    of its lines.
    """
    return validated(read(path, overrides), path if isinstance(path, Path) else path.path)


def from_json(text: str) -> Experiment:
    """Return the experiment whose `model_dump_json()` is `text`."""
    experiment: Experiment = _model().model_validate_json(text)
    return experiment


def validated(source: Source, path: Path) -> Experiment:
    """Validate the tree of a source and return its experiment. Raises ConfigError, see `load`."""
    # Defaults first: sections that were left out take part in validation.
    experiment, located = validate_tree(fill_defaults(source.tree, path))
    problems = source.problems(located)
    if problems or experiment is None:
        raise ConfigError(problems)
    return experiment


def validate_tree(tree: dict[str, Any]) -> tuple[Experiment | None, list[LocatedProblem]]:
    """Return the experiment of a tree with its defaults, None if a section is invalid, and all problems of the tree."""
    mistakes: list[LocatedProblem] = []
    experiment: Experiment | None = None
    try:
        experiment = _model().model_validate(tree)
    except ValidationError as error:
        mistakes = messages.located_problems(error.errors(include_url=False), Experiment)
    return experiment, [*mistakes, *cross_checks.located_problems(tree)]


def load_sound(path: Path | NotInFile, overrides: Iterable[str] = ()) -> tuple[Data | None, dict[str, Column]]:
    """Return the valid parts of an experiment with mistakes that concern the table: the `data` section and the valid columns.

    A `data` section with a mistake is returned without the wrong option and without columns, since the meaning of their cells may depend
    on it. The section is None if even the path of the table is invalid.
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
    """Return the class Experiment, rebuilt if columns, branches or other options have been registered since."""
    registries = (roles, tasks, architectures, fusions, optimizers, schedules, losses, split_methods, trackers)
    versions = tuple(registry.version for registry in registries)
    # Pydantic builds a union once; without this, a role that `--code` registers later would be unknown.
    if [versions] != _built:
        for _, target in tasks.items():
            target.model_rebuild(force=True)  # the union of its `loss` holds the losses registered so far
        Training.model_rebuild(force=True)
        Experiment.model_rebuild(force=True)
        _built[:] = [versions]
    return Experiment


REPEATS = "# Every value of this experiment, defaults included. `mmtrain fit` on this file repeats the run.\n"


def to_yaml(experiment: Experiment, folder: Path, header: str = REPEATS) -> str:
    """Return the text of the resolved file: every value, and paths relative to `folder`, the folder of the file."""
    values = experiment.model_dump(mode="json")
    for section in ("ensemble", "tune"):
        if values[section] is None:
            del values[section]
    if not values["data"]["tables"]:
        del values["data"]["tables"]
    second = [(table, "table") for table in values["data"].get("tables", {}).values()]
    for holder, key in ((values["data"], "table"), (values["data"], "images"), (values["data"]["cache"], "folder"), *second):
        if holder[key] is not None:
            # Relative to the run, so that a folder with its table can be moved as a whole.
            relative = Path(os.path.relpath(holder[key], folder.resolve())).as_posix()
            holder[key] = address_of(Path(holder[key])) or relative
    return header + yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)


class _Dumper(yaml.SafeDumper):
    """Quotes texts also if only YAML 1.2 reads them as numbers: `1e3`."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+.0123456789"))


def format_setting(value: Any) -> str:
    """Return a plain value as an experiment file has it; texts without quotes."""
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def setting_cell(value: Any) -> Any:
    """Return a plain value as a cell of a table: lists and maps as texts."""
    return format_setting(value) if isinstance(value, list | dict) else value


def json_schema() -> dict[str, Any]:
    """JSON Schema of the experiment file, for editors, to be read only. It knows everything that is registered by now."""
    _model()
    return _schema(_built[0])


@lru_cache(maxsize=1)
def _schema(versions: tuple[int, ...]) -> dict[str, Any]:  # noqa: ARG001 (those of the registries, from which it follows)
    return schema_of(Experiment)
