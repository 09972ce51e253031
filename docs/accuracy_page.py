"""The page of the site on the accuracy of defaults, from the committed results of `benchmarks/accuracy.py`."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean

import mmtrain

RESULTS = Path(mmtrain.__file__).parents[1] / "benchmarks" / "results" / "accuracy.csv"
MODEL, RIVALS = "mmtrain", ("gradient_boosting", "linear")
MAIN = {"binary": "auc", "multiclass": "accuracy", "multilabel": "macro_auc", "regression": "r2"}
NEAR = 0.01
"""Relative distance from the better reference up to which a model counts as near."""
INTRODUCTION = """# How accurate the defaults are

`mmtrain init`, `fit` and `evaluate` without a change, next to scikit-learn's histogram gradient boosting and logistic or ridge regression
on the same rows. {count} sets, nearly all from Python packages; of each the newest results, a mean where there are several folds or seeds.
The model is within 1 % of the better reference on {near} of them, and ahead on {ahead}. Test rows of one fold are often a few hundred:
differences of a point are noise on most sets.

```sh
python benchmarks/accuracy.py --only wine --folds 1    # one set, one fold; without options every set, five folds: hours
```

Every training, references included, is a line of `benchmarks/results/accuracy.csv`. What was tried and did not help is in
`benchmarks/LOG.md`.
"""
HEADER = ("set", "rows", "columns", "score", "mmtrain", "boosting", "linear", "trainings", "CPU s each")


def page() -> str:
    """Return the page."""
    lines = list(_lines(_newest(_read())))
    near, ahead = (sum(line[-1][key] for line in lines) for key in (0, 1))
    text = INTRODUCTION.format(count=len(lines), near=near, ahead=ahead)
    table = [_row(HEADER), _row(["---"] * len(HEADER)), *(_row(line[:-1]) for line in lines)]
    return text + "\n" + "\n".join(table) + "\n"


def _read() -> list[dict[str, str]]:
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _newest(rows: Iterable[Mapping[str, str]]) -> dict[str, list[Mapping[str, str]]]:
    """By set, the trainings of the model under the last label that the set has, and all of its references."""
    sets: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    label: dict[str, str] = {}
    for row in rows:
        sets[row["data"]].append(row)
        if row["model"] == MODEL:
            label[row["data"]] = row["label"]
    return {
        name: [row for row in of_set if row["model"] != MODEL or row["label"] == label[name]]
        for name, of_set in sorted(sets.items())
        if name in label
    }


def _lines(sets: Mapping[str, Sequence[Mapping[str, str]]]) -> Iterable[tuple[object, ...]]:
    """The cells of a set, and at the end whether the model is near and ahead of the better reference."""
    for name, rows in sets.items():
        score = MAIN[rows[0]["task"]]
        ours = [row for row in rows if row["model"] == MODEL and row[score]]
        folds = {row["fold"] for row in ours}
        rivals = [[float(row[score]) for row in rows if row["model"] == rival and row["fold"] in folds and row[score]] for rival in RIVALS]
        if not ours or not any(rivals):
            continue
        value, best = mean(float(row[score]) for row in ours), max(mean(each) for each in rivals if each)
        cells = [f"{value:.3f}", *(f"{mean(each):.3f}" if each else "" for each in rivals)]
        cpu = mean(float(row["cpu_seconds"]) for row in ours)
        yield (
            *(name, f"{int(ours[0]['rows']):,}", ours[0]["columns"], score, *cells, len(ours), f"{cpu:.0f}"),
            (value >= best - NEAR * abs(best), value > best),
        )


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
