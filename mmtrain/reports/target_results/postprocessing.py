"""Calibration, threshold and conformal prediction of one target on one part, in sentences and tables; the terminal has the sentences."""

from __future__ import annotations

from collections.abc import Iterator

from mmtrain.artifacts.analysis_results import Calibration, PredictionIntervals, PredictionSets, ThresholdResult, ThresholdSelection
from mmtrain.artifacts.results import TargetResult
from mmtrain.errors import counted, listed
from mmtrain.evaluation.postprocessing.calibration import Temperature
from mmtrain.evaluation.postprocessing.decision_threshold import describe_aim
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.reports.blocks import Block, Cell, Folded, Paragraph, Table, number
from mmtrain.reports.report_data import TargetResultView
from mmtrain.reports.wording import HasInterval, count, decimals, format_interval, in_sentence, significant

OF = {"every label": "of every label, all labels together", "the most probable class": "of the most probable class"}


def blocks(judged: TargetResultView) -> list[Block]:
    """Return what there is of the three."""
    found: list[Block] = [Paragraph(text) for text in sentences(judged.result)]
    if judged.result.operating_point is not None:
        found.append(_thresholds(judged, judged.result.operating_point))
    if judged.result.calibration is not None:
        found.append(Folded("Reliability in numbers", (_bins(judged, judged.result.calibration),)))
    return found


def describe_postprocessing(decisions: Postprocessing) -> Iterator[str]:
    """Describe what was fitted at the end of a training, before any part was scored."""
    for key, one in decisions.targets.items():
        point, calibration, bound = one.operating_point, one.calibration, one.conformal
        if point is not None:
            gave = ""
            if point.sensitivity is not None and point.specificity is not None:
                gave = f"; on validation rows sensitivity {decimals(point.sensitivity)}, specificity {decimals(point.specificity)}"
            yield f"Threshold of {key}: {significant(point.threshold)}, for {describe_aim(point.aim)}{gave}. {point.note}".strip()
        if isinstance(calibration, Temperature):
            yield f"Calibration of {key}: temperature {listed([significant(one) for one in calibration.temperatures])}."
        elif calibration is not None:
            yield f"Calibration of {key}: isotonic."
        yield from one.calibration_notes
        if bound is not None:
            yield f"Conformal {bound.kind} of {key}: fitted on {_held_back(bound.rows, bound.groups)}. {bound.note}".strip()


def sentences(result: TargetResult) -> tuple[str, ...]:
    """Return what a reader should know of each."""
    point, calibration, bound = result.operating_point, result.calibration, result.conformal
    return (
        *(() if point is None else _describe_threshold(point)),
        *(() if calibration is None else _describe_calibration(calibration)),
        *(() if bound is None else _describe_conformal(bound)),
    )


def _describe_threshold(point: ThresholdResult) -> Iterator[str]:
    here = f"here {_both(point)}"
    if point.validation.sensitivity is not None:
        on = counted(point.validation.rows, "validation row")
        here = f"chosen for {point.aim_in_words} on {on}, with {_both(point.validation)} there; {here}"
    yield f"Threshold: {point.positive} from {significant(point.threshold)} on; {here}."
    if point.note:
        yield point.note


def _both(found: ThresholdResult | ThresholdSelection) -> str:
    return f"sensitivity {_value(found.sensitivity)}, specificity {_value(found.specificity)}"


def _value(share: float | None) -> str:
    return "undefined" if share is None else decimals(share)


def _describe_calibration(found: Calibration) -> Iterator[str]:
    after = found.final
    scaled = "" if found.after is None else f", after {_how(found)}"
    pairs = ((after.ece, found.before.ece), (after.brier, found.before.brier))
    values = [
        f"{in_sentence(mine.name)} {format_interval(mine.name, mine)}" + (f", before {format_interval(mine.name, own)}" if scaled else "")
        for mine, own in pairs
    ]
    yield f"Calibration {_of(found)}{scaled}: {'; '.join(values)}."
    if all((mine.value or 0) > (own.value or 0) for mine, own in pairs):
        yield "On these rows the scaling did not bring them nearer to what came true."
    yield from found.notes


def _of(found: Calibration) -> str:
    return OF.get(found.of, f"of {found.of}")


def _how(found: Calibration) -> str:
    if found.temperatures is None:
        return "isotonic scaling"
    several = found.temperatures
    return f"temperature scaling by {significant(several[0])}" if len(several) == 1 else "temperature scaling of each label"


def _describe_conformal(found: PredictionSets | PredictionIntervals) -> Iterator[str]:
    inside = found.found
    share = f"{_share(inside)} of {counted(inside.rows, 'row')}, asked was {decimals(found.coverage)}"
    if isinstance(found, PredictionSets):
        empty = f", {counted(found.empty, 'set')} empty" if found.empty else ""
        size = f"mean size {decimals(found.mean_size)}{empty}"
    else:
        size = "without end" if found.width is None else f"{significant(found.width)} wide"
    held_back = _held_back(found.fitted_on.rows, found.fitted_on.groups)
    yield f"Conformal {found.kind}, fitted on {held_back}, {size}: they hold the answer in {share}."
    if found.note:
        yield found.note


def _held_back(rows: int, groups: int | None) -> str:
    of_groups = "" if groups is None else f" of {counted(groups, 'group')}"
    return f"{counted(rows, 'row')}{of_groups} held back"


def _share(found: HasInterval) -> str:
    """`0.893 (0.850 to 0.930)`; without an interval the value alone."""
    interval = "" if found.low is None or found.high is None else f" ({decimals(found.low)} to {decimals(found.high)})"
    return f"{_value(found.value)}{interval}"


def _thresholds(judged: TargetResultView, point: ThresholdResult) -> Table:
    chosen = {"sensitivity": point.validation.sensitivity, "specificity": point.validation.specificity}
    lines = tuple((Cell(name.capitalize()), number(_value(value)), number(_share(judged.scores[name]))) for name, value in chosen.items())
    head = ("", "Validation, where it was chosen", judged.part.called.capitalize())
    note = "On the rows on which a threshold was chosen it looks a little too good."
    return Table(f"Threshold {significant(point.threshold)} of {judged.key}", head, lines, note, csv=judged.csv("scores"))


def _bins(judged: TargetResultView, found: Calibration) -> Table:
    """The bins of the calibrated probabilities, where there are any, else of the network's own."""
    lines = tuple(
        (
            number(decimals(one.said)),
            number(decimals(one.share)),
            number(f"{decimals(one.low)} to {decimals(one.high)}"),
            number(count(one.rows)),
        )
        for one in found.final.bins
    )
    what = "Probabilities" if found.after is None else "Calibrated probabilities"
    note = f"At most {found.bins} bins of equal mass, equal probabilities together; {_of(found)}."
    return Table(
        f"{what} of {judged.key} and what came true",
        ("Predicted", "Came true", "Interval", "Rows"),
        lines,
        note,
        csv=judged.csv("calibration"),
    )
