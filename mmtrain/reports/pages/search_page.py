"""Page of a search: its result, what limits it, what to do next, its course, the importance of settings, and all trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.search_results import CorrectedChoice, NestedScore, SearchResult, TrialResult, rank_trials
from mmtrain.config.load import format_setting
from mmtrain.errors import counted, shell_command
from mmtrain.metrics.score import METRICS, Score
from mmtrain.reports.blocks import Block, Cell, Paragraph, Plots, Points, Section, Table, Tile, Tiles, Tone, number
from mmtrain.reports.figures import search_plots
from mmtrain.reports.figures.plot_style import FigureWriter, style
from mmtrain.reports.report import limit_size
from mmtrain.reports.target_results.score_tiles import ruler
from mmtrain.reports.wording import decimals, format_score, limits, significant, title

MOST_TRIALS = 30
"""Trials in the page's table, the best first; trials.csv has all."""
MOST_AXES = 10
"""Settings of the plot of parallel coordinates, the most important first."""
FEW_VALIDATION_ROWS = 300
"""Below this, folds of trials are suggested: the standard error of an accuracy of .8 is .023, as large as most gains of a search."""
AT_THE_END = 0.05
"""Share of a range from its end within which the best value says that a wider range may have a better one."""
LATE = 2 / 3
"""Share of the trials after which the best one says that more trials may find a better one."""
FILE = "experiment file"
"""Name of the values that a search begins with."""
OPTIMISM = "The best of many scores of the same validation rows is too optimistic."
EVALUATE = "Train it with `mmtrain fit`, and score it on the test part with `mmtrain evaluate`."


def describe_correction(result: SearchResult) -> list[str]:
    """Return sentences about the best score, corrected for the choice among the trials."""
    if result.best.own and result.nested is None:
        return ["No trial is better than the experiment file."]
    if result.nested is not None:
        return describe_nested(result.nested)
    one, lucky = result.corrected, describe_luck(result.best)
    if one is None:
        return [OPTIMISM, *lucky, EVALUATE]
    scored = f"chosen and scored on different validation rows (bootstrap), it is {one.score} {decimals(one.value)}, the file's own values"
    compared = f"{decimals(one.own)}; the choice is better in {one.better:.0%} of the draws."
    return [f"{OPTIMISM} Corrected for that, {scored} {compared}", *lucky, EVALUATE if one.improves else NOTHING_GAINED]


def describe_luck(best: TrialResult) -> list[str]:
    """Return a sentence on a trial that was best before it had learned much.

    Of 20 trials on 80 validation rows of the clinic data, the best had an AUC of .857 in epoch 1 of 12 and of .714 on test rows; with two
    other seeds of .149 and .692 there.
    """
    trainings = max(1, len(best.fold_scores))
    if best.own or best.best_epoch != 1 or best.epochs < 2 * trainings:
        return []
    return [
        f"Trial {best.trial} was best after its first epoch, when it had hardly learned: its score may be luck of its first weights, which "
        "another seed (`training.seed`) would not have."
    ]


def describe_nested(nested: NestedScore) -> list[str]:
    """Return sentences about the score of the search in nested folds."""
    where = f"{counted(len(nested.folds), 'outer fold')} with {counted(nested.rows, 'row')} that their searches have not seen"
    interval = "" if nested.low is None or nested.high is None else f" ({decimals(nested.low)} to {decimals(nested.high)})"
    value = "undefined" if nested.value is None else decimals(nested.value)
    sentences = [f"Nested: {nested.score} {value}{interval} in {where}."]
    if nested.best is not None and nested.optimism is not None:
        too = "better" if nested.optimism > 0 else "worse"
        sentences.append(
            f"On their own validation rows, the best trials of these searches have {decimals(nested.best)}: "
            f"{decimals(abs(nested.optimism))} {too} than their experiments on the outer rows, the optimism of the search."
        )
    return sentences


NOTHING_GAINED = (
    "So the validation rows do not show that anything is gained: keep the experiment file, or search with more validation rows or fewer "
    "settings."
)


class SettingRange(NamedTuple):
    """The range of a setting, from `low` to `high`."""

    low: float
    high: float
    log: bool
    """True if factors are as likely as sums."""

    def ends_near(self, value: float) -> bool:
        """Return whether a value is near an end of the range; a range that begins with 0 has nothing below."""
        low, high, value = map(math.log, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        place = (value - low) / (high - low)
        return place > 1 - AT_THE_END or (place < AT_THE_END and self.low != 0)


def write_page(run: Run, result: SearchResult, settings: Mapping[str, SettingRange | None], minutes: float | None) -> None:
    """Write report.html and its plots into the run of a search; `settings` are those of its space by key, with their ranges."""
    keys = list(settings)
    with style():
        plots = _plots(run, result, keys)
        sections = [_summary(result), _limits(result), _next_steps(run, result, settings), *plots, _trials(result, keys)]
    facts = [counted(len(result.trials), "trial"), f"{result.seconds / 60:.1f} minutes" + (f" of {minutes:g}" if minutes else "")]
    run.write_text("report.html", limit_size(sections, title=f"{run}: search", facts=facts))


def count_outcomes(trials: Sequence[TrialResult]) -> str:
    """Return for example `12 complete, 7 pruned, 1 failed`."""
    names = dict.fromkeys(one.outcome for one in trials)
    return ", ".join(f"{sum(one.outcome == name for one in trials):,} {name}" for name in names)


def _summary(result: SearchResult) -> Section:
    best = result.best
    sentence = f"Trial {best.trial} is the best: {result.score} {significant(best.score or 0.0)}"
    if result.own_score is not None and not best.own:
        sentence += f"; the values of the experiment file reach {significant(result.own_score)}"
    blocks: list[Block] = [Tiles((headline(result),)), Paragraph("", f"{sentence}.", " ".join(describe_correction(result)[:1]))]
    if result.changes:
        lines = [(Cell(key), Cell(format_setting(one.before)), Cell(format_setting(one.after))) for key, one in result.changes.items()]
        blocks.append(Table("Changes of the best trial", ("Setting", "Experiment file", "Best trial"), tuple(lines)))
    blocks.append(Paragraph(f"{result.experiment.name} is the best experiment, a file for `mmtrain fit`."))
    return Section("Result", tuple(blocks))


def headline(result: SearchResult) -> Tile:
    """Return the score of the search next to that of the experiment file: by nested folds, corrected for the choice, or as it is."""
    if result.nested is not None:
        return _nested_tile(result.nested)
    if result.corrected is not None and not result.best.own:
        return _corrected_tile(result.corrected)
    name, value = result.score.removeprefix("validation_"), result.best.score or 0.0
    known = name in METRICS
    text, shown = (title(name), format_score(name, value)) if known else (result.score, significant(value))
    if result.best.own:
        heading, compared = f"{text} of the experiment file on validation rows", f"The best of {counted(len(result.trials), 'trial')}."
        return Tile(heading, shown, "", compared, "", None)
    heading = f"{text} of the best trial on validation rows"
    if result.own_score is None:
        return Tile(heading, shown, "too optimistic", "", "", None)
    if not known:
        return Tile(heading, shown, "too optimistic", f"Experiment file: {significant(result.own_score)}.", "", None)
    compared = f"Experiment file: {format_score(name, result.own_score)}."
    line = ruler(name, Score(name, value), Score(name, result.own_score), FILE)
    return Tile(heading, shown, "too optimistic", compared, "", line)


def _corrected_tile(one: CorrectedChoice) -> Tile:
    score, own = Score(one.score, one.value, low=one.low, high=one.high), Score(one.score, one.own)
    heading = f"{title(one.score)} of the best trial on {counted(one.rows, 'validation row')}, corrected for its choice"
    interval = f"{100 * one.confidence:g} % interval {limits(one.score, score)}" if score.interval else "without an interval"
    compared = f"Experiment file: {format_score(one.score, one.own)}. The choice is better in {one.better:.0%} of the draws."
    tone: Tone = "good" if one.improves else "bad"
    return Tile(heading, format_score(one.score, one.value), interval, compared, tone, ruler(one.score, score, own, FILE))


def _nested_tile(one: NestedScore) -> Tile:
    heading = (
        f"{title(one.score)} of the search on {counted(one.rows, 'row')} that it has not seen, {counted(len(one.folds), 'outer fold')}"
    )
    if one.value is None:
        return Tile(heading, "undefined", "", "It is undefined in every outer fold.", "bad", None)
    score = Score(one.score, one.value, low=one.low, high=one.high)
    interval = f"{100 * one.confidence:g} % interval {limits(one.score, score)}" if score.interval else "without an interval"
    best = Score(one.score, one.best, "" if one.best is not None else "It has another unit.")
    compared = "" if one.best is None else f"Best trials on their own validation rows: {format_score(one.score, one.best)}."
    return Tile(heading, format_score(one.score, one.value), interval, compared, "", ruler(one.score, score, best, "best trials"))


def _limits(result: SearchResult) -> Section:
    """List reasons to trust the result less."""
    folds = max((len(one.fold_scores) for one in result.trials), default=0)
    trained = f"{folds} times, on other folds with other seeds" if folds else "once, with one seed"
    points = [f"A trial is trained {trained}, so small differences between trials are noise."]
    if result.corrected is not None and not folds and result.corrected.rows < FEW_VALIDATION_ROWS:
        rows = counted(result.corrected.rows, "validation row")
        points.append(f"Trials are compared on only {rows}: with `tune.folds: 3`, all rows that learn or validate score them.")
    if result.nested is None and not result.best.own:
        points.append(OPTIMISM if result.corrected is None else f"{OPTIMISM} The interval allows for the choice, not for other rows.")
    points += describe_luck(result.best)
    complete = sum(one.outcome == "complete" for one in result.trials)
    if not result.importance:
        points.append(
            f"Only {counted(complete, 'trial')} of {len(result.trials)} ended with a score: too few to tell which settings matter."
        )
    if lost := sum(one.outcome in ("failed", "out of time", "lost") for one in result.trials):
        points.append(f"{counted(lost, 'trial')} did not end: {count_outcomes(result.trials)}.")
    points.append("Test rows are in no trial: only `mmtrain evaluate` says what is gained on them.")
    return Section("Limits", (Points(tuple(points)),))


def _next_steps(run: Run, result: SearchResult, settings: Mapping[str, SettingRange | None]) -> Section:
    """Suggest what to do with the result, and how to search on."""
    best, corrected = result.best, result.corrected
    points = []
    if best.own:
        points.append("Keep the experiment file: no trial is better.")
    elif corrected is None or result.nested is not None or corrected.improves:
        points.append(f"Train the best experiment: {shell_command('fit', result.experiment)}. Then score it with `mmtrain evaluate`.")
    else:
        points.append(f"{NOTHING_GAINED} With `tune.folds: 3`, every row that learns or validates scores the trials.")
    points += [
        f"The best {key}, {format_setting(best.settings[key])}, is at the end of its range, {span.low:g} to {span.high:g}: widen the range."
        for key, span in settings.items()
        if span is not None and not best.own and key in best.settings and span.ends_near(best.settings[key])
    ]
    if not best.own and best.trial >= LATE * len(result.trials):
        more = shell_command("tune", "--resume", run, "--trials", str(2 * len(result.trials)))
        points.append(f"Trial {best.trial} of {len(result.trials)} is the best, so more of them may find a better one: {more}")
    if result.nested is None:
        points.append("`mmtrain tune CONFIG --nested` scores what the search finds on rows that it has not seen.")
    return Section("What to do next", (Points(tuple(points)),))


def _plots(run: Run, result: SearchResult, settings: Sequence[str]) -> list[Section]:
    writer, maximize = FigureWriter(run), result.direction == "maximize"
    complete = sum(one.outcome == "complete" for one in result.trials)
    figure = search_plots.history(result.trials, result.score, maximize=maximize)
    best = f"the best is {significant(result.best.score or 0.0)}, in trial {result.best.trial}"
    alt = f"Scores of {counted(len(result.trials), 'trial')}; {best}."
    course = writer.add(figure, "history", title="Course of the search", alt=alt, caption=f"{count_outcomes(result.trials)}.".capitalize())
    sections = [Section("Course", (Plots((course,), wide=True),))]
    if result.importance:
        figure = search_plots.importance(result.importance)
        first = next(iter(result.importance))
        caption = "Share of each setting in what distinguishes the best quarter of the trials; of few trials a rough figure."
        shares = writer.add(figure, "importance", title="Importance of settings", alt=f"{first} is the most important.", caption=caption)
        sections.append(Section("Importance", (Plots((shares,)),)))
    if complete > 1:
        keys = sorted(settings, key=lambda key: -result.importance.get(key, 0.0))[:MOST_AXES]
        figure = search_plots.parallel_coordinates(result.trials, keys, result.score, result.best.trial, maximize=maximize)
        caption = "A line is a complete trial; better ones are darker, the best is coloured."
        plot = writer.add(figure, "parallel_coordinates", title="Values and scores", alt="The values of every trial.", caption=caption)
        sections.append(Section("Values", (Plots((plot,), wide=True),)))
    return sections


def _trials(result: SearchResult, settings: Sequence[str]) -> Section:
    ranked = rank_trials(result.trials, result.direction)[:MOST_TRIALS]
    lines = [
        (
            Cell(f"{one.trial}{' (file)' if one.own else ''}"),
            Cell(one.outcome, tone="good" if one.trial == result.best.trial else "bad" if one.outcome == "failed" else ""),
            number("–" if one.score is None else significant(one.score)),
            number(f"{one.epochs}"),
            number(f"{one.seconds:.1f}"),
            *(Cell("–" if key not in one.settings else format_setting(one.settings[key])) for key in settings),
            Cell(one.reason),
        )
        for one in ranked
    ]
    head = ("Trial", "Outcome", result.score, "Epochs", "Seconds", *settings, "Remark")
    table = Table("Trials, the best first", head, tuple(lines), csv=result.table.name).without_empty_notes()
    return Section("Trials", (table,))
