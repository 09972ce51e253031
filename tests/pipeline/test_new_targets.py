"""Ordered levels, counts, quantiles, survival and several numbers: one training of all, and each through every command.

The effects in the tables are planted, so that it is known what a good model reaches.
"""

import json

import numpy as np
import pandas as pd
import pytest

from mmtrain.cli.app import run

ROWS = 300
GRADES = ["none", "mild", "moderate", "severe"]
TARGETS = {
    "grade": {"role": "target", "task": "ordinal", "order": GRADES},
    "visits": {"role": "target", "task": "count", "distribution": "negative_binomial"},
    "price": {"role": "target", "task": "quantiles"},
    "death": {"role": "target", "task": "survival", "time": "months", "event": "died", "intervals": 6},
    "place": {"role": "target", "task": "vector", "columns": ["left", "right"], "missing": "drop"},
}
COX = {"death": {**TARGETS["death"], "method": "cox"}}


def planted(rows, seed=1):
    """A table whose answers follow from x and z, with the true risk of an early event."""
    random = np.random.default_rng(seed)
    x, z = random.normal(size=(2, rows))
    risk = 0.9 * x - 0.6 * z
    times, censored = random.exponential(np.exp(-risk) * 10), random.exponential(15, rows)
    grade = np.digitize(1.2 * x - 0.8 * z + random.logistic(size=rows), [-1.5, 0, 1.5])
    left = 2 * x + random.normal(size=rows)
    return pd.DataFrame(
        {
            **{"x": x, "z": z, "grade": np.array(GRADES)[grade], "visits": random.poisson(np.exp(0.5 + 0.6 * x - 0.4 * z))},
            **{"price": 3 + 2 * x + np.exp(0.4 * z) * random.normal(size=rows)},
            **{"months": np.minimum(times, censored).round(3), "died": (times <= censored).astype(int)},
            **{"left": np.where(random.random(rows) < 0.1, np.nan, left), "right": 100 - 30 * z + 10 * random.normal(size=rows)},
            "risk": risk,
        }
    )


def write(folder, targets, table, **sections):
    table.to_csv(folder / "table.csv", index=False)
    columns = {"x": {"role": "numeric"}, "z": {"role": "numeric"}, **targets}
    tree = {"data": {"table": "table.csv"}, "columns": columns, "training": {"epochs": 2, "jit": "off", "steps_per_call": 1}, **sections}
    tree["evaluation"] = {"draws": 100, "permutations": 0, "baselines": ["majority"], **sections.get("evaluation", {})}
    (folder / "new.yaml").write_text(json.dumps(tree), encoding="utf-8")


def call(*words):
    assert run([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tensorflow):
    """A run with all five targets, scored on its test part."""
    folder = tmp_path_factory.mktemp("new")
    write(folder, TARGETS, planted(ROWS), evaluation={"baselines": ["majority", "gradient_boosting", "linear"]})
    call("fit", folder / "new.yaml", "--output", folder / "runs")
    call("evaluate", folder / "runs" / "new" / "1")
    return folder


def test_every_target_has_scores_and_a_baseline(folder):
    metrics = json.loads((folder / "runs" / "new" / "1" / "metrics.json").read_text())["test"]
    for key, first in {
        "grade": "quadratic_kappa",
        "visits": "mean_deviance",
        "price": "pinball_loss",
        "death": "concordance",
        "place": "mean_r2",
    }.items():
        assert next(iter(metrics[key]["scores"])) == first
        assert metrics[key]["scores"][first]["low"] is not None
        assert set(metrics[key]["baselines"][0]["scores"]) == set(metrics[key]["scores"])
    assert metrics["death"]["baselines"][0]["label"] == "Kaplan-Meier"
    assert metrics["death"]["baselines"][0]["scores"]["concordance"]["value"] == 0.5
    assert [row[0] for row in metrics["place"]["analyses"]["numbers"]["rows"]] == ["left", "right"]
    assert len(metrics["death"]["analyses"]["calibration"]["rows"]) == 5


def test_models_of_scikit_learn_predict_quantiles_several_numbers_and_times(folder):
    """The planted effects are linear, so that they are far better than what knows no input."""
    metrics = json.loads((folder / "runs" / "new" / "1" / "metrics.json").read_text())["test"]
    for key, kinds in (("grade", 3), ("visits", 3), ("price", 3), ("place", 3), ("death", 2)):
        scores = {one["kind"]: one["scores"][next(iter(one["scores"]))]["value"] for one in metrics[key]["baselines"]}
        assert len(scores) == kinds
        better = -1 if key in ("visits", "price") else 1
        assert all(better * (value - scores["majority"]) > 0.03 for kind, value in scores.items() if kind != "majority")
    assert metrics["death"]["baseline_notes"] == [
        "gradient boosting has no scores of death: scikit-learn has no gradient boosting of times to an event."
    ]


def test_report_draws_coverage_and_survival_and_says_so_in_words(folder):
    run_folder = folder / "runs" / "new" / "1"
    report = (run_folder / "report.html").read_text(encoding="utf-8")
    for words in (
        "Survival curves",
        "longest third",
        "Coverage of the quantiles of price",
        "below the 0.9 quantile",
        "Scores of each number",
    ):
        assert words in report
    assert (run_folder / "plots" / "survival_death_test.png").is_file()
    assert (run_folder / "plots" / "quantile_coverage_price_test.png").is_file()


def test_predictions_of_a_table_are_those_of_its_rows(folder):
    call("predict", folder / "runs" / "new" / "1", folder / "table.csv", "-o", folder / "all.csv", "--proba")
    predicted, scored = (pd.read_csv(path) for path in (folder / "all.csv", folder / "runs" / "new" / "1" / "predictions_test.csv"))
    for name in ("grade_probability_mild", "visits_dispersion", "price_quantile_0.9", "place_prediction_right", "death_survival_0"):
        assert np.array_equal(predicted[name].to_numpy(np.float32)[scored["row"]], scored[name].to_numpy(np.float32))
    curve = [name for name in predicted if name.startswith("death_survival_")]
    assert len(curve) == 7
    assert (np.diff(predicted[curve], axis=1) <= 0).all()
    assert (predicted["price_quantile_0.1"] <= predicted["price_quantile_0.9"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("targets", [{key: one} for key, one in TARGETS.items()] + [COX], ids=[*TARGETS, "cox"])
def test_every_command_works_for_a_target_alone_and_for_folds(targets, tmp_path, tensorflow):
    write(tmp_path, targets, planted(ROWS).drop(columns="risk"))
    (key,) = targets
    for name, options in (("new", ()), ("folds", ("--set", "split.folds=2", "--set", "split.test=0.2"))):
        call("fit", tmp_path / "new.yaml", "--output", tmp_path / "runs", "--set", f"name={name}", *options)
        made = tmp_path / "runs" / name / "1"
        call("evaluate", made)
        call("predict", made, tmp_path / "table.csv", "-o", tmp_path / f"{name}.csv")
        call("explain", made, "--target", key)
        for form in ("saved_model", "onnx"):
            call("export", made, "--format", form)
    # A curve whose level is fitted after the training has no score before.
    with open(tmp_path / "runs" / "new" / "1" / "metrics.jsonl", encoding="utf-8") as epochs:
        scores = {name.removeprefix("validation_") for name in json.loads(next(epochs))}
    assert ("integrated_brier" in scores) == (targets == {"death": TARGETS["death"]})


@pytest.mark.slow
def test_counts_are_compared_with_poisson_regressions(tmp_path, tensorflow):
    evaluation = {"baselines": ["majority", "linear", "gradient_boosting"]}
    write(tmp_path, {"visits": {"role": "target", "task": "count"}}, planted(ROWS)[["x", "z", "visits"]], evaluation=evaluation)
    call("fit", tmp_path / "new.yaml", "--output", tmp_path / "runs")
    call("evaluate", tmp_path / "runs" / "new" / "1")
    baselines = json.loads((tmp_path / "runs" / "new" / "1" / "metrics.json").read_text())["test"]["visits"]["baselines"]
    deviance = {one["kind"]: one["scores"]["mean_deviance"]["value"] for one in baselines}
    # The planted effect is that of a Poisson regression.
    assert deviance["linear"] < min(deviance["majority"], deviance["gradient_boosting"])


@pytest.mark.slow
def test_survival_is_ranked_as_by_the_true_risk(tmp_path, tensorflow):
    from lifelines.utils import concordance_index

    table = planted(3000, seed=2)
    for method in ("hazard", "cox"):
        write(tmp_path, {"death": {**TARGETS["death"], "method": method}}, table.drop(columns="risk"), training={"epochs": 30, "seed": 1})
        call("fit", tmp_path / "new.yaml", "--output", tmp_path / method)
        call("evaluate", tmp_path / method / "new" / "1")
        metrics = json.loads((tmp_path / method / "new" / "1" / "metrics.json").read_text())["test"]["death"]
        rows = pd.read_csv(tmp_path / method / "new" / "1" / "predictions_test.csv")["row"]
        test = table.iloc[rows]
        best = concordance_index(test["months"], -test["risk"], test["died"])
        assert metrics["scores"]["concordance"]["value"] > best - 0.02
        # Calibrated at the horizon: most groups have the mean prediction within their interval.
        inside = [low <= mean <= high for _, _, mean, _, low, high in metrics["analyses"]["calibration"]["rows"]]
        assert sum(inside) >= 4


@pytest.mark.slow
def test_quantiles_have_the_coverage_that_they_promise(tmp_path, tensorflow):
    write(tmp_path, {"price": TARGETS["price"]}, planted(8000, seed=3)[["x", "z", "price"]], training={"epochs": 30, "seed": 1})
    call("fit", tmp_path / "new.yaml", "--output", tmp_path / "runs")
    call("evaluate", tmp_path / "runs" / "new" / "1")
    scores = json.loads((tmp_path / "runs" / "new" / "1" / "metrics.json").read_text())["test"]["price"]["scores"]
    assert scores["coverage_gap"]["value"] < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other", "score"), [("ordinal", "multiclass", "rank_mae"), ("count", "regression", "mean_deviance")])
def test_the_right_task_beats_the_one_that_ignores_what_is_known(one, other, score, tmp_path, tensorflow):
    from mmtrain.metrics.numbers.counts import deviances

    key, losses = {"ordinal": "grade", "count": "visits"}[one], {}
    table = planted(300, seed=4)[["x", "z", key]]
    scored = planted(4000, seed=5)
    for task in (one, other):
        # `none` is a word for a missing answer unless a level is called so.
        options = {"ordinal": {"order": GRADES}, "multiclass": {"missing_words": []}}.get(task, {})
        target = {key: {"role": "target", "task": task, **options}}
        values = []
        for seed in (1, 2, 3):
            write(tmp_path, target, table, training={"epochs": 40, "seed": seed}, name=f"{task}{seed}")
            call("fit", tmp_path / "new.yaml", "--output", tmp_path / "runs")
            scored.drop(columns=key).to_csv(tmp_path / "later.csv", index=False)
            call("predict", tmp_path / "runs" / f"{task}{seed}" / "1", tmp_path / "later.csv", "-o", tmp_path / "p.csv")
            predicted = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)["prediction"]
            if one == "count":
                values.append(deviances(scored[key], np.maximum(predicted, 0.05)).mean())
            else:
                ranks = [np.array([GRADES.index(word) for word in words]) for words in (predicted, scored[key])]
                values.append(np.abs(ranks[0] - ranks[1]).mean())
        losses[task] = float(np.mean(values))
    assert losses[one] < losses[other], score
