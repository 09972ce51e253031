"""What a person sees while a training runs."""

import io

import pytest
from rich.console import Console

from mmtrain.cli.views.training_progress import Display
from mmtrain.training.listeners.events import Detail, EpochEnded, Started, Stepped, StopAsked

ANEW = Started(epochs=10, steps=4, rows=64, monitor="validation_auc", direction="maximize")
GONE_ON = Started(10, 4, 64, "validation_auc", "maximize", done=6, done_steps=2, done_rows=32, best_epoch=5, best=0.875)


@pytest.fixture
def clock(monkeypatch):
    """Seconds, set by the test."""

    class Clock:
        seconds = 0.0

    monkeypatch.setattr("time.perf_counter", lambda: Clock.seconds)
    return Clock


def seen(display):
    """What stands below the table of the live view."""
    return "\n".join(line for line in (display._position(), display._best()) if line)


def shown(*, terminal=False):
    return Display(Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None), quiet=False)


def ended(epoch, auc, best_epoch):
    scores = {"train_loss": 0.5, "validation_loss": 0.25, "validation_auc": auc}
    return EpochEnded(epoch, scores, 0.001, 10.0, 6.4, epoch == best_epoch, best_epoch)


@pytest.mark.parametrize(("verbose", "lines"), [(False, ["a sentence"]), (True, ["steps_per_call 14: faster", "a sentence"])])
def test_details_are_shown_on_request_only(verbose, lines):
    display = Display(Console(file=io.StringIO(), width=120, color_system=None), quiet=False, verbose=verbose)
    display.say(Detail("steps_per_call 14: faster"))
    display.say("a sentence")
    assert display.console.file.getvalue().splitlines() == lines


def test_position_counts_epochs_and_tells_the_best(clock):
    display = shown()
    display.event(ANEW)
    assert seen(display) == "0 of 10 epochs done"
    clock.seconds = 2
    display.event(Stepped(1, 2, 32, 0.75))
    assert seen(display) == "epoch 1/10  step 2/4  loss 0.750  16 rows/s  38 s left at most"
    clock.seconds = 4
    display.event(ended(1, 0.5, 1))
    assert seen(display) == "1 of 10 epochs done  36 s left at most\nbest validation_auc 0.500 in epoch 1"


def test_run_that_is_gone_on_with_counts_on_and_remembers_its_best_epoch(clock):
    """Six and a half of ten epochs are done; pace and rest are those of this process."""
    display = shown()
    display.event(GONE_ON)
    assert display.console.file.getvalue() == "Resuming after epoch 6 of 10 and step 2 of the next.\n"
    assert seen(display) == "6 of 10 epochs done\nbest validation_auc 0.875 in epoch 5"
    clock.seconds = 1
    display.event(Stepped(7, 3, 48, 0.75))
    assert seen(display) == "epoch 7/10  step 3/4  loss 0.750  16 rows/s  13 s left at most\nbest validation_auc 0.875 in epoch 5"
    clock.seconds = 2
    display.event(ended(7, 0.75, 5))
    assert seen(display) == "7 of 10 epochs done  12 s left at most\nbest validation_auc 0.875 in epoch 5"
    display.event(Stepped(8, 4, 64, 0.75))
    display.event(ended(8, 0.9375, 8))
    assert seen(display) == "8 of 10 epochs done  3 s left at most\nbest validation_auc 0.938 in epoch 8"


@pytest.mark.parametrize("terminal", [True, False])
def test_who_wants_to_stop_is_answered_twice(terminal):
    display = shown(terminal=terminal)
    display.event(ANEW)
    for times in (1, 2):
        display.event(StopAsked(times))
    display.close()
    said = display.console.file.getvalue()
    texts = [
        "Stopping after this step, with a checkpoint.",
        "Still finishing the step or writing the checkpoint; press again to stop without it.",
    ]
    assert [said.count(text) for text in texts] == [1, 1]


def test_quiet_display_answers_nothing():
    display = Display(Console(file=io.StringIO()), quiet=True)
    for event in (GONE_ON, StopAsked(1)):
        display.event(event)
    assert display.console.file.getvalue() == ""


@pytest.mark.parametrize(
    ("monitor", "line"),
    [
        ("validation_loss", "epoch 1/10  train_loss 0.500  validation_loss 0.250  validation_auc 0.750  best 1  10.0 s  6 rows/s"),
        ("validation_f1", "epoch 1/10  train_loss 0.500  validation_loss 0.250  validation_f1 undefined  best 1  10.0 s  6 rows/s"),
    ],
)
def test_epoch_line_has_the_main_score_where_a_loss_is_monitored(monitor, line):
    display = shown()
    display.event(Started(10, 4, 64, monitor, "minimize", main="validation_auc"))
    display.event(ended(1, 0.75, 1))
    assert display.console.file.getvalue() == f"{line}\n"


def test_headings_too_wide_for_the_terminal_are_folded_behind_the_part(clock):
    monitor = "validation_balanced_accuracy"
    display = Display(Console(file=io.StringIO(), width=80), quiet=False)
    display.event(Started(10, 4, 64, monitor, "maximize"))
    display.event(EpochEnded(1, {monitor: 0.5}, 0.001, 10.0, 6400, True, 1))
    with display.console.capture() as drawn:
        display.console.print(display._view())
    assert [line.rstrip() for line in drawn.get().splitlines()] == [
        "          train_  validation_        validation_",
        "epoch       loss         loss  balanced_accuracy   rate  rows/s",
        "1      undefined    undefined              0.500  0.001   6,400  best",
        "1 of 10 epochs done  0 s left at most",
        "best validation_balanced_accuracy 0.500 in epoch 1",
    ]
