"""Encodings of the stacked numbers and categories of a branch: what the architectures for tables read.

Numbers are expanded inside the network, so that an encoded row stays one float32 per number. The expansions are bounded by the number
of columns: 20 columns have up to 48 bins and 16 embedded numbers each, 2,000 columns 4 bins and 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Annotated, Any

from pydantic import Field

from mmtrain.branches.base import LinearInputs, Rate
from mmtrain.branches.inputs import Stacked
from mmtrain.specs import BagSpec, NumberEncoding, Tensor, VectorSpec

ALL_BINS = 8192
"""Most bins of all columns together: (batch, columns, bins) float32 of 1,024 rows is then 34 MB."""
FEWEST_BINS = 4
ALL_EMBEDDED = 1024
"""Most embedded numbers of all columns together, a bound on the weights of the dense layer that reads them."""
EMBEDDED = 16
"""Most embedded numbers of a column."""
FREQUENCIES, SIGMA = 16, 0.3
"""Frequencies of `embed: periodic`, and the standard deviation of their initial values, per column."""
TAILS = 1e-3
"""Smallest rank of a normal score, whose size is then at most 3.1."""

EmbeddingWidth = Annotated[
    int, Field(ge=0, le=512, description="Width of the vector that each number becomes after its encoding; 0: by the number of columns.")
]
EmbeddingDropout = Annotated[Rate, Field(description="Dropout rate of the embedded numbers and categories.")]


@dataclass(frozen=True, eq=False)
class EncodedNumbers:
    """The numbers of a branch after their encodings."""

    plain: Tensor | None
    """(batch, width): numbers without an encoding, and flags."""
    expanded: tuple[tuple[NumberEncoding, Tensor], ...]
    """(batch, columns, values per column), for each encoding that some columns have."""


def encode_numbers(stacked: Stacked, auto: NumberEncoding, left_out: Collection[int] = ()) -> EncodedNumbers:
    """Encode every number as its column says; `auto` is the encoding of columns that leave it to the architecture.

    Numbers at the positions `left_out` are in no tensor of the result.
    """
    from mmtrain.layers.tabular.number_encodings import TakeNumbers

    chosen = [replace(spec, embed=_encoding(spec, auto)) for spec in stacked.number_specs]
    firsts = list(zip(stacked.first_numbers, chosen, strict=True))
    expanded: list[tuple[NumberEncoding, Tensor]] = []
    encodings: tuple[NumberEncoding, ...] = ("quantile", "piecewise_linear", "periodic")
    for encoding in encodings:
        columns = [(position, spec) for position, spec in firsts if spec.embed == encoding]
        if columns:
            expanded.append((encoding, _expansion(encoding, columns, _bins(len(chosen)))(stacked.numbers)))
    encoded = {*left_out, *(position for position, spec in firsts if spec.embed != "none")}
    rest = [position for position in range(sum(spec.width for spec in chosen)) if position not in encoded]
    return EncodedNumbers(TakeNumbers(positions=rest)(stacked.numbers) if rest else None, tuple(expanded))


def with_every_bin(stacked: Stacked) -> Stacked:
    """Return the same, with the bins of columns of few training rows as well."""
    return replace(stacked, number_specs=tuple(replace(spec, few_rows=False) for spec in stacked.number_specs))


def _encoding(spec: VectorSpec, auto: NumberEncoding) -> NumberEncoding:
    """Return the encoding of a column; a constant one has no bins."""
    wanted = ("none" if spec.few_rows else auto) if spec.embed == "auto" else spec.embed
    return "none" if len(spec.edges) < 2 else wanted


def _bins(columns: int) -> int:
    # A bound on bins of all columns together, shared evenly.
    return max(FEWEST_BINS, ALL_BINS // columns)


def _expansion(encoding: NumberEncoding, columns: Sequence[tuple[int, VectorSpec]], bins: int) -> Any:
    """Return the layer that encodes the columns, given as the position of the number and its spec."""
    from mmtrain.layers.tabular import number_encodings

    positions = [position for position, _ in columns]
    if encoding == "periodic":
        return number_encodings.Periodic(positions=positions, frequencies=min(FREQUENCIES, bins), sigma=SIGMA)
    # n bins have n + 1 edges.
    edge_places = [_spread(len(spec.edges), bins + 1) for _, spec in columns]
    edges = [[spec.edges[place] for place in places] for (_, spec), places in zip(columns, edge_places, strict=True)]
    if encoding == "piecewise_linear":
        return number_encodings.PiecewiseLinear(positions=positions, edges=edges)
    scores = [_normal_scores(spec.ranks[place] for place in places) for (_, spec), places in zip(columns, edge_places, strict=True)]
    return number_encodings.NormalScore(positions=positions, edges=edges, scores=scores)


def _spread(count: int, most: int) -> list[int]:
    """Return at most `most` of the places 0 to `count` - 1, evenly spread, both ends among them."""
    return list(range(count)) if count <= most else [round(number * (count - 1) / (most - 1)) for number in range(most)]


def _normal_scores(ranks: Iterable[float]) -> list[float]:
    return [NormalDist().inv_cdf(min(max(rank, TAILS), 1 - TAILS)) for rank in ranks]


def embedded_width(stacked: Stacked, width: int) -> int:
    """Return the width of the vector of each number: `width`, or where it is 0 one that is bounded by the number of columns."""
    return width or max(1, min(EMBEDDED, ALL_EMBEDDED // max(1, len(stacked.number_specs))))


def embed_numbers(encoding: NumberEncoding, values: Tensor, width: int) -> Tensor:
    """Return (batch, columns, width): a dense layer with ReLU for each column, for `periodic` the same one for all ("PLR lite")."""
    from mmtrain.layers.tabular.blocks import ColumnDense

    return ColumnDense(units=width, activation="relu", shared=encoding == "periodic")(values)


def deep_vector(
    stacked: Stacked, *, auto: NumberEncoding, width: int = 0, dropout: float = 0.0, numbers_too: bool = False
) -> Tensor | None:
    """Return the vector that deep layers read, (batch, width): numbers encoded and embedded, flags, embedded categories.

    None without numbers and categories. Normal scores are numbers already and are not embedded. With `numbers_too` the vector has the
    numbers themselves as well: a bin is constant beyond the outer edges.
    """
    import keras

    pieces: list[Tensor] = []
    if stacked.numbers is not None:
        encoded = encode_numbers(stacked, auto)
        plain = stacked.numbers if numbers_too else encoded.plain
        pieces = [plain] if plain is not None else []
        for encoding, values in encoded.expanded:
            vectors = values if encoding == "quantile" else embed_numbers(encoding, values, embedded_width(stacked, width))
            pieces.append(keras.layers.Flatten()(vectors))
    if stacked.codes is not None:
        pieces.append(embed_codes(stacked))
    if not pieces:
        return None
    vector = pieces[0] if len(pieces) == 1 else keras.layers.Concatenate()(pieces)
    return keras.layers.Dropout(dropout)(vector) if dropout else vector


def embed_codes(stacked: Stacked, width: int = 0) -> Tensor:
    """Return the vectors of all categories side by side, (batch, width): learned or one-hot, as each column says.

    With a `width`, each column has a learned vector of that width.
    """
    from mmtrain.layers.stacks import CodeVectors

    specs = stacked.code_specs
    # A learned vector of `width`, or what the column declares.
    widths = [width or spec.vector_width for spec in specs]
    one_hot = [spec.one_hot and not width for spec in specs]
    return CodeVectors(sizes=[spec.size for spec in specs], widths=widths, one_hot=one_hot)(stacked.codes)


def linear_inputs(stacked: Stacked, *, auto: NumberEncoding, numbers_too: bool = False) -> LinearInputs:
    """Return encoded numbers side by side and the codes of categories, as a linear model reads them.

    With `piecewise_linear` that is a generalized additive model; with `numbers_too` it reads the numbers themselves as well.
    """
    import keras

    joined, plain = None, None
    if stacked.numbers is not None:
        encoded = encode_numbers(stacked, auto)
        flat = [keras.layers.Flatten()(values) for _, values in encoded.expanded]
        plain = stacked.numbers if numbers_too else encoded.plain
        flat += [plain] if plain is not None else []
        joined = flat[0] if len(flat) == 1 else keras.layers.Concatenate()(flat)
    sizes = tuple(spec.size for spec in stacked.code_specs)
    return LinearInputs(joined, stacked.codes, sizes, 0 if plain is None else plain.shape[1])


def linear_path(
    stacked: Stacked, units: int, *, auto: NumberEncoding, inputs: LinearInputs | None = None, start: Any = "glorot_uniform"
) -> list[Tensor]:
    """Return terms, (batch, units), whose sum is linear in the encoded numbers, the one-hot categories and TF-IDF texts.

    `inputs` are those of `linear_inputs`, if there are any already. `start` is the initializer of the weights of numbers.
    """
    import keras

    from mmtrain.layers.tabular.blocks import SumOfColumns

    inputs = inputs or linear_inputs(stacked, auto=auto)
    terms = []
    if inputs.numbers is not None:
        terms.append(keras.layers.Dense(units, kernel_initializer=start)(inputs.numbers))
    if stacked.codes is not None:
        terms.append(SumOfColumns(columns=len(stacked.code_specs))(embed_codes(stacked, units)))
    return terms + project_texts(stacked, units, use_bias=not terms)


def project_texts(stacked: Stacked, units: int, *, use_bias: bool) -> list[Tensor]:
    """Return TF-IDF texts times a matrix, (batch, units) each; the vectors themselves are never built."""
    texts = [one for one in stacked.others if isinstance(one.spec, BagSpec)]
    return [one.spec.project(one.tensor, units, use_bias=use_bias and not number) for number, one in enumerate(texts)]


def summed(terms: Sequence[Tensor]) -> Tensor:
    """Return the sum of the terms."""
    import keras

    return terms[0] if len(terms) == 1 else keras.layers.Add()(terms)


def project_inputs(
    stacked: Stacked, units: int, *, auto: NumberEncoding = "piecewise_linear", width: int = 0, dropout: float = 0.0
) -> Tensor:
    """Return a dense layer, (batch, units), on all inputs: numbers and categories embedded, texts as TF-IDF.

    Args:
        stacked: Inputs of the branch, as `mmtrain.branches.stacked` returns them; absent values are masked.
        units: Width of the layer.
        auto: Encoding of numbers whose columns leave it to the architecture.
        width: Width of an embedded number; 0 chooses it by the number of columns.
        dropout: Dropout rate of the embedded values.
    """
    import keras

    vector = deep_vector(stacked, auto=auto, width=width, dropout=dropout)
    terms = project_texts(stacked, units, use_bias=vector is None)
    return summed(terms if vector is None else [*terms, keras.layers.Dense(units)(vector)])
