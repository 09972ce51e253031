"""The trainings of an experiment with folds, seeds or single branches: their order, their names, and the rows that score each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmtrain.artifacts.group_results import Member
from mmtrain.config import Experiment
from mmtrain.data.arrays import Array
from mmtrain.pipeline.baselines import child_names
from mmtrain.splits.plan import Partition, SplitPlan


def is_group(experiment: Experiment, plan: SplitPlan) -> bool:
    """Return whether an experiment takes several trainings: folds, seeds or single branches."""
    return len(plan.partitions) > 1 or experiment.training.seeds > 1 or bool(experiment.member_branches)


def list_members(plan: SplitPlan, seeds: int, branches: Sequence[str] = ()) -> list[Member]:
    """Return the trainings of a group in their order, by fold, then by seed, then by branch alone; their numbers count from 0.

    >>> import numpy as np
    >>> partition = Partition(*(np.arange(number, number + 1) for number in range(4)))
    >>> [member.name for member in list_members(SplitPlan.of(partition, partition), seeds=2)]
    ['folds/0-seed-0', 'folds/0-seed-1', 'folds/1-seed-0', 'folds/1-seed-1']
    >>> [member.name for member in list_members(SplitPlan.of(partition), seeds=2)]
    ['seeds/0', 'seeds/1']
    >>> [member.name for member in list_members(SplitPlan.of(partition), seeds=1, branches=["scan"])]
    ['seeds/0', 'seeds/0-scan']
    """
    members, alone = [], child_names(branches)
    for fold, partition in enumerate(plan.trainings):
        folds = len(plan.trainings) > 1
        rows = {"train_rows": len(partition.train), "rows": len(partition.test if folds else partition.validation)}
        for seed in range(seeds):
            name = f"folds/{fold}{f'-seed-{seed}' if seeds > 1 else ''}" if folds else f"seeds/{seed}"
            place: dict[str, Any] = {"fold": fold, "repeat": fold // plan.folds, "seed": seed, **rows}
            members.append(Member(name=name, **place))
            members += [Member(name=f"{name}-{alone[branch]}", branch=branch, **place) for branch in branches]
    return members


def scored_rows(partition: Partition, plan: SplitPlan) -> Array:
    """Return the rows on which a member is scored: those of its fold; without folds validation rows, as `evaluate` scores the test part."""
    return partition.test if len(plan.partitions) > 1 else partition.validation
