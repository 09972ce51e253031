"""`role: categorical`: one of several names per row.

Encoded as kind `index`: (batch, 1) int32. Codes: 0 = missing, 1 = unseen in training, 2... = the categories of training
rows in the order of their text; with `buckets`, 2 and more are hashes. `encode: one_hot` turns the code into a vector inside the model;
otherwise it is embedded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from mmtrain.columns.base import Content, Evidence, Guess, Names, role
from mmtrain.columns.cells import CellError, CellWarning, missing_cell_error, missing_words, rows_by_value
from mmtrain.columns.fitted_column import EncodingDescription, FittedColumn, RawInput
from mmtrain.columns.input_column import InputColumn
from mmtrain.columns.numbers import parse_numbers
from mmtrain.columns.profile import name_words
from mmtrain.errors import listed
from mmtrain.registry import Section
from mmtrain.specs import IndexSpec, Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile
    from mmtrain.columns.summaries.base import Accumulator

UNSEEN, FIRST_CODE = 1, 2
FEW_CODES = 10
"""Whole numbers of at most this many different values look like codes."""
CODE_WORDS = {"zip", "zipcode", "postcode", "postal", "plz", "fips", "naics", "sic", "icd", "cpt", "ndc", "code", "codes"}
"""Words of headers above whole numbers that name something: neither their size nor their order means anything."""
MISSING = {"code": "treat a missing value as a category", "mask": "leave the category out of that row", "drop": "leave the row out"}


def _codes(profile: Profile) -> str:
    """Say why whole numbers are codes, or nothing."""
    if not profile.all_numbers or not profile.whole or profile.distinct <= FEW_CODES:
        return ""
    if CODE_WORDS & set(name_words(profile.header)):
        return "the name says code"
    zeros = any(value[0] == "0" and len(value) > 1 and value.isdecimal() for value in profile.values)
    return "some begin with 0" if zeros else ""


def texts(cells: pd.Series[str]) -> np.ndarray[Any, Any]:
    """Cells as an object array of str, an empty string where missing."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    array = pc.fill_null(pa.array(cells.array, pa.large_string(), from_pandas=True), "")  # pandas takes three times as long
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=object)


def _values(names: Iterable[str]) -> list[float | str | None]:
    """Return each name as a number or a truth value; None for other words."""
    import pandas as pd

    lower = pd.Series(list(names), dtype="str").str.lower()
    pairs = zip(lower, parse_numbers(lower).tolist(), strict=True)
    return [word if word in ("true", "false") else None if isnan(number) else number for word, number in pairs]


def spelled_as(names: Sequence[str], cells: pd.Series[str]) -> pd.Series[str]:
    """Cells that are numbers or truth values as `names` write them: `1` as `1.0` or `001`, `true` as `True`.

    Where names say nothing but true and false, or 0 and 1, each is written for the other. A cell stays as it is when it is one of the
    names itself, and when several of them have its value.
    """
    values = _values(names)
    different = cells.dropna().drop_duplicates()
    # Only cells that training did not see as they are need another spelling.
    new = different[~different.isin(names)]
    spelling = _values(new)
    occurring = set(values) - {None}
    if occurring <= {"true", "false"} or occurring <= {0.0, 1.0}:
        values, spelling = _as_numbers(values), _as_numbers(spelling)
    # A value with two names, `1` and `001`, is ambiguous and not respelled.
    times = Counter(values)
    known = {value: name for value, name in zip(values, names, strict=True) if value is not None and times[value] == 1}
    meant = {name: known[value] for name, value in zip(new, spelling, strict=True) if value in known}
    return cells.map(lambda cell: meant.get(cell, cell), na_action="ignore").astype("str") if meant else cells


def _as_numbers(values: Iterable[float | str | None]) -> list[float | str | None]:
    """Truth values as 1 and 0."""
    return [float(value == "true") if isinstance(value, str) else value for value in values]


class FittedCategorical(FittedColumn):
    """The categories of training rows, in code order."""

    role: Literal["categorical"] = "categorical"
    categories: Names
    one_hot: bool
    width: NonNegativeInt
    masked: bool
    missing: int = Field(description="Training rows without a value.")
    buckets: int = Field(0, description="Codes that categories are hashed into; 0 where each has a code of its own.")

    @property
    def spec(self) -> IndexSpec:
        """One code, and how it wants to be expanded."""
        return IndexSpec(FIRST_CODE + (self.buckets or len(self.categories)), one_hot=self.one_hot, embedding_width=self.width)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """One string, empty for missing."""
        return {name: RawInput((1,), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, 1) str."""
        return texts(cells)[:, None]

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Missing, unseen and rare categories, and numbers in the place of words."""
        from mmtrain.columns.summaries.codes import CodeAccumulator

        return CodeAccumulator("categorical", self.spec.size, FIRST_CODE, self.categories)

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """The categories."""
        if self.buckets:
            return f"hashed into {number(self.buckets)} codes; {missing_words(self.missing)}"
        word = "category" if len(self.categories) == 1 else "categories"
        names = f": {listed(self.categories)}" if self.categories else ""
        return "; ".join([f"{number(len(self.categories))} {word}{names}", missing_words(self.missing)])

    def spelled(self, cells: pd.Series[str]) -> pd.Series[str]:
        """Return cells spelled as training rows were: pandas reads codes as numbers, also from the file of the training."""
        return spelled_as(self.categories, cells)

    def recipe(self) -> EncodingDescription:
        """The codes."""
        hashed = f"0 if missing, else {FIRST_CODE} + the FarmHash Fingerprint64 of the UTF-8 bytes modulo {self.buckets}."
        encoded = f"0 if missing, 1 if unseen in training, else {FIRST_CODE} + the position in `categories` of columns.json, from 0."
        present = "1 if there is a category, else 0." if self.masked else "Always 1."
        encoded = hashed if self.buckets else encoded
        return EncodingDescription(
            "One of several names; blanks at its ends do not count.", encoded, present, self.categories[0] if self.categories else ""
        )

    def preprocessing(self) -> Any:
        """A static lookup table; a real category named `[UNK]` is a category like any other."""
        return self.preprocessing_together([self])

    @classmethod
    def preprocessing_together(cls, columns: Sequence[FittedCategorical]) -> Any:
        """Return one table for the categories of many columns."""
        from mmtrain.layers.encoding import EncodeCategories

        categories, masked = [list(column.categories) for column in columns], [column.masked for column in columns]
        buckets = [column.buckets for column in columns]
        return EncodeCategories(categories=categories, masked=masked, **({"buckets": buckets} if any(buckets) else {}))


@role("categorical", fitted=FittedCategorical)
class Categorical(InputColumn):
    """One of several names; numbers that only name something belong here too."""

    content: ClassVar[Content] = "names"
    harm_of_spellings: ClassVar[str] = "If they mean the same, what is learned of one spelling is not known of the other."

    role: Literal["categorical"] = "categorical"
    encode: Literal["embedding", "one_hot"] = Field("embedding", description="embedding: a learned vector per category; one_hot: 0 and 1.")
    embedding_width: NonNegativeInt = Field(0, description="Width of the learned vector; 0 chooses it from the number of categories.")
    min_count: PositiveInt = Field(1, description="Categories with fewer training rows are treated as unseen.")
    max_categories: PositiveInt = Field(10_000, description="Only the most frequent are kept; the rest are treated as unseen.")
    buckets: int = Field(
        0,
        ge=0,
        le=2**20,
        description="Codes that the names are hashed into (Weinberger et al. 2009, arXiv:0902.2206), for columns of very many names: names "
        "in one bucket share its vector, new ones as well, and no list of names is kept. 0: each name has a code.",
    )
    missing: Literal["code", "mask", "error", "drop"] = Field(
        "code", description="code: missing is a category of its own; mask: the branch goes without; error: refuse; drop: leave the row out."
    )

    @classmethod
    def guess(cls, profile: Profile) -> Guess:
        """Guess by values that repeat; every column can be read as names, so there always is a guess."""
        few = "two" if profile.distinct == 2 else f"{profile.distinct} different"
        if (codes := _codes(profile)) and profile.distinct * 2 <= profile.filled:
            reason = f"{profile.distinct:,} different whole numbers, such as {profile.examples}: {codes}, so they are names"
            return Guess(role="categorical", evidence=Evidence.CODES, reason=reason)
        if profile.all_numbers and profile.whole and profile.distinct <= FEW_CODES and profile.distinct * 5 <= profile.filled:
            reason = f"only {few} whole numbers, like codes; numeric if their size says something"
            reason = f"two values, {profile.examples}" if profile.distinct == 2 else reason
            return Guess(role="categorical", evidence=Evidence.FEW_NUMBERS, reason=reason)
        if profile.repeats:
            reason = f"{few} values, {'' if profile.distinct <= 3 else 'such as '}{profile.examples}"
            return Guess(role="categorical", evidence=Evidence.FEW_VALUES, reason=reason)
        if profile.distinct * 2 < profile.filled:
            return Guess(role="categorical", reason=f"{profile.distinct:,} different values that repeat, such as {profile.examples}")
        reason = f"{profile.distinct:,} different words in {profile.filled:,} rows, as {profile.example}: nothing to learn from"
        return Guess(role="categorical", reason=reason, used=False)

    @property
    def kind(self) -> Kind:
        """Always an index."""
        return "index"

    @classmethod
    def ranks(cls, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the numbers that some names are."""
        return parse_numbers(cells)

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing cells where those are refused."""
        return missing_cell_error(cells, self.missing, MISSING)

    def options_without_effect(self) -> dict[str, tuple[str, str]]:
        """Return `embedding_width` where nothing is embedded, and limits of a list of names where none is kept."""
        useless = {}
        for name in ("min_count", "max_categories") if self.buckets else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                useless[name] = (f"`{name}` has no effect with `buckets`, which keep no list of names.", "Leave one of them out.")
        if self.encode != "one_hot" or not self.embedding_width:
            return useless
        what = "`embedding_width` has no effect with `encode: one_hot`, which learns no vectors."
        return useless | {"embedding_width": (what, "Leave it out, or set `encode: embedding`.")}

    def remarks(self, cells: pd.Series[str], raw: np.ndarray[Any, Any], encoded: np.ndarray[Any, Any]) -> list[CellWarning]:
        """Name the categories that training did not know."""
        import numpy as np

        unseen = rows_by_value(cells, np.flatnonzero(encoded[:, 0] == UNSEEN))
        return [CellWarning(rows, f"unseen category {name!r}") for name, rows in unseen] + super().remarks(cells, raw, encoded)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedCategorical:
        """The most frequent categories of training rows, sorted by their text."""
        counts: Counter[str] = Counter()
        missing = 0
        for piece in cells:
            missing += int(piece.isna().sum())
            if self.buckets:
                continue
            counts.update({str(name): int(rows) for name, rows in piece.value_counts().items()})
        # By falling count, ties by text: the limit cuts off the same categories whatever the order of rows.
        ranked = sorted((-count, name) for name, count in counts.items() if count >= self.min_count)
        return FittedCategorical(
            # Codes follow the text, so that one more row changes no code unless it brings a category.
            categories=tuple(sorted(name for _, name in ranked[: self.max_categories])),
            one_hot=self.encode == "one_hot",
            width=self.embedding_width,
            masked=self.missing == "mask",
            missing=missing,
            buckets=self.buckets,
        )
