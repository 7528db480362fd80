"""Steps on a small benchmark: the table of gains, and what is missing is named."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jaxvlm.errors import InputError
from jaxvlm.evaluation import no_look, scored_videos
from jaxvlm.evaluation.beside_tables import beside_lines
from jaxvlm.evaluation.postprocess import embedding_segments
from jaxvlm.evaluation.protocols.conventions import Conventions
from jaxvlm.evaluation.protocols.evaluation import evaluate_protocol
from jaxvlm.evaluation.protocols.sources import Sources
from jaxvlm.evaluation.protocols.tables import terminal_lines
from tests.evaluation.small_benchmark import NAMES, write_annotations

TRUTH = {"Abuse900": range(32, 64), "Arson901": range(0, 80), "Normal_Videos_902": ()}
FRAMES = 160


@pytest.fixture
def sources(tmp_path):
    """Three videos of 160 frames, a score and an embedding per snippet of 16."""
    annotations = write_annotations(tmp_path, TRUTH)
    (tmp_path / "counts.csv").write_text(
        "video,frames\n" + "".join(f"{name},{FRAMES}\n" for name in NAMES)
    )
    rng = np.random.default_rng(2)
    for folder in ("scores", "embeddings"):
        (tmp_path / folder).mkdir()
    for name in NAMES:
        np.save(tmp_path / "scores" / f"{name}_x264.npy", rng.random(10))
        np.save(tmp_path / "embeddings" / f"{name}.npy", rng.normal(size=(10, 4)))
    return Sources(
        annotations,
        frame_counts=tmp_path / "counts.csv",
        scores_dir=tmp_path / "scores",
        embeddings=tmp_path / "embeddings",
    )


def run(sources, steps, **options):
    conventions = Conventions(postprocess=steps, **options)
    return evaluate_protocol("ucf_crime", sources, conventions, num_resamples=20)


def auc(parts):
    labels = [np.isin(np.arange(FRAMES), TRUTH[name]) for name in NAMES]
    return roc_auc_score(np.concatenate(labels), np.concatenate(parts))


def test_every_step_has_its_gain_and_what_needs_no_eyes_gains_by_it(sources):
    result = run(sources, "smooth=8f,middle")
    raw, smoothed, last = result["postprocess"]
    assert [row["step"] for row in result["postprocess"]] == ["as scored", "smooth=8f", "middle"]
    assert raw["auc"] == pytest.approx(run(sources, "")["overall"]["auc"]["value"])
    assert last["auc"] == pytest.approx(result["overall"]["auc"]["value"])
    assert smoothed["gain"]["auc"]["value"] == pytest.approx(smoothed["auc"] - raw["auc"])
    assert last["gain"]["ap"]["value"] == pytest.approx(last["ap"] - smoothed["ap"])
    prior = np.exp(-0.5 * ((np.arange(FRAMES) - 80) / 80) ** 2)
    blind = last["no_eyes"][no_look.CHANCE]
    assert blind["auc"] == pytest.approx(auc([prior] * 3))
    assert blind["auc_gain"] == pytest.approx(auc([prior] * 3) - 0.5)
    label = last["no_eyes"][no_look.VIDEO_LABEL]
    assert label["auc"] == pytest.approx(auc([prior, prior, 0 * prior]))
    assert smoothed["no_eyes"][no_look.VIDEO_LABEL]["auc_gain"] == pytest.approx(0)
    assert [line for line in terminal_lines(result) if len(line) > 80] == []
    text = "\n".join(terminal_lines(result))
    assert "all figures are of the scores after: smooth=8f, middle" in text
    assert "2. middle" in text and "by label" in text


def test_steps_on_what_was_scored_use_the_embeddings(sources):
    result = run(sources, "lavad=2")
    parts = []
    for name in NAMES:
        rows = np.load(sources.embeddings / f"{name}.npy")
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        near = np.argsort(-(rows @ rows.T), axis=1)[:, :2]
        weights = np.exp(np.take_along_axis(rows @ rows.T, near, axis=1))
        scores = np.load(sources.scores_dir / f"{name}_x264.npy")[near]
        parts.append(((weights * scores).sum(1) / weights.sum(1)).repeat(16))
    assert result["overall"]["auc"]["value"] == pytest.approx(auc(parts))
    other = run(sources._replace(caption_embeddings=sources.embeddings), "lavad=2")
    assert other["overall"] == result["overall"]  # the same captions as pictures
    assert run(sources, "vera,smooth=1s,eventvad,video")["postprocess"][-1]["step"] == "video"


def test_a_segment_of_eventvad_has_one_score(sources):
    parts = []
    for name in NAMES:
        rows = np.load(sources.embeddings / f"{name}.npy")
        segments = embedding_segments(rows, 10 * 30 / FRAMES)  # scores of 160 frames at 30 a second
        scores = np.load(sources.scores_dir / f"{name}_x264.npy")
        means = [scores[segments == number].mean() for number in segments]
        parts.append(np.repeat(means, 16))
    assert run(sources, "eventvad")["overall"]["auc"]["value"] == pytest.approx(auc(parts))


def test_what_is_missing_is_named(sources, tmp_path):
    (sources.embeddings / "Arson901.npy").unlink()
    with pytest.raises(InputError, match=r"embeddings: no file of embeddings of Arson901"):
        run(sources, "vera")
    with pytest.raises(InputError, match=r"--postprocess=eventvad: no embeddings of Abuse900"):
        run(sources._replace(embeddings=None), "eventvad")
    np.save(sources.embeddings / "Arson901.npy", np.ones((9, 4)))
    with pytest.raises(InputError, match=r"Arson901\.npy: 9 embeddings, but 10 scores"):
        run(sources, "vera")
    np.save(sources.embeddings / "Arson901.npy", np.ones((10, 4)))
    (tmp_path / "captions").mkdir()
    for name in NAMES:
        np.save(tmp_path / "captions" / f"{name}.npy", np.ones((10, 3)))
    with pytest.raises(InputError, match="embeddings of 4 and captions of 3 numbers"):
        run(sources._replace(caption_embeddings=tmp_path / "captions"), "lavad")
    lists = tmp_path / "truth"
    lists.mkdir()
    for name in NAMES:
        np.save(lists / f"{name}.npy", np.isin(np.arange(FRAMES), TRUTH[name]).astype(np.uint8))
    own = Sources(lists, scores_dir=sources.scores_dir)
    with pytest.raises(InputError, match="smooth=2s: needs --video_fps"):
        evaluate_protocol("lists", own, Conventions(postprocess="smooth=2s"))
    found = evaluate_protocol("lists", own, num_resamples=0)
    assert found["events_found"]["hours"] is None
    assert "need --video_fps" in "\n".join(terminal_lines(found))


def test_mine_have_all_of_it_too(tmp_path):
    rng = np.random.default_rng(1)
    rows = ["video_id,event,start_seconds,end_seconds", "a,riot,4,9"]
    (tmp_path / "i.csv").write_text("\n".join(rows) + "\n")
    for name in ("a", "b"):
        (tmp_path / "out" / name).mkdir(parents=True)
        scores = rng.random(20) * 0.4
        if name == "a":
            scores[5:9] += 0.6
        lines = ["frame,time_seconds,riot", *(f"{t},{t},{s}" for t, s in enumerate(scores))]
        (tmp_path / "out" / name / "events.csv").write_text("\n".join(lines) + "\n")
    result = scored_videos.evaluate_scores(tmp_path / "out", tmp_path / "i.csv")
    assert result["no_look"]["base_rate"] == pytest.approx(5 / 40)
    assert result["no_look"]["scores"]["auc"] == result["any_event"]["scores"]["auc"]
    # 0 to 19 s, of 0.25 an event's at IoU 4/5, a second late; both videos last 20 s
    riot = result["events_found"]["rows"]["riot"]
    assert riot["found"] == 1 and riot["delay_seconds"]["median"] == 1.0
    assert result["events_found"]["hours"] == pytest.approx(40 / 3600)
    assert result["map_iou"]["activitynet"]["map"] == [1.0] * 5
    steps = Conventions(postprocess="smooth=1s,middle")
    done = scored_videos.evaluate_scores(tmp_path / "out", tmp_path / "i.csv", conventions=steps)
    assert [row["step"] for row in done["postprocess"]] == ["as scored", "smooth=1s", "middle"]
    assert done["any_event"]["scores"]["auc"] == pytest.approx(done["postprocess"][-1]["auc"])
    assert all(len(line) <= 80 for line in beside_lines(done))
    with pytest.raises(InputError, match="no embeddings of a"):
        scored_videos.evaluate_scores(
            tmp_path / "out", tmp_path / "i.csv", conventions=Conventions(postprocess="lavad")
        )
    (tmp_path / "out" / "b" / "events.csv").write_text("frame,time_seconds,riot\n0,1,0\n1,1,0\n")
    with pytest.raises(InputError, match="time_seconds does not increase"):
        scored_videos.evaluate_scores(tmp_path / "out", tmp_path / "i.csv")
