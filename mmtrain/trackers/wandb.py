"""`wandb`: a run of Weights & Biases for each run folder, by default written to `wandb/` in the working
directory, to be sent by `wandb sync`.

The identity of the run is in `wandb.json`: a resumed training and `evaluate` add to the same run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from mmtrain.trackers.base import tracker
from mmtrain.trackers.run_settings import (
    LOGGED_FILES,
    epoch_scores,
    flat_settings,
    numbers_of,
    read_record,
    run_above,
    run_name,
    write_record,
)

RECORD = "wandb.json"
LOGIN_SECONDS = 20.0
"""Longest wait for the server at the beginning of a run."""


@tracker(package="wandb")
class Wandb:
    """Record the run in Weights & Biases: settings, scores per epoch, scores of `evaluate` with intervals, and the report."""

    def __init__(
        self,
        folder: Path,
        *,
        mode: Annotated[
            Literal["offline", "online"],
            Field(
                description="offline: write to `wandb/` in the working directory, for `wandb sync`. online: send to the server with your "
                "login."
            ),
        ] = "offline",
        project: Annotated[str, Field(description="Project. Left out: the name of this experiment.")] = "",
        entity: Annotated[str, Field(description="User or team. Left out: that of the login.")] = "",
    ) -> None:
        self._folder, self._above = folder, run_above(folder)
        self._mode, self._entity = mode, entity
        self._project = project or (self._above or folder).parent.name
        self._run: Any = None

    def started(self, event: Any) -> None:  # noqa: ARG002
        """Open the run with its settings."""
        self._run = self._open(flat_settings(self._folder))

    def epoch_ended(self, event: Any) -> None:
        """Log the scores of an epoch."""
        self._run.log({"epoch": event.epoch, "learning_rate": event.learning_rate, **numbers_of(event.scores)}, step=event.epoch)

    def ended(self, event: Any) -> None:
        """Note the kept epoch, and close the run."""
        self._run.summary.update({"best_epoch": event.best_epoch, **{f"best_{name}": value for name, value in event.best_scores.items()}})
        self._run.finish()

    def stopped(self, event: Any) -> None:
        """Close the run of a training that was interrupted or failed."""
        self._run.summary.update({"reason": event.reason})
        self._run.finish(exit_code=1)

    def trial_ended(self, event: Any) -> None:
        """Record a trial as a run of the group of its search."""
        name = f"trials/{event.trial}"
        with self._opened(event.settings, child=name) as run:
            for epoch, scores in epoch_scores(self._folder / "trials" / str(event.trial)):
                run.log({"epoch": epoch, **scores}, step=epoch)
            run.summary.update({"outcome": event.outcome, event.score: event.value})

    def finished(self, event: Any) -> None:
        """Keep the report and the settings."""
        self._add(numbers_of(event.scores))

    def evaluated(self, event: Any) -> None:
        """Note the scores of a part with their intervals."""
        self._add(numbers_of(event.scores))

    def _add(self, scores: Mapping[str, float]) -> None:
        with self._opened({}) as run:
            run.summary.update(scores)
            for name in LOGGED_FILES:
                if (self._folder / name).is_file():
                    # A copy, for the files of a run may be links only into its own folder.
                    copy = shutil.copy(self._folder / name, run.dir)
                    run.save(copy, base_path=run.dir, policy="now")

    @contextmanager
    def _opened(self, settings: Mapping[str, Any], child: str = "") -> Iterator[Any]:
        run = self._open(settings, child)
        try:
            yield run
        finally:
            run.finish()

    def _open(self, settings: Mapping[str, Any], child: str = "") -> Any:
        import wandb

        group = self._folder if child else self._above
        identity = None if child else read_record(self._folder / RECORD).get("id")
        run = wandb.init(
            project=self._project,
            entity=self._entity or None,
            name=child or run_name(self._folder),
            group=None if group is None else run_name(group),
            id=identity,
            resume="allow" if identity else None,
            mode=self._mode,
            config=dict(settings),
            reinit="create_new",  # a program that trains may have a run of its own
            # Its console capture would break the progress display.
            settings=wandb.Settings(console="off", silent=True, init_timeout=LOGIN_SECONDS),
        )
        if not child:
            write_record(self._folder / RECORD, {"id": run.id, "project": self._project})
        return run
