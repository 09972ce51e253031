"""The intervals of all scores of a part: drawn all at once, beside scoring the drawn rows one draw after the other.

    python benchmarks/intervals.py [--quick] [--json FILE]        (about two minutes)
    python benchmarks/intervals.py --folds [--quick] [--json FILE]        (about two minutes)

With --folds, the coverage of the intervals of cross-validation on simulated tables (see `fold_coverage.py`) instead.

Every way has the same draws of the same 2,000 rows, simulated; the one by one is timed on a twentieth of them. Peak memory is that of
the process, libraries included.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from fold_coverage import coverage
from script import keep, parser

from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.metrics.bootstrap_counts import Counts, Values
from mmtrain.targets.fitted_target import FittedTarget
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.regression import FittedRegression

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


def timed(bootstrap: Bootstrap, resampled: Callable[[Counts], dict[str, Values]]) -> tuple[float, int]:
    """Seconds, and how many scores there are."""
    begun = time.perf_counter()
    found: list[int] = []

    def drawn(counts: Counts) -> Values:
        values = resampled(counts)
        found.append(len(values))
        return next(iter(values.values()))

    bootstrap.of(drawn)
    return time.perf_counter() - begun, found[0]


FOLDS = {(5, 1): 400, (3, 1): 200, (10, 1): 200, (2, 1): 100, (5, 4): 60}
"""Number of simulated tables by folds and repeats."""


def of_folds(options: argparse.Namespace) -> None:
    """Print and keep the coverage of each method and score."""
    draws, results = 200, {}
    for (folds, repeats), tables in FOLDS.items():
        found = coverage(folds, repeats, tables // 10 if options.quick else tables, draws)
        results[f"{folds} folds, {repeats} repeats"] = found
        print(f"{folds} folds, {repeats} repeats: coverage of 95 % intervals (with groups, without), and half of their width", flush=True)
        for method, scores in found.items():
            for name, one in scores.items():
                share = f"{one['all']:.3f} ({one['with_groups']:.3f}, {one['without']:.3f})"
                print(f"  {method:14} {name:9} {share}  {one['half_width']:.3f}  {one['tables']} tables")
    keep(options, {"draws": draws}, results)


def main() -> None:
    arguments = parser(__doc__, quick="A tenth of the draws, or of the tables.")
    arguments.add_argument("--folds", action="store_true", help="The intervals of cross-validation.")
    options = arguments.parse_args()
    if options.folds:
        of_folds(options)
        return
    rows, draws = 2000, 100 if options.quick else 1000
    results: dict[str, dict[str, float]] = {}
    for name, (target, truth, prediction) in tasks(rows).items():
        at_once, one_by_one = (Bootstrap(rows, groups=None, draws=most, confidence=0.95, seed=0) for most in (draws, draws // SLOWER))
        seconds, scores = timed(at_once, target.scorer(truth, prediction))
        slower = SLOWER * timed(one_by_one, FittedTarget.scorer(target, truth, prediction))[0]
        results[name] = {
            "scores": scores,
            "seconds": round(seconds, 3),
            "one_by_one": round(slower, 3),
            "times": round(slower / seconds, 1),
        }
        print(f"{name:12} {scores:3} scores  {seconds:6.2f} s  one by one {slower:7.2f} s  {slower / seconds:5.1f} times")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory {peak} MiB")
    keep(options, {"rows": rows, "draws": draws}, {**results, "peak_MiB": peak})


if __name__ == "__main__":
    main()
