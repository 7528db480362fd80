"""Ground truth from small files in the published forms; the published ones where they are given."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxvlm.data.annotations import AnnotatedSpan
from jaxvlm.errors import InputError
from jaxvlm.evaluation.protocols.conventions import (
    CHOICES,
    Conventions,
    check_conventions,
    snippet_frames,
)
from jaxvlm.evaluation.protocols.ground_truth import (
    frame_labels,
    read_counts,
    read_ground_truth,
)
from jaxvlm.evaluation.protocols.sources import Sources

PUBLISHED = os.environ.get("JAXVLM_VAD_DIR")
UCF = (
    "Abuse900_x264.mp4  Abuse  10  20  40  99\nNormal_Videos_901_x264.mp4  Normal  -1  -1  -1  -1\n"
)
XD = "F__#1_label_B1-G-0 4 8 12 16\n"
XD_CLASSES = "F__#1_label_B1-G-0 B1 4 8 G 6 8 G 12 16\n"


def sources(folder, annotations, counts, **extra):
    (folder / "annotations.txt").write_text(annotations)
    (folder / "counts.csv").write_text("video,frames\n" + counts)
    return Sources(folder / "annotations.txt", frame_counts=folder / "counts.csv", **extra)


def rebuilt(protocol, given, conventions=None):
    return read_ground_truth(protocol, given, read_counts(given), conventions or Conventions())


def test_the_defaults_are_the_first_choices():
    assert all(
        getattr(Conventions(), field) == next(iter(choices)) for field, choices in CHOICES.items()
    )


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ("exclusive", [0, 0, 1, 1, 1, 0, 0, 1, 1, 1]),
        ("inclusive", [0, 0, 1, 1, 1, 1, 0, 1, 1, 1]),
        ("one_based", [0, 1, 1, 1, 1, 0, 1, 1, 1, 1]),
    ],
)
def test_interval_ends(ends, expected):
    intervals = [AnnotatedSpan(2, 5), AnnotatedSpan(7, 99)]
    assert frame_labels(intervals, 10, interval_ends=ends).tolist() == expected


def test_a_one_based_interval_from_frame_0_stays_in_the_video():
    assert frame_labels([AnnotatedSpan(0, 2)], 4, interval_ends="one_based").tolist() == [
        1,
        1,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("tail", "lengths"),
    [("drop", (32, 32)), ("drop_minus_one", (16, 32)), ("pad", (32, 48)), ("keep", (32, 33))],
)
def test_tail(tail, lengths):
    conventions = Conventions(tail=tail)
    assert tuple(snippet_frames(frames, conventions) for frames in (32, 33)) == lengths


def test_ucf_crime(tmp_path):
    given = sources(tmp_path, UCF, "Abuse900_x264,50\nNormal_Videos_901,16\n")
    truth = rebuilt("ucf_crime", given)
    abuse, normal = truth.videos.values()
    assert np.flatnonzero(abuse.anomalous).tolist() == [*range(10, 20), *range(40, 48)]
    assert (abuse.events[:, truth.events.index("Abuse")] == abuse.anomalous).all()
    assert abuse.events.sum() == 18 and len(normal.anomalous) == 16 and not normal.anomalous.any()


def test_xd_violence_videos_are_those_with_a_frame_count(tmp_path):
    given = sources(tmp_path, XD, "N__#1_label_A,16\nF__#1_label_B1-G-0.mp4,16\n")
    truth = rebuilt("xd_violence", given)
    assert list(truth.videos) == ["F__#1_label_B1-G-0", "N__#1_label_A"]
    video = truth.videos["F__#1_label_B1-G-0"]
    assert np.flatnonzero(video.anomalous).tolist() == [4, 5, 6, 7, 12, 13, 14, 15]
    for event in ("fighting", "explosion"):  # an interval without a class counts for both
        assert (video.events[:, truth.events.index(event)] == video.anomalous).all()


def test_xd_violence_intervals_with_classes(tmp_path):
    (tmp_path / "classes.txt").write_text(XD_CLASSES)
    given = sources(
        tmp_path, XD, "F__#1_label_B1-G-0,16\n", class_annotations=tmp_path / "classes.txt"
    )
    truth = rebuilt("xd_violence", given)
    (video,) = truth.videos.values()
    column = {e: np.flatnonzero(video.events[:, i]).tolist() for i, e in enumerate(truth.events)}
    assert column["fighting"] == [4, 5, 6, 7] and column["explosion"] == [6, 7, 12, 13, 14, 15]
    assert column["riot"] == [] and video.anomalous.sum() == 8


@pytest.mark.parametrize(
    ("protocol", "annotations", "counts", "cause"),
    [
        ("ucf_crime", UCF, "Abuse900,64\n", "counts.csv: Normal_Videos_901 is missing"),
        ("ucf_crime", UCF, "Abuse900,64\nNormal_Videos_901,16\nB,9\n", "B has a frame count but"),
        ("ucf_crime", UCF, "Abuse900,5\nNormal_Videos_901,16\n", "interval 40 99 starts after"),
        ("ucf_crime", UCF, "Abuse900,64\nAbuse900_x264,64\n", "Abuse900 is there twice"),
        ("ucf_crime", UCF, "Abuse900,64\nNormal_Videos_901,9\n", "no frames are left"),
        ("xd_violence", XD, "F__#1_label_B1-G-0,16\nF__#2_label_B1-0-0,16\n", "but has no line"),
        ("xd_violence", XD, "F__#1_label_B1-G-0,16\nother,16\n", "has no _label_CODE"),
    ],
)
def test_files_that_do_not_agree(tmp_path, protocol, annotations, counts, cause):
    with pytest.raises(InputError, match=cause):
        rebuilt(protocol, sources(tmp_path, annotations, counts))


def test_an_interval_may_start_in_the_tail_that_is_dropped(tmp_path):
    given = sources(tmp_path, "Abuse900  Abuse  30  32  -1  -1\n", "Abuse900,31\n")
    (video,) = rebuilt("ucf_crime", given).videos.values()
    assert len(video.anomalous) == 16 and not video.anomalous.any()


def test_class_files_that_differ(tmp_path):
    (tmp_path / "classes.txt").write_text("F__#2_label_B1-0-0 B1 0 3\n")
    given = sources(
        tmp_path, XD, "F__#1_label_B1-G-0,16\n", class_annotations=tmp_path / "classes.txt"
    )
    with pytest.raises(InputError, match="is not in both files"):
        rebuilt("xd_violence", given)


def lists(folder, *, order="two,Abuse\none,Normal\n", truth=(0, 1, 1, 0, 0)):
    np.save(folder / "gt.npy", np.array(truth))
    (folder / "list.csv").write_text("path,label\n" + order)
    (folder / "counts.csv").write_text("video,frames\none,2\ntwo,3\n")
    return Sources(
        folder / "gt.npy", video_list=folder / "list.csv", frame_counts=folder / "counts.csv"
    )


def test_one_array_in_the_order_of_a_list(tmp_path):
    truth = rebuilt("lists", lists(tmp_path))
    assert {k: v.anomalous.tolist() for k, v in truth.videos.items()} == {
        "two": [False, True, True],
        "one": [False, False],
    }
    assert truth.events == ("Abuse",) and truth.videos["two"].events.sum() == 2


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"truth": (0, 1, 1, 0)}, "4 frames, but the 2 videos"),
        ({"order": "two,Normal\none,Normal\n"}, "two is normal there"),
        ({"order": "two,Abuse\nthree,Normal\n"}, "three has no frame count"),
    ],
)
def test_lists_that_do_not_agree(tmp_path, change, cause):
    with pytest.raises(InputError, match=cause):
        rebuilt("lists", lists(tmp_path, **change))


def test_an_array_without_a_list(tmp_path):
    with pytest.raises(InputError, match="give --video_list"):
        rebuilt("lists", lists(tmp_path)._replace(video_list=None))


def test_unknown_choices():
    with pytest.raises(InputError, match="tail 'cut': unknown; use one of drop"):
        check_conventions(Conventions(tail="cut"))
    with pytest.raises(InputError, match="at least 1"):
        check_conventions(Conventions(snippet_frames=0))


@pytest.mark.skipif(
    not PUBLISHED, reason="needs the published annotation files, set JAXVLM_VAD_DIR"
)
@pytest.mark.parametrize(
    ("protocol", "annotations", "counts", "videos", "frames", "anomalous"),
    [
        ("ucf_crime", "ucf_Temporal_Anomaly_Annotation.txt", "ucf", 290, 1_109_680, 84_128),
        ("xd_violence", "xd_annotations.txt", "xd", 800, 2_330_384, 537_805),
    ],
)
def test_published_totals(protocol, annotations, counts, videos, frames, anomalous):
    folder = Path(PUBLISHED)
    given = Sources(folder / annotations, frame_counts=folder / f"{counts}_frame_counts.csv")
    truth = rebuilt(protocol, given).videos.values()
    assert len(truth) == videos
    assert sum(len(video.anomalous) for video in truth) == frames
    assert sum(video.anomalous.sum() for video in truth) == anomalous
