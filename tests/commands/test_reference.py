"""`mmtrain list` knows every registered name, and every option of it is described."""

import json

import pytest

from mmtrain.branches import architectures, branch
from mmtrain.cli.app import run
from mmtrain.columns import roles
from mmtrain.commands.installation.reference import ALL_KINDS, KINDS, find_name, names_of_kind
from mmtrain.errors import UsageError
from mmtrain.fusions import fusions
from mmtrain.optim import losses, optimizers, schedules
from mmtrain.splits import split_methods
from mmtrain.targets import tasks
from mmtrain.trackers import trackers

REGISTRIES = {
    "columns": roles,
    "branches": architectures,
    "fusions": fusions,
    "targets": tasks,
    "losses": losses,
    "splits": split_methods,
    "optimizers": optimizers,
    "schedules": schedules,
    "trackers": trackers,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_registered_name_is_listed(kind):
    names = {one.name for one in names_of_kind(kind)}
    # The role `target` is a choice among tasks, not a role of its own.
    assert names - {"target"} == set(REGISTRIES[kind]) - {"target"}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_name_and_option_is_described(kind):
    listed = names_of_kind(kind)
    assert listed
    silent = [one.name for one in listed if not one.purpose]
    silent += [f"{one.name}.{option.name}" for one in listed for option in one.options if not (option.values and option.description)]
    assert silent == []


def test_an_option_has_its_values_default_and_meaning():
    options = {option.name: option for option in find_name("branches", "cnn").options}
    assert options["kernel"].values == "integer, 1 to 15"
    assert options["kernel"].default == "3"
    assert options["kernel"].description == "Height and width of the convolution kernels, in pixels."
    assert options["columns"].default == "required"
    assert {option.name: option.values for option in find_name("columns", "target").options}["task"] == ", ".join(sorted(tasks))


def test_targets_say_what_evaluation_has_for_them():
    ends = {name: find_name("targets", name).purpose.partition("`evaluation`")[2] for name in ("binary", "gaussian", "vector", "survival")}
    assert ends == {
        "binary": " has a decision threshold, calibration and conformal sets for it.",
        "gaussian": " has conformal intervals for it. `evaluation` has no calibration for it.",
        "vector": " has conformal intervals of each number for it. `evaluation` has no calibration for it.",
        "survival": " has no calibration or conformal prediction for it.",
    }


def test_a_branch_of_a_users_file_is_listed():
    @branch("vector")
    def listed_branch(inputs, *, width: int = 3):
        """One layer of the user's own."""

    try:
        described = find_name("branches", "listed_branch")
        assert (described.purpose, described.options[-1].default) == ("One layer of the user's own.", "3")
    finally:
        architectures.remove("listed_branch")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("branch",), "branch: this is not a kind of names. Did you mean 'branches'?"),
        (("fusions", "gatd"), "gatd: this is none of the fusions. Did you mean 'gated'?"),
        (
            ("splits", "qqq"),
            "qqq: this is none of the splits. There are column, random, stratified and time.",
        ),
    ],
)
def test_an_unknown_name_is_refused(capsys, words, problem):
    assert run(["list", *words]) == UsageError.exit_code
    assert capsys.readouterr().err.splitlines()[-1] == problem


def test_the_terminal_shows_kinds_names_and_options(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["list"]) == 0
    assert "splits: column random stratified time" in capsys.readouterr().out.splitlines()
    assert run(["list", "branches"]) == 0
    shown = capsys.readouterr().out
    assert "(Gorishniy et al. 2024, arXiv:2410.24210)." in shown
    assert "steps that lie 1, 2, 4, ... apart, with residual connections" in " ".join(shown.split())
    assert run(["list", "schedules", "cosine"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("cosine: Half a cosine from 1 down to `final`")
    assert "warmup_epochs" in shown


def test_json_has_the_same_names(capsys):
    assert run(["list", "splits", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["splits"]] == list(split_methods)
    assert run(["list", "splits", "time", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "time"
