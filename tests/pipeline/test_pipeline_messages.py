"""Images and standard input that cannot be predicted, and searches without a result, with the whole text of the message."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.search_results import TrialResult
from mmtrain.columns import Image, Numeric
from mmtrain.config.sections.tune import Tune
from mmtrain.errors import DataError
from mmtrain.pipeline.prediction.predict_input import STANDARD_INPUT, predict_input
from mmtrain.pipeline.search.results import _no_complete_trial

NUMBER = Numeric(column="age")
FIRST, SECOND = (Image(column=name, size=(4, 4), channels=1) for name in ("front", "side"))


def refused(place, *columns):
    with pytest.raises(DataError) as caught, predict_input(place, {column.column: column for column in columns}):
        pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            (NUMBER,),
            "images alone are predicted by a run with one column of images; this one has none. Give a table with its columns.",
        ),
        (
            (FIRST, SECOND),
            "images alone are predicted by a run with one column of images; this one has front and side. Give a table with its columns.",
        ),
        (
            (FIRST, NUMBER),
            "the folder holds no images. Its files end in none of .png, .jpg, .jpeg, .jpe, .jfif, .bmp, .dib, .gif, .webp, .tif, .tiff, "
            ".avif or 8 more.",
        ),
    ],
)
def test_a_folder_that_cannot_be_predicted(tmp_path, columns, message):
    (tmp_path / "notes.txt").touch()
    assert refused(tmp_path, *columns) == f"{tmp_path}: {message}"


def test_standard_input_that_is_not_a_table(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert refused(STANDARD_INPUT, NUMBER) == "standard input: it is closed. Send it a table, or give the path of one."
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'[{"age": 1}]')))
    assert refused(STANDARD_INPUT, NUMBER) == (
        "standard input: the rows are a list in one JSON document. Send one object a line, for example by `jq -c '.[]'`."
    )


def trial(outcome, reason=""):
    return TrialResult(trial=0, outcome=outcome, score=None, best_epoch=0, epochs=0, seconds=1.0, settings={}, own=False, reason=reason)


def test_a_search_without_a_complete_trial():
    run = Run(Path("runs/a/1"))
    assert str(_no_complete_trial(run, [trial("failed", "the loss is NaN.")], Tune())) == (
        f"{run.folder}: every trial failed; the first one: the loss is NaN. Try the experiment alone: `mmtrain fit`."
    )
    assert str(_no_complete_trial(run, [trial("out of time")], Tune(minutes=2))) == (
        f"{run.folder}: no trial was completed within 2 minutes. Give it more time: mmtrain tune --resume runs/a/1 --minutes MINUTES"
    )
