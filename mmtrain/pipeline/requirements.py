"""What an experiment asks for beyond the packages that mmtrain always comes with."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from mmtrain.config import Experiment
from mmtrain.errors import ConfigError, Problem


def check_packages(experiment: Experiment, place: Callable[..., str]) -> None:
    """`place` says where a setting was written, from its keys. Raises ConfigError for what is not installed."""
    if "gradient_boosting" in experiment.evaluation.baselines and find_spec("sklearn") is None:
        what = "gradient_boosting needs scikit-learn, which is not installed."
        fix = "Run `pip install 'mmtrain[baselines]'`, or leave it out."
        raise ConfigError(Problem(place("evaluation", "baselines"), what, fix))
