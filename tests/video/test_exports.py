"""Detections for editors, players and benchmarks: by hand, and by the readers of those formats."""

import json

import av
import opentimelineio
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.video import export_formats, export_kinds, exporting
from jaxvlm.video.detections import Detection
from jaxvlm.video.export_formats import Clip, Exported
from jaxvlm.video.result import Finding
from jaxvlm.video.scored_folder import Done
from jaxvlm.video.timecodes import Clock, rate_of
from tests.pages.test_video_page import video

EVENTS = ("riot", "fight")


def found(*spans, event="fight", reasons="fists (direct +1.00)"):
    return [
        Exported(Detection(event, 0, 1, 0, float(a), float(b), 0.75), reasons) for a, b in spans
    ]


def clip(fps, frames=None, name="a.mp4", url="../a.mp4"):
    return Clip(name, url, Clock(rate_of(fps), frames))


def test_an_edl_of_29_97_frames_a_second_by_hand():
    text = export_formats.edl_text(clip(29.97), found((60, 62), (601, 602.5)))
    # 60 s are 1798.2 frames, 62 s 1858.1; 601 s 18012.0 and 602.5 s 18056.9.
    assert text.splitlines() == [
        "TITLE: a.mp4",
        "FCM: DROP FRAME",
        "",
        "001  AX       V     C        00:00:59;28 00:01:02;00 01:00:00;00 01:00:02;00",
        "* FROM CLIP NAME: a.mp4",
        "* COMMENT: fight, P 0.75, fists (direct +1.00)",
        "",
        "002  AX       V     C        00:10:01;00 00:10:02;15 01:00:02;00 01:00:03;15",
        "* FROM CLIP NAME: a.mp4",
        "* COMMENT: fight, P 0.75, fists (direct +1.00)",
    ]


def test_an_edl_ends_where_the_video_does_and_a_cut_has_a_frame():
    text = export_formats.edl_text(clip(25, frames=60), found((1, 3), (2.9, 3), (0.5, 0.5)))
    codes = [line.split()[4:6] for line in text.splitlines() if line[:1] == "0"]
    assert codes == [
        ["00:00:01:00", "00:00:02:10"],
        ["00:00:02:09", "00:00:02:10"],
        ["00:00:00:13", "00:00:00:14"],
    ]
    assert "FCM: NON-DROP FRAME" in text


def test_a_name_begins_no_line_of_its_own():
    nasty = "a\n002  AX\r.mp4"
    for text in (
        export_formats.edl_text(clip(25, name=nasty), found((0, 1), event=nasty)),
        export_formats.vtt_text(found((0, 1), event="x\n\n00:00 --> <b>")),
        export_formats.ffmetadata_text(found((0, 1), event="x\n[CHAPTER]=;")),
    ):
        assert not [line for line in text.splitlines() if line.startswith(("002", "<b", "00:00 "))]
        assert text.count("\n[CHAPTER]\n") <= 1 and "<b>" not in text


def test_otio_is_what_opentimelineio_reads():
    text = export_formats.otio_text(clip(29.97, frames=900), found((1, 2), (5, 7)), EVENTS)
    timeline = opentimelineio.adapters.read_from_string(text, "otio_json")
    (track,) = timeline.video_tracks()
    (item,) = track
    rate = 30000 / 1001
    assert item.duration() == opentimelineio.opentime.RationalTime(900, rate)
    assert item.media_reference.target_url == "../a.mp4"
    assert [
        (m.name, m.color, m.marked_range.start_time.value, m.marked_range.duration.value)
        for m in item.markers
    ] == [("fight", "BLUE", 30, 30), ("fight", "BLUE", 150, 60)]
    assert item.markers[0].metadata["jaxvlm"]["probability"] == 0.75
    assert item.markers[0].comment == "fists (direct +1.00)"
    # Nothing that it does not know, and nothing that it would add.
    assert json.loads(timeline.to_json_string()) == json.loads(text)
    gone = export_formats.otio_text(clip(25, url=None), found((1, 2)), EVENTS)
    (item,) = opentimelineio.adapters.read_from_string(gone, "otio_json").video_tracks()[0]
    assert item.media_reference.is_missing_reference
    assert json.loads(item.to_json_string())["OTIO_SCHEMA"] == "Clip.2"


def test_activitynet_has_the_form_of_its_evaluation():
    """As `eval_detection.py` reads it: version, results, external_data; label, score, segment."""
    told = export_formats.activitynet({"cam/a": found((1, 2.5)), "b": []})
    assert set(told) == {"version", "results", "external_data"}
    assert told["version"] == "VERSION 1.3" and told["external_data"]["used"] is False
    row = {"label": "fight", "score": 0.75, "segment": [1.0, 2.5]}
    assert told["results"] == {"cam/a": [row], "b": []}


def test_chapters_do_not_overlap_and_are_called_after_the_strongest():
    own = [*found((0, 4), event="riot"), *found((3, 6)), *found((6, 7)), *found((9, 10))]
    own[1] = own[1]._replace(detection=own[1].detection._replace(probability=0.9))
    assert export_formats.chapters(own) == [
        (0, 6, "fight, riot"),
        (6, 7, "fight"),
        (9, 10, "fight"),
    ]
    many = [*found((0, 4), event="a"), *(e for n in "bcde" for e in found((0, 4), event=n))]
    assert export_formats.chapters(many) == [(0, 4, "a, b, c and 2 more")]
    assert export_formats.vtt_text(found((0, 3661.5), event="a & b")) == (
        "WEBVTT\n\n00:00:00.000 --> 01:01:01.500\na &amp; b\n"
    )


def test_ffmpeg_reads_the_chapters(tmp_path):
    path = tmp_path / "c.ffmetadata"
    path.write_text(export_formats.ffmetadata_text(found((1, 2.5), event="a=b;c#d\\e")))
    with av.open(str(path), format="ffmetadata") as container:
        (chapter,) = container.chapters()
    seconds = [float(chapter[key] * chapter["time_base"]) for key in ("start", "end")]
    assert seconds == [1.0, 2.5] and chapter["metadata"]["title"] == "a=b;c#d\\e"


def test_files_are_written_and_addresses_move_with_the_folder(tmp_path):
    out, file = tmp_path / "out", tmp_path / "my clips" / "a#1.mp4"
    writer = exporting.Exports(out, [*export_kinds.KINDS, "edl"], ["explosion", "riot <&>"])
    report = video("cam/a")
    assert [f.detection[:3] for f in report.findings] == [("explosion", 12, 19)]
    writer.add(Done(report, out / "cam" / "a", file, None))
    writer.add(Done(video("b", detected=False), out / "b", None, 30.0))
    writer.finish()
    names = {"detections.edl", "detections.otio", "chapters.vtt", "chapters.ffmetadata"}
    for folder in (out / "cam" / "a", out / "b"):
        assert {path.name for path in folder.iterdir()} - {".jaxvlm-written.json"} == names
    told = files.read_json(out / "activitynet.json")["results"]
    assert told == {
        "cam/a": [{"label": "explosion", "score": 0.9, "segment": [12.0, 19.0]}], "b": []
    }  # fmt: skip
    (row,) = pd.read_csv(out / "timecodes.csv").to_dict("records")
    assert (row["start_timecode"], row["end_frame"]) == ("00:00:12:00", 19 * 25)
    text = (out / "cam" / "a" / "detections.otio").read_text()
    assert '"target_url": "../../../my%20clips/a%231.mp4"' in text


def test_an_address_that_only_this_machine_has_is_none(tmp_path):
    assert exporting.relative_url(None, tmp_path) is None
    assert exporting.relative_url("/a/b.mp4", "/c/out") is None
    assert exporting.relative_url("/a/b.mp4", "/a/out/x") == "../../b.mp4"


def test_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="--export=fcp.*edl, otio, chapters, activitynet, csv"):
        exporting.Exports(tmp_path, ["fcp"], EVENTS)
    (tmp_path / "timecodes.csv").write_text("mine")
    with pytest.raises(InputError, match="timecodes.csv"):
        exporting.Exports(tmp_path, ["csv"], EVENTS)


def test_nothing_is_kept_of_a_video_without_export(tmp_path):
    writer = exporting.Exports(tmp_path, [], EVENTS)
    writer.add(Done(video("a")._replace(findings=(Finding(None),)), tmp_path / "a", None, None))
    writer.finish()
    assert not list(tmp_path.iterdir())
