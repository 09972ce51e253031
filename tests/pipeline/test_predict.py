"""Predicting a table: row by row in its order, bit for bit what `evaluate` predicts, and every hole told in its row."""

import io
import json
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import paint, two_blobs, write_experiment, write_table

import mmtrain
from mmtrain.cli.app import run as command_line
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.commands.predict import PredictOptions, predict_source
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.prediction_chunks import Source
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.errors import DataError, UsageError
from mmtrain.pipeline.groups.ensemble import load
from mmtrain.system.memory import anonymous_memory

pytestmark = pytest.mark.usefixtures("models_opened_once")

CONFIG = """
name: clinic
data: {images: scans}
columns:
  who: {role: id}
  x: {role: numeric, missing: error}
  age: {role: numeric}
  dose: {role: numeric, missing: drop}
  city: {role: categorical}
  note: {role: text}
  scan: {role: image, size: [8, 8], channels: 1, missing: mask}
  film: {role: image, size: [4, 4], channels: 1}
  house: {role: group}
  y: {role: target, task: binary}
branches:
  scan: {columns: [scan], filters: [4]}
  film: {columns: [film], filters: [4]}
  note: {columns: [note]}
  rest: {columns: [x, age, dose, city]}
split: {method: random, seed: 3}
training: {epochs: 1, deterministic: true, optimizer: sgd}
"""


def cells(row):
    """A usable row with a hole in every column that may have one, each in other rows."""
    return {
        "who": f"p{row}",
        "x": (row % 2) * 2 - 1 + (row % 7) / 10,
        "age": 20 + row % 50 if row % 8 else "",
        "dose": row % 9,
        "city": "" if row % 6 == 1 else f"only{row}" if row % 20 == 7 else ("ulm", "bonn", "trier")[row % 3],
        "note": f"word{row % 5} of all" if row % 10 else "",
        "scan": "" if row % 9 == 2 else f"gone{row}.png" if row % 9 == 5 else f"{row % 40}.png",
        "film": f"{row % 30}.png",
        "house": row // 3,
        "y": ("low", "high")[row % 2],
    }


@pytest.fixture(scope="module")
def clinic(tmp_path_factory, tensorflow):
    """The folder of a trained run; its test part holds holes, categories that no training row has, and masked images."""
    folder = tmp_path_factory.mktemp("clinic")
    for number in range(40):
        paint(folder / "scans" / f"{number}.png", 5 * number)
    write_table(folder / "table.csv", [cells(row) for row in range(300)])
    fit(write_experiment(folder / "clinic.yaml", CONFIG), output=folder / "runs")
    return folder


@pytest.fixture(scope="module")
def loaded(clinic):
    """That run, opened from Python."""
    return mmtrain.load("clinic", output=clinic / "runs")


@pytest.fixture
def mmtrain_called(clinic, capsys, monkeypatch):
    """A command line in that folder; gives the exit code, standard output and standard error."""
    monkeypatch.chdir(clinic)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def called(*arguments):
        capsys.readouterr()
        code = command_line(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return called


def read(path):
    """Predictions as they were written, every cell exactly; probabilities as float32."""
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    names = [name for name in table.columns if name.startswith("probability_")]
    return table.astype(dict.fromkeys(names, "float32"))


@pytest.fixture(scope="module")
def evaluated(clinic):
    """What `evaluate` predicts of the test part."""
    return read(evaluate(output=clinic / "runs").predictions)


def test_a_row_is_predicted_to_the_bit_as_evaluate_predicts_it(clinic, mmtrain_called, evaluated):
    assert mmtrain_called("predict", "clinic", "table.csv", "-o", "all.csv", "--proba")[0] == 0
    predicted = read(clinic / "all.csv")
    assert predicted["row"].tolist() == [str(row) for row in range(300)]
    own = predicted.iloc[evaluated["row"].astype(int)].reset_index(drop=True)
    assert {"unseen category", "masked", "imputed", "a code of its own"} <= {
        told for told in ("unseen category", "masked", "imputed", "a code of its own") if own["status"].str.contains(told).any()
    }
    columns = ["row", "id", "prediction", "probability_high", "probability_low"]
    pd.testing.assert_frame_equal(own[columns], evaluated[columns], check_exact=True)


def test_a_table_from_standard_input_is_predicted_as_the_same_file(clinic, mmtrain_called, monkeypatch):
    text = "".join((clinic / "table.csv").read_text().splitlines(keepends=True)[:40])
    (clinic / "head.csv").write_text(text)
    assert mmtrain_called("predict", "clinic", "head.csv", "-o", "head_out.csv", "--proba")[0] == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, _ = mmtrain_called("predict", "clinic", "-", "-o", "stdin_out.csv", "--proba")
    assert (code, "standard input by clinic/1: y, binary" in out) == (0, True)
    assert (clinic / "stdin_out.csv").read_text() == (clinic / "head_out.csv").read_text()


def test_another_table_is_predicted_and_scored_as_evaluate_does_it(clinic, mmtrain_called):
    write_table(clinic / "newer.csv", [cells(row) for row in range(1000, 1257)])  # one row more than a power of two
    evaluated = evaluate(options=EvaluateOptions(table=clinic / "newer.csv"), output=clinic / "runs")
    code, out, _ = mmtrain_called("predict", "clinic", "newer.csv", "-o", "newer_predicted.csv", "--proba", "--json")
    assert code == 0
    columns = ["row", "id", "prediction", "probability_high", "probability_low"]
    pd.testing.assert_frame_equal(read(clinic / "newer_predicted.csv")[columns], read(evaluated.predictions)[columns], check_exact=True)
    told, kept = json.loads(out)["targets"]["y"], evaluated.targets["y"].to_json()
    assert sorted(told) == ["baselines", "calibration", "classes", "confusion", "interval", "rows", "scores", "task", "unknown_answers"]
    same = sorted(told)[1:]  # of the baselines, evaluate also knows how far the model is from them
    assert {name: told[name] for name in same} == {name: kept[name] for name in same}
    assert evaluated.targets["y"].interval.units_text == "86 groups (house)"


@pytest.mark.slow  # tests/data/test_table_formats.py reads such tables
def test_a_table_with_decimal_commas_is_predicted_like_a_plain_one(clinic, mmtrain_called):
    rows = [cells(row) for row in range(60)]
    write_table(clinic / "points.csv", rows)
    lines = (clinic / "points.csv").read_text().replace(";", "").splitlines()
    rewritten = [line.replace(",", ";").replace(".png", "#png").replace(".", ",").replace("#", ".") for line in lines]
    (clinic / "commas.csv").write_text("\n".join(["A table with decimal commas", *rewritten]) + "\n")
    for name in ("points", "commas"):
        assert mmtrain_called("predict", "clinic", f"{name}.csv", "-o", f"{name}_out.csv", "--proba")[0] == 0
    assert (clinic / "commas_out.csv").read_text() == (clinic / "points_out.csv").read_text()
    unclear = [*rewritten[:1], rewritten[1].replace("-1,0", "-1.000", 1), *rewritten[2:]]
    (clinic / "unclear.csv").write_text("\n".join(unclear) + "\n")
    assert mmtrain_called("predict", "clinic", "unclear.csv", "-o", "unclear_out.csv")[0] == 0
    first = read(clinic / "unclear_out.csv").iloc[0]
    assert first["prediction"] == ""
    assert "x: '-1.000' has a decimal point or grouped digits, in a table whose numbers have decimal commas" in first["status"]


def test_a_row_does_not_depend_on_the_rows_beside_it(loaded):
    frame = pd.DataFrame([cells(row) for row in range(5, 12)])  # with each kind of hole
    together = loaded.predict(frame, proba=True)
    single = pd.concat([loaded.predict(frame.iloc[[row]], proba=True) for row in range(len(frame))])
    pd.testing.assert_frame_equal(together.drop(columns="row"), single.drop(columns="row"), check_exact=True)


GOOD = {"who": "new", "x": 0.5, "age": 40, "dose": 2, "city": "ulm", "note": "word1 of all", "scan": "1.png", "film": "1.png"}

STATUSES = [
    ({}, True, "ok"),
    ({"age": ""}, True, "age: missing, imputed"),
    ({"age": " 41 "}, True, "ok"),
    ({"city": "rom"}, True, "city: unseen category 'rom'"),
    ({"city": ""}, True, "city: missing, has a code of its own"),
    ({"note": ""}, True, "note: missing, has a code of its own"),
    ({"scan": ""}, True, "scan: masked, the cell is empty"),
    ({"scan": "gone.png"}, True, "scan: masked, the file gone.png does not exist"),
    ({"scan": "../table.csv"}, False, "scan: unreadable, the path ../table.csv leaves the images folder {images}"),
    ({"film": "gone.png"}, False, "film: unreadable, the file gone.png does not exist"),
    ({"film": "no_image_at_all.png"}, False, "film: unreadable, no_image_at_all.png: the file is not an image"),
    ({"film": ""}, False, "film: the cell is empty"),
    ({"x": ""}, False, "x: the cell is empty"),
    ({"x": "tall"}, False, "x: 'tall' is not a number"),
    ({"x": "-inf"}, False, "x: '-inf' is infinite"),
    ({"x": "1e40"}, False, "x: '1e40' is too large"),
    ({"age": "forty"}, False, "age: 'forty' is not a number"),
    ({"dose": ""}, False, "dose: the cell is empty"),
    ({"age": "", "city": "rom", "x": "tall"}, False, "x: 'tall' is not a number; age: missing, imputed; city: unseen category 'rom'"),
]


def test_every_row_says_what_was_found_in_it(clinic, mmtrain_called):
    (clinic / "scans" / "no_image_at_all.png").write_text("no image")
    write_table(clinic / "holes.csv", [GOOD | changes for changes, _, _ in STATUSES])
    code, out, err = mmtrain_called("predict", "clinic", "holes.csv", "-o", "holes_out.csv")
    assert (code, out) == (0, "")
    found = read(clinic / "holes_out.csv")
    assert found.columns.tolist() == ["row", "id", "prediction", "status"]
    assert found["status"].tolist() == [status.format(images=clinic / "scans") for _, _, status in STATUSES]
    assert [cell != "" for cell in found["prediction"]] == [usable for _, usable, _ in STATUSES]
    assert "19 rows: 8 predicted, 6 of them with a remark in their status; 11 could not be predicted and say why in their status." in err


@pytest.mark.slow
def test_rows_that_cannot_be_predicted_can_be_left_out(clinic, mmtrain_called):
    write_table(clinic / "bad.csv", [GOOD, GOOD | {"x": ""}, GOOD | {"age": ""}])
    code, out, err = mmtrain_called("predict", "clinic", "bad.csv", "--on-error", "skip")
    assert code == 0
    assert [line.split(",")[0] for line in out.splitlines()] == ["row", "0", "2"]
    assert "3 rows: 2 predicted, 1 of them with a remark in their status; 1 could not be predicted and were left out." in err


@pytest.mark.parametrize("to", [["-o", "never.csv"], *(pytest.param(to, marks=pytest.mark.slow) for to in (["-o", "never.parquet"], []))])
def test_rows_that_cannot_be_predicted_can_stop_everything(clinic, mmtrain_called, to):
    write_table(clinic / "bad.csv", [GOOD, GOOD | {"x": ""}, GOOD | {"age": "old", "film": "lost/0815.png"}])
    before = sorted(path.name for path in clinic.iterdir())
    code, out, err = mmtrain_called("predict", "clinic", "bad.csv", "--on-error", "fail", *to)
    assert (code, out) == (3, "")
    assert err.splitlines()[1:] == [
        "The data cannot be used as they are: 3 problems.",
        "bad.csv:3: x: the cell is empty. Fill it in, or train with another `missing` than `error`.",
        "bad.csv:4: age: 'old' is not a number. Write a number, or list 'old' under `data.missing_values` if it stands for a missing "
        "value.",
        f"bad.csv:4: film: unreadable, the file lost/0815.png does not exist. Paths are relative to the images folder {clinic / 'scans'}.",
    ]
    assert sorted(path.name for path in clinic.iterdir()) == before


def test_all_missing_columns_are_told_at_once_and_before_tensorflow_starts(clinic, mmtrain_called):
    write_table(clinic / "narrow.csv", [{"who": "a", "x": 1, "City": "ulm", "note": "", "dose": 1, "scan": "", "film": ""}])
    code, out, err = mmtrain_called("predict", "clinic", "narrow.csv", "--images", "nowhere")
    assert (code, out) == (3, "")
    assert err.splitlines() == [
        "The data cannot be used as they are: 3 problems.",
        "narrow.csv: the table has no column 'age'. It has who, x, City, note, dose, scan and film.",
        "narrow.csv: the table has no column 'city'. Did you mean 'City'?",
        "nowhere: the images folder does not exist. Set `--images` to the folder that image cells are relative to.",
    ]


def test_a_table_that_is_not_there_is_told_in_words_of_the_command(clinic, mmtrain_called):
    code, _, err = mmtrain_called("predict", "clinic", "beyond.txt")
    assert (code, err.splitlines()[1]) == (3, "beyond.txt: the table does not exist. Give the path of the table to predict.")


@pytest.mark.parametrize("arguments", [["evaluate"], ["evaluate", "--data", "table.csv"], ["explain"], ["explain", "--data", "table.csv"]])
def test_who_scores_or_explains_names_the_folder_of_the_images_too(clinic, mmtrain_called, arguments):
    code, _, err = mmtrain_called(arguments[0], "clinic", *arguments[1:], "--images", "nowhere")
    assert (code, err.splitlines()[1]) == (
        3,
        "nowhere: the images folder does not exist. Set `--images` to the folder that image cells are relative to.",
    )


@pytest.mark.slow
def test_a_folder_without_one_image_is_asked_about(clinic, mmtrain_called):
    write_table(clinic / "elsewhere.csv", [GOOD | {"who": f"new{row}", "y": "low"} for row in range(20)])
    (clinic / "other").mkdir()
    code, _, err = mmtrain_called("predict", "clinic", "elsewhere.csv", "--images", "other", "-o", "out.csv")
    assert code == 0
    assert (
        "note: film: 100% of the rows have no usable value, in training 0%. "
        "Not one cell has an image: is `--images` the right folder, and this the column of the images?"
    ) in err.splitlines()
    assert "No scores of y: no row was predicted." in err.splitlines()


def test_a_table_without_rows_is_refused(clinic, mmtrain_called):
    (clinic / "empty.csv").write_text(",".join(GOOD) + "\n")
    code, out, err = mmtrain_called("predict", "clinic", "empty.csv")
    assert (code, out) == (3, "")
    assert err.splitlines()[-1] == "empty.csv: the table has no rows. Write a line below the headers for every row."


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-o", "out.txt"], "out.txt: predictions are written as CSV or Parquet. End the name in .csv or .parquet."),
        (["-o", "./table.csv"], "table.csv: this is the table to be predicted; predictions would replace it. Name another file with -o."),
        (
            ["--json"],
            "mmtrain predict: the predictions and the JSON document cannot both go to standard output. "
            "Name a file for the predictions with -o.",
        ),
    ],
)
def test_a_result_that_cannot_be_written_is_refused_first(clinic, mmtrain_called, arguments, problem):
    code, out, err = mmtrain_called("predict", "clinic", "table.csv", *arguments)
    assert code == 2
    found = err.splitlines()[-1] if out == "" else " ".join(json.loads(out)["error"]["problems"][0].values()).replace(" ", ": ", 0)
    assert found == (problem if out == "" else problem.replace("mmtrain predict: ", "mmtrain predict "))


def test_the_table_of_the_training_is_not_written_over(clinic, mmtrain_called):
    write_table(clinic / "one.csv", [GOOD])
    before = (clinic / "table.csv").read_bytes()
    code, _, err = mmtrain_called("predict", "clinic", "one.csv", "-o", "table.csv")
    what = "table.csv: this is the table of the training; predictions would replace it. Name another file with -o."
    assert (code, err.splitlines()) == (2, ["The command cannot be carried out: 1 problem.", what])
    assert (clinic / "table.csv").read_bytes() == before


def test_a_folder_that_is_not_there_is_told_before_tensorflow_starts(mmtrain_called):
    code, _, err = mmtrain_called("predict", "clinic", "table.csv", "-o", "no/out.csv")
    what = "no/out.csv: the file cannot be written: no such file or directory. Make its folder first, or choose another folder."
    assert (code, err.splitlines()) == (1, ["The command failed: 1 problem.", what])


@pytest.mark.slow
def test_rows_called_as_training_rows_are_told_beside_their_scores(clinic, mmtrain_called):
    learned = pd.read_csv(clinic / "runs" / "clinic" / "1" / "split.csv").query("part == 'train'")["id"]
    write_table(clinic / "known.csv", [GOOD | {"who": who, "y": "low"} for who in [*learned[:2], "new"]])
    told = mmtrain_called("predict", "clinic", "known.csv", "-o", "known_out.csv")[2].splitlines()
    assert "2 of the scored rows have the id of a training row. If they are those rows, the scores are too good." in told


def test_a_cell_of_any_length_is_told_in_a_line(loaded):
    """A whole report in the column of the city, or in that of an image."""
    status = loaded.predict(pd.DataFrame([GOOD | {"city": 5_000 * "rom "}, GOOD | {"film": 5_000 * "a"}]))["status"]
    assert status[0] == f"city: unseen category '{('rom ' * 50)[:183]} ... {('rom ' * 50).strip()[-94:]}'"
    assert len(status[1]) < 400


@pytest.mark.slow
def test_parquet_and_csv_hold_the_same(clinic, mmtrain_called):
    write_table(clinic / "two.csv", [GOOD, GOOD | {"x": "", "who": 'Anna "A", B'}])
    for suffix in ("csv", "parquet"):
        assert mmtrain_called("predict", "clinic", "two.csv", "-o", f"two_out.{suffix}", "--proba")[0] == 0
    as_csv, as_parquet = pd.read_csv(clinic / "two_out.csv"), pd.read_parquet(clinic / "two_out.parquet")
    assert as_parquet.dtypes.astype(str).to_dict() == {
        "row": "int64",
        "id": "str",
        "prediction": "str",
        "probability_high": "float32",
        "probability_low": "float32",
        "status": "str",
    }
    assert as_csv["id"].tolist() == as_parquet["id"].tolist() == ["new", 'Anna "A", B']
    assert as_csv["prediction"].isna().tolist() == as_parquet["prediction"].isna().tolist() == [False, True]
    np.testing.assert_array_equal(as_csv["probability_low"].astype("float32"), as_parquet["probability_low"])


def test_predictions_go_to_standard_output_and_scores_beside_them(clinic, mmtrain_called):
    write_table(clinic / "answered.csv", [GOOD | {"y": "high"}, GOOD | {"y": "low", "x": -0.5}])
    code, out, err = mmtrain_called("predict", "clinic", "answered.csv")
    assert code == 0
    assert out.splitlines()[0] == "row,id,prediction,status"
    assert len(out.splitlines()) == 3
    assert "answered.csv by clinic/1: y, binary, 2 rows" in err


@pytest.mark.parametrize("answers", [pytest.param(["", ""], marks=pytest.mark.slow), ["unknown", ""]])
def test_a_table_without_a_known_answer_has_no_scores(clinic, mmtrain_called, answers):
    write_table(clinic / "unanswered.csv", [GOOD | {"y": answer} for answer in answers])
    code, out, _ = mmtrain_called("predict", "clinic", "unanswered.csv", "-o", "unanswered_out.csv", "--json")
    assert code == 0
    assert json.loads(out)["targets"] == {}


@pytest.mark.slow
def test_the_table_of_the_training_is_not_scored(clinic, mmtrain_called):
    code, out, err = mmtrain_called("predict", "clinic", "table.csv", "-o", "again.csv")
    assert (code, out) == (0, "")
    assert "No scores: this is the table of the training. Score its test part with `mmtrain evaluate`." in err


@pytest.mark.slow
def test_other_rows_than_those_of_training_are_told(clinic, mmtrain_called):
    write_table(clinic / "months.csv", [GOOD | {"age": 12 * (20 + row % 50), "city": f"c{row}"} for row in range(100)])
    code, out, err = mmtrain_called("predict", "clinic", "months.csv", "-o", "months_out.csv", "--json", "--quiet")
    assert (code, err) == (0, "")
    drifts = {(drift["column"], drift["kind"]): drift["text"] for drift in json.loads(out)["drift"]}
    assert drifts["age", "unit"].startswith("the numbers look like another unit: they are about 12 times those of training (median ")
    assert drifts["city", "unseen"].startswith("100% of the categories are unknown to training; ")
    assert "note: age: the numbers look like another unit" in mmtrain_called("predict", "clinic", "months.csv", "-o", "months_out.csv")[2]


def test_a_frame_is_predicted_under_its_own_index(loaded):
    frame = pd.DataFrame([cells(row) | {"scan": Path(f"{row}.png")} for row in range(5)], index=list("abcde"))
    frame["age"] = pd.array([20, None, 22, 23, 24], dtype="Int64")
    frame.loc["c", "x"] = np.nan
    found = loaded.predict(frame)
    assert found.index.tolist() == list("abcde")
    assert found.columns.tolist() == ["row", "id", "prediction", "status"]
    assert found["id"].tolist() == ["p0", "p1", "p2", "p3", "p4"]
    assert found["prediction"].isna().tolist() == [False, False, True, False, False]
    assert found["status"].tolist()[1:4] == ["age: missing, imputed; city: missing, has a code of its own", "x: the cell is empty", "ok"]
    assert loaded.predict(frame, on_error="skip").index.tolist() == list("abde")
    with pytest.raises(DataError) as refused:
        loaded.predict(frame, on_error="fail")
    assert str(refused.value) == ("the DataFrame: row 2: x: the cell is empty. Fill it in, or train with another `missing` than `error`.")
    with pytest.raises(DataError, match=r"^the DataFrame: the table has no column 'x'\. Did you mean 'xx'\?$"):
        loaded.predict(frame.rename(columns={"x": "xx"}))
    with pytest.raises(DataError) as refused:
        loaded.predict(frame.iloc[0])
    fix = "Give a pandas DataFrame with a column per header; one row of it is `frame.iloc[[0]]`."
    assert str(refused.value) == f"predict: a table is expected; found a Series. {fix}"
    with pytest.raises(UsageError, match=r"^on_error: expected status, skip or fail; found 'stop'\.$"):
        loaded.predict(frame, on_error="stop")
    assert repr(loaded).splitlines()[0] == f"<mmtrain run {loaded.folder}>"


@pytest.mark.slow  # tests/api/test_api.py predicts a frame
def test_a_frame_is_predicted_as_the_file_it_was_read_from(clinic, evaluated):
    frame = pd.read_csv(clinic / "table.csv")
    loaded = mmtrain.load(clinic / "runs" / "clinic" / "1")
    found = loaded.predict(frame, proba=True)
    own = found.iloc[evaluated["row"].astype(int)]
    np.testing.assert_array_equal(own["probability_high"], evaluated["probability_high"])
    assert found.attrs["drift"] == []


def test_images_of_a_frame_may_lie_anywhere_when_that_is_allowed(loaded, tmp_path):
    paint(tmp_path / "new.png", 30)
    frame = pd.DataFrame([GOOD | {"film": tmp_path / "new.png"}])
    assert loaded.predict(frame)["status"][0].startswith(f"film: unreadable, the path {tmp_path / 'new.png'} is absolute")
    assert loaded.predict(frame, allow_outside=True)["status"].tolist() == ["ok"]
    assert loaded.predict(pd.DataFrame([GOOD | {"scan": "new.png", "film": "new.png"}]), images=tmp_path)["status"].tolist() == ["ok"]


@pytest.mark.slow
def test_the_saved_model_answers_as_predict_does(tmp_path, tensorflow):
    import keras

    two_blobs(tmp_path, 40, city=lambda row: f"c{row % 3}", ward=lambda row: ("1.0", "07")[row % 2])
    columns = "{x: {role: numeric}, city: {role: categorical}, ward: {role: categorical}, y: {role: target, task: binary}}"
    experiment = f"columns: {columns}\ntraining: {{epochs: 1}}"
    done = fit(write_experiment(tmp_path / "e.yaml", experiment), output=tmp_path / "runs")
    frame = pd.DataFrame({"x": [0.5, np.nan, -2.0], "city": ["c1", "rom", None], "ward": [1, 7, np.nan]})
    found = mmtrain.load(done.run.folder).predict(frame, proba=True)
    model = keras.models.load_model(done.run / "model.keras")
    raw = {
        "x": tensorflow.constant([[0.5], [np.nan], [-2.0]], tensorflow.float64),
        "city": tensorflow.constant([["c1"], ["rom"], [""]]),
        "ward": tensorflow.constant([["1.0"], ["07"], [""]]),  # as training read them, whatever pandas made of them
    }
    answer = tensorflow.function(lambda inputs: model(inputs, training=False), autograph=False)(raw)["y"].numpy()
    np.testing.assert_array_equal(found["probability_low"], answer[:, 0])
    assert found.columns.tolist() == ["row", "prediction", "probability_high", "probability_low", "status"]


class Sampled:
    """The most anonymous memory of this process while the block runs, above that at its start; bytes."""

    def __enter__(self):
        self.start = self.most = anonymous_memory()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        return self

    def sample(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, anonymous_memory())

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.growth = self.most - self.start


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows_that_are_predicted(tmp_path, tensorflow):
    config = """
    name: long
    columns: {x: {role: numeric}, city: {role: categorical}, note: {role: text}, y: {role: target, task: binary}}
    training: {epochs: 1, deterministic: true}
    """
    rows = [f"{row % 97 / 10},{('ulm', 'bonn')[row % 2]},{' '.join(f'word{row % 50}' for _ in range(40))}" for row in range(10_000)]
    (tmp_path / "table.csv").write_text("x,city,note,y\n" + "".join(f"{cells},{number % 2}\n" for number, cells in enumerate(rows[:400])))
    fit(write_experiment(tmp_path / "long.yaml", config), output=tmp_path / "runs")
    loaded = load("long", output=tmp_path / "runs")
    growth = []
    for blocks in (30, 100):  # 84 MB, of which 64 are read ahead, and 280 MB
        with (tmp_path / "new.csv").open("w") as file:
            file.write("x,city,note\n")
            file.writelines("".join(f"{cells}\n" for cells in rows) for _ in range(blocks))
        with Sampled() as memory:
            done = predict_source(
                loaded, Source(open_table(tmp_path / "new.csv"), ImageFolder(tmp_path)), PredictOptions(tmp_path / "out.csv", proba=True)
            )
        assert done.rows == blocks * 10_000
        growth.append(memory.growth)
    assert growth[1] < growth[0] + 50_000_000
    written = pd.read_csv(tmp_path / "out.csv")
    assert written["row"].tolist() == list(range(1_000_000))
    assert written["probability_1"][-10_000:].tolist() == written["probability_1"][:10_000].tolist()
