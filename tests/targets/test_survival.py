"""`task: survival`: what is refused, what training rows teach, likelihoods, the baseline of proportional hazards, and curves of folds."""

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from mmtrain.targets import AnyFittedTarget, SurvivalTarget
from mmtrain.targets.base import KnownLabels

RANDOM = np.random.default_rng(1)
TIMES = RANDOM.exponential(10, 80).round(2)
EVENTS = RANDOM.random(80) < 0.7
TARGET = SurvivalTarget(column="death", time="t", event="d", intervals=4)


def cells(*values):
    return pd.Series(list(values), dtype="str")


def table(times=TIMES, events=EVENTS):
    return {"t": cells(*map(str, times)), "d": cells(*("yes" if event else "no" for event in events))}


@pytest.fixture(scope="module")
def fitted():
    return TARGET.fit(table(), "none")


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        ("t", ["1", "0", "2.5"], []),
        ("t", ["1", "-2", "3"], [([1], "'-2' is a time below 0.", "Count times from the start of the observation.")]),
        (
            "t",
            ["1", "late", "3"],
            [
                (
                    [1],
                    "'late' is not a number.",
                    "Write a number, or list 'late' under `data.missing_values` if it stands for a missing value.",
                )
            ],
        ),
        ("d", ["1", "no", "TRUE"], []),
        (
            "d",
            ["1", "lost", "0"],
            [([1], "'lost' is neither 1 nor 0.", "Write 1 where the time ends with the event, and 0 where not.")],
        ),
        ("d", ["0", "0", "no"], [([0], "no row has an event.", "Write 1 where the time ends with the event.")]),
        ("t", ["1", None], [([1], "the cell is empty.", "Fill it in, or set `missing: drop` to leave the row out.")]),
    ],
)
def test_faults_of_each_header_say_what_would_be_right(header, values, expected):
    found = TARGET.header_faults(header, cells(*values))
    assert [(fault.rows.tolist(), fault.what, fault.fix) for fault in found] == expected


def test_table_that_is_only_scored_may_lack_answers_but_not_have_others():
    known = KnownLabels(of=TARGET)
    assert known.reads() == ("t", "d")
    assert known.header_faults("d", cells("0", None)) == []
    assert [fault.what for fault in known.header_faults("d", cells("dead?"))] == ["'dead?' is neither 1 nor 0."]


def test_cox_refuses_batches_of_one_row_in_the_file(tmp_path):
    from tiny import write_experiment, write_table

    from mmtrain.config import load
    from mmtrain.errors import ConfigError

    write_table(tmp_path / "table.csv", [{"x": 1, "t": 1, "d": 1}])
    target = {"role": "target", "task": "survival", "time": "t", "event": "d"}
    tree = {"columns": {"x": {"role": "numeric"}, "y": target}, "training": {"batch_size": 1}}
    load(write_experiment(tmp_path / "a.yaml", tree))
    tree["columns"]["y"] = {**target, "method": "cox"}
    with pytest.raises(ConfigError, match="a batch of one row has no pair from which 'y' is learned"):
        load(write_experiment(tmp_path / "a.yaml", tree))


def test_curve_has_the_quantiles_of_event_times_and_the_estimate_of_training_rows(fitted):
    from lifelines import KaplanMeierFitter

    assert fitted.edges[0] == 0
    assert fitted.edges[1:] == pytest.approx(np.quantile(TIMES[EVENTS], [0.2375, 0.475, 0.7125, 0.95]), rel=1e-5)
    assert fitted.survived == pytest.approx(KaplanMeierFitter().fit(TIMES, EVENTS).predict(fitted.edges).tolist())
    assert fitted.horizon == pytest.approx(np.median(TIMES[EVENTS]))
    assert 24 in TARGET.model_copy(update={"horizon": 24.0}).fit(table(), "none").edges
    assert fitted.baseline(2).tolist() == [list(fitted.survived)] * 2
    assert fitted.number_columns[0] == "survival_0"
    assert TypeAdapter(AnyFittedTarget).validate_json(fitted.model_dump_json()) == fitted


def test_splits_are_stratified_by_events_and_compared_by_times():
    assert TARGET.strata(table([1, 2], [True, False])).tolist() == ["event", "censored"]
    assert TARGET.answers(table()) == ["censored", "event"]
    assert TARGET.numbers(table([1, 2.5], [True, False])).tolist() == [1, 2.5]


def test_row_that_lacks_time_or_outcome_is_not_known(fitted):
    truth = fitted.truth({"t": cells("3", None, "4"), "d": cells("1", "0", None)})
    assert truth.tolist()[0] == [3, 1]
    assert np.isnan(truth[1:]).all()
    assert fitted.row_weights(truth).tolist() == [1, 0, 0]


def test_truths_are_written_as_times_with_a_mark_where_they_are_censored(fitted):
    truth = np.array([[12.5, 1], [12.0, 0], [0.1, 0], [np.nan, np.nan]])
    words = fitted.decode_truth(truth).tolist()
    assert words == ["12.5", "12+", "0.1+", ""]
    np.testing.assert_array_equal(fitted.parse_truth({"truth": cells(*words).replace("", None)}), truth)


@pytest.mark.usefixtures("tensorflow")
def test_likelihood_counts_the_intervals_that_a_row_has_passed():
    target = TARGET.fit(table([1, 2, 4], [True] * 3), "none").model_copy(update={"edges": (0.0, 1.0, 2.0, 4.0)})
    raw = np.array([[0.5, -1.0, 2.0]] * 6, np.float32)
    log_pass, log_end = -np.log1p(np.exp(-raw[0])), -np.log1p(np.exp(raw[0]))
    # Event in the second interval; at its end; censored before and after the middle of the third; beyond the last; not known.
    truth = np.array([[1.5, 1], [2.0, 1], [2.9, 0], [3.0, 0], [9.0, 1], [np.nan, np.nan]])
    second, two, three = log_pass[0] + log_end[1], log_pass[:2].sum(), log_pass.sum()
    expected = [-second, -second, -two, -three, -three, 0]
    assert np.allclose(target.row_loss(truth, raw), expected, atol=1e-6)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("compiled", [False, True])
def test_partial_likelihood_is_that_of_the_rows_at_risk(compiled):
    import tensorflow as tf

    target = TARGET.model_copy(update={"method": "cox"}).fit(table(), "none")
    times, events = np.array([3.0, 1, 2, 2, 5, np.nan]), np.array([1.0, 1, 1, 0, 0, np.nan])
    raw = RANDOM.normal(size=6).astype(np.float32)
    # The mean over the rows at risk: twice the same rows have the same loss.
    at_risk = [np.log(np.exp(raw[times >= time]).mean()) for time in np.nan_to_num(times)]
    expected = np.where(events == 1, at_risk - raw, 0)
    loss = tf.function(target.row_loss, jit_compile=compiled, autograph=False)
    assert np.allclose(loss(tf.constant(np.stack([times, events], axis=1)), tf.constant(raw[:, None])), expected, atol=1e-6)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # of lifelines
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # of lifelines, since Python 3.12
def test_baseline_hazard_is_that_of_lifelines():
    from lifelines import CoxPHFitter

    x = RANDOM.normal(size=80)
    # Ties are Breslow's in neither Efron's estimate of the coefficients nor here: times differ.
    times = TIMES + np.arange(80) * 1e-4
    fitter = CoxPHFitter().fit(pd.DataFrame({"x": x, "t": times, "d": EVENTS}), "t", "d")
    target = TARGET.model_copy(update={"method": "cox"}).fit(table(times), "none")
    truth = target.truth(table(times))
    raw = (x * float(fitter.params_["x"])).astype(np.float32)[:, None]
    (hazard,) = target.with_baseline(truth, raw, np.ones(80, np.float32))
    # The estimate of lifelines is at the mean of x.
    centered = fitter.baseline_cumulative_hazard_["baseline cumulative hazard"]
    expected = [centered[centered.index <= edge].iloc[-1] if edge else 0 for edge in target.edges]
    assert hazard == pytest.approx(np.array(expected) * np.exp(-x.mean() * float(fitter.params_["x"])), rel=1e-3)
    layer = target.activation("curve")
    before = np.asarray(layer(np.zeros((1, 1), np.float32)))
    layer.set_weights([hazard])
    assert np.allclose(layer(raw[:2]), np.exp(-hazard * np.exp(raw[:2])), atol=1e-6)
    assert before[0] == pytest.approx(target.survived, abs=1e-5)
    assert TARGET.fit(table(), "none").with_baseline(truth, raw, np.ones(80)) is None


def test_curve_of_another_training_is_interpolated(fitted):
    other = fitted.model_copy(update={"edges": (0.0, 2.0, 4.0)})
    here = fitted.model_copy(update={"edges": (0.0, 1.0, 3.0, 9.0)})
    curve = np.array([[1.0, 0.5, 0.25]], np.float32)
    assert (curve @ here.member_matrix(other)).tolist() == [[1.0, 0.75, 0.375, 0.25]]
    assert here.member_matrix(here) is None


def test_calibration_at_the_horizon_compares_groups_with_kaplan_meier(fitted):
    truth = fitted.truth(table())
    table_of = fitted.tables(truth, fitted.baseline(80))["calibration"]
    assert [row[1] for row in table_of.rows] == [16] * 5
    assert all(low <= observed <= high for _, _, _, observed, low, high in table_of.rows)
    assert table_of.caption == f"Survival at {fitted.horizon:g}, predicted and observed"


def test_prediction_is_the_area_below_the_curve(fitted):
    target = fitted.model_copy(update={"edges": (0.0, 1.0, 3.0)})
    assert target.predict_label(np.array([[1.0, 0.5, 0.25]], np.float32)).tolist() == [1.5]
    assert (target.explained_unit, target.squares_losses, target.reference_kind) == (2, False, "times")


@pytest.mark.usefixtures("tensorflow")
def test_distance_from_a_teacher_is_lowest_at_its_curve(fitted):
    raw = RANDOM.normal(size=(5, 4)).astype(np.float32)
    curve = np.asarray(fitted.activation("curve")(raw))
    own = np.asarray(fitted.distillation_loss(curve, raw, 1.0))
    for step in (0.3, -0.3):
        assert (np.asarray(fitted.distillation_loss(curve, raw + np.float32(step), 1.0)) > own).all()


@pytest.mark.usefixtures("tensorflow")
def test_distance_of_proportional_hazards_is_that_of_their_logarithms():
    target = TARGET.model_copy(update={"method": "cox"}).fit(table(), "none")
    raw = np.array([[0.5], [-1.0]], np.float32)
    curve = np.asarray(target.activation("curve")(raw))
    assert np.allclose(target.distillation_loss(curve, raw, 1.0), 0, atol=1e-5)
    assert np.allclose(target.distillation_loss(curve, raw + 2, 3.0), 4, atol=1e-3)


@pytest.mark.usefixtures("tensorflow")
def test_weights_count_rows_at_risk_as_often_as_copies_of_them():
    import tensorflow as tf

    target = TARGET.model_copy(update={"method": "cox"}).fit(table(), "none")
    truth, raw = target.truth(table()), tf.Variable(RANDOM.normal(size=(80, 1)).astype(np.float32))
    counts = RANDOM.integers(0, 3, 80)
    copies = np.repeat(np.arange(80), counts)
    with tf.GradientTape(persistent=True) as tape:
        weighted = tf.reduce_sum(target.weighted_losses(truth, raw, counts.astype(np.float32)))
        repeated = tf.reduce_sum(target.row_loss(truth[copies], tf.gather(raw, copies)))
    assert float(weighted) == pytest.approx(float(repeated), rel=1e-5)
    slopes = [tf.convert_to_tensor(tape.gradient(loss, raw)).numpy() for loss in (weighted, repeated)]
    np.testing.assert_allclose(slopes[0], slopes[1], atol=1e-5)
    assert (slopes[0][counts == 0] == 0).all()


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # of lifelines
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # of lifelines, since Python 3.12
def test_weighted_partial_likelihood_is_lowest_at_the_coefficient_of_lifelines():
    import tensorflow as tf
    from lifelines import CoxPHFitter

    x, weight = RANDOM.normal(size=80), RANDOM.integers(1, 4, 80)
    times = TIMES + np.arange(80) * 1e-4  # no ties, which lifelines treats as Efron does
    data = pd.DataFrame({"x": x, "t": times, "d": EVENTS, "w": weight})
    fitter = CoxPHFitter().fit(data, "t", "d", weights_col="w", robust=True)
    target = TARGET.model_copy(update={"method": "cox"}).fit(table(times), "none")
    slope = tf.Variable(np.float32(fitter.params_["x"]))
    with tf.GradientTape() as tape:
        raw = tf.constant(x[:, None], tf.float32) * slope
        loss = tf.reduce_sum(target.weighted_losses(target.truth(table(times)), raw, weight.astype(np.float32)))
    assert abs(float(tape.gradient(loss, slope))) < 1e-3 * weight.sum()


def test_interval_of_the_calibration_counts_patients_and_not_their_rows():
    from mmtrain.metrics.survival import error_by_groups, greenwood, survived_share

    copies = np.repeat(np.arange(80), 4)
    alone, together = survived_share(TIMES, EVENTS, 8.0), survived_share(TIMES[copies], EVENTS[copies], 8.0, copies)
    assert together.value == pytest.approx(alone.value)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=0.01)
    assert error_by_groups(TIMES, EVENTS, 8.0, np.arange(80)) == pytest.approx(greenwood(TIMES, EVENTS, 8.0)[1], rel=0.05)
    # Each row for itself: half the width, as if there were four times as many patients.
    assert survived_share(TIMES[copies], EVENTS[copies], 8.0).low > alone.low + 0.03


def test_a_row_needs_time_and_outcome_both():
    rows = {"t": cells("3", None, "4", None), "d": cells("1", "0", None, None)}
    assert TARGET.missing_rows(rows).tolist() == [False, True, True, True]
    assert TARGET.model_copy(update={"missing": "mask"}).answered(rows).tolist() == [True, False, False, False]


@pytest.mark.parametrize("policy", ["drop", "mask"])
def test_rows_that_lack_time_or_outcome_are_left_out(tmp_path, policy):
    from tiny import write_experiment, write_table

    from mmtrain.config import load
    from mmtrain.data.tables.read_table import read_tolerantly

    write_table(
        tmp_path / "table.csv", [{"x": x, "t": t, "d": d} for x, t, d in ((1, 3, 1), (2, "", 0), (3, 4, "NA"), (4, "", ""), (5, 6, 0))]
    )
    target = {"role": "target", "task": "survival", "time": "t", "event": "d", "missing": policy}
    experiment = load(write_experiment(tmp_path / "a.yaml", {"columns": {"x": {"role": "numeric"}, "y": target}}))
    table = read_tolerantly(experiment.data.table, experiment.columns).table
    assert table.rows.tolist() == [0, 4]
    reasons = [one.reason for one in table.dropped]
    if policy == "drop":
        assert reasons == ["t and d: the cell is empty.", "t and d: 'NA' means missing.", "t and d: the cell is empty."]
    else:
        assert set(reasons) == {"t and d: no target has an answer."}


def test_table_without_times_and_horizon_beyond_the_last_time_are_refused():
    drop = TARGET.model_copy(update={"missing": "drop"})
    assert [fault.what for fault in drop.header_faults("t", cells(None, None))] == ["no row has a time."]
    late = drop.model_copy(update={"horizon": 24.0})
    assert [fault.what for fault in late.header_faults("t", cells("3", "23"))] == [
        "the longest time is 23, so that nothing is known of the horizon 24."
    ]
    assert late.header_faults("t", cells("3", "24")) == []


def test_time_and_outcome_are_two_columns():
    with pytest.raises(ValidationError, match="`time` and `event` name one column"):
        SurvivalTarget(column="death", time="t", event="t")
