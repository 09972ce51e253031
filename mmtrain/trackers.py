"""Trackers: objects of the user that follow a training, such as a logger of an experiment database, and their registry.

A tracker is made for a run by a registered class or function `(folder, *, options)`: `folder` is that of the run, and the keyword-only
parameters are its options in the experiment file. It may have a method for every event of `mmtrain.training.listeners.events`, named
after it: `started`, `epoch_began`, `steps_began`, `stepped`, `epoch_ended`, `warned`, `stop_asked`, `ended`. Each gets the event. An
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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, PositiveInt

from mmtrain.registry import OneOf, Registry, Section, options_of, section_for


class TrackerSection(Section):
    """Options of every tracker."""

    name: str = Field(description="Name of the tracker.")


@dataclass(frozen=True)
class Tracker:
    """A registered tracker, and its options."""

    build: Callable[..., Any]
    section: type[TrackerSection]


Build = TypeVar("Build", bound=Callable[..., Any])
trackers: Registry[Tracker] = Registry("tracker")


def tracker(build: Build) -> Build:
    """Register a class or a function as a tracker of its name in lower case, `step_losses` for `StepLosses`.

    Raises TypeError for an option without type or default.
    """
    name = _lower_case(build.__name__)
    trackers.add(name, Tracker(build, section_for(name, build, TrackerSection)))
    return build


def _lower_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


AnyTracker = Annotated[TrackerSection, OneOf("name", lambda: {name: entry.section for name, entry in trackers.items()})]


class Trackers:
    """Listener that passes the events of a training to its trackers; `warn` gets a sentence on each that has failed."""

    def __init__(self, sections: Iterable[TrackerSection], folder: Path, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._trackers: dict[int, tuple[str, Any]] = {}  # by position: two may have the same name and other options
        for position, section in enumerate(sections):
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
        except Exception as error:  # any: an error of a tracker must not end a training
            # First left out, then reported: a warning is an event for trackers, too.
            self._trackers.pop(position, None)
            self._warn(f"the tracker `{name}` failed and is left out from now on: {type(error).__name__}: {error}".rstrip(".: ") + ".")
            return None


def _build(section: TrackerSection, folder: Path) -> Any:
    return trackers[section.name].build(folder, **options_of(section, TrackerSection))


@tracker
class Steps:
    """Write the mean loss of the epoch so far after every n-th step to `steps.csv` in the run."""

    def __init__(self, folder: Path, *, every: Annotated[PositiveInt, Field(description="Steps from one line to the next.")] = 10) -> None:
        self._path, self._every = folder / "steps.csv", every
        self._written = (0, 0)

    def started(self, event: Any) -> None:
        """Begin the file; a resumed training goes on behind the lines that its checkpoint has seen."""
        reached = (event.done + 1, event.done_steps)
        lines = self._path.read_text(encoding="utf-8").splitlines()[1:] if self._path.exists() else []
        earlier = [line for line in lines if tuple(map(int, line.split(",")[:2])) <= reached]
        self._path.write_text("\n".join(["epoch,step,loss", *earlier, ""]), encoding="utf-8")

    def stepped(self, event: Any) -> None:
        """Add a line; the last event of an epoch may come twice."""
        place = (event.epoch, event.step)
        if event.step % self._every == 0 and place > self._written:
            self._written = place
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{event.epoch},{event.step},{event.loss:.6g}\n")
