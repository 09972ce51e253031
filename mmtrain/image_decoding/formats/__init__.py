"""Formats that TensorFlow cannot decode: TIFF, AVIF, HEIC, DICOM, NIfTI and sounds. A saved model takes their pixels.

| module | does |
|---|---|
| `samples` | values with a unit, as a scanner stores them, to the pixels of an image or of a volume |
| `volumes` | voxels in the axes of the patient; spacing and size |
| `tiff` | TIFF by Pillow, and by tifffile (extra `tiff`) where Pillow would cut samples or pages |
| `modern` | AVIF, and HEIC (extra `heif`) |
| `dicom` | DICOM: a file of one or several frames (extra `medical`) |
| `dicom_series` | a folder of DICOM files as one volume, by position |
| `nifti` | NIfTI (extra `medical`) |
| `sound` | recordings as log-mel spectrograms (extra `audio`) |
| `resampling` | a recording at another rate |

Each reader has `header`, which decodes no pixel, and `pixels`. Nothing that identifies a patient is read: of DICOM only the tags that
decide pixels are taken from the file, and messages hold no value of a tag.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.decoded_image import SOUNDS, ImageHeader, Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

READERS = {"TIFF": "tiff", "AVIF": "modern", "HEIC": "modern", "DICOM": "dicom", "DICOM series": "dicom_series", "NIfTI": "nifti"}
READERS |= dict.fromkeys(SOUNDS, "sound")
"""The module of each format, imported when a file of it is read: pydicom takes 0.6 s, nibabel 0.3 s."""
VOLUMES = {"TIFF", "DICOM", "DICOM series", "NIfTI"}
"""Formats whose files may have several slices."""


def header(kind: str, data: bytes) -> ImageHeader:
    """Return the header of a file of the format `kind`. Raises UnreadableImage."""
    found: ImageHeader = _reader(kind).header(data)
    return found


def pixels(kind: str, data: bytes, layout: Layout) -> NDArray[Any]:
    """Return the pixels of a file of the format `kind`, (height, width, channels), of a volume with the depth first.

    Raises:
        UnreadableImage: the file is damaged or larger than `layout.max_pixels`; MissingReader without the packages that read it.

    """
    decoded: NDArray[Any] = _reader(kind).pixels(data, layout)
    return decoded


def _reader(kind: str) -> Any:
    return import_module(f"mmtrain.image_decoding.formats.{READERS[kind]}")
