"""Folders of frames to a caption file: asks about the frames that have no answer yet."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxvlm import files, outputs
from jaxvlm.captioning.journal import FrameId, Journal, frame_id, frame_name, open_journal
from jaxvlm.captioning.request import MORE_TOKENS, Answer, Ask, Request, one_line
from jaxvlm.data import images
from jaxvlm.errors import InputError
from jaxvlm.names import number_of
from jaxvlm.ontology import caption_text
from jaxvlm.ontology.caption_text import FrameCaption
from jaxvlm.ontology.thoughts import without_thought
from jaxvlm.progress import Progress, counted, ignore

_GIVE_UP = 20  # frames in a row without an answer

_Lookup = Callable[[str], int | None]  # `caption_text.phrase_lookup`


class CaptionResult(NamedTuple):
    """What was written, and counts over all frames of it; phrases once per frame that has them."""

    out: Path
    journal: Path
    frames: int
    asked: int  # of these, answered in this run
    phrases_matched: int
    phrases_outside: Counter[str]
    failures: list[str]


def caption_frames(
    frames_root: str | os.PathLike,
    out: str | os.PathLike,
    atoms: Sequence[str],
    *,
    request: Request,
    ask: Ask,
    on_progress: Progress = ignore,
) -> CaptionResult:
    """Writes the captions of all frames, in the order of the frames, whatever that of the answers.

    Every answer goes to ``OUT.journal.jsonl`` first. A run that was stopped goes on from there,
    and a second run asks about new and failed frames only. ``atoms`` of a frame holds atoms of the
    ontology, ``outside`` the other phrases, ``raw`` the answer. A frame without an answer, or with
    one that holds no list (prose, a refusal in any language, a thought without an end), is reported
    in ``failures`` and left out; after 20 of them in a row the rest is not asked about.

    Raises:
      InputError: no frames; no frame has an answer; a journal that cannot be used; what the
        backend raises.
    """
    out = Path(out)
    outputs.require_places(out.parent, out.name)
    folders = images.list_video_folders(frames_root)
    paths = [path for folder in folders.folders for path in images.list_images(folder)]
    failures = list(folders.failures)
    journal_path = out.with_name(out.name + ".journal.jsonl")
    lookup = caption_text.phrase_lookup(atoms)
    with open_journal(journal_path, request) as journal:
        texts = _known(paths, journal)
        reused = len(texts)
        todo = [path for path in paths if path not in texts and _is_text(path, failures)]
        answers = _ask(todo, ask, journal, failures, lookup)
        for answer in counted(answers, on_progress, "frames", len(todo)):
            texts[answer.frame] = answer.text
    if not texts:
        raise InputError(f"{frames_root}: no frame has an answer; first: {failures[0]}")

    spoken = {path.as_posix(): texts[path] for path in paths if path in texts}
    entries, matched, outside = _entries(spoken, atoms, lookup)
    files.write_json(out, entries)
    return CaptionResult(
        out, journal_path, len(entries), len(texts) - reused, matched, outside, failures
    )


def describe(result: CaptionResult) -> str:
    """The result in one line, with the five most frequent phrases outside the ontology."""
    line = (
        f"{number_of(result.frames, 'frame')}, {result.asked} answered now: "
        f"{number_of(result.phrases_matched, 'phrase')} in the ontology, "
        f"{result.phrases_outside.total()} outside"
    )
    # Equal counts in the order of the alphabet.
    common = sorted(result.phrases_outside.items(), key=lambda item: (-item[1], item[0]))[:5]
    if common:
        line += f" ({', '.join(f'{one_line(phrase, 60)} {n}' for phrase, n in common)})"
    return line


def _entries(
    texts: Mapping[str, str], atoms: Sequence[str], lookup: _Lookup
) -> tuple[dict[str, dict], int, Counter[str]]:
    """The file's entries; phrases in the ontology, and phrases outside."""
    entries: dict[str, dict] = {}
    outside: Counter[str] = Counter()
    matched = 0
    for key, text in texts.items():
        caption = _parsed(text, lookup)
        named, resembled = caption or ((), ())
        chosen, others = caption_text.sort_phrases(named, lookup)
        similar, strange = caption_text.sort_phrases(resembled, lookup)
        entry: dict = {"atoms": [atoms[c] for c in chosen]}
        if others:
            entry["outside"] = list(others)
        if resembled:
            entry["resemble"] = [*(atoms[c] for c in similar), *strange]
        entries[key] = entry | {"raw": text}
        matched += len({*chosen, *similar})
        outside.update({caption_text.normalize_phrase(p) for p in (*others, *strange)})
    return entries, matched, outside


def _known(paths: Sequence[Path], journal: Journal) -> dict[Path, str]:
    """The texts that the journal has for frames as they are now; only these are read."""
    names = {frame.name for frame in journal.answers}
    texts = {}
    for path in paths:
        if frame_name(path) in names:
            with contextlib.suppress(OSError):  # reported when it is asked about
                frame = frame_id(path)
                if frame in journal.answers:
                    texts[path] = journal.answers[frame]
    return texts


def _ask(
    paths: Sequence[Path], ask: Ask, journal: Journal, failures: list[str], lookup: _Lookup
) -> Iterator[Answer]:
    """Answers that have a text, each after it is in the journal."""
    ids: dict[Path, FrameId] = {}
    failed = in_a_row = answered = 0

    def identified() -> Iterator[Path]:
        nonlocal failed
        for path in paths:
            try:
                ids[path] = frame_id(path)
            except OSError as error:
                failures.append(f"{path}: {error.strerror}; check the file")
                failed += 1
                continue
            yield path

    batches = ask(identified())
    with contextlib.closing(batches):
        for batch in batches:
            checked = [_checked(answer, lookup) for answer in batch]
            good = [answer for answer in checked if answer.text is not None]
            journal.append((ids[answer.frame], answer.text) for answer in good)
            yield from good
            answered += len(good)
            for answer in checked:
                in_a_row = 0 if answer.text is not None else in_a_row + 1
                if answer.text is None:
                    failures.append(f"{answer.frame}: {answer.failure}")
                    failed += 1
            if in_a_row >= _GIVE_UP:
                rest = len(paths) - answered - failed
                failures.append(
                    f"{in_a_row} frames in a row without an answer; stopped, {rest} not asked about"
                )
                return


def _checked(answer: Answer, lookup: _Lookup) -> Answer:
    """Turns an answer that gives nothing into a failure."""
    if answer.text is None:
        return answer
    # JSON can spell halves of surrogate pairs, which are no text.
    text = answer.text.encode("utf-8", "replace").decode().strip()
    spoken = without_thought(text)
    if spoken is None:
        return Answer(answer.frame, None, f"a thought without an answer; {MORE_TOKENS}")
    if not spoken.strip():
        return Answer(answer.frame, None, "the answer is empty")
    if _parsed(text, lookup) is None:
        return Answer(answer.frame, None, f"no list in the answer: {one_line(spoken)}")
    return Answer(answer.frame, text)


def _parsed(text: str, lookup: _Lookup) -> FrameCaption | None:
    return caption_text.parse_answer(text, lambda phrase: lookup(phrase) is not None)


def _is_text(path: Path, failures: list[str]) -> bool:
    """Whether a path can be written as UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        failures.append(f"{one_line(ascii(str(path)))}: the name is not UTF-8; rename it")
        return False
    return True
