"""The addresses of a server.

Whatever a client sends, the answer is 2xx, or 4xx and a sentence; 503 says that the server is busy or ending. No answer names a file or a
folder of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version as installed
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mmtrain.errors import MmtrainError
from mmtrain.serving import open_inference
from mmtrain.serving.http import openapi
from mmtrain.serving.http.answers import Server, answer
from mmtrain.serving.http.description import describe
from mmtrain.serving.http.page import POLICY, page
from mmtrain.serving.metrics import CONTENT_TYPE, Observed
from mmtrain.serving.refused import Refused
from mmtrain.system.memory import freeze_objects

Say = Callable[[str], None]


def make_app(server: Server, *, reload_seconds: float = 0.0, say: Say = lambda _: None) -> FastAPI:
    """Return the application. With `reload_seconds`, newer runs of the names are looked for in this interval."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_reload(server, reload_seconds, say)) if reload_seconds else None
        yield
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await server.close()

    app = FastAPI(title="mmtrain", version=installed("mmtrain"), docs_url=None, redoc_url=None, lifespan=lifespan)
    # This address asks for no key, so with one it does not tell columns and their ranges in training.
    models = {} if server.access.needs_key else server.models
    app.openapi = lambda: openapi.document(app, models, get_openapi)  # type: ignore[method-assign]
    app.add_middleware(Observed, metrics=server.metrics)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _unknown)
    _add_states(app, server)
    _add_models(app, server)
    _add_protocol(app, server)
    return app


async def _reload(server: Server, seconds: float, say: Say) -> None:
    notes: dict[str, str] = {}
    while True:
        await asyncio.sleep(seconds)
        for model in server.models.values():
            try:
                if await model.reload():
                    freeze_objects(again=True)  # of the former run nothing is needed any more
                    say(f"{model.name} is answered by run {model.version} now.")
            except (MmtrainError, OSError) as error:  # a damaged run, or one that is being copied, does not end the server
                # Once, and not after every interval.
                if notes.get(model.name) != str(error):
                    notes[model.name] = str(error)
                    say(f"note: {error}")


def _add_states(app: FastAPI, server: Server) -> None:
    async def live() -> Response:
        return answer({"status": "ok", "live": True})

    async def ready() -> Response:
        return answer({"status": "ok" if server.ready else "ending", "ready": server.ready}, 200 if server.ready else 503)

    async def metrics(request: Request) -> Response:
        server.access.check(request)
        return Response(server.scrape(), media_type=CONTENT_TYPE)

    async def show_page() -> Response:
        return HTMLResponse(page(), headers={"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"})

    async def show_openapi(request: Request) -> Response:
        return HTMLResponse(openapi.page(app.openapi(), str(request.base_url)), headers={"Content-Security-Policy": openapi.POLICY})

    for path in ("/health", "/v2/health/live"):
        app.get(path, summary="Whether the server runs", tags=["state"], operation_id=path)(live)
    for path in ("/ready", "/v2/health/ready"):
        app.get(path, summary="Whether the models can answer", tags=["state"], operation_id=path)(ready)
    app.get("/metrics", summary="Counters for Prometheus", tags=["state"])(metrics)
    app.get("/", include_in_schema=False)(show_page)
    app.get("/docs", include_in_schema=False)(show_openapi)


def _add_models(app: FastAPI, server: Server) -> None:
    async def models(request: Request) -> Response:
        server.access.check(request)
        return answer({"models": [describe(model, server.limits) for model in server.models.values()]})

    async def model(request: Request, name: str) -> Response:
        server.access.check(request)
        return answer(describe(server.model(name), server.limits))

    app.get("/models", summary="The models, their columns and limits", tags=["models"])(models)
    app.get("/models/{name}", summary="One model", tags=["models"])(model)
    _add_rows(app, server, "predict", server.predict, ("Predict rows with the first model", "Predict rows"))
    _add_rows(app, server, "explain", server.explain, ("Explain one row by the first model", "Explain one row"))


def _add_rows(app: FastAPI, server: Server, verb: str, method: Callable[..., Awaitable[Response]], summaries: tuple[str, str]) -> None:
    """Add the two addresses of a method that takes rows: that of the first model, and that of a model by its name."""

    async def by_first(request: Request) -> Response:
        server.access.check(request)
        with server.admitted(request):
            return await method(request)

    async def by_name(request: Request, name: str) -> Response:
        server.access.check(request)
        with server.admitted(request):
            return await method(request, name)

    described: dict[str, Any] = {"tags": ["models"], "openapi_extra": openapi.ROWS_BODY}
    app.post(f"/{verb}", summary=summaries[0], operation_id=verb, **described)(by_first)
    app.post(f"/models/{{name}}/{verb}", summary=summaries[1], operation_id=f"{verb}_by_model", **described)(by_name)


def _add_protocol(app: FastAPI, server: Server) -> None:
    """Add the addresses of the Open Inference Protocol."""

    async def protocol() -> Response:
        return answer({"name": "mmtrain", "version": app.version, "extensions": []})

    async def metadata(request: Request, name: str) -> Response:
        server.access.check(request)
        one = server.model(name)
        return answer(open_inference.model_metadata(one.name, one.version, one.predictor, one.outputs))

    async def model_ready(request: Request, name: str) -> Response:
        server.access.check(request)
        return answer({"name": server.model(name).name, "ready": server.ready})

    async def infer(request: Request, name: str) -> Response:
        server.access.check(request)
        with server.admitted(request):
            return await server.infer(request, name)

    tensors = openapi.INFER_BODY
    app.get("/v2", summary="The server", tags=["Open Inference Protocol"])(protocol)
    app.get("/v2/models/{name}", summary="Inputs and outputs", tags=["Open Inference Protocol"])(metadata)
    app.get("/v2/models/{name}/ready", summary="Whether a model can answer", tags=["Open Inference Protocol"])(model_ready)
    app.post("/v2/models/{name}/infer", summary="Predict rows", tags=["Open Inference Protocol"], openapi_extra=tensors)(infer)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 (the type that the handler is registered for)
    return answer({"error": str(error)}, error.status, error.headers)


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    taken = (error.headers or {}).get("Allow", "another method")
    words = {
        404: "there is nothing at this address. /docs lists what there is.",
        405: f"this address takes {taken}, not {request.method}; see /docs.",
    }
    return answer({"error": words.get(error.status_code, str(error.detail))}, error.status_code, error.headers)
