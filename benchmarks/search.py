"""What a search gains on rows that it has not seen: trials on one validation part, and on several folds (`tune.folds`).

For each of several splits of the clinic table (without its images, so that a trial takes a second), half of the rows are test rows. The
experiment as it is, the best of a search whose trials are scored on the validation rows, and the best of one whose trials are scored on
folds of all rows that learn and validate are each trained with two seeds, and scored on the test rows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
from script import keep, parser

import mmtrain
from mmtrain.commands.fit import fit
from mmtrain.commands.tune import Limits, tune
from mmtrain.config.in_memory import InMemory
from mmtrain.data.splits.split_file import read_split

TABLE = Path(__file__).parents[1] / "sample_data/clinic/patients.csv"
SEEDS = (0, 1)
WAYS: dict[str, tuple[str, ...]] = {"one validation part": (), "3 folds": ("tune.folds=3",)}


def experiment(split: int) -> dict[str, Any]:
    return {
        "name": "search",
        "data": {"table": str(TABLE)},
        "columns": {
            "age": {"role": "numeric"},
            "lesion_mm": {"role": "numeric"},
            "sex": {"role": "categorical"},
            "site": {"role": "categorical"},
            "smoker": {"role": "categorical"},
            "patient": {"role": "group"},
            "diagnosis": {"role": "target", "task": "binary", "positive": "malignant"},
        },
        "branches": {"table": {"columns": ["age", "lesion_mm", "sex", "site", "smoker"], "architecture": "mlp", "units": [16]}},
        "fusion": {"units": []},
        "split": {"method": "stratified", "validation": 0.2, "test": 0.5, "seed": split},
        "training": {
            **{"epochs": 12, "batch_size": 16, "learning_rate": 0.003, "schedule": "cosine", "jit": "off", "steps_per_call": 4},
            "early_stopping": {"monitor": "validation_auc"},
        },
    }


def test_scores(source: Path | InMemory, folder: Path) -> float:
    """The mean AUC of the test rows over `SEEDS`."""
    table, values = pd.read_csv(TABLE, dtype=str), []
    for seed in SEEDS:
        run = fit(source, overrides=[f"training.seed={seed}"], output=folder).run
        test = read_split(run / "split.csv").plan.holdout.test
        rows = table.iloc[test].reset_index(drop=True)
        predicted = mmtrain.load(str(run.folder)).predict(rows, proba=True)["probability_malignant"].astype(float)
        ranks, positive = predicted.rank(), (rows["diagnosis"] == "malignant").to_numpy()
        count = int(positive.sum())
        values.append(float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(rows) - count))))
    return mean(values)


def compare(split: int, trials: int, ways: Sequence[str]) -> dict[str, dict[str, float]]:
    """The scores of one split, by the way in which its trials are scored."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        source = InMemory(experiment(split), Path("search.yaml").resolve())
        rows["the file"] = {"test": test_scores(source, Path(folder))}
        for way in ways:
            overrides = WAYS[way]
            begun = time.process_time()
            found = tune(source, overrides=overrides, output=Path(folder), limits=Limits(trials=trials))
            rows[way] = {
                "own": found.own_score or 0.0,
                "best": found.best.score or 0.0,
                "corrected": found.corrected.value if found.corrected is not None else float("nan"),
                # The rule of `--preset best`, which else trains the file.
                "confirmed": found.best.own or found.corrected is None or found.corrected.improves,
                "cpu_s": time.process_time() - begun,
                "test": test_scores(found.experiment, Path(folder)),
            }
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__, quick="One split, 8 trials.")
    options.add_argument("--splits", type=int, default=4)
    options.add_argument("--trials", type=int, default=20)
    options.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="How trials are scored.")
    given = options.parse_args(arguments)
    splits, trials = (1, 8) if given.quick else (given.splits, given.trials)
    results = []
    print(f"{'split':6}{'trials scored on':22}{'own':>8}{'best':>8}{'corrected':>11}{'test':>8}{'gain':>8}{'CPU s':>7}")
    for split in range(splits):
        rows = compare(split, trials, given.ways)
        own = rows["the file"]["test"]
        for way, row in rows.items():
            cells = "".join(f"{row[name]:{width}.3f}" if name in row else " " * width for name, width in COLUMNS)
            doubt = "" if row.get("confirmed", True) else "  not confirmed"
            ending = f"{row['test']:8.3f}{row['test'] - own:+8.3f}{row.get('cpu_s', 0.0):7.0f}{doubt}"
            print(f"{split:<6}{way:22}{cells}{ending}", flush=True)
            results.append({"split": split, "way": way, **row, "gain": row["test"] - own})
    for way in given.ways:
        gains = [float(str(one["gain"])) for one in results if one["way"] == way]
        print(f"{way}: mean gain on test rows {mean(gains):+.4f}; not worse in {sum(gain >= 0 for gain in gains)} of {splits} splits")
    keep(given, {"splits": splits, "trials": trials, "seeds": len(SEEDS)}, results)
    return 0


COLUMNS = (("own", 8), ("best", 8), ("corrected", 11))


if __name__ == "__main__":
    sys.exit(main())
