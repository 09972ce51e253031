"""Events of a training, for progress displays, logs and callbacks. The loop itself prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, eq=False)
class CaptionedImage:
    """Pixels as the network reads them, and its present prediction next to the truth."""

    pixels: Any
    """Unsigned integers, (height, width, channels), or (depth, height, width, channels) of a volume."""
    caption: str
    """A line for each target."""


@dataclass(frozen=True, eq=False)
class Assembled:
    """Before `Started`: the network, and functions that score it and let it predict as it is now."""

    network: Any
    train_scores: Callable[[int], dict[str, float | None]]
    """Takes the largest number of training rows to draw; returns their scores, `train_auc` for example."""
    validation_images: Callable[[int], dict[str, list[CaptionedImage]]]
    """Takes the largest number of validation rows to draw; returns the images of each column whose pixels the network reads."""


class Detail(str):
    """A sentence on how something was chosen, which a display shows on request (`--verbose`) only."""

    __slots__ = ()


@dataclass(frozen=True)
class Started:
    """Before the first step; the `done` fields say what a resumed run has behind it."""

    epochs: int
    steps: int
    rows: int
    monitor: str
    direction: str
    done: int = 0
    """Completed epochs."""
    done_steps: int = 0
    """Completed steps of the next epoch; `done_rows` are their rows."""
    done_rows: int = 0
    best_epoch: int = 0
    best: float | None = None
    """The monitored score of the best epoch."""
    main: str = ""
    """Main metric of the first target on validation rows, for example `validation_auc`."""


@dataclass(frozen=True)
class EpochBegan:
    """Before the first step that this process takes in an epoch."""

    epoch: int


@dataclass(frozen=True)
class StepsBegan:
    """Before a call of the compiled step, which may take several steps; `step` steps of the epoch are done."""

    epoch: int
    step: int


@dataclass(frozen=True)
class Stepped:
    """After a step; `loss` is the mean over the rows of this epoch so far."""

    epoch: int
    step: int
    rows: int
    loss: float


@dataclass(frozen=True)
class EpochEnded:
    """After an epoch and its validation; an undefined score is None."""

    epoch: int
    scores: dict[str, float | None]
    learning_rate: float
    seconds: float
    rows_per_second: float
    is_best: bool
    best_epoch: int


@dataclass(frozen=True)
class Warned:
    """A warning to the user, in a sentence."""

    text: str


@dataclass(frozen=True)
class StopAsked:
    """The user or the cluster asked the training to stop, for the `times`-th time; a third time ends it without an event."""

    times: int


@dataclass(frozen=True)
class Ended:
    """After the last epoch."""

    epochs: int
    best_epoch: int
    best_scores: dict[str, float | None] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Stopped:
    """In place of `Ended`, after a training that was interrupted or failed."""

    reason: str
    interrupted: bool


@dataclass(frozen=True)
class GroupBegan:
    """Before the first child run of a group or a search, which has no training of its own."""


@dataclass(frozen=True)
class TrialEnded:
    """After a trial of a search; its child run is `trials/<trial>`."""

    trial: int
    settings: Mapping[str, Any]
    """By dotted key."""
    score: str
    """Name of the optimized score."""
    value: float | None
    outcome: str
    """`complete`, `pruned`, `failed`, `out of time` or `lost`."""
    epochs: int
    higher_is_better: bool


@dataclass(frozen=True, eq=False)
class Finished:
    """After the report of a run was written."""

    scores: Mapping[str, float | None] = field(default_factory=dict)
    """Cross-validated scores of a group."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """`number`, `text` or `any` by header of the table: the kinds of cells."""
    unpacked: Callable[[Path], Path] | None = None
    """Packs the run and unpacks it into a folder, which it returns; None for a run without a model."""


@dataclass(frozen=True)
class Evaluated:
    """After `evaluate`: `<part>_auc`, and `<part>_auc_low` and `_high` for its confidence interval."""

    part: str
    scores: Mapping[str, float | None]


Event = Assembled | Started | EpochBegan | StepsBegan | Stepped | EpochEnded | Warned | StopAsked | Ended | Stopped
Listener = Callable[[Event], None]


def all_of(*listeners: Listener) -> Listener:
    """Return a listener that passes each event to all of these, in this order."""

    def pass_on(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return pass_on
