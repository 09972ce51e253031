"""Values in the tree of an experiment file by their paths, and the sections whose options depend on one of their keys.

>>> tree = {"fusion": {"method": "low_rank", "rank": "4"}}
>>> put(tree, ("fusion", "method"), "concatenate")
>>> drop_options_of_others(tree, {"fusion.method"})
>>> tree
{'fusion': {'method': 'concatenate'}}
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from mmtrain.config import Experiment
from mmtrain.registry import OneOf


def put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set a value in a tree; maps above it are made where they are missing."""
    for part in path[:-1]:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[path[-1]] = value


def value_at(tree: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path, None where there is none."""
    for part in path:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def drop_options_of_others(tree: dict[str, Any], chosen: Collection[str]) -> None:
    """Remove the options that the section of a chosen architecture or method does not have."""
    for key in chosen:
        path = tuple(key.split("."))
        sections, section = sections_of(path), value_at(tree, path[:-1])
        if sections and isinstance(section, dict) and section[path[-1]] in sections:
            known = sections[section[path[-1]]].model_fields
            for option in [option for option in section if option not in known]:
                del section[option]


def choice_at(path: tuple[str, ...]) -> OneOf | None:
    """Return the choice among sections at a path of the experiment file, as at `fusion` or `branches.scan`; None anywhere else."""
    kinds: list[Any] = [Experiment]
    for name in path:
        kinds = [inner for kind in kinds for inner in _inside(kind, name)]
    # One level of a union: an optional section is one of it and None.
    kinds += [inner for kind in kinds if get_origin(kind) in (Union, UnionType) for inner in get_args(kind)]
    return next((one for kind in kinds for one in get_args(kind)[1:] if isinstance(one, OneOf)), None)


def _inside(kind: Any, name: str) -> Iterator[Any]:
    """Yield the types that the value under a key may have, of a value of type `kind`."""
    if get_origin(kind) is Annotated:
        choice = next((one for one in get_args(kind)[1:] if isinstance(one, OneOf)), None)
        for inner in (get_args(kind)[0],) if choice is None else choice.choices().values():
            yield from _inside(inner, name)
    elif get_origin(kind) is dict:
        yield get_args(kind)[1]
    elif get_origin(kind) in (Union, UnionType):
        for inner in get_args(kind):
            yield from _inside(inner, name)
    elif isinstance(kind, type) and issubclass(kind, BaseModel) and name in kind.model_fields:
        field_info = kind.model_fields[name]
        yield Annotated[field_info.annotation, *field_info.metadata] if field_info.metadata else field_info.annotation


def sections_of(path: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the sections among which the setting at a path chooses, as `fusion.method` does; {} for any other setting."""
    choice = choice_at(path[:-1])
    return choice.choices() if choice is not None and choice.tag == path[-1] else {}


def is_option(tree: dict[str, Any], path: tuple[str, ...]) -> bool:
    """Return False for an option that the section around it does not have."""
    for depth in range(1, len(path)):
        choice = choice_at(path[:depth])
        if choice is None or path[depth] == choice.tag:
            continue
        section = choice.choices().get(value_at(tree, (*path[:depth], choice.tag)))
        if section is not None and hasattr(section, "model_fields"):
            return path[depth] in section.model_fields
    return True
