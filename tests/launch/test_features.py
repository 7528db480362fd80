"""Features through the programs: from published lists to the figures of a published protocol."""

import json
import re

import numpy as np
import pytest

from jaxvlm import files
from tests.launch.one_process import run_all
from tests.launch.test_launchers import one_line, succeeded
from tests.video.feature_world import write_world
from tests.video.runs import arrays

ONTOLOGY = """
events:
  abuse: [raised fist, crying child]
  arson: [flames, petrol can]
neutral_prompts: [a road, a shop, a yard]
"""
# Frames, class and intervals, as UCF-Crime has them: long normal videos, short anomalies.
TRAIN = {
    f"{event}{n:03d}_x264": (160 + 16 * n, event, [(32 + 16 * n, 96 + 16 * n)])
    for event in ("Abuse", "Arson")
    for n in range(6)
} | {f"Normal_Videos{n:03d}_x264": (200 + 16 * n, "Normal", []) for n in range(6)}
TEST = {
    "Abuse928_x264": (170, "Abuse", [(40, 100)]),
    "Arson910_x264": (150, "Arson", [(8, 40), (90, 140)]),
    "Normal_Videos_903_x264": (333, "Normal", []),
}
TEXTS = (
    "--atom_embeddings=train/atoms.npy", "--neutral_embeddings=train/neutral.npy",
    "--encoder_name=ViT-B/16",
)  # fmt: skip
SCORE = ("score-video", "--features_root=test/features", "--roles=trained/model")
RUN = ("run-pipeline", "--features_root=train/features", "--ontology=ontology.yaml")
CHAIN = {
    "runs": (*RUN, "--features_list=train/list.csv", *TEXTS, "--out_dir=runs"),
    "trained": (
        "train-role-learning", "--manifest_csv=runs/manifest.csv", "--out_dir=trained",
        "--epochs=30", "--topk=3", "--holdout=0",
    ),
    "scores": (*SCORE, *TEXTS, "--out_dir=scores"),
    "figures": (
        "evaluate-video", "--protocol=ucf_crime", "--annotations=test/annotations.txt",
        "--frame_counts=test/counts.csv", "--scores_dir=scores", "--num_resamples=20",
    ),
}  # fmt: skip
# A command, and words of its one line.
WRONG = {
    (*SCORE, *TEXTS[:2], "--encoder_name=ViT-B/32", "--out_dir=o"): "name is ViT-B/32, was",
    (*SCORE, *TEXTS, "--logit_scale=50", "--out_dir=o"): "logit_scale is 50.0, was 100.0",
    (*SCORE, *TEXTS[:2], "--out_dir=o"): "--encoder_name: say which encoder",
    (*SCORE, *TEXTS, "--clip=c", "--out_dir=o"): "--clip: --atom_embeddings and --neutral",
    (*SCORE, *TEXTS[:1], "--encoder_name=x", "--out_dir=o"): "--encoder_name: --clip says",
    ("score-video", "--features_root=test/features", *TEXTS, "--out_dir=o"): "kind=local: looks at",
    (*SCORE, *TEXTS, "--qwen_json=c.json", "--out_dir=o"): "--qwen_json: captions are of frames",
    (*SCORE, *TEXTS, "--store_dir=s", "--out_dir=o"): "--store_dir: --features_root encodes no",
    (*SCORE, *TEXTS, "--config.fps=2", "--out_dir=o"): "--config.fps: rows are as they are",
    (*SCORE, *TEXTS, "--rescore=s", "--out_dir=o"): "flags: give either",
    (*SCORE, *TEXTS, "--crop=7", "--out_dir=o"): "no crop 7 of it here, but 0, 1",
    (*SCORE, *TEXTS, "--frames_per_row=0", "--out_dir=o"): "--frames_per_row=0: give 1 or more",
    ("score-video", "--video=v.mp4", "--fps=3", "--out_dir=o"): "--fps: goes with --features_root",
    (*RUN, *TEXTS, "--dry_caption", "--out_dir=o"): "--dry_caption: names frames to caption",
    (*RUN, "--out_dir=o"): "rows of 64 numbers; the texts have 128",
    (*RUN, *TEXTS, "--config.presence.kind=local", "--out_dir=o"): "kind=local: looks at patches",
    (*RUN, *TEXTS, "--frames_root=f", "--out_dir=o"): "flags: give either",
}  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    (folder / "ontology.yaml").write_text(ONTOLOGY)
    for part, videos in (("train", TRAIN), ("test", TEST)):
        (folder / part).mkdir()
        write_world(folder / part, folder / "ontology.yaml", videos, dimension=64, crops=2)
    bad = folder / "train" / "features" / "Abuse" / "Abuse004_x264__1.npy"
    np.save(bad, np.zeros_like(np.load(bad)))
    return folder, run_all(CHAIN | {command: command for command in WRONG}, cwd=folder)


def test_a_small_benchmark_of_features_is_trained_scored_and_evaluated(ran):
    folder, done = ran
    first = done["runs"]
    assert first.returncode == 1 and "row 0 is zeros" in first.stderr  # and the others are done
    assert "17 videos: runs/manifest.csv" in first.stdout
    assert "row t stands for frames 16·t to 16·t + 15, from 16·t/30 s on" in first.stdout
    assert "a row is the mean of 2 crops" in first.stdout
    assert "made unit" in first.stdout and "encoder ViT-B/16, as given" in first.stdout
    run = folder / "runs" / "Abuse" / "Abuse002_x264"
    np.testing.assert_array_equal(arrays(run, "labels")["labels"], [[1, 0]] * 12)
    np.testing.assert_allclose(arrays(run, "presence")["times"], np.arange(12) * 16 / 30, rtol=1e-6)
    succeeded(done["trained"])
    assert "3 videos: scores/report.html" in succeeded(done["scores"])
    out = succeeded(done["figures"])
    assert "each row stands for 16 frames" in out and "score_unit: row (a score per row" in out
    found = json.loads((folder / "scores" / "metrics.json").read_text())
    assert found["scores"]["frames_per_row"] == [16]
    assert found["truth"]["frames"] == sum(count // 16 * 16 for count, *_ in TEST.values())
    assert found["overall"]["auc"]["value"] > 0.9  # chance is 0.5
    assert {each["ranked_by"] for each in found["classes"].values() if each["positive_frames"]} == {
        "abuse", "arson",
    }  # fmt: skip
    page = (folder / "scores" / "report.html").read_text(encoding="utf-8")
    assert "<img" not in page and "<h3>Abuse/<wbr>Abuse928_<wbr>x264" in page
    record = files.read_json(folder / "scores" / "run.json")
    assert record["clip"]["name"] == "ViT-B/16" and record["encoding"] is None
    assert {video["frames_per_row"] for video in record["inputs"]["video"]} == {16}
    table = folder / "scores" / "Abuse" / "Abuse928_x264" / "events.csv"
    assert len(table.read_text().splitlines()) == 1 + 11  # 170 frames in rows of 16


@pytest.mark.parametrize("command", WRONG, ids=lambda command: " ".join(command[2:]))
def test_what_cannot_apply_or_fit_is_one_line(ran, command):
    assert re.search(WRONG[command], one_line(ran[1][command]))
