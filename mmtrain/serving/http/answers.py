"""The answers of a server: what each address does with a request, whatever its path."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mmtrain.errors import DataError, MmtrainError
from mmtrain.serving import open_inference
from mmtrain.serving.batcher import Part, QueueFull
from mmtrain.serving.explain import Explanations
from mmtrain.serving.http.access import Access
from mmtrain.serving.http.bodies import ImageBody, checked, parse_json, read_body, read_rows
from mmtrain.serving.metrics import Metrics
from mmtrain.serving.refused import Refused
from mmtrain.serving.served_model import Limits, ServedModel
from mmtrain.serving.served_rows import ServedRows, request_records

BUSY = "Try again later."
RETRY = {"Retry-After": "1"}


class Server:
    """The models and the state of one server; its methods are the addresses."""

    def __init__(self, models: Mapping[str, ServedModel], limits: Limits, access: Access, metrics: Metrics) -> None:
        self.models, self.limits, self.access, self.metrics = dict(models), limits, access, metrics
        self.ready = True
        self._explanations = Explanations()
        self._bytes = 0

    @contextmanager
    def admitted(self, request: Request) -> Iterator[None]:
        """Context in which the body of a request is in memory. Raises Refused with 503 where too many are already."""
        announced = request.headers.get("content-length", "")
        size = min(int(announced), self.limits.max_bytes) if announced.isdecimal() else self.limits.max_bytes
        if self._bytes and self._bytes + size > self.limits.bytes_in_flight:
            what = f"requests of more than {self.limits.bytes_in_flight:,} bytes are being answered."
            raise Refused(503, what, BUSY, RETRY)
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size

    def model(self, name: str | None = None) -> ServedModel:
        """Return a model by name; without one the first. Raises Refused with 404."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Refused(404, f"there is no model {name[:60]!r}.", f"There are {', '.join(self.models)}.")
        return self.models[name]

    async def predictions(self, model: ServedModel, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Predict rows. Raises Refused."""
        return request_records(await self._parts(model, rows))

    async def _parts(self, model: ServedModel, rows: Sequence[Mapping[str, Any]]) -> list[Part[ServedRows]]:
        try:
            return await model.predict(with_image(model, rows))
        except DataError as error:
            raise Refused(422, str(error)) from None
        except QueueFull:
            raise Refused(503, f"more than {self.limits.queue_rows:,} rows wait to be predicted.", BUSY, RETRY) from None
        except TimeoutError:
            raise Refused(503, f"there was no prediction within {self.limits.seconds:g} seconds.", BUSY, RETRY) from None
        except MmtrainError:
            raise Refused(503, "there is not enough memory for these rows.", "Send fewer rows at once.", RETRY) from None

    async def predict(self, request: Request, name: str | None = None) -> Response:
        """Predict rows: JSON, CSV, a form or an image."""
        model = self.model(name)
        rows = await read_rows(request, self.limits)
        records = await self.predictions(model, rows)
        if _wants_csv(request):
            return Response(_csv(records), media_type="text/csv")
        return answer({"model": model.name, "run": model.version, "predictions": records})

    async def explain(self, request: Request, name: str | None = None) -> Response:
        """Attribute the prediction of one row to its columns."""
        model = self.model(name)
        rows = with_image(model, await read_rows(request, self.limits))
        if len(rows) > 1:
            raise Refused(400, "one row is explained at a time.", "Send one row.")
        target = request.query_params.get("target")
        try:
            async with asyncio.timeout(self.limits.seconds):
                return answer(await self._explanations.of(model, rows[0], target))
        except DataError as error:
            raise Refused(422, str(error)) from None
        except TimeoutError:
            raise Refused(503, f"there was no explanation within {self.limits.seconds:g} seconds.", BUSY, RETRY) from None

    async def infer(self, request: Request, name: str) -> Response:
        """Predict rows by the Open Inference Protocol."""
        model = self.model(name)
        document = parse_json(await read_body(request, self.limits))
        rows = checked(open_inference.request_rows(document), self.limits)
        columns = model.outputs
        records = await self.predictions(model, rows)
        return answer(open_inference.response(model.name, model.version, document, records, columns))

    def scrape(self) -> str:
        """Return the metrics."""
        for model in self.models.values():
            model.metrics()
        return self.metrics.text()

    async def close(self) -> None:
        """Predict what is in flight, and end the threads."""
        self.ready = False
        for model in self.models.values():
            await model.close()
        self._explanations.close()


def with_image(model: ServedModel, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the rows; an image that is the whole body goes under the only column of images. Raises Refused if there is another number."""
    if len(rows) != 1 or not isinstance(rows[0].get(""), ImageBody):
        return rows
    headers = [header for headers in model.predictor.reader.image_headers.values() for header in headers]
    if not headers:
        raise Refused(415, "the model reads no images.", "Send rows, as application/json or text/csv.")
    if len(headers) > 1:
        raise Refused(415, f"the model has {len(headers)} columns of images.", "Send the image in a form, as a file of its column.")
    others = {name: value for name, value in rows[0].items() if name}
    return [{**dict.fromkeys(model.predictor.reader.required), **others, headers[0]: rows[0][""]}]


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Half a pair of UTF-16 from a client's JSON has no UTF-8.
    return Response(text.encode("utf-8", "replace"), status, dict(headers or {}), "application/json")


def _wants_csv(request: Request) -> bool:
    accepted = request.headers.get("accept", "*/*")
    return "text/csv" in accepted or (request.headers.get("content-type", "").startswith("text/csv") and "json" not in accepted)


def _csv(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Return predictions as CSV, with their row as in a file of `mmtrain predict`."""
    file = io.StringIO(newline="")
    # Only some parts of a long request may have ids, so the first record may lack a column.
    writer = csv.DictWriter(file, ["row", *max(records, key=len)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"row": row, **record} for row, record in enumerate(records))
    return file.getvalue().encode("utf-8", "replace")
