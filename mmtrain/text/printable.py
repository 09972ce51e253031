"""Texts of strangers in what people and programs read: without characters that steer a terminal, a page or a parser.

A cell or a file name may hold the escapes of a terminal, characters that turn the direction of all that follows, or bytes that are
no text in the encoding of file names, which Python reads as lone surrogates and no file in UTF-8 can hold.
"""

from __future__ import annotations

import json
import re
from typing import Any

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed, line and paragraph separators, embeddings, overrides and isolates of direction, surrogates."""


def printable(text: str) -> str:
    r"""The same, with `\x1b`, `\u202e` and the like in place of such characters."""
    return STEERING.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    number = ord(match[0])
    return {"\r": "\\r"}.get(match[0]) or (f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}")


def plain_json(document: str) -> str:
    """A JSON document in which such characters are escapes; they can only be in its strings."""
    return STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def json_text(value: Any, encoding: str = "utf-8", **options: Any) -> str:
    """A JSON document; such characters, and those that the encoding has not, are written as the escapes of JSON."""
    text = plain_json(json.dumps(value, ensure_ascii=False, allow_nan=False, **options))
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        # Only escapes fit into this encoding.
        return json.dumps(value, allow_nan=False, **options)
    return text


def quote_value(cell: str) -> str:
    """Return a cell in quotes, on one line, at most 40 characters of it."""
    return repr(cell if len(cell) <= 40 else f"{cell[:39]}…")


def format_number(number: float) -> str:
    """Return a finite number as people write it: `3`, `2.5`, `1e+20`."""
    return f"{number:.0f}" if number == int(number) and abs(number) < 1e15 else f"{number:.6g}"
