"""Load on an HTTP server of this machine: keep-alive connections of one event loop, and requests that are bytes before the clock runs.

The clients share the processors with the server, so they must cost little: a request takes them a tenth of what a thread with
`http.client` takes, and there is one thread that waits for the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

PATIENCE_SECONDS = 60.0
"""Longest wait for the last answers."""


class Load(NamedTuple):
    """Result of a load."""

    latencies: np.ndarray[Any, Any]
    """Seconds, of every answer."""
    failed: int
    """Answers other than 200, broken connections, and answers that never came."""
    seconds: float


def post(path: str, body: bytes) -> bytes:
    """Return a request with a JSON document as the bytes of a keep-alive connection."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """One connection with one request at a time; `done` is called with this connection, the latency and whether the answer was 200."""

    def __init__(self, done: Callable[[_Connection, float, bool], None]) -> None:
        self._done, self._received, self._begun = done, bytearray(), 0.0
        self._transport: Any = None
        self.busy = self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, request: bytes, begun: float) -> None:
        """Send a request whose latency counts from `begun`."""
        self.busy, self._begun = True, begun
        self._received.clear()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            self._end(head[9:12] == b"200")

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        self.lost = True
        if self.busy:
            self._end(good=False)

    def _end(self, good: bool) -> None:
        self.busy = False
        self._done(self, perf_counter() - self._begun, good)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def _connected(port: int, count: int, done: Callable[[_Connection, float, bool], None]) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(lambda: _Connection(done), "127.0.0.1", port))[1] for _ in range(count)]


async def _closed(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    latencies: list[float] = []
    failed, sent, ended = 0, 0, asyncio.Event()

    def done(connection: _Connection, latency: float, good: bool) -> None:
        nonlocal failed, sent
        latencies.append(latency)
        failed += not good
        if perf_counter() < until and not connection.lost:
            sent += 1
            connection.send(requests[sent % len(requests)], perf_counter())
        elif not any(one.busy for one in connections):
            ended.set()

    connections = await _connected(port, clients, done)
    begun = perf_counter()
    until = begun + seconds
    for connection in connections:
        sent += 1
        connection.send(requests[sent % len(requests)], perf_counter())
    unanswered = await _wait(ended, connections, seconds)
    return Load(np.array(latencies), failed + unanswered, perf_counter() - begun)


async def _open(port: int, requests: Sequence[bytes], rate: float, seconds: float, seed: int) -> Load:
    times = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds)))
    latencies: list[float] = []
    failed, ended = 0, asyncio.Event()

    def done(connection: _Connection, latency: float, good: bool) -> None:
        nonlocal failed
        latencies.append(latency)
        failed += not good
        if not connection.lost:
            idle.append(connection)
        if len(latencies) == len(times):
            ended.set()

    idle = await _connected(port, 8, done)
    connections, begun = list(idle), perf_counter()
    for number, time in enumerate(times):
        if (wait := begun + time - perf_counter()) > 0:
            await asyncio.sleep(wait)
        if not idle:
            idle += await _connected(port, 1, done)
            connections += idle
        idle.pop().send(requests[number % len(requests)], begun + time)
    unanswered = await _wait(ended, connections, 0)
    return Load(np.array(latencies), failed + unanswered, perf_counter() - begun)


async def _wait(ended: asyncio.Event, connections: Sequence[_Connection], seconds: float) -> int:
    """Wait for the end; return how many answers did not come."""
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds + PATIENCE_SECONDS)
    unanswered = sum(one.busy for one in connections)
    for connection in connections:
        connection.busy = False
        connection.close()
    return unanswered


def closed_load(port: int, requests: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """Send requests from `clients` connections, each the next one as soon as its last one is answered."""
    return _run(_closed(port, requests, clients, seconds))


def open_load(port: int, requests: Sequence[bytes], *, rate: float, seconds: float, seed: int = 0) -> Load:
    """Send `rate` requests a second at random times (a Poisson process), whether the former are answered or not.

    A latency counts from the time at which its request was due, so that a server which stops for a while is not spared the requests of
    that while.
    """
    return _run(_open(port, requests, rate, seconds, seed))


def _run(load: Coroutine[Any, Any, Load]) -> Load:
    # `select` waits for microseconds, `epoll` for whole milliseconds.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    gc.collect()
    gc.disable()  # a collection would be a latency
    try:
        return loop.run_until_complete(load)
    finally:
        gc.enable()
        loop.close()
