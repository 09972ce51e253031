"""Order of the report, and its summary."""

from __future__ import annotations

from datetime import datetime

from mmtrain.columns import inputs_among
from mmtrain.errors import counted, duration, listed
from mmtrain.reports import cohort, explained_rows, limits, training
from mmtrain.reports.blocks import Block, Paragraph, Section
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.next_steps import next_steps
from mmtrain.reports.report_data import ReportData
from mmtrain.reports.target_results import scores
from mmtrain.reports.target_results.baselines import verdicts
from mmtrain.reports.target_results.score_tiles import tiles
from mmtrain.reports.wording import CAVEATS, count, moment


def sections(contents: ReportData, writer: FigureWriter) -> tuple[Section, ...]:
    """Return all sections in reading order."""
    return (
        summary(contents),
        limits.section(contents),
        *next_steps(contents),
        *scores.sections(contents, writer),
        *scores.worst_predictions(contents),
        *explained_rows.sections(contents),
        cohort.section(contents),
        *training.network(contents),
        training.learning(contents, writer),
        training.weights(contents),
        training.learned_columns(contents),
        training.experiment(contents),
        training.provenance(contents),
    )


def headline(contents: ReportData) -> tuple[str, ...]:
    """Return state, start and duration of the run."""
    facts = contents.facts
    words = [facts.state, f"started {moment(facts.started)}"]
    if facts.seconds is not None:
        words.append(f"{duration(facts.seconds.training, 1)} of training")
    elif facts.ended is not None:
        words.append(duration((datetime.fromisoformat(facts.ended) - datetime.fromisoformat(facts.started)).total_seconds(), 1))
    return tuple(words)


def summary(contents: ReportData) -> Section:
    """Summarize the task, the scores, and how often the test part was scored."""
    blocks: list[Block] = []
    if contents.facts.state != "finished":
        blocks.append(Paragraph(contents.facts.error.strip(), f"The training did not finish: it is {contents.facts.state}.", tone="bad"))
    # Only the first part, test if it was scored: the summary has one answer.
    blocks += [tiles(contents, newest) for newest in contents.parts[:1]]
    blocks.append(Paragraph(f"{question(contents)} {rows_used(contents)}"))
    for newest in contents.parts[:1]:
        blocks += [sentence for view in contents.views(newest) for sentence in verdicts(contents, view)]
        blocks += [Paragraph(CAVEATS[newest.label])] if newest.label in CAVEATS else []
    if not contents.parts:
        # Without any evaluation, the epochs are all there is.
        blocks += training.epochs_reached(contents)
    blocks.append(Paragraph(limits.test_accesses(contents)))
    return Section("Summary", tuple(blocks))


def question(contents: ReportData) -> str:
    """Name the inputs and the targets in a sentence."""
    inputs = [f"{key} ({column.role})" for key, column in inputs_among(contents.columns).items()]
    answers = []
    for key, target in contents.fitted.targets.items():
        named = (
            f": {listed(target.columns, 'or')}"
            if 0 < len(target.columns) <= 6
            # Up to six classes are read; more are counted.
            else f", {count(len(target.columns))} in all"
            if target.columns
            else ""
        )
        answers.append(f"{key} ({target.title or target.task}{named})")
    return f"The model predicts {listed(answers)} from {listed(inputs)}."


def rows_used(contents: ReportData) -> str:
    """Name the rows of each part and their purpose in a sentence."""
    data, sizes = contents.data, {part: count(rows) for part, rows in contents.sizes.items()}
    used = f"Of {counted(data.rows, 'row')} in {data.table}, {count(data.used)} were used"
    held_back = [f"{sizes['calibration']} for the conformal bound only"] if "calibration" in sizes else []
    chosen = [f"{sizes['train']} to train", f"{sizes['validation']} to choose the best epoch"]
    purposes = [*chosen, *held_back, f"{sizes['test']} to test"]
    return f"{used}: {listed(purposes)}."
