"""Several ways timed in turn, so that what else the machine does hits all of them."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple


class Measured(NamedTuple):
    """Seconds, or a ratio of seconds."""

    clock: float
    processor: float
    """Of all threads of this process, and of the processes it has waited for; other programs on the machine change it less."""


Times = dict[str, list[Measured]]
"""Of every way, the seconds of a call in each round."""


def in_turn(
    ways: Mapping[str, Callable[[], object]], rounds: int, *, calls: int = 1, prepare: Callable[[str], None] = lambda _: None
) -> Times:
    """Every way in every round, called so many times; a first round compiles and warms up, and is not counted.

    `prepare` is given the name of each way before its time begins.
    """
    times: Times = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, call in ways.items():
            prepare(way)
            begun, used = time.perf_counter(), processor_time()
            for _ in range(calls):
                call()
            if number:
                times[way].append(Measured((time.perf_counter() - begun) / calls, (processor_time() - used) / calls))
    return times


def processor_time() -> float:
    """Seconds since some moment."""
    waited_for = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + waited_for.ru_utime + waited_for.ru_stime


def typical(times: Times, way: str) -> Measured:
    """Seconds of a call, medians over the rounds."""
    return Measured(*map(median, zip(*times[way], strict=True)))


def speed(times: Times, way: str, *, than: str) -> Measured:
    """How many times as fast `way` is as another: the median of the rounds' ratios."""
    pairs = list(zip(times[than], times[way], strict=True))
    return Measured(median(a.clock / b.clock for a, b in pairs), median(a.processor / b.processor for a, b in pairs))
