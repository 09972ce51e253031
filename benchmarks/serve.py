"""How fast `mmtrain serve` answers on a table of numbers, categories and texts, next to `predict`.

    python benchmarks/serve.py [--quick] [--fuzz N] [--json FILE]        (three minutes on two cores)

A run of two numbers, two categories and a text of twelve words is trained for one epoch and served in a process of its own, at a port of
the loopback interface; the clients are connections of one event loop (`http_load.py`), which shares its cores. It reports: one client with
single rows; 32 clients with single rows, which are the full load, and with 64 rows a request, next to what `predict` of a frame with as
many rows does in this process; requests at random times at half the rate of the full load; a minute of full load with the memory before
and after; and that a killed and restarted server answers again.

The latency at half load is compared with that of a single client in three turns of both, and of the turns the least ratio counts: work of
others makes it worse and never better.

`--fuzz N` sends N requests with something wrong in them instead, to a run with an image. It fails if one has a 5xx other than a busy
server's, takes more than half a minute, or has the name of a folder in its answer.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fuzzed_requests import Requests, image_file
from http_load import Load, closed_load, open_load, post
from script import keep, parser

CLIENTS = 32
FULL = f"{CLIENTS} clients, 1 row"
BATCH = 64
TURNS = 3
WORDS = np.array([f"word{number}" for number in range(2000)])
EXPERIMENT = """
name: served
data: {table: table.csv}
columns:
  age: {role: numeric}
  dose: {role: numeric}
  city: {role: categorical}
  ward: {role: categorical}
  note: {role: text}
  ill: {role: target, task: binary}
split: {method: random, seed: 1}
training: {epochs: 1, batch_size: 128}
evaluation: {calibration: temperature}
"""

IMAGE_EXPERIMENT = """
name: served
data: {table: table.csv, images: scans}
columns:
  age: {role: numeric}
  city: {role: categorical}
  note: {role: text}
  scan: {role: image, size: [8, 8], missing: mask}
  ill: {role: target, task: binary}
branches:
  scan: {columns: [scan], architecture: cnn, filters: [4]}
  rest: {columns: [age, city, note]}
training: {epochs: 1}
evaluation: {calibration: temperature}
"""
HANG_SECONDS = 40
"""The server answers within 30 s, if only that it is busy."""


def write_run(folder: Path) -> pd.DataFrame:
    """Train the run, and return its table."""
    random = np.random.default_rng(0)
    rows = 4000
    table = pd.DataFrame(
        {
            "age": random.integers(20, 90, rows),
            "dose": random.normal(size=rows).round(3),
            "city": random.choice(["ulm", "bonn", "trier", "kiel"], rows),
            "ward": random.choice([f"w{number}" for number in range(30)], rows),
            "note": [" ".join(random.choice(WORDS, 12)) for _ in range(rows)],
            "ill": random.choice(["yes", "no"], rows),
        }
    )
    table.to_csv(folder / "table.csv", index=False)
    (folder / "served.yaml").write_text(EXPERIMENT, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "mmtrain", "fit", "served.yaml", "--quiet"], cwd=folder, check=True)
    return table


def write_image_run(folder: Path) -> dict[str, Any]:
    """Train a run of a number, a category, a text and an image for the fuzzed requests, and return a row of it."""
    (folder / "scans").mkdir()
    for number in range(20):
        (folder / "scans" / f"{number}.png").write_bytes(image_file("PNG", 8 + number))
    rows = [
        {
            "age": 20 + row % 50,
            "city": ("ulm", "bonn")[row % 2],
            "note": f"word{row % 7} of all",
            "scan": f"{row % 20}.png",
            "ill": "yn"[row % 2],
        }
        for row in range(200)
    ]
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    (folder / "served.yaml").write_text(IMAGE_EXPERIMENT, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "mmtrain", "fit", "served.yaml", "--quiet"], cwd=folder, check=True)
    return {"age": 40, "city": "ulm", "note": "word1 of all", "scan": base64.b64encode(image_file("PNG")).decode()}


def fuzz(folder: Path, count: int) -> dict[str, Any]:
    """Send requests with something wrong in them; return how many had each status, and the longest answer. Raises SystemExit."""
    requests, server = iter(Requests("served", write_image_run(folder), "scan", seed=0)), Server(folder)
    statuses: Counter[int] = Counter()
    longest, before = 0.0, server.memory()
    for number in range(count):
        request = next(requests)
        connection, begun = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_SECONDS), time.perf_counter()
        try:
            # `http.client` refuses what it would not send itself.
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (ValueError, http.client.InvalidURL):
            continue
        except OSError as error:
            raise SystemExit(f"Request {number}: {error!r}\n{request}") from error
        finally:
            connection.close()
        longest = max(longest, time.perf_counter() - begun)
        statuses[answer.status] += 1
        told_path = str(folder) in text or str(Path(__file__).parents[1]) in text or "Traceback" in text
        if told_path or (answer.status >= 500 and answer.status != 503):
            raise SystemExit(f"Request {number}: {answer.status} {text[:500]}\n{request}")
    memory = {"before": round(before, 1), "after": round(server.memory(), 1)}
    return {"statuses": dict(statuses), "longest_s": round(longest, 2), "memory_MB": memory, "exit code": server.end(signal.SIGTERM)}


class Server:
    """The command in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "mmtrain", "serve", "served", "--port", "0", "--quiet"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)  # noqa: S603 (our own command)
        assert self.process.stdout is not None  # noqa: S101
        self.port = int(self.process.stdout.readline().rstrip("/\n").rpartition(":")[2])

    def memory(self) -> float:
        """Anonymous memory in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000

    def processor(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def figures(load: Load, rows: int, processor: float) -> dict[str, float]:
    """Return the figures of a load of requests with `rows` rows each."""
    requests = len(load.latencies)
    return {
        "rows_per_second": round(requests * rows / load.seconds, 1),
        "p50_ms": round(float(np.median(load.latencies)) * 1000, 2),
        "p99_ms": round(float(np.quantile(load.latencies, 0.99)) * 1000, 2),
        "server_processor_ms_per_row": round(processor / (requests * rows) * 1000, 3),
        "failed": load.failed,
    }


def predicted(folder: Path, table: pd.DataFrame, rows: int, seconds: float) -> dict[str, float]:
    """Rows per second of `predict` with frames of as many rows."""
    import mmtrain

    run = mmtrain.load("served", output=folder / "runs")
    frame = table.iloc[:rows]
    run.predict(frame, proba=True)
    begun, used, turns = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begun < seconds:
        run.predict(frame, proba=True)
        turns += 1
    took = time.perf_counter() - begun
    return {
        "rows_per_second": round(turns * rows / took, 1),
        "processor_ms_per_row": round((time.process_time() - used) / (turns * rows) * 1000, 3),
    }


def measure(folder: Path, seconds: float, long: float) -> dict[str, Any]:
    """All figures."""
    table = write_run(folder)
    rows = table.drop(columns="ill").to_dict("records")
    single = [post("/predict", json.dumps({"rows": [row]}).encode()) for row in rows]
    several = [post("/predict", json.dumps({"rows": rows[at : at + BATCH]}).encode()) for at in range(0, len(rows) - BATCH, BATCH)]
    server = Server(folder)
    results: dict[str, Any] = {}

    def run(name: str, size: int, load: Callable[[], Load]) -> dict[str, float]:
        used = server.processor()
        results[name] = figures(load(), size, server.processor() - used)
        return dict(results[name])

    closed_load(server.port, single, clients=4, seconds=2)  # what is made first is not measured
    turns = []
    for _ in range(TURNS):
        alone = run("1 client, 1 row", 1, lambda: closed_load(server.port, single, clients=1, seconds=seconds / TURNS))
        full = run(FULL, 1, lambda: closed_load(server.port, single, clients=CLIENTS, seconds=seconds / TURNS))
        rate = full["rows_per_second"] / 2
        half = run("half load, 1 row", 1, lambda rate=rate: open_load(server.port, single, rate=rate, seconds=seconds / TURNS))  # type: ignore[misc]
        turns.append(round(half["p99_ms"] / alone["p50_ms"], 2))
    run(f"{CLIENTS} clients, {BATCH} rows", BATCH, lambda: closed_load(server.port, several, clients=CLIENTS, seconds=seconds))
    before = server.memory()
    run("long load, 1 row", 1, lambda: closed_load(server.port, single, clients=CLIENTS, seconds=long))
    results["memory_MB"] = {"before": round(before, 1), "after": round(server.memory(), 1)}
    server.end(signal.SIGKILL)
    begun = time.perf_counter()
    server = Server(folder)
    failed = closed_load(server.port, single, clients=CLIENTS, seconds=2).failed
    results["restart"] = {"seconds": round(time.perf_counter() - begun - 2, 1), "failed": failed}
    results["exit code after SIGTERM"] = server.end(signal.SIGTERM)
    for size in (1, BATCH):
        results[f"predict, {size} rows"] = predicted(folder, table, size, seconds / 2)
    results["p99 at half load / p50 of a single client"] = {"least": min(turns), "turns": turns}
    many = results[f"{CLIENTS} clients, {BATCH} rows"]["rows_per_second"]
    results[f"served / predict, {BATCH} rows"] = round(many / results[f"predict, {BATCH} rows"]["rows_per_second"], 2)
    results["load average"] = os.getloadavg()[0]
    return results


def main() -> None:
    asked = parser(__doc__, quick="loads of two seconds.")
    asked.add_argument("--fuzz", type=int, metavar="N", help="Send N requests with something wrong in them instead.")
    options = asked.parse_args()
    seconds, long = (2.0, 4.0) if options.quick else (10.0, 60.0)
    with tempfile.TemporaryDirectory(prefix="serve_") as name:
        results = fuzz(Path(name), options.fuzz) if options.fuzz else measure(Path(name), seconds, long)
    print(json.dumps(results, indent=1))
    keep(options, {"seconds": seconds, "clients": CLIENTS}, results)


if __name__ == "__main__":
    main()
