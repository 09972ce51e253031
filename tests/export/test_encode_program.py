"""encode.py next to an export makes the arrays that mmtrain makes, without mmtrain."""

import importlib.util
import json
import random
import re
import subprocess
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest
from tiny import paint
from tiny_serving import image_bytes

from mmtrain.columns import Categorical, Date, Embedding, Image, Images, Numeric, Text, TimeSeries, Volume
from mmtrain.columns.vectorizers.text_pieces import FittedPieces
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.encode import Fitted
from mmtrain.data.prediction_chunks import Chunks, Source
from mmtrain.data.tables.file_formats.csv_file import CsvFile
from mmtrain.export.encode_program import PROGRAM, _date_patterns, can_encode, character_ranges, unknown_columns, write_encode_program
from mmtrain.export.runners.encoding.date import Dates
from mmtrain.export.runners.encoding.fingerprint import fingerprint
from mmtrain.export.runners.encoding.images import names_of

TEXTS = [
    "The quick brown fox's tail, jumps: over 2 lazy dogs!",
    "",
    "  ",
    "ΣΑΣ ΟΔΥΣΣΕΥΣ Straße İstanbul ǅ Ⅷ ½",
    "日本語のテキスト and 中文 คำไทย ｶﾞ",
    "🙂👍🏽 👨‍👩‍👧 :) ;-D <3 C++ $5 ☕️ 🇩🇪 #️⃣",
    "naïve e\u0301le\u0300ve \u00a0 nbsp\u2003em \u200bzero",
    "tab\tnew\nline\x0bvt",
    "{brace} [bracket] a_b x=y :p :d",
    "a" * 70 + " " + "é" * 40 + " " + "z" * 130,
]
COLUMNS = {
    "age": Numeric(column="age"),
    "dose": Numeric(column="dose", missing="mask", normalize="minmax"),
    "plain": Numeric(column="plain", normalize="none", missing="error"),
    "bounded": Numeric(column="age", clip=0.1, normalize="log1p", missing="mean"),
    "power": Numeric(column="dose", normalize="yeo_johnson", missing="constant", constant=3.5),
    "rank": Numeric(column="dose", normalize="quantile"),
    "city": Categorical(column="city"),
    "street": Categorical(column="city", buckets=5, missing="mask"),
    "flag": Categorical(column="flag", missing="mask"),
    "note": Text(column="note"),
    "tokens": Text(column="tokens", vectorize="tokens", max_length=6),
    "story": Text(column="story", vectorize="hashed", buckets=997, missing="mask"),
    "folded": Text(column="note", accents="remove"),
    "both": Text(columns=("note", "story"), vectorize="hashed", buckets=499, accents="remove"),
    "scan": Image(column="scan", size=(12, 10), channels=3, resize="pad", missing="mask"),
    "film": Image(column="film", size=(8, 8), channels=1, bits=16, missing="mask", suffix=".jpg"),
    "views": Images(columns=("scan", "others"), size=(6, 5), channels=1, most=2, missing="mask"),
    "seen": Date(column="seen", parts=("days", "year", "month", "weekday", "hour"), format="day_first"),
    "local": Date(column="seen", since="born", format="day_first", time_zone="Europe/Vienna", cyclic=False, missing="mask"),
    "stamp": Date(column="stamp", format="%d|%m|%y %H:%M"),
    "vector": Embedding(column="vector"),
    "unit": Embedding(column="vector", normalize="unit", missing="mask"),
    "pulse": TimeSeries(column="pulse", most=3),
    "events": TimeSeries(columns=("pulse", "pressure"), time="hours", most=4, keep="first"),
    "grid": TimeSeries(columns=("pressure",), time="hours", step=0.1, most=5, normalize="none"),
}
DATES = [
    *("2024-03-31", "31.3.2024", "", "05/04/2021 10:30 PM", "Jan 05, 2021", "20240229", "2023-02-29", "2024-12-01T23:59:59Z"),
    *(
        "Tue Jan 05 10:30:00 +0200 2021",
        "2021年1月5日",
        "31-Mar-71",
        "Mar 2020",
        "2024",
        "1 May 1999 at 12:15 am",
        "2020-07-01 08:00 -0530",
    ),
    *("not a date", "2021-01-01 24:10", "9999-12-31"),
]
LISTS = ["[0.5, 1, null]", "[1, 2, 3]", "", "3;4;5", "['5', '6', 7]", "[nan, 1e40, 2]", "[]", "0.1 0.2 0.3 0.4"]
PULSES = ["[70, 72.5, 80]", "[60, null, 61]", "", "[50, 51, 52]", "[null, null, null]", "[1, 2, 3]"]
HOURS = ["[0, 0.1, 0.3]", "[5, 6, 8.5]", "", "[0.1, 0.2, null]", "[1, 2, 3]", "[0, 0, 90]"]


def cells_of(*values):
    return pd.Series(list(values), dtype="str")


def cells(row):
    numbers = ["", "12", " 3.5 ", "-1e3", "nan", "1e40", "words", ".5", "7.", "+4", "NA"]
    return {
        "age": numbers[row % 11],
        "dose": numbers[(row + 3) % 11],
        "plain": str(row / 7),
        "city": ["ulm", " bonn", "trier\u00a0", "", "rom", "Ulm"][row % 6],
        "flag": ["0", "1", "", "true"][row % 4],
        "note": TEXTS[row % len(TEXTS)],
        "tokens": TEXTS[(row + 1) % len(TEXTS)],
        "story": TEXTS[(row + 2) % len(TEXTS)],
        "scan": ["", "NA"][row % 2] if row % 7 == 0 else f"{row % 5}.png",
        "film": ["", "0.jpg", "0", " 0 "][row % 4],
        "others": ["", "1.png; 2.png", "['0.png', '4.png']", "3.png;3.png", "dark.png"][row % 5],
        "seen": DATES[row % len(DATES)],
        "born": ["1971-05-01", "3/4/1980", ""][row % 3],
        "stamp": ["01|02|03 04:05", "", "31|02|03 04:05", "30|12|99 23:59"][row % 4],
        "vector": LISTS[row % len(LISTS)],
        "pulse": PULSES[row % 6],
        "pressure": "" if row % 6 == 2 else PULSES[(row + 1) % 6],
        "hours": HOURS[row % 6],
    }


@pytest.fixture(scope="module")
def export(tmp_path_factory, tensorflow):
    """A folder as an export has it, its table, and what mmtrain encodes of it."""
    folder = tmp_path_factory.mktemp("export")
    for number in range(5):
        paint(folder / f"{number}.png", np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8))
    paint(folder / "dark.png", np.zeros((9, 9), dtype=np.uint8))
    (folder / "0.jpg").write_bytes(image_bytes(77, "JPEG", (64, 48)))
    rows = [cells(row) for row in range(60)]
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    table = pd.DataFrame(rows, dtype="str").replace({"": None, "NA": None})
    columns = {}
    for key, column in COLUMNS.items():
        usable = table[list(column.reads())].apply(lambda cells: cells.str.strip().where(~cells.isin(["words", "1e40", "rom"])))
        usable = usable.iloc[:40].reset_index(drop=True)
        columns[key] = column.fit([usable if len(column.reads()) > 1 else usable.iloc[:, 0]])
    # `flag` had typed cells in the training: 1 is its true.
    fitted = Fitted(columns=columns, targets={}, typed=("flag",))
    inputs = [
        {"name": label.upper(), "tensor": label, "column": key, "dtype": "float32" if label != key else columns[key].spec.dtype}
        for key in columns
        for label in (key, f"{key}_present")
    ]
    headers = {}
    for key, column in COLUMNS.items():
        for header in column.reads():
            headers.setdefault(header, []).extend([key.upper(), f"{key}_PRESENT"])
    (folder / "signature.json").write_text(
        json.dumps({"missing": ["NA"], "headers": headers, "suffixes": {"film": ".jpg"}, "separators": {"views": ";"}, "inputs": inputs})
    )
    (folder / "columns.json").write_text(fitted.model_dump_json())
    write_encode_program(fitted, folder)
    chunks, source = Chunks(COLUMNS, fitted), Source(CsvFile(folder / "table.csv", ["NA"]), ImageFolder(folder))
    (chunk,) = map(chunks.maker(source), chunks.cells(source))
    return folder, chunk.inputs


@pytest.mark.slow
def test_the_program_gives_the_arrays_of_mmtrain(export):
    folder, expected = export
    forbid = "import sys; sys.modules['mmtrain'] = None; sys.modules['tensorflow'] = None; sys.argv = sys.argv[1:]; "
    run = f"{forbid}import runpy; sys.path.insert(0, {str(folder)!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", run, str(folder / "encode.py"), str(folder / "table.csv"), str(folder / "out.npz")]
    subprocess.run(command, check=True, timeout=60)
    with np.load(folder / "out.npz") as arrays:
        assert sorted(arrays) == sorted(name.upper() for name in expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(arrays[name.upper()], values, err_msg=name)
            assert arrays[name.upper()].dtype == values.dtype, name


@pytest.fixture(scope="module")
def program(export):
    sys.path.insert(0, str(export[0]))
    yield _program(export)
    sys.path.remove(str(export[0]))


def _program(export):
    spec = importlib.util.spec_from_file_location("encode_program", export[0] / "encode.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_numbers_of_a_program_are_cells_as_a_table_has_them(export, program):
    numbers = [3.0, 0.5, float("inf"), float("nan"), 7, True]
    cells = list(map(program.Encoder(export[0])._cell, numbers))
    assert cells == ["3", "0.5", "inf", None, "7", "true"]


@pytest.mark.slow
def test_its_hashes_are_those_of_tensorflow(tensorflow):
    random_state = random.Random(0)
    texts = [bytes(random_state.randrange(1, 256) for _ in range(size)) for size in range(200)]
    hashes = tensorflow.strings.to_hash_bucket_fast(tensorflow.constant(texts), 2**62 - 57).numpy().tolist()
    assert [fingerprint(text) % (2**62 - 57) for text in texts] == hashes


def test_a_program_reads_no_digits_that_mmtrain_refuses():
    read = Dates(Date(column="seen").fit([cells_of("2024-05-06", "2023-01-02")]).model_dump(), _date_patterns())
    assert read("2024-05-06") is not None and read("\uff12\uff10\uff12\uff14-05-06") is None


@pytest.mark.parametrize(
    "cell",
    ["['a.png', 5]", "['a.png'", "[a.png", "[a.png, b.png]", '["a.png", ["b.png"]]', '["a.png", null]', "[]", "a.png; b.png", "[a]; b"],
)
def test_a_program_lists_the_images_of_a_cell_as_mmtrain_does(cell):
    """Brackets that do not close ended the program with a traceback of Python's parser."""
    assert names_of(cell, ";") == Images(column="x").image_cells.names(cells_of(cell))[0]


def test_a_program_names_the_row_of_an_image_that_is_absent(tmp_path):
    paint(tmp_path / "0.png", 5)
    (tmp_path / "table.csv").write_text("scan\n0.png\n9.png\n", encoding="utf-8")
    column = Image(column="scan", size=(4, 4), channels=1)
    fitted = Fitted(columns={"scan": column.fit([cells_of("0.png")])}, targets={})
    inputs = [{"name": name, "tensor": name, "column": "scan", "dtype": "float32"} for name in ("scan", "scan_present")]
    signature = {"missing": [], "headers": {"scan": ["scan", "scan_present"]}, "inputs": inputs}
    (tmp_path / "signature.json").write_text(json.dumps(signature), encoding="utf-8")
    (tmp_path / "columns.json").write_text(fitted.model_dump_json(), encoding="utf-8")
    write_encode_program(fitted, tmp_path)
    command = [sys.executable, "encode.py", "table.csv", "out.npz"]
    done = subprocess.run(command, cwd=tmp_path, check=False, timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "table.csv: row 1, counted from 0: scan: 9.png: The file does not exist.\n")


def test_classes_of_unicode_are_complete():
    assert character_ranges("Thai").startswith("\\U00000e01-\\U00000e3a")


def test_nothing_is_written_for_columns_that_it_does_not_know(tmp_path):
    pieces = FittedPieces.model_construct(role="text", vectorize="pieces")
    fitted = Fitted.model_construct(columns={"note": pieces})
    assert not can_encode(fitted)
    write_encode_program(fitted, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_export_has_the_code_of_its_own_columns(tmp_path):
    """And none for columns whose files mmtrain alone decodes."""
    fitted = Fitted(columns={"x": Numeric(column="x").fit([pd.Series(["1", "2"])])}, targets={})
    write_encode_program(fitted, tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.py")) == ["__init__.py", "encode.py", "numeric.py"]
    assert list(json.loads((tmp_path / "characters.json").read_text())) == ["blanks"]
    scan = Image(column="scan").fit([pd.Series(["a.dcm"])])
    fitted = fitted.model_copy(update={"columns": {**fitted.columns, "ct": Volume(column="ct").fit([]), "scan": scan}})
    assert unknown_columns(fitted) == ["ct", "scan"]


@pytest.mark.parametrize("path", sorted(PROGRAM.parent.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_program_declares_its_packages(path):
    """PEP 723: `uv run` and `pipx run` install them."""
    block = re.search(r"(?m)^# /// script$\n((?:^#(?:| .*)$\n)+)^# ///$", path.read_text())[1]
    facts = tomllib.loads("".join(line[2:] for line in block.splitlines(keepends=True)))
    assert facts["requires-python"] == ">=3.11"
    assert all(re.fullmatch(r"[a-z0-9-]+(\[[a-z]+\])?([<>=~!,.0-9]*)", one) for one in facts["dependencies"])
    assert facts["dependencies"]
