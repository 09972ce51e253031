"""The commands of the README, each in a process of its own: what one process has imported hides that another does not import it."""

import csv
import json
import re

import pytest
from tiny import paint, start, two_blobs, write_experiment

TREE = """
name: tiny
columns:
  x: {role: numeric}
  city: {role: categorical}
  note: {role: text}
  scan: {role: image, size: [8, 8], channels: 1, missing: mask, augment: {flip: both}}
  y: {role: target, task: binary}
branches:
  scan: {columns: [scan], filters: [2]}
  table: {columns: [x, note], units: [4]}
  city: {columns: [city], architecture: tabm, members: 2, units: [4]}
fusion: {method: attention, units: [4], auxiliary: 0.3}
training: {epochs: 1, batch_size: 16}
evaluation: {calibration: temperature, draws: 100}
"""
ROWS = 40
NATIVE_LINE = re.compile(r"^[EWI]\d{4} \d\d:", re.MULTILINE)
"""A line that TensorFlow's own code writes to standard error: `E0000 00:00:... oneDNN supports ...`."""
COMMANDS = [
    ["inspect-data", "tiny.yaml"],
    ["check", "tiny.yaml"],
    ["fit", "tiny.yaml"],
    ["evaluate", "tiny"],
    ["predict", "tiny", "table.csv", "-o", "predictions.csv"],
    ["explain", "tiny", "--rows", "0", "-o", "explained"],
    ["export", "tiny", "--format", "keras"],
    ["export", "tiny", "--format", "onnx"],
]


@pytest.mark.slow  # each process that needs TensorFlow takes five seconds
def test_every_command_of_the_readme_works_in_a_process_of_its_own(tmp_path):
    for row in range(ROWS):
        paint(tmp_path / f"{row}.png", 200 * (row % 2))
    two_blobs(tmp_path, ROWS, city=lambda row: f"c{row % 3}", note=lambda row: f"word{row % 4} again", scan=lambda row: f"{row}.png")
    write_experiment(tmp_path / "tiny.yaml", TREE)
    for arguments in COMMANDS:
        process = start(*arguments, folder=tmp_path)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, (arguments, said)
        assert "Traceback" not in said, (arguments, said)
        assert not NATIVE_LINE.search(said), (arguments, said)
    run = tmp_path / "runs" / "tiny" / "1"
    assert list(json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]) == ["y"]
    assert (run / "report.html").stat().st_size > 10_000
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        assert [line["row"] for line in csv.DictReader(file)] == [str(row) for row in range(ROWS)]
    assert (tmp_path / "explained").is_dir()
    assert {path.name for path in (run / "exports").iterdir()} == {"keras", "onnx"}
