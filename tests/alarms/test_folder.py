"""An alarm on the disk: its record, its picture and a clip that plays."""

import json

import av
import cv2
import numpy as np
import pytest

from jaxvlm import bounds
from jaxvlm.alarms.clips import write_clip
from jaxvlm.alarms.folder import AlarmFolder, place_of
from jaxvlm.alarms.outlets import Outlets, Shown
from jaxvlm.alarms.pictures import SIDE, Picture, Ring, picture_of
from jaxvlm.alarms.record import Alarm, alarm_id, message_of
from jaxvlm.errors import InputError


def level(value, seconds, size=(48, 64)):
    return picture_of(np.full((*size, 3), value, np.uint8), seconds)


def alarm(state="start", **fields):
    told = {
        "id": "0" * 16, "camera": "gate", "source": "rtsp://h/…", "event": "fire", "state": state,
        "started": "2026-01-02T03:04:05.000+00:00", "ended": None, "start_seconds": 10.0,
        "end_seconds": None, "probability": 0.9, "peak_probability": 0.9, "because": [],
    }  # fmt: skip
    return Alarm(**told | fields)


def shown_levels(path):
    """(seconds, mean grey) of every frame of a clip."""
    with av.open(str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), float(frame.to_ndarray(format="gray").mean()))
            for frame in container.decode(video=0)
        ]


def test_pictures_are_small_and_upright():
    image = np.zeros((480, 1920, 3), np.uint8)
    image[:, 960:, 0] = 255  # the right half is red
    back = cv2.imdecode(np.frombuffer(picture_of(image, 1.0).jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == (160, SIDE, 3)
    assert back[80, 600, 2] > 200 and back[80, 40, 2] < 50 and back[80, 600, 0] < 50


def test_a_ring_keeps_seconds_within_bytes(monkeypatch):
    ring = Ring(5.0)
    assert ring.newest() is None
    for n in range(20):
        ring.add(Picture(0.5 * n, b"12345"))
    assert [p.seconds for p in ring.pictures] == [4.5 + 0.5 * n for n in range(11)]
    assert ring.size == 55 and ring.newest().seconds == 9.5
    assert [p.seconds for p in ring.between(8.0, 9.0)] == [8.0, 8.5, 9.0]
    monkeypatch.setattr(bounds, "CLIP_BYTES", 20)
    ring.add(Picture(10.0, b"12345"))
    assert len(ring.pictures) == 4 and ring.size == 20


def test_a_clip_shows_each_picture_at_its_time(tmp_path):
    seconds = [2.0, 2.5, 4.0, 4.25]
    write_clip(tmp_path / "a.mp4", [level(60 * n, s, (49, 65)) for n, s in enumerate(seconds)])
    found = shown_levels(tmp_path / "a.mp4")
    assert [s for s, _ in found] == pytest.approx([0, 0.5, 2.0, 2.25, 2.5], abs=2e-3)
    assert [g for _, g in found] == pytest.approx([0, 60, 120, 180, 180], abs=3)
    with pytest.raises(ValueError, match="no pictures"):
        write_clip(tmp_path / "b.mp4", [])


def test_an_alarm_is_written_as_it_goes_on(tmp_path):
    folder = AlarmFolder(tmp_path / "alarms", before=2.0, after=3.0)
    outlets = Outlets(folder, seconds=5.0)
    outlets.begin([Shown("gate", 1.0, ["fire"], [])])

    def see(second):
        pictures = [level(10 * second, float(second)), level(10 * second + 5, second + 0.5)]
        outlets.seen("gate", pictures, second + 0.5, latency=0.1, dropped=0)

    for second in range(10):
        see(second)
    outlets.alarm(alarm(start_seconds=9.5))
    place = tmp_path / "alarms" / "gate" / "2026-01-02" / ("0" * 16)
    assert place == tmp_path / "alarms" / place_of(alarm())
    first = json.loads((place / "alarm.json").read_text())
    assert (first["state"], first["ended"], first["snapshot"]) == ("start", None, "snapshot.jpg")
    newest = cv2.imread(str(place / "snapshot.jpg"))
    assert newest.mean() == pytest.approx(95, abs=2)
    assert not (place / "clip.mp4").exists()
    for second in range(10, 14):
        see(second)
    outlets.alarm(alarm("end", start_seconds=9.5, end_seconds=13.5, ended_by="probability"))
    outlets.close()
    last = json.loads((place / "alarm.json").read_text())
    assert (last["state"], last["end_seconds"], last["id"]) == ("end", 13.5, first["id"])
    # From 7.5 to 12.5, half a second each; the last frame ends the last picture.
    assert len(shown_levels(place / "clip.mp4")) == 11 + 1
    names = {path.name for path in place.iterdir()}
    assert names == {"alarm.json", "snapshot.jpg", "clip.mp4", ".jaxvlm-written.json"}


def test_a_source_that_is_over_has_the_clip_that_there_is(tmp_path):
    outlets = Outlets(AlarmFolder(tmp_path, before=1.0, after=60.0), seconds=61.0)
    outlets.begin([Shown("gate", 1.0, ["fire"], [])])
    outlets.seen("gate", [level(50, 9.5), level(60, 10.0)], 10.0, latency=0.0, dropped=0)
    outlets.alarm(alarm())
    outlets.close()
    (clip,) = tmp_path.rglob("clip.mp4")
    assert len(shown_levels(clip)) == 3


def test_what_a_user_has_there_stays(tmp_path):
    (tmp_path / place_of(alarm())).mkdir(parents=True)
    mine = tmp_path / place_of(alarm()) / "alarm.json"
    mine.write_text("mine")
    outlets = Outlets(AlarmFolder(tmp_path, before=1.0, after=1.0), seconds=2.0)
    outlets.begin([Shown("gate", 1.0, ["fire"], [])])
    with pytest.raises(InputError, match="not written by jaxvlm"):
        outlets.alarm(alarm())
    outlets.close()
    assert mine.read_text() == "mine"


def test_ids_are_of_the_run_the_camera_the_event_and_the_frame():
    others = [("q", "c", "e", 1), ("r", "ce", "", 1), ("r", "c", "e", 2)]
    ids = [alarm_id(*values) for values in [("r", "c", "e", 1), *others]]
    assert len(set(ids)) == 4 and ids[0] == alarm_id("r", "c", "e", 1)
    assert all(len(one) == 16 and set(one) <= set("0123456789abcdef") for one in ids)


def test_a_message_has_the_alarm_and_its_picture():
    value = json.loads(message_of(alarm(), "gate/x", b"\xff\xd8"))
    assert value["type"] == "alarm.start" and value["timestamp"] == alarm().started
    assert value["data"]["snapshot_jpeg"] == "/9g=" and value["data"]["folder"] == "gate/x"
    assert value["data"]["event"] == "fire"
    assert json.loads(message_of(alarm(), None, None))["data"]["snapshot_jpeg"] is None
