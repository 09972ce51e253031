"""Report and model card of a group of trainings: the expected scores with their intervals, every fold, and the out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mmtrain.artifacts.group_results import CrossValidation, EnsembleWeights, MemberScores
from mmtrain.artifacts.results import TargetResult
from mmtrain.columns import Group, column_of_role
from mmtrain.config.evaluation import Evaluation
from mmtrain.errors import counted, listed
from mmtrain.evaluation.out_of_fold import Combined
from mmtrain.evaluation.out_of_fold_result import out_of_fold_result
from mmtrain.metrics.score import higher_is_better, metric_of
from mmtrain.reports import training
from mmtrain.reports.blocks import Block, Cell, Flow, Paragraph, Plot, Plots, Points, Section, Table, number
from mmtrain.reports.figures import plots
from mmtrain.reports.figures.plot_selection import of_confusion, of_target
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.report_data import OUT_OF_FOLD, EvaluatedSplit, ReportData, TargetResultView
from mmtrain.reports.sections import question
from mmtrain.reports.target_results.scores import MOST_COLUMNS, classes_table, confusion_table
from mmtrain.reports.wording import between, count, direction, format_interval, format_score, in_sentence, title

MOST_MEMBERS = 60
"""Maximum number of trainings in the table and the plot of folds."""
MOST_SCORES = 6
"""Maximum number of scores with a column in the table of folds; the others are in cross_validation.json."""
FEW_FOLDS = 3
"""Up to this number of folds their scores hardly tell how much trainings differ."""


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
class GroupData:
    """The contents of the report of a group."""

    data: ReportData
    """Report data whose only part is the out-of-fold predictions; without folds, it has no parts."""
    result: CrossValidation
    weights: EnsembleWeights | None = None
    """None where all trainings count the same."""

    @property
    def percent(self) -> str:
        """`95 %`."""
        return f"{100 * self.result.confidence:g} %"

    @property
    def views(self) -> tuple[TargetResultView, ...]:
        """A view of each target on the out-of-fold rows."""
        return tuple(view for part in self.data.parts for view in self.data.views(part))


def read(
    data: ReportData, result: CrossValidation, combined: Combined, section: Evaluation, weights: EnsembleWeights | None = None
) -> GroupData:
    """Return the contents of the report; `data` is that of the group, without parts."""
    if not result.predictions:
        return GroupData(data, result, weights)
    results: Mapping[str, TargetResult] = {
        key: out_of_fold_result(key, result, combined, section) for key in result.targets if combined.scores(key)
    }
    part = EvaluatedSplit(OUT_OF_FOLD, data.data.table, results, combined.frame(), {})
    return GroupData(replace(data, parts=(part,)), result, weights)


def sections(contents: GroupData, writer: FigureWriter) -> tuple[Section, ...]:
    """Return all sections in reading order."""
    return (
        Section("Summary", (Paragraph(f"{question(contents.data)} {_rows(contents)}"), *verdicts(contents))),
        Section("Rows", (_flow(contents), Paragraph(_division(contents)))),
        *(_target(contents, key, writer) for key in contents.result.targets),
        *_out_of_fold(contents, writer),
        *_ensemble(contents),
        limits(contents),
        training.experiment(contents.data),
        training.provenance(contents.data),
    )


def card_sections(contents: GroupData) -> tuple[Section, ...]:
    """Return the generated sections of the model card."""
    tables = tuple(scores_table(contents, key) for key in contents.result.targets)
    trainings = f"{_times(contents)}: {contents.result.trainings}"
    return (
        Section("Model", (Paragraph(question(contents.data)), Paragraph(f"It was trained {trainings}."))),
        Section("Data", (Paragraph(f"{_rows(contents)} {_division(contents)}"),)),
        Section("Scores", (*verdicts(contents), *tables)),
        limits(contents),
        training.provenance(contents.data),
    )


def _times(contents: GroupData) -> str:
    return f"{len(contents.result.members)} times"


def _rows(contents: GroupData) -> str:
    """Describe the scored rows and the trainings that scored them."""
    result, data = contents.result, contents.data.data
    scored = counted(result.rows, "row")
    if result.folds == 1:
        return f"It was trained {_times(contents)} with different seeds; the scores are those of {scored} of the part {result.part}."
    left = data.used - result.rows
    rest = f" {counted(left, 'row')} {'is' if left == 1 else 'are'} in no fold." if left else ""
    trainings = f"{_times(contents)} ({result.trainings})"
    return f"It was trained {trainings}; each of {scored} was scored by trainings that have not seen it.{rest}"


def _flow(contents: GroupData) -> Flow:
    data, result = contents.data.data, contents.result
    steps = [(count(data.rows), f"in {data.table}")]
    if data.dropped:
        steps.append((count(len(data.dropped)), "left out"))
    steps += [(count(data.used), "used"), (count(result.rows), "scored out of fold" if result.predictions else f"of {result.part} scored")]
    return Flow(tuple(steps))


def _division(contents: GroupData) -> str:
    split, group = contents.data.data.split, column_of_role(contents.data.columns, Group)
    sentence = split.description or f"The rows were divided by the split method {split.method}"
    return f"{sentence}{f'; rows with the same {group.column} are in one fold' if group is not None else ''}."


def verdicts(contents: GroupData) -> tuple[Paragraph, ...]:
    """Give the main score of every target with its interval, compared with the baseline."""
    views = {view.key: view for view in contents.views}
    return tuple(_verdict(contents, key, views.get(key)) for key in contents.result.targets)


def _verdict(contents: GroupData, key: str, view: TargetResultView | None) -> Paragraph:
    name = contents.result.main[key]
    score = contents.result.targets[key][name]
    value = Line.of(score).value
    if value is None:
        return Paragraph(f"The {in_sentence(name)} of {key} is undefined in every training.", tone="bad")
    better = f"{direction(name)} is better"
    if contents.result.folds == 1:
        spread = f", standard deviation over seeds {format_score(name, score.deviation)}" if score.deviation is not None else ""
        return Paragraph("", f"{title(name)} of {key}: {format_score(name, value)} ({better}{spread}).")
    interval = f"{contents.percent} interval {between(name, Line.of(score))}; " if score.low is not None else ""
    number_of_rows = round(float(np.mean([member.train_rows for member in contents.result.members])))
    facts = (
        f"It estimates the score on new rows of a training on as many rows as a fold has: {count(number_of_rows)}, plus validation rows."
    )
    strong = f"{title(name)} of {key}: {format_score(name, value)} ({interval}{better})."
    if view is None or score.low is None or score.high is None:
        return Paragraph("", strong, facts)
    baseline = view.baseline.scores[name]
    if baseline.value is None:
        return Paragraph("", strong, facts)
    beaten = baseline.value < score.low if higher_is_better(name) else baseline.value > score.high
    conclusion = "The interval excludes" if beaten else "The model is not shown to beat"
    against = f"{conclusion} the baseline ({view.baseline.name}), which has {format_score(name, baseline.value)}."
    return Paragraph("", strong, f"{facts} {against}", "good" if beaten else "bad")


def _target(contents: GroupData, key: str, writer: FigureWriter) -> Section:
    """Return the scores of a target, of all trainings together and of each."""
    heading = f"Scores of {key}" if contents.data.several else "Scores"
    blocks: list[Block] = [scores_table(contents, key)]
    blocks += [Paragraph(text) for text in spreads(contents, key)]
    blocks += [Plots((plot,), wide=True) for plot in _plot(contents, key, writer)]
    return Section(heading, (*blocks, members_table(contents, key)))


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


def _plot(contents: GroupData, key: str, writer: FigureWriter) -> Iterator[Plot]:
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


def _ensemble(contents: GroupData) -> tuple[Section, ...]:
    """Return the weights of the trainings in the prediction of the group, and the reason for them."""
    if contents.weights is None:
        return ()
    blocks: list[Block] = []
    for key, one in contents.weights.targets.items():
        blocks.append(Paragraph(f"{key}: {one.reason}" if contents.data.several else one.reason))
        lines = [
            (Cell(name), number(f"{weight:.3f}"), number(f"{one.losses[name]:.4g}") if name in one.losses else number("–", tone="quiet"))
            for name, weight in one.weights.items()
        ]
        blocks.append(Table(f"Weights in the prediction of {key}", ("Trainings", "Weight", "Loss"), tuple(lines), _weights_note(contents)))
    return (Section("Weights", tuple(blocks)),)


def _weights_note(contents: GroupData) -> str:
    note = "Loss: log loss, or squared error of a number. Forward selection with replacement (Caruana et al. 2004); folds share a weight."
    if contents.result.folds == 1:
        return f"{note} Chosen on validation rows, by which the epochs of each training were chosen as well."
    return f"{note} Chosen on out-of-fold predictions; the scores of all rows take weights of the other folds."


def _out_of_fold(contents: GroupData, writer: FigureWriter) -> tuple[Section, ...]:
    """Return confusion matrix, curves and calibration of the out-of-fold predictions."""
    views = contents.views
    if not views:
        return ()
    start = Paragraph(
        "Confusion matrix and curves of all out-of-fold rows together. Where several trainings scored a row, its prediction is their mean."
    )
    blocks = {view.key: tuple(_prediction_blocks(view, writer)) for view in views}
    if len(views) == 1:
        return (Section("Out-of-fold predictions", (start, *blocks[views[0].key])),)
    return (Section("Out-of-fold predictions", (start,), tuple(Section(key, of_target) for key, of_target in blocks.items())),)


def _prediction_blocks(view: TargetResultView, writer: FigureWriter) -> Iterator[Block]:
    if view.result.classes:
        matrix, classes = view.result.confusion_matrix(), view.result.classes
        plot = of_confusion(view, matrix, classes, writer)
        small = len(classes) <= MOST_COLUMNS
        yield confusion_table(view.key, matrix, classes, csv="") if small else Plots((plot,), wide=True)
        if len(classes) > 2:
            yield classes_table(view.key, matrix, classes, csv="")
    drawn = of_target(view, writer)
    if drawn:
        yield Plots(drawn)


def limits(contents: GroupData) -> Section:
    """List reasons to trust the scores less."""
    return Section("Limits", (Points(tuple(_limits(contents))),))


def _limits(contents: GroupData) -> Iterator[str]:
    result = contents.result
    if result.folds == 1:
        yield (
            "The best epoch of each training was chosen on the rows that are scored here, so the scores are slightly too optimistic. The "
            "deviation over seeds says how much they depend on the seed, and nothing about other rows."
        )
        return
    yield "Settings that were chosen by these scores make them more optimistic; only rows outside of all folds (split.test) are free of it."
    if result.folds <= FEW_FOLDS and result.repeats == 1:
        yield f"There are only {result.folds} folds, so it is hardly known how much trainings on other rows would differ."
    if column_of_role(contents.data.columns, Group) is None:
        yield (
            "No column groups the rows. If several rows belong together, such as those of one patient, they may be in different folds, "
            "and the scores are too optimistic for new ones. A column with the role group keeps them in one fold."
        )
    yield f"All rows are from {contents.data.data.table}: rows from another place, device or year may be harder."
