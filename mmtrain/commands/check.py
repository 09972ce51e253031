"""`mmtrain check`: everything that `fit` would refuse, without training; TensorFlow is started for callbacks alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mmtrain.artifacts.inspection_results import PartSummary
from mmtrain.config.yaml_source import NotInFile
from mmtrain.data.splits.summary import summarize
from mmtrain.pipeline.requirements import check_callbacks
from mmtrain.pipeline.validate import load_checked


@dataclass(frozen=True)
class CheckResult:
    """A table that can be trained on, and what its parts would be."""

    rows: int
    dropped: int
    parts: tuple[PartSummary, ...]
    notes: tuple[str, ...] = ()
    """What is said of data that can be used, warnings among them; one line each."""


def check(
    path: Path | NotInFile,
    *,
    overrides: Iterable[str] = (),
    progress: Callable[[int, int, int], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> CheckResult:
    """Raises ConfigError or DataError with every problem, as `fit` would; `say` is told of what is in doubt, also before that."""
    notes: list[str] = []

    def both(text: str) -> None:
        notes.append(text)
        say(text)

    experiment, data, plan = load_checked(path, overrides, progress=progress, say=both)
    check_callbacks(experiment, path, overrides)
    return CheckResult(len(data.table), len(data.table.dropped), summarize(experiment.columns, data.table, plan.holdout), tuple(notes))
