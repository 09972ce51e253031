"""Nested searches: outer folds that no inner search sees, the time that they share, and what is said of them."""

import csv
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny import start, two_blobs, write_experiment, write_table

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.search_results import NestedFold, NestedScore
from mmtrain.commands.tune import describe_folds
from mmtrain.config.yaml_source import Origin
from mmtrain.data.tables.read_table import read as read_table
from mmtrain.errors import DataError
from mmtrain.pipeline.prepare import split_rows
from mmtrain.pipeline.search import nested as nested_search
from mmtrain.pipeline.search.inner_folds import check_folds, for_trials
from mmtrain.pipeline.search.nested import NestedSearch, OuterGroup, outer_plan
from mmtrain.pipeline.search.space import load_space
from mmtrain.pipeline.search.trials import read_space
from mmtrain.reports.pages.search_page import describe_nested
from mmtrain.splits.plan import Partition, SplitPlan

EXPERIMENT = """
name: nested
columns: {x: {role: numeric}, who: {role: group}, y: {role: target, task: binary}}
branches: {table: {columns: [x], architecture: linear}}
fusion: {units: []}
split: {method: stratified, validation: 0.2, test: 0.2}
training: {epochs: 2, batch_size: 16, deterministic: true, early_stopping: {monitor: validation_auc}}
tune: {trials: 2, nested: true, pruner: none, space: {training.learning_rate: {low: 0.001, high: 0.1, scale: log}}}
"""


def planned(folder, *overrides):
    cells = [{"x": row, "who": f"p{row // 2}", "t": 1900 + row, "y": "ab"[row // 2 % 3 == 0]} for row in range(120)]
    write_table(folder / "table.csv", cells)
    experiment = config.load(write_experiment(folder / "a.yaml", EXPERIMENT), overrides)
    table = read_table(experiment.data.table, experiment.columns)
    plan = split_rows(experiment, table)
    return plan, outer_plan(experiment, table, plan), experiment


def test_outer_folds_have_the_rows_of_the_search_and_no_test_row(tmp_path):
    plan, outer, _ = planned(tmp_path)
    learning = sorted([*plan.holdout.train, *plan.holdout.validation])
    assert sorted(np.concatenate([one.test for one in outer.partitions])) == learning
    assert len(outer.partitions) == 5
    for one in outer.partitions:
        assert sorted([*one.train, *one.validation, *one.test]) == learning
        sides = [{row // 2 for row in rows} for rows in (one.train, one.validation, one.test)]
        assert sum(map(len, sides)) == len(set.union(*sides))  # groups are on one side
        assert 0.15 < len(one.validation) / (len(one.train) + len(one.validation)) < 0.25


def test_folds_of_the_split_are_the_outer_folds(tmp_path):
    plan, outer, _ = planned(tmp_path, "split.folds=3", "split.test=0")
    assert outer is plan


def test_a_split_by_time_has_no_folds_for_trials(tmp_path):
    experiment = planned(tmp_path)[2]
    by_time = experiment.model_copy(update={"split": experiment.split.model_copy(update={"method": "time"})})
    for changed in ({"folds": 3}, {"nested": True}):
        with pytest.raises(DataError, match=r"^tune: a split by time has no folds for trials"):
            check_folds(by_time, experiment.tune.model_copy(update={"nested": False, **changed}), "tune")
    check_folds(by_time, experiment.tune.model_copy(update={"nested": False}), "tune")


def test_folds_by_time_score_no_row_that_the_search_has_seen(tmp_path):
    plan = planned(tmp_path, "split.folds=3", "split.test=0")[0]
    assert describe_folds(plan).startswith("Trials use the first fold. The other folds score rows that the search has seen")
    rows = np.arange(40)
    later = [Partition(rows[: 10 * fold - 2], rows[10 * fold - 2 : 10 * fold], rows[10 * fold : 10 * fold + 10]) for fold in (1, 2, 3)]
    assert describe_folds(SplitPlan.of(*later, partial=True)).endswith("whose training and validation rows no other fold scores.")


def test_searches_of_outer_folds_share_what_is_left_of_the_minutes():
    def minutes(limit, seconds, folds):
        clock = SimpleNamespace(minutes=limit, seconds=seconds)
        return NestedSearch(None, None, None, None, None, clock, (), None)._minutes(folds)

    assert minutes(None, 100.0, 5) is None
    assert minutes(60.0, 600.0, 5) == pytest.approx(0.85 * 10)
    assert minutes(60.0, 3600.0, 1) == 0.01  # none is left: a trial that is cut off at once


@dataclass
class Table:
    experiment: Any
    partition: Partition


def test_an_outer_fold_decides_on_its_own_rows_what_the_search_decided_on_rows_that_it_scores(tmp_path, monkeypatch):
    _, outer, _ = planned(tmp_path)
    path = write_experiment(
        tmp_path / "b.yaml",
        EXPERIMENT.replace("branches: {", "branches: {other: {columns: [z], architecture: linear}, ")
        .replace("x: {role: numeric}", "x: {role: numeric}, z: {role: numeric}")
        .replace("{units: []}", "auto")
        .replace("epochs: 2", "epochs: 2, learning_rate: auto, precision: auto"),
    )
    experiment = config.load(path)
    space = load_space(Origin(path, ()), {"training.epochs": (2, 3)}, experiment)
    chosen = experiment.fusion.model_copy(update={"trial": ()})

    def decide(rate):
        decided = experiment.decided(learning_rate=rate, precision="float32", batch_size=16)
        return decided.model_copy(update={"fusion": chosen})

    frozen = space.frozen(decide(0.5))
    assert (frozen.experiment.training.learning_rate, frozen.experiment.fusion.trial) == (0.5, ())
    seen = []

    def assemble(table, _):
        seen.append(table)
        return decide(0.25), None, None

    monkeypatch.setattr(nested_search, "assemble_training", assemble)
    monkeypatch.setattr(nested_search, "record_inputs", lambda *_: None)
    run = Run(tmp_path / "runs/1")
    run.folder.mkdir(parents=True)
    search = NestedSearch(run, frozen, experiment.tune, None, outer, None, (), SimpleNamespace(say=None))
    search._begin(run, Table(frozen.experiment, outer.partitions[1]))
    (table,) = seen
    assert table.partition is outer.partitions[1]
    assert (table.experiment.training.learning_rate, table.experiment.fusion.trial) == ("auto", experiment.fusion.trial)
    assert table.experiment.training.precision == "float32"  # of the device, for all folds
    of_fold = read_space(run, frozen.experiment)
    assert (of_fold.experiment.training.learning_rate, of_fold.experiment.fusion.trial) == (0.25, ())
    assert read_space(run, frozen.experiment).reopened().experiment.training.learning_rate == "auto"


def test_outer_folds_have_no_members_of_single_branches(tmp_path):
    sections = "ensemble={weights: greedy, single_branches: true}", "columns.z={column: t, role: numeric}", "branches.z={columns: [z]}"
    _, outer, experiment = planned(tmp_path, *sections)
    assert experiment.member_branches
    members = OuterGroup(Run(tmp_path), for_trials(experiment), None, outer).members
    assert [member.name for member in members] == [f"folds/{fold}" for fold in range(5)]


def nested(**changed):
    fold = NestedFold(fold=0, trials=2, best=0.9, score=0.8, settings={})
    facts = {"target": "y", "score": "auc", "value": 0.8, "low": 0.7, "high": 0.9, "rows": 96, "best": 0.9, "optimism": 0.1}
    return NestedScore(**facts | changed, folds=[fold] * 5, report=Path("report.html"))


def test_the_optimism_of_a_search_is_told():
    score, optimism = describe_nested(nested())
    assert score == "Nested: auc 0.800 (0.700 to 0.900) in 5 outer folds with 96 rows that their searches have not seen."
    assert optimism == (
        "On their own validation rows, the best trials of these searches have 0.900: 0.100 better than their experiments on the outer "
        "rows, the optimism of the search."
    )
    assert len(describe_nested(nested(best=None, optimism=None))) == 1  # a loss


@pytest.mark.slow  # 15 trainings in two processes
def test_a_nested_search_that_is_killed_goes_on_and_scores_rows_that_no_trial_has_seen(tmp_path):
    two_blobs(tmp_path, 120, who=lambda row: f"p{row // 2}")
    write_experiment(tmp_path / "a.yaml", EXPERIMENT)
    process = start("tune", "a.yaml", "--json", folder=tmp_path)
    outer = tmp_path / "runs/nested/1/nested/outer"
    while not (outer / "searches/1/run.json").is_file():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = (outer / "folds/0/run.json").read_text()
    resumed = start("tune", "--resume", "nested", "--json", folder=tmp_path)
    out, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    assert (outer / "folds/0/run.json").read_text() == before
    result = json.loads(out)["nested"]
    assert (len(result["folds"]), result["score"]) == (5, "auc")
    mean = sum(one["score"] for one in result["folds"]) / 5
    assert result["optimism"] == pytest.approx(sum(one["best"] for one in result["folds"]) / 5 - mean)
    with (outer / "split.csv").open(newline="") as file:
        scored = {(row["fold"], row["row"]) for row in csv.DictReader(file) if row["part"] == "test"}
    for fold in range(5):
        with (outer / f"searches/{fold}/split.csv").open(newline="") as file:
            seen = {(str(fold), row["row"]) for row in csv.DictReader(file) if row["part"] in ("train", "validation")}
        assert seen.isdisjoint(scored)
        assert len(list((outer / f"searches/{fold}/trials").glob("*/validation.npz"))) == 2
    assert "Nested: auc" in (tmp_path / "runs/nested/1/best.yaml").read_text()
