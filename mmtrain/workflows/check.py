"""`mmtrain check`: everything that `fit` would refuse, without training; TensorFlow is started for callbacks alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mmtrain import config
from mmtrain.data.parts import PartSummary, summarise
from mmtrain.workflows.prepare import check_callbacks, check_class_weights, check_training_answers, read_data, split_rows, strata


@dataclass(frozen=True)
class Checked:
    """A table that can be trained on, and what its parts would be."""

    rows: int
    dropped: int
    parts: tuple[PartSummary, ...]


def check(path: Path, *, overrides: Iterable[str] = (), progress: Callable[[int, int, int], None] | None = None) -> Checked:
    """Raises ConfigError or DataError with every problem, as `fit` would."""
    experiment = config.load(path, overrides)
    data = read_data(experiment, experiment.data.table, experiment.data.images_folder, progress=progress)
    check_class_weights(experiment, data.table, path, overrides)
    parts = split_rows(experiment, data.table)
    check_training_answers(experiment, data.table, parts)
    check_callbacks(experiment, path, overrides)
    rows = strata(experiment, data.table)
    return Checked(len(data.table), len(data.table.dropped), summarise(parts, labels=rows.labels, groups=rows.groups))
