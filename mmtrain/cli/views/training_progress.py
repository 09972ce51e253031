"""Progress on a terminal: a bar for images and a live table for epochs; elsewhere one plain line per column of images or epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.status import Status
from rich.table import Column, Table
from rich.text import Text

from mmtrain.cli.views.console import NO_BREAK, err, line, number, plain_table
from mmtrain.cli.views.splits import show_splits
from mmtrain.errors import duration
from mmtrain.training.listeners.events import Detail, Ended, EpochEnded, Event, Started, Stepped, StopAsked, Warned

if TYPE_CHECKING:
    from mmtrain.artifacts.run_folder import Run
    from mmtrain.commands.fitting.training_listeners import Plan

SHOWN_EPOCHS = 8
REFRESHES = 5.0
"""Maximum number of redraws a second; each takes about 5 ms."""
STOPPING = {
    1: "Stopping after this step, with a checkpoint.",
    2: "Still finishing the step or writing the checkpoint; press again to stop without it.",
}
"""Messages after the first and the second Ctrl-C."""


class ImageProgress:
    """Progress of one image column after the other; a smaller number than before begins the next column."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._drawn = 0.0
        self._done = self._first = 0
        self._began = 0.0

    def update(self, doing: str, done: int, total: int, size: int) -> None:
        """Show that `done` of `total` images are done; `size` are the bytes of all of them."""
        if done < self._done or not self._done:
            # The clock starts after the first images, since the first call comes then; they do not count for the pace.
            self._first, self._began = done, time.perf_counter()
        self._done = done
        text = f"{doing} images: {done:,} of {total:,}  {size / 1e6:,.0f} MB{self._pace(total)}"
        if done == total:
            self.close()
            self.console.print(text, soft_wrap=True)
        elif self.console.is_terminal and self._due():
            self._draw(text, done, total)

    def close(self) -> None:
        """Remove the bar, wherever it stands."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, text: str, done: int, total: int) -> None:
        if self._bar is None:
            # The text first: on a narrow terminal the bar is shortened. Without Rich's thread: calls come often enough to redraw.
            columns = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)), BarColumn(bar_width=None)
            self._bar = Progress(*columns, console=self.console, auto_refresh=False, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(text, total=total)
        self._bar.update(self._task, description=text, completed=done, total=total, refresh=True)

    def _due(self) -> bool:
        moment = time.perf_counter()
        if moment - self._drawn < 1 / REFRESHES:
            return False
        self._drawn = moment
        return True

    def _pace(self, total: int) -> str:
        """Return images a second and the remaining time; empty before the second call."""
        rate = (self._done - self._first) / max(1e-9, time.perf_counter() - self._began)
        if not rate:
            return ""
        return f"  {rate:,.0f}/s" + (f"  {duration((total - self._done) / rate)} left" if self._done < total else "")


class Display:
    """Display of one command. Every method may be called at any time; `quiet` shows nothing."""

    def __init__(self, console: Console, *, quiet: bool, verbose: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.verbose = verbose
        self.run: Run | None = None
        self._live: Live | None = None
        self._status: Status | None = None
        self._drawn = 0.0
        self._begun = time.perf_counter()
        self._images = ImageProgress(console)
        self._epoch_begun = self._begun
        self._started: Started | None = None
        self._step: Stepped | None = None
        self._ended: list[EpochEnded] = []

    def say(self, text: str, *, whole: bool = False) -> None:
        """Print one sentence; `whole` as for `line`."""
        if not self.quiet and (self.verbose or not isinstance(text, Detail)):
            line(self.console, text, whole=whole)

    def status(self, text: str) -> None:
        """Show on a terminal what is being done, on a line that the next text replaces."""
        if self.quiet or not self.console.is_terminal:
            return
        if self._status is None:
            self._status = Status(escape(text), console=self.console, refresh_per_second=2)
            self._status.start()
        self._status.update(escape(text))

    def images(self, done: int, total: int, size: int) -> None:
        """Show the images decoded so far, and the bytes of their pixels."""
        if not self.quiet:
            self._images.update("decoding", done, total, size)

    def checked(self, done: int, total: int, size: int) -> None:
        """Show the images checked so far, and the bytes read for it."""
        if not self.quiet:
            self._images.update("checking", done, total, size)

    def plan(self, plan: Plan) -> None:
        """Show the plan of a training that is about to begin."""
        self.run = plan.run
        if self.quiet:
            return
        dropped = f", {plan.dropped} dropped (listed in data.json)" if plan.dropped else ""
        folder = f"; run folder {plan.run.folder}" if plan.run is not None else ""
        self.say(f"{plan.rows:,} rows{dropped}{folder}", whole=True)
        show_splits(self.console, plan.parts)
        for target, weights in plan.class_weights.items():
            self.say(f"class weights of {target}: {', '.join(f'{name} {weight:.3g}' for name, weight in weights.items())}")
        if not plan.parameters:  # a group: each training has its network
            return
        parameters = ", ".join(f"{name.removeprefix('branch_')}{NO_BREAK}{count:,}" for name, count in plan.parameters.items())
        self.say(f"{sum(plan.parameters.values()):,} parameters: {parameters}")

    def event(self, event: Event) -> None:
        """Show an event of the training."""
        if self.quiet:
            return
        if isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Stepped):
            self._step = event
            if self._live is not None and self._due(last=False):
                self._live.update(self._view(), refresh=True)
        elif isinstance(event, EpochEnded):
            self._epoch_ended(event)
        elif isinstance(event, Warned):
            self.say(f"warning: {event.text}")
        elif isinstance(event, StopAsked):
            self.say(STOPPING[event.times])
        elif isinstance(event, Ended):
            self.close()

    def close(self) -> None:
        """Stop the live view, which stays on the screen, and remove a bar."""
        self._images.close()
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _epoch_ended(self, event: EpochEnded) -> None:
        self._ended.append(event)
        self._step = None
        self._epoch_begun = time.perf_counter()
        if self._live is None:
            self.say(self._line(event), whole=True)
        else:
            self._live.update(self._view(), refresh=True)

    def _start(self, event: Started) -> None:
        self._images.close()
        self._started, self._ended = event, []
        if event.done or event.done_steps:
            step = f" and step {event.done_steps} of the next" if event.done_steps else ""
            self.say(f"Resuming after epoch {event.done} of {event.epochs}{step}.")
        self._begun = self._epoch_begun = time.perf_counter()
        if self.console.is_terminal or self.console.is_jupyter:
            self._live = Live(self._view(), console=self.console, auto_refresh=False)
            self._live.start(refresh=True)

    def _due(self, *, last: bool) -> bool:
        moment = time.perf_counter()
        if not last and moment - self._drawn < 1 / REFRESHES:
            return False
        self._drawn = moment
        return True

    def _columns(self) -> list[str]:
        """Return the names of the losses and of the monitored score, or of the main score if a loss is monitored."""
        started = self._started
        names = ["train_loss", "validation_loss"]
        more = "" if started is None else started.main if started.monitor in names else started.monitor
        return [*names, more] if more else names

    def _line(self, event: EpochEnded) -> str:
        total = self._started.epochs if self._started is not None else event.epoch
        scores = "  ".join(f"{name} {number(event.scores.get(name))}" for name in self._columns())
        text = f"epoch {event.epoch}/{total}  {scores}  best {event.best_epoch}  {event.seconds:.1f} s"
        pace = f"  {event.rows_per_second:,.0f} rows/s"
        return text + pace if len(text + pace) <= self.console.width else text

    def _view(self) -> Group:
        """Return the last epochs as a table, the position in the current one, and the best score."""
        lines = [Text(line) for line in (self._position(), self._best()) if line]
        for shown in lines:  # of a wrapped line, the first part would stay on the screen when a line is printed above the view
            shown.no_wrap, shown.overflow = True, "ellipsis"
        return Group(self._table(), *lines)

    def _table(self) -> Table:
        """Return a table of the last epochs; headings too wide for the terminal are folded after `train_` and `validation_`."""
        columns = self._columns()
        table = plain_table("epoch", *columns, "rate", "rows/s", "")
        for event in self._ended[-SHOWN_EPOCHS:]:
            scores = [number(event.scores.get(name)) for name in columns]
            mark = Text("best", style="green") if event.epoch == self._ended[-1].best_epoch else Text("")
            table.add_row(str(event.epoch), *scores, f"{event.learning_rate:.2g}", f"{event.rows_per_second:,.0f}", mark)
        endless = self.console.options.update(width=1000)
        if self.console.measure(table, options=endless).maximum > self.console.width:
            for column in table.columns:
                column.header = str(column.header).replace("_", "_\n", 1)
        return table

    def _best(self) -> str:
        """Return the monitored score of the best epoch so far; empty before the first epoch."""
        started = self._started
        here = next((event for event in reversed(self._ended) if event.is_best), None)
        if started is None or (here is None and not started.best_epoch):
            return ""
        epoch, score = (here.epoch, here.scores.get(started.monitor)) if here is not None else (started.best_epoch, started.best)
        return f"best {started.monitor} {number(score)} in epoch {epoch}"

    def _position(self) -> str:
        """Return the position within the current epoch; empty before the training has begun."""
        started, step = self._started, self._step
        if started is None:
            return ""
        done, left = started.done + len(self._ended), self._left(started)
        if step is None:
            return f"{done} of {started.epochs} epochs done{left}"
        rows = step.rows - (started.done_rows if step.epoch == started.done + 1 else 0)
        rate = rows / max(1e-9, time.perf_counter() - self._epoch_begun)
        return f"epoch {step.epoch}/{started.epochs}  step {step.step}/{started.steps}  loss {step.loss:.3f}  {rate:,.0f} rows/s{left}"

    def _left(self, started: Started) -> str:
        """Return the time to the last epoch at the pace of this process; empty in the first twentieth of an epoch."""
        step = self._step.step if self._step is not None else 0 if self._ended else started.done_steps
        stands = started.done + len(self._ended) + step / started.steps
        here = stands - started.done - started.done_steps / started.steps
        if here <= 0.05:
            return ""
        elapsed = time.perf_counter() - self._begun
        return f"  {duration(elapsed / here * (started.epochs - stands))} left at most"


@contextmanager
def progress_display(*, quiet: bool, verbose: bool = False) -> Iterator[Display]:
    """A display that is closed whatever happens: a live view that is not stopped would hide the cursor."""
    shown = Display(err(), quiet=quiet, verbose=verbose)
    try:
        yield shown
    finally:
        shown.close()
