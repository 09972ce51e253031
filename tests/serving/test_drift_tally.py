"""Rows that come one by one are counted like the same rows at once."""

import pandas as pd
from tiny_serving import cells

from mmtrain.serving.drift_tally import COUNTED_ROWS, DriftTally, _joined
from mmtrain.serving.metrics import Metrics


def test_rows_one_by_one_have_the_drift_and_the_counts_of_the_rows_at_once(predictor):
    rows = predictor.prepare([cells(row) | {"scan": None, "age": 400, "city": "" if row % 3 else "rom"} for row in range(COUNTED_ROWS + 6)])
    single, whole = Metrics(), Metrics()
    one_by_one, at_once = DriftTally(predictor, single, "clinic"), DriftTally(predictor, whole, "clinic")
    chunks = [predictor.predict([row]).chunk for row in rows]
    for chunk in chunks[: COUNTED_ROWS - 1]:
        one_by_one.add(chunk)
    assert "mmtrain_cells_total" not in single.text()
    for chunk in chunks[COUNTED_ROWS - 1 :]:
        one_by_one.add(chunk)
    assert f'mmtrain_cells_total{{model="clinic",column="age",kind="outside_range"}} {COUNTED_ROWS}' in single.text()
    at_once.add(predictor.predict(rows).chunk)
    assert one_by_one.drifts() == at_once.drifts()
    assert single.text() == whole.text()


def test_cells_are_joined_as_pandas_joins_them(predictor):
    parts = [
        predictor.predict(predictor.prepare([cells(row) | {"scan": None, "note": note}])).chunk.cells["note"]
        for row, note in enumerate(["one", None, "zw\u00f6lf", ""])
    ]
    pd.testing.assert_series_equal(_joined(parts), pd.concat(parts, ignore_index=True))
