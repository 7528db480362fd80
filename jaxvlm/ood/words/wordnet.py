"""Candidate words from WordNet's dict folder, and what its graph says about the ID classes."""

import collections
import contextlib
import io
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nltk.data
from nltk.corpus.reader.wordnet import NOUN, WordNetCorpusReader, WordNetError

from jaxvlm.errors import InputError
from jaxvlm.ood.words.lists import normalize_word, read_words
from jaxvlm.ood.words.mining import Candidates, list_candidates, removed
from jaxvlm.ood.words.rules import CSP_EXCLUDED
from jaxvlm.reading import read_bounded

POOLS = ("written_forms", "first_lemmas")
# No file of theirs is among the words that NegLabel, CSP and NegRefine ship.
_NOT_SHIPPED = ("noun.animal", "noun.food")
_ADJECTIVE = "a"  # the satellites included

# lexnames(5WN), by file number. Debian's package leaves this one file out.
_LEXNAMES = (
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute "
    "noun.body noun.cognition noun.communication noun.event noun.feeling noun.food noun.group "
    "noun.location noun.motive noun.object noun.person noun.phenomenon noun.plant "
    "noun.possession noun.process noun.quantity noun.relation noun.shape noun.state "
    "noun.substance noun.time verb.body verb.change verb.cognition verb.communication "
    "verb.competition verb.consumption verb.contact verb.creation verb.emotion verb.motion "
    "verb.perception verb.possession verb.social verb.stative verb.weather adj.ppl"
).split()
_SYNTACTIC = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}
_FILES = tuple(f"{kind}.{pos}" for kind in ("index", "data") for pos in _SYNTACTIC)
_FILES += tuple(f"{pos}.exc" for pos in _SYNTACTIC)


class Pool(NamedTuple):
    """Which words of WordNet are candidates.

    kind: ``written_forms``, every form of every synset as it is written; ``first_lemmas``, the
    first form of every synset in small letters, without one-letter words and the files noun.animal
    and noun.food, as in the word files of NegLabel, CSP and NegRefine (of their 47,327 nouns
    WordNet 3.0 gives 47,189, of their 10,060 adjectives 99.3 %).
    excluded: lexicographer files that are left out besides. filtered: proper nouns and what names
    a kind of a class are left out; with ``drop_hypernyms`` what names more than a class, too.
    """

    kind: str = "written_forms"
    excluded: tuple[str, ...] = CSP_EXCLUDED
    filtered: bool = True
    drop_hypernyms: bool = False


class _Sense(NamedTuple):
    synset: str
    form: str
    excluded: bool
    instance: bool
    listed: bool  # the pool has the word because of this sense


def read_candidates(
    words: str | os.PathLike | None,
    wordnet_dir: str | os.PathLike | None,
    classes: Sequence[str],
    pool: Pool = Pool(),  # noqa: B008 (immutable)
) -> Candidates:
    """Candidates from a word list, a folder of lexicographer files, or WordNet's dict folder.

    Raises InputError: not exactly one of ``words`` and ``wordnet_dir``, or as the three readers.
    """
    if (words is None) == (wordnet_dir is None):
        raise InputError("candidates: give one of --words and --wordnet_dir")
    if wordnet_dir is not None:
        return wordnet_candidates(wordnet_dir, classes, pool)
    if Path(words).is_dir():
        return lexicographer_candidates(words, classes, excluded=pool.excluded)
    return list_candidates(read_words(words)[0], classes)


def wordnet_candidates(
    folder: str | os.PathLike,
    classes: Sequence[str],
    pool: Pool = Pool(),  # noqa: B008 (immutable)
) -> Candidates:
    """The nouns and adjectives of WordNet that can name something outside the ID classes.

    A word stays if one of its senses lies outside the excluded files; only such senses count
    below. Rules, in this order, each reported under its name; the class's own names always go,
    the other rules with ``pool.filtered``:

    - ``excluded files``: no such sense.
    - ``proper noun``: written with a capital and some sense is an instance (of a city, ...), or
      every sense is; or written "genus ...".
    - ``class``: the name of an ID class; ``synonym``: some sense is one of a class.
    - ``subcategory``: some sense lies below one of a class by hyponymy.
    - ``hypernym`` (with ``drop_hypernyms``): some sense lies above one of a class.

    A class has all noun senses that WordNet gives its name, plural or not. The last four rules
    do by look-up what NegRefine asks a language model.

    Args:
      folder: WordNet's dict folder (``index.noun``, ``data.noun``, ... as on Debian).
      classes: ID class names.

    Raises:
      InputError: an unknown pool, no such folder, a file of it is missing, cut or has other line
        ends, or one is not WordNet's.
    """
    if pool.kind not in POOLS:
        raise InputError(f"pool {pool.kind!r}: unknown; use one of {', '.join(POOLS)}")
    folder = Path(folder)
    cure = "apt install wordnet-base gives /usr/share/wordnet, or give --words"
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        cause = f"no {missing[0]} in it" if folder.is_dir() else "no such folder"
        raise InputError(f"{folder}: {cause}; {cure}")
    for pos in ("noun", "adj"):
        _check_whole(folder, pos, cure)
    try:
        with _opened(folder) as reader:
            return _candidates(reader, classes, pool)
    except InputError:
        raise
    # nltk checks a line or two and trips over the rest in its own ways.
    except (WordNetError, ValueError, LookupError, AssertionError, RuntimeError) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{folder}: not WordNet's files ({cause}); {cure}") from None


def _check_whole(folder: Path, pos: str, cure: str) -> None:
    """Every synset that the index names begins where it says; nltk reads what there is.

    Raises InputError.
    """
    index, data = (read_bounded(folder / f"{kind}.{pos}") for kind in ("index", "data"))
    for kind, content in (("index", index), ("data", data)):
        if b"\r\n" in content:
            raise InputError(
                f"{folder / kind}.{pos}: has the line ends of Windows, so that its offsets lead "
                "nowhere; change them to LF (dos2unix), or unpack the archive without changing them"
            )
    named = set(map(int, re.findall(rb"(?<= )\d{8}(?=\s)", index)))
    if not named:
        raise InputError(f"{folder}/index.{pos}: names no word; {cure}")
    begins = {int(found[1]): found.start() for found in re.finditer(rb"(?m)^(\d{8}) ", data)}
    lost = sum(begins.get(offset) != offset for offset in named)
    if lost or not data.endswith(b"\n"):
        raise InputError(
            f"{folder}/data.{pos}: not WordNet's files, or cut: {lost} of {len(named)} synsets of "
            f"index.{pos} are not where it says; {cure}"
        )


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[WordNetCorpusReader]:
    """nltk reads below its own data path only, so the folder is on it for as long as it is read."""
    root = str(folder.resolve())
    nltk.data.path.append(root)
    streams: list[Any] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other languages, which nobody reads here
            yield _Reader(root, streams)
    finally:
        nltk.data.path.remove(root)
        for stream in streams:
            stream.close()


def lexicographer_candidates(
    folder: str | os.PathLike, classes: Sequence[str], *, excluded: Sequence[str] = CSP_EXCLUDED
) -> Candidates:
    """Candidates from a folder of ``<lexicographer file>.txt``, a word a line, as the repositories
    of NegLabel, CSP and NegRefine have it: their own pool, to the word.

    Files whose names begin with ``noun.`` and ``adj.`` are read, the ``excluded`` ones not. A word
    of both kinds stays in both; the published codes keep the kind that the folder's listing has
    first. Only ID classes are left out of it.

    Raises InputError: no such folder or no such file in it, or what ``read_words`` raises.
    """
    folder, names = Path(folder), {normalize_word(name) for name in classes}
    found: dict[str, set[str]] = {"noun": set(), "adj": set()}
    for path in sorted(folder.glob("*.txt")):
        kind = path.stem.split(".")[0]
        if kind in found and path.stem not in excluded:
            found[kind] |= set(read_words(path)[0])
    if not any(found.values()):
        raise InputError(
            f"{folder}: no noun.*.txt or adj.*.txt in it; give a folder of lexicographer files, "
            "a word list or --wordnet_dir"
        )
    kept = {k: [w for w in words if normalize_word(w) not in names] for k, words in found.items()}
    named = [w for k, words in found.items() for w in words - set(kept[k])]
    return Candidates(
        tuple(sorted(kept["noun"])), tuple(sorted(kept["adj"])), {"class": removed(named)}
    )


def _candidates(reader: WordNetCorpusReader, classes: Sequence[str], pool: Pool) -> Candidates:
    names = {normalize_word(name) for name in classes}
    same = [synset for name in sorted(names) for synset in _noun_synsets(reader, name)]
    related = {}
    if pool.filtered:
        related["synonym"] = {synset.name() for synset in same}
        related["subcategory"] = _closure(same, lambda s: s.hyponyms() + s.instance_hyponyms())
    if pool.drop_hypernyms:
        related["hypernym"] = _closure(same, lambda s: s.hypernyms() + s.instance_hypernyms())

    out: dict[str, list[str]] = collections.defaultdict(list)
    for rule in ("excluded files", "proper noun", "class", *related):
        out[rule] = []
    nouns = []
    for word, senses in _words(reader, NOUN, pool):
        allowed = [sense for sense in senses if not sense.excluded]
        rule = next((r for r, ids in related.items() if any(s.synset in ids for s in allowed)), "")
        if not any(sense.listed for sense in senses):
            continue
        if not any(sense.listed for sense in allowed):
            rule = "excluded files"
        elif pool.filtered and _is_proper(allowed):
            rule = "proper noun"
        elif normalize_word(word) in names:
            rule = "class"
        (out[rule] if rule else nouns).append(word)
    adjectives = []
    for word, senses in _words(reader, _ADJECTIVE, pool):
        if not any(sense.listed for sense in senses):
            continue
        excluded = not any(sense.listed and not sense.excluded for sense in senses)
        rule = "excluded files" if excluded else "class" if normalize_word(word) in names else ""
        (out[rule] if rule else adjectives).append(word)
    return Candidates(
        _once(nouns), _once(adjectives), {rule: removed(words) for rule, words in out.items()}
    )


def _is_proper(senses: Sequence[_Sense]) -> bool:
    """Whether the senses of a word name one thing, or a genus as its Latin name is written."""
    return all(s.instance or s.form.startswith("genus ") for s in senses) or any(
        s.instance and s.form != s.form.lower() for s in senses
    )


def _words(reader: WordNetCorpusReader, pos: str, pool: Pool) -> Iterator[tuple[str, list[_Sense]]]:
    """Every word of the pool's spelling, sorted, with blanks for underscores, and its senses."""
    first = pool.kind == "first_lemmas"
    senses: dict[str, list[_Sense]] = collections.defaultdict(list)
    for synset in reader.all_eng_synsets(pos):
        file = synset.lexname()
        for place, lemma in enumerate(synset.lemma_names()):
            form = lemma.replace("_", " ")
            word = form.lower() if first else form
            sense = _Sense(
                synset.name(),
                form,
                file in pool.excluded,
                pos == NOUN and bool(synset.instance_hypernyms()),
                not first or (place == 0 and len(word) > 1 and file not in _NOT_SHIPPED),
            )
            senses[word].append(sense)
    yield from sorted(senses.items())


def _noun_synsets(reader: WordNetCorpusReader, name: str) -> list[Any]:
    return reader.synsets(name.replace(" ", "_"), NOUN)


def _closure(synsets: Iterable[Any], step: Any) -> set[str]:
    """Names of all that is reached from ``synsets`` in one step or more."""
    reached: set[str] = set()
    waiting = list(synsets)
    while waiting:
        for synset in step(waiting.pop()):
            if synset.name() not in reached:
                reached.add(synset.name())
                waiting.append(synset)
    return reached


def _once(words: Sequence[str]) -> tuple[str, ...]:
    """One spelling per word: ``turkey`` rather than ``Turkey``, where both are left."""
    first: dict[str, str] = {}
    for word in words:
        key = normalize_word(word)
        first[key] = max(first.get(key, word), word)  # small letters sort after capitals
    return tuple(sorted(first.values()))


class _Reader(WordNetCorpusReader):
    """nltk's reader for a folder of English files alone: no lexnames file, no other versions.

    It appends every file that it opens to ``streams``, because nltk leaves some of them open.
    """

    def __init__(self, root: str, streams: list[Any]):
        self._streams = streams
        super().__init__(root, None)

    def open(self, file: str) -> Any:
        if file == "lexnames":
            numbered = enumerate(_LEXNAMES)
            rows = (f"{i:02d}\t{name}\t{_SYNTACTIC[name.split('.')[0]]}" for i, name in numbered)
            return io.StringIO("\n".join(rows) + "\n")
        self._streams.append(super().open(file))
        return self._streams[-1]

    def map_wn(self, version: str = "wordnet") -> None:
        """No map to other versions: it would need files that only nltk's own copy has."""
        return None

    def _synset_from_pos_and_line(self, pos: str, data_file_line: str) -> Any:
        # Nobody reads the glosses here, and taking them apart is two thirds of the reading time.
        return super()._synset_from_pos_and_line(pos, data_file_line.split("|")[0] + "|")
