"""`mmtrain check`: everything that `fit` and `tune` would refuse, without training; TensorFlow starts for callbacks and `--code` alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mmtrain.artifacts.inspection_results import CheckResult
from mmtrain.config.yaml_source import NotInFile, Origin
from mmtrain.data.splits.summary import summarize
from mmtrain.pipeline.checks.own_networks import check_own_networks
from mmtrain.pipeline.checks.requirements import check_callbacks
from mmtrain.pipeline.checks.validate import load_checked
from mmtrain.pipeline.search.space import load_space


def check(
    path: Path | NotInFile,
    *,
    overrides: Iterable[str] = (),
    progress: Callable[[int, int, int], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> CheckResult:
    """Check the experiment at `path` and its data. Raises ConfigError or DataError with every problem, as `fit` does.

    Remarks and warnings go to `say` at once, so that they are seen also if an error follows.
    """
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        say(text)

    origin = Origin(path, tuple(overrides))
    experiment, data, plan = load_checked(path, origin.overrides, progress=progress, say=note)
    if experiment.tune is not None and experiment.tune.space is not None:
        load_space(origin, experiment.tune.space, experiment)
    check_own_networks(experiment, data, plan.trainings[0])
    check_callbacks(experiment.training.callbacks, path, origin.overrides)
    parts = summarize(experiment.columns, data.table, plan)
    rows = {part.part: part.rows for part in parts}
    return CheckResult(rows=len(data.table), dropped=len(data.table.dropped), parts=rows, notes=tuple(notes), summary=parts)
