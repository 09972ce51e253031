"""`mmtrain init`: guessed roles, the file they are written into, and that this file can be used as it is."""

import csv
import json
import math
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from mmtrain import config
from mmtrain.audit.coded_table import CodedTable
from mmtrain.audit.profiling import infer_target
from mmtrain.audit.profiling.guess_roles import infer_role
from mmtrain.audit.profiling.profile import profile_columns
from mmtrain.audit.profiling.table_profile import profile_table
from mmtrain.cli.app import run
from mmtrain.columns.base import Evidence, role_class, roles
from mmtrain.commands.check import check
from mmtrain.commands.init import init
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.errors import ConfigError, DataError
from mmtrain.pipeline.proposals.recipes import recipe_for
from mmtrain.pipeline.proposals.starter_config import quoted, starter_text
from mmtrain.text.dates import days

SAMPLES = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))


def write(folder, columns, name="t.csv"):
    """A CSV of columns given as lists of cells."""
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns.keys(), *zip(*columns.values(), strict=True)])
    return path


def profile_of(folder, header, cells):
    path = write(folder, {header: cells, "filler": ["x"] * len(cells)})
    return profile_columns(CodedTable(open_table(path)), [header])[header]


N = 60
WORDS = ["red", "green", "blue"]
CALLED = "the parts of a split have to be called train, validation and test in every row"
GUESSES = [
    ("empty", "x", [""] * N, "categorical", False, "every cell is empty"),
    ("constant", "x", ["a"] * N, "categorical", False, "every cell is 'a'"),
    ("constant with holes", "x", ["a", ""] * 30, "categorical", False, "every cell that is not empty is 'a'"),
    ("images", "scan", [f"p/{i:02}.PNG" for i in range(N)], "image", True, "cells end like names of image files, as 'p/00.PNG'"),
    (
        "addresses of images",
        "x",
        [f"https://a.org/{i:02}.jpg" for i in range(N)],
        "image",
        False,
        "cells are addresses, as 'https://a.org/00.jpg': set `data.images` to their beginning, or `data.allow_outside: true`",
    ),
    (
        "addresses below a header that says so",
        "image_url",
        [f"s3://bucket/{i:02}?size=1" for i in range(N)],
        "image",
        False,
        "cells are addresses, as 's3://bucket/00?size=1': set `data.images` to their beginning, or `data.allow_outside: true`",
    ),
    (
        "images in base64",
        "x",
        [f"iVBORw0KGgo{i:02}" + "A" * 300 for i in range(N)],
        "image",
        False,
        "cells hold images themselves, as 'iVBORw0KGgo00AAAAAAAAAAAAAAAAAAAAAAAAAA…': save each as a file, and write its path",
    ),
    (
        "data URIs",
        "x",
        [f"data:image/png;base64,iVBORw0KGgo{i:02}" for i in range(N)],
        "image",
        True,
        "cells hold images themselves, as data URIs (image/png)",
    ),
    (
        "several images",
        "x",
        [f"{i:02}.jpg" + f";{i:02}b.jpg" * (i % 3 > 0) for i in range(N)],
        "images",
        True,
        "cells list several images, as '01.jpg;01b.jpg'",
    ),
    (
        "lists of images",
        "x",
        [f"['{i:02}.jpg', '{i:02}b.jpg']" for i in range(N)],
        "images",
        True,
        "cells list several images, as \"['00.jpg', '00b.jpg']\"",
    ),
    (
        "images of another format",
        "x",
        [f"{i:02}.jp2" for i in range(N)],
        "image",
        False,
        "cells end like names of files that are not read, as '00.jp2', a JPEG 2000 image: convert it to JPEG, PNG, BMP, GIF or WEBP",
    ),
    (
        "volumes",
        "x",
        [f"{i:02}.nrrd" for i in range(N)],
        "image",
        False,
        "cells end like names of files that are not read, as '00.nrrd', an NRRD volume: "
        "save the slices that matter as PNG, each in an image column of its own",
    ),
    ("scans", "x", [f"{i:02}.dcm" for i in range(N)], "image", True, "cells end like names of image files, as '00.dcm'"),
    ("recordings", "x", [f"{i:02}.wav" for i in range(N)], "audio", True, "cells end like names of recordings, as '00.wav'"),
    ("NIfTI", "x", [f"{i:02}.nii.gz" for i in range(N)], "volume", True, "cells end like names of NIfTI volumes, as '00.nii.gz'"),
    ("split", "part", ["train", "test"] * 30, "split", True, "the values are test and train"),
    (
        "split with other names",
        "part",
        ["tr", "VAL", "tr ", "Test"] * 15,
        "split",
        True,
        "the values are Test, VAL and tr: 'tr' is taken for train, 'VAL' is taken for validation and 'Test' is taken for test",
    ),
    (
        "split in doubt",
        "part",
        ["train", "val", "dev"] * 20,
        "split",
        False,
        "the parts of a split have to be called train, validation and test in every row; 'dev' is one of several names of the validation "
        "part in this column: 'dev' and 'val'",
    ),
    *[
        (
            f"{header} of {values}",
            header,
            [values[i // 2 % len(values)] for i in range(N)],
            role,
            used,
            reason,
        )
        for header, values, role, used, reason in (
            ("split", ["train", "test", "unlabeled"], "split", False, f"{CALLED}; 'unlabeled' is not one of them"),
            ("cohort", ["train", "train_dev", "test"], "split", False, f"{CALLED}; 'train_dev' is not one of them"),
            ("split", ["test", "test", "validation"], "split", False, f"{CALLED}; no row is called train"),
            ("split", ["1", "0", "1"], "split", False, "'1' and '0' say yes or no, not which part a row belongs to"),
            ("is_train", ["yes", "no", "yes"], "split", False, "'yes' and 'no' say yes or no, not which part a row belongs to"),
            (
                "cohort",
                ["derivation", "validation"],
                "split",
                True,
                "the values are derivation and validation: 'derivation' is taken for train",
            ),
            ("vehicle", ["train", "bus", "car"], "categorical", True, "3 different values, 'bus', 'car' and 'train'"),
            ("training", ["1", "0", "1"], "categorical", True, "two values, '1' and '0'"),
            ("test_result", ["pass", "fail", "pass"], "categorical", True, "two values, 'pass' and 'fail'"),
        )
    ],
    *[
        (
            f"numbers such as {cell}",
            "share",
            [cell.format(i) for i in range(N)],
            "numeric",
            False,
            f"numbers with '{unit}', as '{cell.format(0)}': write them without it, and the unit into the header",
        )
        for cell, unit in (("${}.50", "$"), ("{}.5%", "%"), ("{} mg", "mg"), ("{}mm", "mm"), ("1,2{} EUR", "EUR"))
    ],
    ("ids with a letter behind", "x", [f"{i}a" for i in range(N)], "id", True, "every cell is a different word, as '0a'"),
    (
        "a number with many odd cells",
        "crp",
        [f"{i * 1.37:.2f}" if i % 5 else "<0.5" for i in range(N)],
        "numeric",
        False,
        "numbers, but 12 cells are not, as '<0.5'",
    ),
    *[
        (
            f"folds {cells}",
            header,
            [cells.format(i % 10) for i in range(N)],
            "split",
            False,
            "looks like fold numbers; with this role and `split: {method: column}`, they are used for cross-validation",
        )
        for header, cells in (("fold", "{}"), ("cv_fold", "{}.0"), ("part", "Fold_{}"))
    ],
    (
        "split with holes",
        "part",
        ["train", "test", ""] * 20,
        "split",
        False,
        "the parts of a split have to be called train, validation and test in every row; some of its 60 cells are empty",
    ),
    (
        "dates",
        "seen",
        [f"2024-01-{1 + i % 28:02}" for i in range(N)],
        "date",
        True,
        "dates such as '2024-01-01'; to order rows in time, add a column of `role: time`",
    ),
    (
        "dates with names of months",
        "seen",
        [f"Jan {1 + i % 28:02}, 2021" for i in range(N)],
        "date",
        True,
        "dates such as 'Jan 01, 2021'; to order rows in time, add a column of `role: time`",
    ),
    (
        "dates that may have the month first",
        "seen",
        [f"{1 + i % 12:02}/{1 + i % 5:02}/2024" for i in range(N)],
        "date",
        False,
        "dates such as '01/01/2024'; check `format`: no frequent cell shows whether day or month comes first",
    ),
    ("vectors", "face", [f"[{i}.5, {i % 7}, -1e-3]" for i in range(N)], "embedding", True, "vectors of 3 numbers"),
    ("series", "pulse", [f"[{', '.join(['7.5'] * (1 + i % 4))}]" for i in range(N)], "sequence", True, "lists of 1 to 4 numbers"),
    ("id by name", "sample_id", range(100, 160), "id", True, "every cell is different and the name says id"),
    ("running number", "row", range(N), "id", True, "a running number"),
    ("codes", "code", [f"S{i:03}" for i in range(N)], "id", True, "every cell is a different word, as 'S000'"),
    (
        "group",
        "patientID",
        [f"P{i // 3}" for i in range(N)],
        "group",
        True,
        "the name says whom a row belongs to: 20 in 60 rows, never torn apart by the split",
    ),
    (
        "id that repeats",
        "item id",
        [i // 3 for i in range(N)],
        "group",
        True,
        "the name says id, and ids repeat: 20 in 60 rows, never torn apart by the split",
    ),
    ("age of a patient", "patient_age", [20 + i // 3 for i in range(N)], "numeric", True, "numbers from 20 to 39"),
    ("few of a group", "user", ["a", "b", "c"] * 20, "categorical", True, "3 different values, 'a', 'b' and 'c'"),
    (
        "whole numbers, few",
        "stars",
        [i % 5 for i in range(N)],
        "categorical",
        True,
        "only 5 different whole numbers, like codes; numeric if their size says something",
    ),
    ("0 and 1", "flag", ["0", "1"] * 30, "categorical", True, "two values, '0' and '1'"),
    ("decimals, few", "dose", ["0.5", "1.5"] * 30, "numeric", True, "numbers from 0.5 to 1.5"),
    ("numbers", "size", [f"{i * 0.5 - 3}" for i in range(N)], "numeric", True, "numbers from -3 to 26.5"),
    (
        "numbers and NA",
        "size",
        [*range(10, 67), "NA", "NA", "?"],
        "numeric",
        True,
        "numbers from 10 to 66; 'NA' and '?' mean missing",
    ),
    ("numbers and a word", "size", [*range(10, 69), "big"], "numeric", False, "numbers, but 1 cell is not, as 'big'"),
    ("yes and no", "smokes", ["yes", "no"] * 30, "categorical", True, "two values, 'no' and 'yes'"),
    ("names", "colour", WORDS * 20, "categorical", True, "3 different values, 'blue', 'green' and 'red'"),
    ("texts", "note", [f"patient {i} feels well" for i in range(N)], "text", True, f"{N} texts, all different, of up to 4 words"),
    (
        "words nearly all different",
        "surname",
        [f"N{i % 40}" for i in range(N)],
        "categorical",
        False,
        "40 different words in 60 rows, as 'N0': nothing to learn from",
    ),
    (
        "many names that repeat",
        "town",
        [f"T{'abcdefghij'[i % 10]}{'abcdefghijk'[i % 11]}" for i in range(330)],
        "categorical",
        True,
        "110 different values that repeat, such as 'Taa', 'Tab' and 'Tac'",
    ),
    (
        "ids of letters and digits that repeat",
        "case",
        [f"C{i // 3:05}" for i in range(N)],
        "group",
        True,
        "ids such as 'C00000' repeat: 20 in 60 rows, never torn apart by the split",
    ),
    (
        "few codes of letters and digits",
        "model",
        [f"XR{100 + i % 10}" for i in range(600)],
        "categorical",
        True,
        "10 different values, such as 'XR100', 'XR101' and 'XR102'",
    ),
    (
        "codes by name",
        "zip_code",
        [10000 + 7 * (i % 20) for i in range(N)],
        "categorical",
        True,
        "20 different whole numbers, such as '10000', '10007' and '10014': the name says code, so they are names",
    ),
    (
        "codes with leading zeros",
        "provider",
        [f"{3000 + i % 20:06}" for i in range(N)],
        "categorical",
        True,
        "20 different whole numbers, such as '003000', '003001' and '003002': some begin with 0, so they are names",
    ),
]


@pytest.fixture(scope="module")
def profile_of_case(tmp_path_factory):
    """The profile of the column of a case, made once."""
    return cache(lambda number: profile_of(tmp_path_factory.mktemp("case"), GUESSES[number][1], list(GUESSES[number][2])))


@pytest.mark.parametrize("number", range(len(GUESSES)), ids=[case[0] for case in GUESSES])
def test_guess_of_a_column(profile_of_case, number):
    found = infer_role(profile_of_case(number))
    assert (found.role, found.used, found.reason) == GUESSES[number][3:]


def test_every_role_that_guesses_and_all_evidence_have_a_case(profile_of_case):
    """Every return of every `guess` decides a case: by role, evidence, and whether the column is used."""
    guesses = [infer_role(profile_of_case(number)) for number in range(len(GUESSES))]
    assert {guess.role for guess in guesses} == {name for name in roles if "guess" in vars(role_class(name))}
    assert {(guess.role, Evidence(guess.evidence).name, guess.used) for guess in guesses} == {
        ("categorical", "ANYTHING", True),
        ("categorical", "ANYTHING", False),
        ("categorical", "FEW_VALUES", True),
        ("categorical", "FEW_NUMBERS", True),
        ("categorical", "CODES", True),
        ("group", "REPEATED_IDS", True),
        ("text", "SENTENCES", True),
        ("numeric", "NUMBERS", True),
        ("numeric", "NUMBERS", False),
        ("numeric", "UNITS", False),
        ("group", "HEADER", True),
        ("id", "UNIQUE", True),
        ("date", "DATES", True),
        ("sequence", "LISTS", True),
        ("embedding", "LISTS", True),
        ("date", "DATES", False),
        ("split", "SPLIT_WORDS", True),
        ("split", "SPLIT_WORDS", False),
        ("image", "FILES", True),
        ("images", "FILE_LISTS", True),
        ("image", "FILES", False),
        ("volume", "FILES", True),
        ("audio", "RECORDINGS", True),
    }
    assert len({guess.reason for guess in guesses}) > 17


ANGLE = '''
from typing import Literal

from mmtrain.columns import InputColumn, role
from mmtrain.columns.base import Evidence, Guess


@role("angle")
class Angle(InputColumn):
    """A direction in degrees."""

    role: Literal["angle"] = "angle"
    full_turn: float = 360.0

    @property
    def kind(self):
        return "vector"

    def fit(self, cells):
        raise AssertionError("init must not fit anything")

    @classmethod
    def guess(cls, profile):
        if not profile.all_numbers or profile.numbers.minimum < 0 or not profile.header.endswith("_deg"):
            return None
        reason = f"degrees up to {profile.numbers.maximum:g}"
        return Guess(role="angle", reason=reason, options={"full_turn": 360.0}, evidence=Evidence.FEW_NUMBERS + 1)
'''


def test_a_role_of_a_user_guesses_its_columns(tmp_path, monkeypatch, capsys):
    """Its guess is stronger than that of `numeric`, and of the few whole numbers that are `categorical`; `mast` is not its own."""
    columns = {"wind_deg": [number * 6.1 for number in range(59)] + [0], "tilt_deg": [0, 90] * 30, "mast": range(60), "y": ["a", "b"] * 30}
    write(tmp_path, columns)
    (tmp_path / "own.py").write_text(ANGLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    try:
        assert run(["init", "t.csv", "--target", "y", "--code", "own.py"]) == 0
        assert "mmtrain check t.yaml --code own.py mmtrain fit t.yaml --code own.py" in " ".join(capsys.readouterr().err.split())
        assert "{role: angle, full_turn: 360.0}" in (tmp_path / "t.yaml").read_text()
        assert [type(one).__name__ for one in config.load(tmp_path / "t.yaml").columns.values()] == ["Angle", "Angle", "Id", "BinaryTarget"]
        assert run(["inspect-data", "t.csv", "--code", "own.py", "--json"]) == 0
        guesses = [one["guess"] for one in json.loads(capsys.readouterr().out)["columns"]]
        assert [one["role"] for one in guesses][:2] == ["angle", "angle"]
        assert guesses[0] == {
            "role": "angle",
            "reason": "degrees up to 353.8",
            "options": {"full_turn": 360.0},
            "used": True,
            "missing_words": [],
        }
    finally:
        roles.remove("angle")
    assert infer_role(profile_of(tmp_path, "wind_deg", columns["wind_deg"])).role == "numeric"


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "2024-03-31",
            "31.3.2024",
            "3/31/24",
            "20240331",
            "31-Mar-2024",
            "Jan 05, 2021",
            "January 5th 2021",
            "5 January, 2021",
            "05JAN2021",
        ),
        *("Tue, 05 Jan 2021 10:00:00 GMT", "Tue Jan 05 10:30:00 +0000 2021", "2021-01-05T10:00:00.1+01:00", "2021-01", "Jan 2021"),
        *("2021年1月5日", "2021年01月05日(火) 10:30", "2021年 1月 5日", "2021年1月", "2021년 1월 5일", "2021. 1. 5."),
    ],
)
def test_what_is_a_date_to_init_is_one_to_inspect_data(tmp_path, cell):
    assert profile_of(tmp_path, "seen", [cell, cell]).dates == 2
    assert days(pd.Series([cell, "x"], dtype="str")).tolist()[0] > 18000


@pytest.mark.parametrize(
    "cell", ["12 apples 2021", "May 5", "1.2.3.4", "10:30", "DEC-1234", "2021", "1-2", "2021年", "1月5日", "2021年1月5日号外"]
)
def test_what_only_looks_like_a_date_is_none(tmp_path, cell):
    assert profile_of(tmp_path, "seen", [cell, cell]).dates == 0


def test_words_for_missing_numbers_are_kept(tmp_path):
    assert infer_role(profile_of(tmp_path, "size", [*range(10, 67), "NA", "NA", "?"])).missing_words == ("NA", "?")


TASKS = [
    ("yes and no", ["yes", "no", "no"] * 20, {"task": "binary", "positive": "yes"}),
    ("0 and 1", ["0", "1"] * 30, {"task": "binary", "positive": "1"}),
    ("benign", ["benign", "malignant"] * 30, {"task": "binary", "positive": "malignant"}),
    ("two classes alike", ["cat", "dog"] * 30, {"task": "binary", "positive": "dog"}),
    ("the rarer one", ["cat", "dog", "dog"] * 20, {"task": "binary", "positive": "cat"}),
    ("holes", ["cat", "dog", ""] * 20, {"task": "binary", "positive": "dog", "missing": "drop"}),
    ("classes", WORDS * 20, {"task": "multiclass"}),
    ("whole numbers, few", [i % 5 for i in range(N)], {"task": "multiclass"}),
    ("whole numbers, many", range(N), {"task": "regression"}),
    ("decimals", ["0.5", "1.5", "2"] * 20, {"task": "regression"}),
    ("labels", ["a;b", "b", "", "c;a"] * 15, {"task": "multilabel", "separator": ";"}),
    ("labels with bars", ["a|b", "b", "a", "c|a"] * 15, {"task": "multilabel", "separator": "|"}),
    ("texts", [f"text number {i}" for i in range(N)], None),
    ("constant", ["a"] * N, None),
]


@pytest.mark.parametrize(("cells", "options"), [case[1:] for case in TASKS], ids=[case[0] for case in TASKS])
def test_task_of_a_target(tmp_path, cells, options):
    found = infer_target.infer_task(profile_of(tmp_path, "y", list(cells)))
    assert (None if found is None else dict(found.options)) == options


@pytest.mark.parametrize(
    ("headers", "chosen", "why"),
    [
        (["label", "other"], "label", "the name says label"),
        (["category", "Diagnosis", "z"], "Diagnosis", "the name says diagnosis"),
        (["Class Name", "z"], "Class Name", "the name says class"),
        (["b", "z"], "z", "the last column with at most 20 different values"),
    ],
)
def test_target_is_chosen_by_its_name_and_else_by_its_values(tmp_path, headers, chosen, why):
    path = write(
        tmp_path,
        {header: WORDS[: 2 + number % 2] * 6 if number % 2 == 0 else ["a", "b", "c", "d"] * 3 for number, header in enumerate(headers)},
    )
    found = profile_table(path)
    assert found.target == chosen
    assert next(column for column in found.columns if column.header == chosen).guess.reason.startswith(f"{why}; ")


def table(**more):
    """Sixty rows with an answer, an age and whatever else is asked for."""
    ages = {"age": [f"{20 + i * 7 % 59 + 0.5}" for i in range(N)]}
    return {**ages, **more, "label": [WORDS[i * i % 7 % 3] for i in range(N)]}


def guessed_roles(found):
    return {column.header: column.guess.role if column.guess.used else "-" for column in found.columns}


def test_a_column_that_gives_the_answer_away_is_left_out(tmp_path):
    answers = table()["label"]
    other_words = [{"red": "r", "green": "g", "blue": "b"}[answer] for answer in answers]
    finer = [f"{answer}{i % 2}" for i, answer in enumerate(answers)]
    found = profile_table(write(tmp_path, table(code=other_words, finer=finer, apart=["u", "v"] * 30)))
    assert guessed_roles(found) == {"age": "numeric", "code": "-", "finer": "-", "apart": "categorical", "label": "target"}
    assert found.columns[1].guess.reason == "says the same as the target 'label' in other words; it would give the answer away"
    assert found.columns[2].guess.reason == "each value goes with one value of the target 'label' only; does it give the answer away?"


def test_only_one_column_is_the_group_and_only_one_the_id(tmp_path):
    groups = {"item_id": [i // 4 for i in range(N)], "patient": [f"P{i // 3}" for i in range(N)]}
    ids = {"code": [f"c{i}" for i in range(N)], "scan_id": [f"s{i}" for i in range(N)]}
    found = profile_table(write(tmp_path, table(**groups, **ids)))
    assert guessed_roles(found) == {"age": "numeric", "item_id": "-", "patient": "group", "code": "-", "scan_id": "id", "label": "target"}
    assert found.columns[1].guess.reason.endswith("; rows are grouped by 'patient'")
    assert found.columns[3].guess.reason == "every cell is a different word, as 'c0'; the id is 'scan_id'"


@pytest.mark.parametrize(
    ("part", "role"),
    [
        (lambda i: "test" if i < 15 else "train", "group"),
        (lambda i: "test" if i < 15 else ("train", "Train ", "TRAINING")[i % 3], "group"),
        (lambda i: "train" if i % 2 else "test", "-"),
    ],
)
def test_a_given_split_comes_before_a_guessed_group(tmp_path, part, role):
    found = profile_table(write(tmp_path, table(patient=[f"P{i // 3}" for i in range(N)], part=[part(i) for i in range(N)])))
    assert guessed_roles(found)["part"] == "split"
    assert guessed_roles(found)["patient"] == role
    if role == "-":
        (reason,) = [column.guess.reason for column in found.columns if column.header == "patient"]
        assert reason.endswith("; but the split of 'part' separates its rows, and a split that is given comes first")


PRICE = [round(1000 * 1.07**i, 2) for i in range(N)]


@pytest.mark.parametrize(
    ("numbers", "way"),
    [
        ([round(math.log(price), 4) for price in PRICE], "rises"),
        ([-round(price, -1) for price in PRICE], "falls"),
        ([price if i != 30 else 0 for i, price in enumerate(PRICE)], ""),
        ([i // 4 for i in range(N)], ""),  # 15 steps may rise by chance
    ],
)
def test_monotone_copies_of_a_number_to_be_predicted_are_left_out(tmp_path, numbers, way):
    columns = {"other": numbers, "size": [i * 7 % 31 + i / 100 for i in range(N)], "price": PRICE}
    found = profile_table(write(tmp_path, {name: [cells[i * 17 % N] for i in range(N)] for name, cells in columns.items()}), target="price")
    other, size, _ = found.columns
    assert size.guess.used
    assert other.guess.used is (way == "")
    if way:
        assert other.guess.reason == f"{way} with the target 'price' without an exception, as a copy in another unit or scale would"


def test_several_targets_are_predicted_from_the_others(tmp_path):
    path = write(tmp_path, table(height=[150 + i * 7 % 40 + i / 7 for i in range(N)]) | {"ill": ["yes", "no", "no"] * (N // 3)})
    done = init(path, target=["ill", "height"], file=tmp_path / "a.yaml")
    experiment = config.load(done.file)
    assert {key: target.task for key, target in experiment.targets.items()} == {"height": "regression", "ill": "binary"}
    assert done.survey.target == "ill"
    with pytest.raises(ConfigError, match="the table has no column 'hight'"):
        init(path, target=["ill", "hight"], file=tmp_path / "b.yaml")


def test_groups_and_answers_that_never_meet_are_no_mistake(tmp_path):
    patients = [f"P{i // 6}" if i % 2 else "" for i in range(N)]
    labels = ["" if i % 2 else "red" if i % 4 else "blue" for i in range(N)]
    assert guessed_roles(profile_table(write(tmp_path, table(patient=patients) | {"label": labels})))["patient"] == "group"


def images(folder, names, size=(40, 30), mode="L"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size).save(folder / name)


@pytest.mark.parametrize("where", [".", "scans", "data/scans"])
def test_the_folder_of_the_images_is_found(tmp_path, where):
    names = [f"{i}.png" for i in range(N)]
    images(tmp_path / where, names)
    found = profile_table(write(tmp_path, table(scan=names)))
    assert found.images == tmp_path / where
    assert found.columns[1].guess.options == {"size": [30, 30], "channels": 1}
    assert found.columns[1].guess.reason == "cells end like names of image files, as '0.png'; all are 30 x 40 pixels"


def test_images_that_do_not_exist_are_masked_or_left_out(tmp_path):
    names = [f"{i}.png" for i in range(N)]
    images(tmp_path / "half", names[:40], mode="RGB")
    found = profile_table(write(tmp_path, table(scan=names, gone=[f"gone/{name}" for name in names])))
    assert found.columns[1].guess.options == {"size": [30, 30], "channels": 3, "missing": "mask"}
    assert found.columns[1].guess.reason.endswith("; 20 of 60 files do not exist or cannot be read")
    assert guessed_roles(found)["gone"] == "-"
    assert found.columns[2].guess.reason.endswith("; no such file was found, try --images FOLDER")


FILE = """\
# yaml-language-server: $schema=mmtrain.schema.json
# Written by `mmtrain init`, for visits.csv. Every role is a guess, with its reason next to it: confirm.
# A column is used when its line has no # in front. Then run `mmtrain check` and `mmtrain fit` on this file.
data:
  table: visits.csv        # 60 rows; relative to this file
  missing_values: ["n/a"]  # texts that mean missing, in every column
columns:
  visit: {role: id}                                      # a running number
  patient: {role: group}                                 # the name says whom a row belongs to: 20 in 60 rows, \
never torn apart by the split
  "dose: mg": {role: numeric}                            # numbers from 1.5 to 59.5; 'n/a' means missing
  sex: {role: categorical}                               # two values, 'F' and 'M'
  when: {role: date}                                     # dates such as '1.2.2024'; to order rows in time, add a column of `role: time`
  left_right: {column: "left/right", role: categorical}  # two values, 'l' and 'r'
  ill: {role: target, task: binary, positive: "yes"}     # the last column with at most 20 different values; two classes, 'no' and 'yes'; \
positive: it reads like a yes; please confirm
branches: tabm  # all inputs in one branch: networks that share weights and a linear path
fusion: {units: []}  # no layers behind the branch, so that the linear path stays linear
split:
  method: stratified  # the same mix of classes in every part; rows of one 'patient' stay together
  validation: 0.15    # share of the rows that choose the best epoch
  test: 0.15          # share of the rows kept for `evaluate`
  # folds: 5          # cross-validation: 5 trainings, each scored on the rows that it left out; then `test: 0` keeps no others
training:
  epochs: 60
  batch_size: 16
  learning_rate: 0.002
  schedule: cosine     # the learning rate falls to 0 at the last epoch
  weight_decay: 3.0
  class_weights: none  # the rarest class, 'yes', has 17% of the rows; \
to predict every class as well as the others, add `decision: {prior: balanced}` to the target
  early_stopping: {monitor: validation_loss}
# evaluation:   # left out, as each costs time or validation rows; take away the # of this line and of those wanted
#  baselines: [majority, single_branch]  # is all together better than each branch alone? One training for each branch
#  calibration: temperature              # probabilities that come true as often as they say; fitted on validation rows
#  threshold: {aim: youden}              # left out: 0.5; or `"sensitivity>=0.9"`, or the cost of mistakes; chosen on validation rows
#  subgroups: [sex, "left/right"]        # scores of each value: does the model do worse for some rows?
#  conformal: 0.9                        # sets or ranges that hold the answer of 90 % of new rows; takes half of the validation rows
"""


def visits(folder):
    columns = {
        "visit": range(N),
        "patient": [f"P{i // 3}" for i in range(N)],
        "dose: mg": ["n/a", *[f"{i}.5" for i in range(1, N)]],
        "sex": [("F", "M")[i * 7 % 5 % 2] for i in range(N)],
        "when": [f"{1 + i % 28}.2.2024" for i in range(N)],
        "left/right": ["l", "r"] * 30,
        "ill": ["yes" if i % 6 == 0 else "no" for i in range(N)],
    }
    return write(folder, columns, "visits.csv")


def test_the_evaluation_that_is_left_out_can_be_used(tmp_path):
    visits(tmp_path)
    file = tmp_path / "visits.yaml"
    init(tmp_path / "visits.csv", file=file)
    file.write_text(file.read_text().replace("# evaluation:", "evaluation:").replace("\n#  ", "\n  "))
    evaluation = config.load(file).evaluation
    assert evaluation.subgroups == ("sex", "left/right")
    assert (evaluation.calibration, evaluation.threshold.aim, evaluation.conformal) == ("temperature", "youden", 0.9)


def test_the_whole_file(tmp_path):
    visits(tmp_path)
    done = init(tmp_path / "visits.csv", file=tmp_path / "visits.yaml")
    assert done.file.read_text(encoding="utf-8") == FILE


def test_editors_find_the_schema_next_to_the_file(tmp_path):
    visits(tmp_path)
    init(tmp_path / "visits.csv", file=tmp_path / "visits.yaml")
    schema = tmp_path / "mmtrain.schema.json"
    assert json.loads(schema.read_text(encoding="utf-8")) == config.json_schema()
    schema.write_text('{"title": "mmtrain experiment"}', encoding="utf-8")  # of another version
    init(tmp_path / "visits.csv", file=tmp_path / "again.yaml")
    assert json.loads(schema.read_text(encoding="utf-8")) == config.json_schema()


@pytest.mark.parametrize("content", ["mine", "[]", '{"title": "mine"}'])
def test_a_schema_of_ones_own_stays(tmp_path, content):
    visits(tmp_path)
    (tmp_path / "mmtrain.schema.json").write_text(content, encoding="utf-8")
    init(tmp_path / "visits.csv", file=tmp_path / "visits.yaml")
    assert (tmp_path / "mmtrain.schema.json").read_text(encoding="utf-8") == content


HEADERS = [
    "two words",
    "a.b",
    "a: b",
    "größe",
    "yes",
    "010",
    "null",
    "~",
    "# no comment",
    "- dash",
    "{brace",
    'say "it"',
    "it's",
    "back\\slash",
    "a/b",
    "a_b",
    "a_b_present",
    "<<",
    "*",
    " blanks ",
    "日本",
    "\u2028",
    "x" * 200,
    "1e3",
]


def test_any_header_is_written_so_that_it_is_read_back(tmp_path):
    columns = {header: [("u", "v")[(i + number) * 11 % 7 % 2] for i in range(N)] for number, header in enumerate(HEADERS)}
    path = write(tmp_path, {**columns, "10%": ["010" if i % 5 % 2 else "1: {no" for i in range(N)]})
    done = init(path, target="10%", file=tmp_path / "t.yaml")
    experiment = config.load(done.file)
    assert [column.column for column in experiment.columns.values()] == [*HEADERS, "10%"]
    assert len(HEADERS) == 24
    assert yaml.safe_load(done.file.read_text(encoding="utf-8"))["data"] == {"table": "t.csv"}
    assert sum(part.rows for part in check(done.file).summary) == N


@pytest.mark.parametrize(
    "text", ["plain", "two words", "010", "no", "", "a: b", "\n", "\x07", "é", "🙂", "\u2028", "\ufeff", "\\", '"', "x-1"]
)
def test_quoted_text_is_read_back_by_any_yaml_reader(text):
    assert yaml.safe_load(f"{{{quoted(text)}: {quoted(text)}}}") == {text: text}


@pytest.mark.parametrize(
    ("sample", "target", "rows"),
    [
        ("clinic/patients", "diagnosis", (280, 60, 60)),
        pytest.param("emoji/emoji", "category", (1296, 228, 382), marks=pytest.mark.slow),
    ],
)
def test_the_file_for_sample_data_passes_check(tmp_path, sample, target, rows):
    done = init(SAMPLES / f"{sample}.csv", file=tmp_path / "first.yaml")
    assert done.survey.target == target
    small = [f"columns.{column.header}.size=[8, 8]" for column in done.survey.used if column.guess.role == "image"]
    assert len(small) == 1
    assert tuple(part.rows for part in check(done.file, overrides=small).summary) == rows


TABLES = {
    "regression": {"y": [f"{i * 1.37 % 11:.2f}" for i in range(N)], "a": WORDS * 20},
    "multilabel": {"labels": ["a;b", "b", "", "c;a"] * 15, "note": [f"word {i} and more" for i in range(N)]},
    "a class in one row": {"label": ["a", "b"] * 29 + ["c", "a"], "x": [f"{i * i % 17}.5" for i in range(N)]},
    "holes everywhere": {
        "label": ["a", "b", ""] * 20,
        "x": ["1.5", "2.5", "", "4.5"] * 15,
        "user": ["", *[f"U{i // 3}" for i in range(59)]],
    },
    "no test rows": {"label": ["a", "b"] * 30, "x": ["1.5", "2.5", "4.5"] * 20, "fold": ["train", "validation", "train"] * 20},
}


@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
def test_the_file_passes_check(tmp_path, columns):
    done = init(write(tmp_path, columns), file=tmp_path / "first.yaml")
    checked = check(done.file)
    assert checked.rows + checked.dropped == N


def test_paths_are_relative_to_the_file(tmp_path):
    images(tmp_path / "in" / "scans", names := [f"{i}.png" for i in range(N)])
    (tmp_path / "out").mkdir()
    init(write(tmp_path / "in", table(scan=names)), file=tmp_path / "out" / "first.yaml")
    data = yaml.safe_load((tmp_path / "out" / "first.yaml").read_text(encoding="utf-8"))["data"]
    assert data == {"table": "../in/t.csv", "images": "../in/scans"}


def test_command_prints_the_file_and_explains_the_roles(tmp_path, monkeypatch, capsys):
    visits(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(["init", "visits.csv"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "visits.yaml\n"
    lines = printed.err.splitlines()
    assert lines[0] == "visit: id, a running number"
    assert lines[4] == "when: date, dates such as '1.2.2024'; to order rows in time, add a column of `role: time`"
    assert lines[-3:] == ["Confirm the roles in it, then:", "    mmtrain check visits.yaml", "    mmtrain fit visits.yaml"]
    assert len(lines) == 10
    assert Path("visits.yaml").read_text(encoding="utf-8") == FILE


def test_commands_to_copy_are_quoted_where_a_shell_needs_it(tmp_path, monkeypatch, capsys):
    visits(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "visits.csv").rename("my $visits.csv")
    assert run(["init", "my $visits.csv"]) == 0
    assert capsys.readouterr().err.splitlines()[-2:] == ["    mmtrain check 'my $visits.yaml'", "    mmtrain fit 'my $visits.yaml'"]


def test_command_as_json(tmp_path, capsys):
    visits(tmp_path)
    assert run(["init", str(tmp_path / "visits.csv"), "-o", str(tmp_path / "a.yaml"), "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert printed.err == ""
    assert (document["file"], document["target"]) == (str(tmp_path / "a.yaml"), "ill")
    assert document["columns"][0] == {"header": "visit", "role": "id", "used": True, "reason": "a running number"}


def test_an_existing_file_is_not_replaced_without_force(tmp_path, capsys):
    visits(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text("precious")
    command = ["init", str(tmp_path / "visits.csv"), "--output", str(file)]
    assert run(command) == 2
    assert f"{file}: the file exists already. Choose another name with --output, or replace it with --force." in capsys.readouterr().err
    assert file.read_text() == "precious"
    assert run([*command, "--force"]) == 0
    assert file.read_text(encoding="utf-8") == FILE


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"target": "lable"}, "--target: the table has no column 'lable'. Did you mean 'label'?"),
        ({"target": "zzz"}, "--target: the table has no column 'zzz'. It has age, code and label."),
        (
            {"target": "code"},
            "--target: 'code' has 60 different values in 60 rows, which are neither numbers nor classes. "
            "Choose a column of numbers, or one with at least two classes that repeat.",
        ),
        ({"images": Path("none")}, "--images: there is no folder none. Give the folder that the cells of image columns start from."),
        ({"file": Path("a.txt")}, "a.txt: an experiment file ends in .yaml. Write `--output a.yaml`."),
        ({"file": Path("none/a.yaml")}, "none/a.yaml: there is no folder none. Make it first, or choose another one with --output."),
    ],
)
def test_wrong_options_are_refused(tmp_path, monkeypatch, options, problem):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, table(code=[f"c{i}" for i in range(N)]))
    with pytest.raises(ConfigError) as refused:
        init(Path("t.csv"), **options)
    assert str(refused.value) == problem
    assert not Path("t.yaml").exists()


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (
            {"a": [f"c{i}" for i in range(N)]},
            "t.csv: no column looks like an answer. Name the column to be predicted with --target; "
            "`mmtrain inspect-data` shows what is in each.",
        ),
        (
            {"label": ["a", "b"] * 30, "same": ["x"] * N},
            "t.csv: no column is left to predict 'label' from ('same': every cell is 'x'). "
            "Add a column of images, numbers, categories or text.",
        ),
        ({"label": [], "x": []}, "t.csv: the table has no rows. Write a line below the headers for every row."),
    ],
)
def test_a_table_without_question_or_answer_is_refused(tmp_path, columns, problem):
    path = write(tmp_path, columns)
    with pytest.raises(DataError) as refused:
        init(path, file=tmp_path / "t.yaml")
    assert str(refused.value) == problem


def test_a_table_that_does_not_exist(tmp_path, capsys):
    assert run(["init", str(tmp_path / "t.csv"), "-o", str(tmp_path / "t.yaml")]) == 3
    assert "t.csv: the table does not exist. Give the path of a file that ends in one of .csv, .tsv, " in capsys.readouterr().err


def test_columns_that_cannot_be_used_are_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,,twice,twice,label\n" + "".join(f"{i * 7 % 11}.5,a,b,c,{'no' if i % 3 else 'yes'}\n" for i in range(N)))
    done = init(path, file=tmp_path / "t.yaml")
    assert [(column.header, column.guess.reason) for column in done.survey.columns[1:3]] == [
        ("", "it has no header"),
        ("twice", "2 columns have the header 'twice'"),
    ]
    assert check(done.file).rows == N


PRICES = [f"{i * 1.37 % 11 + i:.2f}" for i in range(N)]


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        ("inf", "'inf' is infinite. 1 more such cell, in line 10. Write a finite number, or leave the cell empty."),
        (
            "-1e40",
            "'-1e40' is too large. 1 more such cell, in line 10. Write a number between -3.4e38 and 3.4e38, or leave the cell empty.",
        ),
        (
            "1,5",
            "'1,5' is not a number. 1 more such cell, in line 10. Write the decimal point as a dot and leave out thousands "
            "separators, or set `decimal` or `thousands` in `data.format`.",
        ),
        (
            "sold",
            "'sold' is not a number. 1 more such cell, in line 10. "
            "Write a number, or list 'sold' under `data.missing_values` if it stands for a missing value.",
        ),
    ],
)
@pytest.mark.parametrize("header", ["label", "price"])
def test_a_cell_of_the_answer_that_is_no_number_is_named_as_check_does(tmp_path, header, odd, problem):
    prices = [*PRICES[:3], odd, *PRICES[4:8], odd, *PRICES[9:]]
    path = write(tmp_path, {"site": WORDS * 20, header: prices})
    with pytest.raises(DataError) as refused:
        init(path, target=header if header == "price" else None, file=tmp_path / "t.yaml")
    assert str(refused.value) == f"t.csv:5: {header}: {problem}"
    columns = f"columns:\n  site: {{role: categorical}}\n  {header}: {{role: target, task: regression}}\n"
    (tmp_path / "own.yaml").write_text(f"data: {{table: t.csv}}\n{columns}", encoding="utf-8")
    with pytest.raises(DataError) as checked:
        check(tmp_path / "own.yaml")
    assert str(checked.value) == str(refused.value)
    assert run(["inspect-data", str(path)]) == 0


def test_a_number_among_the_inputs_is_left_out_with_the_place_of_the_cell(tmp_path):
    found = profile_table(write(tmp_path, table(size=[*PRICES[:3], "inf", *PRICES[4:]])))
    assert found.columns[1].guess.reason == (
        "numbers, but 1 cell is not, as 'inf'; t.csv:5: 'inf' is infinite. Write a finite number, or leave the cell empty."
    )


def test_numbers_that_repeat_are_no_classes_for_a_word_among_them(tmp_path):
    found = infer_target.infer_task(profile_of(tmp_path, "y", [*[f"{i % 25}.5" for i in range(4 * N)], "inf"]))
    assert dict(found.options) == {"task": "regression"}


UNTRAINABLE = {
    "an answer without spread": (
        {"y": [f"{10**17 + i}" for i in range(N)], "a": WORDS * 20},
        "y",
        "t.csv:2: y: the numbers lie 35 around 100,000,000,000,000,000 on average, where predictions (of 32 bits) come in steps of "
        "8.58993e+09. Subtract the same number from all of them, the smallest for instance.",
    ),
    "a class in one row": (
        {"label": ["b" if i != 7 else "a" for i in range(N)], "a": WORDS * 20},
        None,
        "t.csv: label: in the training part, every row has the class 'b'. A target needs at least two classes. Divide the rows in another "
        "way: set another `split.seed` or `split.method`, or mark other rows train.",
    ),
}


@pytest.mark.parametrize(("columns", "target", "problem"), UNTRAINABLE.values(), ids=UNTRAINABLE)
def test_what_check_would_refuse_is_refused_before_a_file_is_written(tmp_path, columns, target, problem):
    path = write(tmp_path, columns)
    with pytest.raises(DataError) as refused:
        init(path, target=target, file=tmp_path / "t.yaml")
    assert str(refused.value) == problem
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".yaml"] == []


def test_a_word_for_missing_in_one_column_is_missing_in_all(tmp_path):
    columns = {
        "dose": ["NA", "?", *[f"{i}.5" for i in range(2, N)]],
        "patient": [f"P{i // 3}" if i % 7 else "NA" for i in range(N)],
        "label": ["NA" if i % 10 == 3 else ("yes" if i % 2 else "no") for i in range(N)],
    }
    done = init(write(tmp_path, columns), file=tmp_path / "t.yaml")
    written = yaml.safe_load(done.file.read_text(encoding="utf-8"))
    assert written["data"]["missing_values"] == ["NA", "?"]
    assert written["columns"]["label"] == {"role": "target", "task": "binary", "positive": "yes", "missing": "drop"}
    assert written["columns"]["patient"] == {"role": "group", "missing": "drop"}
    assert check(done.file).dropped == 15


def test_a_given_split_that_cannot_be_used_is_left_out(tmp_path):
    parts = ["train" if i % 4 else "test" for i in range(N)]
    columns = {"label": ["rare" if i in (0, 4, 5) else "often" for i in range(N)], "a": WORDS * 20, "part": parts}
    done = init(write(tmp_path, columns), file=tmp_path / "t.yaml")
    reason = next(column for column in done.survey.columns if column.header == "part").guess.reason
    assert reason == "the values are test and train; not used, for then class 'rare' has 1 row marked train, fewer than the 2 parts."
    assert check(done.file).rows == N


PLAIN_FUSION = {"units": []}
GUARDED_FUSION = {"units": [], "auxiliary": 1.0}
NOTES = [f"note {i} and more of it" for i in range(N)]


@pytest.mark.parametrize(
    ("inputs", "fusion"),
    [
        ({"scan": [f"{i}.png" for i in range(N)]}, PLAIN_FUSION),
        ({"note": NOTES}, PLAIN_FUSION),
        ({"note": NOTES, "x": [f"{i * i % 17}.5" for i in range(N)]}, GUARDED_FUSION),
        ({"scan": [f"{i}.png" for i in range(N)], "note": NOTES}, GUARDED_FUSION),
        ({"x": [f"{i * i % 17}.5" for i in range(N)]}, PLAIN_FUSION),
    ],
    ids=["image", "text", "text and number", "image and text", "number"],
)
def test_fusions_have_no_layers_after_them_and_several_branches_auxiliary_losses(tmp_path, inputs, fusion):
    images(tmp_path, [f"{i}.png" for i in range(N)])
    done = init(write(tmp_path, {**inputs, "label": ["a", "b", "b"] * 20}), target="label", file=tmp_path / "first.yaml")
    assert yaml.safe_load(done.file.read_text(encoding="utf-8")).get("fusion") == fusion
    assert check(done.file).rows == N


@pytest.mark.parametrize(("rows", "epochs", "mode"), [(60, 40, "L"), (20_000, 15, "RGB"), (6_000, 30, "L")])
def test_images_are_augmented_and_trained_to_the_end_of_one_cosine(tmp_path, rows, epochs, mode):
    names = [f"{i}.png" for i in range(N)]
    images(tmp_path, names, mode=mode)
    done = init(write(tmp_path, table(scan=names)), target="label", file=tmp_path / "first.yaml")
    experiment = config.load(done.file)
    assert experiment.columns["scan"].augment.model_dump(exclude_defaults=True) == {
        **{"flip": "horizontal", "rotate": 10, "shift": 0.1, "zoom": 0.2},
        **{"brightness": 0.1, "contrast": 0.2, **({"color": 0.2} if mode == "RGB" else {})},
    }
    many = done.survey.model_copy(update={"rows": rows})
    assert yaml.safe_load(starter_text(many, done.file))["training"] == {
        **{"epochs": epochs, "batch_size": 32, "learning_rate": 0.003, "schedule": {"method": "cosine", "warmup_epochs": 1}},
        "early_stopping": {"monitor": "validation_loss"},
    }


@pytest.mark.parametrize(
    ("rows", "epochs", "batch", "rate", "decay"),
    [
        (120, 60, 16, 0.002, 3),
        (900, 33, 32, 0.002, 1),
        (2_500, 30, 32, 0.002, 0.4),
        (30_000, 26, 256, 0.0028, 0.03),
        (400_000, 5, 256, 0.0028, 0.003),
    ],
)
def test_recipe_of_a_table_follows_its_rows(rows, epochs, batch, rate, decay):
    recipe = recipe_for(["numeric", "categorical"], rows)
    assert recipe == {
        "branches": "tabm",
        "fusion": {"units": []},
        "training": {
            **{"epochs": epochs, "batch_size": batch, "learning_rate": rate, "schedule": "cosine", "weight_decay": decay},
            "early_stopping": {"monitor": "validation_loss"},
        },
    }


def test_numbers_next_to_texts_are_read_by_an_ensemble(tmp_path):
    columns = {"note": NOTES, "x": [f"{i * i % 17}.5" for i in range(N)], "label": ["a", "b", "b"] * 20}
    text = init(write(tmp_path, columns), target="label", file=tmp_path / "first.yaml").file.read_text(encoding="utf-8")
    assert "\nbranches: tabm  # one branch per text, one for all the rest" in text
    experiment = config.load(tmp_path / "first.yaml")
    assert {key: branch.architecture for key, branch in experiment.branches.items()} == {"note": "mlp", "table": "tabm"}
    assert ["branches" in recipe_for(roles, N) for roles in (["text"], ["text", "text"], ["image", "text", "numeric"])] == [False] * 3


def test_a_table_of_numbers_and_categories_is_trained_by_an_ensemble(tmp_path):
    rows = 2_500
    columns = {
        "a": [i * 7919 % rows / 2 for i in range(rows)],
        "b": ["xyz"[i % 3] for i in range(rows)],
        "y": ["ny"[i * 31 % 7 % 2] for i in range(rows)],
    }
    text = init(write(tmp_path, columns), target="y", file=tmp_path / "large.yaml").file.read_text(encoding="utf-8")
    assert "\nbranches: tabm  # all inputs in one branch" in text
    written = yaml.safe_load(text)
    assert {key: written[key] for key in ("branches", "fusion", "training")} == recipe_for(["numeric", "categorical"], rows)
    experiment = config.load(tmp_path / "large.yaml")
    assert {key: branch.architecture for key, branch in experiment.branches.items()} == {"table": "tabm"}


@pytest.mark.parametrize(
    ("cells", "hint"),
    [
        (["mild", "severe", "moderate"], "; for ordered levels, set task: ordinal"),
        (["1", "2", "3", "5"], "; for ordered levels, set task: ordinal"),
        (["0", "1", "2", "4"], "; for counts, set task: count, for ordered levels task: ordinal"),
        (["cat", "dog", "low"], ""),
    ],
)
def test_guess_of_classes_names_other_tasks_and_never_chooses_them(tmp_path, cells, hint):
    guess = infer_target.infer_task(profile_of(tmp_path, "y", [cells[row % len(cells)] for row in range(N)]))
    assert guess.options["task"] == "multiclass"
    assert guess.reason == f"{len(cells)} classes{hint}"
