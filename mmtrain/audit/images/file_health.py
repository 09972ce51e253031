"""Findings on image files: missing, damaged, misnamed, and of several kinds in one column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.images.file_metadata import FileFacts
from mmtrain.audit.images.image_column import SHOWN_FILES, ImageFiles
from mmtrain.data.images.image_file import Refusal
from mmtrain.errors import counted, listed
from mmtrain.image_decoding import FORMATS
from mmtrain.image_decoding.decoded_image import cut_short

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value = TypeVar("Value")

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "WEBP": (".webp",),
}
"""Endings of the names of files of each format."""

PROPORTIONS = 1.05
"""Images whose height by width differs by more than this factor lose their proportions when they are stretched to one size."""

DAMAGES = {
    "empty_files": ("has not a single byte", "Copy or download it again."),
    "truncated_files": ("is cut short", "Copy or download it again, whole."),
    "oversized_images": ("has more pixels than `max_pixels` allows", "Make it smaller, or raise `max_pixels` if the size is intended."),
    "undecodable_files": ("cannot be decoded", "Open it in a program for such files and save it again, or leave its rows out."),
}
"""Fault of a file, and what to do."""

CUT_SHORT = frozenset(str(cut_short(kind)) for kind in FORMATS)


def damage_findings(column: ImageFiles, facts: FileFacts) -> list[Finding]:
    """Find files of one column that are missing or damaged; `facts` are those of its files."""
    return [*_missing(column), *_damaged(column, facts)]


def format_findings(column: ImageFiles, facts: FileFacts) -> list[Finding]:
    """Find properties in which the images of one column differ; `facts` are those of its files, without the damaged ones."""
    return [
        *_misnamed(column, facts),
        *_sizes(column, facts),
        *_modes(column, facts),
        *_depths(column, facts),
        *_turned(column, facts),
    ]


def finding(column: ImageFiles, level: Level, kind: str, files: NDArray[np.int64], texts: tuple[str, str, str]) -> Finding:
    """Return a finding on `files`, positions in those of the column; `texts` are what, why and fix."""
    names = tuple(column.cells_of(files[:SHOWN_FILES]))
    return Finding(level, kind, column.header, *texts, first_rows(column.rows_of(files)), files=names, count=len(files))


def _level(column: ImageFiles) -> Level:
    """Return the level of images that cannot be read: an error where the experiment refuses rows without one."""
    return "error" if column.policy == "error" else "warning"


def _outcome(column: ImageFiles) -> str:
    outcomes = {
        "error": "`fit` refuses the table",
        "mask": "the network sees none in these rows",
        "drop": "these rows are left out",
        "": "`fit` refuses the table, unless `missing: mask` or `missing: drop` is set",
    }
    return outcomes[column.policy]


def _missing(column: ImageFiles) -> Iterator[Finding]:
    lookups = column.located.results
    codes = [code for code, file in enumerate(lookups) if isinstance(file, Refusal)]
    if not codes:
        return
    names = tuple(column.located.names[code] for code in codes[:SHOWN_FILES])
    rows = column.of.numbers[np.isin(column.located.codes, codes)]
    reason = next(file.what for file in lookups if isinstance(file, Refusal))
    what = f"{counted(len(codes), 'different cell')} {'leads' if len(codes) == 1 else 'lead'} to no file; {reason}"
    why = f"Without an image {_outcome(column)}, and where images are missing may depend on the label."
    fix = "Restore the files, or correct the cells."
    yield Finding(_level(column), "missing_files", column.header, what, why, fix, first_rows(rows), files=names, count=len(codes))


def _damaged(column: ImageFiles, facts: FileFacts) -> Iterator[Finding]:
    """Find files that could not be put into the store; without a store, those that have no header or no end."""
    refusals = column.refusals
    if column.of.store is None:
        refusals = {position: str(refusal) for position, refusal in facts.refusals.items()}
    kinds: dict[str, list[int]] = {kind: [] for kind in DAMAGES}
    for position in sorted(refusals):
        kinds[_damage(column, facts, position, refusals[position])].append(position)
    for kind, files in kinds.items():
        if not files:
            continue
        trouble, fix = DAMAGES[kind]
        reason = f" The first, {column.cells_of(np.array(files[:1]))[0]}: {refusals[files[0]]}"
        what = f"{counted(len(files), 'file')} {_plural(trouble, len(files))}.{reason if kind == 'undecodable_files' else ''}"
        why = f"Such a file cannot be used: {_outcome(column)}."
        yield finding(column, _level(column), kind, np.array(files), (what, why, fix))


def _plural(words: str, count: int) -> str:
    """Return `has ...` and `is ...` in the plural."""
    return words if count == 1 else words.replace("has ", "have ", 1).replace("is ", "are ", 1)


def _damage(column: ImageFiles, facts: FileFacts, position: int, refusal: str) -> str:
    images = column.of.images
    if column.located.files[position].size == 0:
        return "empty_files"
    if refusal in CUT_SHORT:
        return "truncated_files"
    if facts.of[position] >= 0 and images is not None:
        header = facts.headers[facts.of[position]]
        return "oversized_images" if header.width * header.height > images.layout.max_pixels else "undecodable_files"
    return "undecodable_files"


def _misnamed(column: ImageFiles, facts: FileFacts) -> Iterator[Finding]:
    """Find names that promise another supported format; other names are common: many archives have files without a suffix."""
    promised = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}
    pairs: Counter[tuple[str, str]] = Counter()
    files = []
    for position, file in enumerate(column.located.files):
        suffix = PurePosixPath(file.path).suffix.lower()
        kind = facts.headers[facts.of[position]].format if facts.of[position] >= 0 else ""
        if kind and promised.get(suffix, kind) != kind:
            pairs[kind, suffix] += 1
            files.append(position)
    if files:
        kinds = [f"{count:,} {kind} named {suffix}" for (kind, suffix), count in pairs.most_common()]
        what = f"{counted(len(files), 'file')} {_plural('is ', len(files))}not of the format in the name: {listed(kinds)}."
        why = "mmtrain reads the bytes, other programs the name; and files that were only renamed may come from another source."
        yield finding(column, "note", "wrong_extension", np.array(files), (what, why, "Rename them, after a look at where they come from."))


def _sizes(column: ImageFiles, facts: FileFacts) -> Iterator[Finding]:
    sizes = [(header.height, header.width) for header in facts.headers]
    files, counts = _apart(facts, sizes)
    if not len(files):
        return
    known = sorted(counts, key=lambda size: (size[0] * size[1], size))
    # By area, then by height, so that the order is the same for every table.
    ratios = [height / width for height, width in known]
    images = column.of.images
    what = f"images have {len(known):,} different sizes, from {_size(known[0])} to {_size(known[-1])} (height x width)."
    why = "Size may reveal the source of an image, and blur or sharpness from resizing stays visible."
    fix = "Check whether the size is associated with the label."
    if images is not None and images.layout.resize == "stretch" and max(ratios) > PROPORTIONS * min(ratios):
        why = f"All are stretched to {_size(images.layout.size)}, which changes their proportions. {why}"
        fix = f"To keep proportions, set `resize: pad` or `resize: crop`. {fix}"
    yield finding(column, "note", "mixed_sizes", files, (what, why, fix))


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _modes(column: ImageFiles, facts: FileFacts) -> Iterator[Finding]:
    files, counts = _apart(facts, [header.mode for header in facts.headers])
    if len(files):
        what = f"images have different modes: {_shares(counts)}."
        why = "L is grey, RGB colour, a palette P either; a network can distinguish grey from coloured images, and so their sources."
        fix = "Check whether the mode is associated with the label; `channels: 1` makes all of them grey."
        yield finding(column, "note", "mixed_modes", files, (what, why, fix))


def _depths(column: ImageFiles, facts: FileFacts) -> Iterator[Finding]:
    """Find different bits per sample; those of a palette image are 8, as its bits count colours."""
    depths = [8 if header.mode == "P" else header.bits for header in facts.headers]
    files, counts = _apart(facts, depths)
    if len(files):
        deep = 16 in counts
        what = f"images have different bits per sample: {_shares({f'{bits} bits': count for bits, count in counts.items()})}."
        why = "The same brightness may be another number in each: scanners often fill 12 of 16 bits." if deep else _COARSE
        fix = "Convert them to one depth, by what the numbers mean." if deep else "Find out where they come from."
        yield finding(column, "warning" if deep else "note", "mixed_bit_depths", files, (what, why, fix))


_COARSE = "Fewer bits are fewer shades of grey, by which a network can learn the source of an image."


def _turned(column: ImageFiles, facts: FileFacts) -> Iterator[Finding]:
    turned = np.array([header.orientation != 1 for header in facts.headers], dtype=np.bool_)
    files = np.flatnonzero(_of_headers(facts, turned))
    if len(files):
        what = f"{counted(len(files), 'image')} {_plural('is ', len(files))}turned or mirrored by EXIF."
        why = "mmtrain turns them upright; programs that do not, such as one that marked regions in them, saw them another way round."
        yield finding(column, "note", "exif_rotation", files, (what, why, "Nothing, as long as no other program reads the files."))


def _of_headers(facts: FileFacts, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the flag of each file's header, (files,); False without one."""
    return np.append(flags, False)[facts.of]


def _apart(facts: FileFacts, values: Sequence[Value]) -> tuple[NDArray[np.int64], Counter[Value]]:
    """Return the files whose header's value is not the most common one, none if all are equal, and the count of each value."""
    per_header = np.bincount(facts.of[facts.of >= 0], minlength=len(values))
    counts: Counter[Value] = Counter()
    for value, count in zip(values, per_header.tolist(), strict=True):
        if count:  # a header may be of damaged files alone
            counts[value] += count
    if len(counts) < 2:
        return np.empty(0, dtype=np.int64), counts
    usual = counts.most_common(1)[0][0]
    return np.flatnonzero(_of_headers(facts, np.array([value != usual for value in values], dtype=np.bool_))), counts


def _shares(counts: Mapping[str, int]) -> str:
    return listed([f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1])])
