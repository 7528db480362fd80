"""Sets as the world makes them: one picture, lists of Windows, other files, odd names."""

import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxvlm.data import images
from jaxvlm.data.image_sets import content_hashes, read_image_set
from jaxvlm.data.presets import read_preset
from jaxvlm.errors import InputError
from jaxvlm.names import printable
from jaxvlm.pictures.sets import check_classes, split_sources


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path, "PNG")
    return folder


def test_one_picture_is_a_set(tmp_path):
    put(tmp_path, "one.JPG", "two.jpg")
    found = read_image_set(tmp_path / "one.JPG")
    assert (found.name, found.root, found.paths) == ("one", tmp_path, (tmp_path / "one.JPG",))
    assert found.labels is None and images.read_image(found.paths[0]).shape == (4, 4, 3)


def test_a_list_made_on_windows(tmp_path):
    put(tmp_path, "dog/1.png", "dog/2.png", "cat\\3.png")
    lines = "dog\\1.png dog\r\ndog\\2.png dog\r\ncat\\3.png cat\r\n"
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe" + lines.encode("utf-16-le"))
    found = read_image_set(tmp_path / "list.txt")
    assert [p.relative_to(tmp_path).as_posix() for p in found.paths] == [
        "dog/1.png",
        "dog/2.png",
        "cat\\3.png",  # a file of this name is there
    ]
    assert found.labels == ("dog", "dog", "cat")


def test_what_is_no_picture_is_counted_and_named_once(tmp_path):
    put(tmp_path / "a", "1.png", ".hidden.raw")
    for name in ("index.csv", "Thumbs.db", "notes.txt", "IMG.CR2", "b.mp4"):
        (tmp_path / "a" / name).write_bytes(b"")
    assert read_image_set(tmp_path / "a").left_out == (
        f"{tmp_path}/a: 2 files left out, no pictures of a kind that is read (IMG.CR2, b.mp4); "
        "convert to JPEG or PNG, or remove",
    )
    put(tmp_path / "c", "x/1.png", "y/2.png")
    for number in range(7):
        (tmp_path / "c" / "x" / f"{number}.psd").write_bytes(b"")
    (line,) = read_image_set(tmp_path / "c").left_out
    assert "7 files left out" in line and "(x/0.psd, x/1.psd, x/2.psd, x/3.psd, x/4.psd, …)" in line
    assert read_image_set(put(tmp_path / "d", "1.png")).left_out == ()


def test_names_that_are_not_utf8(tmp_path):
    folder = put(tmp_path / os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xe9/1.png"))
    found = read_image_set(folder)
    assert (found.name, found.labels) == ("caf\\xe9", ("\\xe9",))
    assert content_hashes(found.paths) != [None]
    assert images.read_image(found.paths[0]).shape == (4, 4, 3)
    assert printable("ä\udcff\ud800") == "ä\\xff\\ud800"


def test_frames_whose_names_are_not_utf8_are_left_out(tmp_path):
    odd = os.fsdecode(b"v\xe9")
    put(tmp_path, "v1/0.png", f"{odd}/0.png", f"v2/{odd}.png")
    found = images.list_video_folders(tmp_path)
    assert found.folders == [tmp_path / "v1"]
    assert found.failures == [
        f"{tmp_path}/v2/v\\xe9.png: a name that is not UTF-8; rename it",
        f"{tmp_path}/v\\xe9: a name that is not UTF-8; rename it",
    ]
    put(tmp_path / odd, "v/0.png")
    with pytest.raises(InputError, match=r"v\\xe9: a path that is not UTF-8; rename the folder"):
        images.list_video_folders(tmp_path / odd)


def test_waterbirds_with_an_empty_name(tmp_path):
    table = {"img_filename": ["a.jpg", None], "y": [0, 1], "split": [2, 2], "place": [0, 1]}
    put(tmp_path, "a.jpg")
    pd.DataFrame(table).to_csv(tmp_path / "metadata.csv", index=False)
    with pytest.raises(InputError, match=r"metadata\.csv: row 3 names no picture; waterbirds is"):
        read_preset("waterbirds", tmp_path)


def test_a_comma_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b", "a", "c", "x=y,z"):
        put(tmp_path, f"{name}/1.png")
    assert split_sources(["a,b"]) == ["a,b"]
    assert split_sources(["a,c"]) == ["a", "c"]
    assert split_sources(["N=a,b", "c"]) == ["N=a,b", "c"]
    assert split_sources(["N=sun:a,b", "x=y,z"]) == ["N=sun:a,b", "x=y,z"]
    assert split_sources(["N=a, M=c,"]) == ["N=a", "M=c"]
    assert split_sources(["a,N=c"]) == ["a", "N=c"]


def test_labels_have_to_be_classes(tmp_path):
    put(tmp_path, "id/fire_truck/1.png", "id/Car/2.png", "wn/n01440764/1.png")
    id_set = read_image_set(tmp_path / "id")
    check_classes([id_set, read_image_set(tmp_path / "wn")], ["fire truck", "car", "dog"])
    check_classes([read_image_set(tmp_path / "id" / "Car")], ["dog"])  # no labels
    with pytest.raises(InputError) as error:
        check_classes([id_set], ["boat", "car"])
    assert str(error.value) == (
        "id: 1 of its 2 labels are none of the 2 classes (fire_truck; the classes are boat, car); "
        "give the ID classes of these pictures"
    )
