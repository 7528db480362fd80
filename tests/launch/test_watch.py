"""The program as a user runs it: a file, what is not there, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys

import pytest

from jaxvlm.world import videos as world
from tests.launch.one_process import ROOT, run_all


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    whole = world.world_video(3, "train", 1)
    path = tmp_path_factory.mktemp("a folder with spaces") / "clip.mp4"
    world.write_video(whole._replace(shots=whole.shots[:1]), path)  # 11 seconds
    return path


def test_a_file_gives_its_lines_and_a_missing_one_an_error(video, tmp_path):
    out = tmp_path / "lines.jsonl"
    everything = ["--threshold=0", "--release=0"]
    done = run_all(
        {
            "stdout": ["watch", f"--source={video}", "--fps=0.5", *everything],
            "file": ["watch", f"--source={video}", f"--out={out}"],
            "missing": ["watch", f"--source={tmp_path}/missing.mp4"],
            "refused": ["watch", "--source=http://admin:hunter2@127.0.0.1:9/x?token=hunter2"],
        },
        cwd=tmp_path,
    )  # fmt: skip
    assert done["stdout"].returncode == 0, done["stdout"].stderr
    lines = [json.loads(line) for line in done["stdout"].stdout.splitlines()]
    states = ["watching", "warning"] + ["start"] * 6 + ["end"] * 6 + ["summary"]
    assert [line["state"] for line in lines] == states
    assert {line["time_seconds"] for line in lines[8:14]} == {10.0}
    assert {line["ended_by"] for line in lines[8:14]} == {"source ended"}
    assert (lines[-1]["frames"], lines[-1]["dropped"]) == (6, 0)
    assert done["file"].stdout == f"11 frames: {out}\n"
    assert json.loads(out.read_text().splitlines()[-1])["frames"] == 11
    assert done["missing"].returncode == 1
    assert "missing.mp4: no such file" in done["missing"].stderr
    assert done["missing"].stderr.count("\n") == 1
    assert done["refused"].returncode == 1
    assert done["refused"].stderr == (
        "error: http://127.0.0.1:9/…: cannot be reached; check the address\n"
    )


def test_no_batch_size_is_measured(video, tmp_path):
    """Frames come one at a time; measuring costs seconds, with a large encoder minutes."""
    program = (
        "import runpy\n"
        "from jaxvlm.clip import batch_size\n"
        "def never(*_): raise AssertionError('measured')\n"
        "batch_size.fastest_size = never\n"
        "runpy.run_module('launch.watch', run_name='__main__')\n"
    )
    out, cache = tmp_path / "lines.jsonl", tmp_path / "cache"
    done = subprocess.run(
        [sys.executable, "-c", program, f"--source={video}", "--fps=0.5", f"--out={out}",
         f"--cache_dir={cache}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )  # fmt: skip
    told = "warning: fps is 0.5; the roles were trained with 1.0\n"
    assert (done.returncode, done.stderr) == (0, told)
    assert json.loads(out.read_text().splitlines()[-1])["frames"] == 6
    assert {path.suffix for path in cache.iterdir()} == {".safetensors"}, "texts, and no size"


def test_ctrl_c_closes_what_is_open_and_sums_up(video):
    process = subprocess.Popen(
        [sys.executable, "-m", "launch.watch", f"--source={video}", "--fps=5000", "--threshold=0",
         "--release=0"],
        cwd=video.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with process:
        head = [json.loads(process.stdout.readline()) for _ in range(3)]  # now it watches
        process.send_signal(signal.SIGINT)
        # Not communicate(): it would lose what readline() has read ahead.
        rest, errors = process.stdout.read(), process.stderr.read()
    told = "warning: fps is 5000.0; the roles were trained with 1.0\n"
    assert (process.returncode, errors) == (130, f"{told}interrupted\n")
    lines = [*head, *map(json.loads, rest.splitlines())]
    states = ["watching", "warning"] + ["start"] * 6 + ["end"] * 6 + ["summary"]
    assert [line["state"] for line in lines] == states
    assert {line["ended_by"] for line in lines[8:14]} == {"stopped"}
    assert 1 <= lines[-1]["frames"] < 50_000
