"""Readers of what models, servers and cameras say: captions, answers, journals, addresses."""

import json
from pathlib import Path

import numpy as np

from jaxvlm.captioning import openai_backend
from jaxvlm.captioning.journal import FrameId, open_journal
from jaxvlm.captioning.request import Request, one_line
from jaxvlm.data import sources, web
from jaxvlm.errors import InputError
from jaxvlm.ontology import caption_text, captions
from jaxvlm.video import change_lines
from jaxvlm.video.change_lines import STATES
from tests.fuzz.case import Reader
from tests.fuzz.texts import are_texts, as_json, text

FRAMES = [f"frames/v{n}/{k:06d}.jpg" for n in range(2) for k in range(2)]
REQUEST = Request("a model", "a prompt")


def _captions_of(folder: Path):
    read = captions.read_captions(folder / "captions.json")
    evidence = captions.match_captions(read, FRAMES, ["a dog", "smoke"], required=False)
    return read, evidence, captions.describe(evidence.coverage)


def _check_captions(result) -> None:
    read, evidence, described = result
    for key, frame in read.frames.items():
        are_texts((key, *frame.named, *frame.resembled))
    assert evidence.named.shape == evidence.resembled.shape == (4, 2)
    assert np.isfinite(evidence.resembled).all() and described


def _caption_entries() -> dict:
    raw = "ATOMS: a dog; smoke"
    forms = (
        {"atoms": ["a dog"], "raw": raw},
        {"confirm": ["smoke"], "resemble": ["a cat"], "raw": raw},
        {"raw": "CONFIRM: smoke\nRESEMBLE: a dog"},
        {"atoms": [], "raw": ""},
    )
    return dict(zip(FRAMES, forms, strict=True))


ANSWER = (
    '<think>a dog? no</think>```json\n{"atoms": ["smoke"]}\n```\nATOMS: a dog; smoke\n- a cat\n'
)


def _answer(folder: Path):
    raw = (folder / "answer.txt").read_bytes().decode("utf-8", "replace")
    return caption_text.parse_answer(raw), caption_text.parse_raw(raw)


def _check_answer(result) -> None:
    answer, phrases = result
    are_texts(phrases)
    if answer is not None:
        are_texts((*answer.named, *answer.resembled))
        assert all(phrase.strip() for phrase in (*answer.named, *answer.resembled)), answer


def _server_answer(folder: Path) -> str:
    content = (folder / "answer.json").read_bytes()
    try:
        return openai_backend.answer_text(openai_backend._json(content, "a server"))
    except (openai_backend._Unanswered, openai_backend._Cut) as error:
        raise InputError(one_line(error)) from None  # as a frame's failure


COMPLETION = {
    "id": "x",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}
    ],
    "usage": {"total_tokens": 3},
}


def _make_journal(folder: Path) -> None:
    with open_journal(folder / "captions.jsonl", REQUEST) as journal:
        journal.append([(FrameId(f"v/{n}.jpg", f"{n:064x}"), ANSWER) for n in range(3)])


def _journal(folder: Path):
    with open_journal(folder / "captions.jsonl", REQUEST) as journal:
        return journal.answers


def _check_journal(answers) -> None:
    for frame, answer in answers.items():
        are_texts((*frame, answer))


SECRETS = ("s3cr3t", "t0k3n")
ADDRESS = "rtsp://admin:s3cr3t@camera.example:554/live/t0k3n?key=t0k3n#t0k3n"


def _sources(folder: Path):
    """Every line of the file as a camera's address."""
    shown = []
    for line in (folder / "source.txt").read_bytes().decode("utf-8", "replace").split("\n"):
        shown.append((line, sources.shown_source(line)))
        for action in (sources.site, web.without_credentials, sources.file_of, sources.host_of):
            try:
                action(line)
            except InputError as error:
                shown.append((line, str(error)))
            except ValueError:
                assert action is sources.host_of  # called with addresses that `site` took
    return shown


def _check_sources(shown) -> None:
    for source, line in shown:
        assert line.strip() or not source.strip()
        if source.startswith(ADDRESS[: ADDRESS.index("@") + 1]):
            assert not any(secret in line for secret in SECRETS), line


def _watch(folder: Path) -> list:
    path = folder / "events.jsonl"
    with change_lines.lines_to(path) as emit:
        emit({"state": STATES[0], "time": 1.0})
    return path.read_bytes().split(b"\n")


def _check_watch(lines) -> None:
    assert lines[-1] == b"" and json.loads(lines[-2])["state"] == STATES[0]


READERS = {
    "captions": Reader(as_json("captions.json", _caption_entries()), _captions_of, _check_captions),
    "answer": Reader(text("answer.txt", ANSWER), _answer, _check_answer, names=False),
    "server answer": Reader(
        as_json("answer.json", COMPLETION), _server_answer, lambda t: are_texts([t]), names=False
    ),
    "journal": Reader(_make_journal, _journal, _check_journal),
    "watch lines": Reader(
        text("events.jsonl", json.dumps({"state": STATES[0], "time": 0.0}) + "\n"),
        _watch,
        _check_watch,
    ),
    "sources": Reader(text("source.txt", ADDRESS + "\n0\ncam\n"), _sources, _check_sources, False),
}
