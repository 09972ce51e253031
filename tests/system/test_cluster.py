"""The workers of a training follow from TF_CONFIG or the variables of SLURM; a mistake in them is one sentence."""

import json
import re
from pathlib import Path

import pytest
import yaml

from mmtrain.errors import UsageError
from mmtrain.system.cluster import Cluster, assign_gpus, cluster_of_environment, expand_hosts, gpu_of, local_cluster, visible_gpus

EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
FIX = f"For example: {EXAMPLE}. Unset it to train in one process."


def tf_config(cluster, task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def slurm(number, **changes):
    step = {"SLURM_STEP_NUM_TASKS": "3", "SLURM_STEP_NODELIST": "gpu[09-10]", "SLURM_STEP_TASKS_PER_NODE": "2,1", "SLURM_JOB_ID": "40123"}
    node, local = [("0", "0"), ("0", "1"), ("1", "0")][number]
    return {**step, "SLURM_PROCID": str(number), "SLURM_NODEID": node, "SLURM_LOCALID": local, **changes}


@pytest.mark.parametrize(
    ("environment", "cluster"),
    [
        ({}, None),
        ({"TF_CONFIG": ""}, None),
        ({"TF_CONFIG": "{}"}, None),
        (tf_config({"worker": ["a:1"]}, {"type": "worker", "index": 0}), None),
        (tf_config({"worker": ["a:1", "b:1"]}, {"type": "worker", "index": 1}), Cluster(("a:1", "b:1"), 1)),
        # Kubeflow and older TensorFlow name the first worker the chief.
        (tf_config({"chief": ["c:1"], "worker": ["a:1"], "ps": []}, {"type": "worker", "index": 0}), Cluster(("c:1", "a:1"), 1)),
        (tf_config({"chief": ["c:1"], "worker": ["a:1"]}, {"type": "chief", "index": 0}), Cluster(("c:1", "a:1"), 0)),
        (slurm(0), Cluster(("gpu09:20123", "gpu09:20124", "gpu10:20123"), 0)),
        (slurm(2), Cluster(("gpu09:20123", "gpu09:20124", "gpu10:20123"), 2)),
        # A script of sbatch has the variables of its job, and is one process.
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None),
        ({**slurm(0), **tf_config({"worker": ["a:1", "b:1"]}, {"type": "worker", "index": 0})}, Cluster(("a:1", "b:1"), 0)),
    ],
)
def test_the_workers_are_those_of_the_environment(environment, cluster):
    assert cluster_of_environment(environment) == cluster


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"TF_CONFIG": "{worker"}, "this is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
        ({"TF_CONFIG": "[]"}, "expected an object with `cluster` and `task`."),
        (tf_config({"worker": ["a:1", "b:1"], "ps": ["c:1"]}, {}), "`cluster` has tasks of type 'ps'; mmtrain trains with workers only."),
        (tf_config({"worker": ["a:1", "b"]}, {}), "`cluster.worker` has to be a list of addresses `host:port`, not ['a:1', 'b']."),
        (tf_config({"worker": ["a:1", "a:1"]}, {}), "`cluster.worker` has an address twice."),
        (
            tf_config({"worker": ["a:1", "b:1"]}, {"type": "worker", "index": 2}),
            "`task` has to name one of the 2 workers of `cluster`, not {'type': 'worker', 'index': 2}.",
        ),
        (tf_config({"worker": ["a:1", "b:1"]}, None), "`task` has to name one of the 2 workers of `cluster`, not None."),
    ],
)
def test_a_mistake_in_tf_config_is_one_sentence(environment, problem):
    with pytest.raises(UsageError) as refused:
        cluster_of_environment(environment)
    assert str(refused.value) == f"TF_CONFIG: {problem} {FIX}"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            # Tasks dealt out to the nodes in turns: task 1 is the first of the second node.
            slurm(1, SLURM_NODEID="1", SLURM_LOCALID="0"),
            "SLURM_*: task 1 is number 0 of node 1, where tasks in blocks would put another. "
            "Start it by `srun --distribution=block mmtrain fit ...`.",
        ),
        (
            slurm(0, SLURM_STEP_NODELIST="gpu[09-"),
            "SLURM_*: the variables of this SLURM task cannot be read (ValueError: 'gpu[09-' is not a list of hosts). "
            "Start it by `srun mmtrain fit ...`, or set TF_CONFIG.",
        ),
    ],
)
def test_tasks_of_slurm_need_known_addresses(environment, message):
    with pytest.raises(UsageError) as refused:
        cluster_of_environment(environment)
    assert str(refused.value) == message


def test_the_documented_job_of_kubernetes_names_a_worker_in_each_pod():
    page = Path(__file__).parents[2] / "docs/how-to/several-gpus.md"
    blocks = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)]
    service, job = (block for kind in ("Service", "Job") for block in blocks if block.get("kind") == kind)
    name, pods = job["metadata"]["name"], job["spec"]["template"]["spec"]
    assert pods["subdomain"] == service["metadata"]["name"]
    index, config = pods["containers"][0]["env"]
    for number in range(job["spec"]["completions"]):
        cluster = cluster_of_environment({"TF_CONFIG": config["value"].replace(f"$({index['name']})", str(number))})
        # Kubernetes names the pods of an indexed Job by their numbers, below the subdomain.
        assert cluster == Cluster(tuple(f"{name}-{pod}.{pods['subdomain']}:2222" for pod in range(job["spec"]["completions"])), number)


def test_hosts_of_slurm_may_have_two_ranges():
    assert expand_hosts("r[1-2]n[08,10]") == ["r1n08", "r1n10", "r2n08", "r2n10"]


def test_workers_of_this_machine_have_free_ports():
    first, second = local_cluster(2)
    assert first.addresses == second.addresses
    assert (first.number, second.number) == (0, 1)
    assert len(set(first.addresses)) == 2
    assert all(address.startswith("127.0.0.1:") for address in first.addresses)
    assert cluster_of_environment({"TF_CONFIG": second.to_tf_config()}) == second


def test_every_worker_of_a_machine_has_a_gpu_of_its_own():
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "2, 5"}) == ["2", "5"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    third = Cluster(("a:1", "b:1", "b:2"), 2)
    assert gpu_of(third, {"CUDA_VISIBLE_DEVICES": "2,5"}) == "5"
    assert gpu_of(Cluster(("a:1", "b:1"), 1), {"CUDA_VISIBLE_DEVICES": "2,5"}) is None  # alone on its machine
    assert gpu_of(third, {"CUDA_VISIBLE_DEVICES": "5"}) is None  # what started it has chosen
    assert assign_gpus(2, []) == [None, None]
    with pytest.raises(UsageError) as refused:
        assign_gpus(3, ["0", "1"])
    assert str(refused.value) == (
        "mmtrain fit: 3 workers of one training would share 2 GPUs of this machine. "
        "Start at most 2, or set CUDA_VISIBLE_DEVICES to nothing to train on its processor."
    )
