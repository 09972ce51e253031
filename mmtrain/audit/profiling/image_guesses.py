"""Guesses of image columns by the files that their cells name: folder, size and channels, and names without an ending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mmtrain.artifacts.inspection_results import ImageProfile
from mmtrain.audit.coded_table import CodedTable
from mmtrain.columns.base import Guess, OptionValue, role_class
from mmtrain.columns.pixels.image_cells import VOLUME_ENDINGS, several
from mmtrain.columns.profile import NEARLY_ALL, Profile
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.header_profile import SAMPLE, folder_of, folders, profile_images
from mmtrain.data.images.image_file import ImageFile, Refusal
from mmtrain.data.images.locate import ImageFinder
from mmtrain.errors import listed
from mmtrain.image_decoding import MAX_PIXELS, UnreadableImage
from mmtrain.image_decoding.image_source import content
from mmtrain.system.folder_names import Listings, able_endings
from mmtrain.system.paths import table_folder
from mmtrain.text.printable import quote_value

MOST_PATHS = 10_000
"""Different images of a column that are looked up."""

LARGEST_SIDE = 64
"""Pixels of a side that larger images are brought to, for a first training on a CPU: 2 to 3 CPU ms an image and epoch."""

MOST_DURATIONS = 200
"""Recordings whose length is looked up."""
SHORTEST_RECORDING, LONGEST_RECORDING = 0.1, 10.0
"""Seconds that are read of recordings, for a first training on a CPU: 10 s take 5 times as long as 2 s."""
LOWEST_RATE, USUAL_RATE = 1_000, 16_000
"""Samples per second that the role takes, and its default, which is enough for speech."""
SLICES = 32
"""Slices that volumes are brought to, for a first training on a CPU."""

WINDOWED = {"DICOM", "NIfTI"}
"""Formats whose files, or their values, say which of them are between black and white."""

FEWEST_NAMES = 3
"""Different cells of a column of names: fewer are categories that happen to have images."""

FIRST_CELLS = 10
"""Cells of a column that are looked up before the others are: where none is a file, none of the others will be."""


def guess_by_files(guesses: dict[str, Guess], profiles: Mapping[str, Profile], images: Path) -> None:
    """Turn columns whose cells are files in the folder `images` into images, whatever their ending: files of DICOM often have none.

    Folders of DICOM files are volumes.
    """
    finder = ImageFinder(ImageFolder(images), folders=True)
    for header, profile in profiles.items():
        names = [value.strip() for value in profile.values]
        if (
            guesses[header].content == "images"
            or profile.distinct < 2
            # All of the frequent values: a category that happens to be the name of one file is not an image.
            or not all(isinstance(finder.find(name), ImageFile) for name in names)
        ):
            continue
        series = _is_series(finder.find(names[0]))
        volumes = series or sum(name.lower().endswith(VOLUME_ENDINGS) for name in names) * 2 > len(names)
        kind = "folders of DICOM files" if series else "NIfTI volumes" if volumes else "files"
        reason = f"cells are names of {kind} in the images folder, as {quote_value(names[0])}"
        guesses[header] = Guess(
            role="volume" if volumes else "image", reason=reason, options={"missing": "mask"} if profile.missing else {}
        )


def _is_series(file: ImageFile | Refusal) -> bool:
    if not isinstance(file, ImageFile):
        return False
    with suppress(UnreadableImage):
        return content(Path(file.path))[0] == "DICOM series"
    return False


def _names(cells: Sequence[str]) -> list[str]:
    """Return the names in cells that may list several."""
    return [name for cell in cells for name in several(cell) or [cell]]


def profile_image_columns(
    table: CodedTable, guesses: dict[str, Guess], profiles: Mapping[str, Profile], images: Path | None
) -> tuple[Path | None, dict[str, ImageProfile]]:
    """Return the folder of the images and the profile of each image column; the guesses get what the files say.

    A column without any file is left out, and images that are missing are masked.
    """
    headers = [header for header, guess in guesses.items() if guess.content == "images" and guess.used]
    cells_of = _distinct_cells(table, headers, MOST_PATHS)
    paths = {header: _names(cells) if role_class(guesses[header].role).lists else cells for header, cells in cells_of.items()}
    sample = [cell for cells in paths.values() for cell in cells[:SAMPLE]]
    folder_of_table = table_folder(table.file.path.resolve())
    # No cell looks like a file: names without their ending are tried next.
    if sample:
        folder = images if images is not None else folder_of(sample, folder_of_table)[0]
    else:
        names = _distinct_cells(table, _possible_names(guesses, profiles), SAMPLE)
        named = find_named_images(names, [images] if images is not None else folders(folder_of_table))
        if named is None:
            return None, {}
        folder = named.folder
        guesses |= named.guesses
        paths = _distinct_cells(table, [header for header, guess in named.guesses.items() if guess.used], MOST_PATHS)
    suffixes = {header: str(guesses[header].options.get("suffix", "")) for header in paths}
    recordings = {header for header in paths if "seconds" in role_class(guesses[header].role).model_fields}
    image_profiles = {
        header: profile_images(cells, ImageFolder(folder), suffixes[header], recordings=header in recordings)
        for header, cells in paths.items()
    }
    for header, profile in image_profiles.items():
        guesses[header] = _with_files(guesses[header], profile)
        if profile.found and header in recordings:
            guesses[header] = _with_durations(guesses[header], paths[header][:MOST_DURATIONS], ImageFinder(ImageFolder(folder)))
    return folder if any(profile.found for profile in image_profiles.values()) else None, image_profiles


def _distinct_cells(table: CodedTable, headers: Sequence[str], most: int) -> dict[str, list[str]]:
    """Return the first `most` distinct cells of each column, in the order of the rows."""
    distinct: dict[str, dict[str, None]] = {header: {} for header in headers}
    for chunk in table.chunks(headers):
        unfilled = {header: cells for header, cells in distinct.items() if len(cells) < most}
        if not unfilled:
            break
        for header, cells in unfilled.items():
            # A chunk repeats at most the cells that are known already.
            cells.update(dict.fromkeys(chunk[header].values[: most + len(cells)].to_pylist()))
    return {header: list(islice(cells, most)) for header, cells in distinct.items()}


def _with_files(guess: Guess, images: ImageProfile) -> Guess:
    """Return the guess with options that fit the files, or unused without any file."""
    example = f"as {quote_value(images.unread[0])}: {images.unread[1]}" if images.unread else ""
    if not images.found:
        why = f"no file can be read, {example}" if images.unread else "no such file was found, try --images FOLDER"
        return guess.model_copy(update={"used": False, "reason": f"{guess.reason}; {why}"})
    # Options of the guess win over those read off the files.
    options, reason = dict(guess.options), guess.reason
    fields = role_class(guess.role).model_fields
    if "size" in fields:  # recordings have no size in pixels
        options = {**(_layout(images) if "augment" in fields else _volume_size(images)), **options}
        reason += f"; {_sizes(images)}"
    if missing := images.paths - images.found:
        options["missing"] = "mask"
        verb = "does" if missing == 1 else "do"
        reason += f"; {missing:,} of {images.paths:,} files {verb} not exist or cannot be read{f', {example}' if example else ''}"
    if "size" in fields and (undecodable := _undecodable(images, options)):
        options["missing"] = "mask"
        reason += f"; {undecodable} are left out"
    return guess.model_copy(update={"reason": reason, "options": options})


def _with_durations(guess: Guess, cells: Sequence[str], finder: ImageFinder) -> Guess:
    """Return the guess of recordings with the length of all but the longest tenth, and their rate where it is low."""
    from mmtrain.image_decoding.formats.sound import duration

    lengths, rates = [], []
    for cell in cells:
        if isinstance(file := finder.find(cell.strip()), ImageFile):
            with suppress(UnreadableImage):
                seconds, rate = duration(content(file.source)[1])
                lengths.append(seconds)
                rates.append(rate)
    if not lengths:
        return guess
    lengths.sort()
    # Rounded up to tenths of a second.
    seconds = -(-lengths[(len(lengths) - 1) * 9 // 10] * 10 // 1) / 10
    options: dict[str, OptionValue] = {"seconds": min(LONGEST_RECORDING, max(SHORTEST_RECORDING, seconds))}
    options |= {"sample_rate": max(rates)} if LOWEST_RATE <= max(rates) < USUAL_RATE else {}
    reason = f"{guess.reason.removesuffix('.')}; {lengths[0]:.2g} to {lengths[-1]:.2g} s"
    return guess.model_copy(update={"reason": reason, "options": {**options, **guess.options}})


def _undecodable(images: ImageProfile, options: Mapping[str, OptionValue]) -> str:
    """Name the images that will be refused when they are decoded, by their headers."""
    height, width = images.largest or (0, 0)
    if height * width > MAX_PIXELS:
        return f"those of more than {MAX_PIXELS:,} pixels"
    scans = sum(count for kind, count in images.formats.items() if kind in WINDOWED)
    return "those with 16 bits per sample" if images.bits.get(16, 0) > scans and "bits" not in options else ""


def _volume_size(images: ImageProfile) -> dict[str, OptionValue]:
    """Return the size of volumes, for a first training on a CPU."""
    side = min(LARGEST_SIDE, *(images.median or (LARGEST_SIDE, LARGEST_SIDE)))
    return {"size": [SLICES, side, side]}


def _layout(images: ImageProfile) -> dict[str, OptionValue]:
    """Return size and channels: images are not enlarged, and brought to `LARGEST_SIDE` pixels a side at most."""
    side = min(LARGEST_SIDE, *(images.median or (LARGEST_SIDE, LARGEST_SIDE)))
    # Grey only if all are: one coloured image needs three channels.
    options: dict[str, OptionValue] = {"size": [side, side], "channels": 1 if set(images.modes) <= {"1", "L", "I;16"} else 3}
    # Windows bring scans to 8 bits; other images of 16 bits keep theirs.
    deep = max(images.bits, default=8) == 16 and options["channels"] == 1 and not set(images.formats) <= WINDOWED
    return options | ({"bits": 16} if deep else {})


def _sizes(images: ImageProfile) -> str:
    low, high = (" x ".join(map(str, size or ())) for size in (images.smallest, images.largest))
    return f"all are {low} pixels" if images.sizes == 1 else f"{low} to {high} pixels"


@dataclass(frozen=True)
class NamedImages:
    """Columns whose cells are names of image files without their ending: `ISIC_0001` for ISIC_0001.jpg."""

    folder: Path
    guesses: dict[str, Guess]


def _possible_names(guesses: Mapping[str, Guess], profiles: Mapping[str, Profile]) -> list[str]:
    """Return the headers of columns that may name files."""
    return [
        header
        for header, guess in guesses.items()
        if (guess.purpose in ("naming", "grouping") or guess.content in ("names", "numbers", "texts"))
        and profiles[header].distinct >= FEWEST_NAMES
        and (profiles[header].whole or not profiles[header].number_cells)
    ]


def find_named_images(names: Mapping[str, Sequence[str]], candidates: Iterable[Path]) -> NamedImages | None:
    """Return the columns, of `names` by header, whose cells name images in the one of the folders that has most of them."""
    names = {header: [cell.strip() for cell in cells[:SAMPLE]] for header, cells in names.items()}
    listings = Listings()
    best: dict[str, Counter[str]] = {}
    place: Path | None = None
    for folder in candidates if names else ():
        # `""` counts the cells that are files with any ending.
        counts = {header: _count_endings(listings, folder, cells) for header, cells in names.items()}
        # Strictly more: of two folders alike the first candidate, which is the nearest, stays.
        if sum(one[""] for one in counts.values()) > sum(one[""] for one in best.values()):
            best, place = counts, folder
    guesses: dict[str, Guess] = {}
    seen: set[tuple[str, ...]] = set()
    for header, endings in best.items():
        if endings[""] >= NEARLY_ALL * len(names[header]) and tuple(names[header]) not in seen:
            seen.add(tuple(names[header]))  # two columns of the same names have the same images
            guesses[header] = _guess_suffix(names[header], endings)
    return NamedImages(place, guesses) if place is not None and guesses else None


def _count_endings(listings: Listings, folder: Path, cells: Sequence[str]) -> Counter[str]:
    """Return the cells that are files with each ending, and under `""` with any."""
    if not listings.common_endings(str(folder), cells[:FIRST_CELLS])[""]:
        return Counter()
    return listings.common_endings(str(folder), cells)


def _guess_suffix(cells: Sequence[str], endings: Counter[str]) -> Guess:
    reason = f"cells are names of image files without their ending, as {quote_value(cells[0])}"
    able = able_endings(endings, len(cells))
    if not able:
        kinds = listed([f"{ending} ({files:,})" for ending, files in endings.most_common() if ending])
        return Guess(role="image", reason=f"{reason}, but the endings differ: {kinds}; write them into the cells", used=False)
    if len(able) > 1:
        reason = f"{reason}; they are there as {listed(able)}, choose one"
        return Guess(role="image", reason=reason, options={"suffix": able[0]}, used=False)
    return Guess(role="image", reason=reason, options={"suffix": able[0]})
