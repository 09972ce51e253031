"""Records of a run: its inputs, and every evaluation.

A score of the test part is only as honest as the number of times it was looked at, so each evaluation is recorded, also of other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain import config
from mmtrain.artifacts import run_folder
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import EvaluationRecord, ExplanationRecord
from mmtrain.config import Experiment
from mmtrain.config.load import REPEATS
from mmtrain.data.arrays import Array
from mmtrain.data.drift import learn_statistics
from mmtrain.data.splits.split_file import read_split, to_csv
from mmtrain.data.tables.table import Table
from mmtrain.errors import listed
from mmtrain.pipeline.build import EncodedTable
from mmtrain.pipeline.prepare import LoadedData
from mmtrain.pipeline.train_run import versions
from mmtrain.splits.plan import USE_NAMED, USES, SplitPlan

if TYPE_CHECKING:
    from mmtrain.training.auto_settings.autotune import TuningResult
    from mmtrain.training.training_data import TrainingData

UNFINISHED = {
    "running": "The training of this run has not ended, or was killed; its weights may still become better.",
    "interrupted": "The training of this run was interrupted; the weights are those of its best epoch so far.",
    "failed": "The training of this run failed; the weights are those of its best epoch before.",
}
"""Remark on a run by its state."""
NAMED_ROWS = "rows"
"""Name, or end of the name, of explanations of rows that a user named."""
TAKEN_LABELS = (*USE_NAMED, NAMED_ROWS, "oof", "member", "held_back", "teacher")
"""Names that results for another table cannot have: files of a run or a group have them, such as predictions_oof.csv."""
RECORDED_FILES = ("config.yaml", "split.csv", "columns.json", "statistics.json", "data.json")
"""Files that are written before the first step and never change after it."""


def record_inputs(
    run: Run,
    experiment: Experiment,
    table: EncodedTable,
    split: SplitPlan,
    training_data: TrainingData,
    tuning: TuningResult,
    header: str = REPEATS,
) -> None:
    """Write and seal `RECORDED_FILES`, and the network in brief, before the first step of the training; `header` is that of config.yaml."""
    from mmtrain.model.summary import model_summary

    fitted, training, data = training_data.fitted, experiment.training, table.data
    run.write_text("config.yaml", config.to_yaml(experiment, run.folder, header))
    run.write_pieces("split.csv", to_csv(split, data.table.rows, data.table.ids))
    run.write_text("columns.json", fitted.model_dump_json(indent=1) + "\n")
    train = training_data.partition.train
    learned = learn_statistics(experiment.columns, fitted, data.table, table.arrays, train, experiment.data.images_folder)
    run.write_text("statistics.json", learned.model_dump_json(indent=1) + "\n")
    run.write_json("data.json", {**describe_data(experiment, data, split), "answers": count_labels(training_data)})
    # The seal comes last: a run whose files are sealed has recorded all its inputs, so that it can be resumed.
    run.write_json("network.json", model_summary(training_data.models, experiment.branches, experiment.fusion, fitted))
    run.update(versions=versions(), seed=training.seed, deterministic=training.deterministic, trial=tuning.record)
    run.seal(*RECORDED_FILES)


def describe_data(experiment: Experiment, data: LoadedData, split: SplitPlan) -> dict[str, Any]:
    """Return table, split and images as data.json has them."""
    table = data.table
    return {
        "table": table.path.name,
        "sha256": table.sha256,
        **({"tables": dict(table.file.second_hashes)} if table.file.second_hashes else {}),
        "headers": list(table.headers),
        "rows": table.total,
        "used": len(table),
        "dropped": [asdict(dropped) for dropped in table.dropped],
        "split": {"method": experiment.split.method, **split.record()},
        "images": {key: store.key for key, store in data.stores.items()},
    }


def count_labels(data: TrainingData) -> dict[str, dict[str, list[int]]]:
    """Count the rows of each class or label in each part, in the order of the target's `columns`; other targets are left out."""
    counts: dict[str, dict[str, list[int]]] = {}
    for key, target in data.fitted.targets.items():
        if target.columns:
            truths = {part: data.arrays.targets[key][rows] for part, rows in data.partition.items()}
            counts[key] = {
                part: (
                    (truth == 1).sum(axis=0) if target.has_labels else np.bincount(truth[truth >= 0], minlength=len(target.columns))
                ).tolist()
                for part, truth in truths.items()
            }
    return counts


def record_evaluation(run: Run, table: Table, rows: Array, part: str | None) -> list[EvaluationRecord]:
    """Record an evaluation of `rows` of `table`, a `part` of the run or, with None, another table.

    Return all evaluations, this one last.
    """
    rows_of = {}
    # The table of the training under another path: its rows still belong to the parts of the split.
    if part is None and table.sha256 == run.read("data.json").sha256:
        split = read_split(run / "split.csv")
        rows_of = {name: int(np.isin(table.rows, split.rows[known]).sum()) for name, known in _parts(split.plan).items()}

    # Inside `change`, under the lock: two evaluations at once must both be recorded.
    def add(facts: dict[str, Any]) -> dict[str, Any]:
        before = facts.get("evaluations", [])
        record = EvaluationRecord(
            part=part or other_label(table.path, table.sha256, [EvaluationRecord.model_validate(one) for one in before]),
            when=run_folder.now(),
            rows=len(rows),
            table=table.path.name,
            path=str(table.path),
            sha256=table.sha256,
            rows_of=rows_of,
        )
        return {**facts, "evaluations": [*before, record.to_json()]}

    return [EvaluationRecord.model_validate(one) for one in run.change("run.json", add)["evaluations"]]


def _parts(plan: SplitPlan) -> dict[str, Array]:
    """Return the rows of each part; of folds, those that any of them learns from, other validation rows, and the outer test rows."""
    if len(plan.partitions) == 1:
        return dict(plan.holdout.items())
    train, validation = (np.unique(np.concatenate([one[use] for one in plan.partitions])) for use in ("train", "validation"))
    return {"train": train, "validation": np.setdiff1d(validation, train), "test": plan.test}


def other_label(path: Path, sha256: str, looks: Sequence[EvaluationRecord | ExplanationRecord]) -> str:
    """Return the name of the results for another table: `newer` for newer.csv.gz, `test_table` for test.csv, which is not the test part.

    If another file, or another content, has the name already, it is numbered: `newer_2`.
    """
    stem = path.name.partition(".")[0] or "table"
    plain = stem.casefold()  # where Test.csv and test.csv are one file
    stem = f"{stem}_table" if plain in TAKEN_LABELS or plain.endswith(f"_{NAMED_ROWS}") else stem
    # A name belongs to one content; the same content keeps its name.
    taken = {look.part.casefold() for look in looks if look.sha256 != sha256 and look.part is not None}
    labels = chain([stem], (f"{stem}_{number}" for number in count(2)))
    return next(label for label in labels if label.casefold() not in taken)


def remarks(run: Run, look: EvaluationRecord) -> tuple[str, ...]:
    """Return remarks on the run and the table without which the scores would be misread, as sentences."""
    sentences = []
    if not run.is_trained:
        sentences.append(UNFINISHED[run.state])
    if look.rows_of:
        parts = listed([f"{rows:,} {part}" for part, rows in look.rows_of.items() if rows])
        seen = " This counts as an evaluation of the test part." if look.is_test_access else ""
        sentences.append(f"{look.table} is the table of the training; among the scored rows are {parts} rows.{seen}")
    elif look.part not in (*USES, name_of := look.table.partition(".")[0], f"{name_of}_table"):
        sentences.append(f"Another table of the name {name_of} was scored before; the results for this one are called {look.part}.")
    return tuple(sentences)
