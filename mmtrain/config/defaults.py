"""Defaults that depend on other sections, filled into the tree before it is validated.

Everything here tolerates an invalid tree: validation reports its mistakes later, in the words that the user wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mmtrain.branches import architectures, default_architecture
from mmtrain.config.monitors import direction_of
from mmtrain.config.training import TUNING_RATES, Training, group_names, tuning_stages
from mmtrain.config.validation.partial_validation import valid_parts
from mmtrain.errors import did_you_mean
from mmtrain.fusions import fusions
from mmtrain.optim import optimizers, schedules
from mmtrain.specs import Kind, kinds
from mmtrain.splits import split_methods
from mmtrain.system.folder_names import existing_form
from mmtrain.targets import tasks

TRIED_FUSIONS = ("concatenate", "gated", "low_rank", "film", "attention", "late")
"""Fusions of `fusion: auto`, one of each kind; the first is kept unless another is better beyond noise."""

PRETRAINED, PRETRAINED_TEXT = "pretrained", "text_pretrained"
"""The architecture of pretrained encoders in short, and its name for texts, which are read in the pieces of the model's tokenizer."""


def fill_defaults(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a copy of the tree with these defaults; relative paths become absolute, starting from the folder of `path`."""
    # The tree belongs to its source, whose marks are needed later.
    tree = _copied(tree)
    tree["name"] = tree.get("name") or _folder_name(path.stem)
    _paths(tree.get("data"), path.resolve().parent)
    columns = tree.get("columns")
    columns = columns if isinstance(columns, dict) else {}
    for key, column in columns.items():
        if isinstance(column, dict) and column.get("column") is None:
            column["column"] = key
        if isinstance(column, dict) and isinstance(column.get("loss"), str):
            column["loss"] = {"method": column["loss"]}
    _column_encoders(columns, path.resolve().parent)
    _model_paths(tree.get("branches"), path.resolve().parent)
    _text_models(tree, path.resolve().parent)
    _branches(tree)
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


def _folder_name(stem: str) -> str:
    """Return `Clinic-final` for `Clinic, final`: a file may have a name that a run folder may not."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "experiment"


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
    if section is not None and section.get("method") is None and not _misspelt("method", section, sections):
        section["method"] = default


def _misspelt(tag: str, section: dict[str, Any], sections: Iterable[type[BaseModel]]) -> bool:
    """Return True if a key is the tag misspelt: a default in its place would make the other options mistakes as well."""
    known = {name for model in sections for name in model.model_fields}
    return any(key not in known and did_you_mean(key, [tag]) for key in section)


def _paths(data: Any, folder: Path) -> None:
    if not isinstance(data, dict):
        return
    for holder, key in ((data, "table"), (data, "images"), (data.get("cache"), "folder")):
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            with suppress(RuntimeError, ValueError):  # `~nobody`, a NUL: refused by the section
                # Joined to the folder of the file; an absolute path stays as it is.
                holder[key] = str(folder / Path(holder[key]).expanduser())
                # Links are followed now: the working directory may be another one when the path is used.
                holder[key] = str(existing_form(Path(holder[key])).resolve())


def _model_paths(branches: Any, folder: Path) -> None:
    """Make the paths of pretrained models absolute; what does not exist in `folder` is the name of a model, or refused later."""
    for branch in branches.values() if isinstance(branches, dict) else ():
        name = branch.get("architecture") if isinstance(branch, dict) else None
        registered = isinstance(name, str) and name in architectures and architectures[name].pretrained is not None
        if registered or name == PRETRAINED:
            _absolute(branch, ("model", "weights"), folder)
        if isinstance(branch, dict):
            _absolute(branch, ("embeddings",), folder)


def _column_encoders(columns: dict[str, Any], folder: Path) -> None:
    """Expand `encoder: NAME` to `encoder: {model: NAME}`, and divide a text into the pieces of this model."""
    for column in columns.values():
        if not isinstance(column, dict) or not column.get("encoder"):
            continue
        if isinstance(column["encoder"], str):
            column["encoder"] = {"model": column["encoder"]}
        if isinstance(column["encoder"], dict):
            _absolute(column["encoder"], ("model", "weights"), folder)
            if column.get("role") == "text":
                _set_pieces(column, column["encoder"].get("model"))


def _absolute(section: dict[str, Any], keys: Iterable[str], folder: Path) -> None:
    """Make those values absolute that are paths of something in `folder`."""
    for key in keys:
        with suppress(OSError, RuntimeError, TypeError, ValueError):
            if section.get(key) and (path := folder / Path(section[key]).expanduser()).exists():
                section[key] = str(path.resolve())


def _text_models(tree: dict[str, Any], folder: Path) -> None:
    """Divide the texts that pretrained branches read by the tokenizers of their models."""
    columns, branches = tree.get("columns"), tree.get("branches")
    columns = {key: column for key, column in columns.items() if isinstance(column, dict)} if isinstance(columns, dict) else {}
    texts = {key: column for key, column in columns.items() if column.get("role") == "text"}
    for column in texts.values():
        _absolute(column, ("model",), folder)
    for branch in branches.values() if isinstance(branches, dict) else ():
        if not isinstance(branch, dict) or branch.get("architecture") not in (PRETRAINED, PRETRAINED_TEXT):
            continue
        named = branch.get("columns")
        for key in named if isinstance(named, list) else ():
            if isinstance(key, str) and key in texts:
                branch["architecture"] = PRETRAINED_TEXT
                _set_pieces(texts[key], branch.get("model"))


def _set_pieces(column: dict[str, Any], model: Any) -> None:
    """Set the model of the branch, unless the column is divided in another way or names a model itself."""
    if column.get("vectorize") in (None, "pieces"):
        column["vectorize"] = "pieces"
        if column.get("model") is None:
            column["model"] = model or architectures[PRETRAINED_TEXT].section.model_fields["model"].default


def _branches(tree: dict[str, Any]) -> None:
    """Fill in branches that were left out: one per image, one per text, one for all the rest; and architectures.

    The default architecture of a branch is that of the kind of its first column. `branches: tabm` means the same branches, that of the
    rest with this architecture. Prefixes may be left out: see `_architecture_for`.
    """
    inputs = valid_parts(tree).inputs
    kind_of = {key: column.kind for key, column in inputs.items()}
    given = tree.get("branches")
    if given is None or isinstance(given, str):
        # Numbers of an encoder belong to the table.
        alone = {key: {"columns": [key]} for key, column in inputs.items() if column.own_branch and column.vector_encoder is None}
        rest = [key for key in kind_of if key not in alone]
        if given is not None and not rest:
            return  # refused by validation: there is no branch for the architecture
        table = {"columns": rest} | ({} if given is None else {"architecture": given})
        tree["branches"] = {**alone, **({_unused("table", alone): table} if rest else {})}
    if not isinstance(tree["branches"], dict):
        return
    sections = [entry.section for _, entry in architectures.items()]
    for branch in tree["branches"].values():
        if not isinstance(branch, dict):
            continue
        named, architecture = branch.get("columns"), branch.get("architecture")
        # Columns that do not exist are reported elsewhere; the first known one decides.
        known = [kind_of[key] for key in named if isinstance(key, str) and key in kind_of] if isinstance(named, list) else []
        if known and isinstance(architecture, str):
            branch["architecture"] = _architecture_for(known[0], architecture)
        elif architecture is None and not _misspelt("architecture", branch, sections):
            branch["architecture"] = default_architecture(known[0]) if known else _likely(branch)


def _architecture_for(kind: Kind, name: str) -> str:
    """Return `image_resnet` for `resnet` where the first column is an image, `text_gru` for `gru` where it is a text, else `name`.

    That is, `name` after the prefix of the kind, if only this name is registered for the kind.
    """

    def takes_kind(architecture: str) -> bool:
        return architecture in architectures and kind in architectures[architecture].kinds

    prefixed = f"{kinds[kind].architecture_prefix}_{name}"
    return prefixed if takes_kind(prefixed) and not takes_kind(name) else name


def short_name(architecture: str) -> str:
    """Return the name without the prefix of its kind that the file may have instead, `gru` for `text_gru`; empty where it has none."""
    for kind in architectures[architecture].kinds:
        short = architecture.removeprefix(f"{kinds[kind].architecture_prefix}_")
        if short != architecture and _architecture_for(kind, short) == architecture:
            return short
    return ""


def _likely(branch: dict[str, Any]) -> str:
    """Return the architecture that has most of the keys of a branch with invalid columns, so that its options are not refused, too."""
    names = [default_architecture("vector"), *architectures]
    # The architecture that knows most of the keys is what the user probably meant.
    known = [sum(key in architectures[name].section.model_fields for key in branch) for name in names]
    return str(names[known.index(max(known))])


def _unused(name: str, taken: dict[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def _stratifies(column: Any) -> bool:
    task = column.get("task") if isinstance(column, dict) and column.get("role") == "target" else None
    return isinstance(task, str) and task in tasks and tasks[task].stratifies
