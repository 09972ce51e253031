"""What a training tells whoever watches. The loop prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Started:
    """Before the first step; of a run that is gone on with, what is done already."""

    epochs: int
    steps: int
    rows: int
    monitor: str
    direction: str
    done: int = 0
    """Epochs."""
    done_steps: int = 0
    """Of the next epoch, as are the rows."""
    done_rows: int = 0
    best_epoch: int = 0
    best: float | None = None
    """The monitored score of the best epoch."""
    main: str = ""
    """The score of the validation rows that speaks for the first target, `validation_auc`."""


@dataclass(frozen=True)
class EpochBegan:
    """Before the first step of an epoch that is taken here."""

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
    """Something a person should know, in a sentence."""

    text: str


@dataclass(frozen=True)
class StopAsked:
    """A person or the cluster wants the training to stop, for the `times`-th time; the third time nothing can be told any more."""

    times: int


@dataclass(frozen=True)
class Ended:
    """After the last epoch."""

    epochs: int
    best_epoch: int
    best_scores: dict[str, float | None] = field(default_factory=dict)
    reason: str = ""


Event = Started | EpochBegan | StepsBegan | Stepped | EpochEnded | Warned | StopAsked | Ended
Watcher = Callable[[Event], None]


def all_of(*watchers: Watcher) -> Watcher:
    """One watcher that tells every one of these, in this order."""

    def watch(event: Event) -> None:
        for watcher in watchers:
            watcher(event)

    return watch
