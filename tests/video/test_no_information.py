"""When every event fires everywhere, and that nothing is kept of a video for its page."""

import gc
import weakref

import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.video import scored_folder
from jaxvlm.video.doubts import fires_everywhere, no_information, often_detected
from tests.video.test_scored_folder import ROLES, scorer, videos  # noqa: F401


def test_an_event_counts_from_half_of_the_frames_on():
    probability = np.array([[0.9, 0.5, 0.9, 0.4], [0.9, 0.5, 0.1, 0.4], [0.9, 0.1, 0.1, 0.4],
                            [0.9, 0.1, 0.1, 0.4]])  # fmt: skip
    assert often_detected(probability, 0.5) == 2  # 4 and 2 of 4 frames; not 1 and 0
    assert often_detected(probability, 0.8) == 1
    assert often_detected(probability, 0.0) == 2, "a lower threshold says nothing of P"


@pytest.mark.parametrize(
    ("events", "least"), [(1, 2), (2, 2), (3, 2), (4, 2), (5, 3), (6, 3), (13, 7)]
)
def test_half_of_the_events_and_two_of_them(events, least):
    assert [n for n in range(15) if fires_everywhere(n, events)] == list(range(least, 15))


def test_more_than_half_of_the_videos():
    assert no_information([13, 0], 13) == [] == no_information([], 13)
    (line,) = no_information([13, 7, 6], 13)
    assert "in 2 of 3 videos 7 or more of 13 events are detected on most frames" in line
    assert "the encoder or the neutral prompts do not fit" in line
    (line,) = no_information([2], 2)
    assert "in the video all 2 events" in line


def test_it_is_told_of_a_folder(scorer, videos, tmp_path):  # noqa: F811
    """Presence read off cosines is above ½ for every atom, whatever is seen; nothing counters."""
    told, text = {}, ROLES.replace(", counter: [balloons]", "")
    for kind in ("cosine", "contrast"):
        result = scored_folder.score_videos(videos, tmp_path / kind, scorer(kind=kind, text=text))
        told[kind] = [line for line in result.warnings if "carry no information" in line]
    assert told["contrast"] == []
    (line,) = told["cosine"]
    assert "in 3 of 3 videos all 2 events" in line
    assert line in files.read_json(tmp_path / "cosine" / "run.json")["warnings"]


def test_no_video_is_kept_for_its_page(scorer, videos, tmp_path):  # noqa: F811
    alive, most = [], []

    def take(done):
        assert (done.folder / "events.csv").is_file() and done.file.is_file()
        gc.collect()
        most.append(sum(reference() is not None for reference in alive))
        arrays = [done.video.probability, done.video.segment_presence]
        arrays += [p.image for f in done.video.findings for p in f.thumbnails]
        alive.extend(weakref.ref(array) for array in arrays)

    result = scored_folder.score_videos(
        videos, tmp_path / "o", scorer(), threshold=0.0, on_scored=take
    )
    gc.collect()
    assert len(alive) > 6 and most == [0, 0, 0]
    assert not any(reference() is not None for reference in alive)
    assert result.videos == [] and result.names == ["b", "cam1/a", "cam2/a"]
    assert len(result.sentences(0.0)) == 6
    kept = scored_folder.score_videos(videos, tmp_path / "k", scorer(), threshold=0.0)
    assert kept.sentences(0.0) == result.sentences(0.0)
    tables = [(tmp_path / out / "detections.json").read_bytes() for out in "ok"]
    assert tables[0] == tables[1]
