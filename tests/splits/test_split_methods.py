"""Registered split methods: their options in the experiment file, those of a user's own file, and what is wrong with either."""

import json

import numpy as np
import pytest
from tiny import two_blobs, write_experiment

from mmtrain import config
from mmtrain.cli.app import run
from mmtrain.commands.check import check
from mmtrain.config.load import json_schema
from mmtrain.errors import ConfigError, DataError
from mmtrain.splits import Partition, Rows, SplitPlan, split_method, split_methods
from mmtrain.system.user_code import import_code

TREE = "columns: {x: {role: numeric}, y: {role: target, task: binary}}\n"
MINE = '''
from typing import Annotated

import numpy as np
from pydantic import Field

from mmtrain.splits import Partition, Rows, SplitPlan, split_method


@split_method
def every_nth(rows: Rows, *, nth: Annotated[int, Field(ge=3, description="Every so many-th row is tested.")] = 5) -> SplitPlan:
    """Every nth row is a test row, the one after it a validation row."""
    place = np.arange(rows.count) % nth
    codes = np.select([place == 0, place == 1], [2, 1], 0)
    notes = (f"Every {nth}th row is a test row.",)
    return SplitPlan.of(Partition.from_codes(codes), description="Rows were taken by their place", notes=notes, facts={"nth": nth})
'''


@pytest.fixture
def mine(tmp_path):
    """The file of a user, imported for one test."""
    path = tmp_path / "my_split.py"
    path.write_text(MINE)
    import_code([path])
    yield path
    split_methods.remove("every_nth")


@pytest.fixture
def registered():
    """Register methods for one test."""
    before = list(split_methods)
    yield
    for name in set(split_methods) - set(before):
        split_methods.remove(name)


def experiment(folder, split):
    two_blobs(folder, 20)
    return write_experiment(folder / "a.yaml", f"{TREE}split: {split}\ntraining: {{epochs: 1, optimizer: sgd}}")


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("random", {"method": "random", "validation": 0.15, "test": 0.15, "folds": None, "repeats": 1, "seed": 0}),
        ("{seed: 3}", {"method": "stratified", "validation": 0.15, "test": 0.15, "folds": None, "repeats": 1, "seed": 3}),
        ("{method: random, test: 0}", {"method": "random", "validation": 0.15, "test": 0.0, "folds": None, "repeats": 1, "seed": 0}),
        ("{method: random, folds: 4}", {"method": "random", "validation": 0.15, "test": 0.0, "folds": 4, "repeats": 1, "seed": 0}),
        ("{folds: 4, test: 0.2}", {"method": "stratified", "validation": 0.15, "test": 0.2, "folds": 4, "repeats": 1, "seed": 0}),
    ],
)
def test_a_method_has_its_parameters_as_options(tmp_path, split, expected):
    assert config.load(experiment(tmp_path, split)).split.model_dump() == expected


def test_a_method_of_a_users_file_is_in_the_schema_and_divides_the_rows(tmp_path, mine, capfd):
    path = experiment(tmp_path, "{method: every_nth, nth: 4}")
    schema = json_schema()["$defs"]["EveryNthSplitSection"]
    assert schema["description"] == "Every nth row is a test row, the one after it a validation row."
    assert schema["properties"]["nth"]["description"] == "Every so many-th row is tested."
    assert {"enum": list(split_methods)} in json_schema()["properties"]["split"]["anyOf"]
    found = check(path)
    assert {part.part: part.rows for part in found.summary} == {"train": 10, "validation": 5, "test": 5}
    assert found.notes == ("Every 4th row is a test row.",)
    assert run(["check", str(path), "--code", str(mine), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["notes"] == ["Every 4th row is a test row."]


def test_a_run_keeps_what_a_users_method_says(tmp_path, mine):
    from mmtrain.commands.evaluate import EvaluateOptions, evaluate
    from mmtrain.commands.fit import fit

    done = fit(experiment(tmp_path, "{method: every_nth}"), output=tmp_path / "runs")
    lines = (done.run / "split.csv").read_text().splitlines()
    assert lines[:4] == ["row,id,fold,part", "0,0,0,test", "1,1,0,validation", "2,2,0,train"]
    assert done.run.read_json("data.json")["split"] == {
        "method": "every_nth",
        "description": "Rows were taken by their place",
        "notes": ["Every 5th row is a test row."],
        "nth": 5,
    }
    assert evaluate(str(done.run.folder), EvaluateOptions()).targets["y"].rows == 4
    assert "Rows were taken by their place. Every 5th row is a test row." in (done.run / "model_card.md").read_text()


@pytest.mark.parametrize(
    ("option", "line", "problem"),
    [
        ("nth: 2", 9, "split.nth: 2 is out of range. It has to be 3 or more."),
        (
            "seed: 1",
            9,
            "split.seed: unknown key for the method `every_nth`. The keys here are method and nth. "
            "It is a key of `column`, `random` and `stratified`.",
        ),
    ],
)
def test_options_of_a_users_method_are_checked(tmp_path, mine, option, line, problem):
    with pytest.raises(ConfigError) as refused:
        config.load(experiment(tmp_path, f"{{method: every_nth, {option}}}"))
    assert str(refused.value) == f"a.yaml:{line}: {problem}"


UNSOUND = "A plan uses every row once in each partition, and a group on one side only; see `mmtrain.splits.plan`."


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (lambda codes: SplitPlan.of(Partition.from_codes(codes[:-1])), f"the split is unsound: 1 row in no part (first: 19). {UNSOUND}"),
        (Partition.from_codes, f"the split is a Partition, not a SplitPlan. {UNSOUND}"),
        (
            lambda codes: SplitPlan((Partition.from_codes(codes[:-2]),), test=np.array([18, 19])),
            "the plan has outer test rows besides the test rows of its only partition. Return one set of test rows.",
        ),
    ],
)
def test_a_plan_that_cannot_be_used_is_a_mistake_of_the_method(tmp_path, registered, plan, problem):
    @split_method
    def mistaken(rows: Rows) -> SplitPlan:
        return plan(np.arange(rows.count) % 3)

    with pytest.raises(DataError) as refused:
        check(experiment(tmp_path, "mistaken"))
    assert str(refused.value) == f"the split method `mistaken`: {problem}"


def test_a_split_by_column_says_whether_validation_was_drawn():
    drawn = Rows(4, given=["train", "train", "train", "test"], headers={"given": "part"})
    marked = Rows(3, given=["train", "validation", "test"], headers={"given": "part"})
    assert split_methods["column"].plan(marked).description == "The parts were given by the column part"
    assert split_methods["column"].plan(drawn).description == (
        "The parts were given by the column part; it marks no row validation, so those rows were drawn from the rows marked train"
    )


def test_an_option_of_a_method_needs_a_type_and_a_default(registered):
    with pytest.raises(TypeError, match=r"Option 'share' of .*untyped needs a type and a default"):

        @split_method
        def untyped(rows: Rows, *, share) -> SplitPlan:
            raise NotImplementedError


def test_conformal_is_another_word_for_calibration_on_the_command_line():
    from mmtrain.cli.evaluate import Part, chosen_part

    assert chosen_part("evaluate", Part.conformal, None) is Part.calibration
    assert chosen_part("evaluate", None, None) is Part.test


def test_findings_take_calibration_rows_for_validation_rows(tmp_path):
    """They were drawn from those; a patient in train and calibration was a part without a name, and their spellings were training's."""
    from mmtrain.commands.inspect_data import inspect_experiment

    two_blobs(tmp_path, 60, patient_id=lambda row: f"P{row // 3}")
    tree = f"{TREE}split: {{method: random, validation: 0.4}}\nevaluation: {{conformal: 0.6}}"
    found = inspect_experiment(write_experiment(tmp_path / "a.yaml", tree)).findings
    torn = next(finding for finding in found if finding.kind == "group_on_two_sides")
    assert torn.what == "the name says whom a row belongs to, and 18 groups have rows in train, validation and test at once: 54 rows."
