"""`exposure` of counts: the offset in the loss, scores per exposure pinned to scikit-learn, and a planted rate."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from mmtrain.metrics.numbers.counts import count_scores
from mmtrain.pipeline.prediction.row_columns import remarks_on_undefined
from mmtrain.targets import CountTarget

TARGET = CountTarget(column="y", exposure="years")


def table(counts, years):
    return {"y": pd.Series(map(str, counts), dtype="str"), "years": pd.Series(map(str, years), dtype="str")}


RANDOM = np.random.default_rng(0)
YEARS = RANDOM.uniform(0.1, 4, 400).round(2)
COUNTS = RANDOM.poisson(1.5 * YEARS)


def test_rate_of_training_rows_is_all_counts_over_all_exposures():
    fitted = TARGET.fit(table(COUNTS, YEARS), "none")
    assert fitted.mean == pytest.approx(COUNTS.sum() / YEARS.sum())
    assert fitted.baseline(2).tolist() == [[fitted.mean]] * 2
    binomial = TARGET.model_copy(update={"distribution": "negative_binomial"})
    random = np.random.default_rng(1)
    over = random.poisson(1.5 * YEARS * random.gamma(2, 0.5, 400))  # a dispersion of 0.5
    assert binomial.fit(table(over, YEARS), "none").dispersion == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0.5", "2"], []),
        (["1", "0"], [([1], "'0' is not above 0, and nothing is counted in an exposure of 0.", "Correct the cell, or remove the row.")]),
        (["2", None], [([1], "the cell is empty.", "Fill it in, or set `missing: drop` to leave the row out.")]),
    ],
)
def test_exposures_are_above_zero(values, expected):
    faults = TARGET.header_faults("years", pd.Series(values, dtype="str"))
    assert [(fault.rows.tolist(), fault.what, fault.fix) for fault in faults] == expected


def test_count_and_exposure_are_two_columns():
    assert TARGET.header_faults("y", pd.Series(["0", "3"], dtype="str")) == []
    with pytest.raises(ValidationError, match="`column` and `exposure` name one column"):
        CountTarget(column="y", exposure="y")


def test_scores_are_those_of_scikit_learn_with_the_exposure_as_weight():
    from sklearn.metrics import mean_absolute_error, mean_poisson_deviance, root_mean_squared_error

    fitted = TARGET.fit(table(COUNTS, YEARS), "none")
    truth = fitted.truth(table(COUNTS, YEARS))
    rates = RANDOM.uniform(0.5, 3, (400, 1))
    scores = {score.name: score.value for score in fitted.scores(truth, rates)}
    observed = (COUNTS / YEARS, rates[:, 0])
    assert scores["mean_deviance"] == pytest.approx(mean_poisson_deviance(*observed, sample_weight=YEARS))
    assert scores["mae"] == pytest.approx(mean_absolute_error(*observed, sample_weight=YEARS))
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(*observed, sample_weight=YEARS))
    assert {score.name: score.value for score in count_scores(*observed)} != scores


def test_relative_errors_of_rates_are_weighted_by_the_exposure_too():
    from sklearn.metrics import mean_absolute_percentage_error, mean_pinball_loss

    counts = COUNTS + 1
    target = TARGET.fit(table(counts, YEARS), "none").with_extra_metrics(("mape", "pinball@0.8"))
    rates = RANDOM.uniform(0.5, 3, (400, 1))
    scores = {score.name: score.value for score in target.all_scores(target.truth(table(counts, YEARS)), rates)}
    observed = (counts / YEARS, rates[:, 0])
    assert scores["mape"] == pytest.approx(mean_absolute_percentage_error(*observed, sample_weight=YEARS))
    assert scores["pinball@0.8"] == pytest.approx(mean_pinball_loss(*observed, sample_weight=YEARS, alpha=0.8))


@pytest.mark.usefixtures("tensorflow")
def test_loss_is_lowest_at_the_rate_and_not_at_the_mean_count():
    fitted = TARGET.fit(table(COUNTS, YEARS), "none")
    truth = fitted.truth(table([*COUNTS, "", 3], [*YEARS, 2, ""]))
    losses = [float(np.mean(fitted.row_loss(truth[:400], np.full((400, 1), step, np.float32)))) for step in (-0.05, 0.0, 0.05)]
    assert min(losses) == losses[1]
    assert np.isfinite(fitted.row_loss(truth, np.zeros((402, 1), np.float32))).all()
    assert fitted.known_rows(truth)[-2:].tolist() == [False, False]
    prediction = np.full((402, 1), 1.5, np.float32)
    expected = fitted.row_columns(truth, prediction)["expected_count"]
    np.testing.assert_allclose(expected[:401], 1.5 * truth[:401, 1], rtol=1e-6)
    assert np.isnan(expected[401])


@pytest.mark.parametrize("distribution", ["poisson", "negative_binomial"])
@pytest.mark.usefixtures("tensorflow")
def test_years_and_days_give_the_same_model(distribution):
    """With a teacher at an exposure of one day, the distance from it would weigh 1/365 of that from the answers."""
    target = TARGET.model_copy(update={"distribution": distribution})
    raw = RANDOM.normal(size=(6, 2)).astype(np.float32)
    losses, limits = [], []
    for days in (1, 365):
        fitted = target.fit(table(COUNTS, YEARS * days), "none")
        truth = fitted.truth(table(COUNTS[:6], YEARS[:6] * days))
        answers, distances = fitted.row_loss(truth, raw), fitted.distillation_loss(np.full((6, 2), 2 / days, np.float32), raw, 1.0)
        # Without the terms that no weight changes.
        losses.append((answers - fitted.row_loss(truth, 0 * raw), distances - distances[0]))
        limits.append(fitted.activation("y")(np.full((1, 2), 50, np.float32)).numpy()[0, 0] * days)
    for years, days in zip(*losses, strict=True):
        np.testing.assert_allclose(years, days, rtol=1e-3, atol=1e-4)
    assert limits[1] == pytest.approx(limits[0], rel=1e-4)


def test_rows_without_an_exposure_say_why_they_have_no_expected_count():
    target = TARGET.fit(table(COUNTS, YEARS), "none")
    cells = {"y": pd.Series([None] * 5, dtype="str"), "years": pd.Series(["2", "0", None, "0", "-1"], dtype="str")}
    columns = target.row_columns(target.truth(cells), np.full((5, 1), 1.5, np.float32))
    assert columns["expected_count"].tolist()[:1] == [3.0]
    remarks = remarks_on_undefined(target, cells, columns, np.array([True, True, True, True, False]))
    assert [(header, remark.rows.tolist(), remark.what, remark.fix) for header, remark in remarks] == [
        ("years", [2], "missing, so that there is no `expected_count`", ""),
        ("years", [1, 3], "'0' is not a number above 0, so that there is no `expected_count`", ""),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_planted_rate_is_recovered_where_exposures_hide_it(tmp_path):
    """Rows of a high rate are observed for a short time: without the exposure, x would seem to lower the counts."""
    import json

    from mmtrain.cli.app import run

    random = np.random.default_rng(3)
    x = random.normal(size=3000)
    years = np.exp(-1.5 * x) * random.uniform(0.5, 1.5, 3000)
    rate = np.exp(0.3 + 0.7 * x)
    pd.DataFrame({"x": x, "years": years, "y": random.poisson(rate * years)}).to_csv(tmp_path / "t.csv", index=False)
    target = {"role": "target", "task": "count", "exposure": "years"}
    tree = {"data": {"table": "t.csv"}, "columns": {"x": {"role": "numeric"}, "y": target}, "training": {"epochs": 30}}
    tree["evaluation"] = {"draws": 100, "conformal": 0.9, "baselines": ["majority", "gradient_boosting", "linear"]}
    (tmp_path / "e.yaml").write_text(json.dumps(tree), encoding="utf-8")
    assert run(["fit", str(tmp_path / "e.yaml"), "--output", str(tmp_path / "runs")]) == 0
    made = tmp_path / "runs" / "e" / "1"
    assert run(["evaluate", str(made)]) == 0
    rows = pd.read_csv(made / "predictions_test.csv")
    slope = np.polyfit(x[rows["row"]], np.log(rows["prediction"]), 1)[0]
    assert slope == pytest.approx(0.7, abs=0.1)
    np.testing.assert_allclose(rows["expected_count"], rows["prediction"] * rows["exposure"], rtol=1e-5)
    scores = json.loads((made / "metrics.json").read_text())["test"]["y"]
    assert {one["kind"] for one in scores["baselines"]} == {"majority", "gradient_boosting", "linear"}
    assert scores["scores"]["mean_deviance"]["value"] < scores["baselines"][0]["scores"]["mean_deviance"]["value"]
