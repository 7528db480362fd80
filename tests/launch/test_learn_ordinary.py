"""learn-ordinary and what reads its model, from videos and from features, as a user calls them."""

import json
import warnings

import cv2
import numpy as np
import pandas as pd
import pytest

import jaxvlm
from jaxvlm.evaluation.protocols.scores import read_scores
from jaxvlm.evaluation.scored_videos import evaluate_scores
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.resources import path as resource
from jaxvlm.video import feature_runs, role_file
from jaxvlm.video.feature_texts import Texts
from jaxvlm.video.ordinary_model import NOVELTY, load_ordinary
from tests.launch.one_process import run_all

SECONDS = 420
ONTOLOGY = resource("configs/ontology/world_roles.yaml")


def write_clip(path, seed, *, strange=None, seconds=SECONDS):
    rng = np.random.default_rng(seed)
    wall = np.random.default_rng(0).integers(0, 255, (6, 6, 3)).repeat(8, 0).repeat(8, 1)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 1, (48, 48))
    for t in range(seconds):
        image = wall + rng.normal(size=wall.shape) * 8
        image[20:30, t * 3 % 48 :][:, :8] = (200, 30, 30)
        if strange is not None and t in strange:
            image[5:43, 5:43] = (0, 160, 255)
        writer.write(np.clip(image, 0, 255).astype(np.uint8))
    writer.release()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ordinary")
    (folder / "calm").mkdir()
    write_clip(folder / "calm" / "a.mp4", 1)
    write_clip(folder / "more.mp4", 2, seconds=200)
    write_clip(folder / "b.mp4", 3, strange=range(60, 90), seconds=150)
    return folder


def test_learning_scoring_and_watching(world):
    roles = "--roles=ontology"
    lines = {
        "learn": ["learn-ordinary", f"--video={world}/calm", roles, f"--out_dir={world}/m"],
        "on": [
            *("learn-ordinary", f"--video={world}/more.mp4", roles, f"--ordinary={world}/m"),
            *(f"--out_dir={world}/m2", "--starts_at=06:30"),
        ],
        "score": [
            *("score-video", f"--video={world}/b.mp4", roles, f"--ordinary={world}/m2"),
            *("--false_alarms_per_day=600", f"--out_dir={world}/out"),
        ],
        "week": [
            *("score-video", f"--rescore={world}/out", roles, f"--ordinary={world}/m2"),
            *("--false_alarms_per_day=0.14", f"--out_dir={world}/out2"),
        ],
        "watch": [
            *("watch", f"--source={world}/b.mp4", roles, f"--ordinary={world}/m2"),
            *("--false_alarms_per_day=600", f"--out={world}/lines.jsonl"),
            f"--learn_ordinary={world}/m2",
        ],
        "trained": [
            *("score-video", f"--video={world}/b.mp4", f"--ordinary={world}/m"),
            f"--out_dir={world}/out3",
        ],
        "alone": [
            *("score-video", f"--video={world}/b.mp4", "--false_alarms_per_day=1"),
            f"--out_dir={world}/out4",
        ],
        "both": [
            *("score-video", f"--video={world}/b.mp4", f"--ordinary={world}/m", roles),
            *("--false_alarms_per_day=1", "--threshold=0.4", f"--out_dir={world}/out4"),
        ],
    }
    done = run_all(lines, cwd=world)
    for name in ("learn", "on", "score", "week", "watch"):
        assert done[name].returncode == 0, (name, done[name].stderr)
    assert "hours learned from" in done["learn"].stdout
    model = load_ordinary(world / "m2")
    assert model.hours == pytest.approx((SECONDS + 200 + 150) / 3600, abs=1e-6)  # watch went on

    table = pd.read_csv(world / "out" / "b" / "events.csv")
    assert list(table.columns)[-1] == NOVELTY
    assert table[NOVELTY][60:90].mean() > 0.9 and table[NOVELTY][:55].mean() < 0.1
    assert "600 false alarms a day" in done["score"].stdout
    assert "95 % interval" in done["score"].stdout
    rows = pd.read_csv(world / "out" / "detections.csv")
    (row,) = rows[rows["event"] == NOVELTY].to_dict("records")
    assert 60 <= row["start_seconds"] < 70 < row["end_seconds"] <= 90
    page = (world / "out" / "report.html").read_text()
    assert "no atom has a part in it" in page
    record = json.loads((world / "out" / "run.json").read_text())
    assert set(record["threshold"]) >= {NOVELTY, "shooting"}
    assert record["ordinary"]["path"].endswith("m2")
    assert "cannot promise 0.14 false alarms a day" in done["week"].stdout

    events = [json.loads(line) for line in (world / "lines.jsonl").read_text().splitlines()]
    novel = [e for e in events if e.get("event") == NOVELTY]
    assert novel[0]["state"] == "start" and novel[0]["because"] == []
    assert 60 <= novel[0]["time_seconds"] < 70 and novel[-1]["state"] == "end"

    for name, cause in (
        ("trained", "kind is local, was contrast"),
        ("alone", "goes with --ordinary=FOLDER"),
        ("both", "--threshold: --false_alarms_per_day decides"),
    ):
        assert done[name].returncode == 1 and done[name].stderr.count("\n") == 1, done[name].stderr
        assert cause in done[name].stderr


def test_features_and_python_give_the_same_zero(tmp_path):
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(2, 8)).astype(np.float32)
    (tmp_path / "o.yaml").write_text(
        "events:\n  fire:\n    direct: [flame]\n  fight:\n    direct: [fist]\n"
        "neutral_prompts: [a street]\n"
    )
    (tmp_path / "f").mkdir()
    street = rng.normal(size=(1, 8)).astype(np.float32)
    for name in "ab":
        np.save(tmp_path / "f" / f"{name}.npy", street + 0.1 * rng.normal(size=(500, 8)))
    np.save(tmp_path / "atoms.npy", atoms)
    np.save(tmp_path / "neutral.npy", street)
    common = [
        f"--features_root={tmp_path}/f",
        *("--roles=ontology", f"--ontology={tmp_path}/o.yaml", "--encoder_name=drawn"),
        f"--atom_embeddings={tmp_path}/atoms.npy",
        f"--neutral_embeddings={tmp_path}/neutral.npy",
    ]
    done = run_all(
        {
            "learn": ["learn-ordinary", *common, f"--out_dir={tmp_path}/m"],
            "score": [
                *("score-video", *common, f"--ordinary={tmp_path}/m"),
                f"--out_dir={tmp_path}/out",
            ],
        },
        cwd=tmp_path,
    )
    assert [d.returncode for d in done.values()] == [0, 0], [d.stderr for d in done.values()]
    table = pd.read_csv(tmp_path / "out" / "a" / "events.csv")
    rows = np.load(tmp_path / "f" / "a.npy")
    scorer, _ = feature_runs.make_scorer(
        Texts(None, atoms, street, "drawn", 100.0),
        role_file.written_roles(tmp_path / "o.yaml"),
        ordinary=load_ordinary(tmp_path / "m"),
    )
    found = feature_runs.score_rows(scorer, rows, np.arange(500) * 16 / 30, name="a", threshold=0.5)
    np.testing.assert_allclose(found.probability, table.to_numpy()[:, 2:], rtol=1e-4, atol=1e-6)


def test_one_line_of_python(world):
    model = jaxvlm.learn_ordinary(world / "calm", ontology=ONTOLOGY)
    assert model.hours == pytest.approx(SECONDS / 3600)
    with pytest.warns(UserWarning, match="unlike the pictures"):
        scorer = jaxvlm.ordinary_scorer(model, ontology=ONTOLOGY)
        found = jaxvlm.score_video(world / "b.mp4", roles=scorer)
        warnings.warn(found.warnings[0], stacklevel=1)
    assert found.probability.shape == (150, len(scorer.roles.events) + 1)
    assert NOVELTY in {event.event for event in found.events}
    with pytest.raises(jaxvlm.InputError, match="the scorer says"):
        jaxvlm.score_video(world / "b.mp4", roles=scorer, ontology=ONTOLOGY)


def test_no_event_may_have_the_name_of_the_novelty(tmp_path):
    (tmp_path / "o.yaml").write_text(f"events:\n  {NOVELTY}:\n    direct: [flame]\n")
    with pytest.raises(jaxvlm.InputError, match="column of every table"):
        load_ontology(tmp_path / "o.yaml")


def test_evaluation_leaves_the_novelty_out(tmp_path):
    table = pd.DataFrame(
        {"frame": range(4), "time_seconds": range(4), "fire": [0.1, 0.2, 0.9, 0.1]}
    )
    (tmp_path / "intervals.csv").write_text(
        "video_id,event,start_seconds,end_seconds\nv,fire,2,3\n"
    )
    for name, noise in (("plain", None), ("novel", 1.0)):
        (tmp_path / name / "v").mkdir(parents=True)
        extra = {} if noise is None else {NOVELTY: noise}
        table.assign(**extra).to_csv(tmp_path / name / "v" / "events.csv", index=False)
    figures = [
        evaluate_scores(tmp_path / name, tmp_path / "intervals.csv")["frame"]
        for name in ("plain", "novel")
    ]
    assert figures[0] == figures[1]
    assert read_scores(tmp_path / "novel")["v"].columns == ("fire",)
