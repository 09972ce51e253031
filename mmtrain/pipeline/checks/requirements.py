"""Packages, weights of pretrained encoders, word vectors and Keras callbacks that an experiment needs: checks before a training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.branches import Branch, Pretrained
from mmtrain.columns import Column, InputColumn, inputs_among
from mmtrain.config.sections.evaluation import PretrainedBaseline
from mmtrain.config.sections.training import Callback
from mmtrain.config.yaml_source import NotInFile
from mmtrain.encoders import recognize
from mmtrain.errors import ConfigError, Problem, RunError, listed
from mmtrain.layers.start import start_tensorflow
from mmtrain.trackers import TrackerSection, missing_packages

if TYPE_CHECKING:
    from mmtrain.config import Experiment
    from mmtrain.training.listeners.callbacks import Named


def check_baselines(baselines: Sequence[str | PretrainedBaseline], place: Callable[..., str]) -> None:
    """Raise ConfigError for a baseline whose package or weights are missing; `place` says where a setting was written, from its keys."""
    problems = []
    able = [name for name in ("gradient_boosting", "linear") if name in baselines]
    if able and find_spec("sklearn") is None:
        what = f"{listed(able)} {'needs' if len(able) == 1 else 'need'} scikit-learn, which is not installed."
        fix = "Run `pip install 'mmtrain[baselines]'`, or leave it out."
        problems.append(Problem(place("evaluation", "baselines"), what, fix))
    for number, one in enumerate(baselines):
        where = partial(place, "evaluation", "baselines", number)
        if isinstance(one, PretrainedBaseline) and find_spec(one.name) is None:
            fix = f"Run `pip install 'mmtrain[{one.name}]'`, or leave it out."
            problems.append(Problem(where(), f"{one.name} needs the package {one.name}, which is not installed.", fix))
        if isinstance(one, PretrainedBaseline) and not Path(one.weights).is_file():
            fix = "Give the path of a checkpoint, from the folder of the experiment file; nothing is downloaded."
            problems.append(Problem(where("weights"), f"the file {one.weights} does not exist.", fix))
    if problems:
        raise ConfigError(problems)


def check_trackers(sections: Sequence[TrackerSection], place: Callable[..., str]) -> None:
    """Raise ConfigError for trackers whose packages are not installed."""
    problems = [
        Problem(
            place("training", "trackers", number),
            f"the tracker {name!r} needs the package {extra}, which is not installed.",
            f"Run `pip install 'mmtrain[{extra}]'`, or leave it out.",
        )
        for number, name, extra in missing_packages(sections)
    ]
    if problems:
        raise ConfigError(problems)


def check_encoders(branches: Mapping[str, Branch], columns: Mapping[str, Column], place: Callable[..., str]) -> None:
    """Raise ConfigError for pretrained encoders without weights of their architecture, and for augmentation that none of them sees.

    Only the tables of the weights' files are read, without TensorFlow.
    """
    problems = []
    for key, branch in branches.items():
        vectors = dict(branch).get("embeddings")
        if vectors and not Path(str(vectors)).is_file():
            fix = "Give the path of a file of word vectors, from the folder of the experiment file."
            problems.append(Problem(place("branches", key, "embeddings"), f"the file {vectors} does not exist.", fix))
        pretrained = branch.pretrained()
        column = columns.get(branch.columns[0])
        if pretrained is None or not isinstance(column, InputColumn):
            continue
        problems += _check_weights(pretrained, column, partial(place, "branches", key))
        problems += _check_views(key, branch.columns[0], column, pretrained, place)
    for key, column in inputs_among(dict(columns)).items():
        if option := column.vector_encoder:
            problems += _check_weights(Pretrained(option.model, option.weights), column, partial(place, "columns", key, "encoder"))
            if column.augmentation is not None:
                what = "the encoder of the column reads every image once, so that its random changes have no effect."
                problems.append(Problem(place("columns", key, "augment"), what, "Remove it."))
    if problems:
        raise ConfigError(problems)


def _check_weights(pretrained: Pretrained, column: InputColumn, place: Callable[..., str]) -> list[Problem]:
    """Return the problems of an encoder for a column; `place` says where an option of the encoder was written."""
    try:
        spec = column.declared_spec()
        known = recognize(pretrained.reference, spec.member.kind if spec else column.kind, pretrained.weights)
        if spec:
            known.check(spec.member)
    except RunError as error:
        where = place("weights" if pretrained.weights else "model")
        return [Problem(where, f"{problem.where}: {problem.what}", problem.fix) for problem in error.problems]
    return []


def _check_views(key: str, name: str, column: InputColumn, pretrained: Pretrained, place: Callable[..., str]) -> list[Problem]:
    augmented = column.augmentation is not None
    if pretrained.frozen and augmented and not pretrained.views:
        what = "a frozen encoder reads every image once, so that its random changes have no effect."
        return [
            Problem(
                place("columns", name, "augment"), what, f"Set `views: 4` in branches.{key} to have four versions of each, or remove it."
            )
        ]
    if pretrained.views and not augmented:
        what = f"views are random changes by `augment` of the column {name!r}, which changes nothing."
        return [Problem(place("branches", key, "views"), what, f"Set columns.{name}.augment, or remove `views`.")]
    return []


def check_callbacks(callbacks: Sequence[Callback], path: Path | NotInFile, overrides: Iterable[str]) -> None:
    """Raise ConfigError for callbacks that Keras does not accept. Keras is started only if there are any."""
    if callbacks:
        start_tensorflow()
        from mmtrain.training.listeners.callbacks import check_callbacks

        check_callbacks(callbacks, path, overrides)


def make_callbacks(callbacks: Sequence[Callback], path: Path | NotInFile, overrides: Iterable[str] = ()) -> list[Named]:
    """Return the callbacks of an experiment, the one in the file at `path`. Raises ConfigError."""
    if not callbacks:
        return []
    from mmtrain.training.listeners.callbacks import make_callbacks

    return make_callbacks(callbacks, path, overrides)


def unguarded_fusion(experiment: Experiment) -> str:
    """Return a sentence if several branches are fused and nothing compares the fusion with each of them, else an empty one.

    With `auxiliary: 0` in the file, or the baseline `single_branch`, the user has decided.
    """
    fusion = experiment.fusion
    compared = "auxiliary" in fusion.model_fields_set or "single_branch" in experiment.evaluation.baselines
    if len(experiment.branches) < 2 or fusion.auxiliary or compared:
        return ""
    return (
        "note: nothing compares the fusion with its best branch alone. With `fusion: {auxiliary: 1}` each branch learns to "
        "predict alone and replaces the fusion if it is better beyond noise; `evaluation.baselines: [majority, single_branch]` trains each "
        "one alone."
    )
