"""Nested cross-validation of a search: an honest score of what it finds.

In every outer fold, a search of its own chooses among trials that see the training and validation rows of this fold alone; its best
experiment is trained on them and scored on the rows of the fold. A learning rate or a fusion that is `auto` is decided in each fold.
So the scores are those of the whole procedure, the choice included, on rows that had no part in it (Varma and Simon 2006, BMC
Bioinformatics 7:91). The best score of a search on its validation rows, less the score on the outer rows, is the optimism of the search.

The outer folds are a group of trainings, `nested/outer` below the run of the search, with all files of a group. Its child runs
`searches/0`, `searches/1`, ... are the searches.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mmtrain.artifacts import run_folder
from mmtrain.artifacts.atomic_files import disk_errors
from mmtrain.artifacts.group_results import CrossValidation, Member
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.artifacts.search_results import NestedFold, NestedScore, SearchResult
from mmtrain.config import Experiment
from mmtrain.config.sections.tune import Tune
from mmtrain.data.tables.table import Table
from mmtrain.metrics.score import higher_is_better
from mmtrain.pipeline.build import EncodedTable, assemble_training
from mmtrain.pipeline.child_run import finished_child, train_child
from mmtrain.pipeline.groups.results import finish_group
from mmtrain.pipeline.groups.run_group import GROUP_FILES, MemberPlan, RunGroup
from mmtrain.pipeline.prepare import strata
from mmtrain.pipeline.run_record import record_inputs
from mmtrain.pipeline.search.inner_folds import for_trials, inner_folds
from mmtrain.pipeline.search.results import optimized_score
from mmtrain.pipeline.search.run_search import Clock, SearchListeners, run_search
from mmtrain.pipeline.search.space import SearchSpace
from mmtrain.pipeline.search.trials import read_space, save_space
from mmtrain.splits.folds import fold_partition, inner_validation
from mmtrain.splits.plan import Partition, SplitPlan

OUTER_FOLDS = 5
"""Outer folds of an experiment without `split.folds`."""
VALIDATION_SHARE = 0.15
"""Share of validation rows in an outer fold where the split does not give one."""
TRAINING_SHARE = 0.15
"""Share of the time of an outer fold that is kept for the training of its best experiment, one among several trials."""


@dataclass(frozen=True, eq=False)
class OuterGroup(RunGroup):
    """The outer folds: a group whose members are trained with the best experiment of the search of their fold."""

    best: dict[int, SearchResult] = field(default_factory=dict)
    experiments: dict[int, Experiment] = field(default_factory=dict)

    def member_plan(self, member: Member) -> MemberPlan:
        """Return the plan of the training of a fold, for the best experiment of its search."""
        experiment = self.experiments.get(member.fold, self.experiment)
        settings = {} if member.fold not in self.best else self.best[member.fold].best.settings
        return MemberPlan(member.name, experiment, {"fold": member.fold, "settings": settings}, group=self, member=member)


def outer_plan(experiment: Experiment, table: Table, plan: SplitPlan) -> SplitPlan:
    """Return the outer folds: those of the split, or else parts of its train and validation rows. Test rows are in none.

    Raises DataError if there are too few groups, or too few of a class.
    """
    if len(plan.partitions) > 1:
        return plan
    rows = strata(experiment.columns, table)
    share = getattr(experiment.split, "validation", VALIDATION_SHARE)
    stratified = rows.labels is not None and experiment.split.method != "random"
    partitions = []
    for number, part in enumerate(inner_folds(experiment, table, plan.holdout, OUTER_FOLDS)):
        chosen = inner_validation(rows, part.train, share, (experiment.training.seed, number + 1), stratified=stratified)
        partitions.append(fold_partition(part.train, chosen, part.validation))
    description = f"{OUTER_FOLDS} outer folds of the train and validation rows of: {plan.description}"
    return SplitPlan(tuple(partitions), description=description, partial=True)


@dataclass(frozen=True)
class NestedSearch:
    """A search of every outer fold; `run` resumes one that was stopped."""

    parent: Run
    """The run of the search whose procedure is scored."""
    space: SearchSpace
    section: Tune
    table: EncodedTable
    """The table of the search, encoded for any rows."""
    plan: SplitPlan
    clock: Clock
    """The time of the whole command."""
    code: Sequence[Path]
    listeners: SearchListeners

    def run(self) -> NestedScore:
        """Search and train in every outer fold, and score all of them together.

        Raises RunError if a search completed no trial, Interrupted on SIGINT or SIGTERM.
        """
        group, table = self._group(), self.table
        for member in group.members:
            self.listeners.say(f"Outer fold {member.fold + 1} of {len(self.plan.partitions)}: search.")
            table = table.for_child(group.experiment, self.plan.partitions[member.fold], self.listeners.say)
            found, space = self._search(group, member, table)
            group.best[member.fold] = found
            settings = {} if found.best.own else found.best.settings
            group.experiments[member.fold] = for_trials(space.trial_experiment(settings)).untried().decided(seeds=1)
            plan = group.member_plan(member)
            if finished_child(group.run, plan) is None:
                train_child(group.run, plan, table, say=self.listeners.say)
        result, _ = finish_group(group.run, group.experiment)
        return self._score(group, result)

    def _group(self) -> OuterGroup:
        """Return the group of the outer folds, recorded."""
        run = self.parent.child("nested/outer")
        experiment = for_trials(self.space.experiment).untried().decided(seeds=1)
        group = OuterGroup(run, experiment, self.table.data, self.plan)
        if (run / "run.json").is_file() and all(name in run.read_json("run.json").get("files", {}) for name in GROUP_FILES):
            run.reopen(GROUP_FILES)
            return group
        from mmtrain.training.auto_settings.autotune import TuningResult

        with disk_errors(run.folder):
            run.folder.mkdir(parents=True, exist_ok=True)
        run_folder.begin(run.folder, "nested/outer")
        group.record(TuningResult(experiment.training))
        return group

    def _search(self, group: OuterGroup, member: Member, table: EncodedTable) -> tuple[SearchResult, SearchSpace]:
        """Search on the training and validation rows of an outer fold, or go on with it; return also the space of this fold."""
        run = group.run.child(f"searches/{member.fold}")
        if not (run / SEARCH_FILE).is_file() or SEARCH_FILE not in run.read_json("run.json").get("files", {}):
            self._begin(run, table)
        space = read_space(run, self.space.experiment) if self.space.row_choices else self.space
        before = (run.read_json("run.json").get("seconds") or {}).get("training", 0.0)
        clock = Clock(time.time(), before, self._minutes(len(group.members) - member.fold))
        section = self.section.model_copy(update={"minutes": clock.minutes})
        return run_search(run, space, section, table, clock, self.code, self.listeners, page=False), space

    def _begin(self, run: Run, table: EncodedTable) -> None:
        with disk_errors(run.folder):
            run.folder.mkdir(parents=True, exist_ok=True)
        run_folder.begin(run.folder, run.name)
        # The search has decided on a learning rate or a fusion by rows that this fold scores, so the fold decides anew, on its own rows.
        space = self.space.reopened()
        tried, say = (space.experiment, self.listeners.say) if self.space.row_choices else (space.experiment.untried(), lambda _: None)
        experiment, data, tuning = assemble_training(replace(table, experiment=tried), say)
        plan = SplitPlan.of(_without_test(table.partition), partial=True)
        recorded = experiment.model_copy(update={"tune": self.section.model_copy(update={"nested": False})})
        record_inputs(run, recorded, table, plan, data, tuning)
        save_space(run, space.frozen(experiment) if self.space.row_choices else space)
        run.seal(SEARCH_FILE)

    def _minutes(self, folds: int) -> float | None:
        """Return the minutes of the next search, of `folds` that are left; None without a limit."""
        if self.clock.minutes is None:
            return None
        left = self.clock.minutes - self.clock.seconds / 60
        return max(0.01, (1 - TRAINING_SHARE) * left / folds)

    def _score(self, group: OuterGroup, result: CrossValidation) -> NestedScore:
        optimized = optimized_score(self.space.experiment, group.labels.targets)
        key = next(iter(result.targets)) if optimized is None else optimized[0]
        name = result.main[key] if optimized is None or optimized[1] not in result.targets[key] else optimized[1]
        scores = result.targets[key][name]
        # A loss is weighted and may have another unit than the log loss of the rows; a score is the same on both sides.
        comparable = optimized is not None and optimized[1] == name and not group.best[0].score.endswith("loss")
        folds = [
            NestedFold(
                fold=member.fold,
                trials=len(group.best[member.fold].trials),
                best=group.best[member.fold].best.score,
                score=value,
                settings=group.best[member.fold].best.settings,
            )
            for member, value in zip(result.members, scores.values, strict=True)
        ]
        inner = [one.best for one in folds if one.best is not None] if comparable else []
        value = scores.mean
        sign = 1.0 if higher_is_better(name) else -1.0
        mean = float(np.mean(inner)) if inner else None
        return NestedScore(
            target=key,
            score=name,
            value=value if scores.estimate is None else scores.estimate,
            low=scores.low,
            high=scores.high,
            confidence=result.confidence,
            rows=result.rows,
            best=mean,
            optimism=None if mean is None or value is None else sign * (mean - value),
            folds=folds,
            report=group.run / "report.html",
        )


def _without_test(partition: Partition) -> Partition:
    return replace(partition, test=partition.test[:0])
