"""`mmtrain fit`: from an experiment file to a run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtrain import config, runs
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.parts import Parts, PartSummary, summarise, to_csv
from mmtrain.data.table import Table
from mmtrain.errors import MmtrainError
from mmtrain.layers.start import start_tensorflow
from mmtrain.runs import Run
from mmtrain.training.interruption import Interrupted
from mmtrain.workflows.prepare import Prepared, check_class_weights, check_training_answers, read_data, split_rows, strata
from mmtrain.workflows.versions import versions

if TYPE_CHECKING:
    from mmtrain.model.assemble import Network
    from mmtrain.training.events import Ended, Watcher


@dataclass(frozen=True)
class Fitted:
    """What a training leaves behind."""

    run: Run
    ended: Ended
    monitor: str
    """The score that decided which epoch is the best."""


@dataclass(frozen=True)
class Plan:
    """Told before training: what is about to be trained on what."""

    run: Run
    rows: int
    dropped: int
    parts: tuple[PartSummary, ...]
    grouped: bool
    class_weights: dict[str, dict[str, float]]
    parameters: dict[str, int]


def fit(
    path: Path,
    *,
    overrides: Iterable[str] = (),
    output: Path = Path("runs"),
    watch: Watcher = lambda _: None,
    announce: Callable[[Plan], None] = lambda _: None,
    progress: Callable[[int, int, int], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """Train the experiment in the file at `path`; everything is checked before the run folder is made.

    Raises ConfigError and DataError with every problem found, RunError when the training fails, Interrupted on SIGINT or SIGTERM.
    """
    begun = time.perf_counter()
    experiment = config.load(path, overrides)
    data = read_data(experiment, experiment.data.table, experiment.data.images_folder, progress=progress, say=say)
    check_class_weights(experiment, data.table, path, overrides)
    parts = split_rows(experiment, data.table)
    check_training_answers(experiment, data.table, parts)

    say("Data checked; starting TensorFlow.")
    start_tensorflow()  # after everything that can be checked without it
    from mmtrain.model.assemble import assemble
    from mmtrain.training import loop

    fitted = encode.fit(experiment, data.table, parts.train)
    loop.prepare(experiment.training.seed, deterministic=experiment.training.deterministic)
    arrays = encode.encode(experiment, fitted, data.table, data.stores)
    network = assemble(experiment, fitted)
    run = runs.create(experiment.name, output)
    try:
        record(run, experiment, data, parts, fitted)
        announce(_plan(run, experiment, data, parts, fitted, network.parameters()))
        trained_from = time.perf_counter()
        try:
            ended = loop.train(loop.Material(experiment, fitted, arrays, parts, network, data.table.place), run, watch)
        finally:
            keep_best(run, network)
        timings = {"before_training": round(trained_from - begun, 3), "training": round(time.perf_counter() - trained_from, 3)}
        run.update(
            state="finished", ended=runs.now(), seconds=timings, epochs=ended.epochs, best_epoch=ended.best_epoch, stopped=ended.reason
        )
    except BaseException as error:
        known = isinstance(error, MmtrainError | Interrupted)
        run.update(state=_state_after(error), ended=runs.now(), error=str(error) if known else repr(error))
        raise
    return Fitted(run, ended, experiment.training.early_stopping.monitor)


def record(run: Run, experiment: Experiment, data: Prepared, parts: Parts, fitted: encode.Fitted) -> None:
    """Write down what the training is about to use."""
    run.write_text("config.yaml", config.to_yaml(experiment, run.folder))
    run.write_text("split.csv", to_csv(parts, data.table.rows, data.table.ids()))
    run.write_text("columns.json", fitted.model_dump_json(indent=1) + "\n")
    run.write_json("data.json", describe(data.table))
    run.update(versions=versions(), seed=experiment.training.seed, deterministic=experiment.training.deterministic)


def describe(table: Table) -> dict[str, Any]:
    """The table as data.json has it."""
    return {
        "table": table.path.name,
        "sha256": runs.file_hash(table.path),
        "headers": list(table.headers),
        "rows": table.total,
        "used": len(table),
        "dropped": [asdict(dropped) for dropped in table.dropped],
    }


def _plan(run: Run, experiment: Experiment, data: Prepared, parts: Parts, fitted: encode.Fitted, parameters: dict[str, int]) -> Plan:
    rows = strata(experiment, data.table)
    weights = {
        key: dict(zip(target.columns, target.weights, strict=True))
        for key, target in fitted.targets.items()
        if hasattr(target, "weights") and len(set(target.weights)) > 1
    }
    summary = summarise(parts, labels=rows.labels, groups=rows.groups)
    return Plan(run, len(data.table), len(data.table.dropped), summary, rows.groups is not None, weights, parameters)


def keep_best(run: Run, network: Network) -> None:
    """Save the model with its best weights, also when the training was interrupted or failed after a good epoch."""
    from mmtrain.training import checkpoints

    if not (run / "checkpoints" / "best").is_dir():
        return
    checkpoints.load_weights(run / "checkpoints", "best", network.core)
    with runs.replacing(run / "model.keras") as temporary:
        renamed = temporary.with_suffix(".keras")  # Keras insists on the suffix
        network.whole.save(renamed)
        renamed.rename(temporary)
    run.seal("config.yaml", "columns.json", "split.csv", "model.keras")


def _state_after(error: BaseException) -> runs.State:
    return "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
