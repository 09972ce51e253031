"""Recordings as log-mel spectrograms: rates, parts that are read, bands with literal frequencies, and what is refused."""

import io
import sys
from dataclasses import replace

import numpy as np
import pytest

from mmtrain.image_decoding import Layout, UnreadableImage, inspect, read
from mmtrain.image_decoding.decoded_image import MissingReader, Spectrogram
from mmtrain.image_decoding.formats import sound
from mmtrain.image_decoding.formats.resampling import margin, resample

soundfile = pytest.importorskip("soundfile")

RULES = Spectrogram(rate=16_000, seconds=0.5, mels=32)


def layout(rules=RULES, bits=8):
    return Layout((rules.mels, rules.frames), 1, bits, spectrogram=rules)


def recording(samples, rate=16_000, kind="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def tone(frequency, *, rate=16_000, seconds=0.5, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def test_bands_lie_at_equal_distances_in_mel():
    """mel = 2595 log10(1 + f / 700) (O'Shaughnessy 1987): 8000 Hz are 2840.02 mel, of which each step here is a fifth."""
    edges = sound.mel_edges(replace(RULES, mels=4, low=0.0, high=8000.0))
    assert edges.round(2).tolist() == [0.0, 458.73, 1218.08, 2475.05, 4555.75, 8000.0]
    filters = sound.mel_filters(replace(RULES, mels=4, low=0.0, high=8000.0))
    bins = np.arange(filters.shape[1]) * 8000 / (filters.shape[1] - 1)
    at_1500 = filters[:, np.argmin(np.abs(bins - 1500))]
    assert at_1500.round(4).tolist() == [0.0, 0.7757, 0.2243, 0.0]  # (2475.05 - 1500) / (2475.05 - 1218.08), and what is left of 1


def test_no_band_is_without_a_bin():
    for rules in (replace(RULES, mels=256), replace(RULES, window=5.0, mels=128), replace(RULES, low=50.0, high=400.0)):
        assert (sound.mel_filters(rules).max(axis=1) > 0).all()


@pytest.mark.parametrize("rate", [16_000, 8_000, 44_100])
def test_a_tone_is_brightest_in_its_own_band_whatever_the_rate_of_its_file(rate):
    pixels = read(recording(tone(1000, rate=rate), rate), layout())
    edges = sound.mel_edges(RULES)
    band = int(np.argmin(np.abs(edges[1:-1] - 1000)))
    assert pixels.shape == (32, RULES.frames, 1) and RULES.frames == 48
    assert set(pixels[..., 0].argmax(axis=0)[2:-2].tolist()) == {31 - band}  # the lowest band is the last row
    assert pixels[31 - band, 24, 0] == 255


def test_brightness_is_decibels_below_the_peak_or_below_full_amplitude():
    for amplitude, reference, expected in ((0.1, "full", 0.75), (1.0, "full", 1.0), (0.1, "peak", 1.0)):
        levels = sound.brightness(tone(1000, amplitude=amplitude), replace(RULES, reference=reference, mels=8, low=500.0, high=1500.0))
        assert levels.max() == pytest.approx(expected, abs=0.03)  # 20 of 80 dB; the bin of the tone is not at the peak of its band
    assert not sound.brightness(np.zeros(8000), RULES).any()  # silence is dark, and not its own peak


def test_another_rate_keeps_what_both_can_represent():
    for source, target in ((44_100, 16_000), (8_000, 16_000), (16_000, 16_000), (22_050, 16_001)):
        around, count = margin(source, target), target // 4
        moments = (np.arange(source // 4 + 2 * around + 2) - around) / source
        low = resample(np.sin(2 * np.pi * 440 * moments), source, target, count)
        assert np.abs(low - np.sin(2 * np.pi * 440 * np.arange(count) / target)).max() < 1e-3
        if source > 2 * 10_000 > target:
            assert np.abs(resample(np.sin(2 * np.pi * 10_000 * moments), source, target, count)).max() < 1e-4


@pytest.mark.parametrize(("keep", "first"), [("start", 0), ("middle", 4000), ("end", 8000)])
def test_the_part_that_is_kept_and_the_silence_around_short_ones(keep, first):
    ramp = np.arange(16_000) / 32_768
    rules = replace(RULES, keep=keep)
    assert np.array_equal(sound.excerpt(recording(ramp), rules), ramp[first : first + 8000])
    short = sound.excerpt(recording(ramp[1:4001]), rules)
    silent = {"start": (0, 4000), "middle": (2000, 2000), "end": (4000, 0)}[keep]
    assert np.array_equal(short, np.pad(ramp[1:4001], silent))


def test_channels_are_averaged_and_formats_read_alike():
    left = tone(800)
    one = read(recording(left), layout())
    assert np.array_equal(read(recording(np.stack([left, left], axis=1)), layout()), one)
    assert np.array_equal(read(recording(left, kind="FLAC"), layout()), one)
    assert np.array_equal(read(recording(left, kind="WAVEX"), layout()), one)
    for kind in ("OGG", "MP3"):  # lossy: their noise is far below the tone
        lossy = read(recording(np.tile(left, 4), kind=kind), layout())
        assert lossy[..., 0].argmax(axis=0)[10] == one[..., 0].argmax(axis=0)[10]
    assert read(recording(left), layout(bits=16)).max() == 65_535
    assert [inspect(recording(left, kind=kind)).format for kind in ("WAV", "WAVEX", "FLAC", "OGG", "MP3")] == [
        "WAV",
        "WAV",
        "FLAC",
        "OGG",
        "MP3",
    ]


def test_what_is_no_recording_and_what_is_no_image_is_refused():
    from PIL import Image

    png = io.BytesIO()
    Image.new("L", (4, 4)).save(png, "PNG")
    with pytest.raises(UnreadableImage, match="The file is a PNG image, not a recording"):
        read(png.getvalue(), layout())
    for words in ("a WAV", "a FLAC", "an OGG", "an MP3"):
        with pytest.raises(UnreadableImage, match=f"The file is {words} recording, not an image") as refusal:
            read(recording(tone(500, seconds=1.0), kind=words.split()[1]), Layout((4, 4), 1))
        assert refusal.value.fix == "Give its column the role `audio`."
    for damaged in (b"fLaC" + bytes(40), b"RIFF\x24\0\0\0WAVEfmt ", recording(tone(500), kind="FLAC")[:50]):
        with pytest.raises(UnreadableImage, match="The recording is damaged or of a kind that is not read"):
            read(damaged, layout())


NO_SOUND = "Name a WAV, FLAC, Ogg or MP3 file."
CONVERT = "Convert its sound to WAV or FLAC."
AGAIN = "Open it in an audio program and save it again, as WAV or FLAC for instance."


@pytest.mark.parametrize(
    ("name", "data", "what", "fix"),
    [
        (
            "a.wav",
            b"RIFF garbage",
            "The file does not begin like a recording, as its name says; it is damaged or of another format.",
            AGAIN,
        ),
        ("a.m4a", b"\0\0\0 ftypM4A 123", "The file is an M4A recording, a format that is not read.", CONVERT),
        ("a.mp4", b"\0\0\0 ftypisom123", "The file is a video, a format that is not read.", CONVERT),
        ("a.txt", b"hello", "The file is not a recording.", NO_SOUND),
        ("a.wav", b"", "The file is empty.", "Replace it with a whole recording."),
    ],
)
def test_a_file_that_is_neither_recording_nor_image_has_a_way_out_for_recordings(tmp_path, name, data, what, fix):
    """Its column has the role `audio` already, and no image program opens it."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnreadableImage) as refusal:
        read(tmp_path / name, layout())
    assert (str(refusal.value), refusal.value.fix) == (what, fix)


def test_a_recording_without_a_sample_is_missing_and_not_silent():
    with pytest.raises(UnreadableImage, match="The recording has no samples"):
        read(recording(np.zeros(0)), layout())


def test_without_its_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingReader) as refusal:
        read(b"fLaC" + bytes(40), layout())
    assert (str(refusal.value), refusal.value.fix) == (
        "The file is a recording, and the packages that read it are not installed.",
        "Run `pip install 'mmtrain[audio]'`.",
    )
