"""The sound parts of a tree that may have unsound ones, so that all mistakes can be reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mmtrain.branches import AnyBranch, Branch, architectures
from mmtrain.columns import AnyColumn, Column, roles
from mmtrain.targets import tasks


def as_columns(columns: Any) -> dict[str, Column | None]:
    """Every entry as a column without its wrong options; None where not even the role is right."""
    adapter = _column_adapter(roles.version, tasks.version)
    return {key: _sound_part(adapter, entry) for key, entry in columns.items()} if isinstance(columns, dict) else {}


def as_branches(branches: Any) -> dict[str, Branch | None]:
    """Every entry as a branch without its wrong options; None where its architecture or its columns are wrong."""
    adapter = _branch_adapter(architectures.version)
    return {key: _sound_part(adapter, entry) for key, entry in branches.items()} if isinstance(branches, dict) else {}


def _sound_part(adapter: TypeAdapter[Any], entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return None
    try:
        return adapter.validate_python(entry)
    except ValidationError as error:
        wrong = {part for found in error.errors() for part in found["loc"]}
        sound = {key: value for key, value in entry.items() if key not in wrong}
    try:
        return adapter.validate_python(sound)
    except ValidationError:
        return None


@lru_cache(maxsize=2)
def _column_adapter(*versions: int) -> TypeAdapter[Any]:  # noqa: ARG001
    return TypeAdapter(AnyColumn)


@lru_cache(maxsize=2)
def _branch_adapter(*versions: int) -> TypeAdapter[Any]:  # noqa: ARG001
    return TypeAdapter(AnyBranch)
