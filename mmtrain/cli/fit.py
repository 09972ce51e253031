"""`mmtrain fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mmtrain.cli.options import All, AllowCallbacks, Code, Images, Json, Output, Quiet, Set, Table, import_allowed


def command(
    config: Annotated[Path | None, typer.Argument(help="The experiment file.", show_default=False)] = None,
    *,
    overrides: Set = None,
    output: Output = Path("runs"),
    resume_run: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="RUN", help="Resume a run, or train next to the process that trains its folds.", show_default=False
        ),
    ] = None,
    table: Table = None,
    images: Images = None,
    fold: Annotated[
        int | None, typer.Option("--fold", metavar="N", help="Train one fold only, numbered from 0 as in split.csv.", show_default=False)
    ] = None,
    preset: Annotated[
        Literal["quick", "good", "best"] | None,
        typer.Option(
            "--preset",
            help="Set what the file leaves open. quick: one training; good: pretrained encoders at hand, 5 folds; best: a search before.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=64,
            help="Processes that train folds or seeds at the same time, or share each batch of a single training.",
            show_default=False,
        ),
    ] = None,
    restarts: Annotated[
        int,
        typer.Option("--restarts", min=0, max=100, help="Restarts from the last checkpoint when a process of a single training is lost."),
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train on a few batches only, to estimate time, memory and disk; no run is made.")
    ] = False,
    code: Code = None,
    allow_callbacks: AllowCallbacks = False,
    every: All = False,  # noqa: ARG001
    as_json: Json = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also print how settings were chosen for this device.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train the experiment in a file; the results are in a run folder.

    Example: `mmtrain fit clinic.yaml --set training.epochs=5`
    """
    _one_of(config, resume_run, overrides, dry_run=dry_run, moved=table is not None or images is not None)
    _check_preset(preset, resume_run, dry_run=dry_run)
    _check_dry_run({"--fold": fold, "--workers": workers, "--restarts": restarts or None}, dry_run=dry_run)
    import_allowed(code, any_callbacks=allow_callbacks)
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.cli.views.training_result import print_kept_files, show_group_result, show_result
    from mmtrain.commands.fit import fit
    from mmtrain.commands.fitting.fit_preset import fit_preset
    from mmtrain.commands.fitting.resume import resume
    from mmtrain.commands.fitting.shared_training import TrainedByFirst
    from mmtrain.commands.fitting.training_listeners import Listeners
    from mmtrain.pipeline.groups.run_group import GroupResult
    from mmtrain.pipeline.groups.workers import Processes
    from mmtrain.pipeline.prepare import Moved
    from mmtrain.training.signals import Interrupted

    # With --dry-run a file is always given, see `_one_of`.
    if dry_run and config is not None:
        _dry_run(config, overrides or [], as_json=as_json, quiet=quiet)
        return
    with progress_display(quiet=quiet or as_json, verbose=verbose) as shown:
        try:
            listeners = Listeners(shown.event, shown.plan, shown.images, shown.say)
            options = _worker_options(code, allow_callbacks=allow_callbacks, as_json=as_json, quiet=quiet)
            command = () if preset else _worker_command(config, resume_run, overrides, output, table, images, options)
            given = workers is not None
            processes = Processes(
                workers or 1, tuple(code or ()), allow_callbacks, given=given, restarts=restarts, command=command, options=options
            )
            if config is not None and preset is not None:
                done = fit_preset(
                    config, preset, overrides=overrides or (), output=output, listeners=listeners, fold=fold, processes=processes
                )
            elif config is not None:
                done = fit(config, overrides=overrides or (), output=output, listeners=listeners, fold=fold, processes=processes)
            else:
                moved = Moved(table, images)
                done = resume(resume_run, output=output, listeners=listeners, moved=moved, fold=fold, processes=processes)
        except TrainedByFirst as ended:
            raise typer.Exit(ended.exit_code) from None
        except Interrupted as stopped:
            shown.close()
            # Before there is a run, nothing is kept.
            if shown.run is None:
                raise
            print_kept_files(shown.run, stopped)
            raise typer.Exit(stopped.exit_code) from None
    if isinstance(done, GroupResult):
        show_group_result(done, as_json=as_json, quiet=quiet)
    else:
        show_result(done, as_json=as_json, quiet=quiet)


def _worker_options(code: list[Path] | None, *, allow_callbacks: bool, as_json: bool, quiet: bool) -> tuple[str, ...]:
    """Return the options that a worker of this training takes, also when it resumes its run."""
    files = [word for path in code or () for word in ("--code", str(path))]
    switches = {"--allow-callbacks": allow_callbacks, "--json": as_json, "--quiet": quiet}
    return (*files, *(name for name, is_set in switches.items() if is_set))


def _worker_command(
    config: Path | None,
    resume_run: str | None,
    overrides: list[str] | None,
    output: Path,
    table: Path | None,
    images: Path | None,
    options: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the arguments with which a worker trains what this command was given."""
    named = {"--resume": resume_run, "--output": output, "--table": table, "--images": images}
    words = [word for name, value in named.items() if value is not None for word in (name, str(value))]
    settings = [word for one in overrides or () for word in ("--set", one)]
    return ("fit", *([] if config is None else [str(config)]), *words, *settings, *options)


def _one_of(config: Path | None, resume_run: str | None, overrides: list[str] | None, *, dry_run: bool, moved: bool) -> None:
    """Raise UsageError unless an experiment file or a run to resume is given; a resumed run takes no other settings."""
    from mmtrain.errors import Problem, UsageError

    if (config is None) == (resume_run is None):
        what = "expected either an experiment file or, with --resume, a run to resume."
        raise UsageError(Problem("mmtrain fit", what, "For example: mmtrain fit config.yaml"))
    _check_moved(config, moved=moved)
    if resume_run is not None and dry_run:
        what = "--dry-run cannot be given with --resume: a resumed run keeps its settings."
        raise UsageError(Problem("mmtrain fit", what, "To try an experiment, name its file: mmtrain fit config.yaml --dry-run"))
    if resume_run is not None and overrides:
        what = "--set cannot be given with --resume: a resumed run keeps its settings."
        raise UsageError(Problem("mmtrain fit", what, "To change the experiment, train again: mmtrain fit RUN/config.yaml --set ..."))


def _check_dry_run(options: dict[str, int | None], *, dry_run: bool) -> None:
    """Raise UsageError for options that a trial of a few batches ignores."""
    from mmtrain.errors import Problem, UsageError, listed

    given = [name for name, value in options.items() if value is not None]
    if dry_run and given:
        what = f"{listed(given)} cannot be given with --dry-run, which tries the first training in this process."
        raise UsageError(Problem("mmtrain fit", what, f"Leave {listed(given)} out."))


def _check_preset(preset: str | None, resume_run: str | None, *, dry_run: bool) -> None:
    from mmtrain.errors import Problem, UsageError

    if preset is not None and (resume_run is not None or dry_run):
        other = "--dry-run" if dry_run else "--resume"
        what = f"--preset cannot be given with {other}."
        fix = "Leave --dry-run out." if dry_run else "A resumed run keeps the settings of its config.yaml; leave --preset out."
        raise UsageError(Problem("mmtrain fit", what, fix))


def _check_moved(config: Path | None, *, moved: bool) -> None:
    from mmtrain.errors import Problem, UsageError, shell_command

    if config is not None and moved:
        what = "--table and --images are the present places of the table and the images of a run, so they need --resume."
        fix = f"For an experiment file, set `data.table` and `data.images`: {shell_command('fit', config, '--set', 'data.table=FILE')}"
        raise UsageError(Problem("mmtrain fit", what, fix))


def _dry_run(config: Path, overrides: list[str], *, as_json: bool, quiet: bool) -> None:
    from mmtrain.cli.views.console import out, print_json
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.cli.views.training_result import dry_run_lines
    from mmtrain.commands.fitting.dry_run import dry_run
    from mmtrain.commands.fitting.training_listeners import Listeners

    with progress_display(quiet=quiet or as_json) as shown:
        result = dry_run(config, overrides=overrides, listeners=Listeners(shown.event, shown.plan, shown.images, shown.say))
    if as_json:
        print_json(result.to_json())
        return
    for name, value in dry_run_lines(result):
        out().print(f"{name:20} {value}", soft_wrap=True, markup=False, highlight=False)
