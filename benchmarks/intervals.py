"""The intervals of all scores of a part: drawn all at once, beside scoring the drawn rows one draw after the other.

    python benchmarks/intervals.py [--quick] [--json FILE]        (about two minutes)

Every way has the same draws of the same 2,000 rows, simulated; the one by one is timed on a twentieth of them. Peak memory is that of
the process, libraries included.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.targets.base import FittedTarget
from mmtrain.targets.binary import FittedBinary
from mmtrain.targets.multiclass import FittedMulticlass
from mmtrain.targets.multilabel import FittedMultilabel
from mmtrain.targets.regression import FittedRegression

NAMES = tuple("abcdefg")
SLOWER = 20
"""The way of one draw after the other gets this part of the draws."""


def tasks(rows: int) -> dict[str, tuple[FittedTarget, np.ndarray, np.ndarray]]:
    """A target of each task with answers and predictions; seven classes or labels."""
    random = np.random.default_rng(0)
    many, ones = len(NAMES), (1,) * len(NAMES)
    chance = random.random((rows, many)).astype("float32")
    number = random.normal(size=rows)
    common = {"column": "y", "loss_weight": 1}
    return {
        "binary": (
            FittedBinary(**common, classes=("no", "yes"), counts=(1, 1), weights=(1, 1)),
            (random.random(rows) < chance[:, 0]).astype(int),
            chance[:, :1],
        ),
        "multiclass": (
            FittedMulticlass(**common, classes=NAMES, counts=ones, weights=ones, label_smoothing=0),
            random.integers(0, many, rows),
            chance / chance.sum(axis=1, keepdims=True).clip(1e-9),
        ),
        "multilabel": (
            FittedMultilabel(**common, labels=NAMES, one_column_each=False, separator=";", rows=1, counts=ones, weights=ones),
            (random.random((rows, many)) < chance).astype(int),
            chance,
        ),
        "regression": (
            FittedRegression(**common, center=0, scale=1, minimum=0, maximum=1, error="squared"),
            number,
            (number + random.normal(size=rows))[:, np.newaxis],
        ),
    }


def timed(bootstrap: Bootstrap, target: FittedTarget, truth: np.ndarray, prediction: np.ndarray, resampled: object) -> tuple[float, int]:
    """Seconds, and how many scores there are."""
    begun = time.perf_counter()
    found: list[int] = []

    def drawn(counts: np.ndarray) -> np.ndarray:
        values = resampled(target, truth, prediction, counts)
        found.append(len(values))
        return next(iter(values.values()))

    bootstrap.of(drawn)
    return time.perf_counter() - begun, found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="A tenth of the draws.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows, draws = 2000, 100 if options.quick else 1000
    results: dict[str, dict[str, float]] = {}
    for name, (target, truth, prediction) in tasks(rows).items():
        at_once, one_by_one = (
            Bootstrap(rows, groups=None, draws=most, confidence=0.95, seed=0) for most in (draws, max(1, draws // SLOWER))
        )
        seconds, scores = timed(at_once, target, truth, prediction, type(target).resampled)
        slower = SLOWER * timed(one_by_one, target, truth, prediction, FittedTarget.resampled)[0]
        results[name] = {
            "scores": scores,
            "seconds": round(seconds, 3),
            "one_by_one": round(slower, 3),
            "times": round(slower / seconds, 1),
        }
        print(f"{name:12} {scores:3} scores  {seconds:6.2f} s  one by one {slower:7.2f} s  {slower / seconds:5.1f} times")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory {peak} MiB")
    if options.json:
        settings = {"rows": rows, "draws": draws}
        document = {"name": "intervals", "settings": settings, "results": {**results, "peak_MiB": peak}}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
