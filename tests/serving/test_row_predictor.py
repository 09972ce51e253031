"""Rows of requests are predicted to the bit as `predict` does it, with the same status."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from tiny_serving import cells, image_bytes

from mmtrain.data.tables.file_formats.parquet_file import cell_texts, short_number_text
from mmtrain.errors import DataError
from mmtrain.image_decoding.data_uri import to_data_uri
from mmtrain.pipeline.groups.ensemble import load

GOOD = cells(0) | {"who": "new", "scan": to_data_uri(image_bytes(90))}
ROWS = [
    GOOD,
    GOOD | {"dose": None},
    GOOD | {"dose": "none"},
    GOOD | {"dose": " 7,5 "},
    GOOD | {"dose": True},
    GOOD | {"dose": float("inf")},
    GOOD | {"dose": 10**30},
    GOOD | {"dose": 1e40},
    GOOD | {"age": ""},
    GOOD | {"age": "old", "dose": ""},
    GOOD | {"city": " ulm\u00a0"},
    GOOD | {"city": "rom"},
    GOOD | {"city": 7, "smokes": 1.0},
    GOOD | {"smokes": "1", "note": 3.0},
    GOOD | {"smokes": False},
    GOOD | {"smokes": None},
    GOOD | {"note": "", "story": None, "words": "  "},
    GOOD | {"note": "WORD1 İstanbul \ud800 ΣΑΣ", "story": "once e\u0301", "words": "two 你好 🙂"},
    GOOD | {"scan": None},
    GOOD | {"scan": "data:image/png;base64,!!"},
    GOOD | {"scan": to_data_uri(b"\x89PNG broken")},
    GOOD | {"scan": to_data_uri(image_bytes(30, "JPEG", (40, 30)))},
]
NUMBERS = ["probability_high", "probability_low", "calibrated_high", "calibrated_low"]


@pytest.fixture(scope="module")
def loaded(clinic):
    return load("clinic", output=clinic / "runs")


@pytest.fixture(scope="module")
def expected(loaded):
    """What `predict` says of each row as a DataFrame of its own."""
    alone = [loaded.predict(pd.DataFrame([row], dtype=object), proba=True) for row in ROWS]
    return pd.concat(alone, ignore_index=True)


def records(predictor, rows):
    return predictor.predict(predictor.prepare(rows)).records(0, len(rows))


def test_every_kind_of_cell_is_predicted_as_in_a_frame(predictor, expected):
    together = records(predictor, ROWS)
    assert together == [record for row in ROWS for record in records(predictor, [row])]
    statuses = [record["status"] for record in together]
    assert statuses == expected["status"].tolist()
    assert {"ok", "dose: 'true' is not a number", "city: unseen category 'rom'"} <= set(statuses)
    table = pd.DataFrame(together)
    for name in ("id", "prediction", "prediction_set"):
        assert [record[name] for record in together] == expected[name].astype(object).where(expected[name].notna(), None).tolist()
    for name in NUMBERS:
        np.testing.assert_array_equal(table[name].to_numpy(np.float32), expected[name].to_numpy(np.float32))


def test_an_image_is_taken_as_bytes_array_base64_or_data_uri(predictor):
    content = image_bytes(90)
    ways = [content, base64.b64encode(content).decode(), np.full((8, 8), 90, np.uint8), to_data_uri(content)]
    rows = predictor.predict(predictor.prepare([GOOD | {"scan": way} for way in ways]))
    assert rows.status.tolist() == ["ok"] * 4
    assert len({row.tobytes() for row in rows.columns["probability_high"][:, None]}) == 1


def test_a_path_is_no_image_under_any_policy_and_names_no_folder(predictor, clinic):
    rows = predictor.predict(predictor.prepare([GOOD | {"scan": "1.png"}, GOOD | {"scan": {"a": 1}}, GOOD | {"note": {"a": 1}}]))
    assert rows.status.tolist() == [
        "scan: unreadable, '1.png' is not an image in base64, and paths are not read",
        "scan: unreadable, an object is not an image",
        "note: an object is not a cell; note: missing, has a code of its own",
    ]
    assert rows.refused.all()
    assert rows.records(0, 1)[0]["prediction"] is None


def test_a_row_without_a_column_is_refused_with_the_name_that_was_meant(predictor):
    row = {("ages" if key == "age" else key): value for key, value in GOOD.items()}
    with pytest.raises(DataError, match=r"row 1: the row has no 'age'\. It has 'ages': did you mean 'age'"):
        predictor.prepare([GOOD, row])


def test_a_row_without_a_column_is_refused_with_the_keys_that_are_not_read(predictor):
    row = {("file" if key == "scan" else key): value for key, value in GOOD.items()}
    expected = (
        "row 0: the row has no 'scan'. It has 'file' and 'y', which the model does not read. "
        "Send null for a missing value; in a form or in CSV, an empty one."
    )
    with pytest.raises(DataError) as refused:
        predictor.prepare([row])
    assert str(refused.value) == expected


def test_calls_of_two_threads_take_turns(predictor, monkeypatch):
    call, running, most = predictor._call, [], []

    def watched(*arguments):
        running.append(1)
        most.append(len(running))
        time.sleep(0.02)
        try:
            return call(*arguments)
        finally:
            running.pop()

    monkeypatch.setattr(predictor, "_call", watched)
    expected = records(predictor, [GOOD])
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: records(predictor, [GOOD]), range(6)))
    assert found == [expected] * 6
    assert set(most) == {1}


def test_drift_is_found_in_rows_of_requests(predictor):
    monitor = predictor.monitor()
    rows = predictor.predict(predictor.prepare([GOOD | {"age": 900 + row, "city": "rom"} for row in range(40)]))
    monitor.add(rows.chunk)
    assert {(one.column, one.kind) for one in monitor.drifts()} >= {("age", "range"), ("city", "unseen")}


def test_a_frame_of_images_needs_no_folder(loaded, tmp_path, monkeypatch):
    data = loaded.experiment.data.model_copy(update={"images": tmp_path / "gone"})
    monkeypatch.setattr(loaded, "experiment", loaded.experiment.model_copy(update={"data": data}))
    cells = [image_bytes(90), np.full((8, 8), 90, np.uint8), to_data_uri(image_bytes(90)), None]
    frame = pd.DataFrame([GOOD | {"scan": cell} for cell in cells], dtype=object)
    assert loaded.predict(frame)["status"].tolist() == ["ok", "ok", "ok", "scan: masked, the cell is empty"]
    with pytest.raises(DataError, match="the images folder does not exist"):
        loaded.predict(pd.DataFrame([GOOD | {"scan": "1.png"}]))


def test_numbers_have_the_text_that_a_table_gives_them():
    random = np.random.default_rng(0)
    spread = random.normal(size=20_000) * 10.0 ** random.integers(-12, 20, 20_000)
    edges = [0.0, -0.0, 1e-4, 9.9e-5, 1e10, 9999999999.5, 2.0**53, -(2.0**53) + 1, 0.1 + 0.2, 1 / 3, np.nan, np.inf]
    numbers = [*spread.tolist(), *(random.integers(-(10**9), 10**9, 20_000) / 1000).tolist(), *edges]
    texts = [short_number_text(number) for number in numbers]
    assert sum(text is None for text in texts) < 25_000
    written = cell_texts(numbers).to_pylist()
    assert [text for text in texts if text is not None] == [full for text, full in zip(texts, written, strict=True) if text is not None]
