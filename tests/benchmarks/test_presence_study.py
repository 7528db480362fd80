"""What the presence study measures, on videos whose figures are known."""

import numpy as np
import pytest

from benchmarks import presence_data, presence_measures, presence_roles, presence_study
from benchmarks.presence_data import Video
from jaxvlm import files
from jaxvlm.errors import InputError


def video(name, labels, rows=None) -> Video:
    """A row per frame."""
    rows = np.eye(len(labels), 8, dtype=np.float32) if rows is None else rows
    return Video(name, rows, np.array(labels), np.arange(len(labels)), 1.0)


def test_pooled_and_per_video_are_told_apart():
    """Perfect within each video; over both, half of the pairs across are the wrong way round."""
    videos = [video("loud", [0, 1]), video("quiet", [0, 1]), video("normal", [0, 0])]
    scores = [np.array([0.6, 0.9]), np.array([0.1, 0.2]), np.array([0.0, 0.0])]
    found = presence_measures.measure(videos, scores)
    assert found["per_video"] == 1.0  # the normal one has no AUC
    assert found["pooled"] == pytest.approx(7 / 8)  # one of 2 x 4 pairs
    assert found["normal_above_half"] == 0.25
    gain = presence_measures.gain(videos, scores, [-s for s in scores])
    assert gain["per_video"][0] == 1.0 and gain["pooled"][0] == pytest.approx(7 / 8 - 1 / 8)


def test_rows_stand_for_their_frames(tmp_path):
    labels = np.arange(35) % 2
    arrays = {
        "a.b.features": np.eye(3, 4).astype(np.float16),
        "a.b.frame_labels": labels.astype(np.uint8),
    }
    files.write_arrays(tmp_path / "vit_b16_videos.safetensors", arrays)
    files.write_arrays(tmp_path / "vit_b16_texts.safetensors", {"t": 2 * np.eye(2, 4)})
    (found,), texts = presence_data.real_videos(tmp_path)
    assert found.name == "a.b" and np.allclose(texts["t"], np.eye(2, 4))
    (frames,) = presence_measures.to_frames([found], [np.array([5.0, 6.0, 7.0])])
    np.testing.assert_array_equal(frames, [5] * 16 + [6] * 16 + [7] * 3)
    half = presence_data.thinned(found, 2)
    (frames,) = presence_measures.to_frames([half], [np.array([5.0, 7.0])])
    np.testing.assert_array_equal(frames, [5] * 32 + [7] * 3)
    files.write_arrays(
        tmp_path / "vit_b16_videos.safetensors", arrays | {"a.b.features": np.eye(2, 4)}
    )
    with pytest.raises(InputError, match="a.b has 2 rows, 35 labels"):
        presence_data.real_videos(tmp_path)


def test_boundaries_are_counted_by_the_minute():
    """Two atoms of three jump once in 30 seconds: sum 2, mean 2/3."""
    presence = np.zeros((30, 3))
    presence[10:, :2] = 1.0
    rates = presence_study.boundary_rates([video("v", [0] * 30)], [presence])
    assert set(rates.values()) == {2.0}
    presence[10:, :2] = 0.5  # sum 0.5, mean 1/6
    rates = presence_study.boundary_rates([video("v", [0] * 30)], [presence])
    assert rates["sum, 0.6"] == 0.0 and rates["mean, 0.02"] == rates["mean, 0.05"] == 2.0


def test_a_video_is_scored_by_what_the_others_teach():
    pbar = [np.full((2, 1), n, float) for n in range(3)]
    labels = np.array([[1, 0], [0, 1], [1, 1]])
    seen = []

    def score(train, y, test):
        seen.append(([int(v[0, 0]) for v in train], y.tolist(), int(test[0, 0])))
        return np.stack([test[:, 0], test[:, 0] + 1], axis=1)

    found = presence_roles.left_out(pbar, labels, score)
    assert seen[1] == ([0, 2], [[1, 0], [1, 1]], 1)
    np.testing.assert_array_equal(found, [[1, 1], [2, 2], [3, 3]])
    np.testing.assert_allclose(presence_roles.centre(1), [1.0])
