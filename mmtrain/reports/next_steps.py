"""Suggestions of a report: what would most likely improve the model, or make its score more certain, with the setting or the command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mmtrain.columns import Group, column_of_role
from mmtrain.errors import counted, listed, shell_command
from mmtrain.metrics.score import Score, metric_of
from mmtrain.reports.blocks import Points, Section
from mmtrain.reports.report_data import ReportData, TargetResultView
from mmtrain.reports.target_results.group_scores import GroupData
from mmtrain.reports.wording import count, decimals, format_score, in_sentence, main_score_of, outcome

MANY_IMAGES = 20_000
"""Training rows up to which a pretrained image network is suggested. With 3,518 images of clothing the accuracy was .797 from scratch, and
.851 with frozen features of EfficientNet-Lite0."""
MANY_TEXTS = 20_000
"""Training rows up to which a pretrained text network is suggested next to the words. On names of emoji, nine classes, accuracies with 255
training rows were .630 with TF-IDF and .775 with both, with 850 rows .714 and .844; women's reviews are in benchmarks/LOG.md."""
WIDE_INTERVAL = 0.1
"""Width of an interval, as a share of the range of the score, from which more rows are suggested."""
FEW_DETECTED = 0.6
"""Sensitivity or specificity below which another threshold is suggested, where the other one is higher."""
POORLY_CALIBRATED = 0.1
"""Expected calibration error above which a calibration is suggested: probabilities are off by ten points on average."""


def next_steps(contents: ReportData) -> tuple[Section, ...]:
    """Suggest improvements, at least one for every finished run."""
    points = [
        *_more_epochs(contents),
        *pretrained_images(contents),
        *pretrained_texts(contents),
        *(point for part in contents.parts[:1] for view in contents.views(part) for point in _of_scores(contents, view)),
        *_score(contents),
    ]
    if contents.parts and not contents.facts.explanations:
        points.append(f"To see why single rows get their predictions: {shell_command('explain', contents.run)}")
    return (Section("What to do next", (Points(tuple(points)),)),) if points else ()


def group_next_steps(contents: GroupData) -> tuple[Section, ...]:
    """Suggest improvements of a group of trainings, and what it is good for, at least one point."""
    points = [*_more_epochs_of_group(contents)]
    for key in contents.result.targets:
        if contents.outcome(key) == "open":
            points.append(_no_better(contents.data, key))
        points += _more_rows_of_group(contents, key)
    points += [point for view in contents.views for point in _missed_class(view)]
    rows = round(sum(one.train_rows for one in contents.result.members) / len(contents.result.members))
    first = replace(contents.data, network=contents.facts.network, sizes={"train": rows})
    points += [*pretrained_images(first), *pretrained_texts(first), *_use_of_group(contents)]
    return (Section("What to do next", (Points(tuple(points)),)),)


def _more_epochs_of_group(contents: GroupData) -> Iterator[str]:
    last, trainings = contents.facts.best_is_last, len(contents.result.members)
    if 2 * last > trainings:
        which = "every training" if last == trainings else f"{last} of {trainings} trainings"
        yield f"In {which} {_train_longer(contents.data)}"


def _more_rows_of_group(contents: GroupData, key: str) -> Iterator[str]:
    """Say how many rows would halve the interval: with more rows, both trainings and scores vary less."""
    score, result = contents.main_score(key), contents.result
    if _is_wide(score):
        width = format_score(score.name, score.interval.high - score.interval.low) if score.interval is not None else ""
        groups = "" if column_of_role(contents.data.columns, Group) is None else ", from four times as many groups"
        yield (
            f"The {contents.percent} interval of the {in_sentence(score.name)} of {key} is {width} wide. Half of that needs about four "
            f"times as many rows, {count(4 * result.rows)} in place of {count(result.rows)}{groups}."
        )


def _use_of_group(contents: GroupData) -> Iterator[str]:
    run, facts = contents.data.run, contents.facts
    if facts.test_rows:
        yield (
            f"When no setting is to be changed any more, score all trainings together on {counted(facts.test_rows, 'test row')} that none "
            f"of them has seen: {shell_command('evaluate', run)}"
        )
    # The outer folds of a search have an experiment each: they score it, and are not a predictor.
    if run.parent is None:
        yield f"Predict with all trainings together: {shell_command('predict', run, 'TABLE')}"
        yield f"For one network of the size of a single training, distill them: {shell_command('distill', run)}"


def _more_epochs(contents: ReportData) -> Iterator[str]:
    """Suggest more epochs where the best one is the last one that was allowed."""
    facts, most = contents.facts, contents.training.epochs
    # Stopped early, by a limit of minutes or by a person: then the number of epochs was not the limit.
    if facts.best_epoch and facts.best_epoch == len(contents.epochs) == most and not facts.stopped:
        sentence = _train_longer(contents)
        yield f"{sentence[:1].upper()}{sentence[1:]}"


def _train_longer(contents: ReportData) -> str:
    most, monitor = contents.training.epochs, contents.training.early_stopping.monitor
    return (
        f"the last of {counted(most, 'epoch')} is the best one, so {monitor} was still improving: train longer with "
        f"`training.epochs: {2 * most}`; early stopping ends the training when nothing is gained any more."
    )


def _no_better(contents: ReportData, key: str) -> str:
    return (
        f"The model of {key} does not beat a constant prediction: look for mistakes in the table with "
        f"{shell_command('inspect-data', contents.run / 'config.yaml')}, and train longer or with a lower `training.learning_rate`."
    )


def _of_scores(contents: ReportData, view: TargetResultView) -> Iterator[str]:
    """Suggest what the scores of one target on the first part call for."""
    name = main_score_of(contents, view)
    score, baseline = view.scores[name], view.baseline.scores[name]
    if outcome(name, score, baseline, view.difference(name)) in ("worse", "same"):
        yield _no_better(contents, view.key)
    yield from more_rows(view, name)
    yield from _missed_class(view)
    calibration = view.result.calibration
    if calibration is not None and calibration.after is None and (calibration.before.ece.value or 0.0) > POORLY_CALIBRATED:
        yield (
            f"The probabilities of {view.key} are off by {decimals(calibration.before.ece.value or 0.0)} on average: "
            "`evaluation.calibration: temperature` mends that on validation rows, without changing the ranking."
        )


def _missed_class(view: TargetResultView) -> Iterator[str]:
    sensitivity, specificity = (view.scores[one].value if one in view.scores else None for one in ("sensitivity", "specificity"))
    undecided = view.target.thresholdable and view.result.operating_point is None
    if undecided and sensitivity is not None and specificity is not None:
        yield from other_threshold(view.target.columns, sensitivity, specificity)


def other_threshold(classes: Sequence[str], sensitivity: float, specificity: float) -> Iterator[str]:
    """Suggest a threshold for the class that fewer rows are detected of: where the positive class is frequent, that is the negative one."""
    if sensitivity == specificity or min(sensitivity, specificity) >= FEW_DETECTED:
        return
    missed, name = (classes[1], "sensitivity") if sensitivity < specificity else (classes[0], "specificity")
    yield (
        f"At the threshold 0.5 only {decimals(min(sensitivity, specificity))} of the rows of {missed} are detected: let validation "
        f'rows choose another one, with `evaluation.threshold: {{aim: youden}}` or `{{aim: "{name}>=0.9"}}`.'
    )


def more_rows(view: TargetResultView, name: str) -> Iterator[str]:
    """Say how many rows would halve the interval: its width falls with the square root of their number."""
    score, drawing = view.scores[name], view.interval
    if score.interval is not None and drawing is not None and _is_wide(score):
        width = score.interval.high - score.interval.low
        grouped = drawing.unit == "group"
        groups = ", from four times as many groups" if grouped else ""
        yield (
            f"The {drawing.percent} interval of the {in_sentence(name)} of {view.key} is {format_score(name, width)} wide. Half of that "
            f"needs about four times as many rows to score, {count(4 * view.result.rows)} in place of {count(view.result.rows)}{groups}."
        )


def _is_wide(score: Score) -> bool:
    if score.interval is None:
        return False
    scale = metric_of(score.name).maximum - metric_of(score.name).minimum
    # A score without a natural range is compared with its own size.
    return score.interval.high - score.interval.low > WIDE_INTERVAL * min(scale, abs(score.value or 0.0) or scale)


def _score(contents: ReportData) -> Iterator[str]:
    """Suggest the evaluation of test rows that were never scored."""
    if contents.facts.state == "finished" and contents.sizes["test"] and not contents.looks:
        yield f"When no setting is to be changed any more, score the test part: {shell_command('evaluate', contents.run)}"


def pretrained_images(contents: ReportData) -> Iterator[str]:
    """Suggest pretrained weights for branches that learned to see from few images."""
    rows = contents.sizes["train"]
    if contents.network is None or rows >= MANY_IMAGES:
        return
    for branch in contents.network.branches:
        seen = [contents.columns[one.name].image_cells for one in branch.inputs if one.encoder is None and one.name in contents.columns]
        if branch.encoder is None and any(seen):
            learned = f"The branch {branch.name} learned from {counted(rows, 'training row')} alone."
            option = f"set `architecture: pretrained` in branches.{branch.name}, with a `model` that `mmtrain models list` shows"
            yield (
                f"{learned} Frozen features of a pretrained network are usually better with so few: {option}, or fetch one with "
                "`mmtrain models download`. `mmtrain init` estimates the minutes that a model at hand takes."
            )


def pretrained_texts(contents: ReportData) -> Iterator[str]:
    """Suggest a pretrained encoder next to branches that know the words of few texts alone."""
    rows = contents.sizes["train"]
    if contents.network is None or rows >= MANY_TEXTS:
        return
    texts = {key: column.column for key, column in contents.columns.items() if column.content == "texts"}
    inputs = [(branch, one) for branch in contents.network.branches for one in branch.inputs if one.name in texts]
    encoded = {texts[one.name] for branch, one in inputs if branch.encoder is not None or one.encoder is not None}
    headers = sorted({texts[one.name] for _, one in inputs} - encoded)
    if headers:
        yield (
            f"The words of {listed(headers)} were learned from {counted(rows, 'training row')} alone. With so few, a pretrained network "
            "that reads the same texts is usually a gain: add a further text column with the same `column`, and a branch for it with "
            "`architecture: pretrained` and a `model` that `mmtrain models list` shows, or fetch one with `mmtrain models download`. "
            "`mmtrain init` writes both where a model is at hand, with the minutes that it takes."
        )
