"""An image of a row, and the heat maps over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.data.encode import Array
from mmtrain.explanation.attribution import ColumnAttribution, RowExplanation
from mmtrain.metrics.score import signed_difference
from mmtrain.reports.figures.plot_style import FIRST, QUIET, SECOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOR, AGAINST = SECOND, FIRST
"""Orange and blue, which nearly everyone can tell apart."""
BLOCKS = 32
"""Of integrated gradients, along the longer side of an image: single pixels are too small to be told apart."""


@dataclass(frozen=True)
class Tile:
    """An image (height, width, 1 or 3), 0..1, and what is laid over it, (any, any); `most` is drawn in full colour."""

    name: str
    pixels: Array
    heat: Array | None = None
    most: float = 1.0
    signed: bool = False
    """Whether there is something below 0."""


def tiles(row: RowExplanation, share: ColumnAttribution) -> list[Tile]:
    """The image of one column, and a tile for every method."""
    pixels, cam = row.images[share.column], row.cams.get(share.column)
    found, pale = [Tile("As the network gets it", pixels)], 0.55 + 0.45 * pixels.mean(axis=-1, keepdims=True)
    if cam is not None:
        heat = _enlarged(cam, pixels.shape[:2])
        found.append(Tile("Grad-CAM: where it looks", pale, heat, float(heat.max()) or 1.0))
    if share.pixels is not None and (cam is None or row.method != "grad_cam"):
        heat, _ = blocks(share.pixels)
        found.append(Tile("Integrated gradients", pale, heat, _most(heat), signed=True))
    return found


def blocks(pixels: Array) -> tuple[Array, int]:
    """The sums of squares of pixels, at most `BLOCKS` along the longer side, and how many pixels the side of a square has."""
    edge = -(-max(pixels.shape) // BLOCKS)
    down, across = (np.arange(0, length, edge) for length in pixels.shape)
    return np.add.reduceat(np.add.reduceat(pixels, down, axis=0), across, axis=1), edge


def _most(heat: Array) -> float:
    """Not the largest, beside which nothing else might be seen."""
    return float(np.quantile(np.abs(heat), 0.99)) or float(np.abs(heat).max()) or 1.0


def _enlarged(heat: Array, size: tuple[int, ...]) -> Array:
    """(height, width) brought to `size`, bilinear, as Grad-CAM's authors do."""
    import PIL.Image

    return np.asarray(PIL.Image.fromarray(heat).resize((size[1], size[0]), PIL.Image.Resampling.BILINEAR))


def draw(axes: Axes, tile: Tile) -> None:
    """The image with what is laid over it."""
    height, width = tile.pixels.shape[:2]
    axes.imshow(tile.pixels, extent=(0, width, height, 0), interpolation="nearest", cmap="gray", vmin=0, vmax=1)
    if tile.heat is not None:
        axes.imshow(_colours(tile.heat / tile.most), extent=(0, width, height, 0), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    bare(axes, frame=True)


def draw_scale(axes: Axes, tile: Tile) -> None:
    """The colours from the least to the most, with the numbers they stand for; of Grad-CAM they mean nothing."""
    low = -1.0 if tile.signed else 0.0
    axes.imshow(_colours(np.linspace(low, 1, 200)[None]), extent=(low, 1, 0, 1), aspect="auto", interpolation="nearest")
    axes.text(1, -0.4, f"{tile.most:.2g}" if tile.signed else "most", ha="right", va="top", fontsize=8)
    axes.text(0, -0.4, "0", ha="center" if tile.signed else "left", va="top", fontsize=8)
    if tile.signed:
        axes.text(-1, -0.4, signed_difference(f"{-tile.most:.2g}"), ha="left", va="top", fontsize=8)
    axes.set(xticks=[], yticks=[])
    bare(axes)


def _colours(heat: Array) -> Array:
    """(height, width) of -1..1 to (height, width, 4): the stronger, the less is seen of what lies below."""
    from matplotlib.colors import to_rgb

    colours = np.empty((*heat.shape, 4))
    colours[..., :3] = np.where(heat[..., None] > 0, to_rgb(FOR), to_rgb(AGAINST))
    colours[..., 3] = 0.9 * np.clip(np.abs(heat), 0, 1) ** 0.8
    return colours


def bare(axes: Axes, *, frame: bool = False) -> None:
    """Neither grid nor ticks; a thin frame or none."""
    axes.tick_params(length=0, pad=3)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=frame, color=QUIET, linewidth=0.6)
