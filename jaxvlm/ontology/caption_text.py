"""The answer of a captioning model as phrases, and phrases as atoms. Pure text, no files."""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from jaxvlm import bounds
from jaxvlm.ontology.thoughts import without_thought
from jaxvlm.terminal import without_control

# What separates phrases, after NFKC has made full-width forms plain: ASCII, then the Arabic,
# Chinese and Japanese, Ethiopic, Mongolian and N'Ko commas and semicolons.
_SEPARATOR = re.compile(r"[;,|\u060c\u061b\u3001\u1363\u1364\u1802\u07f8]")
_LONGEST = bounds.ANSWER_CHARACTERS
_EFFORT = 30  # times an answer's length that are spent on looking for JSON in it
_NAMES = ("atoms", "confirm", "resemble")
_THOUGHTS = (
    "analysis",
    "explanation",
    "rationale",
    "reason",
    "reasoning",
    "reasons",
    "thinking",
    "thought",
    "thoughts",
)
# Each expression takes time in proportion to the text: no repeated blank may begin at many places.
_FENCE = re.compile(r"^[^\S\n]*(```|~~~).*$", re.MULTILINE)
_OPENING = re.compile(r"\[(?=\s{0,99}[\"{])|\{(?=\s{0,99}\")")  # of a list of texts, or an object
_BULLET = re.compile(
    r"^\s*(?:[-*+\u2013\u2014]\s|[\u2022\u2023\u25aa\u25cf\u25e6\u30fb\u00b7]"
    r"|\(?\d{1,3}(?:[.:]\s|[)\u3001]))\s*"
)
# A marker may be bold or quoted: **ATOMS:**, "atoms":
_MARKER = re.compile(r"\b(atoms|confirm|resemble)[\s*_`\"']*:", re.IGNORECASE)
_NOTHING = re.compile(
    r"(|n a|nil|null|empty|not applicable|no|nothing|none|no (atoms?|match(es)?|phrases?)"
    r"|(none|nothing|no atoms?) (.* )?"
    r"(above|these|them|those|list(ed)?|atoms?|visible|present|found|seen|detected|observed"
    r"|identified|appl(y|ies|icable)|match(es)?|here)"
    r"|keine|aucun|ninguno|ninguna|nenhum|nessuno|нет|لا شيء|无|没有|なし|없음)"
)
# A line that ends like a sentence, in any script, is prose and no list of phrases.
_SENTENCE = re.compile(r"[.!?\u3002\u061f\u06d4\u0964\u1362\u2026][\"'\u201d\u2019)\]*_]*\s*\Z")
_UNLIKE = re.compile(r"(no|not|without)\b")  # what is not there


class FrameCaption(NamedTuple):
    """Phrases the model named in a frame, and phrases it only called similar."""

    named: tuple[str, ...]
    resembled: tuple[str, ...]


def parse_answer(
    raw: str, is_atom: Callable[[str], bool] = lambda phrase: False
) -> FrameCaption | None:
    """The phrases of a model's answer; None where it holds no list, as a refusal or prose.

    What follows the last thought counts (`thoughts.without_thought`); an answer whose thought has
    no end holds none. Read are, the first of these that is there: JSON (a list, or an object with
    ``atoms``, ``confirm`` or ``resemble``); the last ``ATOMS:``, or the last ``CONFIRM:`` and
    ``RESEMBLE:`` of the older form, each up to the end of its line, or with the bullets that follow
    it; a text with bullets or numbers, these; a text of one line that does not end like a sentence
    or that names an atom, that line. Code fences and text around are passed over, "none" names
    nothing, and a comma of any script separates. Of a longer text the last 100,000 characters are
    read.
    """
    answer = without_thought(raw)
    if answer is None:
        return None
    text = _FENCE.sub("", _plain(answer)).strip()
    lists = _from_json(text)
    if lists is None:
        lists = _from_markers(text) or _from_lines(text, is_atom)
    if lists is None:
        return None
    confirmed = (*lists.get("atoms", ()), *lists.get("confirm", ()))
    return FrameCaption(_clean(confirmed), _clean(lists.get("resemble", ())))


def parse_raw(raw: str) -> tuple[str, ...]:
    """The phrases that an answer names: ``"ATOMS: a; b, c"`` → ``("a", "b", "c")``."""
    caption = parse_answer(raw)
    return () if caption is None else caption.named


def is_nothing(phrase: str) -> bool:
    """Whether a phrase says that there is nothing: "none", "N/A", "none of the above"."""
    return _NOTHING.fullmatch(normalize_phrase(phrase)) is not None


def is_denial(phrase: str) -> bool:
    """Whether a phrase says that something is not there: "no smoke plume"."""
    return _UNLIKE.match(normalize_phrase(phrase)) is not None


def normalize_phrase(phrase: str) -> str:
    """A phrase without case, punctuation, repeated spaces and a leading a, an or the.

    Letters, digits and the marks on them stay, in Unicode's form NFKC.
    """
    folded = _nfkc(phrase.casefold())
    words = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("a", "an", "the") else words)


def singular(phrase: str) -> str:
    """``normalize_phrase``, and every word of four letters or more loses one final s (not ss)."""
    return re.sub(r"\b(\w{2,}[^\Ws])s\b", r"\1", normalize_phrase(phrase))


def phrase_lookup(atoms: Sequence[str]) -> Callable[[str], int | None]:
    """A function from a phrase to the index of the atom that it names, or None.

    Equal under ``normalize_phrase``, or else under ``singular`` where only one atom is.
    """
    equal = {normalize_phrase(atom): c for c, atom in reversed(list(enumerate(atoms)))}
    by_singular = defaultdict(list)
    for c, atom in enumerate(atoms):
        by_singular[singular(atom)].append(c)

    def lookup(phrase: str) -> int | None:
        phrase = normalize_phrase(phrase)
        if phrase in equal:
            return equal[phrase]
        plural = by_singular.get(singular(phrase), [])
        return plural[0] if len(plural) == 1 else None

    return lookup


def sort_phrases(
    phrases: Iterable[str], lookup: Callable[[str], int | None]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The atoms that phrases name, and the phrases that name none; each once, in their order.

    Where a whole phrase is no atom, ``atom (remark)``, ``atom: remark`` and ``atom - remark`` name
    the atom, and ``one and another`` names both if both are atoms.
    """
    atoms: dict[int, None] = {}
    outside: dict[str, None] = {}
    for phrase in phrases:
        for reading in _readings(phrase):
            found = [lookup(part) for part in reading]
            if None not in found:
                atoms |= dict.fromkeys(found)
                break
        else:
            outside[phrase] = None
    return tuple(atoms), tuple(outside)


def _readings(phrase: str) -> Iterator[list[str]]:
    yield [phrase]
    phrase = " ".join(phrase.split())
    head = re.split(r"\s*[(\[:]|\s[-\u2013\u2014]+\s", phrase, maxsplit=1)[0]
    for text in dict.fromkeys((phrase, head)):
        parts = re.split(r"(?:^|\s+)(?:and|or|&)\s+", text, flags=re.IGNORECASE)
        yield [part for part in parts if part.strip()] or [phrase]


def _from_json(text: str) -> dict[str, list[str]] | None:
    """Lists of texts written in JSON, alone or in an object; the last of a name counts."""
    found: dict[str, list[str]] = {}
    decoder = json.JSONDecoder()
    end, budget = 0, _EFFORT * len(text)
    for opening in _OPENING.finditer(text):
        start = opening.start()
        if start < end:
            continue
        if budget < 0:
            break
        try:
            value, after = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            budget -= error.pos  # it also counts the lines up to there
            continue
        except (RecursionError, ValueError):  # deep, or a number of thousands of digits
            budget -= len(text)
            continue
        budget -= after - start
        end = after
        found |= _lists_in(value, _marker_before(text, start))
    return found or None


def _lists_in(value: Any, marker: str) -> dict[str, list[str]]:
    """The lists of a JSON value, at any depth but in what an object calls its thought.

    A list of objects with a label (Qwen's form for places) lists these.
    """
    found: dict[str, list[str]] = {}
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            lists = {
                key.lower(): _texts(inner)
                for key, inner in item.items()
                if key.lower() in _NAMES and isinstance(inner, str | list)
            }
            inside = [inner for key, inner in item.items() if key.lower() not in _THOUGHTS]
            found |= lists
            stack += [] if lists else inside[::-1]
        elif isinstance(item, list):
            labels = [one.get("label") if isinstance(one, dict) else one for one in item]
            if item and all(isinstance(label, str) for label in labels):
                found[marker if item is value else "atoms"] = labels
            else:
                stack += item[::-1]
        elif isinstance(item, str):
            found |= {name: _texts(lines) for name, lines in (_from_markers(item) or {}).items()}
    return found


def _plain(raw: str) -> str:
    """Unicode's form NFKC of what is read of an answer."""
    return _nfkc(raw[-_LONGEST:])[-_LONGEST:]  # a letter may become eighteen


def _nfkc(text: str) -> str:
    """Unicode's form NFKC; of more than 30 marks on one letter the first 30 stay.

    Marks are sorted in time that grows with the square of their number, and no language has 30
    (UAX #15, stream-safe text).
    """
    if text.isascii():
        return text
    kept, marks = [], 0
    for c in text:
        marks = marks + 1 if unicodedata.combining(c) else 0
        if marks <= 30:
            kept.append(c)
    return unicodedata.normalize("NFKC", "".join(kept))


def _texts(item: str | list) -> list[str]:
    return [item] if isinstance(item, str) else [text for text in item if isinstance(text, str)]


def _marker_before(text: str, position: int) -> str:
    """The marker a JSON list stands after: ``RESEMBLE: ["a"]``."""
    before = text[max(0, position - 40) : position].rstrip(" \t\r\n*_`")
    markers = [marker for marker in _MARKER.finditer(before) if marker.end() == len(before)]
    return markers[-1][1].lower() if markers else "atoms"


def _from_markers(text: str) -> dict[str, list[str]] | None:
    markers = list(_MARKER.finditer(text))
    if not markers:
        return None
    ends = [marker.start() for marker in markers[1:]] + [len(text)]
    return {
        marker[1].lower(): _listed(text[marker.end() : end])
        for marker, end in zip(markers, ends, strict=True)
    }


def _listed(text: str) -> list[str]:
    """What a marker introduces: its line, or the bullets from there on."""
    lines = [line for line in text.splitlines() if line.strip(" \t*_`\"'")]
    if not lines:
        return []
    count = 1
    while count < len(lines) and (
        (_BULLET.match(lines[0]) and _BULLET.match(lines[count]))
        or _SEPARATOR.fullmatch(lines[count - 1].rstrip()[-1:])
    ):
        count += 1
    return lines[:count]


def _from_lines(text: str, is_atom: Callable[[str], bool]) -> dict[str, list[str]] | None:
    """The phrases of an answer that forgot the marker."""
    lines = [line for line in text.splitlines() if line.strip()]
    bullets = [line for line in lines if _BULLET.match(line)]
    if bullets:
        return {"atoms": bullets}
    if len(lines) > 1 or text.startswith("{"):
        return None
    if _SENTENCE.search(text) and not is_nothing(text):
        named = [phrase for phrase in _clean(lines) if is_atom(phrase)]
        return {"atoms": lines} if named else None
    return {"atoms": lines}


def _clean(lines: Iterable[str]) -> tuple[str, ...]:
    """Phrases without bullets, quotes, brackets and stops around them, each once."""
    phrases: dict[str, None] = {}
    for line in lines:
        text = _nfkc(without_control(line))  # `captions.read_captions` would refuse it
        for item in _SEPARATOR.split(_BULLET.sub("", text, count=1)):
            phrase = _strip(_BULLET.sub("", item, count=1))
            if not is_nothing(phrase):
                phrases[phrase] = None
    return tuple(phrases)


def _strip(phrase: str) -> str:
    """Off with what is no letter, mark or digit at both ends, but a bracket with a partner."""
    kept = [k for k, c in enumerate(phrase) if unicodedata.category(c)[0] in "LMN"]
    if not kept:
        return ""
    start, end = kept[0], kept[-1] + 1
    if phrase[end : end + 1] == ")" and "(" in phrase[start:end]:
        end += 1
    return phrase[start:end]
