"""Worker processes have their own number, end with their block or their parent, and leave their last words."""

import signal
import time

import pytest

from mmtrain.system.worker_process import worker_processes

PROGRAM = """
import json, sys, time
from pathlib import Path
from mmtrain.system.worker_process import end_with_parent

options = json.loads(sys.argv[1])
end_with_parent()
Path(options["folder"], f"begun{options['number']}").touch()
if options["fails"]:
    sys.exit("the table is gone")
time.sleep(60)
"""


@pytest.fixture
def workers(tmp_path, monkeypatch):
    (tmp_path / "busy.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    return lambda *, fails: worker_processes("busy", {"folder": str(tmp_path), "fails": fails}, 2)


def wait_for(reached):
    end = time.monotonic() + 30
    while not reached() and time.monotonic() < end:
        time.sleep(0.02)
    assert reached()


def test_workers_end_with_their_block_or_their_parent(workers, tmp_path):
    with workers(fails=False) as started:
        wait_for(lambda: {path.name for path in tmp_path.glob("begun*")} == {"begun0", "begun1"})
        started[0].process.stdin.close()  # as the end of the parent does
        wait_for(lambda: started[0].process.poll() == 1)
        assert started[1].process.poll() is None
    assert started[1].process.poll() == -signal.SIGTERM


def test_a_worker_that_fails_leaves_its_last_words(workers):
    with workers(fails=True) as started:
        wait_for(lambda: all(one.failure for one in started))
    assert [one.failure for one in started] == ["the table is gone"] * 2
