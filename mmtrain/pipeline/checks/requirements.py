"""Optional packages that an experiment needs, and the user's Keras callbacks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.config.training import Callback
from mmtrain.config.yaml_source import NotInFile
from mmtrain.errors import ConfigError, Problem, listed
from mmtrain.layers.start import start_tensorflow

if TYPE_CHECKING:
    from mmtrain.training.callbacks import Named


def check_packages(baselines: Collection[str], place: Callable[..., str]) -> None:
    """Raise ConfigError for a baseline whose package is not installed; `place` says where a setting was written, from its keys."""
    able = [name for name in ("gradient_boosting", "linear") if name in baselines]
    if able and find_spec("sklearn") is None:
        what = f"{listed(able)} {'needs' if len(able) == 1 else 'need'} scikit-learn, which is not installed."
        fix = "Run `pip install 'mmtrain[baselines]'`, or leave it out."
        raise ConfigError(Problem(place("evaluation", "baselines"), what, fix))


def check_callbacks(callbacks: Sequence[Callback], path: Path | NotInFile, overrides: Iterable[str]) -> None:
    """Raise ConfigError for callbacks that Keras does not accept. Keras is started only if there are any."""
    if callbacks:
        start_tensorflow()
        from mmtrain.training.callbacks import check_callbacks

        check_callbacks(callbacks, path, overrides)


def make_callbacks(callbacks: Sequence[Callback], path: Path | NotInFile, overrides: Iterable[str] = ()) -> list[Named]:
    """Return the callbacks of an experiment, the one in the file at `path`. Raises ConfigError."""
    if not callbacks:
        return []
    from mmtrain.training.callbacks import make_callbacks

    return make_callbacks(callbacks, path, overrides)
