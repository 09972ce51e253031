"""Answers as tables spell them: unknown and missing ones, near spellings, and typed tables."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tiny import write_experiment, write_table

from mmtrain import config
from mmtrain.columns.categorical import spelled_as
from mmtrain.commands.check import check
from mmtrain.commands.init import init
from mmtrain.commands.inspect_data import inspect_experiment
from mmtrain.data import encode
from mmtrain.data.tables.file_formats.frame_table import FrameTable
from mmtrain.errors import DataError
from mmtrain.evaluation.bootstrap import Bootstrap, Resampling
from mmtrain.evaluation.postprocessing.calibration import fit_isotonic, fit_temperature
from mmtrain.evaluation.postprocessing.reliability import measure_reliability
from mmtrain.evaluation.prediction_table import answers_as_text, parse_predictions, prediction_frame
from mmtrain.evaluation.scoring import score_target
from mmtrain.metrics import binary_scores, multilabel_scores
from mmtrain.pipeline.checks.check_labels import check_answers, unlearned
from mmtrain.pipeline.prepare import other_data, read_data
from mmtrain.targets import BinaryTarget, MulticlassTarget, MultilabelTarget, RegressionTarget
from mmtrain.targets.fitted_target import FittedTarget

NAN = np.nan
TRUTH = np.array([[1, -1], [0, 1], [-1, 0], [1, 1], [0, -1], [1, 0], [-1, -1]], dtype=np.int8)
SAID = np.array([[0.9, 0.2], [0.8, 0.7], [0.1, 0.6], [0.7, 0.4], [0.3, 0.9], [0.6, 0.1], [0.5, 0.5]])


def cells(*texts):
    return pd.Series(texts, dtype="str")


def labels_target(**options):
    """Two labels in columns of their own, learned from four rows, one of which lacks an answer to `b`."""
    target = MultilabelTarget(column="y", labels=("a", "b"), missing="drop", **options)
    return target.fit({"a": cells("1", "0", "1", "1"), "b": cells("0", None, "1", "0")}, "none")


def values(scores):
    return {score.name: score.value for score in scores}


# Unknown answers of several labels


@pytest.mark.parametrize("cell", [None, "NA", "nan", "None", "?", "unknown", "maybe"])
def test_a_label_whose_column_says_neither_yes_nor_no_is_unknown_and_no_other(cell):
    found = labels_target().truth({"a": cells("1", cell), "b": cells(cell, "no")})
    assert found.tolist() == [[1, -1], [-1, 0]]


def test_training_counts_of_each_label_the_rows_that_know_it():
    fitted = labels_target(class_weights="balanced")
    assert (fitted.rows, fitted.known, fitted.counts, fitted.weights) == (4, (4, 3), (3, 1), (1 / 3, 2.0))
    assert fitted.baseline(1).tolist() == [[3 / 4, 1 / 3]]


def test_unknown_labels_are_in_no_score():
    found = values(multilabel_scores(TRUTH, SAID, labels=("a", "b")))
    known = TRUTH >= 0
    for number, label in enumerate("ab"):
        rows = known[:, number]
        own = values(binary_scores(TRUTH[rows, number], SAID[rows, number], classes=("no", "yes")))
        assert {name: found[f"{name}[{label}]"] for name in ("auc", "pr_auc", "f1")} == {
            name: own[name] for name in ("auc", "pr_auc", "f1")
        }
    given = np.where(TRUTH == 1, SAID, 1 - SAID)[known]
    assert found["log_loss"] == pytest.approx(-np.log(given).mean())
    assert found["hamming_loss"] == pytest.approx(((SAID >= 0.5) != (TRUTH == 1))[known].mean())
    assert found["subset_accuracy"] == pytest.approx(1 / 3)  # rows 1, 3 and 5 know both labels; only in the last are both right


def test_a_label_that_no_row_knows_has_no_score_and_says_why():
    found = {score.name: score for score in multilabel_scores([[1, -1], [0, -1]], [[0.9, 0.5], [0.1, 0.5]], labels=("a", "b"))}
    assert (found["macro_auc"].value, found["macro_auc"].note) == (1.0, "1 of 2 labels has no AUC in this part and is left out: b.")
    assert found["auc[b]"].undefined == "AUC needs rows with and without 'b'; this part has none where it is known."
    assert found["subset_accuracy"].undefined == "Subset accuracy needs rows whose labels are all known; this part has none."


def test_draws_of_rows_with_unknown_labels_have_the_scores_of_those_rows():
    fitted = labels_target()
    counts = np.random.default_rng(0).integers(0, 3, size=(20, len(TRUTH)))
    fast, plain = fitted.scorer(TRUTH, SAID)(counts), FittedTarget.scorer(fitted, TRUTH, SAID)(counts)
    assert fast.keys() == plain.keys()
    for name in fast:
        np.testing.assert_allclose(fast[name], plain[name], err_msg=name)


def test_rows_and_labels_that_are_left_out_are_counted():
    section = SimpleNamespace(draws=100, confidence=0.95, seed=0)
    found = score_target("y", labels_target(), TRUTH, SAID, Resampling(section)).result
    assert (found.rows, found.unknown_answers, dict(found.unknown_labels)) == (6, 1, {"a": 1, "b": 2})
    assert found.to_json()["unknown_labels"] == {"a": 1, "b": 2}
    everything = score_target("y", labels_target(), np.abs(TRUTH), SAID).result
    assert "unknown_labels" not in everything.to_json()


def test_a_row_is_judged_by_the_labels_that_are_known():
    fitted = labels_target()
    assert fitted.row_weights(TRUTH).tolist() == [1, 1, 1, 1, 1, 1, 0]
    assert fitted.is_right(TRUTH, SAID).tolist() == [True, False, False, False, True, True, True]
    np.testing.assert_allclose(fitted.row_losses(TRUTH, SAID)[[0, 1, 6]], [-np.log(0.9), -(np.log(0.2) + np.log(0.7)) / 2, NAN])


@pytest.mark.usefixtures("tensorflow")
def test_unknown_labels_add_nothing_to_the_loss():
    import tensorflow as tf

    logits = np.log(SAID / (1 - SAID)).astype(np.float32)
    found = labels_target().row_loss(tf.constant(TRUTH), tf.constant(logits)).numpy()
    expected = np.where(TRUTH >= 0, -np.log(np.where(TRUTH == 1, SAID, 1 - SAID)), 0).sum(axis=1) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("fit", [fit_temperature, fit_isotonic])
def test_calibration_of_a_label_is_of_the_rows_that_know_it(fit):
    known = TRUTH >= 0
    found = fit(SAID, TRUTH == 1, exclusive=False, known=known)
    for number in range(2):
        rows = known[:, number]
        alone = fit(SAID[rows][:, [number]], TRUTH[rows][:, [number]] == 1, exclusive=False)
        np.testing.assert_array_equal(found.apply(SAID)[:, number], alone.apply(SAID[:, [number]])[:, 0])


def test_reliability_is_of_the_cells_that_are_known():
    known = TRUTH >= 0

    def found(said, true, **options):
        bootstrap = Bootstrap(len(said), groups=None, draws=100, confidence=0.95, seed=0)
        return measure_reliability(said, true, exclusive=False, groups=None, bootstrap=bootstrap, **options)

    cells_of_rows = found(SAID[:6], TRUTH[:6] == 1, known=known[:6])
    each_alone = found(SAID[known][:, None], TRUTH[known][:, None] == 1)
    assert (cells_of_rows.brier.value, cells_of_rows.ece.value) == pytest.approx((each_alone.brier.value, each_alone.ece.value))
    assert [one.rows for one in cells_of_rows.bins] == [one.rows for one in each_alone.bins]


def test_unknown_labels_are_written_beside_the_truth_and_read_again():
    targets = {"y": labels_target()}
    made = prediction_frame(np.arange(7), list("abcdefg"), targets, {"y": TRUTH}, {"y": SAID.astype(np.float32)})
    assert made["truth"].tolist() == ["a", "b", "", "a;b", "", "a", ""]
    assert made["unknown_labels"].tolist() == ["b", "", "a", "", "b", "", "a;b"]
    truth, _ = parse_predictions(made.astype(str), "y", targets)
    assert truth.tolist() == TRUTH.tolist()
    assert answers_as_text(made.astype(str), "y", targets)[:2].tolist() == ["a (not known: b)", "b"]


def test_a_part_whose_labels_are_all_known_has_no_column_of_unknown_ones():
    made = prediction_frame(np.arange(2), ["a", "b"], {"y": labels_target()}, {"y": np.array([[1, 0], [0, 0]])}, {"y": SAID[:2]})
    assert list(made) == ["row", "id", "truth", "prediction", "probability_a", "probability_b"]


def test_only_rows_without_any_known_label_leave_the_table(tmp_path):
    rows = [{"x": 1, "a": "1", "b": "0"}, {"x": 2, "a": "", "b": "1"}, {"x": 3, "a": "NA", "b": ""}, {"x": 4, "a": "0", "b": "0"}]
    write_table(tmp_path / "table.csv", rows)
    tree = "columns: {x: {role: numeric}, y: {role: target, task: multilabel, labels: [a, b], missing: drop}}"
    experiment = config.load(write_experiment(tmp_path / "e.yaml", tree))
    table = read_data(experiment, experiment.data.table, experiment.data.images_folder).table
    assert table.rows.tolist() == [0, 1, 3]
    assert [(one.row, one.reason) for one in table.dropped] == [(2, "a and b: 'NA' means missing.")]


def test_findings_count_each_label_in_the_rows_that_know_it(tmp_path):
    # Of 100 rows, 20 know `a`: 10 have it. Of all 100, one in ten has it, which would be rare.
    rows = [{"x": row % 9, "a": "" if row >= 20 else str(row % 2), "b": str(row % 3 % 2)} for row in range(100)]
    write_table(tmp_path / "table.csv", rows)
    tree = "columns: {x: {role: numeric}, y: {role: target, task: multilabel, labels: [a, b], missing: drop}}"
    found = inspect_experiment(write_experiment(tmp_path / "e.yaml", tree))
    assert [finding.kind for finding in found.findings if finding.kind in ("class_imbalance", "constant")] == []
    assert found.missing[0].effects["drop"] == "80 rows do without this label"


# Words for a missing answer


@pytest.mark.parametrize("word", ["NA", "nan", "None", "NULL", "n/a", "#N/A", "<NA>", "?", "unknown", "Missing", "-"])
@pytest.mark.parametrize(
    ("target", "answers"),
    [
        (BinaryTarget(column="y"), ("yes", "no")),
        (MulticlassTarget(column="y"), ("a", "b", "c")),
        (RegressionTarget(column="y"), ("1", "2.5", "-3")),
        (MultilabelTarget(column="y"), ("a;b", "b", None)),
    ],
)
def test_a_word_for_a_missing_answer_is_no_answer(target, answers, word):
    column = cells(*answers, word)
    fix = f"Write the answer, set `missing: drop` to leave the row out, or, if {word!r} is an answer, set `missing_words: []`."
    assert [(fault.rows.tolist(), fault.what, fault.fix) for fault in target.faults(column)] == [
        ([3 if len(answers) == 3 else 2], f"{word!r} means that there is no answer.", fix)
    ]
    assert target.model_copy(update={"missing": "drop"}).faults(column) == []
    assert target.missing_cells(column).tolist() == [False] * len(answers) + [True]


def test_several_words_for_a_missing_answer_are_told_together():
    fault, *others = MulticlassTarget(column="y").faults(cells("a", "NA", "none", "b", "NA"))
    assert (fault.rows.tolist(), others) == ([1, 2, 4], [])
    assert f"{fault.what} {fault.fix}" == (
        "'NA' and 'none' mean that there is no answer. Write the answer, set `missing: drop` to leave the row out, or, if one of these "
        "words is an answer, list the others alone under `missing_words`."
    )


@pytest.mark.parametrize(
    ("target", "answers"),
    [
        (BinaryTarget(column="y", positive="none"), ("none", "tumor")),
        (BinaryTarget(column="y", positive="+"), ("+", "-")),
        (BinaryTarget(column="y", class_weights={"unknown": 2}), ("unknown", "sure")),
        (MulticlassTarget(column="y", missing_words=()), ("none", "scratch", "dent")),
        (MulticlassTarget(column="y", missing_words=("NA",)), ("None", "scratch", "dent")),
    ],
)
def test_a_word_that_the_experiment_names_is_a_class(target, answers):
    column = cells(*answers, *answers)
    assert target.faults(column) == []
    assert target.fit({"y": column}, "none").class_counts == dict.fromkeys(sorted(answers), 2) | dict.fromkeys(answers, 2)


def test_a_class_that_a_run_has_learned_is_no_missing_answer():
    # A run of an older mmtrain had every word for a class.
    target = MulticlassTarget(column="y").with_answers(("None", "scratch"))
    assert target.missing_cells(cells("none", "NA", "scratch")).tolist() == [False, True, False]


def test_a_minus_in_a_column_of_one_label_is_a_no():
    target = MultilabelTarget(column="y", labels=("a",))
    assert target.faults(cells("+", "-", "1")) == []
    assert target.fit({"a": cells("+", "-")}, "none").truth({"a": cells("-", "?")}).tolist() == [[0], [-1]]


def test_labels_of_one_cell_are_unknown_where_a_word_says_so_and_none_where_it_is_empty():
    fitted = MultilabelTarget(column="y", missing="drop").fit({"y": cells("a;b", "b", None)}, "none")
    assert fitted.labels == ("a", "b")
    assert fitted.truth({"y": cells("a", None, "NA", "other")}).tolist() == [[1, 0], [0, 0], [-1, -1], [0, 0]]


WORDS = ("NA", "nan", "None", "null", "N/A", "?", "unknown")
ANSWERS = {
    "binary": (["yes", "no"], {"task": "binary", "positive": "yes", "missing": "drop"}),
    "multiclass": (["red", "green", "blue"], {"task": "multiclass", "missing": "drop"}),
    "regression": ([f"{number / 4:.2f}" for number in range(37)], {"task": "regression", "missing": "drop"}),
    "multilabel": (["a;b", "b;c", "c", "a"], {"task": "multilabel", "separator": ";", "missing": "drop"}),
}


@pytest.mark.parametrize(
    ("word", "answers", "guessed"),
    # Each word with one task and each task with a word or two; all pairs are slow tests.
    [
        pytest.param(word, *ANSWERS[task], id=f"{task}-{word}", marks=[] if number % len(ANSWERS) == place else pytest.mark.slow)
        for number, word in enumerate(WORDS)
        for place, task in enumerate(ANSWERS)
    ],
)
def test_init_writes_a_file_that_check_accepts_where_words_mean_a_missing_answer(tmp_path, word, answers, guessed):
    rows = [{"x": row * 7 % 11, "answer": word if row % 10 == 3 else answers[row % len(answers)]} for row in range(120)]
    table = write_table(tmp_path / "t.csv", rows)
    init(table, file=tmp_path / "t.yaml", target="answer")
    target = config.load(tmp_path / "t.yaml").targets["answer"]
    assert {name: getattr(target, name) for name in guessed} == guessed
    assert check(tmp_path / "t.yaml").dropped == 12


def test_init_says_what_to_do_if_a_word_is_a_class_after_all(tmp_path):
    write_table(tmp_path / "t.csv", [{"x": row % 7, "answer": ("None", "scratch", "dent")[row % 3]} for row in range(90)])
    begun = init(tmp_path / "t.csv", file=tmp_path / "t.yaml", target="answer")
    reason = next(column.guess.reason for column in begun.survey.columns if column.header == "answer")
    left_out = "30 rows without it ('None' or empty) are left out; if 'None' is a class, add missing_words: []"
    assert reason == f"two classes, 'dent' and 'scratch'; positive: the last by name; {left_out}"


def test_init_takes_a_word_for_a_class_where_no_two_classes_were_left(tmp_path):
    write_table(tmp_path / "t.csv", [{"x": row % 7, "answer": ("none", "tumor", "tumor")[row % 3]} for row in range(90)])
    init(tmp_path / "t.csv", file=tmp_path / "t.yaml", target="answer")
    line = next(line for line in (tmp_path / "t.yaml").read_text().splitlines() if line.strip().startswith("answer"))
    assert line == (
        "  answer: {role: target, task: binary, positive: tumor, missing_words: []}"
        "  # two classes, 'tumor' and 'none'; positive: 'none' reads like a no; 'none' counts as a class"
    )
    assert check(tmp_path / "t.yaml").dropped == 0


# Classes that are spelled in several ways


def test_blanks_around_a_class_make_no_other_one(tmp_path):
    spellings = ("malignant", "benign", "malignant ", " benign", "benign\u00a0", "malignant\u200b")
    write_table(tmp_path / "table.csv", [{"x": row % 7, "y": spellings[row % 6]} for row in range(60)])
    tree = "columns: {x: {role: numeric}, y: {role: target, task: binary, positive: malignant}}"
    experiment = config.load(write_experiment(tmp_path / "e.yaml", tree))
    table = read_data(experiment, experiment.data.table, experiment.data.images_folder).table
    fitted = encode.fit(experiment.columns, table, np.arange(60), experiment.training.class_weights)
    assert fitted.targets["y"].class_counts == {"benign": 30, "malignant": 30}


@pytest.mark.parametrize(
    ("answers", "what", "fix"),
    [
        (
            ["yes"] * 3 + ["no"] * 4 + ["Yes"] * 2,
            "`task: binary` has two classes, the column has 3: Yes, no and yes. 'Yes' (2 rows) and 'yes' (3 rows) differ only in case.",
            "Write every class in one way.",
        ),
        (
            ["1", "1.0", "0"],
            "`task: binary` has two classes, the column has 3: 0, 1 and 1.0. '1' (1 row) and '1.0' (1 row) differ only in how they are "
            "written.",
            "Write every class in one way.",
        ),
        (
            ["a", "A", "b", "c"],
            "`task: binary` has two classes, the column has 4: A, a, b and c. 'A' (1 row) and 'a' (1 row) differ only in case.",
            "Write every class in one way. `task: multiclass` is for more than two classes.",
        ),
        (["a", "b", "c"], "`task: binary` has two classes, the column has 3: a, b and c.", "Set `task: multiclass`."),
    ],
)
def test_more_than_two_classes_that_are_nearly_the_same_are_pointed_out(answers, what, fix):
    fault, *others = BinaryTarget(column="y").faults(cells(*answers))
    assert ((fault.what, fault.fix), others) == ((what, fix), [])


# Later tables


def learned(folder, answers, task="binary", **options):
    """An experiment and what it learned of a table with these answers, in the order of its rows."""
    table = folder / "table.csv"
    if isinstance(answers, pd.Series):
        table = folder / "table.parquet"
        pd.DataFrame({"x": np.arange(len(answers)) % 5, "y": answers}).to_parquet(table)
    else:
        write_table(table, [{"x": row % 5, "y": answer} for row, answer in enumerate(answers)])
    target = {"role": "target", "task": task, **options}
    tree = {"data": {"table": table.name}, "columns": {"x": {"role": "numeric"}, "y": target}}
    experiment = config.load(write_experiment(folder / "e.yaml", tree))
    read = read_data(experiment, experiment.data.table, experiment.data.images_folder).table
    return experiment, encode.fit(experiment.columns, read, np.arange(len(read)), experiment.training.class_weights)


def newer(folder, experiment, answers):
    """Another table, a Parquet file of a Series, else a CSV."""
    if isinstance(answers, pd.Series):
        pd.DataFrame({"x": np.arange(len(answers)), "y": answers}).to_parquet(folder / "new.parquet")
        return other_data(experiment, folder / "new.parquet").table
    return other_data(experiment, write_table(folder / "new.csv", [{"x": row, "y": answer} for row, answer in enumerate(answers)])).table


TRUE, HOLES = pd.Series([True, False]), pd.Series([True, None, False], dtype=object)


@pytest.mark.parametrize(
    ("task", "trained", "new", "codes"),
    [
        ("binary", ["True", "False"], TRUE, [1, 0]),
        ("binary", ["TRUE", "FALSE"], HOLES, [1, -1, 0]),
        ("binary", ["1.0", "0.0"], pd.Series([1, 0]), [1, 0]),
        ("binary", ["1", "0"], pd.Series([1.0, NAN, 0.0]), [1, -1, 0]),
        ("binary", ["1", "0"], TRUE, [1, 0]),
        ("binary", ["True", "False"], pd.Series([1.0, 0.0]), [1, 0]),
        ("binary", TRUE, ["True", "FALSE"], [1, 0]),
        ("binary", pd.Series([1, 0]), ["1.0", "0.0", ""], [1, 0, -1]),
        ("binary", pd.Series([1.0, 0.0]), TRUE, [1, 0]),
        ("multiclass", ["01", "02", "03"], pd.Series([2, 1, 4]), [1, 0, -1]),
        ("multiclass", ["1", "01", "2"], pd.Series([1.0, 2.0]), [1, 2]),
        ("multiclass", pd.Series([1, 2, 3]), ["3.0", "1"], [2, 0]),
        ("binary", ["True", "False"], ["true", "False"], [-1, 0]),
    ],
)
def test_answers_of_typed_tables_take_the_spelling_of_training(tmp_path, task, trained, new, codes):
    experiment, fitted = learned(tmp_path, trained, task)
    truths, _ = encode.encode_targets(experiment.columns, fitted, newer(tmp_path, experiment, new))
    assert truths["y"].tolist() == codes


def test_a_value_that_two_names_have_stays_as_it_is():
    assert spelled_as(["1", "1.0", "2"], cells("1.00", "2.0", "x")).tolist() == ["1.00", "2", "x"]
    assert spelled_as(["true", "1"], cells("True", "1.0")).tolist() == ["true", "1"]
    assert spelled_as(["1", "2", "3"], cells("true")).tolist() == ["true"]


@pytest.mark.parametrize(
    ("column", "typed"),
    [
        ([True, None, False], True),
        ([1, 2.5, None], True),
        ([True, "x"], False),
        (["1", "2"], False),
    ],
)
def test_objects_that_are_all_numbers_or_truth_values_are_typed(column, typed):
    assert FrameTable(pd.DataFrame({"y": pd.Series(column, dtype=object)})).typed("y") is typed


@pytest.mark.parametrize(
    ("task", "trained", "new", "text"),
    [
        (
            "binary",
            ["TRUE", "FALSE"],
            ["True", "False", "True"],
            "new.csv: y: no row has an answer that training knows; found 'True' (2 rows) and 'False' (1 row). Training knows 'FALSE' and "
            "'TRUE': write the answers alike. 'FALSE' and 'False' differ only in case; 'TRUE' and 'True' differ only in case.",
        ),
        (
            "multiclass",
            ["a", "b", "c"],
            ["x", "y", ""],
            "new.csv: y: no row has an answer that training knows; found 'x' (1 row) and 'y' (1 row). Training knows 'a', 'b' and 'c': "
            "write the answers alike.",
        ),
        (
            "multilabel",
            ["a;b", "b", "a"],
            ["a,b", "b,a"],
            "new.csv: y: no row has an answer that training knows; found 'a,b' (1 row) and 'b,a' (1 row). Training knows 'a' and 'b': "
            "write the answers alike.",
        ),
        (
            "regression",
            ["1", "2", "4"],
            ["", "NA"],
            "new.csv: y: none of the 2 rows has an answer. Fill in the answers. Predictions need none: mmtrain predict RUN TABLE",
        ),
        (
            "binary",
            ["yes", "no"],
            ["", "?"],
            "new.csv: y: none of the 2 rows has an answer. Fill in the answers. Predictions need none: mmtrain predict RUN TABLE",
        ),
    ],
)
def test_a_table_without_a_known_answer_is_refused(tmp_path, task, trained, new, text):
    experiment, fitted = learned(tmp_path, trained, task)
    table = newer(tmp_path, experiment, new)
    with pytest.raises(DataError) as caught:
        check_answers(experiment, fitted, table, np.arange(len(table)), run=Path("RUN"))
    assert str(caught.value).replace(str(table.path), "TABLE") == text
    assert caught.value.exit_code == 3


def test_some_known_answers_suffice_and_the_others_are_named(tmp_path):
    experiment, fitted = learned(tmp_path, ["yes", "no"])
    table = newer(tmp_path, experiment, ["yes", "Yes", "Yes", "NA", "", "maybe"])
    check_answers(experiment, fitted, table, np.arange(6), run=Path("RUN"))
    assert list(unlearned(experiment, fitted, table, np.arange(6))) == [
        "y: training does not know 'Yes' (2 rows) and 'maybe' (1 row); the scores leave them out. 'Yes' and 'yes' differ only in case."
    ]
