import numpy as np
import pytest

from jaxvlm.data.video_lists import read_truth, read_truth_folder, read_video_list
from jaxvlm.errors import InputError


def test_crops_count_once_and_names_give_labels(tmp_path):
    path = tmp_path / "test.list"
    names = ["F__#1_label_B1-G-0", "F__#2_label_A"]
    path.write_text("".join(f"/data/{name}__{crop}.npy\n" for name in names for crop in range(5)))
    found = read_video_list(path)
    assert list(found) == names
    assert [item.events for item in found.values()] == [("fighting", "explosion"), ()]


def test_labels_of_a_csv_list(tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("path,label\na/Abuse900_x264__0.npy,Abuse\nb/N_x264__0.npy,Normal\nc.npy,G-0-0")
    found = read_video_list(path)
    assert {k: v.events for k, v in found.items()} == {
        "Abuse900": ("Abuse",),
        "N": (),
        "c": ("explosion",),
    }


def test_without_labels_nobody_says_what_is_normal(tmp_path):
    path = tmp_path / "test.list"
    path.write_text("one_i3d.npy\ntwo_i3d.npy\n")
    assert [item.events for item in read_video_list(path).values()] == [None, None]


def test_one_video_in_two_places_is_an_error(tmp_path):
    path = tmp_path / "test.list"
    path.write_text("one.npy\ntwo.npy\none.npy\n")
    with pytest.raises(InputError, match="line 3: one is there twice"):
        read_video_list(path)


def test_truth_of_a_folder(tmp_path):
    np.save(tmp_path / "v.1_gt.npy", np.array([0.0, 1.0]))
    np.save(tmp_path / "Arson900_x264.npy", np.array([[True, False]]))
    found = read_truth_folder(tmp_path)
    assert {k: v.tolist() for k, v in found.items()} == {
        "Arson900": [True, False],
        "v.1": [False, True],
    }


@pytest.mark.parametrize(
    ("array", "cause"),
    [
        (np.array([0, 2]), "frame 1 is 2"),
        (np.zeros((2, 2)), r"shape \[2, 2\]"),
        (np.zeros(0), r"shape \[0\]"),
        (np.array(["a"]), "no array of numbers"),
    ],
)
def test_truth_that_is_none(tmp_path, array, cause):
    np.save(tmp_path / "gt.npy", array)
    with pytest.raises(InputError, match=cause):
        read_truth(tmp_path / "gt.npy")


@pytest.mark.parametrize("text", ["path,label\na.npy,B1\n,B2\n", "a.npy\nb/\n.npy\n"])
def test_a_line_without_a_video_is_named(tmp_path, text):
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(InputError, match=r"l\.csv: line [23]: names no video"):
        read_video_list(tmp_path / "l.csv")
