"""Is fusion better than its best single input? Trains an experiment whole and with each branch alone, over several seeds.

    python benchmarks/single_inputs.py configs/emoji.yaml accuracy --seeds 3 --output runs/single_inputs

Prints a line per training, then the mean test score of each. `--part validation` leaves the test part alone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from mmtrain.workflows.evaluate import EvaluateOptions, evaluate
from mmtrain.workflows.fit import fit


def alone(tree: dict[str, Any], branch: str) -> dict[str, Any]:
    """The experiment with one branch only, and without the columns that only other branches read."""
    inputs = {key for other in tree["branches"].values() for key in other["columns"]}
    kept = tree["branches"][branch]
    columns = {key: column for key, column in tree["columns"].items() if key not in inputs or key in kept["columns"]}
    return {**tree, "columns": columns, "branches": {branch: kept}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("score")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", default="test")
    parser.add_argument("--output", type=Path, default=Path("runs/single_inputs"))
    parser.add_argument("--split-seeds", action="store_true", help="Another split for every seed, too.")
    options = parser.parse_args()
    tree = yaml.safe_load(options.config.read_text(encoding="utf-8"))
    for key in ("table", "images"):  # the variants are written elsewhere
        if key in tree["data"]:
            tree["data"][key] = str((options.config.parent / tree["data"][key]).resolve())
    variants = {"all": tree, **{name: alone(tree, name) for name in tree["branches"]}}
    found: dict[str, list[float]] = {name: [] for name in variants}
    for seed in range(options.seeds):
        for name, variant in variants.items():
            begun = time.perf_counter()
            overrides = [f"name={name}", f"training.seed={seed}", *([f"split.seed={seed}"] if options.split_seeds else [])]
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "experiment.yaml"
                path.write_text(yaml.safe_dump(variant, sort_keys=False), encoding="utf-8")
                run = fit(path, overrides=overrides, output=options.output).run
            result = evaluate(str(run.folder), EvaluateOptions(part=options.part), output=options.output).results
            scores = {score.name: score.value for target in result.values() for score in target.scores}
            found[name].append(float(scores[options.score] or 0.0))
            print(
                f"seed {seed}  {name}: {options.part} {options.score} {found[name][-1]:.3f}  {time.perf_counter() - begun:.0f} s",
                flush=True,
            )
    print()
    for name, values in found.items():
        print(f"{name}: mean {options.part} {options.score} {statistics.mean(values):.3f} of {len(values)} seeds")
    best = max(statistics.mean(values) for name, values in found.items() if name != "all")
    sys.exit(statistics.mean(found["all"]) <= best)


if __name__ == "__main__":
    main()
