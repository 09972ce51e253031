"""Tables and archives that cannot be read to their end, each with the whole text of the message."""

import pytest
from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference

from mmtrain.config.sections.table_format import TableFormat
from mmtrain.data.images.tar_members import read_member
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.errors import DataError
from mmtrain.image_decoding import UnreadableImage


def refused(path):
    with pytest.raises(DataError) as caught:
        table = open_table(path, (), TableFormat())
        list(table.pieces(list(table.headers), size=10))
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.jsonl", '{"a": ' + "[" * 100_000, "t.jsonl:1: the line is nested too deep. Write one JSON object a line."),
        ("t.jsonl", '{"a": ' + "1" * 5_000 + "}", "t.jsonl:1: the line holds a number that is too long. Write one JSON object a line."),
        (
            "t.csv",
            "a,b\n1," + "é" * 2_500_000 + "\n3,4\n",
            "t.csv: a row is longer than 2,000,000 bytes. Look for a quote that is not closed; keep texts as long as this in Parquet.",
        ),
    ],
    ids=["nested", "number", "row"],
)
def test_lines_without_end(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert refused(tmp_path / name) == message


def test_parts_of_a_table_in_folders_of_different_keys(tmp_path):
    for part in ("site=a/x.csv", "year=3/y.csv"):
        (tmp_path / "t" / part).parent.mkdir(parents=True)
        (tmp_path / "t" / part).write_text("a,b\n1,2\n")
    assert refused(tmp_path / "t") == (
        "year=3/y.csv: its folders name year, those of site=a/x.csv others. Give all files folders of the same keys, as `site=a/year=2024`."
    )


def test_excel_file_with_charts_alone(tmp_path):
    book, chart = Workbook(), BarChart()
    chart.add_data(Reference(book["Sheet"], 1, 1))
    book.create_chartsheet("c").add_chart(chart)
    del book["Sheet"]
    book.save(tmp_path / "t.xlsx")
    assert refused(tmp_path / "t.xlsx") == "t.xlsx: the file has no sheet of cells. Save the table in a sheet."


def test_archive_that_is_not_what_it_was(tmp_path):
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"x" * 100)
    changed = archive.stat().st_mtime_ns
    for name, size, time, what, fix in (
        ("a.tar", 5, changed - 1, "The archive was changed while it was in use.", "Start again."),
        ("a.tar", 50, changed, "The archive was cut short.", "Copy it again, whole."),
        (
            "b.tar",
            5,
            changed,
            "The archive cannot be opened: no such file or directory.",
            "Give the path of an archive that this user may read.",
        ),
    ):
        with pytest.raises(UnreadableImage) as caught:
            read_member(f"{tmp_path / name}#one.png", 90, size, time)
        assert (str(caught.value), caught.value.fix) == (what, fix)
