"""How the training went: learning curves and the weights in the loss."""

from __future__ import annotations

from mmtrain.columns import Weight
from mmtrain.reports import plots
from mmtrain.reports.blocks import Block, Cell, Pictures, Section, Table, Words, number
from mmtrain.reports.contents import Contents
from mmtrain.reports.drawing import Gallery
from mmtrain.reports.words import count, counted, plain, shown

MOST_WEIGHTS = 200


def learning(contents: Contents, gallery: Gallery) -> Section:
    """Losses, the monitored score and the learning rate, epoch by epoch."""
    if not contents.epochs:
        return Section("Training", (Words("No epoch was recorded."),))
    monitor = contents.experiment.training.early_stopping.monitor
    best = contents.facts.get("best_epoch")
    figure = plots.learning_curves(contents.epochs, monitor, best)
    alt = f"Line plots over {counted(len(contents.epochs), 'epoch')}: training and validation loss, {monitor}, learning rate."
    picture = gallery.add(figure, "learning_curves", title="Learning curves", alt=alt)
    return Section("Training", (Words(_course(contents)), Pictures((picture,), wide=True)))


def _course(contents: Contents) -> str:
    """Epochs, the best one and why training ended."""
    facts, stopping = contents.facts, contents.experiment.training.early_stopping
    words = f"{counted(len(contents.epochs), 'epoch')} of at most {contents.experiment.training.epochs}."
    best = facts.get("best_epoch")
    if best:
        value = next((line.get(stopping.monitor) for line in contents.epochs if line["epoch"] == best), None)
        name = stopping.monitor.partition("_")[2].removeprefix("validation_")
        reached = f" with {stopping.monitor} {shown(name, value)}" if value is not None else ""
        words += f" The weights are those of epoch {best}{reached}."
    if facts.get("stopped"):
        words += f" Training stopped early: {facts['stopped']}."
    return words


def weights(contents: Contents) -> Section:
    """What rows counted in the loss."""
    blocks: list[Block] = []
    for key, target in contents.fitted.targets.items():
        found: tuple[float, ...] = getattr(target, "weights", ())
        if len(set(found)) <= 1:
            what = "label" if target.task == "multilabel" else "class"
            blocks.append(Words(f"{key}: every {what} counts the same in the loss." if found else f"{key}: a number has no class weights."))
            continue
        counts: tuple[int, ...] = getattr(target, "counts", (0,) * len(found))
        lines = [
            (Cell(name), number(count(rows)), number(plain(weight)))
            for name, rows, weight in list(zip(target.columns, counts, found, strict=True))[:MOST_WEIGHTS]
        ]
        blocks.append(Table(f"Class weights of {key}", ("Class", "Training rows", "Weight in the loss"), tuple(lines)))
    column = contents.experiment.only(Weight)
    if column is not None:
        blocks.append(Words(f"Every row's weight is also multiplied by its value in the column {column.column}."))
    blocks.append(Words("Weights reach the loss only; in scores every row counts once.", tone="quiet"))
    return Section("Class weights", tuple(blocks))
