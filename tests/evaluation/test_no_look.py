"""What needs no eyes, on videos whose figures can be counted by hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxvlm.evaluation import no_look
from jaxvlm.evaluation.evaluated import Evaluated, Video, anomaly_score, within_videos
from jaxvlm.evaluation.protocols.evaluation import evaluate_protocol
from jaxvlm.evaluation.protocols.sources import Sources
from jaxvlm.evaluation.protocols.tables import terminal_lines

OPTIONS = {"ap_definition": "average_precision", "num_resamples": 50, "seed": 0}


def video(scores, on, abnormal=None):
    on = np.array(on, bool)
    scores = np.array(scores, float)[:, None]
    abnormal = bool(on.any()) if abnormal is None else abnormal
    return Video(scores, on, on[:, None], abnormal, np.arange(len(on) + 1.0))


# 4 frames with 2 anomalous ones in the middle, and 6 normal frames.
DATA = Evaluated(
    (video([0.1, 0.9, 0.2, 0.3], [0, 1, 1, 0]), video([0.0, 0.1, 0.6, 0.4, 0.2, 0.1], [0] * 6)),
    (),
    (),
)


def test_the_gaussian_is_veras():
    np.testing.assert_allclose(
        no_look.position_prior(4), np.exp(-0.5 * np.array([1, 0.25, 0, 0.25])), rtol=1e-12
    )
    np.testing.assert_allclose(
        no_look.position_prior(5), np.exp(-0.5 * np.array([1, 0.25, 0, 0.25, 1])), rtol=1e-12
    )
    assert no_look.position_prior(1).tolist() == [1.0]


def test_figures_counted_by_hand():
    found = no_look.no_look_figures(DATA)
    assert found["base_rate"] == pytest.approx(0.2)
    rows = found["rows"]
    # of 2 positive frames 6 normal ones are below, 2 level; 2 of 4 are called at once
    assert rows[no_look.VIDEO_LABEL]["auc"] == pytest.approx(14 / 16)
    assert rows[no_look.VIDEO_LABEL]["ap"] == pytest.approx(0.5)
    assert rows[no_look.SHORT]["auc"] == pytest.approx(14 / 16)  # the short one is anomalous
    # within it 1, e^-1/8, then e^-1/8, e^-1/2: 6 below both, of the 2 one is below and one level
    assert rows[no_look.LABEL_MIDDLE]["auc"] == pytest.approx((12 + 2 + 1 + 0.5) / 16)
    assert rows[no_look.LABEL_MIDDLE]["auc_anomalous"] == pytest.approx(3.5 / 4)
    assert rows[no_look.LABEL_MIDDLE]["auc_within"] == pytest.approx(3.5 / 4)
    assert rows[no_look.CHANCE] == pytest.approx(
        {"auc": 0.5, "ap": 0.2, "auc_anomalous": 0.5, "ap_anomalous": 0.5, "auc_within": 0.5}
    )


def test_the_scores_beside_them_and_the_gain_over_the_best():
    record = no_look.beside_no_look(DATA, OPTIONS)
    labels = np.concatenate([v.anomalous for v in DATA.videos])
    scores = np.concatenate([v.scores[:, 0] for v in DATA.videos])
    auc, ap = roc_auc_score(labels, scores), average_precision_score(labels, scores)
    assert record["scores"]["auc"] == pytest.approx(auc)
    best = max(row["auc"] for row in record["rows"].values())
    assert record["gain"]["auc"]["row"] == no_look.LABEL_MIDDLE
    assert record["gain"]["auc"]["value"] == pytest.approx(auc - best)
    assert record["gain"]["ap"]["value"] == pytest.approx(
        ap - max(row["ap"] for row in record["rows"].values())
    )
    normal = Evaluated(DATA.videos[1:], (), ())
    record = no_look.beside_no_look(normal, OPTIONS)  # nothing is anomalous: nothing is ranked
    assert np.isnan(record["scores"]["auc"]) and record["gain"] == {"auc": None, "ap": None}


def test_the_auc_within_videos_is_the_mean_of_scikit_learns():
    rng = np.random.default_rng(0)
    scores = [rng.integers(0, 5, n) / 4 for n in (7, 30, 12, 5)]
    labels = [rng.random(len(s)) < 0.4 for s in scores]
    labels[3][:] = True  # of one kind: left out
    own = [roc_auc_score(y, s) for s, y in zip(scores[:3], labels[:3], strict=True)]
    found = within_videos(scores, labels)
    assert found["videos"] == 3 and found["value"] == pytest.approx(np.mean(own))


def test_a_column_of_normality_is_no_anomaly():
    scores = np.array([[0.9, 0.1, 0.3]])
    assert anomaly_score(scores, ("Normal", "riot", "abuse")) == 0.3
    assert anomaly_score(scores[:, :1], ("normal",)) == 0.9
    assert anomaly_score(scores, ()) == 0.9


@pytest.mark.skipif("JAXVLM_VAD_DIR" not in os.environ, reason="needs the published annotations")
@pytest.mark.parametrize(
    ("protocol", "annotations", "counts", "expected"),
    [
        (
            "ucf_crime",
            "ucf_Temporal_Anomaly_Annotation.txt",
            "ucf_frame_counts.csv",
            {no_look.VIDEO_LABEL: (81.6, 18.2), no_look.LABEL_MIDDLE: (86.5, 24.0),
             no_look.SHORT: (65.2, 10.4), no_look.MIDDLE: (61.8, 10.0), no_look.CHANCE: (50, 7.6)},
        ),
        (
            "xd_violence",
            "xd_annotations.txt",
            "xd_frame_counts.csv",
            {no_look.VIDEO_LABEL: (84.9, 49.9), no_look.LABEL_MIDDLE: (87.0, 54.2),
             no_look.SHORT: (58.9, 28.7), no_look.MIDDLE: (54.5, 25.1), no_look.CHANCE: (50, 23.1)},
        ),
    ],
)  # fmt: skip
def test_the_published_benchmarks(protocol, annotations, counts, expected):
    folder = Path(os.environ["JAXVLM_VAD_DIR"])
    result = evaluate_protocol(
        protocol, Sources(folder / annotations, frame_counts=folder / counts)
    )
    rows = result["no_look"]["rows"]
    for name, (auc, ap) in expected.items():
        assert 100 * rows[name]["auc"] == pytest.approx(auc, abs=0.051)
        assert 100 * rows[name]["ap"] == pytest.approx(ap, abs=0.051)
    assert any(no_look.LABEL_MIDDLE in line for line in terminal_lines(result))


def test_no_look_knows_the_base_rate_and_which_videos_are_long():
    lengths, labels = [10, 20, 30, 40], [[0, 1], [0, 1], [1, 0], [1, 1]]
    found = no_look.learned_no_look(lengths, labels, [5, 50])
    np.testing.assert_allclose(found["base rate"], [[0.5, 0.75], [0.5, 0.75]])
    # Videos of the first event are longer, those of the second shorter: Cov = 20, −7.5 / 2.
    np.testing.assert_allclose(found["video length"], [[5, -5], [50, -50]])
