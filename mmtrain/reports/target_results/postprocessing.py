"""Calibration, threshold and conformal prediction of one target on one part, in sentences (also for the terminal) and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mmtrain.artifacts.analysis_results import Calibration, ThresholdResult, ThresholdSelection
from mmtrain.artifacts.conformal_results import PredictionIntervals, PredictionIntervalsPerNumber, PredictionSets
from mmtrain.artifacts.results import TargetResult
from mmtrain.artifacts.run_schema.run_facts import DistillationRecord, FusionGuard, LinearBaseChoice, SoupRecord
from mmtrain.errors import counted, listed
from mmtrain.evaluation.postprocessing.calibration import Temperature
from mmtrain.evaluation.postprocessing.conformal import IntervalsPerNumber
from mmtrain.evaluation.postprocessing.decision_threshold import describe_aim
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.reports.blocks import Block, Cell, Folded, Paragraph, Table, number
from mmtrain.reports.report_data import TargetResultView
from mmtrain.reports.wording import HasInterval, count, decimals, format_interval, format_score, in_sentence, significant

LEAST_ROWS = 10
"""Rows below which a single predicted class says nothing."""
PROBABILITIES = {"every label": "of every label, all labels together", "the most probable class": "of the most probable class"}


def blocks(view: TargetResultView) -> list[Block]:
    """Return the sentences and tables of the postprocessing that was fitted."""
    blocks: list[Block] = [Paragraph(text) for text in sentences(view.result)]
    if view.result.operating_point is not None:
        blocks.append(_thresholds(view, view.result.operating_point))
    if view.result.calibration is not None:
        blocks.append(Folded("Reliability in numbers", (_bins(view, view.result.calibration),)))
    return blocks


def describe_postprocessing(decisions: Postprocessing) -> Iterator[str]:
    """Describe the postprocessing that was fitted at the end of a training, before any part is scored."""
    for key, one in decisions.targets.items():
        point, calibration, bound = one.operating_point, one.calibration, one.conformal
        if point is not None:
            scores = ""
            if point.sensitivity is not None and point.specificity is not None:
                scores = f"; on validation rows sensitivity {decimals(point.sensitivity)}, specificity {decimals(point.specificity)}"
            yield f"Threshold of {key}: {significant(point.threshold)}, for {describe_aim(point.aim)}{scores}. {point.note}".strip()
        if isinstance(calibration, Temperature):
            yield f"Calibration of {key}: temperature {listed([significant(one) for one in calibration.temperatures])}."
        elif calibration is not None:
            yield f"Calibration of {key}: isotonic."
        yield from one.calibration_notes
        bounds = (
            {f"{name} in {key}": each for name, each in bound.numbers.items()} if isinstance(bound, IntervalsPerNumber) else {key: bound}
        )
        for name, fitted in bounds.items():
            if fitted is not None:
                yield f"Conformal {fitted.kind} of {name}: fitted on {_held_out_rows(fitted.rows, fitted.groups)}. {fitted.note}".strip()


def describe_guard(guard: Mapping[str, FusionGuard]) -> Iterator[str]:
    """Describe the choice between the fusion and single branches, a sentence or two for each target."""
    for key, one in guard.items():
        name = in_sentence(one.score)
        fusion = "undefined" if one.fused is None else format_score(one.score, one.fused)
        alone = [f"{branch} {format_score(one.score, of.value)}" for branch, of in one.branches.items() if of.value is not None]
        rows = counted(one.rows, "validation row")
        if not one.chosen:
            scores = f"On {rows} its {name} is {fusion}; branches alone: {listed(alone) or 'undefined'}."
            yield f"Fusion of {key}: kept, as no branch alone is better beyond noise. {scores}"
            continue
        of = one.branches[one.chosen]
        interval = ""
        if of.gain is not None and of.low is not None and of.high is not None:
            gain, low, high = (format_score(one.score, value) for value in (of.gain, of.low, of.high))
            interval = f": better by {gain}, {100 * one.confidence:.3g} % interval {low} to {high}"
        value = "undefined" if of.value is None else format_score(one.score, of.value)
        yield f"Fusion of {key}: replaced by the branch {one.chosen} alone in all rows that have it. " + (
            f"On {rows} its {name} is {value}, that of the fusion {fusion}{interval}."
        )


def describe_soup(record: SoupRecord | None) -> Iterator[str]:
    """Describe the epochs whose weights were averaged, in a sentence; empty without a soup."""
    if record is None:
        return
    if len(record.epochs) == 1:
        others = counted(record.tried - 1, "other epoch")
        yield f"Weights of epoch {record.epochs[0]} alone: with none of {others} is {record.score} of the mean as good."
        return
    values = f"{record.score} {significant(record.value)}; that of the best of these epochs alone is {significant(record.best)}"
    yield f"Weights are the mean of epochs {listed(record.epochs, most=20)}: {values}."


def describe_distillation(record: DistillationRecord | None) -> Iterator[str]:
    """Describe the teacher of a training and what it saves, in a sentence or two; empty without a teacher."""
    if record is None:
        return
    trainings = f", the mean of {record.trainings} trainings" if record.trainings > 1 else ""
    source = "trainings that have not seen the row" if record.soft == "out_of_fold" else "the teacher, which has learned from these rows"
    softened = f", softened by the temperature {record.temperature:g}" if record.temperature != 1 else ""
    yield (
        f"Distilled from {record.teacher}{trainings}: {count(record.rows)} training rows have predictions of {source}; they are "
        f"{100 * record.weight:g} % of the loss{softened}. The score that this costs is in every "
        "evaluation, as the difference from the teacher."
    )
    if record.student is not None:
        mine, theirs = record.student, record.costs
        yield (
            f"It has {counted(mine.parameters, 'parameter')} and a model of {significant(mine.bytes / 1e6)} MB, and predicts 1,000 rows in "
            f"{significant(1000 * mine.seconds)} ms; its teacher {counted(theirs.parameters, 'parameter')}, "
            f"{significant(theirs.bytes / 1e6)} MB and {significant(1000 * theirs.seconds)} ms."
        )


def describe_base(choice: LinearBaseChoice | None) -> Iterator[str]:
    """Describe the choice between a network, its linear model and their mean, in a sentence; empty without such a model."""
    if choice is None:
        return
    outcome = {0.0: "the linear model predicts alone", 0.5: "the mean of both predicts", 1.0: "the network predicts"}[choice.factor]
    beyond = "" if choice.factor == 0.5 else ", better beyond noise"
    losses = ", ".join(f"{name} {significant(loss)}" for name, loss in (("alone", choice.linear), ("mean of both", choice.mean)))
    rows = counted(choice.rows, "validation row")
    yield f"Linear model and network: {outcome}{beyond}. Losses on {rows}: linear model {losses}, network {significant(choice.network)}."


def sentences(result: TargetResult) -> tuple[str, ...]:
    """Describe the postprocessing of one target on one part."""
    point, calibration, bound = result.operating_point, result.calibration, result.conformal
    return (
        *_describe_one_class(result),
        *(() if result.decision is None else _describe_decision(result)),
        *(() if point is None else _describe_threshold(point)),
        *(() if calibration is None else _describe_calibration(calibration)),
        *(() if bound is None or isinstance(bound, PredictionIntervalsPerNumber) else _describe_conformal(bound)),
        *(_describe_numbers(bound) if isinstance(bound, PredictionIntervalsPerNumber) else ()),
    )


def _describe_one_class(result: TargetResult) -> Iterator[str]:
    """Point out that every row is predicted as the same class, which good AUCs and accuracies hide."""
    matrix = result.confusion_matrix()
    predicted = matrix.sum(axis=0).nonzero()[0]
    if matrix.sum() < LEAST_ROWS or len(predicted) != 1:
        return
    (only,) = predicted
    if not (others := int(matrix.sum() - matrix[only, only])):
        return
    text = f"Every row is predicted as {result.classes[only]}, {counted(others, 'row')} of other classes included."
    if result.operating_point is None and result.decision is None:
        binary = "sensitivity" in result.scores
        fix = "`evaluation.threshold: {aim: youden}`" if binary else "`decision: {prior: balanced}` of the target"
        text = f"{text} {fix} would predict the rarer ones as well, with the same probabilities."
    yield text


def _describe_decision(result: TargetResult) -> Iterator[str]:
    if result.decision is None:
        return
    shares = result.decision.prior
    # Rounded: shares that were normalised may differ in the last digit.
    even = len({round(share, 6) for share in shares.values()}) == 1
    prior = "every class to be equally frequent" if even else listed([f"{name} {share:.3g}" for name, share in shares.items()], most=5)
    values = [
        f"{in_sentence(name)} {format_interval(name, result.scores[name])}, without it {format_interval(name, plain)}"
        for name, plain in result.decision.without.items()
    ]
    yield f"Decisions assume {prior}: {'; '.join(values)}. Probabilities are not corrected."


def _describe_threshold(point: ThresholdResult) -> Iterator[str]:
    here = f"on these rows {_both(point)}"
    if point.validation.sensitivity is not None:
        on = counted(point.validation.rows, "validation row")
        here = f"chosen for {point.aim_in_words} on {on}, with {_both(point.validation)} there; {here}"
    yield f"Threshold: {point.positive} at {significant(point.threshold)} or above; {here}."
    if point.note:
        yield point.note


def _both(rates: ThresholdResult | ThresholdSelection) -> str:
    return f"sensitivity {_value(rates.sensitivity)}, specificity {_value(rates.specificity)}"


def _value(share: float | None) -> str:
    return "undefined" if share is None else decimals(share)


def _describe_calibration(calibration: Calibration) -> Iterator[str]:
    after = calibration.final
    scaled = "" if calibration.after is None else f", after {_how(calibration)}"
    pairs = ((after.ece, calibration.before.ece), (after.brier, calibration.before.brier))
    values = [
        f"{in_sentence(mine.name)} {format_interval(mine.name, mine)}" + (f", before {format_interval(mine.name, raw)}" if scaled else "")
        for mine, raw in pairs
    ]
    yield f"Calibration {_probabilities(calibration)}{scaled}: {'; '.join(values)}."
    # Both have to be worse: one alone may be chance.
    if all((mine.value or 0) > (raw.value or 0) for mine, raw in pairs):
        yield "On these rows the scaling did not improve the calibration."
    yield from calibration.notes


def _probabilities(calibration: Calibration) -> str:
    return PROBABILITIES.get(calibration.of, f"of {calibration.of}")


def _how(calibration: Calibration) -> str:
    if calibration.temperatures is None:
        return "isotonic scaling"
    temperatures = calibration.temperatures
    return f"temperature scaling by {significant(temperatures[0])}" if len(temperatures) == 1 else "temperature scaling of each label"


def _describe_numbers(result: PredictionIntervalsPerNumber) -> Iterator[str]:
    for name, intervals in result.numbers.items():
        yield from _describe_conformal(intervals, of=f" of {name}")
    yield "Each holds for its number alone, not for all numbers of a row together."


def _describe_conformal(result: PredictionSets | PredictionIntervals, of: str = "") -> Iterator[str]:
    inside, held_out = result.found, _held_out_rows(result.fitted_on.rows, result.fitted_on.groups)
    if not inside.rows:
        yield f"Conformal {result.kind}{of}, fitted on {held_out}: none of these rows has an answer."
        return
    share = f"{_share(inside)} of {counted(inside.rows, 'row')} (nominal coverage {decimals(result.coverage)})"
    if isinstance(result, PredictionSets):
        empty = f", {counted(result.empty, 'set')} empty" if result.empty else ""
        size = f"mean size {decimals(result.mean_size)}{empty}"
    else:
        size = "infinite" if result.width is None else f"{significant(result.width)} wide"
    yield f"Conformal {result.kind}{of}, fitted on {held_out}, {size}: they contain the answer in {share}."
    if result.note:
        yield result.note


def _held_out_rows(rows: int, groups: int | None) -> str:
    of_groups = "" if groups is None else f" of {counted(groups, 'group')}"
    return f"{counted(rows, 'held-out row')}{of_groups}"


def _share(proportion: HasInterval) -> str:
    """Write a proportion with its interval, if it has one: `0.893 (0.850 to 0.930)`."""
    interval = "" if proportion.low is None or proportion.high is None else f" ({decimals(proportion.low)} to {decimals(proportion.high)})"
    return f"{_value(proportion.value)}{interval}"


def _thresholds(view: TargetResultView, point: ThresholdResult) -> Table:
    chosen = {"sensitivity": point.validation.sensitivity, "specificity": point.validation.specificity}
    lines = tuple((Cell(name.capitalize()), number(_value(value)), number(_share(view.scores[name]))) for name, value in chosen.items())
    head = ("Score", "Validation, where it was chosen", view.part.called.capitalize())
    note = "A threshold looks slightly too good on the rows on which it was chosen."
    return Table(f"Threshold {significant(point.threshold)} of {view.key}", head, lines, note, csv=view.csv("scores"))


def _bins(view: TargetResultView, calibration: Calibration) -> Table:
    """Tabulate the bins of the calibrated probabilities, if there are any, otherwise of the uncalibrated ones."""
    lines = tuple(
        (
            number(decimals(one.said)),
            number(decimals(one.share)),
            number(f"{decimals(one.low)} to {decimals(one.high)}"),
            number(count(one.rows)),
        )
        for one in calibration.final.bins
    )
    what = "Probabilities" if calibration.after is None else "Calibrated probabilities"
    note = f"Probabilities {_probabilities(calibration)} in at most {calibration.bins} bins of equal mass; equal probabilities share a bin."
    return Table(
        f"{what} of {view.key} and observed frequencies",
        ("Predicted", "Observed", "Interval", "Rows"),
        lines,
        note,
        csv=view.csv("calibration"),
    )
