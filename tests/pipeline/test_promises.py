"""What every path must keep: rows never drift apart, nothing is learned from rows that are not for training, a seed is a seed."""

import csv
import json
import shutil
import subprocess
import sys
from contextlib import contextmanager

import keras
import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf
import yaml
from medical_files import nifti
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import HEAVY, lines, paint, ready, write_experiment, write_table

from mmtrain.batches import Batches
from mmtrain.columns import roles
from mmtrain.columns.base import fitted_roles
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.pipeline.build import assemble_network
from mmtrain.targets import tasks
from mmtrain.training import device
from mmtrain.training.step import TrainStep
from mmtrain.training.validation import predict_rows

pytestmark = pytest.mark.usefixtures("models_opened_once")

ROWS = 60
WITHOUT_NUMBER = {5, 17, 33}
WITHOUT_IMAGE = {8, 40}  # 8 names a file that does not exist, 40 nothing
LEFT = [row for row in range(ROWS) if row not in WITHOUT_NUMBER | WITHOUT_IMAGE]

NUMBERED = """
name: numbered
columns:
  who: {role: id}
  scan: {role: image, size: [8, 8], channels: 1, missing: drop, augment: {flip: both, rotate: 20, brightness: 0.3}}
  number: {role: numeric, normalize: none, missing: drop}
  city: {role: categorical, encode: one_hot}
  note: {role: text, vectorize: tokens}
  answer: {role: target, task: regression}
  weighty: {role: weight}
branches:
  scan: {columns: [scan], architecture: cnn, filters: [4]}
  note: {columns: [note], width: 4}
  rest: {columns: [number, city], units: [4]}
fusion: {units: [4]}
split: {method: random, validation: 0.2, test: 0.2, seed: 3}
training: {epochs: 3, batch_size: 8, learning_rate: 0.01}
"""


def numbered_table(folder):
    """Row i holds i everywhere: in its id, brightness, number, category, text, answer and weight."""
    rows = []
    for row in range(ROWS):
        if row not in WITHOUT_IMAGE:
            paint(folder / "scans" / f"{row}.png", row)
        scan = {8: "scans/8.png", 40: ""}.get(row, f"scans/{row}.png")
        number = "" if row in WITHOUT_NUMBER else row
        rows.append({"who": f"r{row}", "scan": scan, "number": number, "city": f"c{row}", "note": f"w{row}", "answer": row, "weighty": row})
    write_table(folder / "table.csv", rows)
    return write_experiment(folder / "numbered.yaml", NUMBERED)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    return numbered_table(tmp_path_factory.mktemp("numbered"))


DETERMINISTIC = "training.deterministic=true"


@contextmanager
def deterministic_for_now():
    """TensorFlow stays deterministic until it is told otherwise; the other tests are not."""
    try:
        yield
    finally:
        tf_config.disable_op_determinism()


@pytest.fixture(scope="module")
def run(numbered):
    """Deterministic, so that it can be compared with the run of another process."""
    with deterministic_for_now():
        return fit(numbered, overrides=[DETERMINISTIC], output=numbered.parent / "runs").run


@pytest.fixture(scope="module")
def before(run):
    """What lay in the run before anything was evaluated: its files, and run.json."""
    return {path.name for path in run.folder.iterdir()}, run.read_json("run.json")


@pytest.fixture(scope="module")
def scored(run, before):
    """The first evaluation; `scored_once` is a copy of the run as it stood then."""
    with deterministic_for_now():
        found = evaluate(str(run.folder))
    shutil.copytree(run.folder, run.folder.parents[2] / "scored_once")
    return found


# Rows never drift apart


def test_rows_without_a_value_leave_every_column(numbered):
    found = ready(numbered)
    assert found.data.table.ids() == [f"r{row}" for row in LEFT]
    assert {dropped.row for dropped in found.data.table.dropped} == WITHOUT_NUMBER | WITHOUT_IMAGE
    assert len(found.arrays) == len(LEFT) == 55


def test_everything_in_a_batch_is_of_one_row_in_every_epoch(numbered):
    found = ready(numbered)
    cities, words = found.fitted.columns["city"].categories, found.fitted.columns["note"].words
    table, seen, orders = found.data.table, 0, set()
    for epoch in (1, 2, 3):
        visited = []
        for batch in Batches(found.arrays, found.partition.train, 8, seed=found.experiment.training.seed).epoch(epoch):
            for place, row in enumerate(batch.rows.tolist()):
                number = LEFT[row]  # what this row of the table holds everywhere
                assert table.ids()[row] == f"r{number}"
                assert int(table.rows[row]) == number
                assert (batch.inputs["scan"][place] == number).all()
                assert batch.inputs["number"][place].tolist() == [number]
                assert cities[int(batch.inputs["city"][place, 0]) - 2] == f"c{number}"
                assert [words[code - 3] for code in batch.inputs["note"][place]] == [f"w{number}"]
                assert batch.targets["answer"][place] == number
                assert batch.weights["answer"][place] == np.float32(number / found.fitted.weight_mean)
                assert [batch.inputs[f"{key}_present"][place, 0] for key in ("scan", "number", "city", "note")] == [1, 1, 1, 1]
                visited.append(row)
                seen += 1
        assert sorted(visited) == found.partition.train.tolist()
        orders.add(tuple(visited))
    assert seen == 3 * len(found.partition.train) == 3 * 33
    assert len(orders) == 3


def csv_rows(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_predictions_are_of_their_rows(run, scored):
    parts = {row["row"]: row["part"] for row in csv_rows(run / "split.csv")}
    predictions = csv_rows(scored.predictions)
    assert len(predictions) == 11
    for row in predictions:
        assert row["id"] == f"r{row['row']}"
        assert float(row["truth"]) == int(row["row"])
        assert parts[row["row"]] == "test"
    assert [row["row"] for row in predictions] == [row for row, part in parts.items() if part == "test"]


@pytest.mark.slow
@pytest.mark.parametrize("imports", ["import keras, mmtrain", "import mmtrain, keras", "import mmtrain, tensorflow, keras"])
def test_model_opens_in_keras_in_a_process_of_its_own(run, tmp_path, imports):
    program = f"{imports}; keras.models.load_model({str(run / 'model.keras')!r}, safe_mode=True)"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def answers(run):
    """The saved model, opened by Keras alone, its safe mode on, and traced once: it has all the decoders of images.

    The tests that use it stand together: a network begun in between would have TensorFlow optimize its graph again, for 3 s.
    """
    opened = keras.models.load_model(run / "model.keras", safe_mode=True)
    signature = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in opened.inputs}
    return tf.function(opened, input_signature=[signature], autograph=False)


@pytest.mark.slow
def test_saved_model_gives_the_same_predictions_for_raw_inputs(run, scored, answers):
    """Fed from the table and the images themselves."""
    predictions = pd.read_csv(scored.predictions)
    table = pd.read_csv(run.folder.parents[2] / "table.csv").iloc[predictions["row"]]
    raw = {
        "scan": tf.constant([(run.folder.parents[2] / name).read_bytes() for name in table["scan"]])[:, None],
        "number": table["number"].to_numpy(np.float64)[:, None],
        "city": tf.constant(table["city"].tolist())[:, None],
        "note": tf.constant(table["note"].tolist())[:, None],
    }
    raw = {key: tf.constant(values) for key, values in raw.items()}
    found = answers(raw)["answer"].numpy()[:, 0]
    assert len(found) == 11
    np.testing.assert_allclose(found, predictions["prediction"], rtol=1e-5)
    assert np.ptp(found) > 0
    shuffled = np.random.default_rng(0).permutation(11)
    again = answers({key: tf.gather(values, shuffled) for key, values in raw.items()})["answer"].numpy()[:, 0]
    np.testing.assert_allclose(again, found[shuffled], rtol=1e-5)


@pytest.mark.slow
def test_saved_model_holds_no_augmentation(answers):
    images = [tf.io.encode_png(pixels).numpy() for pixels in np.random.default_rng(0).integers(0, 255, (2, 8, 8, 1)).astype(np.uint8)]
    raw = {
        "scan": tf.constant([[images[0]]] * 3 + [[images[1]]] * 3),
        "number": tf.fill((6, 1), tf.constant(4.0, tf.float64)),
        "city": tf.constant([["c4"]] * 6),
        "note": tf.constant([["w4"]] * 6),
    }
    found = answers(raw)["answer"].numpy()[:, 0]
    assert (found[:3] == found[0]).all()
    assert (found == answers(raw)["answer"].numpy()[:, 0]).all()


# Nothing is learned from rows that are not for training

EVERYTHING = """
columns:
  who: {role: id}
  patient: {role: group}
  part: {role: split}
  counts: {role: weight}
  scan: {role: image, size: [8, 8], channels: 1}
  standard: {role: numeric}
  minmax: {role: numeric, normalize: minmax}
  plain: {role: numeric, normalize: none, missing: mask}
  city: {role: categorical}
  often: {role: categorical, min_count: 2, max_categories: 3, encode: one_hot}
  bag: {role: text}
  words: {role: text, vectorize: tokens, column: bag, max_tokens: 5}
  photos: {role: images, size: [8, 8], channels: 1, most: 2}
  ct: {role: volume, size: [2, 4, 4]}
  call: {role: audio, sample_rate: 4000, seconds: 0.1, mels: 8}
  vector: {role: embedding}
  pulse: {role: sequence}
  seen: {role: date}
  binary: {role: target, task: binary}
  multiclass: {role: target, task: multiclass}
  multilabel: {role: target, task: multilabel}
  regression: {role: target, task: regression}
  binned: {role: target, task: regression, column: regression, bins: 4}
  gaussian: {role: target, task: gaussian, column: regression}
  quantiles: {role: target, task: quantiles, column: regression}
  count: {role: target, task: count}
  rate: {role: target, task: count, column: count, exposure: years}
  ordinal: {role: target, task: ordinal, order: [low, middle, high]}
  survival: {role: target, task: survival, time: days, event: died}
  ranking: {role: target, task: ranking, column: count, group: patient}
  several: {role: target, task: vector, columns: [left, right]}
split: {method: column}
training: {epochs: 1, class_weights: balanced}
"""


def everything(folder, *, garbage):
    """Twenty rows of training, ten of validation, ten of test; these hold `garbage` or the same sort of cells as training."""
    rows = []
    for row in range(40):
        part = ("train", "train", "validation", "test")[row % 4]
        odd = garbage and part != "train"
        paint(folder / f"{row}.png", (row * 37) % 256 if odd else row)
        soundfile.write(folder / f"{row}.wav", np.full(400, 0.9 if odd else row / 100), 4000)
        (folder / f"{row}.nii").write_bytes(nifti(np.full((4, 4, 2), 200 if odd else row, dtype=np.uint8)))
        rows.append(
            {
                "who": f"r{row}",
                "patient": f"p{row}",
                "part": part,
                "counts": 1e6 if odd else 1,
                "scan": f"{row}.png",
                "standard": -1e30 if odd else row,
                "minmax": 1e30 if odd else row / 2,
                "plain": "" if odd else row % 5,
                "city": f"garbage {row}" if odd else f"c{row % 3}",
                "often": f"g{row % 2}" if odd else f"o{row % 5}",
                "bag": "x y z zz zzz zzzz zzzzz zzzzzz" if odd else ("" if row % 8 == 0 else f"one two{row % 3} three{row % 7}"),
                "photos": f"{row}.png;{(row + 4) % 40}.png",
                "ct": f"{row}.nii",
                "call": f"{row}.wav",
                "vector": "[1e30, -1e30]" if odd else f"[{row}, {row % 5}]",
                "pulse": "[1e30, -1e30, 1e30, 7]" if odd else f"[{row % 3}, {row % 4}]",
                "seen": "1800-01-01T05:30:00" if odd else f"2024-01-{row % 28 + 1:02}",
                "binary": "no" if odd else ("no", "yes")[row % 3 == 0],
                "multiclass": f"new {row}" if odd else "abc"[row % 3],
                "multilabel": "new;newer" if odd else ("", "a", "a;b", "b;c")[row % 7 % 4],
                "regression": 1e30 if odd else row**2,
                "count": 1_000_000 if odd else row % 6,
                "years": 1e-6 if odd else 1 + row % 4,
                "ordinal": "high" if odd else ("low", "middle", "high")[row % 5 % 3],
                "days": 1e6 if odd else row + 1,
                "died": "no" if odd else ("no", "yes")[row % 3 > 0],
                "left": 1e30 if odd else row,
                "right": -1e30 if odd else row % 7,
            }
        )
    write_table(folder / "table.csv", rows)
    return write_experiment(folder / "everything.yaml", EVERYTHING)


def test_no_statistic_changes_when_validation_and_test_rows_are_garbage(tmp_path):
    usual = ready(everything(tmp_path / "usual", garbage=False))
    odd = ready(everything(tmp_path / "odd", garbage=True))
    assert usual.partition.train.tolist() == odd.partition.train.tolist() == [row for row in range(40) if row % 4 < 2]
    assert (tmp_path / "usual" / "table.csv").read_bytes() != (tmp_path / "odd" / "table.csv").read_bytes()
    text = usual.fitted.model_dump_json(indent=1)
    assert text == odd.fitted.model_dump_json(indent=1)
    # Nothing is left out of the comparison: every role that learns, and every task.
    assert {column.role for column in usual.experiment.columns.values()} == set(roles) - {
        "time"
    }  # it goes with another split method than `split`
    assert {column.role for column in usual.fitted.columns.values()} == set(fitted_roles)
    assert {target.task for target in usual.fitted.targets.values()} == set(tasks)
    assert (len(usual.fitted.columns), len(usual.fitted.targets)) == (14, 13)
    weights = {key: target.weights for key, target in usual.fitted.targets.items() if hasattr(target, "weights")}
    assert set(weights) == {"binary", "multiclass", "multilabel", "ordinal"}
    assert weights["binary"] == pytest.approx((20 / (2 * 13), 20 / (2 * 7)))
    for key, target in usual.fitted.targets.items():
        assert (usual.arrays.weights[key][usual.partition.train] == odd.arrays.weights[key][odd.partition.train]).all()
        assert target.baseline(1).tolist() == odd.fitted.targets[key].baseline(1).tolist()
    for key in usual.fitted.columns:
        one, other = usual.arrays.columns(usual.partition.train), odd.arrays.columns(odd.partition.train)
        assert (one[key] == other[key]).all()
        assert (one[f"{key}_present"] == other[f"{key}_present"]).all()


def test_columns_file_of_a_run_is_what_training_rows_taught(numbered, run):
    assert (run / "columns.json").read_text(encoding="utf-8") == ready(numbered).fitted.model_dump_json(indent=1) + "\n"


# The test part is scored by evaluate, and there only


def test_fit_never_scores_the_test_part(run, before):
    files, facts = before
    recorded = {"config.yaml", "run.json", "data.json", "split.csv", "columns.json", "statistics.json", ".lock"}
    written = {"metrics.jsonl", "checkpoints", "model.keras", "network.json", "epochs.csv", "plots", "report.html", "model_card.md"}
    assert files == recorded | written
    assert "evaluations" not in facts
    recorded = lines(run / "metrics.jsonl")
    assert len(recorded) == 3
    assert not [name for line in recorded for name in line if "test" in name]


def test_every_look_at_the_test_part_is_recorded(run, scored):
    looks = [scored.test_looks, *(evaluate(str(run.folder), EvaluateOptions(part=part)).test_looks for part in ("validation", "test"))]
    assert looks == [1, 0, 2]
    recorded = run.read_json("run.json")["evaluations"]
    assert [(look["part"], look["rows"], look["table"]) for look in recorded] == [
        ("test", 11, "table.csv"),
        ("validation", 11, "table.csv"),
        ("test", 11, "table.csv"),
    ]
    assert sorted(run.read_json("metrics.json")) == ["test", "validation"]


# A seed is a seed


def network_weights(found, seed):
    device.prepare(seed, deterministic=False)
    return [variable.numpy() for variable in assemble_network(found.experiment, found.fitted).network.trainable_variables]


def test_split_order_augmentation_and_first_weights_follow_from_the_seed(numbered):
    one, other = ready(numbered), ready(numbered)
    for part, positions in one.partition.items():
        assert positions.tolist() == other.partition[part].tolist()
    batches = 0
    for found, again in zip(
        Batches(one.arrays, one.partition.train, 8, 0, 8).epoch(2),
        Batches(other.arrays, other.partition.train, 8, 0, 8).epoch(2),
        strict=True,
    ):
        assert found.rows.tolist() == again.rows.tolist()
        assert (found.uniforms == again.uniforms).all()
        batches += 1
    assert batches == 5
    weights, same, another = network_weights(one, 0), network_weights(other, 0), network_weights(one, 1)
    assert len(weights) == 10
    assert all((a == b).all() for a, b in zip(weights, same, strict=True))
    assert not all((a == b).all() for a, b in zip(weights, another, strict=True))


@pytest.mark.slow  # two trainings of one experiment are equal in test_child_run.py
def test_resolved_file_of_a_run_gives_the_same_run(run, tmp_path):
    with deterministic_for_now():
        again = fit(run / "config.yaml", output=tmp_path / "runs").run
    assert str(again) == "numbered/1"
    for name in ("split.csv", "columns.json", "data.json"):
        assert (again / name).read_bytes() == (run / name).read_bytes()
    one, other = (yaml.safe_load((found / "config.yaml").read_text()) for found in (run, again))
    assert one.pop("data") != other.pop("data")  # paths are relative to the run folder
    assert one == other
    assert_equal_trainings(run, again)


def assert_equal_trainings(one, other):
    """To the bit: what every epoch scored, and the weights and momenta of both checkpoints."""
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    compared = 0
    for name in ("best", "last"):
        for file in ("weights.npz", "optimizer.npz"):
            with np.load(one / "checkpoints" / name / file) as first, np.load(other / "checkpoints" / name / file) as second:
                assert first.files == second.files
                for key in first.files:
                    assert first[key].tobytes() == second[key].tobytes(), key
                    compared += 1
    assert compared > 60


@pytest.fixture(scope="module")
def deterministic_runs(numbered, scored, tmp_path_factory):
    """Fit and evaluate with `deterministic: true`, in this process and in a fresh one, which tells its imports."""
    folder = tmp_path_factory.mktemp("deterministic")
    fresh = folder / "fresh"
    program = (
        "import json, sys; from pathlib import Path; from mmtrain.cli.app import run; file, wish, output = sys.argv[1:]; "
        "code = run(['fit', file, '--set', wish, '--quiet', '--output', output])"
        " or run(['evaluate', '--quiet', '--output', output]); "
        "Path(output, 'imported.json').write_text(json.dumps(sorted(sys.modules))); sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", program, str(numbered), DETERMINISTIC, str(fresh)], cwd=folder, check=True, timeout=300)
    return [fresh / "numbered" / "1", numbered.parent / "scored_once"]


@pytest.mark.slow  # the fresh process; two runs of one process are equal to the bit above
def test_deterministic_runs_in_two_processes_are_equal_to_the_bit(deterministic_runs):
    one, other = deterministic_runs
    assert json.loads((one / "run.json").read_text())["deterministic"] is True
    for name in ("predictions_test.csv", "metrics.json", "split.csv", "columns.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert_equal_trainings(one, other)


@pytest.mark.slow  # of the same process
def test_fit_and_evaluate_do_not_import_scikit_learn(deterministic_runs):
    imported = set(json.loads((deterministic_runs[0].parents[1] / "imported.json").read_text()))
    assert imported & HEAVY == HEAVY - {"sklearn"}


# Augmentation


def test_augmentation_never_touches_rows_that_are_judged(numbered):
    """The same network and rows, with wild augmentation and without, are judged alike; in training they differ."""
    wild = ready(numbered, ["columns.scan.augment={flip: both, rotate: 180, shift: 0.5, brightness: 0.9, contrast: 0.9}"])
    tame = ready(numbered, ["columns.scan.augment={}"])
    found = []
    for one in (wild, tame):
        device.prepare(0, deterministic=False)
        steps = TrainStep(one.experiment.training, one.experiment.columns, one.fitted, assemble_network(one.experiment, one.fitted))
        losses, predictions = predict_rows(steps, one.arrays, np.concatenate([one.partition.validation, one.partition.test]))
        batch = next(Batches(one.arrays, one.partition.train, 8, 0, steps.uniform_columns).epoch(1))
        pixels = steps.augmenter.inputs(batch.tree())["scan"]
        found.append((losses["answer"], predictions["answer"], np.asarray(pixels), batch.inputs["scan"]))
    assert len(found[0][0]) == 22
    assert (found[0][0] == found[1][0]).all()
    assert (found[0][1] == found[1][1]).all()
    assert not (found[0][2] == found[0][3]).all()  # wild: training images were changed
    assert (found[1][2] == found[1][3]).all()


def test_judging_changes_no_weight_and_no_row_depends_on_its_neighbours(numbered):
    found = ready(numbered, ["fusion.dropout=0.5"])
    device.prepare(0, deterministic=False)
    models = assemble_network(found.experiment, found.fitted)
    steps = TrainStep(found.experiment.training, found.experiment.columns, found.fitted, models)
    steps.train(next(Batches(found.arrays, found.partition.train, 8, 0, steps.uniform_columns).epoch(1)), [0.001])
    before = [variable.numpy().copy() for variable in models.network.variables]
    _, together = predict_rows(steps, found.arrays, found.partition.test)
    alone = [predict_rows(steps, found.arrays, np.array([row]))[1]["answer"][0] for row in found.partition.test]
    assert len(alone) == 11
    np.testing.assert_allclose(alone, together["answer"], rtol=1e-5)
    assert all((one == variable.numpy()).all() for one, variable in zip(before, models.network.variables, strict=True))
