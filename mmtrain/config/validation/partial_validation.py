"""The valid parts of a tree with mistakes, so that all mistakes can be reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from mmtrain.branches import AnyBranch, Branch, architectures
from mmtrain.columns import AnyColumn, Column, InputColumn, inputs_among, roles
from mmtrain.targets import Target, targets_among, tasks


@dataclass(frozen=True)
class ValidParts:
    """The tree with its defaults, and its valid columns and branches; None stands for an invalid one."""

    tree: dict[str, Any]
    columns: dict[str, Column | None]
    branches: dict[str, Branch | None]
    flawed: frozenset[str]
    """Columns with a wrong option, which has its default here."""

    @cached_property
    def inputs(self) -> dict[str, InputColumn]:
        """Valid input columns."""
        return inputs_among(self.columns)

    @cached_property
    def targets(self) -> dict[str, Target]:
        """Valid targets."""
        return targets_among(self.columns)

    @property
    def whole(self) -> bool:
        """True if every column is valid, so that a missing role is really missing."""
        return bool(self.columns) and None not in self.columns.values()


def valid_parts(tree: dict[str, Any]) -> ValidParts:
    """Return the valid parts of a tree."""
    columns = _parts(_column_adapter(roles.version, tasks.version), tree.get("columns"))
    branches = _parts(_branch_adapter(architectures.version), tree.get("branches"))
    flawed = frozenset(key for key, (_, exact) in columns.items() if not exact)
    return ValidParts(tree, {key: part for key, (part, _) in columns.items()}, {key: part for key, (part, _) in branches.items()}, flawed)


def has_only(section: Any, model: type[BaseModel]) -> bool:
    """Return True if every key is known, so that an absent key was left out and not misspelt."""
    return isinstance(section, Mapping) and set(section) <= set(model.model_fields)


def _parts(adapter: TypeAdapter[Any], entries: Any) -> dict[str, tuple[Any, bool]]:
    return {key: sound_section(adapter, entry) for key, entry in entries.items()} if isinstance(entries, dict) else {}


def sound_section(adapter: TypeAdapter[Any], entry: Any) -> tuple[Any, bool]:
    """Return a section without its wrong options, and True if there were none; None if its role or method itself is wrong."""
    if not isinstance(entry, Mapping):
        return None, False
    try:
        return adapter.validate_python(entry), True
    except ValidationError as error:
        # Only keys of the section itself can be left out; an error below one takes the whole key.
        wrong = {next((part for part in mistake["loc"] if part in entry), None) for mistake in error.errors()}
    try:
        # Without the wrong options: what they would have been is their default.
        return adapter.validate_python({key: value for key, value in entry.items() if key not in wrong}), False
    except ValidationError:
        return None, False


# The versions are the cache's keys: whatever is registered later has to be in the union.
@lru_cache(maxsize=2)
def _column_adapter(*versions: int) -> TypeAdapter[Any]:  # noqa: ARG001
    return TypeAdapter(AnyColumn)


@lru_cache(maxsize=2)
def _branch_adapter(*versions: int) -> TypeAdapter[Any]:  # noqa: ARG001
    return TypeAdapter(AnyBranch)


def as_number(value: Any) -> float | None:
    """Return a value as a number; None for anything else, which validation has reported."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
