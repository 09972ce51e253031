"""Users' callbacks: only Keras knows them, so an experiment without any is spared its start."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.config import Experiment
from mmtrain.config.yaml_source import NotInFile
from mmtrain.layers.start import start_tensorflow

if TYPE_CHECKING:
    from mmtrain.training.callbacks import Named


def check_callbacks(experiment: Experiment, path: Path | NotInFile, overrides: Iterable[str]) -> None:
    """The users' callbacks are what they have to be; only Keras knows, so where there are any, it is started. Raises ConfigError."""
    if experiment.training.callbacks:
        start_tensorflow()
        from mmtrain.training.callbacks import check_callbacks

        check_callbacks(experiment, path, overrides)


def make_callbacks(experiment: Experiment, path: Path | NotInFile, overrides: Iterable[str] = ()) -> list[Named]:
    """The users' callbacks of the experiment in the file at `path`. Raises ConfigError."""
    if not experiment.training.callbacks:
        return []
    from mmtrain.training.callbacks import make_callbacks

    return make_callbacks(experiment, path, overrides)
