"""A sweep of damaged tables: whatever is in a table, every command answers in sentences, and what `init` writes `check` takes.

Each table is a small clinic with some cells, headers or bytes spoilt, all of it drawn from one seed; `-k 'table_sweep and 3'` runs
seeds 300 to 399 alone, and a failure names the seed.
"""

import contextlib
import csv
import io
import json
import random
import traceback

import pandas as pd
import pytest
import yaml
from tiny import paint

from mmtrain.cli.app import run
from mmtrain.text.printable import printable

CHUNK = 100
HEADERS = ("row", "scan", "age", "sex", "note", "visit", "patient", "part", "tags", "sick", "dose")
COLUMNS = {
    "row": {"role": "id"},
    "scan": {"role": "image", "size": [8, 8], "channels": 1},
    "age": {"role": "numeric"},
    "sex": {"role": "categorical"},
    "note": {"role": "text"},
    "patient": {"role": "group"},
    "tags": {"role": "target", "task": "multilabel", "separator": ";"},
    "sick": {"role": "target", "task": "multiclass"},
    "dose": {"role": "target", "task": "regression"},
}
WORDS = ("seen", "well", "fever", "cough", "rest", "pain", "again", "better")

CELLS = (
    *("", " ", "\t", "\xa0", "\u200b", "NA", "N/A", "nan", "None", "null", "NULL", "-", "?", ".", "missing", "unknown"),
    *("0", "-0", "1", "-1", "1.0", "007", "1e5", "1e400", "-1e400", "1e-400", "inf", "-inf", "nan", "NaN", "+5", "5.", ".5", "1_000"),
    *(
        "1,5",
        "1.234,5",
        "1,234.5",
        "1 234",
        "1'234",
        "5 %",
        "50%",
        "$5",
        "5 mg",
        "<5",
        ">100",
        "3-5",
        "0x1F",
        "1/2",
        "1e",
        "--1",
        "٣",
        "½",
        "Ⅳ",
    ),
    *(
        "9" * 18,
        "9" * 19,
        "9" * 40,
        "1.23457E+14",
        "1" * 400,
        "0." + "3" * 300,
        "9007199254740993",
        "340282350000000000000000000000000000000",
    ),
    *("true", "FALSE", "yes", "No", "Y", "t", "+", "positive", "abnormal", "ja", "нет", "是"),
    *("2021-01-05", "05.01.2021", "1/5/21", "Jan 05, 2021", "9999-12-31", "0000-00-00", "1000-01-01", "2021-13-45", "12:30", "24:61"),
    *("2021-01-05T12:30:00Z", "99991231", "29/02/2021", "2021-W05", "1970-01-01 00:00:00.000000001", "-4712-01-01", "10000-01-01"),
    *(
        "🙂",
        "👩‍👩‍👧",
        "é",
        "e\u0301",
        "ß",
        "ẞ",
        "ǅ",
        "İ",
        "\u202eabc",
        "\ufeff",
        "\ufffd",
        "\u2028",
        "\x85",
        "\x0b",
        "\x1b[31m",
        "\x7f",
        "\0",
    ),
    *(
        "[a]",
        "['a', 'b']",
        '["a"',
        "[]",
        "{}",
        '{"a": 1}',
        "a;b",
        "a,b",
        "a|b",
        ";",
        ";;",
        "a;;a",
        "a/b",
        "a + b",
        "[/red]",
        "[bold]",
        "{{x}}",
    ),
    *("=1+1", "+cmd", "-2+3", "@SUM(A1)", "<b>", "&amp;", "%s", "%", "\\", "\\n", "'", '"', "''", '""', "`", "$HOME", "#", "# no comment"),
    *("0.png", "no.png", "1.PNG", "../0.png", "/etc/passwd", "..", ".", "/", "0.png;1.png", "https://example.org/a.png", "a\\b.png", "con"),
    *("x" * 300, "x/" * 300, "word " * 2000, "\n", "a\nb", "a\r\nb", "train", "Val", "dev", "fold 3", "3"),
)
"""What stands in one cell of somebody's table."""

WHOLE = (
    lambda chance, row, cell: "",
    lambda chance, row, cell: chance.choice(CELLS[:16]),
    lambda chance, row, cell: chance.choice(CELLS),
    lambda chance, row, cell: "same",
    lambda chance, row, cell: "0",
    lambda chance, row, cell: cell if row else "once",
    lambda chance, row, cell: cell if chance.random() < 0.3 else "",
    lambda chance, row, cell: f" {cell}" if row % 2 else f"{cell} ",
    lambda chance, row, cell: cell.upper() if row % 2 else cell,
    lambda chance, row, cell: str(row),
    lambda chance, row, cell: str(10**18 + row),
    lambda chance, row, cell: f"{row / 7:.17g}",
    lambda chance, row, cell: f"{row},5",
    lambda chance, row, cell: f"{row % 28 + 1}.{row % 12 + 1}.{(1, 1999, 2020, 9999)[row % 4]:04}",
    lambda chance, row, cell: f"{cell}.0",
    lambda chance, row, cell: str(bool(row % 2)),
    lambda chance, row, cell: ("1.0", "0.0")[row % 2],
    lambda chance, row, cell: f"{WORDS[row % 3]}, {WORDS[row % 5]}",
    lambda chance, row, cell: repr([WORDS[row % 3], WORDS[row % 5]]),
    lambda chance, row, cell: json.dumps({"a": row}),
    lambda chance, row, cell: "x" * (1 << 17) if row == 1 else cell,
    lambda chance, row, cell: "".join(
        chr(chance.choice((chance.randrange(32, 0xD800), chance.randrange(0x10000, 0x1FFFF)))) for _ in "1234"
    ),
    lambda chance, row, cell: cell[::-1],
    lambda chance, row, cell: chance.choice("🙂🙁😀"),
)
"""What becomes of a whole column: (chance, row, cell) -> cell."""

NEW_HEADERS = (
    "",
    " ",
    "age",
    "AGE",
    "sex ",
    "Unnamed: 0",
    "0",
    "class",
    "a.b",
    "a/b",
    "a b",
    "ü",
    "u\u0308",
    "🙂",
    "x" * 300,
    "a\nb",
    "\0",
    "\x1b[31m",
)
NEW_HEADERS += (
    "name",
    "split",
    "label",
    "target",
    "id",
    "[red]",
    "{x}",
    "*",
    "&a",
    "!t",
    "- a",
    "a: b",
    "# a",
    "null",
    "true",
    "1.5",
    "\ufeffrow",
    "'",
    '"',
)


def clinic(chance):
    """Headers and rows without a mistake."""
    rows = []
    for row in range(chance.choice((0, 1, 2, 5, 12, 24, 24, 24, 24, 40))):
        note = " ".join(chance.choice(WORDS) for _ in range(6))
        tags = ("red;blue", "blue", "", "red")[row % 4]
        date = f"2021-{row % 12 + 1:02}-{row % 28 + 1:02}"
        part = ("train", "train", "validation", "test")[row % 4]
        cells = (
            f"r{row}",
            f"{row % 4}.png",
            str(20 + row),
            "fm"[row % 2],
            note,
            date,
            f"p{row // 2}",
            part,
            tags,
            "abc"[row % 3],
            str(row / 2),
        )
        rows.append(list(cells))
    return list(HEADERS), rows


def spoil_cells(chance, headers, rows):
    """Other cells, columns, headers and rows."""
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        spoil_column(chance, headers, rows, chance.randrange(len(headers)))
    if rows and chance.random() < 0.1:
        rows += [list(row) for row in chance.choices(rows, k=3)]


def spoil_column(chance, headers, rows, column):
    """One change of a column."""
    kind = chance.randrange(8)
    if kind <= 2 and rows:
        for row in chance.sample(rows, min(len(rows), chance.choice((1, 1, 2, 6)))):
            row[column] = chance.choice(CELLS)
    elif kind <= 4:
        change = chance.choice(WHOLE)
        for number, row in enumerate(rows):
            row[column] = change(chance, number, row[column])
    elif kind == 5:
        headers[column] = chance.choice(NEW_HEADERS)
    elif kind == 6 and len(headers) > 2:
        for row in [headers, *rows]:
            del row[column]
    else:
        double = chance.choice(("", " ", ".1"))
        for row in [headers, *rows]:
            row.append(row[column] + (double if row is headers else ""))


def as_text(chance, headers, rows):
    """A CSV in some spelling, as bytes, and the ending of its name."""
    separator = chance.choice((",",) * 6 + (";", "\t", "|", " ", ":"))
    quoting = chance.choice((csv.QUOTE_MINIMAL,) * 4 + (csv.QUOTE_ALL, csv.QUOTE_NONE))
    written = io.StringIO()
    writer = csv.writer(
        written,
        delimiter=separator,
        quotechar=chance.choice('""""\''),
        lineterminator=chance.choice(("\n", "\n", "\r\n", "\r", "\n\n")),
        quoting=quoting,
        escapechar="\\" if quoting == csv.QUOTE_NONE else None,
    )
    writer.writerows([headers, *rows])
    text = written.getvalue()
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        text = spoil_text(chance, text, separator)
    encoding = chance.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1", "utf-32", "shift_jis", "utf-7"))
    data = text.encode(encoding, "replace")
    if chance.random() < 0.15:
        data = spoil_bytes(chance, data)
    return data, "tsv" if separator == "\t" and chance.random() < 0.8 else chance.choice(("csv",) * 6 + ("tsv", "txt", "CSV"))


def spoil_text(chance, text, separator):  # noqa: C901
    """One change of lines, separators or quotes."""
    lines = text.split("\n")
    place = chance.randrange(len(lines))
    kind = chance.randrange(11)
    if kind == 0:
        lines.insert(
            0, chance.choice((f"sep={separator}", "A title", "# comment", "", "%", f"{separator * 3}", '"', "Export of 2021; page 1"))
        )
    elif kind == 1:
        lines[place] = lines[place].rpartition(separator)[0]
    elif kind == 2:
        lines[place] += separator + chance.choice(("", "x", '"', '"x'))
    elif kind == 3:
        lines.insert(place, chance.choice(("", "   ", separator * 10, "# comment", "Total", '"""')))
    elif kind == 4:
        lines[place] = lines[place].replace(separator, chance.choice(";,|\t "))
    elif kind == 5:
        spot = chance.randrange(len(lines[place]) + 1)
        lines[place] = lines[place][:spot] + chance.choice(('"', "'", "\\", "\0", "\r", "\x1a", '""', "\ufeff", "é")) + lines[place][spot:]
    elif kind == 6:
        return text[: chance.randrange(len(text) + 1)]
    elif kind == 7:
        lines[place] += "\r"
    elif kind == 8:
        lines.insert(place, lines[0])
    elif kind == 9:
        lines = [f"{number}{separator}{line}" if number else line for number, line in enumerate(lines)]
    else:
        lines = [line + separator for line in lines]
    return "\n".join(lines)


def spoil_bytes(chance, data):
    """Some bytes become others, or are cut off."""
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 2, 8))):
        if spoilt:
            spoilt[chance.randrange(len(spoilt))] = chance.choice((0, 0x1A, 0x22, 0x80, 0xFC, 0xFF, chance.randrange(256)))
    return bytes(spoilt[: chance.choice((len(spoilt), len(spoilt), chance.randrange(len(spoilt) + 1)))])


def typed(chance, headers, rows):
    """The columns with a type each, as Parquet and JSON have them."""
    kinds = (
        "str",
        "str",
        "category",
        "float64",
        "Int64",
        "bool",
        "datetime64[ns]",
        "object",
        "list",
        "bytes",
        "decimal",
        "timedelta64[ns]",
    )
    frame = pd.DataFrame(rows, columns=[header.replace("\0", "") or "none" for header in headers], dtype=object)
    frame.columns = [f"{name}_{place}" if place in duplicated(frame.columns) else name for place, name in enumerate(frame.columns)]
    for name in frame.columns:
        kind = chance.choice(kinds)
        cells = frame[name]
        if kind in ("float64", "Int64"):
            numbers = pd.to_numeric(cells, errors="coerce")
            frame[name] = numbers if kind == "float64" else numbers.round().where(numbers.abs() < 1e15).astype("Int64")
        elif kind == "bool":
            frame[name] = [None if cell == "" else len(cell) % 2 == 1 for cell in cells]
        elif kind == "datetime64[ns]":
            frame[name] = pd.to_datetime(cells, errors="coerce", format="ISO8601", utc=True)
        elif kind == "timedelta64[ns]":
            frame[name] = pd.to_timedelta(range(len(frame)), unit="h")
        elif kind == "category":
            frame[name] = cells.astype("category")
        elif kind == "list":
            frame[name] = [cell.split(";") for cell in cells]
        elif kind == "bytes":
            frame[name] = [cell.encode() for cell in cells]
    return frame


def duplicated(names):
    """Positions of names that occurred before."""
    return [place for place, name in enumerate(names) if name in list(names[:place])]


def as_parquet(chance, headers, rows):
    """The same as a Parquet file."""
    written = io.BytesIO()
    typed(chance, headers, rows).to_parquet(written)
    return (spoil_bytes(chance, written.getvalue()) if chance.random() < 0.1 else written.getvalue()), "parquet"


def as_json_lines(chance, headers, rows):
    """The same as JSON Lines, some lines with other keys and values."""
    lines = []
    for row in rows:
        cells = dict(zip(headers, row, strict=True))
        for header in [header for header in headers if chance.random() < 0.05]:
            cells[header] = chance.choice(
                (None, True, 5, 5.5, 10**30, ["a", 1], [], {"a": 1}, float("nan"), "\ud800", [[1]], [{"b": None}])
            )
        if chance.random() < 0.05:
            cells.pop(chance.choice(headers), None)
        if chance.random() < 0.05:
            cells["more"] = 1
        lines.append(json.dumps(cells, ensure_ascii=chance.random() < 0.7 or not json.dumps(cells, ensure_ascii=False).isprintable()))
    text = "\n".join(lines)
    if chance.random() < 0.3 and lines:
        text = spoil_text(chance, text, ",")
    return text.encode("utf-8", "replace"), "jsonl"


def as_excel(chance, headers, rows):
    """The same as an Excel file, without what no Excel file can hold."""
    sheet = [["".join(letter for letter in cell if letter >= " ")[:30_000] for cell in row] for row in [headers, *rows]]
    frame = pd.DataFrame(
        [[float(cell) if cell[:5].isdecimal() and len(cell) < 15 else cell for cell in row] for row in sheet], dtype=object
    )
    written = io.BytesIO()
    frame.to_excel(written, header=False, index=False)
    return written.getvalue(), "xlsx"


def spoilt_table(folder, seed):
    """The file of this seed."""
    chance = random.Random(seed)
    headers, rows = clinic(chance)
    spoil_cells(chance, headers, rows)
    write = chance.choice((as_text,) * 7 + (as_parquet, as_json_lines, as_excel))
    data, ending = write(chance, headers, rows)
    path = folder / f"table{seed}.{ending}"
    path.write_bytes(data)
    return path


def command(*arguments):
    """Exit code, what was printed and, where a command died, the traceback."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            code = run([str(argument) for argument in arguments])
    except Exception:
        return -1, "", f"mmtrain {' '.join(map(str, arguments))}\n{traceback.format_exc()[-1500:]}"
    return code, printed.getvalue(), ""


def faults(folder, seed, commands=("inspect-data", "check", "init")):
    """How these commands do not answer a table of this seed as they should."""
    table = spoilt_table(folder, seed)
    declared, begun = folder / f"declared{seed}.yaml", folder / f"begun{seed}.yaml"
    declared.write_text(yaml.safe_dump({"data": {"table": table.name, "images": str(folder)}, "columns": COLUMNS}), encoding="utf-8")
    target = random.Random(seed).choice([(), (), ("--target", "sick"), ("--target", "dose"), ("--target", "tags"), ("--target", "sex")])
    calls = [
        ("inspect-data", table, "--json"),
        ("check", declared, "--json"),
        ("inspect-data", declared, *(("--json",) if seed % 2 else ())),
    ]
    calls += [("init", table, "--output", begun, "--images", folder, *target)]
    done = [(call, *command(*call)) for call in calls if call[0] in commands]
    found = [fault for *_, fault in done if fault]
    for call, _, printed, fault in done:
        if "--json" in call and not fault:
            found += json_faults(call, printed)
    if begun.exists():
        code, printed, fault = command("check", begun, "--json")
        found += [fault] if fault else []
        if (
            code
            and not fault
            and not all(": scan" in one["where"] or one["where"] == "scan" for one in json.loads(printed)["error"]["problems"])
        ):
            found.append(f"init wrote what check refuses: {printed[:600]}")
    return [f"seed {seed}, {table.name}: {fault}" for fault in found]


def json_faults(call, printed):
    """No document, or one with control characters."""
    try:
        json.loads(printed, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    except json.JSONDecodeError as error:
        return [f"mmtrain {call[0]}: {error}: {printed[:300]!r}"]
    return [] if printed == printable(printed) else [f"mmtrain {call[0]}: control characters in {printed[:300]!r}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the tables and their images lie."""
    folder = tmp_path_factory.mktemp("sweep")
    for number in range(4):
        paint(folder / f"{number}.png", 60 * number)
    return folder


@pytest.mark.parametrize("seed", (1, 238, 249, 392, 571, 967, *range(1000, 1006)))
def test_some_spoilt_tables(folder, seed):
    assert not faults(folder, seed, ("check",) if seed % 2 else ("init",))


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(10))
def test_table_sweep(folder, chunk):
    found = [fault for seed in range(CHUNK * chunk, CHUNK * (chunk + 1)) for fault in faults(folder, seed)]
    assert not found, "\n\n".join(found)
