"""Recordings as log-mel spectrograms: WAV, FLAC, Ogg Vorbis and MP3, by soundfile (extra `audio`).

Channels are averaged, and the recording is brought to one rate. Of each frame under a Hann window the power spectrum is summed in
triangular bands that are equally wide on the mel scale, mel = 2595 log10(1 + f / 700) with f in Hz (O'Shaughnessy 1987; as in HTK, the
highest weight of a band is 1). Decibels of the bands are the brightness.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.decoded_image import ImageHeader, Layout, MissingReader, Spectrogram, UnreadableImage
from mmtrain.image_decoding.formats.resampling import margin, resample
from mmtrain.image_decoding.window import quantize, to_channels

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOOR = 1e-10
"""The lowest power, 100 dB below that of a sine of full amplitude: a recording without any louder value is silent."""
RUN_UP = 1 << 20
"""Samples of an MP3 that are decoded before the first that counts: its frames take bits from those before, and after a jump up to 7,000
samples were silent."""
STARTS = {"start": 0.0, "middle": 0.5, "end": 1.0}
"""Share of what is cut off, or of the silence that is added, that lies in front of the part that is read."""


def header(data: bytes) -> ImageHeader:
    """Return the format; a recording has no size in pixels before a layout says so."""
    with _opened(data) as file:
        return ImageHeader(str(file.format).removesuffix("EX"), 1, 1, "L", 8, 1)


def duration(data: bytes) -> tuple[float, int]:
    """Return the length of a recording in seconds, and its samples per second."""
    with _opened(data) as file:
        return file.frames / file.samplerate, int(file.samplerate)


def pixels(data: bytes, layout: Layout) -> NDArray[Any]:
    """Return the spectrogram of a recording, (mels, frames, channels), the lowest band in the last row."""
    rules = layout.spectrogram
    if rules is None:  # `read` refuses recordings without a layout for them
        raise UnreadableImage("The file is a recording, not an image.", "Give its column the role `audio`.")
    import numpy as np

    levels = np.ascontiguousarray(brightness(excerpt(data, rules), rules)[::-1, :, None]) * np.float32(layout.top)
    return quantize(to_channels(levels, layout.channels, layout.top), layout)


def excerpt(data: bytes, rules: Spectrogram) -> NDArray[Any]:
    """Return the part of a recording that is read, (samples,), from -1 to 1; the rest is not decoded."""
    import numpy as np

    with _opened(data) as file, _sound_errors():
        rate, length = int(file.samplerate), int(file.frames)
        if not length:
            raise UnreadableImage("The recording has no samples.", "Record it again, or leave its cell empty.")
        wanted = round(rules.samples * rate / rules.rate)
        first = round((length - wanted) * STARTS[rules.keep])
        around = margin(rate, rules.rate)
        begin, end = first - around, first + wanted + around + 2 * rate // rules.rate + 1
        start, stop = min(max(begin, 0), length), max(min(end, length), 0)
        before = min(start, RUN_UP) if file.format == "MP3" else 0
        if start > before:  # not to 0, as each jump within an MP3 writes to stderr
            file.seek(start - before)
        samples = file.read(before + max(0, stop - start), dtype="float32", always_2d=True)[before:].mean(axis=1, dtype="float64")
    padded = np.zeros(end - begin)
    padded[start - begin : start - begin + len(samples)] = np.nan_to_num(samples)
    return resample(padded, rate, rules.rate, rules.samples)


def brightness(samples: NDArray[Any], rules: Spectrogram) -> NDArray[Any]:
    """Return the brightness of each band at each moment, (mels, frames) float32, 0 dark to 1 bright; silence is dark."""
    import numpy as np

    frames = np.lib.stride_tricks.sliding_window_view(samples, rules.frame)[:: rules.step][: rules.frames]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(rules.frame) / rules.frame)
    # A sine of amplitude 1 has the power 1 in its own bin.
    power = np.abs(np.fft.rfft(frames * hann, _bins(rules))) ** 2 / (hann.sum() / 2) ** 2
    bands = power @ mel_filters(rules).T
    if bands.max(initial=0.0) <= FLOOR:
        return np.zeros((rules.mels, rules.frames), np.float32)
    decibels = 10 * np.log10(np.maximum(bands, FLOOR))
    white = decibels.max() if rules.reference == "peak" else 0.0
    levels: NDArray[Any] = np.clip((decibels - white) / rules.decibels + 1, 0, 1).T.astype(np.float32)
    return levels


@lru_cache(maxsize=8)
def mel_filters(rules: Spectrogram) -> NDArray[Any]:
    """Return the weight of each bin of the power spectrum in each band, (mels, bins): triangles between the neighbours' centers."""
    import numpy as np

    edges = mel_edges(rules)
    bins = np.arange(_bins(rules) // 2 + 1) * rules.rate / _bins(rules)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights: NDArray[Any] = np.clip(np.minimum(rising, falling), 0, None)
    return weights


def mel_edges(rules: Spectrogram) -> NDArray[Any]:
    """Return lower edge, centers and upper edge of the bands in Hz, (mels + 2,), at equal distances in mel."""
    import numpy as np

    low, high = (2595 * np.log10(1 + frequency / 700) for frequency in (rules.low, rules.high))
    edges: NDArray[Any] = 700 * (10 ** (np.linspace(low, high, rules.mels + 2) / 2595) - 1)
    return edges


def _bins(rules: Spectrogram) -> int:
    """Return the length of the Fourier transform: a power of two, with a bin in the narrowest band even of short frames."""
    edges = mel_edges(rules)
    narrowest = float(edges[1] - edges[0])
    bins = 1
    while bins < rules.frame or rules.rate / bins > narrowest:
        bins *= 2
    return bins


def _opened(data: bytes) -> Any:
    """Return the open file.

    Raises:
        UnreadableImage: it is damaged; MissingReader without soundfile.

    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError without the library that it wraps
        raise MissingReader("a recording", "audio") from error
    with _sound_errors():
        return soundfile.SoundFile(BytesIO(data))


@contextmanager
def _sound_errors() -> Iterator[None]:
    """Turn what libsndfile raises on a damaged file into a refusal."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        fix = "Open it in an audio program and save it again, as WAV or FLAC for instance."
        raise UnreadableImage("The recording is damaged or of a kind that is not read.", fix) from error
