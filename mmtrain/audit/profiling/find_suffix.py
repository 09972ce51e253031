"""Columns whose cells are names of image files without their ending: `ISIC_0001` for ISIC_0001.jpg."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmtrain.audit.profiling.infer_role import NEARLY_ALL, InferredRole, quote_value
from mmtrain.audit.profiling.profile import Profile
from mmtrain.data.images.header_profile import SAMPLE
from mmtrain.errors import listed
from mmtrain.system.folder_names import Listings, able_endings

FEWEST = 3
"""Different cells of a column of names: fewer are categories that happen to have images."""

FIRST = 10
"""Cells of a column that are looked for before the others are: where none is a file, none of the others will be."""


@dataclass(frozen=True)
class NamedImages:
    """The folder of the images, and the guesses of the columns that name them."""

    folder: Path
    guesses: dict[str, InferredRole]


def without_ending(guesses: Mapping[str, InferredRole], profiles: Mapping[str, Profile]) -> list[str]:
    """The headers of columns that may name files."""
    return [
        header
        for header, guess in guesses.items()
        if (guess.purpose in ("naming", "grouping") or guess.content in ("names", "numbers", "texts"))
        and profiles[header].distinct >= FEWEST
        and (profiles[header].whole or not profiles[header].number_cells)
    ]


def named_images(names: Mapping[str, Sequence[str]], folders: Iterable[Path]) -> NamedImages | None:
    """The columns, of `names` by header, whose cells name images in the one of `folders` that has most of them."""
    names = {header: [cell.strip() for cell in cells[:SAMPLE]] for header, cells in names.items()}
    listings = Listings()
    best: dict[str, Counter[str]] = {}
    place: Path | None = None
    for folder in folders if names else ():
        counts = {header: _counts(listings, folder, cells) for header, cells in names.items()}
        if sum(one[""] for one in counts.values()) > sum(one[""] for one in best.values()):
            best, place = counts, folder
    guesses: dict[str, InferredRole] = {}
    seen: set[tuple[str, ...]] = set()
    for header, counted in best.items():
        if counted[""] >= NEARLY_ALL * len(names[header]) and tuple(names[header]) not in seen:
            seen.add(tuple(names[header]))  # two columns of the same names have the same images
            guesses[header] = _guess(names[header], counted)
    return NamedImages(place, guesses) if place is not None and guesses else None


def _counts(listings: Listings, folder: Path, cells: Sequence[str]) -> Counter[str]:
    if not listings.common_endings(str(folder), cells[:FIRST])[""]:
        return Counter()
    return listings.common_endings(str(folder), cells)


def _guess(cells: Sequence[str], counts: Counter[str]) -> InferredRole:
    reason = f"cells are names of image files without their ending, as {quote_value(cells[0])}"
    able = able_endings(counts, len(cells))
    if not able:
        kinds = listed([f"{ending} ({files:,})" for ending, files in counts.most_common() if ending])
        return InferredRole("image", f"{reason}, but the endings differ: {kinds}; write them into the cells", used=False)
    if len(able) > 1:
        return InferredRole("image", f"{reason}; they are there as {listed(able)}, choose one", {"suffix": able[0]}, used=False)
    return InferredRole("image", reason, {"suffix": able[0]})
