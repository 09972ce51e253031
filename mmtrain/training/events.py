"""What a training tells whoever watches. The loop prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Started:
    """Before the first step."""

    epochs: int
    steps: int
    rows: int
    monitor: str
    direction: str


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
class Ended:
    """After the last epoch."""

    epochs: int
    best_epoch: int
    best_scores: dict[str, float | None] = field(default_factory=dict)
    reason: str = ""


Event = Started | Stepped | EpochEnded | Warned | Ended
Watcher = Callable[[Event], None]
