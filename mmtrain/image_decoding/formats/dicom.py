"""DICOM: a file of one or several frames, in the unit that the file gives them, by pydicom (extra `medical`).

From the stored values to what is seen (PS3.3, C.7.6.3, C.11.1 and C.11.2): the modality LUT or rescale slope and intercept, which make
Hounsfield units of a CT; then the window, given or the file's own; MONOCHROME1 is inverted last. Palettes and YBR colours become RGB.
Overlays, and VOI LUTs other than windows, are not applied.
"""

from __future__ import annotations

import logging
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.decoded_image import ImageHeader, Layout, MissingReader, UnreadableImage, cut_short, damaged_image, image_errors
from mmtrain.image_decoding.formats.samples import Samples, check_voxels, chosen_slice, to_pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
TAGS = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PlanarConfiguration", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "ImagePositionPatient"),
    *("ImageOrientationPatient", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "SeriesInstanceUID"),
    *("RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor"),
    *("RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData"),
    *("SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData"),
    *("SegmentedBluePaletteColorLookupTableData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)
"""Tags that are read: names, dates of birth and numbers of patients never come into memory as tags."""
COLOURS = ("RGB", "PALETTE COLOR")


def header(data: bytes) -> ImageHeader:
    """Return the header of the first frame."""
    found = dataset(data, pixels=False)
    with image_errors("DICOM"):
        colour = int(found.get("SamplesPerPixel", 1)) > 1 or found.PhotometricInterpretation == "PALETTE COLOR"
        deep = int(found.get("BitsStored", found.get("BitsAllocated", 8))) > 8 and not colour
        return ImageHeader("DICOM", int(found.Columns), int(found.Rows), "RGB" if colour else "I;16" if deep else "L", 16 if deep else 8, 1)


def pixels(data: bytes, layout: Layout) -> NDArray[Any]:
    """Return the pixels of one frame, or of all frames as a volume."""
    found = dataset(data)
    frames = _frames(found)
    with image_errors("DICOM"):
        sides = int(found.Rows), int(found.Columns)
    if not layout.depth:
        check_voxels(sides, layout)
        return to_pixels(frame_samples(found, chosen_slice(layout, frames, "frame")), layout)
    check_voxels((frames, *sides), layout)
    with image_errors("DICOM"):
        places = [frame_geometry(found, frame) for frame in range(frames)]
    from mmtrain.image_decoding.formats.dicom_series import in_order

    if frames > 1 and all(place is not None for place in places):
        return to_pixels(in_order([frame_samples(found, frame) for frame in range(frames)], places), layout)
    # Frames without a position, such as those of an ultrasound video, stay in their order.
    return to_pixels(stacked([frame_samples(found, frame) for frame in range(frames)]), layout)


def dataset(data: bytes, *, pixels: bool = True) -> Any:
    """Return the tags of `TAGS` in a file.

    Raises:
        UnreadableImage: it has no image, or is damaged; MissingReader without pydicom.

    """
    try:
        import pydicom
    except ImportError as error:
        raise MissingReader("a DICOM image", "medical") from error
    silence()
    with image_errors("DICOM"):
        wanted = [*TAGS, *(PIXELS if pixels else ())]
        found = pydicom.dcmread(BytesIO(data), force=True, specific_tags=wanted, stop_before_pixels=not pixels)
    if "Rows" not in found or "Columns" not in found or (pixels and not any(name in found for name in PIXELS)):
        fix = "Leave the row out, or name the file of an image: reports, plans and directories have none."
        raise UnreadableImage("The DICOM file has no image.", fix)
    if "TransferSyntaxUID" not in found.file_meta:
        little, explicit = found.original_encoding[1], not found.original_encoding[0]
        uid = pydicom.uid
        found.file_meta.TransferSyntaxUID = (
            uid.ExplicitVRBigEndian if not little else uid.ExplicitVRLittleEndian if explicit else uid.ImplicitVRLittleEndian
        )
    return found


def _nothing(_: logging.LogRecord) -> bool:
    """Let no record of pydicom's log through."""
    return False


def silence() -> None:
    """Keep pydicom from writing values of tags into warnings and logs; set at each call, as programs reset filters."""
    logger = logging.getLogger("pydicom")
    # A filter, as pydicom sets level and handlers of its logger itself; filters are a list without doubles.
    logger.addFilter(_nothing)
    warnings.filterwarnings("ignore", module=r"(pydicom|openjpeg|libjpeg|rle|pylibjpeg)(\.|$)")


def _frames(found: Any) -> int:
    with image_errors("DICOM"):
        return max(1, int(found.get("NumberOfFrames") or 1))


def frame_samples(found: Any, frame: int) -> Samples:
    """Return one frame, (1, height, width, 1 or 3), in the unit of the file. Raises UnreadableImage."""
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    kind = str(found.get("PhotometricInterpretation", "MONOCHROME2"))
    with image_errors("DICOM"):
        stored = _stored(found, frame)
        if kind == "PALETTE COLOR":
            values = apply_color_lut(stored, found)
            # Entries of 16 bits: the table says how many of them count.
            top = 2.0 ** (8 * values.itemsize) - 1
            return Samples(values.reshape(1, *values.shape[-3:-1], 3), (0.0, top))
        if stored.ndim == 3:
            return Samples(stored[None], (0.0, 2.0 ** int(found.BitsStored) - 1))
        slope, intercept = _rescale(found, frame)
        if slope is None:
            values = apply_modality_lut(stored, found)
        else:
            import numpy as np

            values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
        window = _window(found, frame) or _plain_window(found)
        step = spacing(found, frame)
        return Samples(values[None, ..., None], window, kind == "MONOCHROME1", step)


def _stored(found: Any, frame: int) -> NDArray[Any]:
    """Return the stored values of a frame, (height, width), or (height, width, 3) as RGB."""
    from pydicom.pixels.utils import pixel_array

    try:
        stored: NDArray[Any] = pixel_array(found, index=frame)
    except RuntimeError as error:
        # pydicom's words for a compression without its plugin.
        if "missing dependencies" in str(error):
            raise MissingReader("a compressed DICOM image", "medical") from error
        raise damaged_image("DICOM") from error
    except ValueError as error:
        if "less than expected" in str(error):
            raise cut_short("DICOM") from error
        raise
    return stored


def stacked(samples: list[Samples]) -> Samples:
    """Return samples of one slice each as those of all; the window is that of the first. Raises UnreadableImage for other sizes."""
    import numpy as np

    if len({one.values.shape for one in samples}) > 1:
        raise UnreadableImage("The slices of the DICOM series have different sizes.", "Give each series a folder of its own.")
    first = samples[0]
    return Samples(np.concatenate([one.values for one in samples]), first.window, first.inverted, first.spacing)


def _group(found: Any, frame: int, sequence: str) -> Any:
    """Return the item of a functional group (PS3.3, C.7.6.16) of this frame, or of all frames; None without it."""
    per_frame = found.get("PerFrameFunctionalGroupsSequence") or ()
    for groups in (*per_frame[frame : frame + 1], *(found.get("SharedFunctionalGroupsSequence") or ())):
        if groups.get(sequence):
            return groups[sequence].value[0]
    return None


def _rescale(found: Any, frame: int) -> tuple[float | None, float]:
    """Return slope and intercept of a functional group; None where the file has them, if any, for the whole image."""
    group = _group(found, frame, "PixelValueTransformationSequence")
    return (None, 0.0) if group is None else (float(group.RescaleSlope), float(group.RescaleIntercept))


def _window(found: Any, frame: int) -> tuple[float, float] | None:
    """Return the first window of the file as low and high (PS3.3, C.11.2.1.2 and C.11.2.1.3); None without one."""
    group = _group(found, frame, "FrameVOILUTSequence") or found
    center, width = _first(group.get("WindowCenter")), _first(group.get("WindowWidth"))
    if center is None or width is None or width <= 0:
        return None
    if str(group.get("VOILUTFunction") or "LINEAR") == "LINEAR":
        # The standard's window of width w has w whole numbers, and so w - 1 steps.
        center, width = center - 0.5, width - 1
    return (center - width / 2, center + width / 2) if width > 0 else (center, center + 1)


def _plain_window(found: Any) -> tuple[float, float] | None:
    """Return 0 to 255 for plain grey of 8 bits, as of ultrasound and photos; else None, for percentiles."""
    rescaled = (
        "ModalityLUTSequence" in found or float(found.get("RescaleSlope") or 1) != 1 or float(found.get("RescaleIntercept") or 0) != 0
    )
    plain = int(found.BitsStored) == 8 and not int(found.get("PixelRepresentation") or 0) and not rescaled
    return (0.0, 255.0) if plain else None


def _first(value: Any) -> float | None:
    """Return the first of perhaps several values; None without any."""
    if value is None or value == "":
        return None
    several = value if isinstance(value, str | float | int) or not hasattr(value, "__len__") else (value[0] if len(value) else None)
    return None if several is None else float(several)


def spacing(found: Any, frame: int) -> tuple[float, float, float]:
    """Return the distance of slices, rows and columns in mm; 1 where the file does not say."""
    group = _group(found, frame, "PixelMeasuresSequence") or found
    rows, columns = (float(step) for step in group.get("PixelSpacing") or (1.0, 1.0))
    between = _first(group.get("SpacingBetweenSlices")) or _first(group.get("SliceThickness")) or 1.0
    return abs(between) or 1.0, rows, columns


def frame_geometry(found: Any, frame: int) -> NDArray[np.float64] | None:
    """Return the position of a frame and the directions of its columns and rows, (3, 3) in the patient's coordinates; None without."""
    import numpy as np

    position = (_group(found, frame, "PlanePositionSequence") or found).get("ImagePositionPatient")
    directions = (_group(found, frame, "PlaneOrientationSequence") or found).get("ImageOrientationPatient")
    if not position or not directions:
        return None
    return np.array([*map(float, position), *map(float, directions)]).reshape(3, 3)
