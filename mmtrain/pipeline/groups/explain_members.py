"""Explanations by a group of trainings: the mean over its members.

A row of the group's own table that a fold was scored on is explained by the members that have not seen it, as it was scored; any other row
by all of them. Every member explains its own raw output from its own baseline. The weights of the group weigh explanations as well; those
of a row in predictions_oof.csv were chosen on the rows of other folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmtrain.artifacts.group_results import Member
from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.drift import read_statistics
from mmtrain.data.images.store import Say
from mmtrain.errors import Problem, UsageError, counted
from mmtrain.evaluation.member_decisions import with_decision
from mmtrain.explanation.attribution import RowExplanation, RowInputs, SelectedRow, describe
from mmtrain.explanation.selection import ExplainedOutputs, output_selector, select_rows
from mmtrain.pipeline.explained_rows import ExplainedRows, cells_of_rows
from mmtrain.pipeline.groups.ensemble import for_labels, member_weights, open_members
from mmtrain.pipeline.groups.results import combine_members
from mmtrain.pipeline.restore import restore_training, with_cached_features
from mmtrain.reports.report_data import OUT_OF_FOLD
from mmtrain.splits.plan import SplitPlan
from mmtrain.targets import FittedTarget

UNUSED = "unused"
"""Part of the rows that are in no fold and no outer test set."""


def rows_of_members(plan: SplitPlan, members: Sequence[Member], rows: int) -> tuple[Array, Array]:
    """Return the part of every row of a table with folds, (rows,), and the members that explain it, (rows, members) bool."""
    names = np.full(rows, UNUSED, dtype=object)
    scored = np.zeros((rows, len(members)), dtype=np.bool_)
    for number, member in enumerate(members):
        scored[plan.trainings[member.fold].test, number] = True
    names[scored.any(axis=1)] = OUT_OF_FOLD
    names[plan.test] = "test"
    return names, np.where(scored.any(axis=1, keepdims=True), scored, True)


@dataclass(frozen=True, eq=False)
class _MemberNetwork:
    """A member of a group, opened."""

    run: Run
    experiment: Experiment
    fitted: encode.Fitted
    predictor: Any

    def encode(self, rows: ExplainedRows, say: Say) -> Arrays:
        table, cache = rows.data, self.experiment.data.cache
        return encode.encode(self.experiment.columns, self.fitted, table.table, table.stores, cache=cache, say=say)

    def predict(self, rows: ExplainedRows, positions: Array, arrays: Arrays, say: Say) -> dict[str, Array]:
        """Return the predictions of the rows at `positions`."""
        from mmtrain.model import model_file

        behind, inputs = self.predictor, arrays
        if not rows.named:  # of a whole part; a few named rows are read by the encoders themselves
            source = rows.data, arrays
            behind, inputs = with_cached_features(
                self.run, self.predictor, self.experiment, self.fitted, source, say, own_table=rows.own_table
            )
        return model_file.predict(behind, inputs, positions)


def explain_with_members(
    run: Run, experiment: Experiment, labels: encode.Fitted, outputs: ExplainedOutputs, rows: ExplainedRows, say: Say
) -> Iterator[RowExplanation]:
    """Explain row by row with a group of trainings: the named rows, or those that are chosen. The networks of all are in memory."""
    from mmtrain.explanation.explainer import Explainer
    from mmtrain.explanation.mean_explanation import mean_explanation

    members = [_open(member) for member in open_members(run)]
    shares = _shares(rows, len(members), weights_of_rows(run, experiment, labels, outputs.target, rows))
    target = labels.targets[outputs.target]
    truths = encode.encode_targets(experiment.targets, labels, rows.data.table)[0].get(outputs.target)
    predicted, decided = _predict(members, target, outputs.target, rows, shares, say)
    answers = None if truths is None else truths[rows.positions]
    wanted = [(row, "") for row in range(len(rows.positions))] if rows.named else select_rows(target, answers, predicted)
    say(f"Explaining {counted(len(wanted), 'row')} with {counted(len(members), 'training')}.")
    chosen = rows.only(rows.positions[[row for row, _ in wanted]])
    arrays = [member.encode(chosen, say) for member in members]
    explainers = [
        Explainer(one.predictor, one.experiment.branches, one.fitted, read_statistics(one.run, one.fitted), outputs) for one in members
    ]
    cells = cells_of_rows(experiment, members[0].fitted, chosen.data.table, chosen.positions)
    for (row, why), at in zip(wanted, chosen.positions.tolist(), strict=True):
        table = chosen.data.table
        selected = SelectedRow(int(table.rows[at]), table.ids(np.array([at]))[0], chosen.parts[at], why)
        selector = output_selector(outputs, target, predicted[[row]])
        # Of several numbers each training explains its own column, unless one is named: times of curves differ between trainings.
        name = target.columns[_code(target, selector.unit, selector.sign)] if target.columns else outputs.class_name
        truth = "" if answers is None else describe(target, target.decode_truth(answers[[row]])[0])
        each, weights = {}, []
        for number, (one, explainer) in enumerate(zip(members, explainers, strict=True)):
            fitted_target = one.fitted.targets[outputs.target]
            # A class that a member has not learned has no output there.
            if not shares[row, number] or (name is not None and name not in (*fitted_target.columns, *fitted_target.number_columns)):
                continue
            of_row = {key: cells[key][at] for key in one.fitted.columns}
            weights.append(shares[row, number])
            inputs = RowInputs.of(of_row, arrays[number].columns(np.array([at])))
            prediction = np.zeros((1, fitted_target.units), np.float32)
            each[one.run.name] = explainer.explain(selected, inputs, truth, prediction, class_name=name)
        if not each:
            what = f"no training of the group has the column {name!r}."
            raise UsageError(Problem("--class", what, "Leave --class out, or set `horizon` to the time to be explained and train again."))
        yield mean_explanation(each, weights, selector, decided[row])


def _open(member: Run) -> _MemberNetwork:
    from mmtrain.model import model_file

    experiment, fitted, _ = restore_training(member)
    return _MemberNetwork(member, experiment, fitted, model_file.of_run(member, experiment.branches, fitted)[1])


def _code(target: FittedTarget, unit: int, sign: float) -> int:
    """Return the position of the class whose output is that of a unit; one unit of two classes stands for both."""
    return unit if target.units > 1 or len(target.columns) == 1 else int(sign > 0)


def weights_of_rows(run: Run, experiment: Experiment, labels: encode.Fitted, key: str, rows: ExplainedRows) -> Array | None:
    """Return the weights of all members for every row at `rows.positions`, (rows, members), as it was scored; None for the plain mean."""
    chosen = member_weights(run)
    if chosen is None:
        return None
    weights = np.tile(chosen[key], (len(rows.positions), 1))
    scored = rows.parts[rows.positions] == OUT_OF_FOLD
    if scored.any():
        weighted, combined = combine_members(run, experiment, labels)
        if weighted is not None:
            places = np.searchsorted(combined.rows, rows.data.table.rows[rows.positions[scored]])
            weights[scored] = weighted.of_rows[key].T[places]
    return weights


def _shares(rows: ExplainedRows, members: int, weights: Array | None) -> Array:
    """Return the share of every member in the explanation of every row at `rows.positions`, (rows, members), together 1."""
    by = np.ones((len(rows.positions), members)) if rows.members is None else rows.members[rows.positions].astype(np.float64)
    weighted = by * (1.0 if weights is None else weights)
    # A row may have been scored by members without a weight alone.
    weighted = np.where(weighted.any(axis=1, keepdims=True), weighted, by)
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def _predict(
    members: Sequence[_MemberNetwork], target: FittedTarget, key: str, rows: ExplainedRows, shares: Array, say: Say
) -> tuple[Array, list[str]]:
    """Return the mean prediction of every row, (rows, units), by the members that explain it, and the decision in words."""
    total, with_decisions = np.zeros((2, len(rows.positions), target.units))
    arrays: dict[int, Arrays] = {}
    for number, member in enumerate(members):
        mine = np.flatnonzero(shares[:, number])
        if not len(mine):
            continue
        # Members of several seeds have columns that learned the same; one encoded table is in memory.
        like = next((one for one in arrays if members[one].fitted.columns == member.fitted.columns), number)
        arrays = {number: arrays[like] if like in arrays else member.encode(rows, say)}
        predicted = member.predict(rows, rows.positions[mine], arrays[number], say)
        values = for_labels({key: target}, {key: member.fitted.targets[key]}, {key: predicted[key]})[key]
        share = shares[mine, number, np.newaxis]
        total[mine] += share * values
        with_decisions[mine] += share * with_decision(target.with_decision_of(member.fitted.targets[key]), values)
    mean, decided = total.astype(np.float32), with_decisions.astype(np.float32)
    # Out-of-fold rows are decided on as in predictions_oof.csv, others by the threshold of the group.
    by_group, by_member = target.predict_label(mean), target.without_decision().predict_label(decided)
    scored = [part == OUT_OF_FOLD for part in rows.parts[rows.positions]]
    return mean, [describe(target, two if alone else one) for one, two, alone in zip(by_group, by_member, scored, strict=True)]
