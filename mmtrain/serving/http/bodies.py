"""From the body of a request to rows: JSON, a form with files, CSV, or one image."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from mmtrain.serving.refused import Refused
from mmtrain.serving.served_model import Limits

ROWS_KEYS = ("rows", "instances")
"""Keys of a JSON document with several rows."""
DELIMITERS = ",;\t"
MAX_CELL = 10_000_000
"""Most characters of a cell of CSV; it may be an image in base64."""
FORM_FIELDS = 10_000
TYPES = "application/json, text/csv, multipart/form-data or image/*"


class ImageBody(bytes):
    """An image that is a body of its own, under the key "" of its row; a cell of a column without a header is of another type."""


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body. Raises Refused with 413 for one that is too long, 408 for one that takes too long, 400 if it breaks off.

    A compressed body is refused with 415: unpacked, a small one may fill the memory.
    """
    too_long = Refused(413, f"the body has more than {limits.max_bytes:,} bytes.", "Send fewer rows or smaller images at once.")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise Refused(415, f"the body is compressed by {encoding[:60]!r}, which is not read.", "Send it as it is.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.max_bytes:
        raise too_long
    chunks, size = [], 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.max_bytes:
                    raise too_long
                chunks.append(chunk)
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {limits.seconds:g} seconds.", "Send it faster, or less at once.") from None
    except ClientDisconnect:
        raise Refused(400, "the body broke off.", "Send it whole.") from None
    return b"".join(chunks)


async def read_rows(request: Request, limits: Limits) -> list[Mapping[str, Any]]:
    """Return the rows of a request, at least one. Raises Refused as `read_body`, and for a body that holds no rows."""
    body = await read_body(request, limits)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        rows = await _form_rows(body, request.headers)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        rows = [{**request.query_params, "": ImageBody(body)}]
    elif kind in ("text/csv", "text/tab-separated-values"):
        rows = _csv_rows(body)
    elif kind == "application/x-www-form-urlencoded":
        what = f"the body has the type {kind}, which curl and HTML forms set by themselves."
        raise Refused(415, what, f"Name its type in the header Content-Type: {TYPES}.")
    elif kind == "application/json" or kind.endswith("+json"):
        rows = json_rows(parse_json(body))
    else:
        raise Refused(415, f"bodies of the type {kind[:60]!r} are not read.", f"Send {TYPES}.")
    return checked(rows, limits)


def checked(rows: list[Mapping[str, Any]], limits: Limits) -> list[Mapping[str, Any]]:
    """Return the rows. Raises Refused for none, and for too many."""
    if not rows:
        raise Refused(400, "the request has no row.", "Send one row at least.")
    if len(rows) > limits.max_rows:
        raise Refused(413, f"the request has {len(rows):,} rows, more than {limits.max_rows:,}.", "Send them in several requests.")
    return rows


def parse_json(body: bytes) -> Any:
    """Parse a JSON document. Raises Refused."""
    try:
        return json.loads(body)
    except RecursionError:
        what = "it is nested too deeply"
    except UnicodeDecodeError:
        what = "it is not UTF-8"
    except json.JSONDecodeError as error:
        what = f"{error.msg}: line {error.lineno} column {error.colno}"
    except ValueError:  # a number of more than 4,300 digits
        what = "a number has too many digits"
    raise Refused(400, f"the body is not a JSON document: {what}.", 'Send {"rows": [{...}]}.')


def json_rows(document: Any) -> list[Mapping[str, Any]]:
    """Return the rows of a document: a list, or the list under `rows`, or a single object. Raises Refused."""
    rows = document
    if isinstance(document, dict):
        rows = next((document[key] for key in ROWS_KEYS if isinstance(document.get(key), list)), [document])
    if not isinstance(rows, list):
        raise Refused(400, "the document holds no rows.", 'Send {"rows": [{...}]}, a list of objects, or one object.')
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Refused(400, f"row {number} is not an object.", "Send each row as an object with a key per column.")
    return rows


def _csv_rows(body: bytes) -> list[Mapping[str, Any]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(400, "the table is not UTF-8.", "Save it as UTF-8.") from None
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    csv.field_size_limit(MAX_CELL)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise Refused(400, f"the table is damaged: {error}.", "Send CSV with a line of headers.") from None
    lines = [line for line in lines if line]
    if not lines:
        return []
    if not {"\n", "\r"} & set(text):
        fix = "Send a line of headers and a line for each row. curl keeps line ends with --data-binary @FILE, not with -d @FILE."
        raise Refused(400, "the table has a single line.", fix)
    headers = [header.strip() for header in lines[0]]
    if twice := next((header for place, header in enumerate(headers) if header and header in headers[:place]), ""):
        raise Refused(400, f"the table has the header {twice[:60]!r} twice.", "Name each column once.")
    for number, line in enumerate(lines[1:]):
        if len(line) != len(headers):
            raise Refused(400, f"row {number} of the table has {len(line)} cells; the headers are {len(headers)}.", "Mend that row.")
    return [dict(zip(headers, line, strict=True)) for line in lines[1:]]


async def _form_rows(body: bytes, headers: Headers) -> list[Mapping[str, Any]]:
    """Return the rows of a form: a field that is there n times has the cells of n rows, any other is that of every row."""

    async def stream() -> AsyncIterator[bytes]:
        yield body

    try:
        parser = MultiPartParser(headers, stream(), max_files=FORM_FIELDS, max_fields=FORM_FIELDS, max_part_size=MAX_CELL)  # type: ignore[arg-type]
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, UnicodeDecodeError) as error:
        message = getattr(error, "message", "") or "its parts cannot be read"
        raise Refused(400, f"the form is damaged: {str(message).rstrip('.').lower()}.", "Send it as multipart/form-data.") from None
    try:
        fields: dict[str, list[Any]] = {}
        for name, value in form.multi_items():
            fields.setdefault(name, []).append(await value.read() if isinstance(value, UploadFile) else value)
    finally:
        await form.close()
    return _spread(fields)


def _spread(fields: Mapping[str, Sequence[Any]]) -> list[Mapping[str, Any]]:
    count = max(map(len, fields.values()), default=0)
    if odd := next((name for name, values in fields.items() if len(values) not in (1, count)), None):
        what = f"the field {odd[:60]!r} is there {len(fields[odd])} times, another one {count} times."
        raise Refused(400, what, "Send each field once, or once for each row.")
    return [{name: values[row if len(values) > 1 else 0] for name, values in fields.items()} for row in range(count)]
