"""The forms of the published files; names and frames are invented."""

import pytest

from jaxvlm.data.annotations import (
    AnnotatedSpan,
    decode_labels,
    read_ucf_crime,
    read_xd_violence,
    video_key,
    xd_events,
)
from jaxvlm.errors import InputError


def written(tmp_path, text):
    path = tmp_path / "annotations.txt"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Abuse900_x264.mp4", "Abuse900"),
        ("Abuse900_x264", "Abuse900"),
        ("Abuse900", "Abuse900"),
        ("features/Abuse/Abuse900_x264_i3d.npy", "Abuse900"),
        ("Normal_Videos_901_x264__4.npy", "Normal_Videos_901"),
        ("A.Film.1999__#00-01-02_00-03-04_label_B1-G-0.mp4", None),
        ("x\\y\\A.Film.1999__#00-01-02_00-03-04_label_B1-G-0__3.npy", None),
        ("A.Film.1999__#00-01-02_00-03-04_label_B1-G-0_vggish", None),
        ("corridor.1__2.npy", "corridor.1"),
        ("corridor.1", "corridor.1"),
    ],
)
def test_names_of_one_video_have_one_key(name, key):
    assert video_key(name) == (key or "A.Film.1999__#00-01-02_00-03-04_label_B1-G-0")


def test_ucf_crime_lines_in_every_form(tmp_path):
    text = (
        "Abuse900_x264.mp4  Abuse  10  20  -1  -1  \r\n"
        "Arson901_x264  Arson  5  9  12  30\n"
        "Stealing902  Stealing  -1  -1  7  8\n"
        "\n"
        "Normal_Videos_903_x264.mp4  Normal  -1  -1  -1  -1  "
    )
    found = read_ucf_crime(written(tmp_path, text))
    assert list(found) == ["Abuse900", "Arson901", "Stealing902", "Normal_Videos_903"]
    assert found["Abuse900"].intervals == (AnnotatedSpan(10, 20),)
    assert found["Arson901"].intervals == (AnnotatedSpan(5, 9), AnnotatedSpan(12, 30))
    assert found["Stealing902"].intervals == (AnnotatedSpan(7, 8),)
    assert found["Arson901"].events == ("Arson",)
    assert found["Normal_Videos_903"][1:] == ((), ())


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Abuse900  Abuse", "not NAME CLASS"),
        ("Abuse900  Abuse  10  20  -1", "not NAME CLASS"),
        ("Abuse900  Abuse  ten  20  -1  -1", "'ten' is no frame number"),
        ("Abuse900  Abuses  10  20  -1  -1", "unknown class 'Abuses'.*did you mean 'Abuse'"),
        ("Abuse900  Abuse  20  10  -1  -1", "interval 20 10 is not"),
        ("Abuse900  Abuse  10  20  15  30", "10 20 and 15 30 overlap"),
        ("Abuse900  Abuse  30  40  10  20", "out of order"),
        ("Abuse900  Abuse  10  -1  -1  -1", "interval 10 -1 is not"),
        ("Abuse900  Abuse  -1  -1  -1  -1", "no interval"),
        ("Normal_Videos_900  Normal  10  20  -1  -1", "class Normal, but an interval"),
        ("Arson901_x264.mp4  Arson  10  20  -1  -1", "Arson901 is there twice"),
    ],
)
def test_a_bad_ucf_crime_line_is_named(tmp_path, line, cause):
    path = written(tmp_path, f"Arson901  Arson  1  2  -1  -1\n{line}\n")
    with pytest.raises(InputError, match=f"annotations.txt: line 2: .*{cause}"):
        read_ucf_crime(path)


def test_xd_violence_lines_of_any_length(tmp_path):
    text = "v=a__#1_label_B1-0-0 3 9\nF.1__#2_label_G-B2-0.mp4 0 5 7 9 11 20"
    found = read_xd_violence(written(tmp_path, text))
    assert list(found) == ["v=a__#1_label_B1-0-0", "F.1__#2_label_G-B2-0"]
    first, second = found.values()
    assert (first.events, first.intervals) == (("fighting",), (AnnotatedSpan(3, 9),))
    assert second.events == ("explosion", "shooting")
    assert second.intervals == (AnnotatedSpan(0, 5), AnnotatedSpan(7, 9), AnnotatedSpan(11, 20))


def test_xd_violence_lines_with_classes_may_overlap_and_be_in_any_order(tmp_path):
    text = "F__#1_label_B1-B6-0 B6 10 20 B1 15 30 B6 0 3\n"
    (found,) = read_xd_violence(written(tmp_path, text)).values()
    assert found.intervals == (
        AnnotatedSpan(10, 20, "car accident"),
        AnnotatedSpan(15, 30, "fighting"),
        AnnotatedSpan(0, 3, "car accident"),
    )


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("F__#1_label_B1-0-0 3 9 12", "a start without an end"),
        ("F__#1_label_B1-0-0", "without intervals"),
        ("F__#1_label_B1-0-0 B1 3", "not NAME CODE START END"),
        ("F__#1_label_B1-0-0 B3 3 9", "unknown class 'B3'"),
        ("F__#1_label_B3-0-0 3 9", "unknown class 'B3'"),
        ("F__#1_label_0-0-0 3 9", "names no event"),
        ("F__#1_label_B1-0-0 9 3", "interval 9 3 is not"),
        ("F__#1_label_B1-0-0 B1 9 3", "interval 9 3 is not"),
        ("F__#1_label_B1-0-0 3 9 8 12", "overlap"),
        ("F__#1_label_A 3 9", "normal by its name"),
        ("F__#1 3 9", "has no _label_CODE"),
    ],
)
def test_a_bad_xd_violence_line_is_named(tmp_path, line, cause):
    with pytest.raises(InputError, match=f"annotations.txt: line 1: .*{cause}"):
        read_xd_violence(written(tmp_path, line))


def test_labels_in_xd_violence_names():
    assert xd_events("F__#1_label_A.mp4") == ()
    assert xd_events("F__#1_label_B4-B5-B6") == ("riot", "abuse", "car accident")
    assert decode_labels("B2-B2-0") == ("shooting",)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_ucf_crime(tmp_path / "none.txt")
    with pytest.raises(InputError, match="no annotations"):
        read_ucf_crime(written(tmp_path, "\n"))
    (tmp_path / "annotations.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8; give the annotation"):
        read_ucf_crime(tmp_path / "annotations.txt")


def test_numbers_that_no_frame_has(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("Abuse028_x264.mp4  Abuse  " + "1" * 5_000 + "  2\n")
    with pytest.raises(InputError, match="line 1: .* is no frame number") as caught:
        read_ucf_crime(path)
    assert len(str(caught.value)) < 400
