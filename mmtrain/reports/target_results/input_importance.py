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

MOST_DRAWN = 20
MOST_ROWS = 100
OTHER = "other combinations"


def blocks(judged: TargetResultView, gallery: FigureWriter) -> tuple[Block, ...]:
    """Return contributions, then missing inputs, as far as they were computed."""
    return (*_contributions(judged, gallery), *_missing(judged))


def ranked(found: PermutationImportance) -> list[InputImportance]:
    """Return the inputs whose loss of the main score is defined, the largest loss first."""
    inputs = [one for one in found.inputs if found.main in one.losses]
    return sorted(inputs, key=lambda one: -one.losses[found.main].value)


def input_label(one: InputImportance) -> str:
    """`scan`, or `age (in demographics)` for one of several columns of a branch."""
    return one.name if one.whole_branch else f"{one.name} (in {one.branch})"


def contribution_sentence(found: PermutationImportance) -> str:
    """Say which input contributes most, and for which no contribution is shown."""
    inputs, main = ranked(found), found.main
    if not inputs:
        return f"What the inputs contribute to the {in_sentence(main)} is undefined."
    shown = [one for one in inputs if (one.losses[main].low or 0.0) > 0]
    silent = listed([input_label(one) for one in inputs if one not in shown])
    if not shown:
        return f"Of no input is it shown that it contributes to the {in_sentence(main)}."
    first = shown[0]
    most = f"{input_label(first)} contributes most: with its values shuffled among the rows, the {in_sentence(main)} is worse by "
    text = f"{most}{format_interval(main, first.losses[main])}."
    return f"{text} Of {silent} it is not shown that the score would be worse." if silent else text


def shortened_sentence(found: PermutationImportance) -> str:
    """Say what there was not enough time for; empty where there was."""
    said = []
    if found.permutations_asked is not None:
        said.append(f"Each input was shuffled {counted(found.permutations, 'time')} instead of {found.permutations_asked}")
    if left_out := found.left_out:
        said.append(f"{listed(left_out)} {'was' if len(left_out) == 1 else 'were'} left out")
    return f"{' and '.join(said)}, because there are too many inputs for the time that contributions may take." if said else ""


def _contributions(judged: TargetResultView, gallery: FigureWriter) -> list[Block]:
    found = judged.result.contributions
    if found is None:
        return []
    main, inputs = found.main, ranked(found)
    result: list[Block] = [Paragraph(text) for text in (contribution_sentence(found), shortened_sentence(found)) if text]
    if not inputs:
        return result
    drawn = inputs[:MOST_DRAWN]
    label = f"{title(main)}: worse by"
    figure = plots.ranges([input_label(one) for one in drawn], [one.losses[main] for one in drawn], label, reference=0, bars=True)
    words = "; ".join(f"{input_label(one)} {format_interval(main, one.losses[main])}" for one in drawn)
    alt = f"How much worse the {in_sentence(main)} of {judged.key} becomes when an input is shuffled among the rows: {words}."
    name = f"contributions_{judged.prefix}{judged.part.label}"
    plot = gallery.add(figure, name, title="What each input contributes", alt=alt, caption="Lines: intervals.")
    return [*result, Plots((plot,), wide=True), contributions_table(judged, found, inputs)]


def contributions_table(judged: TargetResultView, found: PermutationImportance, inputs: Sequence[InputImportance]) -> Table:
    """The loss of the main score of every input, and of up to two others."""
    others = [name for name in inputs[0].losses if name != found.main][:2]
    names = [found.main, *others]
    lines = []
    for one in inputs[:MOST_ROWS]:
        columns = [number(format_interval(name, one.losses[name])) if name in one.losses else number("undefined") for name in names]
        lines.append((Cell(input_label(one)), *columns))
    note = (
        f"How much worse each score becomes when the input's values are shuffled among {counted(found.rows, 'row')}, "
        f"mean of {counted(found.permutations, 'shuffle')}, with {percent_of(found.confidence)} intervals; below 0, the score became "
        "better. Where one input tells what another tells as well, both lose little."
    )
    caption = f"Contributions to {judged.key} on the {rows_called(judged)}"
    head = ("Input", *(f"{title(name)}, worse by" for name in names))
    return Table(caption, head, tuple(lines), note, csv=judged.csv("contributions"))


def percent_of(confidence: float) -> str:
    """`95 %`."""
    return f"{100 * confidence:g} %"


def _missing(judged: TargetResultView) -> list[Block]:
    found = judged.result.missing_patterns
    if found is None:
        return []
    tables: list[Block] = []
    if found.patterns:
        tables.append(patterns_table(judged, found))
    if found.masked:
        tables.append(masked_table(judged, found))
    return tables


def pattern_name(missing: Sequence[str] | None) -> str:
    """`nothing`, `age and note`."""
    return OTHER if missing is None else listed(missing) if missing else "nothing"


def patterns_table(judged: TargetResultView, found: MissingPatterns) -> Table:
    """The main score of the rows as they are, by what is missing in them."""
    main = found.main
    lines = tuple(
        (
            Cell(pattern_name(one.missing)),
            number(count(one.rows)),
            number(format_interval(main, one.scores[main])),
            _reason(one, main),
        )
        for one in found.patterns
    )
    note = (
        f"With {percent_of(found.confidence)} intervals. What training puts in the place of a missing value is in place here. Rows of "
        "which something is missing may be harder or easier for other reasons too."
    )
    caption = f"{title(main)} of {judged.key} on the {rows_called(judged)}, by what is missing in them"
    head = ("Missing", "Rows", title(main), "Note")
    return Table(caption, head, lines, note, csv=judged.csv("missing_patterns")).without_empty_notes()


def masked_table(judged: TargetResultView, found: MissingPatterns) -> Table:
    """The main score of all rows, were a branch absent from each of them."""
    main = found.main
    lines = []
    for one in found.masked:
        loss = one.losses.get(main)
        worse = number("undefined", tone="quiet") if loss is None else number(format_interval(main, loss))
        lines.append((Cell(one.branch), number(format_interval(main, one.scores[main])), worse, Cell(practice(one))))
    note = (
        f"All rows without the branch, with {percent_of(found.confidence)} intervals. Only a branch whose columns are masked where "
        "they are missing can be absent."
    )
    caption = f"{title(main)} of {judged.key} on the {rows_called(judged)}, were a branch missing in all of them"
    return Table(caption, ("Without", title(main), "Worse by", "In training"), tuple(lines), note, csv=judged.csv("missing_patterns"))


def practice(masked: AblatedBranch) -> str:
    """Say how much the network has learned to do without a branch."""
    rows = masked.training_rows_without
    return f"missing in {counted(rows, 'row')}" if rows else "never missing, so going without it was not practised"


def _reason(found: MissingPattern, main: str) -> Cell:
    return Cell(found.scores[main].undefined or found.scores[main].note)
