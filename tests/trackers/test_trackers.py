"""Trackers: every event by its name, options from the file, and no error that reaches the training."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import write_experiment, write_table

from mmtrain import config
from mmtrain.columns import Categorical, Id, Image, Images, Numeric, Split, Text
from mmtrain.commands.fitting.tracking import track_finished
from mmtrain.errors import ConfigError
from mmtrain.trackers import Trackers, TrackerSection, tracker, trackers
from mmtrain.training.listeners.events import Ended, EpochBegan, EpochEnded, Started, Stepped

EPOCH = EpochEnded(1, {"train_loss": 0.5}, 0.001, 1.0, 10.0, True, 1)
STEPS = [Stepped(epoch, step, 4 * step, 1 / (epoch + step)) for epoch in (1, 2) for step in range(1, 5)]


@pytest.fixture
def registered():
    """Names that a test registers, removed again."""
    before = set(trackers)
    yield
    for name in set(trackers) - before:
        trackers.remove(name)


def section(name, **options):
    return trackers[name].section(name=name, **options)


def test_a_tracker_gets_the_events_that_it_has_a_method_for(registered, tmp_path):
    told = []

    @tracker
    class Mine:
        def __init__(self, folder, *, word: str = "x"):
            told.append((folder, word))

        def epoch_ended(self, event):
            told.append(event)

        def ended(self, event):
            told.append(event)

    follow = Trackers([section("mine", word="y")], tmp_path, told.append)
    for event in (EpochBegan(1), EPOCH, Ended(1, 1)):
        follow(event)
    assert told == [(tmp_path, "y"), EPOCH, Ended(1, 1)]


def test_the_end_of_a_run_has_the_types_of_the_cells_that_a_model_reads(registered, tmp_path):
    told = []

    @tracker
    class Mine:
        def __init__(self, folder): ...

        def finished(self, event):
            told.append(event.inputs)

    declared = {
        "age": Numeric(column="age"),
        "sex": Categorical(column="sex"),
        "scan": Image(column="scan", size=(8, 8)),
        "photos": Images(column="photos", size=(8, 8)),
        "note": Text(columns=("title", "body")),
        "who": Id(column="who"),
        "part": Split(column="part"),
    }
    experiment = SimpleNamespace(training=SimpleNamespace(trackers=[section("mine")]), columns=declared)
    track_finished(SimpleNamespace(folder=tmp_path), experiment, pytest.fail)
    types = {"age": "number", "sex": "any", "scan": "text", "photos": "any", "title": "text", "body": "text", "who": "any"}
    assert told == [types]


def test_two_trackers_of_one_name_both_follow_the_training(registered, tmp_path):
    calls = []

    @tracker
    class Mine:
        def __init__(self, folder, *, word: str = "x"):
            self.word = word

        def ended(self, event):
            calls.append(self.word)

    Trackers([section("mine", word="y"), section("mine")], tmp_path, pytest.fail)(Ended(1, 1))
    assert calls == ["y", "x"]


def test_a_tracker_that_fails_is_left_out_with_a_warning_and_the_others_go_on(registered, tmp_path):
    warnings, told = [], []

    @tracker
    class Fails:
        def __init__(self, folder): ...

        def epoch_began(self, event):
            raise OSError("no network")

        def ended(self, event):
            told.append("never")

    @tracker
    class Never(Fails):
        def __init__(self, folder):
            raise ValueError

    @tracker
    class Works(Fails):
        def epoch_began(self, event):
            told.append(event.epoch)

        ended = epoch_ended = None

    follow = Trackers([section("fails"), section("never"), section("works")], tmp_path, warnings.append)
    for event in (EpochBegan(1), EpochBegan(2), EPOCH, Ended(1, 1)):
        follow(event)
    assert told == [1, 2]
    assert warnings == [
        "the tracker `never` failed and is left out from now on: ValueError.",
        "the tracker `fails` failed and is left out from now on: OSError: no network.",
    ]


def test_steps_are_written_and_a_resumed_training_goes_on_behind_its_checkpoint(tmp_path):
    for done_steps, taken in ((0, STEPS), (2, [*STEPS[6:], STEPS[-1]])):
        follow = Trackers([section("steps", every=2)], tmp_path, pytest.fail)
        follow(Started(2, 4, 16, "validation_loss", "minimize", done=1 if done_steps else 0, done_steps=done_steps))
        for event in taken:
            follow(event)
        lines = ["epoch,step,loss", "1,2,0.333333", "1,4,0.2", "2,2,0.25", "2,4,0.166667"]
        assert (tmp_path / "steps.csv").read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[steps]", [("steps", 10)]),
        ("[{name: steps, every: 3}, steps]", [("steps", 3), ("steps", 10)]),
        ("[stops]", "there is no name 'stops'. Did you mean 'steps'?"),
        ("[{name: steps, often: 3}]", "`often`"),
    ],
)
def test_trackers_of_the_file(tmp_path, written, expected):
    write_table(tmp_path / "table.csv", [{"x": row, "y": row % 2} for row in range(20)])
    tree = f"columns: {{x: {{role: numeric}}, y: {{role: target, task: binary}}}}\ntraining: {{trackers: {written}}}\n"
    path = write_experiment(tmp_path / "tracked.yaml", tree)
    if isinstance(expected, list):
        found = config.load(Path(path)).training.trackers
        assert [(one.name, one.every) for one in found] == expected
        assert all(isinstance(one, TrackerSection) for one in found)
        return
    with pytest.raises(ConfigError) as caught:
        config.load(Path(path))
    assert expected in str(caught.value) or expected.strip("`") in str(caught.value)
