"""The names of parameter groups, known from the experiment file alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping


def group_names(branches: Mapping[str, Iterable[str]], targets: Iterable[str]) -> tuple[str, ...]:
    """Return the groups of a network, given the groups inside each branch.

    >>> group_names({"scan": ("backbone", "head"), "table": ()}, ["diagnosis"])
    ('branches.scan', 'branches.scan.backbone', 'branches.scan.head', 'branches.table', 'fusion', 'targets.diagnosis')
    """
    of_branches = [name for key, inner in branches.items() for name in (f"branches.{key}", *(f"branches.{key}.{group}" for group in inner))]
    return (*of_branches, "fusion", *(f"targets.{key}" for key in targets))


def groups_below(names: Iterable[str], groups: Collection[str]) -> dict[str, str]:
    """Return the groups that `names` mean, each with the name that means it; of several, the most specific one.

    A name stands for itself and for every group below it, as `branches` for `branches.scan`; `scan` is short for `branches.scan`.

    >>> groups_below(["branches", "scan.head"], ["branches.scan", "branches.scan.head", "fusion"])
    {'branches.scan': 'branches', 'branches.scan.head': 'scan.head'}
    """
    full = {name: name if _below(name, groups) else f"branches.{name}" for name in names}
    found: dict[str, str] = {}
    for name in sorted(full, key=lambda name: full[name].count(".")):
        found |= dict.fromkeys(_below(full[name], groups), name)
    return found


def _below(name: str, groups: Collection[str]) -> list[str]:
    return [group for group in groups if group == name or group.startswith(f"{name}.")]
