"""Word lists on disk: class lists, negative labels, and the split of negatives into roles."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import files
from jaxvlm.errors import InputError

NOUN_FILE, ADJECTIVE_FILE = "neg_labels_noun.txt", "neg_labels_adj.txt"
SCORES_FILE = "neg_word_scores.csv"
GROUP_FILES = {
    "object": "neg_object.txt",
    "background": "neg_background.txt",
    "ambiguous": "neg_ambiguous.txt",
}


class NegativeWords(NamedTuple):
    """Negative labels; ``repeated``: how many lines were left out, their word stood before."""

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]
    repeated: int = 0

    @property
    def words(self) -> tuple[str, ...]:
        """Nouns, then adjectives: the order of the negative bank."""
        return self.nouns + self.adjectives


class NegativeSplit(NamedTuple):
    """Negative labels by the role they lean to, and r(w) of every word.

    ``repeated``: how many lines of the files were left out, their word stood before.
    """

    object: tuple[str, ...]
    background: tuple[str, ...]
    ambiguous: tuple[str, ...]
    r_scores: dict[str, float]
    repeated: int = 0


def normalize_word(word: str) -> str:
    """The form in which words are compared: no case, underscores as blanks, single blanks."""
    return " ".join(word.replace("_", " ").casefold().split())


def read_classes(path: str | os.PathLike) -> tuple[str, ...]:
    """The class names of a list, one per line, in its order: row k is class k.

    Raises InputError, naming file and line: no such file, not UTF-8, no line, an empty line
    before the last name, the same name twice (compared by ``normalize_word``).
    """
    lines = _lines(path)
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        key = normalize_word(line)
        if not key:
            raise InputError(f"{path}: line {number} is empty; remove it or write the class there")
        if key in first:
            raise InputError(
                f"{path}: line {number}, {line!r}, repeats line {first[key]}; "
                "remove it or give the two classes different names"
            )
        first[key] = number
    return tuple(lines)


def read_words(path: str | os.PathLike) -> tuple[tuple[str, ...], int]:
    """The words of a published list, one per line, first occurrences only, and how many repeat.

    Empty lines are passed over. Words are taken as they are written, so ``turkey`` and
    ``Turkey`` are two. Raises InputError: no such file, not UTF-8, no word.
    """
    words = [line for line in _lines(path) if line]
    kept = tuple(dict.fromkeys(words))
    return kept, len(words) - len(kept)


def read_negatives(path: str | os.PathLike) -> NegativeWords:
    """Negative labels from a list, or from a folder with ``neg_labels_noun.txt``.

    The folder may also hold ``neg_labels_adj.txt``; an adjective that is also a noun label is
    left out and counted. The words of a single list count as nouns.

    Raises InputError: no such file or folder, no list in it, or what ``read_words`` raises.
    """
    path = Path(path)
    if not path.is_dir():
        nouns, repeated = read_words(path)
        return NegativeWords(nouns, (), repeated)
    nouns, repeated = read_words(path / NOUN_FILE)
    if not (path / ADJECTIVE_FILE).is_file() or not (path / ADJECTIVE_FILE).stat().st_size:
        return NegativeWords(nouns, (), repeated)
    adjectives, more = read_words(path / ADJECTIVE_FILE)
    nouns_seen = set(nouns)
    kept = tuple(word for word in adjectives if word not in nouns_seen)
    return NegativeWords(nouns, kept, repeated + more + len(adjectives) - len(kept))


def write_words(path: str | os.PathLike, words: Iterable[str]) -> None:
    """Writes one word per line, atomically; no word gives an empty file."""
    files.write_text(path, "".join(f"{word}\n" for word in words))


def write_negatives(folder: str | os.PathLike, nouns: Iterable[str], adjectives: Iterable[str]):
    """Writes ``neg_labels_noun.txt`` and ``neg_labels_adj.txt``, the latter possibly empty."""
    write_words(Path(folder) / NOUN_FILE, nouns)
    write_words(Path(folder) / ADJECTIVE_FILE, adjectives)


def read_split(folder: str | os.PathLike) -> NegativeSplit:
    """Reads the four files of a split; ``folder`` is ``negatives_split`` or the folder above it.

    ``neg_word_scores.csv`` has the columns ``word`` and ``r_score``. A word listed twice keeps
    its first place, object before background before ambiguous.

    Raises InputError: a file is missing or unreadable, a group of object- or background-leaning
    words is empty, or a listed word has no finite score.
    """
    folder = Path(folder)
    if not (folder / SCORES_FILE).is_file() and (folder / "negatives_split").is_dir():
        folder = folder / "negatives_split"
    scores, repeated = _read_scores(folder / SCORES_FILE)
    seen: set[str] = set()
    groups: dict[str, tuple[str, ...]] = {}
    for group, name in GROUP_FILES.items():
        path = folder / name
        words = [word for word in _lines(path, empty_allowed=group == "ambiguous") if word]
        kept = tuple(word for word in dict.fromkeys(words) if word not in seen)
        for word in kept:
            if word not in scores:
                raise InputError(
                    f"{path}: {word!r} has no score in {SCORES_FILE}; run split_negatives again"
                )
        seen.update(kept)
        groups[group] = kept
    listed = {word: r for word, r in scores.items() if word in seen}
    return NegativeSplit(**groups, r_scores=listed, repeated=repeated)


def write_split(
    folder: str | os.PathLike,
    split: NegativeSplit,
    cosines: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Writes ``neg_word_scores.csv`` and the three lists; the csv last, it makes a split whole.

    Columns: ``word,r_score,category`` and, where given, ``cos_obj,cos_bg``, aligned with
    ``split.r_scores``.
    """
    folder = Path(folder)
    category = {word: group for group in GROUP_FILES for word in getattr(split, group)}
    for group, name in GROUP_FILES.items():
        write_words(folder / name, getattr(split, group))
    table = pd.DataFrame(
        {
            "word": list(split.r_scores),
            "r_score": list(split.r_scores.values()),
            "category": [category[word] for word in split.r_scores],
            **(cosines or {}),
        }
    )
    files.write_csv(folder / SCORES_FILE, table)


def _read_scores(path: Path) -> tuple[dict[str, float], int]:
    # Plain text, because "null" and "nan" are words.
    table = files.read_csv(path, dtype=str, keep_default_na=False)
    for column in ("word", "r_score"):
        if column not in table:
            raise InputError(f"{path}: no column {column}; run split_negatives again")
    r = pd.to_numeric(table["r_score"], errors="coerce").to_numpy(np.float64)
    if not np.isfinite(r).all():
        row = int(np.argmin(np.isfinite(r)))
        raise InputError(
            f"{path}: line {row + 2}, {table['word'][row]!r}, has no finite r_score; "
            "run split_negatives again"
        )
    scores: dict[str, float] = {}
    for word, value in zip(table["word"], r.tolist(), strict=True):
        scores.setdefault(word.strip(), value)
    return scores, len(table) - len(scores)


def _lines(path: str | os.PathLike, *, empty_allowed: bool = False) -> list[str]:
    """Stripped lines without the empty ones at the end."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        # utf-8-sig: editors on Windows put a byte-order mark before the first word.
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line} is not UTF-8; save the list as UTF-8") from None
    lines = [line.strip() for line in text.rstrip().split("\n")]
    if lines == [""]:
        if empty_allowed:
            return []
        raise InputError(f"{path}: no line in it; write one name per line")
    return lines
