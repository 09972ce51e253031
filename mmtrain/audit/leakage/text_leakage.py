"""Text leakage: a word that identifies a class or label, or a number that is the answer; and predictive signs that are dropped.

A sign outside of words, such as an exclamation mark, never reaches the network: where it predicts the answer, that is a loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.column_values import ColumnValues
from mmtrain.audit.finding import Finding, Level
from mmtrain.audit.leakage.predictive_power import NumberOutcome
from mmtrain.audit.leakage.target_leakage import CERTAIN, LOWEST, SUSPECT
from mmtrain.audit.quality.vocabulary import Vocabulary
from mmtrain.audit.ranked_numbers import rank_numbers
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView
from mmtrain.errors import counted, listed
from mmtrain.text.printable import quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECALL, PRECISION = 0.95, 0.95
"""Recall and precision of a word as a classifier, from which it identifies a class."""
LEAST_OF_CLASS = 20
NUMBERS = {"first": r"(?P<number>-?[0-9]+(?:\.[0-9]+)?)", "last": r"^(?s:.*?)(?P<number>-?[0-9]+(?:\.[0-9]+)?)[^0-9]*$"}
MOST_NAMED = 3
"""Labels that one finding names; the rest are counted."""


def text_leakage(cells: ColumnValues, words: Vocabulary, target: TargetView, metadata: RowMetadata) -> list[Finding]:
    """Check one column against one target."""
    if target.answers[0].numbers is not None:
        return _leaking_numbers(cells, words, target, metadata)
    return _leaking_terms(cells, words, target, metadata)


@dataclass(frozen=True)
class LeakingTerm:
    """A word that identifies a class or label."""

    name: str
    """Name of the class, in quotation marks."""
    word: str
    share: float
    """Share of the texts of the class that hold it."""
    right: float
    """Share of the texts with the word that are of the class."""

    def __str__(self) -> str:
        return f"{self.share:.0%} of its texts hold it, and {self.right:.0%} of the texts that hold it are its own"


def sign_leakage(cells: ColumnValues, signs: Vocabulary, target: TargetView, metadata: RowMetadata) -> list[Finding]:
    """Find signs that identify a class or label, but are dropped when texts are split into words."""
    if target.answers[0].numbers is not None:
        return []
    position = np.full(metadata.rows, -1, dtype=np.int64)
    position[target.rows] = np.arange(len(target.rows))
    place = position[signs.rows]
    terms = [one for answer in target.answers for one in _best_words(signs, answer, place)]
    if not terms:
        return []
    # Both count: a word in all texts is as useless as one in a single text.
    best = max(terms, key=lambda one: one.share * one.right)
    # Not by comparing arrays: NumPy takes the null character for the end of a text.
    holding = int(signs.holding(np.ones(len(signs.rows), dtype=np.bool_))[signs.names.tolist().index(best.word)])
    what = (
        f"the sign {quote_value(best.word)} tells {best.name} of '{target.header}' ({best}), "
        f"but no word holds it, so it is thrown away in {counted(holding, 'text')}."
    )
    why = "Only words reach the network: letters, digits, emoji and symbols; punctuation does not."
    fix = "If it may be known of new rows, count it in a column of its own, or write a word for it."
    return [Finding("warning", "sign_thrown_away", cells.header, what, why, fix, count=holding)]


def _leaking_numbers(cells: ColumnValues, words: Vocabulary, target: TargetView, metadata: RowMetadata) -> list[Finding]:
    """Find texts whose first or last number is the answer, for a target that is a number."""
    # The words were taken from a sample of the rows; the answers have to be of the same ones.
    sampled = np.flatnonzero(np.isin(target.rows, words.rows))
    answer = target.answers[0].at(sampled)
    written = cells.texts[np.isin(words.rows, answer.rows)] if cells.texts is not None else np.empty(0, dtype=object)
    scores = []
    for which, pattern in NUMBERS.items():
        numbers = _extract_numbers(written, pattern)
        known = np.flatnonzero(~np.isnan(numbers))
        # A number in a minority of the texts is an accident, or a different kind of text.
        if answer.numbers is not None and len(known) > len(numbers) / 2:
            outcome = NumberOutcome(answer.numbers[known], metadata.units[answer.rows[known]])
            score = outcome.score_sizes(rank_numbers(numbers[known]))
            if score is not None and score.score >= SUSPECT[score.name] and score.low >= LOWEST:
                scores.append((score.score, which, score))
    if not scores:
        return []
    _, which, score = max(scores, key=lambda one: one[0])
    certain = score.score >= CERTAIN[score.name]
    what = f"the {which} number in the text predicts '{target.header}' {'without fail' if certain else 'almost without fail'}: {score}."
    why = "Was the text written when the answer was known? Then it repeats the answer, and new texts will not hold the number."
    fix = "If so, take the number out of the texts, or leave the column out."
    return [Finding("error" if certain else "warning", "gives_answer_away", cells.header, what, why, fix)]


def _extract_numbers(texts: NDArray[np.object_], pattern: str) -> NDArray[np.float64]:
    """Return the number that the pattern finds in each text, (texts,); NaN without a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pc.struct_field(pc.extract_regex(pa.array(texts, pa.large_string()), pattern), "number")
    return np.asarray(pc.cast(numbers, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _leaking_terms(cells: ColumnValues, words: Vocabulary, target: TargetView, metadata: RowMetadata) -> list[Finding]:
    """Find words in nearly all rows of a class or label, and in hardly any other row. One class of several is a note."""
    position = np.full(metadata.rows, -1, dtype=np.int64)
    position[target.rows] = np.arange(len(target.rows))
    place = position[words.rows]
    terms = [one for answer in target.answers for one in _best_words(words, answer, place)]
    terms.sort(key=lambda one: one.share * one.right, reverse=True)
    if not terms:
        return []
    best = terms[0]
    level: Level = "note" if len(target.answers[0].classes) > 2 else "warning"
    what = f"the word {quote_value(best.word)} gives {best.name} of '{target.header}' away: {best}."
    if target.labels:
        each = listed([f"{quote_value(one.word)} tells {one.name} ({one})" for one in terms], most=MOST_NAMED)
        what = f"words give {target.named(len(terms))} away: {each}."
    why = "Was the text written when the answer was known? Then it repeats the answer, and new texts will not hold the word."
    fix = "If so, take the word out of the texts, or leave the column out."
    return [Finding(level, "gives_answer_away", cells.header, what, why, fix)]


def _best_words(words: Vocabulary, answer: BinaryTargetView, place: NDArray[np.int64]) -> list[LeakingTerm]:
    """Return the best word of each class that has one; `place` (texts,) is the position in the answer, -1 for none."""
    known = place >= 0
    labels = np.where(known, answer.labels[place], -1) if answer.labels is not None else np.full(len(place), -1)
    holding = words.holding(known)
    terms = []
    for label in range(len(answer.classes)):
        members = int((labels == label).sum())
        # Few texts make any word look like a perfect sign.
        if members < LEAST_OF_CLASS or int(known.sum()) - members < LEAST_OF_CLASS or not len(holding):
            continue
        inside = words.holding(labels == label)
        # Youden's J: share inside minus share outside the class.
        best = int(np.argmax(inside / members - (holding - inside) / (known.sum() - members)))
        term = LeakingTerm(
            quote_value(answer.classes[label]), str(words.names[best]), inside[best] / members, inside[best] / max(int(holding[best]), 1)
        )
        if term.share >= RECALL and term.right >= PRECISION:
            terms.append(term)
    return terms
