"""Findings on single images: of one colour, or far darker or brighter than the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.finding import Finding
from mmtrain.audit.images.file_health import finding
from mmtrain.audit.images.image_column import ImageFiles
from mmtrain.audit.images.image_fingerprints import ImageFingerprints
from mmtrain.errors import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLANK_CONTRAST = {8: 6.0, 16: 0.1}
"""Below this contrast, of 255, an image is nearly constant: what JPEG makes of one colour stays below 3. Of 16 bits, scanners may
fill only 12, and noise of one in those is 0.06."""

FAR = 3.0
"""Distance beyond a quartile, in interquartile ranges, of a far out value (Tukey 1977, "Exploratory Data Analysis")."""

LEAST_APART = 25.0
"""Least distance beyond a quartile, of 255, of an outlier, however similar the others are."""

FEWEST = 20
"""Images from which quartiles show the usual brightness."""


def is_blank(looks: ImageFingerprints, bits: int) -> NDArray[np.bool_]:
    """Mark images of one colour, or nearly so, (images,)."""
    return looks.contrast < BLANK_CONTRAST[bits]


def exposure_findings(column: ImageFiles, files: NDArray[np.int64], looks: ImageFingerprints, bits: int) -> list[Finding]:
    """Check one column; `looks` are those of its `files`."""
    plain = is_blank(looks, bits)
    return [*_plain(column, files[plain], looks.select(plain)), *_outliers(column, files[~plain], looks.brightness[~plain])]


def _plain(column: ImageFiles, files: NDArray[np.int64], looks: ImageFingerprints) -> Iterator[Finding]:
    if not len(files):
        return
    exactly = int((looks.contrast == 0).sum())
    what = f"{counted(len(files), 'image')} {'shows' if len(files) == 1 else 'show'} one colour or nearly so"
    what += f", {exactly:,} of them exactly one." if exactly else "."
    why = "They show nothing; where they are placeholders, they may reveal a source to the network."
    fix = "Look at them; where an image is really missing, leave its cell empty and set `missing: mask`."
    yield finding(column, "warning", "constant_images", files, (what, why, fix))


def _outliers(column: ImageFiles, files: NDArray[np.int64], brightness: NDArray[np.float32]) -> Iterator[Finding]:
    if len(files) < FEWEST:
        return
    low, high = np.quantile(brightness, [0.25, 0.75])
    # Similar scans have a spread near 0: without a least distance each small difference would be an outlier.
    reach = max(FAR * (high - low), LEAST_APART)
    # Tukey's fences about the quartiles.
    darker, brighter = brightness < low - reach, brightness > high + reach
    outliers = files[darker | brighter]
    if not len(outliers):
        return
    what = f"{counted(len(outliers), 'image')} {'is' if len(outliers) == 1 else 'are'} far from the usual brightness, "
    what += f"{darker.sum():,} darker and {brighter.sum():,} brighter; the middle half lies between {low:.0f} and {high:.0f} of 255."
    why = "They may be badly exposed, inverted, or of something else than the others."
    yield finding(column, "note", "brightness_outliers", outliers, (what, why, "Look at them, and leave out what does not belong."))
