"""Sets as a user names them, and pictures that stand on both sides."""

import pytest

from jaxvlm.data.image_sets import read_image_set
from jaxvlm.errors import InputError
from jaxvlm.names import printable
from jaxvlm.pictures.sets import check_sets, read_set

CLASSES = ("boat", "car", "dog")


@pytest.fixture
def world(tmp_path):
    """Pictures are not opened, so each is a few bytes of its own."""
    for name in ("id", "other"):
        for label in CLASSES:
            folder = tmp_path / "world" / name / label
            folder.mkdir(parents=True)
            for i in range(4):
                (folder / f"{i}.jpg").write_text(f"{name} {label} {i}")
    return tmp_path / "world"


def test_sets_may_be_named_and_checked(world, tmp_path):
    assert read_set(f"{world}/id").name == "id"
    named = read_set(f"seen={world}/id", samples_per_class=1)
    assert named.name == "seen" and named.labels == CLASSES
    assert len(read_set(f"{world}/id", max_images=5).paths) == 5
    odd = tmp_path / "lr=0.1"
    odd.mkdir()
    (odd / "a.png").write_bytes(b"")
    assert read_set(str(odd)).name == "lr=0.1"
    assert read_set(f"new={odd}").paths == (odd / "a.png",)
    for source, says in (
        ("", "names no folder"),
        ("id=", "'id=': names no folder"),
        (f"textures:{world}/id", "textures is expected as images/<texture>"),
        (f"{world}/gone", "gone: no such folder"),
    ):
        with pytest.raises(InputError, match=says):
            read_set(source)


def test_pictures_on_both_sides_are_told_by_content(world, tmp_path):
    ids, oods = read_image_set(world / "id"), read_image_set(world / "other")
    assert check_sets([ids], [oods]) == []
    copies = tmp_path / "copies"
    copies.mkdir()
    (copies / "copy.jpg").write_bytes(ids.paths[4].read_bytes())
    (copies / "own.jpg").write_bytes(oods.paths[0].read_bytes())
    (line,) = check_sets([ids], [read_image_set(copies)])
    assert str(copies / "copy.jpg") in line and str(ids.paths[4]) in line


def test_sets_need_names_of_their_own_and_both_sides(world):
    ids, oods = read_image_set(world / "id"), read_image_set(world / "other", name="id")
    with pytest.raises(InputError, match="id: two sets of this name"):
        check_sets([ids], [oods])
    with pytest.raises(InputError, match="ood_dirs: no OOD set"):
        check_sets([ids], [])
    with pytest.raises(InputError, match="id_dir: no ID set"):
        check_sets([], [oods])


def test_a_name_that_is_not_utf8_can_be_written():
    printable("a\udcff.png").encode()
    assert printable("ä.png") == "ä.png"
