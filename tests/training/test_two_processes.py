"""Two processes that share a training train what one does; one that is killed is replaced, and nothing else changes.

The processes train every case of `shared_trainings.CASES`, and the first one trains each alone as well.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import shared_trainings
from tiny import lines, start, two_blobs, write_experiment

from mmtrain.artifacts import runs
from mmtrain.artifacts.run_folder import Run
from mmtrain.system.cluster import local_cluster

pytestmark = pytest.mark.slow
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
EXPERIMENT = {
    "name": "shared",
    "columns": {"x": {"role": "numeric"}, "y": {"role": "target", "task": "binary", "positive": "high"}},
    "branches": {"table": {"columns": ["x"], "architecture": "mlp", "units": [8], "dropout": 0.2}},
    "training": {"epochs": 5, "batch_size": 8, "deterministic": True},
}


def in_two_processes(arguments, folder):
    """The processes of a program that gets the number of its worker, or TF_CONFIG."""
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments(cluster)],
            env={**os.environ, **ONE_THREAD, "TF_CONFIG": cluster.to_tf_config()},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for cluster in local_cluster(2)
    ]
    outputs = [process.communicate(timeout=900)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    return outputs


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Scores and weights of every case, of two workers and of one process; and the weights of the second worker."""
    folder = tmp_path_factory.mktemp("shared")
    shared_trainings.write_data(folder)
    program = str(Path(shared_trainings.__file__))
    in_two_processes(lambda cluster: [program, str(folder), str(cluster.number), *cluster.addresses], folder)
    return [json.loads((folder / f"results{number}.json").read_text()) for number in (0, 1)]


@pytest.mark.parametrize("case", shared_trainings.CASES)
def test_two_workers_train_as_one_process_does(results, case):
    shared, alone = results[0][case]["shared"], results[0][case]["alone"]
    # The bias before a normalization has no gradient but rounding, which Adam makes a step of.
    losses, weights = {"normalized": (1e-4, 1e-2), "bfloat16": (1e-2, 1e-1), "float16": (1e-3, 1e-2)}.get(case, (1e-6, 1e-6))
    assert len(shared["epochs"]) == shared_trainings.EPOCHS
    for one, other in zip(shared["epochs"], alone["epochs"], strict=True):
        assert one.keys() == other.keys()
        for name in one:
            if "loss" in name:
                assert one[name] == pytest.approx(other[name], abs=losses), name
    assert np.abs(np.subtract(shared["weights"], alone["weights"])).max() < weights


@pytest.mark.parametrize("case", shared_trainings.CASES)
def test_both_workers_end_with_the_same_weights(results, case):
    assert results[1][case]["shared"]["weights"] == results[0][case]["shared"]["weights"]
    assert results[1][case]["shared"]["epochs"] == []


def begun(*arguments, folder, epochs, run="shared/1"):
    """A command that trains with two workers, once the run has lines of so many epochs."""
    process = start("fit", *arguments, folder=folder, **ONE_THREAD)
    metrics, end = folder / "runs" / run / "metrics.jsonl", time.monotonic() + 300
    while process.poll() is None and time.monotonic() < end and (not metrics.is_file() or len(metrics.read_bytes().splitlines()) < epochs):
        time.sleep(0.05)
    return process


def ended(process):
    output, messages = process.communicate(timeout=900)
    return process.returncode, output, messages


def workers_of(process):
    """The processes that a command has started, by number."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children]


def bits(run):
    """All that a training leaves behind but times."""
    scores = [{name: value for name, value in line.items() if name != "seconds"} for line in lines(run / "metrics.jsonl")]
    with np.load(run / "checkpoints/last/weights.npz") as stored:
        return scores, {name: stored[name].tobytes() for name in stored.files}


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_a_killed_worker_is_replaced_and_the_training_goes_on_to_the_bit(tmp_path):
    two_blobs(tmp_path)
    path = str(write_experiment(tmp_path / "shared.yaml", EXPERIMENT))
    code, _, messages = ended(begun(path, "--workers", "2", folder=tmp_path, epochs=5))
    assert code == 0, messages

    process = begun(path, "--workers", "2", "--restarts", "1", folder=tmp_path, epochs=2, run="shared/2")
    os.kill(workers_of(process)[1], signal.SIGKILL)
    code, output, messages = ended(process)
    assert code == 0, messages
    assert "worker 1 of 2 was killed by SIGKILL; restart 1 of 1 from the last checkpoint of runs/shared/2.\n" in messages
    assert output.strip().endswith("runs/shared/2")
    assert bits(Run(tmp_path / "runs/shared/2")) == bits(Run(tmp_path / "runs/shared/1"))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_without_a_restart_one_screen_says_which_worker_was_lost(tmp_path):
    two_blobs(tmp_path)
    path = str(write_experiment(tmp_path / "shared.yaml", {**EXPERIMENT, "training": {"epochs": 1000, "batch_size": 8}}))
    process = begun(path, "--workers", "2", folder=tmp_path, epochs=1)
    os.kill(workers_of(process)[1], signal.SIGKILL)
    code, _, messages = ended(process)
    assert code == 1
    assert messages.endswith(
        "runs/shared/1: worker 1 of 2 was killed by SIGKILL; the others were stopped. "
        "Continue from the last checkpoint: mmtrain fit --resume runs/shared/1 --workers 2\n"
    )
    # Ctrl-C reaches all of them at the same step, and another number of workers may go on.
    process = begun("--resume", "shared/1", "--workers", "3", folder=tmp_path, epochs=4)
    process.send_signal(signal.SIGINT)
    code, _, messages = ended(process)
    assert code == 130, messages
    assert messages.endswith("runs/shared/1\n")
    assert "Resume it: mmtrain fit --resume" in messages
    assert runs.find("shared/1", tmp_path / "runs").state == "interrupted"


def test_tasks_of_srun_share_a_training(tmp_path):
    """Two tasks of one node in the environment that `srun` gives them; SLURM itself is not at hand."""
    two_blobs(tmp_path)
    write_experiment(tmp_path / "shared.yaml", EXPERIMENT)
    step = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_NODEID": "0"}
    tasks = [{"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number), "SLURM_JOB_ID": str(os.getpid())} for number in range(2)]
    processes = [start("fit", "shared.yaml", folder=tmp_path, **ONE_THREAD, **step, **task) for task in tasks]
    results = [ended(process) for process in processes]
    assert [code for code, _, _ in results] == [0, 0], results
    run = runs.find("shared", tmp_path / "runs")
    assert (run.state, run.read("run.json").workers, len(lines(run / "metrics.jsonl"))) == ("finished", 2, 5)
    # The first one alone prints.
    assert (results[0][1].strip().endswith("runs/shared/1"), results[1][1]) == (True, "")


RAY = """
import mmtrain
run = mmtrain.fit("shared.yaml", overrides={"training.epochs": 2}, progress=False)
print(run.folder, len(run.history))
"""


def test_what_sets_tf_config_trains_through_the_api(tmp_path):
    """As `TensorflowTrainer` of Ray Train does: a function of Python in every process, and TF_CONFIG in its environment."""
    two_blobs(tmp_path)
    write_experiment(tmp_path / "shared.yaml", EXPERIMENT)
    outputs = in_two_processes(lambda _: ["-c", RAY], tmp_path)
    assert [output.strip().splitlines()[-1] for output in outputs] == [f"{tmp_path / 'runs/shared/1'} 2"] * 2
    run = runs.find("shared", tmp_path / "runs")
    assert (run.state, run.read("run.json").workers) == ("finished", 2)
