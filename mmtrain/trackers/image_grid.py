"""Images with captions, side by side in one PNG."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

SIDE = 128
"""Longer side of an image in the grid, in pixels; smaller ones are enlarged by a whole number."""
MARGIN = 6
LINE_HEIGHT, LINE_LETTERS, MOST_LINES = 13, 22, 4
"""Height in pixels, and numbers of letters and lines of a caption."""
FONT_SIZE = 11


def image_grid(images: Sequence[Any]) -> tuple[int, int, bytes]:
    """Return width, height and PNG of a grid of `CaptionedImage`s, about as wide as it is high."""
    from PIL import Image, ImageDraw, ImageFont

    from mmtrain.image_decoding.resize import display_thumbnail

    captions = [_lines(image.caption) for image in images]
    tile = SIDE + MARGIN, SIDE + MARGIN + LINE_HEIGHT * max(map(len, captions))
    across = math.ceil(math.sqrt(len(images)))
    down = math.ceil(len(images) / across)
    canvas = Image.new("RGB", (across * tile[0] + MARGIN, down * tile[1] + MARGIN), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(FONT_SIZE)
    for place, (image, lines) in enumerate(zip(images, captions, strict=True)):
        left, top = MARGIN + place % across * tile[0], MARGIN + place // across * tile[1]
        shown = display_thumbnail(image.pixels, SIDE)
        factor = max(1, SIDE // max(shown.size))
        # The pixels of the network stay visible as squares.
        canvas.paste(shown.resize((shown.width * factor, shown.height * factor), Image.Resampling.NEAREST), (left, top))
        for number, line in enumerate(lines):
            draw.text((left, top + SIDE + number * LINE_HEIGHT), line, fill="black", font=font)
    file = io.BytesIO()
    canvas.save(file, "PNG")
    return canvas.width, canvas.height, file.getvalue()


def _lines(caption: str) -> list[str]:
    lines = [piece for line in caption.splitlines() for piece in wrap(line, LINE_LETTERS)]
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "..."]
