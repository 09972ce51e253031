"""Costs that must not grow with the square of the columns, classes or rows: counted in calls, not in seconds."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mmtrain import config
from mmtrain.audit.coded_table import code_column, fingerprints
from mmtrain.audit.column_usage import ColumnUsage
from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.profiling import profile
from mmtrain.audit.quality import redundant_columns as equal
from mmtrain.columns import Categorical, Id, Numeric, numbers
from mmtrain.config import yaml_source
from mmtrain.config.validation.partial_validation import valid_parts
from mmtrain.config.yaml_source import Origin
from mmtrain.data.splits import split_file
from mmtrain.data.splits.split_file import read_split, to_csv
from mmtrain.data.tables.column_buffer import ColumnBuffer
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.errors import did_you_mean
from mmtrain.splits.group_allocation import Tally
from mmtrain.splits.plan import Partition, SplitPlan
from mmtrain.text import spelling

# Columns


def test_an_experiment_file_is_parsed_once_for_all_that_is_asked_of_it(tmp_path, monkeypatch):
    path = tmp_path / "once.yaml"
    path.write_text("data: {table: t.csv}\ncolumns:\n  a: {role: numeric}\n  y: {role: target, task: binary}\n")
    texts = []
    plain = yaml_source.compose

    def noted(text, file):
        texts.append(text)
        return plain(text, file)

    monkeypatch.setattr(yaml_source, "compose", noted)
    config.load(path)
    config.load(path)
    assert Origin(path).place("columns", "y") == "once.yaml:4: columns.y"
    assert texts == [path.read_text()]
    path.write_text(path.read_text().replace("  y:", "  b: {role: numeric}\n  y:"))
    assert Origin(path).place("columns", "y") == "once.yaml:5: columns.y"


def test_columns_of_an_experiment_are_sorted_by_role_once():
    sound = valid_parts({"columns": {"a": {"role": "numeric", "column": "a"}, "y": {"role": "target", "task": "binary", "column": "y"}}})
    assert sound.inputs is sound.inputs
    assert sound.targets is sound.targets


def test_a_misspelt_name_among_thousands_is_compared_with_few(monkeypatch):
    compared = []
    plain = "mmtrain.errors.get_close_matches"
    from difflib import get_close_matches

    def noted(word, names, **options):
        compared.append(len(names))
        return get_close_matches(word, names, **options)

    monkeypatch.setattr(plain, noted)
    names = [f"gene_{number}_level" for number in range(5000)] + ["age", "patient"]
    assert did_you_mean("Gene_77_levle", names) == "Did you mean 'gene_77_level'?"
    assert did_you_mean("genne_4801_level", names) == "Did you mean 'gene_4801_level'?"
    assert did_you_mean("ptient", names) == "Did you mean 'patient'?"
    assert did_you_mean("qqq", names) == ""
    assert max(compared) <= 200


def test_blocks_of_a_wide_table_are_read_as_few_pieces(tmp_path):
    """A block of the file holds 2 MB: 44 rows of these; every piece costs something for each of its columns."""
    rows, columns = 250, 1000
    line = ",".join(["x" * 44] * columns)
    (tmp_path / "t.csv").write_text(",".join(f"c{number}" for number in range(columns)) + "\n" + f"{line}\n" * rows)
    file = open_table(tmp_path / "t.csv")
    lengths = [len(piece["c7"]) for piece in file.pieces(file.headers, size=100_000)]
    assert sum(lengths) == rows
    assert len(lengths) == 1
    assert max(len(piece["c7"]) for piece in file.pieces(["c7"], size=100)) <= 100


ODD = (
    *("12", "-3.5", ".5", "5.", "+7", "20240331", "-0240331", "2024033.", "1e5", "inf", "nan", "12 3", "1.2.3", "31.3.2024", "a b", "-"),
    *("--5", "0012", "1_000", "\u0663", "19991231", "20001301", "2000.123", "\u00b3", "-.5", "-5.", ".", "9" * 30, "a.png", "3.png", "1,5"),
)


@pytest.mark.parametrize("few", [0, 100], ids=["Arrow's expressions", "Python's expressions"])
def test_cells_that_are_figures_are_counted_as_the_expressions_count_them(few, monkeypatch):
    monkeypatch.setattr(spelling, "FEW_TEXTS", few)
    found = {}
    for cell in ODD:
        tally = profile.ProfileAccumulator("a")
        tally.add(code_column(pd.Series([cell], dtype="str")))
        one = tally.profile(5)
        found[cell] = (int(one.words.maximum), one.number_cells, one.wordless, one.spaced, one.dates, one.images)
    assert {cell for cell, (_, number, *_) in found.items() if number} == {
        *("12", "-3.5", ".5", "5.", "+7", "20240331", "-0240331", "2024033.", "1e5", "0012"),
        *("19991231", "20001301", "2000.123", "-.5", "-5.", "9" * 30),
    }
    several = {"-3.5": 2, "12 3": 2, "1.2.3": 3, "31.3.2024": 3, "a b": 2, "1_000": 2, "2000.123": 2, "a.png": 2, "3.png": 2, "1,5": 2}
    assert {cell: words for cell, (words, *_) in found.items() if words != 1} == {**several, "-": 0, ".": 0}
    assert {cell for cell, (*_, wordless, _, _, _) in found.items() if wordless} == {"-", "."}
    assert {cell for cell, (*_, spaced, _, _) in found.items() if spaced} == {"12 3", "a b"}
    assert {cell for cell, (*_, dates, _) in found.items() if dates} == {"20240331", "31.3.2024", "19991231"}
    assert {cell for cell, (*_, images) in found.items() if images} == {"a.png", "3.png"}


def test_no_expression_is_looked_for_in_plain_numbers(monkeypatch):
    looked_at = []
    monkeypatch.setattr(profile, "_matches", lambda texts, _: looked_at.append(len(texts)) or np.zeros(len(texts), dtype=np.bool_))
    monkeypatch.setattr(profile, "_word_counts", lambda texts: looked_at.append(len(texts)) or np.zeros(len(texts), dtype=np.int64))
    tally = profile.ProfileAccumulator("a")
    tally.add(code_column(pd.Series([f"{number / 8:.3f}" for number in range(-500, 500)], dtype="str")))
    assert tally.profile(5).number_cells == 1000
    assert not any(looked_at)


def sheet_of(columns):
    cells = [
        ColumnValues(
            ColumnUsage(header, "numeric" if values.dtype.kind == "f" else "categorical"),
            fingerprints(pa.array(values.astype(str), pa.large_string())),
            numbers=values.astype(float) if values.dtype.kind == "f" else None,
        )
        for header, values in columns.items()
    ]
    rows = len(next(iter(columns.values())))
    return TableValues("t.csv", rows, tuple(cells), np.arange(rows))


def test_columns_that_a_sample_shows_to_be_different_are_not_compared(monkeypatch):
    random, rows = np.random.default_rng(0), 3000
    noise = {f"c{number}": random.integers(0, 6, rows) for number in range(30)}
    noise |= {f"rare{number}": (random.random(rows) < 0.05).astype(int) for number in range(10)}
    noise |= {f"n{number}": random.normal(size=rows) for number in range(20)}
    slips = noise["c3"].copy()
    slips[random.random(rows) < 0.005] = 0
    names = np.array(list("uvwxyz"))[noise["c4"]]
    columns = noise | {"copy": noise["c1"], "slips": slips, "renamed": names, "line": 3 * noise["n2"] + 1, "rare again": 5 - noise["rare3"]}
    compared = []
    plain = equal._describe_sameness

    def noted(pair, *rest):
        compared.append(pair)
        return plain(pair, *rest)

    monkeypatch.setattr(equal, "_describe_sameness", noted)
    found = equal.redundant_columns(sheet_of(columns), None)
    assert [finding.where for finding in found] == ["c1, copy", "c3, slips", "c4, renamed", "rare3, rare again", "n2, line"]
    assert len(compared) <= 60  # of 2,080 pairs


# Rows


def kept(*pieces):
    column = ColumnBuffer()
    for piece in pieces:
        column.add(pd.Series(piece, dtype="str"))
    return column.join()


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([["a", "b", "a", None] * 3, ["b", "c", None, "c"] * 3], pa.dictionary(pa.int8(), pa.large_string())),
        ([[f"k{row % 200}" for row in range(400)]] * 2, pa.dictionary(pa.int16(), pa.large_string())),
        ([["a", "b", None], ["c", "d", "e"]], pa.string()),
        ([["a", "a", "a", None], ["", "ü", "x y"]], pa.string()),
        ([], pa.dictionary(pa.int8(), pa.large_string())),
    ],
    ids=["codes of a byte", "codes of two", "all different", "some repeat", "no rows"],
)
def test_a_column_in_memory_is_one_array_and_gives_its_cells_back(pieces, kind):
    """With many chunks, every cell would be searched for in all of them."""
    cells = [cell for piece in pieces for cell in piece]
    column = kept(*pieces)
    assert isinstance(column._whole, pa.Array)
    assert column._whole.type == kind
    for rows in (None, [], list(range(len(cells)))[1:4], list(range(len(cells)))[::-1], [0, 0, 2] if cells else []):
        found = column.cells(None if rows is None else np.array(rows, dtype=np.int64))
        expected = pd.Series(cells if rows is None else [cells[row] for row in rows], dtype="str")
        pd.testing.assert_series_equal(found, expected)


def test_values_that_new_pieces_bring_are_searched_as_often_as_they_come(monkeypatch):
    """Of patients in the order of the file, every piece has others; searched among all before, four million rows take 17 s, not 3 s."""
    searched = []
    plain = pc.index_in

    def counted(values, value_set):
        searched.append(len(value_set))
        return plain(values, value_set=value_set)

    monkeypatch.setattr(pc, "index_in", counted)
    pieces = [[f"p{row // 4}" if row % 7 else None for row in range(start, start + 20)] for start in range(0, 4000, 20)]
    column = kept(*pieces, pieces[0], pieces[-1])
    assert sum(searched) < 4000
    cells = [cell for piece in [*pieces, pieces[0], pieces[-1]] for cell in piece]
    assert column._whole.type == pa.dictionary(pa.int16(), pa.large_string())
    assert len(column._whole.dictionary) == len(set(cells))
    pd.testing.assert_series_equal(column.cells(), pd.Series(cells, dtype="str"))


def test_columns_learn_from_pieces_what_they_learn_from_the_whole(monkeypatch):
    cells = pd.Series(["1", None, "2.5", "4", "1", "-3"] * 5, dtype="str")
    pieces = [cells.iloc[:7].reset_index(drop=True), cells.iloc[7:].reset_index(drop=True)]
    for column in (Numeric(), Numeric(normalize="minmax", missing="mask"), Categorical(min_count=6), Categorical(max_categories=2)):
        assert column.fit(iter(pieces)) == column.fit([cells])
    whole = numbers.parse_numbers(cells)
    monkeypatch.setattr(numbers, "AT_ONCE", 4)
    assert np.array_equal(numbers.parse_numbers(cells), whole, equal_nan=True)


def test_ids_are_compared_one_by_one_only_where_two_may_be_equal(monkeypatch):
    looked_at = []
    plain = pd.Series.duplicated
    monkeypatch.setattr(pd.Series, "duplicated", lambda self: looked_at.append(len(self)) or plain(self))
    assert Id().faults(pd.Series([f"r{row}" for row in range(300)], dtype="str")) == []
    assert looked_at == []
    (fault,) = Id().faults(pd.Series(["a", "b", "a", "c", "b"], dtype="str"))
    assert (fault.rows.tolist(), fault.what) == ([2, 4], "the id 'a' occurs more than once.")
    assert looked_at == [5]


def test_rows_without_groups_are_counted_without_sorting_them():
    labels = np.array([2, 0, 1, 1, 0, 2, 2])
    plain, fast = Tally.of(np.arange(7), labels), Tally.of_rows(np.arange(7), labels)
    assert [array.tolist() for array in (fast.group, fast.label, fast.rows)] == [
        array.tolist() for array in (plain.group, plain.label, plain.rows)
    ]
    assert fast.rows.strides == (0,)
    assert fast.profiles().tolist() == plain.profiles().tolist()


def test_a_split_is_written_and_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(split_file, "CHUNK_ROWS", 3)
    plan = SplitPlan.of(Partition.from_codes(np.array([0, 2, 0, 1, 0, 0, 3])))
    ids = np.array(["001", 'say "a", b', "", "NA", "two\nlines", "ü", "g"], dtype=object)
    pieces = list(to_csv(plan, range(10, 17), ids.__getitem__))
    assert [piece.count("row,id,fold,part") for piece in pieces] == [1, 0, 0]
    path = tmp_path / "split.csv"
    path.write_text("".join(pieces), encoding="utf-8", newline="")
    written = read_split(path)
    assert (written.rows.tolist(), written.ids.tolist()) == (list(range(10, 17)), ids.tolist())
    assert written.plan.holdout.codes(7).tolist() == [0, 2, 0, 1, 0, 0, 3]
