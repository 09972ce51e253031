"""`task: ranking`: what is refused, pairs within groups, scores pinned to scikit-learn, ranks, and a training of planted relevances."""

import json
from itertools import permutations
from math import comb
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from mmtrain.data.sampling import GroupSampler
from mmtrain.metrics.ranked_groups import misordered_pairs, ndcg_of_groups, ranking_scorer, ranking_scores
from mmtrain.pipeline.checks import check_labels
from mmtrain.targets import AnyFittedTarget, RankingTarget

TARGET = RankingTarget(column="y", group="q")
RANDOM = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(12), RANDOM.integers(1, 9, 12))
RELEVANCE = RANDOM.integers(0, 4, len(GROUPS)).astype(float)
PREDICTED = np.round(RELEVANCE + RANDOM.normal(0, 1.5, len(GROUPS)))  # rounded: some are equal


def cells(*values):
    return pd.Series(list(values), dtype="str")


def fitted(**options):
    return TARGET.model_copy(update=options).fit({"y": cells("0", "1"), "q": cells("a", "a")}, "none")


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        ("y", ["0", "2.5", "1"], []),
        ("q", ["a", "b", "1"], []),
        ("y", ["0", "-1", "1"], [([1], "'-1' is a relevance below 0.", "Add the same number to all of them.")]),
        (
            "y",
            ["1", "1", "1"],
            [([0], "every row has the same number.", "Rows of a group need different relevances, from which their order follows.")],
        ),
        ("q", ["a", None], [([1], "the cell is empty.", "Fill it in, or set `missing: drop` to leave the row out.")]),
    ],
)
def test_faults_of_each_header_say_what_would_be_right(header, values, expected):
    faults = TARGET.header_faults(header, cells(*values))
    assert [(fault.rows.tolist(), fault.what, fault.fix) for fault in faults] == expected


@pytest.mark.parametrize(
    ("groups", "relevances", "pairs"),
    [
        (("a", "a", "b"), ("0", "1", "1"), True),
        (("a", "b", "c"), ("0", "1", "2"), False),
        (("a", "a", "b"), ("1", "1", "0"), False),
        (("a", None, "a"), ("1", "0", None), False),
    ],
)
def test_rows_without_a_pair_are_refused(groups, relevances, pairs):
    """In groups of one row the loss is 0, whatever is predicted."""
    faults = TARGET.part_faults({"y": cells(*relevances), "q": cells(*groups)})
    assert [fault.what for fault in faults] == (
        [] if pairs else ["no two rows of one 'q' have different relevances, so that there is no order to learn."]
    )


def test_a_table_whose_groups_are_empty_is_not_told_to_spell_its_relevances_alike():
    """It said 'Training knows : write the answers alike.'"""
    columns = {"y": cells("1", "2"), "q": cells(None, None)}
    table = SimpleNamespace(path=Path("new.csv"), cells=lambda header, _: columns[header])
    problem, filled = check_labels._problem(TARGET, fitted(), table, np.arange(2))
    assert (problem.where, problem.what) == ("new.csv: y and q", "no row has a value under each of these headers.")
    assert (problem.fix, filled) == ("Fill in the cells that are empty.", True)


def test_group_has_one_code_in_every_table():
    one, other = (
        fitted().truth({"y": cells("1", "2"), "q": cells("a", "b")}),
        fitted().truth({"y": cells("3", None), "q": cells("b", None)}),
    )
    assert one[1, 1] == other[0, 1] != one[0, 1]
    assert np.isnan(other[1]).all()
    assert one[:, 1].max() < 2**52
    assert TypeAdapter(AnyFittedTarget).validate_json(fitted().model_dump_json()) == fitted()
    with pytest.raises(ValidationError, match="`column` and `group` name one column"):
        RankingTarget(column="q", group="q")


@pytest.mark.parametrize("top", [1, 3, 10])
def test_ndcg_is_that_of_scikit_learn_for_each_group(top):
    from sklearn.metrics import ndcg_score

    values = ndcg_of_groups(GROUPS, RELEVANCE, PREDICTED, top)
    for group in range(12):
        rows = group == GROUPS
        if not RELEVANCE[rows].any() or rows.sum() == 1:
            assert np.isnan(values[group])
        else:
            assert values[group] == pytest.approx(ndcg_score([RELEVANCE[rows]], [PREDICTED[rows]], k=top))


def test_pairs_are_those_of_different_relevance_in_one_group():
    pairs = misordered_pairs(GROUPS, RELEVANCE, PREDICTED)
    for row in range(len(GROUPS)):
        others = (GROUPS[row] == GROUPS) & (RELEVANCE[row] != RELEVANCE)
        sign = np.sign(RELEVANCE[row] - RELEVANCE[others]) * np.sign(PREDICTED[row] - PREDICTED[others])
        assert pairs.all[row] == others.sum()
        assert pairs.wrong[row] == ((1 - sign) / 2).sum()


def test_reciprocal_ranks_of_tied_rows_are_the_mean_over_their_orders():
    """The mean place of tied rows gave a random order .18 where 5 of 10 rows are relevant, and its expectation is .70."""
    predicted = np.array([5.0, 3, 3, 3, 3, 1, 1])
    for relevant in ([2, 4, 5], [3], [1, 2, 3, 4], [0, 1], [5], [5, 6]):
        relevance = np.isin(np.arange(7), relevant).astype(float)
        orders = [[0, *(1 + np.array(order)), 5, 6] for order in permutations(range(4))]
        orders += [[*order[:5], 6, 5] for order in orders]
        expected = np.mean([1 / (1 + np.flatnonzero(relevance[order])[0]) for order in orders])
        two = [np.tile(values, 2) for values in (relevance, predicted)]
        values = ranking_scorer(np.repeat([4.0, 9.0], 7), *two, 10)(np.ones((1, 14), np.int64))
        assert values["mrr"][0] == pytest.approx(expected)
    constant = ranking_scores(np.zeros(10), np.arange(10) % 2.0, np.zeros(10), 10)
    assert constant[2].value == pytest.approx(sum(comb(9 - place, 4) / comb(10, 5) / (place + 1) for place in range(6)))


def test_scores_are_means_over_groups_and_draws_count_whole_groups():
    names = {score.name: score.value for score in ranking_scores(GROUPS, RELEVANCE, PREDICTED, 10)}
    drawn = RANDOM.integers(0, 3, 12)
    counts = np.stack([np.ones(len(GROUPS), np.int64), drawn[GROUPS]])
    values = ranking_scorer(GROUPS, RELEVANCE, PREDICTED, 10)(counts)
    assert {name: value[0] for name, value in values.items()} == pytest.approx(names)
    of_groups = ndcg_of_groups(GROUPS, RELEVANCE, PREDICTED, 10)
    defined = ~np.isnan(of_groups)
    assert values["ndcg"][1] == pytest.approx(np.average(of_groups[defined], weights=drawn[defined]))
    random = {score.name: score.value for score in ranking_scores(GROUPS, RELEVANCE, np.zeros(len(GROUPS)), 10)}
    assert random["pair_accuracy"] == 0.5
    assert random["ndcg"] < names["ndcg"]
    flat = ranking_scores(np.zeros(3), np.ones(3), PREDICTED[:3], 10)
    assert [score.name for score in flat if score.value is None] == ["pair_accuracy"]


def test_groups_of_one_row_are_in_no_score_and_counted():
    """Their order is right whatever is predicted: scikit-learn refuses them."""
    more = [np.append(values, extra) for values, extra in ((GROUPS, [90, 91]), (RELEVANCE, [1, 2]), (PREDICTED, [0, 0]))]
    scores, without = ({score.name: score.value for score in ranking_scores(*rows, 10)} for rows in (more, (GROUPS, RELEVANCE, PREDICTED)))
    assert scores == pytest.approx(without)
    alone = ranking_scores(np.arange(3.0), np.ones(3), PREDICTED[:3], 10)
    assert [score.value for score in alone] == [None] * 3
    assert alone[0].undefined == "NDCG needs a group of two rows or more with a relevance above 0."
    table = fitted().tables(np.stack([more[1], more[0]], axis=1), more[2][:, None])["ndcg"]
    assert f"and {2 + int((np.bincount(GROUPS) == 1).sum())} groups of one row" in table.note


@pytest.mark.usefixtures("tensorflow")
def test_loss_is_the_mean_of_pairs_and_weights_are_copies():
    truth = np.stack([RELEVANCE, GROUPS.astype(float)], axis=1)
    truth[3] = np.nan
    raw = PREDICTED.astype(np.float32)[:, None]
    losses = fitted().row_loss(truth, raw).numpy()
    for group in range(12):
        rows = np.flatnonzero((group == GROUPS) & ~np.isnan(truth[:, 0]))
        pairs = [np.log1p(np.exp(PREDICTED[j] - PREDICTED[i])) for i in rows for j in rows if RELEVANCE[i] > RELEVANCE[j]]
        assert losses[rows].sum() == pytest.approx(len(rows) * np.mean(pairs) if pairs else 0, rel=1e-5)
    assert losses[3] == 0
    twice = fitted().weighted_losses(truth, raw, np.full(len(raw), 2, np.float32)).numpy()
    np.testing.assert_allclose(twice, 2 * losses, rtol=1e-5)
    without = np.where(np.arange(len(raw)) == 5, 0, 1).astype(np.float32)
    gone = np.where(np.arange(len(raw))[:, None] == 5, np.nan, truth)
    np.testing.assert_allclose(fitted().weighted_losses(truth, raw, without), fitted().row_loss(gone, raw), rtol=1e-5)


def test_batches_hold_whole_groups_but_for_one_at_each_end():
    codes = RANDOM.permutation(np.repeat(np.arange(50.0), RANDOM.integers(1, 8, 50)))
    codes[::20] = np.nan
    sampler = GroupSampler(codes)
    first, again, second = (sampler.positions(3, epoch) for epoch in (1, 1, 2))
    assert sorted(first) == list(range(len(codes)))
    assert (first == again).all()
    assert not (first == second).all()
    ordered = codes[first]
    known = ordered[~np.isnan(ordered)]
    # As many runs of equal codes as there are groups, once rows without a group are left out.
    runs = 1 + (known[1:] != known[:-1]).sum()
    assert runs == len(np.unique(known))
    assert np.flatnonzero(np.isnan(ordered)).std() > 5  # rows without a group are not neighbours


def test_large_groups_come_as_early_as_small_ones():
    """In the order of their first shuffled rows, a group of 60 among 60 of one row opened nearly every epoch."""
    sampler = GroupSampler(np.concatenate([np.zeros(60), np.arange(1.0, 61.0)]))
    begins = [int(np.flatnonzero(sampler.positions(0, epoch) == 67)[0]) for epoch in range(1, 201)]
    assert 54 < np.mean(begins) < 66


@pytest.fixture(scope="module")
def ranked(tmp_path_factory, tensorflow):
    """A table of 60 queries whose relevance follows from x, but only within a query; its run is evaluated and predicts."""
    from mmtrain.cli.app import run

    def call(*words):
        assert run([str(word) for word in words]) == 0

    folder = tmp_path_factory.mktemp("ranked")
    random = np.random.default_rng(2)
    query = np.repeat(np.arange(60), 8)
    x, level = random.normal(size=480), random.normal(size=60)[query] * 10
    table = pd.DataFrame({"x": x + level / 10, "z": random.normal(size=480), "query": [f"q{code}" for code in query]})
    noisy = x + random.normal(0, 0.4, 480)
    table["relevance"] = noisy.reshape(60, 8).argsort(axis=1).argsort(axis=1).reshape(-1)
    table = table.sample(frac=1, random_state=1)
    table.to_csv(folder / "table.csv", index=False)
    columns = {
        "x": {"role": "numeric"},
        "z": {"role": "numeric"},
        "query": {"role": "group"},
        "relevance": {"role": "target", "task": "ranking", "group": "query", "top": 5, "extra_metrics": ["ndcg_at_k@1"]},
    }
    tree = {"data": {"table": "table.csv"}, "columns": columns, "training": {"epochs": 12, "batch_size": 64, "learning_rate": 0.02}}
    tree["evaluation"] = {"draws": 100, "baselines": ["majority", "gradient_boosting"]}
    (folder / "ranked.yaml").write_text(json.dumps(tree), encoding="utf-8")
    call("fit", folder / "ranked.yaml", "--output", folder / "runs")
    call("evaluate", folder / "runs" / "ranked" / "1")
    return folder, table, call


def test_planted_order_within_queries_is_learned_and_scored_by_query(ranked):
    folder, _, _ = ranked
    result = json.loads((folder / "runs" / "ranked" / "1" / "metrics.json").read_text())["test"]["relevance"]
    assert list(result["scores"])[:4] == ["ndcg", "pair_accuracy", "mrr", "ndcg_at_k@1"]
    assert result["scores"]["ndcg"]["low"] < result["scores"]["ndcg"]["value"]
    assert result["scores"]["pair_accuracy"]["value"] > 0.8
    assert (result["interval"]["unit"], result["interval"]["column"]) == ("group", "query")
    assert {one["kind"]: one["scores"]["pair_accuracy"]["value"] for one in result["baselines"]}["majority"] == 0.5
    assert result["analyses"]["ndcg"]["rows"][0][0] == "first 1"


def test_predictions_have_the_rank_of_each_row_in_its_query(ranked):
    folder, table, call = ranked
    made = folder / "runs" / "ranked" / "1"
    table.drop(columns="relevance").to_csv(folder / "later.csv", index=False)
    call("predict", made, folder / "later.csv", "-o", folder / "later_predicted.csv")
    for path, queries in ((made / "predictions_test.csv", None), (folder / "later_predicted.csv", table["query"].to_numpy())):
        rows = pd.read_csv(path)
        group = rows["group_code"] if queries is None else queries
        ranks = rows["prediction"].groupby(np.asarray(group)).rank(ascending=False, method="first")
        assert (rows["rank"] == ranks).all()
    table[["x", "z"]].to_csv(folder / "bare.csv", index=False)
    call("predict", made, folder / "bare.csv", "-o", folder / "bare_predicted.csv")
    assert "rank" not in pd.read_csv(folder / "bare_predicted.csv")


def test_ranks_of_a_group_in_several_chunks_are_those_of_the_whole_table(ranked, monkeypatch):
    import mmtrain
    from mmtrain.data import prediction_chunks

    folder, table, _ = ranked
    frame = table.drop(columns="relevance")
    monkeypatch.setattr(prediction_chunks, "CHUNK_ROWS", 100)
    predicted = mmtrain.load(folder / "runs" / "ranked" / "1").predict(frame)
    ranks = predicted["prediction"].groupby(frame["query"]).rank(ascending=False, method="first")
    assert (predicted["rank"] == ranks).all()


def test_rows_of_a_request_are_ranked_as_predict_ranks_a_table(ranked):
    import mmtrain
    from mmtrain.artifacts.run_folder import Run
    from mmtrain.serving.batcher import Part
    from mmtrain.serving.row_predictor import RowPredictor
    from mmtrain.serving.served_rows import request_records

    folder, table, _ = ranked
    frame = table.drop(columns="relevance").sort_values("query").head(20).reset_index(drop=True)
    frame.loc[5, "query"] = None
    expected = mmtrain.load(folder / "runs" / "ranked" / "1").predict(frame)
    assert expected["status"].tolist() == ["query: missing, so that there is no `rank`" if row == 5 else "ok" for row in range(20)]
    predictor = RowPredictor(Run(folder / "runs" / "ranked" / "1"))
    rows = predictor.prepare(frame.astype(object).where(frame.notna(), None).to_dict("records"))
    others = predictor.prepare([{"x": 0, "z": 1}, {"x": 1, "z": 1}])
    # A request in two calls of the network, the first of which has rows of another request.
    first, second = predictor.predict([*rows[:12], *others]), predictor.predict(rows[12:])
    records = request_records([Part(first, 0, 12), Part(second, 0, 8)])
    assert [list(record) for record in records] == [["prediction", "rank", "status"]] * 20
    assert [record["rank"] for record in records] == expected["rank"].astype(object).where(expected["rank"].notna(), None).tolist()
    assert [record["status"] for record in records] == expected["status"].tolist()
    assert [list(record) for record in request_records([Part(first, 12, 14)])] == [["prediction", "status"]] * 2


@pytest.mark.slow
def test_ranking_is_explained_exported_and_trained_with_folds(ranked):
    folder, _, call = ranked
    made = folder / "runs" / "ranked" / "1"
    call("explain", made)
    for form in ("saved_model", "onnx"):
        call("export", made, "--format", form)
    for name, options in (
        ("folds", ("--set", "split.folds=2")),
        ("members", ("--set", "branches={all: {columns: [x, z], architecture: tabm}}")),
    ):
        call("fit", folder / "ranked.yaml", "--output", folder / "runs", "--set", f"name={name}", "--set", "training.epochs=2", *options)


def test_split_that_may_separate_a_query_and_batches_of_one_row_are_refused(tmp_path):
    from tiny import write_experiment, write_table

    from mmtrain.config import load
    from mmtrain.errors import ConfigError

    write_table(tmp_path / "table.csv", [{"x": 1, "q": "a", "y": 1}])
    columns = {"x": {"role": "numeric"}, "y": {"role": "target", "task": "ranking", "group": "q"}}
    with pytest.raises(ConfigError, match="rows of one 'q' have to be in one part of the split") as caught:
        load(write_experiment(tmp_path / "a.yaml", {"columns": columns}))
    assert "groups: {role: group, column: q}" in str(caught.value)
    load(write_experiment(tmp_path / "a.yaml", {"columns": {**columns, "groups": {"role": "group", "column": "q"}}}))
    columns["groups"] = {"role": "group", "column": "q"}
    with pytest.raises(ConfigError, match="a batch of one row has no pair from which 'y' is learned"):
        load(write_experiment(tmp_path / "a.yaml", {"columns": columns, "training": {"batch_size": 1}}))
