"""Quality of texts: without words, pasted into many rows, in another script, ids; and words whose frequency shifts between parts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE, chi_square, holm
from mmtrain.audit.leakage.duplicate_rows import LEAST_OFTEN, OFTEN
from mmtrain.audit.leakage.text_leakage import sign_leakage, text_leakage
from mmtrain.audit.quality.vocabulary import Vocabulary, build_vocabulary, signs_of
from mmtrain.audit.read_values import SCRIPTS
from mmtrain.audit.row_metadata import TEST, TRAIN, VALIDATION, RowMetadata, shift_advice
from mmtrain.audit.target_view import target_views
from mmtrain.columns.split_words import PARTS
from mmtrain.errors import counted
from mmtrain.text.printable import quote_value

MUCH = 0.3
"""Share of texts that are all the same, from which the column says little."""
MAIN_SCRIPT = 0.8
"""Share of texts in one script, from which another script is the exception."""
LEAST_ROWS = 20
LEAST_NAMES, NAMES = 50, 0.9
"""Texts, and the share of their words that occur in no other text, from which they are names rather than language."""
WORDS_COMPARED = 500
"""The most frequent words: the correction for the number of tests leaves rarer ones no power."""
SHIFTED = 0.1
"""Difference in the share of texts with a word, between two parts."""


def text_quality(table: TableValues, metadata: RowMetadata) -> list[Finding]:
    """Return the findings on all columns of texts."""
    columns = table.inputs_of("texts")
    targets = target_views(table, metadata) if columns else []
    findings: list[Finding] = []
    for cells in columns:
        words = build_vocabulary(cells, table.sample)
        findings += _wordless(cells) + _boilerplate(cells) + _other_script(cells) + _names(cells, words)
        # Without a target there is nothing that a dropped sign could predict.
        signs = signs_of(cells, table.sample) if targets else None
        for target in targets:
            findings += text_leakage(cells, words, target, metadata)
            findings += sign_leakage(cells, signs, target, metadata) if signs is not None else []
        findings += _shifted_words(cells, words, metadata, FAMILY_WISE_ERROR_RATE / len(columns))
    return findings


def _names(cells: ColumnValues, words: Vocabulary) -> list[Finding]:
    """Find texts that share hardly a word, as codes do."""
    texts = len(np.unique(words.text))
    if texts < LEAST_NAMES:
        return []
    # By occurrence, not by distinct word: in most languages about half of the distinct words occur once (Zipf).
    alone = np.bincount(words.word)[words.word] == 1
    if alone.mean() < NAMES:
        return []
    what = f"{alone.mean():.0%} of the words occur in one text only, like ids."
    why = "A word of one text says nothing about other texts; in training it lets the model memorise every row."
    return [Finding("warning", "id_as_input", cells.header, what, why, "Leave the column out, or give it the role id.")]


def _wordless(cells: ColumnValues) -> list[Finding]:
    if cells.wordless is None or not cells.wordless.any():
        return []
    rows = np.flatnonzero(cells.wordless)
    what = f"{counted(len(rows), 'text')} {'holds' if len(rows) == 1 else 'hold'} no word, only punctuation or blanks."
    why = "Such a text is treated as missing, although its cell is not empty."
    fix = "List such texts under `data.missing_values`, so that they count as missing everywhere."
    return [Finding("note", "text_without_words", cells.header, what, why, fix, first_rows(rows), count=len(rows))]


def _boilerplate(cells: ColumnValues) -> list[Finding]:
    """Find long texts in very many rows."""
    if cells.written is None:
        return []
    rows = np.flatnonzero(cells.written)
    codes, _ = pd.factorize(cells.prints[rows])
    times = np.bincount(codes, minlength=1)
    often = np.flatnonzero(times >= max(LEAST_OFTEN, OFTEN * len(cells.prints)))
    # In a small table the share alone is reached by a text that two people wrote alike.
    if not len(often):
        return []
    pasted = rows[np.isin(codes, often)]
    share = len(pasted) / max(int((~cells.missing).sum()), 1)
    number = f"{len(often):,} long {'text' if len(often) == 1 else 'texts'}"
    what = f"{number} {'occurs' if len(often) == 1 else 'occur'} word for word in {counted(len(pasted), 'row')}, {share:.0%} of all texts."
    why = "A pasted text reflects the form that was used, not the observation."
    level: Level = "warning" if share >= MUCH else "note"
    fix = "Check whether it is related to the answer; list it under `data.missing_values` if it has no meaning."
    return [Finding(level, "boilerplate", cells.header, what, why, fix, first_rows(pasted), count=len(pasted))]


def _other_script(cells: ColumnValues) -> list[Finding]:
    if cells.scripts is None:
        return []
    # Texts of digits and signs have no script.
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


def _shifted_words(cells: ColumnValues, words: Vocabulary, metadata: RowMetadata, sure: float) -> list[Finding]:
    """Find words that are more or less frequent in a given part than in training, Holm-corrected over the most frequent words."""
    if metadata.parts is None or metadata.by_random:
        return []
    parts = metadata.parts[words.rows]
    # One text of each group: the texts of one author are one observation of a word.
    alone = np.isin(words.rows, metadata.one_of_each(words.rows))
    filled = alone & ~cells.missing[words.rows]
    train = filled & (parts == TRAIN)
    findings = []
    # Chosen by frequency in all parts together: chosen by the difference, the test would find what it was given.
    often = np.argsort(-words.holding(filled), kind="stable")[:WORDS_COMPARED]
    for part in (VALIDATION, TEST):
        other = filled & (parts == part)
        if min(int(train.sum()), int(other.sum())) < LEAST_ROWS or not len(often):
            continue
        sizes = int(train.sum()), int(other.sum())
        here, there = (words.holding(mask)[often] for mask in (train, other))
        shift = np.abs(here / sizes[0] - there / sizes[1])
        # Fisher or chi-square of each word; the correction is for the words compared.
        p_values = holm([_p_value(int(a), int(b), sizes) for a, b in zip(here, there, strict=True)])
        striking = np.flatnonzero((np.array(p_values) < sure / 2) & (shift >= SHIFTED))  # of two parts
        if len(striking):
            worst = striking[shift[striking].argmax()]
            word = quote_value(str(words.names[often[worst]]))
            shares = f"in {there[worst] / sizes[1]:.0%} of its texts, in training in {here[worst] / sizes[0]:.0%}"
            number = f"{counted(len(striking), 'word')} {'is' if len(striking) == 1 else 'are'}"
            what = f"{number} more or less frequent in {PARTS[part]} than in training, most of all {word}: {shares}."
            level, why, fix = shift_advice(metadata, part, "texts")
            findings.append(Finding(level, "shift", cells.header, what, why, fix))
    return findings


def _p_value(first: int, second: int, sizes: tuple[int, int]) -> float:
    return chi_square(np.array([[first, sizes[0] - first], [second, sizes[1] - second]], dtype=np.int64))
