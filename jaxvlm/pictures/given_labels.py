"""Classes and negatives that come as embeddings: their words, and a row for each."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.data.class_lists import read_class_list
from jaxvlm.data.embedding_files import Embeddings, of_array, read_embeddings
from jaxvlm.errors import InputError
from jaxvlm.ood.words import lists as word_lists
from jaxvlm.ood.words.lists import NegativeWords, normalize_word

Source = str | os.PathLike | Sequence[str] | None


def given_classes(
    source: Source, embeddings: str | os.PathLike | ArrayLike | None
) -> tuple[tuple[str, ...], np.ndarray | None, list[str]]:
    """The class names, a unit row [K, D] for each if embeddings are given, and what to tell.

    Names that come with the embeddings choose rows by name where ``source`` has names too; without
    any the classes are called "class 0", "class 1", … Of rows that no name lies with, as many as
    ``source`` has names, two may have one name: rows tell them apart.

    Raises InputError: no names and no embeddings, or not a row for each name.
    """
    if embeddings is None:
        if source is None:
            raise InputError("class_names: none given; name the ID classes, or give embeddings")
        return word_lists.read_classes(source), None, []
    found, shown = _rows(embeddings, "class_embeddings")
    told = _length(found, shown)
    if source is not None:
        listed = read_class_list(source) if word_lists.is_path(source) else list(source)
        if found.names is None and len(listed) == len(found.rows):
            return _distinct(listed), found.unit[:], told
        classes = word_lists.read_classes(source)
        return classes, _chosen(found, classes, shown, "class_names"), told
    if found.names is None:
        told.append(f"{shown}: no names lie with it; the classes are called by their numbers")
        names = tuple(f"class {row}" for row in range(len(found.rows)))
    else:
        names = _distinct(found.names)
    return names, found.unit[:], told


def given_negatives(
    source: Source, embeddings: str | os.PathLike | ArrayLike, classes: Sequence[str]
) -> tuple[NegativeWords, np.ndarray, list[str]]:
    """The negative labels, their unit rows [M, D], and what to tell.

    Of the words that come with the embeddings those that name a class are left out, and so are
    repeated ones.

    Raises InputError: not a row for each word, or no word left.
    """
    found, shown = _rows(embeddings, "negative_embeddings")
    told = _length(found, shown)
    names = found.names
    if source is not None:
        lines = (
            read_class_list(source) if word_lists.is_path(source) and os.path.isfile(source) else ()
        )
        if names is None and len(lines) == len(found.rows):
            names = tuple(lines)  # row k is line k, be it a class or repeated
        else:
            listed = word_lists.read_negatives(source)
            return listed, _chosen(found, listed.words, shown, "negatives"), told
    if names is None:
        told.append(f"{shown}: no words lie with it; the negatives are called by their numbers")
        names = tuple(f"negative {row}" for row in range(len(found.rows)))
    seen = {normalize_word(name) for name in classes}
    kept = []
    for row, name in enumerate(names):
        key = normalize_word(name)
        if key and key not in seen:
            seen.add(key)
            kept.append(row)
    if len(kept) < len(names):
        told.append(
            f"{shown}: {len(names) - len(kept)} of {len(names)} words are left out, which name a "
            "class or stand there twice"
        )
    if not kept:
        raise InputError(f"{shown}: no word that is no class; give negatives")
    words = tuple(" ".join(names[row].replace("_", " ").split()) for row in kept)
    return NegativeWords(words, ()), found.unit[kept], told


def _rows(source: str | os.PathLike | ArrayLike, option: str) -> tuple[Embeddings, str]:
    """Rows from a file or an array, and what messages call them."""
    if isinstance(source, str | os.PathLike):
        return read_embeddings(source), os.fspath(source)
    return of_array(source, option), option


def _length(found: Embeddings, shown: str) -> list[str]:
    if found.is_unit:
        return []
    least, largest = found.norms
    return [f"{shown}: rows of length {least:.3g} to {largest:.3g}, taken at unit length"]


def _chosen(found: Embeddings, words: Sequence[str], shown: str, option: str) -> np.ndarray:
    """A row per word: by the names that lie with the rows, else in the order given."""
    if found.names is None or len(words) == len(found.rows):
        if len(words) != len(found.rows):
            raise InputError(
                f"{shown}: {len(found.rows)} rows, {len(words)} words in --{option}; give a row "
                "for each word"
            )
        own = [normalize_word(name) for name in found.names or words]
        if own == [normalize_word(word) for word in words]:
            return found.unit[:]
    places: dict[str, int] = {}
    for row, name in enumerate(found.names):
        places.setdefault(normalize_word(name), row)
    lacking = [word for word in words if normalize_word(word) not in places]
    if lacking:
        raise InputError(
            f"{shown}: no row for {lacking[0]!r}"
            + (f" and {len(lacking) - 1} more words" if len(lacking) > 1 else "")
            + f" of --{option}; the rows are called {', '.join(found.names[:4])}, …"
        )
    return found.unit[[places[normalize_word(word)] for word in words]]


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Class names as they are shown: underscores as blanks, a number behind one that repeats."""
    count: dict[str, int] = {}
    found = []
    for name in names:
        name = " ".join(name.replace("_", " ").split()) or "?"
        key = normalize_word(name)
        count[key] = count.get(key, 0) + 1
        found.append(name if count[key] == 1 else f"{name} ({count[key]})")
    return tuple(found)
