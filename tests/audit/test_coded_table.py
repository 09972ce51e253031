"""Cells that are read and coded once, their fingerprints, and numbers that are sorted once."""

import io
import random

import numpy as np
import pyarrow as pa
import pytest

from mmtrain.audit import coded_table
from mmtrain.audit.coded_table import CodedTable, fingerprints
from mmtrain.audit.column_usage import ColumnUsage
from mmtrain.audit.leakage.predictive_power import ClassOutcome
from mmtrain.audit.profiling.profile import _plain_numbers, profile_columns
from mmtrain.audit.ranked_numbers import rank_numbers
from mmtrain.audit.read_values import read_table_values
from mmtrain.cli.views import inspection
from mmtrain.cli.views.console import _Plain
from mmtrain.commands.inspect_data import inspect_table
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.table_file import TableFile
from mmtrain.metrics.labels.auc import placements

ROWS = 300
TEXTS = ["", "a", "b", "ab", "a\0", "\0", "1234567", "12345678", "123456789", "12345678" * 2, "12345678" * 2 + "x", "ä", "日本", "x" * 1000]


def write(path, seed=0):
    """A table with numbers, words among them, empty cells, categories, texts and an answer."""
    generator = np.random.default_rng(seed)
    columns = {
        "number": [f"{value:.2f}" for value in generator.normal(size=ROWS)],
        "mixed": [str(value) if value else "NA" for value in generator.integers(0, 30, ROWS)],
        "holes": [str(value) if value else "" for value in generator.integers(0, 9, ROWS)],
        "kind": [f"k{value}" for value in generator.integers(0, 5, ROWS)],
        "note": [" ".join(generator.choice(["one", "two", "three", "four"], 5)) for _ in range(ROWS)],
        "y": ["yes" if value else "no" for value in generator.integers(0, 2, ROWS)],
    }
    path.write_text("\n".join([",".join(columns), *map(",".join, zip(*columns.values(), strict=True))]) + "\n", encoding="utf-8")
    return path


def test_fingerprints_are_equal_for_equal_texts_only():
    prints = fingerprints(pa.array(TEXTS, pa.large_string()))
    assert len(set(prints.tolist())) == len(TEXTS)
    assert (prints != 0).all()
    apart = np.concatenate([fingerprints(pa.array([text], pa.large_string())) for text in TEXTS])
    np.testing.assert_array_equal(prints, apart)
    np.testing.assert_array_equal(prints[3:9], fingerprints(pa.array(TEXTS, pa.large_string()).slice(3, 6)))


def test_plain_numbers_have_the_words_of_the_tokenizer():
    plain = ["7", "-7", "+1.5", ".5", "5.", "20240331", "0" * 398, "1.25"]
    others = ["", "-", ".", "1.2.3", "1,5", "--7", "7 ", "1e5", "a", "\u0661", "0" * 400, "9" * 70_000 + "."]
    texts = pa.array(["x", *plain, *others], pa.large_string()).slice(1)
    words, compact = _plain_numbers(texts)
    assert words.tolist() == [1, 1, 2, 1, 1, 1, 1, 2, *[0] * len(others)]
    assert compact.tolist() == [plain.index("20240331")]


def test_inspect_data_reads_every_column_once(tmp_path, monkeypatch):
    path, read, pieces = write(tmp_path / "t.csv"), [], TableFile.pieces
    monkeypatch.setattr(TableFile, "pieces", lambda file, headers, *, size: (read.extend(headers), pieces(file, headers, size=size))[1])
    assert inspect_table(path).missing_words == ("NA",)  # although the profile is made anew without this word
    assert sorted(read) == ["holes", "kind", "mixed", "note", "number", "y"]


def test_a_table_that_is_too_large_to_keep_gives_the_same(tmp_path, monkeypatch):
    path = write(tmp_path / "t.csv")
    kept = inspect_table(path)
    monkeypatch.setattr(coded_table, "MAX_KEPT_BYTES", 0)
    assert inspect_table(path) == kept


def test_words_that_turn_out_to_be_missing_need_no_second_reading(tmp_path):
    path = write(tmp_path / "t.csv")
    table = CodedTable(open_table(path))
    list(table.chunks(["mixed", "kind"]))
    again = CodedTable(open_table(path, ("NA",)))
    (derived,), (read,) = table.reopened(again.file).chunks(["mixed", "kind"]), again.chunks(["mixed", "kind"])
    for header in ("mixed", "kind"):
        np.testing.assert_array_equal(derived[header].codes, read[header].codes)
        assert derived[header].values.equals(read[header].values)


def test_chunks_give_what_the_whole_table_gives(tmp_path, monkeypatch):
    path = write(tmp_path / "t.csv")
    headers = open_table(path).headers
    uses = [
        ColumnUsage(header, role)
        for header, role in zip(headers, ("numeric", "numeric", "numeric", "categorical", "text", "id"), strict=True)
    ]

    def found():
        table = CodedTable(open_table(path))
        return profile_columns(table, headers), read_table_values(table, uses, ROWS)

    profiles, values = found()
    monkeypatch.setattr(coded_table, "READ_CHUNK_ROWS", 70)
    monkeypatch.setattr(coded_table, "gather", lambda pieces: pieces)
    chunked, chunked_values = found()
    assert chunked == profiles
    for one, other in zip(values.columns, chunked_values.columns, strict=True):
        assert one.names == other.names
        for name in ("prints", "numbers", "keys", "written", "scripts", "texts"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_ranked_numbers_give_the_quantiles_of_numpy(digits):
    generator = np.random.default_rng(digits)
    numbers = generator.normal(size=500).round(digits)
    numbers[generator.random(500) < 0.1] = np.nan
    rows, shares = generator.permutation(500)[:201], np.linspace(0, 1, 33)
    for ranked, some in ((rank_numbers(numbers), numbers), (rank_numbers(numbers).at(rows), numbers[rows])):
        known = some[~np.isnan(some)]
        assert ranked.total == len(known)
        np.testing.assert_array_equal(ranked.quantiles(shares), np.quantile(known, shares))
        np.testing.assert_array_equal(ranked.quantiles(shares, np.exp), np.quantile(np.exp(known), shares))


def test_the_auc_of_a_column_is_that_of_all_pairs():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 400)
    numbers = (generator.normal(size=400) - labels).round(1)
    found = ClassOutcome(labels, np.arange(400)).score_sizes(rank_numbers(numbers))
    areas = [float(placements(labels == label, numbers)[0].mean()) for label in range(3)]
    assert found.score == pytest.approx(np.mean([max(area, 1 - area) for area in areas]), rel=1e-12)
    assert (found.best.label, found.best.score) == (0, pytest.approx(max(areas[0], 1 - areas[2]), rel=1e-12))


def test_an_interval_is_computed_for_scores_that_are_told_only():
    labels = np.arange(100) % 2
    numbers = rank_numbers(np.random.default_rng(0).normal(size=100))
    assert np.isnan(ClassOutcome(labels, np.arange(100), interval_from=0.9).score_sizes(numbers).low)
    assert ClassOutcome(labels, np.arange(100)).score_sizes(numbers).low < 0.5


def shown(headers, rows, words, width):
    file = io.StringIO()
    inspection.show_rows(_Plain(file=file, highlight=False, width=width), headers, rows, words=words)
    return file.getvalue()


@pytest.mark.parametrize("tables", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_long_tables_look_as_rich_lays_them_out(monkeypatch, tables):
    chance = random.Random(0)
    words = ["a", "word", "longer", "äöü", "日本語", "x" * 50, "🙂", "\x1b[1m"]
    for _ in range(tables):
        count = chance.randint(2, 5)
        most = [2] * (count - 1) + [chance.choice([2, 12])]
        rows = [
            [" ".join(chance.choices(words[:-1] if chance.random() < 0.99 else words, k=chance.randint(0, one))) for one in most]
            for _ in range(6)
        ]
        left = [*(place for place in range(1, count - 1) if chance.random() < 0.5), count - 1]
        options = (["column", "role", "what is in it", "rows", "because"][:count], rows, left, chance.choice([40, 80, 120]))
        monkeypatch.setattr(inspection, "MANY_ROWS", 1000)
        expected = shown(*options)
        monkeypatch.setattr(inspection, "MANY_ROWS", 0)
        assert shown(*options) == expected
