"""Draw the synthetic clinic: 400 grey scans of 150 invented patients, their table and their notes.

    python sample_data/make_clinic.py [FOLDER]      writes FOLDER/patients.csv and FOLDER/scans/*.png

No patient, hospital or picture in it is real. Scan, table and note are three views of one diagnosis. Each adds its own
noise, so that each alone is worth something and the three together are worth clearly more (`benchmarks/clinic_signal.py`
measures how much). The diagnosis and all table values but `lesion_mm` belong to the patient: whoever lets one
patient stand on two sides of a split measures how well the model remembers patients.

Every random number comes from `random`, `integers` or `standard_normal` of a seeded PCG64, one stream per purpose, so
that changing how notes are written leaves every picture as it was.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float64]

SEED = 20
SIDE = 96  # pixels
GREY_STEP = 8  # pictures use every 8th grey level: 32 levels keep the files small

# How many patients have 1, 2, 3 and 4 scans. Both kinds keep the same proportions, so the number of scans tells nothing.
BENIGN_PATIENTS = (20, 32, 36, 32)
MALIGNANT_PATIENTS = (5, 8, 9, 8)

# Distance between the means of the two diagnoses, in standard deviations of the noise.
AGE_SEPARATION = 0.65
LESION_SEPARATION = 1.1
NOTE_SEPARATION = 1.4
IMAGE_SEPARATION = 1.3

SITES = ("Northgate", "St. Brigid", "Harbour", "Elm Park")
SITE_BRIGHTNESS = (0, 10, -12, 5)  # grey levels: every scanner has its own exposure
SMOKERS = ("never", "former", "current")
SMOKER_SHARES = {"benign": (0.55, 0.27, 0.18), "malignant": (0.30, 0.35, 0.35)}

HEADER = ("scan_id", "scan", "age", "sex", "site", "smoker", "lesion_mm", "note", "patient", "diagnosis")
AGE_HOLES, SMOKER_HOLES, EMPTY_NOTES = 0.07, 0.03, 0.02

OPENINGS = (
    "Seen in clinic together with the family.",
    "Referred by the general practitioner for imaging.",
    "Follow-up visit as agreed last time.",
    "Scan taken in the morning without contrast.",
    "Second opinion at the request of the patient.",
    "Walk-in appointment, short history taken.",
)
CLOSINGS = (
    "Images sent to the weekly conference.",
    "Letter to the practice has been dictated.",
    "Patient informed and agrees with the plan.",
    "Blood drawn, results by telephone next week.",
    "Next appointment is made by the front desk.",
    "Medication list was checked and is current.",
)
# Per topic: wordings that reassure, wordings that worry.
FINDINGS = (
    (
        ("Smooth margin on palpation.", "Outline is rounded and well circumscribed."),
        ("Irregular margin on palpation.", "Outline is ragged."),
    ),
    (
        ("Size stable since the last visit.", "Unchanged for over a year."),
        ("Growing since the last visit.", "Enlarged within three months."),
    ),
    (("Patient feels well.", "Noticed by chance, good appetite."), ("Reports weight loss and fatigue.", "Reports night sweats.")),
    (("Regional nodes soft and mobile.", "Nodes are not palpable."), ("One firm node nearby.", "Regional nodes hard and fixed.")),
)


def stream(purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([SEED, purpose]))


def view(malignant: npt.NDArray[np.bool_], separation: float, rng: np.random.Generator) -> Floats:
    """One noisy view of the diagnosis: standard normal among the benign, shifted by `separation` among the malignant.

    Each group takes the evenly spaced quantiles of a normal distribution in random order instead of independent draws,
    so that 30 patients already have the separation that was asked for.
    """
    seen = np.where(malignant, separation, 0.0)
    for group in (malignant, ~malignant):
        count = int(group.sum())
        quantiles = np.array([NormalDist().inv_cdf((rank + 0.5) / count) for rank in range(count)])
        seen[group] += quantiles[np.argsort(rng.random(count))]
    return seen


def pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def draw_patients() -> list[dict[str, str]]:
    """Patients in random order, each with diagnosis, number of scans and the table values that stay the same over the scans."""
    rng = stream(1)
    kinds = [
        (diagnosis, scans + 1)
        for diagnosis, patients_by_scans in (("benign", BENIGN_PATIENTS), ("malignant", MALIGNANT_PATIENTS))
        for scans, patients in enumerate(patients_by_scans)
        for _ in range(patients)
    ]
    kinds = [kinds[index] for index in np.argsort(rng.random(len(kinds)))]
    malignant = np.array([diagnosis == "malignant" for diagnosis, _ in kinds])
    ages = np.clip(np.rint(55 + 12 * view(malignant, AGE_SEPARATION, rng)), 19, 93)
    patients = []
    for number, ((diagnosis, scans), age) in enumerate(zip(kinds, ages, strict=True), start=1):
        smoker = int(np.searchsorted(np.cumsum(SMOKER_SHARES[diagnosis])[:2], rng.random()))
        patients.append(
            {
                "patient": f"P{number:03d}",
                "diagnosis": diagnosis,
                "scans": str(scans),
                "age": f"{age:.0f}",
                "sex": pick(("F", "M"), rng),
                "site": pick(SITES, rng),
                "smoker": SMOKERS[smoker],
            }
        )
    return patients


def draw_table() -> list[dict[str, str]]:
    """One row per scan, in the order in which the scans were taken, with everything but the notes and the pictures."""
    rng = stream(2)
    rows = [dict(patient) for patient in draw_patients() for _ in range(int(patient["scans"]))]
    rows = [rows[index] for index in np.argsort(rng.random(len(rows)))]
    lesions = np.exp(2.5 + 0.4 * view(is_malignant(rows), LESION_SEPARATION, rng))
    for number, (row, lesion) in enumerate(zip(rows, lesions, strict=True), start=1):
        age_is_missing, smoker_is_missing = rng.random(2) < (AGE_HOLES, SMOKER_HOLES)
        row.update(scan_id=f"S{number:04d}", scan=f"s{number:04d}.png", lesion_mm=f"{lesion:.1f}")
        if age_is_missing:
            row["age"] = ""
        if smoker_is_missing:
            row["smoker"] = ""
    return rows


def is_malignant(rows: Sequence[dict[str, str]]) -> npt.NDArray[np.bool_]:
    return np.array([row["diagnosis"] == "malignant" for row in rows])


def write_note(worry: float, rng: np.random.Generator) -> str:
    """A note of 10 to 40 words; `worry` (about -2 to 4) sets how many of its findings are the worrying ones."""
    mentioned = int(rng.integers(3, len(FINDINGS) + 1))
    topics = np.argsort(rng.random(len(FINDINGS)))[:mentioned]
    worrying = int(np.clip(np.rint(mentioned * (0.2 + 0.25 * worry)), 0, mentioned))
    sentences = [pick(FINDINGS[topic][int(place < worrying)], rng) for place, topic in enumerate(topics)]
    sentences = [sentences[index] for index in np.argsort(rng.random(mentioned))]
    closing = [pick(CLOSINGS, rng)] if rng.random() < 0.6 else []
    return " ".join([pick(OPENINGS, rng), *sentences, *closing])


def draw_notes(malignant: npt.NDArray[np.bool_]) -> list[str]:
    rng = stream(3)
    worries = view(malignant, NOTE_SEPARATION, rng)
    return ["" if rng.random() < EMPTY_NOTES else write_note(worry, rng) for worry in worries]


def smooth_noise(cell: int, rng: np.random.Generator) -> Floats:
    """Noise of about unit variance and SIDE x SIDE pixels, interpolated linearly between random values `cell` pixels apart."""
    knots = SIDE // cell + 2
    place = (np.arange(SIDE) + rng.random()) / cell
    weights = np.clip(1 - np.abs(place[:, None] - np.arange(knots)[None, :]), 0, 1)  # (SIDE, knots)
    noise: Floats = 1.5 * weights @ rng.standard_normal((knots, knots)) @ weights.T
    return noise


def lesion_mask(spikes: float, rng: np.random.Generator) -> Floats:
    """1 inside the lesion, 0 outside, a soft edge of about 3 pixels; `spikes` is the height of its spikes in parts of the radius.

    The drawn size is free of `lesion_mm` and of the diagnosis: scans are cropped to the lesion, only the table knows millimetres.
    """
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] - SIDE / 2
    down, right = rows - 12 * (rng.random() - 0.5), columns - 12 * (rng.random() - 0.5)
    angle = np.arctan2(down, right)
    outline = np.ones((SIDE, SIDE))
    for waves in (2, 3):
        outline += 0.12 * (rng.random() - 0.5) * np.sin(waves * angle + 6.283 * rng.random())
    outline += spikes * np.sin(int(rng.integers(11, 16)) * angle + 6.283 * rng.random())
    radius = 20 + 8 * rng.random()
    mask: Floats = np.clip(0.5 + (radius * outline - np.hypot(down, right)) / 3, 0, 1)
    return mask


def draw_scan(suspicion: float, brightness: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One scan, (SIDE, SIDE); `suspicion` (about -3 to 4) makes the grain inside the lesion stronger and its border spiky."""
    strength = float(np.clip(0.35 + 0.2 * suspicion, 0, 1.2))
    lesion = lesion_mask(0.12 * strength, rng)
    tissue = 90 + brightness + 12 * smooth_noise(48, rng)
    body = 45 + 20 * rng.random() + (4 + 30 * strength) * smooth_noise(4, rng)
    levels: Floats = np.rint((tissue + lesion * body) / GREY_STEP)
    return np.clip(levels * GREY_STEP, 0, 255).astype(np.uint8)


def draw_scans(rows: Sequence[dict[str, str]]) -> list[npt.NDArray[np.uint8]]:
    rng = stream(4)
    suspicions = view(is_malignant(rows), IMAGE_SEPARATION, rng)
    exposures = dict(zip(SITES, SITE_BRIGHTNESS, strict=True))
    return [draw_scan(suspicion, exposures[row["site"]], rng) for row, suspicion in zip(rows, suspicions, strict=True)]


def write_clinic(folder: Path) -> None:
    """Write `patients.csv` and `scans/`; files of the same names are replaced."""
    rows = draw_table()
    for row, note in zip(rows, draw_notes(is_malignant(rows)), strict=True):
        row["note"] = note
    (folder / "scans").mkdir(parents=True, exist_ok=True)
    with (folder / "patients.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADER, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row, scan in zip(rows, draw_scans(rows), strict=True):
        Image.fromarray(scan).save(folder / "scans" / row["scan"], optimize=True)


if __name__ == "__main__":
    write_clinic(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "clinic")
