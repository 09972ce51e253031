"""A run that is served: its predictor, the queue in front of it, drift since the start, and the change to a newer run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from mmtrain.artifacts import runs
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.errors import MmtrainError, Problem, UsageError, shell_command
from mmtrain.serving.batcher import Batcher, Part
from mmtrain.serving.drift_tally import DriftTally
from mmtrain.serving.metrics import ROWS, SECONDS, Metrics
from mmtrain.serving.open_inference import datatypes
from mmtrain.serving.row_predictor import RowPredictor
from mmtrain.serving.rows import PreparedRow
from mmtrain.serving.served_rows import ServedRows, undefined_columns

INLINE_ROWS = 64
"""Rows without images that are checked between two other requests; more are checked in a thread."""
INLINE_SECONDS = 0.01
"""Longest call of the network that is made between two other requests; a longer one is made in a thread."""
INLINE_CHARACTERS = 8192
"""Most characters of the rows of such a call: its time is measured with empty rows, and a text of 100,000 took 0.1 s to encode."""


@dataclass(frozen=True)
class Limits:
    """Limits of requests, and of the memory and time that they take."""

    max_bytes: int = 32_000_000
    """Bytes of a request."""
    max_rows: int = 1_000
    """Rows of a request."""
    max_pixels: int | None = None
    """Pixels of an image, where its column allows more."""
    seconds: float = 30.0
    """Time to send a request, and time to answer it."""
    queue_rows: int = 4_000
    """Rows that wait for the network."""
    batch_rows: int = 256
    """Rows of one call of the network."""
    batch_wait: float = 0.0
    """Seconds that the first row of a call waits for others."""
    bytes_in_flight: int = 256_000_000
    """Bytes of all requests that are being answered, which bounds the memory that they take."""
    rate: float = 0.0
    """Requests of one client per second; 0 for any number."""


class ServedModel:
    """One run under a name. Its methods belong to the loop of the server, unless they say otherwise."""

    def __init__(self, name: str, which: str, output: Path, limits: Limits, metrics: Metrics) -> None:
        self.name = name
        self._which, self._output, self._limits, self._metrics = which, output, limits, metrics
        self.outputs: dict[str, str] = {}
        """Datatypes of the columns of predictions."""
        self._decoders = ThreadPoolExecutor(2, thread_name_prefix="decode")
        self._use(*self._opened(newest_run(which, output)))

    def _opened(self, run: Run) -> tuple[RowPredictor, int]:
        """Open a run, and return how many rows a call may have that is made between two requests.

        It predicts rows of nothing, so that the first client does not wait for what TensorFlow does first.
        """
        predictor = RowPredictor(run, max_pixels=self._limits.max_pixels)
        (empty,) = predictor.prepare([dict.fromkeys(predictor.reader.required)])
        served = predictor.predict([empty])
        columns, targets = dict(served.columns), predictor.loaded.fitted.targets
        for key in targets:
            columns |= undefined_columns(key, targets)
        self.outputs = datatypes(columns)
        return predictor, _inline_rows(predictor, empty)

    def _use(self, predictor: RowPredictor, inline_rows: int) -> None:
        self.predictor = predictor
        self.drift = DriftTally(predictor, self._metrics, self.name)
        self.batcher: Batcher[PreparedRow, ServedRows] = Batcher(
            self._caller(predictor, self.drift),
            most_rows=min(self._limits.batch_rows, predictor.most_rows),
            most_waiting=self._limits.queue_rows,
            wait=self._limits.batch_wait,
            inline=lambda rows: len(rows) <= inline_rows and _characters(rows) <= INLINE_CHARACTERS,
            observe=self._observe,
        )
        self._metrics.clear("mmtrain_model_info", model=self.name)
        self._metrics.set("mmtrain_model_info", 1, model=self.name, run=self.version)

    @staticmethod
    def _caller(predictor: RowPredictor, drift: DriftTally) -> Callable[[Sequence[PreparedRow]], ServedRows]:
        def call(rows: Sequence[PreparedRow]) -> ServedRows:
            served = predictor.predict(rows)
            drift.add(served.chunk)
            return served

        return call

    @property
    def version(self) -> str:
        """Number of the run."""
        return self.predictor.run.folder.name

    def _observe(self, rows: int, seconds: float) -> None:
        self._metrics.observe("mmtrain_batch_rows", rows, ROWS, model=self.name)
        self._metrics.observe("mmtrain_queue_seconds", seconds, SECONDS, model=self.name)

    async def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[Part[ServedRows]]:
        """Predict rows with those of other requests.

        Raises DataError for a row that lacks a column, QueueFull where too many rows wait, TimeoutError after `Limits.seconds`.
        """
        predictor, batcher = self.predictor, self.batcher
        # Another run may take this one's place while images are decoded.
        with batcher.coming():
            async with asyncio.timeout(self._limits.seconds):
                if predictor.reader.layouts or len(rows) > INLINE_ROWS:
                    prepared = await asyncio.get_running_loop().run_in_executor(self._decoders, predictor.prepare, rows)
                else:
                    prepared = predictor.prepare(rows)
                parts = await batcher.submit(prepared)
        for part in parts:
            refused = part.result.refused[part.start : part.stop]
            ok = int((part.result.status[part.start : part.stop] == "ok").sum())
            for outcome, count in {"ok": ok, "remarked": len(refused) - ok - int(refused.sum()), "refused": int(refused.sum())}.items():
                if count:
                    self._metrics.count("mmtrain_rows_total", count, model=self.name, outcome=outcome)
        return parts

    async def reload(self) -> bool:
        """Change to the latest run of the name, if there is a newer one that can be served; what is in flight is answered by the former."""
        loop = asyncio.get_running_loop()
        newer = await loop.run_in_executor(None, newer_run, self._which, self._output, self.predictor.run)
        if newer is None:
            return False
        opened = await loop.run_in_executor(None, self._opened, newer)
        former = self.batcher
        self._use(*opened)
        self._metrics.count("mmtrain_model_reloads_total", model=self.name)
        await former.drain()
        return True

    def metrics(self) -> None:
        """Set the gauges of this run."""
        self._metrics.set("mmtrain_queue_rows", self.batcher.waiting, model=self.name)
        self._metrics.clear("mmtrain_drift", model=self.name)
        for drift in self.drift.drifts():
            self._metrics.set("mmtrain_drift", 1, model=self.name, column=drift.column, kind=drift.kind)

    async def close(self) -> None:
        """End the threads; what is in flight is predicted first."""
        await self.batcher.drain()
        self._decoders.shutdown()


def _characters(rows: Sequence[PreparedRow]) -> int:
    """Return the characters of the texts and lists of rows."""
    cells = (cell for row in rows for cell in row.cells.values())
    return sum(len(cell) if isinstance(cell, str) else len(str(cell)) for cell in cells if isinstance(cell, str | list))


def _inline_rows(predictor: RowPredictor, row: PreparedRow) -> int:
    """Return the most rows that are predicted within `INLINE_SECONDS`, of 4, 16 and 64."""
    most = 0
    for rows in (4, 16, 64):
        if rows > predictor.most_rows or min(_seconds(predictor, [row] * rows) for _ in range(3)) > INLINE_SECONDS:
            break
        most = rows
    return most


def _seconds(predictor: RowPredictor, rows: Sequence[PreparedRow]) -> float:
    begun = perf_counter()
    predictor.predict(rows)
    return perf_counter() - begun


def newest_run(which: str, output: Path) -> Run:
    """Return the run to serve: the folder or number that is named, or of a name the latest run that has a model.

    Raises UsageError where there is none, RunError for a damaged run.
    """
    folders = _numbered(which, output)
    if not folders:
        return runs.find(which, output, group=True)
    usable = next((folder for folder in folders if _has_model(Run(folder))), None)
    if usable is None:
        raise UsageError(Problem(which, "none of its runs has a trained model.", _remedy(Run(folders[0]))))
    return runs.open_run(usable)


def _remedy(latest: Run) -> str:
    """Return how to get a model from the latest run of a name, which has none."""
    if (latest / SEARCH_FILE).is_file():
        return f"The latest is a search; train its best experiment: {shell_command('fit', latest / 'best.yaml')}"
    return f"If nothing trains it now, resume the latest: {shell_command('fit', '--resume', latest.folder)}"


def newer_run(which: str, output: Path, current: Run) -> Run | None:
    """Return a run of the name with a model and a higher number than `current`; None where there is none, or it is damaged."""
    newer = [folder for folder in _numbered(which, output) if int(folder.name) > int(current.folder.name) and _has_model(Run(folder))]
    try:
        return runs.open_run(newer[0]) if newer else None
    except MmtrainError:  # half copied, perhaps: it is tried again
        return None


def _numbered(which: str, output: Path) -> list[Path]:
    """Return the folders of the runs of a name, the latest first; none where a run itself is named."""
    for folder in (Path(which), output / which):
        if (folder / "run.json").is_file():
            return []
        numbered = [path.parent for path in folder.glob("*/run.json") if path.parent.name.isdecimal()]
        if numbered:
            return sorted(numbered, key=lambda path: int(path.name), reverse=True)
    return []


def _has_model(run: Run) -> bool:
    try:
        return run.state == "finished" if run.is_group else (run / "model.keras").is_file() and run.state == "finished"
    except MmtrainError:
        return False
