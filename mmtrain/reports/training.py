"""Sections on the training: network, learning curves, class weights, learned columns, experiment, versions."""

from __future__ import annotations

from mmtrain.artifacts.run_schema.progress_records import EpochLine
from mmtrain.artifacts.run_schema.run_facts import TimePlan
from mmtrain.columns import Weight, column_of_role, inputs_among
from mmtrain.errors import counted, listed
from mmtrain.reports import csv_tables
from mmtrain.reports.blocks import Block, Cell, Code, Folded, Paragraph, Plot, Plots, Section, Table, number
from mmtrain.reports.figures import plots
from mmtrain.reports.figures.diagram import described, draw
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.report_data import ReportData
from mmtrain.reports.target_results.postprocessing import describe_base, describe_distillation, describe_guard, describe_soup
from mmtrain.reports.wording import CAVEATS, count, direction, format_score, in_sentence, plain, significant, title

MOST_WEIGHTS = 200


def network(contents: ReportData) -> tuple[Section, ...]:
    """Return the diagram of the network; nothing without network.json."""
    outline = contents.network
    if outline is None:
        return ()
    parts = [*outline.branches, outline.fusion, *outline.targets]
    total = counted(sum(part.parameters for part in parts), "parameter")
    caption = f"{total} in all, learned from training rows."
    if outline.auxiliary_heads:
        heads = counted(sum(outline.auxiliary_heads.values()), "parameter")
        caption += f" Heads by which each branch also predicted alone during training have {heads} of their own."
    plot = Plot("network.json", "The network", described(outline), caption, draw(outline), scrolls=True)
    facts = contents.facts
    guarded = (
        *describe_distillation(facts.distillation),
        *describe_soup(facts.soup),
        *describe_base(facts.linear_base),
        *describe_guard(facts.fusion_guard or {}),
    )
    return (Section("Network", (Plots((plot,), wide=True), *map(Paragraph, guarded))),)


def learning(contents: ReportData, writer: FigureWriter) -> Section:
    """Show losses, the monitored score and the learning rate, epoch by epoch."""
    if not contents.epochs:
        return Section("Training", (Paragraph("No epoch was recorded."),))
    monitor = contents.training.early_stopping.monitor
    figure = plots.learning_curves(contents.epochs, monitor, contents.facts.best_epoch)
    alt = f"Line plots over {counted(len(contents.epochs), 'epoch')}: training and validation loss, {monitor}, learning rate."
    plot = writer.add(figure, "learning_curves", title="Learning curves", alt=alt, caption=f"The numbers are in {csv_tables.EPOCHS}.")
    blocks: list[Block] = [Paragraph(course(contents)), Plots((plot,), wide=True)]
    best = _best(contents)
    # An evaluation of the validation part has the same scores with intervals.
    if best is not None and not any(part.label == "validation" for part in contents.parts):
        blocks.append(best_scores(contents, best))
    return Section("Training", tuple(blocks))


def course(contents: ReportData) -> str:
    """Describe the epochs, the best one and the end of the training."""
    facts, stopping = contents.facts, contents.training.early_stopping
    words = f"The training took {counted(len(contents.epochs), 'epoch')} of at most {contents.training.epochs}."
    best = _best(contents)
    if best is not None:
        value = best.values.get(stopping.monitor)
        reached = f" with {stopping.monitor} {format_score(contents.score_of(stopping.monitor), value)}" if value is not None else ""
        words += f" The weights are those of epoch {best.epoch}{reached}."
    if facts.stopped:
        words += f" Training stopped early: {facts.stopped}."
    return words


def _best(contents: ReportData) -> EpochLine | None:
    """Return the epoch whose weights the model has; None if there is none."""
    return next((line for line in contents.epochs if line.epoch == contents.facts.best_epoch), None)


def epochs_reached(contents: ReportData) -> list[Block]:
    """Report the score that chose the best epoch, for a run that was never evaluated."""
    monitor = contents.training.early_stopping.monitor
    best = _best(contents)
    value = None if best is None else best.values.get(monitor)
    # A monitored training score says nothing about other rows.
    if value is None or not monitor.startswith("validation_"):
        return []
    name = contents.score_of(monitor)
    sentence = f"On the {counted(contents.sizes['validation'], 'validation row')}, the {in_sentence(name)}"
    return [Paragraph(f"{sentence} is {format_score(name, value)} ({direction(name)} is better). {CAVEATS['validation']}")]


def best_scores(contents: ReportData, best: EpochLine) -> Table:
    """Tabulate the validation scores of the best epoch, as computed in training."""
    scores = {name.removeprefix("validation_"): value for name, value in best.values.items() if name.startswith("validation_")}
    lines = []
    for name, value in scores.items():
        score = contents.score_of(f"validation_{name}")
        target = name.removesuffix(score).rstrip("_")  # `ill` of `ill_auc`; empty for a single target
        label = f"{title(score)} of {target}" if target else title(score)
        lines.append((Cell(label), _value(score, value), Cell(direction(score))))
    caption = f"Scores of epoch {best.epoch} on the {counted(contents.sizes['validation'], 'validation row')}"
    return Table(caption, ("Score", "Model", "Better when"), tuple(lines), CAVEATS["validation"])


def _value(score: str, value: float | None) -> Cell:
    return number("undefined", tone="quiet") if value is None else number(format_score(score, value))


def weights(contents: ReportData) -> Section:
    """Tabulate the class weights of the loss."""
    blocks: list[Block] = []
    for key, target in contents.fitted.targets.items():
        by_class, counts = target.class_weights, target.class_counts
        # Equal weights are the same as none.
        if len(set(by_class.values())) <= 1:
            equal = f"{key}: every {target.noun} counts the same in the loss."
            blocks.append(Paragraph(equal if by_class else f"{key}: a number has no class weights."))
            continue
        lines = [(Cell(name), number(count(counts[name])), number(plain(weight))) for name, weight in list(by_class.items())[:MOST_WEIGHTS]]
        blocks.append(Table(f"Class weights of {key}", ("Class", "Training rows", "Weight in the loss"), tuple(lines)))
    blocks += _learned_weights(contents)
    column = column_of_role(contents.columns, Weight)
    if column is not None:
        blocks.append(Paragraph(f"The weight of every row is also multiplied by its value in the column {column.column}."))
    blocks.append(Paragraph("Weights affect the loss only; in scores every row counts once.", tone="quiet"))
    return Section("Class weights", tuple(blocks))


def _learned_weights(contents: ReportData) -> list[Block]:
    """State the weights of targets that `training.balance_targets` has learned."""
    best = _best(contents)
    names = {key: f"train_{key}_weight" for key in contents.fitted.targets}
    learned = {key: best.values.get(name) for key, name in names.items()} if best is not None else {}
    words = [f"{key} {plain(weight)}" for key, weight in learned.items() if weight is not None]
    return (
        [Paragraph(f"In the minimized loss, the targets had learned weights, at the end of the best epoch {listed(words)}.")]
        if words
        else []
    )


def learned_columns(contents: ReportData) -> Section:
    """List what each column learned from the training rows."""
    declared = inputs_among(contents.columns)
    lines = []
    for key, fitted in contents.fitted.columns.items():
        lines.append((Cell(key), Cell(fitted.role), Cell(fitted.learned_words(declared[key], plain))))
    note = "Learned from the training rows alone; columns.json has all of it."
    return Section("What the columns learned", (Table("Columns", ("Column", "Role", "Learned"), tuple(lines), note),))


def describe_time_plan(plan: TimePlan) -> str:
    """Return a sentence on the epochs that fit into the minutes of the experiment."""
    of_each = f" each of {plan.trainings} trainings has" if plan.trainings > 1 else " the training has"
    pace = f"an epoch takes {significant(plan.seconds_per_epoch)} s"
    if plan.epochs == plan.most_epochs:
        return f"`training.minutes` {plan.minutes:g}:{of_each} all {counted(plan.epochs, 'epoch')}; {pace}."
    return f"`training.minutes` {plan.minutes:g}:{of_each} {counted(plan.epochs, 'epoch')} in place of {plan.most_epochs}; {pace}."


def experiment(contents: ReportData) -> Section:
    """Show the resolved experiment file, which repeats the run."""
    plan = contents.facts.time_plan
    planned = (Paragraph(describe_time_plan(plan)),) if plan is not None else ()
    return Section(
        "Experiment",
        (
            *planned,
            Folded("config.yaml, with every default written out", (Code(contents.config),)),
        ),
    )


def provenance(contents: ReportData) -> Section:
    """List versions, seed and hashes."""
    facts = contents.facts
    lines = [(Cell(name), Cell(str(version))) for name, version in (facts.versions or {}).items()]
    lines.append((Cell("seed"), Cell(f"{'–' if facts.seed is None else facts.seed}{', deterministic' if facts.deterministic else ''}")))
    hashes = {contents.data.table: contents.data.sha256, **(facts.files or {})}
    return Section(
        "Versions and hashes",
        (
            Table("Versions", ("What", "Version"), tuple(lines)),
            Table("SHA-256", ("File", "Hash"), tuple((Cell(name), Cell(value)) for name, value in hashes.items())),
        ),
    )
