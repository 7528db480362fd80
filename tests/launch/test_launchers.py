"""The programs as a user runs them: the whole chain on a tiny world, and what goes wrong."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.resources import path as resource
from jaxvlm.world.vocabulary import EVENTS
from tests.compiling import as_for_users

ROOT = Path(__file__).resolve().parents[2]


def launch(name, *arguments):
    """Runs a launcher from another folder than the project's; returns the finished process."""
    return subprocess.run(
        [sys.executable, "-m", f"launch.{name}", *map(str, arguments)],
        cwd=os.path.dirname(ROOT),
        env=as_for_users() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def succeeded(process):
    assert process.returncode == 0, process.stderr
    return process.stdout


def one_line(process):
    """The error of a process that failed as it should: one line, no traceback."""
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    lines = [line for line in process.stderr.splitlines() if line]
    assert len(lines) == 1, process.stderr
    return lines[0]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A world, its frames, runs, roles and scores, each made by its launcher."""
    base = tmp_path_factory.mktemp("a folder with spaces")
    succeeded(
        launch("render_world", "--seed=3", "--num_videos=8", "--splits=train",
               f"--out_dir={base}/world", "--num_pictures=2")
    )  # fmt: skip
    train = base / "world" / "train"
    succeeded(
        launch("extract_frames", "--video", train / "videos", "--out_dir", base / "frames",
               "--fps", 1)
    )  # fmt: skip
    succeeded(
        launch("run_pipeline", "--frames_root", base / "frames", "--out_dir", base / "runs",
               "--labels_csv", train / "labels.csv", "--window", 20, "--delta", 0.6,
               "--kappa", 8.0, "--qwen_json", train / "captions.json", "--lambda_atoms", 0.25,
               "--lambda_resemble", 0.1)
    )  # fmt: skip
    succeeded(
        launch("train_role_learning", "--manifest_csv", base / "runs" / "manifest.csv",
               "--epochs", 2, "--topk", 10, "--freeze_bias_epochs", 1, "--out_dir", base / "roles",
               "--config.roles.rule_fits=2")
    )  # fmt: skip
    succeeded(
        launch("score_video", f"--video={train}/videos", f"--out_dir={base}/scored",
               f"--roles={base}/roles/model", f"--intervals_csv={train}/intervals.csv")
    )  # fmt: skip
    return base


def test_the_chain_leaves_the_documented_files(chain):
    name = "train_0000"
    index = pd.read_csv(chain / "frames" / name / "index.csv")
    num_frames = len(list((chain / "frames" / name).glob("*.jpg")))
    assert list(index) == ["frame", "time_seconds", "timecode"] and len(index) == num_frames
    ontology = load_ontology(resource("configs/ontology/world.yaml"))
    pack = files.read_arrays(chain / "runs" / name / "trainpack.safetensors")
    assert pack["pbar"].shape == (num_frames, len(ontology.atoms))
    assert pack["labels"].shape == (num_frames,)
    for kind in ("presence", "boundary", "seg_presence", "labels"):
        assert (chain / "runs" / name / f"{kind}.safetensors").is_file()
    assert list(pd.read_csv(chain / "runs" / "manifest.csv")) == ["run_dir", "labels_csv"]
    roles = pd.read_csv(chain / "roles" / "roles.csv")
    assert {"event", "atom", "role", "rho_direct", "gamma_direct"} <= set(roles)
    assert len(json.loads((chain / "roles" / "roles.json").read_text())) == len(roles)
    events = pd.read_csv(chain / "scored" / name / "events.csv")
    labels = pd.read_csv(chain / "world" / "train" / "labels.csv")
    taught = [event for event in EVENTS if labels[event].nunique() == 2]
    assert set(EVENTS) - set(taught) == {"riot", "car accident"}  # no training video shows them
    assert list(events) == ["frame", "time_seconds", *taught] and len(events) == num_frames
    assert events[taught].to_numpy().min() >= 0 and events[taught].to_numpy().max() <= 1
    assert (chain / "scored" / name / "segments.csv").is_file()
    assert "<html" in (chain / "scored" / "report.html").read_text()
    assert len(list((chain / "world" / "pictures").glob("*.jpg"))) == 2


def test_every_run_folder_tells_config_versions_and_timings(chain):
    for record in ("runs/pipeline.json", "roles/run.json", "scored/run.json", "frames/run.json",
                   "world/run.json"):  # fmt: skip
        value = json.loads((chain / record).read_text())
        own = {"encoding", "videos", "held_out", "roles", "warnings"}
        assert (
            set(value) - own
            >= {
                "program",
                "flags",
                "config",
                "seed",
                "inputs",
                "versions",
                "device",
                "seconds",
            }
            <= (set(value))
        )
        assert value["versions"]["jax"] and value["flags"]
    pipeline, roles, scored = (
        json.loads((chain / record).read_text())
        for record in ("runs/pipeline.json", "roles/run.json", "scored/run.json")
    )
    assert pipeline["program"] == "run-pipeline" and scored["program"] == "score-video"
    assert pipeline["flags"]["lambda_atoms"] == 0.25
    assert pipeline["clip"] == roles["clip"] == scored["clip"]
    assert pipeline["clip"]["path"] == "checkpoints/clip"
    assert {"frames_root", "labels_csv", "qwen_json"} <= set(pipeline["inputs"])
    assert roles["inputs"]["manifest_csv"]["sha256"]
    model = json.loads((chain / "roles" / "model" / "metadata.json").read_text())["metadata"]
    assert model["clip"] == pipeline["clip"]
    assert model["training_videos"] == [f"train_{n:04d}" for n in range(8)]
    videos = {video["id"]: video for video in scored["inputs"]["video"]}
    path = chain / "world" / "train" / "videos" / "train_0000.mp4"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert videos["train_0000"] == {"id": "train_0000", "path": str(path), "sha256": digest}
    for record in ("runs/pipeline.json", "scored/run.json"):
        encoding = json.loads((chain / record).read_text())["encoding"]
        frames = len(list((chain / "frames").glob("*/*.jpg")))
        assert (encoding["encoded"], encoding["from_store"]) == (frames, 0)
        assert encoding["batch_size"] >= 1 and 0 <= encoding["device_waiting_fraction"] <= 1


def test_evaluate_video_agrees_with_the_tables_it_reads(chain):
    train = chain / "world" / "train"
    words = ["evaluate_video", f"--scores_dir={chain}/scored", f"--videos={train}/videos",
             f"--intervals_csv={train}/intervals.csv"]  # fmt: skip
    refused = launch(*words)
    assert refused.returncode == 1 and "trained on 8 of 8 videos" in refused.stderr
    lines = succeeded(launch(*words, "--trained=mark")).splitlines()
    rows = ("any event", "mean of events", "scores", "pixel change, 1 s")
    assert sum(line.startswith(rows) for line in lines) == 6  # baselines and events, too
    assert any(line.startswith("trained on, by id: 8 of 8 videos, so the") for line in lines)
    result = json.loads((chain / "scored" / "metrics.json").read_text())
    tables = [pd.read_csv(path) for path in sorted(chain.glob("scored/*/events.csv"))]
    assert result["videos"] == 8 and result["frames"] == sum(map(len, tables))


def test_settings_come_from_the_config_file_and_flags_override_it(chain, tmp_path):
    one = tmp_path / "frames"
    (one / "v").mkdir(parents=True)
    for source in sorted((chain / "frames" / "train_0000").glob("*.jpg"))[:3]:
        (one / "v" / source.name).write_bytes(source.read_bytes())
    reference = resource("configs/reference.py")
    succeeded(
        launch("run_pipeline", f"--frames_root={one}", f"--out_dir={tmp_path}/runs",
               f"--config={reference}", "--config.boundary.delta=auto", "--window=7")
    )  # fmt: skip
    config = json.loads((tmp_path / "runs" / "pipeline.json").read_text())["config"]
    assert config["boundary"]["delta"] == "auto" and config["segments"]["window"] == 7
    assert config["presence"]["kind"] == "cosine" and config["segments"]["normalize"] is False
    assert files.read_arrays(tmp_path / "runs/v/labels.safetensors")["labels"].max() == -1


def test_wrong_flags_say_so_without_a_traceback(tmp_path):
    misspelled = launch("score_video", "--vidoe=x.mp4", f"--out_dir={tmp_path}")
    assert misspelled.returncode != 0 and "vidoe" in misspelled.stderr
    assert "Traceback" not in misspelled.stderr
    missing = launch("extract_frames", f"--out_dir={tmp_path}")
    assert missing.returncode != 0 and "--video" in missing.stderr
    assert "Traceback" not in missing.stderr
    (tmp_path / "frames").mkdir()
    assert "delta=banana" in one_line(
        launch("run_pipeline", f"--frames_root={tmp_path}/frames", f"--out_dir={tmp_path}/out",
               "--delta=banana")
    )  # fmt: skip
    assert "x.mp4" in one_line(launch("score_video", f"--out_dir={tmp_path}", "x.mp4",
                                      "--video=y.mp4"))  # fmt: skip


def test_one_bad_video_is_reported_and_the_others_are_done(chain, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    good = chain / "world" / "train" / "videos" / "train_0001.mp4"
    (folder / "good.mp4").write_bytes(good.read_bytes())
    (folder / "bad.mp4").write_text("this is no video")
    process = launch("score_video", f"--video={folder}", f"--out_dir={tmp_path}/out",
                     f"--roles={chain}/roles/model")  # fmt: skip
    assert "bad.mp4" in one_line(process)
    assert (tmp_path / "out" / "good" / "events.csv").is_file()
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_bad_video_leaves_earlier_results_untouched(chain, tmp_path):
    before = (chain / "scored" / "report.html").read_bytes()
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"\0" * 100)
    assert "bad.mp4" in one_line(
        launch("score_video", f"--video={bad}", f"--out_dir={chain}/scored",
               f"--roles={chain}/roles/model")
    )  # fmt: skip
    assert (chain / "scored" / "report.html").read_bytes() == before


def test_written_roles_need_no_training(chain, tmp_path):
    video = chain / "world" / "train" / "videos" / "train_0002.mp4"
    succeeded(
        launch("score_video", f"--video={video}", f"--out_dir={tmp_path}", "--roles=ontology")
    )
    events = pd.read_csv(tmp_path / "train_0002" / "events.csv")
    assert np.isfinite(events.to_numpy()).all()
    candidates_only = resource("configs/ontology/world.yaml")
    assert "states no roles" in one_line(
        launch("score_video", f"--video={video}", f"--out_dir={tmp_path}", "--roles=ontology",
               f"--ontology={candidates_only}")
    )  # fmt: skip


def test_captions_that_match_no_frame_are_an_error(chain, tmp_path):
    captions = tmp_path / "captions.json"
    captions.write_text(json.dumps({"/elsewhere/other/000000.jpg": {"atoms": [], "raw": ""}}))
    line = one_line(
        launch("run_pipeline", f"--frames_root={chain}/frames", f"--out_dir={tmp_path}/runs",
               f"--qwen_json={captions}")
    )  # fmt: skip
    assert str(captions) in line and not (tmp_path / "runs").exists()


def test_dry_captions_can_be_filled_in(chain, tmp_path):
    succeeded(
        launch("run_pipeline", f"--frames_root={chain}/frames", f"--out_dir={tmp_path}",
               "--dry_caption")
    )  # fmt: skip
    captions = json.loads((tmp_path / "captions.json").read_text())
    assert len(captions) == len(list(chain.glob("frames/*/*.jpg")))
