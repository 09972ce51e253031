"""Defaults of branches, of their architectures, and of the columns that their pretrained encoders read; `defaults` fills in the others."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from mmtrain.branches import architectures, default_architecture
from mmtrain.config.sections.evaluation import PretrainedBaseline
from mmtrain.config.validation.partial_validation import valid_parts
from mmtrain.errors import did_you_mean
from mmtrain.specs import Kind, kinds

PRETRAINED, PRETRAINED_TEXT = "pretrained", "text_pretrained"
"""The architecture of pretrained encoders in short, and its name for texts, which are read in the pieces of the model's tokenizer."""


def is_misspelt(tag: str, section: dict[str, Any], sections: Iterable[type[BaseModel]]) -> bool:
    """Return True if a key is the tag misspelt: a default in its place would make the other options mistakes as well."""
    known = {name for model in sections for name in model.model_fields}
    return any(key not in known and did_you_mean(key, [tag]) for key in section)


def resolve_model_paths(branches: Any, folder: Path) -> None:
    """Make the paths of pretrained models absolute; what does not exist in `folder` is the name of a model, or refused later."""
    for branch in branches.values() if isinstance(branches, dict) else ():
        name = branch.get("architecture") if isinstance(branch, dict) else None
        registered = isinstance(name, str) and name in architectures and architectures[name].pretrained is not None
        if registered or name == PRETRAINED:
            _absolute(branch, ("model", "weights"), folder)
        if isinstance(branch, dict):
            _absolute(branch, ("embeddings",), folder)


def expand_pretrained_baselines(evaluation: Any, folder: Path) -> None:
    """Expand `tabicl` to `{name: tabicl}`, so that its missing weights are reported, and make paths of weights absolute."""
    if isinstance(evaluation, dict) and isinstance(evaluation.get("baselines"), list):
        names = get_args(PretrainedBaseline.model_fields["name"].annotation)
        evaluation["baselines"] = [{"name": one} if one in names else one for one in evaluation["baselines"]]
        for one in evaluation["baselines"]:
            if isinstance(one, dict):
                _absolute(one, ("weights",), folder)


def expand_column_encoders(columns: dict[str, Any], folder: Path) -> None:
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


def set_text_models(tree: dict[str, Any], folder: Path) -> None:
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


def fill_branches(tree: dict[str, Any]) -> None:
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
        elif architecture is None and not is_misspelt("architecture", branch, sections):
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
