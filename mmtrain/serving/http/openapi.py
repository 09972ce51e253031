"""The OpenAPI document of a server, with the columns of its models, and a page that lists it without assets of others."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import FastAPI

if TYPE_CHECKING:
    from mmtrain.serving.served_model import ServedModel

ROW_OF = "Row of "
"""Start of the name of the schema of a model's rows."""
IMAGE_EXAMPLE = "FILE IN BASE64"
OPTIONAL = {
    "id": "The id of the row.",
    "group": "The group within which the rows of a request are ranked.",
    "exposure": "The exposure of the row, above 0, for which a count is expected.",
}
"""Types of columns that a row may lack, with their description."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
ERRORS = {
    "400": "The body cannot be read.",
    "401": "The API key is missing or wrong.",
    "404": "There is no such model.",
    "408": "The body took too long.",
    "413": "The body, or its number of rows, is too large.",
    "415": "The body has a type that is not read.",
    "422": "A row lacks a column.",
    "429": "This client asks too often.",
    "503": "The server is busy or ending; try again.",
}
_ANY_ROW = {"type": "object", "additionalProperties": True, "description": "A key for each column; null for a missing value."}
_ROWS = {
    "application/json": {
        "schema": {
            "oneOf": [
                {"type": "object", "properties": {"rows": {"type": "array", "items": _ANY_ROW, "minItems": 1}}, "required": ["rows"]},
                {"type": "array", "items": _ANY_ROW, "minItems": 1},
                _ANY_ROW,
            ]
        }
    },
    "text/csv": {"schema": {"type": "string"}},
    "multipart/form-data": {"schema": {"type": "object", "additionalProperties": True}},
    "image/*": {"schema": {"type": "string", "format": "binary"}},
}
_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "data": {"type": "array", "items": {}},
    },
    "required": ["name", "shape", "datatype", "data"],
}
_INFER = {"type": "object", "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": _TENSOR}}, "required": ["inputs"]}
_RESPONSES = {code: {"description": words, "content": {"application/json": {"schema": ERROR}}} for code, words in ERRORS.items()}
ROWS_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": _ROWS}, "responses": _RESPONSES}
INFER_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _INFER}}},
    "responses": _RESPONSES,
}
"""Description of bodies that an endpoint reads itself, of which FastAPI knows nothing."""


def document(app: FastAPI, models: Mapping[str, ServedModel], make: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Return the OpenAPI document, with a schema of the rows of each model."""
    made = make(title=app.title, version=app.version, routes=app.routes, description="Predictions of tables, images and texts.")
    for operations in made["paths"].values():
        for operation in operations.values():
            # The schema of FastAPI's own errors, which do not occur.
            operation["responses"].setdefault("404", _RESPONSES["404"])
            for parameter in operation.get("parameters", ()):
                if models and parameter["in"] == "path":
                    parameter["schema"]["enum"] = list(models)
            invalid = operation["responses"].pop("422", {"description": "Validation Error"})
            if invalid["description"] != "Validation Error":  # ours, with FastAPI's content merged into it
                operation["responses"]["422"] = _RESPONSES["422"]
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for name, model in models.items():
        schemas[f"{ROW_OF}{name}"] = row_schema(model)
    return made


def row_schema(model: ServedModel) -> dict[str, Any]:
    """Return the JSON schema of a row of a model."""
    from mmtrain.serving.http.description import describe
    from mmtrain.serving.served_model import Limits

    properties: dict[str, Any] = {}
    required = []
    for column in describe(model, Limits())["columns"]:
        cell_type = column["type"]
        types = ["string", "number", "boolean", "null"]
        if cell_type == "number":
            types = ["number", "string", "null"]
        elif cell_type == "image":
            types = ["string", "object", "array", "null"] if column["several"] else ["string", "object", "null"]
        properties[column["name"]] = {"type": types, "description": _words(column), "examples": [_example(column)]}
        required += [column["name"]] if cell_type not in OPTIONAL else []
    return {"type": "object", "properties": properties, "required": required}


def _words(column: Mapping[str, Any]) -> str:
    if column["type"] == "number" and column.get("minimum") is not None:
        return f"A number; in training {column['minimum']:g} to {column['maximum']:g}."
    if column["type"] == "category":
        return f"One of {column['of']} categories."
    if column.get("several"):
        return 'Image files in base64, as data URIs, or as {"name": ..., "data": ...}: one, or a list.'
    return {"image": "An image file in base64, or as a data URI.", "text": "A text.", "number": "A number.", **OPTIONAL}[column["type"]]


def _example(column: Mapping[str, Any]) -> Any:
    """Return a cell that a request may have: the median or the first category of training, so that the line on the page can be pasted."""
    if column["type"] == "category":
        return column["categories"][0]
    if column["type"] == "number":
        median = column.get("median")
        return None if median is None else float(f"{median:.4g}")  # 12.85, not 12.850000000000001
    return IMAGE_EXAMPLE if column["type"] == "image" else ""


STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
pre { white-space: pre-wrap }
pre, td, td code { overflow-wrap: anywhere }
td:first-child { min-width: 3rem }
td, th { border-bottom: 1px solid #8888; padding: .3rem .6rem; text-align: left; vertical-align: top }
"""


def page(made: Mapping[str, Any], address: str) -> str:
    """Return a page of HTML that lists addresses and columns, and has commands that ask the server at `address`."""
    rows = [
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td><td>{escape(operation['summary'])}</td></tr>"
        for path, operations in made["paths"].items()
        for method, operation in operations.items()
    ]
    models = "".join(_table(name, schema) + _commands(name, schema, address) for name, schema in made["components"]["schemas"].items())
    codes = "".join(f"<tr><td>{code}</td><td>{escape(words)}</td></tr>" for code, words in ERRORS.items())
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>Addresses of this server</title><style>{STYLE}</style><main><h1>Addresses of this server</h1>"
        "<p>The same as a document: <a href='/openapi.json'>openapi.json</a>. A form to try it: <a href='/'>the page</a>.</p>"
        f"<table><thead><tr><th>Method<th>Address<th>What it does</thead><tbody>{''.join(rows)}</tbody></table>{models}"
        f"<h2>Refusals</h2><table><tbody>{codes}</tbody></table></main></html>"
    )


def _table(name: str, schema: Mapping[str, Any]) -> str:
    cells = "".join(
        f"<tr><td><code>{escape(column)}</code></td><td>{escape(one.get('description', ''))}</td></tr>"
        for column, one in schema.get("properties", {}).items()
    )
    return f"<h2>{escape(name)}</h2><table><tbody>{cells}</tbody></table>"


def _commands(name: str, schema: Mapping[str, Any], address: str) -> str:
    """Return the lines for a shell that send a row as JSON, a table as CSV, and a form with its files."""
    cells = {column: one["examples"][0] for column, one in schema["properties"].items()}
    ask = f"curl {address.rstrip('/')}/models/{quote(name.removeprefix(ROW_OF), safe='')}/predict"
    row = {column: cell for column, cell in cells.items() if column in schema["required"]}
    fields = [f"{column}={'@FILE' if cell == IMAGE_EXAMPLE else '' if cell is None else cell}" for column, cell in row.items()]
    lines = [
        f"{ask} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(row, ensure_ascii=False))}",
        f"{ask} -H 'Content-Type: text/csv' --data-binary @rows.csv",
        f"{ask} {' '.join(f'-F {shlex.quote(field)}' for field in fields)}",
    ]
    return f"<pre>{escape(chr(10).join(lines))}</pre>"
