"""Texts: without words, the same in many rows, in another script; and words or numbers that give the answer away or differ by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.columns.bookkeeping import PARTS
from mmtrain.data.findings.answers import Answer, Question, questions
from mmtrain.data.findings.cells import Cells, Sheet
from mmtrain.data.findings.cohort import TEST, TRAIN, VALIDATION, Cohort
from mmtrain.data.findings.copies import LEAST_OFTEN, LONG, OFTEN
from mmtrain.data.findings.finding import Finding, Level, first_rows
from mmtrain.data.findings.foretold import straight_number
from mmtrain.data.findings.leaks import CERTAIN, LOWEST, SUSPECT
from mmtrain.data.findings.scripts import SCRIPTS
from mmtrain.data.findings.significance import SURE, chi_square, holm
from mmtrain.data.surveys.guess import shown
from mmtrain.errors import counted, listed
from mmtrain.word_pattern import BETWEEN_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

MUCH = 0.3
"""The share of texts that are all the same from which the column says little."""
MAIN_SCRIPT = 0.8
"""The share of texts in one script from which another one is the exception."""
LEAST_ROWS = 20
FOUND, RIGHT = 0.95, 0.95
"""A word gives a class away when so many of its rows hold it, and so many rows that hold it are of the class."""
LEAST_OF_CLASS = 20
NUMBERS = {"first": r"(?P<number>-?[0-9]+(?:\.[0-9]+)?)", "last": r"^(?s:.*?)(?P<number>-?[0-9]+(?:\.[0-9]+)?)[^0-9]*$"}
MOST_TOLD = 3
"""Labels that one finding names; the rest are counted."""
WORDS_COMPARED = 500
SHIFTED = 0.1
"""Difference of the share of texts that hold a word between two parts."""


@dataclass(frozen=True, eq=False)
class Words:
    """Which words the sampled texts of a column hold."""

    rows: NDArray[np.int64]
    """(texts,): rows of the file."""
    names: NDArray[np.object_]
    text: NDArray[np.int64]
    """(pairs,): position of the text, and..."""
    word: NDArray[np.int64]
    """(pairs,): ...of a word in it; every pair once."""

    def holding(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(words,): how many of the texts in `mask` (texts,) hold each word."""
        return np.bincount(self.word[mask[self.text]], minlength=len(self.names))


def texts(sheet: Sheet, cohort: Cohort) -> list[Finding]:
    """Everything of this family."""
    found: list[Finding] = []
    asked = questions(sheet, cohort) if sheet.of_role("text") else []
    for cells in sheet.of_role("text"):
        found += _wordless(cells) + _boilerplate(cells) + _other_script(cells)
        words = words_of(cells, sheet.sample)
        for question in asked:
            tell = _telling_numbers if question.answers[0].numbers is not None else _telling_words
            found += tell(cells, words, question, cohort)
        found += _shifted_words(cells, words, cohort)
    return found


def words_of(cells: Cells, sample: NDArray[np.int64]) -> Words:
    """The words of the sampled texts, in lower case."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lowered = pc.utf8_lower(pa.array(cells.texts if cells.texts is not None else [], pa.large_string()))
    parts: Any = pc.split_pattern(pc.replace_substring_regex(lowered, BETWEEN_WORDS, " "), " ")
    texts_of_words = pc.list_parent_indices(parts).to_numpy()
    codes, names = pd.factorize(parts.flatten().to_numpy(zero_copy_only=False))
    real = np.array([bool(name) for name in names], dtype=np.bool_)[codes] if len(names) else np.empty(0, dtype=np.bool_)
    pairs = np.unique(texts_of_words[real].astype(np.int64) * max(len(names), 1) + codes[real])
    return Words(sample, np.asarray(names, dtype=object), pairs // max(len(names), 1), pairs % max(len(names), 1))


def _wordless(cells: Cells) -> list[Finding]:
    if cells.wordless is None or not cells.wordless.any():
        return []
    rows = np.flatnonzero(cells.wordless)
    what = f"{counted(len(rows), 'text')} {'holds' if len(rows) == 1 else 'hold'} no word, only signs or blanks."
    why = "Such a text is treated as missing, although its cell is not empty."
    fix = "List what stands there under `data.missing_values`, so that it counts as missing everywhere."
    return [Finding("note", "text_without_words", cells.header, what, why, fix, first_rows(rows), count=len(rows))]


def _boilerplate(cells: Cells) -> list[Finding]:
    """Long texts in very many rows."""
    if cells.lengths is None:
        return []
    rows = np.flatnonzero(cells.lengths >= LONG)
    codes, _ = pd.factorize(cells.prints[rows])
    times = np.bincount(codes, minlength=1)
    often = np.flatnonzero(times >= max(LEAST_OFTEN, OFTEN * len(cells.prints)))
    if not len(often):
        return []
    held = rows[np.isin(codes, often)]
    share = len(held) / max(int((~cells.missing).sum()), 1)
    number = f"{len(often):,} long {'text' if len(often) == 1 else 'texts'}"
    what = f"{number} {'stands' if len(often) == 1 else 'stand'} word for word in {counted(len(held), 'row')}, {share:.0%} of all texts."
    why = "A text that is pasted in says what form was used, not what was seen."
    level: Level = "warning" if share >= MUCH else "note"
    fix = "Look whether it goes with the answer; list it under `data.missing_values` if it stands for nothing."
    return [Finding(level, "boilerplate", cells.header, what, why, fix, first_rows(held), count=len(held))]


def _other_script(cells: Cells) -> list[Finding]:
    if cells.scripts is None:
        return []
    lettered = cells.scripts[cells.scripts >= 0]
    if len(lettered) < LEAST_ROWS:
        return []
    times = np.bincount(lettered, minlength=len(SCRIPTS))
    main = int(times.argmax())
    rows = np.flatnonzero((cells.scripts >= 0) & (cells.scripts != main))
    if not len(rows) or times[main] < MAIN_SCRIPT * len(lettered):
        return []
    others = " and ".join(SCRIPTS[script] for script in np.unique(cells.scripts[rows]))
    what = f"{counted(len(rows), 'text')} {'is' if len(rows) == 1 else 'are'} in {others} script, where most are in {SCRIPTS[main]}."
    why = "Its words have no counterpart among the others, so nothing learned from those helps."
    fix = "Translate them, leave them out, or see that training has enough of them."
    return [Finding("note", "other_script", cells.header, what, why, fix, first_rows(rows), count=len(rows))]


@dataclass(frozen=True)
class Told:
    """A word that names a class or label."""

    name: str
    """Of the class, in quotation marks."""
    word: str
    share: float
    """Of the texts of the class that hold it."""
    right: float
    """Share of the texts with the word that are of the class."""

    def __str__(self) -> str:
        return f"{self.share:.0%} of its texts hold it, and {self.right:.0%} of the texts that hold it are its own"


def _telling_numbers(cells: Cells, words: Words, question: Question, cohort: Cohort) -> list[Finding]:
    """Texts whose first or last number is the answer, which is a number."""
    kept = np.flatnonzero(np.isin(question.rows, words.rows))
    answer = question.answers[0].at(kept)
    written = cells.texts[np.isin(words.rows, answer.rows)] if cells.texts is not None else np.empty(0, dtype=object)
    scores = []
    for which, pattern in NUMBERS.items():
        numbers = _found_numbers(written, pattern)
        known = np.flatnonzero(~np.isnan(numbers))
        if answer.numbers is not None and len(known) > len(numbers) / 2:
            score = straight_number(numbers[known], answer.numbers[known], cohort.units[answer.rows[known]])
            if score is not None and score.score >= SUSPECT[score.name] and score.low >= LOWEST:
                scores.append((score.score, which, score))
    if not scores:
        return []
    _, which, score = max(scores, key=lambda one: one[0])
    certain = score.score >= CERTAIN[score.name]
    what = f"the {which} number in the text foretells '{question.header}' {'without fail' if certain else 'almost without fail'}: {score}."
    why = "Was the text written when the answer was known? Then it repeats the answer, and new texts will not hold the number."
    fix = "If so, take the number out of the texts, or leave the column out."
    return [Finding("error" if certain else "warning", "gives_answer_away", cells.header, what, why, fix)]


def _found_numbers(texts: NDArray[np.object_], pattern: str) -> NDArray[np.float64]:
    """(texts,), NaN without a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.struct_field(pc.extract_regex(pa.array(texts, pa.large_string()), pattern), "number")
    return np.asarray(pc.cast(found, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _telling_words(cells: Cells, words: Words, question: Question, cohort: Cohort) -> list[Finding]:
    """Words that name a class or label: nearly all its rows hold it, and hardly any other row. One class of several is a note."""
    position = np.full(cohort.rows, -1, dtype=np.int64)
    position[question.rows] = np.arange(len(question.rows))
    place = position[words.rows]
    told = [one for answer in question.answers for one in _best_words(words, answer, place)]
    told.sort(key=lambda one: one.share * one.right, reverse=True)
    if not told:
        return []
    best = told[0]
    level: Level = "note" if len(question.answers[0].classes) > 2 else "warning"
    what = f"the word {shown(best.word)} gives {best.name} of '{question.header}' away: {best}."
    if question.labels:
        each = listed([f"{shown(one.word)} tells {one.name} ({one})" for one in told], most=MOST_TOLD)
        what = f"words give {question.named(len(told))} away: {each}."
    why = "Was the text written when the answer was known? Then it repeats the answer, and new texts will not hold the word."
    fix = "If so, take the word out of the texts, or leave the column out."
    return [Finding(level, "gives_answer_away", cells.header, what, why, fix)]


def _best_words(words: Words, answer: Answer, place: NDArray[np.int64]) -> list[Told]:
    """The best word of each class that has one; `place` (texts,) is the position in the answer, -1 for none."""
    known = place >= 0
    labels = np.where(known, answer.labels[place], -1) if answer.labels is not None else np.full(len(place), -1)
    holding = words.holding(known)
    found = []
    for label in range(len(answer.classes)):
        members = int((labels == label).sum())
        if members < LEAST_OF_CLASS or int(known.sum()) - members < LEAST_OF_CLASS or not len(holding):
            continue
        inside = words.holding(labels == label)
        best = int(np.argmax(inside / members - (holding - inside) / (known.sum() - members)))
        told = Told(shown(answer.classes[label]), str(words.names[best]), inside[best] / members, inside[best] / max(int(holding[best]), 1))
        if told.share >= FOUND and told.right >= RIGHT:
            found.append(told)
    return found


def _shifted_words(cells: Cells, words: Words, cohort: Cohort) -> list[Finding]:
    """Words that the texts of a given part hold more often than those of training, Holm-corrected over the most frequent words."""
    if cohort.parts is None or not cohort.given:
        return []
    parts = cohort.parts[words.rows]
    alone = np.isin(words.rows, cohort.one_of_each(words.rows))
    filled = alone & ~cells.missing[words.rows]
    train = filled & (parts == TRAIN)
    found = []
    often = np.argsort(-words.holding(filled), kind="stable")[:WORDS_COMPARED]
    for part in (VALIDATION, TEST):
        other = filled & (parts == part)
        if min(int(train.sum()), int(other.sum())) < LEAST_ROWS or not len(often):
            continue
        sizes = int(train.sum()), int(other.sum())
        here, there = (words.holding(mask)[often] for mask in (train, other))
        shift = np.abs(here / sizes[0] - there / sizes[1])
        chances = holm([_chance(int(a), int(b), sizes) for a, b in zip(here, there, strict=True)])
        sure = np.flatnonzero((np.array(chances) < SURE) & (shift >= SHIFTED))
        if len(sure):
            worst = sure[shift[sure].argmax()]
            word = shown(str(words.names[often[worst]]))
            shares = f"in {there[worst] / sizes[1]:.0%} of its texts, in training in {here[worst] / sizes[0]:.0%}"
            number = f"{counted(len(sure), 'word')} {'is' if len(sure) == 1 else 'are'}"
            what = f"{number} more or less frequent in {PARTS[part]} than in training, most of all {word}: {shares}."
            why = f"Scores on {PARTS[part]} then judge other texts than those that were learned from."
            fix = "Find out why the texts differ. If new rows will be like training, divide the rows by chance."
            found.append(Finding("warning", "shift", cells.header, what, why, fix))
    return found


def _chance(first: int, second: int, sizes: tuple[int, int]) -> float:
    return chi_square(np.array([[first, sizes[0] - first], [second, sizes[1] - second]], dtype=np.int64))
