"""The processes that share one training, as the environment of each of them names them.

`TF_CONFIG` is TensorFlow's own way: Kubernetes operators, Ray Train and `mmtrain fit --workers` set it. `srun` sets `SLURM_*` in every
task of a step, from which the same follows. Each worker serves at an address of its own, in the same order for all.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from glob import glob
from typing import Any

from mmtrain.errors import Problem, UsageError, counted

LOOPBACK = "127.0.0.1"
FIRST_SLURM_PORT, SLURM_PORTS = 20_000, 20_000
"""Ports of workers under SLURM: the number of the job chooses one of the range, and each task of a node takes the next."""
EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
TRAINING_TASKS = ("chief", "master", "worker")
"""Types of tasks that train, in the order of their numbers."""


@dataclass(frozen=True)
class Cluster:
    """The addresses of all workers, and the number of this process among them, from 0."""

    addresses: tuple[str, ...]
    number: int

    @property
    def count(self) -> int:
        """The number of workers."""
        return len(self.addresses)

    @property
    def on_this_machine(self) -> tuple[int, ...]:
        """The numbers of the workers on the machine of this one."""
        hosts = [address.rpartition(":")[0] for address in self.addresses]
        return tuple(number for number, host in enumerate(hosts) if host == hosts[self.number])

    def to_tf_config(self) -> str:
        """Return the value of TF_CONFIG.

        >>> Cluster(("a:1", "b:1"), 1).to_tf_config()
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
        """
        return json.dumps({"cluster": {"worker": list(self.addresses)}, "task": {"type": "worker", "index": self.number}})


def cluster_of_environment(environment: Mapping[str, str] | None = None) -> Cluster | None:
    """Return the workers that share the training of this process; None where it trains alone.

    Raises UsageError for a TF_CONFIG that names no training, and for tasks of SLURM whose addresses do not follow from their numbers.
    """
    known = os.environ if environment is None else environment
    cluster = _of_tf_config(known["TF_CONFIG"]) if known.get("TF_CONFIG", "").strip() else _of_slurm(known)
    return cluster if cluster is not None and cluster.count > 1 else None


def local_cluster(workers: int) -> list[Cluster]:
    """Return the views of workers on this machine, each at a free port of the loopback address."""
    with ExitStack() as held:  # all at the same time, so that no port is given twice
        sockets = [held.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(workers)]
        addresses = tuple(f"{LOOPBACK}:{one.getsockname()[1]}" for one in sockets)
    return [Cluster(addresses, number) for number in range(workers)]


def visible_gpus(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of the NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them; TensorFlow is not needed."""
    chosen = (os.environ if environment is None else environment).get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        return [name for name in names if name and name != "-1"]
    # A container has the device files of its own GPUs only.
    return [str(number) for number in range(len([path for path in glob("/dev/nvidia*") if re.fullmatch(r"/dev/nvidia\d+", path)]))]


def assign_gpus(workers: int, gpus: Sequence[str]) -> list[str | None]:
    """Return the GPU of each worker on a machine; None without GPUs. Raises UsageError if workers would have to share one."""
    if not gpus:
        return [None] * workers
    if workers > len(gpus):
        what = f"{workers} workers of one training would share {counted(len(gpus), 'GPU')} of this machine."
        fix = f"Start at most {len(gpus)}, or set CUDA_VISIBLE_DEVICES to nothing to train on its processor."
        raise UsageError(Problem("mmtrain fit", what, fix))
    return list(gpus[:workers])


def gpu_of(cluster: Cluster, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the GPU that this worker has to choose; None where it sees its own alone, or none. Raises UsageError as `assign_gpus`."""
    known = os.environ if environment is None else environment
    here, gpus = cluster.on_this_machine, visible_gpus(known)
    # What started it has given it one: `mmtrain fit --workers`, or `srun --gpus-per-task=1`.
    if len(here) == 1 or (len(gpus) == 1 and "CUDA_VISIBLE_DEVICES" in known):
        return None
    return assign_gpus(len(here), gpus)[here.index(cluster.number)]


def _of_tf_config(text: str) -> Cluster | None:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _wrong(f"this is not JSON: {error}.") from None
    if not isinstance(value, dict) or not isinstance(value.get("cluster", {}), dict):
        raise _wrong("expected an object with `cluster` and `task`.")
    jobs: dict[str, Any] = value.get("cluster", {})
    if not jobs:
        return None
    if others := [job for job in jobs if job not in TRAINING_TASKS and jobs[job] and job != "evaluator"]:
        raise _wrong(f"`cluster` has tasks of type {others[0]!r}; mmtrain trains with workers only.")
    addresses = {job: _addresses(job, jobs.get(job, [])) for job in TRAINING_TASKS}
    task = value.get("task")
    kind, index = (task.get("type"), task.get("index")) if isinstance(task, dict) else (None, None)
    if kind not in TRAINING_TASKS or not isinstance(index, int) or not 0 <= index < len(addresses[kind]):
        raise _wrong(f"`task` has to name one of the {counted(sum(map(len, addresses.values())), 'worker')} of `cluster`, not {task!r}.")
    before = sum(len(addresses[job]) for job in TRAINING_TASKS[: TRAINING_TASKS.index(kind)])
    return Cluster(tuple(address for job in TRAINING_TASKS for address in addresses[job]), before + index)


def _addresses(job: str, values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) and re.fullmatch(r".+:\d+", value) for value in values):
        raise _wrong(f"`cluster.{job}` has to be a list of addresses `host:port`, not {values!r}.")
    if len(set(values)) < len(values):
        raise _wrong(f"`cluster.{job}` has an address twice.")
    return values


def _wrong(what: str) -> UsageError:
    return UsageError(Problem("TF_CONFIG", what, f"For example: {EXAMPLE}. Unset it to train in one process."))


def _of_slurm(known: Mapping[str, str]) -> Cluster | None:
    # Of a step, which srun starts: a script of sbatch has the variables of the job, and is one process.
    if int(known.get("SLURM_STEP_NUM_TASKS", "1")) < 2:
        return None
    try:
        hosts = expand_hosts(known["SLURM_STEP_NODELIST"])
        tasks = _tasks_of_nodes(known["SLURM_STEP_TASKS_PER_NODE"])
        number, local = int(known["SLURM_PROCID"]), int(known["SLURM_LOCALID"])
        node = int(known.get("SLURM_NODEID", "0"))
        job = int(known.get("SLURM_JOB_ID") or known.get("SLURM_JOBID", "0"))
    except (KeyError, ValueError) as error:
        what = f"the variables of this SLURM task cannot be read ({type(error).__name__}: {error})."
        raise UsageError(Problem("SLURM_*", what, "Start it by `srun mmtrain fit ...`, or set TF_CONFIG.")) from None
    port = FIRST_SLURM_PORT + job % SLURM_PORTS
    places = [(place, task) for place, on_node in enumerate(tasks) for task in range(on_node)]
    if len(hosts) != len(tasks) or number >= len(places) or places[number] != (node, local):
        what = f"task {number} is number {local} of node {node}, where tasks in blocks would put another."
        raise UsageError(Problem("SLURM_*", what, "Start it by `srun --distribution=block mmtrain fit ...`."))
    return Cluster(tuple(f"{hosts[place]}:{port + task}" for place, task in places), number)


def expand_hosts(text: str) -> list[str]:
    """Return the hosts of a list of SLURM. Raises ValueError for an open bracket.

    >>> expand_hosts("login,gpu[08-10,12]-ib,n[1-2]")
    ['login', 'gpu08-ib', 'gpu09-ib', 'gpu10-ib', 'gpu12-ib', 'n1', 'n2']
    """
    # Commas inside brackets part ranges, not hosts.
    names = re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", text)
    if ",".join(names) != text:
        raise ValueError(f"{text!r} is not a list of hosts")
    return [host for name in names for host in _expand(name)]


def _expand(name: str) -> list[str]:
    match = re.search(r"\[([^\[\]]*)\]", name)
    if match is None:
        return [name]
    numbers = []
    for part in match[1].split(","):
        first, _, last = part.partition("-")
        # Digits are kept: 08, 09, 10.
        numbers += [f"{number:0{len(first)}d}" for number in range(int(first), int(last or first) + 1)]
    return [host for number in numbers for host in _expand(name[: match.start()] + number + name[match.end() :])]


def _tasks_of_nodes(text: str) -> list[int]:
    """Return the tasks of every node, from `2(x3),1`."""
    tasks: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a number of tasks per node")
        tasks += [int(match[1])] * int(match[2] or 1)
    return tasks
