"""`mmtrain fit --preset`: one choice of effort sets everything that the experiment file leaves open; `best` searches first."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.search_results import SearchResult
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.fit_group import check_fold, check_processes
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.commands.tune import tune
from mmtrain.config.load import format_setting
from mmtrain.config.yaml_source import NotInFile
from mmtrain.errors import RunError, shell_command
from mmtrain.pipeline.checks.validate import load_checked
from mmtrain.pipeline.groups.members import is_group
from mmtrain.pipeline.groups.run_group import GroupResult
from mmtrain.pipeline.groups.workers import Processes
from mmtrain.pipeline.proposals.presets import Preset, WithPreset, with_preset
from mmtrain.pipeline.search.run_search import SearchListeners
from mmtrain.pipeline.train_run import TrainingResult

NOT_CONFIRMED = (
    "Chosen and scored on different validation rows, the best trial is not better than the experiment, which is therefore trained as it is."
)


def fit_preset(
    path: Path | NotInFile,
    preset: Preset,
    *,
    overrides: Iterable[str] = (),
    output: Path = Path("runs"),
    listeners: Listeners | None = None,
    fold: int | None = None,
    processes: Processes | None = None,
) -> TrainingResult | GroupResult:
    """Train the experiment at `path` with the settings of a preset where the file gives none.

    The preset `best` is a search and a training of its best experiment, each a run of its own; `training.minutes` is for both together.
    Arguments and errors are those of `fit` and, with `best`, of `tune`.
    """
    start, listeners, settings = time.time(), listeners or Listeners(), tuple(overrides)
    chosen = with_preset(path, preset, settings)
    for one in chosen.settings:
        listeners.say(f"{preset}: {'.'.join(one.path)}, {one.why}.")
    if preset == "best" and (fold is not None or (processes is not None and processes.count > 1)):
        # Before the search, which may take hours.
        experiment, _, split = load_checked(chosen, settings)
        check_fold(fold, split)
        check_processes(processes, is_group(experiment, split))
    search = _search(chosen, settings, output, listeners) if preset == "best" else None
    header = chosen.header
    if search is not None and not search.best.own and search.corrected is not None and not search.corrected.improves:
        listeners.say(NOT_CONFIRMED)
        header += f"# The search {search.run} found nothing that other validation rows confirm.\n"
    elif search is not None:
        header += f"# Then changed by the search {search.run}:\n{_changes(search)}"
        return fit(search.experiment, output=output, listeners=listeners, fold=fold, processes=processes, header=header, start=start)
    return fit(chosen, overrides=settings, output=output, listeners=listeners, fold=fold, processes=processes, header=header, start=start)


def _search(chosen: WithPreset, overrides: tuple[str, ...], output: Path, listeners: Listeners) -> SearchResult | None:
    """Return the result of the search; None if its minutes allowed no trial."""

    def began(run: Run, keys: tuple[str, ...]) -> None:
        resume = shell_command("tune", "--resume", run.folder)
        listeners.say(f"Search in {run.folder}: {', '.join(keys)}. If it is stopped: `{resume}`, then fit its best.yaml.")

    watched = SearchListeners(
        trial=lambda one: listeners.say(one.line()),
        began=began,
        progress=listeners.progress,
        say=listeners.say,
    )
    try:
        return tune(chosen, overrides=overrides, output=output, listeners=watched)
    except RunError as error:
        listeners.say(f"warning: {error} The experiment is trained as it is.")
        return None


def _changes(search: SearchResult) -> str:
    lines = [f"#   {key}: {format_setting(one.before)} -> {format_setting(one.after)}\n" for key, one in search.changes.items()]
    return "".join(lines) or "#   nothing: no trial was better than the settings above\n"
