"""`mmtrain inspect-data`: what is in a table, and that nothing wrong with it stops the inspection."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from mmtrain.artifacts.inspection_results import ImageProfile, PartSummary
from mmtrain.audit import coded_table
from mmtrain.audit.coded_table import CodedTable
from mmtrain.audit.profiling import profile as profile_module
from mmtrain.audit.profiling import value_counts
from mmtrain.audit.profiling.profile import profile_columns
from mmtrain.cli.app import run
from mmtrain.columns.profile import Profile, Range
from mmtrain.commands.inspect_data import inspect_experiment
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.header_profile import profile_images
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.errors import ConfigError, DataError

N = 40
FOUND = ("findings", "missing")
"""Keys of the JSON that tests of findings look at."""


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))


def write(folder, columns):
    path = folder / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns.keys(), *zip(*columns.values(), strict=True)])
    return path


def study(folder, **more):
    """Forty rows of twenty patients, with different images of two sizes, and the experiment on them."""
    for number in range(N):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8) if number < 30 else (12, 10), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    columns = {
        "scan": [f"{i}.png" for i in range(N)],
        "age": [str(20 + i) for i in range(N)],
        "sex": ["F", "M", "F", ""] * 10,
        "note": ["well", "not so well", "", "-"] * 10,
        "patient": [f"P{i // 2}" for i in range(N)],
        "spare": ["x"] * N,
        "ill": ["no" if i % 4 < 3 else "yes" for i in range(N)],
    }
    columns["ill"] = ["no" if i // 2 % 4 < 3 else "yes" for i in range(N)]
    write(folder, columns | more)
    path = folder / "study.yaml"
    path.write_text(
        "data: {table: t.csv}\n"
        "columns:\n"
        "  scan: {role: image, size: [4, 4], channels: 1}\n"
        "  age: {role: numeric}\n"
        "  gender: {column: sex, role: categorical}\n"
        "  note: {role: text}\n"
        "  patient: {role: group}\n"
        "  ill: {role: target, task: binary}\n"
        "split: {validation: 0.2, test: 0.2}\n"
    )
    return path


def column(found, key):
    return next(column for column in found.columns if column.key == key)


def test_profile_of_numbers_words_and_holes(tmp_path):
    path = write(tmp_path, {"a": ["1", "2.5", "", "x", "2.5"], "b": ["two words", "", "-", "two words", "it's three words"]})
    found = profile_columns(CodedTable(open_table(path)), ["a", "b"])
    assert found["a"] == Profile(
        header="a",
        rows=5,
        missing=1,
        distinct=3,
        frequent=(("2.5", 2), ("1", 1), ("x", 1)),
        rows_per_value=Range(minimum=1.0, median=1.0, maximum=2.0),
        number_cells=3,
        whole=False,
        numbers=Range(minimum=1.0, median=2.5, maximum=2.5),
        not_numbers=("x",),
        words=Range(minimum=1.0, median=1.5, maximum=2.0),
    )
    assert found["b"] == Profile(
        header="b",
        rows=5,
        missing=1,
        distinct=3,
        frequent=(("two words", 2), ("-", 1), ("it's three words", 1)),
        rows_per_value=Range(minimum=1.0, median=1.0, maximum=2.0),
        words=Range(minimum=0.0, median=2.0, maximum=3.0),
        wordless=1,
        spaced=3,
        missing_words=(("-", 1),),
    )


@pytest.mark.parametrize(
    ("cells", "period"),
    [
        (["31.12.2019", "2.1.2020", "", "1.3.2020"], "2019-12-31 to 2020-03-01"),  # the order of texts is another
        (["20200102", "20191231"], "2019-12-31 to 2020-01-02"),
        (["02/01/2020", "31/12/2019"], "2019-12-31 to 2020-01-02"),
        (["2020-01-02"] * 30 + ["soon"], "2020-01-02 to 2020-01-02"),
        (["02/01/2020", "03/01/2020"], ""),  # January, or February and March
        (["2020-01-02", "soon"], ""),
        (["2019", "2020"], ""),  # years, and other numbers
    ],
)
def test_profile_of_dates_has_the_earliest_and_the_latest(tmp_path, cells, period):
    assert profile_columns(CodedTable(open_table(write(tmp_path, {"a": cells, "row": [*range(len(cells))]}))), ["a"])["a"].period == period


def test_screen_of_dates_and_times(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    seen = [f"{1 + row % 28}.{1 + row % 12}.2020" for row in range(N)]
    columns = {"seen": seen, "born": ["3/4/1950"] * N, "visit": [*range(N)], "ill": ["no", "yes"] * (N // 2)}
    write(tmp_path, columns)
    path = tmp_path / "dates.yaml"
    roles = "seen: {role: date}, born: {role: date, format: day_first}, visit: {role: time}, ill: {role: target, task: binary}"
    path.write_text(f"data: {{table: t.csv}}\ncolumns: {{{roles}}}\nsplit: {{method: time}}\n")
    assert run(["inspect-data", str(path), "--quiet"]) == 0
    shown = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert (
        "date\ncolumn  missing  not a date  distinct    earliest      latest\n"
        "seen          0           0        40  2020-01-01  2020-12-24\n" in shown
    )
    assert "date\ncolumn  missing  distinct  most frequent\nborn          0         1  3/4/1950 (40)\n" in shown
    assert (
        "time\ncolumn  missing  not numeric  distinct  smallest  median  largest\n"
        "visit         0            0        40         0    19.5       39\n" in shown
    )


def test_profile_of_a_column_too_large_to_count(tmp_path, monkeypatch):
    monkeypatch.setattr(value_counts, "MOST_BYTES", 5000)
    monkeypatch.setattr(profile_module, "MOST_NUMBERS", 100)
    monkeypatch.setattr(coded_table, "READ_CHUNK_ROWS", 50)
    cells = ["7" if i % 4 == 0 else str(1000 + i) for i in range(1000)]
    found = profile_columns(CodedTable(open_table(write(tmp_path, {"a": cells}))), ["a"])["a"]
    assert (found.rows, found.distinct, found.counted, found.rows_per_value) == (1000, 751, False, None)
    assert found.frequent[0][0] == "7"
    assert 200 < found.frequent[0][1] <= 250
    assert found.numbers is not None
    assert (found.numbers.minimum, found.numbers.maximum) == (7.0, 1999.0)
    assert found.numbers.median == pytest.approx(1332, abs=150)  # of a sample; of all it is 1332


def test_profile_counts_distinct_values_up_to_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(value_counts, "MOST_BYTES", 5000)
    monkeypatch.setattr(value_counts, "MOST_DISTINCT", 300)
    found = profile_columns(CodedTable(open_table(write(tmp_path, {"a": range(1000)}))), ["a"])["a"]
    assert (found.distinct, found.counted) == (300, False)


def test_image_profile_reads_headers_only(tmp_path):
    Image.new("RGB", (4, 2)).save(tmp_path / "a.png")
    Image.new("L", (3, 3)).save(tmp_path / "b.jpg")
    (tmp_path / "c.png").write_text("no image")
    found = profile_images(["a.png", "b.jpg", "a.png", "c.png", "d.png"], ImageFolder(tmp_path))
    assert found == ImageProfile(
        folder=tmp_path,
        paths=4,
        found=2,
        smallest=(2, 4),
        median=(3, 3),
        largest=(3, 3),
        sizes=2,
        formats={"PNG": 1, "JPEG": 1},
        modes={"RGB": 1, "L": 1},
        bits={8: 2},
        bad=found.bad,
        unread=("c.png", found.unread[1]),
    )
    assert [path for path, _ in found.bad] == ["c.png", "d.png"]
    assert found.bad[1][1] == "the file d.png does not exist."


def test_inspection_of_a_sound_experiment(tmp_path):
    found = inspect_experiment(study(tmp_path))
    assert (found.rows, found.dropped, found.unused, found.method, found.problems) == (N, 0, ("spare",), "stratified", ())
    assert [(one.key, one.header, one.role, one.task) for one in found.columns] == [
        ("scan", "scan", "image", ""),
        ("age", "age", "numeric", ""),
        ("gender", "sex", "categorical", ""),
        ("note", "note", "text", ""),
        ("patient", "patient", "group", ""),
        ("ill", "ill", "target", "binary"),
    ]
    assert column(found, "age").profile.numbers == Range(minimum=20.0, median=39.5, maximum=59.0)
    assert (column(found, "gender").profile.missing, column(found, "gender").profile.frequent) == (10, (("F", 20), ("M", 10)))
    assert (column(found, "note").profile.words, column(found, "note").profile.wordless) == (
        Range(minimum=0.0, median=1.0, maximum=3.0),
        10,
    )
    assert column(found, "patient").profile.rows_per_value == Range(minimum=2.0, median=2.0, maximum=2.0)
    assert column(found, "ill").classes == {"no": 30, "yes": 10}
    images = column(found, "scan").images
    assert (images.found, images.smallest, images.largest, images.sizes) == (N, (6, 8), (12, 10), 2)
    assert found.parts == (
        PartSummary(part="train", rows=24, share=0.6, groups=12, classes={"no": 18, "yes": 6}, medians={}),
        PartSummary(part="validation", rows=8, share=0.2, groups=4, classes={"no": 6, "yes": 2}, medians={}),
        PartSummary(part="test", rows=8, share=0.2, groups=4, classes={"no": 6, "yes": 2}, medians={}),
    )


def test_a_word_among_numbers_stops_nothing(tmp_path):
    found = inspect_experiment(study(tmp_path, age=["forty", *range(1, N)]))
    assert [str(problem) for problem in found.problems] == [
        "t.csv:2: age: 'forty' is not a number. "
        "Write a number, or list 'forty' under `data.missing_values` if it stands for a missing value."
    ]
    assert column(found, "age").profile.not_numbers == ("forty",)
    assert column(found, "age").profile.numbers == Range(minimum=1.0, median=20.0, maximum=39.0)
    assert column(found, "scan").image_counts.rows == N
    assert [part.rows for part in found.parts] == [24, 8, 8]


def test_problems_of_every_step_are_found_together(tmp_path):
    path = study(
        tmp_path, age=["forty", *range(1, N)], patient=["", *["P"] * (N - 1)], scan=["gone.png", *[f"{i}.png" for i in range(1, N)]]
    )
    found = inspect_experiment(path, overrides=["columns.note.column=remark"])
    assert [(problem.where, problem.what) for problem in found.problems] == [
        ("--set columns.note.column", "t.csv has no column 'remark'."),
        ("t.csv:2: age", "'forty' is not a number."),
        ("t.csv:2: patient", "the cell is empty."),
        ("t.csv:2: scan", "the file gone.png does not exist."),
    ]
    assert column(found, "note").profile is None
    assert column(found, "scan").images.found == N - 1
    assert found.parts == ()


@pytest.mark.parametrize(
    ("more", "overrides", "problem"),
    [
        (
            {"ill": ["yes", "yes", *["no"] * 38]},
            [],
            "split: class 'yes' has 1 group, fewer than the 3 parts. "
            "Merge it with another class, leave those rows out, or use `split: {method: random}`.",
        ),
        (
            {},
            ["columns.ill.class_weights={maybe: 2}"],
            "--set columns.ill.class_weights.maybe: the table has no class 'maybe'. Its classes are no and yes.",
        ),
        (
            {},
            ["data.images=nowhere"],
            "{folder}/nowhere: the images folder does not exist. Set `data.images` to the folder that image cells are relative to.",
        ),
    ],
    ids=["split", "class weights", "folder"],
)
def test_a_problem_of_a_later_step_is_shown(tmp_path, more, overrides, problem):
    found = inspect_experiment(study(tmp_path, **more), overrides=overrides)
    assert [str(one) for one in found.problems] == [problem.replace("{folder}", str(tmp_path))]
    assert found.rows == N


@pytest.mark.parametrize(("policy", "dropped", "problems"), [("error", 0, 6), ("mask", 0, 0), ("drop", 25, 0)])
def test_unreadable_images_are_listed_up_to_five(tmp_path, policy, dropped, problems):
    path = study(tmp_path)
    for number in range(0, 25):
        (tmp_path / f"{number}.png").write_bytes(b"broken")
    found = inspect_experiment(path, overrides=[f"columns.scan.missing={policy}", "split.method=random"])
    counts = column(found, "scan").image_counts
    assert (counts.rows, counts.empty, counts.unreadable, len(counts.bad)) == (N, 0, 25, 5)
    assert counts.bad[0].where == "t.csv:2: scan"
    assert (found.dropped, len(found.problems)) == (dropped, problems)
    assert found.rows == N
    assert sum(part.rows for part in found.parts) == N - dropped


def test_rows_dropped_for_a_missing_cell_are_counted_also_beside_a_mistake(tmp_path):
    found = inspect_experiment(study(tmp_path, age=["forty", *range(1, N)]), overrides=["columns.gender.missing=drop"])
    assert (found.rows, found.dropped, len(found.problems)) == (N, 10, 1)
    assert column(found, "scan").image_counts.rows == 30


@pytest.mark.parametrize(
    ("declared", "classes"),
    [
        ("{role: target, task: regression, column: age}", None),
        ("{role: target, task: multilabel, column: tags}", {"a": 20, "b": 20}),
        ("{role: target, task: multiclass, column: spare}", {"u": 20, "v": 20}),
    ],
)
def test_balance_of_a_target_by_its_task(tmp_path, declared, classes):
    write(tmp_path, {"age": range(N), "tags": ["a; b", "a", "b", ""] * 10, "spare": ["u", "v"] * 20, "x": [f"{i}.5" for i in range(N)]})
    path = tmp_path / "t.yaml"
    path.write_text(f"data: {{table: t.csv}}\ncolumns:\n  x: {{role: numeric}}\n  y: {declared}\n")
    found = inspect_experiment(path)
    assert column(found, "y").classes == classes
    assert found.problems == ()
    assert found.missing == ()  # a row without a label has an answer


def test_labels_in_columns_of_their_own_are_counted_one_by_one(tmp_path):
    write(tmp_path, {"x": [f"{i}.5" for i in range(N)], "cat": ["1", "0"] * 20, "dog": ["yes", "no", "no", "no"] * 10})
    path = tmp_path / "t.yaml"
    path.write_text("data: {table: t.csv}\ncolumns:\n  x: {role: numeric}\n  y: {role: target, task: multilabel, labels: [cat, dog]}\n")
    found = inspect_experiment(path)
    assert [(one.header, one.classes) for one in found.columns[1:]] == [("cat", {"cat": 20}), ("dog", {"dog": 10})]


@pytest.mark.parametrize(
    ("monitor", "problem"),
    [
        ("validation_y_auc[beech]", "no training row has the label 'beech'. Did you mean 'beach'?"),
        ("validation_y_f1[pond]", "no training row has the label 'pond'. Their labels are beach and lake."),
        ("validation_y_f1[lake]", None),
    ],
)
def test_a_label_to_watch_has_to_be_one_of_training_rows(tmp_path, monitor, problem):
    """The label `pond` is one of test rows only."""
    parts = ["train", "train", "validation", "test"]
    write(tmp_path, {"x": [1.5, 2.5, 3.5, 4.5], "z": [1, 2, 3, 4], "tags": ["lake;beach", "beach", "lake", "pond"], "part": parts})
    path = tmp_path / "t.yaml"
    path.write_text(
        "data: {table: t.csv}\n"
        "columns:\n"
        "  z: {role: target, task: regression}\n"
        "  y: {role: target, task: multilabel, column: tags}\n"
        "  x: {role: numeric}\n"
        "  part: {role: split}\n"
        "split: {method: column}\n"
        f"training: {{early_stopping: {{monitor: '{monitor}'}}}}\n"
    )
    told = [str(one) for one in inspect_experiment(path).problems]
    assert told == ([f"t.yaml:8: training.early_stopping.monitor: {problem}"] if problem else [])


def test_a_wrong_experiment_file_stops_it(tmp_path):
    with pytest.raises(ConfigError):
        inspect_experiment(study(tmp_path), overrides=["columns.age.role=numbre"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "{folder}/t.csv: the table does not exist. Set `data.table` to its path."),
        (
            "scan,age,sex,note,patient,ill\n",
            "t.csv: the table has no rows; at least 2 are needed. Write a line below the headers for every row.",
        ),
    ],
)
def test_a_table_that_cannot_be_read_stops_it(tmp_path, content, problem):
    path = study(tmp_path)
    (tmp_path / "t.csv").unlink()
    if content is not None:
        (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError) as refused:
        inspect_experiment(path)
    assert str(refused.value).startswith(problem.replace("{folder}", str(tmp_path)))


def without_findings(printed):
    """What is shown of the problems, columns and parts; tests of findings look at the rest."""
    lines = [line.rstrip() for line in printed.splitlines()]
    start = next(number for number, line in enumerate(lines) if re.match(r"\d+ (error|warning|note)s?\b|Nothing was found", line))
    # The block ends at an empty line, and its number is repeated at the end.
    rest = lines[lines.index("", start) + 1 :]
    if rest[-1].endswith("listed at the top."):
        rest = rest[:-2]
    return "\n".join([*lines[:start], *rest]) + "\n"


SCREEN = """\
t.csv: 40 rows, 6 of 7 columns used, not used: spare

1 problem for which `mmtrain fit` would refuse the data:
t.csv:2: age: 'forty' is not a number. Write a number, or list 'forty' under `data.missing_values` if it stands for a missing value.

image (height x width in pixels)
column  missing  unreadable  files  smallest  median  largest  sizes
scan          0           0     40     6 x 8   6 x 8  12 x 10      2
scan: PNG 40; mode L 40; 8 bits 40

numeric
column  missing  not numeric  distinct  smallest  median  largest
age           0            1        40         1      20       39

categorical
column        missing  distinct  most frequent
gender (sex)       10         2  F (20), M (10)

text (words in a cell)
column  missing  no words  distinct  fewest  median  most
note         10        10         3       0       1     3

group (rows of a group)
column   missing  groups  fewest  median  most
patient        0      20       2       2     2

target ill, binary
class  rows  share
no       30  75.0%
yes      10  25.0%

empty cells, and what each `missing` would do
sex: 10 (25.0%)
  code (chosen): 10 become a value of their own
  mask: the branch goes without in 10 rows
  error: refused because of 10 cells
  drop: 10 rows leave, 30 are left
note: 10 (25.0%)
  code (chosen): 10 become a value of their own
  mask: the branch goes without in 10 rows
  error: refused because of 10 cells
  drop: 10 rows leave, 30 are left

split, stratified
part        rows  share  groups  no  yes
train         24  60.0%      12  18    6
validation     8  20.0%       4   6    2
test           8  20.0%       4   6    2
No group is in more than one part.
"""


def test_screen_of_an_experiment_at_80_columns(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    path = study(tmp_path, age=["forty", *range(1, N)])
    assert run(["inspect-data", str(path), "--quiet"]) == 0
    printed = capsys.readouterr()
    assert without_findings(printed.out) == SCREEN
    assert printed.err == ""


TABLE_SCREEN = """\
t.csv: 40 rows, 7 columns

columns
column   missing  distinct  contents
scan           0        40  all differ, such as 0.png
age            0        40  20 to 59, median 39.5
sex           10         2  F (20), M (10)
note          10         3  - (10), not so well (10), well (10)
patient        0        20  P0 (2), P1 (2), P10 (2), P11 (2), P12 (2)
spare          0         1  x (40)
ill            0         2  no (30), yes (10)

guessed roles
column   role            because
scan     image           cells end like names of image files, as '0.png'; 6 x 8
                         to 12 x 10 pixels
age      id              a running number
sex      categorical     two values, 'F' and 'M'
note     categorical     3 different values, '-', 'not so well' and 'well'
patient  group           the name says whom a row belongs to: 20 in 40 rows,
                         never torn apart by the split
spare    not used        every cell is 'x'
ill      target, binary  the last column with at most 20 different values; two
                         classes, 'no' and 'yes'; positive: it reads like a yes;
                         please confirm
"""


def test_screen_of_a_table_at_80_columns(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    study(tmp_path)
    assert run(["inspect-data", str(tmp_path / "t.csv")]) == 0
    printed = capsys.readouterr()
    lines = without_findings(printed.out).splitlines()
    folder = slice(lines.index("") + 10, lines.index("guessed roles") - 1)  # wraps as the folder's name is long
    shown = " ".join(lines[folder])
    assert shown.startswith("scan: 40 of 40 files found in")
    assert shown.endswith("PNG 40; mode L 40; 8 bits 40")
    lines[folder] = []
    assert "\n".join(lines) + "\n" == TABLE_SCREEN
    checked, following = printed.err.splitlines()
    assert checked.startswith("checking images: 40 of 40")
    assert following == f"An experiment file with these roles: mmtrain init {tmp_path}/t.csv"


def test_json_of_an_experiment_and_of_a_table(tmp_path, capsys):
    path = study(tmp_path, age=["forty", *range(1, N)])
    assert run(["inspect-data", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    of_split = ["method", "parts", "split_notes"]
    assert list(document) == ["table", "rows", "dropped", "headers", "unused", "columns", *of_split, "problems", *FOUND]
    assert document["problems"][0]["where"] == "t.csv:2: age"
    assert document["columns"][0]["images"]["bits"] == {"8": N}
    assert document["columns"][1]["profile"]["numbers"] == {"minimum": 1.0, "median": 20.0, "maximum": 39.0}
    train = {"part": "train", "rows": 24, "share": 0.6, "groups": 12, "classes": {"no": 18, "yes": 6}, "medians": {}}
    assert document["parts"][0] == train
    assert run(["inspect-data", str(tmp_path / "t.csv"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    keys = ["path", "rows", "columns", "target", "images", "classes", "scarce", "format", "notice", "missing_words"]
    assert list(document) == [*keys, FOUND[0]]
    assert document["columns"][6]["guess"]["options"] == {"task": "binary", "positive": "yes"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["study.yaml", "--set", "columns.age.role=numbre"], 2, "Did you mean 'numeric'?"),
        (["none.yaml"], 2, "none.yaml: the file does not exist."),
        (["none.csv"], 3, "none.csv: the table does not exist."),
        (["t.csv", "--set", "a=b"], 2, "--set: t.csv is a table. The option goes with an experiment file, which ends in .yaml."),
    ],
)
def test_exit_codes(tmp_path, monkeypatch, capsys, arguments, code, message):
    study(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(["inspect-data", *arguments]) == code
    assert message in capsys.readouterr().err
