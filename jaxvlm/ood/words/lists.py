"""Word lists on disk: class lists, negative labels, and the split of negatives into roles."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import files
from jaxvlm.data import plain_pickle
from jaxvlm.data.class_lists import read_class_list
from jaxvlm.data.text_files import read_lines
from jaxvlm.errors import InputError
from jaxvlm.reading import read_bounded
from jaxvlm.terminal import control_character

NOUN_FILE, ADJECTIVE_FILE = "neg_labels_noun.txt", "neg_labels_adj.txt"
SCORES_FILE = "neg_word_scores.csv"
SPLIT_FOLDER = "negatives_split"
GROUP_FILES = {
    "object": "neg_object.txt",
    "background": "neg_background.txt",
    "ambiguous": "neg_ambiguous.txt",
}
# NegLabel publishes its list, selected_neg_labels_in1k_10k.txt, inside these prompts.
_PROMPTS = re.compile(r"the nice (?P<noun>.+)|This is an? (?P<adjective>.+) photo")


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


def is_path(source: str | os.PathLike | Sequence[str]) -> bool:
    """Whether words are given by a path, and not themselves."""
    return isinstance(source, str | os.PathLike)


def read_classes(source: str | os.PathLike | Sequence[str]) -> tuple[str, ...]:
    """The class names of a file, or of a sequence, in order: row k is class k.

    A file: see `class_lists.read_class_list`. An underscore is a blank, in files and out of them.

    Raises InputError, naming file and line: no such file, not UTF-8, no line, an empty line
    before the last name, the same name twice (compared by ``normalize_word``).
    """
    lines = read_class_list(source) if is_path(source) else _given("class_names", source)
    item = "line" if is_path(source) else "word"
    place = f"{source}: {item}" if is_path(source) else f"class_names: {item}"
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        key = normalize_word(line)
        if not key:
            raise InputError(f"{place} {number} is empty; remove it or write the class there")
        if key in first:
            raise InputError(
                f"{place} {number}, {line!r}, repeats {item} {first[key]}; "
                "remove it or give the two classes different names"
            )
        first[key] = number
    return tuple(" ".join(line.replace("_", " ").split()) for line in lines)


def underscore_note(source: str | os.PathLike | Sequence[str]) -> str | None:
    """A line on the class names with underscores, which `read_classes` reads as blanks; or None."""
    lines = read_class_list(source) if is_path(source) else _given("class_names", source)
    changed = [line for line in lines if "_" in line]
    if not changed:
        return None
    place = source if is_path(source) else "class_names"
    several = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
    shown = " ".join(changed[0].replace("_", " ").split())
    return f"{place}: an underscore is a blank, as in {shown!r}{several}"


def read_words(path: str | os.PathLike) -> tuple[tuple[str, ...], int]:
    """The words of a published list, first occurrences only, and how many repeat.

    A text file has one word per line, empty lines are passed over; a ``.pkl`` holds a list, tuple
    or set of text (a set, which has no order, is sorted) and is read as data, nothing in it is
    run. Words are taken as they are written, so ``turkey`` and ``Turkey`` are two. Raises
    InputError: no such file, not UTF-8, no word, a pickle of anything else, also of words that
    cannot be printed.
    """
    lines = _pickled_words(path) if Path(path).suffix == ".pkl" else _lines(path)
    words = [line for line in lines if line]
    kept = tuple(dict.fromkeys(words))
    return kept, len(words) - len(kept)


def read_negatives(source: str | os.PathLike | Sequence[str]) -> NegativeWords:
    """Negative labels from a list, or from a folder of this project, NegAlign or NegRefine.

    source: a path, or the words themselves.

    A folder holds the first of these that is there: ``neg_labels_noun.txt`` or ``.pkl``; a split
    (``negatives_split/``, or the folder itself), whose words are the negatives;
    ``initial_neg_labels_noun.txt`` or ``.pkl``, the labels before NegRefine's filter. Adjectives
    may lie beside nouns; one that is also a noun label is left out and counted. The words of a
    single list count as nouns, except in NegLabel's list, whose prompts are taken off.

    Raises InputError: no such file or folder, no list in it, or what ``read_words`` raises.
    """
    if not is_path(source):
        given = [word for word in _given("negatives", source) if word]
        return _without_prompts(tuple(dict.fromkeys(given)), len(given) - len(set(given)))
    path = Path(source)
    if not os.path.isdir(path):
        words, repeated = read_words(path)
        return _without_prompts(words, repeated)
    split = find_split(path)
    if (nouns_file := _list_file(path, NOUN_FILE)) is not None:
        adjectives_file = _list_file(path, ADJECTIVE_FILE)
    elif split is not None:
        scores, repeated = _read_scores(split / SCORES_FILE)
        return NegativeWords(tuple(scores), (), repeated)
    elif (nouns_file := _list_file(path, f"initial_{NOUN_FILE}")) is not None:
        adjectives_file = _list_file(path, f"initial_{ADJECTIVE_FILE}")
    else:
        raise InputError(
            f"{path / NOUN_FILE}: no such file; give a word list, or a folder with {NOUN_FILE} "
            f"(.txt or .pkl) or {SPLIT_FOLDER}/"
        )
    nouns, repeated = read_words(nouns_file)
    if adjectives_file is None or not adjectives_file.stat().st_size:
        return NegativeWords(nouns, (), repeated)
    adjectives, more = read_words(adjectives_file)
    nouns_seen = set(nouns)
    kept = tuple(word for word in adjectives if word not in nouns_seen)
    return NegativeWords(nouns, kept, repeated + more + len(adjectives) - len(kept))


def find_split(folder: str | os.PathLike) -> Path | None:
    """The folder of a split: ``folder`` itself, or its ``negatives_split``; None without one."""
    folder = Path(folder)
    candidates = (folder, folder / SPLIT_FOLDER)
    return next((each for each in candidates if os.path.isfile(each / SCORES_FILE)), None)


def write_words(path: str | os.PathLike, words: Iterable[str]) -> None:
    """Writes one word per line, atomically; no word gives an empty file."""
    files.write_text(path, "".join(f"{word}\n" for word in words))


def write_negatives(folder: str | os.PathLike, nouns: Iterable[str], adjectives: Iterable[str]):
    """Writes ``neg_labels_noun.txt`` and ``neg_labels_adj.txt``, the latter possibly empty."""
    write_words(Path(folder) / NOUN_FILE, nouns)
    write_words(Path(folder) / ADJECTIVE_FILE, adjectives)


def read_split(folder: str | os.PathLike) -> NegativeSplit:
    """Reads the files of a split; ``folder`` is ``negatives_split`` or the folder above it.

    ``neg_word_scores.csv`` has the columns ``word`` and ``r_score``. A word listed twice keeps
    its first place, object before background before ambiguous. NegAlign's splits by percentile
    leave no word ambiguous and come without ``neg_ambiguous.txt``.

    Raises InputError: a file is missing or unreadable, a group of object- or background-leaning
    words is empty, or a listed word has no finite score.
    """
    folder = find_split(folder) or Path(folder)
    scores, repeated = _read_scores(folder / SCORES_FILE)
    seen: set[str] = set()
    groups: dict[str, tuple[str, ...]] = {}
    for group, name in GROUP_FILES.items():
        path = folder / name
        may_be_empty = group == "ambiguous"
        if may_be_empty and not os.path.exists(path):
            lines = []
        else:
            lines = _lines(path, empty_allowed=may_be_empty)
        words = [word for word in lines if word]
        kept = tuple(word for word in dict.fromkeys(words) if word not in seen)
        for word in kept:
            if word not in scores:
                raise InputError(
                    f"{path}: {word!r} has no score in {SCORES_FILE}; "
                    "run jaxvlm split-negatives again"
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
            raise InputError(f"{path}: no column {column}; run jaxvlm split-negatives again")
    r = files.numbers(table["r_score"])
    if not np.isfinite(r).all():
        row = int(np.argmin(np.isfinite(r)))
        raise InputError(
            f"{path}: line {row + 2}, {table['word'][row]!r}, has no finite r_score; "
            "run jaxvlm split-negatives again"
        )
    scores: dict[str, float] = {}
    for word, value in zip(table["word"], r.tolist(), strict=True):
        scores.setdefault(word.strip(), value)
    return scores, len(table) - len(scores)


def _list_file(folder: Path, name: str) -> Path | None:
    """A list in either of its forms, text first: NegRefine writes the same words as both."""
    candidates = (folder / name, (folder / name).with_suffix(".pkl"))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _pickled_words(path: str | os.PathLike) -> list[str]:
    content = read_bounded(path, plain_pickle.MAX_BYTES)
    try:
        value = plain_pickle.loads(content)  # our own reader: nothing in it is run
    except plain_pickle.PickleError as error:
        raise InputError(f"{path}: {error}; write the words as text, one per line") from None
    if not isinstance(value, list | tuple | set) or not all(type(w) is str for w in value):
        raise InputError(f"{path}: not a list of words; write them as text, one per line")
    words = sorted(value) if isinstance(value, set) else list(value)
    if not words:
        raise InputError(f"{path}: no word in it; write one per line into a text file")
    words = [" ".join(word.split()) for word in words]
    for number, word in enumerate(words, 1):
        if found := control_character(word):
            raise InputError(
                f"{path}: word {number} holds the control character {found}; write it anew"
            )
    return words


def _without_prompts(words: tuple[str, ...], repeated: int) -> NegativeWords:
    matches = [_PROMPTS.fullmatch(word) for word in words]
    if not all(matches):
        return NegativeWords(words, (), repeated)
    nouns = tuple(dict.fromkeys(m["noun"] for m in matches if m["noun"]))
    adjectives = dict.fromkeys(m["adjective"] for m in matches if m["adjective"])
    kept = tuple(word for word in adjectives if word not in set(nouns))
    return NegativeWords(nouns, kept, repeated + len(words) - len(nouns) - len(kept))


def _given(argument: str, words: Iterable[str]) -> list[str]:
    words = list(words)
    for number, word in enumerate(words, 1):
        if not isinstance(word, str):
            raise InputError(f"{argument}: word {number} is {word!r}, no text; give words")
        if found := control_character(word):
            raise InputError(f"{argument}: word {number} holds the control character {found}")
    if not any(word.strip() for word in words):
        raise InputError(f"{argument}: no word in it; give at least one")
    return [word.strip() for word in words]


def _lines(path: str | os.PathLike, *, empty_allowed: bool = False) -> list[str]:
    """Stripped lines without the empty ones at the end."""
    lines = [line.strip() for line in read_lines(path, cure="save the list as UTF-8")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        if empty_allowed:
            return []
        raise InputError(f"{path}: no line in it; write one name per line")
    return lines
