"""`data.format`: options of the table's file that cannot be detected from the file itself."""

from __future__ import annotations

import codecs
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, model_validator

from mmtrain.registry import Section

BLANKS = "blanks"
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": BLANKS}
"""Words for separators."""

TEXT_OPTIONS = ("separator", "decimal", "thousands", "skip_lines", "quote", "escape", "encoding")
"""Options of tables that are text."""


def _separator(text: str) -> str:
    text = NAMED.get(text, text)
    if text == " ":
        return BLANKS
    if text != BLANKS and (len(text) != 1 or text.isalnum() or text in "\"'\\\r\n.+-"):
        raise ValueError(f"{text!r} cannot separate cells. Write one sign such as `;`, or `tab`, or `blanks` for any run of blanks.")
    return text


def _encoding(text: str) -> str:
    try:
        if not codecs.lookup(text)._is_text_encoding:
            raise LookupError
    except (LookupError, ValueError):
        raise ValueError(f"{text!r} is not a known encoding. Write `utf-8`, `utf-16`, `cp1252` or `latin-1`, for instance.") from None
    return text


class TableFormat(Section):
    """Format of the table. Options that are left out are detected from the first lines; if these are ambiguous, an error asks for them."""

    separator: Annotated[str, AfterValidator(_separator)] | None = Field(
        None, description="Separator of cells: one character, `tab`, or `blanks` for any run of blanks and tabs."
    )
    decimal: Literal[".", ","] | None = Field(None, description="The decimal mark: 1.5 or 1,5.")
    thousands: Literal[".", ",", " ", "'"] | None = Field(
        None, description="Separator of groups of three digits, as in 1,234.5. Left out: such numbers are refused."
    )
    skip_lines: NonNegativeInt | None = Field(None, description="Lines before the headers: titles, comments, a line `sep=;`.")
    quote: Literal['"', "'", "none"] | None = Field(
        None, description="Character around cells that contain separators; none: cells are never quoted."
    )
    escape: Literal["\\", "none"] | None = Field(
        None, description="Character before a quote within a quoted cell; none: such a quote is written twice."
    )
    encoding: Annotated[str, AfterValidator(_encoding)] | None = Field(
        None, description="Text encoding, `cp1252` for instance. Left out: UTF-8, or UTF-16 if the file begins with its byte order mark."
    )
    sheet: str | None = Field(None, description="Name of the sheet of an Excel file. Left out: the first one.")

    @model_validator(mode="after")
    def _marks_differ(self) -> TableFormat:
        if self.thousands is not None and self.thousands == self.decimal:
            raise ValueError("`thousands` and `decimal` are the same sign. Leave one of them out.")
        return self

    @property
    def explicit(self) -> dict[str, Any]:
        """The options that are set."""
        return self.model_dump(exclude_none=True)
