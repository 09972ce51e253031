"""`mmtrain export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import Code, Images, Json, Output, Quiet, Run, Table

if TYPE_CHECKING:
    from mmtrain.artifacts.export_results import ExportResult


FORMATS = ("saved_model", "keras", "onnx", "litert", "hub", "container")
"""The formats that come with mmtrain, for the completion of a shell; `--code` may bring others."""


CONTAINER = "container"


class Quantize(StrEnum):
    """Types of smaller numbers."""

    float16 = "float16"
    int8 = "int8"


class Takes(StrEnum):
    """The input of an export."""

    raw = "raw"
    encoded = "encoded"


def command(
    run: Run = None,
    *,
    to: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            autocompletion=lambda: list(FORMATS),
            help="saved_model, keras and hub take raw cells and image files; onnx and litert encoded inputs, see CONTRACT.md next to them; "
            "container is a Dockerfile with the run, for `mmtrain serve`.",
        ),
    ],
    quantize: Annotated[
        Quantize | None, typer.Option("--quantize", help="Smaller and less exact numbers; refused if the scores fall.", show_default=False)
    ] = None,
    inputs: Annotated[
        Takes | None, typer.Option("--inputs", help="The inputs that you expect; checked, never converted.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("-o", metavar="DIR", help="Folder to make. Left out: exports/<format> in the run.", show_default=False)
    ] = None,
    table: Table = None,
    images: Images = None,
    force: Annotated[bool, typer.Option("--force", help="Keep a quantized export whose scores fall too much.")] = False,
    output: Output = Path("runs"),
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a trained model for other programs, checked against its own predictions.

    Example: `mmtrain export clinic --format onnx`
    """
    from mmtrain.cli.views.console import print_json
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.commands.deployment.export import ExportOptions, export
    from mmtrain.export.base import find_format
    from mmtrain.pipeline.prepare import Moved
    from mmtrain.system.user_code import import_code

    import_code(code)
    if to == CONTAINER:
        others = {"--quantize": quantize, "--inputs": inputs, "--table": table, "--images": images, "--force": force or None}
        refused = [name for name, value in others.items() if value is not None]
        _write_container(run, folder, output, code or [], refused, as_json=as_json, quiet=quiet)
        return
    # In Python, `mmtrain.export` writes no container, so that only the command names it.
    find_format(to, (CONTAINER,))
    options = ExportOptions(
        to,
        quantize.value if quantize else "",
        inputs.value if inputs else None,
        folder,
        force,
        Moved(table, images),
        tuple(code or ()),
    )
    with progress_display(quiet=quiet or as_json) as shown:
        done = export(run, options, output=output, progress=shown.images, say=shown.say)
    if as_json:
        print_json(done.to_json())
        return
    _show(done, quiet=quiet)


def _write_container(
    run: str | None, folder: Path | None, output: Path, code: list[Path], refused: list[str], *, as_json: bool, quiet: bool
) -> None:
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.deployment.container import write_container
    from mmtrain.errors import Problem, UsageError, listed

    if refused:
        what = "a container serves the run as it is."
        raise UsageError(Problem(f"--format {CONTAINER}", what, f"Leave {listed(refused)} out."))
    made = write_container(run, folder, code=code, output=output)
    if as_json:
        print_json({"folder": str(made), "format": CONTAINER, "files": sorted(path.name for path in made.iterdir())})
        return
    out().print(str(made), soft_wrap=True, markup=False)
    note(f"Build it: docker build -t mmtrain-model {made}", quiet=quiet)
    note(f"A wheel of mmtrain in {made / 'wheels'} is installed in place of a release from the package index.", quiet=quiet)


def _show(done: ExportResult, *, quiet: bool) -> None:
    from mmtrain.cli.views.console import note, out

    signature = done.signature
    out().print(str(done.folder), soft_wrap=True, markup=False)
    if check := signature.check:
        # Quantized outputs differ anyway: then the scores are compared instead.
        allowed = "its scores decide" if check.tolerance is None else f"allowed {check.tolerance:g}"
        note(f"Checked on {check.rows} validation rows: largest difference {check.largest_difference:.2g} ({allowed}).", quiet=quiet)
    smaller = f", in float32 {(signature.float32_bytes or 0) / 1e6:.2f} MB" if signature.quantize else ""
    note(f"Size: {signature.bytes / 1e6:.2f} MB{smaller}.", quiet=quiet)
    for score in check.scores if check else ():
        note(f"{score.target}: {score.score} {score.before:#.4g}, quantized {score.after:#.4g}.", quiet=quiet)
    note("Inputs and outputs: CONTRACT.md and signature.json. To run it: run.py.", quiet=quiet)
