"""Every role and every task through all that a training is for: two experiments have all of them, each trained once.

Scores, messages and options of a role or a task have tests of their own; here all of them pass the same steps.
"""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from medical_files import nifti
from tiny import paint, write_experiment

from mmtrain.cli.app import run
from mmtrain.columns.base import input_roles, roles
from mmtrain.targets.base import tasks

ROWS = 120
SHORT = {"training": {"epochs": 2, "batch_size": 32, "jit": "off", "steps_per_call": 1}}
SCORES = {"evaluation": {"draws": 100, "permutations": 0, "baselines": ["majority"]}}
EXPERIMENTS = {
    "roles": {
        "columns": {
            "name": {"role": "id"},
            "family": {"role": "group"},
            "part": {"role": "split"},
            "worth": {"role": "weight"},
            "amount": {"role": "numeric", "missing": "median"},
            "city": {"role": "categorical"},
            "note": {"role": "text"},
            "born": {"role": "date", "missing": "mask"},
            "face": {"role": "embedding", "missing": "mask"},
            "pulse": {"role": "sequence", "most": 4, "missing": "mask"},
            "scan": {"role": "image", "size": [8, 8], "channels": 1, "missing": "mask"},
            "views": {"role": "images", "size": [8, 8], "channels": 1, "most": 2, "missing": "mask"},
            "call": {"role": "audio", "sample_rate": 8000, "seconds": 0.2, "mels": 8, "missing": "mask"},
            "volume": {"role": "volume", "size": [4, 8, 8], "missing": "mask"},
            "y": {"role": "target", "task": "binary"},
        },
        "split": {"method": "column"},
    },
    "tasks": {
        "columns": {
            "x": {"role": "numeric"},
            "z": {"role": "numeric"},
            "query": {"role": "group"},
            "day": {"role": "time"},
            "ill": {"role": "target", "task": "binary"},
            "kind": {"role": "target", "task": "multiclass"},
            "tags": {"role": "target", "task": "multilabel"},
            "grade": {"role": "target", "task": "ordinal", "order": ["1", "2", "3"]},
            "price": {"role": "target", "task": "regression"},
            "visits": {"role": "target", "task": "count", "distribution": "negative_binomial"},
            "weight": {"role": "target", "task": "gaussian"},
            "height": {"role": "target", "task": "quantiles"},
            "death": {"role": "target", "task": "survival", "time": "months", "event": "died", "intervals": 3},
            "rank": {"role": "target", "task": "ranking", "group": "query"},
            "place": {"role": "target", "task": "vector", "columns": ["left", "right"]},
        },
        "split": {"method": "time"},
    },
}
"""Experiments that together have every role and every task."""


def of_experiment(name, role):
    return {key: column for key, column in EXPERIMENTS[name]["columns"].items() if column["role"] == role}


def test_every_role_and_every_task_is_in_an_experiment():
    """One that is new needs a column in `EXPERIMENTS`, and cells in the table below."""
    assert {column["role"] for one in EXPERIMENTS.values() for column in one["columns"].values()} == set(roles)
    assert {target["task"] for target in of_experiment("tasks", "target").values()} == set(tasks)


def roles_table(folder):
    """A cell of each column that feeds the network is empty in every tenth row, of another row for each."""
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("nibabel")
    random, rows = np.random.default_rng(0), []
    for row in range(ROWS):
        high = row % 2
        paint(folder / f"{row}.png", random.integers(0, 60, (8, 8)).astype(np.uint8) + np.uint8(120 * high))
        (folder / f"{row}.nii").write_bytes(nifti((random.normal(40, 20, (8, 8, 4)) + 90 * high).astype(np.int16)))
        soundfile.write(folder / f"{row}.wav", 0.5 * np.sin(np.arange(1600) * (0.3 + high)) + random.normal(0, 0.02, 1600), 8000)
        cells = {"name": f"r{row}", "family": f"f{row // 4}", "part": ("train", "train", "train", "validation", "test")[row // 4 % 5]}
        cells |= {"worth": 1 + row % 3, "amount": round(random.normal(high, 1), 3)}
        cells |= {"city": ("Oslo", "Rome")[int(random.random() < 0.5)], "note": f"came {('early', 'late')[high]} with {row % 7} bags"}
        cells |= {"born": f"{1950 + row % 40}-05-01", "face": json.dumps(random.normal(high, 1, 4).round(3).tolist())}
        cells |= {"pulse": json.dumps(random.normal(60 + 9 * high, 3, 1 + row % 5).round(1).tolist()), "scan": f"{row}.png"}
        cells |= {"views": f"{row}.png; {row // 2}.png", "call": f"{row}.wav", "volume": f"{row}.nii", "y": ("no", "yes")[high]}
        for number, key in enumerate(inputs_of("roles")):
            if row % 10 == number:
                cells[key] = ""
        rows.append(cells)
    return pd.DataFrame(rows)


def tasks_table():
    random = np.random.default_rng(1)
    x, z = random.normal(size=(2, ROWS))
    level = np.digitize(x + random.normal(0, 0.5, ROWS), [-0.5, 0.5])
    times, ends = random.exponential(np.exp(-x) * 10), random.exponential(15, ROWS)
    cells = {
        "x": x.round(4),
        "z": z.round(4),
        "query": [f"q{row // 6}" for row in range(ROWS)],
        "day": np.arange(ROWS) // 6,
        "ill": np.where(x > 0, "yes", "no"),
    }
    cells |= {"kind": np.array(["a", "b", "c"])[level], "tags": np.array(["a", "a;b", "b"])[level], "grade": level + 1}
    cells |= {"price": (3 + 2 * x + random.normal(size=ROWS)).round(3), "visits": random.poisson(np.exp(0.5 + 0.6 * x))}
    cells |= {"weight": (70 + 5 * x + random.normal(size=ROWS)).round(2), "height": (170 + 9 * z + random.normal(size=ROWS)).round(1)}
    cells |= {"months": np.minimum(times, ends).round(2) + 0.01, "died": (times <= ends).astype(int), "rank": level}
    table = pd.DataFrame(cells | {"left": (2 * x).round(3), "right": (9 - z).round(3)}).astype(object)
    table.loc[::10, "x"] = ""
    return table


def inputs_of(name):
    return [key for key, column in EXPERIMENTS[name]["columns"].items() if column["role"] in input_roles()]


def call(*words):
    assert run([str(word) for word in words]) == 0, words


@pytest.fixture(scope="module", params=list(EXPERIMENTS))
def trained(request, tmp_path_factory, tensorflow):
    """The name of an experiment, the folder of its table, and its run, which is evaluated."""
    folder = tmp_path_factory.mktemp(request.param)
    table = roles_table(folder) if request.param == "roles" else tasks_table()
    table.to_csv(folder / "table.csv", index=False)
    file = write_experiment(folder / f"{request.param}.yaml", EXPERIMENTS[request.param] | SHORT | SCORES)
    call("fit", file, "--output", folder / "runs")
    made = folder / "runs" / request.param / "1"
    call("evaluate", made)
    return request.param, folder, made


@pytest.mark.slow
def test_a_fresh_process_predicts_the_same_bits(trained):
    """All rows, of which some lack a value of each column."""
    name, folder, made = trained
    words = [sys.executable, "-m", "mmtrain", "predict", str(made), str(folder / "table.csv"), "-o", str(folder / "fresh.csv"), "--proba"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    call("predict", made, folder / "table.csv", "-o", folder / "here.csv", "--proba")
    assert (folder / "fresh.csv").read_bytes() == (folder / "here.csv").read_bytes()
    predicted, scored = pd.read_csv(folder / "fresh.csv"), pd.read_csv(made / "predictions_test.csv")
    assert len(predicted) == ROWS
    numbers = [key for key in scored.select_dtypes("number") if key in predicted and key != "row"]
    assert len(numbers) >= len(of_experiment(name, "target"))
    for key in numbers:
        # A row that is in another place of its batch may differ in the last bit.
        assert predicted[key].to_numpy()[scored["row"]] == pytest.approx(scored[key].to_numpy(), rel=1e-5, abs=1e-6), key
        assert np.isfinite(predicted[key]).all(), key


@pytest.mark.slow
@pytest.mark.parametrize("form", ["saved_model", "onnx"])
def test_exports_predict_as_the_model_does(form, trained):
    """`export` compares both on rows of the table, in a process of the export, and removes an export that differs."""
    _, _, made = trained
    call("export", made, "--format", form)
    assert (made / "exports" / form / "signature.json").is_file()


@pytest.mark.slow
def test_every_input_of_every_target_is_explained(trained):
    name, folder, made = trained
    for key in of_experiment(name, "target"):
        call("explain", made, "--target", key, "--rows", "r3" if name == "roles" else "3", "-o", folder / key)
        assert set(pd.read_csv(folder / key / "explanations.csv")["column"]) >= set(inputs_of(name)), key
