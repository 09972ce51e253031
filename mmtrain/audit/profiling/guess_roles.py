"""Guessed roles of the columns of an undescribed table: each role's own guess, and what holds between columns.

`Column.guess` judges one column by itself. The rules that need several columns are here and in `column_relations`: one target, one
id, one group and one split, so that an experiment file with these roles can be used.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmtrain.audit.profiling import infer_target
from mmtrain.columns import role_class, roles
from mmtrain.columns.base import Guess, Purpose
from mmtrain.columns.numbers import number_errors
from mmtrain.columns.profile import Profile
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import ConfigError, Problem, did_you_mean, listed
from mmtrain.text.printable import quote_value

SINGLE: tuple[tuple[Purpose, str, bool], ...] = (
    ("naming", "the id is", True),
    ("grouping", "rows are grouped by", False),
    ("assigning", "the split is given by", False),
)
"""Purposes that one column can have, the words for the column that has it, and whether it is the first one whose name says id: a group
is a patient rather than a session, and any name of people rather than an id."""


def infer_role(profile: Profile) -> Guess:
    """Return the strongest guess of all registered roles; of two equally strong ones that of the role that was registered last."""
    # A constant column teaches nothing, whatever it holds.
    if profile.distinct < 2:
        where = "every cell is" if not profile.missing else "every cell that is not empty is"
        reason = f"{where} {profile.example}" if profile.filled else "every cell is empty"
        return Guess(role="categorical", reason=reason, used=False)
    guesses = [guess for name, _ in roles.items() if (guess := role_class(name).guess(profile)) is not None]
    # `max` keeps the first of equals: reversed, that is the one registered last.
    return max(reversed(guesses), key=lambda guess: guess.evidence)


def guess_targets(
    file: TableFile, targets: Sequence[str], guesses: dict[str, Guess], profiles: dict[str, Profile], unusable: dict[str, str]
) -> tuple[str, ...]:
    """Put the guesses of the targets, the given ones or else the likeliest, into `guesses`; return their headers.

    Raises ConfigError when a given target is not a header, or its column cannot be an answer.
    """
    for target in targets:
        guesses[target] = _given_target(file, target, profiles, unusable)
    if targets:
        return tuple(dict.fromkeys(targets))
    choice = infer_target.choose_target(profiles, guesses)
    if choice is None:
        return ()
    target, why = choice
    guess = infer_target.infer_task(profiles[target])
    if guess is None:
        raise ValueError(f"{target!r} cannot be a target.")
    guesses[target] = guess.model_copy(update={"reason": f"{why}; {guess.reason}; please confirm"})
    return (target,)


def _given_target(file: TableFile, target: str, profiles: dict[str, Profile], unusable: dict[str, str]) -> Guess:
    if target not in file.headers:
        fix = did_you_mean(target, file.headers) or f"It has {listed(file.headers)}."
        raise ConfigError(Problem("--target", f"the table has no column '{target}'.", fix))
    if target in unusable:
        fix = "Mend the table, or choose another column."
        raise ConfigError(Problem("--target", f"'{target}' cannot be used: {unusable[target]}.", fix))
    guess = infer_target.infer_task(profiles[target])
    if guess is None:
        profile = profiles[target]
        what = f"'{target}' has {profile.distinct:,} different values in {profile.filled:,} rows, which are neither numbers nor classes."
        raise ConfigError(Problem("--target", what, "Choose a column of numbers, or one with at least two classes that repeat."))
    return guess


def leave_single_purposes(guesses: dict[str, Guess]) -> None:
    """Leave one id, one group and one split, in `guesses`: each the one whose name is clearest, the first of several."""
    for purpose, words, prefers_id in SINGLE:
        headers = [header for header, guess in guesses.items() if guess.purpose == purpose and guess.used]
        # The sort is stable: of equally clear names the first column stays first.
        headers.sort(key=lambda header: ("the name says id" in guesses[header].reason) != prefers_id)
        for header in headers[1:]:
            reason = f"{guesses[header].reason}; {words} {quote_value(headers[0])}"
            guesses[header] = guesses[header].model_copy(update={"used": False, "reason": reason, "options": {}})


def locate_non_numbers(file: TableFile, guesses: dict[str, Guess], profiles: dict[str, Profile]) -> None:
    """Add the place of the first cell that is not a number to the guess of a column that is not used because of it."""
    unused = [header for header, guess in guesses.items() if guess.content == "numbers" and not guess.used]
    headers = [header for header in unused if profiles[header].not_numbers]
    places: dict[str, str] = {}
    start = 0
    for chunk in file.pieces(headers, size=READ_CHUNK_ROWS) if headers else ():
        for header in headers:
            for fault in number_errors(chunk[header]) if header not in places else ():
                places[header] = f"; {file.where(start + int(fault.rows[0]))}: {fault.what} {fault.fix}"
        start += len(chunk[headers[0]])
    for header, place in places.items():
        guesses[header] = guesses[header].model_copy(update={"reason": guesses[header].reason + place})
