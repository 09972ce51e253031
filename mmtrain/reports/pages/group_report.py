"""Report and model card of a group of trainings: the expected scores with their intervals, every fold, and the out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from mmtrain.artifacts.group_results import CrossValidation, EnsembleWeights
from mmtrain.artifacts.results import TargetResult
from mmtrain.columns import Group, column_of_role
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.errors import counted
from mmtrain.evaluation.out_of_fold import Combined
from mmtrain.evaluation.out_of_fold_result import fold_baseline, out_of_fold_result
from mmtrain.reports import training
from mmtrain.reports.blocks import Block, Cell, Flow, Paragraph, Plots, Points, Section, Table, number
from mmtrain.reports.figures.plot_selection import of_confusion, of_target
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.next_steps import group_next_steps
from mmtrain.reports.report_data import OUT_OF_FOLD, EvaluatedSplit, ReportData, TargetResultView
from mmtrain.reports.sections import question
from mmtrain.reports.target_results.group_scores import (
    GroupData,
    Line,
    TrainingFacts,
    members_table,
    plot_members,
    scores_table,
    spreads,
)
from mmtrain.reports.target_results.score_tiles import group_tiles
from mmtrain.reports.target_results.scores import MOST_COLUMNS, classes_table, confusion_table
from mmtrain.reports.wording import between, count, direction, format_score, in_sentence, title

FEW_FOLDS = 3
"""Up to this number of folds their scores hardly tell how much trainings differ."""


def read(
    data: ReportData,
    result: CrossValidation,
    combined: Combined,
    section: Evaluation,
    weights: EnsembleWeights | None = None,
    facts: TrainingFacts | None = None,
) -> GroupData:
    """Return the contents of the report; `data` is that of the group, without parts."""
    facts, keys = facts or TrainingFacts(), [key for key in result.targets if combined.scores(key)]
    if not result.predictions:
        return GroupData(data, result, weights, {key: fold_baseline(key, result, combined) for key in keys}, facts)
    results: Mapping[str, TargetResult] = {key: out_of_fold_result(key, result, combined, section) for key in keys}
    part = EvaluatedSplit(OUT_OF_FOLD, data.data.table, results, combined.frame(), {})
    baselines = {key: one.baselines[0] for key, one in results.items()}
    return GroupData(replace(data, parts=(part,)), result, weights, baselines, facts)


def sections(contents: GroupData, writer: FigureWriter) -> tuple[Section, ...]:
    """Return all sections in reading order."""
    return (
        Section("Summary", (group_tiles(contents), Paragraph(f"{question(contents.data)} {_rows(contents)}"), *verdicts(contents))),
        limits(contents),
        *group_next_steps(contents),
        *(_target(contents, key, writer) for key in contents.result.targets),
        *_out_of_fold(contents, writer),
        *_ensemble(contents),
        Section("Rows", (_flow(contents), Paragraph(_division(contents)))),
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
    """Return how often the network of all branches was trained."""
    trainings = len(contents.result.members)
    return "once" if trainings == 1 else f"{trainings} times"


def _rows(contents: GroupData) -> str:
    """Describe the scored rows and the trainings that scored them."""
    result, data = contents.result, contents.data.data
    scored = counted(result.rows, "row")
    if result.folds == 1:
        seeds = " with different seeds" if result.seeds > 1 else ""
        return f"It was trained {_times(contents)}{seeds}; the scores are those of {scored} of the part {result.part}."
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
    return tuple(_verdict(contents, key) for key in contents.result.targets)


def conclusions(contents: GroupData) -> tuple[str, ...]:
    """Return the same as plain sentences, for the terminal."""
    return tuple(" ".join(filter(None, (one.text, one.strong, one.after))) for one in verdicts(contents))


def _verdict(contents: GroupData, key: str) -> Paragraph:
    name = contents.result.main[key]
    score, baseline = contents.result.targets[key][name], contents.baseline_score(key)
    value = Line.of(score).value
    if value is None:
        return Paragraph(f"The {in_sentence(name)} of {key} is undefined in every training.", tone="bad")
    better = f"{direction(name)} is better"
    against = ""
    if baseline is not None and baseline.value is not None:
        against = f"the baseline ({contents.baselines[key].name}), which has {format_score(name, baseline.value)}."
    if contents.result.folds == 1:
        spread = f", standard deviation over seeds {format_score(name, score.deviation)}" if score.deviation is not None else ""
        strong = f"{title(name)} of {key}: {format_score(name, value)} ({better}{spread})."
        return Paragraph("", strong, f"How much other rows would change it is unknown. Compare it with {against}" if against else "")
    interval = f"{contents.percent} interval {between(name, Line.of(score))}; " if score.low is not None else ""
    number_of_rows = round(float(np.mean([member.train_rows for member in contents.result.members])))
    facts = (
        f"It estimates the score on new rows of a training on as many rows as a fold has: {count(number_of_rows)}, plus validation rows."
    )
    strong = f"{title(name)} of {key}: {format_score(name, value)} ({interval}{better})."
    outcome = contents.outcome(key)
    if outcome == "unknown":
        return Paragraph("", strong, facts)
    conclusion = "The interval excludes" if outcome == "better" else "The model is not shown to beat"
    return Paragraph("", strong, f"{facts} {conclusion} {against}", "good" if outcome == "better" else "bad")


def _target(contents: GroupData, key: str, writer: FigureWriter) -> Section:
    """Return the scores of a target, of all trainings together and of each."""
    heading = f"Scores of {key}" if contents.data.several else "Scores"
    blocks: list[Block] = [scores_table(contents, key)]
    blocks += [Paragraph(text) for text in spreads(contents, key)]
    blocks += [Plots((plot,), wide=True) for plot in plot_members(contents, key, writer)]
    return Section(heading, (*blocks, members_table(contents, key)))


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


def _is_weighted(contents: GroupData) -> bool:
    return contents.weights is not None and any(one.method == "greedy" for one in contents.weights.targets.values())


def _out_of_fold(contents: GroupData, writer: FigureWriter) -> tuple[Section, ...]:
    """Return confusion matrix, curves and calibration of the out-of-fold predictions."""
    views = contents.views
    if not views:
        return ()
    mean = "weighted mean" if _is_weighted(contents) else "mean"
    together = "Confusion matrix and curves of all out-of-fold rows together."
    start = Paragraph(f"{together} Where several trainings scored a row, its prediction is their {mean}.")
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
        yield "The best epoch of each training was chosen on the rows that are scored here, so the scores are slightly too optimistic."
        if result.seeds > 1:
            yield "The deviation over seeds says how much the scores depend on the seed, and nothing about other rows."
        return
    yield "Settings that were chosen by these scores make them more optimistic; only rows outside of all folds (split.test) are free of it."
    if _is_weighted(contents):
        yield (
            "Weights took the place of the plain mean since their loss is lower on the rows that are scored here, so the scores of all "
            "rows together are slightly too optimistic. Intervals are those of the trainings without weights."
        )
    if result.folds <= FEW_FOLDS and result.repeats == 1:
        yield f"There are only {result.folds} folds, so it is hardly known how much trainings on other rows would differ."
    if column_of_role(contents.data.columns, Group) is None:
        yield (
            "No column groups the rows. If several rows belong together, such as those of one patient, they may be in different folds, "
            "and the scores are too optimistic for new ones. A column with the role group keeps them in one fold."
        )
    yield f"All rows are from {contents.data.data.table}: rows from another place, device or year may be harder."
