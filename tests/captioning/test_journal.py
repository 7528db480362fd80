"""The journal: what was answered stays, also through a kill at any byte."""

import json
import os

import pytest

from jaxvlm.captioning.journal import FrameId, frame_id, open_journal
from jaxvlm.captioning.request import Request
from jaxvlm.errors import DiskError, InputError

REQUEST = Request("model", "prompt")
A, B, C = (FrameId(f"v/{name}.png", "0" * 64) for name in "abc")


def write(path, *items, request=REQUEST):
    with open_journal(path, request) as journal:
        for item in items:
            journal.append([item])


def read(path, request=REQUEST):
    with open_journal(path, request) as journal:
        return journal.answers


def test_answers_stay(tmp_path):
    path = tmp_path / "new" / "j.jsonl"
    write(path, (A, "one\nline of \u2028 text"), (B, "ثلاثة"))
    write(path, (C, "3"))
    assert read(path) == {A: "one\nline of \u2028 text", B: "ثلاثة", C: "3"}
    first = json.loads(path.read_text().splitlines()[0])
    assert first["settings"] == REQUEST._asdict()
    assert path.read_bytes().count(b"\n") == 4  # the settings once


def test_other_requests_are_not_mixed_in(tmp_path):
    path = tmp_path / "j.jsonl"
    write(path, (A, "1"))
    for change in (
        {"model": "other"},
        {"prompt": "other"},
        {"max_new_tokens": 1},
        {"max_pixels": 10_000},
    ):
        other = REQUEST._replace(**change)
        assert read(path, other) == {}
        write(path, (A, str(change)), request=other)
        assert read(path, other) == {A: str(change)}
    assert read(path) == {A: "1"}


def test_a_torn_last_line_is_cut_off_wherever_it_tore(tmp_path):
    path = tmp_path / "j.jsonl"
    write(path, (A, "ä one"), (B, "two"))
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        # Answers; the first line has the settings. A line that lacks its end alone is whole.
        kept = whole[: size + 1].count(b"\n") - 1
        assert read(path) == dict([(A, "ä one"), (B, "two")][: max(kept, 0)])
        write(path, (C, "three"))
        assert read(path)[C] == "three"
        assert path.read_bytes().startswith(whole[: whole[:size].rfind(b"\n") + 1])


@pytest.mark.parametrize("mine", ['{"my": "only line"}', "my notes", "", "notes\nwith lines"])
def test_a_file_of_somebody_stays(tmp_path, mine):
    path = tmp_path / "j.jsonl"
    path.write_text(mine)
    if mine:
        with pytest.raises(InputError, match="j.jsonl: (holds other than answers|line 1 is no)"):
            read(path)
    else:
        assert read(path) == {}
    assert path.read_text() == mine


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"7", b'{"request": "x"', b"\xff\xfe", b'{"frame": "a"}', b""]
)
def test_a_line_of_another_form(tmp_path, line):
    path = tmp_path / "j.jsonl"
    write(path, (A, "1"))
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(InputError, match="j.jsonl: line 3 is no answer; remove the line"):
        read(path)


def test_an_answer_without_its_fields(tmp_path):
    path = tmp_path / "j.jsonl"
    write(path, (A, "1"))
    key = json.loads(path.read_text().splitlines()[0])["request"]
    with open(path, "a") as file:
        file.write(json.dumps({"request": key, "frame": "v/a.png"}) + "\n")
    with pytest.raises(InputError, match="line 3 is no answer"):
        read(path)


def test_one_run_at_a_time(tmp_path):
    path = tmp_path / "j.jsonl"
    with open_journal(path, REQUEST) as journal:
        with pytest.raises(InputError, match="j.jsonl: another run is writing it"):
            read(path)
        journal.append([(A, "1")])
    assert read(path) == {A: "1"}


def test_a_frame_is_known_by_folder_name_and_content(tmp_path):
    first, second = tmp_path / "x" / "v" / "0.png", tmp_path / "y" / "v" / "0.png"
    for path in (first, second):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"abc")
    # SHA-256 of "abc" as in FIPS 180-2, appendix B.1.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert frame_id(first) == frame_id(second) == FrameId("v/0.png", digest)
    second.write_bytes(b"abcd")
    assert frame_id(second) != frame_id(first)


def test_a_name_that_leaves_no_room_for_the_journal(tmp_path):
    path = tmp_path / ("x" * 245 + ".journal.jsonl")
    with pytest.raises(InputError, match="cannot be written .File name too long.") as caught:
        with open_journal(path, REQUEST):
            pass
    assert "\n" not in str(caught.value)


def test_a_disk_that_fills_leaves_the_answers_before(tmp_path, monkeypatch):
    path = tmp_path / "j.jsonl"
    with pytest.raises(DiskError, match="j.jsonl: cannot be written .No space left"):
        with open_journal(path, REQUEST) as journal:
            journal.append([(A, "1")])
            full = OSError(28, "No space left on device")
            monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(full))
            journal.append([(B, "2")])
    monkeypatch.undo()
    assert read(path)[A] == "1"
