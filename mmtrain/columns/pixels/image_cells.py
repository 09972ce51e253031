"""Recognition of cells of images: paths, and what stands in their place: several images, addresses, images in the table itself."""

from __future__ import annotations

import re

from mmtrain.columns.base import Evidence, Guess, OptionValue
from mmtrain.columns.profile import Profile, name_words
from mmtrain.errors import listed
from mmtrain.image_decoding.data_uri import is_data_uri
from mmtrain.image_decoding.unsupported_formats import ENDINGS, by_name
from mmtrain.text.label_lists import read_list
from mmtrain.text.printable import quote_value

GRAPH_ENDINGS = ("png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "gif", "webp")
"""Endings of files that a saved model decodes itself."""
MORE_ENDINGS = (".tif", ".tiff", ".avif", ".heic", ".heif", ".hif", ".dcm", ".dicom", ".ima", ".nii", ".nii.gz")
"""Endings of files whose pixels a saved model takes."""
MORE_URIS = tuple(f"data:{kind}" for kind in ("image/tiff", "image/avif", "image/heic", "application/dicom", "application/x-nifti"))
"""Beginnings of cells that hold such a file."""
VOLUME_ENDINGS = (".nii", ".nii.gz")
SOUND_ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".mp3")
IMAGE_ENDINGS = (*GRAPH_ENDINGS, *(ending[1:] for ending in MORE_ENDINGS))
"""Endings of files that are read."""

_READ = "|".join(re.escape(ending) for ending in IMAGE_ENDINGS)
_ANY = "|".join([_READ, *(re.escape(ending[1:]) for ending in ENDINGS)])
IMAGE = rf"(?i)\.(?:{_READ})\s*$"
NOT_READ = rf"(?i)\.(?:{'|'.join(re.escape(ending[1:]) for ending in ENDINGS)})\s*$"
_CLOSED = r"[\"'\s]*[\])}]?\s*$"
SEVERAL = (
    rf"(?i)\.(?:{_ANY})[\"']?(?:\s*[;|,]\s*|\s+)[\"']?[^;|,\s\"'\])}}][^;|,]*\.(?:{_ANY}){_CLOSED}"
    rf"|^\s*[\[({{][^\[]*\.(?:{_ANY})[\"'\s]*[\])}}]\s*$"
)
ADDRESS = r"(?i)^\s*(?:[a-z][a-z0-9+.-]{1,15}://|data:[a-z]+/|//[\w.-]+\.[a-z]+/)"
FILE_END = rf"(?i)\.(?:{_ANY}){_CLOSED}"
"""Patterns of cells, for Python and for RE2."""

FETCH_FIX = "Set `data.images` to the beginning of the addresses, or `data.allow_outside: true` to fetch images from anywhere."
_SEPARATORS = (";", "|", "\n", ",", " ")
_PATH_END = re.compile(rf"\.(?:{_ANY})\s*$", re.IGNORECASE)
_BYTES = re.compile(r"(?:data:[a-z]+/|/9j/|iVBORw0KGgo|R0lGOD|UklGR|b'\\x|b\"\\x)")
"""JPEG, PNG, GIF and WebP begin so in base64."""
_SHOWN = 80

HEADER_WORDS = {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pic", "thumbnail", "scan", "poster", "avatar"}
"""Words of headers over addresses of images."""


def not_a_path(cell: str) -> tuple[str, str] | None:
    """Return what a cell is instead of the path of one image, and what to do; None where it looks like a path."""
    if holds_image(cell):
        fix = "Save each image as a file and write its path, or write `data:image/png;base64,` before its bytes in base64."
        return f"the cell {_brief(cell)} holds an image itself, not its path.", fix
    if re.match(ADDRESS, cell):
        if path := re.fullmatch(r"(?i)file://(?:localhost)?(/.*)", cell):
            return f"the cell {_brief(cell)} is an address, not a path.", f"Write the path alone: {path[1]}."
        return f"the cell {_brief(cell)} is an address outside of the images folder.", FETCH_FIX
    if len(names := several(cell)) == 1:
        return f"the cell {_brief(cell)} is a list, not a path.", f"Write the path alone: {names[0]}."
    if names:
        fix = "Set `role: images`, with the `separator` of the cell, to read several per row, or give each a column of its own."
        return f"the cell lists {len(names)} images: {_brief(listed(names, most=3))}.", fix
    return None


def holds_image(cell: str) -> bool:
    """Return whether a cell is an image itself, as a data address, in base64 or as bytes of Python."""
    # Short texts may begin like base64 by accident; an image has more than 200 characters.
    return _BYTES.match(cell) is not None and (cell.startswith("data:") or len(cell) > 200)


def several(cell: str) -> list[str]:
    """The names of images that a cell lists; none where it is the name of one, whatever signs are in it."""
    names = read_list(cell)
    # Without brackets, each separator is tried: the first that leaves only names of files wins.
    ways = [names] if names is not None else [cell.split(separator) for separator in _SEPARATORS if separator in cell]
    for way in ways:
        named = [name.strip() for name in way if name.strip()]
        if len(named) > 1 and all(_PATH_END.search(name) for name in named):
            return named
    return names or []


def _brief(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def guess_images(profile: Profile) -> Guess | None:
    """Return the guess of the role `image`: used for paths of files that are read, else with what to do instead; None for other cells."""
    return _guess_addresses(profile) or _guess_paths(profile)


def _guess(reason: str, *, used: bool, options: dict[str, OptionValue] | None = None) -> Guess:
    return Guess(role="image", evidence=Evidence.FILES, reason=reason, used=used, options=options or {})


def _guess_addresses(profile: Profile) -> Guess | None:
    """Images in the cells themselves, and addresses of images; addresses of pages are names like any other."""
    if all(is_data_uri(value) for value in profile.values):
        empty = f", {profile.missing:,} are empty" if profile.missing else ""
        kinds = listed(sorted({value[len("data:") : value.index(";")] for value in profile.values}))
        reason = f"cells hold images themselves, as data URIs ({kinds}){empty}"
        return _guess(reason, used=True, options={"missing": "mask"} if profile.missing else {})
    if all(holds_image(value) for value in profile.values):
        return _guess(f"cells hold images themselves, as {profile.example}: save each as a file, and write its path", used=False)
    files = profile.images + profile.unread_images
    # Addresses of images often end in a query, `?size=1`: then the header has to say what they are.
    if not profile.nearly_all(profile.addresses) or not (files * 2 >= profile.filled or HEADER_WORDS & set(name_words(profile.header))):
        return None
    reason = f"cells are addresses, as {profile.example}: set `data.images` to their beginning, or `data.allow_outside: true`"
    return _guess(reason, used=False)


def guess_several(profile: Profile) -> Guess | None:
    """Return the guess of the role `images` for cells that list names of image files; None for other cells."""
    files = max(profile.images + profile.unread_images, profile.image_lists)
    # In a tenth of the cells a list is not a comma in the name of a file.
    if profile.image_lists * 10 < profile.filled or not profile.nearly_all(files):
        return None
    example = next((value for value in profile.values if len(several(value)) > 1), profile.values[0])
    options: dict[str, OptionValue] = {"missing": "mask"} if profile.missing else {}
    if read_list(example) is None:
        # The separator that leaves only names of files.
        separator = next((one for one in _SEPARATORS if [name.strip() for name in example.split(one)] == several(example)), ";")
        options |= {} if separator == ";" else {"separator": separator}
    reason = f"cells list several images, as {quote_value(example)}"
    return Guess(role="images", evidence=Evidence.FILE_LISTS, reason=reason, options=options)


def guess_by_endings(profile: Profile, role: str, evidence: Evidence, endings: tuple[str, ...], files: int, noun: str) -> Guess | None:
    """Guess a role for files other than images: if half of the frequent cells have its endings, and nearly all cells name files.

    Args:
        profile: The cells.
        role: The role.
        evidence: The strength of the guess.
        endings: The endings of the role, in lower case.
        files: Rows whose cells name files that the role may read.
        noun: What the files are, in the plural.
    """
    matching = sum(rows for value, rows in profile.frequent if value.strip().lower().endswith(endings))
    if not matching or not profile.nearly_all(files) or matching * 2 < sum(rows for _, rows in profile.frequent):
        return None
    empty = f", {profile.missing:,} are empty" if profile.missing else ""
    reason = f"cells end like names of {noun}, as {profile.example}{empty}"
    return Guess(role=role, evidence=evidence, reason=reason, options={"missing": "mask"} if profile.missing else {})


def _guess_paths(profile: Profile) -> Guess | None:
    if not profile.nearly_all(profile.images + profile.unread_images):
        return None
    if profile.images:
        empty = f", {profile.missing:,} are empty" if profile.missing else ""
        reason = f"cells end like names of image files, as {profile.example}{empty}"
        return _guess(reason, used=True, options={"missing": "mask"} if profile.missing else {})
    unsupported = next(((value, file_format) for value in profile.values if (file_format := by_name(value))), None)
    if unsupported is None:
        return None
    example, file_format = unsupported
    fix = f"{file_format.fix[:1].lower()}{file_format.fix[1:].rstrip('.')}"
    return _guess(f"cells end like names of files that are not read, as {quote_value(example)}, {file_format.noun}: {fix}", used=False)
