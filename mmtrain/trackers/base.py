"""The contract of trackers, their registry, and the listener that calls them.

A tracker is made for a run by a registered class or function `(folder, *, options)`: `folder` is that of the run, and the keyword-only
parameters are its options in the experiment file. It may have a method for every event of `mmtrain.training.listeners.events`, named
after it. During a training: `assembled`, `started`, `epoch_began`, `steps_began`, `stepped`, `epoch_ended`, `warned`, `stop_asked`, and
at last `ended` or `stopped`. Around it: `group_began` and `trial_ended` for a run with child runs, `finished` once the report is written,
and `evaluated`; for these a tracker is made anew, possibly in another process, if its class has the method. Each gets the event. An
example:

    @tracker
    class EpochPrinter:
        def __init__(self, folder, *, prefix: str = ""):
            self.prefix = prefix

        def epoch_ended(self, event):
            print(self.prefix, event.epoch, event.scores)

with `training: {trackers: [{name: epoch_printer, prefix: mine}]}`. A tracker cannot stop a training, not even by an error: it is then
left out for the rest of the training, with a warning. Keras callbacks can stop it, see `training.callbacks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypeVar, overload

from pydantic import Field

from mmtrain.registry import OneOf, Registry, Section, options_of, section_for


class TrackerSection(Section):
    """Options of every tracker."""

    name: str = Field(description="Name of the tracker.")


@dataclass(frozen=True)
class Tracker:
    """A registered tracker, and its options."""

    build: Callable[..., Any]
    section: type[TrackerSection]
    package: str = ""
    """Module that it imports, also the name of the extra that installs it; empty if mmtrain has what it needs."""

    def follows(self, event: str) -> bool:
        """True if its class has a method for the event; a function has to be called for that."""
        return not isinstance(self.build, type) or hasattr(self.build, event)


Build = TypeVar("Build", bound=Callable[..., Any])
trackers: Registry[Tracker] = Registry("tracker")


@overload
def tracker(build: Build, *, package: str = "") -> Build: ...
@overload
def tracker(*, package: str) -> Callable[[Build], Build]: ...
def tracker(build: Callable[..., Any] | None = None, *, package: str = "") -> Any:
    """Register a class or a function as a tracker of its name in lower case, `step_losses` for `StepLosses`.

    Args:
        build: The class or function.
        package: Module that it imports, also the name of the extra of mmtrain that installs it.

    Raises TypeError for an option without type or default.
    """
    if build is None:
        return partial(tracker, package=package)
    name = _lower_case(build.__name__)
    trackers.add(name, Tracker(build, section_for(name, build, TrackerSection), package))
    return build


def _lower_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


AnyTracker = Annotated[TrackerSection, OneOf("name", lambda: {name: entry.section for name, entry in trackers.items()})]


def missing_packages(sections: Iterable[TrackerSection]) -> Iterator[tuple[int, str, str]]:
    """Yield position, name and extra of each tracker whose package is not installed; nothing is imported."""
    for position, section in enumerate(sections):
        package = trackers[section.name].package
        if package and find_spec(package) is None:
            yield position, section.name, package


class Trackers:
    """Listener that passes events of a run to its trackers; `warn` gets a sentence on each that has failed.

    With `event`, only trackers that follow it are made: those of a command that has nothing else to say.
    """

    def __init__(self, sections: Iterable[TrackerSection], folder: Path, warn: Callable[[str], None], event: str = "") -> None:
        self._warn = warn
        self._trackers: dict[int, tuple[str, Any]] = {}  # by position: two may have the same name and other options
        for position, section in enumerate(sections):
            if event and not trackers[section.name].follows(event):
                continue
            made = self._attempt(position, section.name, partial(_build, section, folder))
            if made is not None:
                self._trackers[position] = section.name, made

    def __call__(self, event: Any) -> None:
        """Call the method of the event's name on every tracker that has one."""
        method_name = _lower_case(type(event).__name__)
        for position, (name, made) in list(self._trackers.items()):
            if (method := getattr(made, method_name, None)) is not None:
                self._attempt(position, name, partial(method, event))

    def _attempt(self, position: int, name: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        # Any: an error of a tracker must not end a training. Loggers may call `sys.exit`, without a login for example.
        except (Exception, SystemExit) as error:
            # First left out, then reported: a warning is an event for trackers, too.
            self._trackers.pop(position, None)
            self._warn(f"the tracker `{name}` failed and is left out from now on: {_describe(error)}")
            return None


def _build(section: TrackerSection, folder: Path) -> Any:
    entry = trackers[section.name]
    if entry.package and find_spec(entry.package) is None:
        raise ModuleNotFoundError(f"{entry.package} is not installed; run `pip install 'mmtrain[{entry.package}]'`")
    return entry.build(folder, **options_of(section, TrackerSection))


def _describe(error: BaseException) -> str:
    # The first line: errors of servers come with their whole page.
    message = re.sub(r"(?<=://)[^/@\s]*:[^/@\s]*@", "", next(iter(str(error).splitlines()), ""))[:300]  # without passwords
    return f"{type(error).__name__}: {message}".rstrip(".: ") + "."
