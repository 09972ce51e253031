"""The study of a search: trials in one file that processes share, and what becomes of those that end badly."""

import os
from concurrent.futures import ThreadPoolExecutor
from errno import ENOLCK

import filelock
import pytest
from test_search_space import EXPERIMENT, space_of

from mmtrain.errors import ConfigError
from mmtrain.pipeline.search.journal import JOURNAL, FileLock, mend_journal
from mmtrain.pipeline.search.study import Study, _pruner, outcome_of, require_optuna

SPACE = """
{training.learning_rate: {low: 0.0001, high: 1, scale: log}, training.epochs: {low: 2, high: 40},
 branches.table.architecture: [mlp, tabm], branches.table.members: [2, 4], branches.table.units: [[8], [64]]}
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return space_of(tmp_path_factory.mktemp("space"), SPACE, tree=EXPERIMENT)


@pytest.fixture
def study(tmp_path, space):
    opened = Study(tmp_path, maximize=True, pruner="median", seed=0, steps=10)
    opened.begin(space)
    return opened


def again(tmp_path, **options):
    return Study(tmp_path, **{"maximize": True, "pruner": "median", "seed": 0, "steps": 10} | options)


def search(study, space, most):
    """A search whose best learning rate is 0.01."""
    while (asked := study.ask(most)) is not None:
        with asked as trial:
            values = trial.suggest(space)
            distance = abs(values.get("training.learning_rate", 0.001) - 0.01)
            trial.end("complete", -distance, values=values)


def test_the_first_trial_has_the_values_of_the_file(study, space):
    trial = study.ask(1)
    assert trial.is_own
    assert trial.suggest(space) == {}
    trial.end("complete", 0.5)
    assert study.trials()[0].params == {
        "branches.table.architecture": '"mlp"',
        "training.learning_rate": 0.001,
        "training.epochs": 30,
        "branches.table.units": "[64]",
    }


def test_values_are_of_the_types_of_the_file_and_only_those_of_the_chosen_architecture(study, space):
    search(study, space, 12)
    values = [trial.user_attrs["values"] for trial in study.trials()[1:]]
    assert all(isinstance(one["training.epochs"], int) and isinstance(one["branches.table.units"], list) for one in values)
    assert {("branches.table.members" in one, one["branches.table.architecture"]) for one in values} == {(True, "tabm"), (False, "mlp")}


def test_a_reopened_study_goes_on_with_other_values(tmp_path, space, study):
    search(study, space, 6)
    reopened = again(tmp_path)
    reopened.begin(space)
    search(reopened, space, 12)
    rates = [trial.params["training.learning_rate"] for trial in reopened.trials()]
    assert len(set(rates)) == 12
    assert sum(bool(trial.user_attrs.get("own")) for trial in reopened.trials()) == 1


def test_a_search_needs_no_locks_of_the_file_system(tmp_path, space, monkeypatch):
    """NFS may have none; several workers then wait for each other by a file."""

    def refuse(descriptor, **_):
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    workers = [again(tmp_path) for _ in range(2)]
    workers[0].begin(space)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda worker: search(worker, space, 6), workers))
    assert [outcome_of(one) for one in again(tmp_path).trials()] == ["complete"] * 6
    assert not list(tmp_path.glob(".*.lock.lock"))


def test_trials_of_a_killed_process_are_repeated_and_not_counted(tmp_path, space, study):
    search(study, space, 2)
    with study.ask(3) as running:
        killed = running.suggest(space)
        reopened = again(tmp_path)
        assert (reopened.is_running(), reopened.repeat_lost()) == (True, 0)
    # Its process has ended.
    assert (reopened.is_running(), reopened.repeat_lost()) == (False, 1)
    assert reopened.repeat_lost() == 0
    trial = reopened.ask(3)
    assert trial.suggest(space) == killed
    trial.end("complete", 0.0, values=killed)
    assert [outcome_of(one) for one in reopened.trials()] == ["complete", "complete", "lost", "complete"]
    assert reopened.ask(3) is None


def test_the_values_of_the_file_are_repeated_as_such(tmp_path, space, study):
    with study.ask(1):
        reopened = again(tmp_path)
    reopened.repeat_lost()
    assert reopened.ask(1).is_own


def test_a_trial_that_ran_out_of_time_is_repeated_by_a_resumed_search(tmp_path, space, study):
    trial = study.ask(1)
    trial.suggest(space)
    trial.end("out of time")
    assert study.repeat_lost() == 1


def test_a_slow_trial_is_pruned_after_a_third_of_its_epochs(study, space):
    for number in range(6):
        trial = study.ask(7)
        trial.suggest(space)
        pruned = [trial.report(epoch, 0.5 + number + epoch / 100) for epoch in range(1, 11)]
        assert not any(pruned)
        trial.end("complete", 0.9)
    trial = study.ask(7)
    trial.suggest(space)
    assert [trial.report(epoch, 0.1) for epoch in range(1, 6)].index(True) == 2


@pytest.mark.parametrize("file", [f".{JOURNAL}.lock", f".{JOURNAL}.trials"])
def test_a_trial_begins_only_while_no_other_process_has_the_lock(tmp_path, space, study, file):
    """Of the journal, so that its lines are not mixed; and of the trials, so that they are not more than asked for."""
    lock = FileLock(tmp_path / file)
    lock.acquire()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(study.ask, 3)
        try:
            with pytest.raises(TimeoutError):
                asked.result(timeout=0.2)
        finally:
            lock.release()
        assert asked.result(timeout=30).is_own


@pytest.mark.parametrize(("steps", "resources"), [(27, (3, 27)), (5, (1, 5))])
def test_hyperband_ends_trials_from_a_ninth_of_the_epochs_on(steps, resources):
    pruner = _pruner("hyperband", steps, folds=False)
    assert (pruner._min_resource, pruner._max_resource) == resources


def test_hyperband_and_no_pruner_are_known(tmp_path, space):
    for pruner in ("hyperband", "none"):
        (tmp_path / pruner).mkdir()
        opened = again(tmp_path / pruner, pruner=pruner)
        opened.begin(space)
        trial = opened.ask(1)
        trial.suggest(space)
        assert trial.report(1, 0.5) is False


def test_a_search_finds_the_learning_rate_and_says_that_it_matters(tmp_path):
    space = space_of(tmp_path, "{training.learning_rate: {low: 0.0001, high: 1, scale: log}, training.clip_norm: {low: 1, high: 5}}")
    study = again(tmp_path)
    study.begin(space)
    search(study, space, 24)
    scores = [trial.value for trial in study.trials()]
    assert max(scores) > -0.002
    assert next(iter(study.importance())) == "training.learning_rate"
    assert sum(study.importance().values()) == pytest.approx(1)


def test_few_trials_have_no_importance(study, space):
    search(study, space, 5)
    assert study.importance() == {}


def test_several_workers_begin_no_more_trials_than_asked_for(tmp_path, space, study):
    others = [again(tmp_path, seed=worker) for worker in range(1, 4)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(search, one, space, 12) for one in (study, *others)]:
            done.result()
    trials = study.trials()
    assert [trial.number for trial in trials] == list(range(12))
    assert {outcome_of(trial) for trial in trials} == {"complete"}


def test_a_line_that_a_crash_cut_short_is_mended(tmp_path, space, study):
    search(study, space, 3)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    mend_journal(tmp_path)
    reopened = again(tmp_path)
    search(reopened, space, 4)
    assert len(reopened.trials()) == 4


def test_a_missing_package_is_reported_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        require_optuna("mmtrain tune")
    text = "mmtrain tune: a search needs Optuna, which is not installed. Run `pip install 'mmtrain[tune]'`."
    assert str(caught.value) == text
