"""The names of parameter groups, as far as the experiment file determines them."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def group_names(branches: Iterable[str], targets: Iterable[str]) -> tuple[str, ...]:
    """Return the groups of a network: `branches.<name>` for each branch, `fusion`, `targets.<name>` for each target."""
    return (*(f"branches.{key}" for key in branches), "fusion", *(f"targets.{key}" for key in targets))


def groups_below(names: Iterable[str], groups: Collection[str]) -> set[str]:
    """Return the groups that `names` mean: a name stands for itself and for every group below it, as `branches` for `branches.scan`."""
    return {group for name in names for group in groups if group == name or group.startswith(f"{name}.")}
