"""Diagram of the network: inputs, branches, fusion and targets from left to right, as SVG in the colours of the page."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from mmtrain.artifacts.run_schema.network_facts import Branch, BranchInput, Network, Sized
from mmtrain.errors import counted
from mmtrain.reports.wording import count

WIDTHS = {"inputs": 240, "branches": 190, "fusion": 170, "targets": 170}
"""Widths of the boxes in each column; all lengths are in pixels of a wide page."""
BETWEEN, GAP, LINE, PAD = 50, 14, 18, 12
LETTER = 6.7
"""Average width of a letter; Chinese, Japanese and Korean ones are twice as wide."""
MOST_INPUTS = 6
"""Maximum number of lines for the inputs of a branch; with more, the last line counts the others."""


@dataclass(frozen=True)
class Box:
    """A rectangle with lines of text, the first one bold if `strong`; `y` is its upper edge."""

    x: float
    y: float
    width: float
    lines: Sequence[str]
    strong: bool = True
    rows: int = 0
    """Minimum height in lines."""

    @property
    def height(self) -> float:
        """Height of the lines and the space around them."""
        return LINE * max(len(self.lines), self.rows) + 2 * PAD - 4

    @property
    def middle(self) -> float:
        """Height at which links begin and end."""
        return self.y + self.height / 2

    def markup(self) -> str:
        """Return the rectangle and its texts; a text that is too long is cut, and has its full length as a title."""
        # The lines are centred in the box; 13 pixels bring the first one from its top to its baseline.
        first = self.middle - LINE * len(self.lines) / 2 + 13
        shape = f'<rect x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" height="{self.height:g}" rx="6" class="box"/>'
        texts = []
        for number, line in enumerate(self.lines):
            cut = fit_text(line, self.width - 2 * PAD)
            # The whole text as a tooltip, where a part of it was cut.
            full = f"<title>{escape(line)}</title>" if cut != line else ""
            kind = "strong" if self.strong and number == 0 else "soft"
            place = f'x="{self.x + PAD:g}" y="{first + LINE * number:g}"'
            texts.append(f'<text {place} class="{kind}">{full}{escape(cut)}</text>')
        return "\n".join([shape, *texts])


def draw(network: Network) -> str:
    """Return the `<svg>` element for network.json; equal networks give equal text."""
    lefts = {}
    x = 1.0
    for column, width in WIDTHS.items():
        lefts[column] = x
        x += width + BETWEEN
    pairs = _branches(network.branches, lefts)
    target_texts = [(target.name, f"{target.task}, {_width(target)}", _learned(target)) for target in network.targets]
    fusion_texts = ("fusion", f"{network.fusion.method}, {_width(network.fusion)}", _learned(network.fusion))
    # The taller of the two columns decides the height.
    height = max(_stacked([branch for _, branch in pairs]), _stacked([Box(0, 0, 0, texts) for texts in target_texts]))
    # Laid out twice: the first time for the height of the branches, the second time centred.
    top = (height - _stacked([branch for _, branch in pairs])) / 2
    pairs = _branches(network.branches, lefts, top)
    fusion = _centred(lefts["fusion"], WIDTHS["fusion"], [fusion_texts], height)[0]
    targets = _centred(lefts["targets"], WIDTHS["targets"], target_texts, height)
    links = [_link(inputs, branch) for inputs, branch in pairs]
    links += [_link(branch, fusion) for _, branch in pairs] + [_link(fusion, target) for target in targets]
    boxes = [box.markup() for box in (*(box for pair in pairs for box in pair), fusion, *targets)]
    head = f'<svg viewBox="0 0 {x - BETWEEN + 1:g} {height + 2:g}" class="diagram" aria-hidden="true" focusable="false">'
    return "\n".join([head, *links, *boxes, "</svg>"])


def described(network: Network) -> str:
    """Describe the diagram in words."""
    branches = [
        f"{branch.name}, a branch of kind {branch.architecture}, reads {', '.join(map(_input, branch.inputs))} and is {_size(branch)}"
        for branch in network.branches
    ]
    targets = [f"{target.name} ({target.task}, {_size(target)})" for target in network.targets]
    fusion = f"they are joined by {network.fusion.method}, which is {_size(network.fusion)}"
    return f"Diagram of the network: {'; '.join(branches)}; {fusion}; from that: {', '.join(targets)}."


def fit_text(text: str, width: float) -> str:
    """Cut a text to a width in pixels."""
    if _length(text) <= width:
        return text
    start = ""
    # Letter by letter, because letters differ in width.
    for letter in text:
        if _length(start) + _length(f"{letter}…") > width:
            break
        start += letter
    return f"{start}…"


def _length(text: str) -> float:
    return LETTER * sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _branches(branches: Sequence[Branch], lefts: Mapping[str, float], top: float = 0.0) -> list[tuple[Box, Box]]:
    """Return pairs of boxes, inputs and branch, one below the other."""
    pairs = []
    y = 1.0 + top
    for branch in branches:
        shown = [_input(entry) for entry in branch.inputs]
        # The last line says how many are left out, so one fewer is shown.
        if len(shown) > MOST_INPUTS:
            shown = [*shown[: MOST_INPUTS - 1], f"and {count(len(shown) - MOST_INPUTS + 1)} more"]
        texts = (branch.name, f"{branch.architecture}, {_width(branch)}", _learned(branch))
        # Both boxes of a pair have the height of the taller one, so that their link is straight.
        rows = max(len(shown), len(texts))
        inputs = Box(lefts["inputs"], y, WIDTHS["inputs"], shown, strong=False, rows=rows)
        pairs.append((inputs, Box(lefts["branches"], y, WIDTHS["branches"], texts, rows=rows)))
        y += inputs.height + GAP
    return pairs


def _centred(x: float, width: float, texts: Sequence[Sequence[str]], height: float) -> list[Box]:
    boxes = [Box(x, 0, width, lines) for lines in texts]
    y = 1 + (height - _stacked(boxes)) / 2
    placed = []
    for box in boxes:
        placed.append(Box(x, y, width, box.lines))
        y += box.height + GAP
    return placed


def _stacked(boxes: Sequence[Box]) -> float:
    return sum(box.height for box in boxes) + GAP * (len(boxes) - 1)


def _link(start: Box, end: Box) -> str:
    """Draw a curve from the right edge of one box to the left edge of another."""
    x, across = start.x + start.width, BETWEEN / 2
    return f'<path d="M{x:g} {start.middle:g}C{x + across:g} {start.middle:g} {end.x - across:g} {end.middle:g} {end.x:g} {end.middle:g}"/>'


def _input(entry: BranchInput) -> str:
    """Describe an input: `scan: image 64 × 64 × 1`."""
    return f"{entry.name}: {entry.kind} {' × '.join(map(count, entry.shape))}"


def _size(part: Sized) -> str:
    """Describe a part of the network: `64 wide with 23,408 parameters`."""
    return f"{_width(part)} with {_learned(part)}"


def _width(part: Sized) -> str:
    return f"{count(part.width)} wide"


def _learned(part: Sized) -> str:
    return counted(part.parameters, "parameter")
