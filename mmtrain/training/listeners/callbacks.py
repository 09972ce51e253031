"""Users' Keras callbacks: imported by dotted name, checked before any is created, and called during the training.

Hooks are called at the begin and the end of the training, of every epoch (counted from 0, as Keras does) and of every call of the
compiled step, which may take several steps (`on_train_batch_begin` with its first step, `on_train_batch_end` with its last). Logs have
Keras' names: `loss` and `val_auc`, not `train_loss` and `validation_auc`; an undefined score is NaN. `self.model` is the network on
encoded inputs, whose outputs are logits; setting its `stop_training` ends the training after that epoch.

Callbacks cannot keep state over `--resume`, as they are created anew, nor change the learning rate: the loop sets it, and `self.model`
has no optimizer. Hooks of validation and prediction are not called, nor any at the end of an interrupted training.
"""

from __future__ import annotations

import importlib
import inspect
import math
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from mmtrain.config import yaml_source
from mmtrain.config.sections.training import Callback
from mmtrain.config.yaml_source import LocatedProblem, Location, NotInFile
from mmtrain.errors import ConfigError, Problem, RunError, did_you_mean, listed
from mmtrain.system.user_code import may_import
from mmtrain.training.listeners.events import Ended, EpochBegan, EpochEnded, Event, Started, Stepped, StepsBegan
from mmtrain.training.signals import GracefulShutdown

REPLACEMENTS = {
    keras.callbacks.LearningRateScheduler: "The loop sets the learning rate: use `training.schedule`.",
    keras.callbacks.ReduceLROnPlateau: "The loop sets the learning rate: use `training.schedule: {method: plateau}`.",
    keras.callbacks.BackupAndRestore: "Every run can be resumed: `mmtrain fit --resume RUN`.",
    keras.callbacks.SwapEMAWeights: "Use `training.weight_average`.",
    keras.callbacks.TensorBoard: "Set `training.tensorboard: true`.",
}
"""Callbacks without effect in this loop, and what to use instead."""


@dataclass(frozen=True)
class Named:
    """A callback and its name in the experiment file."""

    name: str
    callback: Any


class _InvalidCallback(Exception):  # noqa: N818 (becomes a problem)
    """Raised with what is wrong with a name, and the fix."""


def check_callbacks(entries: Sequence[Callback], path: Path | NotInFile, overrides: Iterable[str] = ()) -> list[type]:
    """Return the classes of the callbacks, in order. Allowed modules are imported, but nothing in them is called.

    Raises ConfigError with all mistakes: classes that are not callbacks, options that the constructor does not have.
    """
    classes: list[type] = []
    problems: list[LocatedProblem] = []
    for number, entry in enumerate(entries):
        here: Location = ("training", "callbacks", number)
        try:
            classes.append(_class(entry.name))
        except _InvalidCallback as wrong:
            problems.append(((*here, "name"), *wrong.args))
        else:
            problems += _wrong_options(entry, classes[-1], here)
    if problems:
        raise ConfigError(yaml_source.read(path, overrides).problems(problems))
    return classes


def make_callbacks(entries: Sequence[Callback], path: Path | NotInFile, overrides: Iterable[str] = ()) -> list[Named]:
    """Create the callbacks of the experiment in the file at `path`. Raises ConfigError with all mistakes."""
    callbacks: list[Named] = []
    problems: list[LocatedProblem] = []
    for number, (entry, kind) in enumerate(zip(entries, check_callbacks(entries, path, overrides), strict=True)):
        try:
            callbacks.append(Named(entry.name, kind(**entry.options)))
        except Exception as error:
            what = f"`{entry.name}` refuses these options: {_describe(error)}"
            problems.append((("training", "callbacks", number), what, ""))
    if problems:
        raise ConfigError(yaml_source.read(path, overrides).problems(problems))
    return callbacks


def _class(name: str) -> type:
    """Import the class called `name`. Raises _InvalidCallback."""
    if not may_import(name):
        raise _refused(name)
    here, *within = _module(name)
    for number, word in enumerate(within):
        if not hasattr(here, word):  # hasattr may import it lazily, as in TensorFlow with Keras
            callbacks = [key for key, value in vars(here).items() if _is_callback(value)] if inspect.ismodule(here) else []
            fix = did_you_mean(word, callbacks) or (f"Its callbacks are {listed(callbacks)}." if callbacks else "")
            # The dotted name up to the word that is missing.
            owner = ".".join(name.split(".")[: number - len(within)])
            raise _InvalidCallback(f"there is no {word!r} in `{owner}`.", fix)
        here = getattr(here, word)
    if not _is_callback(here):
        raise _InvalidCallback(f"`{name}` is not a Keras callback.", "Name a subclass of `keras.callbacks.Callback`.")
    for useless, instead in REPLACEMENTS.items():
        if issubclass(here, useless):
            raise _InvalidCallback(f"`{name}` has no effect here.", instead)
    class_: type = here
    return class_


def _refused(name: str) -> _InvalidCallback:
    """Return the problem of a module that the experiment file may not import; the module itself is not imported."""
    top, last = name.split(".", maxsplit=1)[0], name.rsplit(".", 1)[-1]
    if last in dir(keras.callbacks):
        return _InvalidCallback(f"`{name}` is not imported.", f"Write `keras.callbacks.{last}`.")
    if top not in sys.modules and find_spec(top) is None:
        return _InvalidCallback(f"there is no module {top!r}.", f"Give its file with `--code {top}.py`, or install it.")
    what = f"`{name}` is not imported: an experiment file may name callbacks of Keras and of files given with `--code` only."
    return _InvalidCallback(what, "Where you trust the file, give `--allow-callbacks`; importing a module runs its code.")


def _is_callback(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, keras.callbacks.Callback)


def _module(name: str) -> tuple[Any, ...]:
    """Import the longest prefix of a dotted name that is a module; return it and the words after it. Raises _InvalidCallback."""
    words = name.split(".")
    # The longest prefix first; at least one word is left for the class.
    for length in range(len(words) - 1, 0, -1):
        wanted = ".".join(words[:length])
        try:
            return importlib.import_module(wanted), *words[length:]
        except ModuleNotFoundError as error:
            # The missing module is `wanted` or one of its parents: a shorter prefix may exist. Any other is missed by
            # `wanted` itself.
            if error.name is None or not f"{wanted}.".startswith(f"{error.name}."):
                raise _InvalidCallback(f"`{wanted}` cannot be imported: {_describe(error)}", "Install what it needs.") from error
        # A module may call `sys.exit` when it is imported.
        except (Exception, SystemExit) as error:
            raise _InvalidCallback(f"`{wanted}` cannot be imported: {_describe(error)}", "") from error
    fix = f"Give its file with `--code {words[0]}.py`, or install it."
    raise _InvalidCallback(f"there is no module {words[0]!r}.", fix)


def _wrong_options(entry: Callback, kind: type, here: Location) -> Iterator[LocatedProblem]:
    """Yield options that the constructor does not have, and required ones that are missing."""
    parameters = inspect.signature(kind).parameters.values()
    named = {one.name: one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    unknown = [key for key in entry.options if key not in named and not takes_all]
    for key in unknown:
        fix = did_you_mean(key, named) or (f"Its options are {listed(list(named))}." if named else "It has no options.")
        yield (*here, key), f"`{entry.name}` has no option {key!r}.", fix
    for name, one in named.items():
        # Already reported as an unknown option, with its correction.
        misspelt = any(did_you_mean(key, [name]) for key in unknown)
        if one.default is one.empty and name not in entry.options and not misspelt:
            yield here, f"`{entry.name}` needs the option {name!r}.", f"Add it: `{name}: ...`."


class Callbacks:
    """Listener that calls the callbacks. Raises RunError with the name of a callback that fails."""

    def __init__(self, callbacks: Sequence[Named], network: Any, interruption: GracefulShutdown, where: str) -> None:
        self.callbacks, self.network, self.interruption, self.where = callbacks, network, interruption, where
        self._stepping = False

    def __call__(self, event: Event) -> None:
        """Call the hooks for an event."""
        match event:
            case Started():
                self._begin(event)
            case EpochBegan():
                self._call_hook("on_epoch_begin", event.epoch - 1)
            case StepsBegan():
                self._stepping = True
                self._call_hook("on_train_batch_begin", event.step)
            case Stepped() if self._stepping:  # the last event of an epoch may come twice
                self._stepping = False
                self._call_hook("on_train_batch_end", event.step - 1, {"loss": event.loss})
            case EpochEnded():
                self._call_hook("on_epoch_end", event.epoch - 1, {**_logs(event.scores), "learning_rate": event.learning_rate})
            case Ended():
                self._call_hook("on_train_end", _logs(event.best_scores))

    def _begin(self, event: Started) -> None:
        self.network.stop_training = False
        for named in self.callbacks:
            # Keras's own callbacks read these; 0 keeps them from printing into the progress display.
            named.callback.set_params({"epochs": event.epochs, "steps": event.steps, "verbose": 0})
            named.callback.set_model(self.network)
        self._call_hook("on_train_begin")

    def _call_hook(self, hook: str, *arguments: Any) -> None:
        """Call a hook of each callback; not through a `CallbackList`, which would not name the one that failed."""
        for named in self.callbacks:
            try:
                getattr(named.callback, hook)(*arguments)
            except Exception as error:
                what = f"the callback `{named.name}` failed in {hook}{_place(error)}: {_describe(error)}"
                fix = "Fix it, then continue with --resume."
                raise RunError(Problem(self.where, what, fix)) from error
            # Checked after every hook, as in Keras; the first reason stays.
            if self.network.stop_training and not self.interruption.after_epoch:
                self.interruption.after_epoch = f"the callback {named.name} stopped it"


def _logs(scores: dict[str, float | None]) -> dict[str, float]:
    """Return scores under their names in Keras."""
    return {_in_keras(name): math.nan if value is None else value for name, value in scores.items()}


def _in_keras(name: str) -> str:
    part, _, score = name.partition("_")
    return score if part == "train" else f"val_{score}"


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".: ") + "."


def _place(error: Exception) -> str:
    """Return the line of the callback's own method, as ` (mine.py:12)`."""
    # Frame 0 is `_call_hook`, frame 1 the method of the callback; deeper ones are libraries that it uses.
    frames = traceback.extract_tb(error.__traceback__)[1:2]
    return "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in frames)
