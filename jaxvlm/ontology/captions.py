"""What a captioning model named in each frame, matched to atoms.

The file is JSON with one key per frame: ``{"atoms": [...], "raw": "ATOMS: a; b"}``, or the older
``{"confirm": [...], "resemble": [...], "raw": ...}``; ``outside`` lists phrases that named no atom
of the ontology that the frames were captioned with. Where the lists are absent ``raw`` is read.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.names import number_of
from jaxvlm.ontology.caption_text import (
    FrameCaption,
    is_denial,
    is_nothing,
    normalize_phrase,
    parse_answer,
    parse_raw,
    phrase_lookup,
    singular,
)
from jaxvlm.terminal import control_character

__all__ = [
    "CaptionEvidence",
    "Captions",
    "Coverage",
    "FrameCaption",
    "describe",
    "match_captions",
    "normalize_phrase",
    "parse_raw",
    "read_captions",
    "singular",
    "write_dry_captions",
]
_LISTS = ("atoms", "outside", "confirm", "resemble")


class Captions(NamedTuple):
    """A caption file: where it came from, and its frames by key as written."""

    source: str
    frames: dict[str, FrameCaption]


class Coverage(NamedTuple):
    """How much of the captions was used; phrases are counted once per frame that has them."""

    frames_found: int
    frames_total: int
    phrases_matched: int  # equal to an atom
    phrases_similar: int  # no atom, but similarity reaches tau for one
    phrases_unknown: Counter[str]


class CaptionEvidence(NamedTuple):
    """Per frame and atom: named [T, C] bool, similarity where only resembled [T, C] float32."""

    named: np.ndarray
    resembled: np.ndarray
    coverage: Coverage


def read_captions(path: str | os.PathLike) -> Captions:
    """Reads a caption file.

    Raises:
      InputError: not JSON, or an entry of another form than the module describes (with its key).
    """
    content = files.read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be one JSON object with a key per frame; correct the file")
    return Captions(str(path), {key: _entry(path, key, v) for key, v in content.items()})


def write_dry_captions(path: str | os.PathLike, frame_paths: Iterable[str | os.PathLike]) -> None:
    """Writes a caption file that names nothing, with a key for every frame, to be filled in."""
    empty = {"atoms": [], "raw": ""}
    files.write_json(path, {Path(p).as_posix(): empty for p in frame_paths})


def match_captions(
    captions: Captions,
    frame_paths: Sequence[str | os.PathLike],
    atoms: Sequence[str],
    *,
    similarity: Callable[[list[str]], np.ndarray] | None = None,
    tau: float = 0.85,
    parts: int = 2,
    required: bool = True,
) -> CaptionEvidence:
    """Finds the frames' captions and turns their phrases into evidence for atoms.

    A phrase names an atom if both are equal under ``normalize_phrase``, or else under
    ``singular`` where only one atom is. Any other phrase resembles each atom whose similarity is
    at least tau, unless it says that something is not there ("no smoke"). A resembled phrase (older
    files) that equals an atom counts with similarity 1. Where an atom is named, its resemblance is
    0.

    Args:
      captions: see ``read_captions``.
      frame_paths: T frames, of all videos at once: a file may be silent about some of them. A
        frame is found by its path, else by its folder's and its own name, with / or \\.
      atoms: C names.
      similarity: maps n phrases to their [n, C] cosines with the atoms; None: equality only.
      tau: least cosine of a resemblance.
      parts: how many last parts of a frame's path a key must have, folder and file; more where
        folders of one name lie in several folders.
      required: whether it is an error that no frame is found.

    Raises:
      InputError: no frame is found though one is required, or a frame fits two keys equally well.
    """
    entries = _find_frames(captions, frame_paths, parts)
    if required and entries and not any(entry is not None for entry in entries):
        key = next(iter(captions.frames), "no key at all")
        raise InputError(
            f"{captions.source}: matches no frame (it has {key}, the frames are like "
            f"{'/'.join(_parts(frame_paths[0])[-2:])}); name folders and files alike"
        )
    frame_phrases = [
        {}
        if entry is None
        else {
            # A phrase in both lists is named.
            **{normalize_phrase(p): False for p in entry.resembled},
            **{normalize_phrase(p): True for p in entry.named},
        }
        for entry in entries
    ]
    atom_of = phrase_lookup(atoms)
    phrases = sorted(p for p in {p for f in frame_phrases for p in f} if not is_nothing(p))
    exact = {p: atom_of(p) for p in phrases}
    others = [p for p in phrases if exact[p] is None]
    cosine = np.zeros((len(others), len(atoms)), np.float32)
    if similarity is not None and others:
        cosine = np.asarray(similarity(others), np.float32)
        if cosine.shape != (len(others), len(atoms)):
            raise ValueError(f"similarity gave {cosine.shape}, not {(len(others), len(atoms))}")
        # To CLIP "no smoke plume" is near "smoke plume".
        cosine = np.where([[is_denial(phrase)] for phrase in others] | (cosine < tau), 0, cosine)
    similar = dict(zip(others, cosine, strict=True))

    named = np.zeros((len(entries), len(atoms)), bool)
    resembled = np.zeros((len(entries), len(atoms)), np.float32)
    matched = near = 0
    unknown: Counter[str] = Counter()
    for t, found in enumerate(frame_phrases):
        for phrase, is_named in found.items():
            if phrase not in exact:
                continue
            atom = exact[phrase]
            if atom is not None:
                matched += 1
                if is_named:
                    named[t, atom] = True
                else:
                    resembled[t, atom] = 1
            elif similar[phrase].any():
                near += 1
                resembled[t] = np.maximum(resembled[t], similar[phrase])
            else:
                unknown[phrase] += 1
    resembled[named] = 0
    frames_found = sum(entry is not None for entry in entries)
    coverage = Coverage(frames_found, len(entries), matched, near, unknown)
    return CaptionEvidence(named, resembled, coverage)


def _entry(path: str | os.PathLike, key: str, value: object) -> FrameCaption:
    if not isinstance(value, Mapping):
        raise InputError(f"{path}: {key}: must be an object with atoms or raw; correct it")
    for name in _LISTS:
        phrases = value.get(name, [])
        if not isinstance(phrases, list) or not all(isinstance(p, str) for p in phrases):
            raise InputError(f"{path}: {key}: {name} must be a list of phrases; correct it")
        if found := control_character("".join(phrases)):
            raise InputError(
                f"{path}: {key}: {name} holds the control character {found}; correct the phrase"
            )
    raw = value.get("raw", "")
    if not isinstance(raw, str):
        raise InputError(f"{path}: {key}: raw must be a text; correct it")
    if any(name in value for name in _LISTS):
        named = tuple(phrase for name in _LISTS[:3] for phrase in value.get(name, ()))
        return FrameCaption(named, tuple(value.get("resemble", ())))
    return parse_answer(raw) or FrameCaption((), ())


def _parts(path: str | os.PathLike) -> tuple[str, ...]:
    return PurePosixPath(os.fspath(path).replace("\\", "/")).parts


def _find_frames(
    captions: Captions, frame_paths: Sequence[str | os.PathLike], parts: int
) -> list[FrameCaption | None]:
    """The caption of every frame, or None."""
    keys = defaultdict(list)  # by (…, folder, file)
    for key in captions.frames:
        keys[_parts(key)[-parts:]].append(key)
    entries: list[FrameCaption | None] = []
    for path in frame_paths:
        frame = _parts(path)
        candidates = keys.get(frame[-parts:], [])
        shared = [_shared_tail(frame, _parts(key)) for key in candidates]
        best = [k for k, n in zip(candidates, shared, strict=True) if n == max(shared)]
        if len({captions.frames[key] for key in best}) > 1:
            raise InputError(
                f"{captions.source}: {best[0]} and {best[1]} both fit the frame {path}; "
                f"remove one or rename the video folder"
            )
        entries.append(captions.frames[best[0]] if best else None)
    return entries


def _shared_tail(a: Sequence[str], b: Sequence[str]) -> int:
    """How many last parts of two paths are equal, and one more if all of both are."""
    same = 0
    while same < min(len(a), len(b)) and a[-1 - same] == b[-1 - same]:
        same += 1
    return same + (same == len(a) == len(b))


def describe(coverage: Coverage) -> str:
    """Coverage in one line, with the five most frequent phrases that no atom answers to."""
    line = (
        f"captions: {coverage.frames_found} of {number_of(coverage.frames_total, 'frame')} found, "
        f"{number_of(coverage.phrases_matched, 'phrase')} matched, "
        f"{coverage.phrases_similar} similar, {coverage.phrases_unknown.total()} unknown"
    )
    common = [f"{phrase} ({n})" for phrase, n in coverage.phrases_unknown.most_common(5)]
    return f"{line}: {', '.join(common)}" if common else line
