"""What each part of a split holds, by its groups and by every kind of answer."""

import io

import pytest
from rich.console import Console
from tiny import write_experiment, write_table

from mmtrain.artifacts.inspection_results import PartSummary
from mmtrain.cli.views.splits import show_splits
from mmtrain.commands.check import check

ROWS = [
    {"part": "train", "who": "P1", "x": 1, "y": "b", "tags": "red; blue", "red": 1, "w": 1.5},
    {"part": "validation", "who": "P2", "x": 2, "y": "c", "tags": "", "red": 0, "w": -4},
    {"part": "train", "who": "P1", "x": 3, "y": "a", "tags": "blue", "red": "no", "w": 2},
    {"part": "test", "who": "P4", "x": 4, "y": "b", "tags": "red;green", "red": "yes", "w": 8},
    {"part": "train", "who": "P3", "x": 5, "y": "b", "tags": "red", "red": 1, "w": 10},
]
SHOWN = {
    "classes": """\
part        rows  share  groups  a  b  c
train          3  60.0%       2  1  2  0
validation     1  20.0%       1  0  0  1
test           1  20.0%       1  0  1  0
No group is in more than one part.
""",
    "labels and a number": """\
part        rows  share  blue  green  red  median w
train          3  60.0%     2      0    2         2
validation     1  20.0%     0      0    0        −4
test           1  20.0%     0      1    1         8
""",
    "a column of each label": """\
part        rows  share  red
train          3  60.0%    2
validation     1  20.0%    0
test           1  20.0%    1
""",
}
COLUMNS = {
    "classes": "tags: {role: target, task: multilabel}, y: {role: target, task: multiclass}, who: {role: group}",
    "labels and a number": "w: {role: target, task: regression}, tags: {role: target, task: multilabel}",
    "a column of each label": "all: {role: target, task: multilabel, labels: [red]}",
}


def parts_of(folder, columns):
    write_table(folder / "table.csv", ROWS)
    tree = f"columns: {{x: {{role: numeric}}, part: {{role: split}}, {columns}}}\nsplit: {{method: column}}"
    return check(write_experiment(folder / "a.yaml", tree)).summary


@pytest.mark.parametrize("what", COLUMNS)
def test_parts_tell_the_answers_of_their_rows(tmp_path, what):
    console = Console(file=io.StringIO(), width=80)
    show_splits(console, parts_of(tmp_path, COLUMNS[what]))
    assert "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines()) == SHOWN[what]


def test_answers_that_do_not_fit_beside_each_other_are_counted():
    """An empty part has no median."""
    classes = {f"class {number}": number for number in range(10)}
    console = Console(file=io.StringIO(), width=80)
    show_splits(
        console,
        [
            PartSummary(part="train", rows=45, share=1.0, groups=None, classes=classes, medians={"w": 2.5}),
            PartSummary(part="test", rows=0, share=0.0, groups=None, classes=dict.fromkeys(classes, 0), medians={"w": None}),
        ],
    )
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        "part   rows   share  answers  rarest  median w",
        "train    45  100.0%  9 of 10  0 rows       2.5",
        "test      0    0.0%  0 of 10  0 rows         –",
    ]
