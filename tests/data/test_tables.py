"""Tables are small texts; what they must mean is written beside them."""

import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.data import tables
from jaxvlm.errors import InputError

EVENTS = ("riot", "car accident")


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def fails(call, path, *causes):
    """One line that starts with the file, holds the causes and a cure."""
    with pytest.raises(InputError) as error:
        call()
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message and "; " in message
    for cause in causes:
        assert cause in message


def test_event_labels(tmp_path):
    path = write(
        tmp_path / "l.csv", 'video_id,car accident,riot\na,1,0\n007, TRUE ,no\n\n"b,c",Yes,False\n'
    )
    table = tables.read_event_labels(path, EVENTS)
    assert list(table) == ["video_id", "riot", "car accident"]
    assert table["video_id"].tolist() == ["a", "007", "b,c"]
    assert table[list(EVENTS)].to_numpy().tolist() == [[0, 1], [0, 1], [0, 1]]
    assert table["riot"].dtype == np.uint8
    assert list(tables.read_event_labels(path)) == ["video_id", "car accident", "riot"]


def test_event_labels_with_byte_order_mark(tmp_path):
    path = write(tmp_path / "l.csv", "\ufeffvideo_id,riot\r\na,1\r\n")
    assert tables.read_event_labels(path)["riot"].tolist() == [1]


def test_frame_labels(tmp_path):
    path = write(tmp_path / "l.csv", "video_id,frame,riot\na,0,1\na,1,0\nb,0,0\n")
    table = tables.read_event_labels(path, ["riot"])
    assert table["frame"].tolist() == [0, 1, 0] and table["riot"].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("video_id,riot\na,1\n", ["no column 'car accident'"]),
        ("video_id,riot,car acident\na,1,0\n", ["no column 'car accident'", "'car acident'"]),
        ("video_id,riot,car accident,age\na,1,0,3\n", ["unexpected column 'age'"]),
        ("video_id,riot,car accident,riots\na,1,0,0\n", ["'riots'", "did you mean 'riot'"]),
        ("video,riot,car accident\na,1,0\n", ["no column 'video_id'", "is it 'video'"]),
        ("video_id,riot,riot,car accident\na,1,0,1\n", ["'riot' is unnamed or repeated"]),
        ("video_id,riot,car accident\na,1,0\nb,2,0\n", ["row 3, column riot", "'2' is no 0/1"]),
        ("video_id,riot,car accident\na,,0\n", ["row 2, column riot", "'' is no 0/1"]),
        ("video_id,riot,car accident\na,1\n", ["row 2, column car accident"]),
        ("video_id,riot,car accident\na,1,0,1\n", ["not a CSV table"]),
        ("video_id,riot,car accident\na,1,0\nb,0,0\na,0,0\n", ["row 4: a is there twice"]),
        ("video_id,riot,car accident\n,1,0\n", ["row 2: no video_id"]),
        ("video_id,frame,riot,car accident\na,x,0,1\n", ["row 2, column frame", "'x'"]),
        ("video_id,frame,riot,car accident\na,-1,0,1\n", ["row 2, column frame", "'-1'"]),
        ("video_id,frame,riot,car accident\na,inf,0,1\n", ["row 2, column frame", "'inf'"]),
        ("video_id,frame,riot,car accident\na,1e300,0,1\n", ["row 2, column frame", "'1e300'"]),
        ("video_id,frame,riot,car accident\na,1,0,1\na,1,0,1\n", ["row 3: a 1 is there twice"]),
        ("video_id,riot,car accident\n", ["a header and no rows"]),
        ("", ["not a CSV table"]),
    ],
)
def test_bad_event_labels(tmp_path, text, causes):
    path = write(tmp_path / "l.csv", text)
    fails(lambda: tables.read_event_labels(path, EVENTS), path, *causes)


def test_labels_need_an_event_and_a_file(tmp_path):
    path = write(tmp_path / "l.csv", "video_id\na\n")
    fails(lambda: tables.read_event_labels(path), path, "no event column")
    fails(lambda: tables.read_event_labels(tmp_path / "no.csv"), tmp_path / "no.csv", "no such")


def test_intervals(tmp_path):
    path = write(
        tmp_path / "i.csv",
        "video_id,event,start_seconds,end_seconds\n"
        "a,riot,1,2.5\na,car accident,0,1\na,riot,3,3.5\n",
    )
    intervals = tables.read_intervals(path, EVENTS)
    assert intervals["end_seconds"].tolist() == [2.5, 1, 3.5]
    # Half open: the accident is over at 1 s, the riot at 2.5 s.
    frames = tables.intervals_to_frames(intervals, [0, 0.5, 1, 2, 2.5, 3], EVENTS)
    assert frames.dtype == np.uint8
    assert frames.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0], [0, 0], [1, 0]]
    assert tables.intervals_to_frames(intervals, [0, 2], ["riot"]).tolist() == [[0], [1]]


def test_no_interval_at_all(tmp_path):
    path = write(tmp_path / "i.csv", "video_id,event,start_seconds,end_seconds\n")
    intervals = tables.read_intervals(path, EVENTS)
    assert tables.intervals_to_frames(intervals, [0, 1], EVENTS).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("row", "causes"),
    [
        ("a,roit,0,1", ["row 2", "unknown event 'roit'", "did you mean 'riot'"]),
        ("a,riot,x,1", ["row 2, column start_seconds", "'x'"]),
        ("a,riot,0,nan", ["row 2, column end_seconds", "'nan'"]),
        ("a,riot,2,1", ["row 2", "start ≤ end"]),
        ("a,riot,-1,1", ["row 2", "0 ≤ start"]),
    ],
)
def test_bad_intervals(tmp_path, row, causes):
    path = write(tmp_path / "i.csv", f"video_id,event,start_seconds,end_seconds\n{row}\n")
    fails(lambda: tables.read_intervals(path, EVENTS), path, *causes)


def test_manifest_round_trip_and_moved_folder(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out / "a b", out / "c", elsewhere):
        folder.mkdir(parents=True)
    label = write(out / "a b" / "labels.csv", "")
    runs = [
        tables.Run(out / "a b", label),
        tables.Run(out / "c", None),
        tables.Run(elsewhere, None),
    ]
    tables.write_manifest(out / "manifest.csv", runs)
    assert (out / "manifest.csv").read_text().splitlines() == [
        "run_dir,labels_csv",
        "a b,a b/labels.csv",
        "c,",
        f"{elsewhere.as_posix()},",
    ]
    assert tables.read_manifest(out / "manifest.csv") == runs

    moved = out.rename(tmp_path / "moved")
    assert tables.read_manifest(moved / "manifest.csv")[0].labels_csv == (
        moved / "a b" / "labels.csv"
    )


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("run_dir,labels_csv\na,\nmissing,\n", ["row 3", "no such run 'missing'"]),
        (f"run_dir,labels_csv\n{'x' * 5000},\n", ["row 2", "no such run 'xxx"]),
        ("run_dir,labels_csv\na\n,b\n", ["row 3", "no such run ''"]),
        ("run_dir,labels_csv\na,none.csv\n", ["row 2", "no such label file 'none.csv'"]),
        ("run_dir,labels_csv\na,\n./a,\n", ["row 3", "'./a' is there twice"]),
        ("run_dirs,labels_csv\na,\n", ["no column 'run_dir'", "is it 'run_dirs'"]),
        ("run_dir,labels_csv\n", ["no rows"]),
    ],
)
def test_bad_manifest(tmp_path, text, causes):
    (tmp_path / "a").mkdir()
    path = write(tmp_path / "m.csv", text)
    fails(lambda: tables.read_manifest(path), path, *causes)


def pack(folder, pbar, labels):
    files.write_arrays(folder / "trainpack.safetensors", {"pbar": pbar, "labels": labels})
    return tables.Run(folder, None)


def test_trainpacks(tmp_path):
    runs = [
        pack(tmp_path / "a", np.full((3, 2), 0.5), np.array([0, 0, 1], np.int32)),
        pack(tmp_path / "b", np.zeros((1, 2), np.float32), np.array([1], np.int32)),
    ]
    a, b = tables.read_trainpacks(runs)
    assert a.pbar.dtype == np.float32 and a.pbar.shape == (3, 2) and b.pbar.shape == (1, 2)
    assert a.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("pbar", "labels", "causes"),
    [
        (np.array([[0, 1], [np.nan, 0]]), np.zeros(2), ["NaN or infinity in frame 1"]),
        (np.array([[0, np.inf]]), np.zeros(1), ["NaN or infinity in frame 0"]),
        (np.zeros((2, 2)), np.array([0, np.nan]), ["NaN or infinity in frame 1"]),
        (np.array([[0, 1], [0, 1e6]]), np.zeros(2), ["pbar of frame 1 runs from 0 to 1e+06"]),
        (
            np.array([[0, 1], [-0.5, 1]]),
            np.zeros(2),
            ["runs from -0.5 to 1, outside [0, 1]"],
        ),
        (np.full((2, 2), 1.001), np.zeros(2), ["outside [0, 1]"]),
        (np.zeros((0, 2)), np.zeros(0), ["pbar must have 2 axes but is float64 [0, 2]"]),
        (np.zeros(2), np.zeros(2), ["pbar must have 2 axes", "[2]"]),
        (np.zeros((2, 2)), np.zeros((2, 1)), ["labels must have 1 axes", "[2, 1]"]),
        (np.zeros((2, 2)), np.zeros(3), ["pbar is [2, 2] and labels [3]"]),
        (np.zeros((2, 3)), np.zeros(2), ["3 atoms, but 2 in"]),
    ],
)
def test_bad_trainpack(tmp_path, pbar, labels, causes):
    good = pack(tmp_path / "good", np.zeros((2, 2)), np.zeros(2))
    bad = pack(tmp_path / "bad", pbar, labels)
    path = tmp_path / "bad" / "trainpack.safetensors"
    fails(lambda: tables.read_trainpacks([good, bad]), path, *causes)


def test_pbar_of_the_prototype_reaches_its_window(tmp_path):
    run = pack(tmp_path / "a", np.full((2, 2), 19.5), np.zeros(2))
    (read,) = tables.read_trainpacks([run], most=20.0)
    assert read.pbar.max() == 19.5
    fails(lambda: tables.read_trainpacks([run], most=19.0), tmp_path / "a", "outside [0, 19]")
    # Sums of float32 may pass 1 by a rounding.
    run = pack(tmp_path / "b", np.full((2, 2), np.float32(1 + 1e-6)), np.zeros(2))
    assert len(tables.read_trainpacks([run])) == 1


def test_presence_is_checked_like_pbar(tmp_path):
    path = tmp_path / "presence.safetensors"
    for presence, cause in (
        (np.full((2, 3), 1.5), "presence of frame 0 runs from 1.5 to 1.5"),
        (np.full(3, 0.5), "presence must have 2 axes"),
        (np.array([[0.5], [np.nan]]), "NaN or infinity in frame 1"),
    ):
        files.write_arrays(path, {"presence": presence})
        fails(lambda: tables.read_presence(tmp_path), path, cause)
    files.write_arrays(path, {"p": np.zeros((2, 3))})
    fails(lambda: tables.read_presence(tmp_path), path, "presence must have 2 axes but is missing")
    files.write_arrays(path, {"presence": np.full((2, 3), 0.25)})
    assert tables.read_presence(tmp_path).tolist() == [[0.25] * 3] * 2


def test_a_table_of_bytes_is_no_text(tmp_path):
    path = write(tmp_path / "l.csv", "video_id,riot\nv\0w,1\n")
    fails(lambda: tables.read_event_labels(path), path, "NUL bytes")


def test_an_interval_of_an_event_with_a_control_character_is_refused(tmp_path):
    rows = "video_id,event,start_seconds,end_seconds\nv,r\x1b[2Jiot,0,1\n"
    path = write(tmp_path / "i.csv", rows)
    fails(lambda: tables.read_intervals(path), path, "row 2: unknown event")


def test_trainpack_missing_or_no_safetensors(tmp_path):
    path = tmp_path / "trainpack.safetensors"
    run = tables.Run(tmp_path, None)
    fails(lambda: tables.read_trainpacks([run]), path, "no such file")
    files.write_arrays(path, {"pbar": np.zeros((1, 1))})
    fails(lambda: tables.read_trainpacks([run]), path, "labels must", "missing")
    path.write_text("text")
    fails(lambda: tables.read_trainpacks([run]), path, "not a safetensors file")


def test_intervals_of_an_unknown_event_need_a_list(tmp_path):
    path = write(tmp_path / "i.csv", "video_id,event,start_seconds,end_seconds\na,any,0,1\n")
    assert isinstance(tables.read_intervals(path), pd.DataFrame)


def test_frame_counts(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("video,frames,anomalous_frames,note\r\na,32,0,x\r\nb,16,16,\r\n")
    table = tables.read_frame_counts(path)
    assert list(table) == ["video", "frames", "anomalous_frames"]
    assert table.to_numpy().tolist() == [["a", 32, 0], ["b", 16, 16]]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("video\na\n", "no column 'frames'"),
        ("video,frames\na,0\n", "row 2, column frames: '0' is no number of frames"),
        ("video,frames\na,1.5\n", "'1.5' is no number of frames"),
        ("video,frames\na,1e300\n", "'1e300' is no number of frames"),
        ("video,frames\na,2147483648\n", "frames of a video, 1 to 20,000,000"),
        ("video,frames\na,x\n", "'x' is not a number"),
        ("video,frames\na,1\na,2\n", "row 3: video 'a' is unnamed or there twice"),
        ("video,frames,anomalous_frames\na,1,-1\n", "'-1' is no number of frames"),
    ],
)
def test_bad_frame_counts(tmp_path, text, cause):
    path = tmp_path / "counts.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=cause):
        tables.read_frame_counts(path)
