"""A run is trained by one process at a time."""

import platform
import subprocess
import sys

import pytest

from mmtrain.artifacts import runs
from mmtrain.artifacts.lock import run_lock
from mmtrain.commands.fitting.resume import resume
from mmtrain.errors import UsageError

HOLDER = """
import sys
from pathlib import Path
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.lock import run_lock
with run_lock(Run(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    return runs.create("locked", tmp_path)


@pytest.fixture
def holder(run):
    """Another process, which trains the run."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, run.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_run_that_another_process_trains_is_refused_and_left_alone(run, holder):
    before = (run / "run.json").read_text()
    with pytest.raises(UsageError) as caught:
        resume(str(run.folder))
    assert str(caught.value) == (
        f"{run.folder}: the run is being trained by process {holder.pid} on {platform.node()}. "
        "Wait until that has ended, or interrupt it first."
    )
    assert caught.value.exit_code == 2
    assert (run / "run.json").read_text() == before


def test_lock_ends_with_its_process_however_it_ends(run, holder):
    holder.kill()
    holder.wait()
    with run_lock(run):
        assert (run / ".lock").read_text().startswith("process ")


def test_lock_is_given_back_when_the_training_ends(run):
    with run_lock(run):
        pass
    with run_lock(run), pytest.raises(UsageError), run_lock(run):
        pass
