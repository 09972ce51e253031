"""Word vectors from a file, of those words alone that a vocabulary has: GloVe and fastText text files, or .npy with a list of words.

A text file has a word and its numbers on each line, with blanks between them; that of fastText begins with the number of words and the
width. It is read line by line, and only lines of known words are parsed, so that time is linear in the file and memory in the vocabulary.
An array .npy (words, width) has its words, in the order of its rows, in a .txt file with one on each line, or in the first column of a
.parquet file: a file of the same name, else the only one of those in the folder.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtrain.errors import Problem, RunError

if TYPE_CHECKING:
    import numpy as np

FIX = "Give a text file of GloVe or fastText, or an array .npy with its list of words."
LISTS = (".txt", ".parquet")


@dataclass(frozen=True, eq=False)
class WordVectors:
    """The words found, by their positions in the vocabulary, and their vectors (words found, width) float32."""

    positions: np.ndarray[Any, Any]
    vectors: np.ndarray[Any, Any]


def read_word_vectors(path: str, words: Sequence[str]) -> WordVectors:
    """Return the vectors of these words; of a word that is in the file twice, the first.

    Raises RunError where the file is missing or is not one of word vectors.
    """
    file = Path(path)
    try:
        status = file.stat()
        return _read(file, tuple(words), status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise RunError(Problem(path, f"the word vectors cannot be read: {error.strerror or error}.", FIX)) from error
    except UnicodeDecodeError as error:
        raise RunError(Problem(path, f"its list of words is not text in UTF-8: {error}.", FIX)) from error


@lru_cache(maxsize=2)
def _read(file: Path, words: tuple[str, ...], *state: int) -> WordVectors:  # noqa: ARG001 (of the file; a changed one is read again)
    """Read a file once for all networks of a process: trials of settings build several."""
    import numpy as np

    position_of = {word: position for position, word in enumerate(words)}
    known = _read_array(file, position_of) if file.suffix == ".npy" else _read_lines(file, position_of)
    vectors: dict[int, Any] = {}
    width = 0
    for position, vector in known:
        width = len(vector)
        vectors.setdefault(position, vector)
    if not vectors:
        raise RunError(Problem(str(file), f"it has vectors of none of the {len(words):,} words of the texts.", FIX))
    array = np.stack(list(vectors.values())).astype(np.float32).reshape(-1, width)
    return WordVectors(np.fromiter(vectors, np.int64, len(vectors)), array)


def _read_lines(file: Path, position_of: Mapping[str, int]) -> Iterator[tuple[int, Any]]:
    """Yield position and vector of every known word. The first line without a header says how wide vectors are."""
    import numpy as np

    wanted = {word.encode(): position for word, position in position_of.items()}
    width = 0
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            # Some editors put a mark of the order of bytes in front of the first word.
            word, _, rest = line.removeprefix(BOM_UTF8 if number == 1 else b"").rstrip().partition(b" ")
            if not width:
                parts = rest.split()
                width = int(parts[0]) if number == 1 and word.isdigit() and len(parts) == 1 and parts[0].isdigit() else len(parts)
                if len(parts) == 1 and number == 1 and width > 1:
                    continue  # the header of fastText
                if width < 1:
                    raise RunError(Problem(f"{file}:{number}", "the line is not a word and its numbers.", FIX))
            if word not in wanted:
                continue
            numbers = rest.split()
            if len(numbers) > width:  # a phrase that begins with a known word: `at name@domain.com 0.1 ...`
                continue
            try:
                with np.errstate(over="ignore"):  # to infinity, which is refused below
                    vector = np.array(numbers, dtype=np.float32)
            except ValueError:
                vector = np.zeros(0, np.float32)
            if len(vector) != width or not np.isfinite(vector).all():
                raise RunError(Problem(f"{file}:{number}", f"the line does not have {width} numbers behind its word.", FIX))
            yield wanted[word], vector


def _read_array(file: Path, position_of: Mapping[str, int]) -> Iterator[tuple[int, Any]]:
    import numpy as np

    try:
        vectors = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise RunError(Problem(str(file), "it is not an array of NumPy.", FIX)) from error
    if not isinstance(vectors, np.ndarray):
        raise RunError(Problem(str(file), "it is an archive of arrays.", FIX))
    if vectors.ndim != 2 or not vectors.shape[1] or vectors.dtype.kind != "f":
        what = f"its shape is {vectors.shape} and its type {vectors.dtype}; (words, width) of real numbers is what can be read."
        raise RunError(Problem(str(file), what, FIX))
    rows = 0
    for row, word in enumerate(_read_words(file)):
        rows += 1
        if word in position_of and row < len(vectors):
            vector = np.array(vectors[row])
            if not (np.abs(vector) <= np.finfo(np.float32).max).all():  # False for NaN too
                raise RunError(Problem(f"{file}, row {row}", f"the vector of {word!r} has values that are not finite.", FIX))
            yield position_of[word], vector
    if rows != len(vectors):
        raise RunError(Problem(str(file), f"it has {len(vectors):,} rows, and its list {rows:,} words.", FIX))


def _read_words(file: Path) -> Iterator[str]:
    same = [file.with_suffix(suffix) for suffix in LISTS if file.with_suffix(suffix).is_file()]
    lists = same[:1] or [one for one in sorted(file.parent.iterdir()) if one.suffix in LISTS]
    if len(lists) != 1:
        what = f"its list of words is not there: {file.with_suffix('.txt').name}, with a word on each line."
        raise RunError(Problem(str(file), what, FIX))
    if lists[0].suffix == ".txt":
        with lists[0].open(encoding="utf-8") as lines:
            yield from (line.rstrip("\n") for line in lines)
        return
    from pyarrow import ArrowException, parquet

    try:
        for batch in parquet.ParquetFile(lists[0]).iter_batches(columns=None):
            yield from map(str, batch.column(0).to_pylist() if batch.num_columns else ())
    except ArrowException as error:
        raise RunError(Problem(str(lists[0]), f"the list of words cannot be read: {error}.", FIX)) from error
