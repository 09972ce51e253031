"""Page of a search: its result, its course, the importance of settings, and all trials."""

from __future__ import annotations

from collections.abc import Sequence

from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.search_results import NestedScore, SearchResult, TrialResult, rank_trials
from mmtrain.config.load import format_setting
from mmtrain.errors import counted
from mmtrain.metrics.score import higher_is_better
from mmtrain.reports.blocks import Block, Cell, Paragraph, Plots, Section, Table, number
from mmtrain.reports.figures import search_plots
from mmtrain.reports.figures.plot_style import FigureWriter, style
from mmtrain.reports.report import limit_size
from mmtrain.reports.wording import decimals, significant

MOST_TRIALS = 30
"""Trials in the page's table, the best first; trials.csv has all."""
MOST_AXES = 10
"""Settings of the plot of parallel coordinates, the most important first."""
OPTIMISM = "The best of many scores of the same validation rows is too optimistic."
EVALUATE = "Train it with `mmtrain fit`, and score it on the test part with `mmtrain evaluate`."


def describe_correction(result: SearchResult) -> list[str]:
    """Return sentences about the best score, corrected for the choice among the trials."""
    if result.best.own and result.nested is None:
        return ["No trial is better than the experiment file."]
    if result.nested is not None:
        return describe_nested(result.nested)
    one = result.corrected
    if one is None:
        return [OPTIMISM, EVALUATE]
    scored = f"chosen and scored on different validation rows (bootstrap), it is {one.score} {decimals(one.value)}, the file's own values"
    compared = f"{decimals(one.own)}; the choice is better in {one.better:.0%} of the draws."
    gain = one.gain if higher_is_better(one.score) else -one.gain
    return [f"{OPTIMISM} Corrected for that, {scored} {compared}", EVALUATE if gain > 0 else NOTHING_GAINED]


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


def write_page(run: Run, result: SearchResult, settings: Sequence[str], minutes: float | None) -> None:
    """Write report.html and its plots into the run of a search; `settings` are the keys of its space."""
    with style():
        sections = [_summary(result), *_plots(run, result, settings), _trials(result, settings)]
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
    blocks: list[Block] = [Paragraph("", f"{sentence}.", " ".join(describe_correction(result)))]
    if result.changes:
        lines = [(Cell(key), Cell(format_setting(one.before)), Cell(format_setting(one.after))) for key, one in result.changes.items()]
        blocks.append(Table("Changes of the best trial", ("Setting", "Experiment file", "Best trial"), tuple(lines)))
    blocks.append(Paragraph(f"{result.experiment.name} is the best experiment, a file for `mmtrain fit`."))
    return Section("Result", tuple(blocks))


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
