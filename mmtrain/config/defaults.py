"""Defaults that depend on other sections, filled into the tree before it is validated.

Everything here tolerates an invalid tree: validation reports its mistakes later, in the words that the user wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mmtrain.branches import architectures
from mmtrain.config.default_branches import (
    expand_column_encoders,
    expand_pretrained_baselines,
    fill_branches,
    is_misspelt,
    resolve_model_paths,
    set_text_models,
)
from mmtrain.config.monitors import direction_of
from mmtrain.config.sections.training import TUNING_RATES, Training, group_names, tuning_stages
from mmtrain.fusions import fusions
from mmtrain.optim import optimizers, schedules
from mmtrain.splits import split_methods
from mmtrain.system.folder_names import existing_form
from mmtrain.system.paths import run_folder_name
from mmtrain.system.remote import is_address, local_path
from mmtrain.targets import tasks

TRIED_FUSIONS = ("concatenate", "gated", "low_rank", "film", "attention", "late")
"""Fusions of `fusion: auto`, one of each kind; the first is kept unless another is better beyond noise."""


def fill_defaults(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a copy of the tree with these defaults; relative paths become absolute, starting from the folder of `path`."""
    # The tree belongs to its source, whose marks are needed later.
    tree = _copied(tree)
    tree["name"] = tree.get("name") or run_folder_name(path.stem)
    _paths(tree.get("data"), path.resolve().parent)
    columns = tree.get("columns")
    columns = columns if isinstance(columns, dict) else {}
    for key, column in columns.items():
        if isinstance(column, dict) and column.get("column") is None:
            column["column"] = key
        if isinstance(column, dict) and isinstance(column.get("loss"), str):
            column["loss"] = {"method": column["loss"]}
    expand_column_encoders(columns, path.resolve().parent)
    resolve_model_paths(tree.get("branches"), path.resolve().parent)
    set_text_models(tree, path.resolve().parent)
    expand_pretrained_baselines(tree.get("evaluation"), path.resolve().parent)
    fill_branches(tree)
    _short_form(tree, "fusion", "concatenate", (entry.section for _, entry in fusions.items()))
    _fusion_trial(tree)
    likely = "stratified" if any(_stratifies(column) for column in columns.values()) else "random"
    _short_form(tree, "split", likely, (entry.section for _, entry in split_methods.items()))
    _folds(tree["split"])
    _training(tree)
    _tuning_stages(tree)
    return tree


def _folds(split: Any) -> None:
    """Set `test` to 0 where there are folds and no `test`: each row is scored by a fold."""
    if isinstance(split, dict) and split.get("folds") is not None and split.get("test") is None:
        split["test"] = 0


def _fusion_trial(tree: dict[str, Any]) -> None:
    """`method: auto` means the plain method, with several branches a trial of others against it, too."""
    section, branches = tree["fusion"], tree["branches"]
    if isinstance(section, dict) and section.get("method") == "auto" and "auto" not in fusions:
        section["method"] = TRIED_FUSIONS[0]
        if isinstance(branches, dict) and len(branches) > 1:
            section.setdefault("trial", list(TRIED_FUSIONS[1:]))


def _training(tree: dict[str, Any]) -> None:
    training = _section(tree, "training")
    if training is None:
        return
    _short_form(training, "optimizer", "adam", (entry.section for _, entry in optimizers.items()))
    _short_form(training, "schedule", "constant", (entry.section for _, entry in schedules.items()))
    if isinstance(training.get("trackers"), list):
        training["trackers"] = [{"name": one} if isinstance(one, str) else one for one in training["trackers"]]
    if isinstance(training.get("mix"), str):
        training["mix"] = {"method": training["mix"]}
    _momentum(training)
    _epochs_of_stages(training)
    stopping = _section(training, "early_stopping")
    if stopping is not None and stopping.get("direction") is None:
        stopping["direction"] = direction_of(str(stopping.get("monitor") or "validation_loss"))


def _momentum(training: dict[str, Any]) -> None:
    """`momentum: 0.9` next to `optimizer: sgd` means `optimizer: {method: sgd, momentum: 0.9}`."""
    chosen = training.get("optimizer")
    if training.get("momentum") is None:
        training.pop("momentum", None)
    elif not isinstance(chosen, dict) or chosen.get("method") not in optimizers:
        return
    elif "momentum" in optimizers[chosen["method"]].section.model_fields and chosen.get("momentum") is None:
        chosen["momentum"] = training.pop("momentum")


def _epochs_of_stages(training: dict[str, Any]) -> None:
    """Set `epochs` to the sum of the stages, if there are any."""
    stages = training.get("stages")
    if training.get("epochs") is not None or not isinstance(stages, list) or not stages:
        return
    with suppress(KeyError, TypeError, ValueError):  # a stage that is wrong is refused by validation
        training["epochs"] = sum(int(stage["epochs"]) for stage in stages)


def _tuning_stages(tree: dict[str, Any]) -> None:
    """Set stages that train everything else before pretrained encoders, where branches tune some and none are given.

    With `tune: auto` alone, a trial decides whether there are such stages.
    """
    training, branches, columns = tree["training"], tree["branches"], tree.get("columns")
    if not isinstance(training, dict) or training.get("stages") or not isinstance(branches, dict) or not isinstance(columns, dict):
        return
    tuned: dict[str, str] = {}
    inside: dict[str, tuple[str, ...]] = {}
    for key, branch in branches.items():
        name = branch.get("architecture") if isinstance(branch, dict) else None
        entry = architectures[name] if isinstance(name, str) and name in architectures else None
        inside[key] = entry.groups if entry is not None else ()
        encodes = entry is not None and entry.pretrained is not None and "backbone" in entry.groups
        if encodes and branch.get("tune") in (*TUNING_RATES, "auto"):
            tuned[f"branches.{key}.backbone"] = branch["tune"]
    targets = [key for key, column in columns.items() if isinstance(column, dict) and column.get("role") == "target"]
    if set(tuned.values()) - {"auto"}:
        tuned = {group: "lora" if tune == "auto" else tune for group, tune in tuned.items()}
        with suppress(TypeError, ValueError):  # refused by validation
            epochs = int(training.setdefault("epochs", Training.model_fields["epochs"].default))
            training["stages"] = tuning_stages(epochs, group_names(inside, targets), tuned)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list | tuple) else value


def _section(tree: dict[str, Any], key: str) -> dict[str, Any] | None:
    """Return the map under `key`, created if it was left out; None if the value is not a map."""
    if tree.get(key) is None:
        tree[key] = {}
    section = tree[key]
    return section if isinstance(section, dict) else None


def _short_form(tree: dict[str, Any], key: str, default: str, sections: Iterable[type[BaseModel]]) -> None:
    """`fusion: gated` means `fusion: {method: gated}`; a map without a method gets the default."""
    if isinstance(tree.get(key), str):
        tree[key] = {"method": tree[key]}
    section = _section(tree, key)
    if section is not None and section.get("method") is None and not is_misspelt("method", section, sections):
        section["method"] = default


def _paths(data: Any, folder: Path) -> None:
    if not isinstance(data, dict):
        return
    second = data["tables"].values() if isinstance(data.get("tables"), dict) else ()
    section = data.get("cache")
    # The cache first: remote files come into it.
    for holder, key in ((section, "folder"), (data, "table"), (data, "images"), *((one, "table") for one in second)):
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            if key != "folder" and is_address(holder[key]):
                given = section.get("folder") if isinstance(section, dict) else None
                with suppress(ValueError):  # refused by the section
                    holder[key] = str(local_path(holder[key], Path(given) if isinstance(given, str) else None))
                continue
            with suppress(RuntimeError, ValueError):  # `~nobody`, a NUL: refused by the section
                # Joined to the folder of the file; an absolute path stays as it is.
                holder[key] = str(folder / Path(holder[key]).expanduser())
                # Links are followed now: the working directory may be another one when the path is used.
                holder[key] = str(existing_form(Path(holder[key])).resolve())


def _stratifies(column: Any) -> bool:
    task = column.get("task") if isinstance(column, dict) and column.get("role") == "target" else None
    return isinstance(task, str) and task in tasks and tasks[task].stratifies
