"""Workers on this machine: one that is lost or fails stops all, and is named; experiments that they cannot share are refused."""

import os

import pytest
from tiny import two_blobs, write_experiment

from mmtrain import config
from mmtrain.commands.fitting import shared_training
from mmtrain.commands.fitting.shared_training import LocalWorkers, TrainedByFirst, plan_sharing
from mmtrain.config.yaml_source import Origin
from mmtrain.errors import ConfigError, RunError, UsageError
from mmtrain.pipeline.groups.workers import Processes
from mmtrain.system.cluster import Cluster

PROGRAM = """
import json, os, platform, signal, sys, time
from pathlib import Path
from mmtrain.system.worker_process import end_with_parent

number = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
folder, end = Path(sys.argv[-1] if "--resume" in sys.argv else sys.argv[2]), sys.argv[1]
end_with_parent()
(folder / f"{'resumed' if '--resume' in sys.argv else 'begun'}{number}").touch()
if number == 0 and folder.name == "1":
    (folder / ".lock").write_text(f"process {os.getpid()} on {platform.node()}")
if "--resume" in sys.argv:
    sys.exit(0)
while not (folder / "begun0").exists() or not (folder / "begun1").exists() or (folder.name == "1" and not (folder / ".lock").exists()):
    time.sleep(0.01)
if number == 1:
    if end == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "fails":
        sys.exit("the table is gone")
if end in ("killed", "fails"):
    time.sleep(60)
sys.exit(0 if end == "ends" else 3)
"""
EXPERIMENT = {
    "name": "shared",
    "columns": {"x": {"role": "numeric"}, "y": {"role": "target", "task": "binary", "positive": "high"}},
    "branches": {"table": {"columns": ["x"], "architecture": "mlp"}},
}


@pytest.fixture
def workers(tmp_path, monkeypatch):
    """Two workers that end as they are told; only those of a run, in the folder 1, can be resumed."""
    (tmp_path / "work.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(shared_training, "MODULE", "work")
    monkeypatch.setattr(shared_training, "GRACE_SECONDS", 0.0)

    def made(end, *, run, restarts=0):
        folder = tmp_path / ("1" if run else "none")
        folder.mkdir()
        return LocalWorkers(2, (end, str(folder)), restarts=restarts), folder

    return made


def test_workers_that_have_trained_end_the_command(workers, tmp_path):
    local, folder = workers("ends", run=True)
    with pytest.raises(TrainedByFirst) as ended:
        local.train(tmp_path, print)
    assert (ended.value.exit_code, ended.value.folder) == (0, str(folder))


def test_the_exit_code_of_the_first_worker_is_that_of_the_command(workers, tmp_path):
    local, _ = workers("refuses", run=False)
    with pytest.raises(TrainedByFirst) as ended:
        local.train(tmp_path, print)
    assert ended.value.exit_code == 3


def test_a_lost_worker_is_named_with_the_command_that_goes_on(workers, tmp_path):
    local, folder = workers("killed", run=True)
    with pytest.raises(RunError) as lost:
        local.train(tmp_path, print)
    assert str(lost.value) == (
        f"{folder}: worker 1 of 2 was killed by SIGKILL; the others were stopped. "
        f"Continue from the last checkpoint: mmtrain fit --resume {folder} --workers 2"
    )


def test_a_worker_that_is_lost_before_the_run_is_not_replaced(workers, tmp_path):
    local, _ = workers("killed", run=False, restarts=3)
    with pytest.raises(RunError) as lost:
        local.train(tmp_path, print)
    assert str(lost.value) == "mmtrain fit: worker 1 of 2 was killed by SIGKILL; no run was made. Start it again."


def test_all_workers_go_on_from_the_run_of_a_lost_one(workers, tmp_path):
    local, folder = workers("killed", run=True, restarts=2)
    said = []
    with pytest.raises(TrainedByFirst) as ended:
        local.train(tmp_path, said.append)
    assert ended.value.exit_code == 0
    assert said == [f"worker 1 of 2 was killed by SIGKILL; restart 1 of 2 from the last checkpoint of {folder}."]
    assert {path.name for path in folder.glob("resumed*")} == {"resumed0", "resumed1"}


def test_the_message_of_another_worker_than_the_first_is_shown(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_training, "MISTAKE_SECONDS", 0.0)
    local, _ = workers("fails", run=True, restarts=2)
    with pytest.raises(RunError) as failed:
        local.train(tmp_path, print)
    assert str(failed.value) == "worker 1 of 2: the table is gone"


# The rule that decides what processes do


@pytest.fixture
def plan(tmp_path, monkeypatch):
    two_blobs(tmp_path)
    said = []

    def planned(processes=None, cluster=None, gpus="", group=False, **training):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
        path = write_experiment(tmp_path / "shared.yaml", {**EXPERIMENT, "training": training})
        return plan_sharing(
            config.load(path), processes or Processes(command=("fit",)), cluster, Origin(path).place, said.append, group=group
        )

    planned.said = said
    return planned


def test_a_group_gives_each_training_to_one_process_and_a_single_one_is_shared(plan):
    asked = Processes(3, given=True, command=("fit", "a.yaml"), options=("--quiet",), restarts=2)
    assert plan(asked, group=True) is None
    assert plan(asked) == LocalWorkers(3, ("fit", "a.yaml"), ("--quiet",), 2)
    assert plan(Processes(1, given=True, command=("fit",)), gpus="0,1") is None


@pytest.mark.parametrize(
    ("gpus", "devices", "count"),
    [("", "all", None), ("0", "all", None), ("0,1,2", "all", 3), ("0,1,2", 2, 2), ("0,1", 4, 2), ("", 4, None)],
)
def test_a_training_takes_the_gpus_of_the_machine(plan, gpus, devices, count):
    local = plan(gpus=gpus, devices=devices)
    assert (None if local is None else local.count) == count


def test_an_experiment_that_cannot_be_shared_takes_one_gpu_unless_more_are_asked_for(plan):
    assert plan(gpus="0,1", soup=3) is None
    assert plan.said == ["One of 2 GPUs is used: the weights of several epochs cannot be averaged with 2 workers."]
    with pytest.raises(ConfigError):
        plan(gpus="0,1", soup=3, devices=2)


def test_settings_that_need_one_process_are_refused_with_their_lines(plan):
    with pytest.raises(ConfigError) as refused:
        plan(cluster=Cluster(("a:1", "b:1", "c:1"), 0), minutes=5, soup=3, mix={"method": "mixup"}, batch_size=2)
    assert str(refused.value) == (
        "shared.yaml:15: training.minutes: the speed is measured in one process, so that a limit of time cannot be kept with 3 workers. "
        "Train it in one process, or leave it out.\n"
        "shared.yaml:16: training.soup: the weights of several epochs cannot be averaged with 3 workers. "
        "Train it in one process, or leave it out.\n"
        "shared.yaml:17: training.mix: rows of a batch cannot be mixed with 3 workers. Train it in one process, or leave it out.\n"
        "shared.yaml:19: training.batch_size: a batch of 2 rows cannot be shared by 3 workers. "
        "Set 3 or more: it counts the rows of all workers."
    )


def test_the_workers_of_a_cluster_do_not_share_a_group(plan):
    with pytest.raises(UsageError) as refused:
        plan(cluster=Cluster(("a:1", "b:1"), 0), group=True)
    assert str(refused.value) == (
        "mmtrain fit: the experiment is a group of trainings, and the 2 workers of this environment share one. "
        "Begin it in one process, without them; then start `mmtrain fit --resume RUN` in each, which takes trainings of its own."
    )
