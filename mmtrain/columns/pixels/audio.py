"""`role: audio`: a recording per row, WAV, FLAC, Ogg or MP3, as a log-mel spectrogram.

Encoded as kind `image`: (batch, mels, frames, 1) uint8, or uint16 with `bits: 16`; rows are bands of frequency, the lowest at the bottom,
columns are moments. Decoded once, like images; a masked recording is all zeros. TensorFlow is not asked to decode sounds, so that the saved
model takes spectrograms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from mmtrain.columns.base import Evidence, Guess, role
from mmtrain.columns.cells import ImageCells
from mmtrain.columns.fitted_column import CellAttribution, EncodingDescription
from mmtrain.columns.pixels.audio_augment import AudioAugment
from mmtrain.columns.pixels.image_cells import SOUND_ENDINGS, guess_by_endings
from mmtrain.columns.pixels.pixel_input import Choice, FittedPixels, MissingOption, PixelColumn, check_suffix
from mmtrain.image_decoding import Layout
from mmtrain.image_decoding.decoded_image import Spectrogram
from mmtrain.registry import Section
from mmtrain.specs import ImageSpec, Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile

KEPT = {"start": "the beginning", "middle": "the middle", "end": "the end"}
BANDS, MOMENTS = ("high", "medium", "low"), ("first", "second", "last")
"""Thirds of a spectrogram, from top to bottom and from left to right."""
MOST_FRAMES = 8192
"""Frames of the largest spectrogram: 80 s at the default distance."""


class FittedAudio(FittedPixels):
    """Nothing is learned from recordings; these are the rules of their spectrograms."""

    noun: ClassVar[str] = "spectrogram"

    role: Literal["audio"] = "audio"
    rate: int
    seconds: float
    keep: Literal["middle", "start", "end"]
    mels: int
    low: float
    high: float
    window: float
    hop: float
    decibels: float
    reference: Literal["peak", "full"]
    bits: Literal[8, 16]

    @property
    def spectrogram(self) -> Spectrogram:
        """The rules by which a recording becomes an image."""
        return Spectrogram(**self.model_dump(exclude={"role", "bits"}))

    @property
    def spec(self) -> ImageSpec:
        """(batch, mels, frames, 1)."""
        return ImageSpec(self.mels, self.spectrogram.frames, 1, self.bits)

    @property
    def layout(self) -> Layout:
        """The layout of the spectrograms in the store."""
        return Layout((self.mels, self.spectrogram.frames), 1, self.bits, spectrogram=self.spectrogram)

    def attribute(self, cell: str, values: np.ndarray[Any, Any], entry: np.ndarray[Any, Any]) -> CellAttribution:  # noqa: ARG002
        """Divide attributions (mels, frames) among three bands of frequency by three parts of the time."""
        import numpy as np

        if min(values.shape) < 3:
            return CellAttribution((("all", float(values.sum())),))
        return CellAttribution(
            tuple(
                (f"{band} frequencies, {moment} third", float(part.sum()))
                for band, rows in zip(BANDS, np.array_split(values, 3), strict=True)
                for moment, part in zip(MOMENTS, np.array_split(rows, 3, axis=1), strict=True)
            )
        )

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """The size of the spectrograms."""
        return f"nothing; {number(self.seconds)} s as {self.mels} mel bands × {self.spectrogram.frames} frames, {self.bits} bits"

    def recipe(self) -> EncodingDescription:
        """Describe every step from samples to the spectrogram."""
        rules = self.spectrogram
        white = "the loudest value of the recording" if self.reference == "peak" else "a sine of full amplitude"
        encoded = (
            f"{self.mels} x {rules.frames} pixels, decoded by mmtrain: the mean of the channels at {self.rate:,} samples a second, "
            f"{KEPT[self.keep]} of {self.seconds:g} s, with silence where the recording is shorter; every {rules.step} samples the power "
            f"spectrum of {rules.frame} samples under a Hann window; sums in {self.mels} triangular bands at equal distances in mel (2595 "
            f"log10(1 + f / 700)) from {self.low:g} to {self.high:g} Hz; decibels, of which {white} is {2**self.bits - 1} and "
            f"{self.decibels:g} below it 0. The lowest band is the last row. All 0 without a recording."
        )
        return EncodingDescription("A recording.", encoded, "1 if there is a recording, else 0.", None)


@role("audio", fitted=FittedAudio)
class Audio(PixelColumn):
    """A recording as a spectrogram: WAV, FLAC, Ogg Vorbis or MP3 (extra `audio`), which branches for images read.

    Channels are averaged, and all recordings brought to one rate and one length. Brightness is the power in bands of the mel scale
    (O'Shaughnessy 1987, as in HTK) in decibels.
    """

    role: Literal["audio"] = "audio"
    suffix: Annotated[str, AfterValidator(check_suffix)] = Field("", description="What cells lack to be file names, `.wav` for instance.")
    sample_rate: int = Field(
        16_000,
        ge=1_000,
        le=192_000,
        description="Samples per second that every recording is brought to; frequencies up to half of it are heard. Speech needs 16000, "
        "music and birds 32000 and more.",
    )
    seconds: float = Field(
        4.0, gt=0, le=600, allow_inf_nan=False, description="Part of a recording that is read. Shorter ones have silence added."
    )
    keep: Literal["middle", "start", "end"] = Field(
        "middle", description="Part that is read of longer recordings. Silence of shorter ones is on both sides, behind, or in front."
    )
    mels: int = Field(64, ge=8, le=256, description="Bands of frequency, at equal distances in mel: the height of the spectrogram.")
    frequencies: tuple[float, ...] = Field(
        (),
        description="Lowest and highest frequency of the bands in Hz, [50, 8000] for instance. Left out: all up to half of `sample_rate`.",
    )
    window: float = Field(
        25.0, ge=1, le=1000, description="Length of a frame in ms; longer ones tell frequencies apart, shorter ones moments."
    )
    hop: float = Field(
        10.0, ge=0.5, le=1000, description="Distance of two frames in ms: the width of the spectrogram is `seconds` by `hop`."
    )
    decibels: float = Field(80.0, ge=10, le=120, description="Difference of white and black in dB.")
    reference: Literal["peak", "full"] = Field(
        "peak",
        description="White: peak: the loudest value of each recording, so that its volume does not matter; full: a sine of full amplitude.",
    )
    bits: Annotated[Literal[8, 16], Choice] = Field(8, description="8 bits are steps of a third of a dB.")
    missing: MissingOption = "error"
    augment: AudioAugment = AudioAugment()

    @model_validator(mode="after")
    def _frames_fit(self) -> Audio:
        if len(self.frequencies) not in (0, 2) or (self.frequencies and not 0 <= self.frequencies[0] < self.frequencies[1]):
            raise ValueError("`frequencies` are the lowest and the highest in Hz, such as [50, 8000].")
        if self.frequencies and self.frequencies[1] > self.sample_rate / 2:
            fix = f"Set `sample_rate: {2 * self.frequencies[1]:.0f}`."
            raise ValueError(f"`frequencies` end above {self.sample_rate / 2:g} Hz, half of `sample_rate`. {fix}")
        if self.seconds * 1000 < self.window:
            raise ValueError(
                f"a frame of `window: {self.window:g}` ms is longer than `seconds: {self.seconds:g}`. Shorten `window`, or raise `seconds`."
            )
        if (frames := self._rules.frames) > MOST_FRAMES:
            raise ValueError(f"`seconds` and `hop` give {frames:,} frames, more than {MOST_FRAMES:,}. Shorten `seconds`, or raise `hop`.")
        return self

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by the ends of paths."""
        # Few cells may name images or other files: `check` names each of them.
        return guess_by_endings(profile, "audio", Evidence.RECORDINGS, SOUND_ENDINGS, profile.images + profile.unread_images, "recordings")

    @property
    def kind(self) -> Kind:
        """An image."""
        return "image"

    @property
    def augmentation(self) -> AudioAugment | None:
        """The section `augment`, if it changes anything."""
        return self.augment if self.augment.changes_sounds else None

    @property
    def image_cells(self) -> ImageCells:
        """Paths without `suffix`, and the rules of spectrograms."""
        return ImageCells(self.fit([]).layout, self.suffix)

    @property
    def _rules(self) -> Spectrogram:
        low, high = self.frequencies or (0.0, self.sample_rate / 2)
        return Spectrogram(
            self.sample_rate, self.seconds, self.keep, self.mels, low, high, self.window, self.hop, self.decibels, self.reference
        )

    def declared_spec(self) -> ImageSpec:
        """Return the spec of the spectrograms."""
        return self.fit([]).spec

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedAudio:  # noqa: ARG002
        """Nothing to learn."""
        return FittedAudio(**asdict(self._rules), bits=self.bits)
