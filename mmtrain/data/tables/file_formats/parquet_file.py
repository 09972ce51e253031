"""Tables in Parquet.

What the file stores as a type becomes the text that is usual for it: `3` (also for 3.0, whichever numbers stand
around it), `2.5`, `true`, `2024-01-31`, `2024-01-31T12:00:00Z`, `["beach", "sunset"]`. NaN is missing. Bytes of an image
become its data URI, which columns of images take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import DataError, Problem
from mmtrain.image_decoding.data_uri import holds_pixels, to_data_uri

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetFile(TableFile):
    """A Parquet file; typed columns are turned into text."""

    unit = "row"

    def _read_headers(self) -> tuple[str, ...]:
        return tuple(self._schema.names)

    @cached_property
    def _schema(self) -> Any:
        with self._open() as file:
            return file.schema_arrow

    def _open(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(self._damage()) from error

    def _damage(self) -> Problem:
        return Problem(self.path.name, "the file is not Parquet, or it is damaged.", "Write it again.")

    def refusal(self, header: str) -> str:
        """Structs, lists of other things than texts or numbers, bytes and durations cannot be cells; bytes of images can."""
        return "" if header in self._image_columns else type_refusal(self._schema.field(header).type)

    @cached_property
    def _image_columns(self) -> frozenset[str]:
        """Columns of bytes, or of structs with a field `bytes` as Hugging Face writes them, whose first value is an image."""
        candidates = [field.name for field in self._schema if _bytes_of(field.type) is not None]
        return frozenset(header for header in candidates if holds_pixels(self._first_bytes(header)))

    def _first_bytes(self, header: str) -> bytes | None:
        import pyarrow as pa

        try:
            with self._open() as file:
                for batch in file.iter_batches(batch_size=16, columns=[header]):
                    found: bytes | None = next((value for value in _image_bytes(batch.column(header)) if value), None)
                    if found is not None:
                        return found
        except (pa.ArrowException, OSError):  # reported when the file is read
            return None
        return None

    def _texts(self, column: pa.Array, header: str) -> pa.Array:
        """Return cells as text; of a column of images their data URIs."""
        import pyarrow as pa

        if header not in self._image_columns:
            return as_text(column)
        return pa.array([to_data_uri(value) if value else None for value in _image_bytes(column)], pa.large_string())

    def typed(self, header: str) -> bool:
        """Return whether the file stores the column as numbers or truth values."""
        import pyarrow.types as kinds

        kind = self._schema.field(header).type
        value = kind.value_type if kinds.is_dictionary(kind) else kind
        return bool(kinds.is_boolean(value) or kinds.is_integer(value) or kinds.is_floating(value) or kinds.is_decimal(value))

    def kinds(self) -> dict[str, str]:
        """Return what each column holds: `numbers`, `truth values`, `texts` or an Arrow type; a column of nulls is left out."""
        found = {field.name: _kind(field.type) for field in self._schema}
        return {header: kind for header, kind in found.items() if kind}

    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        import pyarrow as pa

        start = 0
        try:
            with self._open() as file:
                for batch in file.iter_batches(batch_size=size, columns=list(headers)):
                    texts = [self._texts(batch.column(header), header) for header in headers]
                    if bad := {header: row for header, cells in zip(headers, texts, strict=True) if (row := _not_utf8(cells)) is not None}:
                        raise DataError([self._encoding_problem(header, start + row) for header, row in bad.items()])
                    yield texts
                    start += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise DataError(self._damage()) from error

    def undecodable(self, headers: Sequence[str]) -> frozenset[str]:
        """Columns of text with a cell that is not UTF-8, which Parquet does not check."""
        import pyarrow as pa

        try:
            with self._open() as file:
                batches = file.iter_batches(columns=list(headers))
                return frozenset(
                    header for batch in batches for header in headers if _not_utf8(self._texts(batch.column(header), header)) is not None
                )
        except (pa.ArrowException, OSError, DataError):
            return frozenset()

    def _encoding_problem(self, header: str, row: int) -> Problem:
        return Problem(f"{self.where(row)}: {header}", "the cell is not UTF-8 text.", "Write the table again, with its texts as UTF-8.")

    def number(self, row: int) -> int:
        """Parquet has no lines."""
        return row

    def where(self, row: int) -> str:
        """`patients.parquet: row 39`."""
        return f"{self.path.name}: row {row}"


def _bytes_of(kind: pa.DataType) -> str | None:
    """Return where a type has bytes: an empty string for the cell itself, `bytes` for that field of a struct; None without."""
    import pyarrow.types as kinds

    if kinds.is_struct(kind):
        return "bytes" if kind.get_field_index("bytes") >= 0 and _bytes_of(kind.field("bytes").type) == "" else None
    return "" if kinds.is_binary(kind) or kinds.is_large_binary(kind) else None


def _image_bytes(column: pa.Array) -> list[bytes | None]:
    values: list[bytes | None] = (column.field("bytes") if _bytes_of(column.type) else column).to_pylist()
    return values


def _kind(kind: pa.DataType) -> str:
    import pyarrow.types as kinds

    value = kind.value_type if kinds.is_dictionary(kind) else kind
    if kinds.is_integer(value) or kinds.is_floating(value) or kinds.is_decimal(value):
        return "numbers"
    if kinds.is_boolean(value):
        return "truth values"
    if kinds.is_string(value) or kinds.is_large_string(value) or kinds.is_string_view(value):
        return "texts"
    return "" if kinds.is_null(value) else str(value)


def type_refusal(kind: pa.DataType) -> str:
    """Return why cells of an Arrow type cannot become text, or an empty string. Arrow would write a duration as a bare number."""
    import pyarrow.types as kinds

    value = kind.value_type if kinds.is_dictionary(kind) else kind
    if is_text_list(value) or is_number_list(value):
        return ""
    in_bytes = kinds.is_binary(value) or kinds.is_large_binary(value) or kinds.is_fixed_size_binary(value)
    return f"the column is of type {kind}." if kinds.is_nested(value) or in_bytes or kinds.is_duration(value) else ""


def is_text_list(kind: pa.DataType) -> bool:
    """Return whether cells of an Arrow type are lists of texts, which several labels of a row are."""
    import pyarrow.types as kinds

    if not (kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)):
        return False
    item = kind.value_type.value_type if kinds.is_dictionary(kind.value_type) else kind.value_type
    return bool(kinds.is_string(item) or kinds.is_large_string(item) or kinds.is_null(item))


def is_number_list(kind: pa.DataType) -> bool:
    """Return whether cells of an Arrow type are lists of numbers, which vectors and series are."""
    import pyarrow.types as kinds

    if not (kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)):
        return False
    return bool(kinds.is_integer(kind.value_type) or kinds.is_floating(kind.value_type))


def _number_list_text(array: pa.Array) -> pa.Array:
    """Return lists of numbers as JSON, null in the place of a missing number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = array.is_null()
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    # `flatten` leaves out what lies under a null list.
    words = pc.fill_null(as_text(array.flatten()), "null")
    ends = pa.array([0, *lengths.cumsum().tolist()], pa.int64())
    inside = pc.binary_join(pa.LargeListArray.from_arrays(ends, words), pa.scalar(", ", pa.large_string()))
    bracket, end, nothing = (pa.scalar(sign, pa.large_string()) for sign in ("[", "]", ""))
    return pc.if_else(missing, None, pc.binary_join_element_wise(bracket, inside, end, nothing))


def as_text(array: pa.Array) -> pa.Array:
    """An arrow array of any plain type as large_string; NaN becomes null."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    if kinds.is_dictionary(array.type):
        array = array.dictionary_decode()
    if is_text_list(array.type):
        lists = [None if cell is None else json.dumps(cell, ensure_ascii=False) for cell in array.to_pylist()]
        return pa.array(lists, pa.large_string())
    if is_number_list(array.type):
        return _number_list_text(array)
    if kinds.is_floating(array.type):
        return _number_text(array)
    if kinds.is_timestamp(array.type):
        # Arrow writes `2024-01-31 12:00:00.000`: a `T`, and no zeros behind the last digit of a second.
        zoned = array.cast(pa.timestamp(array.type.unit, "UTC")) if array.type.tz else array
        text = pc.replace_substring(zoned.cast(pa.large_string()), " ", "T", max_replacements=1)
        seconds = pc.replace_substring_regex(text, r"\.0+(Z?)$", r"\1")
        return pc.replace_substring_regex(seconds, r"(\.\d*[1-9])0+(Z?)$", r"\1\2")
    return array.cast(pa.large_string())


def _number_text(array: pa.Array) -> pa.Array:
    """Whole numbers without `.0`, as other columns of the same table hold them; the rest with as few digits as tell them apart.

    Decided number by number, so that a cell reads the same in every table: 3.0 is `3` also next to 2.5.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    # Arrow writes half precision with digits that it does not have.
    values = array.cast(pa.float32()) if pa.types.is_float16(array.type) else array
    # Doubles tell whole numbers apart up to 2**53.
    whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
    digits = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.large_string())
    text = pc.coalesce(digits, values.cast(pa.large_string()))
    return pc.if_else(pc.is_nan(values), None, text)


def short_number_text(number: float) -> str | None:
    """Return the text that `cell_texts` gives to a number, without a call of Arrow; None where Python might write it otherwise."""
    if number.is_integer():
        return str(int(number)) if abs(number) < 2.0**53 else None
    # Both write the fewest digits that tell a number apart; beyond these, one or the other has an exponent.
    return repr(number) if 1e-4 <= abs(number) < 1e10 else None


def cell_texts(values: Sequence[object]) -> pa.Array:
    """Python's own values as the texts that a Parquet file of them gives: None and NaN are null, a date at midnight has no time."""
    import pyarrow as pa

    texts = [None if isinstance(value, float) else _cell_text(value) for value in values]
    floats = [position for position, value in enumerate(values) if isinstance(value, float)]
    if floats:
        # All numbers by one call: Arrow writes them as a column of Parquet, digit for digit.
        numbers = _number_text(pa.array([values[position] for position in floats], pa.float64())).to_pylist()
        for position, text in zip(floats, numbers, strict=True):
            texts[position] = text
    return pa.array(texts, pa.large_string())


def _cell_text(value: object) -> str | None:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.time() == time():
            return value.date().isoformat()
        return value.isoformat().rstrip("0") if value.microsecond else value.isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _not_utf8(cells: pa.Array) -> int | None:
    """The first cell that is not UTF-8; None where all are. Arrow asks for it only when it has to look at the letters."""
    import pyarrow as pa

    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        for row, cell in enumerate(cells.cast(pa.large_binary()).to_pylist()):
            try:
                (cell or b"").decode()
            except UnicodeDecodeError:
                return row
    return None
