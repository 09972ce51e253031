"""Events around trainings, passed to the trackers of an experiment: groups and searches, reports, evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from mmtrain.artifacts.group_results import CrossValidation
from mmtrain.artifacts.results import TargetResult
from mmtrain.artifacts.run_folder import Run
from mmtrain.columns.base import Column
from mmtrain.config import Experiment
from mmtrain.config.monitors import direction_of
from mmtrain.data.images.store import Say
from mmtrain.pipeline.search.run_search import SearchProgress
from mmtrain.trackers import Trackers
from mmtrain.training.listeners.events import Evaluated, Finished, GroupBegan, TrialEnded


def track_group(run: Run, experiment: Experiment, say: Say) -> None:
    """Tell the trackers that a group begins: its trainings are nested in its run."""
    _trackers(run, experiment, say, "group_began")(GroupBegan())


def track_search(run: Run, experiment: Experiment, say: Say) -> Callable[[SearchProgress], None]:
    """Tell the trackers that a search begins; return a function that tells them of a trial that has ended."""
    followers = _trackers(run, experiment, say, "trial_ended")
    followers(GroupBegan())

    def ended(progress: SearchProgress) -> None:
        trial, better = progress.trial, direction_of(progress.score) == "maximize"
        followers(TrialEnded(trial.trial, trial.settings, progress.score, trial.score, trial.outcome, trial.epochs, better))

    return ended


def track_finished(run: Run, experiment: Experiment, say: Say, result: CrossValidation | None = None, *, model: bool = True) -> None:
    """Tell the trackers that the report of a run is written; a search has no `model`."""
    if not experiment.training.trackers:
        return
    scores = {} if result is None else _cross_validated(result)
    columns = [column for column in experiment.columns.values() if column.purpose in ("input", "naming")]
    inputs = {header: _cell_type(column) for column in columns for header in column.reads()}
    _trackers(run, experiment, say, "finished")(Finished(scores, inputs, partial(_unpacked, run) if model else None))


def track_evaluated(run: Run, experiment: Experiment, part: str, results: Mapping[str, TargetResult], say: Say) -> None:
    """Tell the trackers the scores of a part with their intervals."""
    if not experiment.training.trackers:
        return
    scores: dict[str, float | None] = {}
    for key, result in results.items():
        prefix = f"{part}_{key}_" if len(results) > 1 else f"{part}_"
        for name, score in result.scores.items():
            limits = {} if score.low is None else {f"{prefix}{name}_low": score.low, f"{prefix}{name}_high": score.high}
            scores |= {f"{prefix}{name}": score.value, **limits}
    _trackers(run, experiment, say, "evaluated")(Evaluated(part, scores))


def _trackers(run: Run, experiment: Experiment, say: Say, event: str) -> Trackers:
    return Trackers(experiment.training.trackers, run.folder, lambda text: say(f"warning: {text}"), event)


def _cell_type(column: Column) -> str:
    """Return the type of a column's cells in a signature; those of names and dates may be numbers and texts, and lists are typed too."""
    if column.holds_numbers:
        return "number"
    return "text" if column.content in ("texts", "images") and not column.lists else "any"


def _cross_validated(result: CrossValidation) -> dict[str, float | None]:
    scores: dict[str, float | None] = {}
    for key, of_target in result.targets.items():
        prefix = f"cv_{key}_" if len(result.targets) > 1 else "cv_"
        for name, score in of_target.items():
            scores |= {f"{prefix}{name}": score.mean, f"{prefix}{name}_low": score.low, f"{prefix}{name}_high": score.high}
    return scores


def _unpacked(run: Run, folder: Path) -> Path:
    """Pack a run and unpack it in a new folder: what another machine needs to predict, and no row of the table."""
    from mmtrain.commands.deployment.pack import pack
    from mmtrain.commands.deployment.unpack import unpack

    archive = folder.with_suffix(".zip")
    pack(str(run.folder), archive)
    unpack(archive, folder)
    archive.unlink()
    return folder
