"""Videos that the roles were trained on, in evaluate-video; and the baselines beside the scores."""

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.evaluation import scored_videos
from jaxvlm.evaluation.protocols.evaluation import evaluate_protocol
from jaxvlm.evaluation.protocols.sources import Sources
from jaxvlm.evaluation.protocols.tables import terminal_lines

NAMES = ("a", "b", "c")
INTERVALS = "video_id,event,start_seconds,end_seconds\nb,riot,2,4\nc,riot,0,1\n"


@pytest.fixture
def scored(tmp_path):
    """Three videos of four seconds, of which the roles were trained on the first."""
    out = tmp_path / "out"
    for name in NAMES:
        values = {"a": [0.9, 0.1, 0.1, 0.1], "b": [0.1, 0.2, 0.8, 0.9], "c": [0.7, 0.2, 0.1, 0.0]}
        table = pd.DataFrame({"frame": range(4), "time_seconds": np.arange(4.0)})
        files.write_csv(out / name / "events.csv", table.assign(riot=values[name]))
    record = {"videos": list(NAMES), "roles": {"training_videos": ["a", "elsewhere"]}}
    files.write_json(out / "run.json", record)
    (tmp_path / "i.csv").write_text(INTERVALS)
    return out


def evaluate(scored, **options):
    return scored_videos.evaluate_scores(scored, scored.parent / "i.csv", **options)


def test_training_videos_are_refused(scored):
    with pytest.raises(
        InputError, match="by their ids the roles were trained on 1 of 3 videos, a first"
    ) as caught:
        evaluate(scored)
    assert "\n" not in str(caught.value) and "--trained=exclude" in str(caught.value)


def test_they_are_left_out_on_request_and_it_is_said(scored):
    result = evaluate(scored, trained="exclude")
    assert result["videos"] == 2 and result["frames"] == 8
    assert result["frame"]["any"]["auc"] == 1.0  # a's false alarm is gone
    assert "trained on, by id: 1 of 3 videos, left out" in scored_videos.summary_lines(result)


def test_they_are_kept_on_request_and_it_is_said(scored):
    result = evaluate(scored, trained="mark")
    assert result["videos"] == 3 and result["trained_on"]["videos"] == ["a"]
    assert result["frame"]["any"]["auc"] < 1.0
    line = "trained on, by id: 1 of 3 videos, so the figures are not what to expect of new ones"
    assert line in scored_videos.summary_lines(result)


def test_the_role_model_itself_may_be_given(scored):
    files.write_json(scored / "run.json", {"videos": list(NAMES)})
    assert evaluate(scored)["trained_on"]["videos"] == []  # nothing is known
    roles = scored.parent / "roles"
    roles.mkdir()
    files.write_json(roles / "metadata.json", {"metadata": {"training_videos": list(NAMES)}})
    with pytest.raises(InputError, match="trained on 3 of 3"):
        evaluate(scored, roles=roles)
    with pytest.raises(InputError, match="all 3 videos, so that none is left"):
        evaluate(scored, roles=roles, trained="exclude")
    files.write_json(roles / "metadata.json", {"metadata": {}})
    with pytest.raises(InputError, match="does not say training_videos"):
        evaluate(scored, roles=roles)


def test_a_protocol_treats_them_alike(scored):
    """By the key of the benchmark: a_x264.mp4 is the video a."""
    record = {"roles": {"training_videos": ["a_x264"]}}
    files.write_json(scored / "run.json", record)
    truth = scored.parent / "truth"
    truth.mkdir()
    for name, positive in (("a", 0), ("b", 60), ("c", 30)):
        np.save(truth / f"{name}.npy", np.repeat([0, 1], [120 - positive, positive]))
    sources = Sources(truth, scores_dir=scored)
    options = {"video_fps": 30.0, "num_resamples": 10}
    with pytest.raises(InputError, match="by their ids the roles were trained on 1 of 3 videos"):
        evaluate_protocol("lists", sources, **options)
    left = evaluate_protocol("lists", sources, trained="exclude", **options)
    assert left["truth"]["videos"] == 2
    assert any("left out" in line for line in terminal_lines(left))
    kept = evaluate_protocol("lists", sources, trained="mark", **options)
    assert kept["truth"]["videos"] == 3
    assert any("not what to expect" in line for line in terminal_lines(kept))


def test_baselines_stand_beside_the_scores(scored):
    """Pixel change finds b alone, whose picture changes; the embedding finds c and half of b."""
    embeddings = {"a": [0, 0, 0, 0], "b": [0, 0, 0, 1], "c": [1, 0, 0, 0]}
    videos = scored.parent / "videos"
    videos.mkdir()
    for name in NAMES:
        rows = np.eye(2, dtype=np.float32)[embeddings[name]]
        arrays = {"image_embeddings": rows, "times": np.arange(4.0)}
        files.write_arrays(scored / name / "embeddings.safetensors", arrays)
        shades = [0, 0, 200, 0] if name == "b" else [90, 90, 90, 90]
        writer = cv2.VideoWriter(
            str(videos / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 1, (32, 32)
        )
        for shade in shades:
            writer.write(np.full((32, 32, 3), shade, np.uint8))
        writer.release()
    result = evaluate(scored, trained="mark", videos=videos)
    rows = result["any_event"]
    assert list(rows) == ["scores", "pixel change, 1 s", "distance from median"]
    assert rows["pixel change, 1 s"]["auc_within"] == pytest.approx((1 + 0.5) / 2)
    assert rows["scores"]["auc_within"] == 1.0
    assert rows["distance from median"]["auc_within"] == pytest.approx((0.75 + 1) / 2)
    text = "\n".join(scored_videos.summary_lines(result))
    assert "pixel change, 1 s" in text and "auc within a video" in text


def test_a_baseline_that_cannot_be_had_is_named(scored):
    result = evaluate(scored, trained="mark")
    assert list(result["any_event"]) == ["scores"]
    lines = scored_videos.summary_lines(result)
    assert "pixel change, 1 s: left out; give --videos, their folder" in lines
    assert any(
        line.startswith("distance from median: left out;") and "embeddings.safetensors" in line
        for line in lines
    )


@pytest.mark.parametrize("value", ["1.5", "-0.1", "1e40"])
def test_a_score_that_is_no_probability_is_refused(scored, value):
    path = scored / "b" / "events.csv"
    lines = path.read_text().splitlines()
    lines[1] = ",".join(
        [*lines[1].split(",")[:2], *[value] * lines[1].count(",")][: lines[1].count(",") + 1]
    )
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=rf"events.csv: {float(value):g}".replace("+", r"\+")):
        evaluate(scored, trained="mark")
