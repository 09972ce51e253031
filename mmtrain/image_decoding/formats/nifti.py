"""NIfTI: a volume of a head or of a body, or a slice of one, by nibabel (extra `medical`)."""

from __future__ import annotations

import gzip
import logging
from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.decoded_image import ImageHeader, Layout, MissingReader, UnreadableImage, cut_short, image_errors
from mmtrain.image_decoding.formats.samples import Samples, check_voxels, chosen_slice, to_pixels
from mmtrain.image_decoding.formats.volumes import canonical_axes, oriented

if TYPE_CHECKING:
    from numpy.typing import NDArray

GZIP = b"\x1f\x8b"
MILLIMETRES = {"micron": 1e-3, "meter": 1e3}
"""Units of distances that a header may state (`xyzt_units` of nifti1.h) in mm; most files state mm, or nothing."""
LARGEST = 1 << 33
"""Bytes that a compressed file may have when it is unpacked, 8 GiB."""


def header(data: bytes) -> ImageHeader:
    """Return the header of an axial slice; depth is 16 bits for all but bytes."""
    image = _opened(data)
    with image_errors("NIfTI"):
        order, _ = canonical_axes(_directions(image))
        deep = image.get_data_dtype().itemsize > 1
        width, height = (int(image.shape[order[place]]) for place in (2, 1))
        return ImageHeader("NIfTI", width, height, "I;16" if deep else "L", 16 if deep else 8, 1)


def pixels(data: bytes, layout: Layout) -> NDArray[Any]:
    """Return the pixels of the volume, or of an axial slice of it."""
    import numpy as np

    image = _opened(data)
    with image_errors("NIfTI"):
        shape, directions = image.shape, _directions(image)
        order, backwards = canonical_axes(directions)
    sides = [int(shape[axis]) for axis in order]
    check_voxels(sides if layout.depth else sides[1:], layout)
    kept = [slice(None)] * 3
    if not layout.depth:
        # Only the slice that is shown is taken from the file.
        number = chosen_slice(layout, sides[0], "slice")
        number = sides[0] - 1 - number if 0 in backwards else number
        kept[order[0]] = slice(number, number + 1)
    with image_errors("NIfTI"):
        values = np.asanyarray(image.dataobj[tuple(kept)])
        values = values.reshape(*values.shape[:3], -1)
        if values.dtype.names:  # RGB24
            values = np.stack([values[name][..., 0] for name in values.dtype.names[:3]], axis=-1)
        window = _window(image, values)
        unit = MILLIMETRES.get(image.header.get_xyzt_units()[0], 1.0)
        steps = [float(abs(step)) * unit or 1.0 for step in image.header.get_zooms()[:3]]
    volume, _ = oriented(values, directions)
    return to_pixels(Samples(volume, window, spacing=(steps[order[0]], steps[order[1]], steps[order[2]])), layout)


def _opened(data: bytes) -> Any:
    """Return nibabel's image, its voxels not yet read.

    Raises:
        UnreadableImage: the file is damaged, or a series of volumes; MissingReader without nibabel.

    """
    try:
        import nibabel
    except ImportError as error:
        raise MissingReader("a NIfTI volume", "medical") from error
    # nibabel logs what it mends in headers, with values from them.
    logging.getLogger("nibabel").setLevel(logging.CRITICAL + 1)
    with image_errors("NIfTI"):
        if data.startswith(GZIP):
            data = _unpacked(data)
        family = nibabel.Nifti2Image if data[:4] in (b"\x1c\2\0\0", b"\0\0\2\x1c") else nibabel.Nifti1Image
        image = family.from_bytes(data)
        shape = image.shape
        complex_numbers = image.get_data_dtype().kind == "c"
    if complex_numbers:
        raise UnreadableImage("The voxels of the NIfTI file are complex numbers.", "Save their magnitude, or what matters of them.")
    if len(shape) < 3 or max(shape[3:], default=1) > 1:
        what = f"The NIfTI file has {shape[3]} volumes." if len(shape) > 3 else "The NIfTI file has no volume."
        raise UnreadableImage(what, "Save the volume that matters, or the mean of all, as a file of its own.")
    return image


def _unpacked(data: bytes) -> bytes:
    from io import BytesIO

    try:
        with gzip.open(BytesIO(data)) as file:
            unpacked = file.read(LARGEST)
    except EOFError as error:
        raise cut_short("NIfTI") from error
    return unpacked


def _directions(image: Any) -> NDArray[Any]:
    """Return the directions of the voxel axes, (3, 3), in DICOM's coordinates: NIfTI's x and y run the other way."""
    import numpy as np

    axes = image.affine[:3, :3].T * np.array([-1.0, -1.0, 1.0])
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    if not np.isfinite(axes).all() or not lengths.all():
        raise UnreadableImage(
            "The NIfTI file does not say how its voxels lie in the patient.", "Set its affine, for instance by a new export."
        )
    directions: NDArray[Any] = axes / lengths
    return directions


def _window(image: Any, values: NDArray[Any]) -> tuple[float, float] | None:
    """Return the range that the header wants to be seen; bytes have all of theirs, others none."""
    low, high = float(image.header["cal_min"]), float(image.header["cal_max"])
    if high > low:
        return low, high
    return (0.0, 255.0) if values.dtype == "uint8" else None
