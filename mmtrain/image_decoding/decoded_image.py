"""The words of this package: a header, the layout of the pixels, and the refusal of a file."""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
"""The formats that are read here and in an exported graph, by Pillow's names."""

SOUNDS = ("WAV", "FLAC", "OGG", "MP3")
"""Formats of recordings, which a layout with a spectrogram reads as images."""

Window: TypeAlias = tuple[float, float] | Literal["auto", "percentile"]
"""The values between black and white: given, of the file itself (`auto`), or of the image's own samples."""

MAX_PIXELS = 50_000_000
"""Pixels of the largest image that is decoded, unless a column says otherwise."""


@dataclass(frozen=True)
class ImageHeader:
    """Facts from the header of an image.

    `width` and `height` are as shown, EXIF orientation applied. `mode` is Pillow's (`L`, `P`, `RGB`, `CMYK`, `I;16`, ...).
    `bits` are those of one sample in the file (1, 2, 4, 8 or 16), which `mode` hides: Pillow calls a 16-bit colour PNG `RGB`.
    `orientation` is EXIF's, 1 to 8, and 1 where the file has none.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    orientation: int


@dataclass(frozen=True)
class Spectrogram:
    """Rules by which a recording becomes an image: mel bands from low (bottom row) to high, moments from left to right.

    `rate` is the samples per second that a recording is brought to, `seconds` its part that is read: that at the `keep` (start, middle,
    end), with silence where it is shorter. `mels` bands lie between the frequencies `low` and `high` in Hz. A frame takes `window` ms and
    the next begins `hop` ms later. Black is `decibels` below white, and white the loudest value of the recording (`peak`) or that of a sine
    of full amplitude (`full`).
    """

    rate: int = 16_000
    seconds: float = 4.0
    keep: str = "middle"
    mels: int = 64
    low: float = 0.0
    high: float = 8_000.0
    window: float = 25.0
    hop: float = 10.0
    decibels: float = 80.0
    reference: str = "peak"

    @property
    def samples(self) -> int:
        """Samples that are read."""
        return round(self.seconds * self.rate)

    @property
    def frame(self) -> int:
        """Samples of a frame."""
        return max(1, round(self.window * self.rate / 1000))

    @property
    def step(self) -> int:
        """Samples from the beginning of a frame to that of the next."""
        return max(1, round(self.hop * self.rate / 1000))

    @property
    def frames(self) -> int:
        """Frames that lie within the samples."""
        return 1 + max(0, self.samples - self.frame) // self.step


@dataclass(frozen=True)
class Layout:
    """Layout of decoded pixels.

    `size` is (height, width); `channels` 1, 3 or 4; `bits` 8 (uint8) or 16 (uint16, one channel only).
    `resize` is `stretch` (to exactly `size`), `crop` (cover `size`, cut its centre) or `pad` (fit into `size`, centred).
    `background` is red, green and blue in 0..255, under transparent pixels and around padded images.
    `max_pixels` is the most that the header may announce before anything is decoded; of a volume, the most voxels.
    `window` is the range of samples from black to white, see `mmtrain.image_decoding.window`.
    `slice` is the number of the slice, page or frame that is read, from 0; None is the middle one. With `slices` it is the number among
    that many evenly spaced ones.
    `depth` is the number of slices of a volume; 0 for an image.
    `spacing` is the distance of voxels in mm, (depth, height, width), that a volume is brought to; empty: `resize` decides.
    `spectrogram` has the rules by which a recording becomes an image of `size` (mels, frames); None for files of images.
    """

    size: tuple[int, int]
    channels: int
    bits: int = 8
    resize: str = "stretch"
    background: tuple[int, int, int] = (255, 255, 255)
    max_pixels: int = MAX_PIXELS
    window: Window = "auto"
    slice: int | None = None
    depth: int = 0
    spacing: tuple[float, ...] = ()
    spectrogram: Spectrogram | None = None
    slices: int = 0

    def record(self) -> dict[str, Any]:
        """Return the layout as plain values, by which stores are named; options that came later only where they are used."""
        return {key: value for key, value in asdict(self).items() if key not in ("spectrogram", "slices") or value}

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes of the pixels: (height, width, channels), of a volume (depth, height, width, channels)."""
        return (*((self.depth,) if self.depth else ()), *self.size, self.channels)

    @property
    def dtype(self) -> str:
        """NumPy name of the type of the pixels."""
        return f"uint{self.bits}"

    @property
    def top(self) -> int:
        """The level of white: 255 or 65535."""
        return int(2**self.bits) - 1


class UnreadableImage(Exception):  # noqa: N818 - a refusal, reported by the caller as a problem of the table
    """One sentence of what is wrong; `fix` is one of what would be right. Neither names the file: the caller knows where."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix

    def __reduce__(self) -> tuple[type[UnreadableImage], tuple[str, str]]:
        return type(self), (str(self), self.fix)


class MissingReader(UnreadableImage):
    """The refusal of a file whose reader is not installed: an error under every policy for missing images."""

    def __init__(self, noun: str, extra: str) -> None:
        super().__init__(f"The file is {noun}, and the packages that read it are not installed.", f"Run `pip install 'mmtrain[{extra}]'`.")
        self._arguments = noun, extra

    def __reduce__(self) -> tuple[type[UnreadableImage], tuple[str, str]]:
        return type(self), self._arguments


def cut_short(kind: str) -> UnreadableImage:
    """The refusal of a file whose end is missing; `kind` is one of `FORMATS`."""
    return UnreadableImage(f"The {kind} file is cut short.", "Copy or download it again, whole.")


def damaged_image(kind: str) -> UnreadableImage:
    """The refusal of a file that its decoder does not accept; `kind` is one of `FORMATS`."""
    return UnreadableImage(
        f"The {kind} file is damaged or of a kind that is not read.", "Open it in an image program and save it again, as PNG for instance."
    )


_PAST_THE_END = (IndexError, EOFError, struct.error)


class image_errors:  # noqa: N801 - used as a statement, and for every image: a generator would take three times as long
    """Turn whatever Pillow raises on a hostile file of the format `kind` into a refusal.

    Pillow promises no exception type: `SyntaxError`, `ValueError`, `struct.error`, `EOFError` and more have been seen.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, UnreadableImage):
            raise _refusal(self._kind, error) from error


def _refusal(kind: str, error: Exception) -> UnreadableImage:
    if isinstance(error, MemoryError):
        return UnreadableImage("The image does not fit into memory.", "Use a smaller image, or lower max_pixels.")
    # Reading past the end shows as one of these, which Pillow may wrap once.
    past_the_end = isinstance(error, _PAST_THE_END) or isinstance(error.__cause__, _PAST_THE_END)
    return cut_short(kind) if past_the_end or "truncat" in str(error).lower() else damaged_image(kind)
