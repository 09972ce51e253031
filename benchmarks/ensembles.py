"""What an ensemble of folds gains over one of its trainings, and what of it one distilled network keeps, on outer test rows.

    python benchmarks/ensembles.py [--quick] [--json FILE]        (the clinic sample: about four minutes on two cores)
    python benchmarks/ensembles.py CONFIG accuracy --set training.epochs=6 --students out_of_fold,mean,none

Trains the folds of an experiment, then students on the rows of all folds: with out-of-fold predictions of the teacher, with the mean of
its trainings, and with the answers alone (`none`: its teacher has a millionth of the loss). Prints the mean score of the single trainings,
that of the ensemble, and those of the students, each with its difference from the single trainings and a 95 % interval of the same
bootstrap draws of test rows or groups: rows, not trainings, are drawn. `kept` is a student's share of the gain of the ensemble.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from script import keep, parser

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.distill import DistillOptions, distill
from mmtrain.commands.fit import fit
from mmtrain.data import encode
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.pipeline.distillation.teacher import Soft
from mmtrain.pipeline.groups.ensemble import predict_rows
from mmtrain.pipeline.prepare import groups
from mmtrain.pipeline.restore import restore_group, restore_plan, restore_training

CLINIC = Path(__file__).parents[1] / "configs" / "scan_and_demographics.yaml"
STUDENTS: dict[str, tuple[Soft, float | None]] = {
    "out_of_fold": ("out_of_fold", None),
    "mean": ("mean", None),
    "none": ("out_of_fold", 1e-6),
}
"""By name: the predictions of training rows, and the weight of the teacher; None for that of the options."""


class OuterTest:
    """The outer test rows of a group, and every score on the same bootstrap draws of them."""

    def __init__(self, group: Run) -> None:
        self.experiment, self.labels, _ = restore_group(group)
        self.data, plan = restore_plan(group, self.experiment)
        self.rows = plan.test
        key, target = next(iter(self.labels.targets.items()))
        self.key, self.target = key, target
        truths = encode.encode_targets(self.experiment.columns, self.labels, self.data.table)[0][key][self.rows]
        codes = groups(self.experiment.columns, self.data.table)
        mean, members = predict_rows(group, self.labels, self.data, self.rows, lambda _: None, own_table=True)
        rows = EvalSet.of(target, truths, mean[key], None if codes is None else codes[self.rows])
        self.known = target.known_rows(truths)
        self.ensemble = rows.resample(self.experiment.evaluation)
        self.members = [self.scored(one.predictions[key]) for one in members]

    def scored(self, prediction: np.ndarray[Any, Any]) -> BootstrapScores:
        """Scores of a prediction of the test rows."""
        return self.ensemble.of(self.target, prediction[self.known])

    def student(self, run: Run) -> BootstrapScores:
        """Scores of a student."""
        fitted = restore_training(run)[1]
        return self.scored(predict_rows(run, fitted, self.data, self.rows, lambda _: None, own_table=True)[0][self.key])


def compared(name: str, score: str, one: BootstrapScores, singles: list[BootstrapScores], gain: float) -> dict[str, float]:
    """Print and return the score of a predictor, and its difference from the mean single training."""
    single, value = (_mean(score, each) for each in (singles, [one]))
    draws = one.draws[score] - np.mean([each.draws[score] for each in singles], axis=0)
    low, high = np.nanquantile(draws, [0.025, 0.975])
    difference = value - single
    kept = f"  kept {100 * difference / gain:.0f} %" if gain else ""
    print(f"  {name:24} {score} {value:.4f}  {difference:+.4f} ({low:+.4f} to {high:+.4f}){kept}", flush=True)
    return {"value": value, "difference": difference, "low": float(low), "high": float(high)}


def _mean(score: str, each: list[BootstrapScores]) -> float:
    return float(np.mean([one.scores[score].value or 0.0 for one in each]))


def measure(path: Path, options: argparse.Namespace, output: Path) -> dict[str, Mapping[str, float]]:
    """Train the group and its students, and compare them."""
    overrides = [*options.set, f"split.folds={options.folds}", f"split.test={options.test}", "split.validation=0.15"]
    overrides += ["training.epochs=1"] if options.quick else []
    begun = time.process_time()
    group = fit(path, overrides=overrides, output=output).run
    print(f"{group}: {options.folds} folds in {time.process_time() - begun:.0f} s of processor time", flush=True)
    outer = OuterTest(group)
    students = {}
    for name in options.students.split(","):
        soft, weight = STUDENTS[name]
        begun = time.process_time()
        taught = DistillOptions(f"{group.folder.parent.name}-{name}", (), weight or options.weight, options.temperature, soft)
        run = distill(str(group.folder), taught, output=output).run
        print(f"{run}: {time.process_time() - begun:.0f} s", flush=True)
        students[name] = outer.student(run)
    results: dict[str, Mapping[str, float]] = {}
    for score in [one for one in (options.score, "log_loss") if one in outer.ensemble.scores]:
        single = _mean(score, outer.members)
        gain = _mean(score, [outer.ensemble]) - single
        print(f"{score}, {len(outer.ensemble.rows)} test rows; mean single training {single:.4f}", flush=True)
        results[f"ensemble {score}"] = compared("ensemble", score, outer.ensemble, outer.members, 0.0)
        for name, one in students.items():
            results[f"{name} {score}"] = compared(f"student, {name}", score, one, outer.members, gain)
    return results


def main() -> None:
    asked = parser(__doc__, quick="One epoch, to see that it runs, whatever comes of it.")
    asked.add_argument("config", type=Path, nargs="?", default=CLINIC)
    asked.add_argument("score", nargs="?", default="auc")
    asked.add_argument("--folds", type=int, default=5)
    asked.add_argument("--test", type=float, default=0.25)
    asked.add_argument("--weight", type=float, default=DistillOptions.weight)
    asked.add_argument("--temperature", type=float, default=DistillOptions.temperature)
    asked.add_argument("--students", default="out_of_fold,mean,none", help="Names, with commas.")
    asked.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="Override a value of the experiment.")
    asked.add_argument("--output", type=Path, help="Where the runs are kept; without it they are not.")
    options = asked.parse_args()
    config.load(options.config, options.set)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(options.config, options, options.output or Path(folder))
    settings = {"config": options.config.name, "weight": options.weight, "temperature": options.temperature, "set": options.set}
    keep(options, settings, results)


if __name__ == "__main__":
    main()
