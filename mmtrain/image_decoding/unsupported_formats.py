"""Formats that people do put into image columns and that are not read: how they are known, and what to do with such files."""

from __future__ import annotations

from dataclasses import dataclass

from mmtrain.errors import listed
from mmtrain.image_decoding.decoded_image import FORMATS

CONVERT = f"Convert it to {listed(FORMATS, 'or')}."
SLICES = "Save the slices that matter as PNG, each in an image column of its own."
RECORDING = "a recording"
SOUND = "Convert it to WAV or FLAC, and give its column the role `audio`."
FRAMES = "Save the frames that matter as PNG, each in an image column of its own."

HEAD = 352
"""Bytes that tell every format here: NIfTI has its mark at 344."""


@dataclass(frozen=True)
class NotRead:
    """One format: `noun` with its article, how files of it begin ((offset, first bytes), ...) and how their names end."""

    noun: str
    marks: tuple[tuple[int, bytes], ...]
    endings: tuple[str, ...]
    fix: str = CONVERT


NOT_READ = (
    NotRead(
        "a NIfTI header without its voxels", ((344, b"ni1\0"), (4, b"ni2\0")), (), "Save header and voxels as one file, .nii or .nii.gz."
    ),
    NotRead("an NRRD volume", ((0, b"NRRD0"),), (".nrrd", ".nhdr"), SLICES),
    NotRead("a MetaImage volume", (), (".mha", ".mhd"), SLICES),
    NotRead("a JPEG 2000 image", ((0, b"\0\0\0\x0cjP  "), (0, b"\xff\x4f\xff\x51")), (".jp2", ".j2k", ".jpx")),
    NotRead("a JPEG XL image", ((0, b"\xff\x0a"), (0, b"\0\0\0\x0cJXL ")), (".jxl",)),
    NotRead("a PSD image", ((0, b"8BPS"),), (".psd",)),
    NotRead("an ICO image", ((0, b"\0\0\1\0"),), (".ico",)),
    NotRead("an SVG drawing", ((0, b"<svg"),), (".svg", ".svgz")),
    NotRead("an OpenEXR image", ((0, b"v/1\1"),), (".exr",)),
    NotRead("a Netpbm image", tuple((0, b"P%d%c" % (kind, end)) for kind in (4, 5, 6) for end in b"\n "), (".pgm", ".ppm", ".pbm", ".pnm")),
    NotRead("a Targa image", (), (".tga",)),
    NotRead("a raw camera image", (), (".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf")),
    NotRead("a whole-slide image", (), (".svs", ".ndpi", ".mrxs"), "Save tiles or a small copy of it as PNG."),
    NotRead("a PDF document", ((0, b"%PDF-"),), (".pdf",), "Save the page that matters as PNG."),
    NotRead("an AVI video", ((8, b"AVI LIST"),), (".avi",), FRAMES),
    NotRead("an M4A recording", ((4, b"ftypM4A "), (4, b"ftypM4B ")), (), SOUND),
    NotRead("a video", ((4, b"ftyp"), (0, b"\x1aE\xdf\xa3")), (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"), FRAMES),
    NotRead(RECORDING, (), (".wav", ".mp3", ".flac", ".ogg", ".oga"), "Give its column the role `audio`."),
    NotRead(RECORDING, (), (".m4a", ".aac", ".wma", ".opus"), SOUND),
    NotRead("a NumPy array", ((0, b"\x93NUMPY"),), (".npy", ".npz"), "Save it as PNG, with 8 or 16 bits."),
    NotRead("a MATLAB file", ((0, b"MATLAB 5.0"),), (".mat",), "Save the array in it as PNG, with 8 or 16 bits."),
    NotRead("an HDF5 file", ((0, b"\x89HDF\r\n\x1a\n"),), (".h5", ".hdf5"), "Save the array in it as PNG, with 8 or 16 bits."),
    NotRead("a ZIP archive", ((0, b"PK\3\4"),), (".zip",), "Unpack it, and write the path of each image."),
)
"""The first mark that fits counts."""

ENDINGS = {ending: one for one in NOT_READ for ending in one.endings}


def by_content(head: bytes) -> NotRead | None:
    """The format that the first `HEAD` bytes of a file tell."""
    return next((one for one in NOT_READ if any(head.startswith(mark, offset) for offset, mark in one.marks)), None)


def by_name(name: str) -> NotRead | None:
    """The format that the end of a file's name tells."""
    stem = name.strip().lower()
    return next((one for ending, one in ENDINGS.items() if stem.endswith(ending)), None)
