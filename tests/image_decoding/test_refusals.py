"""Files of another kind than their column, each with the whole text of the message and what to do."""

from io import BytesIO

import nibabel
import numpy as np
import pytest
import soundfile
import tifffile
from PIL import Image

from mmtrain.image_decoding import Layout, UnreadableImage, read

IMAGE, VOLUME = Layout((2, 2), 1), Layout((2, 2), 1, depth=2)


def png():
    buffer = BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG")
    return buffer.getvalue()


def recording():
    buffer = BytesIO()
    soundfile.write(buffer, np.zeros(200), 16_000, format="WAV")
    return buffer.getvalue()


def tiff(*pages, **options):
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for page in pages:
            writer.write(np.zeros(page, np.uint8), **options)
    return buffer.getvalue()


def nifti(*shape):
    return nibabel.Nifti1Image(np.ones(shape, np.uint8), np.eye(4)).to_bytes()


ONE_VOLUME = "Save the volume that matters, or the mean of all, as a file of its own."
REFUSED = {
    "recording": (recording(), IMAGE, "The file is a WAV recording, not an image.", "Give its column the role `audio`."),
    "image": (
        png(),
        VOLUME,
        "The file is a PNG image, not a volume.",
        "Name a NIfTI file, a DICOM file or a folder of them, or a TIFF stack; or use the role `image`.",
    ),
    "slice": (nifti(3, 4), VOLUME, "The NIfTI file has no volume.", ONE_VOLUME),
    "volumes": (nifti(3, 4, 2, 2), VOLUME, "The NIfTI file has 2 volumes.", ONE_VOLUME),
    "sizes": (
        tiff((4, 4), (5, 4)),
        VOLUME,
        "The pages of the TIFF file have different sizes or depths.",
        "Set `slice` to the page that matters.",
    ),
    "palette": (
        tiff((4, 4), (4, 4), photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
        VOLUME,
        "The pages of the TIFF file are images with a palette, which are not read.",
        "Save them as colour images.",
    ),
    "channels": (
        tiff((2, 2, 13), photometric="minisblack", planarconfig="contig"),
        IMAGE,
        "The image has 13 channels per pixel; 1 and 3 are read.",
        "Save the channels that matter as grey images, each in an image column of its own.",
    ),
}


@pytest.mark.parametrize(("data", "layout", "what", "fix"), REFUSED.values(), ids=REFUSED)
def test_file_of_another_kind(data, layout, what, fix):
    with pytest.raises(UnreadableImage) as caught:
        read(data, layout)
    assert (str(caught.value), caught.value.fix) == (what, fix)


def test_folder_without_medical_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UnreadableImage) as caught:
        read(tmp_path, VOLUME)
    assert str(caught.value) == "The path is a folder without DICOM files."
    assert caught.value.fix == "Give the path of one image file, or of a folder of DICOM files."
