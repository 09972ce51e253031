"""Is fusion better than its best single input? Trains an experiment whole and with each branch alone, over several seeds.

    python benchmarks/single_inputs.py [--quick] [--json FILE]        (on configs/emoji.yaml: about seven minutes)
    python benchmarks/single_inputs.py CONFIG auc --part validation --seeds 5 --output runs/single_inputs

Prints a line per training, then the mean score of each; it is an error if one branch alone is as good as all. The part that is scored
is the test part, or another one that leaves it alone. With `--output` the runs are kept.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

import yaml
from script import keep, parser

from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit

EMOJI = Path(__file__).parents[1] / "configs" / "emoji.yaml"


def variants(config: Path) -> dict[str, dict[str, Any]]:
    """The experiment whole, and with each branch alone; its paths are made absolute, as the variants are written elsewhere."""
    tree = yaml.safe_load(config.read_text(encoding="utf-8"))
    for key in ("table", "images"):
        if key in tree["data"]:
            tree["data"][key] = str((config.parent / tree["data"][key]).resolve())
    return {"all": tree, **{name: alone(tree, name) for name in tree["branches"]}}


def alone(tree: dict[str, Any], branch: str) -> dict[str, Any]:
    """The experiment with one branch only, and without the columns that only other branches read."""
    inputs = {key for other in tree["branches"].values() for key in other["columns"]}
    kept = tree["branches"][branch]
    columns = {key: column for key, column in tree["columns"].items() if key not in inputs or key in kept["columns"]}
    # Both options need several branches, and are refused for one.
    fusion = {name: value for name, value in tree.get("fusion", {}).items() if name not in ("auxiliary", "modality_dropout")}
    return {**tree, "columns": columns, "branches": {branch: kept}, "fusion": fusion}


def scored(tree: dict[str, Any], overrides: list[str], part: str, output: Path) -> dict[str, float | None]:
    """The scores of one training on a part."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "experiment.yaml"
        path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
        run = fit(path, overrides=overrides, output=output).run
    results = evaluate(str(run.folder), EvaluateOptions(part=part), output=output).targets
    return {name: score.value for target in results.values() for name, score in target.scores.items()}


def train_all(trees: dict[str, dict[str, Any]], options: argparse.Namespace, output: Path) -> dict[str, list[float]]:
    """The score that `options` ask for of every variant, for each seed."""
    found: dict[str, list[float]] = {name: [] for name in trees}
    for seed in range(1 if options.quick else options.seeds):
        for name, tree in trees.items():
            begun = time.perf_counter()
            overrides = [f"name={name}", f"training.seed={seed}"]
            overrides += [f"split.seed={seed}"] if options.split_seeds else []
            overrides += ["training.epochs=1"] if options.quick else []
            found[name].append(scored(tree, overrides, options.part, output)[options.score] or 0.0)
            seconds = time.perf_counter() - begun
            print(f"seed {seed}  {name}: {options.part} {options.score} {found[name][-1]:.3f}  {seconds:.0f} s", flush=True)
    return found


def main() -> None:
    asked = parser(__doc__, quick="One epoch with one seed, to see that it runs, whatever comes of it.")
    asked.add_argument("config", type=Path, nargs="?", default=EMOJI)
    asked.add_argument("score", nargs="?", default="accuracy")
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--part", default="test")
    asked.add_argument("--split-seeds", action="store_true", help="Another split for every seed, too.")
    asked.add_argument("--output", type=Path, help="Where the runs are kept; without it they are not.")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = train_all(variants(options.config), options, options.output or Path(folder))
    means = {name: mean(values) for name, values in found.items()}
    print()
    for name, values in found.items():
        print(f"{name}: mean {options.part} {options.score} {means[name]:.3f} of {len(values)} seeds")
    settings = {"experiment": options.config.name, "score": options.score, "part": options.part, "split_seeds": options.split_seeds}
    keep(options, settings, {name: {"mean": round(means[name], 4), "seeds": values} for name, values in found.items()})
    if not options.quick and means.pop("all") <= max(means.values()):
        raise SystemExit("One input alone is as good as all together.")


if __name__ == "__main__":
    main()
