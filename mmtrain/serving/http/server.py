"""Start and stop a server: a port, signals, and the end of what is in flight."""

from __future__ import annotations

import errno
import logging
import socket
from types import FrameType
from typing import Any

import uvicorn

from mmtrain.errors import Problem, UsageError

BACKLOG = 512
"""Connections that wait to be accepted."""
GRACE_SECONDS = 30
"""Requests in flight are given up after this time; orchestrators wait 30 s before they kill."""


class _Server(uvicorn.Server):
    """Ends after SIGTERM or SIGINT with what is in flight answered, and returns; uvicorn's own raises the signal once more."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (as uvicorn calls it)
        """End; at the second signal without waiting."""
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises UsageError where the address is taken, or is not this machine's."""
    bound = None
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Named as TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for the acknowledgement of its headers.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        if bound is not None:
            bound.close()
        what = f"the address cannot be used: {getattr(error, 'strerror', None) or error}."
        fix = "Give another --port, or 0 for a free one."
        if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
            fix = "Give an address of this machine as --host; 0.0.0.0 is all of them."
        raise UsageError(Problem(f"{host}:{port}", what.lower(), fix)) from None
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the address of a listening socket for a browser."""
    host, port = bound.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 (shown, not bound)
    return f"http://{shown}:{port}/"


def run(app: Any, bound: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    # It writes a line for every damaged form, which anybody can send without end.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
    )
    _Server(config).run([bound])
