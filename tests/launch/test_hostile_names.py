"""Names that would clear the screen or forge a line, given to every kind of program.

Nothing of theirs may reach stdout or stderr but printable text; files and tables hold any name.
"""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from jaxvlm.world.videos import world_video, write_video
from tests.launch.one_process import run_all

IN_LINE = "x\x1b[2J\x07\x9b1m\u202ey\u2066\x7fz"  # for lists of one name a line
EVIL = IN_LINE + "\nforged: line\r\u2028forged: line"
BAD = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    base = tmp_path_factory.mktemp("hostile")
    event, atom = f"event {EVIL}", f"atom {EVIL}"
    ontology = {"events": {event: {"direct": ["fireball", atom]}, "other": {"direct": ["smoke"]}}}
    ontology["neutral_prompts"] = ["a street", "a room"]
    file = base / f"{EVIL}.json"
    file.write_text(json.dumps(ontology))

    videos = base / f"videos {EVIL}"
    videos.mkdir()
    whole = world_video(3, "train", 1)
    write_video(whole._replace(shots=whole.shots[:1]), base / "clip.mp4")
    shutil.move(base / "clip.mp4", videos / f"{EVIL}.mp4")
    (videos / f"no video {EVIL}.mp4").write_text("no video")
    scores = base / "scores" / EVIL
    scores.mkdir(parents=True)
    (scores / "events.csv").write_text("frame,time_seconds,a\n0,0,0.5\n1,1,0.7\n")
    (base / "intervals.csv").write_text(
        f'video_id,event,start_seconds,end_seconds\n"{EVIL}","{EVIL}",0,1\n'
    )
    frames = base / "frames" / EVIL
    frames.mkdir(parents=True)
    cv2.imwrite(str(base / "a.jpg"), np.full((32, 32, 3), 90, np.uint8))
    shutil.copy(base / "a.jpg", frames / f"0{EVIL}.jpg")
    shutil.copytree(frames, base / "frames" / f"b{EVIL}")
    (frames / f"1{EVIL}.jpg").write_text("no picture")

    pictures = base / f"pictures {EVIL}"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        rgb = rng.integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(rgb).save(base / "a.jpg")
        shutil.copy(base / "a.jpg", pictures / f"{i}{EVIL}.jpg")
    (pictures / f"9{EVIL}.jpg").write_text("no picture")
    (base / "classes.txt").write_text(f"cat\ndog {IN_LINE}\n{IN_LINE}\n")
    (base / "words.txt").write_text(f"tree\nroad\nriver\ncat {IN_LINE}\n")
    result = {"id_set": EVIL, "ood_set": EVIL, "method": EVIL, "auroc": 0.5}
    (base / "results.json").write_text(json.dumps({"results": [result]}))
    captions = {
        f"/{v}/{i}.jpg": {"atoms": [], "outside": [f"toy {EVIL}"], "raw": "ATOMS: toy"}
        for v in ("a", "b")
        for i in range(3)
    }
    (base / "captions.json").write_text(json.dumps(captions))
    (base / "labels.csv").write_text("video_id,fire\na,1\nb,1\nc,0\nd,0\n")
    (base / "fire.yaml").write_text(yaml.safe_dump({"events": {"fire": {"direct": ["flame"]}}}))

    small = ["--config.batch_size=4", f"--cache_dir={base}/cache"]
    commands = {
        "check-ontology": [f"--ontology={file}"],
        "check-ontology of none": [f"--ontology={file}.yaml"],
        "extract-frames": [f"--video={videos}", f"--out_dir={base}/extracted {EVIL}"],
        "score-video": [
            f"--video={videos}", f"--out_dir={base}/scored", "--roles=ontology",
            f"--ontology={file}", "--threshold=0",
        ],
        "watch": [
            f"--source={videos}/{EVIL}.mp4", "--roles=ontology", f"--ontology={file}", "--fps=1",
            "--threshold=0", "--release=0",
        ],
        "evaluate-video": [f"--scores_dir={base}/scores", f"--intervals_csv={base}/intervals.csv"],
        "run-pipeline": [
            f"--frames_root={base}/frames", f"--out_dir={base}/runs", f"--ontology={file}", *small,
        ],
        "train-role-learning": [
            f"--manifest_csv={base}/{EVIL}.csv", f"--ontology={file}", f"--out_dir={base}/r",
        ],
        "score-images": [
            f"--images={pictures}", f"--class_names={base}/classes.txt",
            f"--negatives={base}/words.txt", f"--out_dir={base}/images",
            "--config.negalign.num_groups=1", *small,
        ],
        "mine-negatives": [
            f"--class_names={base}/classes.txt", f"--words={base}/words.txt",
            f"--out_dir={base}/mined {EVIL}", "--fraction=1",
        ],
        "split-negatives": [
            f"--negatives={base}/words.txt", f"--out_dir={base}/split {EVIL}", "--percentile=40",
        ],
        "compare-results": [f"--results={base}/results.json", f"--out_csv={base}/{EVIL}.csv"],
        "propose-atoms": [
            f"--captions={base}/captions.json", f"--labels_csv={base}/labels.csv",
            f"--ontology={base}/fire.yaml", f"--out_dir={base}/proposed {EVIL}", "--min_videos=1",
            "--min_z=0",
        ],
        "caption-frames": [
            f"--frames_root={base}/frames", f"--out={base}/{EVIL}.json", "--backend=openai",
            "--base_url=http://127.0.0.1:9/v1", "--retries=0",
        ],
        "convert-prototype": [f"--source={base}/{EVIL}", f"--out_dir={base}/converted"],
        "render-ood": [f"--out_dir={base}/world {EVIL}", "--num_pictures=1"],
        f"no such program {EVIL}": [],
        "demo": [f"more {EVIL}"],
        "train-clip": [f"--no_such_flag{EVIL}"],
        "render-world": [f"--out_dir={base}/b", f"--seed={EVIL}"],
    }  # fmt: skip
    return run_all(
        {name: [name.removesuffix(" of none"), *words] for name, words in commands.items()},
        cwd=base,
    )


def test_no_control_character_and_no_forged_line_gets_through(finished):
    for name, done in finished.items():
        for text in (done.stdout, done.stderr):
            assert not BAD.findall(text), (name, text)
            assert not re.search("^forged", text, re.MULTILINE), (name, text)
            assert "Traceback" not in text, (name, text)


def test_the_names_are_shown_spelled(finished):
    """So that the test above saw them at all."""
    unseen = {
        name: done for name, done in finished.items() if "\\x1b" not in done.stdout + done.stderr
    }
    assert not unseen
