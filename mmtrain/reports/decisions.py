"""Calibration, threshold and conformal prediction of one target on one part, in sentences and tables; the terminal has the sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmtrain.errors import counted, listed
from mmtrain.evaluation.postprocessing.calibration import Temperature
from mmtrain.evaluation.postprocessing.decision_threshold import describe_aim
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.reports.blocks import Block, Cell, Folded, Paragraph, Table, number
from mmtrain.reports.report_data import TargetResultView
from mmtrain.reports.wording import count, decimals, format_interval, in_sentence, significant

MEASURES = ("ece", "brier")
"""Of calibration, as metrics.json has them before and after scaling."""
OF = {"every label": "of every label, all labels together", "the most probable class": "of the most probable class"}


def blocks(judged: TargetResultView) -> list[Block]:
    """What there is of the three; nothing of a run that an older version evaluated."""
    found: list[Block] = [Paragraph(text) for text in sentences(judged.result)]
    if "operating_point" in judged.result:
        found.append(_thresholds(judged, judged.result["operating_point"]))
    if "calibration" in judged.result:
        found.append(Folded("Reliability in numbers", (_bins(judged, judged.result["calibration"]),)))
    return found


def describe_postprocessing(decisions: Postprocessing) -> Iterator[str]:
    """What a training decided at its end, before any part was scored."""
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


def sentences(result: Mapping[str, Any]) -> tuple[str, ...]:
    """What a reader should know of each; `result` is what metrics.json has of the target."""
    said = {"operating_point": _point_said, "calibration": _calibration_said, "conformal": _conformal_said}
    return tuple(sentence for name, say in said.items() if name in result for sentence in say(result[name]))


def _point_said(point: Mapping[str, Any]) -> Iterator[str]:
    here = f"here {_both(point)}"
    if point["validation"]["sensitivity"] is not None:
        on = counted(point["validation"]["rows"], "validation row")
        here = f"chosen for {point['aim_in_words']} on {on}, with {_both(point['validation'])} there; {here}"
    yield f"Threshold: {point['positive']} from {significant(point['threshold'])} on; {here}."
    if point["note"]:
        yield point["note"]


def _both(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(found[name])}" for name in ("sensitivity", "specificity"))


def _value(share: float | None) -> str:
    return "undefined" if share is None else decimals(share)


def _calibration_said(found: Mapping[str, Any]) -> Iterator[str]:
    before, after = found["before"], found.get("after", found["before"])
    scaled = f", after {_how(found)}" if "after" in found else ""
    values = [
        f"{in_sentence(name)} {format_interval(name, mine)}" + (f", before {format_interval(name, theirs)}" if scaled else "")
        for name, mine, theirs in ((name, measure(after, name), measure(before, name)) for name in MEASURES)
    ]
    yield f"Calibration {_of(found)}{scaled}: {'; '.join(values)}."
    if all(measure(after, name)["value"] > measure(before, name)["value"] for name in MEASURES):
        yield "On these rows the scaling did not bring them nearer to what came true."
    yield from found["notes"]


def measure(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """`{value, low, high, note}` of one of `MEASURES`; an older mmtrain wrote the value alone."""
    known: Mapping[str, Any] | float = found[name]
    return known if isinstance(known, Mapping) else {"value": known}


def _of(found: Mapping[str, Any]) -> str:
    return OF.get(found["of"], f"of {found['of']}")


def _how(found: Mapping[str, Any]) -> str:
    if found["method"] != "temperature":
        return "isotonic scaling"
    several = found["temperatures"]
    return f"temperature scaling by {significant(several[0])}" if len(several) == 1 else "temperature scaling of each label"


def _conformal_said(found: Mapping[str, Any]) -> Iterator[str]:
    share = f"{_share(found['found'])} of {counted(found['found']['rows'], 'row')}, asked was {decimals(found['coverage'])}"
    if found["kind"] == "sets":
        empty = f", {counted(found['empty'], 'set')} empty" if found["empty"] else ""
        size = f"mean size {decimals(found['mean_size'])}{empty}"
    else:
        size = "without end" if found["width"] is None else f"{significant(found['width'])} wide"
    yield f"Conformal {found['kind']}, fitted on {_held_back(**found['fitted_on'])}, {size}: they hold the answer in {share}."
    if found["note"]:
        yield found["note"]


def _held_back(rows: int, groups: int | None) -> str:
    of_groups = "" if groups is None else f" of {counted(groups, 'group')}"
    return f"{counted(rows, 'row')}{of_groups} held back"


def _share(found: Mapping[str, Any]) -> str:
    """`0.893 (0.850 to 0.930)`; without an interval the value alone."""
    interval = f" ({decimals(found['low'])} to {decimals(found['high'])})" if found.get("low") is not None else ""
    return f"{_value(found['value'])}{interval}"


def _thresholds(judged: TargetResultView, point: Mapping[str, Any]) -> Table:
    lines = tuple(
        (Cell(name.capitalize()), number(_value(point["validation"][name])), number(_share(judged.scores[name])))
        for name in ("sensitivity", "specificity")
    )
    head = ("", "Validation, where it was chosen", judged.part.called.capitalize())
    note = "On the rows on which a threshold was chosen it looks a little too good."
    return Table(f"Threshold {significant(point['threshold'])} of {judged.key}", head, lines, note, csv=judged.csv("scores"))


def _bins(judged: TargetResultView, found: Mapping[str, Any]) -> Table:
    """The bins of the probabilities that are to be believed: calibrated, where they are."""
    used = found.get("after", found["before"])
    lines = tuple(
        (
            number(decimals(one["said"])),
            number(decimals(one["share"])),
            number(f"{decimals(one['low'])} to {decimals(one['high'])}"),
            number(count(one["rows"])),
        )
        for one in used["bins"]
    )
    what = "Calibrated probabilities" if "after" in found else "Probabilities"
    note = f"At most {found['bins']} bins of equal mass, equal probabilities together; {_of(found)}."
    return Table(
        f"{what} of {judged.key} and what came true",
        ("Predicted", "Came true", "Interval", "Rows"),
        lines,
        note,
        csv=judged.csv("calibration"),
    )
