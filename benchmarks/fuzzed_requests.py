"""Requests with something wrong in them: mutated JSON, tensors, CSV, forms and image files, from a seed."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

JUNK: tuple[Any, ...] = (
    *(None, "", " ", "x" * 3000, -1, 0, 10**400, 1e308, float("nan"), float("inf"), True, [], ["a"], [1, None], [[]], {}, {"a": []}),
    *("\ud800", "\0", "\u202e", "data:image/png;base64,AA", "data:,", "../../etc/passwd", "/etc/passwd", "s3://bucket/x", "=1+1", "1e999"),
    *({"name": "../a.png", "data": "AA"}, {"data": 3}, "9" * 5000, "é" * 100, "<script>", "%00", "NaN", "-inf", "1,5", "\r\nX: y"),
)
TYPES = ("application/json", "multipart/form-data; boundary=part", "multipart/form-data", "text/csv", "image/png", "image/jpeg", "x/y", "")


class Fuzzed(NamedTuple):
    """One request."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]


def image_file(kind: str, side: int = 12) -> bytes:
    """An image file of noise."""
    file = io.BytesIO()
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert("P" if kind == "GIF" else "RGB").save(file, kind)
    return file.getvalue()


class Requests:
    """An endless stream of requests for a model that takes `row`, whose column `image` is an image in base64."""

    def __init__(self, model: str, row: Mapping[str, Any], image: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.model, self.row, self.image = model, dict(row), image
        self.images = [image_file(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")]

    def __iter__(self) -> Iterator[Fuzzed]:
        makers: tuple[Callable[[], Fuzzed], ...] = (self._json, self._json, self._image, self._form, self._csv, self._tensors, self._odd)
        while True:
            made = self.random.choice(makers)()
            yield made._replace(body=self._flipped(made.body)) if self.random.random() < 0.25 else made

    def _row(self) -> dict[str, Any]:
        row = {name: self.random.choice(JUNK) if self.random.random() < 0.3 else value for name, value in self.row.items()}
        if self.random.random() < 0.15:
            row.pop(self.random.choice(list(row)))
        if self.random.random() < 0.1:
            row[self.random.choice(["", "\0", "x" * 200])] = self.random.choice(JUNK)
        return row

    def _path(self, kind: str) -> str:
        path = self.random.choice([f"/{kind}", f"/models/{self.model}/{kind}"])
        if self.random.random() < 0.05:
            path = self.random.choice(["/models/%2e%2e%2f/predict", "/models/%00/predict", f"/{kind}/", "/models//predict", "/%ff"])
        if self.random.random() < 0.1:
            path += self.random.choice(["?target=ill", "?target=%00", "?age=", "?=&&&", "?" + "a" * 3000, "?target=ill&target=x"])
        return path

    def _type(self, usual: str) -> dict[str, str]:
        headers = {"Content-Type": usual if self.random.random() < 0.9 else self.random.choice(TYPES)}
        if self.random.random() < 0.05:
            headers |= self.random.choice(
                [{"Accept": "text/csv"}, {"Accept": "\xff"}, {"Content-Encoding": "gzip"}, {"Accept-Encoding": "br"}, {"X-API-Key": "\xe4"}]
            )
        return headers

    def _json(self) -> Fuzzed:
        row = self._row()
        ways: list[Any] = [
            row,
            [row],
            {"rows": [row, self._row()]},
            {"rows": row},
            {"instances": [row]},
            {"rows": []},
            [row, 1],
            3,
            [[row]],
        ]
        # Not by `json.dumps` alone: NaN, and half a pair of UTF-16, are what careless clients send.
        body = json.dumps(self.random.choice(ways), ensure_ascii=self.random.random() < 0.5).encode("utf-8", "surrogatepass")
        return Fuzzed("POST", self._path("explain" if self.random.random() < 0.02 else "predict"), body, self._type("application/json"))

    def _bytes(self) -> bytes:
        content = bytearray(self.random.choice(self.images))
        for _ in range(self.random.randrange(12)):
            content[self.random.randrange(len(content))] = self.random.randrange(256)
        return bytes(content[: self.random.randrange(1, len(content) + 1)] if self.random.random() < 0.3 else content)

    def _image(self) -> Fuzzed:
        if self.random.random() < 0.5:
            return Fuzzed("POST", self._path("predict"), self._bytes(), self._type(self.random.choice(["image/png", "image/tiff"])))
        text = base64.b64encode(self._bytes()).decode()
        cell = self.random.choice([text, f"data:image/png;base64,{text}", {"name": "a.png", "data": text}, [text, text]])
        return Fuzzed("POST", self._path("predict"), json.dumps([{**self.row, self.image: cell}]).encode(), self._type("application/json"))

    def _form(self) -> Fuzzed:
        parts = []
        for name, value in [*self._row().items(), *self._row().items()][: self.random.randrange(2, 2 * len(self.row))]:
            file = self.random.choice(["", '; filename="a.png"\r\nContent-Type: image/png', '; filename="../../x"', "; filename="])
            content = self._bytes() if file else str(value).encode("utf-8", "replace")
            head = f'--part\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
            parts.append(head.encode("utf-8", "replace") + content + b"\r\n")
        return Fuzzed("POST", self._path("predict"), b"".join(parts) + b"--part--\r\n", self._type(TYPES[1]))

    def _csv(self) -> Fuzzed:
        rows = [self._row() for _ in range(self.random.randrange(1, 4))]
        separator = self.random.choice(",;\t|")
        lines = [separator.join(self.row), *(separator.join(str(value) for value in row.values()) for row in rows)]
        return Fuzzed("POST", self._path("predict"), "\n".join(lines).encode("utf-8", "replace"), self._type("text/csv"))

    def _tensors(self) -> Fuzzed:
        inputs: list[Any] = [
            {
                "name": name,
                "shape": self.random.choice([[1], [1, 1], [2], [-1], [10**9], "1", None]) if self.random.random() < 0.2 else [1],
                "datatype": self.random.choice(["BYTES", "FP64", "INT8", "BOOL", "X", None]) if self.random.random() < 0.2 else "BYTES",
                "data": [value] if self.random.random() < 0.9 else self.random.choice(JUNK),
            }
            for name, value in self._row().items()
        ]
        document = {"id": self.random.choice(JUNK), "inputs": inputs, "outputs": self.random.choice([None, [], [{"name": "status"}], [3]])}
        path = f"/v2/models/{self.model if self.random.random() < 0.95 else '%2e%2e'}/infer"
        return Fuzzed("POST", path, json.dumps(document).encode("utf-8", "replace"), self._type("application/json"))

    def _odd(self) -> Fuzzed:
        method = self.random.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
        paths = [
            "/",
            "/docs",
            "/openapi.json",
            "/models",
            "/metrics",
            "/v2",
            "/../../etc/passwd",
            "/static/x",
            f"/models/{self.model}",
            "/ready",
        ]
        return Fuzzed(method, self.random.choice(paths), b"", {})

    def _flipped(self, body: bytes) -> bytes:
        flipped = bytearray(body)
        for _ in range(self.random.randrange(1, 5)):
            if flipped:
                flipped[self.random.randrange(len(flipped))] = self.random.randrange(256)
        return bytes(flipped)
