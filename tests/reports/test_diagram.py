"""The network in brief, and its diagram."""

import re
from html.parser import HTMLParser

import pytest
from tiny import ready, two_blobs, write_experiment

from mmtrain.artifacts.run_schema.network_facts import Network
from mmtrain.reports.figures import diagram

EVIL = "<script>alert(1)</script>"


def branch(name, *inputs):
    entries = [{"name": entry, "kind": "image", "shape": [64, 64, 1]} for entry in inputs]
    return {"name": name, "architecture": "mlp", "inputs": entries, "width": 64, "parameters": 23_408}


def network(*branches, targets=("ill",)):
    heads = [{"name": name, "task": "binary", "width": 1, "parameters": 33} for name in targets]
    fusion = {"method": "add", "width": 32, "parameters": 2_592}
    return Network.model_validate({"branches": list(branches), "fusion": fusion, "targets": heads})


class Drawn(HTMLParser):
    """Boxes as (x, y, width, height), texts as (x, y, text), and the size of the whole."""

    def __init__(self, markup):
        super().__init__()
        self.boxes, self.texts, self.tags, self._open = [], [], [], []
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self._open.append(tag)
        if tag == "svg":
            self.width, self.height = (float(number) for number in values["viewbox"].split()[2:])
        if tag == "rect":
            self.boxes.append(tuple(float(values[name]) for name in ("x", "y", "width", "height")))
        if tag == "text":
            self.place = float(values["x"]), float(values["y"])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "text":
            self.texts.append((*self.place, data))


def test_diagram_says_what_goes_where():
    drawn = Drawn(diagram.draw(network(branch("scan", "scan"), branch("rest", "age", "sex"), targets=("ill", "days"))))
    assert [text for _, _, text in drawn.texts] == [
        *("scan: image 64 × 64 × 1", "scan", "mlp, 64 wide", "23,408 parameters"),
        *("age: image 64 × 64 × 1", "sex: image 64 × 64 × 1", "rest", "mlp, 64 wide", "23,408 parameters"),
        *("fusion", "add, 32 wide", "2,592 parameters"),
        *("ill", "binary, 1 wide", "33 parameters", "days", "binary, 1 wide", "33 parameters"),
    ]
    assert drawn.tags.count("path") == 2 + 2 + 2  # inputs to branches, branches to fusion, fusion to targets


@pytest.mark.parametrize(("branches", "targets"), [(1, 1), (3, 1), (12, 2), (1, 9)])
def test_diagram_keeps_boxes_apart_and_texts_inside(branches, targets):
    names = [f"branch {number}" for number in range(branches)]
    drawn = Drawn(diagram.draw(network(*(branch(name, name, "b" * 80) for name in names), targets=[f"t{n}" for n in range(targets)])))
    assert len(drawn.boxes) == 2 * branches + 1 + targets
    for place, (x, y, width, height) in enumerate(drawn.boxes):
        assert min(x, y) >= 0
        assert x + width <= drawn.width
        assert y + height <= drawn.height
        for left, top, wide, high in drawn.boxes[:place]:
            assert x >= left + wide or left >= x + width or y >= top + high or top >= y + height
    for x, y, text in drawn.texts:
        box = next(box for box in drawn.boxes if box[0] < x < box[0] + box[2] and box[1] < y < box[1] + box[3])
        assert x + 6.7 * len(text) < box[0] + box[2]


def test_diagram_cuts_long_names_and_says_them_in_full():
    markup = diagram.draw(network(branch("日本語" * 20, *(f"column {number}" for number in range(40)))))
    assert f"<title>{'日本語' * 20}</title>日本語日本語日本語日本…<" in markup
    assert "and 35 more" in markup


def test_diagram_escapes_every_name():
    outline = network(branch(EVIL, EVIL), targets=(EVIL,))
    markup = diagram.draw(outline)
    assert "<script" not in markup
    assert Drawn(markup).tags.count("text") == len(re.findall("</text>", markup)) == 10
    assert EVIL in diagram.described(outline)  # the page escapes it


def test_diagram_is_described_for_those_who_do_not_see_it():
    assert diagram.described(network(branch("scan", "scan"), branch("rest", "age", "sex"))) == (
        "Diagram of the network: scan, a branch of kind mlp, reads scan: image 64 × 64 × 1 and is 64 wide with 23,408 parameters; "
        "rest, a branch of kind mlp, reads age: image 64 × 64 × 1, sex: image 64 × 64 × 1 and is 64 wide with 23,408 parameters; "
        "they are joined by add, which is 32 wide with 2,592 parameters; from that: ill (binary, 1 wide with 33 parameters)."
    )


def test_outline_counts_what_each_part_learns(tmp_path, tensorflow):
    from mmtrain.model.summary import model_summary
    from mmtrain.pipeline.build import assemble_network

    two_blobs(tmp_path, 20, city=lambda row: f"c{row % 2}", days=lambda row: row)
    path = write_experiment(
        tmp_path / "a.yaml",
        """
        columns:
          x: {role: numeric, missing: mask}
          fusion: {role: categorical, column: city, encode: one_hot}
          y: {role: target, task: multiclass}
          days: {role: target, task: regression}
        branches:
          x: {columns: [x], units: [3]}
          fusion: {columns: [fusion], units: [2]}
        fusion: {units: [5]}
        """,
    )
    all_of = ready(path)
    found = model_summary(
        assemble_network(all_of.experiment, all_of.fitted), all_of.experiment.branches, all_of.experiment.fusion, all_of.fitted
    )
    assert found == {
        "branches": [
            {
                "name": "x",
                "architecture": "mlp",
                "inputs": [{"name": "x", "kind": "vector", "shape": [1]}],
                "width": 3,
                "parameters": 1 * 3 + 3,
            },
            {
                "name": "fusion",
                "architecture": "mlp",
                "inputs": [{"name": "fusion", "kind": "index", "shape": [1]}],
                "width": 2,
                "parameters": 4 * 2 + 2,
            },
        ],
        "fusion": {"method": "concatenate", "width": 5, "parameters": 5 * 5 + 5},
        "targets": [
            {"name": "y", "task": "multiclass", "width": 2, "parameters": 5 * 2 + 2},
            {"name": "days", "task": "regression", "width": 1, "parameters": 5 + 1},
        ],
    }
    fusion = all_of.experiment.fusion.model_copy(update={"auxiliary": 0.3})
    models = assemble_network(all_of.experiment.model_copy(update={"fusion": fusion}), all_of.fitted)
    heads = {"x": 3 * 2 + 2 + 3 + 1, "fusion": 2 * 2 + 2 + 2 + 1}  # a head for each target
    assert model_summary(models, all_of.experiment.branches, fusion, all_of.fitted) == {**found, "auxiliary_heads": heads}
