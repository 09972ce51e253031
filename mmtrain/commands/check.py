"""`mmtrain check`: everything that `fit` would refuse, without training; TensorFlow is started for callbacks alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mmtrain.artifacts.inspection_results import PartSummary
from mmtrain.config.yaml_source import NotInFile
from mmtrain.data.splits.summary import summarize
from mmtrain.pipeline.checks.requirements import check_callbacks
from mmtrain.pipeline.checks.validate import load_checked


@dataclass(frozen=True)
class CheckResult:
    """A table that can be trained on, and the parts it would have."""

    rows: int
    dropped: int
    parts: tuple[PartSummary, ...]
    notes: tuple[str, ...] = ()
    """Remarks and warnings about data that can be used, one line each."""


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

    experiment, data, plan = load_checked(path, overrides, progress=progress, say=note)
    check_callbacks(experiment.training.callbacks, path, overrides)
    return CheckResult(len(data.table), len(data.table.dropped), summarize(experiment.columns, data.table, plan.holdout), tuple(notes))
