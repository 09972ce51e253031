"""Access to the server: an API key, and a rate limit for each client."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from starlette.requests import Request

from mmtrain.serving.refused import Refused

MOST_CLIENTS = 10_000
"""Clients whose rate is remembered; the one that was quiet for the longest time is forgotten first."""
BURST_SECONDS = 2.0
"""Requests that a client may send at once, as the seconds in which its rate allows them."""


class Access:
    """Checks requests, before their bodies are read.

    Args:
        key: The API key; empty for anybody.
        rate: Requests of one client per second; 0 for any number.
        clock: Seconds.
    """

    def __init__(self, key: str = "", rate: float = 0.0, *, clock: Callable[[], float] = monotonic) -> None:
        self._key, self._rate, self._clock = key, rate, clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def needs_key(self) -> bool:
        """Return whether requests need an API key."""
        return bool(self._key)

    def check(self, request: Request) -> None:
        """Raise Refused with 401 without the key, and with 429 for a client that asks too often."""
        if self._key and not hmac.compare_digest(given_key(request).encode(), self._key.encode()):
            what = "the request has no valid API key."
            raise Refused(401, what, "Send it in the header X-API-Key, or as `Authorization: Bearer KEY`.", {"WWW-Authenticate": "Bearer"})
        client = request.client.host if request.client else ""
        if self._rate and (wait := self._seconds_to_wait(client)):
            what = f"this client sends more than {self._rate:g} requests per second."
            raise Refused(429, what, "Wait, or send more rows in one request.", {"Retry-After": str(max(1, round(wait)))})

    def _seconds_to_wait(self, client: str) -> float:
        """Take one request from the client's bucket (token bucket); return the seconds until there is one, where it is empty."""
        most = max(1.0, self._rate * BURST_SECONDS)
        left, before = self._clients.pop(client, (most, self._clock()))
        now = self._clock()
        left = min(most, left + (now - before) * self._rate)
        allowed = left >= 1
        self._clients[client] = (left - 1 if allowed else left, now)
        if len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate


def given_key(request: Request) -> str:
    """Return the API key of a request; empty where it has none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key", "") or (token.strip() if scheme.lower() == "bearer" else "")
