"""Videos of one name in several folders, from frames to roles."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxvlm import clip, files
from jaxvlm.data import images, videos
from jaxvlm.errors import InputError
from jaxvlm.evaluation import scored_videos
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import role_data
from tests.video.runs import EVENTS

IDS = ("b", "cam1/a", "cam2/a")


@pytest.fixture
def frames_root(tmp_path):
    rng = np.random.default_rng(0)
    for name in IDS:
        folder = tmp_path / "nested" / name
        folder.mkdir(parents=True)
        for k in range(4):
            pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{k:06d}.jpg")
    (tmp_path / "nested" / "empty" / "deeper").mkdir(parents=True)
    return tmp_path / "nested"


def test_folders_at_any_depth_are_videos_and_the_outermost_empty_one_is_told(frames_root):
    found = images.list_video_folders(frames_root)
    assert [folder.relative_to(frames_root).as_posix() for folder in found.folders] == list(IDS)
    assert len(found.failures) == 1 and f"{frames_root}/empty: no picture" in found.failures[0]


def test_the_pipeline_keeps_them_apart(tmp_path, ontology_file, run, model):
    labels = tmp_path / "labels.csv"
    labels.write_text(f"video_id,{','.join(EVENTS)}\ncam1/a,1,0\ncam2/a,0,1\nb,0,0\n")
    captions = {"x/cam1/a/000001.jpg": {"atoms": ["balloons"], "raw": ""}}
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    result = run(labels_csv=labels, qwen_json=tmp_path / "captions.json")
    assert result.done == list(IDS) and result.coverage.frames_found == 1
    table = pd.read_csv(tmp_path / "out" / "cam2" / "a" / "video_event_labels.csv")
    assert table.iloc[0].tolist() == ["cam2/a", 0, 1]
    ontology = load_ontology(ontology_file)
    data = role_data.read_runs(result.manifest, ontology)
    assert data.names == list(IDS) and data.labels.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert clip.identity_difference(data.clip, clip.identity(model)) is None
    record = tmp_path / "out" / "cam1" / "a" / "encoder.json"
    files.write_json(record, data.clip | {"logit_scale": 1.0})
    with pytest.raises(InputError, match="another encoder than .*logit_scale is 1.0"):
        role_data.read_runs(result.manifest, ontology)
    record.unlink()
    with pytest.raises(InputError, match="does not say which encoder"):
        role_data.read_runs(result.manifest, ontology)


def test_videos_inside_anothers_results_are_refused():
    ids = videos.video_ids("v", [videos.Path(f"v/{name}.mp4") for name in ("a", "a/b", "c/b")])
    assert list(ids) == ["a", "a/b", "c/b"]
    videos.refuse_inside("c/b", "v/c/b.mp4", ids)
    with pytest.raises(InputError, match="v/a/b.mp4: .*the video 'a'"):
        videos.refuse_inside("a/b", "v/a/b.mp4", ids)


def test_scores_are_found_at_any_depth(tmp_path):
    for name in IDS:
        folder = tmp_path / "scores" / name
        folder.mkdir(parents=True)
        rows = "".join(f"{t},{t},{0.9 if name == 'cam1/a' else 0.1}\n" for t in range(4))
        (folder / "events.csv").write_text(f"frame,time_seconds,riot\n{rows}")
    table = tmp_path / "intervals.csv"
    table.write_text("video_id,event,start_seconds,end_seconds\ncam1/a,riot,0,9\n")
    result = scored_videos.evaluate_scores(tmp_path / "scores", table)
    assert result["videos"] == 3 and result["frame"]["any"]["auc"] == 1
    table.write_text("video_id,event,start_seconds,end_seconds\na,riot,0,9\n")
    with pytest.raises(InputError, match="no such video here: 'a'"):
        scored_videos.evaluate_scores(tmp_path / "scores", table)
    table.write_text("video_id,event,start_seconds,end_seconds\nb,riot,0,9\n")
    assert scored_videos.evaluate_scores(tmp_path / "scores", table)["positive_frames"] == 4


def test_a_name_that_is_not_utf8_is_spelled():
    path = videos.Path("v") / b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    assert list(videos.video_ids("v", [path])) == ["caf\\xe9"]
