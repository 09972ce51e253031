"""The program encode.py next to an export that takes encoded inputs: raw rows to these inputs, without mmtrain.

The program reads what the training learned (columns.json), and has a module of `runners/encoding` for each role of the columns, so that an
export without dates has no code for them. Patterns of words are written out for Python's regular expressions, which have no classes of
Unicode, and images are decoded by a copy of `mmtrain.image_decoding`, which needs Pillow alone.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
from collections.abc import Collection
from functools import cache
from pathlib import Path

import mmtrain.image_decoding
from mmtrain.columns import FittedColumn
from mmtrain.data.encode import Fitted
from mmtrain.errors import listed
from mmtrain.specs import PixelSpec, SetSpec
from mmtrain.text.date_patterns import FORMATS, HALF_OF_DAY, MONTH_NAMES, OFFSET, OFFSET_FROM_UTC, SECONDS, SLASHED, YEAR
from mmtrain.text.spelling import BLANKS
from mmtrain.text.tokenization import BASE_LETTERS, BETWEEN_WORDS, CHARACTER_PAIRS, VARIANTS, WORD

PROGRAM = Path(__file__).parent / "runners" / "encode.py"
ENCODERS = PROGRAM.parent / "encoding"
"""A module for each role that the program encodes, and what these modules share."""
IMPORTED = re.compile(r"from mmtrain\.export\.runners\.encoding\.(\w+) import")
IMAGES = "image_decoding"
BLOCKS = ((0, 0xD800), (0xE000, 0x32400), (0xE0000, 0xE0200))
"""Code points that have classes in Unicode 16: between surrogates and the third plane, and tags."""
VECTORIZED = ("tfidf", "tokens", "hashed")


def can_encode(fitted: Fitted) -> bool:
    """Return whether the program knows every column; it knows no pieces of pretrained encoders, and no roles of users."""
    return not unknown_columns(fitted)


def unknown_columns(fitted: Fitted) -> list[str]:
    """Return the columns that the program cannot encode."""
    return [key for key, column in fitted.columns.items() if not _is_known(column)]


def _is_known(column: FittedColumn) -> bool:
    # A role of a user's own may have the name of one of ours.
    if not type(column).__module__.startswith("mmtrain.columns.") or not (ENCODERS / f"{column.role}.py").is_file():
        return False
    return dict(column).get("vectorize", VECTORIZED[0]) in VECTORIZED and not _needs_mmtrain(column)


def _needs_mmtrain(column: FittedColumn) -> bool:
    """Return whether cells are files that mmtrain alone decodes, or values in a window."""
    return isinstance(column.spec, PixelSpec | SetSpec) and not column.decodes_images


def write_encode_program(fitted: Fitted, folder: Path) -> None:
    """Write encode.py and what it needs but columns.json and signature.json; nothing where it cannot encode a column."""
    if not can_encode(fitted):
        return
    shutil.copyfile(PROGRAM, folder / PROGRAM.name)
    modules = _copy_encoders({column.role for column in fitted.columns.values()}, folder / ENCODERS.name)
    texts = any(dict(column).get("vectorize") in VECTORIZED for column in fitted.columns.values())
    folded = any(dict(column).get("accents") is False for column in fitted.columns.values())
    characters = {"blanks": BLANKS, **(_patterns() if texts else {}), **({"base_letters": BASE_LETTERS} if folded else {})}
    characters |= {"dates": _date_patterns()} if "date" in modules else {}
    (folder / "characters.json").write_text(json.dumps(characters), encoding="utf-8")
    if any(column.decodes_images for column in fitted.columns.values()):
        _copy_image_decoding(folder / IMAGES)


def _copy_encoders(roles: Collection[str], folder: Path) -> set[str]:
    """Copy the modules of these roles, and those that they import, and return their names; they import nothing else of mmtrain."""
    names, open_names = {"__init__"}, set(roles)
    while open_names:
        names |= open_names
        open_names = {name for module in open_names for name in IMPORTED.findall((ENCODERS / f"{module}.py").read_text("utf-8"))} - names
    folder.mkdir()
    for name in names:
        text = (ENCODERS / f"{name}.py").read_text(encoding="utf-8")
        (folder / f"{name}.py").write_text(text.replace("mmtrain.export.runners.encoding", ENCODERS.name), encoding="utf-8")
    return names


def _date_patterns() -> dict[str, object]:
    """Return the patterns of `mmtrain.text.date_patterns`, which are those of Python's `re` already."""
    return {
        "formats": [*FORMATS, YEAR],
        "slashed": SLASHED,
        "seconds": SECONDS,
        "half_of_day": HALF_OF_DAY,
        "offset": OFFSET,
        "with_offset": OFFSET_FROM_UTC,
        "months": MONTH_NAMES,
    }


def _copy_image_decoding(folder: Path) -> None:
    """Copy the modules that decode images; the one function from elsewhere goes into a module of its own."""
    source = Path(mmtrain.image_decoding.__file__).parent
    for path in sorted(source.rglob("*.py")):
        (folder / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8").replace(f"mmtrain.{IMAGES}", IMAGES).replace("mmtrain.errors", f"{IMAGES}.words")
        (folder / path.relative_to(source)).write_text(text, encoding="utf-8")
    head = "from __future__ import annotations\n\nfrom collections.abc import Sequence\n\n\n"
    (folder / "words.py").write_text(head + inspect.getsource(listed), encoding="utf-8")


@cache
def _patterns() -> dict[str, object]:
    """Return the patterns of `mmtrain.text.tokenization` for Python's `re` with the flag ASCII."""
    pairs = [[as_python(search), replacement] for search, replacement in CHARACTER_PAIRS]
    return {
        "variants": as_python(VARIANTS),
        "word": as_python(WORD),
        "between_words": as_python(BETWEEN_WORDS),
        "character_pairs": pairs,
    }


def as_python(pattern: str) -> str:
    r"""Return a pattern of RE2 with its classes of Unicode written out.

    >>> as_python(r"[a\x{FE0F}]+")
    '[a\\U0000fe0f]+'
    """
    inside, parts = False, []
    for sign in re.findall(r"\\p\{\w+\}|\\x\{[0-9A-F]+\}|\\.|.", pattern, re.DOTALL):
        if sign.startswith("\\p"):
            ranges = character_ranges(sign[3:-1])
            parts.append(ranges if inside else f"[{ranges}]")
            continue
        inside = sign == "[" or (inside and sign != "]")
        parts.append(f"\\U{int(sign[3:-1], 16):08x}" if sign.startswith("\\x") else sign)
    return "".join(parts)


@cache
def character_ranges(name: str) -> str:
    """Return the characters of a class of Unicode, such as L or Han, as the ranges of a set; by RE2, as training reads texts."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    points = np.concatenate([np.arange(*block) for block in BLOCKS])
    members = points[pc.match_substring_regex(pa.array(map(chr, points)), rf"\p{{{name}}}").to_numpy(zero_copy_only=False)]
    breaks = np.flatnonzero(np.diff(members) > 1) + 1
    return "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in np.split(members, breaks))
