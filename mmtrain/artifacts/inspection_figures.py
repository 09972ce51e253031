"""Figures of the page of `inspect-data`: what a column holds in the rows of each class."""

from __future__ import annotations

from mmtrain.result_model import FullResult


class ColumnHistogram(FullResult):
    """Cells of a column in the rows of each class."""

    header: str
    edges: tuple[float, ...] = ()
    """Edges of the bins of a column of numbers; the outermost bins include what lies outside of them."""
    values: tuple[str, ...] = ()
    """The most frequent values of any other column."""
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """Rows by class and bin or value."""


class ClassThumbnails(FullResult):
    """Some images of the rows of one class."""

    column: str
    name: str
    """The class."""
    images: tuple[str, ...]
    """Small JPEG images as base64."""
