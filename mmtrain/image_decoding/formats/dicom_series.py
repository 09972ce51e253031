"""A folder of DICOM files, one slice each, as one volume: in the order of their positions, whatever the files are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.decoded_image import ImageHeader, Layout, UnreadableImage, image_errors
from mmtrain.image_decoding.folder_content import files_of
from mmtrain.image_decoding.formats import dicom
from mmtrain.image_decoding.formats.samples import Samples, check_voxels, chosen_slice, to_pixels
from mmtrain.image_decoding.formats.volumes import oriented

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GAP = 1.5
"""Distance of neighbours, in median distances, from which on a slice is missing."""
OWN_FOLDER = "Give each series a folder of its own."


def header(data: bytes) -> ImageHeader:
    """Return the header of the first file."""
    return dicom.header(_files(data)[0])


def is_series(files: Sequence[Path]) -> bool:
    """Return whether DICOM files are slices of one series: the first and the last have one frame each, and the same series."""
    series = {_series_of_slice(path) for path in (files[0], files[-1])}
    return len(series) == 1 and "" not in series


def has_slices_of_series(files: Iterable[Path]) -> bool:
    """Return whether two of these DICOM files are slices of the same series."""
    known: set[str] = set()
    for series in filter(None, map(_series_of_slice, files)):
        if series in known:
            return True
        known.add(series)
    return False


def _series_of_slice(path: Path) -> str:
    """Return the UID of the series of a DICOM file of one frame; empty for several frames, and where it is unknown."""
    try:
        dataset = dicom.dataset(path.read_bytes(), pixels=False)
    except (OSError, UnreadableImage):
        return ""
    return str(dataset.get("SeriesInstanceUID") or "") if int(dataset.get("NumberOfFrames") or 1) == 1 else ""


def pixels(data: bytes, layout: Layout) -> NDArray[Any]:
    """Return the pixels of all slices as a volume, or of one of them as an image."""
    files = _files(data)
    slices = [dicom.dataset(content) for content in files]
    if len({str(one.get("SeriesInstanceUID", "")) for one in slices}) > 1:
        raise UnreadableImage("The folder has DICOM files of several series; one series is a volume.", OWN_FOLDER)
    if len(slices) == 1:
        return dicom.pixels(files[0], layout)
    with image_errors("DICOM"):
        places = [dicom.frame_geometry(one, 0) for one in slices]
        sides = int(slices[0].Rows), int(slices[0].Columns)
    if any(place is None for place in places):
        raise UnreadableImage(
            "A DICOM file of the folder does not say where its slice is.", "Remove files that are not slices of the volume."
        )
    check_voxels((len(slices), *sides) if layout.depth else sides, layout)
    if layout.depth:
        return to_pixels(in_order([dicom.frame_samples(one, 0) for one in slices], places), layout)
    order, _ = order_of(places)
    chosen = slices[order[chosen_slice(layout, len(slices), "slice")]]
    return to_pixels(dicom.frame_samples(chosen, 0), layout)


def _files(data: bytes) -> list[bytes]:
    """Return the files of a folder, at least one. Raises UnreadableImage: a request may send anything that begins like a folder."""
    with image_errors("DICOM"):
        files = files_of(data)
    if not files:
        raise UnreadableImage("The folder has no DICOM files.", OWN_FOLDER)
    return files


def order_of(places: Sequence[Any]) -> tuple[list[int], NDArray[np.float64]]:
    """Return the order of slices along their normal, towards the head, the left or the back, and their positions in it in mm.

    Raises:
        UnreadableImage: slices are not parallel, two are at one place, or one is missing.

    """
    import numpy as np

    geometry = np.array(places)
    if np.abs(geometry[:, 1:] - geometry[0, 1:]).max() > 1e-2:
        raise UnreadableImage("The slices of the DICOM series are not parallel.", OWN_FOLDER)
    normal = np.cross(geometry[0, 1], geometry[0, 2])
    # Along the largest component upwards, so that every series begins at the same end of the patient.
    normal *= np.sign(normal[np.argmax(np.abs(normal))]) or 1.0
    along = geometry[:, 0] @ normal
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    if steps.min() < 1e-3:
        raise UnreadableImage("Two slices of the DICOM series are at the same position.", "Leave one phase or one echo in the folder.")
    if steps.max() > GAP * np.median(steps):
        raise UnreadableImage("A slice of the DICOM series is missing: the distances of its slices differ.", "Restore the missing files.")
    return order.tolist(), along[order]


def in_order(samples: Sequence[Samples], places: Sequence[Any]) -> Samples:
    """Return slices, (1, height, width, channels) each, as one volume in the axes of the patient. Raises UnreadableImage."""
    import numpy as np

    order, along = order_of(places)
    volume = dicom.stacked([samples[number] for number in order])
    columns, rows = places[0][1], places[0][2]
    normal = np.cross(columns, rows)
    normal *= np.sign(normal[np.argmax(np.abs(normal))]) or 1.0
    between = float(np.median(np.diff(along)))
    values, axes = oriented(volume.values, np.array([normal, rows, columns]))
    steps = (between, *volume.spacing[1:])
    return Samples(values, volume.window, volume.inverted, (steps[axes[0]], steps[axes[1]], steps[axes[2]]))
