"""Groups: several trainings from one experiment, one for each fold and seed, as child runs on one table.

The table is read, its images are decoded and its texts are encoded by frozen encoders once. Columns learn from the training rows of each
fold, and are encoded again only where that changed them. A member is a complete run below the group (`folds/0`, `seeds/2`,
`folds/0-seed-2`), which commands take as any other; it is trained, interrupted and resumed by the functions of child runs.

The files of a group are derived from those of its members alone, once all of them are finished: predictions_oof.csv and
cross_validation.json. Until then, the state of every member is in run.json of the group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from mmtrain import config
from mmtrain.artifacts.group_results import CrossValidation, Member
from mmtrain.artifacts.lock import is_locked
from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.config.load import REPEATS
from mmtrain.data import encode
from mmtrain.data.arrays import Array
from mmtrain.data.images.store import Say
from mmtrain.data.splits import split_file
from mmtrain.errors import RunInUseError, counted
from mmtrain.evaluation.out_of_fold import GROUP
from mmtrain.evaluation.prediction_table import prediction_columns, to_csv, truth_columns
from mmtrain.pipeline.build import EncodedTable, encode_table
from mmtrain.pipeline.child_run import ChildPlan, finished_child, train_child
from mmtrain.pipeline.groups.members import list_members, scored_rows
from mmtrain.pipeline.groups.results import HELD_BACK_PREDICTIONS, MEMBER_PREDICTIONS
from mmtrain.pipeline.postprocess import apply_postprocessing
from mmtrain.pipeline.prepare import LoadedData
from mmtrain.pipeline.restore import ENSEMBLE_WEIGHTS, check_encoders_unchanged
from mmtrain.pipeline.run_record import RECORDED_FILES, describe_data, record_inputs
from mmtrain.pipeline.train_run import StopRule, TrainingResult, versions
from mmtrain.splits.plan import SplitPlan
from mmtrain.training.listeners.events import Listener

if TYPE_CHECKING:
    from mmtrain.training.auto_settings.autotune import TuningResult
    from mmtrain.training.listeners.callbacks import Named
    from mmtrain.training.shared_steps import SharedSteps
    from mmtrain.training.training_data import TrainingData

GROUP_FILES = ("config.yaml", "split.csv", "data.json", "targets.json")
"""Files of a group that are written before its first training and never change after it."""


@dataclass(frozen=True, eq=False)
class RunGroup:
    """A group of trainings: its run, and everything that its members share."""

    run: Run
    experiment: Experiment
    """Without settings that are left to a trial on the device."""
    data: LoadedData
    plan: SplitPlan
    make_callbacks: Callable[[], Sequence[Named]] = lambda: ()
    """Makes the callbacks of one training."""

    @cached_property
    def members(self) -> list[Member]:
        """All trainings, in their order."""
        return list_members(self.plan, self.experiment.training.seeds, self.experiment.member_branches)

    @cached_property
    def shared_steps(self) -> SharedSteps:
        """The compiled functions that members with the same network share."""
        from mmtrain.training.shared_steps import SharedSteps

        return SharedSteps()

    @cached_property
    def labels(self) -> encode.Fitted:
        """The targets with the classes of all rows that any member uses, to write answers; no training uses them."""
        used = [rows for one in self.plan.trainings for rows in (one.train, one.validation, scored_rows(one, self.plan))]
        rows = np.unique(np.concatenate(used))
        return encode.fit(self.experiment.targets, self.data.table, rows, self.experiment.training.class_weights)

    @cached_property
    def truths(self) -> dict[str, Array]:
        """The answers of all rows, encoded by `labels`."""
        return encode.encode_targets(self.experiment.targets, self.labels, self.data.table)[0]

    def member_plan(self, member: Member) -> MemberPlan:
        """Return the plan of one training."""
        training = self.experiment.training
        experiment = self.experiment.decided(seed=training.seed + member.seed, seeds=1)
        differences: dict[str, Any] = {"fold": member.fold, "seed": member.seed}
        if member.branch:
            experiment, differences = experiment.alone(member.branch), {**differences, "branch": member.branch}
        return MemberPlan(member.name, experiment, differences, group=self, member=member)

    def record(self, tuning: TuningResult, header: str = REPEATS) -> None:
        """Write and seal `GROUP_FILES`, before the first training; `header` is that of config.yaml."""
        run, table = self.run, self.data.table
        run.write_text("config.yaml", config.to_yaml(self.experiment, run.folder, header))
        run.write_pieces("split.csv", split_file.to_csv(self.plan, table.rows, table.ids))
        run.write_json("data.json", describe_data(self.experiment, self.data, self.plan))
        run.write_text("targets.json", self.labels.model_dump_json(indent=1) + "\n")
        training = self.experiment.training
        run.update(
            versions=versions(),
            seed=training.seed,
            deterministic=training.deterministic,
            trial=tuning.record,
            members=[member.to_json() for member in self.members],
        )
        # The seal comes last: a group whose files are sealed can be resumed.
        run.seal(*GROUP_FILES)

    def encode(self, member: Member, before: EncodedTable | None, say: Say) -> EncodedTable:
        """Return the table of a training; what its columns learned as those of the table `before` did is not encoded again."""
        partition, experiment = self.plan.trainings[member.fold], self.experiment
        if before is not None:
            return before if before.partition is partition else before.for_child(experiment, partition, say)
        fitted = encode.fit(experiment.columns, self.data.table, partition.train, experiment.training.class_weights)
        return encode_table(experiment, self.data, partition, fitted, say)

    def unfinished(self, fold: int | None = None) -> list[Member]:
        """Return the members that are not finished, or those of one `fold`; also those that other processes train."""
        wanted = [member for member in self.members if fold in (None, member.fold)]
        return [member for member in wanted if self.is_in_training(member) or not self.is_finished(member)]

    def train(
        self,
        members: Sequence[Member],
        table: EncodedTable | None = None,
        listener: Listener = lambda _: None,
        say: Say = lambda _: None,
        rule_of_next: Callable[[int], StopRule] | None = None,
    ) -> None:
        """Train members, in this order; those that are finished and those that another process trains are passed over.

        Args:
            members: The members.
            table: The encoded table of any of the members, if there is one.
            listener: Takes the events of every training.
            say: Takes sentences for the user.
            rule_of_next: Gives the rule by which the next training may end early, for the number of trainings that are left.

        Raises RunError and Interrupted as `train_child` does.
        """
        for done, member in enumerate(members):
            if self.is_in_training(member) or self.is_finished(member):
                continue
            stop = None if rule_of_next is None else rule_of_next(len(members) - done)
            with suppress(RunInUseError):  # another process was faster
                table = self.train_member(member, table, listener, say, stop)

    def train_member(
        self,
        member: Member,
        table: EncodedTable | None,
        listener: Listener = lambda _: None,
        say: Say = lambda _: None,
        stop: StopRule | None = None,
    ) -> EncodedTable:
        """Train one member; `table` is the encoded table of another one, if there is one. Return that of this member."""
        say(f"{self.title(member)}: {counted(member.train_rows, 'training row')}; {self.run / member.name}.")
        table = self.encode(member, table, say)
        train_child(self.run, self.member_plan(member), table, listener, say, stop)
        return table

    def is_finished(self, member: Member) -> bool:
        """Return whether a member is finished, with unchanged files."""
        return finished_child(self.run, self.member_plan(member)) is not None

    def state_of(self, member: Member) -> str:
        """Return the state of a member as its run.json has it; empty before it begins."""
        child = self.run.child(member.name)
        return child.state if (child / "run.json").is_file() else ""

    def is_in_training(self, member: Member) -> bool:
        """Return whether another process trains a member now."""
        return is_locked(self.run.child(member.name))

    def title(self, member: Member) -> str:
        """Return `Fold 2 of 5`, `Repeat 1 of 2, fold 2 of 5, seed 3 of 3`; counted from 1."""
        plan, seeds = self.plan, self.experiment.training.seeds
        places = []
        if plan.repeats > 1:
            places.append(f"repeat {member.repeat + 1} of {plan.repeats}")
        if plan.folds > 1:
            places.append(f"fold {member.fold % plan.folds + 1} of {plan.folds}")
        if seeds > 1:
            places.append(f"seed {member.seed + 1} of {seeds}")
        if member.branch:
            places.append(f"{member.branch} alone")
        text = ", ".join(places) or "all branches"
        return f"{text[:1].upper()}{text[1:]}"

    @property
    def is_complete(self) -> bool:
        """True if every member is finished."""
        return all(map(self.is_finished, self.members))


@dataclass(frozen=True, eq=False)
class MemberPlan(ChildPlan):
    """The plan of one training of a group, whose child is a complete run: every command takes it."""

    group: RunGroup = None  # type: ignore[assignment]  # a base class with defaults
    member: Member = None  # type: ignore[assignment]
    recorded: ClassVar[tuple[str, ...]] = RECORDED_FILES

    def settled(self, child: Run) -> Experiment:
        """Return the experiment, with the fusion and the learning rate that an earlier process chose on the rows of this member."""
        if "config.yaml" not in child.read_json("run.json").get("files", {}):
            return self.experiment
        before = config.load(child / "config.yaml")
        return self.experiment.model_copy(update={"training": before.training, "fusion": before.fusion})

    def callbacks(self) -> Sequence[Named]:
        """Return new callbacks: those of another training have its state in memory."""
        return self.group.make_callbacks()

    def share_steps(self, data: TrainingData) -> TrainingData:
        """Return the data with the compiled functions of the member before, where that had the same network."""
        return self.group.shared_steps.take_over(data)

    def write_inputs(self, child: Run, table: EncodedTable, data: TrainingData, tuning: TuningResult) -> None:
        """Write and seal the files by which commands restore a run; rows outside of the fold are in no use."""
        if (child / "network.json").is_file():
            check_encoders_unchanged(child, table.experiment, table.fitted)
        group = self.group.plan
        fold = f"fold {self.member.fold}: " if len(group.partitions) > 1 else ""
        plan = SplitPlan.of(table.partition, description=f"{fold}{group.description}", partial=True)
        record_inputs(child, table.experiment, table, plan, data, tuning)

    def write_results(self, child: Run, table: EncodedTable, data: TrainingData, result: TrainingResult) -> None:
        """Write the predictions of the rows that this member is scored on, with answers by the names that all members know."""
        from mmtrain.model import model_file

        if any(guard.chosen for guard in result.guard.values()):
            # The saved network predicts by the chosen branch, unlike the trained network.
            predictor, arrays = model_file.of_run(child, table.experiment.branches, data.fitted)[1], table.arrays
        else:
            predictor, arrays = data.models.predictor, data.arrays
        files = {MEMBER_PREDICTIONS: scored_rows(table.partition, self.group.plan)}
        if len(self.group.plan.partitions) == 1 and len(table.partition.calibration):
            files[HELD_BACK_PREDICTIONS] = table.partition.calibration
        for name, rows in files.items():
            child.write_text(name, to_csv(self._frame(table, data, result, rows, model_file.predict(predictor, arrays, rows))))
        child.seal(*files)

    def _frame(
        self, table: EncodedTable, data: TrainingData, result: TrainingResult, rows: Array, predictions: Mapping[str, Array]
    ) -> pd.DataFrame:
        fitted, source = apply_postprocessing(data.fitted, result.decisions), table.data.table
        columns: dict[str, Any] = {"row": source.rows[rows], "id": source.ids(rows)}
        if data.groups is not None:
            columns[GROUP] = data.groups[rows]
        labels = self.group.labels.targets
        for key in labels:
            columns |= truth_columns(key, labels, self.group.truths[key][rows])
            columns |= prediction_columns(key, fitted.targets, result.decisions, predictions[key])
        return pd.DataFrame(columns)


@dataclass(frozen=True)
class GroupResult:
    """The outcome of a group of trainings."""

    run: Run
    scores: CrossValidation | None
    """None while members are left to train."""
    conclusions: tuple[str, ...] = ()
    """The main score of each target next to the baseline, in sentences."""

    @property
    def weights(self) -> list[str]:
        """The reasons for the weights of the trainings, in sentences; empty where all count the same."""
        if not (self.run / ENSEMBLE_WEIGHTS).is_file():
            return []
        targets = self.run.read(ENSEMBLE_WEIGHTS).targets
        return [f"{key}: {one.reason}" if len(targets) > 1 else one.reason for key, one in targets.items()]
