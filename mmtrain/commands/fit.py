"""`mmtrain fit`: from an experiment file to a run folder; and `--resume`, from a run that was stopped to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain import config
from mmtrain.artifacts import run_folder
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.report import complete, completed
from mmtrain.config.yaml_source import NotInFile
from mmtrain.data import encode
from mmtrain.data.drift import statistics
from mmtrain.data.images.store import Progress
from mmtrain.data.splits.split_file import to_csv
from mmtrain.data.splits.summary import PartSummary, summarize
from mmtrain.errors import Problem, UsageError
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import assemble_training, encode_table
from mmtrain.pipeline.prepare import LoadedData, Moved
from mmtrain.pipeline.requirements import make_callbacks
from mmtrain.pipeline.restore import restore_data
from mmtrain.pipeline.train_run import TrainingResult, newest_checkpoint, run_state, train, versions
from mmtrain.pipeline.validate import load_checked
from mmtrain.splits.plan import SplitPlan
from mmtrain.training.events import Watcher

if TYPE_CHECKING:
    from mmtrain.training.autotune import TuningResult
    from mmtrain.training.training_data import TrainingData

RECORDED_FILES = ("config.yaml", "split.csv", "columns.json", "statistics.json", "data.json")
"""What a run holds before its first step; it never changes after that."""


@dataclass(frozen=True)
class Plan:
    """Told before training: what is about to be trained on what."""

    run: Run | None
    """None where nothing will be trained."""
    rows: int
    dropped: int
    parts: tuple[PartSummary, ...]
    class_weights: dict[str, dict[str, float]]
    parameters: dict[str, int]


@dataclass(frozen=True)
class Listeners:
    """Who is told what happens; by default nobody."""

    watch: Watcher = lambda _: None
    """Events of the training."""
    announce: Callable[[Plan], None] = lambda _: None
    progress: Progress | None = None
    """Images decoded so far."""
    say: Callable[[str], None] = lambda _: None
    """Sentences."""


def fit(
    path: Path | NotInFile, *, overrides: Iterable[str] = (), output: Path = Path("runs"), onlookers: Listeners | None = None
) -> TrainingResult:
    """Train the experiment in the file at `path`; everything is checked before the run folder is made.

    Raises ConfigError and DataError with every problem found, RunError when the training fails, Interrupted on SIGINT or SIGTERM.
    """
    told = onlookers or Listeners()
    experiment, data, split = load_checked(path, overrides, progress=told.progress, say=told.say)
    told.say("Data checked; starting TensorFlow.")
    start_tensorflow()  # after everything that can be checked without it
    callbacks = make_callbacks(experiment, path, overrides)
    fitted = encode.fit(experiment, data.table, split.holdout.train)
    material, decision = assemble_training(encode_table(experiment, data, split.holdout, fitted, told.say), told.say)
    run = run_folder.create(experiment.name, output)
    with run_lock(run), run_state(run):
        record_inputs(run, material, data, split, decision)
        told.announce(training_plan(run, material, data))
        done = train(run, material, told.watch, callbacks=callbacks)
        complete(run, material.experiment, material.fitted)
    return done


def resume(
    which: str | None, *, output: Path = Path("runs"), onlookers: Listeners | None = None, moved: Moved | None = None
) -> TrainingResult:
    """Go on with a run that was interrupted or killed, from its newest whole checkpoint, as if it had never stopped.

    `moved` says where its table and its images are now.

    Raises UsageError for a run that is finished, has nothing to go on from, or that another process is training, DataError when its
    data have changed since.
    """
    run = run_folder.find(which, output)
    with run_lock(run):
        return _resume(run, onlookers or Listeners(), moved or Moved())


def _resume(run: Run, told: Listeners, moved: Moved) -> TrainingResult:
    if run.is_trained and (run.state != "finished" or not (run / "report.html").is_file()):
        told.say("The training had ended; its report is written now.")
        with run_state(run):
            return completed(run)
    checkpoint = find_checkpoint(run, told.say)
    experiment = moved.applied(config.load(run / "config.yaml"))
    data, partition = restore_data(run, experiment, progress=told.progress, say=told.say, exactly=True)

    told.say("Data checked; starting TensorFlow.")
    start_tensorflow()
    callbacks = make_callbacks(experiment, run / "config.yaml")
    if callbacks:
        told.say("The callbacks begin anew: what they kept in memory is not part of a checkpoint.")
    material, _ = assemble_training(encode_table(experiment, data, partition, encode.of_run(run, experiment), told.say), told.say)
    with run_state(run):
        run.reopen(RECORDED_FILES)
        told.announce(training_plan(run, material, data))
        done = train(run, material, told.watch, checkpoint, callbacks)
        complete(run, material.experiment, material.fitted)
    return done


def find_checkpoint(run: Run, say: Callable[[str], None]) -> str | None:
    """The checkpoint to go on from; None to begin again, when the run was stopped before its first."""
    if run.state == "finished":
        raise UsageError(
            Problem(str(run.folder), "the run is finished; there is nothing to go on with.", "Train anew with `mmtrain fit CONFIG`.")
        )
    if not all(name in run.read_json("run.json").get("files", {}) for name in RECORDED_FILES):
        raise UsageError(
            Problem(str(run.folder), "the run was stopped before its training began.", "Train anew with `mmtrain fit CONFIG`.")
        )
    return newest_checkpoint(run, say)


def record_inputs(run: Run, material: TrainingData, data: LoadedData, split: SplitPlan, decision: TuningResult) -> None:
    """Write down what the training is about to use."""
    from mmtrain.model.summary import model_summary

    experiment, training = material.experiment, material.experiment.training
    run.write_text("config.yaml", config.to_yaml(experiment, run.folder))
    run.write_pieces("split.csv", to_csv(split, data.table.rows, data.table.ids))
    run.write_text("columns.json", material.fitted.model_dump_json(indent=1) + "\n")
    learned = statistics.learn_statistics(experiment, material.fitted, data.table, material.arrays, material.partition.train)
    run.write_text("statistics.json", learned.model_dump_json(indent=1) + "\n")
    run.write_json("data.json", describe(data, material, split))
    run.write_json("network.json", model_summary(material.models, experiment, material.fitted))
    run.update(versions=versions(), seed=training.seed, deterministic=training.deterministic, trial=decision.plain())
    run.seal(*RECORDED_FILES)


def describe(data: LoadedData, material: TrainingData, split: SplitPlan) -> dict[str, Any]:
    """Table, answers and images as data.json has them."""
    table = data.table
    return {
        "table": table.path.name,
        "sha256": table.sha256,
        "headers": list(table.headers),
        "rows": table.total,
        "used": len(table),
        "dropped": [asdict(dropped) for dropped in table.dropped],
        "split": {"method": material.experiment.split.method, **split.record()},
        "answers": count_labels(material),
        "images": {key: store.key for key, store in data.stores.items()},
    }


def count_labels(material: TrainingData) -> dict[str, dict[str, list[int]]]:
    """Rows of each class or label in each part, in the order of the target's `columns`; targets without classes are left out."""
    found: dict[str, dict[str, list[int]]] = {}
    for key, target in material.fitted.targets.items():
        if target.columns:
            truths = {part: material.arrays.targets[key][rows] for part, rows in material.partition.items()}
            found[key] = {
                part: (
                    (truth == 1).sum(axis=0) if target.has_labels else np.bincount(truth[truth >= 0], minlength=len(target.columns))
                ).tolist()
                for part, truth in truths.items()
            }
    return found


def training_plan(run: Run | None, material: TrainingData, data: LoadedData) -> Plan:
    """What is about to be trained, for a person to look over."""
    weights = {key: target.class_weights for key, target in material.fitted.targets.items() if len(set(target.class_weights.values())) > 1}
    parts = summarize(material.experiment, data.table, material.partition)
    return Plan(run, len(data.table), len(data.table.dropped), parts, weights, material.models.parameters())
