"""`mmtrain serve` under load, restarted, reloaded, and with groups."""

import asyncio
import http.client
import json
import re
import shutil
import signal
import threading
import time

import pytest
from tiny import start
from tiny_serving import cells

from mmtrain.artifacts import runs
from mmtrain.serving.metrics import Metrics
from mmtrain.serving.served_model import Limits, ServedModel

pytestmark = pytest.mark.slow

ROW = cells(0) | {"scan": None}
BODY = json.dumps({"rows": [ROW]})


def begin(folder):
    """A server in a process of its own, and its port."""
    process = start("serve", "clinic", "--port", "0", "--quiet", folder=folder)
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\n", process.stdout.readline())
    return process, int(found[1])


def clients(port, count, requests):
    """The statuses that some clients have, each of so many requests; a connection that breaks is `None`."""
    statuses = []

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(requests):
            try:
                connection.request("POST", "/predict", BODY, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            except OSError:
                statuses.append(None)
                connection.close()
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, statuses


def memory(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1000


def test_32_clients_are_answered_and_a_restart_loses_only_what_is_in_flight(clinic):
    process, port = begin(clinic)
    try:
        threads, _ = clients(port, 32, 10)
        for thread in threads:
            thread.join()
        growth = []
        # A busy machine makes other batches, and those of a new size take memory once: what leaks grows in every round.
        while not growth or (growth[-1] >= 10 and len(growth) < 4):
            before = memory(process)
            threads, statuses = clients(port, 32, 60)
            for thread in threads:
                thread.join()
            assert statuses == [200] * 32 * 60
            growth.append(memory(process) - before)
        assert growth[-1] < 10, growth
        threads, statuses = clients(port, 32, 30)
        time.sleep(0.5)
        process.kill()
        for thread in threads:
            thread.join()
        assert set(statuses) <= {200, None}
    finally:
        process.kill()
        process.communicate()
    process, port = begin(clinic)
    try:
        threads, statuses = clients(port, 8, 40)
        while len(statuses) < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "")
        assert "Traceback" not in err
        assert statuses.count(200) >= 20
        assert set(statuses) <= {200, None}
    finally:
        process.kill()


def test_a_newer_run_answers_and_what_waits_is_answered_by_the_former(clinic, tmp_path):
    shutil.copytree(clinic / "runs", tmp_path / "runs", symlinks=True)
    metrics = Metrics()
    model = ServedModel("clinic", "clinic", tmp_path / "runs", Limits(), metrics)

    async def test():
        assert not await model.reload()
        shutil.copytree(tmp_path / "runs/clinic/1", tmp_path / "runs/clinic/2")
        before = asyncio.create_task(model.predict([ROW] * 50))
        await asyncio.sleep(0)
        assert await model.reload()
        assert model.version == "2"
        after = await model.predict([ROW])
        assert (await before)[0].result.status[0] == after[0].result.status[0]
        await model.close()

    asyncio.run(test())
    assert 'mmtrain_model_info{model="clinic",run="2"} 1' in metrics.text()
    assert 'run="1"' not in metrics.text()
    assert runs.find("clinic", tmp_path / "runs").folder.name == "2"


def test_an_explanation_adds_up(served):
    status, answer = served.json("POST", "/models/clinic/explain?target=y", ROW)
    assert (status, answer["target"], len(answer["columns"])) == (200, "y", 8)
    total = sum(column["attribution"] for column in answer["columns"])
    assert total == pytest.approx(answer["output"] - answer["baseline_output"], rel=0.02, abs=1e-3)
    assert [column["column"] for column in answer["columns"] if column["missing"]] == ["scan"]
    words = next(column["words"] for column in answer["columns"] if column["column"] == "note")
    assert [word for word, _ in words] == ["word0", "of", "all"]
    status, answer = served.json("POST", "/explain", ROW | {"age": ""})
    assert (status, answer["error"]) == (
        422,
        "the row cannot be predicted: age: the cell is empty; scan: masked, the cell is empty. Mend it.",
    )
