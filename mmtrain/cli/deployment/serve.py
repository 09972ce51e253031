"""`mmtrain serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmtrain.cli.options import Code, Output, Quiet


def command(
    which: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Run folders, or names (the latest finished run). Several answer under their names. Left out: the latest run of all.",
            show_default=False,
        ),
    ] = None,
    *,
    host: Annotated[str, typer.Option("--host", help="Address to listen at; 0.0.0.0 is every address of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8000,
    key: Annotated[
        str,
        typer.Option("--api-key", envvar="MMTRAIN_API_KEY", metavar="KEY", help="Answer only requests with this key.", show_default=False),
    ] = "",
    batch_rows: Annotated[int, typer.Option("--batch-rows", min=1, help="Most rows of one call of the network.")] = 256,
    batch_wait: Annotated[
        float, typer.Option("--batch-wait", min=0, max=1000, metavar="MS", help="Milliseconds that a row waits for others.")
    ] = 0.0,
    queue_rows: Annotated[int, typer.Option("--queue-rows", min=1, help="Rows that may wait; then requests are refused (503).")] = 4000,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Most rows of a request (413).")] = 1000,
    max_megabytes: Annotated[float, typer.Option("--max-megabytes", min=0.001, max=100_000, help="Largest request (413).")] = 32.0,
    max_pixels: Annotated[
        int | None, typer.Option("--max-pixels", min=1, help="Largest image, where its column allows more.", show_default=False)
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to send a request, and to answer it.")] = 30.0,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Requests per second of one client (429); 0 is any number.")] = 0.0,
    reload_seconds: Annotated[
        float, typer.Option("--reload", min=0, metavar="SECONDS", help="Look for a newer run of a name this often; 0 is never.")
    ] = 10.0,
    output: Output = Path("runs"),
    code: Code = None,
    quiet: Quiet = False,
) -> None:
    """Answer requests over HTTP with trained runs, and show a page to try them.

    The page is at /, the addresses for programs are at /docs: /predict takes JSON, CSV, forms with images and images, /v2 is the Open
    Inference Protocol, /metrics is for Prometheus. SIGTERM and Ctrl-C answer what is in flight first.

    Example: `mmtrain serve clinic --port 8080`
    """
    from mmtrain.cli.views.console import note, out
    from mmtrain.commands.deployment.serve import ServeOptions, serve
    from mmtrain.system.user_code import import_code

    import_code(code)
    limits: dict[str, float | int | None] = {
        "max_bytes": round(max_megabytes * 1e6),
        "max_rows": max_rows,
        "max_pixels": max_pixels,
        "seconds": timeout,
        "queue_rows": queue_rows,
        "batch_rows": batch_rows,
        "batch_wait": batch_wait / 1000,
        "rate": rate,
    }
    options = ServeOptions(host, port, key, reload_seconds, limits)

    def ready(address: str) -> None:
        out().print(address, soft_wrap=True, markup=False)
        note("Ctrl-C ends the server.", quiet=quiet)

    serve(which or (), options, output=output, say=lambda text: note(text, quiet=quiet), ready=ready)
    note("The server has ended.", quiet=quiet)
