"""The tree of errors; the bottom floor, which imports the standard library and `synonyms` only.

MmtrainError
|-- ConfigError   exit 2: the experiment file is wrong
|   `-- UsageError   exit 2: the command line is wrong
|-- DataError     exit 3: the table, its cells or its images are wrong
`-- RunError      exit 1: a run failed, or a run folder cannot be used
    `-- LostWorkerError   exit 75: another process of the training has ended

Each carries every `Problem` that was found, not only the first, so that a person mends them in one go.
Anything else that is raised is a bug of ours and shows its traceback.
"""

from __future__ import annotations

import os
import shlex
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from mmtrain.synonyms import names_of

MOST_COMPARED = 200
"""Names that a word is compared with to find the one that was meant."""


@dataclass(frozen=True)
class Problem:
    """A mistake that the user must fix.

    `where` is the place (`clinic.yaml:12: columns.age`, `patients.csv:40: age`), `what` says what was found there,
    `fix` what would be right. `what` and `fix` are whole sentences.
    """

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what} {self.fix}".rstrip()


class MmtrainError(Exception):
    """A mistake that has an explanation; `str()` of it is one problem a line."""

    exit_code = 1

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(MmtrainError):
    """The experiment file is wrong, or an override of it."""

    exit_code = 2


class UsageError(ConfigError):
    """The command line asks for something that does not exist, or for options that exclude each other."""


class DataError(MmtrainError):
    """The table, one of its cells or one of its images is wrong."""

    exit_code = 3


class RunError(MmtrainError):
    """A run failed, or a run folder cannot be used."""

    exit_code = 1


class RunInUseError(UsageError):
    """Another process trains the run now."""


class LostWorkerError(RunError):
    """Another process that shares the training has ended, or does not answer."""

    exit_code = 75


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean 'filters'?` when one of `known` is usually called `word`, or close to it; else an empty string."""
    close = _closest(word, known)
    return f"Did you mean '{close}'?" if close else ""


def similar_file(name: str, known: Iterable[str]) -> str:
    """`Did you mean 'cat.png'?` if a file has a similar name, else an empty string.

    Endings do not count as similar, since all files of a folder may share one.
    """
    stem, ending = os.path.splitext(name)
    same: dict[str, str] = {}
    others: dict[str, str] = {}
    for one in known:
        own, other = os.path.splitext(one)
        (same if other.lower() == ending.lower() else others)[own] = one
    close = same.get(_closest(stem, same)) or others.get(_closest(stem, others, cutoff=0.85))
    return f"Did you mean '{close}'?" if close else ""


def _closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    spellings = {name.casefold(): name for name in known}
    usual = [name for name in names_of(str(word)) if name in spellings]
    # A comparison with each of thousands of names would take seconds.
    able = list(spellings) if len(spellings) <= MOST_COMPARED else _neighbours(str(word).casefold(), tuple(spellings))
    # Few typing errors are in the first letter: `cn` is closer to cnn than to dcn, which has as many letters of it.
    close = usual or sorted(
        get_close_matches(str(word).casefold(), able, n=3, cutoff=cutoff), key=lambda name: name[:1] != str(word)[:1].casefold()
    )
    return spellings[close[0]] if close else ""


def _neighbours(word: str, names: tuple[str, ...]) -> list[str]:
    """The names that share the longest beginning or the longest end with a word: a comparison costs 20 microseconds.

    With every wrong one of a thousand headers compared with a thousand others, it would be 20 seconds until the first message.
    """
    # A typing error leaves the beginning or the end right: sorted, such names are neighbours.
    forward, backward = _sorted(names)
    near = [*_around(word, forward), *(name[::-1] for name in _around(word[::-1], backward))]
    return list(dict.fromkeys(near))


def _around(word: str, names: list[str]) -> list[str]:
    place = bisect(names, word)
    return names[max(0, place - MOST_COMPARED // 4) : place + MOST_COMPARED // 4]


@lru_cache(maxsize=2)
def _sorted(names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    return sorted(names), sorted(name[::-1] for name in names)


def listed(words: Sequence[object], last: str = "and", most: int = 12) -> str:
    """`a, b and c`; past `most` words the rest is counted."""
    shown = [str(word) for word in words[:most]]
    if len(words) > most:
        return f"{', '.join(shown)} {last} {len(words) - most} more"
    return f" {last} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def shell_command(*words: object) -> str:
    """`mmtrain evaluate 'runs/my clinic/1'`: a command to copy into a shell, its words quoted where they have to be."""
    return " ".join(_quoted(str(word)) for word in ("mmtrain", *words))


def _quoted(word: str) -> str:
    r"""Quote a word for a shell; `$'caf\xe9.csv'` where a byte or a character of a name cannot be shown."""
    if word.isprintable():
        return shlex.quote(word)
    # Bytes, because a file name may be no valid text.
    letters = [chr(byte) if 32 <= byte < 127 and chr(byte) not in "'\\" else f"\\x{byte:02x}" for byte in os.fsencode(word)]
    return f"$'{''.join(letters)}'"


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `1,200 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float, digits: int = 0) -> str:
    """`40 s`, with `digits` decimals below a minute; `4 min 12 s`, `2 h 5 min`."""
    # Rounded first, so that no minute has 60 s.
    if round(seconds, digits) < 60:
        return f"{seconds:.{digits}f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
