"""Permutation importance of the inputs, and scores where inputs are missing."""

from __future__ import annotations

from collections.abc import Sequence

from mmtrain.artifacts.analysis_results import AblatedBranch, InputImportance, MissingPattern, MissingPatterns, PermutationImportance
from mmtrain.errors import counted, listed
from mmtrain.reports.blocks import Block, Cell, Paragraph, Plots, Table, number
from mmtrain.reports.figures import plots
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.report_data import TargetResultView
from mmtrain.reports.wording import count, format_interval, in_sentence, rows_called, title

MOST_BARS = 20
MOST_ROWS = 100
OTHER = "other combinations"


def blocks(view: TargetResultView, writer: FigureWriter) -> tuple[Block, ...]:
    """Return the permutation importance and the scores with missing inputs, if they were computed."""
    return (*_contributions(view, writer), *_missing(view))


def ranked(importance: PermutationImportance) -> list[InputImportance]:
    """Return the inputs whose drop in the main score is defined, the largest drop first."""
    inputs = [one for one in importance.inputs if importance.main in one.losses]
    return sorted(inputs, key=lambda one: -one.losses[importance.main].value)


def input_label(one: InputImportance) -> str:
    """Name an input: `scan`, or `age (in demographics)` for one of several columns of a branch."""
    return one.name if one.whole_branch else f"{one.name} (in {one.branch})"


def contribution_sentence(importance: PermutationImportance) -> str:
    """Name the input that contributes most, and those without a proven contribution."""
    inputs, main = ranked(importance), importance.main
    if not inputs:
        return f"The contribution of the inputs to the {in_sentence(main)} is undefined."
    # Without an interval, or with one that contains 0, no contribution is shown.
    shown = [one for one in inputs if (one.losses[main].low or 0.0) > 0]
    others = listed([input_label(one) for one in inputs if one not in shown])
    if not shown:
        return f"No input is shown to contribute to the {in_sentence(main)}."
    # The largest that is shown to be above 0 may not be the largest observed.
    first = shown[0]
    claim = "contributes most" if first is inputs[0] else "has the largest contribution that is shown"
    most = f"{input_label(first)} {claim}: with its values shuffled among the rows, the {in_sentence(main)} is worse by "
    text = f"{most}{format_interval(main, first.losses[main])}."
    return f"{text} No contribution is shown for {others}." if others else text


def shortened_sentence(importance: PermutationImportance) -> str:
    """Say how the time limit shortened the analysis; empty if it did not."""
    parts = []
    if importance.permutations_asked is not None:
        parts.append(f"Each input was shuffled {counted(importance.permutations, 'time')} instead of {importance.permutations_asked}")
    if left_out := importance.left_out:
        parts.append(f"{listed(left_out)} {'was' if len(left_out) == 1 else 'were'} left out")
    return f"{' and '.join(parts)}, because the time limit does not suffice for all inputs." if parts else ""


def _contributions(view: TargetResultView, writer: FigureWriter) -> list[Block]:
    importance = view.result.contributions
    if importance is None:
        return []
    main, inputs = importance.main, ranked(importance)
    texts: list[Block] = [Paragraph(text) for text in (contribution_sentence(importance), shortened_sentence(importance)) if text]
    if not inputs:
        return texts
    shown = inputs[:MOST_BARS]
    label = f"{title(main)}: worse by"
    figure = plots.ranges([input_label(one) for one in shown], [one.losses[main] for one in shown], label, reference=0, bars=True)
    words = "; ".join(f"{input_label(one)} {format_interval(main, one.losses[main])}" for one in shown)
    alt = f"How much worse the {in_sentence(main)} of {view.key} becomes when an input is shuffled among the rows: {words}."
    name = f"contributions_{view.prefix}{view.part.label}"
    plot = writer.add(figure, name, title="Contribution of each input", alt=alt, caption="Lines are intervals.")
    return [*texts, Plots((plot,), wide=True), contributions_table(view, importance, inputs)]


def contributions_table(view: TargetResultView, importance: PermutationImportance, inputs: Sequence[InputImportance]) -> Table:
    """Tabulate the drop in the main score and in up to two others for every input."""
    # Two more scores fit on a page; the file has all.
    others = [name for name in inputs[0].losses if name != importance.main][:2]
    names = [importance.main, *others]
    lines = []
    for one in inputs[:MOST_ROWS]:
        columns = [number(format_interval(name, one.losses[name])) if name in one.losses else number("undefined") for name in names]
        lines.append((Cell(input_label(one)), *columns))
    note = (
        f"How much worse each score becomes when the input's values are shuffled among {counted(importance.rows, 'row')}, "
        f"mean of {counted(importance.permutations, 'shuffle')}, with {percent_of(importance.confidence)} intervals; negative values are "
        "improvements. If two inputs carry the same information, shuffling one of them changes little."
    )
    caption = f"Contributions to {view.key} on the {rows_called(view)}"
    head = ("Input", *(f"{title(name)}, worse by" for name in names))
    return Table(caption, head, tuple(lines), note, csv=view.csv("contributions"))


def percent_of(confidence: float) -> str:
    """Format a confidence level: `95 %`."""
    return f"{100 * confidence:g} %"


def _missing(view: TargetResultView) -> list[Block]:
    analysis = view.result.missing_patterns
    if analysis is None:
        return []
    tables: list[Block] = []
    if analysis.patterns:
        tables.append(patterns_table(view, analysis))
    if analysis.masked:
        tables.append(masked_table(view, analysis))
    return tables


def pattern_name(missing: Sequence[str] | None) -> str:
    """Name a missing pattern: `nothing`, `age and note`."""
    return OTHER if missing is None else listed(missing) if missing else "nothing"


def patterns_table(view: TargetResultView, analysis: MissingPatterns) -> Table:
    """Tabulate the main score of the rows as they are, by missing pattern."""
    main = analysis.main
    lines = tuple(
        (
            Cell(pattern_name(one.missing)),
            number(count(one.rows)),
            number(format_interval(main, one.scores[main])),
            _reason(one, main),
        )
        for one in analysis.patterns
    )
    note = (
        f"With {percent_of(analysis.confidence)} intervals. Missing values are handled as in training. Rows with missing inputs may also "
        "be harder or easier for other reasons."
    )
    caption = f"{title(main)} of {view.key} on the {rows_called(view)}, by missing inputs"
    head = ("Missing", "Rows", title(main), "Note")
    return Table(caption, head, lines, note, csv=view.csv("missing_patterns")).without_empty_notes()


def masked_table(view: TargetResultView, analysis: MissingPatterns) -> Table:
    """Tabulate the main score of all rows with each branch ablated."""
    main = analysis.main
    lines = []
    for one in analysis.masked:
        loss = one.losses.get(main)
        worse = number("undefined", tone="quiet") if loss is None else number(format_interval(main, loss))
        lines.append((Cell(one.branch), number(format_interval(main, one.scores[main])), worse, Cell(practice(one))))
    note = (
        f"All rows without the branch, with {percent_of(analysis.confidence)} intervals. Only a branch whose columns all have "
        "missing: mask can be absent."
    )
    caption = f"{title(main)} of {view.key} on the {rows_called(view)} without one branch"
    return Table(caption, ("Without", title(main), "Worse by", "In training"), tuple(lines), note, csv=view.csv("missing_patterns"))


def practice(masked: AblatedBranch) -> str:
    """Say how often a branch was missing in training."""
    rows = masked.training_rows_without
    return f"missing in {counted(rows, 'row')}" if rows else "never missing, so the network did not learn to do without it"


def _reason(pattern: MissingPattern, main: str) -> Cell:
    return Cell(pattern.scores[main].undefined or pattern.scores[main].note)
