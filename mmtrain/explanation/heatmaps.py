"""Heat maps of attributions over an image of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.data.arrays import Array
from mmtrain.explanation.attribution import ColumnAttribution, RowExplanation
from mmtrain.metrics.score import signed_difference
from mmtrain.reports.figures.plot_style import FIRST, QUIET, SECOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOR, AGAINST = SECOND, FIRST
"""Orange and blue, which people with colour blindness can distinguish."""
BLOCKS = 32
"""Blocks of integrated gradients along the longer side of an image: single pixels would be too small to see."""


@dataclass(frozen=True)
class Tile:
    """An image (height, width, 1 or 3), 0..1, and the heat map over it, of any size; `most` is drawn in full colour."""

    name: str
    pixels: Array
    heat: Array | None = None
    most: float = 1.0
    signed: bool = False
    """True if the heat map can have negative values."""


def image_tiles(row: RowExplanation, column: ColumnAttribution) -> list[Tile]:
    """Return the image of one column, and a tile for every method."""
    pixels, cam = row.images[column.column], row.cams.get(column.column)
    # Faded, so that colours over it remain visible.
    shown = "Middle slice" if column.column in row.volumes else "Image"
    tiles, pale = [Tile(f"{shown} as the network reads it", pixels)], 0.55 + 0.45 * pixels.mean(axis=-1, keepdims=True)
    if cam is not None:
        heat = _enlarged(cam, pixels.shape[:2])
        tiles.append(Tile("Grad-CAM: where the evidence is", pale, heat, float(heat.max()) or 1.0))
    if column.pixels is not None and (cam is None or row.method != "grad_cam"):
        heat, _ = block_sums(column.pixels)
        tiles.append(Tile("Integrated gradients", pale, heat, _most(heat), signed=True))
    return tiles


def block_sums(pixels: Array) -> tuple[Array, int]:
    """Sum pixels over square blocks, at most `BLOCKS` along the longer side; return the sums and the side of a block in pixels."""
    # Rounded up: at most `BLOCKS` blocks along the longer side.
    edge = -(-max(pixels.shape) // BLOCKS)
    down, across = (np.arange(0, length, edge) for length in pixels.shape)
    # Sums over rows of blocks, then over columns: the total of all attributions stays.
    return np.add.reduceat(np.add.reduceat(pixels, down, axis=0), across, axis=1), edge


def _most(heat: Array) -> float:
    """Return the value of full colour: the 99th percentile, as next to the largest value all others might be invisible."""
    return float(np.quantile(np.abs(heat), 0.99)) or float(np.abs(heat).max()) or 1.0


def _enlarged(heat: Array, size: tuple[int, ...]) -> Array:
    """Resize a map (height, width) to `size`, bilinear as in the Grad-CAM paper."""
    import PIL.Image

    # Pillow takes width before height.
    return np.asarray(PIL.Image.fromarray(heat).resize((size[1], size[0]), PIL.Image.Resampling.BILINEAR))


def draw(axes: Axes, tile: Tile) -> None:
    """Draw the image with its heat map."""
    height, width = tile.pixels.shape[:2]
    axes.imshow(tile.pixels, extent=(0, width, height, 0), interpolation="nearest", cmap="gray", vmin=0, vmax=1)
    if tile.heat is not None:
        axes.imshow(_colours(tile.heat / tile.most), extent=(0, width, height, 0), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    bare(axes, frame=True)


def draw_scale(axes: Axes, tile: Tile) -> None:
    """Draw the colour scale; Grad-CAM has no numbers on it, because its values have no unit."""
    low = -1.0 if tile.signed else 0.0
    axes.imshow(_colours(np.linspace(low, 1, 200)[None]), extent=(low, 1, 0, 1), aspect="auto", interpolation="nearest")
    axes.text(1, -0.4, f"{tile.most:.2g}" if tile.signed else "most", ha="right", va="top", fontsize=8)
    axes.text(0, -0.4, "0", ha="center" if tile.signed else "left", va="top", fontsize=8)
    if tile.signed:
        axes.text(-1, -0.4, signed_difference(f"{-tile.most:.2g}"), ha="left", va="top", fontsize=8)
    axes.set(xticks=[], yticks=[])
    bare(axes)


def _colours(heat: Array) -> Array:
    """Map values -1..1, (height, width), to RGBA, (height, width, 4); strong values are more opaque."""
    from matplotlib.colors import to_rgb

    colours = np.empty((*heat.shape, 4))
    colours[..., :3] = np.where(heat[..., None] > 0, to_rgb(FOR), to_rgb(AGAINST))
    colours[..., 3] = 0.9 * np.clip(np.abs(heat), 0, 1) ** 0.8  # below 1, so that weak values remain visible
    return colours


def bare(axes: Axes, *, frame: bool = False) -> None:
    """Remove grid and ticks; draw a thin frame or none."""
    axes.tick_params(length=0, pad=3)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=frame, color=QUIET, linewidth=0.6)
