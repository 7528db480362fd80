"""Every command of docs/protocols.md on small files of those names, and what goes wrong."""

import json
import re
import shlex

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.launch.one_process import ROOT, program_words, run_all

FRAMES = 64
UCF = {
    "Abuse900": "Abuse  16  40  -1  -1",
    "Arson901": "Arson  0  8  20  64",
    "Normal_Videos_902": "Normal  -1  -1  -1  -1",
}
TRUTH = {"Abuse900": [(16, 40)], "Arson901": [(0, 8), (20, 64)], "Normal_Videos_902": []}
XD = ("F__#1_label_B1-G-0", "N__#1_label_A")
FILES = {
    "Temporal_Anomaly_Annotation.txt": "".join(f"{n}_x264.mp4  {UCF[n]}  \n" for n in UCF),
    "annotations.txt": f"{XD[0]}.mp4 4 20 30 40",
    "annotations_multiclasses.txt": f"{XD[0]} B1 4 20 G 18 20 G 30 40",
    "ucf_frame_counts.csv": "video,frames\n" + "".join(f"{n}_x264,{FRAMES}\n" for n in UCF),
    "xd_frame_counts.csv": "video,frames\n" + "".join(f"{n},{FRAMES}\n" for n in XD),
    "test.list": "".join(f"/features/{n}_x264_i3d.npy\n" for n in UCF),
    "bad.txt": "Abuse900  Abuse  16  40  30  50\n",
    "intervals.csv": "video_id,event,start_seconds,end_seconds\nAbuse900_x264,fire,0,1\n",
}


def documented():
    """The commands in the code blocks of the videos' part of docs/protocols.md: the words behind
    ``jaxvlm``."""
    text = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8").partition("\n# OOD ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [program_words(shlex.split(line)) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The files, every documented command and some wrong ones, run in their folder."""
    base = tmp_path_factory.mktemp("published files")
    for name, text in FILES.items():
        (base / name).write_text(text)
    for name in ("scores", "xd_scores", "truth", "videos"):
        (base / name).mkdir()
    rng = np.random.default_rng(0)
    scores = {name: rng.random(FRAMES // 16) for name in UCF}
    truth = {}
    for name, intervals in TRUTH.items():
        truth[name] = np.zeros(FRAMES)
        for start, end in intervals:
            truth[name][start:end] = 1
        np.save(base / "scores" / f"{name}.npy", scores[name])
        np.save(base / "truth" / f"{name}_x264_gt.npy", truth[name].astype(np.uint8))
    np.save(base / "gt.npy", np.concatenate(list(truth.values())))
    np.save(base / "pred.npy", np.concatenate(list(scores.values())))
    for name in XD:
        pd.DataFrame({"fighting": rng.random(FRAMES), "Explosions": rng.random(FRAMES)}).to_csv(
            base / "xd_scores" / f"{name}.csv", index=False
        )
    video = str(base / "videos" / "Abuse900_x264.mp4")
    writer = cv2.VideoWriter(video, cv2.VideoWriter.fourcc(*"mp4v"), 30, (32, 32))
    for _ in range(FRAMES + 5):
        writer.write(np.zeros((32, 32, 3), np.uint8))
    writer.release()
    (base / "scored" / "Abuse900_x264").mkdir(parents=True)
    table = pd.DataFrame({"frame": range(3), "time_seconds": range(3), "fire": [0.1, 0.9, 0.3]})
    table.to_csv(base / "scored" / "Abuse900_x264" / "events.csv", index=False)
    ucf = ["--protocol=ucf_crime", "--annotations=Temporal_Anomaly_Annotation.txt"]
    lines = {f"documented {i}": words for i, words in enumerate(documented())}
    lines |= {
        name: ["evaluate_video", *flags]
        for name, flags in {
            "json": [*ucf, "--frame_counts=ucf_frame_counts.csv", "--scores_dir=scores",
                     "--interval_ends=one_based", "--out=out.json"],
            "again": [*ucf, "--frame_counts=ucf_frame_counts.csv", "--scores_dir=scores",
                      "--interval_ends=one_based", "--out=again.json"],
            "intervals": ["--scores_dir=scored", "--intervals_csv=intervals.csv",
                          "--out=intervals.json"],
            "nothing": [],
            "no scores": ["--intervals_csv=intervals.csv"],
            "both": ["--intervals_csv=intervals.csv", "--scores_dir=scored",
                     "--frame_counts=ucf_frame_counts.csv"],
            "bad line": ["--protocol=ucf_crime", "--annotations=bad.txt",
                         "--frame_counts=ucf_frame_counts.csv"],
            "no embeddings": [*ucf, "--frame_counts=ucf_frame_counts.csv", "--scores_dir=scores",
                              "--postprocess=lavad,middle"],
            "missing": [*ucf, "--frame_counts=ucf_frame_counts.csv", "--scores_dir=scored"],
        }.items()
    }  # fmt: skip
    return base, run_all(lines, cwd=base)


def test_the_documented_commands_work(finished):
    commands = documented()
    assert len(commands) >= 8
    assert {words[0] for words in commands} == {"evaluate-video"}
    for index, words in enumerate(commands):
        process = finished[1][f"documented {index}"]
        assert process.returncode == 0 and process.stderr == "", (words, process.stderr)
        scored = any(word.startswith("--scores") for word in words)
        assert ("anomalous videos" in process.stdout) == scored
        assert "video's label × middle" in process.stdout
        assert ("1. smooth=2s" in process.stdout) == ("--postprocess=smooth=2s,middle" in words)
        assert ("[always on]" in process.stdout) == scored
        assert ("metrics.json" in process.stdout) == scored


def test_the_terminal_and_the_file_say_what_was_used(finished):
    base, processes = finished
    out = processes["json"].stdout
    assert "3 videos (2 anomalous), 192 frames, 78 anomalous" in out  # 76, and two starts more
    assert "interval_ends: one_based" in out and "score_unit: snippet" in out
    result = json.loads((base / "out.json").read_text())
    assert result["conventions"]["interval_ends"] == "one_based"
    assert result["conventions"]["ap_definition"] == "average_precision"
    assert result["truth"]["anomalous_frames"] == 78
    assert set(result["overall"]["auc"]) == {"value", "low", "high"}
    assert result["no_look"]["base_rate"] == 78 / 192 and "postprocess" not in result
    assert result["events_found"]["rules"]["overlap"] == 0.1
    assert len(result["map_iou"]["vadclip"]["map"]) == 5
    assert result["classes"]["Robbery"]["auc"]["value"] is None  # nan
    assert (base / "out.json").read_bytes() == (base / "again.json").read_bytes()


def test_intervals_of_your_own_videos_as_before(finished):
    base, processes = finished
    assert processes["intervals"].returncode == 0, processes["intervals"].stderr
    result = json.loads((base / "intervals.json").read_text())
    assert result["frames"] == 3 and result["positive_frames"] == 1
    assert "any event" in processes["intervals"].stdout


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("nothing", "give --protocol and --annotations, or --intervals_csv"),
        ("no scores", "needs --scores_dir"),
        ("both", "--frame_counts goes with --protocol"),
        ("bad line", "bad.txt: line 1: intervals 16 40 and 30 50 overlap"),
        ("no embeddings", "--postprocess=lavad: no embeddings of Abuse900; give --embeddings"),
        ("missing", "no scores of Arson901 (2 of 3 videos have none)"),
    ],
)
def test_bad_input_is_one_line(finished, name, cause):
    process = finished[1][name]
    assert process.returncode == 1 and len(process.stderr.splitlines()) == 1
    assert cause in process.stderr
