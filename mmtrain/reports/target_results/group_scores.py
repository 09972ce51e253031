"""Scores of one target in a group of trainings: their estimates, spread, and those of every training, as tables and a plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mmtrain.artifacts.group_results import CrossValidation, EnsembleWeights, MemberScores
from mmtrain.artifacts.results import BaselineResult
from mmtrain.artifacts.run_schema.network_facts import Network
from mmtrain.errors import listed
from mmtrain.metrics.score import Score, higher_is_better, metric_of
from mmtrain.reports.blocks import Cell, Plot, Table, number
from mmtrain.reports.figures import plots
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.report_data import ReportData, TargetResultView
from mmtrain.reports.wording import between, count, direction, format_interval, format_score, in_sentence, title

MOST_MEMBERS = 60
"""Maximum number of trainings in the table and the plot of folds."""
MOST_SCORES = 6
"""Maximum number of scores with a column in the table of folds; the others are in cross_validation.json."""


@dataclass(frozen=True)
class Line:
    """A value with its interval, where it has one: a line of the plot."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, score: MemberScores) -> Line:
        """Return the estimate of a score; without folds the mean over seeds."""
        return cls(score.mean if score.estimate is None else score.estimate, score.low, score.high)


@dataclass(frozen=True, eq=False)
class TrainingFacts:
    """Facts of the trainings of a group that suggestions depend on."""

    best_is_last: int = 0
    """Number of trainings whose best epoch is the last one that was allowed."""
    test_rows: int = 0
    """Rows of the test part, which no training has seen."""
    network: Network | None = None
    """The network of the first training; None if its file is gone."""


@dataclass(frozen=True, eq=False)
class GroupData:
    """The contents of the report of a group."""

    data: ReportData
    """Report data whose only part is the out-of-fold predictions; without folds, it has no parts."""
    result: CrossValidation
    weights: EnsembleWeights | None = None
    """None where all trainings count the same."""
    baselines: Mapping[str, BaselineResult] = field(default_factory=dict)
    """The dummy baseline of each target with scored rows."""
    facts: TrainingFacts = field(default_factory=TrainingFacts)

    @property
    def percent(self) -> str:
        """`95 %`."""
        return f"{100 * self.result.confidence:g} %"

    @property
    def views(self) -> tuple[TargetResultView, ...]:
        """A view of each target on the out-of-fold rows."""
        return tuple(view for part in self.data.parts for view in self.data.views(part))

    def main_score(self, key: str) -> Score:
        """Return the main score of a target with its interval; without folds the mean over seeds, which has none."""
        name = self.result.main[key]
        line = Line.of(self.result.targets[key][name])
        undefined = "" if line.value is not None else "It is undefined in every training."
        return Score(name, line.value, undefined, low=line.low, high=line.high)

    def baseline_score(self, key: str) -> Score | None:
        """Return the main score of the dummy baseline; None for a target without scored rows."""
        return self.baselines[key].scores.get(self.result.main[key]) if key in self.baselines else None

    def outcome(self, key: str) -> Literal["better", "open", "unknown"]:
        """Return whether the interval of the main score excludes that of the baseline; unknown where one of them is missing."""
        score, baseline = self.main_score(key), self.baseline_score(key)
        if score.interval is None or baseline is None or baseline.value is None:
            return "unknown"
        higher = higher_is_better(score.name)
        beaten = baseline.value < score.interval.low if higher else baseline.value > score.interval.high
        return "better" if beaten else "open"


def scores_table(contents: GroupData, key: str) -> Table:
    """Tabulate the estimate of every score with its interval, next to the mean and deviation of the folds."""
    lines, whole = [], bool(contents.result.predictions)
    for name, score in contents.result.targets[key].items():
        if "[" in name:
            continue
        cells = [_value(name, score.estimate), number(between(name, Line.of(score)))] if whole else []
        spread = [_value(name, score.mean), _value(name, score.deviation)]
        pooled = [_value(name, score.out_of_fold)] if whole else []
        lines.append((Cell(title(name)), *cells, *spread, *pooled, Cell(direction(name))))
    estimate = ("Estimate", f"{contents.percent} interval") if whole else ()
    of = "folds" if contents.result.folds > 1 else "seeds"
    head = ("Score", *estimate, f"Mean of {of}", "Deviation", *(("All rows",) if whole else ()), "Better when")
    return Table(f"Scores of {key} over {contents.result.trainings}", head, tuple(lines), _method_note(contents.result.targets[key]))


def _method_note(scores: Mapping[str, MemberScores]) -> str:
    methods = list(dict.fromkeys(score.method for score in scores.values() if score.method))
    if not methods:
        return ""
    pooled = [in_sentence(name) for name, score in scores.items() if score.method and not metric_of(name).unbiased and "[" not in name]
    note = f"Method of the intervals: {listed(methods)}. They are those of expected scores: of trainings on other rows, and of new rows."
    if pooled:
        note += f" Estimates are means of folds; those of {listed(pooled)}, which are biased on few rows, are of all rows together."
    return f"{note} All rows: the score of the combined predictions of all trainings."


def _value(name: str, value: float | None) -> Cell:
    return number("–", tone="quiet") if value is None else number(format_score(name, value))


def spreads(contents: GroupData, key: str) -> Iterator[str]:
    """Describe how much the main score varies with the seed, and with the division into folds."""
    result, name = contents.result, contents.result.main[key]
    values = np.array([np.nan if value is None else value for value in result.targets[key][name].values])
    by = values.reshape(-1, result.seeds)
    if result.seeds > 1 and result.folds > 1:
        # The root of the mean variance: that of two seeds alone is rough, over all folds it is not.
        deviation = float(np.sqrt(np.nanmean(by.var(axis=1, ddof=1))))
        yield f"With another seed, the {in_sentence(name)} of a fold has a standard deviation of {format_score(name, deviation)}."
    if result.repeats > 1:
        means = by.mean(axis=1).reshape(result.repeats, -1).mean(axis=1)
        yield f"With another division into folds, their mean has a standard deviation of {format_score(name, float(means.std(ddof=1)))}."


def plot_members(contents: GroupData, key: str, writer: FigureWriter) -> Iterator[Plot]:
    """Plot the main score of every training below the estimate of all; nothing for a single one, or too many."""
    result, name = contents.result, contents.result.main[key]
    score = result.targets[key][name]
    lines = [(label, Line(value)) for label, value in zip(_labels(result), score.values, strict=True) if value is not None]
    if not 1 < len(lines) <= MOST_MEMBERS:
        return
    lines.insert(0, ("all", Line.of(score)))
    labels, ranges = zip(*lines, strict=True)
    figure = plots.ranges(labels, ranges, title(name), reference=ranges[0].value)
    each = ", ".join(f"{label} {format_score(name, one.value)}" for label, one in lines[1:] if one.value is not None)
    alt = f"{title(name)} of {key}: all {format_interval(name, lines[0][1])}; {each}."
    caption = f"At the top the estimate with its {contents.percent} interval." if score.low is not None else ""
    yield writer.add(figure, f"folds_{key}" if contents.data.several else "folds", title="Each training", alt=alt, caption=caption)


def _labels(result: CrossValidation) -> list[str]:
    """Return the names of the trainings as the folder has them, counted from 0: `fold 3`, `fold 3, seed 1`."""
    if result.folds == 1:
        return [f"seed {member.seed}" for member in result.members]
    return [f"fold {member.fold}{f', seed {member.seed}' if result.seeds > 1 else ''}" for member in result.members]


def members_table(contents: GroupData, key: str) -> Table:
    """Tabulate the scores of every training."""
    result = contents.result
    names = [name for name in result.targets[key] if "[" not in name]
    # The main score first, whatever its place.
    main = result.main[key]
    shown = [main, *(name for name in names if name != main)][:MOST_SCORES]
    lines = []
    for place, (label, member) in enumerate(zip(_labels(result), result.members, strict=True)):
        scores = [_value(name, result.targets[key][name].values[place]) for name in shown]
        lines.append((Cell(label), number(count(member.train_rows)), number(count(member.rows)), *scores))
    notes = []
    if result.repeats > 1:
        notes.append(f"Numbers of folds continue over repeats: fold {result.folds} is fold 0 of the second repeat.")
    head = ("Training", "Training rows", "Scored rows", *(title(name) for name in shown))
    return Table(f"Each training: scores of {key}", head, tuple(lines[:MOST_MEMBERS]), " ".join(notes), csv="cross_validation.json")
