"""Dates, vectors, series and joined texts from the table to the export: trained, saved, predicted alike, explained."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tiny import write_experiment

EXPERIMENT = """
data: {tables: {vitals: {table: vitals.csv, key: patient, time: hour}}}
columns:
  vitals: {role: sequence, columns: [vitals.pulse, vitals.pressure], time: vitals.hour, step: 1}
  events: {role: sequence, column: vitals.pulse, most: 4}
  face: {role: embedding}
  note: {role: text, columns: [title, body], accents: remove}
  amount: {role: numeric, normalize: yeo_johnson, clip: 0.01, missing: mean}
  rank: {role: numeric, column: amount, normalize: quantile, missing: mask}
  street: {role: categorical, buckets: 16}
  seen: {role: date}
  age: {role: date, column: seen, since: born, parts: [days], missing: mask}
  y: {role: target, task: binary}
branches:
  vitals: {columns: [vitals], architecture: tcn, width: 8, blocks: 2}
  events: {columns: [events], architecture: gru, units: 8}
  table: {columns: [face, amount, rank, street, seen, age]}
  note: {columns: [note]}
training: {epochs: 2, batch_size: 32, jit: 'off', steps_per_call: 1}
evaluation: {draws: 100, permutations: 1}
"""


def tables(rows=160):
    random = np.random.default_rng(0)
    vitals, patients = [], []
    for row in range(rows):
        answer, count = row % 2, int(random.integers(2, 8)) if row % 19 else 0
        for hour in np.sort(random.uniform(0, 9, count)).round(2):
            pulse = "" if random.random() < 0.1 else round(60 + (4 if answer else -4) * hour, 1)
            vitals.append({"patient": row, "hour": hour, "pulse": pulse, "pressure": round(random.normal(100, 5))})
        patients.append(
            {
                "patient": row,
                "face": "" if row % 23 == 1 else json.dumps(random.normal(answer, 2, 5).round(3).tolist()),
                "title": random.choice(["Café visit", "Rash", ""]),
                "body": random.choice(["since May", "日本語のテキスト", ""]),
                "amount": "" if row % 29 == 1 else round(float(np.exp(random.normal(3, 1))), 2),
                "street": f"s{random.integers(0, 90)}",
                "seen": f"{random.integers(1, 29):02}/{random.integers(1, 13):02}/2021",
                "born": "" if row % 31 == 1 else f"{random.integers(1940, 2000)}-05-01",
                "y": ["no", "yes"][answer],
            }
        )
    # The rows of a patient come in any order.
    return pd.DataFrame(patients), pd.DataFrame(vitals).sample(frac=1, random_state=0)


def mmtrain(folder, *words):
    done = subprocess.run([sys.executable, "-m", "mmtrain", *words], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("roles")
    patients, vitals = tables()
    patients.to_csv(folder / "table.csv", index=False)
    vitals.to_csv(folder / "vitals.csv", index=False)
    write_experiment(folder / "roles.yaml", EXPERIMENT)
    mmtrain(folder, "fit", "roles.yaml", "--output", "runs")
    return folder


@pytest.mark.slow  # 60 s: each command starts TensorFlow
def test_roles_are_scored_explained_and_shown(folder):
    run = str(folder / "runs" / "roles" / "1")
    assert "missing: vitals and events" in mmtrain(folder, "evaluate", run)
    explained = mmtrain(folder, "explain", run, "--verbose")
    assert "vitals: training means at the times of the row" in explained
    gaps = [float(part.split(" %")[0]) for part in explained.split("(gap ")[1:]]
    assert len(gaps) == 10
    assert max(gaps) < 1
    report = (folder / "runs" / "roles" / "1" / "report.html").read_text(encoding="utf-8")
    assert "vitals.pulse and vitals.pressure: " in report
    assert "hashed into 16 codes" in report


@pytest.mark.slow
def test_exports_of_roles_predict_what_a_fresh_process_predicts(folder):
    run = folder / "runs" / "roles" / "1"
    mmtrain(folder, "predict", str(run), "table.csv", "-o", "predicted.csv")
    predicted = pd.read_csv(folder / "predicted.csv")
    for form in ("saved_model", "onnx"):
        mmtrain(folder, "export", str(run), "--format", form)
    (signature,) = run.rglob("saved_model/signature.json")
    # The lists of the second table, as a program without mmtrain gives them.
    patients, vitals = tables()
    lists = vitals.sort_values("hour").astype(str).groupby("patient").agg(list)
    for header in ("pulse", "pressure", "hour"):
        cells = {int(patient): json.dumps(cells) for patient, cells in lists[header].items()}
        patients[f"vitals.{header}"] = patients["patient"].map(cells)
    patients.to_csv(folder / "joined.csv", index=False)
    program = [sys.executable, str(signature.parent / "run.py"), str(signature.parent / "model"), str(folder / "joined.csv")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)["outputs"]
    assert outputs["prediction"] == predicted["prediction"].tolist()
