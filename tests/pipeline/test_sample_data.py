"""The committed sample data is whole, small enough, licensed, and the clinic is what its script writes."""

import csv
import runpy
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"
EMOJI = SAMPLE_DATA / "emoji"
CLINIC = SAMPLE_DATA / "clinic"


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def file_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def patients() -> list[dict[str, str]]:
    return read_rows(CLINIC / "patients.csv")


@pytest.fixture(scope="module")
def emoji() -> list[dict[str, str]]:
    return read_rows(EMOJI / "emoji.csv")


@pytest.mark.slow
def test_clinic_is_what_its_script_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["make_clinic.py", str(tmp_path)])
    runpy.run_path(str(SAMPLE_DATA / "make_clinic.py"), run_name="__main__")
    assert read_rows(tmp_path / "patients.csv") == read_rows(CLINIC / "patients.csv")
    names = file_names(CLINIC / "scans")
    assert len(names) == 400
    assert file_names(tmp_path / "scans") == names
    different = [name for name in names if not same_image(tmp_path / "scans" / name, CLINIC / "scans" / name)]
    assert different == []


def same_image(first: Path, second: Path) -> bool:
    with Image.open(first) as one, Image.open(second) as other:
        return one.mode == other.mode and np.array_equal(np.asarray(one), np.asarray(other))


def test_clinic_header(patients: list[dict[str, str]]) -> None:
    header = ["scan_id", "scan", "age", "sex", "site", "smoker", "lesion_mm", "note", "patient", "diagnosis"]
    assert list(patients[0]) == header


def test_clinic_has_400_scans_of_150_patients(patients: list[dict[str, str]]) -> None:
    assert len(patients) == 400
    assert len({row["scan_id"] for row in patients}) == 400
    scans_per_patient = Counter(Counter(row["patient"] for row in patients).values())
    assert scans_per_patient == {1: 25, 2: 40, 3: 45, 4: 40}


def test_clinic_is_one_fifth_malignant(patients: list[dict[str, str]]) -> None:
    assert Counter(row["diagnosis"] for row in patients) == {"benign": 320, "malignant": 80}


def test_clinic_patients_keep_one_diagnosis_and_their_own_data(patients: list[dict[str, str]]) -> None:
    assert len({(row["patient"], row["diagnosis"], row["sex"], row["site"]) for row in patients}) == 150


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("sex", {"F", "M"}),
        ("site", {"Northgate", "St. Brigid", "Harbour", "Elm Park"}),
        ("smoker", {"never", "former", "current", ""}),
        ("diagnosis", {"benign", "malignant"}),
    ],
)
def test_clinic_categories(patients: list[dict[str, str]], column: str, values: set[str]) -> None:
    assert {row[column] for row in patients} == values


@pytest.mark.parametrize(("column", "empty"), [("age", 24), ("smoker", 15), ("note", 7), ("lesion_mm", 0)])
def test_clinic_holes(patients: list[dict[str, str]], column: str, empty: int) -> None:
    assert sum(row[column] == "" for row in patients) == empty


def test_clinic_notes_have_10_to_40_words(patients: list[dict[str, str]]) -> None:
    lengths = [len(row["note"].split()) for row in patients if row["note"]]
    assert len(lengths) > 380
    assert min(lengths) >= 10
    assert max(lengths) <= 40


def test_clinic_scans_are_grey_and_96_pixels_wide(patients: list[dict[str, str]]) -> None:
    kinds = Counter()
    for row in patients:
        with Image.open(CLINIC / "scans" / row["scan"]) as scan:
            kinds[scan.mode, scan.size] += 1
    assert kinds == {("L", (96, 96)): 400}


def test_emoji_header(emoji: list[dict[str, str]]) -> None:
    header = "picture,name,short_names,added_in,n_codepoints,has_skin_tones,has_text_form,category,split"
    assert ",".join(emoji[0]) == header


def test_every_emoji_image_is_named_and_no_other(emoji: list[dict[str, str]]) -> None:
    named = sorted(row["picture"] for row in emoji)
    assert len(named) == 1906
    assert named == file_names(EMOJI / "pictures")


def test_emoji_images_are_64_pixels_wide_with_alpha(emoji: list[dict[str, str]]) -> None:
    kinds = Counter()
    for row in emoji:
        with Image.open(EMOJI / "pictures" / row["picture"]) as image:
            kinds[image.mode, image.size] += 1
    assert kinds == {("RGBA", (64, 64)): 1842, ("LA", (64, 64)): 62, ("P", (64, 64)): 2}


def test_emoji_categories(emoji: list[dict[str, str]]) -> None:
    assert Counter(row["category"] for row in emoji) == {
        "Activities": 85,
        "Animals & Nature": 159,
        "Flags": 270,
        "Food & Drink": 131,
        "Objects": 264,
        "People & Body": 386,
        "Smileys & Emotion": 169,
        "Symbols": 224,
        "Travel & Places": 218,
    }


def test_emoji_split(emoji: list[dict[str, str]]) -> None:
    assert Counter(row["split"] for row in emoji) == {"train": 1524, "test": 382}


def test_sample_data_stays_under_8_megabytes() -> None:
    files = [path for path in SAMPLE_DATA.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) > 2300
    assert sum(path.stat().st_size for path in files) < 8_000_000


@pytest.mark.parametrize(
    ("name", "first_words"),
    [
        ("LICENSE-emoji-data-MIT.txt", "The MIT License (MIT) Copyright (c) 2013 Cal Henderson"),
        ("LICENSE-noto-emoji-Apache-2.0.txt", "Apache License Version 2.0, January 2004"),
        ("ATTRIBUTION.md", "# Where this data comes from"),
    ],
)
def test_emoji_licences_are_there(name: str, first_words: str) -> None:
    assert " ".join((EMOJI / name).read_text(encoding="utf-8").split()).startswith(first_words)
