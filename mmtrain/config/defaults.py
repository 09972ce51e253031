"""Defaults that depend on other sections, filled into the tree before it is validated.

Everything here tolerates a broken tree: what is wrong in it is reported by validation, in the user's own words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmtrain.branches import DEFAULTS, architectures
from mmtrain.columns import InputColumn
from mmtrain.config.tolerant import as_columns
from mmtrain.named_score import higher_is_better


def filled(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    """A copy of the tree with these defaults; relative paths become absolute ones, from the folder of `path`."""
    tree = _copied(tree)
    tree["name"] = tree.get("name") or path.stem
    _paths(tree.get("data"), path.resolve().parent)
    columns = tree.get("columns")
    columns = columns if isinstance(columns, dict) else {}
    for key, column in columns.items():
        if isinstance(column, dict) and column.get("column") is None:
            column["column"] = key
    _branches(tree, columns)
    _short_form(tree, "fusion", "method", "concatenate")
    split = _section(tree, "split")
    if split is not None and split.get("method") is None:
        split["method"] = "stratified" if any(_has_classes(column) for column in columns.values()) else "random"
    training = _section(tree, "training")
    if training is not None:
        _short_form(training, "schedule", "method", "constant")
        stopping = _section(training, "early_stopping")
        if stopping is not None and stopping.get("direction") is None:
            stopping["direction"] = direction_of(str(stopping.get("monitor") or "validation_loss"))
    return tree


def direction_of(monitor: str) -> str:
    """`maximize` when the longest known score that ends the name is better high; `minimize` for an unknown one, refused later."""
    words = monitor.split("_")
    for start in range(len(words)):
        try:
            return "maximize" if higher_is_better("_".join(words[start:])) else "minimize"
        except ValueError:
            continue
    return "minimize"


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list | tuple) else value


def _section(tree: dict[str, Any], key: str) -> dict[str, Any] | None:
    """The map under `key`, made when it was left out; None when something else stands there."""
    if tree.get(key) is None:
        tree[key] = {}
    section = tree[key]
    return section if isinstance(section, dict) else None


def _short_form(tree: dict[str, Any], key: str, tag: str, default: str) -> None:
    """`fusion: gated` means `fusion: {method: gated}`; a map without the tag gets the default."""
    if isinstance(tree.get(key), str):
        tree[key] = {tag: tree[key]}
    section = _section(tree, key)
    if section is not None and section.get(tag) is None:
        section[tag] = default


def _paths(data: Any, folder: Path) -> None:
    if not isinstance(data, dict):
        return
    for holder, key in ((data, "table"), (data, "images"), (data.get("cache"), "folder")):
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            holder[key] = str((folder / Path(holder[key]).expanduser()).resolve())


def _branches(tree: dict[str, Any], columns: dict[str, Any]) -> None:
    """Left out: one branch per image, one per text, one for all the rest. Architectures by the kind of the first column."""
    kinds = {key: column.kind for key, column in as_columns(columns).items() if isinstance(column, InputColumn)}
    if tree.get("branches") is None:
        alone = {key: {"columns": [key]} for key, kind in kinds.items() if kind in ("image", "bag", "tokens")}
        rest = [key for key in kinds if key not in alone]
        tree["branches"] = {**alone, **({_unused("table", alone): {"columns": rest}} if rest else {})}
    if not isinstance(tree["branches"], dict):
        return
    for branch in tree["branches"].values():
        if not isinstance(branch, dict) or branch.get("architecture") is not None:
            continue
        named = branch.get("columns")
        found = [kinds[key] for key in named if isinstance(key, str) and key in kinds] if isinstance(named, list) else []
        branch["architecture"] = DEFAULTS[found[0]] if found else next(iter(architectures))


def _unused(name: str, taken: dict[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def _has_classes(column: Any) -> bool:
    return isinstance(column, dict) and column.get("role") == "target" and column.get("task") in ("binary", "multiclass")
