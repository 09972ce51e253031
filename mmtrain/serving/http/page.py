"""The web page of a server: one file without assets of others. Its fields are made in the browser, from what `/models` says."""

from __future__ import annotations

import base64
from functools import cache
from hashlib import sha256
from importlib.resources import files


@cache
def page() -> str:
    """Return the page."""
    return files("mmtrain.serving.http").joinpath("page.html").read_text(encoding="utf-8")


def _hash_of(element: str) -> str:
    """Return the hash of the content of the page's only `element`, as a policy names it."""
    content = page().partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return f"'sha256-{base64.b64encode(sha256(content.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_hash_of('script')}; style-src {_hash_of('style')}; img-src blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's own script and style, and no other."""
