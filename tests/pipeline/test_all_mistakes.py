"""Mistakes of the experiment file and of its data are reported together, any two or three of them."""

import random
from itertools import combinations

import pytest
from tiny import paint, write_experiment, write_table

from mmtrain.commands.check import check
from mmtrain.commands.inspect_data import inspect_experiment
from mmtrain.errors import ConfigError

EXPERIMENT = {
    "data": {"images": "images"},
    "columns": {
        "scan": {"role": "image", "size": [8, 8]},
        "age": {"role": "numeric", "missing": "error"},
        "sex": {"role": "categorical"},
        "row": {"role": "id"},
        "y": {"role": "target", "task": "binary"},
    },
    "branches": {"scan": {"columns": ["scan"], "architecture": "cnn"}, "rest": {"columns": ["age", "sex"]}},
    "fusion": {"method": "concatenate"},
    "training": {"epochs": 1, "early_stopping": {"monitor": "validation_auc"}},
}

OF_FILE = {
    "architecture": (("branches", "scan", "architecture"), "cmn", "there is no architecture 'cmn'. Did you mean 'cnn'?"),
    "monitor": (("training", "early_stopping", "monitor"), "validation_acu", "there is no score 'validation_acu'"),
    "fusion": (("fusion", "method"), "gatted", "there is no method 'gatted'. Did you mean 'gated'?"),
    "split": (("split",), {"method": "randon"}, "there is no method 'randon'. Did you mean 'random'?"),
    "epochs": (("training", "epochs"), "many", "training.epochs: "),
    "role": (("columns", "sex", "role"), "categoric", "there is no role 'categoric'. Did you mean 'categorical'?"),
    "option": (("columns", "sex", "min_cout"), 3, "columns.sex.min_cout: "),
    "evaluation": (("evaluation",), {"drawz": 5}, "evaluation.drawz: "),
    "section": (("traning",), {"epochs": 3}, "traning: "),
    "branch column": (("branches", "rest", "columns"), ["age", "sx"], "there is no column 'sx'. Did you mean 'sex'?"),
    "data": (("data", "imagez"), "images", "data.imagez: "),
}
"""By name: the keys that are changed, to what, and a part of the problem."""
OF_DATA = {
    "table": "table.csv: the table does not exist. Set `data.table` to its path.",
    "images": "the images folder does not exist. Set `data.images` to the folder that image cells are relative to.",
    "number": "table.csv:4: age: 'abc' is not a number.",
    "id": "table.csv:6: row: the id 'r3' occurs more than once.",
    "header": "has no column 'age'.",
    "rows": "table.csv:8: the row has 6 cells, the header has 5.",
}
"""By name: a part of the problem."""
OF_CELLS = set(OF_DATA) - {"table", "images"}


def write(folder, of_file, of_data):
    """The experiment with these mistakes."""
    folder.mkdir()
    rows = [{"scan": f"{row}.png", "age": 20 + row, "sex": "fm"[row % 2], "row": f"r{row}", "y": "ab"[row % 2]} for row in range(20)]
    if "number" in of_data:
        rows[2]["age"] = "abc"
    if "id" in of_data:
        rows[4]["row"] = "r3"
    if "table" not in of_data:
        path = write_table(folder / "table.csv", rows)
        text = path.read_text().splitlines()
        if "header" in of_data:
            text[0] = text[0].replace("age", "years")
        if "rows" in of_data:
            text[7] += ",more"
        path.write_text("\n".join(text) + "\n")
    if "images" not in of_data:
        for row in range(20):
            paint(folder / "images" / f"{row}.png", row)
    tree = {key: dict(section) for key, section in EXPERIMENT.items()}
    tree["columns"] = {key: dict(column) for key, column in tree["columns"].items()}
    tree["branches"] = {key: dict(branch) for key, branch in tree["branches"].items()}
    tree["training"] = {**tree["training"], "early_stopping": dict(tree["training"]["early_stopping"])}
    for name in of_file:
        keys, value, _ = OF_FILE[name]
        section = tree
        for key in keys[:-1]:
            section = section[key]
        section[keys[-1]] = value
    return write_experiment(folder / "clinic.yaml", tree)


def unreported(folder, of_file, of_data):
    """Mistakes that are not named among the problems, and the problems."""
    with pytest.raises(ConfigError) as caught:
        check(write(folder, of_file, of_data))
    problems = [str(problem) for problem in caught.value.problems]
    parts = [OF_FILE[name][2] for name in of_file] + [OF_DATA[name] for name in of_data]
    # Each part is in one of the problems, and no problem is there for no reason.
    return [part for part in parts if not any(part in problem for problem in problems)], len(problems) - len(parts)


def fits(of_file, of_data):
    """Whether the mistakes can occur together and can be told from each other."""
    keys = [OF_FILE[name][0] for name in of_file]
    if any(one[: len(other)] == other or other[: len(one)] == one for one, other in combinations(keys, 2)):
        return False
    hidden = OF_CELLS if "data" in of_file or "table" in of_data else set()  # what cells mean may depend on the mistake
    if "role" in of_file and set(of_file) & {"monitor", "option"}:  # what a column without a role may have is not known
        return False
    if {"role", "branch column"} <= set(of_file) or {"number", "header"} <= set(of_data) or {"rows"} < set(of_data) & OF_CELLS:
        return False
    return not hidden & set(of_data)


PAIRS = [((one,), (other,)) for one in OF_FILE for other in OF_DATA]
TRIPLES = [((*two,), (other,)) for two in combinations(OF_FILE, 2) for other in OF_DATA]
TRIPLES += [((one,), (*two,)) for one in OF_FILE for two in combinations(OF_DATA, 2)]


def test_the_first_three_mistakes_that_were_seen_apart(tmp_path):
    path = write(tmp_path / "a", ["architecture", "monitor"], ["table"])
    with pytest.raises(ConfigError) as caught:
        check(path)
    lines = path.read_text().splitlines()
    place = {key: number for number, line in enumerate(lines, start=1) for key in ("architecture: cmn", "monitor:") if key in line}
    assert str(caught.value).splitlines() == [
        f"clinic.yaml:{place['architecture: cmn']}: branches.scan.architecture: there is no architecture 'cmn'. Did you mean 'cnn'?",
        f"clinic.yaml:{place['monitor:']}: training.early_stopping.monitor: there is no score 'validation_acu' for these targets. "
        "Did you mean 'validation_auc'?",
        f"{path.parent}/{OF_DATA['table']}",
    ]
    with pytest.raises(ConfigError) as inspected:
        inspect_experiment(path)
    assert str(inspected.value) == str(caught.value)


@pytest.mark.parametrize(("of_file", "of_data"), [pair for pair in PAIRS if fits(*pair)])
def test_any_two_mistakes_are_reported_together(tmp_path, of_file, of_data):
    assert unreported(tmp_path / "a", of_file, of_data) == ([], 0)


def test_any_three_mistakes_are_reported_together(tmp_path):
    triples = [triple for triple in TRIPLES if fits(*triple)]
    assert len(triples) > 250
    chosen = random.Random(3).sample(triples, 40)
    assert [triple for number, triple in enumerate(chosen) if unreported(tmp_path / str(number), *triple) != ([], 0)] == []


@pytest.mark.slow
def test_all_triples_of_mistakes_are_reported_together(tmp_path):
    triples = [triple for triple in TRIPLES if fits(*triple)]
    assert [triple for number, triple in enumerate(triples) if unreported(tmp_path / str(number), *triple) != ([], 0)] == []


def test_a_missing_table_and_a_missing_images_folder_are_reported_together(tmp_path):
    path = write(tmp_path / "a", [], ["table", "images"])
    with pytest.raises(Exception, match="the table does not exist") as caught:
        check(path)
    assert [problem.what for problem in caught.value.problems] == ["the table does not exist.", "the images folder does not exist."]


def test_cells_of_a_column_with_a_mistake_are_not_judged(tmp_path):
    """What `missing` or `column` mean may be mended by the same correction."""
    path = write(tmp_path / "a", [], ["number", "header"])
    path.write_text(path.read_text().replace("missing: error", "missing: error\n    colum: years"))
    with pytest.raises(ConfigError) as caught:
        check(path)
    assert [problem.what for problem in caught.value.problems] == ["unknown key for the role `numeric`."]
