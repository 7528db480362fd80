"""Frames to a caption file, with backends that are functions, and with a server and kill -9."""

import hashlib
import json
import multiprocessing
import random
import sys
import time
from collections import Counter

import pytest

from jaxvlm import captioning, files
from jaxvlm.captioning import openai_backend, run, transformers_backend
from jaxvlm.captioning.pictures import encode_jpeg
from jaxvlm.captioning.request import Answer, Request
from jaxvlm.data import images
from jaxvlm.errors import InputError
from jaxvlm.ontology import captions
from tests.captioning.server import Reply, completion, serve
from tests.listing import visible

ATOMS = ("blast flash", "crashed cars", "smoke plume")
REQUEST = Request("model", "prompt")


def backend(answer, asked=None):
    """Asks the function ``answer`` about each frame by its name: a text, or None."""

    def ask(paths):
        for path in paths:
            if asked is not None:
                asked.append(f"{path.parent.name}/{path.name}")
            text = answer(path)
            yield [Answer(path, text, "" if text is not None else "no answer")]

    return ask


def caption(root, out, answer, *, asked=None, request=REQUEST):
    return captioning.caption_frames(
        root, out, ATOMS, request=request, ask=backend(answer, asked)
    )  # fmt: skip


def test_the_file(make_frames, tmp_path):
    root = make_frames({"v10": 1, "v9": 6})
    texts = {
        "v9/000000.png": "ATOMS: Smoke plumes; blast flash",
        "v9/000001.png": "ATOMS: pink elephant; smoke plume; Pink Elephant!; tree",
        "v9/000002.png": "ATOMS: none",
        "v9/000003.png": "CONFIRM: crashed car\nRESEMBLE: smoke plume; fog",
        "v9/000004.png": "A road",
        "v9/000005.png": "  ATOMS: tree\n",
        "v10/000000.png": "ATOMS: \ud800 tree",  # half a surrogate pair
    }
    out = tmp_path / "out" / "captions.json"
    result = caption(root, out, lambda path: texts[f"{path.parent.name}/{path.name}"])
    raw = {key: text.strip() for key, text in texts.items()} | {"v10/000000.png": "ATOMS: ? tree"}
    expected = {
        "v9/000000.png": {"atoms": ["smoke plume", "blast flash"]},
        "v9/000001.png": {
            "atoms": ["smoke plume"],
            "outside": ["pink elephant", "Pink Elephant", "tree"],
        },
        "v9/000002.png": {"atoms": []},
        "v9/000003.png": {"atoms": ["crashed cars"], "resemble": ["smoke plume", "fog"]},
        "v9/000004.png": {"atoms": [], "outside": ["A road"]},
        "v9/000005.png": {"atoms": [], "outside": ["tree"]},
        "v10/000000.png": {"atoms": [], "outside": ["tree"]},
    }
    content = json.loads(out.read_text(encoding="utf-8"))
    assert list(content) == [path.as_posix() for path in images.list_frames(root)]
    for key, entry in expected.items():
        assert content[f"{root.as_posix()}/{key}"] == entry | {"raw": raw[key]}
    assert (result.frames, result.asked, result.failures) == (7, 7, [])
    assert result.phrases_matched == 5
    assert result.phrases_outside == Counter({"tree": 3, "pink elephant": 1, "fog": 1, "road": 1})
    assert captioning.describe(result) == (
        "7 frames, 7 answered now: 5 phrases in the ontology, 6 outside "
        "(tree 3, fog 1, pink elephant 1, road 1)"
    )

    # As run_pipeline reads it. "Named" are lists of atoms and of other phrases.
    found = captions.match_captions(captions.read_captions(out), images.list_frames(root), ATOMS)
    assert [list(row) for row in found.named.astype(int)] == [
        [1, 0, 1], [0, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]
    ]  # fmt: skip
    assert found.resembled.tolist()[3] == [0, 0, 1]
    assert found.coverage == captions.Coverage(
        7, 7, 5, 0, Counter({"tree": 3, "pink elephant": 1, "fog": 1, "road": 1})
    )


def test_keys_are_those_of_the_dry_file(make_frames, tmp_path):
    root = make_frames({"a": 2, "b": 1})
    caption(root, tmp_path / "c.json", lambda path: "ATOMS: none")
    captions.write_dry_captions(tmp_path / "dry.json", images.list_frames(root))
    keys = [list(json.loads((tmp_path / name).read_text())) for name in ("c.json", "dry.json")]
    assert keys[0] == keys[1] and len(keys[0]) == 3


def test_a_second_run_asks_for_what_is_missing(make_frames, tmp_path):
    root = make_frames({"a": 3, "b": 2})
    (root / "empty").mkdir()
    out = tmp_path / "c.json"
    bad = {"a/000001.png": None, "b/000000.png": "I'm sorry, I can't help with that.",
           "b/000001.png": " \n"}  # fmt: skip
    first = caption(
        root, out, lambda p: bad.get(f"{p.parent.name}/{p.name}", "ATOMS: smoke plume")
    )  # fmt: skip
    assert [line.removeprefix(f"{root}/") for line in first.failures] == [
        "empty: no picture in this folder; fill it or remove it",
        "a/000001.png: no answer",
        "b/000000.png: no list in the answer: I'm sorry, I can't help with that.",
        "b/000001.png: the answer is empty",
    ]
    assert list(json.loads(out.read_text())) == [f"{root}/a/00000{k}.png" for k in (0, 2)]

    (root / "empty").rmdir()
    asked = []
    second = caption(root, out, lambda path: "ATOMS: none", asked=asked)
    assert sorted(asked) == sorted(bad)
    assert (second.frames, second.asked, second.failures) == (5, 3, [])

    asked.clear()
    content = out.read_bytes()
    assert caption(root, out, lambda path: "ATOMS: x", asked=asked).asked == 0
    assert asked == [] and out.read_bytes() == content


def test_other_frames_and_other_prompts_are_asked_about(make_frames, tmp_path):
    root = make_frames({"a": 2})
    out = tmp_path / "c.json"
    caption(root, out, lambda path: "ATOMS: none")
    (root / "a" / "000000.png").write_bytes((root / "a" / "000001.png").read_bytes())
    asked = []
    caption(root, out, lambda path: "ATOMS: tree", asked=asked)
    assert asked == ["a/000000.png"]

    asked.clear()
    other = REQUEST._replace(prompt="another")
    caption(root, out, lambda path: "ATOMS: smoke plume", asked=asked, request=other)
    assert asked == ["a/000000.png", "a/000001.png"]
    assert {entry["raw"] for entry in json.loads(out.read_text()).values()} == {
        "ATOMS: smoke plume"
    }
    # The first prompt's answers are still there; the folder of all frames may have moved.
    asked.clear()
    root = root.rename(tmp_path / "moved")
    caption(root, out, lambda path: "ATOMS: x", asked=asked)
    assert asked == []
    assert [entry["raw"] for entry in json.loads(out.read_text()).values()] == [
        "ATOMS: tree", "ATOMS: none"
    ]  # fmt: skip


def test_no_answer_at_all(make_frames, tmp_path):
    root = make_frames({"a": 2})
    files.write_text(tmp_path / "c.json", "{}")
    with pytest.raises(InputError, match="no frame has an answer; first: .*000000.png: no answer"):
        caption(root, tmp_path / "c.json", lambda path: None)
    assert (tmp_path / "c.json").read_text() == "{}"
    assert visible(tmp_path) == ["c.json", "frames"]


def test_many_failures_in_a_row_end_the_run(make_frames, tmp_path):
    root = make_frames({"a": 50})
    asked = []
    # 0 to 14 fail, 15 is answered, 16 to 35 fail: the twentieth ends it.
    result = caption(
        root, tmp_path / "c.json",
        lambda path: "ATOMS: none" if path.stem == "000015" else None, asked=asked,
    )  # fmt: skip
    assert len(asked) == 36 and result.frames == 1
    assert len(result.failures) == 36
    assert result.failures[-1] == (
        "20 frames in a row without an answer; stopped, 14 not asked about"
    )


def test_a_file_that_vanishes(make_frames, tmp_path):
    root = make_frames({"a": 3})

    def answer(path):
        (root / "a" / "000001.png").unlink(missing_ok=True)
        return "ATOMS: none"

    result = caption(root, tmp_path / "c.json", answer)
    assert result.frames == 2
    assert result.failures == [f"{root}/a/000001.png: No such file or directory; check the file"]


def test_a_name_that_is_no_text(make_frames, tmp_path):
    root = make_frames({"a": 2, "b": 1})
    (root / "a" / "000001.png").rename(root / "a" / "\udcff.png")
    result = caption(root, tmp_path / "c.json", lambda path: "ATOMS: none")
    assert result.frames == 1 and len(result.failures) == 1
    assert r"\xff.png: a name that is not UTF-8; rename it" in result.failures[0]


def test_answers_so_far_stay_when_the_backend_stops_the_run(make_frames, tmp_path):
    root = make_frames({"a": 4})

    def ask(paths):
        paths = iter(paths)
        yield [Answer(next(paths), "ATOMS: none"), Answer(next(paths), "ATOMS: none")]
        raise InputError("the key is wrong; check it")

    with pytest.raises(InputError, match="the key is wrong"):
        captioning.caption_frames(root, tmp_path / "c.json", ATOMS, request=REQUEST, ask=ask)
    asked = []
    caption(root, tmp_path / "c.json", lambda path: "ATOMS: none", asked=asked)
    assert asked == ["a/000002.png", "a/000003.png"]


def spoken(picture):
    """An answer fixed by the hash of the picture."""
    number = int(picture[:8], 16)
    return f"ATOMS: {ATOMS[number % 3]}; thing {number % 7}"


def run_against(url, root, out, concurrency):
    """What a child process does until it is done or killed."""
    ask = openai_backend.openai_backend(
        REQUEST, base_url=url, concurrency=concurrency, backoff=0.01
    )
    run.caption_frames(root, out, ATOMS, request=REQUEST, ask=ask)


@pytest.mark.parametrize("concurrency", [2, 5])
def test_the_same_answers_give_the_same_bytes(make_frames, tmp_path, concurrency):
    """Answers that come in another order, after failures here and there."""
    root = make_frames({"v10": 9, "v9": 8})
    delays = random.Random(concurrency)

    def reply(asked, n):
        time.sleep(delays.uniform(0, 0.02))
        if n == 0 and int(asked.picture[:8], 16) % 4 == 0:
            return Reply(b"", 503)
        return completion(spoken(asked.picture))

    with serve(reply) as server:
        run_against(server.url, root, tmp_path / "one.json", 1)
        run_against(server.url, root, tmp_path / "many.json", concurrency)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "many.json").read_bytes()
    frame = images.list_frames(root)[3]
    text = spoken(hashlib.sha256(encode_jpeg(frame, REQUEST.max_pixels)).hexdigest())
    assert json.loads((tmp_path / "one.json").read_text())[frame.as_posix()]["raw"] == text


def test_killed_again_and_again(make_frames, tmp_path):
    """kill -9 at moments spread over the run. What is in the journal is never asked about again;
    in all, a kill costs no more questions than were in flight."""
    concurrency, count, kills = 4, 120, 0
    root = make_frames({"a": count // 2, "b": count // 2})
    out, whole = tmp_path / "c.json", tmp_path / "whole.json"
    journal = tmp_path / "c.json.journal.jsonl"
    picture = {
        f"{path.parent.name}/{path.name}": hashlib.sha256(
            encode_jpeg(path, REQUEST.max_pixels)
        ).hexdigest()
        for path in images.list_frames(root)
    }

    def reply(asked, n):
        time.sleep(0.01)
        return completion(spoken(asked.picture))

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([run_against.__module__])
    settled, moments = set(), random.Random(0)
    with serve(reply) as server:
        while not out.exists():
            asked = len(server.asked)
            child = context.Process(target=run_against, args=(server.url, root, out, concurrency))
            child.start()
            # Not before it is at work, or it would be a test of imports.
            while child.is_alive() and len(server.asked) == asked:
                time.sleep(0.001)
            child.join(moments.uniform(0.0, 0.1))
            child.kill()  # does nothing to one that is done
            child.join()
            assert child.exitcode in (0, -9)
            kills += child.exitcode == -9
            assert kills < 100, "the runs do not get on"
            assert not {question.picture for question in server.asked[asked:]} & settled
            lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
            settled = {
                picture[entry["frame"]] for entry in map(json.loads, lines) if "frame" in entry
            }
        assert kills >= 3
        assert len(server.asked) <= count + kills * concurrency
        assert set(server.counts) == set(picture.values())
        run_against(server.url, root, whole, concurrency)
    assert out.read_bytes() == whole.read_bytes()


def test_without_pytorch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"no PyTorch here .*pip install 'jaxvlm\[captions\]'"):
        transformers_backend.load_qwen(REQUEST)
