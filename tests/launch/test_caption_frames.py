"""caption_frames as a user runs it, against a server on loopback, and its file in run_pipeline."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from tests.captioning.server import Reply, completion, serve
from tests.launch.one_process import run_all

KEY, WRONG_KEY = "sk-a-secret", "sk-another"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The finished commands by name, and the folder that they ran in."""
    base = tmp_path_factory.mktemp("a folder with spaces")
    rng = np.random.default_rng(0)
    for video in ("b10", "b9"):
        (base / "frames" / video).mkdir(parents=True)
        for k in range(3):
            image = rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)
            cv2.imwrite(str(base / "frames" / video / f"{k:06d}.jpg"), image)
    (base / "my.yaml").write_text("events: {fire: [smoke plume, fireball]}\nneutral_prompts: [a]\n")

    seen = []

    def reply(asked, n):
        if asked.headers.get("Authorization") != f"Bearer {KEY}":
            error = {"error": "no such key: " + asked.headers["Authorization"]}
            return Reply(json.dumps(error).encode(), 401)
        if asked.picture not in seen:
            seen.append(asked.picture)
        number = seen.index(asked.picture)
        if asked.body["model"] == "flaky" and number == 1 and n < 1:
            return Reply(b'{"detail": "not now"}', 400)
        return completion("ATOMS: fireball; zeppelin" if number == 2 else "**ATOMS:** Smoke Plumes")

    with serve(reply) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setenv("NO_PROXY", "127.0.0.1")
        to = ["caption_frames", "--frames_root=frames", "--ontology=my.yaml"]
        at = [*to, "--backend=openai", f"--base_url={server.url}", "--concurrency=1"]
        commands = {
            "first": [*at, "--model=flaky", "--out=c.json"],
            "second": [*at, "--model=flaky", "--out=c.json"],
            "third": [*at, "--model=flaky", "--out=c.json"],
            "dry": ["caption_frames", "--frames_root=frames", "--backend=dry", "--out=dry.json"],
            "pipeline": ["run_pipeline", "--frames_root=frames", "--ontology=my.yaml",
                         "--qwen_json=c.json", "--out_dir=runs"],
            "no address": [*to, "--backend=openai", "--out=x.json"],
            "no frames": [*at, "--frames_root=none", "--out=x.json"],
            "no ontology": [*at, "--ontology=none.yaml", "--out=x.json"],
            "no model": [*to, "--model=./none", "--out=x.json"],
        }  # fmt: skip
        finished = run_all(commands, cwd=base)
        patch.setenv("OPENAI_API_KEY", WRONG_KEY)
        finished |= run_all({"no key": [*at, "--out=x.json"]}, cwd=base)
    return base, finished, server


def test_a_frame_without_an_answer_is_reported_and_the_rest_written(ran):
    _, finished, _ = ran
    first = finished["first"]
    assert first.returncode == 1
    failed = "failed: frames/b9/000001.jpg: http://127.0.0.1:"
    assert first.stderr.startswith(failed) and first.stderr.endswith("status 400: not now\n")
    assert first.stdout == (
        "c.json: 5 frames, 5 answered now: 5 phrases in the ontology, 1 outside (zeppelin 1)\n"
        "answers are kept in c.json.journal.jsonl\n"
    )


def test_a_second_run_asks_for_the_missing_one(ran):
    base, finished, server = ran
    for name, asked in (("second", 1), ("third", 0)):
        assert finished[name].returncode == 0 and finished[name].stderr == ""
        assert finished[name].stdout.startswith(f"c.json: 6 frames, {asked} answered now: 6 ")
    # Six, one again in the second run, none in the third, one with the wrong key.
    assert sorted(server.counts.values()) == [1, 1, 1, 1, 2, 2]
    content = files.read_json(base / "c.json")
    dry = files.read_json(base / "dry.json")
    assert list(content) == list(dry) == [
        f"frames/{video}/00000{k}.jpg" for video in ("b9", "b10") for k in range(3)
    ]  # fmt: skip
    assert content["frames/b9/000002.jpg"] == {
        "atoms": ["fireball"],
        "outside": ["zeppelin"],
        "raw": "ATOMS: fireball; zeppelin",
    }
    assert content["frames/b9/000000.jpg"] == {
        "atoms": ["smoke plume"],
        "raw": "**ATOMS:** Smoke Plumes",
    }
    assert set(map(json.dumps, dry.values())) == {'{"atoms": [], "raw": ""}'}


def test_run_pipeline_reads_the_file(ran):
    base, finished, _ = ran
    assert finished["pipeline"].returncode == 0, finished["pipeline"].stderr
    assert "captions: 6 of 6 frames found, 6 phrases matched, " in finished["pipeline"].stdout
    assert list(pd.read_csv(base / "runs" / "manifest.csv")["run_dir"])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no address", "error: --base_url: no http address of an OpenAI-compatible server; give"),
        ("no frames", "error: none: no such folder; check the path"),
        ("no ontology", "error: none.yaml: no such file; check the path"),
        ("no key", "error: http://127.0.0.1:"),
        ("no model", "error: "),
    ],
)
def test_what_goes_wrong_is_one_line(ran, command, message):
    base, finished, _ = ran
    process = finished[command]
    assert process.returncode == 1 and process.stdout == ""
    (line,) = process.stderr.splitlines()
    assert line.startswith(message)
    assert not (base / "x.json").exists()


def test_the_key_is_shown_nowhere(ran):
    base, finished, _ = ran
    assert "check --base_url (it ends in /v1), --model and the API key" in finished["no key"].stderr
    for process in finished.values():
        assert "sk-" not in process.stdout + process.stderr
    assert "no such key: Bearer ***; check" in finished["no key"].stderr
    for path in base.glob("*.json*"):
        assert "sk-" not in path.read_text()
