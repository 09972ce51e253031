"""Counters of a server in the text format of Prometheus (version 0.0.4).

>>> metrics = Metrics()
>>> metrics.count("mmtrain_rows_total", 3, model="clinic")
>>> metrics.text().splitlines()[-1]
'mmtrain_rows_total{model="clinic"} 3'
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
METRICS = {
    "mmtrain_requests_total": ("counter", "Answered requests, by status."),
    "mmtrain_request_seconds": ("histogram", "Time from a request to its answer."),
    "mmtrain_rows_total": ("counter", "Predicted rows, by what became of them: ok, remarked or refused."),
    "mmtrain_batch_rows": ("histogram", "Rows of one call of the network."),
    "mmtrain_queue_seconds": ("histogram", "Time that the first row of a call has waited."),
    "mmtrain_queue_rows": ("gauge", "Rows that wait for a call."),
    "mmtrain_model_info": ("gauge", "1 for the run that answers, with its number."),
    "mmtrain_model_reloads_total": ("counter", "Changes to a newer run."),
    "mmtrain_cells_total": ("counter", "Cells by column: missing, unseen in training, outside of the range of training."),
    "mmtrain_drift": ("gauge", "1 where the rows since the start differ from those of training, by column and kind."),
}
"""Type and help of every metric."""

Labels = tuple[tuple[str, str], ...]


@dataclass
class _Histogram:
    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    sum: float = 0.0

    def add(self, value: float) -> None:
        if not self.counts:
            self.counts = [0] * (len(self.bounds) + 1)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: Labels) -> list[str]:
        lines, total = [], 0
        for bound, count in zip([*map(_number, self.bounds), "+Inf"], self.counts, strict=True):
            total += count
            lines.append(f"{name}_bucket{_labels((*labels, ('le', bound)))} {total}")
        return [*lines, f"{name}_sum{_labels(labels)} {_number(self.sum)}", f"{name}_count{_labels(labels)} {total}"]


class Metrics:
    """All metrics of one server. Several threads may write."""

    def __init__(self) -> None:
        self._values: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, _Histogram]] = {}
        self._lock = Lock()

    def count(self, name: str, number: float = 1, **labels: str) -> None:
        """Add to a counter."""
        key = tuple(labels.items())
        with self._lock:
            values = self._values.setdefault(name, {})
            values[key] = values.get(key, 0) + number

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._values.setdefault(name, {})[tuple(labels.items())] = value

    def clear(self, name: str, **labels: str) -> None:
        """Forget the values of a gauge that have these labels."""
        with self._lock:
            values = self._values.get(name, {})
            self._values[name] = {key: value for key, value in values.items() if not set(labels.items()) <= set(key)}

    def observe(self, name: str, value: float, bounds: Sequence[float], **labels: str) -> None:
        """Add a value to a histogram."""
        with self._lock:
            self._histograms.setdefault(name, {}).setdefault(tuple(labels.items()), _Histogram(bounds)).add(value)

    def text(self) -> str:
        """Return everything as Prometheus reads it."""
        lines = []
        with self._lock:
            for name, (kind, words) in METRICS.items():
                values = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in self._values.get(name, {}).items()]
                values += [line for labels, one in self._histograms.get(name, {}).items() for line in one.lines(name, labels)]
                lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}", *values] if values else []
        return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:.10g}"


def _labels(labels: Labels) -> str:
    escaped = (f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{','.join(escaped)}}}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Observed:
    """Counts requests and measures their time, by route: addresses that clients make up are one route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count("mmtrain_requests_total", route=route, status=str(status))
            self._metrics.observe("mmtrain_request_seconds", perf_counter() - began, SECONDS, route=route)
