"""Numbers are one array and one input of the network, and so are categories: nothing in a network grows in number with its columns."""

import numpy as np
import pytest
from tiny import ready, write_experiment, write_table

from mmtrain.branches import Inputs, stacked
from mmtrain.input_layout import InputLayout
from mmtrain.specs import BagSpec, IndexSpec, VectorSpec

pytestmark = pytest.mark.usefixtures("tensorflow")

ROWS = 20
NUMBERS = [f"n{number}" for number in range(12)]
CATEGORIES = [f"c{number}" for number in range(8)]
COLUMNS = {
    **{key: {"role": "numeric", "missing": "mask" if number % 4 == 1 else "median"} for number, key in enumerate(NUMBERS)},
    **{key: {"role": "categorical", "encode": "one_hot" if number % 3 == 1 else "embedding"} for number, key in enumerate(CATEGORIES)},
}
Y = {"y": {"role": "target", "task": "binary"}}


@pytest.fixture(scope="module")
def material(tmp_path_factory, tensorflow):
    """A table with a missing cell in every fifth row of every number."""
    rows = [
        {
            **{key: "" if (row + number) % 5 == 0 else (row * (number + 3)) % 11 for number, key in enumerate(NUMBERS)},
            **{key: "abcde"[(row + number) % (2 + number % 3)] for number, key in enumerate(CATEGORIES)},
            "y": "ny"[row % 2],
        }
        for row in range(ROWS)
    ]
    folder = tmp_path_factory.mktemp("stacked")
    write_table(folder / "table.csv", rows)
    return ready(write_experiment(folder / "experiment.yaml", {"columns": COLUMNS | Y, "split": {"method": "random"}}))


def assembled(material, columns):
    """The network of these columns, all in one branch."""
    from mmtrain import config
    from mmtrain.pipeline.build import assemble_network

    tree = {"columns": {key: COLUMNS[key] for key in columns} | Y, "split": {"method": "random"}}
    experiment = config.load(write_experiment(material.data.table.path.parent / "some.yaml", tree))
    return assemble_network(experiment, material.fitted.of(columns))


def layers_of(model):
    """The number of layers, those inside others included."""
    return len(model._flatten_layers())


def test_a_network_has_one_input_for_all_numbers_and_one_for_all_categories(material):
    few, many = (assembled(material, [*NUMBERS[:count], *CATEGORIES[:count]]) for count in (4, 8))
    names = ["categories", "categories_present", "numbers", "numbers_present"]
    assert sorted(tensor.name for tensor in few.network.inputs) == sorted(tensor.name for tensor in many.network.inputs) == names
    assert layers_of(few.network) == layers_of(many.network)
    assert layers_of(few.end_to_end) == layers_of(many.end_to_end)
    assert len(many.end_to_end.preprocessing.encoders) == 2
    assert sorted(many.end_to_end.input) == sorted([*NUMBERS[:8], *CATEGORIES[:8]])  # as a user of the saved model sees it


def test_columns_are_views_of_one_array_that_is_gathered_at_once(material, monkeypatch):
    from mmtrain.data.encoded_column import EncodedColumn, StackedColumn

    arrays = material.arrays
    whole = arrays.inputs["n0"].stack
    assert {id(arrays.inputs[key].stack) for key in NUMBERS} == {id(whole)}
    assert all(np.shares_memory(arrays.inputs[key].codes, whole.codes) and arrays.present[key].base is not None for key in NUMBERS)
    taken = []
    plain = EncodedColumn.take
    monkeypatch.setattr(EncodedColumn, "take", lambda source, rows, out=None: taken.append(source) or plain(source, rows, out))
    rows = np.array([7, 0, 7])
    batch = arrays.take(rows)
    assert len(taken) == 2
    assert not any(isinstance(source, StackedColumn) for source in taken)
    assert np.array_equal(batch["numbers"], whole.codes[rows])
    assert arrays.presence["numbers_present"] is whole.shown


@pytest.mark.parametrize("columns", [["n3", "n1"], ["n10", "n2", "n11"], ["n7", "c2", "n0", "c5", "c1"], list(reversed(COLUMNS))])
def test_any_columns_in_any_order_are_the_same_stack(material, columns):
    rows = np.array([3, 19, 4])
    some, other = material.arrays.ordered(columns), material.arrays.of(columns)
    batch, single = some.take(rows), material.arrays.columns(rows)
    assert {name: values.tolist() for name, values in batch.items()} == {name: one.tolist() for name, one in other.take(rows).items()}
    for name, values in some.layout.split(batch).items():
        assert np.array_equal(values, single[name]), name
    joined = some.layout.join(single)
    assert all(np.array_equal(joined[name], values) for name, values in batch.items())


def test_presence_that_was_changed_is_the_presence_of_the_stack(material):
    arrays = material.arrays.of(["n2", "n3"])
    arrays.present["n3"] = np.zeros((ROWS, 1), np.float32)
    assert arrays.take(np.arange(3))["numbers_present"].tolist() == [[1, 0]] * 3


def test_a_stack_has_no_name_of_a_column():
    layout = InputLayout({"numbers": VectorSpec(1), "all_numbers_present": VectorSpec(2), "note": BagSpec(3, (1.0,)), "c": IndexSpec(4)})
    assert [stack.name for stack in layout.stacks] == ["all_all_numbers"]
    assert {name: one.shape for name, one in layout.inputs.items()} == {
        "all_all_numbers": (3,),
        "all_all_numbers_present": (2,),
        "note": (3,),
        "note_present": (1,),
        "c": (1,),
        "c_present": (1,),
    }


def test_a_branch_reads_all_columns_at_once_as_it_reads_them_one_by_one(material):
    import keras

    arrays = material.arrays
    masked = [key for key in NUMBERS if COLUMNS[key]["missing"] == "mask"]
    tensors = {name: keras.Input(one.shape, dtype=one.dtype) for name, one in arrays.layout.inputs.items() if name in arrays.layout.names}
    present = keras.Input((len(masked),), dtype="float32")
    inputs = Inputs(arrays.layout, tensors, {"numbers": present}, masked)
    together = stacked(inputs)
    single = {key: inputs[key].masked() for key in inputs}
    outputs = [together.numbers, together.codes, [one.tensor for one in single.values()]]
    model = keras.Model([*tensors.values(), present], outputs)
    batch = arrays.take(np.arange(ROWS))
    order = inputs.masked_of("numbers")
    shown = np.concatenate([arrays.present[key] for key in order], axis=1)
    assert sorted(order) == sorted(masked)
    assert shown.min() == 0
    numbers, codes, one_by_one = model([*(batch[name] for name in tensors), shown])
    values = dict(zip(single, one_by_one, strict=True))
    assert np.array_equal(numbers, np.concatenate([values[key] for key in sorted(NUMBERS)], axis=1))
    assert np.array_equal(codes, np.concatenate([values[key] for key in sorted(CATEGORIES)], axis=1))
    assert [spec.width for spec in together.number_specs] == [single[key].spec.width for key in sorted(NUMBERS)]
    assert [spec.size for spec in together.code_specs] == [single[key].spec.size for key in sorted(CATEGORIES)]
    assert together.first_numbers[:3] == tuple(np.cumsum([0, *(spec.width for spec in together.number_specs[:2])]))
    plain = stacked({key: inputs[key] for key in inputs})  # a map of a user's own making
    again = keras.Model([*tensors.values(), present], [plain.numbers, plain.codes])
    for one, other in zip(again([*(batch[name] for name in tensors), shown]), (numbers, codes), strict=True):
        assert np.array_equal(one, other)


def test_one_table_of_categories_gives_the_codes_of_a_table_for_each():
    from mmtrain.layers.encoding import EncodeCategories

    categories = [["a", "1:a", "b"], ["1:a"], [], ["b", "a"]]
    cells = np.array([["a", "1:a", "a", "a"], ["1:a", "a", "", "b"], ["b", " ", "x", "b "]], dtype=object)
    codes, present = EncodeCategories(categories=categories, masked=[False, True, True, False])(cells)
    for place, names in enumerate(categories):
        alone, shown = EncodeCategories(categories=[names], masked=[place in (1, 2)])(cells[:, place : place + 1])
        assert np.array_equal(codes[:, place : place + 1], alone)
        assert np.array_equal(present[:, place : place + 1], shown)
    assert codes.numpy().tolist() == [[2, 2, 1, 3], [3, 1, 0, 2], [4, 0, 1, 2]]
    assert present.numpy().tolist() == [[1, 1, 1, 1], [1, 1, 0, 1], [1, 0, 1, 1]]


def test_vectors_of_codes_are_those_of_a_table_for_each_column():
    from mmtrain.layers.stacks import CodeVectors

    layer = CodeVectors(sizes=[4, 3, 2, 3], widths=[2, 3, 2, 1], one_hot=[False, True, False, False])
    codes = np.array([[3, 2, 1, 0], [0, 1, 0, 2]], dtype=np.int32)
    found = layer(codes).numpy()
    two, one = (next(table.numpy() for table in layer.tables if table.shape[1] == width) for width in (2, 1))
    assert two.shape == (4 + 2, 2)
    for row, (first, hot, second, last) in zip(found, codes, strict=True):
        assert np.allclose(row, [*two[first], *np.eye(3)[hot], *two[4 + second], *one[last]])
