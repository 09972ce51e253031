"""How good is the model that mmtrain gives without thinking? `init`, `fit` and `evaluate` with defaults, next to references.

    make accuracy                                     (every set that ships in a package, five folds: many hours)
    python benchmarks/accuracy.py --quick             (one small set, one fold, two epochs: a smoke run)
    python benchmarks/accuracy.py --only wine,adult --folds 1 --seeds 3
    python benchmarks/accuracy.py --data FOLDER --no-packages --set fusion.method=gated --label gated

Sets, and the format of FOLDER: `accuracy_sets.py`. References: scikit-learn's histogram gradient boosting and logistic or ridge
regression, the majority class or the mean, and each branch of mmtrain's model trained alone, with the lead of the whole model over it:
the difference of the main score and its 95 % interval from paired bootstrap draws of test rows, of whole groups where rows
have groups; it holds for the trained networks, as other seeds are not drawn. Splits are those of a set, or five folds, grouped where rows
have groups and stratified by class; mmtrain gets them through a split column and takes its validation rows from the training rows.

Each training appends a line to the results (`--results`), with the commit; what the file has under the same label is not repeated, so that
a run that was stopped goes on, and references are not repeated at all. At the end every set has a line: mean and spread of its main
score, minutes, parameters.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import accuracy_references as references
import numpy as np
import yaml
from accuracy_sets import CACHE, ENTRIES, DataSet, UnavailableError, folder_sets
from script import keep, parser

from mmtrain.errors import MmtrainError
from mmtrain.metrics.score import Score

FOLDS, QUICK_SET = 5, "wine"
SPLIT = "split_of_benchmark"
MMTRAIN = "mmtrain"
RIVALS = ("gradient_boosting", "linear")
MAIN = {"binary": "auc", "multiclass": "accuracy", "multilabel": "macro_auc", "regression": "r2"}
SCORES = ("accuracy", "balanced_accuracy", "auc", "macro_auc", "macro_pr_auc", "log_loss", "r2", "rmse", "mae")
RESULTS = Path(__file__).parent / "results" / "accuracy.csv"
VALIDATION = 0.15
"""Share of the training rows, as `init` writes it."""
NEAR = 0.01
"""Relative distance from the better reference up to which a model counts as near."""
CHEAP = ("evaluation.permutations=0", "evaluation.draws=100")
"""What does not change a score and would only take time."""
ALONE = ("evaluation.baselines=[majority, single_branch]", "evaluation.draws=1000")
"""Each branch trained alone, and enough draws for the interval of a difference."""


@dataclass(frozen=True)
class Line:
    """One training and its scores on the test rows of one fold: a line of the results."""

    label: str
    commit: str
    date: str
    data: str
    task: str
    rows: int
    columns: int
    fold: int
    seed: int
    model: str
    scores: Mapping[str, float | None]
    seconds: float
    """Wall time of `fit`, without the start of TensorFlow; of a reference, with its preprocessing."""
    cpu_seconds: float
    parameters: int
    note: str = ""
    lead: str = ""
    """Of a branch alone: by how much the whole model is better in the main score, as `0.012 [0.003, 0.021]`."""

    def cells(self) -> dict[str, Any]:
        """Return the cells by header."""
        plain = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("scores", "lead")}
        scores = {name: "" if (value := self.scores.get(name)) is None else f"{value:.5f}" for name in SCORES}
        return {**plain, **scores, "seconds": f"{self.seconds:.1f}", "cpu_seconds": f"{self.cpu_seconds:.1f}", "lead": self.lead}


class Results:
    """The file of results: lines are appended as they come."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: list[dict[str, str]] = []
        if file.is_file():
            with file.open(encoding="utf-8", newline="") as text:
                self.lines = list(csv.DictReader(text))

    def has(self, label: str, data: str, fold: int, seed: int, model: str) -> bool:
        """True if the file has this training; the branches alone come with the whole model, and references with any label."""
        key = (data, str(fold), str(seed), model)
        lines = [line for line in self.lines if (line["data"], line["fold"], line["seed"], line["model"]) == key]
        return any(line["label"] == label or model in references.MODELS for line in lines)

    def comparable(self, label: str) -> list[dict[str, str]]:
        """Return the lines of a label, and for the same folds those of references, which no setting of mmtrain changes."""
        own = [line for line in self.lines if line["label"] == label]
        folds = {(line["data"], line["fold"]) for line in own}
        others = {(line["data"], line["fold"], line["model"]): line for line in self.lines if line["model"] in references.MODELS}
        known = {(line["data"], line["fold"], line["model"]) for line in own}
        return own + [line for key, line in others.items() if key[:2] in folds and key not in known]

    def add(self, line: Line) -> None:
        """Append a line at once, so that it is kept whatever comes next."""
        cells = {name: str(value) for name, value in line.cells().items()}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = not self.file.is_file()
        with self.file.open("a", encoding="utf-8", newline="") as text:
            writer = csv.DictWriter(text, list(cells), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(cells)
        self.lines.append(cells)


def commit() -> str:
    """Return the short hash of the commit, with a `+` where files differ from it."""
    here = Path(__file__).parent
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, check=False, capture_output=True, text=True)  # noqa: S607
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "../mmtrain"], cwd=here, check=False, capture_output=True)  # noqa: S607
    return found.stdout.strip() + ("+" if changed.returncode == 1 else "")


def folds(data: DataSet, task: str) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Return (train, test) positions: those of the set's own split, or five folds; validation rows of a set count as training rows here."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    if data.split is not None:
        test = data.split.str.lower().eq("test").to_numpy()
        return [(np.flatnonzero(~test), np.flatnonzero(test))]
    groups = data.rows[data.group].astype(str) if data.group else None
    classes = data.rows[data.target].astype(str) if task in ("binary", "multiclass") else None
    kinds = {(False, False): KFold, (True, False): StratifiedKFold, (False, True): GroupKFold, (True, True): StratifiedGroupKFold}
    kind = kinds[classes is not None, groups is not None](FOLDS, shuffle=True, random_state=0)
    return list(kind.split(data.rows, classes, groups))


def written_experiment(data: DataSet, test: np.ndarray[Any, Any], folder: Path) -> tuple[Path, str, str]:
    """Write the table with its split, and the experiment that `init` makes of it; return its path, the target and the task.

    The split, the task and the group of the set are set where `init` guessed something else.
    """
    from mmtrain.commands.init import init

    split = np.full(len(data.rows), "train", dtype=object)
    if data.split is not None:
        split[data.split.str.lower().isin(["validation", "val", "valid", "dev"]).to_numpy()] = "validation"
    split[test] = "test"
    if "validation" not in split and _scarce(data, split == "train"):
        train = np.flatnonzero(split == "train")
        split[np.random.default_rng(0).permutation(train)[: round(VALIDATION * len(train))]] = "validation"
    table, file = folder / f"{data.name}.csv", folder / f"{data.name}.yaml"
    data.rows.assign(**{SPLIT: split}).to_csv(table, index=False)
    init(table, target=data.target or None, images=data.images, file=file, force=True)
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    columns = tree["columns"]
    target = next(key for key, column in columns.items() if column["role"] == "target")
    if data.task and columns[target]["task"] != data.task:
        columns[target] = {"role": "target", "task": data.task}
    for key in [key for key, column in columns.items() if column["role"] in ("split", "group") and key not in (SPLIT, data.group)]:
        del columns[key]
    if data.group:
        columns[data.group] = {"role": "group"}
    columns[SPLIT] = {"role": "split"}
    tree["split"] = {"method": "column"} | ({} if "validation" in split else {"validation": VALIDATION})
    file.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return file, target, columns[target]["task"]


def _scarce(data: DataSet, train: np.ndarray[Any, Any]) -> bool:
    """True where some class has a single training row, so that no stratified split can divide it."""
    return data.task in ("binary", "multiclass") and int(data.rows[data.target][train].value_counts().min()) < 2


@dataclass(frozen=True)
class Trained:
    """A training of mmtrain: scores by model, the whole one first, its leads over each branch, and what it took."""

    scores: dict[str, dict[str, float | None]]
    leads: dict[str, str]
    seconds: float
    cpu_seconds: float
    parameters: int


def trained(file: Path, seed: int, options: argparse.Namespace, output: Path) -> Trained:
    """Train and evaluate an experiment, with each branch alone if there are several."""
    from mmtrain.commands.evaluate import EvaluateOptions, evaluate
    from mmtrain.commands.fit import fit
    from mmtrain.commands.fitting.training_listeners import Listeners
    from mmtrain.layers.start import start_tensorflow

    start_tensorflow()
    parameters: list[int] = []
    listeners = Listeners(announce=lambda plan: parameters.append(sum(plan.parameters.values())))
    begun, cpu = time.perf_counter(), cpu_seconds()
    overrides = [*CHEAP, *options.set, f"training.seed={seed}", *(["training.epochs=2"] if options.quick else [])]
    run = fit(file, overrides=overrides, output=output, listeners=listeners).run
    seconds, cpu = time.perf_counter() - begun, cpu_seconds() - cpu
    alone = () if options.no_branches else ALONE
    (result,) = evaluate(str(run.folder), EvaluateOptions(overrides=alone), output=output).targets.values()
    scores, leads = {MMTRAIN: {name: score.value for name, score in result.scores.items()}}, {}
    for baseline in result.baselines:
        if baseline.kind == "single_branch":
            model = f"{MMTRAIN}: {baseline.label}"
            scores[model] = {name: score.value for name, score in baseline.scores.items()}
            leads[model] = lead_of(baseline.differences.get(MAIN[result.task]))
    return Trained(scores, leads, seconds, cpu, parameters[0])


def lead_of(difference: Score | None) -> str:
    """Return a difference with its interval, as far as there are any: a test part may lack a class, or have one group only."""
    if difference is None or difference.value is None:
        return ""
    interval = "" if difference.low is None or difference.high is None else f" [{difference.low:.4f}, {difference.high:.4f}]"
    return f"{difference.value:.4f}{interval}"


def cpu_seconds() -> float:
    """Return the processor time of this process so far, all threads together."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def benchmark(data: DataSet, results: Results, options: argparse.Namespace, folder: Path) -> None:
    """Train every model on every fold of a set, unless the results have it."""
    _, target, task = written_experiment(data, np.arange(0), folder) if not (data.target and data.task) else (None, data.target, data.task)
    data = DataSet(data.name, data.rows, target, task, data.group, data.split, data.images)
    facts = {"commit": commit(), "data": data.name, "task": task, "rows": len(data.rows), "columns": data.rows.shape[1] - 1}
    for fold, (train, test) in enumerate(folds(data, task)[: options.folds]):
        rows = data.rows.drop(columns=[data.group]) if data.group else data.rows
        for model in references.MODELS:
            if model in options.models and not results.has(options.label, data.name, fold, 0, model):
                begun, cpu = time.perf_counter(), cpu_seconds()
                values = references.scores(model, task, rows, target, train, test, 0)
                times = {"seconds": time.perf_counter() - begun, "cpu_seconds": cpu_seconds() - cpu}
                _kept(results, options, {**facts, "fold": fold, "seed": 0, "model": model, "scores": values, "parameters": 0, **times})
        for seed in range(options.seeds if MMTRAIN in options.models else 0):
            if results.has(options.label, data.name, fold, seed, MMTRAIN):
                continue
            with tempfile.TemporaryDirectory(dir=folder) as runs:
                done = trained(written_experiment(data, test, folder)[0], seed, options, Path(runs))
            # The branches first: the line of the whole model tells a later run that all is there.
            for model, values in reversed(done.scores.items()):
                whole = {"seconds": done.seconds, "cpu_seconds": done.cpu_seconds, "parameters": done.parameters}
                cost = whole if model == MMTRAIN else dict.fromkeys(whole, 0)
                lead = done.leads.get(model, "")
                _kept(results, options, {**facts, "fold": fold, "seed": seed, "model": model, "scores": values, "lead": lead, **cost})


def _kept(results: Results, options: argparse.Namespace, facts: dict[str, Any]) -> None:
    line = Line(label=options.label, date=datetime.now(UTC).date().isoformat(), note=" ".join(options.set), **facts)
    results.add(line)
    shown = {name: line.scores.get(name) for name in dict.fromkeys((MAIN[line.task], "accuracy", "log_loss", "rmse"))}
    words = "  ".join(f"{name} {value:.4f}" for name, value in shown.items() if value is not None)
    cost = f"the whole model leads by {line.lead}" if line.lead else f"{line.cpu_seconds:.0f} CPU s"
    print(f"{line.data} fold {line.fold} seed {line.seed}  {line.model}: {words}  {cost}", flush=True)


def summary(lines: Sequence[Mapping[str, str]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return an entry per set with the scores of every model, and sentences about all sets."""
    entries = []
    for name in dict.fromkeys(line["data"] for line in lines):
        of_set = [line for line in lines if line["data"] == name]
        main = MAIN[of_set[0]["task"]]
        models = {model: _means([line for line in of_set if line["model"] == model], main) for model in _names(of_set, "model")}
        entries.append({"data": name, "task": of_set[0]["task"], "score": main, "models": models})
    rivals = [(one[MMTRAIN][entry["score"]], max(one[other][entry["score"]] for other in RIVALS)) for entry, one in _compared(entries)]
    near = sum(own >= rival - NEAR * abs(rival) for own, rival in rivals)
    ahead = sum(own > rival for own, rival in rivals)
    sentences = [f"Within {NEAR:.0%} of the better reference on {near} of {len(rivals)} sets, ahead on {ahead}."] if rivals else []
    return entries, [*sentences, *(sentence for entry in entries for sentence in _below_majority(entry))]


def _names(lines: Sequence[Mapping[str, str]], key: str) -> list[str]:
    return list(dict.fromkeys(line[key] for line in lines))


def _compared(entries: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, dict[str, float]]]]:
    for entry in entries:
        if {MMTRAIN, *RIVALS} <= entry["models"].keys():
            yield entry, entry["models"]


def _means(lines: Sequence[Mapping[str, str]], main: str) -> dict[str, float]:
    """The means over folds and seeds, with the spread of the main score."""
    names = (*SCORES, "seconds", "cpu_seconds", "parameters")
    values = {name: [float(line[name]) for line in lines if line[name]] for name in names}
    means = {name: round(mean(numbers), 4) for name, numbers in values.items() if numbers}
    return {**means, "trainings": len(lines), "spread": round(stdev(values[main]), 4) if len(values[main]) > 1 else 0.0}


def _below_majority(entry: Mapping[str, Any]) -> Iterator[str]:
    models = entry["models"]
    if not {MMTRAIN, "majority"} <= models.keys() or entry["task"] not in ("binary", "multiclass"):
        return
    own, majority = models[MMTRAIN], models["majority"]
    if own["accuracy"] < majority["accuracy"]:
        yield f"{entry['data']}: accuracy {own['accuracy']:.3f} is below the majority's {majority['accuracy']:.3f}."
    if own["log_loss"] > majority["log_loss"]:
        yield f"{entry['data']}: log loss {own['log_loss']:.3f} is above the majority's {majority['log_loss']:.3f}."


def table(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of a table: the main score of every model, the spread over folds and seeds, processor time and parameters."""
    headers = ("set", "score", "trainings", MMTRAIN, "spread", *RIVALS, "majority", "CPU s", "parameters")
    yield "| " + " | ".join(headers) + " |"
    yield "|---" * len(headers) + "|"
    for entry in entries:
        models, main = entry["models"], entry["score"]
        own = models.get(MMTRAIN, {})
        scores = {model: f"{values[main]:.4f}" for model, values in models.items()}
        facts = [f"{own['trainings']}", scores[MMTRAIN], f"{own['spread']:.4f}"] if own else ["", "", ""]
        cost = [f"{own['cpu_seconds']:.0f}", f"{own['parameters']:,.0f}"] if own else ["", ""]
        cells = [entry["data"], main, *facts, *(scores.get(model, "") for model in (*RIVALS, "majority")), *cost]
        yield "| " + " | ".join(cells) + " |"


def sets(options: argparse.Namespace) -> Iterator[DataSet]:
    """The sets that were asked for, each read when its turn comes; what cannot be had is told."""
    only = options.only
    for entry in () if options.no_packages else ENTRIES:
        if not only or entry.name in only:
            try:
                yield entry.load(options.cache)
            except UnavailableError as error:
                print(f"skipped: {error}", flush=True)
    for folder in options.data:
        try:
            yield from (data for data in folder_sets(folder) if not only or data.name in only)
        except UnavailableError as error:
            print(f"skipped: {error}", flush=True)


def main() -> None:
    asked = parser(__doc__, quick=f"{QUICK_SET} alone, one fold, two epochs.")
    asked.add_argument("--only", default="", help="Names of sets, with commas between them.")
    asked.add_argument("--data", type=Path, action="append", default=[], metavar="FOLDER", help="A folder of sets, or of one set.")
    asked.add_argument("--no-packages", action="store_true", help="No sets but those of --data.")
    asked.add_argument("--folds", type=int, default=FOLDS, help="How many of the five.")
    asked.add_argument("--seeds", type=int, default=1, help="Of mmtrain.")
    asked.add_argument("--models", default=",".join((*references.MODELS, MMTRAIN)), help="With commas between them.")
    asked.add_argument("--no-branches", action="store_true", help="No branch alone.")
    asked.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="For mmtrain; give a --label, too.")
    asked.add_argument("--label", default="defaults", help="Name of these results in the file.")
    asked.add_argument("--results", type=Path, default=None, metavar="FILE", help=f"A CSV file; by default {RESULTS}, with --quick none.")
    asked.add_argument("--cache", type=Path, default=CACHE, help="Where downloaded packages are kept.")
    options = asked.parse_args()
    options.models = options.models.split(",")
    options.only = [name for name in options.only.split(",") if name] or ([QUICK_SET] if options.quick and not options.data else [])
    options.folds = 1 if options.quick else options.folds
    with tempfile.TemporaryDirectory() as folder:
        results = Results(options.results or (Path(folder) / "quick.csv" if options.quick else RESULTS))
        failed = _all(results, options, Path(folder))
    lines = results.comparable(options.label)
    entries, sentences = summary(lines) if lines else ([], [])
    print("", *table(entries), *sentences, sep="\n")
    keep(options, {"label": options.label, "set": options.set}, entries)
    if failed:
        sys.exit(f"These sets ended with an error: {', '.join(failed)}.")


def _all(results: Results, options: argparse.Namespace, folder: Path) -> list[str]:
    """Return the names of sets that failed; the others go on."""
    failed = []
    for data in sets(options):
        try:
            benchmark(data, results, options, folder)
        except (MmtrainError, ValueError) as error:
            print(f"{data.name} failed: {error}", flush=True)
            failed.append(data.name)
    return failed


if __name__ == "__main__":
    main()
