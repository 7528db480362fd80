"""Many cameras as a user runs them: lines, alarms, receivers, health, secrets, signals."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from jaxvlm.world import videos as world
from tests.alarms.receiver import SECRET, Receiver, receiving
from tests.alarms.test_sending import wait_for
from tests.launch.one_process import ROOT, run_all


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for n in range(2):
        whole = world.world_video(3 + n, "train", 1)
        world.write_video(whole._replace(shots=whole.shots[:2]), folder / f"{n}.mp4")
    return folder


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "launch.watch", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAXVLM_WEBHOOK_SECRET": SECRET.decode()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files_of(folder):
    """All that was written, by name; pictures too."""
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".mp4"}


def test_cameras_alarms_health_a_hang_up_and_no_secret_anywhere(clips, tmp_path):
    listed = tmp_path / "cameras.yaml"
    text = f"""\
cameras:
- {{name: gate, source: {clips}/0.mp4}}
- {{name: yard, source: {clips}/1.mp4, threshold: 0.3, release: 0.2}}
- {{name: roof, source: "rtsp://user:hunter2@127.0.0.1:9/hunter2?token=hunter2"}}
- {{name: door, source: "http://user:hunter2@127.0.0.1:9/x?key=hunter2"}}
"""
    listed.write_text(text)
    out = tmp_path / "out.jsonl"

    def lines():
        return [json.loads(x) for x in out.read_text().splitlines()] if out.exists() else []

    def states(name):
        return [line["state"] for line in lines() if line["camera"] == name]

    with receiving(Receiver()) as receiver:
        hook = receiver.url.replace("://", "://me:hunter2@") + "/hunter2?t=hunter2"
        process = start(
            tmp_path, f"--cameras={listed}", "--threshold=0.4", "--release=0.37",
            f"--webhook={hook}", "--alarms_dir=alarms", "--state_dir=state", "--status_port=0",
            f"--out={out}", "--clip_before=1", "--clip_after=1",
        )  # fmt: skip
        with process:
            told = process.stderr.readline()
            address = re.match(r"status: (http://127\.0\.0\.1:\d+)/healthz", told)[1]
            wait_for(lambda: "summary" in states("gate") and "summary" in states("yard"), 120)
            wait_for(lambda: "lost" in states("roof") and "lost" in states("door"), 60)
            with urllib.request.urlopen(f"{address}/metrics", timeout=20) as answer:
                figures = answer.read().decode()
            with pytest.raises(urllib.error.HTTPError) as unwell:  # what runs is not alive
                urllib.request.urlopen(f"{address}/healthz", timeout=20)
            with unwell.value:
                health = json.loads(unwell.value.read())
            listed.write_text(text.replace("name: roof", "name: roof, threshold: 0.9"))
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: "reloaded" in states("roof"), 60)
            listed.write_text("cameras: [")
            process.send_signal(signal.SIGHUP)
            seen = []
            while not any("goes on as before" in line for line in seen):
                seen.append(process.stderr.readline())
            process.send_signal(signal.SIGINT)
            rest, errors = process.stdout.read(), process.stderr.read()
        assert process.returncode == 130 and errors.endswith("interrupted\n")
    assert {n: one["alive"] for n, one in health["cameras"].items()} == dict.fromkeys(
        ("gate", "yard", "roof", "door"), False
    )
    assert health["cameras"]["gate"]["over"] and not health["cameras"]["roof"]["over"]
    assert 'jaxvlm_frames_total{camera="gate"} 25.0' in figures
    assert 'jaxvlm_losses_total{camera="roof"}' in figures
    assert {line["source"] for line in lines() if line["camera"] == "roof"} == {
        "rtsp://127.0.0.1:9/…"
    }
    started = [line for line in lines() if line["state"] == "start"]
    ended = [line for line in lines() if line["state"] == "end"]
    assert {(x["camera"], x["alarm"]) for x in started} == {
        (x["camera"], x["alarm"]) for x in ended
    }
    assert started and {line["camera"] for line in started} <= {"gate", "yard"}
    got = {f"{line['alarm']}-{line['state']}" for line in (*started, *ended)}
    assert set(receiver.messages) == got
    records = {p.parent.name: json.loads(p.read_text()) for p in tmp_path.rglob("alarm.json")}
    assert set(records) == {line["alarm"] for line in started}
    for record in records.values():
        place = tmp_path / "alarms" / record["camera"] / record["started"][:10] / record["id"]
        assert record["state"] == "end" and (place / "clip.mp4").stat().st_size > 500
        assert (place / "snapshot.jpg").read_bytes()[:2] == b"\xff\xd8"
        message = receiver.messages[f"{record['id']}-start"]["data"]
        assert message["folder"] == place.relative_to(tmp_path / "alarms").as_posix()
    written = files_of(tmp_path)
    del written[listed]
    sent = b"".join(body for _, _, body in receiver.taken)
    everything = [rest, told, *seen, errors, figures, json.dumps(health), *map(str, written)]
    assert not any("hunter2" in text for text in everything)
    assert not any(b"hunter2" in content for content in (sent, *written.values()))


def test_one_source_has_the_same_outlets_and_lines_without_a_name(clips, tmp_path):
    done = run_all(
        {
            "once": ["watch", f"--source={clips}/0.mp4", "--threshold=0.4", "--release=0.37",
                     "--alarms_dir=alarms", "--state_dir=state", "--out=out.jsonl"],
            "again": ["watch", f"--source={clips}/0.mp4", "--threshold=0.4", "--release=0.37",
                      "--alarms_dir=alarms", "--state_dir=state", "--out=out.jsonl"],
        },
        cwd=tmp_path,
    )  # fmt: skip
    assert [one.returncode for one in done.values()] == [0, 0], done
    assert done["once"].stdout == "25 frames: out.jsonl\n"
    assert done["again"].stdout == "0 frames: out.jsonl\n"  # all has been seen
    lines = [json.loads(x) for x in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert not any("camera" in line for line in lines)
    ids = [line["alarm"] for line in lines if line["state"] == "start"]
    assert ids and sorted(ids) == sorted(p.parent.name for p in tmp_path.rglob("clip.mp4"))


def test_what_cannot_be_is_one_line(clips, tmp_path):
    source = f"--source={clips}/0.mp4"
    (tmp_path / "list.yaml").write_text("cameras:\n- {name: a, source: '0', ordinary: x}\n")
    (tmp_path / "good.yaml").write_text(f"cameras:\n- {{name: a, source: {clips}/0.mp4}}\n")
    (tmp_path / "event.yaml").write_text(
        f"cameras:\n- {{name: a, source: {clips}/0.mp4, threshold: {{fires: 0.5, other: 0.6}}}}\n"
    )
    commands = {
        "--source: which video": ["watch"],
        "--cameras names the sources": ["watch", source, "--cameras=good.yaml"],
        "list.yaml: line 2: x: no such folder": ["watch", "--cameras=list.yaml"],
        "no such file; check": ["watch", "--cameras=missing.yaml"],
        "--reconnect: those of --cam": ["watch", "--cameras=good.yaml", "--reconnect=3"],
        "no event 'fires'": ["watch", "--cameras=event.yaml"],
        "--webhook: needs --state_dir": ["watch", source, "--webhook=http://h/x"],
        "no secret to sign with": ["watch", source, "--webhook=http://h/x", "--state_dir=s"],
        "only http and https": ["watch", source, "--webhook=ftp://h", "--state_dir=s",
                                "--webhook_secret_file=secret"],
        "write mqtt://HOST": ["watch", source, "--mqtt=h", "--state_dir=s"],
        "--clip_after: clips are": ["watch", source, "--clip_after=3"],
        "--status_host: goes with": ["watch", source, "--status_host=0.0.0.0"],
        "--mqtt_topic: goes with": ["watch", source, "--mqtt_topic=x"],
        "--state_dir: good.yaml is what": ["watch", "--cameras=good.yaml",
                                           "--state_dir=good.yaml"],
    }  # fmt: skip
    (tmp_path / "secret").write_text("sixteen letters!")
    os.environ.pop("JAXVLM_WEBHOOK_SECRET", None)
    for cause, done in run_all(commands, cwd=tmp_path).items():
        assert done.returncode == 1, cause
        assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1, done.stderr
        assert cause in done.stderr, done.stderr
