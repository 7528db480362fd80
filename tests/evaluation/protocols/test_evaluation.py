"""Small benchmarks whose figures can be counted by hand or by scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxvlm.errors import InputError
from jaxvlm.evaluation.protocols.conventions import Conventions
from jaxvlm.evaluation.protocols.evaluation import evaluate_protocol
from jaxvlm.evaluation.protocols.sources import Sources
from jaxvlm.evaluation.protocols.tables import terminal_lines
from tests.evaluation.small_benchmark import NAMES, write_annotations

FRAMES = 64
TRUTH = {"Abuse900": range(16, 32), "Arson901": range(0, 48), "Normal_Videos_902": ()}


@pytest.fixture
def benchmark(tmp_path):
    """Three videos of 64 frames, a score per snippet."""
    annotations = write_annotations(tmp_path, TRUTH)
    (tmp_path / "counts.csv").write_text(
        "video,frames,anomalous_frames\nAbuse900,64,16\nArson901,64,48\nNormal_Videos_902,64,1\n"
    )
    (tmp_path / "scores").mkdir()
    rng = np.random.default_rng(3)
    for name in NAMES:
        np.save(tmp_path / "scores" / f"{name}_x264.npy", rng.random(4))
    return Sources(
        annotations,
        frame_counts=tmp_path / "counts.csv",
        scores_dir=tmp_path / "scores",
    )


def expected(sources, names, anomalous=NAMES):
    """AUC and AP of some videos, where the frames of ``anomalous`` count as such."""
    labels, scores = [], []
    for name in names:
        inside = np.isin(np.arange(FRAMES), TRUTH[name]) if name in anomalous else np.zeros(FRAMES)
        labels.append(inside)
        scores.append(np.repeat(np.load(sources.scores_dir / f"{name}_x264.npy"), 16))
    labels, scores = np.concatenate(labels), np.concatenate(scores)
    return roc_auc_score(labels, scores), average_precision_score(labels, scores)


def values(record):
    return record["auc"]["value"], record["ap"]["value"]


def test_overall_anomalous_videos_and_classes(benchmark):
    result = evaluate_protocol("ucf_crime", benchmark, num_resamples=20)
    assert result["truth"]["frames"] == 192 and result["truth"]["anomalous_frames"] == 64
    assert result["truth"]["frame_counts_agree"] == 2  # the third row states a wrong number
    assert result["conventions"]["score_unit"] == "snippet"
    assert values(result["overall"]) == pytest.approx(expected(benchmark, NAMES))
    assert values(result["anomalous_videos"]) == pytest.approx(expected(benchmark, NAMES[:2]))
    abuse = expected(benchmark, ("Abuse900", "Normal_Videos_902"))
    arson = expected(benchmark, ("Arson901", "Normal_Videos_902"))
    assert values(result["classes"]["Abuse"]) == pytest.approx(abuse)
    assert values(result["classes"]["Arson"]) == pytest.approx(arson)
    assert np.isnan(result["classes"]["Robbery"]["auc"]["value"])
    mean = result["mean_of_classes"]
    assert (mean["auc"], mean["ap"]) == pytest.approx(tuple(np.mean([abuse, arson], axis=0)))
    low, high = result["overall"]["auc"]["low"], result["overall"]["auc"]["high"]
    assert 0 <= low < result["overall"]["auc"]["value"] < high <= 1


@pytest.mark.parametrize(
    ("negatives", "names", "anomalous"),
    [("own", ("Abuse900",), NAMES), ("all", NAMES, ("Abuse900",))],
)
def test_negatives_of_a_class(benchmark, negatives, names, anomalous):
    result = evaluate_protocol(
        "ucf_crime", benchmark, Conventions(class_negatives=negatives), num_resamples=0
    )
    found = values(result["classes"]["Abuse"])
    assert found == pytest.approx(expected(benchmark, names, anomalous))


def test_a_class_is_ranked_by_the_column_of_its_name(benchmark, tmp_path):
    folder = tmp_path / "events"
    columns = {}
    for index, name in enumerate(NAMES):
        columns[name] = np.random.default_rng(index).random((4, 2))
        table = pd.DataFrame(columns[name], columns=["ABUSE", "vandalism"])
        table.insert(0, "time_seconds", np.arange(4) * 16 / 30)
        (folder / name).mkdir(parents=True)
        table.to_csv(folder / name / "events.csv", index=False)
    result = evaluate_protocol("ucf_crime", benchmark._replace(scores_dir=folder), num_resamples=0)
    assert result["scores"]["video_fps"] == 30 and result["conventions"]["score_unit"] == "time"
    assert result["classes"]["Abuse"]["ranked_by"] == "ABUSE"
    assert result["classes"]["Arson"]["ranked_by"] == "highest of all"
    own = np.concatenate([columns["Abuse900"], columns["Normal_Videos_902"]]).repeat(16, axis=0)
    labels = np.isin(np.arange(128), TRUTH["Abuse900"])
    assert values(result["classes"]["Abuse"])[0] == pytest.approx(roc_auc_score(labels, own[:, 0]))
    highest = np.concatenate([columns[name].max(axis=1) for name in NAMES]).repeat(16)
    labels = np.concatenate([np.isin(np.arange(64), TRUTH[name]) for name in NAMES])
    assert values(result["overall"])[0] == pytest.approx(roc_auc_score(labels, highest))


def test_videos_without_scores_and_scores_without_video(benchmark):
    (benchmark.scores_dir / "Arson901_x264.npy").unlink()
    with pytest.raises(InputError, match=r"no scores of Arson901 \(1 of 3 videos have none\)"):
        evaluate_protocol("ucf_crime", benchmark)
    result = evaluate_protocol("ucf_crime", benchmark, partial=True, num_resamples=5)
    assert result["truth"]["videos"] == 2 and result["scores"]["only_scored_videos"]
    assert "only the videos that have scores" in "\n".join(terminal_lines(result))
    np.save(benchmark.scores_dir / "Arson999.npy", np.zeros(4))
    with pytest.raises(InputError, match="Arson999 is not in .*annotations.txt"):
        evaluate_protocol("ucf_crime", benchmark, partial=True)


def test_frame_counts_may_come_from_the_scores(benchmark):
    unknown = benchmark._replace(frame_counts=None)
    with pytest.raises(InputError, match="give --frame_counts"):
        evaluate_protocol("ucf_crime", unknown)
    result = evaluate_protocol(
        "ucf_crime", unknown, Conventions(score_unit="snippet"), num_resamples=5
    )
    given = evaluate_protocol("ucf_crime", benchmark, num_resamples=5)
    assert result["overall"] == given["overall"]


def test_lists_find_the_lengths_in_the_scores(benchmark, tmp_path):
    truth = [np.isin(np.arange(FRAMES), TRUTH[name]) for name in NAMES]
    np.save(tmp_path / "gt.npy", np.concatenate(truth).astype(float))
    (tmp_path / "test.list").write_text("".join(f"{name}_x264_i3d.npy\n" for name in NAMES))
    given = Sources(
        tmp_path / "gt.npy", video_list=tmp_path / "test.list", scores_dir=benchmark.scores_dir
    )
    result = evaluate_protocol("lists", given, num_resamples=5)
    assert values(result["overall"]) == pytest.approx(expected(benchmark, NAMES))
    assert values(result["anomalous_videos"]) == pytest.approx(expected(benchmark, NAMES[:2]))
    assert result["classes"] == {} and "mean_of_classes" not in result
    parts = [np.load(benchmark.scores_dir / f"{name}_x264.npy") for name in NAMES]
    np.save(tmp_path / "pred.npy", np.concatenate(parts))
    one = given._replace(
        scores_dir=None, scores_npy=tmp_path / "pred.npy", frame_counts=benchmark.frame_counts
    )
    assert evaluate_protocol("lists", one, num_resamples=5)["overall"] == result["overall"]
    with pytest.raises(InputError, match="need --protocol=lists"):
        evaluate_protocol("ucf_crime", one)


def test_without_scores_the_ground_truth_is_told(benchmark):
    result = evaluate_protocol("ucf_crime", benchmark._replace(scores_dir=None))
    text = "\n".join(terminal_lines(result))
    assert "3 videos (2 anomalous), 192 frames, 64 anomalous" in text
    assert "interval_ends: exclusive" in text and "equal for 2 of 3 videos" in text
    assert "Arson: 1 video, 48 frames" in text and "overall" not in result


def test_flags_that_are_missing_or_too_many(benchmark):
    with pytest.raises(InputError, match="needs --annotations"):
        evaluate_protocol("ucf_crime", benchmark._replace(annotations=None))
    with pytest.raises(InputError, match="give one of them"):
        evaluate_protocol("ucf_crime", benchmark._replace(scores_npy="pred.npy"))
