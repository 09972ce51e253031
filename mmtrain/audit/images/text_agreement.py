"""Texts that do not fit the image of their row, by the towers of CLIP or SigLIP that a branch of the experiment names.

Both towers give vectors in one space; the cosine of a text and an image says how well they fit (Radford et al. 2021, section 3.1). How
large it is depends on the model and the kind of texts, so a row is compared with the others: how many standard deviations the cosine of
its pair is above those of its image with the texts of other rows, and of its text with other images. Pairs that belong together are far
above; a random pair is as often below as above. Where most pairs are not above, the texts do not describe what the images show, such
as numbers or remarks about delivery, and nothing is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.audit.finding import SHOWN_ROWS, Finding
from mmtrain.audit.images.image_column import ImageColumn
from mmtrain.branches import Pretrained
from mmtrain.columns import InputColumn
from mmtrain.errors import RunError, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmtrain.audit.column_values import TableValues
    from mmtrain.data.images.store import ImageStore

MOST_PAIRS = 500
"""Random rows that are read: half a minute with CLIP's smaller networks on two cores."""
FEWEST_PAIRS = 30
"""Pairs below which a column is not checked."""
BATCH_PAIRS = 32
LEAST_MEDIAN = 2.0
"""Standard deviations that the median pair has to be above others, for texts that describe their images."""
LEAST_SHARE = 0.25
"""A pair whose agreement is below this share of the median one does not fit: with a median of 4, 84 % of random pairs."""


def agreement_findings(columns: Sequence[ImageColumn], encoders: Sequence[Pretrained | None], values: TableValues) -> list[Finding]:
    """Check every pair of an image column, whose branch begins with an image tower of CLIP or SigLIP, and a text column.

    `encoders` are those of the columns, None for a column without one. A model whose tokenizer cannot be read gives a note.
    """
    findings: list[Finding] = []
    texts = [cells for cells in values.inputs_of("texts") if cells.texts is not None]
    for column, pretrained in zip(columns, encoders, strict=True):
        declared, store = column.column, column.store
        if not texts or pretrained is None or store is None or not isinstance(declared, InputColumn) or not _has_text_tower(pretrained):
            continue
        for cells in texts:
            cell_texts = np.asarray(cells.texts)
            rows = values.sample[[isinstance(text, str) and bool(text.strip()) for text in cell_texts]]
            text_of_row = dict(zip(values.sample.tolist(), cell_texts, strict=True))
            positions = _sample_positions(column, store, rows)
            if len(positions) < FEWEST_PAIRS:
                continue
            file_rows = column.numbers[positions]
            where = f"{cells.header}, {column.header}"
            try:
                pair_texts = [str(text_of_row[row]) for row in file_rows.tolist()]
                vectors = pair_vectors(pretrained, declared.declared_spec(), store.take, positions, pair_texts)
            except RunError as error:
                findings.append(_not_checked(where, pretrained, error))
                continue
            findings += mismatches(where, pretrained.reference, file_rows, *vectors)
    return findings


def _has_text_tower(pretrained: Pretrained) -> bool:
    from mmtrain.encoders import recognize

    try:
        return recognize(pretrained.reference, "image", pretrained.weights).family.has_text_tower
    except RunError:  # reported by the check of the experiment
        return False


def _sample_positions(column: ImageColumn, store: ImageStore, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return up to `MOST_PAIRS` positions in the column, in order, of those of `rows` that have an image."""
    candidates = np.flatnonzero(np.isin(column.numbers, rows) & (store.index >= 0))
    return np.sort(np.random.default_rng(0).choice(candidates, MOST_PAIRS, replace=False)) if len(candidates) > MOST_PAIRS else candidates


def pair_vectors(pretrained: Pretrained, image_spec: Any, take: Callable[[Any], Any], places: Any, texts: Sequence[str]) -> tuple[Any, Any]:
    """Return the vectors of images and of their texts, (pairs, width) each, of length 1.

    `take` gives the pixels, of `image_spec`, at some of the `places`. Raises RunError for a tokenizer that cannot be read, and for a
    checkpoint without one of the towers.
    """
    from mmtrain.layers.start import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    from mmtrain.encoders import find_weights, load_encoder, recognize
    from mmtrain.encoders.tokenizers.reading import read_tokenizer
    from mmtrain.layers.tokenizers.encode import EncodePieces
    from mmtrain.specs import PieceSpec

    tokenizer = read_tokenizer(find_weights(pretrained.weights or pretrained.reference))
    length = recognize(pretrained.reference, "pieces", pretrained.weights).architecture.positions
    spec = PieceSpec(length, len(tokenizer.pieces), tokenizer.id_of[tokenizer.padding])
    text_tower = load_encoder(pretrained.reference, spec, weights=pretrained.weights, owner="agreement", shared=False).network
    image_tower = load_encoder(pretrained.reference, image_spec, weights=pretrained.weights, owner="agreement", shared=False).network
    ids, _ = EncodePieces(tokenizer=tokenizer.model_dump(mode="json"), length=length, masked=True)(tf.constant(list(texts))[:, None])
    starts = range(0, len(places), BATCH_PAIRS)
    images = [np.asarray(image_tower(take(places[start : start + BATCH_PAIRS]), training=False)) for start in starts]
    described = [np.asarray(text_tower(ids[start : start + BATCH_PAIRS], training=False)) for start in starts]
    return _normalize(np.concatenate(images)), _normalize(np.concatenate(described))


def _normalize(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def agreement(images: NDArray[np.float32], texts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the agreement of each pair, (pairs,): standard deviations that its cosine is above those with other rows.

    `images` and `texts` are (pairs, width), of length 1. The mean of both directions: an image with all texts, a text with all images.
    """
    cosines = (images @ texts.T).astype(np.float64)
    paired = np.diagonal(cosines)
    count = len(cosines)
    total = np.zeros(count)
    for axis in (0, 1):
        mean = (cosines.sum(axis=axis) - paired) / (count - 1)
        deviation = np.sqrt(np.maximum((np.square(cosines).sum(axis=axis) - paired**2) / (count - 1) - mean**2, 1e-12))
        total += (paired - mean) / deviation / 2
    return total


def mismatches(where: str, model: str, rows: NDArray[np.int64], images: NDArray[np.float32], texts: NDArray[np.float32]) -> list[Finding]:
    """Return the finding about pairs that do not fit; `rows` are their positions in the table's file, vectors as for `agreement`."""
    scores = agreement(images, texts)
    median = float(np.median(scores))
    wrong = np.flatnonzero(scores < LEAST_SHARE * median)
    if median < LEAST_MEDIAN or not len(wrong):
        return []
    worst = wrong[np.argsort(scores[wrong], kind="stable")]
    what = f"{counted(len(wrong), 'text')} of {len(rows):,} that were checked {'does' if len(wrong) == 1 else 'do'} not fit the image of "
    what += f"{'its' if len(wrong) == 1 else 'their'} row: by {model}, texts of other rows fit it as well."
    why = "A text of another product, or an image in the wrong row, is a wrong example for the network."
    fix = "Look at these rows and correct or drop those that are wrong; the model may also not know what they show."
    shown = tuple(int(row) for row in rows[worst[:SHOWN_ROWS]])
    return [Finding("warning", "text_image_mismatch", where, what, why, fix, shown, count=len(wrong), strength=float(-scores.min()))]


def _not_checked(where: str, pretrained: Pretrained, error: RunError) -> Finding:
    problem = error.problems[0]
    what = f"the agreement of texts and images was not checked by {pretrained.reference}: {problem.what}"
    return Finding("note", "text_image_not_checked", where, what, "Only its image tower is read.", problem.fix)
