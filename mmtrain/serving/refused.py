"""The refusal of a request: a status of HTTP and a sentence."""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):  # noqa: N818 (the client's mistake, not ours)
    """A request that is not answered. `what` and `fix` are sentences, and name no file and no folder of the server."""

    def __init__(self, status: int, what: str, fix: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{what} {fix}".strip())
        self.status, self.headers = status, dict(headers or {})
