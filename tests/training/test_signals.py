"""Ctrl-C in a training: the first is noticed between two steps, the second is told that the checkpoint is being written, the third gives
it up."""

import json
import os
import signal
import subprocess
import sys

import pytest
from tiny import two_blobs, write_experiment

from mmtrain.artifacts.run_folder import Run
from mmtrain.cli.views.training_result import print_kept_files
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.layers.start import quiet_native_stderr
from mmtrain.training import checkpoints
from mmtrain.training.listeners.events import StepsBegan, StopAsked
from mmtrain.training.signals import GracefulShutdown, Interrupted, at_once


def press(times=1, number=signal.SIGINT):
    for _ in range(times):
        os.kill(os.getpid(), number)


def test_first_two_signals_only_take_note_and_the_third_stops_at_once():
    told = []
    with pytest.raises(Interrupted) as caught, GracefulShutdown(told.append) as interruption:
        press()
        assert (interruption.number, told) == (signal.SIGINT, [1])
        press(number=signal.SIGTERM)
        assert (interruption.number, told) == (signal.SIGINT, [1, 2])
        press(number=signal.SIGTERM)
    assert (caught.value.exit_code, str(caught.value)) == (143, "Interrupted by SIGTERM.")
    assert told == [1, 2]


def test_signals_mean_what_they_meant_once_it_is_over():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with GracefulShutdown():
        assert signal.getsignal(signal.SIGINT) not in before
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_interrupted_import_of_a_library_is_no_fault_of_the_library():
    """What is written in C, found in the middle of its start, makes an error of its own of ours."""
    with pytest.raises(Interrupted) as caught, at_once():
        try:
            press()
        except Interrupted:
            raise TypeError("expected a message argument") from None
    assert caught.value.exit_code == 130


def test_what_a_library_said_before_it_was_interrupted_is_not_shown(capfd):
    with pytest.raises(Interrupted), quiet_native_stderr():
        os.write(2, b"oneDNN custom operations are on.")
        raise Interrupted(signal.SIGINT)
    assert capfd.readouterr().err == ""


def test_interruption_behind_the_training_does_not_offer_to_go_on(tmp_path, capsys):
    run = Run(tmp_path)
    run.update(state="finished", started="2026-01-01T00:00:00+00:00")
    print_kept_files(run, Interrupted(signal.SIGTERM))
    assert capsys.readouterr().err.splitlines() == [
        f"Interrupted by SIGTERM. The training had ended, and its model is kept in {tmp_path}; the report is not written.",
        f"Write it: mmtrain report {tmp_path}",
        f"Score it on the test part: mmtrain evaluate {tmp_path}",
    ]


class Pressed:
    """Presses Ctrl-C, or has a cluster ask, while Python takes it away: what is raised in a destructor is thrown away."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        press(number=self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("ends", [lambda: None, lambda: sys.exit(0), lambda: sys.exit(None)])
def test_signal_in_a_destructor_is_heard_when_the_block_ends(number, code, ends, capsys):
    with pytest.raises(Interrupted) as caught, at_once():
        pressed = Pressed(number)
        del pressed
        ends()
    assert caught.value.exit_code == code
    assert capsys.readouterr().err == ""


def test_other_errors_of_destructors_are_shown_as_ever():
    class Broken:
        def __del__(self):
            raise ValueError("broken")

    shown = []
    before, sys.unraisablehook = sys.unraisablehook, shown.append
    try:
        with at_once():
            broken = Broken()
            del broken
        assert sys.unraisablehook == shown.append
    finally:
        sys.unraisablehook = before
    assert [str(one.exc_value) for one in shown] == ["broken"]


def test_who_has_answered_a_signal_keeps_the_exit_code():
    with pytest.raises(SystemExit) as caught, at_once():
        try:
            press()
        except Interrupted as stopped:
            sys.exit(stopped.exit_code)
    assert caught.value.code == 130


@pytest.mark.slow  # a process of its own
def test_command_whose_destructor_is_asked_to_stop_ends_with_143(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import os, signal\n"
        "class Pressed:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGTERM)\n"
        "pressed = Pressed()\ndel pressed\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mmtrain", "schema", "--code", "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    said = "Interrupted by SIGTERM. No partial result is kept; run the command again.\n"
    assert (done.returncode, done.stderr) == (143, said)


def test_what_is_ignored_stays_so():
    """A shell starts its background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with at_once():
            press()
    finally:
        assert signal.signal(signal.SIGINT, before) == signal.SIG_IGN


def test_nothing_is_told_in_the_middle_of_a_line():
    """Standard error refuses to be entered a second time, with this error."""

    def told(_):
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    with GracefulShutdown(told) as interruption:
        press()
    assert interruption.number == signal.SIGINT


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interruption")
    two_blobs(folder)
    return write_experiment(
        folder / "stop.yaml",
        "columns: {x: {role: numeric}, y: {role: target, task: binary}}\ntraining: {epochs: 2, batch_size: 16, optimizer: sgd}",
    )


@pytest.mark.slow
@pytest.mark.parametrize(("presses", "step"), [(2, 1), (3, 0)])
def test_impatience_never_costs_a_whole_checkpoint(experiment, tmp_path, presses, step):
    """The third time, what was done since the last checkpoint is lost, and no more."""
    seen = []

    def watch(event):
        if isinstance(event, StepsBegan) and (event.epoch, event.step) == (2, 0):
            press(presses)
        if isinstance(event, StopAsked):
            seen.append(event.times)

    with pytest.raises(Interrupted):
        fit(experiment, output=tmp_path, listeners=Listeners(watch=watch))
    run = Run(tmp_path / "stop" / "1")
    assert seen == [1, 2]
    assert (run.state, (run / "model.keras").is_file()) == ("interrupted", True)
    assert checkpoints.newest(run / "checkpoints") == ("last", "")
    position = json.loads((run / "checkpoints" / "last" / "position.json").read_text())["position"]
    assert (position["epoch"], position["step"]) == (1, step)
    assert resume(str(run.folder)).ended.epochs == 2
