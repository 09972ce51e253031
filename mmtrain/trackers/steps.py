"""`steps`: losses within epochs, as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from mmtrain.trackers.base import tracker


@tracker
class Steps:
    """Write the mean loss of the epoch so far after every n-th step to `steps.csv` in the run."""

    def __init__(self, folder: Path, *, every: Annotated[PositiveInt, Field(description="Steps from one line to the next.")] = 10) -> None:
        self._path, self._every = folder / "steps.csv", every
        self._written = (0, 0)

    def started(self, event: Any) -> None:
        """Begin the file; a resumed training goes on behind the lines that its checkpoint has seen."""
        reached = (event.done + 1, event.done_steps)
        lines = self._path.read_text(encoding="utf-8").splitlines()[1:] if self._path.exists() else []
        earlier = [line for line in lines if tuple(map(int, line.split(",")[:2])) <= reached]
        self._path.write_text("\n".join(["epoch,step,loss", *earlier, ""]), encoding="utf-8")

    def stepped(self, event: Any) -> None:
        """Add a line; the last event of an epoch may come twice."""
        place = (event.epoch, event.step)
        if event.step % self._every == 0 and place > self._written:
            self._written = place
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{event.epoch},{event.step},{event.loss:.6g}\n")
