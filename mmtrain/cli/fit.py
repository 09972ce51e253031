"""`mmtrain fit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import Code, Json, Output, Quiet, Set

if TYPE_CHECKING:
    from mmtrain.workflows.fit import Fitted


def command(
    config: Annotated[Path, typer.Argument(help="The experiment file.")],
    overrides: Set = None,
    output: Output = Path("runs"),
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train the experiment in a file; everything lands in a run folder."""
    from mmtrain.cli.live import display
    from mmtrain.cli.show import note
    from mmtrain.training.interruption import Interrupted
    from mmtrain.workflows.code import import_code
    from mmtrain.workflows.fit import fit

    import_code(code)
    with display(quiet=quiet or as_json) as shown:
        try:
            done = fit(
                config,
                overrides=overrides or (),
                output=output,
                watch=shown.event,
                announce=shown.plan,
                progress=shown.pictures,
                say=shown.say,
            )
        except Interrupted as stopped:
            shown.close()
            kept = shown.run is not None and (shown.run / "model.keras").is_file() and shown.run.folder
            note(f"{stopped} {f'The best weights so far are kept in {kept}.' if kept else 'No epoch was finished.'}")
            raise typer.Exit(stopped.exit_code) from None
    _result(done, as_json=as_json, quiet=quiet)


def _result(done: Fitted, *, as_json: bool, quiet: bool) -> None:
    from mmtrain.cli.show import note, number, out, print_json

    ended = done.ended
    if as_json:
        print_json({"run": str(done.run.folder), "epochs": ended.epochs, "best_epoch": ended.best_epoch, "scores": ended.best_scores})
        return
    scores = "  ".join(
        f"{name} {number(value)}" for name, value in ended.best_scores.items() if name in ("train_loss", "validation_loss", done.monitor)
    )
    reason = f"; {ended.reason}" if ended.reason else ""
    note(f"Best epoch {ended.best_epoch} of {ended.epochs}{reason}.  {scores}", quiet=quiet)
    out().print(str(done.run.folder), soft_wrap=True, markup=False)
    note(f"Score it on the test part: mmtrain evaluate {done.run.folder}", quiet=quiet)
