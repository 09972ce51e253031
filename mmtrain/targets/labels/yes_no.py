"""Words for yes and no: the positive class of two, the answers of columns with one label each, and what `init` makes of both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PAIRS: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (frozenset(yes.split()), frozenset(no.split()))
    for yes, no in (
        ("1", "0"),
        ("yes y", "no n"),
        ("true t", "false f"),
        ("positive pos p +", "negative neg n -"),
        ("present", "absent"),
        ("on", "off"),
        ("ja j", "nein nee nej nei n"),
        ("oui o vrai", "non n faux"),
        ("si sí sì s verdadero vero sim verdadeiro", "no n falso não nao"),
        ("wahr", "falsch"),
        ("positiv positif positivo positiva", "negativ négatif negatif negativo negativa"),
        ("да", "нет"),
        ("是", "否"),
        ("はい", "いいえ"),
    )
)
"""Words that answer a question; those of one line answer each other. `true` and `false` are also how typed tables spell it."""

CLASS_PAIRS: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (frozenset(yes.split()), frozenset(no.split()))
    for yes, no in (
        ("1", "-1 2"),  # 2: questionnaires count their answers, yes first
        ("abnormal anomaly anomalous pathological attack", "normal"),
        ("case cases patient patients", "control controls"),
        ("malignant", "benign"),
        ("sick ill diseased disease unhealthy", "healthy"),
        ("dead died deceased death", "alive living"),
        ("infected", "uninfected"),
        ("affected", "unaffected"),
        ("fraud fraudulent", "legit legitimate genuine"),
        ("spam", "ham"),
        ("defect defective faulty anomaly", "ok good"),
        ("tumor tumour", "normal"),
    )
)
"""Names of classes that are opposites with an obvious positive class. Not died and survived, nor fail and pass:
both of either are asked for."""

CLEARLY_YES = frozenset({"yes", "true", "positive", "pos", "malignant", "abnormal"})
CLEARLY_NO = frozenset({"no", "none", "false", "negative", "neg", "benign", "normal", "healthy", "control", "absent"})
"""Words that say so whatever the other class is. `1`, `f` and the like do not: 1 and 3, f and m."""

NEGATION = r"(?:no|not|non|without)[\s_-]*"

YES: frozenset[str] = frozenset().union(*(yes for yes, _ in PAIRS + CLASS_PAIRS))
NO: frozenset[str] = frozenset().union(*(no for _, no in PAIRS + CLASS_PAIRS)) - {"-1", "2", "ok", "good"}
"""Words in a column for one label. There, -1 often means uncertain, and ok yes."""


def normal(word: str) -> str:
    """A word as the tables here spell it: in lower case, without blanks around it; `1.0`, `01` and `1.00e+00` are `1`."""
    # Case folding also unites letters that `lower` keeps apart, such as ß and ss.
    plain = word.strip().casefold()
    try:
        number = float(plain)
    except ValueError:
        return plain
    return str(int(number)) if number in (-1, 0, 1, 2) else plain


def opposites(word: str) -> tuple[str, ...]:
    """Words that say no where `word` says yes, and the reverse."""
    normalized = normal(word)
    pairs = [pair for yes, no in PAIRS for pair in ((yes, no), (no, yes))]
    return tuple(sorted(frozenset().union(*(other for one, other in pairs if normalized in one))))


def is_yes(word: str) -> bool:
    """Return True for a cell that says yes, in a column of one label."""
    return normal(word) in YES


def is_no(word: str) -> bool:
    """Return True for a cell that says no, in a column of one label."""
    return normal(word) in NO


def read_answers(cells: pd.Series[str]) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """(rows,): 1 for yes, 0 for no, -1 for a missing cell and for any other word; every different cell is looked at once."""
    import numpy as np
    import pandas as pd

    codes, words = pd.factorize(cells)
    known = [1 if is_yes(word) else 0 if is_no(word) else -1 for word in map(str, words)]
    return np.array([*known, -1], dtype=np.int8)[codes]  # the code of a missing cell is -1


def positive_of(names: tuple[str, str]) -> tuple[str, str] | None:
    """The positive one of two classes and why, or None where the names do not say."""
    first, last = _differences(*map(normal, names))
    # Each of the two may be the positive one; the first way that fits wins.
    ways = ((first, last, *names), (last, first, *names[::-1]))  # (yes, no, positive, negative)
    for yes, no, positive, _ in ways:
        if any(yes in ours and no in theirs for ours, theirs in PAIRS + CLASS_PAIRS):
            return positive, "it reads like a yes"
    for yes, no, positive, negative in ways:
        # `no tumour` next to `tumour`.
        if yes not in CLEARLY_NO and re.fullmatch(NEGATION + re.escape(yes), no):
            return positive, f"{negative!r} says that it is not so"
    for yes, no, positive, _ in ways:
        if yes in CLEARLY_YES and no not in CLEARLY_YES:
            return positive, "it reads like a yes"
    for yes, no, positive, negative in ways:
        if no in CLEARLY_NO and yes not in CLEARLY_NO:
            return positive, f"{negative!r} reads like a no"
    return None


def _differences(first: str, last: str) -> tuple[str, str]:
    """Return two names without their common prefix and suffix: `positive` and `negative` of `tested_positive`, `tested_negative`."""
    # `HER2+` and `HER2-` differ in their sign alone.
    signs = [re.fullmatch(r"(.*\w)\s*\(?([+-])\)?", name) for name in (first, last)]
    if signs[0] and signs[1] and signs[0][1] == signs[1][1]:
        return signs[0][2], signs[1][2]
    words = [re.split(r"[\s_:]+", name) for name in (first, last)]
    # Common first words go, then common last ones; one word of each always stays.
    while min(map(len, words)) > 1 and words[0][0] == words[1][0]:
        words = [parts[1:] for parts in words]
    while min(map(len, words)) > 1 and words[0][-1] == words[1][-1]:
        words = [parts[:-1] for parts in words]
    return normal(" ".join(words[0])), normal(" ".join(words[1]))
